//! What is understood of a `runsc`'s own words, and what one must do to be believed.

use super::*;
use crate::plan::{Access, Spaces, Step};
use cofferdam_policy::facts::Ids;

#[test]
fn versions_in_each_makers_way() {
    for (said, want) in [
        (
            "runsc version 0.0~20221219.0\nspec: 1.0.2-dev\n",
            Some(("0.0~20221219.0", Some(20_221_219))),
        ),
        ("runsc version 0.0~20240729.0\nspec: 1.2.0\n", Some(("0.0~20240729.0", Some(20_240_729)))),
        (
            "runsc version release-20240729.0\nspec: 1.1.0-rc.1\n",
            Some(("release-20240729.0", Some(20_240_729))),
        ),
        (
            "runsc version release-20240729.0-5-gabcdef12\n",
            Some(("release-20240729.0-5-gabcdef12", Some(20_240_729))),
        ),
        ("runsc version VERSION_MISSING\nspec: 1.1.0\n", Some(("VERSION_MISSING", None))),
        ("runsc version 0.0~20221399.0\n", Some(("0.0~20221399.0", None))),
        ("runsc version 0.0~19991231.0\n", Some(("0.0~19991231.0", None))),
        ("runc version 1.1.5\nspec: 1.0.2-dev\n", None),
        ("runsc version \n", None),
        ("runsc version 1 2\n", None),
        ("runsc version 1\u{1b}[2J\n", None),
        ("", None),
    ] {
        let version = Version::of(said);
        let found = version.as_ref().map(|version| (version.name.as_str(), version.day));
        assert_eq!(found, want, "{said:?}");
    }
    assert_eq!(Version::named(&"1".repeat(101)), None);
}

#[test]
fn features_are_what_the_list_has() {
    let list = "  -debug\n    \tenable debug logging.\n  -directfs\n    \tdirectly access (default true)\n  \
                -host-uds value\n    \tcontrols -overlay2 and others\n  -overlay\n";
    let features = Features::of(list);
    assert_eq!(features, Features { directfs: true, overlay: false, host_sockets: true });
    assert_eq!(Features::of(""), Features::default());
}

/// What the program inside says, in a kernel of these names.
fn said(system: &str, node: &str, release: &str) -> Vec<u8> {
    let name = |name: &str| {
        let mut bytes = name.as_bytes().to_vec();
        bytes.resize(NAME_BYTES, 0);
        bytes
    };
    [system, node, release, "#1", "x86_64", "(none)"].into_iter().flat_map(name).collect()
}

#[test]
fn only_another_kernel_is_believed() {
    let host = "6.18.0";
    for (status, output, want, why) in [
        (42, said("Linux", "cofferdam-trial", "4.4.0"), true, "gVisor's"),
        (42, said("Linux", "cofferdam-trial", host), false, "the host's kernel, renamed"),
        (42, said("Linux", "cofferdam", "4.4.0"), false, "the name outside"),
        (42, said("Darwin", "cofferdam-trial", "4.4.0"), false, "another system"),
        (42, said("Linux", "cofferdam-trial", ""), false, "no release"),
        (0, said("Linux", "cofferdam-trial", "4.4.0"), false, "another status"),
        (42, Vec::new(), false, "nothing"),
        (42, said("Linux", "cofferdam-trial", "4.4.0").repeat(2), false, "more than that"),
        (42, b"cofferdam-trial".to_vec(), false, "less than that"),
    ] {
        assert_eq!(Trial::is_answered(status, &output, host), want, "{why}");
    }
}

#[test]
fn a_trial_ends_with_its_namespaces_and_has_nothing() {
    let program = Program { path: "/usr/bin/runsc".into(), dev: 1, ino: 2 };
    let stand_in = Ids::StandIn { uid: 65_521, gid: 65_521 };
    let trial = Trial::Run(Platform::Systrap, Features::default());
    let plan = trial.plan(&program, stand_in, Devices::default(), 4);
    let at = |wanted: fn(&Step) -> bool| plan.setup.iter().position(wanted);
    let first = at(|step| matches!(step, Step::Become { .. }));
    let inside = at(|step| matches!(step, Step::Unshare { spaces: Spaces::Inside }));
    assert!(first < inside && inside.is_some(), "root is given up first");
    assert_eq!(plan.setup.last(), Some(&Step::DropCapabilities));
    assert_eq!((plan.bounds.wall_time, plan.bounds.grace), (Some(4), 0));
    let opened = plan.setup.iter().filter_map(|step| {
        let Step::Open(opening) = step else { return None };
        (opening.access != Access::Device).then_some(opening)
    });
    let opened: Vec<_> = opened.map(|opening| (&opening.path, opening.access)).collect();
    assert_eq!(opened, [(&program.path, Access::ReadOnly)], "nothing else of the host's");
    let own = trial.plan(&program, Ids::Caller { uid: 1000, gid: 1000 }, Devices::default(), 4);
    assert!(!own.setup.iter().any(|step| matches!(step, Step::Become { .. })));
}

#[test]
fn each_reason_has_its_code_and_remedy() {
    let clause = Clause::built_in("isolation");
    let path = PathBuf::from("/opt/runsc");
    let why = "others may write it".to_owned();
    let install = "sudo apt-get install runsc".to_owned();
    for (found, code, words, hint) in [
        (Runsc::Unasked, "runsc-unasked", "nobody has looked", "report it"),
        (
            Runsc::Missing { asked: None, install: install.clone() },
            "runsc-missing",
            "no runsc in /usr/bin or /usr/local/bin",
            "sudo apt-get install runsc; or",
        ),
        (
            Runsc::Missing { asked: Some(path.clone()), install },
            "runsc-missing",
            "there is no runsc at /opt/runsc",
            "leave it out; sudo apt-get install runsc",
        ),
        (
            Runsc::Untrusted { path: path.clone(), why: why.clone() },
            "runsc-untrusted",
            "others may write it",
            "outside of every workspace",
        ),
        (
            Runsc::Useless { path, why: "systrap hangs, ended after 4 s".into() },
            "runsc-useless",
            "systrap hangs",
            "--runsc",
        ),
    ] {
        let refusal = Refusal::from(found.ready(&clause).unwrap_err());
        assert_eq!(refusal.code(), code);
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert!(refusal.hint().contains(hint), "{}", refusal.hint());
    }
}
