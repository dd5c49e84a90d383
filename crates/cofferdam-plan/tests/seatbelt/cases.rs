//! Policies from text and fixed Facts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cofferdam_policy::facts::{Facts, Ids, Kind, Person, Seen, Values};
use cofferdam_policy::{Document, Policy, PolicyError, Source, resolve};

/// What is on the machine.
pub(crate) const MACHINE: &[(&str, Kind)] = &[
    ("/usr", Kind::Directory),
    ("/etc", Kind::Directory),
    ("/etc/shadow", Kind::File),
    ("/etc/hosts", Kind::File),
    ("/home/u/app", Kind::Directory),
    ("/home/u/app/.git", Kind::Directory),
    ("/home/u/app/.git/hooks", Kind::Directory),
    ("/home/u/app/.git/config", Kind::File),
    ("/home/u/app/keys", Kind::Directory),
    ("/home/u/app/keys/public", Kind::Directory),
    ("/home/u/app/sub", Kind::Directory),
    ("/home/u/app/sub/.env", Kind::File),
    ("/home/u/app/sub/deep", Kind::Directory),
    ("/home/u/app/vendor/lib", Kind::Directory),
    ("/home/u/app/caf\u{e9}", Kind::Directory),
    ("/home/u/app/stra\u{df}e.key", Kind::File),
    ("/home/u/app/od\"d)(\\ ;", Kind::Directory),
    ("/home/u/app/a.sock", Kind::Other),
    ("/home/u/.netrc", Kind::File),
    ("/srv/data", Kind::Directory),
    ("/srv/data/set", Kind::Directory),
    ("/srv/data/set/one", Kind::Directory),
    ("/srv/data/b.sock", Kind::Other),
    ("/srv/other", Kind::Directory),
    ("/var/lib/x", Kind::Directory),
];

pub(crate) fn facts() -> Facts {
    let mut paths = BTreeMap::new();
    for (ino, (path, kind)) in (1..).zip(MACHINE) {
        let uid = if path.starts_with("/home") { 1000 } else { 0 };
        let mode = if *kind == Kind::Directory { 0o755 } else { 0o644 };
        let seen = Seen {
            kind: *kind,
            real: None,
            link: None,
            dev: 8,
            ino,
            uid,
            gid: uid,
            mode,
            links: 1,
            acl: false,
        };
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
        cwd: "/home/u/app".into(),
        homes: vec!["/home/u".into()],
        own_places: vec!["/home/u/.config/cofferdam".into()],
        own_programs: Vec::new(),
        policy_files: Vec::new(),
        git_directories: Vec::new(),
        enclosing: None,
        kept_home: None,
        rootfs: None,
        environment: Values(BTreeMap::new()),
        environment_names: Vec::new(),
        path: vec!["/usr/bin".into()],
        paths,
        unseen: BTreeMap::new(),
    }
}

pub(crate) fn resolved(text: &str) -> Result<Policy, PolicyError> {
    let source = Source { name: "case.toml".into(), text: format!("version = 1\n{text}") };
    resolve(&Document::parse(source)?, &facts())
}

#[track_caller]
pub(crate) fn policy(text: &str) -> Policy {
    resolved(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
