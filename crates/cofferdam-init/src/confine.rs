//! The walls that the process carries itself: ids, capabilities, Landlock.

use std::fs;
use std::io;
use std::path::PathBuf;

use cofferdam_plan::plan;
use cofferdam_sys::landlock;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Uid};
use rustix::thread::CapabilitySet;
use std::os::fd::{AsFd, BorrowedFd};

use crate::view::compare;
use crate::{Doing, Failed};

/// Whether other processes of this user may trace this one (`PR_SET_DUMPABLE`).
pub(crate) fn set_dumpable(dumpable: DumpableBehavior) -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(dumpable)?)
}

/// Gives up every group, then all three user and group ids, for good.
pub(crate) fn become_user(uid: u32, gid: u32) -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[]).doing("give up supplementary groups")?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).doing("become the workload's group")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).doing("become the workload's user")
}

/// Maps one user and one group on themselves. `setgroups` must be denied first, or the kernel
/// refuses an unprivileged group map (`user_namespaces(7)`).
pub(crate) fn map_ids(process: &str, inside: (u32, u32), outside: (u32, u32)) -> io::Result<()> {
    fs::write(format!("/proc/{process}/setgroups"), "deny")?;
    fs::write(format!("/proc/{process}/uid_map"), format!("{} {} 1", inside.0, outside.0))?;
    fs::write(format!("/proc/{process}/gid_map"), format!("{} {} 1", inside.1, outside.1))
}

/// Core dumps would be files of the kernel's own making, outside every rule, or input of a program
/// that the host's kernel starts as root. Not 0 but 1: where `core_pattern` names a program, the
/// kernel does not ask for the limit, but takes 1 as a request for none (`do_coredump` in
/// `fs/coredump.c`); and a file of at most one byte is not begun.
pub(crate) fn no_core_dumps() -> io::Result<()> {
    let none = Rlimit { current: Some(1), maximum: Some(1) };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

/// Limits what this process and its children may use, each for itself.
pub(crate) fn limit(resource: plan::Resource, soft: u64, hard: u64) -> Result<(), Failed> {
    let (kind, what) = match resource {
        plan::Resource::Processes => (Resource::Nproc, "processes"),
        plan::Resource::OpenFiles => (Resource::Nofile, "open files"),
        plan::Resource::FileSize => (Resource::Fsize, "the size of files"),
        plan::Resource::Data => (Resource::Data, "memory"),
        plan::Resource::Signals => (Resource::Sigpending, "waiting signals"),
    };
    let some = |value| (value != u64::MAX).then_some(value);
    let limit = Rlimit { current: some(soft), maximum: some(hard) };
    rustix::process::setrlimit(kind, limit).doing(format_args!("limit {what}"))
}

/// Drops every capability from every set.
pub(crate) fn drop_capabilities() -> Result<(), Failed> {
    // Outside a user namespace of its own an ordinary user has none, and may not say so.
    let have = rustix::thread::capabilities(None).doing("look at capabilities")?;
    if have.permitted.is_empty() {
        return Ok(());
    }
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            // Who has none is not let remove one either.
            Ok(false) => continue,
            Ok(true) => {}
            // The first number that this kernel does not know.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error).doing("look at the bounding set"),
        }
        rustix::thread::remove_capability_from_bounding_set(capability)
            .doing("empty the bounding set")?;
    }
    rustix::thread::clear_ambient_capability_set().doing("empty the ambient set")?;
    let none = rustix::thread::CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).doing("drop capabilities")
}

/// Puts a Landlock layer on: what `handled` names is denied but where a rule allows it.
pub(crate) fn restrict(handled: u64, scoped: u64, rules: &[(PathBuf, u64)]) -> Result<(), Failed> {
    let one = |(path, rights): &(PathBuf, u64)| plan::Beneath {
        path: path.clone(),
        expect: None,
        rights: *rights,
    };
    restrict_on_host((handled, 0, scoped), &rules.iter().map(one).collect::<Vec<_>>(), None)
}

/// The same, on the host's own view too: what a rule names is opened once, without following a link, and is
/// what was there when the plan was made.
pub(crate) fn restrict_on_host(
    (handled, network, scoped): (u64, u64, u64),
    rules: &[plan::Beneath],
    terminal: Option<(BorrowedFd<'_>, u64)>,
) -> Result<(), Failed> {
    let ruleset = landlock::create_ruleset(handled, network, scoped);
    let ruleset = ruleset.doing("make a Landlock ruleset")?;
    for plan::Beneath { path, expect, rights } in rules {
        let shown = path.display();
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let at = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .doing(format_args!("open {shown} for Landlock"))?;
        if let Some(expect) = expect {
            let seen = fstat(&at).doing(format_args!("look at {shown}"))?;
            compare(&seen, *expect)
                .map_err(|f| Failed { doing: format!("{} {shown}", f.doing), ..f })?;
        }
        landlock::allow_beneath(ruleset.as_fd(), at.as_fd(), *rights)
            .doing(format_args!("allow {shown} in Landlock"))?;
    }
    if let Some((at, rights)) = terminal {
        landlock::allow_beneath(ruleset.as_fd(), at, rights).doing("allow the terminal")?;
    }
    landlock::restrict_self(ruleset.as_fd()).doing("put the Landlock layer on")
}
