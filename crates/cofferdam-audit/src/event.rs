//! What is put on record.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// One thing that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// Everything that was read and decided, before anything of the workload ran.
    Start {
        /// What was read of the caller's side.
        facts: Box<RawValue>,
        /// What was read of the machine.
        host: Box<RawValue>,
        /// What was decided from the text.
        policy: Box<RawValue>,
        /// What init was told to do; the command is in its `workload`, and nowhere else: a long
        /// one would fill the record twice.
        plan: Box<RawValue>,
        /// The policy texts that hold, the highest first, each with its layer, file and SHA-256; and a
        /// project's that nobody trusts.
        layers: Box<RawValue>,
    },
    /// Every wall stands; the workload is about to run.
    Ready {
        /// SHA-256 of the certificate of the session's own authority (DER), in hexadecimal, where the
        /// gateway looks into TLS.
        #[serde(skip_serializing_if = "Option::is_none")]
        authority: Option<String>,
    },
    /// The workload ended.
    Exit {
        /// How.
        outcome: ExitKind,
        /// From the start of the sandbox. Milliseconds.
        duration_ms: u64,
        /// What a person should know, where the end was not the workload's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A start that was refused.
    Refusal {
        /// Stable name.
        code: String,
        /// What and why.
        message: String,
        /// The next thing to do.
        hint: String,
    },
    /// A guarding mount is gone: the host replaced what it stood on.
    MountFell {
        /// Where it was.
        path: String,
        /// `kill` or `note`.
        guard: String,
        /// What was done.
        action: String,
    },
    /// A connection ended or was refused, or a name was asked for that no rule allows.
    Connection(Box<Connection>),
    /// What became of the connections and requests of each rule, once, before the exit.
    Rules {
        /// In the order in which they first decided.
        rules: Vec<RuleCount>,
    },
    /// An operation on a name that was refused, or could not be done.
    Name(Box<NameDenied>),
    /// The gateway went away before the workload did, and every connection is refused from here on; or,
    /// just before the exit, it has not told of all connections.
    GatewayGone {},
    /// A person has this credential be worth nothing for the rest of the session.
    CredentialRevoked {
        /// Its name.
        credential: String,
        /// Who said so: a user's number.
        by: u32,
    },
    /// A person has the secret of this credential read again from where it comes.
    CredentialRotated {
        /// Its name.
        credential: String,
        /// Who said so: a user's number.
        by: u32,
    },
    /// It could not be read: the one before it holds.
    CredentialUnread {
        /// Its name.
        credential: String,
        /// Stable name of the reason.
        code: String,
    },
    /// An answer has brought other tokens of it, which hold from here on.
    CredentialRefreshed {
        /// The credential that was borne for them.
        credential: String,
        /// Where they are kept: `vault`, `memory`, or the code of why the vault has not got them.
        kept: String,
    },
    /// A person has this policy hold from here on; written before the gateway gets its rules.
    PolicyApplied {
        /// The number of the rules; those of the start are 0.
        generation: u32,
        /// The policy's file.
        source: String,
        /// SHA-256 of its text, in hexadecimal.
        sha256: String,
        /// How many rules allow a host.
        rules: usize,
        /// Who asked: a user's number.
        by: u32,
    },
    /// A person wanted this policy to hold, and the one before it does: nothing changed.
    PolicyRefused {
        /// The policy's file.
        source: String,
        /// Stable name of the reason.
        code: String,
        /// The reason.
        why: String,
        /// Who asked: a user's number.
        by: u32,
    },
    /// A person allowed what no rule does; written before the gateway gets the rule.
    Approved(Box<Asked>),
    /// What no rule allows was asked for, and is not allowed.
    Refused(Box<Asked>),
    /// Nobody can apply a policy to this session: its control socket could not be made.
    Uncontrolled {
        /// Why.
        why: String,
    },
    /// What must not leave was on its way out: what stands in for a credential, or a planted string.
    Alarm(Box<Alarm>),
    /// What was taken out of a stream that a person may read, once, before the exit.
    Output(OutputKept),
    /// A limit was met.
    Limit {
        /// Its name in `[limits]`, or `output.max_bytes`.
        limit: String,
        /// Its value, as the language writes it.
        value: String,
        /// What happened.
        what: String,
    },
    /// The line before this record was never finished: its writer died. It is no record.
    Torn {
        /// Its length without the newline. Bytes.
        bytes: u64,
        /// SHA-256 of those bytes, in hexadecimal.
        sha256: String,
    },
}

/// What the workload wanted to do with a name, and did not.
#[derive(Clone, Debug, Serialize)]
pub struct NameDenied {
    /// What was wanted: `create`, `write`, `remove`, `rename` and so on.
    pub operation: &'static str,
    /// With which name.
    pub path: String,
    /// The rule that decided.
    pub clause: String,
    /// Why.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// `errno(3)` that the workload heard.
    pub errno: i32,
    /// How many like it this stands for, from 1.
    pub times: u64,
}

/// Something that must not leave, on its way out.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// `stand-in` or `canary`.
    pub what: &'static str,
    /// Its name in the policy, where it has one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it was on its way to: a stream.
    pub place: String,
    /// In which form it stood first: `plain`, `base64` and so on.
    pub encoding: &'static str,
    /// The rule.
    pub clause: String,
    /// How many like it this stands for, from 1.
    pub times: u64,
}

/// What was taken out of one stream.
#[derive(Clone, Debug, Serialize)]
pub struct OutputKept {
    /// `standard output`, `standard error` or `the terminal`.
    pub stream: &'static str,
    /// Escape sequences: how many of each kind.
    pub refused: BTreeMap<&'static str, u64>,
}

/// What a person was asked, or would have been.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// For whom it was.
    pub host: String,
    /// On which port.
    pub port: u16,
    /// What is spoken: `tls`, `http`, `tcp`.
    pub protocol: &'static str,
    /// The method, where requests are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The number of the rules that allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Who answered: a user's number; nobody where no answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// Why, where it was not a person who said no.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// How many like it this stands for, from 1.
    pub times: u64,
}

/// How often a rule decided, each connection and each request that was looked at counted once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// The rule, with its file and line; `further rules` for those that are not counted apart.
    pub clause: String,
    /// Let through.
    pub allowed: u64,
    /// Denied.
    pub denied: u64,
    /// Let through, and came to nothing.
    pub failed: u64,
    /// From the workload. Bytes.
    pub sent: u64,
    /// To the workload. Bytes.
    pub received: u64,
}

/// A request that was looked at. The query is not kept: it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: &'static str,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status of the answer, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// One connection from its beginning to its end, or one request of it.
#[derive(Clone, Debug, Serialize)]
pub struct Connection {
    /// How it came: `direct`, `proxy`, `socks`, `lookup`, `published`.
    pub way: &'static str,
    /// For whom it was; empty where nobody said.
    pub host: String,
    /// On which port; 0 for a lookup.
    pub port: u16,
    /// What was spoken: `tls`, `http`, `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// What was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `allowed`, `denied` or `failed`.
    pub verdict: &'static str,
    /// Stable name of the reason, where it was denied or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The rule that decided, with its file and line.
    pub clause: String,
    /// The reason, for a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The smallest change that would let it through.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// From the workload. Bytes.
    pub sent: u64,
    /// To the workload. Bytes.
    pub received: u64,
    /// From accepting it to its end. Milliseconds.
    pub duration_ms: u64,
    /// How many like it this record stands for.
    pub times: u64,
    /// The request, where this is one and not a whole connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

/// How a workload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitKind {
    /// With this exit status.
    Code(u8),
    /// By this signal.
    Signal(i32),
}
