//! The one shape of everything that cofferdam says of a fault: what, where, the next step.
//!
//! ```text
//! cofferdam: refused: unknown key `filesytem` [unknown-key]
//!   --> policy.toml:2:2
//!   2 | [filesytem]
//!     |  ^^^^^^^^^
//!   help: did you mean `filesystem`?
//! ```
//!
//! Knows letters and columns; knows nothing of terminals: how wide one is, and whether it takes
//! colors, is the caller's word. A letter counts as one column, so that the caret below a line with
//! wide letters stands a little to the left.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{PolicyError, printable};

/// Most letters of a policy's line that are shown: with what stands before them they fit into 80
/// columns.
const EXCERPT_MAX: usize = 68;
/// Letters before a fault that are shown where a line is longer than that.
const BEFORE: usize = 24;

/// Most letters of what is said, and of the next step: enough for a path and its sentence. A key of a
/// policy may be as long as the policy.
const LETTERS_MAX: usize = 1_000;

/// What is to be said. Every part becomes one line, whatever it contains.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// What happened: `refused: …`, or a note.
    pub what: &'m str,
    /// Stable name of it.
    pub code: &'m str,
    /// Lines between, as they are.
    pub between: &'m [String],
    /// The next thing to do.
    pub hint: &'m str,
}

impl Message<'_> {
    /// The message, wrapped between words where it is wider than `columns`, with a newline at the
    /// end. Nothing in it is obeyed by a terminal but colors, if `color` asks for them.
    #[must_use]
    pub fn text(&self, color: bool, columns: usize) -> String {
        let what = format!("{} [{}]", short(self.what), self.code);
        let first = wrapped("cofferdam: ", &what, columns);
        let help = wrapped("  help: ", &short(self.hint), columns);
        let between = self.between.iter().map(|line| format!("{}\n", one_line(line)));
        let text = format!("{first}\n{}{help}\n", between.collect::<String>());
        if !color {
            return text;
        }
        text.lines().map(|line| colored(line) + "\n").collect()
    }
}

/// `line` with the colors that its kind has.
fn colored(line: &str) -> String {
    let starts = [("cofferdam: refused:", RED), ("cofferdam:", BOLD), ("  help:", CYAN)];
    for (start, paint) in starts {
        if let Some(rest) = line.strip_prefix(start) {
            return format!("{paint}{start}{PLAIN}{rest}");
        }
    }
    let carets = line.trim_start_matches([' ', '|']);
    if carets.is_empty() || !carets.trim_start_matches('^').is_empty() {
        return line.to_owned();
    }
    format!("{}{RED}{carets}{PLAIN}", line.trim_end_matches('^'))
}

// SGR sequences (ECMA-48).
const RED: &str = "\u{1b}[1;31m";
const BOLD: &str = "\u{1b}[1m";
const CYAN: &str = "\u{1b}[36m";
const PLAIN: &str = "\u{1b}[0m";

/// The error with its place in the text, for a terminal of `columns` columns.
#[must_use]
pub fn render(error: &PolicyError, color: bool, columns: usize) -> String {
    let what = format!("refused: {}", error.without_place());
    let (code, hint) = (error.code(), error.hint());
    Message { what: &what, code, between: &excerpt(error), hint: &hint }.text(color, columns)
}

/// Where the fault is, the line that has it, and a caret below; nothing for a fault in no text.
fn excerpt(error: &PolicyError) -> Vec<String> {
    let Some((file, text, span)) = error.place() else { return Vec::new() };
    let (Some(line), Some(column)) = (error.line(), error.column()) else { return Vec::new() };
    let content: Vec<char> = text.split('\n').nth(line - 1).unwrap_or_default().chars().collect();
    let at = column - 1;
    let marked = text.get(span).and_then(|part| part.split('\n').next()).unwrap_or_default();
    let marked = at..at + marked.chars().count().max(1);
    let (shown, marked) = window(&content, marked);
    let (number, place) = if file == "command line" {
        (String::new(), file.to_owned())
    } else {
        (line.to_string(), format!("{file}:{line}:{column}"))
    };
    let carets = " ".repeat(marked.start) + &"^".repeat(marked.len());
    let wide = number.len();
    vec![
        format!("  --> {place}"),
        format!("  {number} | {shown}"),
        format!("  {:wide$} | {carets}", ""),
    ]
}

/// At most [`EXCERPT_MAX`] letters of a line, with those of `marked` that are among them.
fn window(line: &[char], marked: Range<usize>) -> (String, Range<usize>) {
    let from = if line.len() <= EXCERPT_MAX { 0 } else { marked.start.saturating_sub(BEFORE) };
    let to = line.len().min(from + EXCERPT_MAX);
    let mut shown: Vec<char> = line.get(from..to).unwrap_or_default().to_vec();
    for letter in &mut shown {
        if *letter == '\t' {
            *letter = ' ';
        }
    }
    if let Some(first) = shown.first_mut().filter(|_| from > 0) {
        *first = '…';
    }
    if let Some(last) = shown.last_mut().filter(|_| to < line.len()) {
        *last = '…';
    }
    let start = marked.start - from;
    let end = (marked.end - from).min(EXCERPT_MAX).max(start + 1);
    (shown.into_iter().collect::<String>().trim_end().to_owned(), start..end)
}

fn short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => Cow::Owned(text.get(..end).unwrap_or_default().to_owned() + "…"),
        None => Cow::Borrowed(text),
    }
}

fn one_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// `start` and `text` as one line, or several where a word would pass `columns`; a long word stays
/// whole.
fn wrapped(start: &str, text: &str, columns: usize) -> String {
    let (mut out, mut width) = (start.to_owned(), start.chars().count());
    for (at, word) in one_line(text).split(' ').enumerate() {
        let letters = word.chars().count();
        if at > 0 && width + 1 + letters > columns {
            out.push_str("\n    ");
            width = 4;
        } else if at > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += letters;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Document, Source};

    fn check(text: &str, want: &str, why: &str) {
        let error = Document::parse(Source { name: "p.toml".into(), text: text.into() });
        assert_eq!(render(&error.expect_err(why), false, 80), want, "{why}");
    }

    #[test]
    fn what_a_fault_looks_like() {
        check(
            "version = 1\n[filesytem]\n",
            "cofferdam: refused: unknown key `filesytem` [unknown-key]\n  --> p.toml:2:2\n  2 | \
             [filesytem]\n    |  ^^^^^^^^^\n  help: did you mean `filesystem`?\n",
            "a table",
        );
        let twice = "version = 1\n[filesystem]\n\thome = 1";
        check(
            twice,
            "cofferdam: refused: `filesystem.home` must be a string, not an integer\n    \
             [wrong-type]\n  --> p.toml:3:9\n  3 |  home = 1\n    |         ^\n  help: write a string\n",
            "a tab counts as one column",
        );
        let message = Message { what: "a b c", code: "d", between: &[], hint: "e" };
        assert_eq!(message.text(false, 16), "cofferdam: a b c\n    [d]\n  help: e\n", "wrapped");
    }

    #[test]
    fn a_long_line_is_cut_around_its_fault() {
        let far = format!("version = 1\nisolation = \"{}\"\n", "x".repeat(500));
        let text = Document::parse(Source { name: "p".into(), text: far });
        let text = render(&text.expect_err("no isolation"), false, 80);
        let lines: Vec<&str> = text.lines().collect();
        let line = lines.iter().find(|line| line.starts_with("  2 |")).copied().unwrap_or_default();
        assert!(line.ends_with('…') && line.chars().count() < 80, "{text}");
        let key = format!("version = 1\n{} = 1\n", "k".repeat(100_000));
        let error = Document::parse(Source { name: "p".into(), text: key });
        assert!(render(&error.expect_err("no key"), false, 80).len() < 2_000, "and so is its name");
        let commented = format!("version = 1\na = [{} 1 1]\n", "1, ".repeat(200));
        let text = Document::parse(Source { name: "p".into(), text: commented });
        let text = render(&text.expect_err("no TOML"), false, 80);
        assert!(text.contains("| …") && !text.contains("…\n"), "{text}");
        let caret = text.lines().find(|line| line.contains('^')).unwrap_or_default();
        assert!(caret.chars().count() <= 80, "{text}");
    }

    #[test]
    fn nothing_in_it_is_obeyed_but_our_own_colors() {
        let between = ["a\nb".to_owned()];
        let message =
            Message { what: "w\u{1b}[2J\nx", code: "c", between: &between, hint: "h\t\u{202e}" };
        assert_eq!(message.text(false, 80), "cofferdam: w?[2J x [c]\na b\n  help: h ???\n");
        let text = message.text(true, 80);
        assert!(text.starts_with("\u{1b}[1mcofferdam:\u{1b}[0m w?[2J x [c]\n"), "{text:?}");
        assert!(text.ends_with("\u{1b}[36m  help:\u{1b}[0m h ???\n"), "{text:?}");
    }
}
