//! TOML to Document, and the checks that text and flags share.
//!
//! The TOML is read as a tree with the span of every key and value; nothing is deserialised
//! blindly, so each fault has its place.

mod credentials;
mod environment;
mod jails;
mod limits;
mod managed;
mod network;
mod output;
mod requests;
mod ssh;

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{Document, GrantText, Located, Presence, Source};
use crate::error::{Fault, PolicyError};
use crate::judge::pattern::Pattern;
use crate::layers::Layer;
use crate::model::{Clause, Home, Mode};
use crate::{presets, view};

/// Most entries in one list of a policy: more is a mistake, and each costs a mount.
pub(crate) const ENTRIES_MAX: usize = 256;
/// Most rules of one list about hosts: the judge finds those for a host by an index.
pub(crate) const HOSTS_MAX: usize = 10_000;

/// Most entries that the list `key`, of a text or of a flag, may have.
pub(crate) fn most_of(key: &str) -> usize {
    match key {
        "network.allow" | "network.deny" => HOSTS_MAX,
        _ => ENTRIES_MAX,
    }
}

/// Keys of the language by table, and those that a later release brings.
struct Table {
    name: &'static str,
    now: &'static [&'static str],
    later: &'static [&'static str],
}

const TOP: Table = Table {
    name: "",
    now: &[
        "version",
        "extends",
        "isolation",
        "oversight",
        "jail",
        "rootfs",
        "best_effort",
        "filesystem",
        "environment",
        "network",
        "limits",
        "sockets",
        "credentials",
        "output",
        "canary",
        "managed",
    ],
    later: &["audit", "trust"],
};
const FILESYSTEM: Table = Table {
    name: "filesystem",
    now: &["workspace", "grant", "hide", "mask", "protect", "home"],
    later: &[],
};
const ENVIRONMENT: Table =
    Table { name: "environment", now: &["allow", "dangerous_allow", "set"], later: &[] };
const GRANT: Table =
    Table { name: "filesystem.grant", now: &["path", "mode", OVERWRITE, "optional"], later: &[] };
const WORKSPACE: Table =
    Table { name: "filesystem.workspace", now: &["path", "mode", OVERWRITE], later: &[] };
const SOCKETS: Table = Table { name: "sockets", now: &["allow"], later: &[] };

/// Whether what is older than the session may be changed in place, in a tree in which nothing is
/// lost.
const OVERWRITE: &str = "overwrite";

/// Every table of the language; one that is missing here is missing in the published schema.
const TABLES: &[&Table] = &[
    &TOP,
    &FILESYSTEM,
    &WORKSPACE,
    &GRANT,
    &ENVIRONMENT,
    &SOCKETS,
    &network::NETWORK,
    &network::ALLOW,
    &network::DENY,
    &limits::LIMITS,
    &limits::MEMORY,
    &limits::CPUS,
    &credentials::CREDENTIAL,
    &credentials::SOURCE,
    &credentials::INJECT,
    &credentials::SIGV4,
    &ssh::SSH,
    &credentials::OAUTH,
    &output::OUTPUT,
    &managed::MANAGED,
    &managed::MOUNT,
];

/// The keys that each table has in this release, by the table's name (empty for the top).
/// Tables whose keys a person chooses (`environment.set`) are not among them.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TABLES.iter().map(|table| (table.name, table.now))
}

type Value<'i> = Spanned<DeValue<'i>>;

/// The value of `key`. A rule has one key or two, of dozens that it is asked for: to look at them is less than to
/// hash each that is asked for.
fn value_of<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t Value<'i>> {
    table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
}

/// Reads `source` over what is in `document`: lists are joined, and single values replaced.
pub(crate) fn into(
    document: &mut Document,
    source: &Source,
    layer: Layer,
) -> Result<(), PolicyError> {
    let ends = source.text.match_indices('\n').map(|(at, _)| at).collect();
    let reader = Reader { source, layer, ends };
    let text = source.text.strip_prefix('\u{FEFF}').unwrap_or(&source.text);
    if text.len() != source.text.len() {
        let fault = Fault::Toml { message: "it begins with a byte order mark".into() };
        return Err(reader.fault(fault, 0..3));
    }
    let parsed = DeTable::parse(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        reader.fault(Fault::Toml { message }, error.span().unwrap_or(0..0))
    })?;
    let top = parsed.get_ref();
    reader.keys(top, &TOP)?;
    reader.version(top)?;
    reader.of_layer(top)?;
    if let Some(value) = top.get("extends") {
        reader.extends(value, document)?;
    }
    reader.isolation(top, document)?;
    reader.jail(top, document)?;
    reader.rootfs(top, document)?;
    if let Some(value) = top.get("filesystem") {
        reader.filesystem(reader.table(value, &FILESYSTEM)?, document)?;
    }
    if let Some(value) = top.get("environment") {
        reader.environment(reader.table(value, &ENVIRONMENT)?, document)?;
    }
    if let Some(value) = top.get("sockets") {
        reader.sockets(reader.table(value, &SOCKETS)?, document)?;
    }
    if let Some((key, value)) = top.get_key_value("network") {
        document.network.base = reader.clause_at("network", key.span());
        reader.network(reader.table(value, &network::NETWORK)?, document)?;
    }
    if let Some(value) = top.get("limits") {
        reader.limits(reader.table(value, &limits::LIMITS)?, document)?;
    }
    if let Some(value) = top.get("credentials") {
        reader.credentials(value, document)?;
    }
    if let Some(value) = top.get("output") {
        reader.output(reader.table(value, &output::OUTPUT)?, &mut document.output)?;
    }
    if let Some(value) = top.get("canary") {
        reader.canaries(value, document)?;
    }
    if let Some(value) = top.get("managed") {
        reader.managed(value, document)?;
    }
    Ok(())
}

pub(crate) use jails::{isolation, jail, oversight, promise};
pub(crate) use limits::{flag as limit_flag, form as limit_form};
pub(crate) use network::{PORTS_MAX, REASON_LETTERS_MAX, allow_flag, published};
pub(crate) use output::flag as output_flag;

struct Reader<'a> {
    source: &'a Source,
    layer: Layer,
    /// Where lines end, ascending: each clause asks for its own.
    ends: Vec<usize>,
}

impl Reader<'_> {
    fn fault(&self, fault: Fault, span: Range<usize>) -> PolicyError {
        PolicyError::at(fault, self.source, span)
    }

    fn clause_at(&self, name: impl Into<String>, span: Range<usize>) -> Clause {
        let before = self.ends.partition_point(|end| *end < span.start);
        let line = u32::try_from(before + 1).unwrap_or(u32::MAX);
        Clause { name: name.into(), file: self.source.name.clone(), line }
    }

    fn clause(&self, name: impl Into<String>, value: &Value<'_>) -> Clause {
        self.clause_at(name, value.span())
    }

    fn located<T>(&self, value: T, at: &Value<'_>, clause: Clause) -> Located<T> {
        Located { value, span: at.span(), flag: None, clause }
    }

    /// Refuses the first key, in the order of the text, that the table does not have.
    fn keys(&self, found: &DeTable<'_>, table: &Table) -> Result<(), PolicyError> {
        let unknown = found.keys().filter(|key| !table.now.contains(&key.get_ref().as_ref()));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let name = key.get_ref().as_ref();
            let full = if table.name.is_empty() {
                name.to_owned()
            } else {
                format!("{}.{name}", table.name)
            };
            let fault = if table.later.contains(&name) {
                Fault::LaterKey { key: full }
            } else {
                let known = table.now.iter().chain(table.later);
                Fault::UnknownKey {
                    key: full,
                    nearest: nearest(name, known),
                    known: table.now.iter().map(|key| (*key).to_owned()).collect(),
                }
            };
            return Err(self.fault(fault, key.span()));
        }
        Ok(())
    }

    fn wrong(&self, key: &str, want: &'static str, value: &Value<'_>) -> PolicyError {
        let got = value.get_ref().type_str();
        let fault = Fault::WrongType { key: key.into(), want, got };
        self.fault(fault, value.span())
    }

    fn table<'t, 'i>(
        &self,
        value: &'t Value<'i>,
        table: &Table,
    ) -> Result<&'t DeTable<'i>, PolicyError> {
        let found =
            value.get_ref().as_table().ok_or_else(|| self.wrong(table.name, "a table", value))?;
        self.keys(found, table)?;
        Ok(found)
    }

    fn text<'t>(&self, key: &str, value: &'t Value<'_>) -> Result<&'t str, PolicyError> {
        value.get_ref().as_str().ok_or_else(|| self.wrong(key, "a string", value))
    }

    fn list<'t, 'i>(
        &self,
        key: &str,
        value: &'t Value<'i>,
    ) -> Result<&'t [Value<'i>], PolicyError> {
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong(key, "an array", value))?;
        if list.len() > most_of(key) {
            let fault = Fault::TooMany { key: key.into(), count: list.len() };
            return Err(self.fault(fault, value.span()));
        }
        Ok(list)
    }

    fn version(&self, top: &DeTable<'_>) -> Result<(), PolicyError> {
        let Some(value) = top.get("version") else {
            let end = self.source.text.find('\n').unwrap_or(self.source.text.len());
            return Err(self.fault(Fault::VersionMissing, 0..end));
        };
        match value.get_ref() {
            DeValue::Integer(number) if number.as_str() == "1" && number.radix() == 10 => Ok(()),
            DeValue::Integer(number) => {
                let fault = Fault::VersionUnknown { got: number.as_str().into() };
                Err(self.fault(fault, value.span()))
            }
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => Err(self.wrong("version", "the integer 1", value)),
        }
    }

    fn filesystem(&self, table: &DeTable<'_>, document: &mut Document) -> Result<(), PolicyError> {
        if let Some(value) = table.get("workspace") {
            let clause = self.clause("filesystem.workspace", value);
            let grant = self.grant(value, &WORKSPACE, Some(Mode::ReadWrite))?;
            document.workspace = self.located(grant, value, clause);
        }
        if let Some(value) = table.get("grant") {
            for (index, entry) in self.list("filesystem.grant", value)?.iter().enumerate() {
                let clause = self.clause(format!("filesystem.grant[{index}]"), entry);
                let grant = self.grant(entry, &GRANT, None)?;
                document.grants.push(self.located(grant, entry, clause));
            }
        }
        if let Some(value) = table.get("home") {
            let home = match self.text("filesystem.home", value)? {
                "private" => Home::Private,
                "project" => Home::Project,
                other => {
                    let fault = Fault::Home { asked: other.into() };
                    return Err(self.fault(fault, value.span()));
                }
            };
            let clause = self.clause("filesystem.home", value);
            document.home = self.located(home, value, clause);
        }
        if let Some(value) = table.get("hide") {
            document.hide.extend(self.names("filesystem.hide", value, check_name_text)?);
        }
        if let Some(value) = table.get("mask") {
            document.mask.extend(self.names("filesystem.mask", value, check_name_text)?);
        }
        if let Some(value) = table.get("protect") {
            document.protect.extend(self.names("filesystem.protect", value, check_name_text)?);
        }
        Ok(())
    }

    fn sockets(&self, table: &DeTable<'_>, document: &mut Document) -> Result<(), PolicyError> {
        if let Some(value) = table.get("allow") {
            document.sockets.extend(self.names("sockets.allow", value, check_path)?);
        }
        Ok(())
    }

    /// Names without modes: those that stay closed or as they are, and sockets.
    fn names(
        &self,
        key: &str,
        value: &Value<'_>,
        check: fn(&str) -> Result<String, Fault>,
    ) -> Result<Vec<Located<String>>, PolicyError> {
        let mut names = Vec::new();
        for (index, entry) in self.list(key, value)?.iter().enumerate() {
            let text = self.text(key, entry)?;
            let path = check(text).map_err(|fault| self.fault(fault, entry.span()))?;
            let clause = self.clause(format!("{key}[{index}]"), entry);
            names.push(self.located(path, entry, clause));
        }
        Ok(names)
    }

    /// `{ path = "…", mode = "…" }`. Without a `default`, the mode must be written.
    fn grant(
        &self,
        value: &Value<'_>,
        table: &Table,
        default: Option<Mode>,
    ) -> Result<GrantText, PolicyError> {
        let found = self.table(value, table)?;
        let Some(path) = found.get("path") else {
            return Err(self.fault(Fault::PathMissing { key: table.name }, value.span()));
        };
        let text = self.text(&format!("{}.path", table.name), path)?;
        let text = check_path(text).map_err(|fault| self.fault(fault, path.span()))?;
        let mode = match (found.get("mode"), default) {
            (Some(value), _) => {
                let text = self.text(&format!("{}.mode", table.name), value)?;
                mode(text).map_err(|fault| self.fault(fault, value.span()))?
            }
            (None, Some(mode)) => mode,
            (None, None) => return Err(self.fault(Fault::ModeMissing, value.span())),
        };
        let mode = self.overwrites(found, table, mode)?;
        let presence = self.presence(found)?;
        Ok(GrantText { path: text, mode, presence })
    }

    /// `overwrite = false` in a tree in which nothing is lost.
    fn overwrites(
        &self,
        found: &DeTable<'_>,
        table: &Table,
        mode: Mode,
    ) -> Result<Mode, PolicyError> {
        let Some((key, value)) = found.get_key_value(OVERWRITE) else { return Ok(mode) };
        let full = format!("{}.{OVERWRITE}", table.name);
        match (value.get_ref().as_bool(), mode) {
            (None, _) => Err(self.wrong(&full, "a boolean", value)),
            (Some(true), Mode::NoDelete) => Ok(Mode::NoDelete),
            (Some(false), Mode::NoDelete) => Ok(Mode::AppendOnly),
            (Some(_), Mode::ReadOnly | Mode::AppendOnly | Mode::ReadWrite) => {
                let mode = mode.as_str();
                Err(self.fault(Fault::OverwriteMode { key: full, mode }, key.span()))
            }
        }
    }

    fn presence(&self, found: &DeTable<'_>) -> Result<Presence, PolicyError> {
        let Some(value) = found.get("optional") else { return Ok(Presence::Required) };
        match value.get_ref().as_bool() {
            Some(true) => Ok(Presence::Optional),
            Some(false) => Ok(Presence::Required),
            None => Err(self.wrong("filesystem.grant.optional", "a boolean", value)),
        }
    }

    /// `extends = ["preset:NAME", ...]`: nothing else can be extended in this release.
    fn extends(&self, value: &Value<'_>, document: &mut Document) -> Result<(), PolicyError> {
        for (index, entry) in self.list("extends", value)?.iter().enumerate() {
            let rule = format!("extends[{index}]");
            let text = self.text(&rule, entry)?;
            let Some(name) = text.strip_prefix(presets::PREFIX) else {
                let fault = Fault::ExtendsLater { asked: text.into() };
                return Err(self.fault(fault, entry.span()));
            };
            let clause = self.clause(&rule, entry);
            presets::add(document, name, &clause)
                .map_err(|fault| self.fault(fault, entry.span()))?;
        }
        Ok(())
    }
}

/// The known key that is nearest to `name`, if one is near at all.
pub(crate) fn nearest<'k>(
    name: &str,
    known: impl Iterator<Item = &'k &'static str>,
) -> Option<String> {
    nearest_of(name, known.copied())
}

/// The word of `known` that is nearest to `name`, if one is near at all.
pub fn nearest_of<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    known
        .map(|key| (strsim::damerau_levenshtein(name, key), key))
        .filter(|(distance, key)| *distance <= 1 + key.len() / 3)
        .min()
        .map(|(_, key)| key.to_owned())
}

/// Whether a text is a pattern of names.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// What patterns of other languages have: in a text, a mistake.
const STRANGE: &[char] = &['[', ']', '{', '}'];

/// A path as policy text may have it: [`check_flag_path`], and nothing that looks like a pattern or
/// a variable, which a path does not have.
fn check_path(text: &str) -> Result<String, Fault> {
    if is_pattern(text) || text.contains(STRANGE) {
        return Err(Fault::PathGlob { path: text.to_owned() });
    }
    without_variable(check_flag_path(text)?)
}

/// A path or a pattern as policy text may have it.
fn check_name_text(text: &str) -> Result<String, Fault> {
    if is_pattern(text) || text.contains(STRANGE) {
        check_pattern(text)?;
    }
    without_variable(check_flag_path(text)?)
}

fn without_variable(path: String) -> Result<String, Fault> {
    if path.contains('$') { Err(Fault::PathVariable { path }) } else { Ok(path) }
}

/// A path or a pattern as a flag may have it: the shell may have expanded it to any name.
pub(crate) fn check_flag_name(text: &str) -> Result<String, Fault> {
    if is_pattern(text) {
        check_pattern(text)?;
    }
    check_flag_path(text)
}

fn check_pattern(text: &str) -> Result<(), Fault> {
    check_flag_path(text)?;
    let starts = ["~/", "./", "/"];
    let below = starts.iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
    match Pattern::parse(below) {
        Ok(_) => Ok(()),
        Err(why) => Err(Fault::PatternForm { pattern: text.into(), why }),
    }
}

/// A path as a flag may have it, literal and only downwards: the shell has expanded what it would.
pub(crate) fn check_flag_path(text: &str) -> Result<String, Fault> {
    let path = || text.to_owned();
    if text.is_empty() {
        return Err(Fault::PathEmpty);
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::PathControl { path: path() });
    }
    if text.split('/').any(|part| part == "..") {
        return Err(Fault::PathUp { path: path() });
    }
    if text.starts_with('~') && text != "~" && !text.starts_with("~/") {
        return Err(Fault::PathOtherHome { path: path() });
    }
    Ok(path())
}

pub(crate) fn mode(text: &str) -> Result<Mode, Fault> {
    match text {
        "read-only" => Ok(Mode::ReadOnly),
        "read-write" => Ok(Mode::ReadWrite),
        "no-delete" => Ok(Mode::NoDelete),
        "overlay" => Err(Fault::ModeLater { asked: text.into() }),
        _ => Err(Fault::ModeUnknown { asked: text.into() }),
    }
}

fn check_name(name: &str) -> Result<(), Fault> {
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Fault::VariableName { name: name.into() });
    }
    if view::OWN_VARIABLES.contains(&name) {
        return Err(Fault::VariableOurs { name: name.into() });
    }
    Ok(())
}

/// A name, or a prefix and `*`, that may be passed.
pub(crate) fn check_allow(pattern: &str) -> Result<(), Fault> {
    check_name(pattern.strip_suffix('*').unwrap_or(pattern))?;
    if says_secret(pattern) {
        return Err(Fault::VariableSecret { name: pattern.into() });
    }
    Ok(())
}

/// A name that passes whatever it says of its value; never a pattern.
pub(crate) fn check_dangerous(name: &str) -> Result<(), Fault> {
    if name.ends_with('*') {
        return Err(Fault::VariablePattern { name: name.into() });
    }
    check_name(name)
}

pub(crate) fn check_set(name: &str, value: &str) -> Result<(), Fault> {
    check_name(name)?;
    if value.contains('\0') {
        return Err(Fault::VariableNul { name: name.into() });
    }
    Ok(())
}

/// Whether a variable's name says that its value is a secret.
fn says_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    view::SECRET_WORDS.iter().any(|word| upper.contains(word))
}

/// Whether it may be one: asked of names that nobody wrote down, which a pattern covers.
pub(crate) fn may_be_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    says_secret(name) || view::SECRET_WORDS_OF_PATTERNS.iter().any(|word| upper.contains(word))
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
