//! What came of trials, kept in a file of the caller's: it chooses a platform, and says nothing of whether a
//! program is to be trusted. What is not exactly as it is written here is thrown away.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use cofferdam_plan::facts::Ids;
use cofferdam_plan::runsc::{Features, Outcome, Platform, Version};
use cofferdam_plan::{BUILD, Host};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};

use super::tried::Tried;

/// Its name in the state directory.
pub(super) const NAME: &str = "runsc-trials";
/// Programs that are remembered: the one in use, and a few that it is compared with.
const KNOWN_MAX: usize = 8;
/// More than they take. Bytes.
const BYTES_MAX: u64 = 64 << 10;
/// What came of a trial on a busy day is not believed for ever. Seconds: a week.
const BELIEVED: u64 = 7 * 24 * 60 * 60;
/// Writable by the group or by others.
const SHARED: u32 = 0o022;

/// On what, besides the program, it depends what comes of a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(String);

impl Key {
    pub(super) fn of(host: &Host, ids: Ids) -> Self {
        let (uid, _) = ids.pair();
        let traced = host.yama_ptrace_scope.map_or_else(|| "-".into(), |scope| scope.to_string());
        let boot = word(&host.release);
        Self(format!("{BUILD} {boot} {uid} {traced}"))
    }
}

/// A word of a line: without spaces and controls.
fn word(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '_' }).collect()
}

/// What tells that a file is as it was: nobody sets the time of its last change (`inode(7)`, ctime).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(seen: &Metadata) -> Self {
        Self {
            dev: seen.dev(),
            ino: seen.ino(),
            size: seen.size(),
            written: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        }
    }
}

/// One program, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    pub(super) digest: String,
    pub(super) tried: Tried,
}

/// What is kept in `state` for `key`; nothing where the file is not the caller's alone.
pub(super) fn read(state: &Path, key: &Key) -> Vec<Known> {
    let text = text(&state.join(NAME)).unwrap_or_default();
    parse(&text, key).unwrap_or_default()
}

fn text(path: &Path) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    let seen = file.metadata()?;
    let own = seen.uid() == rustix::process::geteuid().as_raw();
    if !own || !seen.is_file() || seen.nlink() != 1 || seen.mode() & SHARED != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // One from the future tells nothing either.
    let age = seen.modified()?.elapsed().map_err(io::Error::other)?;
    if age.as_secs() > BELIEVED {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts `known` before what was `kept` for the same key, in one step.
///
/// # Errors
/// The directory or the file cannot be written.
pub(super) fn keep(state: &Path, key: &Key, known: &Known, kept: Vec<Known>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let others = kept.into_iter().filter(|other| other.digest != known.digest);
    let all: Vec<Known> = [known.clone()].into_iter().chain(others).take(KNOWN_MAX).collect();
    let new = state.join(format!("{NAME}.{}", std::process::id()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let written = || -> io::Result<()> {
        let file = openat(CWD, &new, flags, Mode::from_raw_mode(0o600))?;
        File::from(file).write_all(write(key, &all).as_bytes())?;
        Ok(renameat(CWD, &new, CWD, state.join(NAME))?)
    };
    written().inspect_err(|_| {
        // Left by one that was killed, of this number; or by this.
        unlinkat(CWD, &new, AtFlags::empty()).unwrap_or(());
    })
}

/// The key, and a line for each program: fields with a tab between them.
fn write(key: &Key, all: &[Known]) -> String {
    let lines = all.iter().map(|Known { stamp, digest, tried }| {
        let Stamp { dev, ino, size, written, changed } = stamp;
        let Features { directfs, overlay, host_sockets } = tried.features;
        let flags = [directfs, overlay, host_sockets].map(|has| if has { '1' } else { '0' });
        let flags: String = flags.iter().collect();
        let platforms = tried.platforms.iter().map(|(platform, outcome)| {
            let outcome = match outcome {
                Outcome::Works => "works".to_owned(),
                Outcome::Untried => "untried".to_owned(),
                Outcome::Hangs { after } => format!("hangs {after}"),
                Outcome::Fails { why } => format!("fails {why}"),
            };
            format!("\t{} {outcome}", platform.name())
        });
        format!(
            "{dev} {ino} {size} {}.{} {}.{}\t{digest}\t{}\t{flags}{}\n",
            written.0,
            written.1,
            changed.0,
            changed.1,
            tried.version.name,
            platforms.collect::<String>(),
        )
    });
    format!("{}\n{}", key.0, lines.collect::<String>())
}

/// `None` where it is of another key, or one letter is not as it is written.
fn parse(text: &str, key: &Key) -> Option<Vec<Known>> {
    let (first, rest) = text.split_once('\n')?;
    if first != key.0 || !rest.ends_with('\n') {
        return None;
    }
    let all = rest.lines().map(line).collect::<Option<Vec<_>>>()?;
    (all.len() <= KNOWN_MAX && write(key, &all) == text).then_some(all)
}

fn line(line: &str) -> Option<Known> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [stamp, digest, version, flags, platforms @ ..] = fields.as_slice() else { return None };
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let features = match flags.as_bytes() {
        [directfs, overlay, host_sockets] => Features {
            directfs: *directfs == b'1',
            overlay: *overlay == b'1',
            host_sockets: *host_sockets == b'1',
        },
        _ => return None,
    };
    let platforms = platforms.iter().map(|field| platform(field)).collect::<Option<Vec<_>>>()?;
    let whole = platforms.iter().map(|(platform, _)| *platform).eq(Platform::ALL);
    let tried = Tried { version: Version::named(version)?, features, platforms };
    let is_digest = digest.len() == 64 && digest.bytes().all(hexadecimal);
    // One that is of no use is tried again.
    (whole && is_digest && tried.platform().is_some()).then_some(())?;
    Some(Known { stamp: self::stamp(stamp)?, digest: (*digest).to_owned(), tried })
}

fn stamp(field: &str) -> Option<Stamp> {
    let fields: Vec<&str> = field.split(' ').collect();
    let [dev, ino, size, written, changed] = fields.as_slice() else { return None };
    let time = |text: &str| {
        let (seconds, rest) = text.split_once('.')?;
        Some((seconds.parse().ok()?, rest.parse().ok()?))
    };
    Some(Stamp {
        dev: dev.parse().ok()?,
        ino: ino.parse().ok()?,
        size: size.parse().ok()?,
        written: time(written)?,
        changed: time(changed)?,
    })
}

fn platform(field: &str) -> Option<(Platform, Outcome)> {
    let (name, outcome) = field.split_once(' ')?;
    let outcome = match outcome.split_once(' ') {
        None if outcome == "works" => Outcome::Works,
        None if outcome == "untried" => Outcome::Untried,
        Some(("hangs", after)) => Outcome::Hangs { after: after.parse().ok()? },
        Some(("fails", why)) if !why.chars().any(char::is_control) => {
            Outcome::Fails { why: why.to_owned() }
        }
        None | Some(_) => return None,
    };
    Some((Platform::of(name)?, outcome))
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
