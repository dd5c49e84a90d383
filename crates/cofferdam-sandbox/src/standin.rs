//! A masker of plain needles, of the shape of the one to come.

use cofferdam_audit::redact::{Finder, Found, Needles};

/// What a [`Masker`] looks for.
#[derive(Debug)]
pub struct Masks(Vec<(Found, Vec<u8>)>);

impl Masks {
    /// The forms of all needles.
    #[must_use]
    pub fn new(needles: &Needles) -> Self {
        let patterns = needles.patterns();
        let forms = (0..).map(|number| patterns.get(number)).take_while(|form| !form.is_empty());
        let told = |form: &[u8]| Some((Finder::new(needles).feed(form)?, form.to_vec()));
        Self(forms.filter_map(told).collect())
    }
}

/// Puts `[redacted]` where a needle stands.
#[derive(Debug)]
pub(crate) struct Masker<'m> {
    masks: &'m Masks,
    held: Vec<u8>,
}

impl<'m> Masker<'m> {
    pub(crate) fn new(masks: &'m Masks) -> Self {
        Self { masks, held: Vec::new() }
    }

    pub(crate) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>, found: &mut dyn FnMut(Found)) {
        self.held.extend_from_slice(piece);
        let mut at = 0;
        while at < self.held.len() {
            let rest = self.held.get(at..).unwrap_or_default();
            if let Some((told, needle)) = self.masks.0.iter().find(|n| rest.starts_with(&n.1)) {
                found(*told);
                out.extend_from_slice(b"[redacted]");
                at += needle.len();
            } else if self.masks.0.iter().any(|n| n.1.starts_with(rest)) {
                break;
            } else {
                out.extend(rest.first());
                at += 1;
            }
        }
        self.held.drain(..at);
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>, _: &mut dyn FnMut(Found)) {
        out.append(&mut self.held);
    }

    pub(crate) fn pending(&self) -> usize {
        self.held.len()
    }
}
