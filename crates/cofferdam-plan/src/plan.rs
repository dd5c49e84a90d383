//! The Plan: everything that will be done, as data.

use std::path::PathBuf;

use cofferdam_policy::Rules;
use cofferdam_policy::model::Variable;
pub use cofferdam_policy::output::{Escapes, Most, Output, Redaction};

pub use crate::content::{Content, Trusted};
use crate::coverage::Coverage;
use crate::egress::{Egress, Socket};
pub use crate::outer::{Outer, Word};

/// What `cofferdam-init` obeys and the person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Plan {
    /// [`crate::BUILD`] of the program that made it.
    pub build: String,
    /// The wall: `process/native`.
    pub wall: String,
    /// Who makes the namespaces and the view where init does not, before `setup` begins inside them.
    pub outer: Option<Outer>,
    /// What init does, in this order; the first failure stops.
    pub setup: Vec<Step>,
    /// What runs when `setup` is done. "Exec comes last and once" is the shape of the type.
    pub workload: Workload,
    /// For each clause: which mechanism holds it and how fully.
    pub coverage: Vec<Coverage>,
    /// What the judge answers inside.
    pub rules: Rules,
    /// What the engine holds from outside, and watches.
    pub bounds: Bounds,
    /// What the gateway consults; `None` where the network is closed, and then there is no gateway.
    pub egress: Option<Egress>,
    /// What the engine does with what the workload writes to its streams. Canaries are not here: what init
    /// does not know nobody reads inside.
    pub output: Output,
}

/// Callers that the broker serves at one time: each has a thread of init's.
pub const BROKER_THREADS: u32 = 4;
/// Processes of a sandbox that are ours, as the kernel counts: init, the broker's threads, and the one
/// of calls that wait.
pub const OWN_PROCESSES: u64 = 2 + BROKER_THREADS as u64;

/// Limits that init has no part in: of the control group, and of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Bounds {
    /// Memory of the control group. Bytes.
    pub memory: Option<u64>,
    /// Processes of the control group, ours among them.
    pub processes: Option<u64>,
    /// How many of them are ours: [`OWN_PROCESSES`], and where another program builds the sandbox, that one.
    pub own_processes: u64,
    /// Processors of the control group. Thousandths.
    pub cpus: Option<u64>,
    /// Size of a file, which init sets: a signal tells that it was met. Bytes.
    pub file_size: Option<u64>,
    /// From the start of the command. Seconds.
    pub wall_time: Option<u64>,
    /// From there to the kill. Seconds.
    pub grace: u64,
}

/// The program that the sandbox is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Workload {
    /// Program and arguments.
    pub command: Vec<Argument>,
    /// Directories in which a command without a slash is looked for.
    pub search: Vec<PathBuf>,
    /// The whole environment.
    pub environment: Vec<Variable>,
    /// Settings of masked files that show what stands in for a credential: the variables that do.
    pub masked: Vec<Variable>,
    /// Working directory.
    pub directory: PathBuf,
    /// What its standard streams are.
    pub streams: Streams,
}

/// What a standard stream of the workload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Carrier {
    /// A pipe, which the engine reads or writes.
    #[default]
    Pipe,
    /// The sandbox's own terminal (`pty(7)`), whose other end the engine has.
    Terminal,
}

/// What the workload's standard streams are.
///
/// With a [`Carrier::Terminal`] among them the terminal is the controlling one of the workload's
/// session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Streams {
    /// Standard input.
    pub input: Carrier,
    /// Standard output.
    pub output: Carrier,
    /// Standard error.
    pub error: Carrier,
}

impl Streams {
    /// Input, output, error.
    #[must_use]
    pub const fn each(self) -> [Carrier; 3] {
        [self.input, self.output, self.error]
    }

    /// Whether the sandbox gets a terminal.
    #[must_use]
    pub fn has_terminal(self) -> bool {
        self.each().contains(&Carrier::Terminal)
    }
}

/// One word of a command line: bytes, without NUL.
#[derive(Clone, PartialEq, Eq)]
pub struct Argument(pub Vec<u8>);

impl std::fmt::Debug for Argument {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

#[cfg(feature = "json")]
impl serde::Serialize for Argument {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

/// What may be done through a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Access {
    /// `MOUNT_ATTR_RDONLY`, and never setuid or devices.
    ReadOnly,
    /// Writable, and never setuid or devices.
    ReadWrite,
    /// A device file: usable, never executable.
    Device,
}

/// What init must find at a path before it uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Expect {
    /// The very thing that Facts recorded.
    Inode {
        /// Device of the file system.
        dev: u64,
        /// Inode.
        ino: u64,
    },
    /// A character device of this number.
    Device {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Whether a mount shows root's files as the stand-in's (`mount_setattr(2)`, Linux 5.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Idmap {
    /// As on disk.
    None,
    /// Idmapped; a file system that cannot is a refusal.
    Required,
    /// Idmapped where the file system can; where not, root's private files stay closed.
    IfPossible,
}

/// What follows when the host makes a mount fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Guard {
    /// It alone holds a rule of the policy: its fall ends the workload.
    Kill,
    /// The broker, or the host itself, holds the name as well, or it only replaces a file that is no
    /// secret: its fall is an event.
    Note,
}

/// A set of namespaces to enter together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Spaces {
    /// A mount namespace of the caller's own user namespace (needs real root).
    Mount,
    /// User, mount, pid, IPC, UTS and cgroup namespaces.
    Inside,
}

/// What the first process does beside pid 1, in the sandbox's user namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Aside {
    /// Enter a network namespace, which pid 1 joins later.
    Network,
    /// Bring its loopback interface up; there is no other.
    Loopback,
    /// Make every address the namespace's own (`ip-route(8)`, a route of type local).
    EveryAddress {
        /// Those of IPv6 too.
        ipv6: bool,
    },
    /// Make these sockets and hand them to the engine, for the gateway.
    Sockets {
        /// In this order.
        sockets: Vec<Socket>,
    },
}

/// What a process may use only so much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Resource {
    /// Processes of this user in its namespace (`RLIMIT_NPROC`; the namespace alone: Linux 5.14).
    Processes,
    /// Descriptors (`RLIMIT_NOFILE`).
    OpenFiles,
    /// Bytes of a file (`RLIMIT_FSIZE`).
    FileSize,
    /// Bytes of private memory that can be written (`RLIMIT_DATA`).
    Data,
    /// Signals that wait, and timers that will send one, of this user in its namespace
    /// (`RLIMIT_SIGPENDING`; the namespace alone: Linux 5.14).
    Signals,
}

/// A tree or file of the host that may be used, where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Beneath {
    /// Where it is, absolute, without symbolic links.
    pub path: PathBuf,
    /// What must be there; nothing to compare for `/proc`.
    pub expect: Option<Expect>,
    /// Landlock rights at and below it.
    pub rights: u64,
}

/// A tree or file of the host to take hold of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Opening {
    /// Where it is on the host, absolute, without symbolic links.
    pub path: PathBuf,
    /// What must be there.
    pub expect: Expect,
    /// How it is mounted.
    pub access: Access,
    /// Whose files it shows.
    pub idmap: Idmap,
    /// Where the workload finds it.
    pub target: PathBuf,
}

/// One action of init. Paths without a leading mention of the host are inside the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "json",
    derive(serde::Serialize),
    serde(tag = "step", rename_all = "kebab-case")
)]
pub enum Step {
    /// Enter new namespaces (`unshare(2)`).
    Unshare {
        /// Which.
        spaces: Spaces,
    },
    /// Give up every group, then become this user for good.
    Become {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Map one user and one group, inside equal to outside (`user_namespaces(7)`).
    MapIds {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// When the machine has no memory left, the kernel kills this and its children before others
    /// (`proc_pid_oom_score_adj(5)`); raising it is everybody's right.
    KilledFirst {
        /// Thousandths of the memory that count as used, 1 to 1,000.
        score: u32,
    },
    /// Fork; the child is pid 1 of the new pid namespace and goes on. The parent does what is in
    /// `aside` meanwhile, hands its network namespace over, and ends.
    Fork {
        /// What nothing of the view depends on, in order.
        aside: Vec<Aside>,
    },
    /// Enter the network namespace that the parent has made: the end of `aside`.
    JoinNetwork,
    /// No mount event leaves or enters this namespace.
    MakePrivate,
    /// Make the user namespace that idmapped mounts use: on disk 0, inside `uid` and `gid`.
    IdmapNamespace {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// Take hold of a tree of the host as a detached mount, checked.
    Open(Opening),
    /// Name the machine inside.
    Hostname {
        /// The name.
        name: String,
    },
    /// Make an empty root and put it above the old one.
    NewRoot,
    /// Make a directory, and those above it.
    Directory {
        /// Where.
        path: PathBuf,
        /// Permission bits of the last one.
        mode: u32,
    },
    /// Make a file of our own.
    File {
        /// Where.
        path: PathBuf,
        /// What is in it.
        content: Content,
        /// Permission bits.
        mode: u32,
    },
    /// Make a symbolic link.
    Link {
        /// Where.
        path: PathBuf,
        /// What it says.
        to: PathBuf,
    },
    /// Hear on a stream socket by this name, and hand it to the engine, for the gateway (`unix(7)`).
    Listen {
        /// Where.
        path: PathBuf,
    },
    /// Mount an empty file system in memory.
    Tmpfs {
        /// Where; the directory is made.
        path: PathBuf,
        /// Permission bits of its root.
        mode: u32,
        /// Most that all files in it hold. Bytes.
        bytes: u64,
        /// Most files, directories and links.
        files: u64,
    },
    /// Mount a private instance of the pseudo-terminal file system.
    Devpts {
        /// Where; the directory is made.
        path: PathBuf,
        /// Most terminals at one time.
        terminals: u32,
    },
    /// Mount the process file system of the new pid namespace.
    Proc {
        /// Where; the directory is made.
        path: PathBuf,
        /// Read-only; or writable for a program that makes user namespaces, whose maps are written there
        /// (`user_namespaces(7)`): what of it is the machine's is root's to write, who is nobody inside.
        access: Access,
    },
    /// Attach the next opened tree that has this target.
    Attach {
        /// The target that the opening named.
        target: PathBuf,
        /// Whether its fall ends the workload.
        guard: Guard,
    },
    /// Bind something inside the view on itself or elsewhere, so that its name stays.
    Bind {
        /// What is bound: a path inside the view.
        from: PathBuf,
        /// Where it is bound.
        at: PathBuf,
        /// What must be found at `from`; nothing to compare for a file of our own.
        expect: Option<Expect>,
        /// How it is mounted.
        access: Access,
        /// What follows when it falls.
        guard: Guard,
    },
    /// Make the new root read-only and leave the old one for good (`pivot_root(2)`).
    Pivot,
    /// What another program has mounted: compare it, and watch it from here on.
    Found {
        /// Where.
        at: PathBuf,
        /// What must be found there; nothing to compare for what is made in memory.
        expect: Option<Expect>,
        /// How it must be mounted; `None` where it lies beneath another mount, and is only watched.
        access: Option<Access>,
        /// What follows when it falls.
        guard: Guard,
        /// Whether it holds a name of a tree, and is not a tree.
        name: bool,
    },
    /// What [`Step::Fork`] has done beside, done here: the namespaces are there already.
    Here {
        /// In this order.
        parts: Vec<Aside>,
    },
    /// Take the root that is there for the one that is built in.
    ThisRoot,
    /// Make it read-only.
    Seal,
    /// No core dumps, not even to a program of the host's (hard limit of one byte, `core(5)`).
    NoCoreDumps,
    /// Limit what each process may use (`setrlimit(2)`), init among them.
    Limit {
        /// Of what.
        resource: Resource,
        /// What holds; `u64::MAX` for no limit.
        soft: u64,
        /// What a process may raise it to.
        hard: u64,
    },
    /// No privilege through `execve(2)` from here on.
    NoNewPrivileges,
    /// First Landlock layer, for init and the workload.
    Landlock {
        /// Rights that are denied where no rule grants them.
        handled: u64,
        /// Rights by path.
        rules: Vec<(PathBuf, u64)>,
    },
    /// Be the parent of every process of the sandbox whose own has ended (`PR_SET_CHILD_SUBREAPER`), and end
    /// all of them at the end: there is no pid namespace that would.
    Subreaper,
    /// First Landlock layer, where the workload sees the host's own view: what is allowed is what Facts saw,
    /// opened once and compared.
    LandlockOnHost {
        /// Rights that are denied where no rule grants them.
        handled: u64,
        /// Rights of the network that nothing grants, ABI 4.
        network: u64,
        /// Scopes (abstract sockets, signals), ABI 6.
        scoped: u64,
        /// Rights by path of the host.
        rules: Vec<Beneath>,
        /// Rights on the workload's own terminal, if it has one: nobody knows its number yet.
        terminal: u64,
    },
    /// Make the workload's terminal on the host's own instance, before Landlock shuts it.
    Terminal,
    /// Drop every capability, in the bounding and ambient sets as well.
    DropCapabilities,
    /// Landlock layer that only the workload carries, so that it cannot touch init.
    WorkloadLandlock {
        /// Rights that nothing grants.
        handled: u64,
        /// Scopes (abstract sockets, signals), ABI 6.
        scoped: u64,
        /// What it allows, by path of the new root.
        rules: Vec<(PathBuf, u64)>,
    },
    /// The workload's system-call filter, classic BPF.
    Seccomp {
        /// 8 bytes an instruction.
        #[cfg_attr(feature = "json", serde(serialize_with = "instructions"))]
        program: Vec<u8>,
    },
    /// The broker: the workload's filter hands it calls, which its threads judge and perform.
    Broker {
        /// The filter of each of its threads. 8 bytes an instruction.
        #[cfg_attr(feature = "json", serde(serialize_with = "instructions"))]
        program: Vec<u8>,
        /// How many threads answer, from 1: [`BROKER_THREADS`].
        threads: u32,
    },
    /// Init's own filter, put on when the workload runs.
    InitSeccomp {
        /// 8 bytes an instruction.
        #[cfg_attr(feature = "json", serde(serialize_with = "instructions"))]
        program: Vec<u8>,
    },
}

impl Step {
    /// What is made later, where this is.
    pub(crate) fn content_mut(&mut self) -> Option<&mut Content> {
        if let Self::File { content, .. } = self { Some(content) } else { None }
    }
}

/// Programs are shown by their length: the table they are made from is in the documentation.
#[cfg(feature = "json")]
fn instructions<S: serde::Serializer>(program: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{} instructions", program.len() / 8))
}
