//! The name server inside: each allowed name has its synthetic address, every other name is none.
//!
//! [`answer`] is a function from a message to a message. It asks nobody: no query leaves, so no name
//! that a workload makes up reaches a server of somebody else's. Only A and AAAA have data. HTTPS and
//! SVCB have none, so no client learns a key for an encrypted ClientHello (RFC 9460, 7), which would
//! hide the name that the gateway judges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cofferdam_policy::judge::hosts::Unwanted;
use cofferdam_policy::model::Clause;
use cofferdam_policy::{HostRules, Name};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{self, DNSClass, RData, Record, RecordType};

use crate::synthetic::{Full, Synthetic};

mod serve;
pub use serve::{TCP_IDLE, TCP_QUERIES_MAX, UDP_BURST, serve_tcp, serve_udp, tell_destination};

/// Seconds that a client may keep an answer. An address never changes its name, so longer would be
/// safe; but a policy can change while a sandbox runs, and then an answer that was kept is wrong.
pub const TTL_SECS: u32 = 60;
/// Longest message that is read. Bytes. A question has at most 271 with its header; the rest is for
/// options that we do not know.
pub const QUERY_BYTES_MAX: usize = 4_096;
/// Longest answer by UDP to a client that names no size (RFC 1035, 4.2.1). Bytes.
pub const UDP_BYTES: usize = 512;
/// The size that we name, and the longest answer by UDP whatever the client names. Bytes: what no
/// network splits (RFC 9715).
pub const EDNS_BYTES: u16 = 1_232;

/// `id`, flags and four counts (RFC 1035, 4.1.1).
const HEADER_BYTES: usize = 12;

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// Who judges names and gives them addresses.
pub trait Names {
    /// Whether anything of `name` is allowed.
    ///
    /// # Errors
    /// The rule that decided, and why.
    fn knows(&self, name: &Name) -> Result<(), (Clause, Unwanted)>;
    /// The addresses of a name that is allowed.
    ///
    /// # Errors
    /// [`Full`] when no more are given out.
    fn lookup(&mut self, name: &Name) -> Result<(Ipv4Addr, Ipv6Addr), Full>;
    /// The name that an address stands for.
    fn named(&self, address: IpAddr) -> Option<Name>;
}

/// The judge and the addresses of one sandbox.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Who is known.
    pub rules: &'a HostRules,
    /// Under which address.
    pub synthetic: &'a mut Synthetic,
}

impl Names for Judged<'_> {
    fn knows(&self, name: &Name) -> Result<(), (Clause, Unwanted)> {
        self.rules.knows(name).map_err(|(clause, because)| (clause.clone(), because))
    }

    fn lookup(&mut self, name: &Name) -> Result<(Ipv4Addr, Ipv6Addr), Full> {
        self.synthetic.lookup(name)
    }

    fn named(&self, address: IpAddr) -> Option<Name> {
        self.synthetic.named(address).cloned()
    }
}

/// A name that was asked for and refused: what an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The name.
    pub name: Name,
    /// What was asked of it, such as `A`; `TYPE4711` where it has no name.
    pub kind: String,
    /// Why.
    pub because: Because,
}

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// The judge: by this rule, for this reason.
    Unwanted(Clause, Unwanted),
    /// The rules allow it, and there is no address left.
    Full,
}

/// What becomes of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What is sent back; nothing to what is no query.
    pub reply: Option<Vec<u8>>,
    /// What the log is told.
    pub refused: Option<Refused>,
}

/// The answer to one message.
#[must_use]
pub fn answer(query: &[u8], transport: Transport, names: &mut impl Names) -> Answered {
    let Some(header) = query.first_chunk::<HEADER_BYTES>() else {
        return Answered { reply: None, refused: None };
    };
    let [id_high, id_low, flags, _, q1, q2, a1, a2, n1, n2, ..] = *header;
    // A response: to answer one is how two name servers keep each other busy for ever.
    if flags & 0x80 != 0 {
        return Answered { reply: None, refused: None };
    }
    let id = u16::from_be_bytes([id_high, id_low]);
    let op_code = OpCode::from_u8(flags >> 3 & 0xf);
    let short = |code| {
        let mut message = Message::error_msg(id, op_code, code);
        message.metadata.recursion_desired = flags & 1 != 0;
        Answered { reply: message.to_vec().ok(), refused: None }
    };
    if op_code != OpCode::Query {
        return short(ResponseCode::NotImp);
    }
    // One question (RFC 9619), and no records that answer it already.
    if (q1, q2) != (0, 1) || [a1, a2, n1, n2] != [0; 4] {
        return short(ResponseCode::FormErr);
    }
    let Ok(asked) = Message::from_vec(query) else {
        return short(ResponseCode::FormErr);
    };
    let [question] = &asked.queries[..] else {
        return short(ResponseCode::FormErr);
    };
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = asked.metadata.recursion_desired;
    // There is nobody to ask further, but a client that is told so asks somebody else.
    message.metadata.recursion_available = true;
    message.metadata.checking_disabled = asked.metadata.checking_disabled;
    message.add_query(question.clone());
    let mut refused = None;
    if asked.version() > 0 {
        message.metadata.response_code = ResponseCode::BADVERS;
    } else {
        let found = find(question, names);
        message.metadata.response_code = found.code;
        if let Some(record) = found.record {
            message.add_answer(Record::from_rdata(question.name().clone(), TTL_SECS, record));
        }
        refused = found.refused;
    }
    let udp_bytes = match &asked.edns {
        Some(edns) => {
            let mut ours = Edns::new();
            ours.set_max_payload(EDNS_BYTES).set_version(0);
            message.set_edns(ours);
            usize::from(edns.max_payload().min(EDNS_BYTES)).max(UDP_BYTES)
        }
        None => UDP_BYTES,
    };
    let bytes_max = match transport {
        Transport::Udp => udp_bytes,
        Transport::Tcp => usize::from(u16::MAX),
    };
    Answered { reply: fit(&message, bytes_max), refused }
}

/// The message in at most `bytes_max`: without its answer, and marked so, where it has more.
fn fit(message: &Message, bytes_max: usize) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= bytes_max {
        return Some(bytes);
    }
    message.truncate().to_vec().ok().filter(|bytes| bytes.len() <= bytes_max)
}

/// What there is to say of one question.
struct Found {
    code: ResponseCode,
    record: Option<RData>,
    refused: Option<Refused>,
}

impl Found {
    /// There is such a name, and of what was asked it has this.
    const fn data(record: Option<RData>) -> Self {
        Self { code: ResponseCode::NoError, record, refused: None }
    }

    const fn nothing(code: ResponseCode) -> Self {
        Self { code, record: None, refused: None }
    }

    /// There is no such name, and the log hears of it.
    fn refused(name: Name, kind: RecordType, because: Because) -> Self {
        let kind = if let RecordType::Unknown(number) = kind {
            format!("TYPE{number}")
        } else {
            kind.to_string()
        };
        let refused = Some(Refused { name, kind, because });
        Self { code: ResponseCode::NXDomain, record: None, refused }
    }
}

fn find(question: &Query, names: &mut impl Names) -> Found {
    if question.query_class() != DNSClass::IN {
        return Found::nothing(ResponseCode::NotImp);
    }
    let kind = question.query_type();
    // Of a whole zone: there is none, and an answer would not be one message.
    if matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Found::nothing(ResponseCode::Refused);
    }
    // Whatever is no host name has no address. Its bytes reach no log.
    let Some(name) = host_name(question.name()) else {
        return Found::nothing(ResponseCode::NXDomain);
    };
    if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") {
        return Found::data(address(kind, (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)));
    }
    if let Some(back) = pointed(question.name(), names) {
        let pointer = || RData::PTR(PTR(back));
        return Found::data((kind == RecordType::PTR).then(pointer));
    }
    if let Err((clause, because)) = names.knows(&name) {
        return Found::refused(name, kind, Because::Unwanted(clause, because));
    }
    if !matches!(kind, RecordType::A | RecordType::AAAA) {
        return Found::data(None);
    }
    match names.lookup(&name) {
        Ok(pair) => Found::data(address(kind, pair)),
        Err(Full) => Found::refused(name, kind, Because::Full),
    }
}

fn address(kind: RecordType, (v4, v6): (Ipv4Addr, Ipv6Addr)) -> Option<RData> {
    // Of some 80 kinds two are addresses. ANY is none of them (RFC 8482).
    if kind == RecordType::A {
        Some(RData::A(A(v4)))
    } else if kind == RecordType::AAAA {
        Some(RData::AAAA(AAAA(v6)))
    } else {
        None
    }
}

/// The host name of a question. A label can hold any byte, a dot among them, which would make two
/// labels of one.
fn host_name(asked: &rr::Name) -> Option<Name> {
    let labels: Vec<&[u8]> = asked.iter().collect();
    if labels.iter().any(|label| label.contains(&b'.')) {
        return None;
    }
    Name::parse(&labels.join(&b'.')).ok()
}

/// The name that a question for `….in-addr.arpa` or `….ip6.arpa` leads back to (RFC 1035, 3.5).
fn pointed(asked: &rr::Name, names: &impl Names) -> Option<rr::Name> {
    let net = asked.parse_arpa_name().ok()?;
    if net.prefix_len() != net.max_prefix_len() {
        return None;
    }
    let name = names.named(net.addr())?;
    let mut back = rr::Name::from_labels(name.as_str().split('.').map(str::as_bytes)).ok()?;
    back.set_fqdn(true);
    Some(back)
}

#[cfg(test)]
mod tests;
