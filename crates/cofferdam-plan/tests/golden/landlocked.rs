//! Plans of the jail without namespaces.

use super::*;

const HOME: &str = "/home/u/.local/state/cofferdam/fresh/0123";
const MORE: &[Row] = &[
    ("/home/u/app/.git", Kind::Directory, None),
    ("/home/u/app/.git/hooks", Kind::Directory, None),
    (HOME, Kind::Directory, None),
    ("/etc/ssl", Kind::Directory, None),
    ("/etc/ssl/certs", Kind::Directory, None),
    ("/etc/ssl/private", Kind::Directory, None),
    ("/etc/fonts", Kind::Directory, None),
    ("/etc/localtime", Kind::Link, Some("usr/bin")),
];

const ALL: &str = "jail = 'landlock'\nbest_effort = ['absent', 'processes', 'private-places', \
                   'private-size', 'process-limit', 'times', 'signals', 'abstract-sockets']\n";

fn seen(caller: &Caller) -> Facts {
    Facts { kept_home: Some(HOME.into()), ..facts(caller, MORE) }
}

fn refused(text: &str, facts: &Facts, host: &Host) -> String {
    let source = Source { name: "case.toml".into(), text: format!("version = 1\n{text}") };
    let policy = resolve(&Document::parse(source).unwrap(), facts).unwrap();
    compile(&policy, host, Vec::new()).err().unwrap().to_string()
}

#[test]
fn an_ordinary_user() {
    check("../landlock/ordinary", &planned(ALL, &seen(&ORDINARY), &host()));
}

#[test]
fn root_in_somebodys_workspace() {
    let caller = Caller { uid: 0, groups: &[0], ..ORDINARY };
    let plan = planned(ALL, &seen(&caller), &host());
    assert_eq!(plan.setup.first(), Some(&Step::Become { uid: 1000, gid: 1000 }));
}

/// No step of it needs a namespace, a mount or a privilege.
#[test]
fn nothing_of_a_namespace_is_in_it() {
    let plan = planned(ALL, &seen(&ORDINARY), &host());
    let strange = plan.setup.iter().find(|step| {
        matches!(
            step,
            Step::Unshare { .. }
                | Step::MapIds { .. }
                | Step::Pivot
                | Step::Open(_)
                | Step::Proc { .. }
        )
    });
    assert_eq!(strange, None);
}

/// What a machine does not hold and the policy does not give up is named, by its age of Landlock.
#[test]
fn what_is_not_held_is_refused() {
    let three = "jail = 'landlock'\nbest_effort = ['absent', 'private-places', 'private-size']\n";
    for (abi, want) in [
        (7, &["processes (", "process-limit (", "times ("][..]),
        (6, &["processes (", "process-limit (", "times ("]),
        (5, &["processes (", "process-limit (", "times (", "signals (", "abstract-sockets ("]),
        (1, &["processes (", "process-limit (", "times (", "signals (", "abstract-sockets ("]),
    ] {
        let said = refused(three, &seen(&ORDINARY), &Host { landlock_abi: abi, ..host() });
        let rows: Vec<&str> = said.split(": ").nth(1).unwrap().split("; ").collect();
        assert_eq!(rows.len(), want.len(), "{abi}: {said}");
        assert!(rows.iter().zip(want).all(|(row, want)| row.starts_with(want)), "{abi}: {said}");
    }
    let own = Caller { uid: 0, owner: 0, groups: &[0] };
    assert!(refused(ALL, &seen(&own), &host()).contains("idmapped mounts"));
    let open = format!("{ALL}[[network.allow]]\nhost = 'example.com'\n");
    assert!(refused(&open, &seen(&ORDINARY), &host()).contains("network.allow[0]"));
}

/// A home of its own, `/etc` without what is hidden, and no link followed.
#[test]
fn what_is_granted() {
    let plan = planned(ALL, &seen(&ORDINARY), &host());
    let rules = plan.setup.iter().find_map(|step| {
        if let Step::LandlockOnHost { rules, .. } = step { Some(rules) } else { None }
    });
    let paths: Vec<&str> = rules.unwrap().iter().filter_map(|rule| rule.path.to_str()).collect();
    for there in
        [HOME, "/usr", "/home/u/app", "/etc/passwd", "/etc/fonts", "/etc/ssl/certs", "/proc"]
    {
        assert!(paths.contains(&there), "{there}: {paths:?}");
    }
    for absent in [
        "/",
        "/etc",
        "/etc/ssl",
        "/etc/shadow",
        "/etc/sudoers.d",
        "/etc/ssl/private",
        "/tmp",
        "/dev",
        "/home/u",
        "/etc/localtime",
    ] {
        assert!(!paths.contains(&absent), "{absent}: {paths:?}");
    }
}
