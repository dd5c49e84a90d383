//! A project's own policy to begin with: which presets its files ask for, and the text.
//!
//! Knows names of files and nothing of what is in them: a project that was cloned is not read
//! before a person trusts it. Nothing is followed through a symbolic link of the project's.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_sandbox::Caller;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::refused::Refused;

/// Where a project's policy is, below the project.
const FOLDER: &str = ".cofferdam";
const FILE: &str = "policy.toml";
/// Where the new one is written before it takes the old one's place.
const NEW: &str = "policy.toml.new";

/// A preset, the names that ask for it, and the preset that takes its place.
struct Sign {
    preset: &'static str,
    names: &'static [&'static str],
    unless: Option<&'static str>,
}

const fn sign(preset: &'static str, names: &'static [&'static str]) -> Sign {
    Sign { preset, names, unless: None }
}

/// In the order in which the text lists them. One that takes another's place comes before it.
const SIGNS: &[Sign] = &[
    sign("git", &[".git"]),
    sign("uv", &["uv.lock"]),
    Sign {
        unless: Some("uv"),
        ..sign("python", &["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt"])
    },
    sign("bun", &["bun.lock", "bun.lockb"]),
    Sign { unless: Some("bun"), ..sign("node", &["package.json"]) },
    sign("deno", &["deno.json", "deno.jsonc", "deno.lock"]),
    sign("rust", &["Cargo.toml"]),
    sign("go", &["go.mod", "go.work"]),
    sign("java", &["pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle"]),
    sign("ruby", &["Gemfile"]),
];

/// What to do where the project has a policy already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it, and refuse.
    Keep,
    /// Put the new one in its place.
    Replace,
}

/// A policy that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file, as the person named its directory.
    pub path: PathBuf,
    /// Presets, each with the name that asked for it (none for `base`).
    pub presets: Vec<(&'static str, Option<&'static str>)>,
}

/// Writes `.cofferdam/policy.toml` in the directory `folder`. Nobody reads it unless it is named or trusted.
///
/// # Errors
/// The directory is the whole machine or holds the home, there is a policy already, or it cannot
/// be written without following a link.
pub fn init(folder: &Path, existing: Existing) -> Result<Written, Refused> {
    let path = folder.join(FOLDER).join(FILE);
    let path = path.strip_prefix(".").map(Path::to_owned).unwrap_or(path);
    let unwritable = |source: io::Error| Refused::PolicyUnwritable { path: path.clone(), source };
    let real = std::fs::canonicalize(folder).map_err(unwritable)?;
    if Caller::read()?.home.starts_with(&real) {
        return Err(Refused::ProjectTooWide { path: real });
    }
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    // What was judged: a link that is put in its way since leads nowhere.
    let project = openat2(CWD, &real, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .map_err(|e| unwritable(e.into()))?;
    let there = |name: &str| statat(&project, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let presets = choose(there);
    let inner = inner_folder(project.as_fd()).map_err(|e| unwritable(e.into()))?;
    match write(inner.as_fd(), FILE, &text(&presets)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match existing {
            Existing::Keep => return Err(Refused::PolicyExists { path }),
            Existing::Replace => replace(inner.as_fd(), &text(&presets)).map_err(unwritable)?,
        },
        written => written.map_err(unwritable)?,
    }
    Ok(Written { path, presets })
}

/// The presets for what is `there`, each with the first name that asks for it.
fn choose(there: impl Fn(&str) -> bool) -> Vec<(&'static str, Option<&'static str>)> {
    let mut chosen = vec![("base", None)];
    for sign in SIGNS {
        let taken = sign.unless.is_some_and(|other| chosen.iter().any(|(name, _)| *name == other));
        let found = sign.names.iter().find(|name| there(name)).filter(|_| !taken);
        chosen.extend(found.map(|name| (sign.preset, Some(*name))));
    }
    chosen
}

/// `.cofferdam` of the project, made if it is not there.
fn inner_folder(project: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    match mkdirat(project, FOLDER, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(project, FOLDER, flags, Mode::empty())
}

/// Makes the file `name`, which must not be there, not as a link either (`open(2)`, `O_EXCL`).
fn write(folder: BorrowedFd<'_>, name: &str, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::from_raw_mode(0o644))?;
    let written = File::from(file).write_all(text.as_bytes());
    if written.is_err() {
        // Half a policy is worse than none; what is left of it is told by the error already.
        unlinkat(folder, name, AtFlags::empty()).unwrap_or(());
    }
    written
}

/// Puts a whole new file in the old one's place. A link there is replaced, not followed.
fn replace(folder: BorrowedFd<'_>, text: &str) -> io::Result<()> {
    match unlinkat(folder, NEW, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    write(folder, NEW, text)?;
    let renamed = renameat(folder, NEW, folder, FILE);
    if renamed.is_err() {
        unlinkat(folder, NEW, AtFlags::empty()).unwrap_or(());
    }
    Ok(renamed?)
}

/// The policy's text, for a person to read and change.
fn text(presets: &[(&str, Option<&str>)]) -> String {
    let mut extends = String::new();
    for (name, because) in presets {
        let because = because.map(|file| format!(" # {file} is here")).unwrap_or_default();
        // Writing to a String cannot fail.
        writeln!(extends, "    \"preset:{name}\",{because}").unwrap_or(());
    }
    BEGINNING.replace("EXTENDS\n", &extends)
}

const BEGINNING: &str = "\
# What a command may do in this project. Made by `cofferdam policy init`: read it, change it.
#
# `cofferdam run` reads this file once you trust it as it is, since whoever can write here could
# widen it:  cofferdam trust
# Look:     cofferdam policy show .cofferdam/policy.toml
# Check:    cofferdam policy check .cofferdam/policy.toml

version = 1
isolation = \"process\"

# What toolchains and agents need beside the built-in view. There are also \"preset:claude-code\" and
# \"preset:codex\", which a person rather adds for a run: --preset codex.
extends = [
EXTENDS
]

[filesystem]
# The tree to work in: where the command is started. `mode` is read-write or read-only.
workspace = { path = \".\", mode = \"read-write\" }
# More trees. `~` is the home; one that may be absent is `optional = true`.
grant = [
    # { path = \"~/data\", mode = \"read-only\", optional = true },
]
# Names that exist: closed, or kept as they are. Git hooks, settings of agents and editors are anyway.
# hide = [\".env\"]
# protect = [\"Makefile\"]
# A fresh, empty home for each run; \"project\" keeps one for this workspace.
home = \"private\"

[environment]
# Variables of the caller that pass, in place of the built-in names. Secrets do not.
# allow = [\"TERM\", \"LANG\", \"LC_*\", \"COLORTERM\", \"TZ\", \"NO_COLOR\", \"MY_SETTING\"]
# Variables that are set.
# set = { CI = \"1\" }

[limits]
# Beside the built-in ones. \"best-effort\" starts where no cgroup can hold it, too.
# memory = { max = \"4GiB\", hold = \"best-effort\" }
# processes = 512
# wall_time = \"30m\"

[network]
# Closed but for what is named here or by a preset (\"preset:pypi\", \"preset:npm\", ...). A host is a
# name, \"*.NAME\" for all below it, or an address; ports other than 443 and 80 need a protocol.
# allow = [
#     { host = \"api.example.com\", reason = \"what the tests ask\" },
#     { host = \"db.example.com\", ports = [5432], protocol = \"tcp\" },
# ]
# deny = [{ host = \"internal.example.com\" }]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_presets() {
        for (names, want) in [
            (&[][..], &["base"][..]),
            (&["Cargo.toml", ".git"], &["base", "git", "rust"]),
            (&["package.json"], &["base", "node"]),
            (&["package.json", "bun.lock"], &["base", "bun"]),
            (&["package.json", "bun.lockb", "deno.json"], &["base", "bun", "deno"]),
            (&["pyproject.toml", "uv.lock"], &["base", "uv"]),
            (&["pyproject.toml"], &["base", "python"]),
            (&["requirements.txt"], &["base", "python"]),
            (&["go.mod", "pom.xml", "Gemfile"], &["base", "go", "java", "ruby"]),
            (&["build.gradle.kts"], &["base", "java"]),
            (&["README.md"], &["base"]),
        ] {
            let chosen = choose(|name| names.contains(&name));
            let presets: Vec<&str> = chosen.iter().map(|(name, _)| *name).collect();
            assert_eq!(presets, want, "{names:?}");
        }
    }

    #[test]
    fn every_sign_is_a_preset() {
        let known = |name| cofferdam_policy::presets::ALL.iter().any(|preset| preset.name == name);
        for sign in SIGNS {
            assert!(known(sign.preset) && sign.unless.is_none_or(known), "{}", sign.preset);
        }
    }
}
