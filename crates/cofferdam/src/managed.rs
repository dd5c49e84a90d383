//! The managed policy: whose it is, and its text.
//!
//! It is a ceiling, so a file that is there and is not root's alone is a refusal, never passed over. There
//! is no variable and no flag that names another place.

use std::fs::{File, symlink_metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cofferdam_policy::document::TEXT_BYTES_MAX;
use cofferdam_policy::{Base, Layer, LayerText, Source};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use crate::places::ways_to;
use crate::refused::Refused;

/// Where it is.
const FILE: &str = "/etc/cofferdam/policy.toml";

/// The managed text, if there is one, and every path that says which text that is. `home` is where its
/// `~` leads.
pub(crate) fn read(home: &Path) -> Result<Option<(LayerText, Vec<PathBuf>)>, Refused> {
    let path = Path::new(FILE);
    let unreadable = |source| Refused::ManagedUnread { path: path.to_owned(), source };
    match symlink_metadata(path) {
        // No directory of it, or nothing in it. Behind a link nobody knows: what the link leads to may
        // be there later, as a file system that is not mounted yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match ways_to(path).as_slice() {
                [link, _, ..] => Err(Refused::ManagedUnread { path: link.clone(), source: error }),
                [] | [_] => Ok(None),
            };
        }
        Err(error) => return Err(unreadable(error)),
        Ok(_) => {}
    }
    let files = ways_to(path);
    let Some(real) = files.last() else { return Ok(None) };
    for name in files.iter().flat_map(|file| file.ancestors()) {
        roots_alone(name)?;
    }
    // The way was looked at, and only root changes it: nothing is followed any more.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat2(CWD, real, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .map_err(|error| unreadable(error.into()))?;
    let file = File::from(file);
    let seen = file.metadata().map_err(unreadable)?;
    if !seen.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    if others_may_change(&seen) {
        return Err(not_roots(real, &seen));
    }
    let mut bytes = Vec::new();
    file.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let source = Source::from_bytes(FILE.into(), bytes)?;
    let base = Base::Home(home.to_owned());
    Ok(Some((LayerText { layer: Layer::Managed, source, base }, files)))
}

/// A directory, link or file on the way, which only root may change.
fn roots_alone(path: &Path) -> Result<(), Refused> {
    // Whoever may change the root has no need of a policy; inside a user namespace it is nobody's.
    if path == Path::new("/") {
        return Ok(());
    }
    let seen = symlink_metadata(path)
        .map_err(|source| Refused::ManagedUnread { path: path.to_owned(), source })?;
    // The mode of a link says nothing.
    let shared = if seen.is_symlink() { seen.uid() != 0 } else { others_may_change(&seen) };
    if shared { Err(not_roots(path, &seen)) } else { Ok(()) }
}

fn others_may_change(seen: &std::fs::Metadata) -> bool {
    seen.uid() != 0 || seen.mode() & 0o022 != 0
}

fn not_roots(path: &Path, seen: &std::fs::Metadata) -> Refused {
    let (owner, mode) = (seen.uid(), seen.mode() & 0o7777);
    Refused::ManagedShared { path: path.to_owned(), owner, mode }
}
