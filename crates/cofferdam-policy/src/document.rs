//! The Document: policy text as a person wrote it, every value with its place.
//!
//! Knows the grammar; knows nothing of the machine. Paths are still text here. Made
//! from TOML by [`Document::parse`]; the other methods add what the command line says.

mod network;

use std::ops::Range;
use std::sync::Arc;

use crate::credentials::Credential;
use crate::error::{Fault, PolicyError};
use crate::layers::{Base, Layer, LayerText};
use crate::limits::{Limit, Limits};
use crate::managed::Managed;
use crate::model::{Clause, Home, Isolation, Jail, Mode, Oversight};
use crate::output::{Canary, Output};
use crate::presets::{self, Preset};
use crate::promise::Promise;
use crate::read;
use crate::view;
pub use network::NetworkText;
pub(crate) use network::agree;

/// Longest policy text. Bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// A text with the name that errors show for it. `Debug` leaves the text out: it may set values.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the person named it, or `built-in`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}

impl Source {
    /// The text of the file `name`.
    ///
    /// # Errors
    /// It is longer than [`TEXT_BYTES_MAX`] or not UTF-8.
    pub fn from_bytes(name: String, bytes: Vec<u8>) -> Result<Self, PolicyError> {
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(PolicyError::plain(Fault::TooLong { file: name }));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..at).unwrap_or_default();
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(PolicyError::plain(Fault::NotUtf8 { file: name, line }))
            }
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// What was written.
    pub value: T,
    /// Byte range in the source's text, or in `flag`.
    pub span: Range<usize>,
    /// The flag as typed, for a value of the command line.
    pub flag: Option<String>,
    /// The rule this value belongs to.
    pub clause: Clause,
}

/// A path with what may be done below it, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantText {
    /// Absolute, relative to the working directory, or beginning with `~/`.
    pub path: String,
    /// What may be done.
    pub mode: Mode,
    /// Whether the rule can do without what it names.
    pub presence: Presence,
}

/// What follows when nothing is at a granted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A refusal.
    Required,
    /// It is left out, and the plan says so.
    Optional,
}

/// A variable with a value that somebody wrote down. `Debug` shows the name.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, without NUL.
    pub value: String,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Setting({})", self.name)
    }
}

/// Policy text, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The text it came from; of several, the lowest.
    pub source: Arc<Source>,
    /// Every text that was read, the highest first.
    pub layers: Vec<(Layer, Arc<Source>)>,
    /// `managed`.
    pub managed: Managed,
    /// What holds by the managed text alone, where there is one.
    pub(crate) ceiling: Option<Box<Self>>,
    /// `isolation`, then `--isolation`; `auto` where it is not written.
    pub isolation: Located<Isolation>,
    /// `oversight`, then `--oversight`; `developer` where it is not written.
    pub oversight: Located<Oversight>,
    /// `jail`, then `--jail`; `auto` where it is not written.
    pub jail: Located<Jail>,
    /// `rootfs`, then `--rootfs`: a directory or an image; the host's own system where it is not written.
    pub rootfs: Option<Located<String>>,
    /// `best_effort`, then those of `--best-effort`.
    pub best_effort: Vec<Located<Promise>>,
    /// `filesystem.workspace`; `.` read-write where it is not written.
    pub workspace: Located<GrantText>,
    /// `filesystem.grant`, in the order of the text, then those of the command line.
    pub grants: Vec<Located<GrantText>>,
    /// `filesystem.hide`, then `--hide`: paths and patterns relative to the workspace, in a flag to
    /// the working directory.
    pub hide: Vec<Located<String>>,
    /// `filesystem.mask`, written likewise.
    pub mask: Vec<Located<String>>,
    /// `filesystem.protect`, then `--protect`, written likewise.
    pub protect: Vec<Located<String>>,
    /// `sockets.allow`: paths relative to the workspace.
    pub sockets: Vec<Located<String>>,
    /// `filesystem.home`; private where it is not written.
    pub home: Located<Home>,
    /// `environment.allow`; the default names where it is not written. `NAME` or `PREFIX*`.
    pub variables: Vec<Located<String>>,
    /// `environment.set`, in the order of the names, then `--env NAME=VALUE`.
    pub set: Vec<Located<Setting>>,
    /// `environment.dangerous_allow`, then `--dangerous-env`: names of variables that pass even if
    /// they hold secrets.
    pub dangerous: Vec<Located<String>>,
    /// `network`; none where it is not written.
    pub network: NetworkText,
    /// `extends`, then `--preset`: what each brings, in order, with what it extends before it. All
    /// of it comes before the text: single values of the text win, lists are joined.
    pub presets: Vec<Preset>,
    /// `limits`, then `--limit NAME=VALUE`; the built-in ones where they are not written.
    pub limits: Limits,
    /// `credentials`, in the order of the text; paths as they are written.
    pub credentials: Vec<Located<Credential>>,
    /// `output`, then `--output`; the built-in values where they are not written.
    pub output: Output,
    /// `canary`, in the order of the text.
    pub canaries: Vec<Canary>,
}

impl Document {
    /// Reads one policy text, as a person names one.
    ///
    /// # Errors
    /// The first thing in it that is not in the language, with its place.
    pub fn parse(source: Source) -> Result<Self, PolicyError> {
        Self::stack(vec![LayerText { layer: Layer::Named, source, base: Base::AsWritten }])
    }

    /// What holds where there is no policy text at all.
    #[must_use]
    pub fn built_in() -> Self {
        Self::defaults(Source { name: "built-in".into(), text: String::new() })
    }

    fn defaults(source: Source) -> Self {
        let default = |name: &str| Clause::built_in(name);
        let presence = Presence::Required;
        let workspace = GrantText { path: ".".into(), mode: Mode::ReadWrite, presence };
        let names = view::DEFAULT_VARIABLES.iter();
        Self {
            source: Arc::new(source),
            layers: Vec::new(),
            managed: Managed::default(),
            ceiling: None,
            isolation: Located::built_in(Isolation::Auto, default("isolation")),
            oversight: Located::built_in(Oversight::Developer, default("oversight")),
            jail: Located::built_in(Jail::Auto, default("jail")),
            rootfs: None,
            best_effort: Vec::new(),
            workspace: Located::built_in(workspace, default("filesystem.workspace")),
            grants: Vec::new(),
            hide: Vec::new(),
            mask: Vec::new(),
            protect: Vec::new(),
            sockets: Vec::new(),
            home: Located::built_in(Home::Private, default("filesystem.home")),
            variables: names
                .map(|name| Located::built_in((*name).to_owned(), default("environment.allow")))
                .collect(),
            set: Vec::new(),
            dangerous: Vec::new(),
            network: NetworkText::none(default("network")),
            presets: Vec::new(),
            limits: Limits::built_in(),
            credentials: Vec::new(),
            output: Output::built_in(),
            canaries: Vec::new(),
        }
    }

    /// `--preset NAME`, after the text's.
    ///
    /// # Errors
    /// There is no preset of that name.
    pub fn add_preset(&mut self, name: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--preset", name);
        presets::add(self, name, &Clause::flag("--preset")).map_err(|fault| flag.fault(fault))
    }

    /// Every name or prefix of a variable that passes: the text's and the flags', then the presets'.
    pub fn passed(&self) -> impl Iterator<Item = &Located<String>> {
        let presets = self.presets.iter().flat_map(|preset| &preset.variables);
        self.variables.iter().chain(&self.dangerous).chain(presets)
    }

    /// `--workspace PATH[:MODE]`, in place of the text's.
    ///
    /// # Errors
    /// The words are no path, or no mode.
    pub fn set_workspace(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--workspace", words);
        let (path, mode) = match words.rsplit_once(':') {
            Some((path, mode)) => (path, flag.mode(mode)?),
            None => (words, Mode::ReadWrite),
        };
        let presence = Presence::Required;
        self.workspace = flag.located(GrantText { path: flag.path(path)?, mode, presence });
        Ok(())
    }

    /// `--isolation NAME`, in place of the text's.
    ///
    /// # Errors
    /// There is no isolation of that name.
    pub fn set_isolation(&mut self, word: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--isolation", word);
        let isolation = read::isolation(word).map_err(|fault| flag.fault(fault))?;
        self.isolation = flag.located(isolation);
        Ok(())
    }

    /// `--oversight NAME`, in place of the text's.
    ///
    /// # Errors
    /// There is no oversight of that name.
    pub fn set_oversight(&mut self, word: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--oversight", word);
        let oversight = read::oversight(word).map_err(|fault| flag.fault(fault))?;
        self.oversight = flag.located(oversight);
        Ok(())
    }

    /// Which kernel serves the workload, and the clause that says so.
    ///
    /// # Errors
    /// `oversight` asks for one that this release does not have.
    pub(crate) fn kernel(&self) -> Result<(Isolation, &Clause), PolicyError> {
        match (self.isolation.value, self.oversight.value) {
            (Isolation::Auto, Oversight::Developer) => {
                Ok((Isolation::Process, &self.isolation.clause))
            }
            (Isolation::Auto, Oversight::Tenant) => Ok((Isolation::Gvisor, &self.oversight.clause)),
            (Isolation::Auto, Oversight::Unattended) => {
                Err(self.fault_at(Fault::OversightLater, &self.oversight.clause))
            }
            (chosen @ (Isolation::Process | Isolation::Gvisor), _) => {
                Ok((chosen, &self.isolation.clause))
            }
        }
    }

    /// `--jail NAME`, in place of the text's.
    ///
    /// # Errors
    /// There is no jail of that name.
    pub fn set_jail(&mut self, word: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--jail", word);
        let jail = read::jail(word).map_err(|fault| flag.fault(fault))?;
        self.jail = flag.located(jail);
        Ok(())
    }

    /// `--rootfs PATH`, in place of the text's.
    ///
    /// # Errors
    /// The words are no path.
    pub fn set_rootfs(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--rootfs", words);
        self.rootfs = Some(flag.located(flag.path(words)?));
        Ok(())
    }

    /// `--best-effort NAME[,NAME...]`, in addition to the text's.
    ///
    /// # Errors
    /// A word names no clause that may be best-effort.
    pub fn add_best_effort(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--best-effort", words);
        for word in words.split(',') {
            let promise = read::promise(word).map_err(|fault| flag.fault(fault))?;
            self.best_effort.push(flag.located(promise));
        }
        Ok(())
    }

    /// `--grant PATH:MODE`, in addition to the text's.
    ///
    /// # Errors
    /// The words are no path and mode.
    pub fn add_grant(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--grant", words);
        let Some((path, mode)) = words.rsplit_once(':') else {
            return Err(flag.fault(Fault::ModeMissing));
        };
        let mode = flag.mode(mode)?;
        let presence = Presence::Required;
        self.grants.push(flag.located(GrantText { path: flag.path(path)?, mode, presence }));
        Ok(())
    }

    /// `--hide PATH`, in addition to the text's.
    ///
    /// # Errors
    /// The words are no path and no pattern, or there are too many.
    pub fn add_hidden(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--hide", words);
        let path = flag.name(words, &self.hide)?;
        self.hide.push(flag.located(path));
        Ok(())
    }

    /// `--protect PATH`, in addition to the text's.
    ///
    /// # Errors
    /// The words are no path and no pattern, or there are too many.
    pub fn add_protected(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--protect", words);
        let path = flag.name(words, &self.protect)?;
        self.protect.push(flag.located(path));
        Ok(())
    }

    /// `--env NAME`, which passes a variable, or `--env NAME=VALUE`, which sets one.
    ///
    /// # Errors
    /// The name is none, is cofferdam's own, or says that its value is a secret to be passed.
    pub fn add_variable(&mut self, words: &str) -> Result<(), PolicyError> {
        // The value may be anything, so no message repeats it.
        let name = words.split_once('=').map_or(words, |(name, _)| name);
        let flag = Flag::new("--env", name);
        match words.split_once('=') {
            Some((name, value)) => {
                read::check_set(name, value).map_err(|fault| flag.fault(fault))?;
                self.set.retain(|set| set.value.name != name);
                let setting = Setting { name: name.to_owned(), value: value.to_owned() };
                self.set.push(flag.located(setting));
            }
            None => {
                read::check_allow(name).map_err(|fault| flag.fault(fault))?;
                self.variables.push(flag.located(name.to_owned()));
            }
        }
        Ok(())
    }

    /// `--limit NAME=VALUE`, in place of the text's.
    ///
    /// # Errors
    /// The words name no limit, or a value that is none or out of its bounds.
    pub fn set_limit(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--limit", words);
        let (name, value, hold) = read::limit_flag(words).map_err(|fault| flag.fault(fault))?;
        let clause = Clause::flag(&format!("--limit {}", name.as_str()));
        self.limits.set(name, Limit { value, hold, clause });
        Ok(())
    }

    /// `--output safe|raw`, in place of the text's.
    ///
    /// # Errors
    /// The word is none of these.
    pub fn set_output(&mut self, word: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--output", word);
        let (escapes, redaction) = read::output_flag(word).map_err(|fault| flag.fault(fault))?;
        let clause = Clause::flag(&flag.text);
        (self.output.escapes, self.output.escapes_clause) = (escapes, clause.clone());
        (self.output.redaction, self.output.redaction_clause) = (redaction, clause);
        Ok(())
    }
}

impl Document {
    /// A variable of the sandbox's own, unless a rule of the person's passes or sets it.
    pub fn add_own_variable(&mut self, name: &str, value: &str) {
        let passed = self.variables.iter().any(|pattern| matches(&pattern.value, name));
        if !passed && self.set.iter().all(|set| set.value.name != name) {
            let setting = Setting { name: name.to_owned(), value: value.to_owned() };
            self.set.push(Located::built_in(setting, Clause::built_in("environment")));
        }
    }
}

impl<T> Located<T> {
    fn built_in(value: T, clause: Clause) -> Self {
        Self { value, span: 0..0, flag: None, clause }
    }

    /// A fault at this value.
    pub(crate) fn fault(&self, fault: Fault, source: &Source) -> PolicyError {
        match &self.flag {
            Some(flag) => {
                let source = Source { name: "command line".into(), text: flag.clone() };
                PolicyError::at(fault, &source, self.span.clone())
            }
            None if self.clause.line == 0 => PolicyError::plain(fault),
            None => PolicyError::at(fault, source, self.span.clone()),
        }
    }
}

/// A flag as typed, for clauses and errors.
struct Flag {
    name: &'static str,
    text: String,
}

impl Flag {
    fn new(name: &'static str, words: &str) -> Self {
        Self { name, text: format!("{name} {words}") }
    }

    fn span(&self) -> Range<usize> {
        (self.name.len() + 1)..self.text.len()
    }

    fn fault(&self, fault: Fault) -> PolicyError {
        let source = Source { name: "command line".into(), text: self.text.clone() };
        PolicyError::at(fault, &source, self.span())
    }

    fn located<T>(&self, value: T) -> Located<T> {
        let (span, flag) = (self.span(), Some(self.text.clone()));
        Located { value, span, flag, clause: Clause::flag(self.name) }
    }

    fn path(&self, text: &str) -> Result<String, PolicyError> {
        read::check_flag_path(text).map_err(|fault| self.fault(fault))
    }

    fn name(&self, text: &str, already: &[Located<String>]) -> Result<String, PolicyError> {
        if already.len() >= read::ENTRIES_MAX {
            let (key, count) = (self.name.to_owned(), already.len() + 1);
            return Err(self.fault(Fault::TooMany { key, count }));
        }
        read::check_flag_name(text).map_err(|fault| self.fault(fault))
    }

    fn mode(&self, text: &str) -> Result<Mode, PolicyError> {
        match text {
            "ro" => Ok(Mode::ReadOnly),
            "nd" => Ok(Mode::NoDelete),
            "rw" => Ok(Mode::ReadWrite),
            other => read::mode(other).map_err(|fault| self.fault(fault)),
        }
    }
}

/// Whether the allow-list entry `pattern`, `NAME` or `PREFIX*`, covers the variable `name`.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix) && !read::may_be_secret(name),
        None => pattern == name,
    }
}
