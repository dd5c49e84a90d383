//! `process/seatbelt`: the jail that macOS has, as a profile for `sandbox-exec(1)`.
//!
//! Text, arguments and variables are plain data and are made on every system. What of it was never run
//! is said in `docs/seatbelt.md`: everything. The profile is closed by default, and the last rule
//! that is about an act decides.

mod cover;
pub mod denials;
mod files;
mod lists;
mod names;
mod sbpl;

use std::path::PathBuf;

use cofferdam_policy::Rules;
use cofferdam_policy::model::Policy;

use crate::coverage::Coverage;
use crate::native::{DIRECT, LOCAL, PROXIED};
use crate::plan::{Argument, Resource};
use crate::refusal::Refusal;
pub use lists::{BASE, DEVICES};
use sbpl::{Filter, Rule, Says};

/// Where macOS has it; never looked for in a PATH.
const PROGRAM: &str = "/usr/bin/sandbox-exec";

/// What a profile depends on besides the policy. No secret is among it, for a profile stands in the
/// arguments of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// In the log's line of each denial, so that one's own are known; drawn for each session.
    pub mark: u64,
    /// Where the gateway hears.
    pub gateway: Gateway,
    /// Whether the session has a terminal.
    pub terminal: Terminal,
}

/// Ports of 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Of the HTTP proxy.
    pub http: u16,
    /// Of the SOCKS5 proxy.
    pub socks: u16,
}

/// Whether the session has a terminal of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminal {
    /// One that the engine made, named by `TTY`.
    Own,
    /// None.
    None,
}

/// What the start names. Absolute, without symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The session's home.
    pub home: PathBuf,
    /// Its temporary directory.
    pub temporary: PathBuf,
    /// Its terminal, where the [`Session`] has one.
    pub terminal: Option<PathBuf>,
}

/// Everything that a start under Seatbelt is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seatbelt {
    /// The profile's text.
    pub profile: String,
    /// What denials of it are known by.
    pub tag: String,
    /// Who holds each clause.
    pub coverage: Vec<Coverage>,
    /// Resource limits of each process, soft and hard, which are set before.
    pub limits: Vec<(Resource, u64)>,
    /// User and group of the workload: whoever starts it becomes them before.
    pub ids: (u32, u32),
}

impl Session {
    /// What denials of the session are known by in the log.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("cofferdam-{:016x}", self.mark)
    }
}

/// Decides everything, touches nothing.
///
/// # Errors
/// Refuses when Seatbelt cannot hold a clause of `policy`. It never weakens one.
pub fn compile(policy: &Policy, session: &Session) -> Result<Seatbelt, Refusal> {
    let rules = Rules::of(policy);
    cover::check(policy, &rules)?;
    let tag = session.tag();
    let mut all = lists::needed();
    all.extend(lists::base());
    all.extend(files::trees(&rules));
    all.extend(lists::devices(session.terminal));
    all.extend(files::places());
    all.extend(files::sockets(&rules));
    all.extend(network(policy, session.gateway));
    all.extend(files::names(&rules));
    all.extend(lists::closed());
    let limit = |resource, limit: Option<u64>| limit.map(|value| (resource, value));
    let limits = &policy.limits;
    let size = limits.file_size.as_ref().map(|limit| limit.value);
    let limits = [
        limit(Resource::OpenFiles, Some(limits.open_files.value)),
        limit(Resource::FileSize, size),
    ];
    Ok(Seatbelt {
        profile: sbpl::written(&all, &tag),
        tag,
        coverage: cover::rows(policy, &rules),
        limits: limits.into_iter().flatten().collect(),
        ids: policy.person.ids.pair(),
    })
}

/// The gateway's ports and the ports of servers inside; no other address.
fn network(policy: &Policy, gateway: Gateway) -> Vec<Rule> {
    let local = |end, port: u16| Filter::Address(end, format!("localhost:{port}"));
    let mut rules = Vec::new();
    if policy.network.leads_out() {
        let why = format!("the gateway: {}", policy.network_clause);
        let doors = [local("remote", gateway.http), local("remote", gateway.socks)];
        rules.push(Rule::new(Says::Allow, &[&["network-outbound"]], why).about(doors));
    }
    for server in &policy.network.publish {
        let why = format!("a server inside: {}", server.clause);
        let operations: &[&[&str]] = &[&["network-bind", "network-inbound"]];
        rules.push(Rule::new(Says::Allow, operations, why).about([local("local", server.inside)]));
    }
    rules
}

impl Seatbelt {
    /// The arguments of the start, the program first. The profile is among them, and no secret.
    #[must_use]
    pub fn arguments(&self, places: &Places, command: &[Argument]) -> Vec<Argument> {
        let text = |text: &str| Argument(text.as_bytes().to_vec());
        let mut all = vec![text(PROGRAM), text("-p"), text(&self.profile)];
        let named = [("HOME", Some(&places.home)), ("TMP", Some(&places.temporary))];
        let named = named.into_iter().chain([("TTY", places.terminal.as_ref())]);
        for (name, path) in named {
            let Some(path) = path else { continue };
            let value = [name.as_bytes(), b"=", path.as_os_str().as_encoded_bytes()].concat();
            all.extend([text("-D"), Argument(value)]);
        }
        all.push(text("--"));
        all.extend(command.iter().cloned());
        all
    }
}

/// Variables by which programs find the session's places and, where `policy` leads out, the gateway:
/// `token` is the session's, and the gateway hears nobody who does not say it.
#[must_use]
pub fn variables(
    policy: &Policy,
    session: &Session,
    places: &Places,
    token: &str,
) -> Vec<(String, Vec<u8>)> {
    let path = |path: &PathBuf| path.as_os_str().as_encoded_bytes().to_vec();
    let mut all: Vec<(String, Vec<u8>)> =
        vec![("HOME".into(), path(&places.home)), ("TMPDIR".into(), path(&places.temporary))];
    if !policy.network.leads_out() {
        return all;
    }
    let Gateway { http, socks } = session.gateway;
    for name in PROXIED {
        let any = name.eq_ignore_ascii_case("ALL_PROXY");
        let (scheme, port) = if any { ("socks5h", socks) } else { ("http", http) };
        let proxy = format!("{scheme}://cofferdam:{token}@127.0.0.1:{port}");
        all.push((name.into(), proxy.into_bytes()));
    }
    all.extend(DIRECT.map(|name| (name.to_owned(), LOCAL.as_bytes().to_vec())));
    all
}
