//! `connect(2)` and `bind(2)`: sockets whose address is a name are judged, the others are only passed
//! through, for what a descriptor is may change between a look and the call.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use cofferdam_plan::judge::names::{Ask, Made};
use cofferdam_plan::message::Operation;
use cofferdam_sys::socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::sockopt::{Timeout, socket_domain, socket_error, socket_timeout};
use rustix::process::fchdir;

use super::caller::Caller;
use super::place::HERE;
use super::waiting::Later;
use super::{Answered, Broker, Reply, errno};

/// `sizeof(struct sockaddr_storage)`: the kernel takes no longer address.
const ADDRESS_BYTES_MAX: u32 = 128;
/// `AF_UNIX` as an address begins with it.
const UNIX: [u8; 2] = 1_u16.to_ne_bytes();

/// The socket, the bytes of the address, and the path that they name, if they do.
fn named(caller: &Caller<'_>) -> Result<(OwnedFd, Vec<u8>, Option<CString>), Errno> {
    let fd = caller.descriptor(caller.int(0))?;
    let family = socket_domain(&fd)?;
    let length = caller.bits(2);
    if length > ADDRESS_BYTES_MAX {
        return Err(Errno::INVAL);
    }
    let bytes = caller.bytes(1, usize::try_from(length).map_err(|_| Errno::INVAL)?)?;
    let path = match bytes.split_at_checked(2) {
        // The first byte of an abstract name is 0, and nothing at all asks for any.
        Some((kind, path)) if family == AddressFamily::UNIX && kind == UNIX => {
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            path.get(..end).filter(|path| !path.is_empty()).map(<[u8]>::to_vec)
        }
        Some(_) | None => None,
    };
    let path = path.map(|path| CString::new(path).map_err(|_| Errno::INVAL)).transpose()?;
    Ok((fd, bytes, path))
}

fn unix(path: &[u8]) -> Vec<u8> {
    [&UNIX, path, &[0]].concat()
}

pub(super) fn connect(caller: &Caller<'_>) -> Answered {
    let (fd, mut bytes, path) = named(caller)?;
    // Held until the connection stands: the address names it.
    let mut held = None;
    if let Some(path) = path {
        let here = caller.directory(HERE)?;
        let place = caller.place_of(&path, &here)?;
        let (thing, path) = caller.target_of(place)?.hold()?;
        let found = caller.broker.made.look(&thing, c"")?;
        if found.kind == FileType::Socket {
            // With mounts of its own (an application kernel) a caller gives things other names.
            let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
            let seen = || caller.broker.made.look(&caller.broker.root, &name);
            if !found.thing.made && !seen().is_ok_and(|seen| seen.identity == found.identity) {
                return Err(Errno::PERM);
            }
            caller.ask(Operation::Connect, &path, Ask::Connect(&path, found.thing))?;
        } else {
            caller.ask(Operation::Look, &path, Ask::Look(&path))?;
        }
        bytes = unix(Broker::way_to(thing.as_fd()).as_bytes());
        held = Some(thing);
    }
    caller.stands()?;
    let waits = !fcntl_getfl(&fd)?.contains(OFlags::NONBLOCK);
    let patience = socket_timeout(&fd, Timeout::Send)?;
    let until = patience.filter(|time| *time > Duration::ZERO).map(|time| Instant::now() + time);
    let mut on_its_way = false;
    // Not by a thread that answers: that it does not wait is a flag of the caller's own descriptor,
    // which another thread may take away at the worst moment.
    Ok(Reply::Later(Later::new(move || {
        let _held = &held;
        let mut tried = if on_its_way { connected(&fd) } else { Some(at_once(&fd, &bytes)) };
        if tried == Some(Err(Errno::INPROGRESS)) && waits {
            // On the loopback interface it has mostly come about by now.
            on_its_way = true;
            tried = connected(&fd);
        }
        let over = !waits || until.is_some_and(|until| Instant::now() >= until);
        match tried {
            // One that was interrupted by a signal comes again while the connection is on its way.
            Some(Err(wait @ (Errno::INPROGRESS | Errno::ALREADY | Errno::AGAIN))) => {
                on_its_way = wait != Errno::AGAIN;
                over.then_some(Err(wait))
            }
            None => over.then_some(Err(Errno::INPROGRESS)),
            done => done.map(|done| done.map(|()| Reply::Value(0))),
        }
    })))
}

/// Connects without waiting. The socket is the caller's, so what it says of waiting is put back.
fn at_once(fd: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let flags = fcntl_getfl(fd)?;
    fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    let connected = socket::connect(fd.as_fd(), bytes).map_err(|error| errno(&error));
    fcntl_setfl(fd, flags)?;
    connected
}

/// Whether a connection has come about; `None` while it has not.
fn connected(fd: &OwnedFd) -> Option<Result<(), Errno>> {
    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(0) => None,
        Ok(_) => Some(socket_error(fd).and_then(|error| error)),
        Err(errno) => Some(Err(errno)),
    }
}

pub(super) fn bind(caller: &Caller<'_>) -> Answered {
    let (fd, bytes, path) = named(caller)?;
    let bound = |bytes: &[u8]| socket::bind(fd.as_fd(), bytes).map_err(|error| errno(&error));
    let Some(path) = path else {
        // Without a network namespace an abstract name is the host's, and would be taken from it.
        if caller.broker.rules.is_alone() && bytes.starts_with(&UNIX) && bytes.len() > UNIX.len() {
            return Err(Errno::PERM);
        }
        caller.stands()?;
        return bound(&bytes).map(|()| Reply::Value(0));
    };
    // Looked up once: another thread may change the working directory meanwhile.
    let here = caller.directory(HERE)?;
    let place = caller.place_of(&path, &here)?;
    if !place.plain {
        rustix::fs::statat(&place.parent, c".", rustix::fs::AtFlags::empty())?;
        return Err(Errno::ADDRINUSE);
    }
    let ask = Ask::Create(&place.path, Made::File);
    caller.ask_new(Operation::Bind, &place, ask).map_err(|errno| match errno {
        Errno::EXIST => Errno::ADDRINUSE,
        errno => errno,
    })?;
    caller.take_umask()?;
    caller.stands()?;
    // The caller's own words, which it is told again by getsockname(2). The kernel resolves them once
    // more: nothing leads elsewhere meanwhile, for no other call is performed. But links of /proc are
    // the broker's own then.
    let words = if place.by_hand {
        let way = Broker::way_to(place.parent.as_fd());
        unix(&[way.as_bytes(), b"/", place.name.to_bytes()].concat())
    } else {
        bytes
    };
    fchdir(&here)?;
    let done = bound(&words);
    fchdir(&caller.broker.root)?;
    done?;
    let found = caller.broker.made.look(&place.parent, &place.name)?;
    if found.kind == FileType::Socket {
        caller.broker.made.remember(&place.parent, &place.name);
    }
    Ok(Reply::Value(0))
}
