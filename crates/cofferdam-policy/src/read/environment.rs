//! `[environment]`: names of variables that pass, and variables that are set.

use toml::de::DeTable;

use super::{ENTRIES_MAX, Reader, check_allow, check_dangerous, check_set};
use crate::document::{Document, Setting};
use crate::error::{Fault, PolicyError};

impl Reader<'_> {
    pub(super) fn environment(
        &self,
        table: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        if let Some(value) = table.get("allow") {
            // In place of the default names, and beside those of a higher layer.
            document.variables.retain(|passed| passed.clause.file != "built-in");
            for (index, entry) in self.list("environment.allow", value)?.iter().enumerate() {
                let name = self.text("environment.allow", entry)?;
                check_allow(name).map_err(|fault| self.fault(fault, entry.span()))?;
                let clause = self.clause(format!("environment.allow[{index}]"), entry);
                document.variables.push(self.located(name.to_owned(), entry, clause));
            }
        }
        if let Some(value) = table.get("dangerous_allow") {
            let key = "environment.dangerous_allow";
            for (index, entry) in self.list(key, value)?.iter().enumerate() {
                let name = self.text(key, entry)?;
                check_dangerous(name).map_err(|fault| self.fault(fault, entry.span()))?;
                let clause = self.clause(format!("{key}[{index}]"), entry);
                document.dangerous.push(self.located(name.to_owned(), entry, clause));
            }
        }
        if let Some(value) = table.get("set") {
            let found = value.get_ref().as_table();
            let found = found.ok_or_else(|| self.wrong("environment.set", "a table", value))?;
            if found.len() > ENTRIES_MAX {
                let fault = Fault::TooMany { key: "environment.set".into(), count: found.len() };
                return Err(self.fault(fault, value.span()));
            }
            let mut entries: Vec<_> = found.iter().collect();
            entries.sort_by_key(|(key, _)| key.span().start);
            for (key, entry) in entries {
                let name = key.get_ref().as_ref();
                let text = self.text(&format!("environment.set.{name}"), entry)?;
                check_set(name, text).map_err(|fault| self.fault(fault, key.span()))?;
                let clause = self.clause(format!("environment.set.{name}"), entry);
                let setting = Setting { name: name.to_owned(), value: text.to_owned() };
                document.set.push(self.located(setting, entry, clause));
            }
        }
        Ok(())
    }
}
