//! Layers: who says what, in the order in which it holds.
//!
//! Several texts become one Document: lists are joined, and of single values the last one holds.
//! Each value keeps its own file and line. What the managed text says is a ceiling, which
//! [`crate::resolve()`] holds; nothing here drops a rule.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document::{Document, Located, Source};
use crate::error::{Fault, LayerFault, PolicyError};
use crate::model::Clause;
use crate::presets::PREFIX;
use crate::read;

/// Whose text it is. A later layer is a lower one: it can narrow, and widen as far as the managed
/// one lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Layer {
    /// What every sandbox has.
    BuiltIn,
    /// Whoever manages the machine: a ceiling.
    Managed,
    /// The person's own file.
    User,
    /// The file that the person named in place of the user's and the project's.
    Named,
    /// The project's, which the person trusts.
    Project,
    /// Flags.
    CommandLine,
}

impl Layer {
    /// Each of them, the highest first.
    pub const ALL: [Self; 6] =
        [Self::BuiltIn, Self::Managed, Self::User, Self::Named, Self::Project, Self::CommandLine];

    /// One word for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Managed => "managed",
            Self::User => "user",
            Self::Named => "named",
            Self::Project => "project",
            Self::CommandLine => "command-line",
        }
    }

    /// Whether the ceiling is above it.
    #[must_use]
    pub const fn is_below_managed(self) -> bool {
        match self {
            Self::BuiltIn | Self::Managed => false,
            Self::User | Self::Named | Self::Project | Self::CommandLine => true,
        }
    }
}

/// What paths of a text that are not absolute begin at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// As everywhere: grants at the working directory, names at the workspace, `~` at the home.
    AsWritten,
    /// `~` is this directory, whatever the caller's environment says of the home.
    Home(PathBuf),
    /// Everything but `~` begins at this directory. Names that may be anywhere (`**/.env`) stay so.
    Directory(PathBuf),
}

/// A text of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerText {
    /// Whose it is.
    pub layer: Layer,
    /// The text.
    pub source: Source,
    /// Where its paths begin.
    pub base: Base,
}

/// Names that stand for no file in a clause.
fn is_reserved(name: &str) -> bool {
    name == "built-in" || name == "command line" || name.starts_with(PREFIX)
}

/// The lengths of the lists that paths are in.
struct Lengths {
    grants: usize,
    hide: usize,
    mask: usize,
    protect: usize,
    sockets: usize,
    trust_ca: usize,
}

impl Document {
    /// Reads the texts, the highest first, over what is built in.
    ///
    /// # Errors
    /// The first thing in one of them that is not in the language, or that its layer may not say,
    /// with its place; or two of them that are one file.
    pub fn stack(texts: Vec<LayerText>) -> Result<Self, PolicyError> {
        let mut document = Self::built_in();
        for LayerText { layer, mut source, base } in texts {
            if is_reserved(&source.name) {
                source.name.insert_str(0, "./");
            }
            if document.layers.iter().any(|(_, earlier)| earlier.name == source.name) {
                let fault = LayerFault::Twice { file: source.name };
                return Err(PolicyError::plain(fault.into()));
            }
            let before = document.lengths();
            let credentials = document.credentials.len();
            let source = Arc::new(source);
            document.layers.push((layer, Arc::clone(&source)));
            document.source = Arc::clone(&source);
            read::into(&mut document, &source, layer)?;
            document.replace_older(credentials);
            document.rebase(&before, &base).map_err(|fault| PolicyError::plain(fault.into()))?;
            if layer == Layer::Managed {
                document.ceiling = Some(Box::new(document.clone()));
            }
        }
        Ok(document)
    }

    /// The text that `clause` stands in, for errors.
    pub(crate) fn source_of(&self, clause: &Clause) -> &Source {
        let named = self.layers.iter().find(|(_, source)| source.name == clause.file);
        named.map_or(&self.source, |(_, source)| source)
    }

    /// The rule by which somebody asks for `clause`: of a preset's rule the one that asks for the
    /// preset, of every other one itself.
    pub(crate) fn asked_by<'c>(&'c self, clause: &'c Clause) -> &'c Clause {
        let mut clause = clause;
        // No preset is below itself; as many steps as there are presets end every chain.
        for _ in 0..=self.presets.len() {
            let Some(name) = clause.file.strip_prefix(PREFIX) else { break };
            let Some(preset) = self.presets.iter().find(|preset| preset.name == name) else {
                break;
            };
            clause = &preset.clause;
        }
        clause
    }

    /// Whose rule `clause` is. A rule of a preset is whose rule asks for the preset.
    #[must_use]
    pub fn layer_of(&self, clause: &Clause) -> Layer {
        let clause = self.asked_by(clause);
        match clause.file.as_str() {
            "built-in" => Layer::BuiltIn,
            "command line" => Layer::CommandLine,
            file => {
                let found = self.layers.iter().find(|(_, source)| source.name == file);
                // What nobody is known to have written is nobody's to widen.
                found.map_or(Layer::CommandLine, |(layer, _)| *layer)
            }
        }
    }

    /// A fault of a rule, at its line where that is in a text.
    pub(crate) fn fault_at(&self, fault: Fault, clause: &Clause) -> PolicyError {
        let source = self.source_of(clause);
        let line = usize::try_from(clause.line).unwrap_or(usize::MAX);
        if line == 0 || clause.file != source.name {
            return PolicyError::plain(fault);
        }
        let lines = source.text.split_inclusive('\n');
        let start: usize = lines.clone().take(line - 1).map(str::len).sum();
        let length = lines.skip(line - 1).map(|line| line.trim_end().len()).next().unwrap_or(0);
        PolicyError::at(fault, source, start..start + length)
    }

    fn lengths(&self) -> Lengths {
        Lengths {
            grants: self.grants.len(),
            hide: self.hide.len(),
            mask: self.mask.len(),
            protect: self.protect.len(),
            sockets: self.sockets.len(),
            trust_ca: self.network.trust_ca.len(),
        }
    }

    /// A credential of a lower layer stands in the place of one of that name.
    fn replace_older(&mut self, since: usize) {
        let new = self.credentials.split_off(since.min(self.credentials.len()));
        self.credentials.retain(|old| new.iter().all(|new| new.value.name != old.value.name));
        self.credentials.extend(new);
    }

    /// Has the paths that were read since begin where the layer's do.
    fn rebase(&mut self, since: &Lengths, base: &Base) -> Result<(), LayerFault> {
        if *base == Base::AsWritten {
            return Ok(());
        }
        let last = self.layers.last().map(|(_, last)| last.name.clone());
        if let Some(rootfs) = &mut self.rootfs
            && last.is_some_and(|last| last == rootfs.clause.file)
        {
            rootfs.value = based(&rootfs.value, base)?;
        }
        let workspace = &mut self.workspace;
        let own = self.layers.last().is_some_and(|(_, last)| last.name == workspace.clause.file);
        if own {
            workspace.value.path = based(&workspace.value.path, base)?;
        }
        for grant in self.grants.iter_mut().skip(since.grants) {
            grant.value.path = based(&grant.value.path, base)?;
        }
        let lists: [(&mut Vec<Located<String>>, usize); 5] = [
            (&mut self.hide, since.hide),
            (&mut self.mask, since.mask),
            (&mut self.protect, since.protect),
            (&mut self.sockets, since.sockets),
            (&mut self.network.trust_ca, since.trust_ca),
        ];
        for (list, since) in lists {
            for name in list.iter_mut().skip(since) {
                name.value = based(&name.value, base)?;
            }
        }
        for mount in self.managed.mounts.iter_mut().flat_map(|(list, _)| list) {
            mount.value.path = based(&mount.value.path, base)?;
        }
        if let Some(audit) = &mut self.managed.audit {
            audit.value = based(&audit.value, base)?;
        }
        Ok(())
    }
}

/// `text` with its beginning at `base`.
fn based(text: &str, base: &Base) -> Result<String, LayerFault> {
    let at = |directory: &Path, rest: &str| {
        let whole = directory.join(rest.trim_start_matches('/'));
        let plain = directory.to_str().filter(|text| !read::is_pattern(text));
        match (plain, whole.to_str()) {
            (Some(_), Some(whole)) => Ok(whole.to_owned()),
            (None, _) | (_, None) => Err(LayerFault::Base { directory: directory.to_owned() }),
        }
    };
    match base {
        Base::AsWritten => Ok(text.to_owned()),
        Base::Home(home) => match text.strip_prefix('~') {
            Some(rest) => at(home, rest),
            None => Ok(text.to_owned()),
        },
        Base::Directory(directory) => {
            let anywhere = text.split('/').next() == Some("**");
            if anywhere || text.starts_with(['/', '~']) {
                return Ok(text.to_owned());
            }
            at(directory, text)
        }
    }
}
