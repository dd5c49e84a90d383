//! JSON that may be shown: `serde_json` escapes what JSON asks for, and terminals obey more.

use std::borrow::Cow;

/// `text`, which is JSON, with letters that a terminal or an editor obeys as JSON escapes them (RFC 8259,
/// 7): controls of one byte, ends of lines and paragraphs, and what turns the direction of writing. It says
/// the same.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_obeyed(letter) {
            out += &format!("\\u{:04x}", u32::from(letter));
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// Such a letter stands in strings alone: the rest of JSON has none. All have four digits.
fn is_obeyed(letter: char) -> bool {
    matches!(letter, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_obeyed_is_escaped_and_says_the_same() {
        for (text, why) in [
            ("a\u{9b}31m", "a control of one byte"),
            ("a\u{7f}", "a key"),
            ("a\u{202e}b", "a direction"),
            ("a\u{2068}b\u{2069}", "two of them"),
            ("a\u{2028}{\"kind\":\"exit\"}", "the end of a line"),
            ("a\u{1b}]52;c;QQ==\u{7}\n\r\t\"\\", "what JSON escapes anyway"),
        ] {
            let json = serde_json::to_string(&text).unwrap();
            let safe = escaped(&json);
            let plain = |letter: char| !letter.is_control() && !is_obeyed(letter);
            assert!(safe.chars().all(plain), "{why}: {safe}");
            assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text, "{why}");
            assert_eq!(escaped(&safe), safe, "{why}: once is enough");
        }
        for text in ["äöü€😀\u{a0}\u{200d}", ""] {
            let json = serde_json::to_string(&text).unwrap();
            assert!(matches!(escaped(&json), Cow::Borrowed(same) if same == json), "{text}");
        }
    }
}
