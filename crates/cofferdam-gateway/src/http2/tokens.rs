//! The answer to a request for tokens: held whole, and written anew.

use std::future::poll_fn;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::exchange::Stop;
use super::{Broken, flow};
use crate::bearing::Bearing;
use crate::credentials::{ANSWER_BYTES_MAX, TOKENS_WITHIN, long};
use crate::fields::Field;

/// What a host says of tokens, whoever waits for it still; it has as long as in HTTP/1.
pub(super) async fn soon<T>(heard: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    match timeout(TOKENS_WITHIN, heard).await {
        Ok(heard) => heard,
        Err(_) => Err(Stop::Broken(Broken::NoAnswer)),
    }
}

/// All of a body, whoever waits for it still.
pub(super) async fn whole(
    body: &mut RecvStream,
    most: Option<u64>,
) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let most = most.unwrap_or(u64::MAX);
    let mut whole = Zeroizing::new(Vec::new());
    while let Some(bytes) = poll_fn(|task| body.poll_data(task)).await {
        let bytes = bytes.map_err(|_| Stop::Broken(Broken::NoAnswer))?;
        whole.extend_from_slice(&bytes);
        if whole.len() > ANSWER_BYTES_MAX {
            let (code, why) = long();
            return Err(Stop::Broken(Broken::Tokens(code, why)));
        }
        if u64::try_from(whole.len()).unwrap_or(u64::MAX) > most {
            return Err(Stop::Broken(Broken::ResponseTooLarge(most)));
        }
        drop(body.flow_control().release_capacity(bytes.len()));
    }
    Ok(whole)
}

/// What goes inside of it.
pub(super) async fn exchanged(
    bearing: &Bearing,
    answer: (u16, &[Field], &[u8]),
) -> Result<Bytes, Stop> {
    let read = bearing.exchanged(answer).await;
    read.map(Bytes::from).map_err(|(code, why)| Stop::Broken(Broken::Tokens(code, why)))
}

/// Passes it on.
pub(super) async fn give(to: &mut SendStream<Bytes>, body: Bytes) -> Result<(), Stop> {
    let given = flow::give(to, body, true).await;
    given.map_err(|halt| match halt {
        flow::Halt::To(reason) => Stop::Client(reason),
        flow::Halt::From(_)
        | flow::Halt::TooLarge(_)
        | flow::Halt::Content(..)
        | flow::Halt::Trailer => Stop::Client(None),
    })
}
