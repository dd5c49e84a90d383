//! One value of git's configuration (`git-config(1)`), and one line of it.
//!
//! Follows no `include`, and has no opinion on what a value means. A text that git would refuse has no
//! values.

use cofferdam_plan::judge::git::syntax::{Entry, entries};

/// The last value of `key` in `[section]`, both in lower case, without a subsection.
///
/// `None` where there is none, where it is written without `=`, or where the text is not in git's
/// syntax.
#[must_use]
pub fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let entries = entries(text.as_bytes()).ok()?;
    let named = |entry: &&Entry<'_>| entry.section() == section.as_bytes() && entry.key() == key;
    let value = entries.iter().rfind(named)?.value()?;
    // Cut nowhere inside a letter: what parts values is ASCII.
    String::from_utf8(value.to_vec()).ok()
}

/// `key = "value"` as git reads it back; `None` where the value has what no line can hold.
#[must_use]
pub fn entry(key: &str, value: &str) -> Option<String> {
    let mut text = format!("\t{key} = \"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\t' => text += "\\t",
            letter if letter.is_control() => return None,
            letter => text.push(letter),
        }
    }
    text += "\"\n";
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_reads() {
        for (text, want, why) in [
            ("[user]\n\tname = A B\n", Some("A B"), "an ordinary file"),
            ("[USER]\nName=A", Some("A"), "names in any case, no newline at the end"),
            ("[user] name = A", Some("A"), "on one line"),
            ("[user]\nname = \"A # B\" ; c\n", Some("A # B"), "quotes and comments"),
            ("[user]\nname = A  \t B  \n", Some("A  \t B"), "spaces inside, none at the end"),
            ("[user]\nname = \"A \" \n", Some("A "), "a quoted space at the end"),
            ("[user]\nname = A\\\n B\n", Some("A B"), "over two lines"),
            ("[user]\nname = \\\"\\\\\\t\n", Some("\"\\\t"), "escapes"),
            ("[user]\nname = A\n[user]\nname = B\n", Some("B"), "the last one"),
            ("[user]\r\nname = A\r\n", Some("A"), "lines from elsewhere"),
            ("# x\n; y\n[core]\n\tbare\n[user]\nname = A\n", Some("A"), "beside others"),
            ("[user]\nname =\n", Some(""), "empty"),
            ("[user \"x\"]\nname = A\n", None, "a subsection is another section"),
            ("[user.x]\nname = A\n", None, "in its older spelling too"),
            ("[include]\npath = x\n", None, "nothing is included"),
            ("[user]\nname\n", None, "without a value"),
            ("[user]\nname = \"A\n", None, "an open quote: git refuses the file"),
            ("[user]\nname = \\x\n", None, "an unknown escape"),
            ("[user\nname = A\n", None, "an open section"),
            ("name = A\n", None, "no section"),
            ("= A\n[user]\nname = A\n", None, "no key"),
        ] {
            assert_eq!(value(text, "user", "name").as_deref(), want, "{text:?}: {why}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["A B", " \"A\\ ", "a\tb", "#;", "é"] {
            let line = entry("name", text).unwrap();
            assert_eq!(value(&format!("[user]\n{line}"), "user", "name").as_deref(), Some(text));
        }
        assert_eq!(entry("name", "a\n[core]"), None, "no second line");
    }
}
