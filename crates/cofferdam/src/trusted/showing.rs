//! What a project's policy would change, as a person sees it before it is trusted.
//!
//! Every letter of it is the project's choice. Each rule begins on a line of its own behind our sign,
//! in printable ASCII alone, and long ones go on in lines that no rule begins with: nothing of it
//! moves the cursor, turns a line around or looks like the question.

use std::collections::HashMap;
use std::path::PathBuf;

use cofferdam_policy::document::Presence;
use cofferdam_policy::model::Home;
use cofferdam_policy::{Document, Layer, Policy, show};

use super::{BELOW, Store, Text, TrustedError, file_of};

/// Columns of a line, what stands before a rule among them: no terminal of 80 columns breaks it where
/// the project chooses.
const LINE_COLUMNS: usize = 78;
/// Letters of a rule in a line, behind the sign or the space that stands before it.
const LINE_LETTERS: usize = LINE_COLUMNS - 6;

/// A project's policy that a person may trust.
#[derive(Debug)]
pub struct Offer {
    pub(super) text: Text,
    /// Our state directory: nothing is made there before somebody trusts.
    state: PathBuf,
    /// What it adds to the present policy, rule by rule.
    pub added: Vec<String>,
    /// What of the present policy it takes away or replaces.
    pub gone: Vec<String>,
    /// Whether these very bytes are trusted already.
    pub is_trusted: bool,
}

impl Offer {
    /// The difference between `with` and `without` the project's text.
    pub(crate) fn new(
        text: Text,
        state: PathBuf,
        (document, with): (&Document, &Policy),
        without: &Policy,
    ) -> Result<Self, TrustedError> {
        let store = Store::open(&state)?;
        let is_trusted = store.pin_of(&text.project)?.is_some_and(|pin| pin == text.sha256());
        let (new, old) = (show::text(with), show::text(without));
        // Every rule of it is in this file: its name says so, and the path is told once.
        let file = harmless(&file_of(&text.project).display().to_string());
        let short = |rows: Vec<String>| -> Vec<String> {
            rows.into_iter().map(|row| row.replace(&file, BELOW)).collect()
        };
        let mut added = short(beyond(&new, &old));
        let gone = short(beyond(&old, &new));
        added.extend(said(document).iter().map(|row| harmless(row)));
        Ok(Self { text, state, added, gone, is_trusted })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &std::path::Path {
        &self.text.project
    }

    /// SHA-256 of the bytes that were read, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.text.sha256()
    }

    /// Has the bytes that were read be trusted, whatever the file holds by now.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn trust(&self) -> Result<(), TrustedError> {
        Store::make(&self.state)?.pin(&self.text)
    }

    /// The whole showing, for a terminal.
    #[must_use]
    pub fn shown(&self) -> String {
        let project = harmless(&self.project().display().to_string());
        // A path is as long as whoever made it liked.
        let mut text = format!("the policy of\n{}", folded(' ', &project));
        for (sign, rows) in [('+', &self.added), ('-', &self.gone)] {
            for row in rows {
                text += &folded(sign, row);
            }
        }
        let (bytes, sha256) = (self.text.bytes.len(), self.sha256());
        text += &format!(
            "{} rules more (+) and {} less (-) than without it; {bytes} bytes, SHA-256\n  {sha256}\n",
            self.added.len(),
            self.gone.len()
        );
        text
    }
}

/// What the project's text says that the difference need not show: the view has no value of a variable,
/// no name of one that is not set now, and no tree that is not there or that another one holds.
fn said(document: &Document) -> Vec<String> {
    let projects = |clause| document.layer_of(clause) == Layer::Project;
    let mut rows = Vec::new();
    for set in document.set.iter().filter(|set| projects(&set.clause)) {
        rows.push(format!("sets {} = {:?}", set.value.name, set.value.value));
    }
    for name in document.variables.iter().filter(|name| projects(&name.clause)) {
        rows.push(format!("passes {}, whenever it is set", name.value));
    }
    if projects(&document.home.clause) {
        let home = match document.home.value {
            Home::Private => "private",
            Home::Project => "project",
        };
        rows.push(format!("home = {home}"));
    }
    for grant in document.grants.iter().filter(|grant| projects(&grant.clause)) {
        let presence = match grant.value.presence {
            Presence::Required => "",
            Presence::Optional => ", whenever it is there",
        };
        let (path, mode) = (&grant.value.path, grant.value.mode.as_str());
        rows.push(format!("grants {path}, {mode}{presence}"));
    }
    rows
}

/// Lines of `new` that `old` does not have, as often as it lacks them. A heading is no rule.
fn beyond(new: &str, old: &str) -> Vec<String> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for line in old.lines() {
        *known.entry(line).or_default() += 1;
    }
    let mut rows = Vec::new();
    // One word alone is a heading.
    for line in new.lines().filter(|line| line.contains(' ')) {
        match known.get_mut(line) {
            Some(times) if *times > 0 => *times -= 1,
            Some(_) | None => rows.push(harmless(line.trim())),
        }
    }
    rows
}

/// Printable ASCII as it is, all else as the number of its letter.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            ' '..='~' => shown.push(letter),
            other => shown.extend(other.escape_unicode()),
        }
    }
    shown
}

/// One rule behind its sign, whole, in lines that fit.
fn folded(sign: char, row: &str) -> String {
    let letters: Vec<char> = row.chars().collect();
    let mut text = String::new();
    for (index, part) in letters.chunks(LINE_LETTERS).enumerate() {
        text += &if index == 0 { format!("  {sign} ") } else { "      ".into() };
        text.extend(part);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use cofferdam_policy::{Base, LayerText, Source};

    use super::*;

    #[test]
    fn nothing_of_a_project_acts_on_a_terminal() {
        for (text, want, why) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb", "an escape sequence"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\\u{202e}b\\u{2066}c\\u{200f}", "turned around"),
            (
                "a\rb\u{8}c\u{7f}\u{9b}1m",
                "a\\u{d}b\\u{8}c\\u{7f}\\u{9b}1m",
                "over what stands there",
            ),
            ("\u{430}pi.test", "\\u{430}pi.test", "a letter that looks like another"),
            ("a\u{200b}\u{e0041}b", "a\\u{200b}\\u{e0041}b", "letters that nobody sees"),
            ("a b\"c\\d", "a b\"c\\d", "text"),
        ] {
            assert_eq!(harmless(text), want, "{why}");
        }
    }

    #[test]
    fn no_part_of_a_rule_looks_like_another() {
        let row = format!("{}+ granted", "x".repeat(LINE_LETTERS));
        let text = folded('+', &row);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= LINE_COLUMNS), "{lines:?}");
        assert_eq!(lines.len(), 2, "the whole of it is shown");
        assert!(lines[0].starts_with("  + x") && lines[1].starts_with("      + granted"));
    }

    #[test]
    fn what_does_nothing_here_today_is_shown() {
        let text = "version = 1\n[environment]\nallow = ['LATER_*']\nset = { X = 'y' }\n\
                    [filesystem]\nhome = 'project'\ngrant = [\
                    { path = '/nowhere', mode = 'read-write', optional = true },\
                    { path = 'below', mode = 'read-only' }]\n";
        let source = Source { name: "p".into(), text: text.into() };
        let base = Base::Directory("/p".into());
        let document = |layer| {
            let (source, base) = (source.clone(), base.clone());
            Document::stack(vec![LayerText { layer, source, base }]).unwrap()
        };
        let want = [
            "sets X = \"y\"",
            "passes LATER_*, whenever it is set",
            "home = project",
            "grants /nowhere, read-write, whenever it is there",
            "grants /p/below, read-only",
        ];
        assert_eq!(said(&document(Layer::Project)), want);
        assert_eq!(said(&document(Layer::User)), Vec::<String>::new(), "another's");
    }

    #[test]
    fn what_is_beyond_is_counted() {
        let rows = beyond("h\n  a   1\n  b   2\n  b   2\n\ng\n", "h\n  a   1\n  b   2\n  c   3\n");
        assert_eq!(rows, ["b   2"]);
        assert_eq!(beyond("h\n\n", "h\n"), Vec::<String>::new());
    }
}
