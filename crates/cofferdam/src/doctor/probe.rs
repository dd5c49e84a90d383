//! Single probes: each is this program once more, tries one thing on itself, says what came of it,
//! and ends. What it changed goes with it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cofferdam_plan::{landlock as rights, seccomp as filter};
use cofferdam_sys::mount::{Attributes, Reach, set_attributes, set_idmap};
use cofferdam_sys::process::{Forked, Kin, Namespaces, exit_now, fork, unshare};
use cofferdam_sys::{landlock, question, seccomp, terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree,
};
use rustix::process::{DumpableBehavior, Gid, Uid, set_dumpable_behavior};

/// Longer than any of them takes by far, on a busy machine too: each is a handful of system calls.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// More than any of them says. Bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// `BPF_RET | BPF_K` with `SECCOMP_RET_ALLOW`: a filter that forbids nothing.
const ALLOW_ALL: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];

/// What a probe said: by name, what was found or `errno(3)`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Result<String, i32>>);

impl Answers {
    /// Reads what a probe wrote. What is no answer is left out, and so is unknown.
    pub(super) fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.splitn(3, '\t');
            let (name, answer, found) = (fields.next()?, fields.next()?, fields.next()?);
            let answer = match answer {
                "ok" => Ok(found.to_owned()),
                errno => Err(errno.parse().ok()?),
            };
            Some((name.to_owned(), answer))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// What came of it; `None` where it was not tried.
    pub(crate) fn of(&self, name: &str) -> Option<Result<&str, i32>> {
        self.0.get(name).map(|answer| answer.as_deref().map_err(|errno| *errno))
    }

    pub(crate) fn worked(&self, name: &str) -> bool {
        matches!(self.of(name), Some(Ok(_)))
    }

    pub(crate) fn failed(&self, name: &str) -> Option<i32> {
        self.of(name)?.err()
    }
}

/// Asks a probe, in a process of its own. One that says nothing in time is ended.
pub(super) fn ask<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Answers {
    #[expect(clippy::disallowed_methods, reason = "what a probe changes ends with its process")]
    let started = Command::new("/proc/self/exe")
        .args(["doctor", "--probe"])
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return Answers::default() };
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let until = Instant::now() + PATIENCE;
        let mut stdout = stdout.take(ANSWER_BYTES_MAX);
        let mut part = [0; 4096];
        while readable(stdout.get_ref(), until) {
            match stdout.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(length) => said.extend_from_slice(part.get(..length).unwrap_or_default()),
            }
        }
    }
    // Ended already, but for one that hangs.
    drop(child.kill());
    drop(child.wait());
    Answers::parse(&String::from_utf8_lossy(&said))
}

fn readable(from: &impl AsFd, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).unwrap_or_default();
    poll(&mut [PollFd::new(from, PollFlags::IN)], Some(&left)).is_ok_and(|ready| ready > 0)
}

/// Says one thing that was tried. With nobody to hear it there is nothing to do.
pub(super) fn tell<T: Display, E: Into<io::Error>>(name: &str, what: Result<T, E>) -> bool {
    let (line, worked) = match what {
        Ok(found) => (format!("{name}\tok\t{found}\n"), true),
        Err(error) => {
            let errno = error.into().raw_os_error().unwrap_or(0);
            (format!("{name}\t{errno}\t\n"), false)
        }
    };
    // Shorter than PIPE_BUF, so it is written whole.
    let told = rustix::io::write(rustix::stdio::stdout(), line.as_bytes()).is_ok();
    worked && told
}

/// The hidden side of the command line: tries what `words` name, in this process.
pub(crate) fn answer(words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["namespaces", ids] => namespaces(parse_ids(ids)),
        ["landlock", place] => try_landlock(Path::new(place)),
        ["seccomp", file] => try_seccomp(Path::new(file)),
        ["notify"] => {
            no_new_privileges();
            tell("listener", seccomp::set_filter_listening(&ALLOW_ALL).map(|_| ""));
        }
        ["idmap", path, ids] => try_idmap(Path::new(path), parse_ids(ids)),
        ["terminal"] => std::mem::forget(try_terminal()),
        ["trace"] => {
            let memory = rustix::process::getppid().map(|parent| {
                fs::File::open(format!("/proc/{}/mem", parent.as_raw_nonzero())).map(|_| "")
            });
            memory.map(|memory| tell("trace", memory));
        }
        ["inside", place, port] => super::inside::answer(Path::new(place), port),
        ["way-out", port] => super::gateway::answer(port),
        ["names", place] => super::broker::answer(Path::new(place)),
        _ => {}
    }
}

fn parse_ids(text: &str) -> (u32, u32) {
    let ids = text.split_once(':').and_then(|(u, g)| Some((u.parse().ok()?, g.parse().ok()?)));
    ids.unwrap_or((u32::MAX, u32::MAX))
}

fn no_new_privileges() -> bool {
    tell("no-new-privileges", rustix::thread::set_no_new_privs(true).map(|()| ""))
}

/// What init does until the view is built, each thing by itself.
fn namespaces(ids: (u32, u32)) {
    if rustix::process::geteuid().is_root() && !tell("become", give_way(ids).map(|()| "")) {
        return;
    }
    if !tell("user", unshare(Namespaces::USER).map(|()| "")) {
        return;
    }
    // Whoever changes its user loses this, and with it its own id maps.
    set_dumpable_behavior(DumpableBehavior::Dumpable).unwrap_or(());
    tell("map", map_ids("self", ids, ids).map(|()| ""));
    for (name, space) in [
        ("mount", Namespaces::MOUNT),
        ("ipc", Namespaces::IPC),
        ("uts", Namespaces::UTS),
        ("cgroup", Namespaces::CGROUP),
        ("net", Namespaces::NETWORK),
        ("pid", Namespaces::PID),
    ] {
        tell(name, unshare(space).map(|()| ""));
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    tell("private", mount_change("/", private).map(|()| ""));
    // With all that is below: what an outer mount namespace hides so stays hidden.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, "/", flags | OpenTreeFlags::OPEN_TREE_CLOEXEC);
    if let Ok(tree) = &tree {
        let restricted = set_attributes(tree.as_fd(), Attributes::READ_ONLY, Reach::One);
        tell("mount-setattr", restricted.map(|()| ""));
    }
    tell("open-tree", tree.map(|_| ""));
    let memory = new_mount("tmpfs", |_| Ok(()));
    if let Ok(memory) = &memory {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        tell("move-mount", move_mount(memory, "", CWD, "/", flags).map(|()| ""));
    }
    tell("tmpfs", memory.map(|_| ""));
    let terminals = new_mount("devpts", |fs| {
        fsconfig_set_flag(fs.as_fd(), "newinstance")?;
        fsconfig_set_string(fs.as_fd(), "ptmxmode", "0666")
    });
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminals = terminals.and_then(|at| openat(&at, "ptmx", flags, Mode::empty()));
    tell("terminal", terminals.map(|_| ""));
    match fork(Kin::Child) {
        // Pid 1 of the new namespace.
        Ok(Forked::Child) => {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let proc = new_mount("proc", |_| Ok(()));
            let own = proc.and_then(|at| openat(&at, "self/status", flags, Mode::empty()));
            tell("proc", own.map(|_| ""));
            exit_now(0)
        }
        Ok(Forked::Parent(pid)) => reap(pid),
        Err(error) => {
            tell("proc", Err::<&str, _>(error));
        }
    }
}

/// Waits for the end of a child, and takes it.
fn reap(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid);
    let wait = || rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
    while let Err(rustix::io::Errno::INTR) = wait() {}
}

/// A file system of its own, attached nowhere.
fn new_mount(
    kind: &str,
    set: impl Fn(&OwnedFd) -> rustix::io::Result<()>,
) -> rustix::io::Result<OwnedFd> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    set(&fs)?;
    fsconfig_create(fs.as_fd())?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

fn give_way((uid, gid): (u32, u32)) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

fn map_ids(process: &str, inside: (u32, u32), outside: (u32, u32)) -> io::Result<()> {
    fs::write(format!("/proc/{process}/setgroups"), "deny")?;
    fs::write(format!("/proc/{process}/uid_map"), format!("{} {} 1", inside.0, outside.0))?;
    fs::write(format!("/proc/{process}/gid_map"), format!("{} {} 1", inside.1, outside.1))
}

/// Every right that this kernel's Landlock has, tried on files of `place`.
fn try_landlock(place: &Path) {
    let abi = question::landlock_abi();
    tell("abi", Ok::<_, io::Error>(abi));
    if abi == 0 || !no_new_privileges() {
        return;
    }
    let work = place.join("work");
    let restricted = || -> io::Result<()> {
        for name in ["from", "to"] {
            fs::create_dir(work.join(name))?;
        }
        fs::write(work.join("from/file"), "text")?;
        let handled = rights::handled(abi);
        let ruleset = landlock::create_ruleset(handled, 0, rights::scoped(abi))?;
        let allowed = handled & !rights::TRUNCATE & !rights::IOCTL_DEV;
        landlock::allow_beneath(ruleset.as_fd(), fs::File::open(&work)?.as_fd(), allowed)?;
        let device = rights::READ_FILE | rights::WRITE_FILE;
        let null = fs::File::open("/dev/null")?;
        landlock::allow_beneath(ruleset.as_fd(), null.as_fd(), device)?;
        landlock::restrict_self(ruleset.as_fd())
    };
    if !tell("restrict", restricted().map(|()| "")) {
        return;
    }
    let file = work.join("from/file");
    tell("read-inside", fs::read(&file).map(|_| ""));
    tell("read-outside", fs::read(place.join("canary")).map(|_| ""));
    let truncated = fs::OpenOptions::new().write(true).open(&file).and_then(|f| f.set_len(0));
    tell("truncate", truncated.map(|()| ""));
    tell("move", fs::rename(&file, work.join("to/file")).map(|()| ""));
    let asked = fs::File::open("/dev/null")
        .and_then(|null| Ok(rustix::termios::tcgetwinsize(&null).map(|_| "")?));
    tell("ioctl", asked);
    let parent = rustix::process::getppid();
    if let Some(parent) = parent {
        tell("signal", rustix::process::test_kill_process(parent).map(|()| ""));
    }
}

/// The workload's own filter, on `file`.
fn try_seccomp(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |mode| fs::set_permissions(file, fs::Permissions::from_mode(mode)).map(|()| "");
    let made = fs::write(file, "").and_then(|()| mode(0o4755)).and_then(|_| mode(0o755));
    tell("control", made);
    if !no_new_privileges() {
        return;
    }
    let program = filter::bytes(&filter::workload(filter::Scope::default()));
    if tell("filter", seccomp::set_filter(&program).map(|()| "")) {
        tell("setuid-mode", mode(0o4755));
        tell("plain-read", fs::read(file).map(|_| ""));
        // The broker's: without one there is no such call.
        tell("plain-mode", mode(0o755));
    }
}

/// Root's own: shows the file system of `path` as another user's, attached nowhere.
fn try_idmap(path: &Path, (uid, gid): (u32, u32)) {
    if !tell("mount", unshare(Namespaces::MOUNT).map(|()| "")) {
        return;
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::AT_RECURSIVE;
    let flags = flags | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mapped = || -> io::Result<()> {
        let tree = open_tree(CWD, path, flags)?;
        let (mut wait, done) = io::pipe()?;
        match fork(Kin::ChildElsewhere)? {
            Forked::Child => {
                drop(done);
                exit_now(u8::from(wait.read(&mut [0]).is_err()))
            }
            Forked::Parent(pid) => {
                let mapped = map_ids(&pid.to_string(), (0, 0), (uid, gid));
                let namespace = fs::File::open(format!("/proc/{pid}/ns/user"));
                drop(done);
                reap(pid);
                mapped.and_then(|()| set_idmap(tree.as_fd(), namespace?.as_fd()))
            }
        }
    };
    tell("idmap", mapped().map(|()| ""));
}

/// Types into a terminal of its own: the control of what must fail inside. To be kept: whoever closes
/// their controlling terminal is hung up on.
pub(super) fn try_terminal() -> Option<(OwnedFd, OwnedFd)> {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
    // The workload leads a session already.
    tell("session", rustix::process::setsid().map(|_| ""));
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let opened = || -> rustix::io::Result<_> {
        let ours = openpt(flags)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        Ok((ours, theirs))
    };
    let pair = opened();
    if let Ok((_, theirs)) = &pair {
        let controlling = rustix::process::ioctl_tiocsctty(theirs).map(|()| "");
        if tell("controlling", controlling) {
            tell("type-in", terminal::type_in(theirs.as_fd(), b'x').map(|()| ""));
        }
    }
    tell("pty", pair.as_ref().map(|_| "").map_err(|errno| *errno));
    pair.ok()
}
