//! Control groups (`cgroups(7)`): what counts and limits all processes of a sandbox together.
//!
//! Files only, below a root that a test can choose. What can be had is found out by doing: a group
//! is made where this process may make one, in version 2 where its own group is delegated or it is
//! root, in version 1 as the host has mounted it. Who holds which limit is the plan's to decide.
//!
//! A group is removed when the sandbox is gone. One that a killed engine left is empty, carries that
//! engine's number and start time, and is removed by the next start.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use cofferdam_plan::host::Groups;
use cofferdam_plan::plan::Bounds;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Begins the name of every group of ours.
const PREFIX: &str = "cofferdam-";
/// A group of another pid namespace that is empty after this is nobody's.
const STRANGERS_MOMENT: Duration = Duration::from_secs(60);
/// Ends the name of the group that an engine goes into itself.
const LEAF: &str = "-engine";
/// Groups that one start removes for others: each is a few small reads.
const SWEPT_MAX: usize = 64;
/// A group whose last process has just ended may be busy for a moment.
const REMOVAL_TRIES: u32 = 50;
const REMOVAL_PAUSE: Duration = Duration::from_micros(200);
/// A thousand processes end within a few of these.
const KILL_ROUNDS: u32 = 500;
const KILL_PAUSE: Duration = Duration::from_millis(2);
/// Microseconds over which processor time is shared out, the kernel's own default.
const PERIOD: u64 = 100_000;

const MEMORY: &str = "memory";
const PIDS: &str = "pids";
const CPU: &str = "cpu";

/// A group of our own, empty until a sandbox enters it; removed when dropped.
#[derive(Debug)]
pub struct Group {
    version: u8,
    /// One directory of each hierarchy.
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    at: PathBuf,
    controllers: Vec<&'static str>,
    /// Whether init was started inside.
    entered: bool,
}

/// What happened in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Kills for want of memory.
    pub killed: u64,
    /// New processes and threads that were refused.
    pub refused: u64,
}

/// Where this process is, and where that can be found.
struct Machine<'a> {
    root: &'a Path,
    /// Number and start time of this process, which no other ever has.
    me: (u32, u64),
    /// `/proc/self/cgroup`: controllers and path.
    own: Vec<(String, String)>,
    mounts: Vec<Mount>,
}

/// A mounted hierarchy (`proc_pid_mountinfo(5)`).
struct Mount {
    kind: String,
    /// The group that is at `at`.
    top: String,
    at: PathBuf,
    controllers: String,
}

impl Group {
    /// Makes a group for one sandbox. `None` where this process may make none.
    ///
    /// `root` is `/`, or a tree that looks like it.
    #[must_use]
    pub fn make(root: &Path) -> Option<Self> {
        let machine = Machine::read(root)?;
        machine.second().or_else(|| machine.first(&[MEMORY, PIDS]))
    }

    /// Adds the cpu controller, where it can be had and is not there yet: in version 1 it is a
    /// hierarchy of its own, which few need.
    pub fn add_cpus(&mut self, root: &Path) {
        if self.version == 1 && self.place(CPU).is_none() {
            let more = Machine::read(root).and_then(|machine| machine.first(&[CPU]));
            self.places.extend(
                more.map(|mut more| std::mem::take(&mut more.places)).into_iter().flatten(),
            );
        }
    }

    /// What it can hold.
    #[must_use]
    pub fn groups(&self) -> Groups {
        let has = |name| self.place(name).is_some();
        Groups { version: self.version, memory: has(MEMORY), processes: has(PIDS), cpus: has(CPU) }
    }

    fn place(&self, controller: &str) -> Option<&Path> {
        let place = self.places.iter().find(|place| place.controllers.contains(&controller));
        place.map(|place| place.at.as_path())
    }

    /// Starts something inside, in version 1: the calling thread goes in, and out again. Moving
    /// another process waits for the whole machine (an RCU grace period, 5 to 15 ms); a thread that
    /// moves itself does not (Linux 5.5). In version 2 only whole processes can be moved.
    ///
    /// # Errors
    /// The thread could not come back, and is limited like the sandbox.
    pub fn inside<T>(&mut self, start: impl FnOnce() -> T) -> io::Result<T> {
        if self.version == 1 {
            for place in &mut self.places {
                place.entered = put(&place.at, "tasks", 0).is_ok();
            }
        }
        let started = start();
        for place in self.places.iter().filter(|place| place.entered) {
            put(place.at.parent().unwrap_or(&place.at), "tasks", 0)?;
        }
        Ok(started)
    }

    /// The files that a process is to be written to, by [`enter`], where it was not started inside.
    #[must_use]
    pub fn entrances(&mut self) -> Vec<PathBuf> {
        let missing = self.places.iter_mut().filter(|place| !place.entered);
        missing
            .map(|place| {
                place.entered = true;
                place.at.join("cgroup.procs")
            })
            .collect()
    }

    /// Sets its limits.
    ///
    /// # Errors
    /// The kernel refuses a value, or a limit has no controller here.
    pub fn set(&self, bounds: &Bounds) -> io::Result<()> {
        let none = || io::Error::from(io::ErrorKind::Unsupported);
        let first = self.version == 1;
        if let Some(bytes) = bounds.memory {
            let at = self.place(MEMORY).ok_or_else(none)?;
            let (limit, swap) = if first {
                ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes))
            } else {
                ("memory.max", ("memory.swap.max", 0))
            };
            put(at, limit, bytes)?;
            // Where the kernel counts swap, none is to be had beyond the limit.
            if at.join(swap.0).exists() {
                put(at, swap.0, swap.1)?;
            }
            // The whole sandbox or nothing: half a build is worse than none.
            if at.join("memory.oom.group").exists() {
                put(at, "memory.oom.group", 1)?;
            }
        }
        if let Some(count) = bounds.processes {
            put(self.place(PIDS).ok_or_else(none)?, "pids.max", count)?;
        }
        if let Some(thousandths) = bounds.cpus {
            let at = self.place(CPU).ok_or_else(none)?;
            let quota = thousandths.saturating_mul(PERIOD / 1_000);
            if first {
                put(at, "cpu.cfs_period_us", PERIOD)?;
                put(at, "cpu.cfs_quota_us", quota)?;
            } else {
                put(at, "cpu.max", format!("{quota} {PERIOD}"))?;
            }
        }
        Ok(())
    }

    /// Takes the limit on processors off: who is killed needs some of their time to end, and a
    /// hundredth of one for a thousand processes is minutes.
    pub(crate) fn hasten(&self) {
        let Some(at) = self.place(CPU) else { return };
        let (file, none) =
            if self.version == 1 { ("cpu.cfs_quota_us", "-1") } else { ("cpu.max", "max") };
        // Without, the end only takes longer.
        put(at, file, none).unwrap_or(());
    }

    /// Kills what is left in it, where no pid namespace ends with init: until it is empty, or for a second.
    pub(crate) fn kill(&self) {
        self.hasten();
        for _ in 0..KILL_ROUNDS {
            let mut left = false;
            for place in &self.places {
                let listed = || words(&place.at.join("cgroup.procs"));
                let held = listed().iter().filter_map(|process| hold(process)).collect::<Vec<_>>();
                left |= !held.is_empty();
                // Version 2, Linux 5.14: all of them at once.
                if held.is_empty() || put(&place.at, "cgroup.kill", 1).is_ok() {
                    continue;
                }
                // Who is in the group still is no other that got the number meanwhile.
                let still = listed();
                for (process, held) in held {
                    if still.contains(&process) {
                        pidfd_send_signal(held, Signal::KILL).unwrap_or(());
                    }
                }
            }
            if !left {
                return;
            }
            // Nobody begins another while they are ended.
            if let Some(at) = self.place(PIDS) {
                put(at, "pids.max", 0).unwrap_or(());
            }
            sleep(KILL_PAUSE);
        }
    }

    /// Which limits were met, as far as the kernel counts.
    #[must_use]
    pub fn used(&self) -> Used {
        let kills = if self.version == 1 { "memory.oom_control" } else { "memory.events" };
        let count = |controller, file, key| {
            self.place(controller).map_or(0, |at| line(&at.join(file), key))
        };
        Used {
            killed: count(MEMORY, kills, "oom_kill"),
            refused: count(PIDS, "pids.events", "max"),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for place in &self.places {
            remove(&place.at);
        }
    }
}

/// Puts a process in groups; what it forks from then on is inside.
///
/// # Errors
/// It is gone, or may not be moved.
pub fn enter(entrances: &[PathBuf], process: u32) -> io::Result<()> {
    entrances.iter().try_for_each(|file| fs::write(file, process.to_string()))
}

/// Names this process and no other, ever.
pub(crate) fn own_name(root: &Path) -> Option<String> {
    let me = std::process::id();
    Some(format!("{me}-{}", born(root, me)?))
}

/// A process of a group, held by its number; never this one.
fn hold(process: &str) -> Option<(String, OwnedFd)> {
    let number =
        process.parse().ok().filter(|number| *number != std::process::id().cast_signed())?;
    let held = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    Some((process.to_owned(), held))
}

/// Removes an empty group. One that stays is the next start's to remove.
fn remove(at: &Path) {
    for _ in 0..REMOVAL_TRIES {
        match fs::remove_dir(at) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => sleep(REMOVAL_PAUSE),
            Ok(()) | Err(_) => return,
        }
    }
}

fn put(at: &Path, file: &str, value: impl ToString) -> io::Result<()> {
    fs::write(at.join(file), value.to_string())
}

/// The number beside `key` in a file of such lines; 0 where there is none.
fn line(file: &Path, key: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == key);
    found.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

/// The words of a file.
fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

impl<'a> Machine<'a> {
    fn read(root: &'a Path) -> Option<Self> {
        let me = std::process::id();
        let own = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let own = own.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            Some((controllers.to_owned(), path.to_owned()))
        });
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        Some(Self {
            root,
            me: (me, born(root, me)?),
            own: own.collect(),
            mounts: mounts.lines().filter_map(Mount::of).collect(),
        })
    }

    /// A directory of the machine, below the root that it is looked at from.
    fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Where this process's own group of a mounted hierarchy is.
    fn place(&self, mount: &Mount, path: &str) -> Option<PathBuf> {
        // A path with `..` lies outside of this process's cgroup namespace.
        let inside = Path::new(path).strip_prefix(&mount.top).ok()?;
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_)));
        plain.then(|| self.below(&mount.at).join(inside))
    }

    fn name(&self) -> String {
        let (pid, born) = self.me;
        format!("{PREFIX}{}-{pid}-{born}", pid_namespace(self.root))
    }

    /// A new group below `parent`, with a name of its own.
    fn child(&self, parent: &Path) -> Option<PathBuf> {
        sweep(self.root, parent);
        // An engine may hold several sandboxes at once.
        (0..u16::MAX).find_map(|number| {
            let at = parent.join(format!("{}-{number}", self.name()));
            match fs::create_dir(&at) {
                Ok(()) => Some(Some(at)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                Err(_) => Some(None),
            }
        })?
    }

    /// Version 1: a hierarchy for each controller, or for some together.
    fn first(&self, wanted: &[&'static str]) -> Option<Group> {
        let mut group = Group { version: 1, places: Vec::new() };
        let mut parents: Vec<PathBuf> = Vec::new();
        for controller in wanted {
            let has = |list: &str| list.split(',').any(|name| name == *controller);
            let own = self.own.iter().find(|(names, _)| has(names));
            let mount =
                self.mounts.iter().find(|mount| mount.kind == "cgroup" && has(&mount.controllers));
            let parent = own.zip(mount).and_then(|((_, path), mount)| self.place(mount, path));
            let Some(parent) = parent else { continue };
            if let Some(index) = parents.iter().position(|known| *known == parent) {
                group.places.get_mut(index)?.controllers.push(controller);
            } else if let Some(at) = self.child(&parent) {
                parents.push(parent);
                group.places.push(Place { at, controllers: vec![controller], entered: false });
            }
        }
        (!group.places.is_empty()).then_some(group)
    }

    /// Version 2: below this process's own group where that is delegated, or for root at the top.
    fn second(&self) -> Option<Group> {
        let mount = self.mounts.iter().find(|mount| mount.kind == "cgroup2")?;
        let (_, path) = self.own.iter().find(|(controllers, _)| controllers.is_empty())?;
        let own = self.place(mount, path)?;
        let leaf = format!("{}{LEAF}", self.name());
        // An engine that has moved aside before.
        let own = if own.ends_with(&leaf) { own.parent()?.to_owned() } else { own };
        let top = self.below(&mount.at);
        // Not by processes: a system with systemd bounds those of every session and service, and the
        // sandbox has a number of its own.
        let bounded = |at: &Path| {
            ["memory.max", "memory.high", "cpu.max"]
                .iter()
                .any(|file| words(&at.join(file)).first().is_some_and(|limit| limit != "max"))
        };
        // Who is bounded by an outer group stays in it.
        let free = !own.ancestors().take_while(|at| **at != *top).any(bounded);
        let mut parents = vec![own.clone()];
        parents.extend((free && own != top).then_some(top));
        for parent in parents {
            let listed = |file: &str| -> Vec<&'static str> {
                let list = words(&parent.join(file));
                let has = |name: &&'static str| list.iter().any(|word| word == name);
                [MEMORY, PIDS, CPU].into_iter().filter(has).collect()
            };
            // What is off stays off, but in a group that is ours alone.
            let all = listed("cgroup.controllers");
            let alone = parent == own && all.contains(&MEMORY) && self.enable(&parent, &all, &leaf);
            let names = if alone { all } else { listed("cgroup.subtree_control") };
            if !names.contains(&MEMORY) {
                continue;
            }
            if let Some(at) = self.child(&parent) {
                let place = Place { at, controllers: names, entered: false };
                return Some(Group { version: 2, places: vec![place] });
            }
        }
        None
    }

    /// Gives children of `parent` the controllers `names`, where nobody but us is in it.
    fn enable(&self, parent: &Path, names: &[&str], leaf: &str) -> bool {
        let control = parent.join("cgroup.subtree_control");
        let enabled = words(&control);
        let missing: Vec<_> =
            names.iter().filter(|name| !enabled.iter().any(|e| e == *name)).collect();
        if missing.is_empty() {
            return true;
        }
        let inside = words(&parent.join("cgroup.procs"));
        if !inside.iter().all(|process| self.is_ours(process)) {
            return false;
        }
        // Processes are in leaves only (`cgroups(7)`, no internal processes).
        let leaf = parent.join(leaf);
        let moved =
            |to: &Path| inside.iter().try_for_each(|process| put(to, "cgroup.procs", process));
        let list: Vec<String> = missing.iter().map(|name| format!("+{name}")).collect();
        let made = fs::create_dir(&leaf).and_then(|()| moved(&leaf));
        let done = made.and_then(|()| fs::write(&control, list.join(" ")));
        if done.is_err() {
            // As it was; what cannot be moved back is as well off in the leaf.
            drop(moved(parent));
            remove(&leaf);
        }
        done.is_ok()
    }

    /// This process or a child of it.
    fn is_ours(&self, process: &str) -> bool {
        let Ok(process) = process.parse::<u32>() else { return false };
        process == self.me.0 || stat(self.root, process, PARENT) == Some(self.me.0.into())
    }
}

impl Mount {
    fn of(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (top, at) = (fields.next()?.to_owned(), PathBuf::from(fields.next()?));
        let mut rest = file_system.split(' ');
        let kind = rest.next().filter(|kind| kind.starts_with("cgroup"))?.to_owned();
        Some(Self { kind, top, at, controllers: rest.nth(1).unwrap_or_default().to_owned() })
    }
}

/// Fields of `/proc/PID/stat` after the name, from 0 (`proc_pid_stat(5)`).
const PARENT: usize = 1;
const BORN: usize = 19;

fn stat(root: &Path, process: u32, field: usize) -> Option<u64> {
    let text = fs::read_to_string(root.join(format!("proc/{process}/stat"))).ok()?;
    // The name may hold anything but ends with the last parenthesis.
    text.rsplit_once(')')?.1.split_whitespace().nth(field)?.parse().ok()
}

/// When a process began, in ticks since the machine did.
fn born(root: &Path, process: u32) -> Option<u64> {
    stat(root, process, BORN)
}

/// The pid namespace of this process, by its inode (`pid_namespaces(7)`); 0 where it is not known.
fn pid_namespace(root: &Path) -> u64 {
    let link = fs::read_link(root.join("proc/self/ns/pid")).unwrap_or_default();
    let inode = link.to_str().and_then(|text| text.strip_prefix("pid:[")?.strip_suffix(']'));
    inode.and_then(|inode| inode.parse().ok()).unwrap_or(0)
}

/// Removes the groups of engines that are gone. A group in use is never empty, and stays. Of another pid
/// namespace nobody here knows who lives, and a group is empty for a moment before its sandbox is in it.
fn sweep(root: &Path, parent: &Path) {
    let own = pid_namespace(root);
    let names = fs::read_dir(parent).into_iter().flatten().flatten();
    let gone = names.filter_map(|entry| {
        let name = entry.file_name();
        let mut parts = name.to_str()?.strip_prefix(PREFIX)?.split('-');
        let namespace = parts.next()?.parse::<u64>().ok()?;
        let (pid, began) = (parts.next()?.parse().ok()?, parts.next()?.parse::<u64>().ok()?);
        let gone = if namespace == own {
            born(root, pid) != Some(began)
        } else {
            let made = entry.metadata().and_then(|seen| seen.modified()).ok()?;
            made.elapsed().is_ok_and(|age| age > STRANGERS_MOMENT)
        };
        gone.then(|| entry.path())
    });
    for path in gone.take(SWEPT_MAX) {
        // Its own engine may be on the way out; then it is the next one's.
        drop(fs::remove_dir(path));
    }
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
