//! Asking an upstream proxy for a host: HTTP `CONNECT` (RFC 9110, 9.3.6) and SOCKS 5 (RFC 1928).
//!
//! The name is sent as it was judged; the proxy resolves it. Of its answer not one byte is read beyond
//! the end: what follows is the host's.

use std::time::Duration;

use cofferdam_policy::Host;
use cofferdam_policy::network::ProxyProtocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fault::DialFault;
use crate::answer::{self, Answer, Asked};
use crate::socks::{self, SocksFault};

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
    match answer::parse(&head, Asked::Connect) {
        Ok(Some(Answer { status: 200..=299, .. })) => Ok(()),
        Ok(Some(answer)) => Err(DialFault::ProxyRefused(format!("status {}", answer.status))),
        Ok(None) | Err(_) => Err(refused("its answer is not HTTP")),
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

async fn socks5(stream: &mut TcpStream, host: &Host, port: u16) -> Result<(), DialFault> {
    stream.write_all(&socks::OFFER).await.map_err(gone)?;
    hear(stream, 2, socks::choice).await?;
    stream.write_all(&socks::ask(host, port)).await.map_err(gone)?;
    hear(stream, 4, socks::granted).await
}

/// Reads what every message begins with, `first` bytes, and then until `parse` has a whole one, and not a
/// byte more.
async fn hear(
    stream: &mut TcpStream,
    first: usize,
    parse: fn(&[u8]) -> Result<Option<usize>, SocksFault>,
) -> Result<(), DialFault> {
    let mut bytes = vec![0; first];
    stream.read_exact(&mut bytes).await.map_err(gone)?;
    loop {
        match parse(&bytes) {
            // A message has at most [`socks::REQUEST_BYTES_MAX`].
            Ok(None) => bytes.push(stream.read_u8().await.map_err(gone)?),
            Ok(Some(_)) => return Ok(()),
            Err(SocksFault::Method) => return Err(refused("it asks for a password")),
            Err(SocksFault::Denied(code)) => {
                return Err(DialFault::ProxyRefused(format!("SOCKS reply {code}")));
            }
            Err(
                SocksFault::Version
                | SocksFault::Command
                | SocksFault::Reserved
                | SocksFault::AddressType
                | SocksFault::Name(_)
                | SocksFault::Port,
            ) => return Err(refused("its answer is not SOCKS 5")),
        }
    }
}

#[cfg(test)]
mod tests;
