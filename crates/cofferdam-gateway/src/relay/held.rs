//! What a rule asks of a request's body, and the body itself where it is held until that is known.

use cofferdam_policy::judge::requests::{Request, Requests};
use tokio::io::AsyncWriteExt;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::exchange::{Broken, Fault};
use crate::bearing::Bearing;
use crate::body::{Body, Framing};
use crate::content::{Content, late};
use crate::fields::{Field, lists};
use crate::gate::{Gate, Granted};
use crate::head::Head;
use crate::http2::WHOLE_WITHIN;
use crate::inside::Inside;

/// One request's body.
pub(super) struct Held<'a> {
    rule: &'a Requests,
    content: Content,
    bearing: &'a Bearing,
    /// All of it, as it goes on, where it was held, and its place until it has gone.
    whole: Option<(Zeroizing<Vec<u8>>, SemaphorePermit<'a>)>,
    /// Its length, where it goes on as another one than came. Bytes.
    length: Option<usize>,
}

impl<'a> Held<'a> {
    /// Before the first byte of a request with this head.
    pub(super) fn new(
        (rule, bearing): (&'a Granted, &'a Bearing),
        request: &Request<'_>,
        fields: &[Field],
    ) -> Result<Self, Broken> {
        let rule = &rule.requests;
        let content = Content::of(rule, request, (bearing, fields));
        let content = content.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
        Ok(Self { rule, content, bearing, whole: None, length: None })
    }

    /// Takes all of it where it is held: nothing of the request goes on before.
    pub(super) async fn take(
        &mut self,
        gate: &'a Gate,
        inside: &mut Inside,
        (head, request): (&Head, &Request<'_>),
    ) -> Result<(), Broken> {
        if !self.content.holds() {
            return Ok(());
        }
        let held = async {
            let place = gate
                .room
                .whole
                .acquire_many(self.content.places())
                .await
                .map_err(|_| Broken::Quiet)?;
            self.take_all(inside, (head, request))
                .await
                .map(|whole| self.whole = Some((whole, place)))
        };
        timeout(WHOLE_WITHIN, held).await.unwrap_or_else(|_| {
            let (code, why) = late();
            Err(Broken::Before(Fault::Content(code, why)))
        })
    }

    async fn take_all(
        &mut self,
        inside: &mut Inside,
        (head, request): (&Head, &Request<'_>),
    ) -> Result<Zeroizing<Vec<u8>>, Broken> {
        if lists(&head.headers, "expect", "100-continue") && head.framing != Framing::None {
            // It waits for a word that the host cannot give yet, and need not any more.
            let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
            inside.stream.write_all(go_on).await.map_err(|_| Broken::Quiet)?;
            inside.stream.flush().await.map_err(|_| Broken::Quiet)?;
        }
        let (mut body, mut whole) = (self.body(head.framing), Vec::new());
        // With what frames it: chunks of a byte each are no request of anybody's.
        let longest = self.content.most().saturating_mul(2);
        while !body.is_done() {
            if inside.ahead.is_empty() && !matches!(inside.more().await, Ok(1..)) {
                return Err(Broken::Quiet);
            }
            let fed = self.feed(&mut body, &inside.ahead)?;
            whole.extend(inside.take(fed));
            if whole.len() > longest {
                let most = u64::try_from(longest).unwrap_or(u64::MAX);
                return Err(Broken::Before(Fault::TooLarge("request-too-large", most)));
            }
        }
        let other = self.content.end((self.rule, request), self.bearing);
        let other = other.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
        self.length = other.as_ref().map(|other| other.len());
        Ok(other.unwrap_or_else(|| Zeroizing::new(whole)))
    }

    /// It, before the first byte: where something is looked for nothing stands behind it.
    pub(super) fn body(&self, framing: Framing) -> Body<'a> {
        let body = Body::ruled(framing, self.rule);
        if self.bearing.searches() { body.bare() } else { body }
    }

    /// All of it, where it was held.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        self.whole.as_ref().map(|(whole, _)| whole.as_slice())
    }

    /// All of it has gone on; another one may be held.
    pub(super) fn gone(&mut self) {
        self.whole = None;
    }

    /// Its length, where it goes on as another one than came. Bytes.
    pub(super) const fn length(&self) -> Option<usize> {
        self.length
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
        if unread.is_ok() && fed.done && !self.content.holds() {
            unread = self.content.last();
        }
        unread.map_err(|(code, why)| Broken::Before(Fault::Content(code, why)))?;
        Ok(fed.taken)
    }

    /// What is put on record of it.
    pub(super) fn shown(&self) -> Option<String> {
        self.content.shown()
    }
}
