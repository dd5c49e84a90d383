//! Answers of HTTP/1.1 that take a while, or that say more than an answer: `/sink` (how much came, and
//! its SHA-256), `/pattern/BYTES`, `/events`, `/trailers`, `/hints`, `/ws` (a WebSocket; `/ws-told`
//! says the request's key first, `/ws-deflate` agrees to compress, `/ws-deflates` unasked), `/ws-heard` (what WebSockets were told).

use std::io::{Read, Result, Write};
use std::time::Duration;

use super::{Then, header, whole};
use crate::internet::log::Request;
use crate::internet::pattern::Pattern;
use crate::internet::websocket;

/// How many `/events` sends, and how long after another.
pub const EVENTS: u32 = 4;
pub const EVENT_EACH: Duration = Duration::from_millis(120);

/// An event, with the moment at which it is sent.
pub fn event(number: u32) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    format!("id: {number}\ndata: {now:.6}\n\n")
}

fn chunk(to: &mut impl Write, text: &str) -> Result<()> {
    write!(to, "{:x}\r\n{text}\r\n", text.len())
}

/// What comes after it, where the target is one of these.
pub fn serve(request: &Request, from: &mut impl Read, to: &mut impl Write) -> Result<Option<Then>> {
    let path = request.target.split('?').next().unwrap_or_default();
    match path {
        "/sink" => whole(to, "200 OK", "text/plain", &request.body)?,
        "/events" => {
            let head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked";
            write!(to, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n")?;
            for number in 0..EVENTS {
                chunk(to, &event(number))?;
                std::thread::sleep(EVENT_EACH);
            }
            to.write_all(b"0\r\n\r\n")?;
        }
        "/trailers" => {
            let head = "Trailer: X-Last\r\nTransfer-Encoding: chunked";
            write!(to, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n")?;
            chunk(to, "trailed\n")?;
            write!(to, "0\r\nX-Last: yes\r\n{}\r\n", request.trailers)?;
        }
        "/hints" => {
            to.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")?;
            std::thread::sleep(Duration::from_millis(50));
            whole(to, "200 OK", "text/plain", b"hinted\n")?;
        }
        "/ws-heard" => whole(to, "200 OK", "text/plain", &websocket::heard())?,
        "/ws" | "/ws-told" | "/ws-deflate" | "/ws-deflates" => {
            let key = header(&request.head, "sec-websocket-key").next().unwrap_or_default();
            let accept = websocket::accept(key);
            let head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept";
            // One agrees to what is offered, one also to what nobody did.
            let offered = header(&request.head, "sec-websocket-extensions").next().is_some();
            let agrees = match (path, offered) {
                ("/ws-deflate", true) | ("/ws-deflates", _) => {
                    "\r\nSec-WebSocket-Extensions: permessage-deflate"
                }
                (_, _) => "",
            };
            write!(to, "HTTP/1.1 101 Switching Protocols\r\n{head}: {accept}{agrees}\r\n\r\n")?;
            if path == "/ws-told" {
                let how = request.target.split_once('?').map_or("", |(_, how)| how);
                let told = header(&request.head, "x-api-key").next().unwrap_or_default();
                websocket::tell(told.as_bytes(), how, to)?;
            }
            websocket::serve(from, to)?;
            return Ok(Some(Then::Close));
        }
        _ => {
            let Some(size) = path.strip_prefix("/pattern/").and_then(|size| size.parse().ok())
            else {
                return Ok(None);
            };
            write!(to, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
            Pattern::of(size).pour(to)?;
        }
    }
    Ok(Some(Then::Next))
}
