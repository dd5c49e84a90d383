//! The answer to a request for tokens: held whole, and written anew.

use std::cell::Cell;

use zeroize::Zeroizing;

use super::{Answer, Body, Broken, Direction, Exchanged, Fault, Sender};
use crate::bearing::Bearing;
use crate::body::Framing;
use crate::credentials::{ANSWER_BYTES_MAX, long};
use crate::fields::Field;
use crate::gate::Tally;
use crate::head::After;
use crate::reply;

impl Direction<'_, '_> {
    pub(super) async fn tokens(
        &mut self,
        bearing: &Bearing,
        (mut answer, status, after): (Answer, &Cell<Option<u16>>, After),
        (tally, most): (&Tally, Option<u64>),
    ) -> Result<Exchanged, Broken> {
        let raw = self.whole(answer.framing, most).await?;
        let body = bearing.exchanged((answer.status, &answer.headers, &raw)).await;
        let body = body.map_err(|(code, why)| Broken::Before(Fault::Answer(code, why)))?;
        answer.headers.retain(reply::stays_with_tokens);
        answer.headers.push(Field::new("Content-Length", &body.len().to_string()));
        status.set(Some(answer.status));
        let mut whole = answer.downstream(after);
        whole.extend_from_slice(&body);
        self.give(&whole, &tally.received).await.map_err(|_| Broken::Quiet)?;
        Ok(Exchanged::Answered(after))
    }

    /// All of a body.
    async fn whole(
        &mut self,
        framing: Framing,
        most: Option<u64>,
    ) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let most = most.unwrap_or(u64::MAX);
        let (mut body, mut whole) =
            (Body::new(framing, Sender::Answer), Zeroizing::new(Vec::new()));
        loop {
            let fed = body.feed_with(self.ahead, &mut |part| whole.extend_from_slice(part));
            let fed = fed
                .map_err(|fault| Broken::Before(Fault::Answer(fault.code(), fault.to_string())))?;
            self.taken(fed.taken);
            if whole.len() > ANSWER_BYTES_MAX {
                let (code, why) = long();
                return Err(Broken::Before(Fault::Answer(code, why)));
            }
            if u64::try_from(whole.len()).unwrap_or(u64::MAX) > most {
                return Err(Broken::Before(Fault::TooLarge("response-too-large", most)));
            }
            if body.is_done() || (self.ahead.is_empty() && self.ends(&body).await?) {
                return Ok(whole);
            }
        }
    }
}
