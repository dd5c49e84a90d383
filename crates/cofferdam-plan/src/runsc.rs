//! gVisor's `runsc`: what was found of it, and the smallest plan that shows what it does here.
//!
//! Values alone. `cofferdam-sandbox` finds the program and obeys the plan; nothing here opens a file.

mod trial;

use std::path::PathBuf;

use cofferdam_policy::model::Clause;

pub use trial::{Devices, IMAGE, NAME_BYTES, Trial, started_in};

use crate::host::Program;
use crate::refusal::Refusal;

/// How the application kernel gets hold of the workload's system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Platform {
    /// `SIGSYS` of a filter, in processes that it holds (builds from 2023 on).
    Systrap,
    /// `ptrace(2)`: everywhere, and slower.
    Ptrace,
    /// Hardware virtualisation, by `/dev/kvm`.
    Kvm,
}

impl Platform {
    /// All of them, the one that is preferred first. The last is for who has neither of the others: in a
    /// virtual machine it may hang.
    pub const ALL: [Self; 3] = [Self::Systrap, Self::Ptrace, Self::Kvm];

    /// What `runsc --platform` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Systrap => "systrap",
            Self::Ptrace => "ptrace",
            Self::Kvm => "kvm",
        }
    }

    /// The platform of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.name() == name)
    }
}

/// What came of a platform when it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Outcome {
    /// A program ran on it, and its kernel was not the host's.
    Works,
    /// It did not run.
    Fails {
        /// In its own words, one line.
        why: String,
    },
    /// It had done nothing after this long, and was ended. Seconds.
    Hangs {
        /// How long.
        after: u64,
    },
    /// One before it works: nobody asked.
    Untried,
}

/// What a build takes on its command line, by its own list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Features {
    /// `--directfs`: the kernel opens files itself, and has no second process do it.
    pub directfs: bool,
    /// `--overlay2`: a private layer above a mount.
    pub overlay: bool,
    /// `--host-uds`: sockets of the host's by name.
    pub host_sockets: bool,
}

impl Features {
    /// Reads the list that `runsc flags` prints.
    #[must_use]
    pub fn of(flags: &str) -> Self {
        let has = |name: &str| {
            let mut words = flags.lines().filter_map(|line| line.trim_start().strip_prefix('-'));
            words.any(|line| line.split_whitespace().next() == Some(name))
        };
        Self { directfs: has("directfs"), overlay: has("overlay2"), host_sockets: has("host-uds") }
    }
}

/// What a build calls itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Version {
    /// As it says, without spaces: `0.0~20240729.0` or `release-20240729.0`.
    pub name: String,
    /// The day of its source, as a number: 20240729. `None` where it does not say.
    pub day: Option<u32>,
}

/// More than any of them has. Bytes.
const VERSION_BYTES_MAX: usize = 100;

impl Version {
    /// Reads what `runsc --version` prints; `None` where nothing else would print that.
    #[must_use]
    pub fn of(said: &str) -> Option<Self> {
        let name = said.lines().next()?.strip_prefix("runsc version ")?.trim();
        Self::named(name)
    }

    /// The same of the name alone.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > VERSION_BYTES_MAX || !plain {
            return None;
        }
        let mut numbers = name.split(|letter: char| !letter.is_ascii_digit());
        let day = numbers.find(|number| number.len() == 8).and_then(|number| number.parse().ok());
        Some(Self { name: name.to_owned(), day: day.filter(|day| is_day(*day)) })
    }
}

/// Whether it is a day on which there was a `runsc`: it was published in 2018.
const fn is_day(number: u32) -> bool {
    let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
    year >= 2018 && month >= 1 && month <= 12 && day >= 1 && day <= 31
}

/// A `runsc` that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Build {
    /// The program.
    pub program: Program,
    /// What it calls itself.
    pub version: Version,
    /// SHA-256 of the program, in small hexadecimal digits.
    pub digest: String,
    /// The one that is used: the first of [`Platform::ALL`] that works.
    pub platform: Platform,
    /// What came of each, in the order of [`Platform::ALL`].
    pub platforms: Vec<(Platform, Outcome)>,
    /// What it takes.
    pub features: Features,
}

/// What was found of `runsc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Runsc {
    /// Nobody looked: the policy does not ask for an application kernel.
    #[default]
    Unasked,
    /// It is in none of the places where it is looked for, or not where the caller says.
    Missing {
        /// Where the caller says.
        asked: Option<PathBuf>,
        /// How this distribution installs it.
        install: String,
    },
    /// It is there, and others could have put it there, or it has privileges of its own.
    Untrusted {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is to be trusted, and runs nothing here.
    Useless {
        /// Where.
        path: PathBuf,
        /// What came of it.
        why: String,
    },
    /// It runs here.
    Ready(Build),
}

impl Runsc {
    /// The build that runs here.
    ///
    /// # Errors
    /// There is none, and `clause` asks for it.
    pub fn ready(&self, clause: &Clause) -> Result<&Build, NotReady> {
        let clause = clause.clone();
        match self {
            Self::Ready(build) => Ok(build),
            Self::Unasked => Err(NotReady::Unasked { clause }),
            Self::Missing { asked, install } => {
                let (asked, install) = (asked.clone(), install.clone());
                Err(NotReady::Missing { asked, install, clause })
            }
            Self::Untrusted { path, why } => {
                Err(NotReady::Untrusted { path: path.clone(), why: why.clone(), clause })
            }
            Self::Useless { path, why } => {
                Err(NotReady::Useless { path: path.clone(), why: why.clone(), clause })
            }
        }
    }
}

/// Why there is no `runsc` to be used. All say where an application kernel was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// Nobody looked.
    Unasked {
        /// Where it was asked for.
        clause: Clause,
    },
    /// It is not installed.
    Missing {
        /// Where the caller says that it is.
        asked: Option<PathBuf>,
        /// How this distribution installs it.
        install: String,
        /// Where it was asked for.
        clause: Clause,
    },
    /// Others could have put it there, or it has privileges of its own.
    Untrusted {
        /// Where it was found.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// Where it was asked for.
        clause: Clause,
    },
    /// It runs nothing here.
    Useless {
        /// Where it was found.
        path: PathBuf,
        /// What came of each platform.
        why: String,
        /// Where it was asked for.
        clause: Clause,
    },
}

impl NotReady {
    /// Stable name for scripts and the audit log. Never reused, never renamed.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unasked { .. } => "runsc-unasked",
            Self::Missing { .. } => "runsc-missing",
            Self::Untrusted { .. } => "runsc-untrusted",
            Self::Useless { .. } => "runsc-useless",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unasked { .. } => "this is a fault of cofferdam's: report it".into(),
            Self::Missing { asked: Some(_), install, .. } => {
                format!("give --runsc the path of a runsc, or leave it out; {install}")
            }
            Self::Missing { asked: None, install, .. } => {
                format!("{install}; or give --runsc the path of one of your own")
            }
            Self::Untrusted { path, .. } => format!(
                "install the distribution's runsc, or put one where only root or you may write, \
                 outside of every workspace: {} and the directories above it count",
                path.display()
            ),
            Self::Useless { .. } => "look at what `cofferdam doctor` says of gvisor, take another \
                                     release with --runsc, or isolation = \"process\""
                .into(),
        }
    }
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked { clause } => {
                write!(out, "nobody has looked for gVisor's runsc: {clause}")
            }
            Self::Missing { asked: Some(path), clause, .. } => {
                write!(out, "there is no runsc at {}: {clause}", path.display())
            }
            Self::Missing { asked: None, clause, .. } => write!(
                out,
                "gVisor is not installed, no runsc in /usr/bin or /usr/local/bin: {clause}"
            ),
            Self::Untrusted { path, why, clause } => {
                write!(out, "runsc at {} is not to be trusted: {why}: {clause}", path.display())
            }
            Self::Useless { path, why, clause } => {
                write!(out, "runsc at {} runs nothing here: {why}: {clause}", path.display())
            }
        }
    }
}

impl From<NotReady> for Refusal {
    fn from(why: NotReady) -> Self {
        Self::Runsc(why)
    }
}

#[cfg(test)]
#[path = "runsc/tests.rs"]
mod tests;
