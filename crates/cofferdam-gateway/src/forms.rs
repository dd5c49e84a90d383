//! Forms in a body (`application/x-www-form-urlencoded`), read strictly: a field that bears a credential is
//! found, and replaced.
//!
//! Readers differ in what parts fields, in which of two they take, and in what they make of a name: PHP's
//! takes `a.b` and `a b` for `a_b`, and `a[]` for `a`; others take a name of any case. A form that they could
//! read differently in the field that counts is refused.

use std::ops::Range;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::percent::{decode, encode, is_unreserved};

/// Most fields of a form: as many as common frameworks take.
pub const FIELDS_MAX: usize = 1_000;

/// Why a form does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormFault {
    /// A byte that is coded in every form, such as a blank, a quote, a semicolon or one over 0x7F.
    Byte,
    /// A `%` without two hexadecimal digits.
    Code,
    /// A field without a name.
    Empty,
    /// Over [`FIELDS_MAX`] fields.
    TooMany,
    /// The field that bears the credential is not there.
    Absent,
    /// It is there twice, or in a spelling that only some readers take for it.
    Twice,
    /// It holds something else than the stand-in.
    Other,
}

impl FormFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Byte => "form-byte",
            Self::Code => "form-coding",
            Self::Empty => "form-empty",
            Self::TooMany => "form-many-fields",
            Self::Absent => "form-absent",
            Self::Twice => "form-twice",
            Self::Other => "form-other",
        }
    }
}

impl std::fmt::Display for FormFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Byte => "the form has a byte that is coded in every form",
            Self::Code => "the form has a `%` without two digits",
            Self::Empty => "the form has a field without a name",
            Self::TooMany => {
                return write!(out, "a form that is judged has at most {FIELDS_MAX} fields");
            }
            Self::Absent => "the field that bears the credential is not in the form",
            Self::Twice => {
                "the field that bears the credential is in the form twice, or spelled oddly"
            }
            Self::Other => "the field that bears the credential is not this session's stand-in",
        })
    }
}

/// Where a field stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: Range<usize>,
    /// Empty, behind the name, where there is no `=`.
    pub(crate) value: Range<usize>,
}

/// The parts between `&`, each with its first `=`. Empty ones too.
pub(crate) fn pairs(text: &[u8]) -> Vec<Pair> {
    let mut start = 0;
    let pair = |part: &[u8]| {
        let end = start + part.len();
        let equals = part.iter().position(|byte| *byte == b'=');
        let name = start..equals.map_or(end, |at| start + at);
        let value = equals.map_or(end, |at| start + at + 1)..end;
        start = end + 1;
        Pair { name, value }
    };
    text.split(|byte| *byte == b'&').map(pair).collect()
}

/// What a part of a form stands for: a plus is a blank.
pub(crate) fn plain(coded: &[u8]) -> Option<Vec<u8>> {
    let blanks: Vec<u8> =
        coded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    decode(&blanks)
}

/// Whether some reader takes the field `given`, as it is sent, for the one of the name `wanted`.
pub(crate) fn is_like(given: &[u8], wanted: &[u8]) -> bool {
    folded(given) == folded(wanted)
}

/// A name as the laxest reader has it.
fn folded(name: &[u8]) -> Vec<u8> {
    let start = name.trim_ascii_start();
    // What stands in brackets is a place within, and a byte 0 is the end to some.
    let end = start.iter().skip(1).position(|byte| matches!(byte, b'[' | 0));
    let name = end.and_then(|end| start.get(..=end)).unwrap_or(start).trim_ascii_end();
    let letter =
        |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' };
    name.iter().map(letter).collect()
}

/// The fields of a form, decoded, in their order; each is called what it is written like.
///
/// # Errors
/// It can be read in two ways.
pub(crate) fn fields(body: &[u8]) -> Result<Vec<(String, Zeroizing<String>)>, FormFault> {
    let one = |(pair, name, value): Decoded| {
        // Coded needlessly it is another name to some.
        if body.get(pair.name) != Some(name.as_slice()) {
            return Err(FormFault::Twice);
        }
        let name = String::from_utf8(name).map_err(|_| FormFault::Code)?;
        let value = std::str::from_utf8(&value).map_err(|_| FormFault::Code)?;
        Ok((name, Zeroizing::new(value.to_owned())))
    };
    strict(body)?.into_iter().map(one).collect()
}

/// Where a field stands, its name and its value, decoded.
type Decoded = (Pair, Vec<u8>, Zeroizing<Vec<u8>>);

/// Every field.
fn strict(body: &[u8]) -> Result<Vec<Decoded>, FormFault> {
    let is_odd = |byte: &u8| !is_unreserved(*byte) && !b"!$'()*,/:?@%+=&[]".contains(byte);
    if body.iter().any(is_odd) {
        return Err(FormFault::Byte);
    }
    let pairs = pairs(body);
    if pairs.len() > FIELDS_MAX {
        return Err(FormFault::TooMany);
    }
    let one = |pair: Pair| {
        let of = |place: &Range<usize>| body.get(place.clone()).unwrap_or_default();
        let name = plain(of(&pair.name)).ok_or(FormFault::Code)?;
        let value = plain(of(&pair.value)).ok_or(FormFault::Code)?;
        if name.is_empty() {
            Err(FormFault::Empty)
        } else {
            Ok((pair, name, Zeroizing::new(value)))
        }
    };
    pairs.into_iter().map(one).collect()
}

/// Replaces the value of the field `name`, which has to be `expect`, by `with`. All other bytes stay as they
/// came.
///
/// # Errors
/// The field is not there once, is not what was expected, or the form can be read in two ways.
pub fn replace_field(
    body: &[u8],
    name: &str,
    expect: &[u8],
    with: &[u8],
) -> Result<Vec<u8>, FormFault> {
    let mut written = Vec::new();
    encode(&mut written, name.as_bytes(), b"");
    let mut found = None;
    for (pair, decoded, value) in strict(body)? {
        let given = body.get(pair.name).unwrap_or_default();
        if is_like(&decoded, name.as_bytes()) {
            // Coded needlessly, or not where it has to be, it is another name to some.
            let is_plain = given == name.as_bytes() || given == written;
            if !is_plain || found.replace((pair.value, value)).is_some() {
                return Err(FormFault::Twice);
            }
        }
    }
    let (place, value) = found.ok_or(FormFault::Absent)?;
    if !bool::from(value.as_slice().ct_eq(expect)) {
        return Err(FormFault::Other);
    }
    let mut out = body.get(..place.start).unwrap_or_default().to_vec();
    encode(&mut out, with, b"");
    out.extend_from_slice(body.get(place.end..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_is_replaced_and_nothing_else() {
        use FormFault::{Absent, Byte, Code, Empty, Other, Twice};
        for (body, want, why) in [
            ("a_b=S", Ok("a_b=r%26%20%2B"), "alone"),
            ("c=1&a_b=S&d=%2f+x", Ok("c=1&a_b=r%26%20%2B&d=%2f+x"), "among others"),
            ("a_b=%53", Ok("a_b=r%26%20%2B"), "coded"),
            (
                "c[]=1&c[]=2&e&a_b=S&f==",
                Ok("c[]=1&c[]=2&e&a_b=r%26%20%2B&f=="),
                "others as they like",
            ),
            ("", Err(Empty), "nothing"),
            ("c=1", Err(Absent), "not there"),
            ("a_b=s", Err(Other), "another"),
            ("a_b", Err(Other), "no value"),
            ("a_b=S&a_b=S", Err(Twice), "twice"),
            ("a_b=S&A_b=S", Err(Twice), "in another case"),
            ("a_b=S&a.b=S", Err(Twice), "with a dot"),
            ("a_b=S&a+b=S", Err(Twice), "with a blank"),
            ("a_b=S&a%5fb=S", Err(Twice), "coded"),
            ("a_b=S&a_b[]=S", Err(Twice), "as a list"),
            ("a_b=S&a_b%5B0%5D=S", Err(Twice), "as a list, coded"),
            ("a_b=S&+a_b=S", Err(Twice), "with a blank before"),
            ("a_b=S&a_b%00c=S", Err(Twice), "with an early end"),
            ("a%5fb=S", Err(Twice), "coded alone"),
            ("A_B=S", Err(Twice), "in another case alone"),
            ("a_b=S&", Err(Empty), "an empty field"),
            ("a_b=S&=1", Err(Empty), "no name"),
            ("a_b=S;c=1", Err(Byte), "a semicolon"),
            ("a_b=S&c= ", Err(Byte), "a blank"),
            ("a_b=S\n", Err(Byte), "a line's end"),
            ("a_b=S&c=\u{e9}", Err(Byte), "a letter that is not coded"),
            ("a_b=S&c=%", Err(Code), "no digits"),
            ("a_b=S&%4=1", Err(Code), "one digit"),
        ] {
            let got = replace_field(body.as_bytes(), "a_b", b"S", b"r& +");
            assert_eq!(got, want.map(|text| text.as_bytes().to_vec()), "{why}: {body}");
        }
        for body in ["a[b]=S", "a%5Bb%5D=S"] {
            let got = replace_field(body.as_bytes(), "a[b]", b"S", b"r");
            assert_eq!(got, Ok(body.replace('S', "r").into()), "a name with brackets");
        }
        let many = "c=1&".repeat(FIELDS_MAX);
        let got = replace_field(format!("{many}a_b=S").as_bytes(), "a_b", b"S", b"");
        assert_eq!(got, Err(FormFault::TooMany));
        let got = replace_field(format!("{}a_b=S", &many[4..]).as_bytes(), "a_b", b"S", b"");
        assert!(got.is_ok(), "one less");
    }
}
