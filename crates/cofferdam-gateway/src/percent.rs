//! Percent-encoding, read and written in one way (RFC 3986, 2.1).

/// What the bytes stand for; `None` where a `%` has not two hexadecimal digits behind it.
pub(crate) fn decode(coded: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(coded.len());
    let mut rest = coded.iter();
    let digit = |byte: Option<&u8>| {
        let digit = byte.and_then(|byte| char::from(*byte).to_digit(16));
        digit.and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            byte => *byte,
        });
    }
    Some(bytes)
}

/// Writes `bytes` behind `out`, each that is not unreserved (RFC 3986, 2.3) as `%` and two capital digits.
/// Those in `keep` stay too.
pub(crate) fn encode(out: &mut Vec<u8>, bytes: &[u8], keep: &[u8]) {
    for byte in bytes {
        if is_unreserved(*byte) || keep.contains(byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend(hex(&[*byte]).to_ascii_uppercase().into_bytes());
        }
    }
}

/// Letters, digits and `-._~`.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Two small digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// As many bytes as `N`; `None` for anything but twice as many small hexadecimal digits.
pub(crate) fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_coded_is_read_in_one_way() {
        for (coded, want, why) in [
            ("", Some(""), "nothing"),
            ("a%2Fb+c", Some("a/b+c"), "a plus is a plus"),
            ("%41%61%7e", Some("Aa~"), "needlessly"),
            ("%2541", Some("%41"), "once"),
            ("%", None, "no digits"),
            ("a%4", None, "one digit"),
            ("%4g", None, "no digit"),
            ("%+4", None, "a sign"),
        ] {
            assert_eq!(decode(coded.as_bytes()), want.map(Into::into), "{why}: {coded}");
        }
        let mut out = Vec::new();
        encode(&mut out, "a/b ~\u{e9}%".as_bytes(), b"/");
        assert_eq!(out, b"a/b%20~%C3%A9%25");
        let all: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        encode(&mut out, &all, b"");
        assert_eq!(decode(&out), Some(all));
    }

    #[test]
    fn hexadecimal_digits_are_small_and_enough() {
        assert_eq!(hex(&[0, 15, 160, 255]), "000fa0ff");
        assert_eq!(unhex::<4>(b"000fa0ff"), Some([0, 15, 160, 255]));
        for odd in ["", "000fa0f", "000fa0ff0", "000FA0FF", "000fa0fg", "000fa0ff00"] {
            assert_eq!(unhex::<4>(odd.as_bytes()), None, "{odd}");
        }
    }
}
