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

fn of(path: &Path, caller: &Caller) -> Option<Fault> {
    let seen = fs::metadata(path).ok()?;
    let at = path.display();
    if seen.is_file() && seen.mode() & 0o6000 != 0 {
        return Some(Fault {
            what: format!("{at} is a setuid or setgid program: mode {:04o}", seen.mode() & 0o7777),
            remedy: format!("no program of ours needs that: chmod u-s,g-s {at}"),
        });
    }
    others_may_write(&seen, caller).then(|| shared(path, &seen))
}

/// In a directory with the sticky bit everybody keeps their own names.
fn of_directory(path: &Path, caller: &Caller) -> Option<Fault> {
    let seen = fs::metadata(path).ok()?;
    let sticky = seen.mode() & 0o1000 != 0 && [0, caller.uid()].contains(&seen.uid());
    (!sticky && others_may_write(&seen, caller)).then(|| shared(path, &seen))
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
    paths.iter().find(|path| path.starts_with(&caller.cwd))
}
