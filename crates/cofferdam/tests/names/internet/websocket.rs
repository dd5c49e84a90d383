//! A WebSocket server (RFC 6455) that sends back what it is sent, frame by frame.

use std::io::{Error, Read, Result, Write};
use std::sync::{Mutex, PoisonError};

/// What a key is answered with (RFC 6455, 4.2.2).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// No longer frame is taken.
const FRAME_MAX: u64 = 16 << 20;
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `Sec-WebSocket-Accept` for a key.
pub fn accept(key: &str) -> String {
    let text = format!("{key}{GUID}");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64(digest.as_ref())
}

/// Payloads that were read since somebody asked, whatever is missing of them.
static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What was heard since the last time.
pub fn heard() -> Vec<u8> {
    std::mem::take(&mut HEARD.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Says something: in one frame, in two with a ping between, in base64, in a ping; or in numbers of HTML.
pub fn tell(what: &[u8], how: &str, to: &mut impl Write) -> Result<()> {
    if how == "escaped" {
        let all: String = what.iter().map(|byte| format!("&#{byte};")).collect();
        let size = u16::try_from(all.len()).map_err(Error::other)?;
        to.write_all(&[&[0x81, 126][..], &size.to_be_bytes(), all.as_bytes()].concat())?;
        return Ok(());
    }
    let half = what.len() / 2;
    let coded = base64(what);
    for (first, body) in [
        (0x81, what),
        (0x01, &what[..half]),
        (0x89, b"between"),
        (0x80, &what[half..]),
        (0x82, coded.as_bytes()),
        (0x89, what),
    ] {
        let size = u8::try_from(body.len()).map_err(Error::other)?;
        to.write_all(&[&[first, size][..], body].concat())?;
        to.flush()?;
    }
    Ok(())
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= three.len() { digit.into() } else { '=' });
        }
    }
    out
}

/// Sends frames back until the other side closes; whatever is no frame of a client's ends it.
pub fn serve(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    loop {
        let mut head = [0; 2];
        from.read_exact(&mut head)?;
        if head[0] & 0x70 != 0 || head[1] & 0x80 == 0 {
            return Err(Error::other("no frame of a client's"));
        }
        let size = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(take(from)?)),
            127 => u64::from_be_bytes(take(from)?),
            size => size.into(),
        };
        let mask: [u8; 4] = take(from)?;
        let mut body = Vec::new();
        from.take(size.min(FRAME_MAX)).read_to_end(&mut body)?;
        for (at, byte) in body.iter_mut().enumerate() {
            *byte ^= mask[at % 4];
        }
        HEARD.lock().unwrap_or_else(PoisonError::into_inner).extend(&body);
        // A ping is answered with a pong, all else with itself.
        let kind = if head[0] & 0x0f == 9 { head[0] & 0xf0 | 10 } else { head[0] };
        let mut frame = vec![kind];
        match u16::try_from(body.len()) {
            Ok(size @ 0..126) => frame.push(size.to_be_bytes()[1]),
            Ok(size) => {
                frame.push(126);
                frame.extend(size.to_be_bytes());
            }
            Err(_) => {
                frame.push(127);
                frame.extend((body.len() as u64).to_be_bytes());
            }
        }
        frame.extend(body);
        to.write_all(&frame)?;
        if kind & 0x0f == 8 {
            return Ok(());
        }
    }
}

fn take<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_key_is_answered_as_the_standard_says() {
    assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}
