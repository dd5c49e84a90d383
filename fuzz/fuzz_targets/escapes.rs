//! Output for a terminal: what comes out, read by a slow reader with a list of its own, holds nothing but
//! text and sequences of the list; it is the same however it is cut, and stays as it is a second time.
#![no_main]

use cofferdam_sandbox::escapes::{Filter, Questions, Refused};
use libfuzzer_sys::fuzz_target;

fn filtered(pieces: &[&[u8]], questions: Questions) -> (Vec<u8>, Refused) {
    let mut filter = Filter::new(questions);
    let mut out = Vec::new();
    for piece in pieces {
        filter.feed(piece, &mut out);
    }
    filter.finish(&mut out);
    (out, *filter.refused())
}

/// Length of what may stand at the front of `bytes`.
fn allowed(bytes: &[u8], questions: Questions) -> Option<usize> {
    match bytes {
        [0x20..=0x7E | 0x07..=0x0F, ..] => Some(1),
        [0x1B, b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7E).contains(byte))?;
            let text = std::str::from_utf8(&rest[..=end]).ok()?;
            control(text, questions).then_some(end + 3)
        }
        [0x1B, b']', b'8', b';', rest @ ..] => {
            let end = rest.windows(2).position(|pair| pair == b"\x1b\\")?;
            let text = std::str::from_utf8(&rest[..end]).ok()?;
            let (parameters, address) = text.split_once(';')?;
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
            let web = ["", "http://", "https://"].iter().any(|start| {
                if start.is_empty() { address.is_empty() } else { address.starts_with(start) }
            });
            (plain(parameters) && plain(address) && web && end < 5_000).then_some(end + 6)
        }
        [0x1B, b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M', ..] => Some(2),
        [0x1B, b'(' | b')', b'0' | b'B', ..] => Some(3),
        [0x80..=0xFF, ..] => {
            let letter = (2..=4).find_map(|length| {
                let text = std::str::from_utf8(bytes.get(..length)?).ok()?;
                text.chars().next().filter(|letter| letter.len_utf8() == length)
            });
            match letter {
                Some('\u{80}'..='\u{9F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}') => None,
                Some(letter) => Some(letter.len_utf8()),
                None => (bytes[0] >= 0xA0).then_some(1),
            }
        }
        _ => None,
    }
}

/// A control sequence without `ESC [`.
fn control(text: &str, questions: Questions) -> bool {
    let (body, last) = text.split_at(text.len() - 1);
    let last = last.chars().next().unwrap_or(' ');
    let asks = questions == Questions::Pass
        && matches!(text, "c" | "0c" | ">c" | ">0c" | "5n" | "6n");
    if asks {
        return true;
    }
    let numbers = |text: &str, marks: &[char]| {
        text.split(|letter| marks.contains(&letter)).all(|part| {
            part.is_empty()
                || part.bytes().all(|byte| byte.is_ascii_digit())
                    && part.parse::<u64>().is_ok_and(|number| number < 65_536)
        })
    };
    let modes = |list: &[u32]| {
        body.trim_start_matches('?').split(';').all(|part| {
            part.parse().is_ok_and(|number: u32| list.contains(&number))
        })
    };
    let plain = |body: &str| numbers(body, &[';']);
    if let Some(body) = body.strip_prefix('?') {
        return match last {
            'h' | 'l' => modes(&[
                1, 5, 6, 7, 12, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047,
                1048, 1049, 2004, 2026,
            ]),
            'J' | 'K' => ["", "0", "1", "2", "3"].contains(&body),
            'W' => body == "5",
            _ => false,
        };
    }
    if let Some(body) = body.strip_prefix('>') {
        return matches!(last, 'm' | 'u') && plain(body);
    }
    if let Some(body) = body.strip_prefix(['<', '=']) {
        return last == 'u' && plain(body);
    }
    if let Some(body) = body.strip_suffix(' ') {
        return last == 'q' && plain(body);
    }
    match last {
        'p' => body == "!",
        'h' | 'l' => modes(&[4, 34]),
        'm' => numbers(body, &[';', ':']) && !hides(body),
        's' | 'u' => body.is_empty(),
        'T' => plain(body) && !body.contains(';'),
        'r' => plain(body) && body.matches(';').count() < 2,
        _ => "@ABCDEFGHIJKLMPSXZ^`abdefg".contains(last) && plain(body),
    }
}

/// Whether any of the ways to read these looks finds the one that hides.
fn hides(body: &str) -> bool {
    let parts: Vec<&str> = body.split(';').collect();
    let mut at = 0;
    while at < parts.len() {
        let value = parts[at].split(':').next().unwrap_or_default().parse::<u32>().unwrap_or(0);
        if value == 8 {
            return true;
        }
        let color = matches!(value, 38 | 48 | 58) && !parts[at].contains(':');
        at += match (color, parts.get(at + 1)) {
            (false, _) => 1,
            (true, Some(&"5")) => 3,
            (true, Some(&"2")) => 5,
            (true, _) => return true,
        };
    }
    // A color that does not end: terminals differ.
    at > parts.len()
}

fuzz_target!(|data: &[u8]| {
    let Some((first, data)) = data.split_first() else { return };
    let questions = if first & 1 == 0 { Questions::Pass } else { Questions::Refused };
    let (out, refused) = filtered(&[data], questions);
    let at = usize::from(first >> 1) * data.len() / 128;
    let (one, two) = data.split_at(at.min(data.len()));
    assert_eq!(filtered(&[one, two], questions), (out.clone(), refused), "cut at {at}");
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        let length = allowed(rest, questions);
        let shown = String::from_utf8_lossy(&rest[..rest.len().min(40)]);
        rest = &rest[length.unwrap_or_else(|| panic!("{shown:?}"))..];
    }
    let (again, nothing) = filtered(&[&out], questions);
    assert_eq!((again, nothing.rows().count()), (out, 0), "a second time");
});
