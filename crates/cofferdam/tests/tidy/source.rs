//! The repository's text files, and Rust text without what the compiler does not run.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

/// What a reviewer reads who trusts nothing else, with the most lines of code (no comments).
/// Some of sys is the gateway's and the engine's alone: init has no part of it.
pub(crate) const NOT_INITS: [&str; 5] = [
    "crates/cofferdam-sys/src/memory.rs",
    "crates/cofferdam-sys/src/net.rs",
    "crates/cofferdam-sys/src/question.rs",
    "crates/cofferdam-sys/src/terminal.rs",
    "crates/cofferdam-sys/src/timer.rs",
];
pub(crate) const TRUSTED: (&[&str], usize) =
    (&["crates/cofferdam-init/src/", "crates/cofferdam-sys/src/"], 4_000);
/// And the decoder of plan.
pub(crate) const DECODER: (&[&str], usize) = (
    &[
        "crates/cofferdam-plan/src/message.rs",
        "crates/cofferdam-plan/src/plan.rs",
        "crates/cofferdam-plan/src/wire",
    ],
    1_000,
);

/// Documents whose claims name tests.
pub(crate) const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "SPECIFICATION.md",
    "THREATS.md",
    "docs/conformance.md",
    "docs/credentials.md",
    "docs/names.md",
    "docs/presets.md",
    "docs/requests.md",
    "docs/sessions.md",
];
/// A file: its path from the root of the repository, and its text.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Rust only: blanks for comments and for what stands in strings and characters. Offsets are
    /// those of `text`.
    pub(crate) code: String,
    /// Rust only: blanks for comments.
    pub(crate) quoted: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let rust = path.ends_with(".rs");
        let (code, quoted) = if rust { strip(text) } else { Default::default() };
        Self { path: path.into(), text: text.into(), code, quoted }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// `path:line` of an offset.
    pub(crate) fn at(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        format!("{}:{}", self.path, before.matches('\n').count() + 1)
    }

    /// The string literals in a part of the code, with their offsets.
    pub(crate) fn literals(&self, part: Range<usize>) -> Vec<(usize, &str)> {
        let code = self.code.get(part.clone()).unwrap_or_default();
        let quotes: Vec<usize> = code.match_indices('"').map(|(at, _)| part.start + at).collect();
        let pairs = quotes.chunks_exact(2);
        pairs
            .filter_map(|pair| match *pair {
                [from, to] => Some((from, self.quoted.get(from + 1..to)?)),
                _ => None,
            })
            .collect()
    }
}

/// Names that are not ours to judge, wherever they are.
const SKIPPED: &[&str] = &[".git", "target"];

/// Every text file of the repository. Not UTF-8 is no text, unless it is Rust.
pub(crate) fn load(root: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type()?;
            if SKIPPED.contains(&name.as_str()) {
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                match String::from_utf8(fs::read(entry.path())?) {
                    Ok(text) => files.push(File::new(&path, &text)),
                    Err(error) if path.ends_with(".rs") => return Err(io::Error::other(error)),
                    Err(_) => {}
                }
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Test programs of crates/cofferdam, as documents name them.
pub(crate) const PROGRAMS: &[&str] = &[
    "agrees",
    "broken",
    "broker",
    "conformance",
    "containment",
    "crash",
    "doctor",
    "faces",
    "fuzz",
    "kernel",
    "names",
    "policies",
    "presets",
    "records",
    "rootfs",
    "sessions",
    "streams",
    "terminal",
    "tidy",
    "vault",
    "why",
    "work",
];
/// Crates with tests of their own, as documents name them, `cofferdam-` before or not.
pub(crate) const CRATES: &[&str] =
    &["audit", "gateway", "init", "plan", "policy", "sandbox", "sys"];

/// Whether `conformance::id` is a row of the table of conformance.
pub(crate) fn is_row(files: &[File], token: &str) -> bool {
    let Some(id) = token.strip_prefix("conformance::") else { return false };
    let line = format!("id = \"{id}\"");
    let of = |file: &&File| file.path.starts_with("tests/conformance/");
    files.iter().filter(of).any(|file| file.text.lines().any(|one| one == line))
}

/// Whether the manifest of the fuzz targets has a line for this file: Cargo finds none by itself.
pub(crate) fn is_target(files: &[File], name: &str) -> bool {
    let line = format!("\"fuzz_targets/{name}\"");
    files.iter().any(|file| file.path == "fuzz/Cargo.toml" && file.text.contains(&line))
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Text,
    Character,
}

/// Rust text without comments and without what is quoted, and without comments only.
fn strip(text: &str) -> (String, String) {
    let (mut code, mut quoted) = (String::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = token(rest, first);
        let (piece, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match kind {
            Kind::Code => code.push_str(piece),
            Kind::Comment | Kind::Character => code.push_str(&blank(piece)),
            Kind::Text => {
                let inner = piece.get(1..piece.len().saturating_sub(1)).unwrap_or_default();
                code.push('"');
                code.push_str(&blank(inner));
                code.push('"');
            }
        }
        match kind {
            Kind::Code | Kind::Text | Kind::Character => quoted.push_str(piece),
            Kind::Comment => quoted.push_str(&blank(piece)),
        }
        rest = after;
    }
    (code, quoted)
}

fn blank(piece: &str) -> String {
    let blanks = |c: char| if c == '\n' { "\n".into() } else { " ".repeat(c.len_utf8()) };
    piece.chars().map(blanks).collect()
}

/// The length and kind of what `rest` begins with.
fn token(rest: &str, first: char) -> (usize, Kind) {
    let raw = rest.strip_prefix('r').map(|after| after.trim_start_matches('#'));
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), Kind::Comment)
    } else if rest.starts_with("/*") {
        (block_comment(rest), Kind::Comment)
    } else if let Some(after) = raw.filter(|after| after.starts_with('"')) {
        let open = rest.len() - after.len() + 1;
        let close = format!("\"{}", "#".repeat(open - 2));
        let end = rest.get(open..).and_then(|inner| inner.find(&close));
        (end.map_or(rest.len(), |at| open + at + close.len()), Kind::Text)
    } else if first == '"' {
        (plain_string(rest), Kind::Text)
    } else if rest.starts_with("'\\") {
        let end = rest.get(3..).and_then(|inner| inner.find('\''));
        (end.map_or(rest.len(), |at| at + 4), Kind::Character)
    } else if first == '\'' && rest.chars().nth(2) == Some('\'') {
        (rest.chars().take(3).map(char::len_utf8).sum(), Kind::Character)
    } else {
        (first.len_utf8(), Kind::Code)
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn plain_string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `needle` stands in `text` as words of its own.
pub(crate) fn words<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + needle.len()..).and_then(|after| after.chars().next());
        let bound = |end: Option<char>, beside: Option<char>| {
            !(end.is_some_and(is_word) && beside.is_some_and(is_word))
        };
        bound(needle.chars().next(), before) && bound(needle.chars().next_back(), after)
    })
}

/// The block in braces after `from`, braces included; none where a `;` comes first.
pub(crate) fn block(code: &str, from: usize) -> Option<Range<usize>> {
    let rest = code.get(from..)?;
    let mut brackets = 0_usize;
    let mut open = None;
    for (at, c) in rest.char_indices() {
        match c {
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            '{' => open = open.or(Some(at)),
            ';' if brackets == 0 && open.is_none() => return None,
            _ => {}
        }
    }
    let open = open?;
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices().skip_while(|&(at, _)| at < open) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(from + open..from + at + 1);
        }
    }
    None
}
