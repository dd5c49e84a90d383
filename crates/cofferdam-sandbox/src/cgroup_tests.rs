//! Groups in a tree that looks like a machine's: what is made, written, read and removed.

use super::*;

/// A machine in a directory.
struct Fake {
    root: PathBuf,
}

impl Fake {
    fn new(name: &str, own: &str, mounts: &str) -> Self {
        let root =
            std::env::temp_dir().join(format!("cofferdam-test-cg-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        let fake = Self { root };
        fake.write("proc/self/cgroup", own);
        fake.write("proc/self/mountinfo", mounts);
        fake.process(std::process::id(), 1, 77);
        fake
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    fn process(&self, pid: u32, parent: u32, born: u64) {
        let stat = format!("{pid} (a) b) S {parent} {} {born} 0\n", ["0"; 17].join(" "));
        self.write(&format!("proc/{pid}/stat"), &stat);
    }

    fn make(&self) -> Option<Group> {
        Group::make(&self.root)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.root));
    }
}

const V2: &str = "24 1 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "30 24 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n\
                  31 24 0:28 / /cg/pids rw shared:9 - cgroup cgroup rw,pids\n\
                  32 24 0:29 /outer /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                  33 24 0:30 / /cg/unified rw - cgroup2 cgroup2 rw\n";

fn bounds() -> Bounds {
    Bounds { memory: Some(2 << 30), processes: Some(65), cpus: Some(1_500), ..Bounds::default() }
}

fn own_name() -> String {
    format!("cofferdam-0-{}-77", std::process::id())
}

#[test]
fn version_2_in_a_delegated_scope() {
    let fake = Fake::new("delegated", "0::/user/a.scope\n", V2);
    let scope = "sys/fs/cgroup/user/a.scope";
    let me = std::process::id();
    fake.process(4_000_001, me, 78);
    fake.write(&format!("{scope}/cgroup.controllers"), "cpu memory pids\n");
    fake.write(&format!("{scope}/cgroup.subtree_control"), "\n");
    fake.write(&format!("{scope}/cgroup.procs"), &format!("{me}\n4000001\n"));
    let mut group = fake.make().unwrap();
    let all = Groups { version: 2, memory: true, processes: true, cpus: true };
    assert_eq!(group.groups(), all);
    assert_eq!(fake.read(&format!("{scope}/cgroup.subtree_control")), "+memory +pids +cpu");
    let leaf = format!("{scope}/{}-engine", own_name());
    assert_eq!(fake.read(&format!("{leaf}/cgroup.procs")), "4000001", "we and our child moved");
    let at = format!("{scope}/{}-0", own_name());
    fake.write(&format!("{at}/memory.swap.max"), "max");
    fake.write(&format!("{at}/memory.oom.group"), "0");
    group.set(&bounds()).unwrap();
    assert_eq!(group.inside(|| 7).unwrap(), 7, "processes are moved, not threads");
    assert_eq!(fake.read(&format!("{at}/tasks")), "");
    enter(&group.entrances(), 123).unwrap();
    assert!(group.entrances().is_empty(), "once");
    for (file, want) in [
        ("memory.max", "2147483648"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "65"),
        ("cpu.max", "150000 100000"),
        ("cgroup.procs", "123"),
    ] {
        assert_eq!(fake.read(&format!("{at}/{file}")), want, "{file}");
    }
    fake.write(&format!("{at}/memory.events"), "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\n");
    fake.write(&format!("{at}/pids.events"), "max 5\n");
    assert_eq!(group.used(), Used { killed: 2, refused: 5 });
    group.hasten();
    assert_eq!(fake.read(&format!("{at}/cpu.max")), "max", "who is killed ends soon");
    // The kernel takes a group away with its files; here they have to go first.
    fs::remove_dir_all(fake.root.join(&at)).unwrap();
    fs::create_dir(fake.root.join(&at)).unwrap();
    drop(group);
    assert!(!fake.root.join(&at).exists(), "removed at the end");
    // The next sandbox of the same engine, which is in its leaf now.
    fake.write("proc/self/cgroup", &format!("0::/user/a.scope/{}-engine\n", own_name()));
    fake.write(&format!("{scope}/cgroup.subtree_control"), "memory pids cpu\n");
    let again = fake.make().unwrap();
    assert!(again.places[0].at.ends_with(format!("a.scope/{}-0", own_name())), "{again:?}");
}

/// Where there is nothing to be had, nothing is changed.
#[test]
fn version_2_where_it_is_not_ours() {
    let me = std::process::id();
    for (controllers, enabled, inside, why) in [
        ("cpu memory pids", "", format!("{me}\n1\n"), "somebody else is in it"),
        ("cpu memory pids", "", format!("{me}\n0\n"), "somebody of another pid namespace is in it"),
        ("hugetlb", "", format!("{me}\n"), "without the memory controller"),
    ] {
        let fake = Fake::new("others", "0::/a\n", V2);
        fake.write("sys/fs/cgroup/a/cgroup.controllers", controllers);
        fake.write("sys/fs/cgroup/a/cgroup.subtree_control", enabled);
        fake.write("sys/fs/cgroup/a/cgroup.procs", &inside);
        assert!(fake.make().is_none(), "{why}");
        assert_eq!(fake.read("sys/fs/cgroup/a/cgroup.subtree_control"), enabled, "{why}");
        let names = fs::read_dir(fake.root.join("sys/fs/cgroup/a")).unwrap().count();
        assert_eq!(names, 3, "{why}: nothing was made");
    }
    for (own, why) in [
        ("0::/../other\n", "outside of the cgroup namespace"),
        ("1:name=systemd:/\n", "no version 2"),
        ("", "nothing at all"),
    ] {
        assert!(Fake::new("none", own, V2).make().is_none(), "{why}");
    }
}

/// Root is not delegated anything, and need not be: the top has the controllers on.
#[test]
fn version_2_at_the_top() {
    for (file, bound, want) in [
        ("memory.max", "max", true),
        ("memory.max", "1073741824", false),
        ("memory.high", "1073741824", false),
        ("cpu.max", "max 100000", true),
        ("cpu.max", "50000 100000", false),
    ] {
        let fake = Fake::new("top", "0::/user/session-1.scope\n", V2);
        let session = "sys/fs/cgroup/user/session-1.scope";
        fake.write("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        fake.write("sys/fs/cgroup/cgroup.subtree_control", "memory pids\n");
        fake.write(&format!("{session}/cgroup.controllers"), "memory pids\n");
        fake.write(&format!("{session}/cgroup.subtree_control"), "");
        fake.write(&format!("{session}/cgroup.procs"), "1\n");
        fake.write(&format!("sys/fs/cgroup/user/{file}"), bound);
        let group = fake.make();
        assert_eq!(group.is_some(), want, "who is bounded from outside stays so: {file} {bound}");
        let at = fake.root.join(format!("sys/fs/cgroup/{}-0", own_name()));
        assert_eq!(at.exists(), want);
    }
}

#[test]
fn version_1() {
    let own = "9:cpu,cpuacct:/outer/mine\n8:pids:/\n4:memory:/a/b\n0::/\n";
    let fake = Fake::new("first", own, V1);
    for place in ["cg/memory/a/b", "cg/pids", "cg/cpu/mine", "cg/unified"] {
        fs::create_dir_all(fake.root.join(place)).unwrap();
    }
    // A killed engine's, one that lives, and something of somebody else's.
    fake.process(4_000_002, 1, 500);
    // And one of another pid namespace, where that number may live.
    let stranger = "cofferdam-7-4000001-400-0";
    let dead = ["cofferdam-0-4000001-400-0", "cofferdam-0-4000002-499-0"];
    for name in dead.into_iter().chain(["cofferdam-0-4000002-500-0", stranger, "x"]) {
        fs::create_dir(fake.root.join("cg/memory/a/b").join(name)).unwrap();
    }
    let mut group = fake.make().unwrap();
    let most = Groups { version: 1, memory: true, processes: true, cpus: false };
    assert_eq!(group.groups(), most);
    let name = format!("{}-0", own_name());
    let there = || fake.read(&format!("cg/memory/a/b/{name}/tasks"));
    let back = || fake.read("cg/memory/a/b/tasks");
    group.inside(|| assert_eq!((there(), back()), ("0".into(), String::new()))).unwrap();
    assert_eq!(back(), "0", "the thread is out again");
    group.add_cpus(&fake.root);
    assert_eq!(group.groups(), Groups { cpus: true, ..most });
    fs::remove_file(fake.root.join("cg/memory/a/b/tasks")).unwrap();
    let left = fs::read_dir(fake.root.join("cg/memory/a/b")).unwrap().flatten();
    let mut left: Vec<_> = left.map(|e| e.file_name().into_string().unwrap()).collect();
    left.sort();
    let own = format!("{}-0", own_name());
    let mut want = vec!["cofferdam-0-4000002-500-0".into(), own, stranger.into(), "x".into()];
    want.sort();
    assert_eq!(left, want, "what dead engines left is gone");
    group.set(&bounds()).unwrap();
    enter(&group.entrances(), 123).unwrap();
    for (file, want) in [
        (format!("cg/memory/a/b/{name}/memory.limit_in_bytes"), "2147483648"),
        (format!("cg/memory/a/b/{name}/cgroup.procs"), ""),
        (format!("cg/pids/{name}/pids.max"), "65"),
        (format!("cg/pids/{name}/tasks"), "0"),
        (format!("cg/cpu/mine/{name}/cgroup.procs"), "123"),
        (format!("cg/cpu/mine/{name}/cpu.cfs_period_us"), "100000"),
        (format!("cg/cpu/mine/{name}/cpu.cfs_quota_us"), "150000"),
    ] {
        assert_eq!(fake.read(&file), want, "{file}");
    }
    fake.write(
        &format!("cg/memory/a/b/{name}/memory.oom_control"),
        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    );
    assert_eq!(group.used(), Used { killed: 3, refused: 0 });
    group.hasten();
    assert_eq!(fake.read(&format!("cg/cpu/mine/{name}/cpu.cfs_quota_us")), "-1");
    let second = fake.make().unwrap();
    assert!(second.places[0].at.ends_with(format!("{}-1", own_name())), "one for each sandbox");
    // A limit without a controller is never dropped silently.
    assert!(second.set(&bounds()).is_err());
}
