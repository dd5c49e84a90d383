//! Registries of the world, as the clients of this machine are configured for them: small packages
//! through the gateway, from hosts that nobody names here.
//!
//! Whom a client asks is learned as a person learns it: it is run, refused, and the line that the log
//! proposes is added. Only this program and its lines stand between the client and the network.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "clients are asked with the environment of who runs this, and panics are how tests fail"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Place, Ran, finish, programs, variable};

/// Longer than any small package takes.
const WITHIN_SECONDS: &str = "60";
/// How many hosts a client may ask for, and one of each may need an address.
const ROUNDS_MAX: usize = 10;
/// So often in a row a client may fail with nothing to add.
const QUIET_MAX: usize = 3;
/// A registry that has not accepted a connection until then is not reached from here. Seconds.
const REACHED_WITHIN: u32 = 5;
/// Variables that name the authority to trust: a machine behind a mirror has its own.
const TRUST: &[&str] = &[
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "REQUESTS_CA_BUNDLE",
];
/// Whom this machine trusts, for a client that brings a list of its own.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A client and what it is to do, in an empty private home.
struct Client {
    name: &'static str,
    /// Directories that it is in, to be read.
    grant: Vec<PathBuf>,
    script: String,
}

/// Runs it with what is allowed so far.
fn run(place: &Place, client: &Client, allowed: &BTreeMap<String, Option<String>>) -> Ran {
    // A name that nobody asks for: without any there is no gateway, and nobody to say what is missing.
    let mut policy = "version = 1\n[[network.allow]]\nhost = \"nothing.invalid\"\n".to_owned();
    for path in &client.grant {
        policy += &format!("[[filesystem.grant]]\npath = {path:?}\nmode = \"read-only\"\n");
    }
    for (host, dial) in allowed {
        policy += &format!("[[network.allow]]\nhost = \"{host}\"\n");
        policy += &dial.as_ref().map(|at| format!("dial = \"{at}\"\n")).unwrap_or_default();
    }
    let policy = place.write("policy.toml", &policy).display().to_string();
    let mut command = place.command("timeout");
    command.args(["--signal=KILL", WITHIN_SECONDS]).arg(programs().join("cofferdam"));
    command.args(["run", "--quiet", "--policy", &policy]);
    for name in TRUST.iter().filter(|name| variable(name).is_some()) {
        command.args(["--env", name]);
    }
    finish(command.args(["--", "sh", "-c", &client.script]))
}

/// Connections in the log of this place, from the one of this number.
fn told(place: &Place, from: usize) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.audit_log()).unwrap_or_default();
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let events = records.map(|record: serde_json::Value| record["event"].clone());
    events.filter(|event| event["kind"] == "connection").skip(from).collect()
}

/// Whether a host takes a connection from here, without any wall.
fn reached(host: &str) -> bool {
    let act = format!("import socket; socket.create_connection(('{host}', 443), {REACHED_WITHIN})");
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "10", "/usr/bin/python3", "-c", &act]);
    finish(&mut command).status == Some(0)
}

/// Runs the client until it works, and adds what it was refused for, each time.
fn works(client: &Client) {
    let place = Place::new();
    let mut allowed: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (mut before, mut quiet) = (0, 0);
    for round in 0..ROUNDS_MAX {
        let ran = run(&place, client, &allowed);
        let events = told(&place, before);
        before += events.len();
        if ran.status == Some(0) {
            assert!(round > 0, "{}: it works without a host: {ran:?}", client.name);
            let hosts = allowed.keys().filter(|host| {
                events.iter().any(|one| one["host"] == **host && one["verdict"] == "allowed")
            });
            assert_eq!(hosts.count(), allowed.len(), "{}: {events:?}", client.name);
            println!("{}: from {} hosts, in {round} refusals", client.name, allowed.len());
            return;
        }
        let mut news = false;
        for event in &events {
            let host = event["host"].as_str().unwrap().to_owned();
            match event["code"].as_str() {
                Some("host-not-allowed") if !allowed.contains_key(&host) => {
                    if !reached(&host) {
                        println!("not run: {}: {host} is not reached from here", client.name);
                        return;
                    }
                    news |= allowed.insert(host, None).is_none();
                }
                // A mirror that stands at an address of no host of the Internet: said so, with the remedy.
                Some("forbidden-address") if allowed.get(&host) == Some(&None) => {
                    let fix = event["fix"].as_str().unwrap();
                    let at = fix.split('"').nth(1).unwrap_or_else(|| panic!("{fix}"));
                    allowed.insert(host, Some(at.to_owned()));
                    news = true;
                }
                _ => {}
            }
        }
        // A registry may be busy; the wall is the same each time.
        quiet = if news { 0 } else { quiet + 1 };
        assert!(
            quiet < QUIET_MAX,
            "{}: round {round}, {allowed:?}: {events:?}: {ran:?}",
            client.name
        );
    }
    panic!("{}: {allowed:?} is not enough", client.name);
}

/// What a client of this machine says, without an end of line.
fn says(words: &[&str]) -> Option<String> {
    let mut command = Command::new("timeout");
    let ran = finish(command.args(["10"]).args(words));
    let said = ran.out.trim().to_owned();
    (ran.status == Some(0) && !said.is_empty() && said != "undefined").then_some(said)
}

#[test]
fn pip_installs_a_small_package() {
    if says(&["/usr/bin/python3", "-m", "pip", "--version"]).is_none() {
        return println!("not run: pip from its registry: it is not installed");
    }
    let index = says(&["/usr/bin/python3", "-m", "pip", "config", "get", "global.index-url"]);
    let index = index.map(|url| format!("--index-url {url}")).unwrap_or_default();
    works(&Client {
        name: "pip",
        grant: vec![],
        script: format!(
            "/usr/bin/python3 -m pip install -q --no-deps --no-cache-dir --retries 0 --timeout 10 \
             --disable-pip-version-check {index} --target got iniconfig && test -s got/iniconfig/__init__.py"
        ),
    });
}

#[test]
fn npm_installs_a_small_package() {
    let Some(registry) = says(&["npm", "config", "get", "registry"]) else {
        return println!("not run: npm from its registry: it is not installed");
    };
    works(&Client {
        name: "npm",
        grant: vec![],
        script: format!(
            "export NODE_EXTRA_CA_CERTS=${{NODE_EXTRA_CA_CERTS:-{SYSTEM_AUTHORITIES}}}; npm install --loglevel error --prefix got --cache got/cache --no-audit --no-fund --no-update-notifier \
             --fetch-retries 0 --registry {registry} isarray && test -s got/node_modules/isarray/index.js"
        ),
    });
}

#[test]
fn cargo_fetches_a_small_package() {
    // The program itself, not one that chooses among versions by files of a home.
    let Some(root) = says(&["rustc", "--print", "sysroot"]) else {
        return println!("not run: cargo from its registry: it is not installed");
    };
    let cargo = Path::new(&root).join("bin/cargo").display().to_string();
    if says(&[&cargo, "--version"]).is_none() {
        return println!("not run: cargo from its registry: {cargo} does not start");
    }
    works(&Client {
        name: "cargo",
        grant: vec![root.clone().into()],
        script: format!(
            "mkdir -p small/src && cd small && : >src/lib.rs && \
             printf '[package]\\nname = \"small\"\\nversion = \"1.0.0\"\\nedition = \"2021\"\\n[dependencies]\\ncfg-if = \"1\"\\n' >Cargo.toml && \
             CARGO_HOME=/tmp/cargo CARGO_NET_RETRY=0 RUSTC={root}/bin/rustc {cargo} fetch && ls /tmp/cargo/registry/cache/*/cfg-if-*.crate"
        ),
    });
}
