//! A connection that has become a WebSocket, and stays one.

use std::cell::Cell;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::messages::{Incoming, Outgoing, Passes};
use crate::bearing::Bearing;
use crate::content::Unread;
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
    /// A message may not go on: a stable name, and words.
    Unread(Unread),
    /// One of them is gone.
    Gone,
}

impl From<FrameFault> for Ended {
    fn from(fault: FrameFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unread> for Ended {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<std::io::Error> for Ended {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

/// Carries frames in both directions, beginning with what was read of them. Where messages are read, none
/// is compressed, whatever the host says: nobody offered it.
pub(super) async fn carry(
    (client, host): (&mut Stream, &mut Stream),
    (early, first): (&mut Vec<u8>, &mut Vec<u8>),
    (deflate, bearing): (Deflate, &Bearing),
    tally: &Tally,
) -> Result<(), Ended> {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_host, to_host) = tokio::io::split(host);
    let deflate = if bearing.reads_messages() { Deflate::None } else { deflate };
    let asks = (Frames::new(Side::Client, deflate), Outgoing::new(bearing.messages()));
    let answers = (Frames::new(Side::Server, deflate), Incoming::new(|| bearing.pairs()));
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
    (mut frames, mut passes): (Frames, impl Passes),
    count: &Cell<u64>,
) -> Result<(), Ended> {
    loop {
        // None of them goes on where one is no frame.
        let mut piece = passes.pass(&mut frames, std::mem::take(ahead))?;
        if frames.is_done() {
            piece.extend(passes.last()?);
        }
        to.write_all(&piece).await?;
        to.flush().await?;
        add(count, piece.len());
        if frames.is_done() {
            return Ok(());
        }
        ahead.reserve(PIECE_BYTES);
        if from.read_buf(ahead).await? == 0 {
            let rest = passes.last()?;
            to.write_all(&rest).await?;
            add(count, rest.len());
            return Ok(to.shutdown().await?);
        }
    }
}
