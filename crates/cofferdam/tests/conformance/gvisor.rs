//! The wall `gvisor/native`: what it is run with, and that nothing of the host's changes below a layer in
//! memory, whatever the rows' acts say that they have done.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::support::{Place, Ran, variable};

pub(crate) const WALL: &str = "gvisor/native";
/// Words of the command line under which trees of the host's stay as they are.
pub(crate) const TENANT: [&str; 2] = ["--oversight", "tenant"];
/// The code that says that nobody would hold a clause in a tree of the host's.
const UNHELD: &str = "\"code\":\"gvisor-unheld\"";

/// `COFFERDAM_RUNSC`, or what `cargo xtask runsc target/runsc` brings.
fn runsc() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/runsc/2024/usr/bin/runsc");
    variable("COFFERDAM_RUNSC").map_or(own, PathBuf::from)
}

/// Words of the command line that choose this wall.
pub(crate) fn chosen() -> Vec<String> {
    let runsc = runsc().display().to_string();
    ["--isolation".into(), "gvisor".into(), "--runsc".into(), runsc].into()
}

/// Whether rows can be done on `wall`. Where everything has to be here, what is not is no excuse.
pub(crate) fn is_here(wall: &str) -> bool {
    let runsc = runsc();
    if wall != WALL || runsc.is_file() {
        return true;
    }
    let why = format!(
        "not run: {WALL}: there is no {}, which `cargo xtask runsc target/runsc` brings; another is named by \
         COFFERDAM_RUNSC",
        runsc.display()
    );
    assert!(variable("CI").is_none(), "{why}");
    println!("{why}");
    false
}

/// Whether the policy is refused because nobody would hold a clause of it in a tree of the host's.
pub(crate) fn is_unheld(plan: &Ran) -> bool {
    plan.status == Some(125) && format!("{}{}", plan.out, plan.err).contains(UNHELD)
}

/// What is at a path: kind and mode, owner, when it was changed, and what is in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    content: Vec<u8>,
}

/// All of the place's that the workload has or has not.
pub(crate) fn host(place: &Place) -> BTreeMap<PathBuf, Seen> {
    let (mut seen, mut left) = (BTreeMap::new(), vec![place.home.join("src"), place.out.clone()]);
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let content = if found.is_symlink() {
            fs::read_link(&path).unwrap_or_default().into_os_string().into_encoded_bytes()
        } else if found.is_file() {
            fs::read(&path).unwrap_or_default()
        } else {
            vec![]
        };
        if found.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.map(|entry| entry.path()));
        }
        let (owner, modified) = ((found.uid(), found.gid()), (found.mtime(), found.mtime_nsec()));
        seen.insert(path, Seen { mode: found.mode(), owner, modified, content });
    }
    seen
}

/// Paths that are different.
pub(crate) fn changed(
    before: &BTreeMap<PathBuf, Seen>,
    after: &BTreeMap<PathBuf, Seen>,
) -> Vec<String> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    let changed = paths.filter(|path| before.get(*path) != after.get(*path));
    changed.map(|path| path.display().to_string()).collect()
}

#[test]
fn a_change_of_the_hosts_is_found() {
    let place = Place::new();
    let before = host(&place);
    assert_eq!(changed(&before, &host(&place)), Vec::<String>::new());
    let made = place.write("home/src/app/made", "");
    let written = place.write("out/canary", "out-canarx\n");
    let gone = place.home.join("src/other/secret");
    fs::remove_file(&gone).unwrap_or_else(|error| panic!("{gone:?}: {error}"));
    let found = changed(&before, &host(&place));
    for path in [made, written, gone] {
        assert!(found.contains(&path.display().to_string()), "{path:?} went unnoticed: {found:?}");
    }
}
