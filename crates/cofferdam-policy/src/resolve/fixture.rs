//! A machine for tests of the resolution: what is there, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::resolve;
use crate::document::{Document, Source};
use crate::error::PolicyError;
use crate::facts::{Facts, Ids, Kind, Person, Seen, Values};
use crate::model::Policy;

/// The workspace is `/home/u/w`; besides it and what leads there, `rows` exist.
pub(super) fn facts(rows: &[(&str, Kind)]) -> Facts {
    let always = ["/", "/home", "/home/u", "/home/u/w", "/usr"];
    let always = always.iter().map(|path| (*path, Kind::Directory));
    let mut paths = BTreeMap::new();
    for (ino, (path, kind)) in (1..).zip(always.chain(rows.iter().copied())) {
        let (real, link) = match kind {
            Kind::Link => (Some("/elsewhere".into()), Some("/elsewhere".into())),
            Kind::File | Kind::Directory | Kind::Other => (None, None),
        };
        let (dev, uid, gid, mode, links, acl) = (1, 1000, 1000, 0o755, 1, false);
        let seen = Seen { kind, real, link, dev, ino, uid, gid, mode, links, acl };
        paths.insert(PathBuf::from(path), Some(seen));
    }
    Facts {
        person: Person {
            caller_uid: 1000,
            caller_gid: 1000,
            caller_groups: vec![1000],
            ids: Ids::Caller { uid: 1000, gid: 1000 },
            name: "u".into(),
        },
        home: "/home/u".into(),
        cwd: "/home/u/w".into(),
        homes: vec!["/home/u".into()],
        own_places: vec!["/home/u/.config/cofferdam".into()],
        own_programs: Vec::new(),
        policy_files: Vec::new(),
        git_directories: Vec::new(),
        enclosing: None,
        kept_home: None,
        rootfs: None,
        environment: Values::default(),
        environment_names: Vec::new(),
        path: vec!["/usr/bin".into()],
        paths,
        unseen: BTreeMap::new(),
    }
}

/// The policy that `filesystem`, the lines of that table, is on such a machine.
pub(super) fn policy(filesystem: &str, facts: &Facts) -> Result<Policy, PolicyError> {
    let text = format!("version = 1\n[filesystem]\n{filesystem}");
    let document = Document::parse(Source { name: "policy".into(), text })?;
    resolve(&document, facts)
}

/// `path`, in the workspace where it is relative.
pub(super) fn at(path: &str) -> PathBuf {
    Path::new("/home/u/w").join(path)
}
