//! A root file system in place of the host's system: what is shown of it, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fixture;
use super::resolve;
use crate::change::egress_change;
use crate::document::{Document, Source};
use crate::error::PolicyError;
use crate::facts::{Facts, Kind, Rootfs, Seen};
use crate::layers::{Base, Layer, LayerText};
use crate::model::{Grant, Origin, Policy};

fn seen(kind: Kind, ino: u64, real: Option<&str>, link: Option<&str>) -> Seen {
    let (real, link) = (real.map(PathBuf::from), link.map(PathBuf::from));
    let (dev, uid, gid, mode, links, acl) = (2, 1000, 1000, 0o755, 1, false);
    Seen { kind, real, link, dev, ino, uid, gid, mode, links, acl }
}

/// One with everything that is asked of it, and more.
fn rootfs() -> Rootfs {
    let mut paths: BTreeMap<PathBuf, Option<Seen>> = BTreeMap::new();
    let directories = ["/usr", "/etc", "/app", "/var", "/home", "/opt", "/srv"];
    let files = ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/shadow"];
    for (ino, path) in (100..).zip(directories) {
        paths.insert(path.into(), Some(seen(Kind::Directory, ino, None, None)));
    }
    for (ino, path) in (200..).zip(files) {
        paths.insert(path.into(), Some(seen(Kind::File, ino, None, None)));
    }
    for (path, link, real) in [
        ("/bin", "usr/bin", "/usr/bin"),
        ("/out", "../../host", "/host"),
        ("/tools", "/var/tools", "/var/tools"),
        ("/etc/resolv.conf", "../run/resolve/conf", "/run/resolve/conf"),
    ] {
        paths.insert(path.into(), Some(seen(Kind::Link, 300, Some(real), Some(link))));
    }
    paths.insert("/program".into(), Some(seen(Kind::File, 400, None, None)));
    Rootfs { root: "/img".into(), digest: None, paths }
}

fn machine() -> Facts {
    machine_with(&[])
}

/// With more of the host's; each has a number of its own.
fn machine_with(more: &[(&str, Kind)]) -> Facts {
    let rows = [("/img", Kind::Directory), ("/etc", Kind::Directory), ("/opt/t", Kind::Directory)];
    let rows = [&rows, more].concat();
    Facts { rootfs: Some(rootfs()), ..fixture::facts(&rows) }
}

fn policy(text: &str, facts: &Facts) -> Result<Policy, PolicyError> {
    let text = format!("version = 1\nrootfs = '/img'\n{text}");
    let document = Document::parse(Source { name: "policy".into(), text })?;
    resolve(&document, facts)
}

fn system(policy: &Policy) -> Vec<&Grant> {
    policy.grants.iter().filter(|grant| grant.origin == Origin::System).collect()
}

#[test]
fn its_directories_are_the_system() {
    let policy = policy("", &machine()).unwrap();
    let shown: Vec<_> = system(&policy)
        .into_iter()
        .map(|tree| (tree.path.to_str().unwrap(), tree.source.to_str().unwrap(), tree.seen.ino))
        .collect();
    let want = [
        ("/app", "/img/app", 102),
        ("/etc", "/img/etc", 101),
        ("/opt", "/img/opt", 105),
        ("/usr", "/img/usr", 100),
    ];
    assert_eq!(shown, want);
    assert_eq!(policy.root_links, [(PathBuf::from("/bin"), PathBuf::from("usr/bin"))]);
    let told = policy.rootfs.as_ref().unwrap();
    let left: Vec<_> = told.left_out.iter().map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(left, ["/home", "/out", "/program", "/srv", "/tools", "/var"]);
    // Ours stand over its own, and in /run where one leads there.
    let ours: Vec<_> = policy.replaced.iter().map(|ours| ours.at.to_str().unwrap()).collect();
    let want =
        ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/run/resolve/conf"];
    assert_eq!(ours, want);
    let hidden: Vec<_> =
        policy.hidden.iter().map(|(path, seen)| (path.as_path(), seen.ino)).collect();
    assert_eq!(hidden, [(Path::new("/etc/shadow"), 204)]);
    let path = policy.environment.iter().find(|variable| variable.name == "PATH").unwrap();
    assert_eq!(path.value, "/usr/bin:/usr/local/bin:/bin");
    // Without it, the host's.
    let text = "version = 1\n".to_owned();
    let document = Document::parse(Source { name: "policy".into(), text }).unwrap();
    let host = resolve(&document, &Facts { rootfs: None, ..machine() }).unwrap();
    assert!(system(&host).iter().all(|tree| tree.source == tree.path));
    assert_eq!(host.rootfs, None);
}

#[test]
fn without_an_etc_ours_is_all_of_it() {
    let mut facts = machine();
    facts.rootfs.as_mut().unwrap().paths.retain(|path, _| !path.starts_with("/etc"));
    let text = "[[network.allow]]\nhost = 'a.test'\nmethods = ['GET']";
    let policy = policy(text, &facts).unwrap();
    let ours: Vec<_> = policy.replaced.iter().map(|ours| ours.at.to_str().unwrap()).collect();
    let want = [
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/etc/nsswitch.conf",
        "/etc/resolv.conf",
        "/etc/ssl/certs/ca-certificates.crt",
    ];
    assert_eq!(ours, want);
}

/// A change of what was seen.
type Change = fn(&mut Facts);

fn of_image(facts: &mut Facts) -> &mut BTreeMap<PathBuf, Option<Seen>> {
    &mut facts.rootfs.as_mut().unwrap().paths
}

fn at_image(facts: &mut Facts) -> &mut Seen {
    facts.paths.get_mut(Path::new("/img")).unwrap().as_mut().unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table: one row a situation")]
fn what_is_refused() {
    let grant = "[filesystem]\ngrant = [{ path = '/opt/t', mode = 'read-only' }]";
    let hide = "[filesystem]\nhide = ['/usr/share/x']";
    let written = "[filesystem]\ngrant = [{ path = '/img', mode = 'read-write' }]";
    let same: Change = |_| {};
    let rows: &[(&str, Change, Option<&str>, &str)] = &[
        ("", same, None, "the one that all of these are near"),
        ("", |f| drop(f.paths.insert("/img".into(), None)), Some("not-found"), "it is gone"),
        ("", |f| at_image(f).kind = Kind::Link, Some("symbolic-link"), "a link"),
        ("", |f| at_image(f).kind = Kind::Other, Some("not-regular"), "a FIFO"),
        ("", |f| at_image(f).uid = 7, Some("rootfs-shared"), "another's"),
        ("", |f| at_image(f).mode = 0o757, Some("rootfs-shared"), "everybody writes it"),
        ("", |f| at_image(f).mode = 0o775, None, "the caller's own group alone does"),
        (
            "",
            |f| (at_image(f).mode, at_image(f).gid) = (0o775, 4),
            Some("rootfs-shared"),
            "a group",
        ),
        ("", |f| (at_image(f).uid, at_image(f).gid) = (0, 0), None, "root's"),
        ("", |f| f.rootfs = None, Some("cannot-look"), "nobody looked into it"),
        (
            "",
            |f| of_image(f).retain(|path, _| path.starts_with("/etc")),
            Some("rootfs-no-system"),
            "",
        ),
        (
            "",
            |f| drop(of_image(f).remove(Path::new("/etc/hosts"))),
            Some("rootfs-lacks"),
            "a place",
        ),
        (
            "",
            |f| {
                let link = seen(Kind::Link, 9, Some("/proc/version"), Some("/proc/version"));
                of_image(f).insert("/etc/hosts".into(), Some(link));
            },
            Some("rootfs-lacks"),
            "a place that leads elsewhere",
        ),
        (grant, same, Some("rootfs-no-place"), "a tree in one of its own, without a place"),
        (
            grant,
            |f| {
                drop(
                    of_image(f).insert("/opt/t".into(), Some(seen(Kind::Directory, 9, None, None))),
                )
            },
            None,
            "with one",
        ),
        (
            grant,
            |f| {
                drop(
                    of_image(f)
                        .insert("/opt/t".into(), Some(seen(Kind::Link, 9, Some("/x"), Some("/x")))),
                )
            },
            Some("rootfs-no-place"),
            "a link is none",
        ),
        (hide, same, Some("rootfs-hidden"), "a name of the host's"),
        (written, same, Some("rootfs-writable"), "the workload could write it"),
        (
            "",
            |f| f.own_places.push("/img/state".into()),
            Some("rootfs-too-wide"),
            "our own state in it",
        ),
        ("", |f| f.own_places.push("/img".into()), Some("rootfs-too-wide"), "our own state itself"),
    ];
    for (text, change, want, why) in rows {
        let mut facts = machine();
        change(&mut facts);
        let got = policy(text, &facts);
        let code = got.as_ref().err().map(PolicyError::code);
        assert_eq!(code, *want, "{why}: {text}: {:?}", got.err());
    }
}

/// A directory of it in which the workspace stands is left out, where it is none of the system's.
#[test]
fn the_workspace_has_its_place() {
    let rows = [("/tree", Kind::Directory), ("/tree/app", Kind::Directory)];
    let mut facts = machine_with(&rows);
    let there = || Some(seen(Kind::Directory, 9, None, None));
    of_image(&mut facts).insert("/tree".into(), there());
    let text = "[filesystem]\nworkspace = { path = '/tree/app' }";
    let without = policy(text, &facts).unwrap();
    assert!(!system(&without).iter().any(|tree| tree.path == Path::new("/tree")));
    let told = without.rootfs.unwrap().left_out;
    assert!(told.contains(&("/tree".into(), "/tree/app stands there".into())), "{told:?}");
    of_image(&mut facts).insert("/tree/app".into(), there());
    let with = policy(text, &facts).unwrap();
    assert!(system(&with).iter().any(|tree| tree.path == Path::new("/tree")));
}

#[test]
fn a_ceiling_says_whose_system_it_is() {
    let stacked = |managed: &str, below: &str, flag: Option<&str>| {
        let texts = [(Layer::Managed, managed), (Layer::User, below)].map(|(layer, rules)| {
            let text = format!("version = 1\n{rules}");
            let source = Source { name: layer.as_str().into(), text };
            LayerText { layer, source, base: Base::AsWritten }
        });
        let mut document = Document::stack(texts.into()).unwrap();
        flag.map_or(Ok(()), |path| document.set_rootfs(path)).unwrap();
        resolve(&document, &machine())
    };
    let (only, forced) =
        ("[managed]\nonly = ['rootfs']", "rootfs = '/img'\n[managed]\nonly = ['rootfs']");
    let beyond = Some("beyond-managed");
    for (managed, below, flag, want, why) in [
        (only, "rootfs = '/img'", None, beyond, "it is forbidden"),
        (only, "", Some("/img"), beyond, "by a flag too"),
        (only, "", None, None, "nobody asks for one"),
        (forced, "rootfs = '/other'", None, Some("not-found"), "another that is not there"),
        (forced, "", Some("/home"), Some("rootfs-too-wide"), "one that holds the home"),
        (forced, "rootfs = '/img'", Some("/img"), None, "the same"),
        ("", "rootfs = '/img'", None, None, "no ceiling"),
    ] {
        let got = stacked(managed, below, flag);
        assert_eq!(got.as_ref().err().map(PolicyError::code), want, "{why}: {:?}", got.err());
    }
    let policy = stacked(forced, "", None).unwrap();
    assert_eq!(policy.rootfs.unwrap().clause.file, "managed");
}

#[test]
fn a_change_of_it_takes_a_new_start() {
    let facts = machine();
    let old = policy("", &facts).unwrap();
    let mut new = old.clone();
    assert!(egress_change(&old, &new).is_ok());
    new.rootfs.as_mut().unwrap().digest = Some("sha256:0".into());
    let found = egress_change(&old, &new).unwrap_err();
    assert_eq!(found.first().map(|one| one.because.as_str()), Some("rootfs changed"));
}
