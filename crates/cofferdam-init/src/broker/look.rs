//! Calls that look at a name, where something is hidden: `stat`, `access`, `readlink`.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::judge::names::Ask;
use cofferdam_plan::message::Operation;
use cofferdam_sys::look;
use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, openat, readlinkat};
use rustix::io::Errno;

use super::caller::Caller;
use super::place::{HERE, Place, Target};
use super::{Answered, Broker, Reply, errno};

/// What is looked at: a name in a directory, or with an empty one the descriptor itself.
struct Seen {
    at: OwnedFd,
    name: CString,
    path: PathBuf,
}

impl Seen {
    /// The flags that look at exactly this.
    const FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::EMPTY_PATH);
}

/// Where a look leads, and that the judge lets it be seen.
fn seen(caller: &Caller<'_>, at: (i32, usize), flags: AtFlags) -> Result<Seen, Errno> {
    // No path at all stands for an empty one, but to readlink.
    let none = caller.long(at.1) == 0 && !matches!(caller.call.number, 89 | 267);
    let empty = flags.contains(AtFlags::EMPTY_PATH) && (none || caller.text(at.1)?.is_empty());
    let target = if empty {
        let fd = caller.named(at.0)?;
        // What is held open is known already.
        caller.stands()?;
        return Ok(Seen { at: fd, name: CString::default(), path: PathBuf::new() });
    } else {
        let place = caller.place(at)?;
        let itself = flags.contains(AtFlags::SYMLINK_NOFOLLOW) && place.plain && !place.slash;
        // A hidden name is not there, whatever it leads to.
        caller.ask(Operation::Look, &place.path, Ask::Look(&place.path))?;
        if itself { Target::Name(place) } else { caller.target_of(place)? }
    };
    let seen = match target {
        Target::Name(Place { parent, name, path, .. }) => Seen { at: parent, name, path },
        Target::Thing(at, path) => Seen { at, name: CString::default(), path },
    };
    caller.ask(Operation::Look, &seen.path, Ask::Look(&seen.path))?;
    caller.stands()?;
    Ok(seen)
}

/// `stat`, `lstat`, `newfstatat` and `statx`.
pub(super) fn stat(caller: &Caller<'_>) -> Answered {
    let (at, flags, to) = match caller.call.number {
        4 => ((HERE, 0), 0, 1),
        6 => ((HERE, 0), AtFlags::SYMLINK_NOFOLLOW.bits(), 1),
        332 => ((caller.int(0), 1), caller.bits(2), 4),
        _ => ((caller.int(0), 1), caller.bits(3), 2),
    };
    let flags = AtFlags::from_bits_retain(flags);
    let seen = seen(caller, at, flags)?;
    let own = (flags.difference(AtFlags::SYMLINK_NOFOLLOW) | Seen::FLAGS).bits().cast_signed();
    if caller.call.number == 332 {
        let mask = caller.bits(3);
        let bytes =
            look::statx(seen.at.as_fd(), &seen.name, own, mask).map_err(|error| errno(&error))?;
        caller.write(to, &bytes)?;
    } else {
        let bytes = look::stat(seen.at.as_fd(), &seen.name, own).map_err(|error| errno(&error))?;
        caller.write(to, &bytes)?;
    }
    Ok(Reply::Value(0))
}

/// `access`, `faccessat` and `faccessat2`.
pub(super) fn access(caller: &Caller<'_>) -> Answered {
    let (at, wanted, flags) = match caller.call.number {
        21 => ((HERE, 0), caller.bits(1), 0),
        269 => ((caller.int(0), 1), caller.bits(2), 0),
        _ => ((caller.int(0), 1), caller.bits(2), caller.bits(3)),
    };
    let flags = AtFlags::from_bits_retain(flags);
    let mut seen = seen(caller, at, flags)?;
    let way = if seen.name.is_empty() {
        Broker::way_to(seen.at.as_fd())
    } else {
        let held = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        seen.at = openat(&seen.at, &seen.name, held, Mode::empty())?;
        Broker::way_to(seen.at.as_fd())
    };
    let wanted = Access::from_bits_retain(wanted);
    accessat(&caller.broker.root, way, wanted, flags & AtFlags::EACCESS)?;
    Ok(Reply::Value(0))
}

/// `readlink` and `readlinkat`.
pub(super) fn readlink(caller: &Caller<'_>) -> Answered {
    let (at, buffer) = match caller.call.number {
        89 => ((HERE, 0), 1),
        _ => ((caller.int(0), 1), 2),
    };
    let room = caller.int(buffer + 1);
    if room <= 0 {
        return Err(Errno::INVAL);
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let seen = seen(caller, at, flags)?;
    // Those of `/proc` that stand for whoever asks.
    let own = match seen.path.parent() {
        Some(above) if above == Path::new("/proc") => caller.own_link(seen.name.to_bytes())?,
        Some(_) | None => None,
    };
    let mut text = match own {
        Some(text) => text.into_bytes(),
        None => readlinkat(&seen.at, &seen.name, Vec::new())?.into_bytes(),
    };
    text.truncate(usize::try_from(room).unwrap_or(0));
    caller.write(buffer, &text)?;
    i64::try_from(text.len()).map(Reply::Value).map_err(|_| Errno::INVAL)
}
