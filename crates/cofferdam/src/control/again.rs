//! Reading another policy for a session that runs: by the same options, in the same place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cofferdam_policy::judge::hosts::{Allowed, HostRules};
use cofferdam_policy::{
    Act, Document, Grant, LayerText, Policy, Request, Restart, Rules, Verdict, decide,
    egress_change,
};
use cofferdam_sandbox::Programs;

use super::error::SessionError;
use crate::digest;
use crate::engine::{Engine, Purpose};
use crate::options::Options;
use crate::places::{Read, read_regular};
use crate::refused::Refused;
use crate::trusted::ProjectPolicy;

/// Variables of our own that a run has.
pub(crate) type OwnVariables = &'static [(&'static str, &'static str)];

/// What a session reads another policy with.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) programs: Arc<Programs>,
    pub(crate) options: Options,
    pub(crate) variables: OwnVariables,
    /// The text that holds, without flags.
    pub(crate) document: Document,
    /// The ceiling, of the start.
    managed: Option<LayerText>,
    /// The files that say which text that was, of the start.
    pub(crate) files: Vec<PathBuf>,
    /// What the workload may write, and the judge of it.
    reach: Option<Box<Reach>>,
}

#[derive(Clone, Debug)]
struct Reach {
    trees: Vec<Grant>,
    kept_home: Option<PathBuf>,
    rules: Rules,
}

/// Another policy, read and compared.
#[derive(Debug)]
pub(super) struct Reread {
    /// Its rules, with what was approved; or what cannot change.
    pub(super) rules: Result<HostRules, Vec<Restart>>,
    /// Its text.
    pub(super) document: Document,
    /// SHA-256 of the text, in hexadecimal.
    pub(super) sha256: String,
}

impl Again {
    pub(crate) fn new(
        programs: &Arc<Programs>,
        options: &Options,
        variables: OwnVariables,
        read: Read,
    ) -> Self {
        let Read { document, files, managed, project: _ } = read;
        let (programs, options) = (Arc::clone(programs), options.clone());
        Self { programs, options, variables, document, managed, files, reach: None }
    }

    /// The same for the session of `policy`, whose names `rules` judge.
    pub(crate) fn of(self, policy: &Policy, rules: &Rules) -> Self {
        let trees = policy.grants.iter().chain([&policy.workspace]);
        let reach = Reach {
            trees: trees.filter(|tree| tree.mode.is_written()).cloned().collect(),
            kept_home: policy.kept_home.as_ref().map(|kept| kept.source.clone()),
            rules: rules.clone(),
        };
        Self { reach: Some(Box::new(reach)), ..self }
    }

    /// Reads `file` and compares what it means here with what the text that holds means here: both now,
    /// so that nothing differs but the texts.
    ///
    /// # Errors
    /// What `policy check` would say, or that the workload may have written it.
    pub(super) fn read(&self, file: &Path, approved: &[Allowed]) -> Result<Reread, Refused> {
        if !file.is_absolute() {
            let (path, source) = (file.to_owned(), std::io::ErrorKind::InvalidInput.into());
            return Err(SessionError::Unread { path, source }.into());
        }
        let Read { document, files, .. } = read_regular(file, self.managed.clone())?;
        if let Some(path) = files.iter().find(|path| self.is_reached(path)) {
            return Err(SessionError::Reachable { path: path.clone() }.into());
        }
        let mut new = self.resolve(document.clone())?;
        let mut old = self.resolve(self.document.clone())?;
        // Their hosts too may be ones that the session's authority is not for.
        for policy in [&mut new, &mut old] {
            policy.network.rules.allow.extend(approved.iter().cloned());
        }
        let rules = egress_change(&old, &new);
        let sha256 = digest::sha256(document.source.text.as_bytes());
        Ok(Reread { rules, document, sha256 })
    }

    fn resolve(&self, document: Document) -> Result<Policy, Refused> {
        let engine = Engine::of(&self.programs);
        let (files, managed) = (self.files.clone(), self.managed.clone());
        let read = Read { document, files, managed, project: ProjectPolicy::None };
        let resolved = engine.resolve_read(read, &self.options, self.variables, Purpose::Look)?;
        Ok(resolved.policy)
    }

    /// Whether the workload may write what is at `path` on the host.
    fn is_reached(&self, path: &Path) -> bool {
        let Some(reach) = &self.reach else { return true };
        if reach.kept_home.as_ref().is_some_and(|home| path.starts_with(home)) {
            return true;
        }
        reach.trees.iter().any(|tree| {
            let Ok(below) = path.strip_prefix(&tree.source) else { return false };
            let inside = tree.path.join(below);
            let may = |act| {
                let request = Request { act, path: &inside };
                matches!(decide(&reach.rules, request), Verdict::Allow(_))
            };
            [Act::Write, Act::Rename, Act::Remove].into_iter().any(may)
        })
    }
}
