//! gVisor's `runsc`: found, judged, opened once, and tried.
//!
//! What it does is found out by doing, as the workload's user and in namespaces that end with the trial:
//! whatever a `runsc` starts, and however it hangs, nothing of it stays. What came of it is kept beside the
//! log, by the digest of the program; deliberately only the choice of a platform comes from there.

mod cache;
mod install;
mod tried;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use cofferdam_audit::digest;
use cofferdam_plan::Host;
use cofferdam_plan::facts::Ids;
use cofferdam_plan::host::{Program, Runsc};
use cofferdam_plan::runsc::{Build, Outcome, Platform};

use crate::facts;
use crate::launch::Programs;
use crate::program::{self, Owners, Search};

use cache::{Key, Known, Stamp};
pub use tried::PATIENCE;
use tried::Trier;

/// Where it is looked for, and nowhere else: what a project puts on `PATH` is nobody's.
const PLACES: [&str; 2] = ["usr/bin/runsc", "usr/local/bin/runsc"];

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What was tried before is believed; if nothing was, the first platform that works is enough.
    First,
    /// Each platform, anew.
    Each,
}

/// What is looked for, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Seek<'a> {
    /// Where the caller says that it is; `None`: in the system's places.
    pub named: Option<&'a Path>,
    /// Trees that the workload may write: one that the caller names is in none of them.
    pub written: &'a [&'a Path],
    /// The directory in which is kept what came of trials; `None`: nowhere.
    pub state: Option<&'a Path>,
    /// Who runs it.
    pub ids: Ids,
    /// How much is tried.
    pub depth: Depth,
}

/// What was found, and the program itself where it runs here.
#[derive(Debug)]
pub struct Found {
    /// For the plan.
    pub record: Runsc,
    /// The program, opened; `Some` exactly with [`Runsc::Ready`].
    pub program: Option<OwnedFd>,
}

impl From<Runsc> for Found {
    fn from(record: Runsc) -> Self {
        Self { record, program: None }
    }
}

/// Looks for `runsc` and tries it. In the system's places it is trusted where it and every directory above it
/// are root's and nobody else may write there; where the caller names it, they may be the caller's too.
#[must_use]
pub fn find(seek: &Seek<'_>, programs: &Programs, host: &Host) -> Found {
    let (top, root) = (Path::new("/"), facts::root());
    let search = match seek.named {
        None => program::search(top, &PLACES, root),
        Some(named) => {
            let caller = rustix::process::geteuid().as_raw();
            program::in_place(top, named, Owners::RootOr { root, caller })
        }
    };
    let (fd, program) = match search {
        Search::Missing => {
            let asked = seek.named.map(Path::to_owned);
            return Runsc::Missing { asked, install: install::here() }.into();
        }
        Search::Untrusted { path, why } => return Runsc::Untrusted { path, why }.into(),
        Search::Opened(fd, program) => (fd, program),
    };
    if let Some(tree) = seek.named.and_then(|_| tree_with(&program.path, seek.written)) {
        let why = format!("the workload may write {}", tree.display());
        return Runsc::Untrusted { path: program.path, why }.into();
    }
    judged(seek, (fd, program), programs, host)
}

/// The tree in which `path` is.
fn tree_with<'a>(path: &Path, trees: &[&'a Path]) -> Option<&'a Path> {
    trees.iter().copied().find(|tree| path.starts_with(tree))
}

fn judged(
    seek: &Seek<'_>,
    (fd, program): (OwnedFd, Program),
    programs: &Programs,
    host: &Host,
) -> Found {
    let useless = |path: &PathBuf, why| Runsc::Useless { path: path.clone(), why }.into();
    let file = File::from(fd);
    let stamp = match file.metadata() {
        Ok(seen) => Stamp::of(&seen),
        Err(error) => return useless(&program.path, format!("it cannot be looked at: {error}")),
    };
    let key = Key::of(host, seek.ids);
    let kept = seek.state.map(|state| cache::read(state, &key)).unwrap_or_default();
    // A file that nobody has changed since has the digest that it had.
    let digest = match kept.iter().find(|known| known.stamp == stamp) {
        Some(known) if seek.depth == Depth::First => Ok(known.digest.clone()),
        Some(_) | None => digest::sha256_of(&file),
    };
    let digest = match digest {
        Ok(digest) => digest,
        Err(error) => return useless(&program.path, format!("it cannot be read: {error}")),
    };
    let known = kept.iter().find(|known| known.digest == digest && seek.depth == Depth::First);
    let known = match known.cloned() {
        Some(known) => Known { stamp, ..known },
        None => match Trier::new(&program, seek.ids, programs, host).examine(seek.depth) {
            Ok(tried) => Known { stamp, digest, tried },
            Err(why) => return useless(&program.path, why),
        },
    };
    let Some(platform) = known.tried.platform() else {
        return useless(&program.path, in_words(&known.tried.platforms));
    };
    if let Some(state) = seek.state.filter(|_| !kept.contains(&known)) {
        // Without it the next start tries again.
        cache::keep(state, &key, &known, kept).unwrap_or(());
    }
    let Known { digest, tried, .. } = known;
    let record = Build {
        program,
        version: tried.version,
        digest,
        platform,
        platforms: tried.platforms,
        features: tried.features,
    };
    Found { record: Runsc::Ready(record), program: Some(file.into()) }
}

/// What came of each platform, for a person.
fn in_words(platforms: &[(Platform, Outcome)]) -> String {
    let each = platforms.iter().map(|(platform, outcome)| {
        let name = platform.name();
        match outcome {
            Outcome::Works => format!("{name} works"),
            Outcome::Fails { why } => format!("{name} does not run: {why}"),
            Outcome::Hangs { after } => format!("{name} hangs, ended after {after} s"),
            Outcome::Untried => format!("{name} was not tried"),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}
