//! What can be wrong with a rule of the network: one variant a situation.

use super::requests::RequestFault;
use crate::hosts::{HostFault, SHOWN_MAX};
use crate::read::{PORTS_MAX, REASON_LETTERS_MAX, nearest};

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetworkFault {
    // Hosts.
    #[error("`{key}` needs a host")]
    HostMissing { key: &'static str },
    #[error("`{}` is no host: {fault}", short(host))]
    Host { host: String, fault: HostFault },
    #[error("`{}` is too wide: anybody can {}", short(host), have(host))]
    Wide { host: String },
    // Ports and protocols.
    #[error("`{}` is no port", short(got))]
    Port { got: String },
    #[error("port {port} is named twice")]
    PortTwice { port: u16 },
    #[error("`{key}` names no port")]
    PortsEmpty { key: &'static str },
    #[error("`{key}` has {count} ports; at most {PORTS_MAX} are allowed")]
    PortsMany { key: &'static str, count: usize },
    #[error("what is spoken on {} is not said", listed(ports))]
    ProtocolMissing { ports: Vec<u16> },
    #[error("unknown protocol `{}`", short(asked))]
    ProtocolUnknown { asked: String },
    // What is dialled.
    #[error("`{}` is no address with a port", short(got))]
    Dial { got: String },
    #[error("`dial` belongs to one name or one address, and `{}` is more", short(host))]
    DialMany { host: String },
    #[error("`dial` belongs to one port, and {} are named", listed(ports))]
    DialPorts { ports: Vec<u16> },
    #[error("two rules for port {port} of `{}` say different things", short(host))]
    Clash { host: String, port: u16 },
    #[error(transparent)]
    Requests(#[from] RequestFault),
    #[error("`{key}` is not one line of 1 to {REASON_LETTERS_MAX} letters")]
    Reason { key: String },
    // The proxy outside.
    #[error("`network.upstream_proxy` is no address of a proxy")]
    Proxy,
    #[error("`network.upstream_proxy` speaks `{}`, which is not in this release", short(asked))]
    ProxyScheme { asked: String },
    #[error("`network.upstream_proxy` names a user")]
    ProxyUser,
    // Servers inside.
    #[error("`{}` is no port to publish", short(got))]
    Publish { got: String },
    #[error("port {port} of 127.0.0.1 is published twice")]
    PublishTwice { port: u16 },
    // Flags.
    #[error("`{}` is no host with a port", short(got))]
    AllowWords { got: String },
    #[error("an IPv6 address in a flag has brackets")]
    AllowBrackets,
    #[error("`{flag}` contradicts `--network none`")]
    Contradiction { flag: &'static str },
}

/// As much of a text as a message repeats.
pub(super) fn short(text: &str) -> String {
    // What stands before an `@` may be a secret, and what is said goes on record.
    let (mark, text) = text.rsplit_once('@').map_or(("", text), |(_, rest)| ("…@", rest));
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{mark}{}…", text.get(..end).unwrap_or_default()),
        None => format!("{mark}{text}"),
    }
}

/// What everybody can have where a rule is too wide.
fn have(host: &str) -> &'static str {
    match host {
        "*" => "be reached",
        _ if host.starts_with('*') => "get a name there",
        _ => "have an address there",
    }
}

/// `port 22`, `ports 22, 80`, at most eight of them.
fn listed(ports: &[u16]) -> String {
    const SHOWN: usize = 8;
    let mut words: Vec<String> = ports.iter().take(SHOWN).map(ToString::to_string).collect();
    if ports.len() > SHOWN {
        words.push("…".into());
    }
    let plural = if ports.len() == 1 { "port" } else { "ports" };
    format!("{plural} {}", words.join(", "))
}

impl NetworkFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::HostMissing { .. } => "host-missing",
            Self::Host { .. } => "host-text",
            Self::Wide { .. } => "host-too-wide",
            Self::Port { .. } => "port-number",
            Self::PortTwice { .. } => "port-twice",
            Self::PortsEmpty { .. } => "ports-empty",
            Self::PortsMany { .. } => "too-many-ports",
            Self::ProtocolMissing { .. } => "protocol-missing",
            Self::ProtocolUnknown { .. } => "protocol-unknown",
            Self::Dial { .. } => "dial-address",
            Self::DialMany { .. } => "dial-pattern",
            Self::DialPorts { .. } => "dial-ports",
            Self::Clash { .. } => "rules-clash",
            Self::Requests(fault) => fault.code(),
            Self::Reason { .. } => "reason-text",
            Self::Proxy => "proxy-address",
            Self::ProxyScheme { .. } => "proxy-scheme",
            Self::ProxyUser => "proxy-user",
            Self::Publish { .. } => "publish-port",
            Self::PublishTwice { .. } => "publish-twice",
            Self::AllowWords { .. } => "allow-words",
            Self::AllowBrackets => "allow-brackets",
            Self::Contradiction { .. } => "network-contradiction",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::HostMissing { .. } => {
                "add host = \"example.com\", or \"*.example.com\" for all names below it".into()
            }
            Self::Host { fault, .. } => fault.hint(),
            Self::Wide { .. } => {
                "name the hosts; a policy's rule may say dangerous_wide_wildcard = true".into()
            }
            Self::Port { .. } => "write a whole number from 1 to 65535".into(),
            Self::PortTwice { .. } => "name it once".into(),
            Self::PortsEmpty { .. } => {
                "leave it out (443; in a `deny` every port), or name one: ports = [443]".into()
            }
            Self::PortsMany { .. } => "name those that are needed".into(),
            Self::ProtocolMissing { .. } => {
                "add protocol = \"tls\", \"http\" or \"tcp\" (as a flag, HOST:PORT/tcp)".into()
            }
            Self::ProtocolUnknown { asked } => {
                let words = ["tls", "http", "tcp"];
                let near = match asked.as_str() {
                    "https" | "ssl" => Some("tls".into()),
                    // Near in letters, and nothing of it leaves the sandbox.
                    "udp" => None,
                    asked => nearest(asked, words.iter()),
                };
                near.map_or_else(
                    || "write `tls`, `http` or `tcp` (nothing in it is looked at)".into(),
                    |near| format!("did you mean `{near}`?"),
                )
            }
            Self::Dial { .. } => {
                "write \"192.0.2.7:8443\" or \"[2001:db8::7]:8443\", never a name".into()
            }
            Self::DialMany { .. } => "write a rule for each name that is dialled elsewhere".into(),
            Self::DialPorts { .. } => "write a rule for each port, with its `dial`".into(),
            Self::Clash { .. } => {
                "keep one: its `protocol` and its `dial` hold for every connection".into()
            }
            Self::Requests(fault) => fault.hint().into(),
            Self::Reason { .. } => "say in a line why the rule is there, or leave it out".into(),
            Self::Proxy => {
                "write \"http://HOST:PORT\" or \"socks5://HOST:PORT\", and nothing behind it".into()
            }
            Self::ProxyScheme { .. } => {
                "write \"http://HOST:PORT\" or \"socks5://HOST:PORT\"".into()
            }
            Self::ProxyUser => {
                "remove it: a policy holds no secrets, and no proxy gets one in this release".into()
            }
            Self::Publish { .. } => "write PORT or PORT:HOSTPORT, such as 3000 or 3000:8080".into(),
            Self::PublishTwice { .. } => "give one of them another: PORT:HOSTPORT".into(),
            Self::AllowWords { .. } => {
                "write HOST, HOST:PORT or HOST:PORT/tcp, such as db.example.com:5432/tcp".into()
            }
            Self::AllowBrackets => "write it as [2001:db8::1] or [2001:db8::1]:443".into(),
            Self::Contradiction { flag } => {
                format!("`none` takes every rule away, `{flag}` adds one: leave one out")
            }
        }
    }
}
