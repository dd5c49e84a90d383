//! `[managed]`, and what a project's text does not say.

use toml::de::DeTable;

use super::{Reader, Table, Value, nearest};
use crate::document::Document;
use crate::error::{Fault, LayerFault, PolicyError};
use crate::layers::Layer;
use crate::managed::{Managed, Only};
use crate::model::Mode;

pub(super) const MANAGED: Table =
    Table { name: "managed", now: &["only", "mounts", "dangerous", "audit"], later: &[] };
pub(super) const MOUNT: Table =
    Table { name: "managed.mounts", now: &["path", "mode"], later: &[] };

/// What a project does not say, whoever trusts it: whose secrets are used, whom the sandbox
/// believes, who carries what it sends, and what takes a piece out of the wall.
const NOT_A_PROJECTS: &[&[&str]] = &[
    &["jail"],
    &["rootfs"],
    &["best_effort"],
    &["credentials"],
    &["environment", "dangerous_allow"],
    &["network", "upstream_proxy"],
    &["network", "trust_ca"],
    &["network", "allow", "credential"],
    &["network", "allow", "dial"],
    &["network", "allow", "dangerous_wide_wildcard"],
    &["output", "redact"],
    &["output", "escape_sequences"],
];

impl Reader<'_> {
    pub(super) fn managed(
        &self,
        value: &Value<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        let table = self.table(value, &MANAGED)?;
        let mut managed = Managed::default();
        if let Some(value) = table.get("only") {
            for (index, entry) in self.list("managed.only", value)?.iter().enumerate() {
                let clause = self.clause(format!("managed.only[{index}]"), entry);
                let text = self.text("managed.only", entry)?;
                let found = Only::ALL.into_iter().find(|only| only.as_str() == text);
                let Some(only) = found else {
                    let known = Only::ALL.map(Only::as_str);
                    let nearest = nearest(text, known.iter());
                    let known = known.map(str::to_owned).into();
                    let fault = LayerFault::OnlyUnknown { asked: text.into(), nearest, known };
                    return Err(self.fault(fault.into(), entry.span()));
                };
                managed.only.push(self.located(only, entry, clause));
            }
        }
        if let Some(value) = table.get("mounts") {
            let mut mounts = Vec::new();
            for (index, entry) in self.list("managed.mounts", value)?.iter().enumerate() {
                let clause = self.clause(format!("managed.mounts[{index}]"), entry);
                let mount = self.grant(entry, &MOUNT, Some(Mode::ReadWrite))?;
                self.whole(&mount.path, entry)?;
                mounts.push(self.located(mount, entry, clause));
            }
            managed.mounts = Some((mounts, self.clause("managed.mounts", value)));
        }
        if let Some(value) = table.get("dangerous") {
            match value.get_ref().as_bool() {
                Some(true) => {}
                Some(false) => {
                    managed.no_dangers = Some(self.clause("managed.dangerous", value));
                }
                None => return Err(self.wrong("managed.dangerous", "a boolean", value)),
            }
        }
        if let Some(value) = table.get("audit") {
            let text = self.text("managed.audit", value)?;
            let path = super::check_path(text).map_err(|fault| self.fault(fault, value.span()))?;
            self.whole(&path, value)?;
            let clause = self.clause("managed.audit", value);
            managed.audit = Some(self.located(path, value, clause));
        }
        document.managed = managed;
        Ok(())
    }

    /// A path that begins at the root or at the home: where somebody stands does not move it.
    fn whole(&self, path: &str, at: &Value<'_>) -> Result<(), PolicyError> {
        if path.starts_with('/') || path == "~" || path.starts_with("~/") {
            return Ok(());
        }
        let fault = LayerFault::PathRelative { path: path.into() };
        Err(self.fault(fault.into(), at.span()))
    }

    /// Refuses what a text of this layer does not say.
    pub(super) fn of_layer(&self, top: &DeTable<'_>) -> Result<(), PolicyError> {
        if let Some((key, _)) = top.get_key_value("managed")
            && self.layer != Layer::Managed
        {
            return Err(self.fault(LayerFault::ManagedElsewhere.into(), key.span()));
        }
        if self.layer == Layer::Project {
            for keys in NOT_A_PROJECTS {
                self.lacks(top, keys, keys)?;
            }
        }
        Ok(())
    }

    /// Refuses the key that `rest` leads to, in every table of a list on the way.
    fn lacks(&self, table: &DeTable<'_>, rest: &[&str], all: &[&str]) -> Result<(), PolicyError> {
        let Some((first, rest)) = rest.split_first() else { return Ok(()) };
        let Some((key, value)) = table.get_key_value(*first) else { return Ok(()) };
        if rest.is_empty() {
            // What makes the wall no weaker may be said.
            let safe = ["redact", "dangerous_wide_wildcard"];
            let weak = match (*first, value.get_ref().as_bool(), value.get_ref().as_str()) {
                ("redact", Some(true), _) | ("dangerous_wide_wildcard", Some(false), _) => false,
                ("escape_sequences", _, Some(text)) => text == "raw",
                _ => true,
            };
            if !weak {
                return Ok(());
            }
            let key_text = all.join(".");
            let fault: Fault = LayerFault::NotAProjects { key: key_text }.into();
            let at = if safe.contains(first) { value.span() } else { key.span() };
            return Err(self.fault(fault, at));
        }
        let one = value.get_ref().as_table().into_iter();
        let many = value.get_ref().as_array().into_iter().flatten();
        let tables = one.chain(many.filter_map(|entry| entry.get_ref().as_table()));
        for table in tables {
            self.lacks(table, rest, all)?;
        }
        Ok(())
    }
}
