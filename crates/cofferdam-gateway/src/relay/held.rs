//! What a rule asks of a request's body, and the body itself where it is held until that is known.

use cofferdam_policy::judge::requests::{Request, Requests};
use tokio::io::AsyncWriteExt;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::exchange::{Broken, Fault};
use crate::body::{Body, Framing};
use crate::content::{Content, late};
use crate::fields::lists;
use crate::gate::{Gate, Granted};
use crate::graphql::BODY_BYTES_MAX;
use crate::head::Head;
use crate::http2::WHOLE_WITHIN;
use crate::inside::Inside;

/// Longest body that is held with what frames it: chunks of a byte each are no request of anybody's.
const HELD_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;

/// One request's body.
pub(super) struct Held<'a> {
    rule: &'a Requests,
    content: Content,
    request: Request<'a>,
    /// All of it, as it came, where it was held, and its place until it has gone.
    whole: Option<(Vec<u8>, SemaphorePermit<'a>)>,
}

impl<'a> Held<'a> {
    /// Before the first byte.
    pub(super) fn new(rule: &'a Granted, request: Request<'a>) -> Self {
        let rule = &rule.requests;
        Self { rule, content: Content::of(rule, &request), request, whole: None }
    }

    /// Takes all of it where it is held: nothing of the request goes on before.
    pub(super) async fn take(
        &mut self,
        gate: &'a Gate,
        inside: &mut Inside,
        head: &Head,
    ) -> Result<(), Broken> {
        if !self.content.holds() {
            return Ok(());
        }
        let held = async {
            let place = gate.room.whole.acquire().await.map_err(|_| Broken::Quiet)?;
            self.take_all(inside, head).await.map(|whole| self.whole = Some((whole, place)))
        };
        timeout(WHOLE_WITHIN, held).await.unwrap_or_else(|_| {
            let (code, why) = late();
            Err(Broken::Before(Fault::Content(code, why)))
        })
    }

    async fn take_all(&mut self, inside: &mut Inside, head: &Head) -> Result<Vec<u8>, Broken> {
        if lists(&head.headers, "expect", "100-continue") && head.framing != Framing::None {
            // It waits for a word that the host cannot give yet, and need not any more.
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            inside.stream.write_all(go_on).await.map_err(|_| Broken::Quiet)?;
            inside.stream.flush().await.map_err(|_| Broken::Quiet)?;
        }
        let (mut body, mut whole) = (Body::ruled(head.framing, self.rule), Vec::new());
        while !body.is_done() {
            if inside.ahead.is_empty() && !matches!(inside.more().await, Ok(1..)) {
                return Err(Broken::Quiet);
            }
            let fed = self.feed(&mut body, &inside.ahead)?;
            whole.extend(inside.take(fed));
            if whole.len() > HELD_BYTES_MAX {
                let most = u64::try_from(HELD_BYTES_MAX).unwrap_or(u64::MAX);
                return Err(Broken::Before(Fault::TooLarge("request-too-large", most)));
            }
        }
        self.content
            .end(&self.request)
            .map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
        Ok(whole)
    }

    /// All of it, where it was held.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.whole.as_ref().map(|(whole, _)| whole.as_slice())
    }

    /// All of it has gone on; another one may be held.
    pub(super) fn gone(&mut self) {
        self.whole = None;
    }

    /// How many of the bytes that come next belong to it, and may go on.
    pub(super) fn feed(&mut self, body: &mut Body<'_>, bytes: &[u8]) -> Result<usize, Broken> {
        let mut unread = Ok(());
        let content = &mut self.content;
        let mut hears = |piece: &[u8]| {
            if unread.is_ok() {
                unread = content.feed(piece);
            }
        };
        let fed = body.feed_with(bytes, &mut hears);
        let fed =
            fed.map_err(|fault| Broken::Before(Fault::Body(fault.code(), fault.to_string())))?;
        unread.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
        Ok(fed.taken)
    }

    /// What is put on record of it.
    pub(super) fn shown(&self) -> Option<String> {
        self.content.shown()
    }
}
