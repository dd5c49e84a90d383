//! Messages of a WebSocket as they pass: what goes out is looked through, what comes goes on without secrets.
//!
//! Frames stay as they are: what is put in the place of a secret has its length.

use std::collections::VecDeque;
use std::ops::Range;

use super::websocket::Ended;
use crate::bearing::search::Messages;
use crate::content::Unread;
use crate::frames::{Frames, Of, Part};
use crate::scrub::{Pairs, Scrubber};

/// Most that waits for the rest of what may be a secret, with what frames it: a host that sends frames of
/// nothing in the middle of one is none. Bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// What one direction does with its frames.
pub(super) trait Passes {
    /// What goes on of all that has come.
    fn pass(&mut self, frames: &mut Frames, bytes: Vec<u8>) -> Result<Vec<u8>, Ended>;

    /// The same, when nothing more comes.
    fn last(&mut self) -> Result<Vec<u8>, Ended>;
}

/// From the sandbox to the host.
#[derive(Debug)]
pub(super) struct Outgoing(Option<Messages>);

impl Outgoing {
    pub(super) const fn new(messages: Option<Messages>) -> Self {
        Self(messages)
    }
}

impl Passes for Outgoing {
    fn pass(&mut self, frames: &mut Frames, bytes: Vec<u8>) -> Result<Vec<u8>, Ended> {
        let Some(messages) = &mut self.0 else {
            frames.feed(&bytes)?;
            return Ok(bytes);
        };
        let (mut unread, mut plain) = (Ok(()), Vec::new());
        frames.feed_with(&bytes, &mut |part| {
            if unread.is_err() {
                return;
            }
            unread = match part {
                Part::Payload(of, range, mask) => {
                    let masked = bytes.get(range).unwrap_or_default().iter();
                    plain.clear();
                    plain.extend(masked.zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
                    messages.feed(of, &plain)
                }
                Part::End(of) => messages.end(of),
            };
        })?;
        unread?;
        Ok(bytes)
    }

    fn last(&mut self) -> Result<Vec<u8>, Ended> {
        Ok(Vec::new())
    }
}

/// From a host to the sandbox.
pub(super) struct Incoming<F> {
    /// What the host may know by now.
    asks: F,
    /// The same, when this message began.
    pairs: Option<Pairs>,
    /// The message that comes.
    scrubber: Option<Scrubber>,
    /// The control frame that comes.
    control: Vec<u8>,
    /// What has come and not gone on.
    held: Vec<u8>,
    /// Where in it payloads stand that wait to be written, of messages and of control frames.
    messages: VecDeque<Range<usize>>,
    controls: VecDeque<Range<usize>>,
}

impl<F: Fn() -> Result<Option<Pairs>, Unread>> Incoming<F> {
    pub(super) fn new(asks: F) -> Self {
        Self {
            asks,
            pairs: None,
            scrubber: None,
            control: Vec::new(),
            held: Vec::new(),
            messages: VecDeque::new(),
            controls: VecDeque::new(),
        }
    }

    /// The secrets that are looked for, with what the host was told until now.
    fn pairs(&mut self) -> Result<Option<Pairs>, Ended> {
        if self.scrubber.is_none() {
            self.pairs = (self.asks)()?;
        }
        Ok(self.pairs.clone())
    }

    fn part(&mut self, part: Part, from: usize) -> Result<(), Ended> {
        let Some(pairs) = self.pairs()? else { return Ok(()) };
        match part {
            Part::Payload(Of::Message, range, _) => {
                let range = from + range.start..from + range.end;
                let scrubber = self.scrubber.get_or_insert_with(|| Scrubber::new(&pairs));
                let mut clean = Vec::new();
                scrubber.feed(self.held.get(range.clone()).unwrap_or_default(), &mut clean);
                if scrubber.changes_length() {
                    return Err(unframed());
                }
                self.messages.push_back(range);
                write(&mut self.held, &mut self.messages, &clean)
            }
            Part::Payload(Of::Control, range, _) => {
                let range = from + range.start..from + range.end;
                self.control.extend_from_slice(self.held.get(range.clone()).unwrap_or_default());
                self.controls.push_back(range);
                Ok(())
            }
            Part::End(Of::Message) => self.end(),
            Part::End(Of::Control) => {
                let control = std::mem::take(&mut self.control);
                let clean = pairs.scrub_whole(&control);
                write(&mut self.held, &mut self.controls, &clean)?;
                if self.controls.is_empty() { Ok(()) } else { Err(unframed()) }
            }
        }
    }

    /// The message has ended: nothing of it waits any longer.
    fn end(&mut self) -> Result<(), Ended> {
        if let Some(mut scrubber) = self.scrubber.take() {
            let mut clean = Vec::new();
            scrubber.finish(&mut clean);
            write(&mut self.held, &mut self.messages, &clean)?;
            if scrubber.changes_length() || !self.messages.is_empty() {
                return Err(unframed());
            }
        }
        Ok(())
    }

    /// What goes on: all before the first byte that waits.
    fn gone(&mut self) -> Vec<u8> {
        let fronts = [self.messages.front(), self.controls.front()];
        let first = fronts.into_iter().flatten().map(|range| range.start).min();
        let length = first.unwrap_or(self.held.len());
        for range in self.messages.iter_mut().chain(&mut self.controls) {
            *range = range.start - length..range.end - length;
        }
        self.held.drain(..length).collect()
    }
}

impl<F: Fn() -> Result<Option<Pairs>, Unread>> Passes for Incoming<F> {
    fn pass(&mut self, frames: &mut Frames, bytes: Vec<u8>) -> Result<Vec<u8>, Ended> {
        let (from, mut parts) = (self.held.len(), Vec::new());
        frames.feed_with(&bytes, &mut |part| parts.push(part))?;
        self.held.extend(bytes);
        parts.into_iter().try_for_each(|part| self.part(part, from))?;
        let gone = self.gone();
        if self.held.len() > HELD_BYTES_MAX {
            return Err(unframed());
        }
        Ok(gone)
    }

    fn last(&mut self) -> Result<Vec<u8>, Ended> {
        self.end()?;
        // Of a control frame that has no end nobody knows what it says.
        if self.controls.is_empty() { Ok(self.gone()) } else { Err(Ended::Gone) }
    }
}

/// Puts bytes where payloads wait for them, in order.
fn write(
    held: &mut [u8],
    waiting: &mut VecDeque<Range<usize>>,
    mut bytes: &[u8],
) -> Result<(), Ended> {
    while !bytes.is_empty() {
        let Some(range) = waiting.front_mut() else { return Err(unframed()) };
        let step = range.len().min(bytes.len());
        let (now, rest) = bytes.split_at(step);
        let place = held.get_mut(range.start..range.start + step).ok_or_else(unframed)?;
        place.copy_from_slice(now);
        bytes = rest;
        range.start += step;
        if range.start == range.end {
            waiting.pop_front();
        }
    }
    Ok(())
}

/// A secret is coded so that what takes its place is longer or shorter: its frames could not stay.
fn unframed() -> Ended {
    let why = "a secret in a message of a WebSocket is coded so that its frames could not stay";
    Ended::Unread(("secret-in-frames", why.to_owned()))
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
