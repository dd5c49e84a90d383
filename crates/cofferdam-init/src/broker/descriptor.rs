//! Calls on a descriptor of the caller's that change what it names, done on a copy of it: the number
//! may be another file's a moment later.

use std::os::fd::{AsFd, OwnedFd};

use cofferdam_plan::judge::names::{Ask, Change};
use cofferdam_plan::message::Operation;
use rustix::fs::{
    FallocateFlags, Mode, OFlags, fallocate as allocate, fchmod as change_mode, fcntl_getfl,
    fcntl_setfl, fremovexattr, fsetxattr, ftruncate as cut,
};
use rustix::io::Errno;

use super::attributes::{attribute, attribute_name, may_grow};
use super::caller::Caller;
use super::{Answered, Reply};

const DONE: Answered = Ok(Reply::Value(0));

/// The copy, once the judge lets it be changed so.
fn copy(caller: &Caller<'_>, operation: Operation, change: Change) -> Result<OwnedFd, Errno> {
    let fd = caller.descriptor(caller.int(0))?;
    ask(caller, &fd, operation, change)?;
    Ok(fd)
}

fn ask(
    caller: &Caller<'_>,
    fd: &OwnedFd,
    operation: Operation,
    change: Change,
) -> Result<(), Errno> {
    let path = caller.broker.path_of(fd.as_fd())?;
    let found = caller.broker.made.look(fd, c"")?;
    caller.ask(operation, &path, Ask::Change(&path, change, found.thing)).map(drop)
}

pub(super) fn fchmod(caller: &Caller<'_>) -> Answered {
    let fd = copy(caller, Operation::Attributes, Change::Attributes)?;
    change_mode(fd, Mode::from_raw_mode(caller.bits(1) & 0o7777))?;
    DONE
}

pub(super) fn set(caller: &Caller<'_>) -> Answered {
    let (name, value, flags) = attribute(caller)?;
    let fd = copy(caller, Operation::Attributes, Change::Attributes)?;
    fsetxattr(fd, &name, &value, flags)?;
    DONE
}

pub(super) fn remove(caller: &Caller<'_>) -> Answered {
    let name = attribute_name(caller)?;
    fremovexattr(copy(caller, Operation::Attributes, Change::Attributes)?, &name)?;
    DONE
}

pub(super) fn ftruncate(caller: &Caller<'_>) -> Answered {
    let length = caller.long(1);
    if length.cast_signed() < 0 {
        return Err(Errno::INVAL);
    }
    let fd = copy(caller, Operation::Cut, Change::Cut(length))?;
    may_grow(caller, &fd, length)?;
    cut(fd, length)?;
    DONE
}

/// Those modes that are more than to reserve room: each takes something away, or moves it.
pub(super) fn fallocate(caller: &Caller<'_>) -> Answered {
    let fd = copy(caller, Operation::Cut, Change::Cut(0))?;
    let mode = FallocateFlags::from_bits_retain(caller.bits(1));
    may_grow(caller, &fd, caller.long(2).saturating_add(caller.long(3)))?;
    allocate(fd, mode, caller.long(2), caller.long(3))?;
    DONE
}

/// `F_SETFL`: a file that only grows stays so.
pub(super) fn set_flags(caller: &Caller<'_>) -> Answered {
    let fd = caller.descriptor(caller.int(0))?;
    let flags = OFlags::from_bits_retain(caller.bits(2));
    let append = fcntl_getfl(&fd)?.contains(OFlags::APPEND);
    if append && !flags.contains(OFlags::APPEND) {
        ask(caller, &fd, Operation::Write, Change::Write)?;
    }
    fcntl_setfl(&fd, flags)?;
    DONE
}
