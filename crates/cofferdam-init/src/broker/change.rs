//! Calls that make, move and remove names.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cofferdam_plan::judge::names::{Answer, Ask, Made, Thing, judge};
use cofferdam_plan::message::Operation;
use rustix::fs::{
    AtFlags, CWD, Dev, FileType, Mode, RenameFlags, linkat, mkdirat, mknodat, renameat_with,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::caller::Caller;
use super::place::{Place, Target};
use super::{Answered, Broker, Reply};

/// Longest text of a symbolic link.
const LINK_BYTES_MAX: usize = 4096;

const DONE: Answered = Ok(Reply::Value(0));

pub(super) fn mkdir(caller: &Caller<'_>, fd: i32, (path, mode): (usize, usize)) -> Answered {
    let place = caller.place((fd, path))?;
    ask_new(caller, &place, Made::Directory)?;
    caller.take_umask()?;
    caller.stands()?;
    mkdirat(&place.parent, &place.name, Mode::from_raw_mode(caller.bits(mode)))?;
    remember(caller, &place);
    DONE
}

pub(super) fn mknod(
    caller: &Caller<'_>,
    fd: i32,
    (path, mode, device): (usize, usize, usize),
) -> Answered {
    let bits = caller.bits(mode);
    let kind = match bits & 0o170_000 {
        0 => FileType::RegularFile,
        _ => FileType::from_raw_mode(bits),
    };
    match kind {
        FileType::RegularFile | FileType::Fifo | FileType::Socket => {}
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Directory => {
            return Err(Errno::PERM);
        }
        FileType::Symlink | FileType::Unknown => return Err(Errno::INVAL),
    }
    let place = caller.place((fd, path))?;
    ask_new(caller, &place, Made::File)?;
    caller.take_umask()?;
    caller.stands()?;
    let (mode, device) = (Mode::from_raw_mode(bits), Dev::from(caller.bits(device)));
    mknodat(&place.parent, &place.name, kind, mode, device)?;
    if kind == FileType::Socket {
        caller.broker.made.remember(&place.parent, &place.name);
    }
    remember(caller, &place);
    DONE
}

pub(super) fn symlink(caller: &Caller<'_>, text: usize, at: (i32, usize)) -> Answered {
    let text = caller.text_of(text, LINK_BYTES_MAX, Errno::NAMETOOLONG)?;
    if text.is_empty() {
        return Err(Errno::NOENT);
    }
    let place = caller.place(at)?;
    ask_new(caller, &place, Made::Link)?;
    caller.stands()?;
    symlinkat(&text, &place.parent, &place.name)?;
    remember(caller, &place);
    DONE
}

fn ask_new(caller: &Caller<'_>, place: &Place, made: Made) -> Result<(), Errno> {
    // `.`, `..` and `/` are there.
    if place.plain {
        caller.ask_new(Operation::Create, place, Ask::Create(&place.path, made))?;
    }
    Ok(())
}

fn remember(caller: &Caller<'_>, place: &Place) {
    if caller.broker.rules.keeps() {
        caller.broker.made.remember(&place.parent, &bare(place));
    }
}

/// The name without a slash behind it.
fn bare(place: &Place) -> CString {
    let name = place.name.to_bytes();
    let name = name.strip_suffix(b"/").filter(|name| !name.is_empty()).unwrap_or(name);
    CString::new(name).unwrap_or_default()
}

/// What a link is made of: a name, or a thing that has lost its own or has none yet.
enum Source {
    Name(Place),
    Thing(OwnedFd, PathBuf),
}

pub(super) fn link(
    caller: &Caller<'_>,
    from: (i32, usize),
    to: (i32, usize),
    flags: u32,
) -> Answered {
    let flags = AtFlags::from_bits_retain(flags);
    if !(AtFlags::SYMLINK_FOLLOW | AtFlags::EMPTY_PATH).contains(flags) {
        return Err(Errno::INVAL);
    }
    let empty = flags.contains(AtFlags::EMPTY_PATH) && caller.text(from.1)?.is_empty();
    let source = if empty {
        let fd = caller.named(from.0)?;
        let path = caller.broker.path_of(fd.as_fd())?;
        Source::Thing(fd, path)
    } else if flags.contains(AtFlags::SYMLINK_FOLLOW) {
        match caller.target(from)? {
            Target::Name(place) => Source::Name(place),
            Target::Thing(fd, path) => Source::Thing(fd, path),
        }
    } else {
        let place = caller.place(from)?;
        // A slash behind it has the kernel look for a directory, which has no second name.
        if place.slash {
            caller.directory_of(&place)?;
        }
        Source::Name(place)
    };
    let path = match &source {
        Source::Name(source) => {
            found(caller, source)?.ok_or(Errno::NOENT)?;
            &source.path
        }
        Source::Thing(_, path) => path,
    };
    let place = caller.place(to)?;
    if place.plain {
        caller.ask_new(Operation::Link, &place, Ask::Link { from: path, to: &place.path })?;
    }
    caller.stands()?;
    match &source {
        Source::Name(source) => {
            let none = AtFlags::empty();
            linkat(&source.parent, &source.name, &place.parent, &place.name, none)?;
        }
        Source::Thing(fd, _) => {
            let way = Broker::way_to(fd.as_fd());
            linkat(CWD, way, &place.parent, &place.name, AtFlags::SYMLINK_FOLLOW)?;
        }
    }
    DONE
}

pub(super) fn unlink(caller: &Caller<'_>, at: (i32, usize), flags: u32) -> Answered {
    let flags = AtFlags::from_bits_retain(flags);
    if !AtFlags::REMOVEDIR.contains(flags) {
        return Err(Errno::INVAL);
    }
    let place = caller.place(at)?;
    let found = found(caller, &place)?;
    if let Some(found) = found.filter(|_| place.plain) {
        let ask = Ask::Remove(&place.path, found.thing);
        caller.ask(Operation::Remove, &place.path, ask)?;
    }
    caller.stands()?;
    if found.is_none() && place.plain {
        // What was not judged is not removed, though it be there by now.
        return Err(Errno::NOENT);
    }
    unlinkat(&place.parent, &place.name, flags)?;
    found.iter().for_each(|found| caller.broker.made.forget(found));
    DONE
}

/// What stands at a name; `None` where nothing does.
pub(super) fn found(
    caller: &Caller<'_>,
    place: &Place,
) -> Result<Option<super::made::Found>, Errno> {
    match caller.broker.made.look(&place.parent, &bare(place)) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(super) fn rename(
    caller: &Caller<'_>,
    from: (i32, usize),
    to: (i32, usize),
    flags: u32,
) -> Answered {
    let flags = RenameFlags::from_bits_retain(flags);
    let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE;
    if !known.contains(flags) || flags == known {
        return Err(Errno::INVAL);
    }
    let from = caller.place(from)?;
    let to = caller.place(to).map_err(|errno| shut(&from).unwrap_or(errno))?;
    if !from.plain || !to.plain {
        // It fails, and the kernel says how.
        renameat_with(&from.parent, &from.name, &to.parent, &to.name, flags)?;
        return Err(Errno::BUSY);
    }
    let source = found(caller, &from).and_then(|found| found.ok_or(Errno::NOENT));
    let source = source.map_err(|errno| shut(&to).unwrap_or(errno))?;
    let over = found(caller, &to)?;
    let mut answer = ask_rename(caller, (&from, source.thing), (&to, over.map(|o| o.thing)))?;
    if let Some(over) = over.filter(|_| flags.contains(RenameFlags::EXCHANGE)) {
        // What stands there comes here.
        let back = ask_rename(caller, (&to, over.thing), (&from, Some(source.thing)))?;
        if back != Answer::Allow {
            answer = back;
        }
    }
    caller.stands()?;
    match answer {
        Answer::GitConfig(_) if flags.is_empty() => return Ok(Reply::Alone),
        Answer::GitConfig(_) | Answer::Mask(_) | Answer::Deny(..) => return Err(Errno::ACCESS),
        Answer::Allow => {}
    }
    renameat_with(&from.parent, &from.name, &to.parent, &to.name, flags)?;
    if !flags.contains(RenameFlags::EXCHANGE) {
        over.iter().for_each(|over| caller.broker.made.forget(over));
    }
    DONE
}

/// The error of a directory that may not be looked into, which the kernel tells before any of a name in
/// it.
fn shut(place: &Place) -> Option<Errno> {
    statat(&place.parent, c".", AtFlags::SYMLINK_NOFOLLOW).err()
}

/// The name that a rename is about, for the record: the one that is held.
pub(super) fn ask_rename<'c>(
    caller: &'c Caller<'_>,
    (from, thing): (&Place, Thing),
    (to, over): (&Place, Option<Thing>),
) -> Result<Answer<'c>, Errno> {
    let ask = Ask::Rename { from: &from.path, thing, to: &to.path, over };
    let rules = &caller.broker.rules;
    let asked = match judge(rules, ask) {
        Answer::Deny(..) => {
            let held = matches!(judge(rules, Ask::Remove(&from.path, thing)), Answer::Deny(..));
            caller.ask(Operation::Rename, if held { &from.path } else { &to.path }, ask)
        }
        answer @ (Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_)) => Ok(answer),
    };
    // Whoever is told to copy removes what it can afterwards. Above what is known to stay that would be
    // half of a tree: as for every mount, it is busy.
    let known = rules.entries();
    let stays = |path: &Path| known.iter().any(|entry| entry.path.starts_with(path));
    match asked {
        Err(Errno::XDEV) if stays(&from.path) || stays(&to.path) => Err(Errno::BUSY),
        asked => asked,
    }
}
