//! System-call filters (`seccomp(2)`, mode filter, Linux 3.5) as data: an allow-list by number,
//! with the arguments judged where a number alone says too little.
//!
//! The program is classic BPF (`Documentation/networking/filter.rst`). It is a tree in which every
//! path ends in an answer: there is no label and no jump backwards, and what the tree does not
//! name is answered `ENOSYS`. Calls that are simply allowed never reach their arguments, so the
//! kernel (5.11 and later) answers them from a bitmap without running the program.

mod emit;
#[cfg(test)]
mod interpret;
mod ours;
mod table;
#[cfg(test)]
mod tests;

use crate::plan::BROKER_THREADS;
use cofferdam_policy::Rules;
use emit::Fragment;

/// One instruction, `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// How many instructions to skip where the test holds.
    pub jt: u8,
    /// How many where it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// What a program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The call is made.
    Allow,
    /// The broker judges the call and performs it itself (`seccomp_unotify(2)`).
    Notify,
    /// The call fails with this `errno(3)`.
    Errno(u16),
}

/// What a policy's rules need of the workload's filter, besides what every sandbox has.
///
/// Who hides nothing and keeps nothing pays for neither: its reads and looks stay in the bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Something is hidden or masked: looks and opens for reading are judged.
    pub looks: bool,
    /// Something is kept from loss: so is what cuts a file through a descriptor.
    pub keeps: bool,
    /// Who makes the calls, and where.
    pub caller: Caller,
}

/// Who makes the calls that a filter of the workload's judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    /// The workload, in namespaces of its own.
    #[default]
    Apart,
    /// The workload without namespaces: what they keep apart elsewhere is refused.
    Shared,
    /// An application kernel in the workload's place; the broker answers it for sockets alone.
    Kernel,
}

impl Caller {
    const fn is_shared(self) -> bool {
        matches!(self, Self::Shared)
    }
}

impl Scope {
    /// What `rules` need.
    #[must_use]
    pub fn of(rules: &Rules) -> Self {
        Self { looks: rules.looks(), keeps: rules.keeps(), caller: Caller::Apart }
    }
}

/// `errno(3)`.
const EPERM: u16 = 1;
const EINVAL: u16 = 22;
const ENOSYS: u16 = 38;
const EOPNOTSUPP: u16 = 95;

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allow,
    /// `EPERM`.
    Refuse,
    /// `ENOSYS`.
    Missing,
    /// `EOPNOTSUPP`: what a kernel says in which it is switched off.
    Unsupported,
    /// The broker decides.
    Notify,
    /// The broker decides, whoever calls: it meets sockets, which no mount holds.
    Meet,
    /// The broker decides where something is hidden ([`Scope::looks`]); else allowed.
    Look,
    /// The broker decides where something is kept ([`Scope::keeps`]); else allowed.
    Keep,
    /// `ENOSYS` where something is kept; else allowed.
    MissingIfKept,
    /// `EPERM` without namespaces ([`Scope::shared`]): it meets what is the host's; else allowed.
    Apart,
    /// The arguments decide.
    Judge(Check),
}

impl Rule {
    /// The rule as it is in `scope`.
    const fn within(self, scope: Scope) -> Self {
        match (self, scope) {
            (Self::Notify, Scope { caller: Caller::Kernel, .. }) => Self::Allow,
            (Self::Look, Scope { looks: true, .. }) | (Self::Keep, Scope { keeps: true, .. }) => {
                Self::Notify
            }
            (Self::MissingIfKept, Scope { keeps: true, .. }) => Self::Missing,
            (Self::Apart, Scope { caller: Caller::Shared, .. }) => Self::Refuse,
            (Self::Look | Self::Keep | Self::MissingIfKept | Self::Apart, _) => Self::Allow,
            (
                rule @ (Self::Allow
                | Self::Refuse
                | Self::Missing
                | Self::Unsupported
                | Self::Notify
                | Self::Meet
                | Self::Judge(_)),
                _,
            ) => rule,
        }
    }
}

/// A judgement on arguments; fields are argument numbers, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// No file is created with a setuid or setgid mode; what writes, makes or cuts is the broker's,
    /// and where something is hidden, what reads. `O_PATH` opens nothing.
    Open {
        flags: u8,
        mode: u8,
    },
    /// No setuid or setgid mode.
    Mode {
        mode: u8,
    },
    /// Nor a device.
    Node {
        mode: u8,
    },
    /// No new namespace.
    Clone,
    Unshare,
    /// Streams and ordinary packets; no raw sockets, and no `AF_UNIX` datagrams, which would
    /// reach path sockets behind every check.
    Socket,
    /// No upper-layer protocols, transforms or encapsulation.
    SocketOption,
    /// No typing into a terminal, no line disciplines, no file attributes.
    Ioctl,
    /// Streams and packets of the Internet (`socket(2)`), nothing else.
    Internet,
    /// No leases: a lease on a file of the host would make the host wait. Where something is kept, the
    /// broker sees to it that what was opened to be added to does not become open to be overwritten.
    Fcntl,
    /// Where something is kept, only what takes nothing away is simply allowed.
    Allocate,
    /// Where something is kept, what adds to a file goes on adding.
    WriteFlags,
    /// No hole in what a mapping shows of a file (`MADV_REMOVE`), where something is kept.
    Advice,
    /// The broker reads the memory of who calls: a process that asks to be unreadable is told that it
    /// is, and stays as it was.
    Dumpable,
    /// One of these values of an argument.
    Only {
        argument: u8,
        values: &'static [u32],
    },
    /// Limits of the caller alone, but for that of core dumps: see [`Check::CoreLimit`].
    OwnLimits,
    /// The limit of core dumps stays: with 0 the host's core handler would start for a crash inside.
    /// Programs that ask for no core dumps are told that they have what they want.
    CoreLimit,
    /// Not pid 1: init asleep behind a spinning workload would see a guard fall too late.
    NotInit {
        pid: u8,
    },
    /// As [`Check::NotInit`], for a group to join: without namespaces none of the workload's session is
    /// init's, and the kernel lets nobody join one of another session (`setpgid(2)`).
    Group {
        pgid: u8,
    },
    /// As [`Check::NotInit`], for calls that name processes by kind and number: processes and
    /// groups by number, and never this kind, all of a user's.
    Priority {
        user: u32,
    },
    /// The native personality and those that only change what `uname` says.
    Personality,
    /// No whiteouts.
    Rename,
    /// Memory that is never executable.
    NoExec {
        protection: u8,
    },
}

/// `AUDIT_ARCH_X86_64` (`linux/audit.h`).
const ARCH: u32 = 0xC000_003E;
/// Numbers from here on are x32's.
const X32: u32 = 0x4000_0000;

/// The workload's filter.
#[must_use]
pub fn workload(scope: Scope) -> Vec<Instruction> {
    program(table::WORKLOAD, Rule::Missing, scope)
}

/// The filter of an application kernel in the workload's place: as the workload's, but for what that
/// kernel builds its own walls with, in namespaces of its own.
#[must_use]
pub fn application_kernel() -> Vec<Instruction> {
    let own = |(number, name, rule): &(u32, &'static str, Rule)| {
        let rule = if table::KERNEL.contains(number) { Rule::Allow } else { *rule };
        (*number, *name, rule)
    };
    let table: Vec<_> = table::WORKLOAD.iter().map(own).collect();
    program(&table, Rule::Missing, Scope { caller: Caller::Kernel, ..Scope::default() })
}

/// The filter of init itself once the workload runs: whoever takes pid 1 over can still do nothing.
#[must_use]
pub fn init() -> Vec<Instruction> {
    program(ours::INIT, Rule::Refuse, Scope::default())
}

/// The filter of each thread of the broker: names, descriptors and the listener, no program, process,
/// mount or new socket.
#[must_use]
pub fn broker() -> Vec<Instruction> {
    program(ours::BROKER, Rule::Refuse, Scope::default())
}

/// The filter of the gateway: sockets and memory, no name of a file, no program, no process.
#[must_use]
pub fn gateway() -> Vec<Instruction> {
    program(ours::GATEWAY, Rule::Refuse, Scope::default())
}

/// `instructions` as the kernel reads them on x86_64: 8 bytes each, little-endian.
#[must_use]
pub fn bytes(instructions: &[Instruction]) -> Vec<u8> {
    let one = |i: &Instruction| {
        let ([c0, c1], [k0, k1, k2, k3]) = (i.code.to_le_bytes(), i.k.to_le_bytes());
        [c0, c1, i.jt, i.jf, k0, k1, k2, k3]
    };
    instructions.iter().flat_map(one).collect()
}

fn program(table: &[(u32, &str, Rule)], otherwise: Rule, scope: Scope) -> Vec<Instruction> {
    let runs = ranges(table, otherwise, scope).into_iter();
    let runs: Vec<_> = runs.map(|(from, rule)| (from, fragment(rule, scope))).collect();
    let others = || fragment(otherwise, scope);
    let native = emit::at_least(X32, others(), emit::search(&runs));
    let judged = emit::load_number(native);
    emit::load_arch(emit::equal(ARCH, judged, others())).0
}

/// Runs of numbers with one rule, from 0 up; every number belongs to one.
fn ranges(table: &[(u32, &str, Rule)], otherwise: Rule, scope: Scope) -> Vec<(u32, Rule)> {
    let mut runs: Vec<(u32, Rule)> = Vec::new();
    let mut push = |from: u32, rule: Rule| match runs.last() {
        Some((_, last)) if *last == rule => {}
        Some(_) | None => runs.push((from, rule)),
    };
    let mut next = 0;
    for (number, _, rule) in table {
        if *number > next {
            push(next, otherwise);
        }
        push(*number, rule.within(scope));
        next = number + 1;
    }
    push(next, otherwise);
    runs
}

fn fragment(rule: Rule, scope: Scope) -> Fragment {
    match rule.within(scope) {
        Rule::Refuse => emit::answer(Answer::Errno(EPERM)),
        Rule::Missing => emit::answer(Answer::Errno(ENOSYS)),
        Rule::Unsupported => emit::answer(Answer::Errno(EOPNOTSUPP)),
        Rule::Notify | Rule::Meet => emit::answer(Answer::Notify),
        Rule::Judge(check) => judge(check, scope),
        Rule::Allow | Rule::Look | Rule::Keep | Rule::MissingIfKept | Rule::Apart => {
            emit::answer(Answer::Allow)
        }
    }
}

/// `RLIMIT_CORE` (`getrlimit(2)`).
const RLIMIT_CORE: u32 = 4;
/// Init, as the workload sees it.
const INIT_PID: u32 = 1;
/// The first of its threads.
const FIRST_THREAD: u32 = 3;
/// Setuid and setgid bits.
const SET_ID: u32 = 0o6000;
/// `O_CREAT` and the bit that `O_TMPFILE` adds to `O_DIRECTORY`.
const CREATES: u32 = 0o100 | 0o20_000_000;
/// `O_WRONLY`, `O_RDWR`, both at once, `O_TRUNC`.
const WRITES: u32 = 0o3 | 0o1000;
/// The kernel then reads no flag that makes, cuts or opens (`open(2)`).
const O_PATH: u32 = 0o10_000_000;
/// `renameat2(2)`: leaves a device file.
const RENAME_WHITEOUT: u32 = 1 << 2;
/// `fallocate(2)`: reserves space beyond the end, and nothing else.
const FALLOC_FL_KEEP_SIZE: u32 = 1;
/// `pwritev2(2)`, Linux 6.9: writes in the middle of what was opened to be added to.
const RWF_NOAPPEND: u32 = 0x20;
/// `prctl(2)`.
const PR_SET_DUMPABLE: u32 = 4;
/// Every `CLONE_NEW*` flag of `clone(2)`.
const NEW_SPACES: u32 = 0x7E02_0000;
/// `CLONE_NEWTIME`: a signal number for `clone`, a namespace for `unshare`.
const NEW_TIME: u32 = 0x80;

fn judge(check: Check, scope: Scope) -> Fragment {
    use emit::{any_of, argument, bits, masked};
    let allow = || emit::answer(Answer::Allow);
    let refuse = || emit::answer(Answer::Errno(EPERM));
    // The call is not made and says that it was.
    let granted = || emit::answer(Answer::Errno(0));
    let broker = || fragment(Rule::Notify, scope);
    match check {
        Check::Open { flags, mode } => open(flags, mode, scope),
        Check::Mode { mode } => unless_set_id(mode, broker()),
        Check::Node { mode } => {
            let kind = masked(0o170_000, any_of(&[0o020_000, 0o060_000], &refuse(), broker()));
            unless_set_id(mode, argument(mode, kind))
        }
        Check::Rename => argument(4, bits(RENAME_WHITEOUT, refuse(), broker())),
        Check::Fcntl => fcntl(scope),
        Check::Allocate => kept(scope, 1, !FALLOC_FL_KEEP_SIZE, Answer::Notify),
        Check::WriteFlags => kept(scope, 5, RWF_NOAPPEND, Answer::Errno(EPERM)),
        Check::Advice if scope.keeps => {
            /// `madvise(2)`.
            const MADV_REMOVE: u32 = 9;
            argument(2, emit::equal(MADV_REMOVE, refuse(), allow()))
        }
        Check::Advice => allow(),
        Check::Dumpable => {
            let asks = emit::is_null(1, granted(), &allow());
            argument(0, emit::equal(PR_SET_DUMPABLE, asks, allow()))
        }
        Check::Clone => argument(0, bits(NEW_SPACES, refuse(), allow())),
        Check::Unshare => argument(0, bits(NEW_SPACES | NEW_TIME, refuse(), allow())),
        Check::Socket if scope.caller.is_shared() => local_socket(),
        Check::Socket => socket(),
        Check::SocketOption => socket_option(),
        Check::Ioctl => ioctl(),
        Check::Only { argument: index, values } => {
            argument(index, any_of(values, &allow(), refuse()))
        }
        Check::Internet => {
            let kind = argument(1, masked(0xF, any_of(&[1, 2], &allow(), refuse())));
            argument(0, any_of(&[2, 10], &kind, refuse()))
        }
        Check::OwnLimits => {
            // prlimit64(pid, resource, new, old): without a new limit it only asks.
            let both = emit::is_null(3, granted(), &refuse());
            let core = emit::is_null(2, allow(), &both);
            let own = argument(1, emit::equal(RLIMIT_CORE, core, allow()));
            argument(0, emit::equal(0, own, refuse()))
        }
        Check::CoreLimit => argument(0, emit::equal(RLIMIT_CORE, granted(), allow())),
        // By number it could be any process of this user; a call on itself has no number.
        Check::NotInit { pid } if scope.caller.is_shared() => {
            argument(pid, emit::equal(0, allow(), refuse()))
        }
        Check::Group { .. } if scope.caller.is_shared() => allow(),
        Check::NotInit { pid } | Check::Group { pgid: pid } => argument(pid, not_init()),
        Check::Priority { user } if scope.caller.is_shared() => {
            // The caller alone: 0 of the groups is its own group, and that may be init's. The kinds
            // are process, group and user, in this order.
            let own = argument(1, emit::equal(0, allow(), refuse()));
            argument(0, emit::equal(user.saturating_sub(2), own, refuse()))
        }
        Check::Priority { user } => {
            // Init, or the group that it leads where the sandbox has a terminal. Nobody of the
            // workload is in that group or may join it, so 0 is never it.
            let one = argument(1, not_init());
            argument(0, emit::equal(user, refuse(), one))
        }
        // PER_LINUX, PER_LINUX32, UNAME26 with either, ADDR_NO_RANDOMIZE, and the question.
        Check::Personality => {
            let known = [0, 0x8, 0x0002_0000, 0x0002_0008, 0x0004_0000, u32::MAX];
            argument(0, any_of(&known, &allow(), refuse()))
        }
        Check::NoExec { protection } => {
            const PROT_EXEC: u32 = 4;
            argument(protection, bits(PROT_EXEC, refuse(), allow()))
        }
    }
}

/// `open(2)`: what nobody may make is refused here, what writes, makes or cuts is the broker's.
fn open(flags: u8, mode: u8, scope: Scope) -> Fragment {
    use emit::{argument, bits};
    let broker = || fragment(Rule::Notify, scope);
    let looks = bits(WRITES, broker(), fragment(Rule::Look, scope));
    let opens = bits(CREATES, unless_set_id(mode, broker()), looks);
    argument(flags, bits(O_PATH, emit::answer(Answer::Allow), opens))
}

/// `then` where the mode is neither setuid nor setgid.
fn unless_set_id(mode: u8, then: Fragment) -> Fragment {
    emit::argument(mode, emit::bits(SET_ID, emit::answer(Answer::Errno(EPERM)), then))
}

/// Calls on descriptors, where something is kept: what only a call in `bits` of argument `index`
/// could lose is answered so.
fn kept(scope: Scope, index: u8, bits: u32, answer: Answer) -> Fragment {
    let allow = emit::answer(Answer::Allow);
    if scope.keeps {
        return emit::argument(index, emit::bits(bits, emit::answer(answer), allow));
    }
    allow
}

/// Not pid 1, nor one of its threads: they are begun after the workload's first process, which is 2, and
/// before it runs, so their numbers are the next ones for as long as there is a sandbox.
fn not_init() -> Fragment {
    let allow = || emit::answer(Answer::Allow);
    let refuse = || emit::answer(Answer::Errno(EPERM));
    let above = emit::at_least(FIRST_THREAD + BROKER_THREADS + 1, allow(), refuse());
    emit::equal(INIT_PID, refuse(), emit::at_least(FIRST_THREAD, above, allow()))
}

/// `fcntl(2)` of the workload.
fn fcntl(scope: Scope) -> Fragment {
    /// `F_SETDELEG`, a lease on a directory, came with Linux 6.19.
    const LEASES: [u32; 2] = [1024, 1040];
    const F_SETFL: u32 = 4;
    let allow = || emit::answer(Answer::Allow);
    let flags = emit::equal(F_SETFL, fragment(Rule::Keep, scope), allow());
    let invalid = emit::answer(Answer::Errno(EINVAL));
    emit::argument(1, emit::any_of(&LEASES, &invalid, flags))
}

/// `socket(2)` and `socketpair(2)`: family, type, protocol.
fn socket() -> Fragment {
    use emit::{any_of, argument, masked};
    const AF_UNIX: u32 = 1;
    const AF_INET: u32 = 2;
    const AF_INET6: u32 = 10;
    const AF_NETLINK: u32 = 16;
    /// The type without `SOCK_CLOEXEC` and `SOCK_NONBLOCK`.
    const TYPE: u32 = 0xF;
    let allow = || emit::answer(Answer::Allow);
    let refuse = || emit::answer(Answer::Errno(EPERM));
    // SOCK_STREAM and SOCK_SEQPACKET; the kernel makes a datagram socket of SOCK_RAW.
    let unix = argument(1, masked(TYPE, any_of(&[1, 5], &allow(), refuse())));
    // SOCK_STREAM and SOCK_DGRAM, of TCP, UDP or whatever is the type's own.
    let protocol = argument(2, any_of(&[0, 6, 17], &allow(), refuse()));
    let inet = argument(1, masked(TYPE, any_of(&[1, 2], &protocol, refuse())));
    // NETLINK_ROUTE, which getaddrinfo and getifaddrs ask.
    let netlink = argument(2, emit::equal(0, allow(), refuse()));
    let rest = emit::equal(AF_NETLINK, netlink, refuse());
    let rest = any_of(&[AF_INET, AF_INET6], &inet, rest);
    argument(0, emit::equal(AF_UNIX, unix, rest))
}

/// The same without a network of the sandbox's own: streams and packets of `AF_UNIX`.
fn local_socket() -> Fragment {
    use emit::{any_of, argument, masked};
    let allow = || emit::answer(Answer::Allow);
    let refuse = || emit::answer(Answer::Errno(EPERM));
    let unix = argument(1, masked(0xF, any_of(&[1, 5], &allow(), refuse())));
    argument(0, emit::equal(1, unix, refuse()))
}

/// `setsockopt(2)`: level, option.
fn socket_option() -> Fragment {
    // IP_IPSEC_POLICY, IP_XFRM_POLICY; TCP_ULP; UDP_ENCAP; their likes of IPv6.
    let allow = || emit::answer(Answer::Allow);
    let refuse = emit::answer(Answer::Errno(EPERM));
    let option = |refused: &[u32]| emit::argument(2, emit::any_of(refused, &refuse, allow()));
    let ip6 = emit::equal(41, option(&[34, 35]), allow());
    let udp = emit::equal(17, option(&[100]), ip6);
    let tcp = emit::equal(6, option(&[31]), udp);
    emit::argument(1, emit::equal(0, option(&[16, 17]), tcp))
}

/// `ioctl(2)`: the kernel reads the low 32 bits of the request, and so does this.
fn ioctl() -> Fragment {
    use emit::{any_of, argument, masked};
    /// `TIOCSTI`, `TIOCLINUX`, `TIOCCONS`, `TIOCSETD`.
    const TERMINAL: [u32; 4] = [0x5412, 0x541C, 0x541D, 0x5423];
    /// `FS_IOC_SETFLAGS` and `FS_IOC_SETVERSION` in both widths, `FS_IOC_ENABLE_VERITY`,
    /// `FS_IOC_SET_ENCRYPTION_POLICY`; `EXT4_IOC_MOVE_EXT` and `EXT4_IOC_SWAP_BOOT`, which move what
    /// is in one file into another.
    const ATTRIBUTES: [u32; 8] = [
        0x4008_6602,
        0x4004_6602,
        0x4008_7602,
        0x4004_7602,
        0x4080_6685,
        0x800C_6613,
        0xC028_660F,
        0x0000_6611,
    ];
    /// Requests of btrfs, XFS, F2FS and bcachefs: among them are new names, holes, and contents that change
    /// places, and every file system that can punches holes by XFS's.
    const OWN: [u32; 4] = [0x9400, 0x5800, 0xF500, 0xBC00];
    /// Generic by now: `FICLONE`, `FICLONERANGE`, `FIDEDUPERANGE`, and `FS_IOC_FSGETXATTR`.
    const GENERIC: [u32; 4] = [0x4004_9409, 0x4020_940D, 0xC018_9436, 0x801C_581F];
    let allow = || emit::answer(Answer::Allow);
    let refuse = || emit::answer(Answer::Errno(EPERM));
    let own = argument(1, masked(0xFF00, any_of(&OWN, &refuse(), allow())));
    let generic = any_of(&GENERIC, &allow(), own);
    let attributes = any_of(&ATTRIBUTES, &refuse(), generic);
    argument(1, any_of(&TERMINAL, &refuse(), attributes))
}

/// Every system call by name with what happens to it, for documents.
#[must_use]
pub fn rows() -> Vec<(u32, &'static str, &'static str)> {
    let word = |rule: &Rule| match rule {
        Rule::Allow => "allowed",
        Rule::Refuse => "EPERM",
        Rule::Missing => "ENOSYS",
        Rule::Unsupported => "EOPNOTSUPP",
        Rule::Notify | Rule::Meet => "the broker's",
        Rule::Look => "the broker's where something is hidden",
        Rule::Keep => "the broker's where something is kept",
        Rule::MissingIfKept => "ENOSYS where something is kept",
        Rule::Apart => "EPERM without namespaces",
        Rule::Judge(_) => "judged by its arguments",
    };
    table::WORKLOAD.iter().map(|(number, name, rule)| (*number, *name, word(rule))).collect()
}
