//! What the gateway gives up before it hears anything of the workload's: files, programs, processes,
//! other users' rights.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use cofferdam_plan::{landlock, seccomp};
use cofferdam_sys::{landlock as layer, question};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Most private memory. Bytes.
const DATA_BYTES_MAX: u64 = 2 << 30;

/// From the first moment on: no other process of this user reads its memory, and a crash leaves none.
pub(crate) fn unreadable() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // 1, not 0: see `cofferdam-init`, which does the same for the workload.
    let none = Rlimit { current: Some(1), maximum: Some(1) };
    rustix::process::setrlimit(Resource::Core, none)?;
    // It is not in the sandbox's control group. Its own bounds keep it far below; whoever finds a way
    // around them ends it, and with it every connection, and not the machine.
    let memory = Rlimit { current: Some(DATA_BYTES_MAX), maximum: Some(DATA_BYTES_MAX) };
    Ok(rustix::process::setrlimit(Resource::Data, memory)?)
}

/// As many descriptors as this process may have.
pub(crate) fn descriptors() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => most,
        Err(_) => limit.current.unwrap_or(most),
    }
}

/// Becomes the workload's user, where root started it.
pub(crate) fn become_user((uid, gid): (u32, u32)) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    // The kernel takes every capability from who leaves root for good (`capabilities(7)`).
    set_thread_res_uid(uid, uid, uid)?;
    // And makes the process readable again (`PR_SET_DUMPABLE`).
    unreadable()
}

/// No file by any name, no signal and no abstract socket of another, no program, no new process.
/// Only sockets that it has, or makes for the Internet.
pub(crate) fn confine() -> io::Result<()> {
    set_no_new_privs(true)?;
    let abi = question::landlock_abi();
    let ruleset = layer::create_ruleset(landlock::handled(abi), 0, landlock::scoped(abi))?;
    layer::restrict_self(ruleset.as_fd())?;
    cofferdam_sys::seccomp::set_filter(&seccomp::bytes(&seccomp::gateway()))
}

/// No file but what is at and below `at`, no signal and no abstract socket of another, and no new right by
/// any program. For the process that writes into the vault.
pub(crate) fn confine_to(at: BorrowedFd<'_>, abi: u32) -> io::Result<()> {
    set_no_new_privs(true)?;
    let handled = landlock::handled(abi);
    let ruleset = layer::create_ruleset(handled, 0, landlock::scoped(abi))?;
    layer::allow_beneath(ruleset.as_fd(), at, handled)?;
    layer::restrict_self(ruleset.as_fd())
}
