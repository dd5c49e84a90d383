//! A host name in its one spelling.
//!
//! Matcher, resolver, certificate and log see the same bytes, because there is no other way to hold a
//! name than [`Name`]: lower case, ASCII, without the dot at the end (RFC 1123, RFC 5890).

/// Longest name without the dot at the end (RFC 1035, 2.3.4). Bytes.
pub const NAME_BYTES_MAX: usize = 253;
/// Longest label (RFC 1035, 2.3.4). Bytes.
pub const LABEL_BYTES_MAX: usize = 63;

/// A host name: labels of `a-z`, `0-9`, `-` and `_`, joined by dots. Never an address in any of the
/// spellings that `inet_aton(3)` takes: a last label of digits or `0x…` is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(transparent))]
pub struct Name(String);

/// Why bytes are no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameFault {
    /// Nothing, or nothing but a dot.
    Empty,
    /// Over [`NAME_BYTES_MAX`].
    TooLong,
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// A label over [`LABEL_BYTES_MAX`].
    LabelTooLong,
    /// This byte is in no host name; other scripts are written as A-labels (`xn--…`).
    Byte(u8),
    /// A label begins or ends with a hyphen.
    Hyphen,
    /// It could be read as an address (`127.1`, `0x7f.1`, `2130706433`).
    Number,
}

impl Name {
    /// The name that `bytes` spell, in any case, with or without the dot at the end.
    ///
    /// # Errors
    /// The first thing that is wrong with them. Nothing is repaired.
    pub fn parse(bytes: &[u8]) -> Result<Self, NameFault> {
        let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(NameFault::Empty);
        }
        if bytes.len() > NAME_BYTES_MAX {
            return Err(NameFault::TooLong);
        }
        let mut last: &[u8] = &[];
        for label in bytes.split(|byte| *byte == b'.') {
            check_label(label)?;
            last = label;
        }
        let digits = last.strip_prefix(b"0x").or_else(|| last.strip_prefix(b"0X"));
        if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(NameFault::Number);
        }
        if last.iter().all(u8::is_ascii_digit) {
            return Err(NameFault::Number);
        }
        Ok(Self(String::from_utf8_lossy(bytes).to_ascii_lowercase()))
    }

    /// The name's one spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is one or more labels below `suffix`; never true of `suffix` itself.
    #[must_use]
    pub fn is_below(&self, suffix: &Self) -> bool {
        self.0.strip_suffix(suffix.as_str()).is_some_and(|front| front.ends_with('.'))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::fmt::Display for NameFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => out.write_str("there is no name"),
            Self::TooLong => write!(out, "a name has at most {NAME_BYTES_MAX} bytes"),
            Self::EmptyLabel => out.write_str("there is nothing between two dots"),
            Self::LabelTooLong => {
                write!(out, "a part between dots has at most {LABEL_BYTES_MAX} bytes")
            }
            Self::Byte(byte) => write!(out, "byte 0x{byte:02x} is in no host name"),
            Self::Hyphen => out.write_str("a part begins or ends with a hyphen"),
            Self::Number => out.write_str("it could be read as an address"),
        }
    }
}

fn check_label(label: &[u8]) -> Result<(), NameFault> {
    if label.is_empty() {
        return Err(NameFault::EmptyLabel);
    }
    let fits = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if let Some(other) = label.iter().find(|byte| !fits(byte)) {
        return Err(NameFault::Byte(*other));
    }
    if label.len() > LABEL_BYTES_MAX {
        return Err(NameFault::LabelTooLong);
    }
    if label.starts_with(b"-") || label.ends_with(b"-") {
        return Err(NameFault::Hyphen);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Name, NameFault};

    #[track_caller]
    fn check(bytes: &[u8], want: Result<&str, NameFault>, why: &str) {
        let got = Name::parse(bytes);
        assert_eq!(got.as_ref().map(Name::as_str), want.as_ref().map(|name| *name), "{why}");
    }

    #[test]
    fn names_have_one_spelling() {
        use NameFault::{Byte, Empty, EmptyLabel, Hyphen, LabelTooLong, Number, TooLong};
        let long = [b'a'; 64];
        let longer = [b"a.".repeat(126).as_slice(), b"ab"].concat();
        for (bytes, want, why) in [
            (&b"good.test"[..], Ok("good.test"), "as it is"),
            (b"GOOD.Test", Ok("good.test"), "case says nothing"),
            (b"good.test.", Ok("good.test"), "nor does the root's dot"),
            (b"xn--bcher-kva.test", Ok("xn--bcher-kva.test"), "an A-label is a label"),
            (b"_dmarc.good.test", Ok("_dmarc.good.test"), "underscores are in use"),
            (b"1password.com", Ok("1password.com"), "a digit first"),
            (b"localhost", Ok("localhost"), "one label"),
            (b"0xcafe.test", Ok("0xcafe.test"), "hexadecimal, but not at the end"),
            (b"a.0xbeefy", Ok("a.0xbeefy"), "y is no digit"),
            (b"", Err(Empty), "nothing"),
            (b".", Err(Empty), "the root is no host"),
            (b"good.test..", Err(EmptyLabel), "one dot at the end, not two"),
            (b".good.test", Err(EmptyLabel), "a dot first"),
            (b"good..test", Err(EmptyLabel), "two dots"),
            (b"evil.test\0.good.test", Err(Byte(0)), "two readers end it at different places"),
            (b"good.test:443", Err(Byte(b':')), "a port is no part of a name"),
            (b"a b.test", Err(Byte(b' ')), "a space"),
            (b"*.test", Err(Byte(b'*')), "a pattern is no name"),
            (b"good%2etest", Err(Byte(b'%')), "an escape"),
            ("good。test".as_bytes(), Err(Byte(0xE3)), "a dot to Unicode, not to us"),
            (b"-a.test", Err(Hyphen), "a hyphen first"),
            (b"a-.test", Err(Hyphen), "a hyphen last"),
            (b"127.0.0.1", Err(Number), "an address"),
            (b"127.1", Err(Number), "an address to inet_aton"),
            (b"2130706433", Err(Number), "another"),
            (b"0x7f.1", Err(Number), "another"),
            (b"1.0x7F", Err(Number), "another"),
            (b"0x", Err(Number), "glibc reads it as 0"),
            (b"good.1.", Err(Number), "the dot does not hide it"),
            (&long, Err(LabelTooLong), "64 bytes"),
            (&long[..63], Ok(std::str::from_utf8(&long[..63]).unwrap()), "63 bytes"),
            (&longer, Err(TooLong), "254 bytes"),
            (&longer[..253], Ok(std::str::from_utf8(&longer[..253]).unwrap()), "253 bytes"),
        ] {
            check(bytes, want, why);
        }
    }

    #[test]
    fn below_is_by_label() {
        for (name, suffix, want, why) in [
            ("a.good.test", "good.test", true, "one label below"),
            ("b.a.good.test", "good.test", true, "two"),
            ("good.test", "good.test", false, "never the apex"),
            ("evilgood.test", "good.test", false, "no dot before it"),
            ("good.test.evil.test", "good.test", false, "at the front"),
        ] {
            let parse = |text: &str| Name::parse(text.as_bytes()).unwrap();
            assert_eq!(parse(name).is_below(&parse(suffix)), want, "{why}");
        }
    }
}
