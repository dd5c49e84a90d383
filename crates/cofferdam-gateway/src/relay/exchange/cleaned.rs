//! The answer of a host that knows secrets: its body goes on plain. All of it goes at once where all has come
//! with its head; else in chunks, or to the end of the connection for who reads no chunks. Fields behind it do
//! not go on.

use std::cell::Cell;

use super::{Answer, Body, Broken, Direction, Exchanged, Fault, Sender};
use crate::fields::Field;
use crate::gate::Tally;
use crate::head::{After, Head, Version};
use crate::reply::{self, Reply};
use crate::scrub::Pairs;

/// Room for the head of a chunk: sixteen digits and the line's end.
const CHUNK_HEAD_BYTES: usize = 18;

/// What goes on.
struct Goes<'a> {
    /// The answer, until its head has gone.
    answer: Option<Answer>,
    status: &'a Cell<Option<u16>>,
    after: After,
    chunks: bool,
    /// What was cleaned, behind room for the head of a chunk.
    out: Vec<u8>,
}

impl Goes<'_> {
    /// Makes room for what is cleaned next.
    fn begin(&mut self) -> &mut Vec<u8> {
        self.out.clear();
        self.out.resize(CHUNK_HEAD_BYTES, 0);
        &mut self.out
    }

    /// In one piece what goes now, with the head where it has not gone yet: each write is a record of TLS at
    /// least, and a call of the system.
    fn next(&mut self, last: bool) -> &[u8] {
        let length = self.out.len().saturating_sub(CHUNK_HEAD_BYTES);
        let whole = last && self.answer.is_some();
        let mut from = CHUNK_HEAD_BYTES;
        if self.chunks && !whole {
            if length > 0 {
                let head = format!("{length:x}\r\n");
                from = from.saturating_sub(head.len());
                if let Some(place) = self.out.get_mut(from..CHUNK_HEAD_BYTES) {
                    place.copy_from_slice(head.as_bytes());
                }
                self.out.extend_from_slice(b"\r\n");
            }
            if last {
                self.out.extend_from_slice(b"0\r\n\r\n");
            }
        }
        if let Some(mut answer) = self.answer.take() {
            if whole {
                answer.headers.push(Field::new("Content-Length", &length.to_string()));
            } else if self.chunks {
                answer.headers.push(Field::new("Transfer-Encoding", "chunked"));
            }
            self.status.set(Some(answer.status));
            let mut first = answer.downstream(self.after);
            first.extend_from_slice(self.out.get(from..).unwrap_or_default());
            (self.out, from) = (first, 0);
        }
        self.out.get(from..).unwrap_or_default()
    }

    /// What went wrong: while the head has not gone, the client can be told.
    fn broken(&self, fault: Fault) -> Broken {
        if self.answer.is_some() { Broken::Before(fault) } else { Broken::After(fault) }
    }
}

impl Direction<'_, '_> {
    pub(super) async fn cleaned(
        &mut self,
        (head, pairs): (&Head, &Pairs),
        (mut answer, status, after): (Answer, &Cell<Option<u16>>, After),
        (tally, most): (&Tally, Option<u64>),
    ) -> Result<Exchanged, Broken> {
        let coded =
            |fault: crate::coding::CodingFault| Fault::Answer(fault.code(), fault.to_string());
        let reply = Reply::new(pairs, &answer.headers);
        let mut reply = reply.map_err(|fault| Broken::Before(coded(fault)))?;
        let mut body = Body::new(answer.framing, Sender::Answer);
        let chunks = head.version == Version::Http11;
        let after = if chunks { after } else { After::Close };
        answer.headers.retain(|field| !reply::is_of_body(field));
        let mut goes = Goes { answer: Some(answer), status, after, chunks, out: Vec::new() };
        let (mut taken, most, mut content) = (0_u64, most.unwrap_or(u64::MAX), Vec::new());
        loop {
            content.clear();
            let fed = body.feed_with(self.ahead, &mut |part| content.extend_from_slice(part));
            let fed =
                fed.map_err(|fault| goes.broken(Fault::Answer(fault.code(), fault.to_string())))?;
            self.taken(fed.taken);
            taken = taken.saturating_add(u64::try_from(fed.taken).unwrap_or(u64::MAX));
            if taken > most {
                return Err(goes.broken(Fault::TooLarge("response-too-large", most)));
            }
            let mut rest = content.as_slice();
            loop {
                let step = reply.step(rest, goes.begin());
                let step = step.map_err(|fault| goes.broken(coded(fault)))?;
                rest = rest.get(step.taken..).unwrap_or_default();
                if rest.is_empty() && !step.more {
                    break;
                }
                self.part(&mut goes, false, tally).await?;
            }
            if !body.is_done() {
                self.part(&mut goes, false, tally).await?;
                if !self.ahead.is_empty() || !self.ends(&body).await? {
                    continue;
                }
                goes.begin();
            }
            let finished = reply.finish(&mut goes.out);
            finished.map_err(|fault| goes.broken(coded(fault)))?;
            self.part(&mut goes, true, tally).await?;
            return Ok(Exchanged::Answered(after));
        }
    }

    /// Passes on what was cleaned.
    async fn part(&mut self, goes: &mut Goes<'_>, last: bool, tally: &Tally) -> Result<(), Broken> {
        match goes.next(last) {
            [] => Ok(()),
            bytes => self.give(bytes, &tally.received).await.map_err(|_| Broken::Quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Asked, parse};

    fn goes(status: &Cell<Option<u16>>, chunks: bool) -> Goes<'_> {
        let answer = parse(b"HTTP/1.1 200 OK\r\nX-Of: it\r\n\r\n", Asked::Other).unwrap();
        let after = if chunks { After::Stay } else { After::Close };
        Goes { answer, status, after, chunks, out: Vec::new() }
    }

    /// What goes on, piece by piece, of these, the last of which is the end.
    fn gone(chunks: bool, pieces: &[&str]) -> Vec<String> {
        let status = Cell::new(None);
        let mut goes = goes(&status, chunks);
        let last = pieces.len() - 1;
        let gone = pieces.iter().enumerate().map(|(at, piece)| {
            assert_eq!(status.get().is_some(), at > 0, "it is on record with its head");
            let fault = Fault::Answer("x", String::new());
            assert_eq!(matches!(goes.broken(fault), Broken::Before(_)), at == 0, "the same");
            goes.begin().extend_from_slice(piece.as_bytes());
            String::from_utf8(goes.next(at == last).to_vec()).unwrap()
        });
        gone.collect()
    }

    #[test]
    fn what_is_whole_has_a_length_and_goes_at_once() {
        let head = "HTTP/1.1 200 OK\r\nX-Of: it\r\n";
        let whole = format!("{head}Content-Length: 6\r\n\r\nhello\n");
        assert_eq!(gone(true, &["hello\n"]), [whole]);
        assert_eq!(gone(true, &[""]), [format!("{head}Content-Length: 0\r\n\r\n")]);
        let closes = format!("{head}Content-Length: 6\r\nConnection: close\r\n\r\nhello\n");
        assert_eq!(gone(false, &["hello\n"]), [closes]);
    }

    #[test]
    fn what_is_to_come_has_chunks() {
        let head = "HTTP/1.1 200 OK\r\nX-Of: it\r\n";
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        let long = "x".repeat(300);
        for (pieces, want) in [
            (vec!["a", "bc"], vec![format!("{chunked}1\r\na\r\n"), "2\r\nbc\r\n0\r\n\r\n".into()]),
            (vec!["", ""], vec![chunked.clone(), "0\r\n\r\n".into()]),
            (
                vec!["", "", long.as_str(), ""],
                vec![
                    chunked.clone(),
                    String::new(),
                    format!("12c\r\n{long}\r\n"),
                    "0\r\n\r\n".into(),
                ],
            ),
        ] {
            assert_eq!(gone(true, &pieces), want, "{pieces:?}");
        }
        let closes = format!("{head}Connection: close\r\n\r\n");
        assert_eq!(gone(false, &["a", "bc", ""]), [format!("{closes}a"), "bc".into(), "".into()]);
    }
}
