//! Git's settings: a new text lands if it changes nothing that could run a program. What lands is a
//! copy of the bytes that were looked at; the file that held them may still be open for writing.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use cofferdam_plan::git;
use cofferdam_plan::judge::Because;
use cofferdam_plan::judge::names::Answer;
use cofferdam_plan::message::{Denied, Operation};
use cofferdam_plan::model::Clause;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, StatxFlags, fchmod, fstat, openat, renameat, statx, unlinkat,
};
use rustix::io::Errno;

use super::caller::Caller;
use super::change::{ask_rename, found};
use super::place::Place;
use super::{Answered, Reply, content, errno};

/// Longest text. Bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// A rename onto git's settings, asked about once more, with no other call at the same time: whoever
/// had the copy open for writing, or put another file in its place, could change what lands.
pub(super) fn rename(caller: &Caller<'_>, from: (i32, usize), to: (i32, usize)) -> Answered {
    let (from, to) = (caller.place(from)?, caller.place(to)?);
    let source = found(caller, &from)?.ok_or(Errno::NOENT)?;
    let over = found(caller, &to)?;
    let answer = ask_rename(caller, (&from, source.thing), (&to, over.map(|over| over.thing)))?;
    caller.stands()?;
    match answer {
        Answer::GitConfig(clause) => land(caller, clause, (&from, &to)),
        Answer::Allow | Answer::Mask(_) | Answer::Deny(..) => Err(Errno::AGAIN),
    }
}

fn land(caller: &Caller<'_>, clause: &Clause, (from, to): (&Place, &Place)) -> Answered {
    // Nothing of it is touched where it could not land.
    if mount(from)? != mount(to)? {
        return Err(Errno::XDEV);
    }
    let new = read(from)?;
    let (old, mode) = match read_with_mode(to) {
        Ok(there) => there,
        Err(Errno::NOENT) => (Vec::new(), Mode::from_raw_mode(0o644)),
        Err(errno) => return Err(errno),
    };
    if let Err(kept) = git::edit(&old, &new, &caller.broker.hosts) {
        let mut denied = Denied::by_rule(Operation::Rename, &to.path, clause, Because::Guarded);
        denied.why = kept.to_string();
        denied.fix = "edit it outside the sandbox".into();
        caller.broker.denials.kept(denied);
        return Err(Errno::ACCESS);
    }
    // The same name, under a file of our own: what git leaves where it is interrupted here, too.
    unlinkat(&from.parent, &from.name, AtFlags::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = openat(&from.parent, &from.name, flags, Mode::from_raw_mode(0o600))?;
    let landed = write(copy, &new, mode)
        .and_then(|()| renameat(&from.parent, &from.name, &to.parent, &to.name));
    if landed.is_err() {
        unlinkat(&from.parent, &from.name, AtFlags::empty()).unwrap_or(());
    }
    landed.map(|()| Reply::Value(0))
}

/// Which mount a name lies in.
fn mount(place: &Place) -> Result<u64, Errno> {
    let wanted = StatxFlags::MNT_ID;
    Ok(statx(&place.parent, c"", AtFlags::EMPTY_PATH, wanted)?.stx_mnt_id)
}

fn write(copy: OwnedFd, text: &[u8], mode: Mode) -> Result<(), Errno> {
    fchmod(&copy, mode)?;
    let mut file = File::from(copy);
    let written = file.write_all(text);
    written.map_err(|error| errno(&error))
}

fn read(place: &Place) -> Result<Vec<u8>, Errno> {
    read_with_mode(place).map(|(text, _)| text)
}

fn read_with_mode(place: &Place) -> Result<(Vec<u8>, Mode), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&place.parent, &place.name, flags, Mode::empty())?;
    let seen = fstat(&file)?;
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
        return Err(Errno::ACCESS);
    }
    let mode = Mode::from_raw_mode(seen.st_mode & 0o777);
    content(file, TEXT_BYTES_MAX).map(|text| (text, mode))
}
