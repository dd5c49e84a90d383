//! Names in a layer: relative, downwards, and none that cannot be made.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::Fault;

/// `NAME_MAX` of Linux's file systems, and `PATH_MAX` without its NUL. Bytes.
const PART_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 4_095;
/// Deepest name: a directory each is open while one is removed.
const PARTS_MAX: usize = 200;

/// What stands for a name that a layer takes away, and for all of a directory (image-spec, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Of union file systems that nobody has any more.
const FOREIGN: &[u8] = b".wh..wh.";

/// What a name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The root itself.
    Root,
    /// Something in it.
    At(PathBuf),
    /// It takes this away.
    Gone(PathBuf),
    /// It takes all away that is in this directory.
    Emptied(PathBuf),
    /// Nothing to anybody.
    Nothing,
}

/// The name of an entry.
pub(super) fn of_entry(name: &[u8]) -> Result<Name, Fault> {
    let path = relative(name)?;
    let Some(last) = path.file_name() else { return Ok(Name::Root) };
    let above = path.parent().unwrap_or(Path::new("")).to_owned();
    let last = last.as_encoded_bytes();
    if last == OPAQUE {
        return Ok(Name::Emptied(above));
    }
    if last.starts_with(FOREIGN) {
        return Ok(Name::Nothing);
    }
    match last.strip_prefix(WHITEOUT) {
        None => Ok(Name::At(path)),
        Some(b"" | b"." | b"..") => Err(Fault::unsafe_name(name, "it takes away what is no name")),
        Some(gone) => Ok(Name::Gone(above.join(OsString::from_vec(gone.to_vec())))),
    }
}

/// A path below the root, without `.`; empty for the root.
pub(super) fn relative(name: &[u8]) -> Result<PathBuf, Fault> {
    let refuse = |why| Err(Fault::unsafe_name(name, why));
    if name.first() == Some(&b'/') {
        return refuse("it is absolute");
    }
    if name.contains(&0) {
        return refuse("it has a NUL");
    }
    if name.len() > PATH_BYTES_MAX {
        return refuse("it is longer than a path");
    }
    let mut path = PathBuf::new();
    for (count, part) in name.split(|byte| *byte == b'/').enumerate() {
        match part {
            b"" | b"." => {}
            b".." => return refuse("it leads up"),
            part if part.len() > PART_BYTES_MAX => return refuse("it is longer than a name"),
            _ if count >= PARTS_MAX => return refuse("it is too deep"),
            part => path.push(OsString::from_vec(part.to_vec())),
        }
    }
    Ok(path)
}

/// Whether nothing of it is ever in a view, so that devices in it are left out: the sandbox has its own.
pub(super) fn is_of_dev(path: &Path) -> bool {
    path.starts_with("dev")
}
