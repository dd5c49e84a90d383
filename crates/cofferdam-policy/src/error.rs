//! What can be wrong with a policy: one variant a situation, each with its next step.

mod credentials;
mod layers;
mod network;
mod output;
mod requests;
mod rootfs;

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::document::{Source, TEXT_BYTES_MAX};
use crate::judge::pattern::PatternFault;
use crate::limits::Name;
use crate::model::Clause;
use crate::presets;
use crate::promise::Promise;
use crate::read::{limit_form, most_of, nearest};
pub(crate) use credentials::CredentialFault;
pub(crate) use layers::LayerFault;
pub(crate) use network::NetworkFault;
pub(crate) use output::OutputFault;
pub(crate) use requests::RequestFault;
pub(crate) use rootfs::RootfsFault;

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    // The text.
    #[error("the policy {file} is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong { file: String },
    #[error("the policy {file} is not UTF-8: line {line}")]
    NotUtf8 { file: String, line: usize },
    #[error("not TOML: {message}")]
    Toml { message: String },
    #[error("unknown key `{key}`")]
    UnknownKey { key: String, nearest: Option<String>, known: Vec<String> },
    #[error("`{key}` is not in this release")]
    LaterKey { key: String },
    #[error("`{key}` must be {want}, not {}", article(got))]
    WrongType { key: String, want: &'static str, got: &'static str },
    #[error("`{key}` has {count} entries; at most {} are allowed", most_of(key))]
    TooMany { key: String, count: usize },
    #[error("`version` is missing")]
    VersionMissing,
    #[error("version {got} of the policy language is unknown")]
    VersionUnknown { got: String },
    #[error("no preset is called `{asked}`")]
    PresetUnknown { asked: String, nearest: Option<String>, known: Vec<String> },
    #[error("the preset `{name}` of this program is broken: {why}")]
    PresetBroken { name: String, why: String },
    #[error("`{asked}` cannot be extended in this release")]
    ExtendsLater { asked: String },
    #[error("isolation `{asked}` is not in this release")]
    IsolationLater { asked: String },
    #[error("unknown isolation `{asked}`")]
    IsolationUnknown { asked: String },
    #[error("unknown oversight `{asked}`")]
    OversightUnknown { asked: String },
    #[error("oversight `unattended` asks for a virtual machine, which is not in this release")]
    OversightLater,
    #[error("unknown jail `{asked}`")]
    JailUnknown { asked: String },
    #[error("`{asked}` is no best-effort clause")]
    PromiseUnknown { asked: String, nearest: Option<String> },
    #[error("unknown home `{asked}`")]
    Home { asked: String },
    #[error("mode `{asked}` is not in this release")]
    ModeLater { asked: String },
    #[error("unknown mode `{asked}`")]
    ModeUnknown { asked: String },
    #[error("`{key}` goes with `no-delete`, and the mode is `{mode}`")]
    OverwriteMode { key: String, mode: &'static str },
    #[error("a grant needs a mode")]
    ModeMissing,
    #[error("`{key}` needs a path")]
    PathMissing { key: &'static str },
    // Paths as written.
    #[error("the path is empty")]
    PathEmpty,
    #[error("the path {path:?} contains a control character")]
    PathControl { path: String },
    #[error("the path `{path}` contains `..`")]
    PathUp { path: String },
    #[error("the path `{path}` contains a wildcard")]
    PathGlob { path: String },
    #[error("`{pattern}` is no pattern: {why}")]
    PatternForm { pattern: String, why: PatternFault },
    #[error("the path `{path}` names another user's home")]
    PathOtherHome { path: String },
    #[error("the path `{path}` contains `$`")]
    PathVariable { path: String },
    // Variables.
    #[error("`{name}` is not the name of a variable")]
    VariableName { name: String },
    #[error("`{name}` is set by cofferdam")]
    VariableOurs { name: String },
    #[error("the name `{name}` says that the value is a secret")]
    VariableSecret { name: String },
    #[error("the value of `{name}` contains a NUL")]
    VariableNul { name: String },
    #[error("`--dangerous-env` passes `{name}`, and sets nothing")]
    VariableValue { name: String },
    #[error("`{name}` stands for more than one variable")]
    VariablePattern { name: String },
    // The network.
    #[error(transparent)]
    Network(#[from] NetworkFault),
    #[error(transparent)]
    Credential(#[from] CredentialFault),
    // The streams.
    #[error(transparent)]
    Output(#[from] OutputFault),
    #[error(transparent)]
    Layer(#[from] LayerFault),
    #[error(transparent)]
    Rootfs(#[from] RootfsFault),
    // Limits.
    #[error("`{}` is no value of `{}`", got, name.as_str())]
    LimitValue { name: Name, got: String },
    #[error("`{}` is out of bounds: `{}` is {}", got, name.as_str(), bounds(*name))]
    LimitRange { name: Name, got: String },
    #[error("`{key}` needs `max`")]
    LimitMax { key: &'static str },
    #[error("unknown `hold`: `{asked}`")]
    LimitHold { asked: String },
    #[error("the limit `{name}` has no `hold`")]
    LimitAlwaysHolds { name: &'static str },
    #[error("`--limit` needs a name and a value")]
    LimitWords,
    #[error("unknown limit `{asked}`")]
    LimitName { asked: String },
    // The machine.
    #[error("{} does not exist", path.display())]
    NotFound { path: PathBuf, clause: Clause },
    #[error("cannot look at {}: {why}", path.display())]
    CannotLook { path: PathBuf, why: String },
    #[error("{} is no home for the sandbox: {why}", path.display())]
    HomeUnusable { path: PathBuf, why: String },
    #[error("{}", within(path, place, "protected"))]
    GrantProtected { path: PathBuf, place: PathBuf },
    #[error("{}", within(path, place, "the system's"))]
    SystemTree { path: PathBuf, place: PathBuf },
    #[error("the workspace {} is not a directory", path.display())]
    NotADirectory { path: PathBuf },
    #[error("{} is reached by a symbolic link", path.display())]
    SymbolicLink { path: PathBuf, real: Option<PathBuf> },
    #[error("{} is too wide for a workspace: {why}", path.display())]
    WorkspaceTooWide { path: PathBuf, why: String },
    #[error("{} lies in {}, which is hidden or cofferdam's own inside", path.display(), place.display())]
    ReservedPath { path: PathBuf, place: PathBuf },
    #[error("{} is too wide for a grant: {why}", path.display())]
    GrantTooWide { path: PathBuf, why: String },
    #[error("{} may be absent, and would be writable then: it lies in {}", path.display(), tree.display())]
    OptionalInside { path: PathBuf, tree: PathBuf },
    #[error("{} is neither a regular file nor a directory", path.display())]
    NotRegular { path: PathBuf },
    #[error("{} is the workspace itself", path.display())]
    HidesWorkspace { path: PathBuf },
    #[error("`{pattern}` covers the workspace {}, which cannot be {verb}", path.display())]
    CoversWorkspace { pattern: String, path: PathBuf, verb: &'static str },
    #[error("the {verb} file {} has {links} hard links", path.display())]
    HiddenHardLink { path: PathBuf, links: u64, verb: &'static str },
    #[error("the socket {} lies in no granted tree", path.display())]
    SocketOutside { path: PathBuf },
    #[error("{} is no socket", path.display())]
    NotASocket { path: PathBuf },
    #[error(
        "a project's home is kept by the user who works there, and root is here for user {uid}"
    )]
    HomeOfAnother { uid: u32 },
    #[error("the protected name {} is a symbolic link{}", path.display(), leading(real.as_deref()))]
    GuardedLink { path: PathBuf, real: Option<PathBuf> },
    #[error("the protected file {} has {links} hard links", path.display())]
    GuardedHardLink { path: PathBuf, links: u64 },
}

/// Lists of hosts, as a fault names them.
const OF_HOSTS: &[&str] = &["network.allow", "network.deny", "--allow"];

fn within(path: &Path, place: &Path, what: &str) -> String {
    if path == place {
        format!("{} is {what}", path.display())
    } else {
        format!("{} lies in {}, which is {what}", path.display(), place.display())
    }
}

fn leading(real: Option<&Path>) -> String {
    real.map_or_else(|| " that leads nowhere".into(), |real| format!(" to {}", real.display()))
}

fn bounds(name: Name) -> String {
    let (least, most, _) = name.bounds();
    format!("{} to {}", name.shown(least), name.shown(most))
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

impl Fault {
    #[expect(clippy::too_many_lines, reason = "a table: one row a situation")]
    const fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "policy-too-long",
            Self::NotUtf8 { .. } => "policy-not-utf8",
            Self::Toml { .. } => "policy-not-toml",
            Self::UnknownKey { .. } => "unknown-key",
            Self::LaterKey { .. } => "key-not-yet",
            Self::WrongType { .. } => "wrong-type",
            Self::TooMany { .. } => "too-many-entries",
            Self::VersionMissing => "version-missing",
            Self::VersionUnknown { .. } => "version-unknown",
            Self::PresetUnknown { .. } => "preset-unknown",
            Self::PresetBroken { .. } => "preset-broken",
            Self::ExtendsLater { .. } => "extends-not-yet",
            Self::IsolationLater { .. } => "isolation-not-yet",
            Self::IsolationUnknown { .. } => "isolation-unknown",
            Self::OversightUnknown { .. } => "oversight-unknown",
            Self::OversightLater => "oversight-not-yet",
            Self::JailUnknown { .. } => "jail-unknown",
            Self::PromiseUnknown { .. } => "best-effort-unknown",
            Self::Home { .. } => "home-unknown",
            Self::ModeLater { .. } => "mode-not-yet",
            Self::ModeUnknown { .. } => "mode-unknown",
            Self::OverwriteMode { .. } => "overwrite-mode",
            Self::ModeMissing => "mode-missing",
            Self::PathMissing { .. } => "path-missing",
            Self::PathEmpty => "path-empty",
            Self::PathControl { .. } => "path-control",
            Self::PathUp { .. } => "path-up",
            Self::PathGlob { .. } => "path-glob",
            Self::PatternForm { .. } => "pattern-form",
            Self::PathOtherHome { .. } => "path-other-home",
            Self::PathVariable { .. } => "path-variable",
            Self::VariableName { .. } => "variable-name",
            Self::VariableOurs { .. } => "variable-ours",
            Self::VariableSecret { .. } => "variable-secret",
            Self::VariableNul { .. } => "variable-nul",
            Self::VariableValue { .. } => "variable-value",
            Self::VariablePattern { .. } => "variable-pattern",
            Self::Network(fault) => fault.code(),
            Self::Credential(fault) => fault.code(),
            Self::Output(fault) => fault.code(),
            Self::Layer(fault) => fault.code(),
            Self::Rootfs(fault) => fault.code(),
            Self::LimitValue { .. } => "limit-value",
            Self::LimitRange { .. } => "limit-range",
            Self::LimitMax { .. } => "limit-max",
            Self::LimitHold { .. } => "limit-hold",
            Self::LimitAlwaysHolds { .. } => "limit-always-holds",
            Self::LimitWords => "limit-words",
            Self::LimitName { .. } => "limit-name",
            Self::NotFound { .. } => "not-found",
            Self::CannotLook { .. } => "cannot-look",
            Self::HomeUnusable { .. } => "home-unusable",
            Self::GrantProtected { .. } => "grant-protected",
            Self::SystemTree { .. } => "system-tree",
            Self::NotADirectory { .. } => "not-a-directory",
            Self::SymbolicLink { .. } => "symbolic-link",
            Self::WorkspaceTooWide { .. } => "workspace-too-wide",
            Self::ReservedPath { .. } => "reserved-path",
            Self::GrantTooWide { .. } => "grant-too-wide",
            Self::OptionalInside { .. } => "optional-inside",
            Self::NotRegular { .. } => "not-regular",
            Self::HidesWorkspace { .. } => "hides-workspace",
            Self::CoversWorkspace { .. } => "covers-workspace",
            Self::HiddenHardLink { .. } => "hidden-hard-link",
            Self::SocketOutside { .. } => "socket-outside",
            Self::NotASocket { .. } => "not-a-socket",
            Self::HomeOfAnother { .. } => "home-of-another",
            Self::GuardedLink { .. } => "guarded-link",
            Self::GuardedHardLink { .. } => "guarded-hard-link",
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: one row a situation")]
    fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => "is it a policy? One is a page of TOML".into(),
            Self::NotUtf8 { .. } => "save it as UTF-8".into(),
            Self::Toml { .. } => "a policy is TOML 1.0; begin with `version = 1`".into(),
            Self::UnknownKey { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::UnknownKey { nearest: None, known, .. } if known.is_empty() => {
                "this table has no keys in this release".into()
            }
            Self::UnknownKey { nearest: None, known, .. } => {
                // All that fits into two lines; `version` is there already, or asked for by itself.
                let known: Vec<_> = known.iter().filter(|key| *key != "version").cloned().collect();
                format!("keys: {}", known.join(if known.len() > 14 { " " } else { ", " }))
            }
            Self::LaterKey { .. } => {
                "remove it: a rule that nobody enforces is refused, never ignored".into()
            }
            Self::WrongType { want, .. } => format!("write {want}"),
            Self::TooMany { key, .. } if OF_HOSTS.contains(&key.as_str()) => {
                "name a wildcard or a block that holds them".into()
            }
            Self::TooMany { .. } => "name a directory that holds them".into(),
            Self::VersionMissing => "begin the policy with `version = 1`".into(),
            Self::VersionUnknown { .. } => "this release reads `version = 1`".into(),
            Self::PresetUnknown { nearest: Some(nearest), .. } => {
                format!("did you mean `{nearest}`?")
            }
            Self::PresetUnknown { nearest: None, known, .. } => {
                // All that fits into two lines; which logins there are, documents say.
                let known = known.iter().filter(|name| !name.ends_with("-login"));
                let known: Vec<&str> = known.map(String::as_str).collect();
                format!("{} *-login", known.join(" "))
            }
            Self::PresetBroken { .. } => "report it; until then, leave the preset out".into(),
            Self::ExtendsLater { asked } if presets::ALL.iter().any(|p| p.name == asked) => {
                format!("write \"preset:{asked}\"")
            }
            Self::ExtendsLater { .. } => {
                "write \"preset:NAME\"; other files and layers come in a later release".into()
            }
            Self::IsolationLater { .. } => {
                "this release has `process` and `gvisor`; neither stands in for another wall by itself"
                    .into()
            }
            Self::IsolationUnknown { .. } => "write `auto`, `process` or `gvisor`".into(),
            Self::OversightUnknown { .. } => {
                "write `developer`, `unattended` or `tenant`".into()
            }
            Self::OversightLater => {
                "choose a wall by name: isolation = \"gvisor\" or \"process\"".into()
            }
            Self::JailUnknown { .. } => {
                "write `auto`, `native`, `bubblewrap`, `landlock` or `seatbelt`".into()
            }
            Self::PromiseUnknown { nearest: Some(nearest), .. } => {
                format!("did you mean `{nearest}`?")
            }
            Self::PromiseUnknown { nearest: None, .. } => {
                let known: Vec<_> = Promise::ALL.into_iter().map(Promise::as_str).collect();
                format!("known: {}", known.join(", "))
            }
            Self::Home { .. } => {
                "write `private` (fresh for each run) or `project` (kept for this workspace)".into()
            }
            Self::ModeLater { .. } | Self::ModeUnknown { .. } => {
                "write `read-only`, `no-delete` or `read-write` (as a flag, `ro`, `nd` or `rw`)".into()
            }
            Self::OverwriteMode { .. } => "write mode = \"no-delete\", or remove it".into(),
            Self::ModeMissing => {
                "add mode = \"read-only\", \"no-delete\" or \"read-write\" (as a flag, PATH:ro, PATH:nd \
                 or PATH:rw)"
                    .into()
            }
            Self::PathMissing { .. } => "write { path = \"…\", mode = \"…\" }".into(),
            Self::PathEmpty => "name a directory; `.` is the working directory".into(),
            Self::PathControl { .. } => "name a path without it".into(),
            Self::PathUp { .. } => "write the path that it leads to".into(),
            Self::PathGlob { .. } => {
                "name each, or the directory that holds them; only what is hidden, masked or \
                 protected is named by patterns"
                    .into()
            }
            Self::PatternForm { .. } => {
                "`*`: any letters, `?`: one, `**`: any directories, as in **/.env".into()
            }
            Self::PathOtherHome { .. } => "write the absolute path".into(),
            Self::PathVariable { .. } => "variables are not expanded: write the path itself".into(),
            Self::VariableName { .. } => {
                "use letters, digits and `_`; a final `*` in an allow-list stands for any rest"
                    .into()
            }
            Self::VariableOurs { .. } => {
                "remove it: HOME, PATH and their kind are made anew".into()
            }
            Self::VariableSecret { .. } => {
                "pass it by `dangerous_allow` (--dangerous-env), or set it: NAME=VALUE".into()
            }
            Self::VariableNul { .. } => "remove the NUL".into(),
            Self::VariableValue { .. } => "write the name alone; --env NAME=VALUE sets one".into(),
            Self::VariablePattern { .. } => {
                "name each variable whose real value the command shall have".into()
            }
            Self::Network(fault) => fault.hint(),
            Self::Credential(fault) => fault.hint(),
            Self::Output(fault) => fault.hint(),
            Self::Layer(fault) => fault.hint(),
            Self::Rootfs(fault) => fault.hint(),
            Self::LimitValue { name, .. } => format!("write {}", limit_form(name.unit())),
            Self::LimitRange { name, .. } => name.bounds().2.to_owned(),
            Self::LimitMax { .. } => "write { max = …, hold = \"best-effort\" }".into(),
            Self::LimitHold { .. } => {
                "write `required` (refuse where it cannot be held) or `best-effort`".into()
            }
            Self::LimitAlwaysHolds { .. } => "remove it: this limit holds on every machine".into(),
            Self::LimitWords => "write it as --limit memory=2GiB or --limit processes=256".into(),
            Self::LimitName { asked } => {
                let names = Name::ALL.map(Name::as_str);
                let near = nearest(asked, names.iter());
                near.map_or_else(
                    || format!("the limits are: {}", names.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                )
            }
            Self::NotFound { .. } => "make it, or remove the rule".into(),
            Self::CannotLook { .. } => {
                "what is there must be known before it is granted or guarded: let yourself pass \
                 (chmod u+rwx), or tidy it"
                    .into()
            }
            Self::HomeUnusable { .. } => "set HOME to the home directory".into(),
            Self::SystemTree { .. } => {
                "grant it read-only; what changes the system runs outside".into()
            }
            Self::GrantProtected { .. } => {
                "grant it read-only, or the directory above the protected one".into()
            }
            Self::NotADirectory { .. } => {
                "a workspace is a directory; grant a single file beside it".into()
            }
            Self::SymbolicLink { real: Some(real), .. } => {
                format!("name {} itself", real.display())
            }
            Self::SymbolicLink { real: None, .. } => "it leads nowhere: remove the rule".into(),
            Self::WorkspaceTooWide { .. } => {
                "work in a project directory: cd there, or --workspace PATH".into()
            }
            Self::ReservedPath { .. } => "remove the rule".into(),
            Self::GrantTooWide { .. } => "grant the directory that is needed, below it".into(),
            Self::OptionalInside { .. } => {
                "leave `optional` out: what keeps others from writing must be there".into()
            }
            Self::NotRegular { .. } => "name a regular file or a directory".into(),
            Self::CoversWorkspace { .. } => "name less: what is in it, by name".into(),
            Self::SocketOutside { path } => {
                let above = path.parent().unwrap_or(path).display();
                format!("grant its directory: {{ path = \"{above}\", mode = \"read-only\" }}")
            }
            Self::NotASocket { .. } => {
                "name the socket itself; it need not exist yet".into()
            }
            Self::HidesWorkspace { .. } => {
                "hide what is in it, by name; or work in another directory".into()
            }
            Self::HiddenHardLink { path, .. } => {
                let path = path.display();
                format!(
                    "another name of it could be read; break the link: cp -p {path} x && mv x {path}"
                )
            }
            Self::HomeOfAnother { .. } => {
                "run as that user (sudo -u NAME cofferdam ...), or write home = \"private\"".into()
            }
            Self::GuardedLink { .. } => {
                "replace the link by what it leads to: what it points at cannot be guarded".into()
            }
            Self::GuardedHardLink { path, .. } => {
                let path = path.display();
                format!("give it one name: cp -p {path} x && mv x {path}")
            }
        }
    }
}

/// A fault with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    fault: Box<Fault>,
    place: Option<Box<Place>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    source: Source,
    span: Range<usize>,
}

impl PolicyError {
    /// A fault in `source`; the caret points at `span`, a byte range.
    pub(crate) fn at(fault: Fault, source: &Source, span: Range<usize>) -> Self {
        let source = Source { name: source.name.clone(), text: printable(&source.text) };
        let end = span.end.min(source.text.len());
        let span = span.start.min(end)..end;
        Self { fault: Box::new(fault), place: Some(Box::new(Place { source, span })) }
    }

    /// A fault that no text holds.
    pub(crate) fn plain(fault: Fault) -> Self {
        Self { fault: Box::new(fault), place: None }
    }

    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        self.fault.hint()
    }

    /// The file, or `command line`; `None` where the fault is not in a text.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.source.name.as_str())
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.before().map(|before| before.matches('\n').count() + 1)
    }

    /// The column, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        let before = self.before()?;
        Some(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    }

    /// The file's name, its whole text, and the byte range of the fault in it.
    pub(crate) fn place(&self) -> Option<(&str, &str, Range<usize>)> {
        let place = self.place.as_deref()?;
        Some((&place.source.name, &place.source.text, place.span.clone()))
    }

    /// What is wrong, in words alone.
    pub(crate) fn without_place(&self) -> String {
        self.fault.to_string()
    }

    fn before(&self) -> Option<&str> {
        let place = self.place.as_ref()?;
        place.source.text.get(..place.span.start)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(file), Some(line)) = (self.file(), self.line()) {
            write!(out, "{file}:{line}: {}", self.fault)
        } else {
            self.fault.fmt(out)
        }
    }
}

impl std::error::Error for PolicyError {}

/// `text` without what a terminal would obey: control characters and those that turn the
/// direction of writing. Every replaced character keeps its length in bytes.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if letter == '\r' {
            out.push(' ');
        } else if turns || (letter.is_control() && letter != '\n' && letter != '\t') {
            out.extend(std::iter::repeat_n('?', letter.len_utf8()));
        } else {
            out.push(letter);
        }
    }
    out
}
