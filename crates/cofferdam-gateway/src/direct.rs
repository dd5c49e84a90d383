//! Connections to an address that stands for a host, and what all connections have in common once it
//! is known for whom they are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

use cofferdam_plan::egress::Family;
use cofferdam_plan::message::Way;
use cofferdam_policy::judge::hosts::{Host, Protocol};
use cofferdam_policy::model::Clause;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::denial::{Denial, Side};
use crate::gate::{Asked, Carried, Entry, Gate, Granted, add};
use crate::hello::{self, Ech, Hello, alert};
use crate::inside::{Inside, NotRead};
use crate::stream::Stream;
use crate::{inspect, relay, tunnel};

/// Descriptions of alerts (RFC 8446, 6): no access, and a name that nobody has here.
const ACCESS_DENIED: u8 = 49;
const UNRECOGNIZED_NAME: u8 = 112;
const DECODE_ERROR: u8 = 50;
const INTERNAL_ERROR: u8 = 80;

/// A connection that a program made as if there were no gateway.
pub(crate) async fn serve(gate: Rc<Gate>, stream: TcpStream) {
    let inside = Inside::new(stream, &gate.crowd);
    let Ok(destination) = inside.destination() else { return };
    if is_own(destination.ip()) {
        // The workload's own: nothing of it listens there.
        return inside.reset();
    }
    let (host, port) = (gate.named(destination.ip()), destination.port());
    let protocol = gate.spoken(&host, port);
    let asked = Asked { way: Way::Direct, host, port, protocol };
    match protocol {
        Protocol::Tls => tls(&gate, inside, &asked).await,
        Protocol::Http => {
            Box::pin(relay::serve(&gate, inside, relay::Asks::Origin(asked))).await;
        }
        Protocol::Tcp => match gate.open(&asked).await {
            Ok((entry, outside)) => carry(&gate, inside, outside, (entry, &asked)).await,
            Err(_) => inside.reset(),
        },
    }
}

/// Addresses at which the workload's own servers are, whatever stands for names.
fn is_own(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_loopback() || address.is_unspecified()
}

async fn tls(gate: &Rc<Gate>, mut inside: Inside, asked: &Asked) {
    let clause =
        gate.judge(asked).map_or_else(|denial| denial.clause, |to| to.rule().clause.clone());
    match hello_for(&mut inside, asked, &clause).await {
        Ok(()) => match gate.enter(asked).await {
            Ok((entry, Carried::Inside(rule))) => {
                // What looks inside is large: a tunnel has no room for it, which it would leave torn.
                Box::pin(inspect::serve(gate, inside, (asked, &rule), entry)).await;
            }
            Ok((mut entry, Carried::Opaque(rule))) => {
                match gate.reach(asked, &rule, &mut entry).await {
                    Ok(outside) => carry(gate, inside, outside, (entry, asked)).await,
                    Err(denial) => inside.end_with(&alert(description(&denial))).await,
                }
            }
            Err(denial) => inside.end_with(&alert(description(&denial))).await,
        },
        Err(NotJudged::Gone) => {}
        Err(NotJudged::Denied(found, description)) => {
            // What the rules say of the host comes first: it is what a person can change.
            let denial = match gate.judge(asked) {
                Err(unwanted) if found.code != "name-mismatch" => *unwanted,
                Ok(_) | Err(_) => *found,
            };
            gate.refuse(asked, denial).await;
            inside.end_with(&alert(description)).await;
        }
    }
}

const fn description(denial: &Denial) -> u8 {
    match denial.side {
        Side::Policy | Side::Asker | Side::Rate(_) => ACCESS_DENIED,
        Side::Network(_) | Side::Log => INTERNAL_ERROR,
    }
}

/// Why a ClientHello does not pass, and the alert that says so.
pub(crate) enum NotJudged {
    Denied(Box<Denial>, u8),
    /// The connection ended before there was one.
    Gone,
}

/// Reads the ClientHello, which stays where it was read to, and compares its name with whom the
/// connection is for.
pub(crate) async fn hello_for(
    inside: &mut Inside,
    asked: &Asked,
    clause: &Clause,
) -> Result<(), NotJudged> {
    let not = |code, why: String, description| {
        let mut denial = Denial::spoken(code, why, clause);
        if let Some(fix) = fix(code) {
            denial.fix = fix.into();
        }
        Err(NotJudged::Denied(Box::new(denial), description))
    };
    match inside.read(hello::read).await {
        Ok(hello) => match mismatch(&hello, &asked.host) {
            None => Ok(()),
            Some((code, why)) => not(code, why, UNRECOGNIZED_NAME),
        },
        Err(NotRead::Fault(fault)) => not(fault.code(), fault.to_string(), fault.alert()),
        Err(NotRead::Late) => {
            let why = "no ClientHello came in time: is it TLS that is spoken?".into();
            not("tls-late", why, DECODE_ERROR)
        }
        Err(NotRead::Gone) => Err(NotJudged::Gone),
    }
}

/// What helps who means what he does, where the ClientHello cannot be judged.
fn fix(code: &str) -> Option<&'static str> {
    match code {
        "ech" => Some(
            "switch Encrypted ClientHello off in the client; or, to look at nothing, in that rule: \
             protocol = \"tcp\"",
        ),
        "no-name" | "tls-none" | "tls-late" => {
            Some("if it is meant, in that rule: protocol = \"tcp\", which looks at nothing")
        }
        _ => None,
    }
}

/// What in a ClientHello is not for `host`.
fn mismatch(hello: &Hello, host: &Host) -> Option<(&'static str, String)> {
    if hello.ech == Ech::Present {
        let why = "the ClientHello may hide another name (ECH)";
        return Some(("ech", why.into()));
    }
    match (host, &hello.server_name) {
        (Host::Name(host), Some(name)) if name == host => None,
        (Host::Address(_), None) => None,
        (Host::Name(_), None) => Some(("no-name", "the ClientHello names no host".into())),
        (host, Some(name)) => {
            let why = format!("the ClientHello is for {name}, the connection for {host}");
            Some(("name-mismatch", why))
        }
    }
}

/// Both directions, beginning with what was read ahead, for as long as the rules allow it: they may be
/// replaced meanwhile.
pub(crate) async fn carry(
    gate: &Gate,
    inside: Inside,
    mut outside: TcpStream,
    (mut entry, asked): (Entry, &Asked),
) {
    let (Stream::Plain(mut inside), first, _crowd) = inside.into_parts() else { return };
    let unwanted = {
        let carried = async {
            if !first.is_empty() {
                outside.write_all(&first).await?;
                add(&entry.tally.sent, first.len());
            }
            drop(first);
            tunnel::carry_plain(&mut inside, &mut outside, &entry.tally).await
        };
        tokio::select! {
            // How it ended is between the two of them.
            _ended = carried => None,
            denial = unwanted(gate, asked, entry.to()) => Some(denial),
        }
    };
    if let Some(denial) = unwanted {
        entry.set(&denial);
    }
}

/// Waits until rules hold that do not allow this connection as it is.
async fn unwanted(
    gate: &Gate,
    asked: &Asked,
    (dial, address): (Option<SocketAddr>, Option<SocketAddr>),
) -> Denial {
    let mut replacements = gate.rules.replacements();
    loop {
        match gate.judge(asked) {
            // The rules may have been replaced while it was dialled.
            Ok(Carried::Opaque(rule)) if rule.dial == dial && gate.may_go_to(&rule, address) => {}
            Ok(Carried::Opaque(rule)) => {
                let why = "the rules were replaced, and lead to another address now";
                return Denial::spoken("rules-replaced", why, &rule.clause);
            }
            Ok(Carried::Inside(rule)) => {
                let why = "the rules were replaced, and look into such connections now";
                return Denial::spoken("rules-replaced", why, &rule.clause);
            }
            Err(denial) => return denial.since_replaced(),
        }
        if replacements.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Goes on with a connection that a proxy has opened, and that nobody looks into: `outside` is connected,
/// and the client has been told so.
pub(crate) async fn proxied(
    gate: &Rc<Gate>,
    mut inside: Inside,
    (mut entry, outside): (Entry, TcpStream),
    asked: Asked,
) {
    match asked.protocol {
        Protocol::Tcp => carry(gate, inside, outside, (entry, &asked)).await,
        Protocol::Http => {
            let asks = relay::Asks::Opened(asked, Box::new(entry), outside);
            Box::pin(relay::serve(gate, inside, asks)).await;
        }
        Protocol::Tls => match hello_of(&mut inside, &asked, &mut entry).await {
            Ok(()) => carry(gate, inside, outside, (entry, &asked)).await,
            Err(alert) => {
                // Nothing has gone out on it.
                drop(outside);
                drop(entry);
                end(inside, alert).await;
            }
        },
    }
}

/// Goes on with a connection that a proxy has let through, to look into it.
pub(crate) async fn proxied_inside(
    gate: &Rc<Gate>,
    mut inside: Inside,
    (mut entry, rule): (Entry, Granted),
    asked: &Asked,
) {
    match hello_of(&mut inside, asked, &mut entry).await {
        Ok(()) => Box::pin(inspect::serve(gate, inside, (asked, &rule), entry)).await,
        Err(alert) => {
            drop(entry);
            end(inside, alert).await;
        }
    }
}

/// Reads the ClientHello of a connection that has its place in the log. What is wrong with it is set
/// there; the alert says so to the client, where there is one still.
async fn hello_of(inside: &mut Inside, asked: &Asked, entry: &mut Entry) -> Result<(), Option<u8>> {
    let clause = entry.clause().clone();
    hello_for(inside, asked, &clause).await.map_err(|not| match not {
        NotJudged::Gone => None,
        NotJudged::Denied(denial, description) => {
            entry.set(&denial);
            Some(description)
        }
    })
}

/// Ends with an alert, where there is somebody to hear it.
async fn end(inside: Inside, description: Option<u8>) {
    if let Some(description) = description {
        inside.end_with(&alert(description)).await;
    }
}

/// Where a published server is, seen from inside.
pub(crate) const fn published(family: Family, port: u16) -> SocketAddr {
    let loopback = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(loopback, port)
}
