//! `open(2)`: the one call that hands a descriptor back.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cofferdam_plan::judge::names::{Answer, Ask, Change, Made, Thing};
use cofferdam_plan::mask;
use cofferdam_plan::message::Operation;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{
    AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_setfl,
    fstat, memfd_create, openat, statat,
};
use rustix::io::Errno;

use super::caller::Caller;
use super::place::{HERE, Place, Target};
use super::waiting::Later;
use super::{Answered, Broker, Given, Reply, attributes, content};

/// How often a name is looked up that comes and goes meanwhile.
const TRIES: u32 = 16;
/// Symbolic links on the way.
const LINKS_MAX: u32 = 40;
/// A larger file is not shown masked. Bytes.
const MASKED_BYTES_MAX: u64 = 1 << 20;
/// What `F_SETFL` sets (`fcntl(2)`).
const KEPT_FLAGS: OFlags = OFlags::APPEND.union(OFlags::DIRECT).union(OFlags::NOATIME);

/// How the caller wants it open.
#[derive(Clone, Copy, Debug)]
struct Want {
    flags: OFlags,
    mode: Mode,
}

impl Want {
    fn has(self, flag: OFlags) -> bool {
        self.flags.contains(flag)
    }

    /// Whether something may change through it.
    fn writes(self) -> bool {
        self.flags.intersects(OFlags::RWMODE | OFlags::TRUNC)
    }

    /// Whether what is written to the descriptor arrives: one of access mode 3 is only for `ioctl(2)`.
    fn writable(self) -> bool {
        let mode = self.flags & OFlags::RWMODE;
        mode == OFlags::WRONLY || mode == OFlags::RDWR
    }

    fn temporary(self) -> bool {
        self.has(OFlags::TMPFILE)
    }

    /// What an open that writes or cuts does to what is there: one may do both.
    fn changes(self) -> impl Iterator<Item = Change> {
        let append = self.has(OFlags::APPEND) && self.flags & OFlags::RWMODE == OFlags::WRONLY;
        let write = if append { Change::Append } else { Change::Write };
        let cuts = self.has(OFlags::TRUNC).then_some(Change::Cut(0));
        let writes = self.flags.intersects(OFlags::RWMODE).then_some(write);
        cuts.into_iter().chain(writes)
    }

    fn operation(self) -> Operation {
        if self.writes() { Operation::Write } else { Operation::Read }
    }

    /// For our own open of something that is there: never waiting, never our terminal, never through a
    /// last link; the cut comes when the caller has it.
    fn existing(self) -> OFlags {
        self.always().difference(OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC)
    }

    fn always(self) -> OFlags {
        self.flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::NOFOLLOW
    }
}

/// What one attempt comes to.
enum Tried {
    Opened(Reply),
    /// It is a symbolic link.
    Link,
}

pub(super) fn creat(caller: &Caller<'_>) -> Answered {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
    let want = Want { flags, mode: Mode::from_raw_mode(caller.bits(1)) };
    run(caller, caller.place((HERE, 0))?, want)
}

/// `open` and `openat`: path, flags and mode are those arguments.
pub(super) fn open(
    caller: &Caller<'_>,
    fd: i32,
    (path, flags, mode): (usize, usize, usize),
) -> Answered {
    let flags = OFlags::from_bits_retain(caller.bits(flags));
    let want = Want { flags, mode: Mode::from_raw_mode(caller.bits(mode) & 0o7777) };
    // The kernel looks at these before it looks for anything.
    let kinds = OFlags::CREATE | OFlags::DIRECTORY;
    let temporary = want.temporary() && !want.flags.intersects(OFlags::RWMODE);
    if temporary || (want.has(kinds) && !want.temporary()) {
        return Err(Errno::INVAL);
    }
    run(caller, caller.place((fd, path))?, want)
}

fn run(caller: &Caller<'_>, mut place: Place, want: Want) -> Answered {
    for _ in 0..=LINKS_MAX {
        if want.temporary() || !place.plain || place.slash {
            return directory(caller, place, want);
        }
        if place.path == Path::new("/dev/tty") {
            return terminal(caller, want);
        }
        match attempt(caller, &place, want)? {
            Tried::Opened(reply) => return Ok(reply),
            Tried::Link if want.has(OFlags::NOFOLLOW) => {
                return Err(if want.has(OFlags::DIRECTORY) { Errno::NOTDIR } else { Errno::LOOP });
            }
            Tried::Link => match caller.follow(&place)? {
                None => return Err(Errno::LOOP),
                Some(Target::Name(next)) => place = next,
                Some(Target::Thing(fd, path)) => return again(caller, &fd, &path, want),
            },
        }
    }
    Err(Errno::LOOP)
}

/// A path that can only name a directory, or one in which a file without a name is made.
fn directory(caller: &Caller<'_>, place: Place, want: Want) -> Answered {
    if want.has(OFlags::CREATE) && !want.temporary() {
        // Whether it can be looked into comes first.
        statat(&place.parent, c".", AtFlags::SYMLINK_NOFOLLOW)?;
        let there = want.has(OFlags::EXCL) && !place.plain;
        return Err(if there { Errno::EXIST } else { Errno::ISDIR });
    }
    let nofollow = want.has(OFlags::NOFOLLOW) && place.plain && !place.slash;
    let target = if nofollow { Target::Name(place) } else { caller.target_of(place)? };
    let (parent, name, path, flags) = match target {
        Target::Name(place) => (place.parent, place.name, place.path, want.always()),
        Target::Thing(fd, path) => {
            let way = CString::new(Broker::way_to(fd.as_fd())).map_err(|_| Errno::INVAL)?;
            (fd, way, path, want.always().difference(OFlags::NOFOLLOW))
        }
    };
    caller.ask(want.operation(), &path, Ask::Read(&path))?;
    caller.stands()?;
    if want.temporary() {
        caller.take_umask()?;
    }
    let fd = openat(&parent, &name, flags, want.mode)?;
    if want.temporary() && caller.broker.rules.keeps() {
        caller.broker.made.remember(&fd, c"");
    }
    given(fd, want, None)
}

/// One look at a name: what is there is opened, what is not is made.
fn attempt(caller: &Caller<'_>, place: &Place, want: Want) -> Result<Tried, Errno> {
    let creates = want.has(OFlags::CREATE);
    for _ in 0..TRIES {
        if !(creates && want.has(OFlags::EXCL)) {
            match existing(caller, place, want) {
                Err(Errno::NOENT) if creates => {}
                tried => return tried,
            }
        }
        match create(caller, place, want) {
            // Somebody was faster.
            Err(Errno::EXIST) if !want.has(OFlags::EXCL) => {}
            Err(errno) => return Err(errno),
            Ok(fd) => {
                let born = place.parent.try_clone().map_err(|_| Errno::MFILE)?;
                let reply = given(fd, want, Some((born, place.name.clone())));
                return reply.map(Tried::Opened);
            }
        }
    }
    Err(Errno::AGAIN)
}

fn existing(caller: &Caller<'_>, place: &Place, want: Want) -> Result<Tried, Errno> {
    let broker = caller.broker;
    let masked = if want.writes() {
        let nothing = Thing { made: false, directory: false, bytes: 0 };
        let thing = match broker.rules.keeps() {
            true => broker.made.look(&place.parent, &place.name)?.thing,
            false => nothing,
        };
        for change in want.changes() {
            caller.asked(want, place, Ask::Change(&place.path, change, thing))?;
        }
        false
    } else {
        let answer = caller.asked(want, place, Ask::Read(&place.path))?;
        matches!(answer, Answer::Mask(_))
    };
    caller.stands()?;
    if masked {
        return mask(caller, place, want).map(Tried::Opened);
    }
    let opened = openat(&place.parent, &place.name, want.existing(), Mode::empty());
    match opened {
        Ok(fd) => {
            if want.flags & OFlags::RWMODE == OFlags::RDONLY {
                match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
                    FileType::Directory
                        if want.flags.intersects(OFlags::CREATE | OFlags::TRUNC) =>
                    {
                        return Err(Errno::ISDIR);
                    }
                    FileType::Fifo if !want.has(OFlags::NONBLOCK) => {
                        let later = Later::new(move || written(&fd, want));
                        return Ok(Tried::Opened(Reply::Later(later)));
                    }
                    FileType::RegularFile
                    | FileType::Directory
                    | FileType::Fifo
                    | FileType::Symlink
                    | FileType::Socket
                    | FileType::CharacterDevice
                    | FileType::BlockDevice
                    | FileType::Unknown => {}
                }
            }
            kept(caller, place, want, &fd)?;
            given(fd, want, None).map(Tried::Opened)
        }
        Err(Errno::LOOP) => Ok(Tried::Link),
        // What may not be done with a directory comes before what may not be done with this one.
        Err(errno @ (Errno::ACCESS | Errno::INVAL))
            if want.flags.intersects(OFlags::CREATE | OFlags::TRUNC) =>
        {
            let directory = kind(place) == Some(FileType::Directory);
            Err(if directory { Errno::ISDIR } else { errno })
        }
        // With O_DIRECTORY a link is no directory first.
        Err(Errno::NOTDIR) if kind(place) == Some(FileType::Symlink) => Ok(Tried::Link),
        // A FIFO without a reader, or a lease that is being given back.
        Err(errno @ (Errno::NXIO | Errno::AGAIN)) if !want.has(OFlags::NONBLOCK) => {
            later(caller, place, want, errno)
        }
        Err(errno) => Err(errno),
    }
}

/// Waits for what is at a name now, whatever has the name by then.
fn later(caller: &Caller<'_>, place: &Place, want: Want, errno: Errno) -> Result<Tried, Errno> {
    let fd = place.hold()?;
    let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
    if errno == Errno::NXIO && kind != FileType::Fifo {
        return Err(errno);
    }
    if kind == FileType::Symlink {
        return Ok(Tried::Link);
    }
    kept(caller, place, want, &fd)?;
    Ok(Tried::Opened(Reply::Later(Later::new(move || once_more(&fd, want)))))
}

/// Asks once more, about what was opened: another thing may have got the name since the first look.
fn kept(caller: &Caller<'_>, place: &Place, want: Want, fd: &OwnedFd) -> Result<(), Errno> {
    if !caller.broker.rules.keeps() || !want.writes() {
        return Ok(());
    }
    let thing = caller.broker.made.look(fd, c"")?.thing;
    for change in want.changes() {
        let ask = Ask::Change(&place.path, change, thing);
        caller.ask(want.operation(), &place.path, ask)?;
    }
    Ok(())
}

impl Caller<'_> {
    /// Asks about something that should be there: what is not is no denial but `ENOENT`.
    fn asked(&self, want: Want, place: &Place, ask: Ask<'_>) -> Result<Answer<'_>, Errno> {
        use cofferdam_plan::judge::names::judge;
        match judge(&self.broker.rules, ask) {
            Answer::Deny(..) if !want.has(OFlags::CREATE) && kind(place).is_none() => {
                Err(Errno::NOENT)
            }
            Answer::Deny(..) => self.ask(want.operation(), &place.path, ask),
            answer @ (Answer::Allow | Answer::Mask(_) | Answer::GitConfig(_)) => Ok(answer),
        }
    }
}

fn kind(place: &Place) -> Option<FileType> {
    let seen = statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(seen.st_mode))
}

fn create(caller: &Caller<'_>, place: &Place, want: Want) -> Result<OwnedFd, Errno> {
    caller.ask_new(Operation::Create, place, Ask::Create(&place.path, Made::File))?;
    caller.take_umask()?;
    caller.stands()?;
    let fd = openat(&place.parent, &place.name, want.always() | OFlags::EXCL, want.mode)?;
    if caller.broker.rules.keeps() {
        caller.broker.made.remember(&fd, c"");
    }
    Ok(fd)
}

/// Ready for the caller: waiting, where it wants to wait.
fn given(fd: OwnedFd, want: Want, born: Option<(OwnedFd, CString)>) -> Answered {
    if !want.has(OFlags::NONBLOCK) {
        fcntl_setfl(&fd, want.flags & KEPT_FLAGS)?;
    }
    let cuts = born.is_none()
        && want.has(OFlags::TRUNC)
        && FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::RegularFile;
    let cut = cuts && want.writable();
    if cuts && !cut {
        // What was not opened to be written may still be to be cut.
        attributes::cut(&fd, 0)?;
    }
    let flags = (want.flags & OFlags::CLOEXEC).bits();
    Ok(Reply::Give(Given { fd, flags, cut, born }))
}

/// Opens what could not be opened at once; `None` while it still cannot.
fn once_more(fd: &OwnedFd, want: Want) -> Option<Answered> {
    let flags = want.existing().difference(OFlags::NOFOLLOW);
    match openat(CWD, Broker::way_to(fd.as_fd()), flags, Mode::empty()) {
        Ok(fd) => Some(given(fd, want, None)),
        Err(Errno::NXIO | Errno::AGAIN) => None,
        Err(errno) => Some(Err(errno)),
    }
}

/// A FIFO that is open for reading, once somebody writes.
fn written(fd: &OwnedFd, want: Want) -> Option<Answered> {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut fds, Some(&at_once)) {
        Ok(0) => None,
        Ok(_) => {
            Some(fd.try_clone().map_err(|_| Errno::MFILE).and_then(|fd| given(fd, want, None)))
        }
        Err(errno) => Some(Err(errno)),
    }
}

/// Opens once more what a link of `/proc` stands for.
fn again(caller: &Caller<'_>, fd: &OwnedFd, path: &Path, want: Want) -> Answered {
    if want.has(OFlags::CREATE) && want.has(OFlags::EXCL) {
        return Err(Errno::EXIST);
    }
    let broker = caller.broker;
    let found = broker.made.look(fd, c"")?;
    if want.writes() {
        for change in want.changes() {
            caller.ask(want.operation(), path, Ask::Change(path, change, found.thing))?;
        }
    } else if let Answer::Mask(_) = caller.ask(want.operation(), path, Ask::Read(path))? {
        return Err(Errno::ACCESS);
    }
    caller.stands()?;
    if found.thing.directory && want.flags.intersects(OFlags::CREATE | OFlags::TRUNC) {
        return Err(Errno::ISDIR);
    }
    let flags = want.existing().difference(OFlags::NOFOLLOW);
    let way = Broker::way_to(fd.as_fd());
    let opened = openat(&broker.root, way.as_str(), flags, Mode::empty());
    match opened {
        Err(Errno::NXIO) if found.kind == FileType::Fifo && !want.has(OFlags::NONBLOCK) => {
            let fd = fd.try_clone().map_err(|_| Errno::MFILE)?;
            Ok(Reply::Later(Later::new(move || once_more(&fd, want))))
        }
        opened => given(opened?, want, None),
    }
}

/// `/dev/tty` is the caller's terminal, and the broker has none.
fn terminal(caller: &Caller<'_>, want: Want) -> Answered {
    let minor = caller.terminal().ok_or(Errno::NXIO)?;
    caller.stands()?;
    let path = format!("/dev/pts/{minor}");
    let flags = want.existing();
    given(openat(&caller.broker.root, path.as_str(), flags, Mode::empty())?, want, None)
}

/// A placeholder of the same shape, which nobody can change.
fn mask(caller: &Caller<'_>, place: &Place, want: Want) -> Answered {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&place.parent, &place.name, flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&file)?.st_mode) {
        FileType::RegularFile => {}
        // What is in it is masked, not that it is there.
        FileType::Directory => return given(file, want, None),
        FileType::Fifo
        | FileType::Symlink
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return Err(Errno::ACCESS),
    }
    let known = |name: &[u8]| {
        let mut masked = caller.broker.masked.iter();
        masked.find(|one| one.name.as_bytes() == name).map(|one| one.value.as_bytes())
    };
    let shown = mask::mask_with(&content(file, MASKED_BYTES_MAX)?, &known);
    let memory = memfd_create("masked", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut left = shown.as_slice();
    while !left.is_empty() {
        let written = rustix::io::write(&memory, left)?;
        left = left.get(written..).unwrap_or_default();
    }
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&memory, seals)?;
    let way = Broker::way_to(memory.as_fd());
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    given(openat(&caller.broker.root, way.as_str(), read, Mode::empty())?, want, None)
}
