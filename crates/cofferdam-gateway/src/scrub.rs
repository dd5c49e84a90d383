//! Replies without the secrets: where a server says one, the sandbox reads what stands in for it.
//!
//! In all forms that a reply may have it in: plain, base64 wherever it stands in what was encoded,
//! hexadecimal, reversed, with escapes of URLs, JSON and HTML in any mixture, broken into lines. Bodies are
//! given without a content coding. What stands in is written as the secret was, so that a reply stays a
//! reply.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use cofferdam_audit::redact::{Forms, NEEDLE_BYTES_MAX, NEEDLE_BYTES_MIN, Splice, Splits, pair};

/// Why secrets cannot be scrubbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScrubFault {
    /// What stands in for one is longer or shorter.
    Length,
    /// One has fewer than [`NEEDLE_BYTES_MIN`] bytes besides blanks.
    Short,
    /// One has more than [`NEEDLE_BYTES_MAX`] bytes.
    Long,
}

impl ScrubFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length => "scrub-length",
            Self::Short => "scrub-short",
            Self::Long => "scrub-long",
        }
    }
}

impl fmt::Display for ScrubFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => out.write_str("what stands in for a secret has another length"),
            Self::Short => write!(
                out,
                "a secret of fewer than {NEEDLE_BYTES_MIN} bytes turns up in replies by chance"
            ),
            Self::Long => write!(out, "a secret has more than {NEEDLE_BYTES_MAX} bytes"),
        }
    }
}

/// Secrets and what stands in for them; one serves many replies. Overwritten when the last one goes.
#[derive(Clone, Debug)]
pub struct Pairs {
    forms: Arc<Forms>,
    /// Those that hold since, where others do: a reply that goes on goes on with them.
    newer: Rc<RefCell<Option<Box<Self>>>>,
}

impl Pairs {
    /// Each a secret and, of the same length, what stands in for it.
    ///
    /// # Errors
    /// [`ScrubFault`].
    pub fn new(pairs: &[(&[u8], &[u8])]) -> Result<Self, ScrubFault> {
        let mut forms = Vec::new();
        for (real, stand_in) in pairs {
            if real.iter().filter(|byte| !b" \t\r\n\0".contains(byte)).count() < NEEDLE_BYTES_MIN {
                return Err(ScrubFault::Short);
            }
            if real.len() > NEEDLE_BYTES_MAX {
                return Err(ScrubFault::Long);
            }
            forms.extend(pair(real, stand_in).ok_or(ScrubFault::Length)?);
        }
        let forms = Arc::new(Forms::new(forms, Splits::Blanks, b""));
        Ok(Self { forms, newer: Rc::default() })
    }

    /// From here on `newer` hold, also for replies that have begun.
    pub(crate) fn give_way(&self, newer: Self) {
        self.newer.replace(Some(Box::new(newer)));
    }

    /// What is whole, such as the value of a field.
    #[must_use]
    pub fn scrub_whole<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if !self.forms.are_in(text) {
            return Cow::Borrowed(text);
        }
        let (mut scrubber, mut out) = (Scrubber::new(self), Vec::with_capacity(text.len()));
        scrubber.feed(text, &mut out);
        scrubber.finish(&mut out);
        Cow::Owned(out)
    }
}

/// One reply.
#[derive(Debug)]
pub struct Scrubber {
    pairs: Pairs,
    splice: Splice,
    found: u64,
}

impl Scrubber {
    /// For a reply of which nothing has come.
    #[must_use]
    pub fn new(pairs: &Pairs) -> Self {
        Self { pairs: pairs.clone(), splice: Splice::default(), found: 0 }
    }

    /// Appends to `out` what can be told so far. What may be the beginning of a secret, and is not that of
    /// its stand-in too, waits for what comes next: at most 4 KiB, or eight times the longest form. An empty
    /// line ends what may be one, so that an event (server-sent events, 9.2.5) never waits.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        while let Some(newer) = { self.pairs.newer.borrow().as_deref().cloned() } {
            self.pairs = newer;
        }
        let found = &mut self.found;
        self.splice.feed(&self.pairs.forms, piece, out, &mut |_| *found += 1);
    }

    /// Appends the rest: the reply has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let found = &mut self.found;
        self.splice.flush(&self.pairs.forms, out, &mut |_| *found += 1);
    }

    /// How much waits. Bytes.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.splice.pending()
    }

    /// How many secrets were replaced.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Whether what was given out is longer or shorter than what came.
    #[must_use]
    pub fn changes_length(&self) -> bool {
        self.splice.changes_length()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &[u8] = b"sk-live-0123456789abcdef";
    const STAND_IN: &[u8] = b"sk-live-cFd7Mx8811223344";

    fn pairs() -> Pairs {
        Pairs::new(&[(REAL, STAND_IN)]).expect("a pair")
    }

    #[test]
    fn pairs_that_are_none() {
        let new = |real: &[u8], put: &[u8]| Pairs::new(&[(real, put)]).map(|_| ());
        let (long, longer) = (vec![b'a'; NEEDLE_BYTES_MAX], vec![b'a'; NEEDLE_BYTES_MAX + 1]);
        for (real, put, want, why) in [
            (REAL, STAND_IN, Ok(()), "of one length"),
            (REAL, &STAND_IN[1..], Err(ScrubFault::Length), "of another"),
            (b"abcdef", b"ghijkl", Ok(()), "as short as may be"),
            (b"abcde ", b"ghijk ", Err(ScrubFault::Short), "shorter"),
            (&long, &long, Ok(()), "as long as may be"),
            (&longer, &longer, Err(ScrubFault::Long), "longer"),
        ] {
            assert_eq!(new(real, put), want, "{why}");
        }
    }

    #[test]
    fn fields() {
        let pairs = pairs();
        for (text, want, why) in [
            ("sk-live-0123456789abcdef", "sk-live-cFd7Mx8811223344", "alone"),
            ("/?k=sk-live-0123456789abcde%66", "/?k=sk-live-cFd7Mx881122334%34", "in a redirect"),
            (
                "Basic c2stbGl2ZS0wMTIzNDU2Nzg5YWJjZGVm",
                "Basic c2stbGl2ZS1jRmQ3TXg4ODExMjIzMzQ0",
                "encoded",
            ),
            ("sk-live-0123456789abcdeX", "sk-live-0123456789abcdeX", "another one"),
            ("", "", "nothing"),
        ] {
            let got = pairs.scrub_whole(text.as_bytes());
            assert_eq!(got.escape_ascii().to_string(), want, "{why}");
            assert_eq!(matches!(got, Cow::Borrowed(_)), text == want, "{why}");
        }
    }

    #[test]
    fn a_reply_in_pieces() {
        let pairs = pairs();
        let text =
            br#"{"key":"sk-live-0123456789abcdef","raw":"sk-live-\u0030123456789abcdef&#x3e;"}"#;
        let want =
            br#"{"key":"sk-live-cFd7Mx8811223344","raw":"sk-live-\u0063Fd7Mx8811223344&#x3e;"}"#;
        for at in 0..=text.len() {
            let (mut scrubber, mut out) = (Scrubber::new(&pairs), Vec::new());
            let (a, b) = text.split_at(at);
            scrubber.feed(a, &mut out);
            scrubber.feed(b, &mut out);
            scrubber.finish(&mut out);
            assert_eq!(out.escape_ascii().to_string(), want.escape_ascii().to_string(), "at {at}");
            assert_eq!((scrubber.found(), scrubber.changes_length()), (2, false));
        }
        let (mut scrubber, mut out) = (Scrubber::new(&pairs), Vec::new());
        scrubber.feed(b"data: sk-live-0\n\n", &mut out);
        assert_eq!((out.as_slice(), scrubber.pending()), (b"data: sk-live-0\n\n".as_slice(), 0));
    }

    /// A secret that is known only since the reply began is found in what comes of it.
    #[test]
    fn another_one_while_a_reply_comes() {
        let (first, other): (_, &[u8]) = (pairs(), b"sk-live-zyxwvutsrqponmlk");
        let (mut scrubber, mut out) = (Scrubber::new(&first), Vec::new());
        scrubber.feed(b"then sk-live-zy, and now sk-live-01", &mut out);
        first.give_way(Pairs::new(&[(REAL, STAND_IN), (other, STAND_IN)]).expect("pairs"));
        scrubber.feed(b"23456789abcdef sk-live-zyxwvut", &mut out);
        scrubber.feed(b"srqponmlk.", &mut out);
        scrubber.finish(&mut out);
        let want = "then sk-live-zy, and now sk-live-cFd7Mx8811223344 sk-live-cFd7Mx8811223344.";
        assert_eq!(out.escape_ascii().to_string(), want);
    }

    #[test]
    fn a_longer_reference() {
        let pairs = Pairs::new(&[(b"abcAbcabc", b"abczbcabc")]).expect("a pair");
        let (mut scrubber, mut out) = (Scrubber::new(&pairs), Vec::new());
        scrubber.feed(b"abc&#65;bcabc", &mut out);
        scrubber.finish(&mut out);
        assert_eq!(out, b"abc&#122;bcabc");
        assert!(scrubber.changes_length());
    }
}
