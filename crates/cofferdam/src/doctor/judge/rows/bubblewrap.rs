//! The other jail of namespaces.

use super::super::super::bubblewrap::Found;
use super::super::{Evidence, Row, State};

impl Evidence {
    pub(super) fn of_bubblewrap(&self) -> Row {
        match &self.bubblewrap {
            Found::Works { path, version } => Row::enforced(format!(
                "{path}, version {version}, is root's alone and builds a sandbox; no plan has it make \
                 anything in a tree of the host, where releases before 0.12 follow links"
            )),
            Found::Not(why) => Row {
                state: State::NotNeeded,
                found: format!("jail = \"bubblewrap\" cannot be had: {why}"),
                remedy: None,
            },
        }
    }
}
