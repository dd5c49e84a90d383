//! One question to a policy under Seatbelt: its profile is made, read by the evaluator, and asked.

#![allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a module of several test programs, none of which uses all of it; panics are how tests fail"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cofferdam_plan::Refusal;
use cofferdam_plan::seatbelt::{Gateway, Seatbelt, Session, Terminal, compile};
use cofferdam_policy::judge::hosts::{Decision, Protocol};
use cofferdam_policy::{Host, Policy};

#[path = "evaluator.rs"]
pub(crate) mod evaluator;
use evaluator::{Act, Profile, Verdict};

/// The session's places in questions.
pub(crate) const HOME: &str = "/Users/u/Library/Application Support/cofferdam/s/home";
pub(crate) const TMP: &str = "/private/var/folders/xx/T/cofferdam-s";
/// Its terminal.
pub(crate) const TTY: &str = "/dev/ttys042";

pub(crate) const SESSION: Session = Session {
    mark: 0xc0ff_e2da,
    gateway: Gateway { http: 41_280, socks: 41_080 },
    terminal: Terminal::Own,
};

/// What `operation`, a word of the conformance table, does with `argument`.
///
/// `read`, `look`, `write`, `create`, `delete`, `rename`, `exec` and `socket` take a path, `connect` takes
/// `HOST:PORT` through the gateway, by name or address, `dial` takes `ADDRESS:PORT` without it, `service`
/// a Mach service. A path in a place that is the sandbox's own is asked for where the session has it.
pub(crate) fn ask(policy: &Policy, operation: &str, argument: &str) -> Result<Verdict, Refusal> {
    let profile = read(&compile(policy, &SESSION)?);
    let placed = placed(policy, Path::new(argument));
    let path = placed.to_str().unwrap();
    let of_path = |operation| {
        let kind = Some("REGULAR-FILE");
        profile.says(&Act { operation, path: Some(path), kind, ..Act::default() })
    };
    Ok(match operation {
        "read" => of_path("file-read-data"),
        "look" => of_path("file-read-metadata"),
        "write" => of_path("file-write-data"),
        "create" => of_path("file-write-create"),
        "delete" | "rename" => of_path("file-write-unlink"),
        "exec" => of_path("process-exec"),
        "socket" => of_path("network-outbound"),
        "service" => {
            profile.says(&Act { operation: "mach-lookup", name: Some(argument), ..Act::default() })
        }
        "dial" => dials(&profile, argument),
        "connect" => {
            let door = dials(&profile, &format!("127.0.0.1:{}", SESSION.gateway.http));
            if door == Verdict::Allow && lets(policy, argument) {
                Verdict::Allow
            } else {
                Verdict::Deny
            }
        }
        other => panic!("no operation: {other}"),
    })
}

/// The evaluator's reading of a profile.
pub(crate) fn read(seatbelt: &Seatbelt) -> Profile {
    let parameters = [("HOME", HOME), ("TMP", TMP), ("TTY", TTY)];
    let parameters: BTreeMap<String, String> =
        parameters.map(|(name, value)| (name.into(), value.into())).into();
    Profile::new(&seatbelt.profile, &parameters)
        .unwrap_or_else(|why| panic!("{why}\n{}", seatbelt.profile))
}

fn dials(profile: &Profile, address: &str) -> Verdict {
    profile.says(&Act { operation: "network-outbound", remote: Some(address), ..Act::default() })
}

/// Whether the gateway lets a connection to `HOST:PORT` through, whatever it speaks.
fn lets(policy: &Policy, address: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    let host = match host.parse() {
        Ok(address) => Host::Address(address),
        Err(_) => Host::Name(cofferdam_policy::Name::parse(host.as_bytes()).unwrap()),
    };
    let about = policy.network.rules.about(&host);
    let lets = |protocol| matches!(about.decide(port, protocol), Decision::Allow(_));
    [Protocol::Tls, Protocol::Http, Protocol::Tcp].into_iter().any(lets)
}

/// Where the session has what a path in a place of the sandbox's own names.
pub(crate) fn placed(policy: &Policy, path: &Path) -> PathBuf {
    let trees = policy.grants.iter().chain([&policy.workspace]);
    let length = |path: &Path| path.components().count();
    let granted = trees.map(|tree| &tree.path).filter(|tree| path.starts_with(tree));
    let granted = granted.map(|tree| length(tree)).max().unwrap_or(0);
    let home = (policy.home.as_path(), HOME);
    let places = [home, (Path::new("/tmp"), TMP), (Path::new("/var/tmp"), TMP)];
    for (place, its) in places {
        if let Ok(rest) = path.strip_prefix(place)
            && length(place) > granted
        {
            return Path::new(its).join(rest).components().collect();
        }
    }
    path.to_owned()
}
