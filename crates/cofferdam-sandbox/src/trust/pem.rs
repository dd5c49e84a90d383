//! Certificates as text (RFC 7468).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::is_one;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// Letters of a line (RFC 7468, 2).
const LINE: usize = 64;

/// Every certificate in `text` (DER). What is between them is for people; other blocks, keys among
/// them, and what is no certificate in form are left out.
pub(super) fn certificates(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    std::iter::from_fn(move || {
        lines.find(|line| *line == BEGIN.as_bytes())?;
        let block: Vec<&[u8]> = lines.by_ref().take_while(|line| *line != END.as_bytes()).collect();
        Some(block.concat())
    })
    .filter_map(|block| STANDARD.decode(block).ok())
    .filter(|certificate| is_one(certificate))
}

/// `certificates` as text.
pub(super) fn text<'c>(certificates: impl Iterator<Item = &'c [u8]>) -> String {
    let mut text = String::new();
    for certificate in certificates {
        let mut letters = STANDARD.encode(certificate);
        text += BEGIN;
        while !letters.is_empty() {
            let rest = letters.split_off(letters.len().min(LINE));
            text += "\n";
            text += &letters;
            letters = rest;
        }
        text += "\n";
        text += END;
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_certificate_in_a_text() {
        let one = [vec![0x30, 0x64], vec![7; 100]].concat();
        let two = vec![0x30, 2, 8, 9];
        let texts = [text([one.as_slice()].into_iter()), text([two.as_slice()].into_iter())];
        let [first, second] = &texts;
        assert_eq!(first.lines().map(str::len).max(), Some(LINE), "{first}");
        let key = "-----BEGIN PRIVATE KEY-----\nMAIICQ==\n-----END PRIVATE KEY-----\n";
        for (text, want, why) in [
            (format!("{first}{second}"), vec![&one, &two], "one behind the other"),
            (format!("# Somebody's CA\n{first}\n\n{key}{second}"), vec![&one, &two], "a key"),
            (second.replace('\n', "\r\n"), vec![&two], "the line ends of another system"),
            (second.replace("-\nMAII", "-\nMA\n  II"), vec![&two], "lines of any length"),
            (second.replace("MAII", "MAI*"), vec![], "no letter of this text"),
            (second.replace("MAII", "MQII"), vec![], "not one value"),
            (second.replace(" CERTIFICATE", " TRUSTED CERTIFICATE"), vec![], "OpenSSL's own form"),
            (key.into(), vec![], "no certificate"),
            (String::new(), vec![], "nothing"),
        ] {
            let got: Vec<Vec<u8>> = certificates(text.as_bytes()).collect();
            assert_eq!(got.iter().collect::<Vec<_>>(), want, "{why}: {text}");
        }
    }
}
