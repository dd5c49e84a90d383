//! `[output]`, `--output` and `[canary]`.

use toml::de::{DeTable, DeValue};

use super::limits::{size, whole};
use super::{Reader, Table, Value};
use crate::document::Document;
use crate::error::{Fault, OutputFault, PolicyError};
use crate::output::{
    CANARIES_MAX, CANARY_BYTES, CANARY_NAME_MAX, Canary, Escapes, MOST_BYTES, Most, Output,
    Redaction,
};

pub(super) const OUTPUT: Table =
    Table { name: "output", now: &["escape_sequences", "redact", "max_bytes"], later: &[] };

impl Reader<'_> {
    pub(super) fn output(
        &self,
        table: &DeTable<'_>,
        output: &mut Output,
    ) -> Result<(), PolicyError> {
        if let Some(value) = table.get("escape_sequences") {
            let text = self.text("output.escape_sequences", value)?;
            output.escapes = escapes(text).map_err(|fault| self.fault(fault, value.span()))?;
            output.escapes_clause = self.clause("output.escape_sequences", value);
        }
        if let Some(value) = table.get("redact") {
            output.redaction = match value.get_ref().as_bool() {
                Some(true) => Redaction::On,
                Some(false) => Redaction::Off,
                None => return Err(self.wrong("output.redact", "a boolean", value)),
            };
            output.redaction_clause = self.clause("output.redact", value);
        }
        if let Some(value) = table.get("max_bytes") {
            let bytes = self.most(value)?;
            output.most = Some(Most { bytes, clause: self.clause("output.max_bytes", value) });
        }
        Ok(())
    }

    /// A size, as in `[limits]`.
    fn most(&self, value: &Value<'_>) -> Result<u64, PolicyError> {
        let (text, parsed) = match value.get_ref() {
            DeValue::String(text) => (text.to_string(), size(text)),
            DeValue::Integer(_) => {
                let text = self.source.text.get(value.span()).unwrap_or_default();
                (text.to_owned(), whole(text))
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                let want = "a size such as \"64MiB\", or a plain number of bytes";
                return Err(self.wrong("output.max_bytes", want, value));
            }
        };
        let (least, most) = MOST_BYTES;
        match parsed {
            Some(bytes) if (least..=most).contains(&bytes) => Ok(bytes),
            Some(_) | None => {
                Err(self.fault(OutputFault::Bytes { got: text }.into(), value.span()))
            }
        }
    }

    /// `[canary]`: names that a person chooses, each with a string.
    pub(super) fn canaries(
        &self,
        value: &Value<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        let found = value.get_ref().as_table();
        let found = found.ok_or_else(|| self.wrong("canary", "a table", value))?;
        if found.len() > CANARIES_MAX {
            let fault = OutputFault::CanaryMany { count: found.len() }.into();
            return Err(self.fault(fault, value.span()));
        }
        let mut entries: Vec<_> = found.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, entry) in entries {
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                let fault = OutputFault::CanaryName { name: name.into() }.into();
                return Err(self.fault(fault, key.span()));
            }
            let rule = format!("canary.{name}");
            let text = self.text(&rule, entry)?;
            if !is_canary(text) {
                return Err(
                    self.fault(OutputFault::CanaryText { name: name.into() }.into(), entry.span())
                );
            }
            let clause = self.clause(&rule, entry);
            let (name, text) = (name.to_owned(), text.to_owned());
            document.canaries.push(Canary { name, text, clause });
        }
        Ok(())
    }
}

/// Letters, digits, `-` and `_`.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=CANARY_NAME_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// One line that a person can read, and no space around it.
fn is_canary(text: &str) -> bool {
    let (least, most) = CANARY_BYTES;
    let letters = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    let bounded = letters >= least && text.len() <= most;
    bounded && !text.chars().any(char::is_control) && text.trim() == text
}

fn escapes(text: &str) -> Result<Escapes, Fault> {
    let all = [Escapes::Safe, Escapes::Always, Escapes::Raw];
    let found = all.into_iter().find(|escapes| escapes.as_str() == text);
    found.ok_or_else(|| OutputFault::Escapes { asked: text.into() }.into())
}

/// The word of `--output`: `safe`, or `raw`, with which nobody looks at anything.
pub(crate) fn flag(word: &str) -> Result<(Escapes, Redaction), Fault> {
    match word {
        "safe" => Ok((Escapes::Safe, Redaction::On)),
        "raw" => Ok((Escapes::Raw, Redaction::Off)),
        other => Err(OutputFault::Word { asked: other.into() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Source;

    fn read(text: &str) -> Result<Document, PolicyError> {
        let text = format!("version = 1\n{text}\n");
        Document::parse(Source { name: "p.toml".into(), text })
    }

    #[test]
    fn what_is_written_holds() {
        let none = read("").unwrap();
        assert_eq!((none.output, none.canaries.len()), (Output::built_in(), 0), "the default");
        let all = read(
            "[output]\nescape_sequences = \"raw\"\nredact = false\nmax_bytes = \"64MiB\"\n\
             [canary]\ninvoice-2 = \"no such invoice\"\nA = \"äöü!\"",
        );
        let Document { output, canaries, .. } = all.unwrap();
        assert_eq!((output.escapes, output.redaction), (Escapes::Raw, Redaction::Off));
        let most = output.most.unwrap();
        assert_eq!(most.bytes, 64 << 20);
        assert_eq!(most.clause.to_string(), "output.max_bytes (p.toml:5)");
        assert_eq!(output.escapes_clause.to_string(), "output.escape_sequences (p.toml:3)");
        let rows: Vec<_> = canaries.iter().map(|c| (c.name.as_str(), c.text.as_str())).collect();
        assert_eq!(rows, [("invoice-2", "no such invoice"), ("A", "äöü!")], "in order");
        assert_eq!(canaries[1].clause.to_string(), "canary.A (p.toml:8)");
        let again = read("[output]\nescape_sequences = \"always\"\nmax_bytes = 4096").unwrap();
        assert_eq!(again.output.escapes, Escapes::Always);
        assert_eq!(again.output.most.unwrap().bytes, 4_096);
    }

    #[test]
    fn what_is_no_such_thing_is_refused() {
        let long = format!("[canary]\nA = \"{}\"", "x".repeat(1_025));
        let name = format!("[canary]\n{} = \"planted\"", "x".repeat(65));
        let many: String = (0..1_001).map(|i| format!("C{i} = \"planted\"\n")).collect();
        let many = format!("[canary]\n{many}");
        for (text, code, why) in [
            ("output = 1", "wrong-type", "no table"),
            ("[output]\nescapes = \"safe\"", "unknown-key", "no such key"),
            ("[output]\nescape_sequences = \"on\"", "output-escapes", "no such word"),
            ("[output]\nescape_sequences = true", "wrong-type", "a boolean"),
            ("[output]\nredact = \"yes\"", "wrong-type", "a word"),
            ("[output]\nmax_bytes = \"64MB\"", "output-bytes", "another unit"),
            ("[output]\nmax_bytes = 1023", "output-bytes", "too little"),
            ("[output]\nmax_bytes = 0x1000", "output-bytes", "another spelling"),
            ("[output]\nmax_bytes = 1e6", "wrong-type", "no whole number"),
            ("canary = []", "wrong-type", "no table"),
            ("[canary]\nA = 123456", "wrong-type", "no string"),
            ("[canary]\nA = \"short\"", "canary-text", "any text may hold it"),
            ("[canary]\nA = \"two\\nlines\"", "canary-text", "two lines"),
            ("[canary]\nA = \"a b c d\"", "canary-text", "few letters"),
            ("[canary]\nA = \" planted\"", "canary-text", "a space at its beginning"),
            (&long, "canary-text", "too long"),
            ("[canary]\n\"a b\" = \"planted\"", "canary-name", "a space in the name"),
            ("[canary]\n\"\" = \"planted\"", "canary-name", "no name"),
            (&name, "canary-name", "a long name"),
            (&many, "canary-many", "too many"),
        ] {
            let error = read(text).expect_err(why);
            assert_eq!(error.code(), code, "{why}: {text:.60}");
            assert!(error.line().is_some(), "{why}: it has a place");
        }
    }

    #[test]
    fn words_of_the_flag() {
        assert_eq!(flag("safe"), Ok((Escapes::Safe, Redaction::On)));
        assert_eq!(flag("raw"), Ok((Escapes::Raw, Redaction::Off)));
        assert!(flag("always").is_err() && flag("").is_err());
    }
}
