//! The bundle that `runsc` runs (OCI Runtime Specification 1.0, `config.json`).

use std::path::{Path, PathBuf};

use cofferdam_policy::model::{Policy, Variable};

use super::{CORNER, is_ephemeral, is_old, private};
use crate::plan::{Plan, Resource, Step};
use crate::runsc::Build;

/// Starts a command as `execvp(3)` does, with 127 or 126 where it cannot (`env(1)`).
const ENV: &[&str] = &["/usr/bin/env", "--"];

/// What is in a bundle's configuration: the workload as the policy has it, and what is mounted for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Bundle {
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub environment: Vec<Variable>,
    /// Working directory.
    pub directory: PathBuf,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// The machine's name.
    pub hostname: String,
    /// Whether the application kernel lets nobody write its root; the jail's is read-only in any case.
    pub read_only: bool,
    /// Mounts above the root, which is the jail's own, in this order.
    pub mounts: Vec<Mount>,
    /// Limits of each process: name (`getrlimit(2)`), what holds, and what it may be raised to.
    pub limits: Vec<(String, u64, u64)>,
}

/// A mount of the application kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Mount {
    /// Where, and where in the jail's view it is from.
    pub at: PathBuf,
    /// What kind.
    pub kind: Kind,
}

/// What is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Kind {
    /// Processes of the application kernel.
    Proc,
    /// Its devices.
    Devices,
    /// Memory of its own. Most bytes; `None` for what nobody writes.
    Memory {
        /// Bytes.
        bytes: Option<u64>,
    },
    /// A tree of the jail's view, as far as the jail lets it be used.
    Tree {
        /// Whether it may be written.
        written: bool,
    },
}

/// The bundle of `plan`, the native one.
pub(super) fn of(policy: &Policy, build: &Build, plan: &Plan) -> Bundle {
    let bytes = plan.setup.iter().find_map(|step| {
        let Step::Tmpfs { path, bytes, .. } = step else { return None };
        (path == Path::new("/tmp")).then_some(*bytes)
    });
    let mount = |at: &Path, kind| Mount { at: at.to_owned(), kind };
    let mut mounts =
        vec![mount(Path::new("/proc"), Kind::Proc), mount(Path::new("/dev"), Kind::Devices)];
    mounts.push(mount(Path::new(CORNER), Kind::Memory { bytes: None }));
    mounts.extend(private(policy).iter().map(|at| mount(at, Kind::Memory { bytes })));
    let layered = is_ephemeral(policy);
    // What lies in a place that is covered with memory is seen by a mount of its own.
    let covered = |path: &Path| private(policy).iter().any(|place| path.starts_with(place));
    for tree in &policy.grants {
        match (tree.mode.is_written(), layered || covered(&tree.path)) {
            (true, _) => mounts.push(mount(&tree.path, Kind::Tree { written: true })),
            // Outside of the layer: what is read-only is so in the application kernel too.
            (false, true) => mounts.push(mount(&tree.path, Kind::Tree { written: false })),
            (false, false) => {}
        }
    }
    let (workspace, written) = (&policy.workspace.path, policy.workspace.mode.is_written());
    if !layered && (written || covered(workspace)) {
        mounts.push(mount(workspace, Kind::Tree { written }));
    }
    // Below the layer it is of the root, with the workspace that may lie in it.
    if !layered {
        mounts.push(mount(&policy.home, Kind::Tree { written: true }));
    }
    mounts.sort_by(|a, b| a.at.cmp(&b.at));
    let words = plan.workload.command.iter();
    let first = words.clone().next().is_some_and(|word| !word.0.contains(&b'='));
    // It says by its status that a command is not there, or is none: `runsc` has one for everything.
    // An image need not have one.
    let env = if first && policy.rootfs.is_none() { ENV } else { &[] };
    Bundle {
        command: env
            .iter()
            .map(|word| (*word).to_owned())
            .chain(words.map(|word| String::from_utf8_lossy(&word.0).into_owned()))
            .collect(),
        environment: plan.workload.environment.clone(),
        directory: plan.workload.directory.clone(),
        terminal: plan.workload.streams.has_terminal(),
        hostname: "cofferdam".into(),
        read_only: !layered && !is_old(build),
        mounts,
        limits: limits(plan),
    }
}

fn limits(plan: &Plan) -> Vec<(String, u64, u64)> {
    let one = |step: &Step| {
        let Step::Limit { resource, soft, hard } = step else { return None };
        let name = match resource {
            Resource::FileSize => "RLIMIT_FSIZE",
            Resource::OpenFiles => "RLIMIT_NOFILE",
            Resource::Processes | Resource::Data | Resource::Signals => return None,
        };
        Some((name.to_owned(), *soft, *hard))
    };
    plan.setup.iter().filter_map(one).collect()
}

impl Bundle {
    /// `config.json`.
    #[must_use]
    pub fn json(&self) -> String {
        let environment: Vec<String> = self
            .environment
            .iter()
            .map(|variable| text(&format!("{}={}", variable.name, variable.value)))
            .collect();
        let command: Vec<String> = self.command.iter().map(|word| text(word)).collect();
        let mounts: Vec<String> = self.mounts.iter().map(Mount::json).collect();
        let limits: Vec<String> = self
            .limits
            .iter()
            .map(|(name, soft, hard)| {
                format!(r#"{{"type":{},"soft":{soft},"hard":{hard}}}"#, text(name))
            })
            .collect();
        let namespaces =
            ["pid", "mount", "ipc", "uts"].map(|kind| format!(r#"{{"type":"{kind}"}}"#)).join(",");
        format!(
            r#"{{"ociVersion":"1.0.2","hostname":{},"root":{{"path":"/","readonly":{}}},"process":{{"terminal":{},"user":{{"uid":0,"gid":0}},"args":[{}],"env":[{}],"cwd":{},"capabilities":{{}},"noNewPrivileges":true,"rlimits":[{}]}},"mounts":[{}],"linux":{{"namespaces":[{namespaces}]}}}}"#,
            text(&self.hostname),
            self.read_only,
            self.terminal,
            command.join(","),
            environment.join(","),
            text(&self.directory.display().to_string()),
            limits.join(","),
            mounts.join(","),
        )
    }
}

impl Mount {
    fn json(&self) -> String {
        let at = text(&self.at.display().to_string());
        let (kind, source, options) = match self.kind {
            Kind::Proc => ("proc", text("proc"), String::new()),
            Kind::Devices => ("dev", text("dev"), String::new()),
            Kind::Memory { bytes: None } => ("tmpfs", text("tmpfs"), r#""ro""#.to_owned()),
            Kind::Memory { bytes: Some(bytes) } => {
                ("tmpfs", text("tmpfs"), format!(r#""mode=1777","size={bytes}""#))
            }
            Kind::Tree { written } => {
                let how = if written { "rw" } else { "ro" };
                ("bind", at.clone(), format!(r#""rbind","{how}""#))
            }
        };
        format!(r#"{{"destination":{at},"type":"{kind}","source":{source},"options":[{options}]}}"#)
    }
}

/// A string of JSON (RFC 8259).
fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}
