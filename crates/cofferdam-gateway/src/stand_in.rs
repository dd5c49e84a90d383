//! What stands in for a secret: shaped like it, so that clients take it for one, and worth nothing.
//!
//! The same length, the public beginning that says whose token it is, letters of the same kind in the
//! same places; and within, where there is room, a mark by which any stand-in of any session is known. Of
//! a token whose middle a client reads (JWT, RFC 7519) that stays, and what signs it does not.

use cofferdam_policy::credentials::{MARK, MARK_CAPITAL, MARK_HEX, MARK_SMALL, SECRET_BYTES_MIN};

/// Beginnings that say what kind of token follows, longest first where one begins another.
const BEGINNINGS: &[&str] = &[
    "sk-ant-api03-",
    "sk-ant-admin01-",
    "sk-ant-oat01-",
    "sk-ant-ort01-",
    "sk-proj-",
    "sk-svcacct-",
    "sk-or-v1-",
    "sk-",
    "github_pat_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "glpat-",
    "npm_",
    "pypi-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "hf_",
    "gsk_",
    "dop_v1_",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "SG.",
];

/// Why nothing can stand in for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlike {
    /// It is too short to be told from ordinary text.
    Short,
    /// It is no text, or has control bytes.
    NoText,
    /// Too few of its letters can be others.
    Plain,
}

impl Unlike {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Short => "secret-short",
            Self::NoText => "secret-no-text",
            Self::Plain => "secret-plain",
        }
    }
}

impl std::fmt::Display for Unlike {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => write!(
                out,
                "it has fewer than {SECRET_BYTES_MIN} bytes: it cannot be told from ordinary text"
            ),
            Self::NoText => out.write_str("it is no line of text"),
            Self::Plain => {
                out.write_str("it has too few letters and digits for something to stand in for it")
            }
        }
    }
}

/// Which letters may stand at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Small,
    Capital,
    Digit,
    /// Stays as it is.
    Other,
}

impl Kind {
    const fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Small,
            b'A'..=b'Z' => Self::Capital,
            b'0'..=b'9' => Self::Digit,
            _ => Self::Other,
        }
    }

    const fn letters(self) -> &'static [u8] {
        match self {
            Self::Small => b"abcdefghijklmnopqrstuvwxyz",
            Self::Capital => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Self::Digit => b"0123456789",
            Self::Other => b"",
        }
    }
}

/// What stands in for `secret`; `random` gives a number below another, evenly.
///
/// # Errors
/// Nothing can.
pub fn like(secret: &[u8], mut random: impl FnMut(usize) -> usize) -> Result<String, Unlike> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(Unlike::Short);
    }
    let text = std::str::from_utf8(secret).map_err(|_| Unlike::NoText)?;
    if text.contains(char::is_control) {
        return Err(Unlike::NoText);
    }
    let kept = kept(text);
    let mut made: Vec<u8> = secret.to_vec();
    let rest = made.get_mut(kept..).unwrap_or_default();
    let is_hex = rest.len() >= MARK_HEX.len()
        && rest.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let mut changed = 0;
    for byte in rest.iter_mut() {
        let letters: &[u8] = if is_hex { b"0123456789abcdef" } else { Kind::of(*byte).letters() };
        if let Some(letter) =
            (!letters.is_empty()).then(|| letters.get(random(letters.len()))).flatten()
        {
            *byte = *letter;
            changed += 1;
        }
    }
    if changed < SECRET_BYTES_MIN {
        return Err(Unlike::Plain);
    }
    put_mark(rest, is_hex, &mut random);
    // Letters and digits of ASCII took the place of such.
    let made = String::from_utf8(made).map_err(|_| Unlike::NoText)?;
    if made == text { Err(Unlike::Plain) } else { Ok(made) }
}

/// How many bytes of it are no secret.
fn kept(text: &str) -> usize {
    let mut parts = text.split('.');
    if let (Some(head), Some(body), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
        && head.starts_with("eyJ")
        && body.starts_with("eyJ")
    {
        return head.len() + body.len() + 2;
    }
    let found = BEGINNINGS.iter().find(|start| text.starts_with(**start));
    found.map_or(0, |start| start.len())
}

/// Puts the mark of its alphabet in, at some place of the longest run of letters and digits; none where
/// there is no room for it and for as many letters beside it that make it one of its own.
fn put_mark(rest: &mut [u8], is_hex: bool, random: &mut impl FnMut(usize) -> usize) {
    let has = |kind: Kind| rest.iter().any(|byte| Kind::of(*byte) == kind);
    let mark = match (is_hex, has(Kind::Small), has(Kind::Capital)) {
        (true, ..) => MARK_HEX,
        (false, true, false) => MARK_SMALL,
        (false, false, true) => MARK_CAPITAL,
        (false, true, true) => MARK,
        (false, false, false) => return,
    };
    let plain = |byte: &u8| Kind::of(*byte) != Kind::Other;
    let (mut at, mut longest) = (0, 0..0);
    for run in rest.split_inclusive(|byte| !plain(byte)) {
        let length = run.iter().take_while(|byte| plain(byte)).count();
        if length > longest.len() {
            longest = at..at + length;
        }
        at += run.len();
    }
    if rest.len() < mark.len() + SECRET_BYTES_MIN || longest.len() < mark.len() {
        return;
    }
    let from = longest.start + random(longest.len() - mark.len() + 1);
    if let Some(place) = rest.get_mut(from..from + mark.len()) {
        place.copy_from_slice(mark.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Even enough for a test, and the same each time.
    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
        }
    }

    #[test]
    fn it_is_shaped_like_the_secret() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
        for (secret, kept, mark, why) in [
            (
                "sk-ant-api03-AbCd1234efGH5678ijKL9012mnOP-QRst3456AA",
                "sk-ant-api03-",
                MARK,
                "Anthropic's",
            ),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_", MARK, "GitHub's"),
            ("AKIAIOSFODNN7EXAMPLEXX", "AKIA", MARK_CAPITAL, "capitals"),
            ("c9f0f895fb98ab9159f51fd0297e236d", "", MARK_HEX, "hexadecimal digits"),
            ("z9y8x7w6v5u4t3s2r1q0p9o8", "", MARK_SMALL, "small letters and digits"),
            (jwt, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.", MARK, "what clients read stays"),
        ] {
            let made = like(secret.as_bytes(), numbers()).unwrap();
            assert_eq!(made.len(), secret.len(), "{why}");
            assert!(made.starts_with(kept) && made.contains(mark), "{why}: {made}");
            let same = made.bytes().zip(secret.bytes()).skip(kept.len()).filter(|(a, b)| a == b);
            assert!(same.count() < secret.len() / 2, "{why}: too much of it stays: {made}");
            let signs = made.bytes().zip(secret.bytes());
            let signs = signs.filter(|(_, old)| !old.is_ascii_alphanumeric());
            assert!(signs.into_iter().all(|(new, old)| new == old), "{why}: {made}");
        }
    }

    #[test]
    fn it_is_another_each_time() {
        let secret = b"correct horse battery staple 12";
        let mut random = numbers();
        let (one, other) = (like(secret, &mut random).unwrap(), like(secret, &mut random).unwrap());
        assert!(one != other && one.len() == secret.len(), "{one} {other}");
        assert_eq!(one.matches(' ').count(), 4, "blanks stay where they are: {one}");
    }

    #[test]
    fn nothing_stands_in_for_everything() {
        for (secret, want, why) in [
            (b"short12".as_slice(), Err(Unlike::Short), "seven bytes"),
            (b"short123", Ok(8), "eight"),
            (b"two\nlines of it", Err(Unlike::NoText), "a line's end"),
            (b"\xff\xfe12345678", Err(Unlike::NoText), "no UTF-8"),
            (b"----------------ab", Err(Unlike::Plain), "signs alone"),
            (b"sk-ant-api03-abc", Err(Unlike::Plain), "three letters of its own"),
        ] {
            let made = like(secret, numbers()).map(|made| made.len());
            assert_eq!(made, want, "{why}");
        }
    }
}
