//! Our own parsers under random changes: the wire form, policy text, the audit log.
//!
//! Each has a property that is stronger than "does not panic": what is accepted has one spelling,
//! and what is judged is what is there. `COFFERDAM_FUZZ_ROUNDS` makes it long (`cargo xtask fuzz`).

#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "support/mod.rs"]
mod support;

use std::fmt::Debug;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use cofferdam::audit::{Broken, Reading, Verified, tell};
use cofferdam::plan::judge::hosts::Protocol;
use cofferdam::plan::message::{
    Ended, FromGateway, HttpVersion, Order, Question, Report, Requested, ToGateway, Way, Went,
};
use cofferdam::plan::plan::{Content, Trusted};
use cofferdam::plan::wire::{Wire, decode, encode};
use cofferdam::plan::{BUILD, Egress, Plan};
use cofferdam::policy::{Document, Source, printable, render};
use cofferdam::{Engine, Options, PolicyFrom, Prepared};
use support::{Place, programs, variable};

/// Changes of each sample in an ordinary run: a few seconds in all.
const ROUNDS: u64 = 4_000;

fn rounds() -> u64 {
    variable("COFFERDAM_FUZZ_ROUNDS").and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

/// xorshift64*.
struct Random(u64);

impl Random {
    /// The same changes every time, or those of `COFFERDAM_SEED`.
    fn new() -> Self {
        let seed = variable("COFFERDAM_SEED").and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or(0xF0_22E2);
        println!("COFFERDAM_SEED={seed}");
        Self(seed | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        let number = (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound;
        usize::try_from(number).unwrap_or_default()
    }

    /// `sample` with one to four changes: a bit, a byte, a cut, a repeat, a word of the edges.
    fn changed(&mut self, sample: &[u8]) -> Vec<u8> {
        let mut bytes = sample.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = at + self.below(bytes.len().saturating_sub(at).min(64));
            match self.below(6) {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
                1 => {
                    let new = u8::try_from(self.below(256)).unwrap_or_default();
                    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = new);
                }
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let piece: Vec<u8> = bytes.drain(at..end).collect();
                    let twice = piece.iter().chain(&piece).copied();
                    drop(bytes.splice(at..at, twice));
                }
                _ => {
                    let edges = [0_u32, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX];
                    let edge = edges.get(self.below(edges.len())).copied().unwrap_or_default();
                    bytes.iter_mut().skip(at).zip(edge.to_le_bytes()).for_each(|(b, e)| *b = e);
                }
            }
        }
        bytes
    }
}

fn prepared(place: &Place) -> Prepared {
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    let workspace = place.work.display();
    let text = format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{workspace}\", mode = \"read-write\" }}\n\
         grant = [{{ path = \"{}\", mode = \"read-only\" }}]\n\
         [[network.allow]]\nhost = \"db.good.test\"\nports = [5432]\nprotocol = \"tcp\"\n\
         dial = \"192.0.2.1:5432\"\nreason = \"x\"\n[[network.allow]]\nhost = \"*.good.test\"\n\
         [[network.deny]]\nhost = \"2001:db8::/32\"\n[network]\npublish = [\"3000\"]\n\
         upstream_proxy = \"socks5://proxy.good.test:1080\"\n",
        place.out.display()
    );
    let options = Options {
        policy: PolicyFrom::Text { name: "fuzz".into(), text },
        audit: Some(place.root.join("log/audit.jsonl")),
        ..Options::command(["true"])
    };
    let engine = Engine::with_programs(&programs()).unwrap_or_else(|why| panic!("{why}"));
    engine.prepare(&options).unwrap_or_else(|why| panic!("{why}"))
}

/// Whatever is read is written again as the same bytes: a message has one spelling.
fn one_spelling<T: Wire + Debug + PartialEq>(random: &mut Random, value: &T) -> u64 {
    let sample = encode(value);
    assert_eq!(decode::<T>(&sample).as_ref(), Ok(value), "the sample itself");
    let mut read = 0;
    for _ in 0..rounds() {
        let bytes = random.changed(&sample);
        if let Ok(value) = decode::<T>(&bytes) {
            assert_eq!(encode(&value), bytes, "{value:?}");
            read += 1;
        }
    }
    read
}

/// What engine and gateway say to each other.
fn messages_of_the_gateway(random: &mut Random, egress: &Egress) -> u64 {
    let mut read = 0;
    let ended = Ended {
        way: Way::Proxy,
        host: "good.test".into(),
        port: 443,
        protocol: Some(Protocol::Tls),
        address: Some(([192, 0, 2, 1], 443).into()),
        clause: egress.rules.base.clone(),
        verdict: Went::Denied { code: "host-denied".into() },
        why: "a rule denies it".into(),
        fix: String::new(),
        sent: 1,
        received: 2,
        duration_ms: 3,
        times: 1,
        request: Some(Requested {
            version: HttpVersion::Http2,
            method: "POST".into(),
            path: "/a/b".into(),
            status: Some(403),
        }),
    };
    let question = Question {
        id: 7,
        host: "good.test".into(),
        port: 443,
        protocol: Protocol::Tls,
        method: Some("GET".into()),
        path: None,
    };
    for message in [
        FromGateway::Ready { build: BUILD.into() },
        FromGateway::Failed { doing: "read".into(), errno: 2 },
        FromGateway::Begun { count: 3 },
        FromGateway::Counted(Box::new(ended.clone())),
        FromGateway::Ended(Box::new(ended)),
        FromGateway::Authority { certificate: vec![0x30, 2, 5, 0] },
        FromGateway::Applied { generation: 3 },
        FromGateway::Asks(Box::new(question)),
        FromGateway::AsksNoMore { id: 7 },
    ] {
        read += one_spelling(random, &message);
    }
    for message in [
        ToGateway::Egress { user: Some((1000, 1000)) },
        ToGateway::Sockets,
        ToGateway::Agent,
        ToGateway::Room { places: 32 },
        ToGateway::Rules { generation: 3 },
        ToGateway::Answer { id: 7, allowed: true },
        ToGateway::Finish,
    ] {
        read += one_spelling(random, &message);
    }
    read
}

#[test]
fn the_wire_form_has_one_spelling() {
    let mut random = Random::new();
    let plan: Plan = prepared(&Place::new()).plan;
    let mut read = one_spelling(&mut random, &plan);
    for content in [Content::Text("a".into()), Content::Bytes(vec![0xFE, 0xED])] {
        read += one_spelling(&mut random, &content);
    }
    let later = encode(&Content::Later(Trusted::Java));
    assert!(decode::<Content>(&later).is_err(), "nobody obeys a plan that waits for something");
    for report in [
        Report::Ready { build: BUILD.into(), watched: 40 },
        Report::Failed { step: 3, doing: "open /usr".into(), errno: 13 },
        Report::Fell { path: "/home/u/app/.git/hooks".into(), kills: true },
        Report::Exited { status: 130, signal: 2 },
        Report::Forked { pid: 7 },
        Report::NotStarted { errno: 2 },
        Report::Agent,
    ] {
        read += one_spelling(&mut random, &report);
    }
    for order in [Order::Go, Order::Signal { number: 15 }] {
        read += one_spelling(&mut random, &order);
    }
    let egress: Egress = plan.egress.clone().unwrap();
    read += one_spelling(&mut random, &egress);
    read += messages_of_the_gateway(&mut random, &egress);
    println!("{read} changed messages were still messages");
    assert!(read > 0, "changes that only ever break the form test nothing behind it");
}

const POLICIES: &[&str] = &[
    "version = 1\nisolation = \"process\"\n",
    "version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"read-write\" }\n\
     grant = [{ path = \"~/data\", mode = \"read-only\" }]\nhome = \"private\"\n",
    "version = 1\nextends = [\"preset:uv\", \"preset:codex\"]\n[filesystem]\n\
     grant = [{ path = \"~/data\", mode = \"read-only\", optional = true }]\n",
    "version = 1\n[environment]\nallow = [\"TERM\", \"LC_*\"]\nset = { CI = \"1\" }\n[network]\n",
    "version = 1\n[[network.allow]]\nhost = \"*.b\u{fc}cher.test\"\nports = [22, 443]\nprotocol = \"tcp\"\n\
     reason = \"x\"\n[[network.deny]]\nhost = \"2001:db8::/32\"\n",
    "version = 1\n[network]\nupstream_proxy = \"socks5://[::1]:1080\"\npublish = [\"3000:8080\"]\n\
     allow = [{ host = \"192.0.2.1\", dial = \"192.0.2.7:8443\" }]\n",
    "version = 1\n[filesystem]\nhide = [\"conf/.env\", \"~/x\"]\nprotect = [\"Makefile\"]\n\
     home = \"project\"\n",
    "version = 1\n# \u{1b}[2J \u{202e}\u{e9}\n[[filesystem.grant]]\npath = \"/opt/\u{e9}\"\nmode = \"read-only\"\n",
];

/// Every text is a policy or has its fault in one place of it, told without a control character.
#[test]
fn every_policy_text_is_read_or_refused_in_place() {
    let mut random = Random::new();
    let (mut read, mut refused) = (0_u64, 0_u64);
    for sample in POLICIES {
        for _ in 0..rounds() {
            let bytes = random.changed(sample.as_bytes());
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            let source = Source::from_bytes("p.toml".into(), bytes.clone());
            let Err(error) = source.and_then(Document::parse) else {
                read += 1;
                continue;
            };
            refused += 1;
            assert!(error.line().is_none_or(|line| (1..=lines).contains(&line)), "{error:?}");
            let text = render(&error, false, 80);
            let plain = |c: char| !c.is_control() || c == '\n' || c == '\t';
            assert!(text.chars().all(plain) && printable(&text) == text, "{text:?}");
            assert!(!error.code().is_empty() && !error.hint().is_empty(), "{error:?}");
        }
    }
    println!("{read} texts were read, {refused} refused");
    assert!(read > 0 && refused > 0, "{read} {refused}");
}

/// Shows a log to its end: what is not marked is a line of the sample, and what is told of any line
/// is one line, without what a terminal obeys.
fn shown(path: &Path, sample: &[u8]) -> Result<Verified, Broken> {
    let lines: Vec<&[u8]> = sample.split(|byte| *byte == b'\n').collect();
    let mut next = 1;
    let reading = Reading::open(path)?;
    reading.each(|line| {
        assert!(line.number >= next, "each line once, in order");
        next = line.number + 1;
        assert!(line.problem.is_some() || lines.contains(&line.bytes), "{line:?}");
        for text in line.record.iter().flat_map(tell) {
            assert!(text.len() < 4_000 && !text.contains(['\n', '\r', '\t']), "{text:?}");
            assert!(!printable(&text).chars().any(char::is_control), "{text:?}");
        }
        ControlFlow::Continue(())
    })
}

const GIT_CONFIGURATION: &str = "[core]\n\tbare = false\n\tworktree = ../../../a\\\\b\n\
    [user \"x\"]\n\tname = no ; c\n[user]\n\tname = \"A \\\"B\\\" \u{e9}\" # c\n\temail = a\\\n@b\n";

/// What is read of a person's git configuration is one value of one line, and is written so that it
/// is read back as the same.
#[test]
fn a_value_of_gits_configuration_is_one_line() {
    use cofferdam_sandbox::gitconfig::{entry, value};
    let mut random = Random::new();
    let (mut read, mut nothing) = (0_u64, 0_u64);
    for _ in 0..rounds() {
        let bytes = random.changed(GIT_CONFIGURATION.as_bytes());
        let text = String::from_utf8_lossy(&bytes);
        let found = ["name", "email"].map(|key| value(&text, "user", key));
        if found.iter().all(Option::is_none) {
            nothing += 1;
        }
        for text in found.iter().flatten() {
            let Some(line) = entry("name", text) else { continue };
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line:?}");
            let again = value(&format!("[user]\n{line}\temail = x\n"), "user", "name");
            assert_eq!(again.as_ref(), Some(text), "{line:?}");
            read += 1;
        }
    }
    println!("{read} values were read, {nothing} texts had none");
    assert!(read > 0 && nothing > 0, "{read} {nothing}");
}

const GIT_SETTINGS: &str = "[core]\n\tbare = false\n\tautocrlf\n[remote \"o/p\"]\n\turl = https://good.test/a # b\n\
    \tfetch = +refs/heads/*:refs/remotes/o/*\n[Branch.Old] rebase=true\r\n[branch \"a\\\"b\\\\\"]\n\
    \tdescription = \"one\\ntwo \\\"\" \\\n  three\t\\t ; x\n\tmerge = \n[a-b]\nc-d = e\"f\"g  h \n";

/// What may land in a repository's settings is judged as git reads it.
#[test]
fn git_reads_the_settings_that_we_read() {
    use cofferdam::plan::judge::git::syntax::entries;
    let place = Place::new();
    let git = |arguments: &[&str]| place.command("git").args(arguments).output();
    if git(&["--version"]).is_err() {
        println!("git_reads_the_settings_that_we_read: not held, there is no git");
        return;
    }
    let file = place.work.join("settings");
    let path = file.to_str().unwrap();
    let mut random = Random::new();
    let (mut read, mut refused) = (0_u64, 0_u64);
    for sample in [GIT_SETTINGS, GIT_CONFIGURATION] {
        for round in 0..rounds() / 10 {
            let bytes = if round == 0 { sample.into() } else { random.changed(sample.as_bytes()) };
            let Ok(entries) = entries(&bytes) else {
                assert!(round > 0, "the sample itself");
                refused += 1;
                continue;
            };
            let mut ours = Vec::new();
            for entry in &entries {
                ours.extend(entry.name());
                if let Some(value) = entry.value() {
                    ours.push(b'\n');
                    ours.extend_from_slice(value);
                }
                ours.push(0);
            }
            fs::write(&file, &bytes).unwrap();
            let said = git(&["config", "-f", path, "--list", "-z", "--no-includes"]).unwrap();
            let told = String::from_utf8_lossy(&bytes);
            assert!(said.status.success(), "git does not read {told:?}");
            let [git, ours] = [&said.stdout, &ours].map(|all| String::from_utf8_lossy(all));
            assert_eq!(git, ours, "{told:?}");
            read += 1;
        }
    }
    println!("{read} texts were read, {refused} refused");
    assert!(read > 0 && refused > 0, "{read} {refused}");
}

/// A changed log that still verifies is the beginning of the real one.
#[test]
fn a_changed_log_is_no_log() {
    let place = Place::new();
    let mut random = Random::new();
    place.inside("true").works("a run on record");
    place.inside("exit 3");
    let sample = fs::read(place.audit_log()).unwrap();
    let path = place.root.join("changed.jsonl");
    let (mut whole, mut broken) = (0_u64, 0_u64);
    for _ in 0..rounds() {
        let bytes = random.changed(&sample);
        fs::write(&path, &bytes).unwrap();
        let verdict = cofferdam::audit::verify(&path);
        assert_eq!(shown(&path, &sample), verdict, "a reader is told the same");
        match verdict {
            Ok(_) => {
                // What a writer left unfinished at the end is told apart, and may be anything.
                let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                let chained = bytes.get(..end).unwrap_or_default();
                assert!(sample.starts_with(chained), "{}", String::from_utf8_lossy(chained));
                whole += 1;
            }
            Err(_) => broken += 1,
        }
    }
    println!("{broken} changed logs were broken, {whole} cut off");
    assert!(broken > whole && whole > 0, "{broken} {whole}");
}
