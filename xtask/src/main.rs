//! Tasks of this repository.
//!
//! `cargo xtask test` is what a person and CI run; `cargo xtask bench start` measures;
//! `cargo xtask fuzz` changes our parsers' inputs for longer than CI does.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a task runner starts programs, reads its environment and talks to a person"
)]

mod bench;
mod clients;
mod peer;
mod presets;
mod runsc;
mod soak;
mod targets;
mod test;
mod web;

use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;

use bench::{Amount, Others};
use clients::Sees;
use soak::Traffic;
use targets::Which;

const HELP: &str = "usage: cargo xtask TASK

tasks:
  test                 format, lints, every test, acceptance; as root it installs the Debian
                       packages that the tests need
  bench start [--pairs N]
                       start time, memory and throughput against bubblewrap, alternating;
                       prints the table of SPECIFICATION.md
  bench terminal       what a terminal of the sandbox's own costs, against script(1)
  bench names [--peers] [--pairs N]
                       what the gateway costs, against going without one; --peers: and against
                       srt and codex, from npm
  bench inspect [--peers] [--pairs N]
                       what it costs that requests are looked into, against TLS without; --peers: and
                       against mitmproxy from PyPI and srt from npm
  bench identity [--short] [--pairs N]
                       what it costs that requests bear a credential, against requests that are looked
                       into without one; --short: of little, to see that it works
  bench decision [--pairs N]
                       the judge among 10,000 rules and 1,000 credentials, against 10 rules
  bench clauses [--pairs N]
                       `why` and `policy check` of a policy with 10,000 clauses, against 10
  bench search [--pairs N]
                       how fast is looked for credentials, in bytes of several kinds
  bench broker [--pairs N]
                       what it costs that names are judged: single calls, `tar x`, `npm ci`, and the start
                       in a repository of 300,000 files
  soak [--inspected] [--seconds N | --minutes N]
                       200 connections through a gateway, as root: no growth, nothing lost (60 s);
                       --inspected: requests of every kind, each looked into
  clients [--inspected]
                       programs of many languages through a gateway, with and without proxy variables;
                       --inspected: each request is looked into
  presets              every toolchain and agent that a preset is for, from Debian, npm and PyPI
                       into target/presets, and the tests of presets with them (1.5 GB)
  agents               a whole turn of each agent, as npm installs it, against a server that plays its
                       API; as root by an ordinary user too (0.7 GB)
  runsc [DIR]          the builds of gVisor's runsc that must work, Debian's of 2022 and of 2024, unpacked
                       into DIR (target/runsc)
  fuzz [--rounds N]    the test program `fuzz` for longer: N changes of each sample (300000)
  fuzz-targets [--inside | --secrets | --outside] [--secs N]
                       every target of libFuzzer in fuzz/, N seconds each (20); --inside: of what is read
                       where the gateway looks inside, --secrets: of what looks for secrets, signs
                       and makes output safe, --outside: the others
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => test::run(),
        ["bench", words @ ..] => benches(words),
        // For the bench's own use, on both sides: not in the help.
        [bench::CALLS, which] => bench::calls(which),
        // Built for release, for `bench decision` and `bench search`: not in the help.
        [bench::RELEASED, which, pairs] => {
            within(pairs, 1_000, "--pairs").and_then(|pairs| bench::released(which, pairs))
        }
        [peer::TASK, words @ ..] => peer::run(words),
        // For the bench's own use, inside bubblewrap: not in the help.
        [bench::WALLS, plan, "--", command @ ..] => bench::under_walls(plan, command),
        ["soak", "--inspected", words @ ..] => soaks(words, Traffic::Inspected),
        ["soak", words @ ..] => soaks(words, Traffic::Opaque),
        ["fuzz-targets", which @ ("--inside" | "--secrets" | "--outside"), "--secs", secs] => {
            let which = match *which {
                "--inside" => Which::Inside,
                "--secrets" => Which::Secrets,
                _ => Which::Outside,
            };
            within(secs, 86_400, "--secs").and_then(|secs| targets::run(secs, which))
        }
        ["clients"] => clients::run(Sees::Nothing),
        ["clients", "--inspected"] => clients::run(Sees::Requests),
        ["presets"] => presets::run(),
        ["agents"] => presets::agents(),
        ["runsc"] => runsc::run(runsc::PLACE),
        ["runsc", into] => runsc::run(into),
        ["fuzz"] => test::fuzz(300_000),
        ["fuzz", "--rounds", rounds] => match rounds.parse() {
            Ok(rounds @ 1..=1_000_000_000) => test::fuzz(rounds),
            Ok(_) | Err(_) => Err("--rounds takes a number from 1 to 1000000000".into()),
        },
        ["fuzz-targets"] => targets::run(20, Which::All),
        ["fuzz-targets", "--secs", secs] => match secs.parse() {
            Ok(secs @ 1..=86_400) => targets::run(secs, Which::All),
            Ok(_) | Err(_) => Err("--secs takes a number from 1 to 86400".into()),
        },
        ["--help" | "-h" | "help"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => Err(format!("unknown task\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What is measured, in how many pairs.
fn benches(words: &[&str]) -> Result<(), String> {
    let (words, pairs) = match words {
        [words @ .., "--pairs", pairs] => (words, Some(within(pairs, 1_000, "--pairs")?)),
        words => (words, None),
    };
    let or = |usual: usize| pairs.unwrap_or(usual);
    match words {
        ["start"] => bench::start(or(40)),
        ["terminal"] => bench::terminal(or(30)),
        ["names"] => bench::names(or(40), Others::Left),
        ["names", "--peers"] => bench::names(or(40), Others::Measured),
        ["inspect"] => bench::inspect(or(30), Others::Left),
        ["inspect", "--peers"] => bench::inspect(or(30), Others::Measured),
        ["identity"] => bench::identity(or(30), Amount::Whole),
        ["identity", "--short"] => bench::identity(or(30), Amount::Short),
        ["broker"] => bench::broker(or(40)),
        ["clauses"] => bench::clauses(or(30)),
        [which @ ("decision" | "search")] => bench::in_release(which, or(40)),
        _ => Err(format!("bench of what?\n\n{HELP}")),
    }
}

/// How long, and of what.
fn soaks(words: &[&str], traffic: Traffic) -> Result<(), String> {
    match words {
        [] => soak::run(60, traffic),
        ["--seconds", seconds] => {
            within(seconds, 86_400, "--seconds").and_then(|seconds| soak::run(seconds, traffic))
        }
        ["--minutes", minutes] => {
            within(minutes, 1_440, "--minutes").and_then(|minutes| soak::run(minutes * 60, traffic))
        }
        _ => Err("soak takes --inspected, and --seconds N or --minutes N behind it".into()),
    }
}

/// A number of these, from 1 to `most`.
fn within<T>(word: &str, most: T, option: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + From<u8> + Display,
{
    let number = word.parse().ok().filter(|number| *number >= T::from(1) && *number <= most);
    number.ok_or_else(|| format!("{option} takes a number from 1 to {most}"))
}
