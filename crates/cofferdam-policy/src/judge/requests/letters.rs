//! The letters of a target in its two readings, and how patterns meet them.
//!
//! A host may take `%40` for `@` (RFC 3986, 2.1) or for three letters of their own (RFC 3986, 2.2 lets it,
//! where the letter is a delimiter). So a target is read both ways: as it is sent, and decoded. What allows
//! has to hold in both readings, what denies in one.

/// One letter of a word between slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// A byte.
    Byte(u8),
    /// `%2F`: a slash to some readers and none to others. No `*` stands for it.
    Slash,
    /// `*` of a pattern: any bytes, none among them.
    Any,
}

/// How a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As it is sent. `%c3` is `%C3`: no reader tells them apart (RFC 3986, 6.2.2.1).
    Sent,
    /// With every `%HH` as the byte that it stands for.
    Decoded,
}

/// Whether case of letters of ASCII counts. To some hosts it does and to others it does not, so it counts
/// for what allows and not for what denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// `a` is not `A`.
    Counts,
    /// `a` is `A`.
    Ignored,
}

impl Letter {
    /// Whether it is `other`; a star is a letter like others here.
    fn is(self, other: Self, case: Case) -> bool {
        match (self, other, case) {
            (Self::Byte(one), Self::Byte(other), Case::Ignored) => one.eq_ignore_ascii_case(&other),
            (one, other, Case::Counts | Case::Ignored) => one == other,
        }
    }
}

/// Whether `*` means more than itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stars {
    /// In patterns.
    Wild,
    /// In what is sent.
    Plain,
}

/// The byte that `%HH` at the start of `text` stands for; nothing where no two hexadecimal digits follow.
pub(super) fn encoded(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// The letters of one word.
pub(super) fn letters(word: &[u8], reading: Reading, stars: Stars) -> Vec<Letter> {
    let (mut rest, mut all) = (word, Vec::with_capacity(word.len()));
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match encoded_at(*first, after) {
            Some(byte) => {
                let (code, after) = after.split_at_checked(2).unwrap_or((after, &[]));
                rest = after;
                match reading {
                    _ if byte == b'/' => all.push(Letter::Slash),
                    Reading::Decoded => all.push(Letter::Byte(byte)),
                    Reading::Sent => {
                        all.push(Letter::Byte(b'%'));
                        all.extend(code.iter().map(|b| Letter::Byte(b.to_ascii_uppercase())));
                    }
                }
            }
            None if *first == b'*' && stars == Stars::Wild => all.push(Letter::Any),
            None => all.push(Letter::Byte(*first)),
        }
    }
    all
}

fn encoded_at(first: u8, after: &[u8]) -> Option<u8> {
    let [high, low, ..] = after else { return None };
    encoded(&[first, *high, *low])
}

/// Whether `pattern` is the whole of `text`. One pass with one place to come back to: what the last `*` has
/// taken is the only choice there is.
pub(super) fn matches(pattern: &[Letter], text: &[Letter], case: Case) -> bool {
    let (mut left, mut right) = (pattern, text);
    let mut back: Option<(&[Letter], &[Letter])> = None;
    loop {
        match (left.split_first(), right.split_first()) {
            (Some((Letter::Any, rest)), _) => {
                back = Some((rest, right));
                left = rest;
            }
            (Some((want, rest)), Some((got, after))) if want.is(*got, case) => {
                (left, right) = (rest, after)
            }
            (None, None) => return true,
            _ => match back.and_then(|(rest, from)| Some((rest, from.split_first()?))) {
                Some((rest, (Letter::Byte(_), after))) => {
                    back = Some((rest, after));
                    (left, right) = (rest, after);
                }
                // A slash stays one, and there may be nothing left to take.
                Some((_, (Letter::Slash | Letter::Any, _))) | None => return false,
            },
        }
    }
}
