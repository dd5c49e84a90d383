//! The second trial: a sandbox whose policy lets one name through, seen from outside and inside.
//!
//! The host of that name is a listener of the doctor's own, so nothing here asks the Internet.

use std::io::{self, PipeReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use cofferdam_plan::egress::PROXY_PORT;
use cofferdam_plan::synthetic::{GATEWAY_V4, pair};
use rustix::event::{PollFd, PollFlags, poll};

use super::inside::connect;
use super::probe::tell;
use super::trial::{Errand, Place, Trial, send};
use crate::engine::Engine;
use crate::refused::Refused;

/// The name that the policy lets through, and one that it does not (RFC 2606, 3: nobody's).
const ALLOWED: &str = "allowed.cofferdam.example";
const DENIED: &str = "denied.cofferdam.example";
/// The port of the allowed name: not one of those that every gateway hears on.
const PORT: u16 = 7;
/// What its host says.
pub(super) const WORD: &str = "heard";
/// Longer than an answer of the gateway takes on a busy machine: each is a few wake-ups.
const WITHIN: Duration = Duration::from_secs(1);
/// Longer than the workload takes when one of its acts hangs, shorter than when all do.
const PATIENCE: Duration = Duration::from_secs(4);
/// Longer than any answer: a denial with its reasons. Bytes.
const ANSWER_BYTES_MAX: u64 = 16 << 10;
/// More callers than one trial has.
const CALLERS_MAX: usize = 16;
/// Port of a name server, and what a question is made of (RFC 1035, 4.1): an id, one question with
/// recursion desired, type A, class IN.
const LOOKUPS_PORT: u16 = 53;
const QUESTION_ID: [u8; 2] = [0xC0, 0xFF];
const QUESTION_HEAD: [u8; 10] = [0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
const QUESTION_TAIL: [u8; 5] = [0, 0, 1, 0, 1];

/// Runs it, at a place that its owner has already.
///
/// # Errors
/// What `run --allow` would refuse here, or a fault of the place.
pub(super) fn hold(place: &Place, engine: &Engine) -> Result<Trial, Refused> {
    let failed = |doing: &'static str| move |source| Refused::Diagnosis { doing, source };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed("listen on the loopback"))?;
    let port = listener.local_addr().map_err(failed("listen on the loopback"))?.port();
    let errand = Errand {
        policy: format!(
            "version = 1\n[[network.allow]]\nhost = \"{ALLOWED}\"\nports = [{PORT}]\n\
             protocol = \"tcp\"\ndial = \"127.0.0.1:{port}\"\n"
        ),
        grants: Vec::new(),
        words: vec!["way-out".into(), port.to_string().into()],
        patience: PATIENCE,
    };
    let (ends, end) = io::pipe().map_err(failed("make a pipe"))?;
    let (heard, came) = std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, &ends));
        // Without a wall first.
        let heard = hear(loopback(port)).is_ok_and(|word| word == WORD);
        let came = send(place, engine, errand);
        drop(end);
        (heard, came)
    });
    let (fault, inside) = came?;
    let needs = ["allowed-direct", "allowed-proxied", "host-loopback", "host-proxied"];
    let no_control = if heard { Vec::new() } else { needs.into() };
    Ok(Trial { fault, inside, outside: Vec::new(), no_control, leaked: false })
}

/// The host of the allowed name: says its word to everybody, until `end` is closed.
fn serve(listener: &TcpListener, end: &PipeReader) {
    for _ in 0..CALLERS_MAX {
        let mut either =
            [PollFd::new(listener, PollFlags::IN), PollFd::new(end, PollFlags::empty())];
        let waited = poll(&mut either, None);
        let [called, _] = &either;
        if waited.is_err() || !called.revents().contains(PollFlags::IN) {
            return;
        }
        // Who has gone away again does not hear it.
        let told = listener.accept().and_then(|(mut stream, _)| stream.write_all(WORD.as_bytes()));
        told.unwrap_or(());
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Tries everything, inside.
pub(super) fn answer(port: &str) {
    let port = port.parse().unwrap_or_default();
    // The first name of a policy has the first addresses.
    let direct = pair(0).ok_or(io::Error::from(io::ErrorKind::NotFound));
    tell("allowed-direct", direct.and_then(|(v4, _)| hear((v4, PORT).into())));
    tell("allowed-proxied", ask_proxy(&format!("{ALLOWED}:{PORT}")));
    tell("denied-proxied", ask_proxy(&format!("{DENIED}:443")));
    tell("host-proxied", ask_proxy(&loopback(port).to_string()));
    tell("allowed-lookup", look_up(ALLOWED));
    tell("denied-lookup", look_up(DENIED));
    tell("host-loopback", connect(port).map(|()| ""));
}

/// All that whoever is at `at` says of itself.
fn hear(at: SocketAddr) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&at, WITHIN)?;
    Ok(one_line(&read_all(&stream)?))
}

fn read_all(stream: &TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(WITHIN))?;
    let mut said = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// As it can stand in an answer.
fn one_line(text: &str) -> String {
    text.replace('\r', "").replace(['\n', '\t'], " ")
}

/// Asks the proxy for a tunnel (RFC 9110, 9.3.6): the status, and the reason of a denial or what came
/// through the tunnel.
fn ask_proxy(authority: &str) -> io::Result<String> {
    let at = (GATEWAY_V4, PROXY_PORT).into();
    let mut stream = TcpStream::connect_timeout(&at, WITHIN)?;
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let said = read_all(&stream)?;
    let (head, rest) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    let status = head.split(' ').nth(1).unwrap_or("no status");
    let reason = head.lines().find_map(|line| line.strip_prefix("X-Cofferdam: "));
    Ok(one_line(&format!("{status} {}", reason.unwrap_or(rest))))
}

/// Asks for the IPv4 address of `name`: that, or the code of the answer (RFC 1035, 4.1.1).
fn look_up(name: &str) -> io::Result<String> {
    let mut question = [&QUESTION_ID[..], &QUESTION_HEAD].concat();
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).map_err(io::Error::other)?);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&QUESTION_TAIL);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((GATEWAY_V4, LOOKUPS_PORT))?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.send(&question)?;
    let mut space = [0; 512];
    let length = socket.recv(&mut space)?;
    let said = space.get(..length).unwrap_or_default();
    let [first, second, _, codes, _, _, _, answers, ..] = said else {
        return Ok("no answer to a question".into());
    };
    if [*first, *second] != QUESTION_ID {
        return Ok("the answer to another question".into());
    }
    // The address of the only record is what the message ends with.
    Ok(match (codes & 0x0F, answers, said.last_chunk::<4>()) {
        (0, 1, Some(address)) => Ipv4Addr::from(*address).to_string(),
        (code, answers, _) => format!("code {code}, {answers} answers"),
    })
}
