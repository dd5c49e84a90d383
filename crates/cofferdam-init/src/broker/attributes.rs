//! Calls that change what stands at a name without opening it: size, mode, extended attributes.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use cofferdam_plan::judge::names::{Ask, Change};
use cofferdam_plan::message::Operation;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, XattrFlags, chmod as change_mode, openat, removexattr,
    setxattr,
};
use rustix::io::Errno;

use super::caller::Caller;
use super::place::{HERE, Target};
use super::waiting::Later;
use super::{Answered, Broker, Reply};

/// `XATTR_NAME_MAX` with its NUL, and `XATTR_SIZE_MAX` (`xattr(7)`). Bytes.
const NAME_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: u64 = 65_536;

/// Whether a last symbolic link is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Followed,
    Itself,
}

/// Holds the thing that a path leads to, without the right to read or write it.
fn thing(caller: &Caller<'_>, at: (i32, usize), last: Last) -> Result<(OwnedFd, PathBuf), Errno> {
    let place = caller.place(at)?;
    let target = if last == Last::Followed || !place.plain || place.slash {
        caller.target_of(place)?
    } else {
        Target::Name(place)
    };
    target.hold()
}

fn ask(
    caller: &Caller<'_>,
    operation: Operation,
    (fd, path): (&OwnedFd, &PathBuf),
    change: Change,
) -> Result<FileType, Errno> {
    let found = caller.broker.made.look(fd, c"")?;
    caller.ask(operation, path, Ask::Change(path, change, found.thing))?;
    caller.stands()?;
    Ok(found.kind)
}

pub(super) fn truncate(caller: &Caller<'_>) -> Answered {
    let length = caller.long(1);
    if length.cast_signed() < 0 {
        return Err(Errno::INVAL);
    }
    let (fd, path) = thing(caller, (HERE, 0), Last::Followed)?;
    let kind = ask(caller, Operation::Cut, (&fd, &path), Change::Cut(length))?;
    match kind {
        FileType::Directory => return Err(Errno::ISDIR),
        FileType::RegularFile => {}
        FileType::Symlink => return Err(Errno::LOOP),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return Err(Errno::INVAL),
    }
    may_grow(caller, &fd, length)?;
    match cut(&fd, length) {
        // Somebody has a lease on it, which is being given back.
        Err(Errno::AGAIN) => Ok(Reply::Later(Later::new(move || match cut(&fd, length) {
            Err(Errno::AGAIN) => None,
            done => Some(done.map(|()| Reply::Value(0))),
        }))),
        done => done.map(|()| Reply::Value(0)),
    }
}

/// The limit on the size of files is the caller's.
pub(super) fn may_grow(caller: &Caller<'_>, fd: &OwnedFd, length: u64) -> Result<(), Errno> {
    let bytes = caller.broker.made.look(fd, c"")?.thing.bytes;
    if length > bytes && length > caller.longest()? { Err(Errno::FBIG) } else { Ok(()) }
}

/// Cuts what a descriptor names that may not write it.
pub(super) fn cut(fd: &OwnedFd, length: u64) -> Result<(), Errno> {
    let way = Broker::way_to(fd.as_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::ftruncate(openat(CWD, way, flags, Mode::empty())?, length)
}

pub(super) fn chmod(caller: &Caller<'_>, at: (i32, usize), mode: usize, flags: u32) -> Answered {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH).contains(flags) {
        return Err(Errno::INVAL);
    }
    let empty = flags.contains(AtFlags::EMPTY_PATH) && caller.text(at.1)?.is_empty();
    let (fd, path) = if empty {
        let fd = caller.named(at.0)?;
        let path = caller.broker.path_of(fd.as_fd())?;
        (fd, path)
    } else {
        let itself = flags.contains(AtFlags::SYMLINK_NOFOLLOW);
        thing(caller, at, if itself { Last::Itself } else { Last::Followed })?
    };
    ask(caller, Operation::Attributes, (&fd, &path), Change::Attributes)?;
    change_mode(Broker::way_to(fd.as_fd()), Mode::from_raw_mode(caller.bits(mode) & 0o7777))?;
    Ok(Reply::Value(0))
}

/// `setxattr` and `lsetxattr`.
pub(super) fn set(caller: &Caller<'_>) -> Answered {
    let last = if caller.call.number == 188 { Last::Followed } else { Last::Itself };
    let (name, value, flags) = attribute(caller)?;
    let (fd, path) = thing(caller, (HERE, 0), last)?;
    ask(caller, Operation::Attributes, (&fd, &path), Change::Attributes)?;
    setxattr(Broker::way_to(fd.as_fd()), &name, &value, flags)?;
    Ok(Reply::Value(0))
}

/// `removexattr` and `lremovexattr`.
pub(super) fn remove(caller: &Caller<'_>) -> Answered {
    let last = if caller.call.number == 197 { Last::Followed } else { Last::Itself };
    let name = attribute_name(caller)?;
    let (fd, path) = thing(caller, (HERE, 0), last)?;
    ask(caller, Operation::Attributes, (&fd, &path), Change::Attributes)?;
    removexattr(Broker::way_to(fd.as_fd()), &name)?;
    Ok(Reply::Value(0))
}

/// Name, value and flags of an attribute that is set.
pub(super) fn attribute(
    caller: &Caller<'_>,
) -> Result<(std::ffi::CString, Vec<u8>, XattrFlags), Errno> {
    let length = caller.long(3);
    let name = attribute_name(caller)?;
    if length > VALUE_BYTES_MAX {
        return Err(Errno::TOOBIG);
    }
    let value = caller.bytes(2, usize::try_from(length).map_err(|_| Errno::TOOBIG)?)?;
    Ok((name, value, XattrFlags::from_bits_retain(caller.bits(4))))
}

/// The name of an attribute.
pub(super) fn attribute_name(caller: &Caller<'_>) -> Result<std::ffi::CString, Errno> {
    let name = caller.text_of(1, NAME_BYTES_MAX, Errno::RANGE)?;
    if name.is_empty() { Err(Errno::RANGE) } else { Ok(name) }
}
