//! `cargo xtask bench names`: what the gateway costs, against going without one.
//!
//! Servers are in this process or its children, on the host's loopback; inside they have names that the
//! policy leads there by `dial`. Clients are the same programs inside and outside, and measure
//! themselves, so no start is counted where only connections are meant.

mod peers;
mod side;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use super::stat::Ratios;
use super::{Figure, Scratch, installed, pairs_of, pss, report, time, told};
use crate::peer::PROXY;
use peers::{Peer, WAY};
use side::{Side, Sites};

/// New connections of TLS in a row.
const TUNNELS: &str = "200";
/// Requests on one connection.
const REQUESTS: &str = "2000";
/// Connections that a gateway has open when its memory is read.
const HELD: &str = "50";
/// Pairs in which somebody else's program takes part: one takes seconds.
const PEER_PAIRS_MAX: usize = 15;

/// Whether other programs are measured too, which come from npm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Measured,
    Left,
}

/// Which side of a goal is good.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

pub(crate) fn names(pairs: usize, others: Others) -> Result<(), String> {
    if pairs < 30 {
        println!("note: {pairs} pairs are fewer than the 30 that a figure for the record takes");
    }
    super::build()?;
    let scratch = Scratch::new()?;
    let sites = Sites::up(&scratch.0)?;
    let side = Side::new(installed(&scratch)?.join("cofferdam"), &scratch.0, &sites)?;
    let mut figures = Vec::new();
    let mut add = |figure: Figure| {
        println!("{}: {}", figure.what, figure.found);
        figures.push(figure);
    };
    start(&side, pairs).map(&mut add)?;
    bulk(&side, &sites, pairs)?.into_iter().for_each(&mut add);
    tunnels(&side, &sites, pairs)?.into_iter().for_each(&mut add);
    requests(&side, &sites, pairs)?.into_iter().for_each(&mut add);
    add(memory(&side)?);
    if others == Others::Measured {
        for peer in peers::installed(&scratch.0)? {
            against(&side, &sites, &peer, pairs.min(PEER_PAIRS_MAX)).into_iter().for_each(&mut add);
        }
    }
    report(&figures, pairs);
    Ok(())
}

pub(super) fn figure(
    what: impl Into<String>,
    goal: Goal,
    ratios: &Ratios,
    unit: (&str, f64),
) -> Figure {
    let median = ratios.median();
    let (goal, held) = match goal {
        Goal::AtLeast(least) => (format!("at least {least}"), median >= least),
        Goal::AtMost(most) => (format!("at most {most}"), median <= most),
    };
    Figure { what: what.into(), goal, held, found: ratios.text(unit.0, unit.1) }
}

fn start(side: &Side, pairs: usize) -> Result<Figure, String> {
    let ratios = pairs_of(
        pairs,
        || Ok(time(&mut side.named(&["--allow", "good.test"], &["true"]))?.as_secs_f64()),
        || Ok(time(&mut side.named(&["--network", "none"], &["true"]))?.as_secs_f64()),
    )?;
    let what = "start: `run --allow good.test -- true` against `--network none`";
    Ok(figure(what, Goal::AtMost(1.6), &ratios, ("ms", 1e3)))
}

/// Throughputs: a ratio is direct's time to the gateway's. With ends that only read and write, three
/// busy processes share the processors of two: a bare splice proxy says what that costs by itself.
fn bulk(side: &Side, sites: &Sites, pairs: usize) -> Result<Vec<Figure>, String> {
    let (direct, spliced) = (sites.flood.to_string(), sites.flood_spliced.to_string());
    let (transparent, proxied) =
        (["bulk", "flood.test:443", "-"], ["bulk", PROXY, "flood.test:443"]);
    let mut figures = Vec::new();
    for (what, other, inside) in [
        ("1 GiB, transparent, throughput against direct", &direct, transparent),
        ("1 GiB by CONNECT, throughput against direct", &direct, proxied),
        ("1 GiB, transparent, throughput against a bare splice proxy", &spliced, transparent),
    ] {
        let ratios = pairs_of(
            pairs,
            || told(&mut side.outside(&["bulk", other, "-"])),
            || told(&mut side.inside(&inside)),
        )?;
        figures.push(figure(what, Goal::AtLeast(0.9), &ratios, ("s", 1.0)));
    }
    let (certificate, port) = (sites.certificate(), sites.tls.port.to_string());
    let direct = ["flood", &certificate, "127.0.0.1", &port, "good.test", "direct"];
    let inside = ["flood", &certificate, "good.test", "443", "good.test", "proxy"];
    let ratios = pairs_of(
        pairs,
        || told(&mut side.tls_outside(&direct)),
        || told(&mut side.tls_inside(&inside)),
    )?;
    let what = "1 GiB of TLS through a tunnel by CONNECT, throughput against direct";
    figures.push(figure(what, Goal::AtLeast(0.9), &ratios, ("s", 1.0)));
    Ok(figures)
}

fn tunnels(side: &Side, sites: &Sites, pairs: usize) -> Result<Vec<Figure>, String> {
    let (certificate, port) = (sites.certificate(), sites.tls.port.to_string());
    let direct = ["client", &certificate, "127.0.0.1", &port, "good.test", TUNNELS, "direct"];
    let ways = [
        ("200 new TLS connections, transparent, against direct", "direct"),
        ("200 new TLS tunnels by CONNECT, against direct", "proxy"),
    ];
    let mut figures = Vec::new();
    for (what, way) in ways {
        let inside = ["client", &certificate, "good.test", "443", "good.test", TUNNELS, way];
        let ratios = pairs_of(
            pairs,
            || told(&mut side.tls_inside(&inside)),
            || told(&mut side.tls_outside(&direct)),
        )?;
        figures.push(figure(what, Goal::AtMost(1.5), &ratios, ("s", 1.0)));
    }
    Ok(figures)
}

/// The median time of a request, and of that the median over runs.
fn requests(side: &Side, sites: &Sites, pairs: usize) -> Result<Vec<Figure>, String> {
    let spliced = sites.spliced.to_string();
    let ways = [
        (
            "a request on a kept connection, transparent, against a bare splice proxy",
            "http.test:80",
            "/",
        ),
        (
            "a request on a kept connection to the HTTP proxy, against a bare splice proxy",
            PROXY,
            "http://http.test/",
        ),
    ];
    let mut figures = Vec::new();
    for (what, at, target) in ways {
        let ratios = pairs_of(
            pairs,
            || told(&mut side.inside(&["requests", at, target, "http.test", REQUESTS])),
            || told(&mut side.outside(&["requests", &spliced, "/", "http.test", REQUESTS])),
        )?;
        figures.push(figure(what, Goal::AtMost(1.5), &ratios, ("us", 1e6)));
    }
    Ok(figures)
}

fn memory(side: &Side) -> Result<Figure, String> {
    let command = side.inside(&["held", "held.test:443", "held.test", HELD]);
    memory_of(command, 8, "memory of the gateway with 50 connections (PSS)")
}

/// Proportional set size of the gateway while the client of `command` says that it holds connections
/// (`/proc/PID/smaps_rollup`, `proc(5)`), which root alone may read: the gateway lets nobody look into it.
/// At most so many MiB.
pub(super) fn memory_of(mut command: Command, most: u64, what: &str) -> Result<Figure, String> {
    let mut engine = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let mut line = String::new();
    let out = engine.stdout.take().ok_or("no output")?;
    BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
    let size = gateway_of(engine.id()).and_then(|pid| pss(&pid.to_string()));
    end(&mut engine)?;
    if line.trim() != "held" {
        return Err("the gateway's connections were not made".into());
    }
    let (held, found) = match size {
        Ok(size) => (size <= most << 10, format!("{size} KiB")),
        Err(why) => (false, format!("not seen, which takes root: {why}")),
    };
    Ok(Figure { what: what.into(), goal: format!("at most {most} MiB"), held, found })
}

/// Ends a client's input, on which it ends.
pub(super) fn end(engine: &mut Child) -> Result<(), String> {
    if let Some(mut input) = engine.stdin.take() {
        drop(input.flush());
    }
    let ended = engine.wait().map_err(|error| error.to_string())?;
    if ended.success() { Ok(()) } else { Err(format!("the client inside: {ended}")) }
}

/// The gateway of an engine: whichever of its threads has started it.
pub(crate) fn gateway_of(engine: u32) -> Result<u32, String> {
    let tasks = format!("/proc/{engine}/task");
    let tasks = std::fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let words = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if words.starts_with(b"cofferdam-gateway") {
                return child.parse().map_err(|_| format!("{child}: no process"));
            }
        }
    }
    Err(format!("process {engine} has no gateway"))
}

/// The same work through somebody else's program; what it refuses is said.
fn against(side: &Side, sites: &Sites, peer: &Peer, pairs: usize) -> Vec<Figure> {
    let certificate = sites.certificate();
    let tunnels = |ours: &str, port: u16| {
        let port = port.to_string();
        // The name in the handshake is the host's own: with another one we let nobody through.
        let theirs = ["client", &certificate, WAY, &port, ours, TUNNELS, "proxy"];
        let ours = ["client", &certificate, ours, "443", ours, TUNNELS, "proxy"];
        pairs_of(
            pairs,
            || told(&mut side.tls_inside(&ours)),
            || told(&mut peer.command(&side.work, &side.tls_words(&theirs))),
        )
    };
    let start = pairs_of(
        pairs,
        || Ok(time(&mut side.named(&["--allow", "good.test"], &["true"]))?.as_secs_f64()),
        || Ok(time(&mut peer.command(&side.work, &["true".into()]))?.as_secs_f64()),
    );
    let (terse, usual) =
        (tunnels("terse.test", sites.terse.port), tunnels("good.test", sites.tls.port));
    let rows = [
        (
            "200 new TLS tunnels to a server without session tickets, against",
            0.2,
            terse,
            ("s", 1.0),
        ),
        ("200 new TLS tunnels, against", 0.2, usual, ("s", 1.0)),
        ("start with one host allowed, against", 0.05, start, ("ms", 1e3)),
    ];
    let row = |(what, most, ratios, unit): (&str, f64, Result<Ratios, String>, _)| {
        let what = format!("{what} {}", peer.name);
        match ratios {
            Ok(ratios) => figure(what, Goal::AtMost(most), &ratios, unit),
            Err(why) => {
                let found = format!("not run: {}", why.lines().last().unwrap_or_default());
                Figure { what, goal: format!("at most {most}"), held: false, found }
            }
        }
    };
    // The goal of a start is one against srt.
    let rows = rows.into_iter().take(if peer.name == peers::SRT { 3 } else { 2 });
    rows.map(row).collect()
}
