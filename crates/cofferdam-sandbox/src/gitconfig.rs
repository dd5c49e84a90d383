//! A small reader of git's configuration files (`git-config(1)`): one value of one section.
//!
//! Knows the syntax alone: it follows no `include`, and has no opinion on what a value means. A
//! text that git would refuse has no values.

use std::iter::Peekable;
use std::str::Chars;

/// The last value of `key` in `[section]`, both in lower case, without a subsection.
///
/// `None` where there is none, where it is written without `=`, or where the text is not in git's
/// syntax.
#[must_use]
pub fn value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut reader = Reader { rest: text.chars().peekable() };
    let (mut inside, mut found) = (false, None);
    while let Some(letter) = reader.next_of_line() {
        match letter {
            '[' => inside = reader.section()? == section,
            '#' | ';' => reader.skip_line(),
            first if first.is_ascii_alphabetic() => {
                let (name, value) = reader.entry(first)?;
                if inside && name == key {
                    found = value;
                }
            }
            _ => return None,
        }
    }
    found
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

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
}

impl Reader<'_> {
    /// The next letter that is no space, over the ends of lines.
    fn next_of_line(&mut self) -> Option<char> {
        self.rest.by_ref().find(|letter| !letter.is_ascii_whitespace())
    }

    fn skip_line(&mut self) {
        self.rest.by_ref().find(|letter| *letter == '\n');
    }

    /// The name after `[`, in lower case; with a subsection it is a name that nobody asks for.
    fn section(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            match self.rest.next()? {
                ']' => return Some(name),
                ' ' | '\t' => break,
                letter if letter.is_ascii_alphanumeric() || "-.".contains(letter) => {
                    name.push(letter.to_ascii_lowercase());
                }
                _ => return None,
            }
        }
        // `[section "subsection"]`
        let quote = self.rest.by_ref().find(|letter| *letter != ' ' && *letter != '\t')?;
        (quote == '"').then_some(())?;
        name.push('.');
        loop {
            match self.rest.next()? {
                '"' => break,
                '\n' => return None,
                '\\' => name.push(self.rest.next().filter(|letter| *letter != '\n')?),
                letter => name.push(letter),
            }
        }
        (self.rest.next()? == ']').then_some(name)
    }

    /// A key that begins with `first`, in lower case, and its value if it has one.
    fn entry(&mut self, first: char) -> Option<(String, Option<String>)> {
        let mut name = String::from(first.to_ascii_lowercase());
        while let Some(letter) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '-') {
            name.push(letter.to_ascii_lowercase());
        }
        while self.rest.next_if(|letter| *letter == ' ' || *letter == '\t').is_some() {}
        match self.rest.next() {
            None | Some('\n') => Some((name, None)),
            Some('=') => Some((name, Some(self.value()?))),
            Some('#' | ';') => {
                self.skip_line();
                Some((name, None))
            }
            Some('\r') if self.rest.next_if_eq(&'\n').is_some() => Some((name, None)),
            Some(_) => None,
        }
    }

    fn value(&mut self) -> Option<String> {
        let (mut text, mut quoted, mut kept) = (String::new(), false, 0);
        loop {
            let letter = match self.rest.next() {
                None if quoted => return None,
                None => break,
                Some('\r') if self.rest.peek() == Some(&'\n') => continue,
                Some('\n') if quoted => return None,
                Some('\n') => break,
                Some(letter) => letter,
            };
            match letter {
                '"' => quoted = !quoted,
                '#' | ';' if !quoted => {
                    self.skip_line();
                    break;
                }
                '\\' => match self.rest.next()? {
                    '\n' => continue,
                    '\r' if self.rest.next_if_eq(&'\n').is_some() => continue,
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'b' => text.push('\u{8}'),
                    letter @ ('"' | '\\') => text.push(letter),
                    _ => return None,
                },
                ' ' | '\t' if !quoted => {
                    // Before the value there is none to keep; after it, it may be its end.
                    if !text.is_empty() || kept > 0 {
                        text.push(letter);
                    }
                    continue;
                }
                letter => text.push(letter),
            }
            kept = text.len();
        }
        text.truncate(kept);
        Some(text)
    }
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
