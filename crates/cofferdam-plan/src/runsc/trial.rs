//! The smallest plan that shows what a `runsc` does: it alone in a root of its own, without network and
//! capabilities, as the workload's user. Whatever it starts ends with the pid namespace.

use std::path::PathBuf;

use cofferdam_policy::Rules;
use cofferdam_policy::facts::Ids;
use cofferdam_policy::output::Output;

use super::{Features, Platform};
use crate::BUILD;
use crate::host::Program;
use crate::plan::{
    Access, Argument, Aside, Bounds, Content, Expect, Guard, Idmap, Opening, Plan, Spaces, Step,
    Streams, Workload,
};

/// Where `runsc` is in that root.
const RUNSC: &str = "/runsc";
/// Its own files, the bundle, and the bundle's root.
const STATE: &str = "/state";
const BUNDLE: &str = "/bundle";
const ROOT: &str = "/bundle/root";
/// The machine's name in the application kernel: whoever only passes calls on does not know it.
const INSIDE: &str = "cofferdam-trial";
/// The status of the program inside, which no `runsc` has by itself (it uses 128).
const STATUS: u8 = 42;
/// `struct new_utsname` (`uname(2)`): six names of this length. Bytes.
pub const NAME_BYTES: usize = 65;
/// All that its files may hold. Bytes, and their number.
const ROOM: (u64, u64) = (64 << 20, 4096);

/// A static program for x86_64 that writes what `uname(2)` says to its output and ends with [`STATUS`]:
/// an ELF header (`elf(5)`), one segment, and 49 bytes of code.
pub const IMAGE: [u8; 169] = [
    0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 64 bits, little end first
    2, 0, 0x3E, 0, 1, 0, 0, 0, // a program for x86_64
    0x78, 0, 0x40, 0, 0, 0, 0, 0, // begins behind both headers, at 0x400078
    0x40, 0, 0, 0, 0, 0, 0, 0, // the segments' header is at 64
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // no sections
    0x40, 0, 0x38, 0, 1, 0, 0, 0, 0, 0, 0, 0, // one segment
    1, 0, 0, 0, 5, 0, 0, 0, // loaded, to read and to execute
    0, 0, 0, 0, 0, 0, 0, 0, // the whole file
    0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, // at 0x400000
    0xA9, 0, 0, 0, 0, 0, 0, 0, 0xA9, 0, 0, 0, 0, 0, 0, 0, // 169 bytes
    0, 0x10, 0, 0, 0, 0, 0, 0, // in pages
    0x48, 0x81, 0xEC, 0x00, 0x04, 0x00, 0x00, // sub rsp, 1024
    0x48, 0x89, 0xE7, // mov rdi, rsp
    0xB8, 63, 0, 0, 0, 0x0F, 0x05, // uname(rsp)
    0xBF, 1, 0, 0, 0, // mov edi, 1
    0x48, 0x89, 0xE6, // mov rsi, rsp
    0xBA, 0x86, 1, 0, 0, // mov edx, 390
    0xB8, 1, 0, 0, 0, 0x0F, 0x05, // write(1, rsp, 390)
    0xBF, STATUS, 0, 0, 0, // mov edi, 42
    0xB8, 231, 0, 0, 0, 0x0F, 0x05, // exit_group(42)
];

/// What is asked of a `runsc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// What it calls itself.
    Version,
    /// What it takes.
    Flags,
    /// To run a program on this platform, with what it takes.
    Run(Platform, Features),
}

/// Device files that are there beside those which everybody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// Major and minor number of `/dev/kvm`, where it is.
    pub kvm: Option<(u32, u32)>,
}

impl Trial {
    /// The plan for `program`, as `ids`, ended after `patience` seconds.
    #[must_use]
    pub fn plan(self, program: &Program, ids: Ids, devices: Devices, patience: u64) -> Plan {
        Plan {
            build: BUILD.into(),
            wall: "trial".into(),
            outer: None,
            setup: self.setup(program, ids, devices),
            workload: Workload {
                command: self.words().map(|word| Argument(word.into_bytes())).collect(),
                search: Vec::new(),
                environment: Vec::new(),
                masked: Vec::new(),
                directory: "/".into(),
                streams: Streams::default(),
            },
            coverage: Vec::new(),
            rules: Rules::new([]),
            bounds: Bounds { wall_time: Some(patience), ..Bounds::default() },
            egress: None,
            output: Output::built_in(),
        }
    }

    fn words(self) -> impl Iterator<Item = String> {
        let words = match self {
            Self::Version => vec!["--version".to_owned()],
            Self::Flags => vec!["flags".to_owned()],
            Self::Run(platform, features) => started_in(STATE, platform, "none")
                // Of itself it would put a file for a layer above the root into that, which is read-only.
                .chain(features.overlay.then(|| "--overlay2=none".to_owned()))
                .chain(["run", "--bundle", BUNDLE, INSIDE].map(str::to_owned))
                .collect(),
        };
        [RUNSC.to_owned()].into_iter().chain(words)
    }

    fn setup(self, program: &Program, ids: Ids, devices: Devices) -> Vec<Step> {
        let (uid, gid) = ids.pair();
        let opens = openings(program, devices);
        let attached: Vec<_> = opens.iter().map(|opening| opening.target.clone()).collect();
        let mut steps = match ids {
            Ids::Caller { .. } => Vec::new(),
            Ids::Owner { .. } | Ids::StandIn { .. } => vec![Step::Become { uid, gid }],
        };
        steps.extend([
            Step::Unshare { spaces: Spaces::Inside },
            Step::MapIds { uid, gid },
            Step::Fork { aside: vec![Aside::Network, Aside::Loopback] },
            Step::MakePrivate,
        ]);
        steps.extend(opens.into_iter().map(Step::Open));
        steps.push(Step::Hostname { name: "cofferdam".into() });
        steps.push(Step::NewRoot);
        for path in [STATE, "/tmp"] {
            let (bytes, files) = ROOM;
            steps.push(Step::Tmpfs { path: path.into(), mode: 0o700, bytes, files });
        }
        if let Self::Run(..) = self {
            steps.extend(bundle());
        }
        let guard = Guard::Kill;
        steps.extend(attached.into_iter().map(|target| Step::Attach { target, guard }));
        steps.extend([
            Step::Proc { path: "/proc".into(), access: Access::ReadWrite },
            Step::Pivot,
            Step::JoinNetwork,
            Step::NoCoreDumps,
            Step::NoNewPrivileges,
            Step::DropCapabilities,
        ]);
        steps
    }

    /// Whether this is what the program inside says, in a kernel that is not the host's, of `release`.
    #[must_use]
    pub fn is_answered(status: u8, output: &[u8], release: &str) -> bool {
        let name = |index: usize| {
            let name = output.get(index * NAME_BYTES..(index + 1) * NAME_BYTES)?;
            std::str::from_utf8(name.split(|byte| *byte == 0).next()?).ok()
        };
        status == STATUS
            && output.len() == 6 * NAME_BYTES
            && name(0) == Some("Linux")
            && name(1) == Some(INSIDE)
            && name(2).is_some_and(|inside| !inside.is_empty() && inside != release)
    }
}

/// The words before the subcommand of every `runsc` of ours, behind its own name: without privileges, in a
/// control group and a network namespace that are made already. `state` is a directory for its own files,
/// `network` `none` or `host`, which is the namespace that it is in.
pub fn started_in(
    state: &str,
    platform: Platform,
    network: &str,
) -> impl Iterator<Item = String> + use<> {
    [
        format!("--root={state}"),
        format!("--platform={}", platform.name()),
        format!("--network={network}"),
        "--rootless".into(),
        "--ignore-cgroups".into(),
    ]
    .into_iter()
}

fn openings(program: &Program, devices: Devices) -> Vec<Opening> {
    let kvm = devices.kvm.map(|(major, minor)| ("kvm", major, minor));
    let device = |(name, major, minor): (&str, u32, u32)| {
        let path = PathBuf::from("/dev").join(name);
        let expect = Expect::Device { major, minor };
        Opening { target: path.clone(), path, expect, access: Access::Device, idmap: Idmap::None }
    };
    let expect = Expect::Inode { dev: program.dev, ino: program.ino };
    let program = Opening {
        path: program.path.clone(),
        expect,
        access: Access::ReadOnly,
        idmap: Idmap::None,
        target: RUNSC.into(),
    };
    let devices = [("null", 1, 3), ("zero", 1, 5), ("urandom", 1, 9)].into_iter().chain(kvm);
    [program].into_iter().chain(devices.map(device)).collect()
}

/// A root with one file, and how it is to be run (OCI Runtime Specification 1.0). Nothing asks `runsc` to make
/// the root read-only, which it is: builds without [`super::Features::directfs`] would mount it anew without
/// the flags that it has, and only who made the mount may take these away (`mount_namespaces(7)`).
fn bundle() -> [Step; 2] {
    let configuration = format!(
        r#"{{"ociVersion":"1.0.0","hostname":"{INSIDE}","root":{{"path":"root","readonly":false}},"process":{{"terminal":false,"user":{{"uid":0,"gid":0}},"args":["/name"],"env":[],"cwd":"/","noNewPrivileges":true}},"mounts":[],"linux":{{"namespaces":[{{"type":"pid"}},{{"type":"mount"}},{{"type":"ipc"}},{{"type":"uts"}}]}}}}"#
    );
    let file = |path: PathBuf, content, mode| Step::File { path, content, mode };
    let at = PathBuf::from;
    [
        file(at(BUNDLE).join("config.json"), configuration.into(), 0o644),
        file(at(ROOT).join("name"), Content::Bytes(IMAGE.to_vec()), 0o755),
    ]
}
