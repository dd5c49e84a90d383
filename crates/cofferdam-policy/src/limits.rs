//! Limits: how much the workload may use, as resolved values.
//!
//! Knows the numbers and their bounds; who holds a limit on this machine is the plan's to say.

use crate::model::Clause;

/// How surely a limit must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Hold {
    /// A machine that cannot hold it is a refusal.
    Required,
    /// Held as well as the machine can; the plan says how well.
    BestEffort,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Limit {
    /// How much, in the unit that the field of [`Limits`] names.
    pub value: u64,
    /// How surely.
    pub hold: Hold,
    /// The rule.
    pub clause: Clause,
}

impl Limit {
    /// Whether nobody wrote it down.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.clause.line == 0 && self.clause.file == "built-in"
    }
}

/// Every limit. What is `None` has no limit, or one that depends on the machine's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Limits {
    /// Memory of all processes together. Bytes. `None`: a share of the machine's, best-effort.
    pub memory: Option<Limit>,
    /// Processors, all processes together. Thousandths of one.
    pub cpus: Option<Limit>,
    /// Processes and threads at one time.
    pub processes: Limit,
    /// Open files, each process.
    pub open_files: Limit,
    /// Length of any file that is written. Bytes.
    pub file_size: Option<Limit>,
    /// From the start of the command to its end. Seconds.
    pub wall_time: Option<Limit>,
    /// From the request to end, when the wall time is over, to the kill. Seconds.
    pub grace: Limit,
    /// Each private place in memory: `/tmp`, `/var/tmp`, `/dev/shm`, the home. Bytes. `None`: a
    /// share of the machine's memory.
    pub private_size: Option<Limit>,
}

/// An eighth of the smallest table of process numbers that Linux comes with (32,768): a fork bomb
/// leaves the host its numbers, and a build with a hundred compilers does not come near it.
pub const PROCESSES: u64 = 4_096;
/// A thousand times what a compiler opens, and enough for a watcher of a large tree. The caller's
/// own hard limit counts where that is smaller.
pub const OPEN_FILES: u64 = 16_384;
/// Long enough to write a file out and to end children. Seconds.
pub const GRACE: u64 = 10;

impl Limits {
    /// What holds where nothing is written: what every host can hold, and no build notices.
    #[must_use]
    pub fn built_in() -> Self {
        let limit = |name: &str, value| {
            let clause = Clause::built_in(&format!("limits.{name}"));
            Limit { value, hold: Hold::Required, clause }
        };
        Self {
            memory: None,
            cpus: None,
            processes: limit("processes", PROCESSES),
            open_files: limit("open_files", OPEN_FILES),
            file_size: None,
            wall_time: None,
            grace: limit("grace", GRACE),
            private_size: None,
        }
    }

    /// Those that are set, in the order of [`Name::ALL`].
    pub fn each(&self) -> impl Iterator<Item = (Name, &Limit)> {
        let limit = |name| match name {
            Name::Memory => self.memory.as_ref(),
            Name::Cpus => self.cpus.as_ref(),
            Name::Processes => Some(&self.processes),
            Name::OpenFiles => Some(&self.open_files),
            Name::FileSize => self.file_size.as_ref(),
            Name::WallTime => self.wall_time.as_ref(),
            Name::Grace => Some(&self.grace),
            Name::PrivateSize => self.private_size.as_ref(),
        };
        Name::ALL.into_iter().filter_map(move |name| Some((name, limit(name)?)))
    }

    /// Puts `limit` in its place.
    pub fn set(&mut self, name: Name, limit: Limit) {
        match name {
            Name::Memory => self.memory = Some(limit),
            Name::Cpus => self.cpus = Some(limit),
            Name::Processes => self.processes = limit,
            Name::OpenFiles => self.open_files = limit,
            Name::FileSize => self.file_size = Some(limit),
            Name::WallTime => self.wall_time = Some(limit),
            Name::Grace => self.grace = limit,
            Name::PrivateSize => self.private_size = Some(limit),
        }
    }
}

/// The limits by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// `memory`
    Memory,
    /// `cpus`
    Cpus,
    /// `processes`
    Processes,
    /// `open_files`
    OpenFiles,
    /// `file_size`
    FileSize,
    /// `wall_time`
    WallTime,
    /// `grace`
    Grace,
    /// `private_size`
    PrivateSize,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `"2GiB"`, or a plain number of bytes.
    Size,
    /// `"1h30m"`.
    Duration,
    /// A plain number.
    Count,
    /// A number with at most three decimals.
    Thousandths,
}

const MIB: u64 = 1 << 20;
const PIB: u64 = 1 << 50;

impl Name {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Memory,
        Self::Cpus,
        Self::Processes,
        Self::OpenFiles,
        Self::FileSize,
        Self::WallTime,
        Self::Grace,
        Self::PrivateSize,
    ];

    /// The key in `[limits]`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpus => "cpus",
            Self::Processes => "processes",
            Self::OpenFiles => "open_files",
            Self::FileSize => "file_size",
            Self::WallTime => "wall_time",
            Self::Grace => "grace",
            Self::PrivateSize => "private_size",
        }
    }

    /// How its value is written.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Memory | Self::FileSize | Self::PrivateSize => Unit::Size,
            Self::WallTime | Self::Grace => Unit::Duration,
            Self::Processes | Self::OpenFiles => Unit::Count,
            Self::Cpus => Unit::Thousandths,
        }
    }

    /// Least and most, and why.
    #[must_use]
    pub const fn bounds(self) -> (u64, u64, &'static str) {
        match self {
            Self::Memory => (16 * MIB, PIB, "with less no program starts, more is no limit"),
            Self::Cpus => (10, 1_024_000, "the kernel shares out a hundredth of a processor"),
            Self::Processes => (4, 1 << 22, "a shell starts a few, and Linux has 4194304 numbers"),
            Self::OpenFiles => {
                (16, 1 << 20, "a program has three to begin with, Linux allows 2^20")
            }
            Self::FileSize => (4_096, PIB, "less than a page stops every log, more is no limit"),
            Self::WallTime => (1, 366 * 86_400, "a command needs a moment, and a year is no limit"),
            Self::Grace => (0, 300, "who has not ended by then does not mean to"),
            Self::PrivateSize => (MIB, PIB, "with less no program works, more is no limit"),
        }
    }

    /// Whether a person may say how surely it must hold: the others hold on every machine.
    #[must_use]
    pub const fn has_hold(self) -> bool {
        matches!(self, Self::Memory | Self::Cpus)
    }

    /// `value` as the language writes it.
    #[must_use]
    pub fn shown(self, value: u64) -> String {
        match self.unit() {
            Unit::Size => size(value),
            Unit::Duration => duration(value),
            Unit::Count => value.to_string(),
            Unit::Thousandths => thousandths(value),
        }
    }
}

/// Units of sizes, largest first.
pub const SIZES: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
/// Units of durations, largest first. Seconds.
pub const DURATIONS: [(&str, u64); 3] = [("h", 3_600), ("m", 60), ("s", 1)];

/// In the largest unit that divides it.
fn size(bytes: u64) -> String {
    let unit = SIZES.iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

fn duration(seconds: u64) -> String {
    let mut rest = seconds;
    let mut text = String::new();
    for (name, unit) in DURATIONS {
        if rest >= unit {
            text += &format!("{}{name}", rest / unit);
            rest %= unit;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

fn thousandths(value: u64) -> String {
    let text = format!("{}.{:03}", value / 1_000, value % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
