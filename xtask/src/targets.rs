//! `cargo xtask fuzz-targets`: every target of libFuzzer in `fuzz/`, for some seconds each, with the
//! stable compiler and without `cargo fuzz`.
//!
//! What libFuzzer finds worth keeping goes into a scratch folder, never into the repository: a find
//! is kept as a row of a table test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::test::step;

const SOURCES: &str = "fuzz/fuzz_targets";
const CORPUS: &str = "fuzz/corpus";
/// Words of a target's language, where it has some: a file of its name.
const WORDS: &str = "fuzz/words";

/// What `cargo fuzz` gives the compiler, without the address sanitizer: it needs another compiler, and
/// nothing that is fuzzed here is unsafe.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// How many targets run at a time: one a processor of the machines that CI has.
const AT_ONCE: usize = 2;
/// One input takes no longer than this. Seconds.
const TIMEOUT: &str = "-timeout=10";

/// Targets of what is read where the gateway looks inside.
const INSIDE: &[&str] = &["frames", "graphql", "h2", "packets", "target"];

/// Targets of what looks for secrets, signs, and makes output safe.
const SECRETS: &[&str] = &["agent", "coding", "escapes", "find", "scrub", "sigv4"];

/// Which of them run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    Inside,
    Secrets,
    Outside,
}

pub(crate) fn run(secs: u32, which: Which) -> Result<(), String> {
    let mut targets = targets()?;
    if let Some(gone) =
        INSIDE.iter().chain(SECRETS).find(|name| !targets.iter().any(|one| one == *name))
    {
        return Err(format!("{SOURCES}: no target {gone}"));
    }
    targets.retain(|name| match which {
        Which::All => true,
        Which::Inside => INSIDE.contains(&name.as_str()),
        Which::Secrets => SECRETS.contains(&name.as_str()),
        Which::Outside => !INSIDE.contains(&name.as_str()) && !SECRETS.contains(&name.as_str()),
    });
    let host = host()?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = folder.join("fuzz");
    // With a target of its own, build scripts and macros are not counted: nothing would link them.
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    build.args(["--target", &host, "--target-dir"]).arg(&folder);
    build.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    step("build the targets", build.env("RUSTC_BOOTSTRAP", "1"))?;
    let programs = folder.join(&host).join("release");
    let mut failed = Vec::new();
    for some in targets.chunks(AT_ONCE) {
        let done = std::thread::scope(|threads| {
            let begin = |target: &String| {
                let (program, scratch) = (programs.join(target), folder.join("scratch"));
                let target = target.clone();
                threads.spawn(move || fuzz(&program, &target, &scratch, secs))
            };
            let begun: Vec<_> = some.iter().map(begin).collect();
            let end = |thread: std::thread::ScopedJoinHandle<'_, Result<u64, String>>| {
                thread.join().unwrap_or_else(|_| Err("its thread panicked".into()))
            };
            begun.into_iter().map(end).collect::<Vec<_>>()
        });
        for (target, done) in some.iter().zip(done) {
            match done {
                Ok(runs) => println!("{target}: {runs} runs"),
                Err(why) => {
                    println!("{target}: {why}");
                    failed.push(target.as_str());
                }
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// Names of the targets: their files.
fn targets() -> Result<Vec<String>, String> {
    let entries = std::fs::read_dir(SOURCES).map_err(|error| format!("{SOURCES}: {error}"))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| format!("{SOURCES}: {error}"))?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".rs")).map(str::to_owned));
    }
    names.sort();
    if names.is_empty() { Err(format!("{SOURCES}: no target")) } else { Ok(names) }
}

/// The compiler's own system.
fn host() -> Result<String, String> {
    let said = Command::new("rustc").arg("-vV").output();
    let said = said.map_err(|error| format!("rustc: {error}"))?;
    let said = String::from_utf8_lossy(&said.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say its host".into())
}

/// Runs one target; how many inputs it tried.
fn fuzz(program: &Path, target: &str, scratch: &Path, secs: u32) -> Result<u64, String> {
    let found = scratch.join(target);
    std::fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let seeds = Path::new(CORPUS).join(target);
    if !seeds.is_dir() {
        return Err(format!("{} is not there: it has no first inputs", seeds.display()));
    }
    let mut command = Command::new(program);
    command.arg(&found).arg(&seeds).args([TIMEOUT, "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={secs}"));
    command.arg(format!("-artifact_prefix={}/{target}-", scratch.display()));
    let words = Path::new(WORDS).join(target);
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let end: Vec<&str> = said.lines().rev().take(30).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        return Err(format!("{}\n{}", output.status, end.join("\n")));
    }
    let runs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let runs = runs.and_then(|runs| runs.trim().parse().ok()).filter(|runs| *runs > 0);
    runs.ok_or_else(|| "it ended without a run".into())
}
