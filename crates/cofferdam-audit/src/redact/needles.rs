//! What is looked for, in each form that it may take.

use std::fmt;

use zeroize::Zeroizing;

use super::Found;
use super::grams::{Hit, Patterns};
use super::plain::{Plain, Read, Splits, is_blank, plain, read};
use super::sieve::Sieve;
use super::splice::{Edge, Form};

/// Fewest bytes of a needle, blanks not counted: what is shorter turns up by chance.
pub const NEEDLE_BYTES_MIN: usize = 6;
/// Most bytes of a needle: a private key of RSA with 4,096 bits has 3,300 as PEM.
pub const NEEDLE_BYTES_MAX: usize = 4_096;
/// Most needles: a thousand canaries, and what sessions have.
pub const NEEDLES_MAX: usize = 2_048;

/// As many as the head of a request has, mostly.
const LOOK_BYTES: usize = 2_048;

/// Which needle, by a number that its giver chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub usize);

/// In which form a needle stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// As it is; blanks within and escapes of JSON, HTML or URLs do not count.
    Plain,
    /// Base64 of either alphabet (RFC 4648, 4 and 5), at any place within what was encoded.
    Base64,
    /// Hexadecimal digits of one case.
    Hex,
    /// Last byte first.
    Reversed,
}

impl Encoding {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Reversed => "reversed",
        }
    }
}

/// Why a needle is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedleFault {
    /// Fewer than [`NEEDLE_BYTES_MIN`] bytes that are no blanks.
    Short(Label),
    /// More than [`NEEDLE_BYTES_MAX`].
    Long(Label),
    /// More than [`NEEDLES_MAX`] of them.
    Many,
}

impl NeedleFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Short(_) => "needle-short",
            Self::Long(_) => "needle-long",
            Self::Many => "needle-many",
        }
    }
}

impl fmt::Display for NeedleFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(_) => write!(
                out,
                "what has fewer than {NEEDLE_BYTES_MIN} bytes besides blanks turns up by chance"
            ),
            Self::Long(_) => write!(out, "it has more than {NEEDLE_BYTES_MAX} bytes"),
            Self::Many => write!(out, "there are more than {NEEDLES_MAX} of them"),
        }
    }
}

impl std::error::Error for NeedleFault {}

/// What is looked for. Its copies of the needles are overwritten when it goes.
pub struct Needles {
    patterns: Patterns,
    /// What each pattern tells, by its number.
    pub(super) told: Vec<Found>,
    /// A bit for each two bytes that follow each other in a pattern.
    pairs: Zeroizing<Vec<u64>>,
    /// What they look like, where that is worth a look.
    sieve: Option<Sieve>,
}

impl fmt::Debug for Needles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Needles").field("patterns", &self.told.len()).finish_non_exhaustive()
    }
}

impl Needles {
    /// Each needle in all its forms.
    ///
    /// # Errors
    /// [`NeedleFault`] for a needle that is too short or too long, or too many of them.
    pub fn new<'b>(
        needles: impl IntoIterator<Item = (Label, &'b [u8])>,
    ) -> Result<Self, NeedleFault> {
        let (mut forms, mut told) = (Vec::new(), Vec::new());
        for (count, (label, needle)) in needles.into_iter().enumerate() {
            if count >= NEEDLES_MAX {
                return Err(NeedleFault::Many);
            }
            if needle.len() > NEEDLE_BYTES_MAX {
                return Err(NeedleFault::Long(label));
            }
            if needle.iter().filter(|&&byte| !is_blank(byte)).count() < NEEDLE_BYTES_MIN {
                return Err(NeedleFault::Short(label));
            }
            let mut own: Vec<(Encoding, Zeroizing<Vec<u8>>)> = Vec::new();
            for (encoding, form) in expand(needle) {
                if form.len() >= NEEDLE_BYTES_MIN && !own.iter().any(|other| other.1 == form) {
                    own.push((encoding, form));
                }
            }
            for (encoding, form) in own {
                forms.push(form);
                told.push(Found { label, encoding });
            }
        }
        let mut pairs = Zeroizing::new(vec![0_u64; 1 << 10]);
        for two in forms.iter().flat_map(|form| form.windows(2)) {
            if let &[first, second] = two
                && let Some(word) = pairs.get_mut(word_of(first, second))
            {
                *word |= 1 << (second & 63);
            }
        }
        let patterns = Patterns::new(forms);
        let sieve = Sieve::new(&patterns, told.len());
        Ok(Self { patterns, told, pairs, sieve })
    }

    /// Whether any pattern has these two bytes next to each other.
    fn has_pair(&self, first: u8, second: u8) -> bool {
        let word = self.pairs.get(word_of(first, second));
        word.is_none_or(|word| word >> (second & 63) & 1 == 1)
    }

    /// What stands behind the last escape of a text, where no pattern goes over any of its escapes once they
    /// are read; `None` also where that is not plain to see. Nothing was begun before.
    pub(super) fn apart<'t>(&self, text: &'t [u8], plain: &Plain) -> Option<&'t [u8]> {
        let (mut at, mut behind) = (0, 0);
        while let Some(found) = plain.escape(text.get(at..)?) {
            let escape = at + found;
            let Read::Byte(taken, byte) = read(text.get(escape..)?, Splits::Blanks) else {
                return None;
            };
            at = escape + taken;
            if taken == 1 {
                continue;
            }
            let before = *text.get(escape.checked_sub(1)?)?;
            let next = *text.get(at)?;
            let ends = byte == b'=' || before == b'=' || matches!(next, b'%' | b'\\' | b'&');
            let joined = if is_blank(byte) {
                self.has_pair(before, next)
            } else {
                self.has_pair(before, byte) || self.has_pair(byte, next)
            };
            if ends || joined || escape == behind {
                return None;
            }
            behind = at;
        }
        text.get(behind..)
    }

    /// What is searched for, each with a number.
    #[must_use]
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Whether one look tells that none of these texts holds a needle. `false` says nothing: each is to be
    /// looked through then.
    #[must_use]
    pub fn pass<'t>(&self, texts: impl IntoIterator<Item = &'t [u8]>) -> bool {
        let (Some(sieve), Some(wall)) = (&self.sieve, self.patterns.walls().one()) else {
            return false;
        };
        let mut all = Vec::with_capacity(LOOK_BYTES);
        all.push(wall);
        for text in texts {
            all.extend_from_slice(text);
            all.push(wall);
        }
        sieve.passes(&all)
    }

    /// What tells most of a text from them.
    pub(super) fn sieve(&self) -> Option<&Sieve> {
        self.sieve.as_ref()
    }

    /// What a hit tells.
    pub(super) fn told(&self, hit: Hit) -> Option<Found> {
        self.told.get(hit.pattern).copied()
    }
}

/// Where the bit of two bytes is.
fn word_of(first: u8, second: u8) -> usize {
    usize::from(first) << 2 | usize::from(second >> 6)
}

/// The forms of one needle. Those that views of a stream without blanks and escapes show are among them.
fn expand(needle: &[u8]) -> Vec<(Encoding, Zeroizing<Vec<u8>>)> {
    let mut forms = Vec::new();
    let bare =
        Zeroizing::new(needle.iter().copied().filter(|&b| !is_blank(b)).collect::<Vec<u8>>());
    let once = plain(needle, Splits::Blanks);
    let twice = plain(&once, Splits::Blanks);
    for plain in [Zeroizing::new(needle.to_vec()), bare, once, twice, form(needle)] {
        let reversed = plain.iter().rev().copied().collect();
        forms.push((Encoding::Plain, plain));
        forms.push((Encoding::Reversed, Zeroizing::new(reversed)));
    }
    for skip in 0..3 {
        for alphabet in [STANDARD, URL] {
            forms.push((Encoding::Base64, base64(needle, skip, alphabet)));
        }
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        forms.push((Encoding::Hex, hex(needle, digits)));
    }
    forms
}

/// The forms of a secret, each with the same form of what is put in its place. One of a few bytes turns up
/// by chance: that is for the caller to say.
///
/// # Errors
/// `None` unless both have one length.
#[must_use]
pub fn pair(real: &[u8], put: &[u8]) -> Option<Vec<Form>> {
    if real.len() != put.len() {
        return None;
    }
    let solid = || real.iter().zip(put).filter(|(real, _)| !is_blank(**real));
    let bare: Plainly = (solid().map(|row| *row.0).collect(), solid().map(|row| *row.1).collect());
    let once = (plain(real, Splits::Blanks).to_vec(), plain(put, Splits::Blanks).to_vec());
    let mut forms = Vec::new();
    for (real, put) in [(real.to_vec(), put.to_vec()), bare, once] {
        let (real, put) = (Zeroizing::new(real), Zeroizing::new(put));
        let backwards = |bytes: &[u8]| Zeroizing::new(bytes.iter().rev().copied().collect());
        forms.push(Form::plain(backwards(&real), backwards(&put)));
        forms.push(Form::plain(real, put));
    }
    for skip in 0..3 {
        for alphabet in [STANDARD, URL] {
            let letters = base64(real, skip, alphabet);
            let form = Form::plain(letters, base64(put, skip, alphabet));
            forms.push(Form { lead: lead(real, put, skip), trail: trail(real, put, skip), ..form });
        }
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        forms.push(Form::plain(hex(real, digits), hex(put, digits)));
    }
    forms.retain(|form| {
        let same_length = form.put.as_ref().is_some_and(|put| put.len() == form.real.len());
        same_length && form.real.len() >= NEEDLE_BYTES_MIN
    });
    Some(forms)
}

/// Bytes and what is put there.
type Plainly = (Vec<u8>, Vec<u8>);

/// Bits of the first bytes that are in the letter before.
fn lead(real: &[u8], put: &[u8], skip: usize) -> Option<Edge> {
    let (mask, shift) = match skip {
        0 => return None,
        1 => (0x0F, 4),
        _ => (0x03, 6),
    };
    let (real, put) = (real.first()? >> shift, put.first()? >> shift);
    (real != put).then_some(Edge { mask, real, put })
}

/// Bits of the last bytes that are in the letter behind.
fn trail(real: &[u8], put: &[u8], skip: usize) -> Option<Edge> {
    let (mask, shift) = match (skip + real.len()) % 3 {
        0 => return None,
        1 => (0x30, 4),
        _ => (0x3C, 2),
    };
    let (real, put) = ((real.last()? << shift) & mask, (put.last()? << shift) & mask);
    (real != put).then_some(Edge { mask, real, put })
}

/// As a form is sent: `+` for each space.
fn form(needle: &[u8]) -> Zeroizing<Vec<u8>> {
    let form = needle.iter().map(|&byte| if byte == b' ' { b'+' } else { byte });
    Zeroizing::new(form.filter(|&byte| !is_blank(byte)).collect())
}

/// RFC 4648, 4.
const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// RFC 4648, 5.
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The letters that `needle` alone decides where it stands `skip` bytes behind a multiple of three.
fn base64(needle: &[u8], skip: usize, alphabet: &[u8; 64]) -> Zeroizing<Vec<u8>> {
    let mut letters = Zeroizing::new(Vec::with_capacity(needle.len() * 4 / 3 + 1));
    // So many bits of the first byte belong to a letter that the byte before has a part in.
    let mut open = match skip {
        0 => 0,
        1 => 4,
        _ => 2,
    };
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &byte in needle {
        bits = (bits << 8) | u32::from(byte);
        count += 8 - open;
        open = 0;
        while count >= 6 {
            count -= 6;
            let letter = usize::try_from((bits >> count) & 63).unwrap_or_default();
            letters.extend(alphabet.get(letter));
        }
        bits &= 63;
    }
    letters
}

fn hex(needle: &[u8], digits: &[u8; 16]) -> Zeroizing<Vec<u8>> {
    let nibbles = needle.iter().flat_map(|&byte| [byte >> 4, byte & 15]);
    Zeroizing::new(nibbles.filter_map(|nibble| digits.get(usize::from(nibble)).copied()).collect())
}
