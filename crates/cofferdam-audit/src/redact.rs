//! Finding credentials among bytes that pass: marks of stand-ins, strings that a person planted, secrets.
//!
//! Each is looked for as it is and in the encodings that a program or a protocol would put it in. Nothing
//! here knows what a credential is for, opens a file or keeps what passed: what a [`Finder`] holds is
//! bounded by the longest needle. No defence against who encrypts: it is against what happens by itself
//! and against the obvious.

mod finder;
mod grams;
mod mask;
mod needles;
mod plain;
mod sieve;
mod skim;
#[cfg(test)]
mod slow;
mod splice;
#[cfg(test)]
mod splice_tests;
#[cfg(test)]
mod tests;
mod tokens;

pub use finder::Finder;
pub use grams::{Hit, Patterns};
pub use mask::{Masker, Masks};
pub use needles::{
    Encoding, Label, NEEDLE_BYTES_MAX, NEEDLE_BYTES_MIN, NEEDLES_MAX, NeedleFault, Needles, pair,
};
pub use plain::{Read, Splits, read};
pub use splice::{Edge, Form, Forms, Splice};

/// A needle that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which one.
    pub label: Label,
    /// In which form, after escapes were read.
    pub encoding: Encoding,
}
