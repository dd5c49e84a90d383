//! The two proxies, for programs that look for one: HTTP and SOCKS5. They say why somebody is not let
//! through; they let nobody through who would not be otherwise.

use std::rc::Rc;

use cofferdam_plan::egress::{PROXY_PORT, SOCKS_PORT};
use cofferdam_plan::message::Way;
use cofferdam_policy::judge::hosts::Protocol;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::denial::{Denial, Side};
use crate::direct::{proxied, proxied_inside};
use crate::gate::{Asked, Carried, Gate};
use crate::head::{self, Head, Target};
use crate::inside::{Inside, NotRead};
use crate::relay;
use crate::socks::{self, METHOD_CHOSEN, METHOD_NONE, Reply, SocksFault};

/// The answer to a `CONNECT` that is let through.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A connection to the HTTP proxy: a tunnel, or requests in absolute form.
pub(crate) async fn serve(gate: Rc<Gate>, stream: TcpStream) {
    let mut inside = Inside::new(stream, &gate.crowd);
    let head = match inside.read_lines(head::parse).await {
        Ok(head) => head,
        Err(NotRead::Fault(fault)) => {
            let denial = Denial::unreadable(fault.code(), fault.to_string(), &gate.base());
            let answer = denial.answer_with(fault.status(), "a request");
            gate.refuse_nobody(Way::Proxy, PROXY_PORT, denial).await;
            return inside.end_with(&answer).await;
        }
        Err(NotRead::Late | NotRead::Gone) => return,
    };
    match head.target {
        Target::Authority(..) => tunnel(&gate, inside, &head).await,
        Target::Absolute { .. } | Target::Origin(_) | Target::Asterisk => {
            Box::pin(relay::serve(&gate, inside, relay::Asks::Absolute)).await;
        }
    }
}

async fn tunnel(gate: &Rc<Gate>, mut inside: Inside, head: &Head) {
    let (host, port) = (head.host.clone(), head.port);
    let protocol = gate.spoken(&host, port);
    let asked = Asked { way: Way::Proxy, host, port, protocol };
    let place = asked.place();
    drop(inside.take(head.length));
    if let Err((inside, denial)) = go_on(gate, inside, asked, ESTABLISHED).await {
        inside.end_with(&denial.answer(&place)).await;
    }
}

/// Lets a connection through, where the rules do, and tells the client `yes`.
async fn go_on(
    gate: &Rc<Gate>,
    mut inside: Inside,
    asked: Asked,
    yes: &[u8],
) -> Result<(), (Inside, Box<Denial>)> {
    let (mut entry, carried) = match gate.enter(&asked).await {
        Ok(entered) => entered,
        Err(denial) => return Err((inside, denial)),
    };
    // Nobody is dialled before it is known whom the client means.
    if let (Carried::Inside(rule), Protocol::Tls) = (&carried, asked.protocol) {
        if inside.stream.write_all(yes).await.is_ok() {
            proxied_inside(gate, inside, (entry, rule.clone()), &asked).await;
        }
        return Ok(());
    }
    match gate.reach(&asked, carried.rule(), &mut entry).await {
        Ok(outside) => {
            if inside.stream.write_all(yes).await.is_ok() {
                proxied(gate, inside, (entry, outside), asked).await;
            }
            Ok(())
        }
        Err(denial) => Err((inside, denial)),
    }
}

/// A connection to the SOCKS5 proxy.
pub(crate) async fn serve_socks(gate: Rc<Gate>, stream: TcpStream) {
    let mut inside = Inside::new(stream, &gate.crowd);
    let greeting = match inside.read(socks::greeting).await {
        Ok(length) => length,
        Err(NotRead::Fault(fault)) => {
            let denial = Denial::unreadable(fault.code(), fault.to_string(), &gate.base());
            gate.refuse_nobody(Way::Socks, SOCKS_PORT, denial).await;
            return match fault {
                SocksFault::Method => inside.end_with(&METHOD_NONE).await,
                SocksFault::Version
                | SocksFault::Command
                | SocksFault::Reserved
                | SocksFault::AddressType
                | SocksFault::Name(_)
                | SocksFault::Port
                | SocksFault::Denied(_) => inside.reset(),
            };
        }
        Err(NotRead::Late | NotRead::Gone) => return,
    };
    drop(inside.take(greeting));
    if inside.stream.write_all(&METHOD_CHOSEN).await.is_err() {
        return;
    }
    let request = match inside.read(socks::request).await {
        Ok(request) => request,
        Err(NotRead::Fault(fault)) => {
            let denial = Denial::unreadable(fault.code(), fault.to_string(), &gate.base());
            gate.refuse_nobody(Way::Socks, SOCKS_PORT, denial).await;
            return inside.end_with(&fault.reply().bytes()).await;
        }
        Err(NotRead::Late | NotRead::Gone) => return,
    };
    drop(inside.take(request.length));
    let protocol = gate.spoken(&request.host, request.port);
    let asked = Asked { way: Way::Socks, host: request.host, port: request.port, protocol };
    let granted = Reply::Succeeded.bytes();
    if let Err((inside, denial)) = go_on(&gate, inside, asked, &granted).await {
        inside.end_with(&reply(&denial).bytes()).await;
    }
}

fn reply(denial: &Denial) -> Reply {
    match (denial.side, denial.code) {
        (Side::Policy | Side::Asker | Side::Rate(_), _) => Reply::NotAllowed,
        (Side::Log, _) => Reply::General,
        (Side::Network(_), "refused") => Reply::Refused,
        (Side::Network(_), "no-such-name") => Reply::HostUnreachable,
        (Side::Network(_), _) => Reply::NetworkUnreachable,
    }
}
