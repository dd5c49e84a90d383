//! `cargo xtask bench decision` and `bench search`: single pieces of the gateway, without a network. They
//! run in this program built for release, which this program builds and starts.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use cofferdam_audit::redact::{Finder, Label, Needles};
use cofferdam_gateway::scrub::{Pairs, Scrubber};
use cofferdam_gateway::stand_in;
use cofferdam_policy::Name;
use cofferdam_policy::credentials::MARKS;
use cofferdam_policy::judge::hosts::{Allowed, Decision, Host, HostRules, Pattern, Protocol};
use cofferdam_policy::judge::indexed::Indexed;
use cofferdam_policy::judge::requests::{Inspect, PathPattern, Request, Requests};
use cofferdam_policy::model::Clause;

use super::names::{Goal, figure};
use super::stat::{Ratios, median_of};
use super::{Figure, TOLD, pairs_of, release_programs, report};

/// The word by which a release-built one of this is told what to measure.
pub(crate) const RELEASED: &str = "released";

/// Decisions in one measurement.
const DECISIONS: u32 = 20_000;
/// Bytes that are looked through in one measurement.
const SEARCHED: usize = 32 << 20;
/// Bytes that come at once, as of a connection.
const PIECE: usize = 16 << 10;

/// Builds this program for release, and has it measure.
pub(crate) fn in_release(which: &str, pairs: usize) -> Result<(), String> {
    println!("building this for release");
    let built = Command::new("cargo")
        .args(["build", "--release", "--locked", "-q", "--package", "xtask"])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("cargo build --release failed".into());
    }
    let mut command = Command::new(release_programs()?.join("xtask"));
    let status = command.args([RELEASED, which, &pairs.to_string()]).status();
    let status = status.map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

/// What a release-built one measures.
pub(crate) fn released(which: &str, pairs: usize) -> Result<(), String> {
    let figures = match which {
        "decision" => decision(pairs)?,
        "search" => search(pairs)?,
        _ => return Err(format!("{which}: nothing that is measured so")),
    };
    report(&figures, pairs);
    Ok(())
}

/// Rules, credentials by name, and hosts to ask for.
struct Side {
    rules: Indexed,
    credentials: BTreeMap<String, usize>,
    hosts: Vec<Host>,
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text.as_bytes()).map_err(|fault| format!("{text}: {fault}"))
}

impl Side {
    /// Exact names and wildcards by turns, some with paths, all with a credential. One host in five is
    /// nobody's.
    fn new(rules: usize, credentials: usize) -> Result<Self, String> {
        let (mut allow, mut hosts) = (Vec::new(), Vec::new());
        for number in 0..rules {
            let site = format!("site-{number}.example.org");
            let exact = number % 2 == 0;
            let pattern =
                if exact { Pattern::Exact(name(&site)?) } else { Pattern::Below(name(&site)?) };
            let paths = if number % 4 < 2 { vec!["/v1/**"] } else { Vec::new() };
            let paths = paths.into_iter().map(PathPattern::parse).collect::<Result<_, _>>();
            let requests = Requests {
                methods: vec!["GET".into(), "POST".into()],
                paths: paths.map_err(|fault| format!("{fault:?}"))?,
                credential: Some(format!("credential-{}", number % credentials)),
                ..Requests::default()
            };
            let (inspect, protocol) = (Inspect::Auto, Protocol::Tls);
            let clause = Clause::built_in(&format!("network.allow {number}"));
            let (dial, reason, ports) = (None, None, vec![443]);
            allow.push(Allowed {
                pattern,
                ports,
                protocol,
                dial,
                inspect,
                requests: requests.into(),
                reason,
                clause,
            });
            let host = match (number % 5, exact) {
                (4, _) => format!("site-{number}.example.net"),
                (_, true) => site,
                (_, false) => format!("api.{site}"),
            };
            hosts.push(Host::Name(name(&host)?));
        }
        let rules =
            HostRules { allow: allow.into(), ..HostRules::none(Clause::built_in("network")) };
        let named = (0..credentials).map(|number| (format!("credential-{number}"), number));
        Ok(Self { rules: Indexed::new(rules), credentials: named.collect(), hosts })
    }

    /// Everything that is asked of one request, for many: seconds.
    fn time(&self) -> f64 {
        let request = Request {
            method: "POST",
            path: "/v1/messages",
            query: None,
            headers: &[("host", b"x"), ("content-type", b"application/json")],
            websocket: false,
        };
        let (mut let_through, mut known) = (0_u32, 0_usize);
        let begin = Instant::now();
        // In no order that a cache could learn.
        let mut at = 0;
        for _ in 0..DECISIONS {
            at = (at + 7_919) % self.hosts.len();
            let Some(host) = self.hosts.get(at) else { continue };
            let host = black_box(host);
            black_box(self.rules.about(host).sight(443, Protocol::Tls).is_ok());
            let about = self.rules.about(host);
            if let Decision::Allow(rule) = about.decide_request(443, Protocol::Tls, &request) {
                let_through += u32::from(about.place(rule).is_some());
                let held = about.bound().filter_map(|name| self.credentials.get(name));
                known = held.fold(known, |known, number| known.wrapping_add(*number));
            }
        }
        let took = begin.elapsed().as_secs_f64();
        black_box((let_through, known));
        took
    }
}

/// Ten hosts are asked for on both sides: what is told apart is how many other rules there are. Where each
/// of 10,000 is asked for in turn, none of what is read is in a cache of the processor's any more.
fn decision(pairs: usize) -> Result<Vec<Figure>, String> {
    let (mut many, few) = (Side::new(10_000, 1_000)?, Side::new(10, 1)?);
    let each = ("ns", 1e9 / f64::from(DECISIONS));
    let all = pairs_of(pairs, || Ok(many.time()), || Ok(few.time()))?;
    // One of each last digit: as many exact names, wildcards and hosts of nobody as among ten rules.
    let spread = std::mem::take(&mut many.hosts).into_iter().enumerate();
    many.hosts = spread.filter(|(at, _)| at % 1_000 == at / 1_000).map(|(_, host)| host).collect();
    let same = pairs_of(pairs, || Ok(many.time()), || Ok(few.time()))?;
    let what = "a decision among 10,000 rules and 1,000 credentials, against 10 rules";
    Ok(vec![
        figure(what, Goal::AtMost(2.0), &same, each),
        Figure {
            what: "the same, each of 10,000 hosts in turn".into(),
            goal: TOLD.into(),
            held: false,
            found: all.text(each.0, each.1),
        },
    ])
}

/// Bytes of one kind.
fn bytes_of(kind: &str) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::new();
    while bytes.len() < 1 << 20 {
        let number = random();
        match kind {
            "random bytes" => bytes.extend_from_slice(&number.to_le_bytes()),
            "text" => {
                let words =
                    ["the", "gateway", "reads", "what", "passes", "and", "keeps", "nothing"];
                let word = usize::try_from(number % 8).ok().and_then(|at| words.get(at));
                bytes.extend_from_slice(word.unwrap_or(&"of").as_bytes());
                bytes.push(if number % 64 < 8 { b'\n' } else { b' ' });
            }
            _ => {
                let (small, url) = (number % 1_000, number % 97);
                let text = format!(
                    "{{\"id\":{small},\"token\":\"{number:016x}\",\"text\":\"a line\\nof \\\"text\\\"\",\
                     \"url\":\"https://web.test/{url}?of={small}&as=x\"}},\n"
                );
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    bytes
}

const REAL: &[u8] = b"sk-ant-api03-Qm9yZXhhbXBsZS1vZi1hLXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVm";

fn search(pairs: usize) -> Result<Vec<Figure>, String> {
    let marks = MARKS.iter().enumerate().map(|(at, mark)| (Label(at), mark.as_bytes()));
    let needles = Needles::new(marks).map_err(|fault| fault.code().to_owned())?;
    let mut state = 0_usize;
    let put = stand_in::like(REAL, |most| {
        state = state.wrapping_mul(31).wrapping_add(7);
        state % most
    });
    let put = put.map_err(|unlike| unlike.to_string())?;
    let scrubbed =
        Pairs::new(&[(REAL, put.as_bytes())]).map_err(|fault| fault.code().to_owned())?;
    let mut figures = Vec::new();
    for kind in ["random bytes", "text", "JSON"] {
        let bytes = bytes_of(kind);
        let rounds = SEARCHED / bytes.len();
        let find = || {
            let mut finder = Finder::new(&needles);
            for piece in (0..rounds).flat_map(|_| bytes.chunks(PIECE)) {
                black_box(finder.feed(black_box(piece)));
            }
            black_box(finder.finish());
        };
        figures.push(speed(format!("looking for credentials in {kind}"), pairs, find));
        let scrub = || {
            let (mut scrubber, mut out) = (Scrubber::new(&scrubbed), Vec::new());
            for piece in (0..rounds).flat_map(|_| bytes.chunks(PIECE)) {
                out.clear();
                scrubber.feed(black_box(piece), &mut out);
                black_box(&out);
            }
            scrubber.finish(&mut out);
        };
        figures.push(speed(format!("scrubbing {kind}"), pairs, scrub));
    }
    figures.extend(fields(&needles, pairs)?);
    Ok(figures)
}

/// Gigabytes a second.
fn speed(what: String, times: usize, mut once: impl FnMut()) -> Figure {
    once();
    let took = (0..times).map(|_| {
        let begin = Instant::now();
        once();
        begin.elapsed().as_secs_f64()
    });
    let bytes = u32::try_from(SEARCHED).map_or(0.0, f64::from);
    let found = format!("{:.2} GB/s", bytes / median_of(took.collect()) / 1e9);
    Figure { what, goal: TOLD.into(), held: false, found }
}

/// Fields of a head, each looked through by itself: at once, against as a stream.
fn fields(needles: &Needles, pairs: usize) -> Result<Vec<Figure>, String> {
    let fields: [&[u8]; 16] = [
        b"host",
        b"web.test",
        b"user-agent",
        b"Anthropic/Python 0.39.0 (linux; x86_64)",
        b"accept",
        b"application/json, text/plain;q=0.9, */*;q=0.1",
        b"accept-encoding",
        b"gzip, deflate, br, zstd",
        b"content-type",
        b"application/json; charset=utf-8",
        b"x-stainless-package-version",
        b"0.39.0",
        b"traceparent",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"referer",
        b"https://web.test/a/page?of=it&and=more",
    ];
    let heads = 2_000;
    let time = |look: &dyn Fn(&[u8]) -> bool| {
        let begin = Instant::now();
        let found = (0..heads).any(|_| fields.iter().any(|field| look(black_box(field))));
        if found {
            Err("a field holds a mark".to_owned())
        } else {
            Ok(begin.elapsed().as_secs_f64())
        }
    };
    let whole = |field: &[u8]| needles.first_in(field).is_some();
    let stream = |field: &[u8]| {
        let mut finder = Finder::new(needles);
        finder.feed(field).or_else(|| finder.finish()).is_some()
    };
    let ratios: Ratios = pairs_of(pairs, || time(&whole), || time(&stream))?;
    let found = ratios.text("us", 1e6 / f64::from(heads));
    let what = "eight fields of a head, each at once, against each as a stream".into();
    Ok(vec![Figure { what, goal: TOLD.into(), held: false, found }])
}
