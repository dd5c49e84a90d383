//! The profile as data, and as text in SBPL, the language of `sandbox-exec(1)`.
//!
//! Whether a rule about one operation beats a later one about the class that it belongs to is told in
//! both ways by public sources. So no decision hangs on it: a rule that names a class names every
//! operation of it that some rule names alone ([`READ`], [`WRITE`]).

use std::fmt::Write as _;

/// Everything that reads a path.
pub(super) const READ: &[&str] = &[
    "file-read*",
    "file-read-data",
    "file-read-metadata",
    "file-read-xattr",
    "file-test-existence",
];
/// What of it shows that a name is there, and no content.
pub(super) const LOOK: &[&str] = &["file-read-metadata", "file-test-existence"];
/// What of it shows content.
pub(super) const CONTENT: &[&str] = &["file-read-data", "file-read-xattr"];
/// Everything that changes a path.
pub(super) const WRITE: &[&str] =
    &["file-write*", "file-write-create", "file-write-data", "file-write-unlink"];
/// Everything that runs one.
pub(super) const RUN: &[&str] = &["process-exec*", "file-map-executable"];
/// Connecting to a socket by its path.
pub(super) const CONNECT: &[&str] = &["network-outbound"];

/// Whether a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Allow,
    Deny,
}

/// A path that is written out, or that the start names (`sandbox-exec -D`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path(String),
    Parameter(&'static str),
}

/// Which objects a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// This path.
    Literal(Place),
    /// This path and what is below it.
    Subpath(Place),
    /// Every directory above this path.
    Ancestors(Place),
    /// Paths in which this finds something.
    Regex(String),
    /// `(KEY "VALUE")`
    Named(&'static str, String),
    /// `(KEY SYMBOL)`
    Symbol(&'static str, &'static str),
    /// `(remote ip "…")`, `(local ip "…")`
    Address(&'static str, String),
    /// All of them.
    All(Vec<Self>),
    /// One of them.
    Any(Vec<Self>),
    /// Not this one.
    Not(Box<Self>),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) says: Says,
    pub(super) operations: Vec<&'static str>,
    /// With a comment each, which may be empty. Without any the rule is about every object.
    pub(super) filters: Vec<(Filter, String)>,
    /// Why the rule is there.
    pub(super) why: String,
}

impl Rule {
    pub(super) fn new(says: Says, operations: &[&[&'static str]], why: impl Into<String>) -> Self {
        let (operations, filters) = (operations.concat(), Vec::new());
        Self { says, operations, filters, why: why.into() }
    }

    pub(super) fn about(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.filters.extend(filters.into_iter().map(|filter| (filter, String::new())));
        self
    }

    pub(super) fn about_each(
        mut self,
        filters: impl IntoIterator<Item = (Filter, String)>,
    ) -> Self {
        self.filters.extend(filters);
        self
    }
}

pub(super) fn literal(path: impl Into<String>) -> Filter {
    Filter::Literal(Place::Path(path.into()))
}

pub(super) fn subpath(path: impl Into<String>) -> Filter {
    Filter::Subpath(Place::Path(path.into()))
}

/// The profile as text. `tag` is in the log's line of each denial.
pub(super) fn written(rules: &[Rule], tag: &str) -> String {
    let mut out = format!("(version 1)\n(deny default (with message {}))\n", quoted(tag));
    for rule in rules {
        // Writing to a String cannot fail.
        one(&mut out, rule, tag).unwrap_or(());
    }
    out
}

fn one(out: &mut String, rule: &Rule, tag: &str) -> std::fmt::Result {
    writeln!(out, "\n; {}", comment(&rule.why))?;
    let verb = match rule.says {
        Says::Allow => "allow",
        Says::Deny => "deny",
    };
    write!(out, "({verb} {}", rule.operations.join(" "))?;
    for (filter, why) in &rule.filters {
        write!(out, "\n  {}", filtered(filter))?;
        if !why.is_empty() {
            write!(out, " ; {}", comment(why))?;
        }
    }
    match (rule.says, rule.filters.last()) {
        (Says::Deny, _) => write!(out, "\n  (with message {})", quoted(tag))?,
        // The bracket that closes is no part of a comment.
        (Says::Allow, Some((_, why))) if !why.is_empty() => out.push_str("\n "),
        (Says::Allow, _) => {}
    }
    out.push_str(")\n");
    Ok(())
}

/// Text that stays on its line.
fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn filtered(filter: &Filter) -> String {
    let each = |name: &str, filters: &[Filter]| {
        let inner: Vec<String> = filters.iter().map(filtered).collect();
        format!("({name} {})", inner.join(" "))
    };
    match filter {
        Filter::Literal(at) => format!("(literal {})", place(at)),
        Filter::Subpath(at) => format!("(subpath {})", place(at)),
        Filter::Ancestors(at) => format!("(path-ancestors {})", place(at)),
        Filter::Regex(text) => format!("(regex {})", expression(text)),
        Filter::Named(key, value) => format!("({key} {})", quoted(value)),
        Filter::Symbol(key, symbol) => format!("({key} {symbol})"),
        Filter::Address(end, address) => format!("({end} ip {})", quoted(address)),
        Filter::All(filters) => each("require-all", filters),
        Filter::Any(filters) => each("require-any", filters),
        Filter::Not(filter) => format!("(require-not {})", filtered(filter)),
    }
}

fn place(place: &Place) -> String {
    match place {
        Place::Path(path) => quoted(path),
        Place::Parameter(name) => format!("(param {})", quoted(name)),
    }
}

/// A string of the language: what could end it or the line is escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A regular expression: raw where nothing in it could end it, and a string otherwise.
fn expression(text: &str) -> String {
    if text.contains(|letter: char| letter == '"' || letter.is_control()) {
        return quoted(text);
    }
    format!("#\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_ends_nowhere_else() {
        for (text, want, why) in [
            ("/w/a b", r#""/w/a b""#, "a blank"),
            (r#"/w/")(allow default)"#, r#""/w/\")(allow default)""#, "a quote and brackets"),
            (r"/w/\", r#""/w/\\""#, "a backslash at the end"),
            ("/w/a\n; b\r\t", r#""/w/a\n; b\r\t""#, "the ends of lines"),
            ("/w/caf\u{e9}", "\"/w/caf\u{e9}\"", "a letter outside ASCII"),
        ] {
            assert_eq!(quoted(text), want, "{why}");
        }
        for (text, want, why) in [
            (r"^/w/\.env(/|$)", r##"#"^/w/\.env(/|$)""##, "as it is"),
            (r#"^/w/a"b\.c"#, r#""^/w/a\"b\\.c""#, "a quote: a string"),
            ("^/w/a\nb", r#""^/w/a\nb""#, "a line's end: a string"),
        ] {
            assert_eq!(expression(text), want, "{why}");
        }
        let why = "a.toml\n(allow default)";
        let rule = Rule::new(Says::Allow, &[LOOK], why).about_each([(literal("/"), why.into())]);
        let text = written(&[rule], "t");
        let told = "\n; a.toml?(allow default)\n(allow file-read-metadata file-test-existence\n  \
                    (literal \"/\") ; a.toml?(allow default)\n )\n";
        assert!(text.ends_with(told), "{text}");
    }
}
