//! What is asked for, and what became of it: one question at a time for each host, port, protocol and
//! request; so many open, so many in a minute, each for a while.
//!
//! Reads no clock and asks nobody. Whatever a workload does, a person has few questions to read, and
//! what is not asked is denied.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use cofferdam_plan::message::Question;
use cofferdam_policy::Host;
use cofferdam_policy::hostname::Name;
use cofferdam_policy::judge::hosts::{Allowed, Decision, HostRules, Net, Pattern};
use cofferdam_policy::judge::requests::{Inspect, PATTERN_BYTES_MAX, PathPattern, Requests};
use cofferdam_policy::model::Clause;

/// Questions that are open together: more nobody reads.
const OPEN_MAX: usize = 8;
/// Questions that are begun in each [`MINUTE`].
const MINUTE_MAX: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// How long an answer is waited for; then it is no.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// How long a no stands before the same is asked again.
const NO_AGAIN: Duration = Duration::from_secs(60);
/// No that are remembered.
const NOES_MAX: usize = 256;
/// Requests that wait for one answer; a further one is denied.
const WAITING_MAX: usize = 64;
/// Rules that answers make in a session.
const RULES_MAX: usize = 1_000;
/// Longest path that a rule may be made of. Bytes.
const PATH_BYTES_MAX: usize = PATTERN_BYTES_MAX;
/// Longest method. Bytes.
const METHOD_BYTES_MAX: usize = 32;

/// A question that is open.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// What is asked; its number is that of the first who asked it.
    pub(super) question: Question,
    /// Who waits for the answer: numbers of the gateway's.
    pub(super) waiting: Vec<u64>,
    /// When it becomes a no.
    pub(super) until: Instant,
}

/// What becomes of a question that was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A person is asked.
    Asked,
    /// It waits with another one like it.
    Joined,
    /// Allowed already: a yes came in between.
    Yes,
    /// Denied without asking, and why.
    No(Why),
}

/// Why nobody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A rule denies it, and no person overrules that here.
    Denied,
    /// No rule can say just this.
    NoRule,
    /// A person said no to it a moment ago.
    SaidNo,
    /// Too many questions.
    TooMany,
}

impl Why {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Denied => "a rule denies it, so nobody was asked",
            Self::NoRule => "no rule can allow just this, so nobody was asked",
            Self::SaidNo => "a person said no to it a moment ago",
            Self::TooMany => "more was asked for than a person is asked",
        }
    }
}

/// All of a session.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Vec<Open>,
    begun: VecDeque<Instant>,
    noes: VecDeque<(Question, Instant)>,
    /// How many yes there were.
    allowed: usize,
}

impl Questions {
    /// Hears a question of the gateway's, where `rules` hold.
    pub(super) fn hear(&mut self, question: Question, rules: &HostRules, now: Instant) -> Heard {
        if rule(&question, rules, 0).is_none() {
            return Heard::No(Why::NoRule);
        }
        match judged(&question, rules) {
            Some(Judged::Denied) => return Heard::No(Why::Denied),
            Some(Judged::Allowed) => return Heard::Yes,
            None => {}
        }
        if let Some(open) = self.open.iter_mut().find(|open| alike(&open.question, &question)) {
            if open.waiting.len() >= WAITING_MAX {
                return Heard::No(Why::TooMany);
            }
            open.waiting.push(question.id);
            return Heard::Joined;
        }
        self.noes.retain(|(_, at)| now.saturating_duration_since(*at) < NO_AGAIN);
        if self.noes.iter().any(|(no, _)| alike(no, &question)) {
            return Heard::No(Why::SaidNo);
        }
        self.begun.retain(|at| now.saturating_duration_since(*at) < MINUTE);
        let full = self.open.len() >= OPEN_MAX || self.begun.len() >= MINUTE_MAX;
        if full || self.allowed >= RULES_MAX {
            return Heard::No(Why::TooMany);
        }
        self.begun.push_back(now);
        let (waiting, until) = (vec![question.id], now + DEADLINE);
        self.open.push(Open { question, waiting, until });
        Heard::Asked
    }

    /// Nobody waits for the answer to `id` any more. The question stays: a yes is for the next try.
    pub(super) fn no_more(&mut self, id: u64) {
        for open in &mut self.open {
            open.waiting.retain(|waits| *waits != id);
        }
    }

    /// Takes the question that a person has answered; `None` where it is none that is open.
    pub(super) fn answered(&mut self, id: u64, allowed: bool, now: Instant) -> Option<Open> {
        let at = self.open.iter().position(|open| open.question.id == id)?;
        let open = self.open.remove(at);
        if allowed {
            self.allowed += 1;
        } else {
            self.say_no(&open, now);
        }
        Some(open)
    }

    /// Takes the questions that nobody has answered in time.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Open> {
        let is_late = |open: &mut Open| open.until <= now;
        let late: Vec<Open> = self.open.extract_if(.., is_late).collect();
        late.iter().for_each(|open| self.say_no(open, now));
        late
    }

    fn say_no(&mut self, open: &Open, now: Instant) {
        if self.noes.len() >= NOES_MAX {
            self.noes.pop_front();
        }
        self.noes.push_back((open.question.clone(), now));
    }

    /// Those that are open, oldest first.
    pub(super) fn open(&self) -> &[Open] {
        &self.open
    }

    /// When the next one becomes a no.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.until).min()
    }
}

/// Whether two questions are one to a person.
fn alike(one: &Question, other: &Question) -> bool {
    (&one.host, one.port, one.protocol) == (&other.host, other.port, other.protocol)
        && (&one.method, &one.path) == (&other.method, &other.path)
}

enum Judged {
    Allowed,
    Denied,
}

/// What the one judge says of the connection; `None` where a person may decide.
fn judged(question: &Question, rules: &HostRules) -> Option<Judged> {
    let host = host(&question.host)?;
    if rules.denial(&host, question.port).is_some() {
        return Some(Judged::Denied);
    }
    let whole = question.method.is_none() && question.path.is_none();
    match rules.decide(&host, question.port, question.protocol) {
        Decision::Allow(_) if whole => Some(Judged::Allowed),
        Decision::Allow(_) | Decision::Deny(..) => None,
    }
}

/// The host that a question names, in its one spelling.
fn host(text: &str) -> Option<Host> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return address.is_ipv4().then_some(Host::Address(address));
    }
    let name = Name::parse(text.as_bytes()).ok()?;
    (name.as_str() == text).then_some(Host::Name(name))
}

/// The rule that a yes makes, the session's `number`th: it allows what was asked, and nothing beside.
/// `None` where no rule can: a star of a path would be a pattern's, and what is no method or path is not
/// asked.
///
/// What the first of `rules` for the same host, port and protocol binds holds of it too: a person was
/// shown a method and a path, and nothing of where it goes, of fields, of bounds. It has a name of its
/// own, for tokens of a rate are a rule's.
pub(super) fn rule(question: &Question, rules: &HostRules, number: u32) -> Option<Allowed> {
    let Question { host: text, port, protocol, method, path, .. } = question;
    let host = host(text)?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    let is_method = |method: &String| {
        (1..=METHOD_BYTES_MAX).contains(&method.len()) && method.bytes().all(token)
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"*?#".contains(&byte);
    let pattern_of = |path: &String| {
        // A star is a pattern's, whoever decodes it.
        let starred = path.to_ascii_lowercase().contains("%2a");
        let plain = path.len() <= PATH_BYTES_MAX && path.bytes().all(plain) && !starred;
        PathPattern::parse(path).ok().filter(|pattern| plain && !pattern.is_all())
    };
    let paths: Option<Vec<PathPattern>> = path.iter().map(pattern_of).collect();
    if *port == 0 || !method.iter().all(is_method) {
        return None;
    }
    let (methods, paths) = (method.iter().cloned().collect::<Vec<_>>(), paths?);
    let on = |rule: &&Allowed| rule.ports.contains(port) && rule.protocol == *protocol;
    let base = rules.allow.iter().filter(on).find(|rule| rule.pattern.holds(&host));
    let (dial, inspect, mut requests) = base.map_or_else(
        || (None, Inspect::Auto, Requests::default()),
        |base| (base.dial, base.inspect, Requests::clone(&base.requests)),
    );
    if !methods.is_empty() || !paths.is_empty() {
        // What was asked, in place of what is allowed without asking.
        requests = Requests { git: Vec::new(), graphql: None, websocket: false, ..requests };
        (requests.methods, requests.paths) = (methods, paths);
    }
    let pattern = match host {
        Host::Name(name) => Pattern::Exact(name),
        Host::Address(address) => {
            Pattern::Net(Net::new(address, if address.is_ipv4() { 32 } else { 128 })?)
        }
    };
    let reason = Some("a person allowed it".to_owned());
    let clause = Clause::flag(&format!("--approve[{number}]"));
    let (ports, protocol, requests) = (vec![*port], *protocol, requests.into());
    Some(Allowed { pattern, ports, protocol, dial, inspect, requests, reason, clause })
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
