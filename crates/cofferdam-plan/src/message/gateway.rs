//! What engine and gateway say to each other: nothing of it concerns init.

use core::net::SocketAddr;
use std::path::PathBuf;

use cofferdam_policy::judge::hosts::Protocol;
use cofferdam_policy::model::Clause;

/// Certificates of the authorities by which the gateway believes hosts (X.509, DER), as the engine read
/// them: inside the same ones are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    /// The system's: one that is none is passed over.
    pub system: Vec<Vec<u8>>,
    /// Those of `network.trust_ca`: one that is none is refused.
    pub named: Vec<Vec<u8>>,
}

/// What stands in for a credential in this session; or, by the name `CREDENTIAL.ITS`, what of its source is no
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StandIn {
    /// The credential's name.
    pub name: String,
    /// What the sandbox holds: without control bytes.
    pub value: String,
}

/// Worth nothing anywhere else, and of no use in a record.
impl std::fmt::Debug for StandIn {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "StandIn({})", self.name)
    }
}

/// A credential that the gateway could not get: nothing is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Its name.
    pub name: String,
    /// The rule.
    pub clause: Clause,
    /// Stable name of the reason.
    pub code: String,
    /// Why, for a person.
    pub why: String,
    /// The next step.
    pub fix: String,
}

/// What the gateway finds secrets with. Values of variables are passed on as they are, and `Debug` shows
/// nothing of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lent {
    /// Values of the caller's variables that are secrets, each by its name.
    pub secrets: Vec<(String, Vec<u8>)>,
    /// The caller's variables by which programs find the home and the session's bus.
    pub variables: Vec<(String, String)>,
    /// The directory of the caller's vault.
    pub vault: PathBuf,
    /// What opens the vault, where that is no key beside it.
    pub passphrase: Option<Vec<u8>>,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Lent({} secrets)", self.secrets.len())
    }
}

/// From the engine to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToGateway {
    /// The gateway's half of the plan comes with this packet, in a sealed memfd; where it looks into
    /// TLS, [`Believed`] in a second one; where a credential is in a variable of the caller's,
    /// [`Lent`] in a third.
    Egress {
        /// User and group to become, where root starts it.
        user: Option<(u32, u32)>,
    },
    /// Sockets come with this packet, the next ones in the order of the plan.
    Sockets,
    /// The socket of the agent of ssh comes with this packet: where a credential is a key.
    Agent,
    /// So many more connections have room in the log for their event: nothing is dialled without.
    Room {
        /// How many.
        places: u32,
    },
    /// Rules that hold from here on come with this packet, in a sealed memfd.
    Rules {
        /// Their number; those of the plan are 0.
        generation: u32,
    },
    /// What a person said to [`FromGateway::Asks`].
    Answer {
        /// Which question.
        id: u64,
        /// Whether it may be.
        allowed: bool,
    },
    /// A credential is worth nothing from here on.
    Revoke {
        /// Its name.
        name: String,
    },
    /// The secret of a credential is to be read again from where it comes: it may be another one.
    Rotate {
        /// Its name.
        name: String,
    },
    /// The workload is gone: tell what is left, and end.
    Finish,
}

/// From the gateway to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromGateway {
    /// It is confined and hears.
    Ready {
        /// [`crate::BUILD`] of the gateway.
        build: String,
    },
    /// It could not start.
    Failed {
        /// What it was doing, for a person.
        doing: String,
        /// `errno(3)`, 0 where no system call failed.
        errno: i32,
    },
    /// Connections have taken places in the log; the [`Ended`] of each will fill its own.
    Begun {
        /// How many.
        count: u32,
    },
    /// A connection waits for a place in the log.
    Waits,
    /// A connection ended; or was refused.
    Ended(Box<Ended>),
    /// Refusals that were counted, each kind once, at the end: they took no place.
    Counted(Box<Ended>),
    /// The session's own authority, before anything else is said: its key is in the gateway alone. Told
    /// where the plan looks into TLS.
    Authority {
        /// Its certificate (X.509, DER).
        certificate: Vec<u8>,
    },
    /// What stands in for each credential of the plan, before anything but the authority is said.
    StandIns {
        /// One for each, in the order of the plan.
        made: Vec<StandIn>,
    },
    /// Said in the place of that.
    Lacks(Box<Lacking>),
    /// The secret of a credential could not be read again: the one before it holds.
    Unread {
        /// The credential's name.
        name: String,
        /// Stable name of the reason.
        code: String,
    },
    /// An answer to a request that bore this credential has brought other tokens: they hold.
    Refreshed {
        /// The credential's name.
        name: String,
        /// Where they are kept: `vault`, `memory`, or the code of why the vault has not got them.
        kept: String,
    },
    /// [`ToGateway::Rules`] hold from here on.
    Applied {
        /// Their number.
        generation: u32,
    },
    /// Nothing allows it: may it be?
    Asks(Box<Question>),
    /// Nobody waits for the answer any more.
    AsksNoMore {
        /// Which question.
        id: u64,
    },
}

/// What a person is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its number in this session.
    pub id: u64,
    /// For whom it is, as [`cofferdam_policy::judge::hosts::Host`] spells it.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// The method, where a rule for the host looks at requests.
    pub method: Option<String>,
    /// The path, likewise; without the query, which may hold a secret.
    pub path: Option<String>,
}

/// A request that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// In which version.
    pub version: HttpVersion,
    /// The method, as it was sent.
    pub method: String,
    /// The path, as it was sent, without the query, which may hold a secret.
    pub path: String,
    /// The status of the answer, where there was one: the host's or the gateway's own.
    pub status: Option<u16>,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

impl HttpVersion {
    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// One connection from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How it came.
    pub way: Way,
    /// For whom it was, as [`cofferdam_policy::judge::hosts::Host`] spells it; empty where nobody said.
    pub host: String,
    /// On which port; 0 for a lookup.
    pub port: u16,
    /// What was spoken.
    pub protocol: Option<Protocol>,
    /// What was dialled.
    pub address: Option<SocketAddr>,
    /// The rule that decided.
    pub clause: Clause,
    /// What became of it.
    pub verdict: Went,
    /// Why, for a person; empty where it went well.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// From the workload. Bytes.
    pub sent: u64,
    /// To the workload. Bytes.
    pub received: u64,
    /// From accepting it to its end.
    pub duration_ms: u64,
    /// How many like it this stands for, from 1: a program that asks again and again fills no log.
    pub times: u64,
    /// The request, where this is one and not a whole connection.
    pub request: Option<Requested>,
}

/// Stable names of what raises an alarm: somebody tries to carry an identity, or what was planted, where
/// it has no business, or a host says a secret in a way in which nobody can take it out.
pub const ALARMS: [&str; 13] = [
    "foreign-credential",
    "stand-in-astray",
    "canary",
    "secret-in-frames",
    // The agent of ssh was asked for more than logins of its users on its hosts.
    "ssh-agent-host",
    "ssh-agent-user",
    "ssh-agent-session",
    "ssh-agent-service",
    "ssh-agent-no-login",
    "ssh-agent-unbound",
    "ssh-agent-forwarded",
    "ssh-agent-host-signature",
    "ssh-agent-message",
];

impl Ended {
    /// Whether it raises an alarm.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        match &self.verdict {
            Went::Denied { code } => ALARMS.contains(&code.as_str()),
            Went::Allowed | Went::Failed { .. } => false,
        }
    }
}

/// How a connection came to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Way {
    /// To an address that stands for a host.
    Direct,
    /// Through the HTTP proxy.
    Proxy,
    /// Through the SOCKS5 proxy.
    Socks,
    /// A question for an address, no connection.
    Lookup,
    /// From the host, to a published server of the workload's.
    Published,
    /// To the agent of ssh: a login that is signed, or a refusal; the host is the fingerprint of its key.
    Agent,
}

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Went {
    /// It was let through.
    Allowed,
    /// The policy does not allow it, or what was spoken was not what it allows.
    Denied {
        /// Stable name.
        code: String,
    },
    /// It was let through and did not come about.
    Failed {
        /// Stable name.
        code: String,
    },
}
