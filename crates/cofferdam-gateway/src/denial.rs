//! Why somebody was not let through: one shape for the log, the exit note and the answer inside.

use std::net::IpAddr;

use cofferdam_plan::message::Went;
use cofferdam_policy::judge::hosts::{Host, Protocol, Unwanted};
use cofferdam_policy::model::Clause;
use serde::Serialize;

use crate::bearing::WANTS_PASSWORD;

/// What a further rule would allow.
const ASKABLE: &[&str] =
    &["host-not-allowed", "port-not-allowed", "method-not-allowed", "path-not-allowed"];

/// What is said to who is asked for a password (RFC 7617, 2).
pub(crate) const PASSWORD: &str = "Basic realm=\"cofferdam\"";

/// A connection that does not come about, and what would change that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// Stable name.
    pub(crate) code: &'static str,
    /// For a person.
    pub(crate) why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub(crate) fix: String,
    /// The rule that decided.
    pub(crate) clause: Clause,
    /// Whose no it is.
    pub(crate) side: Side,
}

/// Whose no a denial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The policy's, or of what was spoken: asking again changes nothing.
    Policy,
    /// What was asked cannot be read without doubt.
    Asker,
    /// The policy's, for this many seconds.
    Rate(u64),
    /// The host was not reached.
    Network(Again),
    /// The log takes no event, so nothing is done.
    Log,
}

/// Whether asking again makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Later it may work.
    Later,
    /// It will fail again.
    Never,
}

impl Denial {
    /// What the judge said.
    pub(crate) fn unwanted(
        (host, port): (&Host, u16),
        protocol: Protocol,
        (clause, because): (&Clause, Unwanted),
    ) -> Self {
        let (code, why) = words(because, port, protocol);
        let fix = match because {
            Unwanted::Host | Unwanted::Port => rule(host, port, protocol),
            Unwanted::Protocol(_) => {
                format!("in that rule: protocol = \"{}\"", protocol.as_str())
            }
            Unwanted::Websocket => "in that rule: websocket = true".to_owned(),
            Unwanted::GitAccess => {
                "in that rule, `write` for `read` behind the repository".to_owned()
            }
            // What would allow it is what the request is, which may be long or a secret.
            Unwanted::Denied
            | Unwanted::Unseen
            | Unwanted::Method
            | Unwanted::Path
            | Unwanted::Ambiguous(_)
            | Unwanted::Query
            | Unwanted::Header
            | Unwanted::Repository
            | Unwanted::NotGit
            | Unwanted::Resolver => String::new(),
        };
        let side = match because {
            // It would be refused whatever the rule said: another spelling is what helps.
            Unwanted::Ambiguous(_) => Side::Asker,
            Unwanted::Host
            | Unwanted::Port
            | Unwanted::Protocol(_)
            | Unwanted::Denied
            | Unwanted::Unseen
            | Unwanted::Method
            | Unwanted::Path
            | Unwanted::Query
            | Unwanted::Header
            | Unwanted::Websocket
            | Unwanted::Repository
            | Unwanted::GitAccess
            | Unwanted::NotGit
            | Unwanted::Resolver => Side::Policy,
        };
        Self { code, why, fix, clause: clause.clone(), side }
    }

    /// What was spoken is not what the rule allows.
    pub(crate) fn spoken(code: &'static str, why: impl Into<String>, clause: &Clause) -> Self {
        let (why, fix) = (why.into(), String::new());
        Self { code, why, fix, clause: clause.clone(), side: Side::Policy }
    }

    /// What was asked cannot be read.
    pub(crate) fn unreadable(code: &'static str, why: impl Into<String>, clause: &Clause) -> Self {
        Self { side: Side::Asker, ..Self::spoken(code, why, clause) }
    }

    /// The same of what was allowed until now.
    pub(crate) fn since_replaced(self) -> Self {
        let why = format!("the rules were replaced: {}", self.why);
        Self { code: "rules-replaced", why, ..self }
    }

    /// A rule's rate is used up.
    pub(crate) fn too_often(why: String, seconds: u64, clause: &Clause) -> Self {
        Self { side: Side::Rate(seconds), ..Self::spoken("too-often", why, clause) }
    }

    /// More than a rule allows.
    pub(crate) fn too_large(code: &'static str, most: u64, clause: &Clause) -> Self {
        Self::spoken(code, format!("the rule allows {most} bytes"), clause)
    }

    /// The host has gone without a word.
    pub(crate) fn unanswered(clause: &Clause) -> Self {
        let why = "the host ended the connection without an answer";
        Self { side: Side::Network(Again::Later), ..Self::spoken("no-answer", why, clause) }
    }

    /// The log is full or lost.
    pub(crate) fn no_record(clause: &Clause) -> Self {
        let why = "the audit log takes no more events, and without a record nothing is let through";
        let fix = "make room where the audit log is".into();
        Self { side: Side::Log, fix, ..Self::spoken("no-record", why, clause) }
    }

    /// Whether a person may be asked to allow it: no rule does, and none denies it.
    pub(crate) fn may_be_asked(&self) -> bool {
        self.side == Side::Policy && ASKABLE.contains(&self.code)
    }

    pub(crate) const fn retry(&self) -> bool {
        match self.side {
            Side::Network(Again::Later) | Side::Rate(_) | Side::Log => true,
            Side::Network(Again::Never) | Side::Policy | Side::Asker => false,
        }
    }

    /// As the log has it.
    pub(crate) fn went(&self) -> Went {
        let code = self.code.to_owned();
        match self.side {
            Side::Policy | Side::Asker | Side::Rate(_) | Side::Log => Went::Denied { code },
            Side::Network(_) => Went::Failed { code },
        }
    }

    /// The status of an HTTP answer.
    pub(crate) fn status(&self) -> u16 {
        match self.side {
            Side::Rate(_) => 429,
            Side::Policy | Side::Asker if self.code == "request-too-large" => 413,
            // Who has a password for it says it then (RFC 7617, 2).
            Side::Policy if self.code == WANTS_PASSWORD => 401,
            Side::Policy => 403,
            Side::Asker => 400,
            // Nobody has answered; elsewhere somebody has, that there is no way.
            Side::Network(_)
                if ["timeout", "resolver-failed", "no-answer"].contains(&self.code) =>
            {
                504
            }
            Side::Network(_) => 502,
            Side::Log => 503,
        }
    }

    /// A whole HTTP answer; the connection ends after it.
    pub(crate) fn answer(&self, what: &str) -> Vec<u8> {
        self.answer_with(self.status(), what)
    }

    /// The same with a status of the caller's.
    pub(crate) fn answer_with(&self, status: u16, what: &str) -> Vec<u8> {
        let body = self.json(what);
        let phrase = phrase(status);
        let wants = (status == 401).then(|| format!("WWW-Authenticate: {PASSWORD}\r\n"));
        let after = self.retry_after().map(|seconds| format!("Retry-After: {seconds}\r\n"));
        let after = after.or(wants);
        let head = format!(
            "HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{}X-Cofferdam: {}\r\nConnection: close\r\n\r\n",
            body.len(),
            after.unwrap_or_default(),
            self.code,
        );
        [head, body].concat().into_bytes()
    }

    /// When it may be asked again. Seconds.
    pub(crate) const fn retry_after(&self) -> Option<u64> {
        match self.side {
            Side::Rate(seconds) => Some(seconds),
            Side::Policy | Side::Asker | Side::Network(_) | Side::Log => None,
        }
    }

    /// The body of an answer, in every version of HTTP.
    pub(crate) fn json(&self, what: &str) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'static str,
            by: &'static str,
            what: &'a str,
            code: &'static str,
            why: &'a str,
            clause: String,
            fix: &'a str,
            retry: bool,
        }
        let error = match self.side {
            Side::Policy | Side::Asker | Side::Rate(_) | Side::Log => "denied",
            Side::Network(_) => "failed",
        };
        let body = Body {
            error,
            by: "cofferdam",
            what,
            code: self.code,
            why: &self.why,
            clause: self.clause.to_string(),
            fix: &self.fix,
            retry: self.retry(),
        };
        // Strings and a truth value: there is nothing in it that has no form in JSON.
        let mut body = serde_json::to_string(&body).unwrap_or_default();
        body.push('\n');
        body
    }
}

/// What the gateway would say of a connection or a request that the judge denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Stable name.
    pub code: &'static str,
    /// For a person.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// The status of an HTTP answer.
    pub status: u16,
}

/// The words for what the judge said of `host` and `port`, where `protocol` is spoken.
#[must_use]
pub fn told(place: (&Host, u16), protocol: Protocol, said: (&Clause, Unwanted)) -> Told {
    let denial = Denial::unwanted(place, protocol, said);
    let status = denial.status();
    Told { code: denial.code, why: denial.why, fix: denial.fix, status }
}

/// The stable name of a reason, and its words.
fn words(because: Unwanted, port: u16, protocol: Protocol) -> (&'static str, String) {
    let (code, why) = match because {
        Unwanted::Host => ("host-not-allowed", "no rule allows this host"),
        Unwanted::Port => {
            return ("port-not-allowed", format!("no rule allows port {port} of this host"));
        }
        Unwanted::Protocol(known) => {
            let (known, spoken) = (known.as_str(), protocol.as_str());
            return ("protocol-not-allowed", format!("the rule allows {known} here, not {spoken}"));
        }
        Unwanted::Ambiguous(trick) => {
            let why = format!("the target has {trick}, which two readers may read differently");
            return ("target-ambiguous", why);
        }
        Unwanted::Denied => ("host-denied", "a rule denies it"),
        Unwanted::Unseen => {
            ("unseen", "a rule denies some requests, and nobody may look into this")
        }
        Unwanted::Method => ("method-not-allowed", "no rule allows this method"),
        Unwanted::Path => ("path-not-allowed", "no rule allows this path"),
        Unwanted::Query => ("query-not-allowed", "the rule does not allow this query"),
        Unwanted::Header => {
            ("header-required", "the rule requires a header once, with a value that is not there")
        }
        Unwanted::Websocket => ("websocket-not-allowed", "the rule allows no WebSocket"),
        Unwanted::Repository => ("repository-not-allowed", "no rule allows this repository"),
        Unwanted::GitAccess => ("repository-read-only", "the rule lets this repository be read"),
        Unwanted::NotGit => ("not-git", "the rule allows git's smart HTTP and nothing else"),
        Unwanted::Resolver => ("doh", "it asks a resolver within HTTP, around the rules of names"),
    };
    (code, why.to_owned())
}

/// The flag that would allow it, and the rule.
fn rule(host: &Host, port: u16, protocol: Protocol) -> String {
    // In a rule the end of an IPv6 address could be read as a port, so it is a block of one.
    let bare = match host {
        Host::Address(IpAddr::V6(address)) => format!("{address}/128"),
        Host::Address(IpAddr::V4(_)) | Host::Name(_) => host.to_string(),
    };
    let (flag, rest) = match (port, protocol) {
        (443, Protocol::Tls) | (0, _) => (format!("--allow {host}"), String::new()),
        (80, Protocol::Http) => (format!("--allow {host}:80"), ", ports = [80]".into()),
        (port, protocol) => {
            let spoken = protocol.as_str();
            (
                format!("--allow {host}:{port}/{spoken}"),
                format!(", ports = [{port}], protocol = \"{spoken}\""),
            )
        }
    };
    format!("{flag}; in a policy: network.allow = [{{ host = \"{bare}\"{rest} }}]")
}

/// The text after a status (RFC 9110, 15).
const fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said would allow it, does: the flag and the rule, read by the language.
    #[test]
    fn the_fix_is_of_the_language() {
        for (host, port, protocol, want) in [
            ("evil.test", 443, Protocol::Tls, "host = \"evil.test\" }]"),
            ("evil.test", 0, Protocol::Tls, "host = \"evil.test\" }]"),
            ("evil.test", 80, Protocol::Http, "host = \"evil.test\", ports = [80] }]"),
            (
                "evil.test",
                5432,
                Protocol::Tcp,
                "host = \"evil.test\", ports = [5432], protocol = \"tcp\" }]",
            ),
        ] {
            let host = Host::Name(cofferdam_policy::Name::parse(host.as_bytes()).unwrap());
            let said = rule(&host, port, protocol);
            assert!(said.ends_with(want) && said.starts_with("--allow evil.test"), "{said}");
        }
        let host = Host::Address("2001:db8::1".parse().unwrap());
        let said = rule(&host, 22, Protocol::Tcp);
        assert!(said.starts_with("--allow [2001:db8::1]:22/tcp; "), "{said}");
        assert!(said.contains("host = \"2001:db8::1/128\", ports = [22]"), "{said}");
    }
}
