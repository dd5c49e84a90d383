//! What a report of a fault needs of the machine, and no plan depends on: distribution, security
//! modules, cgroups, signs of a container. Names no person and no directory of theirs.

use std::fs;
use std::path::Path;

/// Longest text that is taken over from a file of the machine. Letters.
const LETTERS_MAX: usize = 200;

/// The machine, as far as nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `PRETTY_NAME` of `/etc/os-release` (`os-release(5)`).
    pub distribution: Option<String>,
    /// `/sys/kernel/security/lsm`, in its order; empty where it is not mounted.
    pub security_modules: Vec<String>,
    /// Which hierarchies are mounted.
    pub cgroups: Cgroups,
    /// What speaks for a container or an outer namespace, each in a few words.
    pub container: Vec<String>,
    /// Whether the caller's user is 0.
    pub root: bool,
}

/// Hierarchies of control groups (`cgroups(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// None is mounted.
    Absent,
    /// Version 1 alone.
    V1,
    /// Version 2 alone.
    V2,
    /// Both: controllers of one may be with the other.
    Hybrid,
}

impl Cgroups {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "v1 and v2",
        }
    }

    /// What `/proc/self/mountinfo` says (`proc_pid_mountinfo(5)`).
    fn of(mounts: &str) -> Self {
        let has = |kind: &str| {
            let mut kinds =
                mounts.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
            kinds.any(|found| found == kind)
        };
        match (has("cgroup"), has("cgroup2")) {
            (false, false) => Self::Absent,
            (true, false) => Self::V1,
            (false, true) => Self::V2,
            (true, true) => Self::Hybrid,
        }
    }
}

/// Reads the machine.
#[must_use]
pub fn machine() -> Machine {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mounts = text("/proc/self/mountinfo");
    let modules = text("/sys/kernel/security/lsm");
    let modules = modules.trim().split(',').filter(|name| !name.is_empty());
    Machine {
        distribution: pretty_name(&text("/etc/os-release")),
        security_modules: modules.map(short).collect(),
        cgroups: Cgroups::of(&mounts),
        container: container(&mounts, &text("/proc/self/uid_map")),
        root: rustix::process::geteuid().is_root(),
    }
}

fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(short(value.trim_matches(['"', '\'']))).filter(|name| !name.is_empty())
}

fn container(mounts: &str, users: &str) -> Vec<String> {
    let mut signs = Vec::new();
    let files = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    signs.extend(files.into_iter().filter(|path| Path::new(path).exists()).map(String::from));
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let root = root.and_then(|line| line.split_once(" - ")?.1.split(' ').next());
    if root == Some("overlay") {
        signs.push("the root is an overlay".into());
    }
    let whole = users.split_whitespace().eq(["0", "0", "4294967295"]);
    if !users.is_empty() && !whole {
        signs.push("a user namespace".into());
    }
    signs
}

fn short(text: &str) -> String {
    text.chars().take(LETTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "31 25 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";
    const V2: &str = "30 25 0:25 / /sys/fs/cgroup/unified rw shared:8 - cgroup2 cgroup2 rw\n";
    const ROOT: &str = "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

    #[test]
    fn hierarchies() {
        for (mounts, want) in [
            (String::new(), Cgroups::Absent),
            (ROOT.to_owned(), Cgroups::Absent),
            ([ROOT, V1].concat(), Cgroups::V1),
            ([ROOT, V2].concat(), Cgroups::V2),
            ([V1, V2].concat(), Cgroups::Hybrid),
        ] {
            assert_eq!(Cgroups::of(&mounts), want, "{mounts}");
        }
    }

    #[test]
    fn names_and_signs() {
        let debian = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(debian).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("ID=x\n"), None);
        assert_eq!(pretty_name("PRETTY_NAME=\"\"\n"), None);
        let overlay = "25 1 0:30 / / rw - overlay overlay rw\n";
        let whole = "         0          0 4294967295\n";
        let signs = |mounts, users| -> Vec<String> {
            let all = container(mounts, users);
            all.into_iter().filter(|sign| !sign.starts_with('/')).collect()
        };
        assert!(signs(ROOT, whole).is_empty());
        assert_eq!(signs(overlay, whole), ["the root is an overlay"]);
        assert_eq!(signs(ROOT, "0 1000 1\n"), ["a user namespace"]);
    }
}
