//! A connection that has become a WebSocket, and stays one.

use std::cell::Cell;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::frames::{Deflate, FrameFault, Frames, Side};
use crate::gate::{Tally, add};
use crate::stream::Stream;

/// What is read at a time. Bytes.
const PIECE_BYTES: usize = 16 << 10;
/// How long the other side may take to say its `Close` once one has ended (RFC 6455, 7.1.1).
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// How it ended, where that was not by both sides.
pub(super) enum Ended {
    /// One of them has said something else.
    Fault(FrameFault),
    /// One of them is gone.
    Gone,
}

impl From<std::io::Error> for Ended {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Carries frames in both directions, beginning with what was read of them.
pub(super) async fn carry(
    (client, host): (&mut Stream, &mut Stream),
    (early, first): (&mut Vec<u8>, &mut Vec<u8>),
    deflate: Deflate,
    tally: &Tally,
) -> Result<(), Ended> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_host, to_host) = tokio::io::split(host);
    let asks = Frames::new(Side::Client, deflate);
    let answers = Frames::new(Side::Server, deflate);
    let out = one_way((from_client, to_host), early, asks, &tally.sent);
    let back = one_way((from_host, to_client), first, answers, &tally.received);
    tokio::pin!(out, back);
    tokio::select! {
        done = &mut out => {
            done?;
            timeout(CLOSE_WITHIN, back).await.unwrap_or(Err(Ended::Gone))
        }
        done = &mut back => {
            done?;
            timeout(CLOSE_WITHIN, out).await.unwrap_or(Err(Ended::Gone))
        }
    }
}

/// One direction, until its `Close` or its end.
async fn one_way(
    (mut from, mut to): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    ahead: &mut Vec<u8>,
    mut frames: Frames,
    count: &Cell<u64>,
) -> Result<(), Ended> {
    loop {
        // None of them goes on where one is no frame.
        let fed = frames.feed(ahead).map_err(Ended::Fault)?;
        let piece: Vec<u8> = ahead.drain(..fed.taken).collect();
        to.write_all(&piece).await?;
        to.flush().await?;
        add(count, piece.len());
        if frames.is_done() {
            return Ok(());
        }
        ahead.reserve(PIECE_BYTES);
        if from.read_buf(ahead).await? == 0 {
            return Ok(to.shutdown().await?);
        }
    }
}
