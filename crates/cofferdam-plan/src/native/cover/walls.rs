//! Which trees have Landlock for a second wall.
//!
//! Landlock adds up the rights of every rule on the way from a file to the root (`landlock(7)`): what
//! lies below a place that may be written, the private home above all, may be written as far as
//! Landlock goes, whatever its own rule says. There the mount alone makes a tree read-only.

use std::path::{Path, PathBuf};

use cofferdam_policy::model::Policy;

use super::super::landlock;
use crate::host::Host;

const MOUNT: &str = "read-only mount";
const LANDLOCK: &str = "Landlock (not for chmod, utime, xattr)";

/// The places whose Landlock rule lets files be written.
pub(super) struct Walls(Vec<PathBuf>);

impl Walls {
    pub(super) fn of(policy: &Policy, host: &Host) -> Self {
        let rules = landlock::rules(policy, host.landlock_abi).into_iter();
        let written = rules.filter(|(_, rights)| rights & landlock::WRITE_FILE != 0);
        Self(written.map(|(path, _)| path).collect())
    }

    /// The outermost place that holds `path` and may be written.
    fn holding(&self, path: &Path) -> Option<&Path> {
        let holding = self.0.iter().filter(|place| path.starts_with(place));
        holding.min_by_key(|place| place.components().count()).map(PathBuf::as_path)
    }

    /// What holds that each of `trees` is read-only.
    pub(super) fn read_only<'p>(&self, trees: impl IntoIterator<Item = &'p Path>) -> Vec<String> {
        let (mut two, mut places) = (false, Vec::new());
        for tree in trees {
            match self.holding(tree) {
                Some(place) if places.contains(&place) => {}
                Some(place) => places.push(place),
                None => two = true,
            }
        }
        let mut mechanisms = vec![MOUNT.to_owned()];
        mechanisms.extend(two.then(|| LANDLOCK.to_owned()));
        mechanisms.extend(places.into_iter().map(|place| {
            format!("one wall below {}: Landlock lets it be written", place.display())
        }));
        mechanisms
    }
}
