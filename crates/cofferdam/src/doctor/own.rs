//! Our own files: whether anybody but the caller and root can change them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cofferdam_sandbox::Caller;

use crate::places::others_may_write;

/// One thing that is wrong with a file of ours, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) what: String,
    pub(super) remedy: String,
}

/// The first fault of `paths`, each with every directory above it.
pub(super) fn fault(paths: &[PathBuf], caller: &Caller) -> Option<Fault> {
    paths.iter().find_map(|path| {
        let mut all = path.ancestors();
        let own = all.next().and_then(|path| of(path, caller));
        own.or_else(|| all.find_map(|above| of_directory(above, caller)))
    })
}

/// The owner that a user namespace shows where it has not the true one (`user_namespaces(7)`).
const OVERFLOW: u32 = 65_534;

/// The first of `paths`, or of the directories above, whose owner this user namespace does not have.
pub(super) fn stranger(paths: &[PathBuf]) -> Option<PathBuf> {
    let is = |path: &&Path| fs::metadata(path).is_ok_and(|seen| is_stranger(&seen));
    paths.iter().find_map(|path| path.ancestors().find(is)).map(Path::to_owned)
}

fn is_stranger(seen: &fs::Metadata) -> bool {
    let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    seen.uid() == OVERFLOW && users.split_whitespace().nth(2) != Some("4294967295")
}

fn is_others(seen: &fs::Metadata, caller: &Caller) -> bool {
    // Nobody of this namespace is that owner; the others are kept out by the mode.
    let kept = is_stranger(seen) && seen.mode() & 0o022 == 0;
    !kept && others_may_write(seen, caller)
}

fn of(path: &Path, caller: &Caller) -> Option<Fault> {
    let seen = fs::metadata(path).ok()?;
    let at = path.display();
    if seen.is_file() && seen.mode() & 0o6000 != 0 {
        return Some(Fault {
            what: format!("{at} is a setuid or setgid program: mode {:04o}", seen.mode() & 0o7777),
            remedy: format!("no program of ours needs that: chmod u-s,g-s {at}"),
        });
    }
    is_others(&seen, caller).then(|| shared(path, &seen))
}

/// In a directory with the sticky bit everybody keeps their own names.
fn of_directory(path: &Path, caller: &Caller) -> Option<Fault> {
    let seen = fs::metadata(path).ok()?;
    let sticky = seen.mode() & 0o1000 != 0
        && ([0, caller.uid()].contains(&seen.uid()) || is_stranger(&seen));
    (!sticky && is_others(&seen, caller)).then(|| shared(path, &seen))
}

fn shared(path: &Path, seen: &fs::Metadata) -> Fault {
    let (at, owner, mode) = (path.display(), seen.uid(), seen.mode() & 0o7777);
    Fault {
        what: format!("others may change {at}: owner {owner}, mode {mode:04o}"),
        remedy: format!("make it yours or root's alone: chmod go-w {at}, or chown it"),
    }
}

/// The first of `paths` that lies in the tree which a run started here may write.
pub(super) fn inside<'p>(paths: &'p [PathBuf], caller: &Caller) -> Option<&'p PathBuf> {
    // A run in the home itself is refused for other reasons.
    let works = !caller.home.starts_with(&caller.cwd);
    paths.iter().find(|path| works && path.starts_with(&caller.cwd))
}
