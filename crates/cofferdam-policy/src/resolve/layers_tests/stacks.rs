//! A thousand random stacks: adding a lower layer never widens beyond the ceiling.
//!
//! The ceiling is read a second time here, slowly and from what was generated, not from the text: for
//! each question the effective policy allows no more than that reading.

use std::fmt::Write as _;
use std::path::Path;

use super::{NONE, machine, text};
use crate::document::Document;
use crate::judge::hosts::{Host, Protocol};
use crate::judge::requests;
use crate::layers::Layer;
use crate::model::{Mode, Policy};
use crate::{Act, Name, Request, Rules, Verdict, decide};

const STACKS: u64 = 1_000;
const MODES: [(&str, Mode); 3] =
    [("read-only", Mode::ReadOnly), ("no-delete", Mode::NoDelete), ("read-write", Mode::ReadWrite)];
const TREES: [&str; 5] = ["/srv", "/srv/a", "/srv/a/s/x", "/elsewhere", "/data/t"];
const FILES: [&str; 9] = [
    "/srv/f",
    "/srv/a/f",
    "/srv/a/s/f",
    "/srv/a/s/x/f",
    "/elsewhere/f",
    "/data/t/f",
    "/home/u/w/f",
    "/home/u/w/h/f",
    "/home/u/w/p",
];
const HOSTS: [&str; 4] = ["a.test", "b.test", "bad.test", "x.bad.test"];
const METHODS: [&str; 2] = ["GET", "POST"];
const NAMES: [&str; 3] = ["FOO", "BAR", "A_TOKEN"];

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }

    /// Once in `bound`.
    fn once_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn mode(&mut self) -> (&'static str, Mode) {
        MODES[usize::try_from(self.below(3)).unwrap()]
    }
}

/// One layer as it was drawn, with what the slow reading needs.
#[derive(Debug, Default)]
struct Drawn {
    only: Vec<&'static str>,
    mounts: Option<Vec<(&'static str, Mode)>>,
    safe: bool,
    grants: Vec<(&'static str, Mode)>,
    hide: Vec<&'static str>,
    protect: bool,
    allow: Vec<(&'static str, Option<&'static str>)>,
    deny: Vec<&'static str>,
    names: Option<Vec<&'static str>>,
    dangerous: bool,
    processes: Option<u64>,
    workspace: Option<&'static str>,
}

impl Drawn {
    fn new(random: &mut Random, layer: Layer) -> Self {
        let managed = layer == Layer::Managed;
        let mut drawn = Self::default();
        if managed {
            for key in ["filesystem.grant", "network.allow", "environment", "limits"] {
                if random.once_in(5) {
                    drawn.only.push(key);
                }
            }
            if random.once_in(2) {
                let mut mounts = vec![("/home/u/w", Mode::ReadWrite)];
                for tree in TREES {
                    // Often several, one in the other.
                    if !random.once_in(3) {
                        mounts.push((tree, random.mode().1));
                    }
                }
                drawn.mounts = Some(mounts);
            }
            drawn.safe = random.once_in(2);
            drawn.protect = random.once_in(2);
        }
        // A user's and a project's layer that say little exceed little: both kinds of outcome come up.
        let rare = if managed { 3 } else { 5 };
        for tree in TREES {
            if random.once_in(rare) {
                let mode = if random.once_in(2) { Mode::ReadWrite } else { random.mode().1 };
                drawn.grants.push((tree, mode));
            }
        }
        for name in ["/srv/a/s", "/home/u/w/h"] {
            if random.once_in(rare) {
                drawn.hide.push(name);
            }
        }
        for host in HOSTS {
            if random.once_in(rare) {
                let method =
                    random.once_in(2).then(|| METHODS[usize::try_from(random.below(2)).unwrap()]);
                drawn.allow.push((host, method));
            }
        }
        if random.once_in(rare) {
            drawn.deny.push("*.bad.test");
        }
        if random.once_in(rare) {
            drawn.names = Some(vec![if random.once_in(2) { "FOO" } else { "BAR" }]);
        }
        drawn.dangerous = layer != Layer::Project && random.once_in(8);
        drawn.processes = random.once_in(rare).then(|| 100 + random.below(100));
        if !managed && random.once_in(6) {
            drawn.workspace = Some(random.mode().0);
        }
        drawn
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let mode = |mode: Mode| mode.as_str();
        let trees = |list: &[(&str, Mode)]| -> String {
            let rows =
                list.iter().map(|(at, m)| format!("{{ path = '{at}', mode = '{}' }}", mode(*m)));
            rows.collect::<Vec<_>>().join(", ")
        };
        writeln!(out, "[filesystem]\ngrant = [{}]", trees(&self.grants)).unwrap();
        writeln!(out, "hide = {:?}", self.hide).unwrap();
        if self.protect {
            writeln!(out, "protect = ['/home/u/w/p']").unwrap();
        }
        if let Some(mode) = self.workspace {
            writeln!(out, "workspace = {{ path = '/home/u/w', mode = '{mode}' }}").unwrap();
        }
        if self.names.is_some() || self.dangerous {
            writeln!(out, "[environment]").unwrap();
        }
        if let Some(names) = &self.names {
            writeln!(out, "allow = {names:?}").unwrap();
        }
        if self.dangerous {
            writeln!(out, "dangerous_allow = ['A_TOKEN']").unwrap();
        }
        if let Some(processes) = self.processes {
            writeln!(out, "[limits]\nprocesses = {processes}").unwrap();
        }
        for (host, method) in &self.allow {
            writeln!(out, "[[network.allow]]\nhost = '{host}'").unwrap();
            if let Some(method) = method {
                writeln!(out, "methods = ['{method}']").unwrap();
            }
        }
        for host in &self.deny {
            writeln!(out, "[[network.deny]]\nhost = '{host}'").unwrap();
        }
        if !self.only.is_empty() || self.mounts.is_some() || self.safe {
            writeln!(out, "[managed]\nonly = {:?}\ndangerous = {}", self.only, !self.safe).unwrap();
            if let Some(mounts) = &self.mounts {
                writeln!(out, "mounts = [{}]", trees(mounts)).unwrap();
            }
        }
        out
    }

    fn only(&self, key: &str) -> bool {
        self.only.contains(&key)
    }

    /// The slow reading: whether anybody below may have `act` on `path`.
    fn permits(&self, act: Act, path: &str) -> bool {
        let below = |tree: &str| path == tree || path.starts_with(&format!("{tree}/"));
        let enough = |mode: Mode| act == Act::Read || mode.is_written();
        let own = self.grants.iter().any(|(tree, mode)| below(tree) && enough(*mode));
        if act == Act::Write && self.protect && path == "/home/u/w/p" {
            return false;
        }
        // What is granted below a hidden directory by the managed text itself shows.
        let hidden = self.hide.iter().copied().filter(|name| below(name)).map(str::len).max();
        let shown =
            self.grants.iter().filter(|(tree, _)| below(tree)).map(|(tree, _)| tree.len()).max();
        if hidden.is_some() && hidden >= shown {
            return false;
        }
        if own {
            return true;
        }
        if self.only("filesystem.grant") && !below("/home/u/w") {
            return false;
        }
        let Some(mounts) = &self.mounts else { return true };
        let holding = mounts.iter().filter(|(tree, _)| below(tree));
        let least = holding.max_by_key(|(tree, _)| tree.len());
        least.is_some_and(|(_, mode)| enough(*mode))
    }

    fn permits_request(&self, host: &str, method: &str) -> bool {
        if self.deny.contains(&"*.bad.test") && host.ends_with(".bad.test") {
            return false;
        }
        let named = |(name, only): &(&str, Option<&str>)| {
            *name == host && only.is_none_or(|only| only == method)
        };
        !self.only("network.allow") || self.allow.iter().any(named)
    }

    fn permits_variable(&self, name: &str) -> bool {
        let own = self.names.as_ref().is_some_and(|names| names.contains(&name))
            || (self.dangerous && name == "A_TOKEN");
        own || !(self.only("environment") || self.safe && name == "A_TOKEN")
    }
}

/// Refuses to go on where `policy` allows what `ceiling` does not; counts what it allows.
fn asked(policy: &Policy, ceiling: &Drawn, seed: u64) -> usize {
    let mut allowed = 0;
    let rules = Rules::of(policy);
    for path in FILES {
        for act in [Act::Read, Act::Write] {
            let verdict = decide(&rules, Request { act, path: Path::new(path) });
            if matches!(verdict, Verdict::Allow(_)) {
                allowed += 1;
                assert!(ceiling.permits(act, path), "{seed}: {act:?} {path}: {ceiling:?}");
            }
        }
    }
    for host in HOSTS {
        let name = Host::Name(Name::parse(host.as_bytes()).unwrap());
        for method in METHODS {
            let request = requests::Request {
                method,
                path: "/",
                query: None,
                headers: &[],
                websocket: false,
            };
            let about = policy.network.rules.about(&name);
            let decision = about.decide_request(443, Protocol::Tls, &request);
            if matches!(decision, crate::judge::hosts::Decision::Allow(_)) {
                allowed += 1;
                assert!(
                    ceiling.permits_request(host, method),
                    "{seed}: {method} {host}: {ceiling:?}"
                );
            }
        }
    }
    for name in NAMES {
        if policy.environment.iter().any(|variable| variable.name == name) {
            allowed += 1;
            assert!(ceiling.permits_variable(name), "{seed}: {name}: {ceiling:?}");
        }
    }
    let most = ceiling.processes.or(ceiling.only("limits").then_some(crate::limits::PROCESSES));
    let processes = policy.limits.processes.value;
    assert!(most.is_none_or(|most| processes <= most), "{seed}: {processes}: {ceiling:?}");
    allowed
}

#[test]
fn no_lower_layer_widens_a_thousand_stacks() {
    let (mut held, mut refused, mut allowed) = (0, 0, 0);
    for seed in 1..=STACKS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let ceiling = Drawn::new(&mut random, Layer::Managed);
        let mut texts = vec![text(Layer::Managed, &ceiling.text())];
        for layer in [Layer::User, Layer::Project] {
            if !random.once_in(4) {
                let drawn = Drawn::new(&mut random, layer);
                texts.push(text(layer, &drawn.text()));
            }
        }
        let flagged = random.once_in(4);
        let document = Document::stack(texts).and_then(|mut document| {
            NONE(&mut document)?;
            if flagged {
                document.add_grant("/srv/a:rw")?;
                document.add_allowed("b.test")?;
                document.add_variable("BAR")?;
            }
            Ok(document)
        });
        match document.and_then(|document| super::resolve(&document, &machine())) {
            Ok(policy) => {
                held += 1;
                allowed += asked(&policy, &ceiling, seed);
            }
            Err(error) => {
                // Two rules for one host that disagree are the other refusal that a draw can meet.
                let known = ["beyond-managed", "rules-clash", "grant-protected", "grant-too-wide"];
                assert!(known.contains(&error.code()), "{seed}: {error}");
                refused += usize::from(error.code() == "beyond-managed");
            }
        }
    }
    assert!(held >= 200 && refused >= 200, "both come up: {held} held, {refused} refused");
    assert!(allowed > held * 3, "the questions are ones that get a yes: {allowed} of {held}");
}
