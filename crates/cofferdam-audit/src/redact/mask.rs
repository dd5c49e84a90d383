//! Text that a person sees, without what must not be seen.

use zeroize::Zeroizing;

use super::Found;
use super::needles::Needles;
use super::plain::Splits;
use super::splice::{Form, Forms, Splice};

/// What stands where a needle stood.
const REDACTED: &[u8] = b"[redacted]";

/// What a [`Masker`] looks for; one serves many streams.
#[derive(Debug)]
pub struct Masks {
    forms: Forms,
    told: Vec<Found>,
}

impl Masks {
    /// The forms of all needles.
    #[must_use]
    pub fn new(needles: &Needles) -> Self {
        let patterns = needles.patterns();
        let form = |number| Form {
            real: Zeroizing::new(patterns.get(number).to_vec()),
            put: None,
            lead: None,
            trail: None,
        };
        let forms = (0..needles.told.len()).map(form).collect();
        Self { forms: Forms::new(forms, Splits::Sequences, REDACTED), told: needles.told.clone() }
    }
}

/// Puts `[redacted]` where a needle stands in one stream of text, escaped once or not, also where blanks or
/// a terminal's sequences stand within; the sequences stay. An empty line splits a needle: a prompt does
/// not wait for what may come behind one.
#[derive(Debug)]
pub struct Masker<'m> {
    masks: &'m Masks,
    splice: Splice,
}

impl<'m> Masker<'m> {
    /// For a stream of which nothing has come.
    #[must_use]
    pub fn new(masks: &'m Masks) -> Self {
        Self { masks, splice: Splice::default() }
    }

    /// Appends to `out` what may be shown; what may be the beginning of a needle waits, at most 4 KiB or
    /// eight times the longest form of a needle.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>, found: &mut dyn FnMut(Found)) {
        let Masks { forms, told } = self.masks;
        let mut tell = |number| told.get(number).copied().into_iter().for_each(&mut *found);
        self.splice.feed(forms, piece, out, &mut tell);
    }

    /// Gives out what waits: at the end, or when whoever writes rests. A needle that is whole is masked
    /// here too.
    pub fn flush(&mut self, out: &mut Vec<u8>, found: &mut dyn FnMut(Found)) {
        let Masks { forms, told } = self.masks;
        let mut tell = |number| told.get(number).copied().into_iter().for_each(&mut *found);
        self.splice.flush(forms, out, &mut tell);
    }

    /// How much waits. Bytes.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.splice.pending()
    }
}
