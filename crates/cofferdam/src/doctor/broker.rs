//! The third trial: a sandbox whose policy holds names that are not there, hides by a pattern, and
//! keeps what is old.
//!
//! What is tried outside first is with the acts of the first trial: afterwards the place is another's.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::probe::tell;
use super::trial::{Errand, Place, Trial, send};
use crate::engine::Engine;
use crate::refused::Refused;

/// A name of the workspace that is protected and does not exist.
pub(super) const HELD: &str = "held";
/// A file of the workspace that a pattern hides.
pub(super) const HIDDEN: &str = "a.hidden";
/// Names that no rule is about.
const BESIDE: &str = "held-not";
/// Longer than the workload takes when one of its acts hangs.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Runs it, at a place that its owner has already; `no_control` is what did not work outside.
///
/// # Errors
/// What `run` would refuse here, or a fault of the place.
pub(super) fn hold(
    place: &Place,
    engine: &Engine,
    no_control: &[&'static str],
) -> Result<Trial, Refused> {
    let errand = Errand {
        policy: format!(
            "version = 1\n[filesystem]\nprotect = [\"{HELD}\"]\nhide = [\"**/*.hidden\"]\n"
        ),
        grants: vec![format!("{}:nd", place.tree.join("old").display())],
        words: vec!["names".into(), place.tree.clone().into()],
        patience: PATIENCE,
    };
    let (fault, inside) = send(place, engine, errand)?;
    let there = |name: &str| fs::symlink_metadata(place.tree.join(name)).is_ok();
    let leaked = there(&format!("work/{HELD}")) || !there("old/file");
    let no_control = no_control.into();
    Ok(Trial { fault, inside, outside: Vec::new(), no_control, leaked })
}

/// Tries everything, inside.
pub(super) fn answer(place: &Path) {
    let done = |done: io::Result<()>| done.map(|()| "");
    let (work, old) = (place.join("work"), place.join("old"));
    tell("create-protected", done(fs::write(work.join(HELD), "")));
    tell("create-beside", done(fs::write(work.join(BESIDE), "")));
    tell("look-hidden", fs::symlink_metadata(work.join(HIDDEN)).map(|_| ""));
    tell("read-hidden", fs::read(work.join(HIDDEN)).map(|_| ""));
    tell("read-beside", fs::read(work.join(BESIDE)).map(|_| ""));
    tell("remove-old", done(fs::remove_file(old.join("file"))));
    tell("rename-old", done(fs::rename(old.join("file"), old.join("gone"))));
    let grown = OpenOptions::new().append(true).open(old.join("file"));
    tell("add-to-old", done(grown.and_then(|mut file| file.write_all(b"more\n"))));
    let made = fs::write(old.join("made"), "").and_then(|()| fs::remove_file(old.join("made")));
    tell("remove-made", done(made));
    tell("end", Ok::<_, io::Error>(""));
}
