//! Asking an upstream proxy for a host: HTTP `CONNECT` (RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928).
//!
//! The name is sent as it was judged; the proxy resolves it. Of its answer not one byte is read beyond
//! the end: what follows is the host's.

use std::net::IpAddr;
use std::time::Duration;

use cofferdam_policy::Host;
use cofferdam_policy::network::ProxyProtocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fault::DialFault;

/// Longest answer of a proxy to `CONNECT`. Bytes, as common servers have for a request's head.
pub const PROXY_ANSWER_BYTES_MAX: usize = 8 << 10;
/// Longest wait for a proxy that has taken the connection: it resolves and dials meanwhile.
pub const PROXY_WITHIN: Duration = Duration::from_secs(20);

/// Makes `stream`, which is to a proxy, one to `port` of `host`.
pub(super) async fn ask(
    stream: &mut TcpStream,
    speaks: ProxyProtocol,
    host: &Host,
    port: u16,
) -> Result<(), DialFault> {
    let asked = async {
        match speaks {
            ProxyProtocol::Http => connect(stream, host, port).await,
            ProxyProtocol::Socks5 => socks5(stream, host, port).await,
        }
    };
    let answer = timeout(PROXY_WITHIN, asked).await;
    answer.map_err(|_elapsed| refused("it does not answer"))?
}

fn refused(why: &str) -> DialFault {
    DialFault::ProxyRefused(why.into())
}

fn gone(_: std::io::Error) -> DialFault {
    refused("it closed the connection")
}

async fn connect(stream: &mut TcpStream, host: &Host, port: u16) -> Result<(), DialFault> {
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(gone)?;
    let head = head(stream).await?;
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(code) => Err(DialFault::ProxyRefused(format!("status {code}"))),
        None => Err(refused("its answer is not HTTP")),
    }
}

/// The head of the answer, its empty line included, and not a byte more.
async fn head(stream: &mut TcpStream) -> Result<Vec<u8>, DialFault> {
    const END: &[u8] = b"\r\n\r\n";
    let mut head = Vec::new();
    let mut ahead = vec![0; PROXY_ANSWER_BYTES_MAX];
    while head.len() < PROXY_ANSWER_BYTES_MAX {
        // Look first: what is taken cannot be put back.
        let seen = stream.peek(&mut ahead).await.map_err(gone)?;
        if seen == 0 {
            return Err(refused("it closed the connection"));
        }
        let before = head.len();
        head.extend(ahead.iter().take(seen));
        let end = head.windows(END.len()).position(|bytes| bytes == END);
        let end = end.map(|at| at + END.len());
        head.truncate(end.unwrap_or(head.len()));
        let Some(taken) = ahead.get_mut(..head.len() - before) else {
            return Err(refused("its answer is too long"));
        };
        stream.read_exact(taken).await.map_err(gone)?;
        if end.is_some() {
            return Ok(head);
        }
    }
    Err(refused("its answer is too long"))
}

/// The status of an answer (RFC 9112, 4); nothing for what is written in another way.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?.strip_suffix(b"\r")?;
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let code = rest.first_chunk::<3>()?;
    let ends = rest.get(3).is_none_or(|byte| *byte == b' ');
    let digits = code.iter().all(u8::is_ascii_digit);
    // A head in which a line ends in another way, or holds a NUL, is read by others otherwise.
    let clean = !head.contains(&0) && lines_end_well(head);
    let value = || code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (ends && digits && clean).then(value)
}

fn lines_end_well(head: &[u8]) -> bool {
    let mut before = 0;
    let well = |byte: &u8| {
        let well = (*byte == b'\n') == (before == b'\r');
        before = *byte;
        well
    };
    head.iter().all(well)
}

/// `VER`; the only method that we offer is none (RFC 1928, 3).
const GREETING: [u8; 3] = [5, 1, 0];
/// `VER`, `CMD` connect, `RSV` (RFC 1928, 4).
const REQUEST: [u8; 3] = [5, 1, 0];

async fn socks5(stream: &mut TcpStream, host: &Host, port: u16) -> Result<(), DialFault> {
    stream.write_all(&GREETING).await.map_err(gone)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(gone)?;
    match chosen {
        [5, 0] => {}
        [5, _] => return Err(refused("it asks for a password")),
        _ => return Err(refused("its answer is not SOCKS 5")),
    }
    let mut request = REQUEST.to_vec();
    match host {
        Host::Address(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend(v4.octets());
        }
        Host::Address(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend(v6.octets());
        }
        Host::Name(name) => {
            let bytes = name.as_str().as_bytes();
            let length =
                u8::try_from(bytes.len()).map_err(|_long| refused("the name is too long"))?;
            request.extend([3, length]);
            request.extend(bytes);
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await.map_err(gone)?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.map_err(gone)?;
    let [version, code, reserved, kind] = reply;
    if (version, reserved) != (5, 0) {
        return Err(refused("its answer is not SOCKS 5"));
    }
    if code != 0 {
        return Err(DialFault::ProxyRefused(format!("SOCKS reply {code}")));
    }
    // The address that it dials from, which is nothing to us, and its port.
    let address_bytes = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(gone)?),
        _ => return Err(refused("its answer is not SOCKS 5")),
    };
    let mut bound = vec![0; address_bytes + 2];
    stream.read_exact(&mut bound).await.map_err(gone)?;
    Ok(())
}

#[cfg(test)]
mod tests;
