//! Which new text may take the place of git's settings of a repository.
//!
//! Almost every key of `git-config(1)` runs a program, or leads to a text that names one. So what may
//! change from inside is a list: who commits, what a branch follows, and where a remote is, on hosts that
//! the policy allows. Everything else stays, in its order, as it is written.

pub mod syntax;

use core::net::{Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use super::hosts::{Decision, Host, HostRules, Protocol, canonical};
use crate::hostname::Name;
use syntax::{Entry, entries};

/// Longest name of a remote. Bytes.
const REMOTE_BYTES_MAX: usize = 255;

/// Why the settings stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The text that is there is not in git's syntax at this line, from 1: what would change of it is not
    /// known.
    Old(usize),
    /// The new one is not.
    New(usize),
    /// This key does not change from inside, or not its place among the others.
    Key(String),
    /// This key may change, but not to this.
    Value(String, Unfit),
}

/// Why a value is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is none.
    Missing,
    /// It has a control character, or a space where none belongs.
    Letter,
    /// It is no plain name of a remote.
    Remote,
    /// No remote has this name, and git would take it for a directory, whose hooks it runs.
    NoRemote,
    /// It is no full name of a branch (`refs/…`).
    Branch,
    /// `rebase` takes a boolean, `merges` or `interactive`.
    Rebase,
    /// It is no address of the kinds that are taken.
    Address,
    /// It holds a password.
    Password,
    /// The policy does not allow this host on this port.
    Host(String, u16),
}

impl Kept {
    /// The key that decided, where one did.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::Value(key, _) => Some(key),
            Self::Old(_) | Self::New(_) => None,
        }
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Old(line) => write!(out, "line {line} of the settings is not in git's syntax"),
            Self::New(line) => {
                write!(out, "line {line} of the new settings is not in git's syntax")
            }
            Self::Key(key) => write!(out, "`{key}` may not change from inside"),
            Self::Value(key, why) => write!(out, "`{key}` may not become this from inside: {why}"),
        }
    }
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => out.write_str("it has no value"),
            Self::Letter => out.write_str("it has a space or a control character"),
            Self::Remote => out.write_str("it is no plain name of a remote"),
            Self::NoRemote => {
                out.write_str("no remote has this name, so git would take a directory")
            }
            Self::Branch => out.write_str("it is no full name of a branch"),
            Self::Rebase => out.write_str("it is no boolean, `merges` or `interactive`"),
            Self::Address => {
                out.write_str("it is no `https`, `http` or `ssh` address, or `user@host:path`")
            }
            Self::Password => out.write_str("it holds a password"),
            Self::Host(host, port) => write!(out, "port {port} of {host} is not allowed"),
        }
    }
}

/// Whether `new` may take the place of `old`: they differ in keys alone that run no program, and these
/// lead to hosts alone that `hosts` allows.
///
/// # Errors
/// The first key that stays as it is, or the line at which one of the texts cannot be read.
pub fn edit(old: &[u8], new: &[u8], hosts: &HostRules) -> Result<(), Kept> {
    let before = entries(old).map_err(|at| Kept::Old(at.0))?;
    let after = entries(new).map_err(|at| Kept::New(at.0))?;
    let stays = |entry: &&Entry<'_>| open(entry).is_none();
    let mut was = before.iter().filter(stays);
    let mut is = after.iter().filter(stays);
    loop {
        match (was.next(), is.next()) {
            (None, None) => break,
            (Some(one), Some(other)) if same(one, other) => {}
            (_, Some(entry)) | (Some(entry), None) => return Err(Kept::Key(named(entry))),
        }
    }
    let spelled = |entry: &&Entry<'_>| entry.is_dotted();
    let dotted: BTreeSet<&[u8]> = before.iter().filter(spelled).map(Entry::section).collect();
    if let Some(entry) = after.iter().filter(spelled).find(|e| !dotted.contains(e.section())) {
        return Err(Kept::Key(named(entry)));
    }
    let known: BTreeSet<_> = before.iter().map(spelling).collect();
    for entry in after.iter().filter(|entry| !known.contains(&spelling(entry))) {
        if let Some(kind) = open(entry) {
            fits(kind, entry, hosts).map_err(|why| Kept::Value(named(entry), why))?;
        }
    }
    let (had, has) = (remotes(&before), remotes(&after));
    for entry in after.iter().filter(|entry| follows(entry)) {
        let name = entry.value().unwrap_or_default();
        let as_before = known.contains(&spelling(entry)) && !had.contains(name);
        if name != b"." && !has.contains(name) && !as_before {
            return Err(Kept::Value(named(entry), Unfit::NoRemote));
        }
    }
    // A name that no remote has any more is a directory to git, whose hooks run where one is pushed to.
    if let Some(gone) = had.iter().find(|name| !has.contains(*name)) {
        let of =
            |entry: &&Entry<'_>| entry.parts() == (b"remote", Some(gone)) && entry.key() == "url";
        if let Some(entry) = before.iter().find(of) {
            return Err(Kept::Key(named(entry)));
        }
    }
    Ok(())
}

/// What a key that may change holds.
#[derive(Clone, Copy)]
enum Open {
    /// What a person reads; `description` has lines.
    Text,
    Remote,
    Branch,
    Rebase,
    Address,
    Refspec,
}

/// What the entry's key holds, if it is one that may change.
fn open(entry: &Entry<'_>) -> Option<Open> {
    let (section, below) = entry.parts();
    match (section, below.is_some(), entry.key()) {
        (b"user", false, "name" | "email") | (b"branch", true, "description") => Some(Open::Text),
        (b"branch", true, "remote" | "pushremote") => Some(Open::Remote),
        (b"branch", true, "merge") => Some(Open::Branch),
        (b"branch", true, "rebase") => Some(Open::Rebase),
        (b"remote", true, "url") => Some(Open::Address),
        (b"remote", true, "fetch") => Some(Open::Refspec),
        _ => None,
    }
}

/// Whether the entry's value is the name of a remote.
fn follows(entry: &Entry<'_>) -> bool {
    let (section, below) = entry.parts();
    matches!(
        (section, below.is_some(), entry.key()),
        (b"branch", true, "remote" | "pushremote") | (b"remote", false, "pushdefault")
    )
}

/// Names of remotes that are somewhere.
fn remotes<'e>(entries: &'e [Entry<'_>]) -> BTreeSet<&'e [u8]> {
    let named = |entry: &'e Entry<'_>| match entry.parts() {
        (b"remote", Some(name)) if entry.key() == "url" => entry.value().map(|_| name),
        _ => None,
    };
    entries.iter().filter_map(named).collect()
}

fn spelling<'e>(entry: &'e Entry<'_>) -> (&'e [u8], &'e str, Option<&'e [u8]>) {
    (entry.section(), entry.key(), entry.value())
}

/// The same entry, in the same spelling: not every version of git reads spaces alike.
fn same(one: &Entry<'_>, other: &Entry<'_>) -> bool {
    spelling(one) == spelling(other) && one.written() == other.written()
}

/// The entry's name for a person: one line, whatever letters a subsection has.
fn named(entry: &Entry<'_>) -> String {
    let name = String::from_utf8_lossy(&entry.name()).into_owned();
    name.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn fits(kind: Open, entry: &Entry<'_>, hosts: &HostRules) -> Result<(), Unfit> {
    let below = entry.parts().1.unwrap_or_default();
    let below = std::str::from_utf8(below).map_err(|_| Unfit::Letter)?;
    if below.contains(char::is_control) {
        return Err(Unfit::Letter);
    }
    let Some(value) = entry.value() else {
        return if matches!(kind, Open::Rebase) { Ok(()) } else { Err(Unfit::Missing) };
    };
    let value = std::str::from_utf8(value).map_err(|_| Unfit::Letter)?;
    let lines = entry.key() == "description";
    let odd = |letter: char| letter.is_control() && !(lines && matches!(letter, '\n' | '\t'));
    if value.contains(odd) || (!matches!(kind, Open::Text) && value.contains(' ')) {
        return Err(Unfit::Letter);
    }
    let fit = |fits: bool, why| if fits { Ok(()) } else { Err(why) };
    match kind {
        Open::Text => Ok(()),
        Open::Remote => fit(value == "." || is_remote(value), Unfit::Remote),
        Open::Branch => fit(is_branch(value), Unfit::Branch),
        Open::Rebase => fit(is_rebase(value), Unfit::Rebase),
        Open::Address | Open::Refspec if !is_remote(below) => Err(Unfit::Remote),
        Open::Address => address(value, hosts),
        Open::Refspec => fit(!value.is_empty() && !value.starts_with('-'), Unfit::Letter),
    }
}

/// A name that is no path and no address: git takes either in its place.
fn is_remote(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (1..=REMOTE_BYTES_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(['-', '/', '.'])
        && !name.contains("..")
}

fn is_branch(name: &str) -> bool {
    let odd = ['~', '^', ':', '?', '*', '[', '\\'];
    name.starts_with("refs/") && !name.contains(odd) && !name.contains("..")
}

fn is_rebase(value: &str) -> bool {
    let booleans = ["true", "false", "yes", "no", "on", "off", "1", "0"];
    booleans.iter().any(|word| value.eq_ignore_ascii_case(word))
        || matches!(value, "merges" | "m" | "interactive" | "i")
}

/// Whether git, told to go to `text`, speaks to an allowed host and runs nothing else (`git-fetch(1)`,
/// GIT URLS; what is before `::` would be a program).
fn address(text: &str, hosts: &HostRules) -> Result<(), Unfit> {
    use Protocol::{Http, Tcp, Tls};
    // `%0a` and its like: git takes them for the letters.
    let escapes = text.split('%').skip(1);
    let control = |after: &str| after.starts_with(['0', '1']) || after.starts_with("7f");
    if escapes.map(str::to_ascii_lowercase).any(|after| control(&after)) {
        return Err(Unfit::Letter);
    }
    for (scheme, port, spoken) in
        [("https://", 443, Tls), ("http://", 80, Http), ("ssh://", 22, Tcp)]
    {
        let Some(rest) = text.strip_prefix(scheme) else { continue };
        let (place, _) = rest.split_once('/').ok_or(Unfit::Address)?;
        let place = match place.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => return Err(Unfit::Password),
            Some((user, place)) if is_user(user) => place,
            Some(_) => return Err(Unfit::Address),
            None => place,
        };
        let (host, port) = place_of(place, port).ok_or(Unfit::Address)?;
        return allowed(host, port, spoken, hosts);
    }
    let (user, rest) = text.split_once('@').ok_or(Unfit::Address)?;
    let (host, path) = rest.split_once(':').ok_or(Unfit::Address)?;
    if !is_user(user) || path.is_empty() || path.starts_with(['-', ':']) || path.starts_with("//") {
        return Err(Unfit::Address);
    }
    let (host, port) = place_of(host, 22).ok_or(Unfit::Address)?;
    allowed(host, port, Tcp, hosts)
}

fn is_user(user: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !user.is_empty() && !user.starts_with('-') && user.bytes().all(plain)
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
fn place_of(text: &str, port: u16) -> Option<(Host, u16)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(text) => {
            let (address, rest) = text.split_once(']')?;
            (Host::Address(canonical(address.parse::<Ipv6Addr>().ok()?.into())), rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, rest) = text.split_at_checked(end)?;
            let host = match name.parse::<Ipv4Addr>() {
                Ok(address) => Host::Address(address.into()),
                Err(_) => Host::Name(Name::parse(name.as_bytes()).ok()?),
            };
            (host, rest)
        }
    };
    if rest.is_empty() {
        return Some((host, port));
    }
    let digits = rest.strip_prefix(':')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| plain && *port != 0)?;
    Some((host, port))
}

fn allowed(host: Host, port: u16, spoken: Protocol, hosts: &HostRules) -> Result<(), Unfit> {
    // A rule that looks at nothing lets anything through.
    let through = [spoken, Protocol::Tcp]
        .into_iter()
        .any(|protocol| matches!(hosts.decide(&host, port, protocol), Decision::Allow(_)));
    if through { Ok(()) } else { Err(Unfit::Host(host.to_string(), port)) }
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
