//! Every number of every architecture through the interpreter, and arguments row by row.

use std::collections::BTreeMap;

use super::interpret::{Call, run};
use super::*;

const REFUSED: Answer = Answer::Errno(EPERM);
const MISSING: Answer = Answer::Errno(ENOSYS);

fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { number, arch: ARCH, arguments }
}

fn number(name: &str) -> u32 {
    let row = table::WORKLOAD.iter().find(|(_, known, _)| *known == name);
    row.map_or(u32::MAX, |(number, ..)| *number)
}

#[test]
fn the_table_is_sorted_and_names_nothing_twice() {
    for table in [table::WORKLOAD, table::INIT, table::GATEWAY] {
        assert!(table.is_sorted_by(|a, b| a.0 < b.0), "numbers rise");
    }
    let names: BTreeMap<&str, u32> =
        table::WORKLOAD.iter().map(|(n, name, _)| (*name, *n)).collect();
    assert_eq!(names.len(), table::WORKLOAD.len(), "each name once");
    for (n, name, _) in table::INIT.iter().chain(table::GATEWAY) {
        assert_eq!(names.get(name), Some(n), "both tables agree on {name}");
    }
}

#[test]
fn the_kernel_takes_the_programs() {
    for program in [workload(), init(), gateway()] {
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
    let program = workload();
    let rules: BTreeMap<u32, Rule> =
        table::WORKLOAD.iter().map(|(n, _, rule)| (*n, *rule)).collect();
    let edges = [0x3FFF_FFFE, 0x3FFF_FFFF, X32, X32 + 1, X32 + 59, u32::MAX - 1, u32::MAX];
    for number in (0..2000).chain(edges) {
        let want = match rules.get(&number) {
            Some(Rule::Allow) => Some(Answer::Allow),
            Some(Rule::Refuse) => Some(REFUSED),
            Some(Rule::Missing) | None => Some(MISSING),
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
            assert_eq!(run(&workload(), &call), Some(MISSING), "{arch:#x} {number}");
            assert_eq!(run(&init(), &call), Some(REFUSED), "{arch:#x} {number}");
            assert_eq!(run(&gateway(), &call), Some(REFUSED), "{arch:#x} {number}");
        }
    }
}

#[track_caller]
fn check(name: &str, arguments: &[u64], want: Answer, why: &str) {
    let mut all = [0; 6];
    for (to, from) in all.iter_mut().zip(arguments) {
        *to = *from;
    }
    assert_eq!(
        run(&workload(), &call(number(name), all)),
        Some(want),
        "{name}{arguments:x?}: {why}"
    );
    // The kernel reads an int here: the upper half must change nothing.
    let high = all.map(|argument| argument | 0xDEAD_BEEF_0000_0000);
    assert_eq!(run(&workload(), &call(number(name), high)), Some(want), "{name}: high bits: {why}");
}

#[test]
fn modes_and_names() {
    use Answer::Allow;
    const CREAT: u64 = 0o100;
    const TMPFILE: u64 = 0o20_200_000;
    for (name, arguments, want, why) in [
        ("openat", &[0, 0, CREAT, 0o644][..], Allow, "an ordinary file"),
        ("openat", &[0, 0, 0, 0o4755], Allow, "no file is made: the mode is not read"),
        ("openat", &[0, 0, 0o200_000, 0o4755], Allow, "a directory is opened, not made"),
        ("openat", &[0, 0, CREAT, 0o4755], REFUSED, "setuid"),
        ("openat", &[0, 0, CREAT, 0o2755], REFUSED, "setgid"),
        ("openat", &[0, 0, TMPFILE, 0o4755], REFUSED, "setuid, nameless yet"),
        ("open", &[0, CREAT | 1, 0o4755], REFUSED, "the older call"),
        ("open", &[0, CREAT | 1, 0o1777], Allow, "sticky is harmless"),
        ("creat", &[0, 0o4755], REFUSED, "the oldest call"),
        ("chmod", &[0, 0o755], Allow, "an ordinary mode"),
        ("chmod", &[0, 0o4755], REFUSED, "setuid"),
        ("fchmod", &[0, 0o2755], REFUSED, "setgid"),
        ("fchmodat", &[0, 0, 0o4755], REFUSED, "setuid"),
        ("fchmodat2", &[0, 0, 0o4755, 0], REFUSED, "setuid, the newest call"),
        ("mknod", &[0, 0o010_644], Allow, "a FIFO"),
        ("mknod", &[0, 0o104_755], REFUSED, "a setuid file"),
        ("mknodat", &[0, 0, 0o020_644], REFUSED, "a character device, or a whiteout"),
        ("mknodat", &[0, 0, 0o060_644], REFUSED, "a block device"),
        ("mknodat", &[0, 0, 0o140_644], Allow, "a socket's name"),
        ("renameat2", &[0, 0, 0, 0, 1], Allow, "RENAME_NOREPLACE"),
        ("renameat2", &[0, 0, 0, 0, 4], REFUSED, "RENAME_WHITEOUT"),
        ("renameat2", &[0, 0, 0, 0, 5], REFUSED, "beside another flag"),
    ] {
        check(name, arguments, want, why);
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
        ("setpriority", &[1, 7, 19], Allow, "another group"),
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
    assert_eq!(run(&workload(), &call(999, [0; 6])), Some(MISSING), "a call of a later kernel");
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
        assert_eq!(run(&workload(), &call), Some(want), "{name}{arguments:x?}: {why}");
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
fn what_the_gateway_keeps() {
    use Answer::Allow;
    let rules: BTreeMap<u32, Rule> =
        table::GATEWAY.iter().map(|(n, _, rule)| (*n, *rule)).collect();
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
