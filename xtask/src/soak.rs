//! `cargo xtask soak`: 200 connections by every way at once, for a while: nothing grows, nothing is lost.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::bench::{Scratch, gateway_of, pss};
use crate::peer::{self, servers, soak::CARRIERS};
use crate::test::step;
use crate::web::Web;

/// How much a process may have grown over the second half, by the line through its samples. An allocator
/// keeps a page here and there. KiB.
const GROWTH_KIB_MAX: f64 = 512.0;
/// A gateway that looks inside holds what is under way, and its heap reaches the most of that within some
/// minutes, not seconds: a shorter run is judged by this instead, of 46 MiB found in half an hour. KiB.
const INSPECTED_KIB_MAX: u64 = 96 << 10;
/// From so long on its growth is judged too. Seconds.
const WARM_AFTER: f64 = 300.0;
/// How many descriptors more a quiet process may have after than before.
const FDS_MORE_MAX: usize = 0;
/// Connections to hosts that a gateway which looks inside keeps for the next request. Every connection
/// made leaves a descriptor where one leaks, and there are thousands.
const KEPT_MAX: usize = 32;
/// A record of a connection is not longer, on average. Bytes.
const RECORD_BYTES_MAX: u64 = 1_024;
/// Between two samples.
const EACH: Duration = Duration::from_secs(1);
/// Beyond its time a run is broken.
const LATE: Duration = Duration::from_secs(60);

/// What the client does while a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Busy,
    After,
}

/// One process at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    phase: Phase,
    /// Since the beginning. Seconds.
    at: f64,
    /// Proportional set size. KiB.
    pss: u64,
    fds: usize,
}

/// Connections by way and verdict.
type Counts = BTreeMap<(String, String), u64>;

/// What goes through the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Connections by every way, into which nobody looks.
    Opaque,
    /// Requests of every kind, each looked into.
    Inspected,
}

pub(crate) fn run(seconds: u64, traffic: Traffic) -> Result<(), String> {
    let mut build = Command::new("cargo");
    step("build", build.args(["build", "--profile", "ci", "--locked", "-q"]))?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let cofferdam = this.with_file_name("cofferdam");
    let scratch = Scratch::new()?;
    let work = scratch.0.join("work");
    fs::create_dir(&work).map_err(|error| error.to_string())?;
    let (policy, log) = (scratch.0.join("soak.toml"), scratch.0.join("log/audit.jsonl"));
    let (web, text, client) = match traffic {
        Traffic::Opaque => {
            let program = work.join("peer");
            fs::copy(&this, &program).map_err(|error| error.to_string())?;
            let text = rules().map_err(|error| format!("servers: {error}"))?;
            println!("== {CARRIERS} connections for {seconds} s");
            let words = [&*program.display().to_string(), peer::TASK, "soak", &seconds.to_string()];
            (None, text, words.map(str::to_owned).to_vec())
        }
        Traffic::Inspected => {
            let web = Web::up(scratch.0.join("web"))?;
            let text = web.policy("websocket = true\npaths = [\"/*\"]")
                + "[[network.deny]]\nhost = \"web.test\"\npaths = [\"/denied\"]\n";
            println!("== requests that are looked into for {seconds} s");
            (Some(web), text, Web::client(&work, seconds)?)
        }
    };
    fs::write(&policy, text).map_err(|error| error.to_string())?;
    let mut command = Command::new(&cofferdam);
    command.current_dir(&work).args(["run", "--quiet", "--audit"]).arg(&log);
    command.arg("--policy").arg(&policy).arg("--").args(&client);
    let mut engine = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let watched = watch(&mut engine, Duration::from_secs(seconds) + LATE);
    if watched.is_err() {
        // It is our child; one that has ended already is as good.
        drop(engine.kill());
    }
    let ended = engine.wait().map_err(|error| error.to_string())?;
    drop(web);
    let (made, samples) = watched?;
    let mut faults = Vec::new();
    if !ended.success() {
        faults.push(format!("the client inside: {ended}"));
    }
    for (name, samples) in ["gateway", "engine"].into_iter().zip(&samples) {
        let bounds = match (name, traffic) {
            ("gateway", Traffic::Inspected) => Bounds {
                fds_more: FDS_MORE_MAX + KEPT_MAX,
                warm_after: WARM_AFTER,
                kib: INSPECTED_KIB_MAX,
            },
            (_, Traffic::Inspected | Traffic::Opaque) => Bounds::STRICT,
        };
        faults.extend(grown(name, samples, bounds));
    }
    faults.extend(recorded(&made, &log)?);
    step("the log verifies", Command::new(&cofferdam).args(["audit", "verify"]).arg(&log))?;
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn rules() -> std::io::Result<String> {
    let (echo, http) = (servers::serve(servers::echo)?, servers::serve(servers::http)?);
    let rule = |host: &str, port: u16, protocol: &str, dial: SocketAddr| {
        format!(
            "[[network.allow]]\nhost = \"{host}\"\nports = [{port}]\nprotocol = \"{protocol}\"\n\
             dial = \"{dial}\"\n"
        )
    };
    let rules = [
        rule("tls.test", 443, "tls", echo),
        rule("http.test", 80, "http", http),
        rule("raw.test", 9000, "tcp", echo),
    ];
    Ok(format!("version = 1\n{}", rules.concat()))
}

/// Samples of the gateway and of the engine, until the client is done, and what that has made.
fn watch(engine: &mut Child, most: Duration) -> Result<(Counts, [Vec<Sample>; 2]), String> {
    let out = engine.stdout.take().ok_or("no output")?;
    let (to, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            // Nobody listens any more: the run is over.
            drop(to.send(line));
        }
    });
    let begin = Instant::now();
    let (mut made, mut samples) = (Counts::new(), [Vec::new(), Vec::new()]);
    let (mut phase, mut gateway) = (Phase::Before, None);
    while begin.elapsed() < most {
        if !heard(&lines, &mut made, &mut phase)? {
            return Ok((made, samples));
        }
        let pids = match gateway {
            Some(gateway) => [gateway, engine.id()],
            // Its first moment.
            None => match gateway_of(engine.id()) {
                Ok(found) => [*gateway.insert(found), engine.id()],
                Err(_) => continue,
            },
        };
        for (pid, into) in pids.into_iter().zip(&mut samples) {
            into.extend(sample(pid, phase, begin)?);
        }
    }
    Err("the client inside has not ended in time".into())
}

/// What the client says within a second. `false` at its end.
fn heard(lines: &Receiver<String>, made: &mut Counts, phase: &mut Phase) -> Result<bool, String> {
    let until = Instant::now() + EACH;
    loop {
        let line = match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => return Ok(true),
            Err(RecvTimeoutError::Disconnected) => {
                return Err("the client inside ended before its time".into());
            }
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), *phase) {
            (["quiet"], Phase::Before) => {}
            (["busy"], _) => *phase = Phase::Busy,
            (["quiet"], _) => *phase = Phase::After,
            (["over"], _) => return Ok(false),
            (["made", way, verdict, count], _) => {
                let count = count.parse().map_err(|_| format!("the client says: {line}"))?;
                made.insert(((*way).into(), (*verdict).into()), count);
            }
            _ => return Err(format!("the client says: {line}")),
        }
    }
}

/// `None` where the process is gone, which its end tells.
fn sample(pid: u32, phase: Phase, begin: Instant) -> Result<Option<Sample>, String> {
    let at = begin.elapsed().as_secs_f64();
    let fds = PathBuf::from(format!("/proc/{pid}/fd"));
    match (pss(&pid.to_string()), fs::read_dir(&fds)) {
        (Ok(pss), Ok(fds)) => Ok(Some(Sample { phase, at, pss, fds: fds.count() })),
        _ if !Path::new(&format!("/proc/{pid}/stat")).exists() => Ok(None),
        (Err(why), _) => Err(format!("{why}; only root may look into a gateway")),
        (_, Err(why)) => Err(format!("{}: {why}", fds.display())),
    }
}

/// What a process may have.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    fds_more: usize,
    /// From so long on it may not grow. Seconds.
    warm_after: f64,
    /// Proportional set size, at any time.
    kib: u64,
}

impl Bounds {
    /// It may not grow, whatever it has.
    const STRICT: Self = Self { fds_more: FDS_MORE_MAX, warm_after: 0.0, kib: u64::MAX };
}

/// What a process has more than it should; prints what it has.
fn grown(name: &str, samples: &[Sample], bounds: Bounds) -> Vec<String> {
    let of = |phase| samples.iter().filter(move |sample| sample.phase == phase);
    let busy: Vec<&Sample> = of(Phase::Busy).collect();
    let half = busy.get(busy.len() / 2..).unwrap_or_default();
    let (growth, error) = growth(half);
    let most = busy.iter().map(|sample| (sample.pss, sample.fds)).max().unwrap_or_default();
    let fds = |phase| of(phase).map(|sample| sample.fds).min();
    let (before, after) = (fds(Phase::Before), fds(Phase::After));
    println!(
        "{name}: {} samples; most {} KiB (PSS); over the second half {growth:+.0} \
         (standard error {error:.0}) KiB; descriptors: \
         {before:?} before, {} while busy, {after:?} after",
        samples.len(),
        most.0,
        busy.iter().map(|sample| sample.fds).max().unwrap_or(0),
    );
    let mut faults = Vec::new();
    // Twice the error: what scatter alone would do once in forty runs is no growth.
    let certain = growth - 2.0 * error;
    let long = busy.first().zip(busy.last()).map_or(0.0, |(first, last)| last.at - first.at);
    if certain.is_nan() || (certain > GROWTH_KIB_MAX && long >= bounds.warm_after) {
        faults.push(format!("{name}: its memory has grown by {growth:.0} KiB"));
    }
    if most.0 > bounds.kib {
        faults.push(format!("{name}: it had {} KiB, {} are allowed", most.0, bounds.kib));
    }
    match (before, after) {
        (Some(before), Some(after)) if after <= before + bounds.fds_more => {}
        _ => faults.push(format!("{name}: descriptors: {before:?} before, {after:?} after")),
    }
    faults
}

/// How much the line through the samples (least squares) rises from the first to the last, and the standard
/// error of that: bodies that are under way make samples scatter. KiB.
fn growth(samples: &[&Sample]) -> (f64, f64) {
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    let kib = |sample: &Sample| f64::from(u32::try_from(sample.pss).unwrap_or(u32::MAX));
    let mean_at = samples.iter().map(|sample| sample.at).sum::<f64>() / count;
    let mean = samples.iter().map(|sample| kib(sample)).sum::<f64>() / count;
    let both: f64 = samples.iter().map(|one| (one.at - mean_at) * (kib(one) - mean)).sum();
    let square: f64 = samples.iter().map(|one| (one.at - mean_at).powi(2)).sum();
    let long = match (samples.first(), samples.last()) {
        (Some(first), Some(last)) => last.at - first.at,
        (None, _) | (_, None) => f64::NAN,
    };
    let slope = both / square;
    let off = |one: &&Sample| (kib(one) - mean - slope * (one.at - mean_at)).powi(2);
    let scatter = samples.iter().map(off).sum::<f64>() / (count - 2.0);
    (slope * long, (scatter / square).sqrt() * long)
}

/// Connections that have no record, or records that have no connection; prints how long the log is.
fn recorded(made: &Counts, log: &Path) -> Result<Vec<String>, String> {
    let open = fs::File::open(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let (mut found, mut records, mut bytes) = (Counts::new(), 0_u64, 0_u64);
    for line in BufReader::new(open).lines() {
        let line = line.map_err(|error| error.to_string())?;
        if !line.contains("\"kind\":\"connection\"") {
            continue;
        }
        records += 1;
        bytes += u64::try_from(line.len()).unwrap_or(0);
        let of = |key: &str| field(&line, key).map(str::to_owned);
        let (Some(way), Some(verdict)) = (of("way"), of("verdict")) else {
            return Err(format!("a record without a way or a verdict: {line}"));
        };
        let times = field(&line, "times").and_then(|times| times.parse().ok()).unwrap_or(1);
        *found.entry((way, verdict)).or_default() += times;
    }
    let total: u64 = made.values().sum();
    let each = bytes.checked_div(records).unwrap_or(0);
    println!(
        "{total} connections, {records} records, {bytes} bytes of them, {each} each: {made:?}"
    );
    let mut faults = Vec::new();
    if *made != found || total == 0 {
        faults.push(format!("made {made:?}, on record {found:?}"));
    }
    if each > RECORD_BYTES_MAX {
        faults.push(format!("a record is {each} bytes long"));
    }
    Ok(faults)
}

/// The value of a key in a record's one line: this program reads what the log has by other means.
fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{key}\":"))?;
    rest.strip_prefix('"')
        .map_or_else(|| rest.split([',', '}']).next(), |text| text.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u32, pss: u64) -> Sample {
        Sample { phase: Phase::Busy, at: f64::from(at), pss, fds: 9 }
    }

    #[test]
    fn what_grows_is_seen() {
        let flat: Vec<Sample> = (0..60).map(|at| sample(at, 2_000 + u64::from(at % 2))).collect();
        let grows: Vec<Sample> = (0..60).map(|at| sample(at, 2_000 + 20 * u64::from(at))).collect();
        let of = |samples: &[Sample]| growth(&samples.iter().collect::<Vec<_>>());
        assert!(of(&flat).0.abs() < 2.0);
        let (rise, error) = of(&grows);
        assert!((rise - 20.0 * 59.0).abs() < 1e-6 && error < 1e-6, "{rise} {error}");
        assert!(growth(&[]).0.is_nan(), "no sample is no proof");
        assert_eq!(
            grown("grows", &twice(&grows), Bounds::STRICT).len(),
            1,
            "no scatter excuses it"
        );
        let cold = Bounds { warm_after: 60.0, ..Bounds::STRICT };
        assert!(grown("cold", &twice(&grows), cold).is_empty(), "too short to tell");
        let little = Bounds { kib: 3_000, ..cold };
        assert_eq!(grown("much", &twice(&grows), little).len(), 1, "and yet too much");
        assert!(grown("flat", &twice(&flat), Bounds::STRICT).is_empty());
        let scatters = |slope: u64| -> Vec<Sample> {
            (0..60)
                .map(|at| sample(at, 20_000 + slope * u64::from(at) + 4_000 * u64::from(at % 2)))
                .collect()
        };
        assert!(grown("scatters", &twice(&scatters(10)), Bounds::STRICT).is_empty());
        assert_eq!(
            grown("both", &twice(&scatters(200)), Bounds::STRICT).len(),
            1,
            "it grows all the same"
        );
    }

    /// So that the second half is `samples`, between moments of quiet.
    fn twice(samples: &[Sample]) -> Vec<Sample> {
        let quiet = |phase| Sample { phase, ..sample(0, 0) };
        let (before, after) = (quiet(Phase::Before), quiet(Phase::After));
        [&[before], samples, samples, &[after]].concat()
    }

    #[test]
    fn fields_of_a_record() {
        let line = r#"{"event":{"kind":"connection","way":"direct","times":7},"n":1}"#;
        assert_eq!((field(line, "way"), field(line, "times")), (Some("direct"), Some("7")));
        assert_eq!(field(line, "verdict"), None);
    }
}
