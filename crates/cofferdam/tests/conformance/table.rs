//! The table as it is written: `tests/conformance/*.toml`, read strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::support::variable;

/// Words for who holds a row, and what of a plan's coverage says so; empty where the plan has no word of
/// its own for it.
pub(crate) const MECHANISMS: &[(&str, &str)] = &[
    ("absence", "whatever is not granted is absent"),
    ("broker", "the broker"),
    ("environment", "environment made anew"),
    ("gateway", "gateway"),
    ("identity", "user namespace with one user and one group"),
    ("landlock", "Landlock"),
    ("limit", "limits."),
    ("mount", "mount"),
    ("namespace", "namespace"),
    ("privileges", "no_new_privs"),
    ("seccomp", "seccomp"),
];

macro_rules! area {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../tests/conformance/", $name)))
    };
}

/// The files, for who cannot read the repository too.
const FILES: &[(&str, &str)] = &[
    area!("files.toml"),
    area!("names.toml"),
    area!("sockets.toml"),
    area!("processes.toml"),
    area!("kernel.toml"),
    area!("limits.toml"),
    area!("network.toml"),
    area!("credentials.toml"),
];

/// One file of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    #[serde(default)]
    policy: Vec<Policy>,
    #[serde(default)]
    row: Vec<Row>,
}

/// A policy: the rows that name it are done in one sandbox.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) name: String,
    /// The text, without its version.
    pub(crate) text: String,
    /// Words of the command line besides.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// Whether its rows need hosts.
    #[serde(default)]
    pub(crate) internet: bool,
    /// Walls that refuse it: the code of the refusal.
    #[serde(default)]
    pub(crate) walls: BTreeMap<String, Refused>,
    /// Persons who cannot be given it: root or ordinary, and why.
    #[serde(default)]
    pub(crate) not_for: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refused {
    pub(crate) refused: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Allow,
    Deny,
}

/// One act, and what comes of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) policy: String,
    /// What is there before: `KIND PATH [REST]`.
    #[serde(default)]
    pub(crate) given: Vec<String>,
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) to: Option<String>,
    /// What a read shows.
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) number: Option<toml::Value>,
    #[serde(default)]
    pub(crate) kind: Option<i64>,
    #[serde(default)]
    pub(crate) host: Option<String>,
    #[serde(default)]
    pub(crate) port: Option<u16>,
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// The target of a request.
    #[serde(default)]
    pub(crate) target: Option<String>,
    /// A name that the row's act uses beside its host: in SNI, Host or Origin.
    #[serde(default)]
    pub(crate) other: Option<String>,
    /// Fields or a body of a request.
    #[serde(default)]
    pub(crate) more: Option<String>,
    pub(crate) verdict: Verdict,
    /// `errno(3)`, or an HTTP status and the refusal's name.
    #[serde(default)]
    pub(crate) shows: Option<String>,
    pub(crate) mechanism: String,
    /// Kind and word of the event: `name create`, `connection host-not-allowed`, or `none`.
    pub(crate) event: String,
    /// Why a denial by who keeps a record leaves none.
    #[serde(default)]
    pub(crate) unrecorded: Option<String>,
    /// The rule that decides, by its name.
    #[serde(default)]
    pub(crate) clause: Option<String>,
    /// Why the judge is not asked although it knows the operation.
    #[serde(default)]
    pub(crate) unjudged: Option<String>,
    /// Why it need not work without a wall, by person: `root`, `ordinary`.
    #[serde(default)]
    pub(crate) uncontrolled: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) walls: BTreeMap<String, Difference>,
    #[serde(default)]
    pub(crate) persons: BTreeMap<String, Difference>,
}

/// What is different on one wall, or for one person.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    #[serde(default)]
    pub(crate) verdict: Option<Verdict>,
    #[serde(default)]
    pub(crate) shows: Option<String>,
    #[serde(default)]
    pub(crate) event: Option<String>,
    /// Of a wall: a text that the plan's coverage holds. Of a person: why.
    pub(crate) because: String,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) policies: Vec<Policy>,
    pub(crate) rows: Vec<Row>,
}

const WALLS: &[&str] = &[
    "process/native",
    "process/bubblewrap",
    "process/landlock",
    "process/landlock as ordinary",
    "process/seatbelt",
    "gvisor/native",
];
const PERSONS: &[&str] = &["root", "ordinary"];

impl Table {
    /// From texts, each with its file's name.
    pub(crate) fn parse(files: &[(String, String)]) -> Result<Self, Vec<String>> {
        let (mut table, mut faults) = (Self { policies: vec![], rows: vec![] }, vec![]);
        for (name, text) in files {
            match toml::from_str::<Area>(text) {
                Ok(area) => {
                    table.policies.extend(area.policy);
                    table.rows.extend(area.row);
                }
                Err(error) => faults.push(format!("{name}: {error}")),
            }
        }
        faults.extend(table.faults());
        if faults.is_empty() { Ok(table) } else { Err(faults) }
    }

    /// What is in the repository, or in the folder `COFFERDAM_TABLE`, for who writes a row.
    pub(crate) fn read() -> Result<Self, Vec<String>> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
        let other = variable("COFFERDAM_TABLE").map(PathBuf::from);
        let (mut files, mut faults) = (vec![], vec![]);
        let folder = other.as_ref().unwrap_or(&repository);
        // Where the repository can be read, no file of it is left out.
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.ends_with(".toml") {
                continue;
            }
            if !FILES.iter().any(|(known, _)| *known == name) {
                faults.push(format!("{name} is not in FILES"));
            }
            if other.is_some() {
                files.push((name, fs::read_to_string(&path).unwrap_or_default()));
            }
        }
        if other.is_none() {
            let own = FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            files = own.collect();
        }
        if faults.is_empty() { Self::parse(&files) } else { Err(faults) }
    }

    /// Whatever no reader of TOML finds.
    fn faults(&self) -> Vec<String> {
        let (mut faults, mut ids, mut policies) = (vec![], BTreeSet::new(), BTreeSet::new());
        let mut kinds: BTreeMap<_, &str> = BTreeMap::new();
        for policy in &self.policies {
            if !policies.insert(policy.name.as_str()) {
                faults.push(format!("two policies are called {}", policy.name));
            }
            if !self.rows.iter().any(|row| row.policy == policy.name) {
                faults.push(format!("no row is of the policy {}", policy.name));
            }
            faults.extend(unknown(policy.walls.keys(), WALLS, &policy.name));
            faults.extend(unknown(policy.not_for.keys(), PERSONS, &policy.name));
        }
        for row in &self.rows {
            let id = &row.id;
            if !ids.insert(id.as_str()) {
                faults.push(format!("two rows are called {id}"));
            }
            if !policies.contains(row.policy.as_str()) {
                faults.push(format!("{id}: no policy {}", row.policy));
            }
            if !MECHANISMS.iter().any(|(name, _)| *name == row.mechanism) {
                faults.push(format!("{id}: no mechanism {}", row.mechanism));
            }
            if let Some(before) = kinds.insert((&row.mechanism, &row.operation, row.verdict), id) {
                faults.push(format!("{id} has mechanism, operation and verdict of {before}"));
            }
            if (row.verdict == Verdict::Deny) != row.shows.is_some() {
                faults.push(format!("{id}: a denial shows itself, and nothing else does"));
            }
            let keeps = ["broker", "gateway"].contains(&row.mechanism.as_str());
            let silent = row.verdict == Verdict::Deny && keeps && row.event == "none";
            if silent != row.unrecorded.is_some() {
                faults.push(format!(
                    "{id}: `unrecorded` is for denials of broker and gateway without an event"
                ));
            }
            faults.extend(unknown(row.walls.keys(), WALLS, id));
            faults.extend(unknown(row.persons.keys().chain(row.uncontrolled.keys()), PERSONS, id));
        }
        faults
    }
}

fn unknown<'k>(keys: impl Iterator<Item = &'k String>, known: &[&str], of: &str) -> Vec<String> {
    let unknown = keys.filter(|key| !known.contains(&key.as_str()));
    unknown.map(|key| format!("{of}: neither {key}")).collect()
}

impl Row {
    /// As it is on this wall and for this person, and why it is different.
    pub(crate) fn here(&self, wall: &str, person: &str) -> (Self, Vec<(&'static str, String)>) {
        let (mut row, mut why) = (self.clone(), vec![]);
        let both = self.walls.get(&format!("{wall} as {person}"));
        let differences =
            [("person", self.persons.get(person)), ("wall", self.walls.get(wall)), ("wall", both)];
        for (of, difference) in differences {
            let Some(difference) = difference else { continue };
            if let Some(verdict) = difference.verdict {
                row.verdict = verdict;
                row.shows = None;
                if verdict == Verdict::Allow {
                    row.event = "none".into();
                }
            }
            row.shows = difference.shows.clone().or(row.shows);
            row.event = difference.event.clone().unwrap_or(row.event);
            why.push((of, difference.because.clone()));
        }
        (row, why)
    }
}
