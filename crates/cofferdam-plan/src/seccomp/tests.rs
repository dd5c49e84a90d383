//! Every number of every architecture through the interpreter, and arguments row by row.

mod shared;

use std::collections::BTreeMap;

use super::interpret::{Call, run};
use super::*;

const REFUSED: Answer = Answer::Errno(EPERM);
const MISSING: Answer = Answer::Errno(ENOSYS);
/// Nothing hidden, nothing kept.
const PLAIN: Scope = Scope { looks: false, keeps: false, caller: Caller::Apart };
const LOOKS: Scope = Scope { looks: true, keeps: false, caller: Caller::Apart };
const KEEPS: Scope = Scope { looks: false, keeps: true, caller: Caller::Apart };
const BOTH: Scope = Scope { looks: true, keeps: true, caller: Caller::Apart };
const SHARED: Scope = Scope { caller: Caller::Shared, ..PLAIN };
const SCOPES: [Scope; 5] = [PLAIN, LOOKS, KEEPS, BOTH, SHARED];

fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { number, arch: ARCH, arguments }
}

fn number(name: &str) -> u32 {
    let row = table::WORKLOAD.iter().find(|(_, known, _)| *known == name);
    row.map_or(u32::MAX, |(number, ..)| *number)
}

#[test]
fn the_table_is_sorted_and_names_nothing_twice() {
    for table in [table::WORKLOAD, ours::INIT, ours::BROKER, ours::GATEWAY] {
        assert!(table.is_sorted_by(|a, b| a.0 < b.0), "numbers rise");
    }
    let names: BTreeMap<&str, u32> =
        table::WORKLOAD.iter().map(|(n, name, _)| (*name, *n)).collect();
    assert_eq!(names.len(), table::WORKLOAD.len(), "each name once");
    for (n, name, _) in ours::INIT.iter().chain(ours::BROKER).chain(ours::GATEWAY) {
        assert_eq!(names.get(name), Some(n), "the tables agree on {name}");
    }
}

#[test]
fn the_kernel_takes_the_programs() {
    let of_ours = [init(), broker(), gateway()];
    for program in SCOPES.map(workload).into_iter().chain(of_ours) {
        assert!(program.len() <= 4096, "BPF_MAXINSNS: {}", program.len());
        for (at, i) in program.iter().enumerate() {
            let furthest = at + 1 + usize::from(i.jt.max(i.jf));
            assert!(i.code & 7 != 5 || furthest < program.len(), "jump out of the program at {at}");
        }
    }
}

/// Every number, with arguments that no check objects to and with none but ones.
#[test]
fn every_number_is_answered_as_the_table_says() {
    for scope in SCOPES {
        every_number_in(scope);
    }
}

fn every_number_in(scope: Scope) {
    let program = workload(scope);
    let rules: BTreeMap<u32, Rule> =
        table::WORKLOAD.iter().map(|(n, _, rule)| (*n, *rule)).collect();
    let broker = |asked: bool| Some(if asked { Answer::Notify } else { Answer::Allow });
    let edges = [0x3FFF_FFFE, 0x3FFF_FFFF, X32, X32 + 1, X32 + 59, u32::MAX - 1, u32::MAX];
    for number in (0..2000).chain(edges) {
        let want = match rules.get(&number) {
            Some(Rule::Allow) => Some(Answer::Allow),
            Some(Rule::Refuse) => Some(REFUSED),
            Some(Rule::Missing) | None => Some(MISSING),
            Some(Rule::MissingIfKept) if scope.keeps => Some(MISSING),
            Some(Rule::MissingIfKept) => Some(Answer::Allow),
            Some(Rule::Unsupported) => Some(Answer::Errno(EOPNOTSUPP)),
            Some(Rule::Notify | Rule::Meet) => broker(true),
            Some(Rule::Look) => broker(scope.looks),
            Some(Rule::Keep) => broker(scope.keeps),
            Some(Rule::Apart) => {
                Some(if scope.caller == Caller::Shared { REFUSED } else { Answer::Allow })
            }
            Some(Rule::Judge(_)) => None,
        };
        for arguments in [[0; 6], [u64::MAX; 6]] {
            let got = run(&program, &call(number, arguments));
            assert!(
                got.is_some() && want.is_none_or(|want| got == Some(want)),
                "{number}: {got:?}"
            );
        }
    }
}

#[test]
fn no_other_architecture_is_served() {
    // i386, arm, aarch64, x86_64 with its byte order turned, none.
    for arch in [0x4000_0003, 0x4000_0028, 0xC000_00B7, 0x3E00_00C0, 0] {
        for number in 0..500 {
            let call = Call { number, arch, arguments: [0; 6] };
            for scope in SCOPES {
                assert_eq!(run(&workload(scope), &call), Some(MISSING), "{arch:#x} {number}");
            }
            for of_ours in [init(), broker(), gateway()] {
                assert_eq!(run(&of_ours, &call), Some(REFUSED), "{arch:#x} {number}");
            }
        }
    }
}

#[track_caller]
fn check(name: &str, arguments: &[u64], want: Answer, why: &str) {
    check_in(PLAIN, name, arguments, want, why);
}

#[track_caller]
fn check_in(scope: Scope, name: &str, arguments: &[u64], want: Answer, why: &str) {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    let program = workload(scope);
    assert_eq!(run(&program, &call(number(name), all)), Some(want), "{name}{arguments:x?}: {why}");
    // The kernel reads an int here: the upper half must change nothing.
    let high = all.map(|argument| argument | 0xDEAD_BEEF_0000_0000);
    assert_eq!(run(&program, &call(number(name), high)), Some(want), "{name}: high bits: {why}");
}

const CREAT: u64 = 0o100;
const TMPFILE: u64 = 0o20_200_000;
const PATH: u64 = 0o10_000_000;

#[test]
fn modes_and_names() {
    use Answer::{Allow, Notify};
    for (name, arguments, want, why) in [
        ("openat", &[0, 0, CREAT, 0o644][..], Notify, "an ordinary file"),
        ("openat", &[0, 0, 0, 0o4755], Allow, "no file is made: the mode is not read"),
        ("openat", &[0, 0, 1, 0o4755], Notify, "nor here, but it is opened to be written"),
        ("openat", &[0, 0, 0o200_000, 0o4755], Allow, "a directory is opened, not made"),
        ("openat", &[0, 0, CREAT, 0o4755], REFUSED, "setuid"),
        ("openat", &[0, 0, CREAT, 0o2755], REFUSED, "setgid"),
        ("openat", &[0, 0, TMPFILE, 0o4755], REFUSED, "setuid, nameless yet"),
        ("openat", &[0, 0, PATH | CREAT | 1, 0o4755], Allow, "O_PATH opens and makes nothing"),
        ("open", &[0, CREAT | 1, 0o4755], REFUSED, "the older call"),
        ("open", &[0, CREAT | 1, 0o1777], Notify, "sticky is harmless"),
        ("open", &[0, PATH | CREAT, 0o4755], Allow, "O_PATH, the older call"),
        ("creat", &[0, 0o644], Notify, "the oldest call"),
        ("creat", &[0, 0o4755], REFUSED, "the oldest call"),
        ("chmod", &[0, 0o755], Notify, "an ordinary mode"),
        ("chmod", &[0, 0o4755], REFUSED, "setuid"),
        ("fchmod", &[0, 0o755], Notify, "by a descriptor"),
        ("fchmod", &[0, 0o2755], REFUSED, "setgid"),
        ("fchmodat", &[0, 0, 0o4755], REFUSED, "setuid"),
        ("fchmodat2", &[0, 0, 0o755, 0], Notify, "the newest call"),
        ("fchmodat2", &[0, 0, 0o4755, 0], REFUSED, "setuid, the newest call"),
        ("mkdir", &[0, 0o6755], Notify, "the kernel drops these of directories itself"),
        ("mknod", &[0, 0o010_644], Notify, "a FIFO"),
        ("mknod", &[0, 0o104_755], REFUSED, "a setuid file"),
        ("mknodat", &[0, 0, 0o020_644], REFUSED, "a character device, or a whiteout"),
        ("mknodat", &[0, 0, 0o060_644], REFUSED, "a block device"),
        ("mknodat", &[0, 0, 0o140_644], Notify, "a socket's name"),
        ("renameat2", &[0, 0, 0, 0, 1], Notify, "RENAME_NOREPLACE"),
        ("renameat2", &[0, 0, 0, 0, 2], Notify, "RENAME_EXCHANGE"),
        ("renameat2", &[0, 0, 0, 0, 4], REFUSED, "RENAME_WHITEOUT"),
        ("renameat2", &[0, 0, 0, 0, 5], REFUSED, "beside another flag"),
    ] {
        for scope in SCOPES {
            let want = if want == Allow && name.starts_with("open") && scope.looks {
                // But for O_PATH, which no rule reads.
                let path = arguments.iter().any(|argument| argument & PATH != 0);
                if path { Allow } else { Notify }
            } else {
                want
            };
            check_in(scope, name, arguments, want, why);
        }
    }
}

/// Each flag by which an open changes something, alone and with those that change nothing.
#[test]
fn opens_that_change_something_are_the_brokers() {
    // O_NOCTTY, O_APPEND, O_NONBLOCK, O_DSYNC, O_DIRECT, O_DIRECTORY, O_NOFOLLOW, O_NOATIME,
    // O_CLOEXEC, O_SYNC.
    let harmless = [
        0o400,
        0o2000,
        0o4000,
        0o10_000,
        0o40_000,
        0o200_000,
        0o400_000,
        0o1_000_000,
        0o2_000_000,
        0o4_010_000,
    ];
    let together = harmless.iter().fold(0, |all, flag| all | flag);
    for rest in harmless.into_iter().chain([0, together]) {
        for change in [1, 2, 3, CREAT, 0o1000, TMPFILE, TMPFILE | 2, 0o20_000_000] {
            let flags = rest | change;
            check("open", &[0, flags, 0o644], Answer::Notify, "changes something");
            check("openat", &[0, 0, flags, 0o644], Answer::Notify, "changes something");
            check("openat", &[0, 0, flags | PATH, 0o644], Answer::Allow, "O_PATH");
        }
        check("open", &[0, rest, 0o644], Answer::Allow, "reads");
        check("openat", &[0, 0, rest, 0o644], Answer::Allow, "reads");
        check_in(LOOKS, "openat", &[0, 0, rest, 0o644], Answer::Notify, "reads what may be hidden");
        check_in(LOOKS, "open", &[0, rest | PATH, 0o644], Answer::Allow, "O_PATH");
    }
}

/// What changes a name or meets a socket, whatever the rules are.
#[test]
fn calls_on_names_are_the_brokers() {
    let always = [
        "creat",
        "mkdir",
        "mkdirat",
        "mknod",
        "mknodat",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
        "rmdir",
        "truncate",
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "removexattr",
        "lremovexattr",
        "fremovexattr",
        "bind",
        "connect",
    ];
    let looks = [
        "open",
        "openat",
        "stat",
        "lstat",
        "newfstatat",
        "statx",
        "access",
        "faccessat",
        "faccessat2",
        "readlink",
        "readlinkat",
    ];
    for scope in SCOPES {
        for name in always {
            check_in(scope, name, &[], Answer::Notify, "changes a name");
        }
        let want = if scope.looks { Answer::Notify } else { Answer::Allow };
        for name in looks {
            check_in(scope, name, &[], want, "looks at a name");
        }
        let want = if scope.keeps { Answer::Notify } else { Answer::Allow };
        check_in(scope, "ftruncate", &[3], want, "cuts through a descriptor");
        // Between the filter and the command nobody answers yet.
        for name in ["sendmsg", "write", "close", "execve", "exit_group", "read", "fstat", "mmap"] {
            check_in(scope, name, &[], Answer::Allow, "never the broker's");
        }
    }
}

#[test]
fn descriptors_where_something_is_kept() {
    use Answer::{Allow, Notify};
    for (name, arguments, want, why) in [
        ("fallocate", &[3, 0, 0, 4096][..], Allow, "reserves and grows"),
        ("fallocate", &[3, 1], Allow, "reserves"),
        ("fallocate", &[3, 3], Notify, "FALLOC_FL_PUNCH_HOLE"),
        ("fallocate", &[3, 0x10], Notify, "FALLOC_FL_ZERO_RANGE"),
        ("fallocate", &[3, 0x8], Notify, "FALLOC_FL_COLLAPSE_RANGE"),
        ("fallocate", &[3, 0x20], Notify, "FALLOC_FL_INSERT_RANGE"),
        ("fallocate", &[3, 0x8000_0000], Notify, "a mode of a later kernel"),
        ("fcntl", &[3, 4, 0], Notify, "F_SETFL may take O_APPEND away"),
        ("fcntl", &[3, 3], Allow, "F_GETFL"),
        ("fcntl", &[3, 1024, 1], Answer::Errno(EINVAL), "a lease"),
        ("madvise", &[0, 4096, 4], Allow, "MADV_DONTNEED"),
        ("madvise", &[0, 4096, 9], REFUSED, "MADV_REMOVE: a hole"),
        ("pwritev2", &[3, 0, 1, 0, 0, 0], Allow, "no flag"),
        ("pwritev2", &[3, 0, 1, 0, 0, 0x10], Allow, "RWF_APPEND"),
        ("pwritev2", &[3, 0, 1, 0, 0, 0x20], REFUSED, "RWF_NOAPPEND"),
        ("pwritev2", &[3, 0, 1, 0, 0, 0x21], REFUSED, "beside another flag"),
        ("io_setup", &[128], MISSING, "its flags are in memory"),
    ] {
        let without = if want == Answer::Errno(EINVAL) { want } else { Allow };
        for scope in [KEEPS, BOTH] {
            check_in(scope, name, arguments, want, why);
        }
        for scope in [PLAIN, LOOKS] {
            check_in(scope, name, arguments, without, "nothing is kept");
        }
    }
}

#[test]
fn nobody_becomes_unreadable() {
    const HIGH: u64 = 1 << 32;
    let granted = Answer::Errno(0);
    for ([option, value], want, why) in [
        ([4, 0], granted, "PR_SET_DUMPABLE 0"),
        ([4 | HIGH, 0], granted, "the option is an int"),
        ([4, 1], Answer::Allow, "as it is"),
        ([4, HIGH], Answer::Allow, "the value is a long: the kernel says EINVAL"),
        ([4, 2], Answer::Allow, "as above"),
        ([3, 0], Answer::Allow, "PR_GET_DUMPABLE"),
        ([15, 0], Answer::Allow, "PR_SET_NAME"),
    ] {
        for scope in SCOPES {
            let call = call(number("prctl"), [option, value, 0, 0, 0, 0]);
            assert_eq!(run(&workload(scope), &call), Some(want), "{option:#x} {value:#x}: {why}");
        }
    }
}

#[test]
fn no_landlock_inside() {
    let unsupported = Answer::Errno(EOPNOTSUPP);
    for name in ["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
        check(name, &[0, 0, 1], unsupported, "the broker would perform what a layer forbids");
    }
}

#[test]
fn processes_and_namespaces() {
    use Answer::Allow;
    for (name, arguments, want, why) in [
        ("clone", &[0x0100_0011][..], Allow, "fork"),
        ("clone", &[0x003D_0F00], Allow, "a thread"),
        ("clone", &[0x1000_0011], REFUSED, "CLONE_NEWUSER"),
        ("clone", &[0x0002_0011], REFUSED, "CLONE_NEWNS"),
        ("clone", &[0x0200_0011], REFUSED, "CLONE_NEWCGROUP"),
        ("clone", &[0x4000_0011], REFUSED, "CLONE_NEWNET"),
        ("clone", &[0x80], Allow, "a signal number, no namespace"),
        ("unshare", &[0x400], Allow, "CLONE_FILES"),
        ("unshare", &[0x80], REFUSED, "CLONE_NEWTIME"),
        ("unshare", &[0x1000_0000], REFUSED, "CLONE_NEWUSER"),
        ("clone3", &[0, 88], MISSING, "its flags are in memory: the C library falls back"),
        ("openat2", &[0, 0, 0, 24], MISSING, "its mode is in memory"),
        ("prlimit64", &[0, 7], Allow, "one's own"),
        ("prlimit64", &[1, 7], REFUSED, "init's"),
        ("personality", &[0xFFFF_FFFF], Allow, "the question"),
        ("personality", &[0x0004_0000], Allow, "a debugger without address randomisation"),
        ("personality", &[0x0040_0000], REFUSED, "READ_IMPLIES_EXEC"),
        ("ptrace", &[16, 5], Allow, "one's own children; the kernel judges the others"),
        ("fcntl", &[3, 1024, 1], Answer::Errno(EINVAL), "a lease"),
        ("fcntl", &[3, 1040, 1], Answer::Errno(EINVAL), "a lease on a directory"),
        ("fcntl", &[3, 1030], Allow, "F_DUPFD_CLOEXEC"),
        ("sched_setaffinity", &[0, 8], Allow, "one's own"),
        ("sched_setaffinity", &[2, 8], Allow, "a thread or child of one's own"),
        ("sched_setaffinity", &[1, 8], REFUSED, "init's"),
        ("sched_setscheduler", &[1, 5], REFUSED, "init idle"),
        ("sched_setattr", &[1], REFUSED, "init idle, the newer call"),
        ("sched_setparam", &[1], REFUSED, "init's"),
        ("setpriority", &[0, 0, 5], Allow, "one's own"),
        ("setpriority", &[0, 1, 19], REFUSED, "init's"),
        ("setpriority", &[1, 1, 19], REFUSED, "init's group"),
        ("setpriority", &[1, 9, 19], Allow, "another group"),
        ("sched_setscheduler", &[3, 5], REFUSED, "a thread of the broker's idle"),
        ("sched_setaffinity", &[7, 8], REFUSED, "the last of them"),
        ("setpriority", &[0, 5, 19], REFUSED, "another"),
        ("sched_setscheduler", &[8, 5], Allow, "the workload's next process"),
        ("setpriority", &[1, 0, 19], Allow, "one's own group, which nobody shares with init"),
        ("setpgid", &[0, 0], Allow, "a group of one's own"),
        ("setpgid", &[7, 1], REFUSED, "init's group"),
        ("setpriority", &[2, 0, 19], REFUSED, "everything of this user, init as well"),
        ("ioprio_set", &[1, 1, 0], REFUSED, "init's"),
        ("ioprio_set", &[1, 2, 0], Allow, "a child of one's own"),
        ("ioprio_set", &[3, 0, 0], REFUSED, "everything of this user, init as well"),
        ("keyctl", &[], REFUSED, "no keyrings"),
        ("io_uring_setup", &[], MISSING, "a second door into the kernel"),
    ] {
        check(name, arguments, want, why);
    }
    assert_eq!(
        run(&workload(PLAIN), &call(999, [0; 6])),
        Some(MISSING),
        "a call of a later kernel"
    );
}

/// Pointers have 64 bits, and each of them counts.
#[test]
fn the_limit_of_core_dumps_stays() {
    use Answer::Allow;
    const LOW: u64 = 0x1000;
    const HIGH: u64 = 0x7F00_0000_0000;
    let granted = Answer::Errno(0);
    for (name, arguments, want, why) in [
        ("prlimit64", [0, 4, 0, LOW], Allow, "a question"),
        ("prlimit64", [0, 4, LOW, 0], granted, "a change"),
        ("prlimit64", [0, 4, HIGH, 0], granted, "a change, by a pointer without low bits"),
        ("prlimit64", [0, 4, LOW, HIGH], REFUSED, "a change that asks as well"),
        ("prlimit64", [0, 4, HIGH, LOW], REFUSED, "the same"),
        ("prlimit64", [0, 7, HIGH, LOW], Allow, "another limit"),
        ("prlimit64", [5, 4, 0, LOW], REFUSED, "another process"),
        ("setrlimit", [4, LOW, 0, 0], granted, "a change"),
        ("setrlimit", [7, LOW, 0, 0], Allow, "another limit"),
        ("getrlimit", [4, LOW, 0, 0], Allow, "a question"),
    ] {
        let [a, b, c, d] = arguments;
        let call = call(number(name), [a, b, c, d, 0, 0]);
        assert_eq!(run(&workload(PLAIN), &call), Some(want), "{name}{arguments:x?}: {why}");
    }
}

#[test]
fn sockets() {
    use Answer::Allow;
    const CLOEXEC: u64 = 0o2_000_000;
    for (arguments, want, why) in [
        ([1, 1 | CLOEXEC, 0], Allow, "a stream between processes"),
        ([1, 5, 0], Allow, "packets between processes"),
        ([1, 2, 0], REFUSED, "datagrams reach path sockets"),
        ([1, 2 | CLOEXEC, 0], REFUSED, "with a flag"),
        ([1, 3, 0], REFUSED, "the kernel makes a datagram socket of it"),
        ([2, 1, 6], Allow, "TCP"),
        ([2, 2, 17], Allow, "UDP"),
        ([10, 1, 0], Allow, "TCP over IPv6"),
        ([2, 3, 1], REFUSED, "raw"),
        ([2, 1, 262], REFUSED, "MPTCP passes Landlock's TCP rules"),
        ([2, 5, 132], REFUSED, "SCTP"),
        ([16, 3, 0], Allow, "NETLINK_ROUTE"),
        ([16, 3, 12], REFUSED, "NETLINK_NETFILTER"),
        ([38, 5, 0], REFUSED, "AF_ALG"),
        ([40, 1, 0], REFUSED, "AF_VSOCK"),
        ([17, 3, 0], REFUSED, "AF_PACKET"),
        ([44, 3, 0], REFUSED, "AF_XDP"),
        ([0, 1, 0], REFUSED, "AF_UNSPEC"),
    ] {
        check("socket", &arguments, want, why);
        check("socketpair", &arguments, want, why);
    }
    for (level, option, want) in [
        (6, 31, REFUSED),
        (0, 17, REFUSED),
        (41, 35, REFUSED),
        (17, 100, REFUSED),
        (6, 1, Allow),
        (1, 31, Allow),
    ] {
        check("setsockopt", &[3, level, option], want, "level, option");
    }
}

#[test]
fn requests_to_devices_and_files() {
    use Answer::Allow;
    for (request, want, why) in [
        (0x5412, REFUSED, "TIOCSTI types into the terminal"),
        (0x541C, REFUSED, "TIOCLINUX pastes"),
        (0x5423, REFUSED, "TIOCSETD loads line disciplines"),
        (0x5413, Allow, "TIOCGWINSZ"),
        (0x5401, Allow, "TCGETS"),
        (0x4008_6602, REFUSED, "FS_IOC_SETFLAGS: chattr +i"),
        (0x4008_7602, REFUSED, "FS_IOC_SETVERSION"),
        (0x8008_6601, Allow, "FS_IOC_GETFLAGS"),
        (0x401C_5820, REFUSED, "FS_IOC_FSSETXATTR"),
        (0x801C_581F, Allow, "FS_IOC_FSGETXATTR"),
        (0xC028_660F, REFUSED, "EXT4_IOC_MOVE_EXT"),
        (0x0000_6611, REFUSED, "EXT4_IOC_SWAP_BOOT"),
        (0x4028_5881, REFUSED, "XFS_IOC_EXCHANGE_RANGE"),
        (0x4058_5883, REFUSED, "XFS_IOC_COMMIT_RANGE"),
        (0xC0C0_586D, REFUSED, "XFS_IOC_SWAPEXT"),
        (0x4030_582B, REFUSED, "FS_IOC_UNRESVSP64: a hole, on every file system"),
        (0x4030_5839, REFUSED, "FS_IOC_ZERO_RANGE"),
        (0x4018_F514, REFUSED, "F2FS_IOC_SEC_TRIM_FILE"),
        (0x4004_9409, Allow, "FICLONE"),
        (0xC018_9436, Allow, "FIDEDUPERANGE"),
        (0x5000_9401, REFUSED, "BTRFS_IOC_SNAP_CREATE"),
        (0x5000_940F, REFUSED, "BTRFS_IOC_SNAP_DESTROY"),
    ] {
        check("ioctl", &[3, request], want, why);
    }
}

#[test]
fn init_can_do_next_to_nothing() {
    use Answer::Allow;
    for (name, arguments, want) in [
        ("mmap", [0, 4096, 3], Allow),
        ("mmap", [0, 4096, 7], REFUSED),
        ("mprotect", [0, 4096, 5], REFUSED),
        ("wait4", [0, 0, 0], Allow),
        ("execve", [0, 0, 0], REFUSED),
        ("openat", [0, 0, 0], REFUSED),
        ("clone", [0x11, 0, 0], REFUSED),
        ("socket", [1, 1, 0], REFUSED),
        ("mount", [0, 0, 0], REFUSED),
    ] {
        let [a, b, c] = arguments;
        assert_eq!(run(&init(), &call(number(name), [a, b, c, 0, 0, 0])), Some(want), "{name}");
    }
}

#[test]
fn what_the_broker_keeps() {
    use Answer::Allow;
    let program = broker();
    let rules: BTreeMap<u32, Rule> = ours::BROKER.iter().map(|(n, _, rule)| (*n, *rule)).collect();
    for number in 0..2000 {
        if !rules.contains_key(&number) {
            for arguments in [[0; 6], [u64::MAX; 6]] {
                assert_eq!(run(&program, &call(number, arguments)), Some(REFUSED), "{number}");
            }
        }
    }
    for (name, arguments, want, why) in [
        ("openat", [0, 0, 0o101], Allow, "what a caller may open"),
        ("renameat2", [0, 0, 0], Allow, "what a caller may rename"),
        ("renameat", [0, 0, 0], Allow, "git's settings, as they were checked"),
        ("process_vm_readv", [7, 0, 1], Allow, "a caller's arguments"),
        ("pidfd_getfd", [3, 4, 0], Allow, "a caller's descriptor"),
        ("ioctl", [3, 0xC050_2100, 0], Allow, "NOTIF_RECV"),
        ("ioctl", [3, 0xC018_2101, 0], Allow, "NOTIF_SEND"),
        ("ioctl", [3, 0x4008_2102, 0], Allow, "NOTIF_ID_VALID"),
        ("ioctl", [3, 0x4018_2103, 0], Allow, "NOTIF_ADDFD"),
        ("ioctl", [3, 0x4008_2104, 0], Allow, "NOTIF_SET_FLAGS"),
        ("ioctl", [3, 0x5412, 0], REFUSED, "TIOCSTI"),
        ("ioctl", [3, 0x5000_9401, 0], REFUSED, "BTRFS_IOC_SNAP_CREATE"),
        ("unshare", [0x200, 0, 0], Allow, "CLONE_FS"),
        ("unshare", [0x600, 0, 0], REFUSED, "CLONE_FILES besides"),
        ("unshare", [0x1000_0200, 0, 0], REFUSED, "CLONE_NEWUSER besides"),
        ("prctl", [15, 0, 0], Allow, "PR_SET_NAME"),
        ("prctl", [4, 1, 0], REFUSED, "PR_SET_DUMPABLE: init stays closed"),
        ("fcntl", [3, 4, 0], Allow, "F_SETFL"),
        ("fcntl", [3, 1030, 0], Allow, "F_DUPFD_CLOEXEC"),
        ("fcntl", [3, 1033, 0], Allow, "F_ADD_SEALS"),
        ("fcntl", [3, 8, 1], REFUSED, "F_SETOWN"),
        ("fcntl", [3, 1024, 0], REFUSED, "F_SETLEASE"),
        ("mmap", [0, 4096, 3], Allow, "memory"),
        ("mmap", [0, 4096, 5], REFUSED, "a program"),
        ("mprotect", [0, 4096, 4], REFUSED, "a program"),
        ("execve", [0, 0, 0], REFUSED, "a program"),
        ("execveat", [0, 0, 0], REFUSED, "a program"),
        ("socket", [1, 1, 0], REFUSED, "a socket"),
        ("mount", [0, 0, 0], REFUSED, "a mount"),
        ("clone", [0x003D_0F00, 0, 0], REFUSED, "a thread"),
        ("ptrace", [16, 7, 0], REFUSED, "another process"),
        ("kill", [7, 9, 0], REFUSED, "a signal"),
        ("setns", [3, 0, 0], REFUSED, "a namespace"),
        ("openat2", [0, 0, 0], Allow, "a way without links of /proc"),
        ("io_uring_setup", [1, 0, 0], REFUSED, "a second door into the kernel"),
    ] {
        let [a, b, c] = arguments;
        let got = run(&program, &call(number(name), [a, b, c, 0, 0, 0]));
        assert_eq!(got, Some(want), "{name}: {why}");
    }
}

#[test]
fn what_the_gateway_keeps() {
    use Answer::Allow;
    let rules: BTreeMap<u32, Rule> = ours::GATEWAY.iter().map(|(n, _, rule)| (*n, *rule)).collect();
    for number in 0..2000 {
        if !rules.contains_key(&number) {
            assert_eq!(run(&gateway(), &call(number, [0; 6])), Some(REFUSED), "{number}");
        }
    }
    for (name, arguments, want, why) in [
        ("socket", [2, 1, 6], Allow, "a stream of the Internet"),
        ("socket", [10, 0o2_004_002, 17], Allow, "packets, with flags"),
        ("socket", [2, 3, 1], REFUSED, "a raw socket"),
        ("socket", [1, 1, 0], REFUSED, "AF_UNIX"),
        ("socket", [16, 3, 0], REFUSED, "AF_NETLINK: it was made before"),
        ("socket", [40, 1, 0], REFUSED, "AF_VSOCK"),
        ("ioctl", [3, 0x5421, 0], Allow, "FIONBIO"),
        ("ioctl", [3, 0x8901, 0], REFUSED, "FIOSETOWN"),
        ("fcntl", [3, 4, 0], Allow, "F_SETFL"),
        ("fcntl", [3, 1030, 0], Allow, "F_DUPFD_CLOEXEC"),
        ("fcntl", [3, 1031, 1 << 20], Allow, "F_SETPIPE_SZ"),
        ("fcntl", [3, 8, 1], REFUSED, "F_SETOWN"),
        ("fcntl", [3, 10, 9], REFUSED, "F_SETSIG"),
        ("fcntl", [3, 15, 0], REFUSED, "F_SETOWN_EX"),
        ("fcntl", [3, 1024, 0], REFUSED, "F_SETLEASE"),
        ("mmap", [0, 1, 3], Allow, "memory"),
        ("mmap", [0, 1, 5], REFUSED, "a program"),
        ("setsockopt", [3, 6, 31], REFUSED, "TCP_ULP"),
        ("openat", [0, 0, 0], REFUSED, "a file"),
        ("execve", [0, 0, 0], REFUSED, "a program"),
        ("clone", [0, 0, 0], REFUSED, "a process"),
        ("kill", [1, 9, 0], REFUSED, "a signal"),
    ] {
        let [a, b, c] = arguments;
        let got = run(&gateway(), &call(number(name), [a, b, c, 0, 0, 0]));
        assert_eq!(got, Some(want), "{name}: {why}");
    }
}
