//! Golden plans with gVisor's kernel in the jail, and what of a policy it refuses.

use cofferdam_plan::gvisor::{Bundle, Kind};
use cofferdam_plan::host::{Program, Runsc};
use cofferdam_plan::plan::{Access, Argument, Content, Guard};
use cofferdam_plan::runsc::{Build, Features, Outcome, Platform, Version};
use cofferdam_plan::{Host, Plan, Step, compile};
use cofferdam_policy::resolve;

use super::{Caller, ORDINARY, PROTECTED, TREES, check, document, facts, host, planned};

/// A machine with a build of this year that runs on `platform`.
fn with_runsc(version: &str, platform: Platform) -> Host {
    let features = match platform {
        Platform::Systrap => Features { directfs: true, overlay: true, host_sockets: true },
        Platform::Ptrace | Platform::Kvm => {
            Features { directfs: false, overlay: true, host_sockets: false }
        }
    };
    let build = Build {
        program: Program { path: "/usr/bin/runsc".into(), dev: 8, ino: 78 },
        version: Version::named(version).unwrap(),
        digest: "0".repeat(64),
        platform,
        platforms: vec![(platform, Outcome::Works)],
        features,
    };
    Host { runsc: Runsc::Ready(build), ..host() }
}

fn new() -> Host {
    with_runsc("0.0~20240729.0", Platform::Systrap)
}

fn old() -> Host {
    with_runsc("0.0~20221219.0", Platform::Ptrace)
}

const TENANT: &str = "oversight = 'tenant'\n";
const READ_ONLY: &str =
    "isolation = 'gvisor'\n[filesystem]\nworkspace = { path = '.', mode = 'read-only' }\n";

#[test]
fn a_tenant() {
    check("tenant", &planned(TENANT, &facts(&ORDINARY, PROTECTED), &new()));
}

#[test]
fn a_tenant_of_roots_own() {
    let caller = Caller { uid: 0, owner: 0, groups: &[0] };
    check("tenant-stand-in", &planned(TENANT, &facts(&caller, &[]), &new()));
}

#[test]
fn an_old_build() {
    check("old", &planned(READ_ONLY, &facts(&ORDINARY, &[]), &old()));
}

fn bundle(plan: &Plan) -> Bundle {
    let found = plan.setup.iter().find_map(|step| {
        let Step::File { content: Content::Bundle(bundle), .. } = step else { return None };
        Some(bundle)
    });
    (**found.unwrap()).clone()
}

/// No tree of the host is writable where nothing stays, and what may be written inside is in memory.
#[test]
fn nothing_of_a_tenant_is_written_outside() {
    let plan = planned(TENANT, &facts(&ORDINARY, PROTECTED), &new());
    for step in &plan.setup {
        if let Step::Open(tree) = step {
            assert_ne!(tree.access, Access::ReadWrite, "{tree:?}");
        }
    }
    let bundle = bundle(&plan);
    let trees = bundle.mounts.iter().filter(|mount| matches!(mount.kind, Kind::Tree { .. }));
    for tree in trees {
        assert_eq!(tree.kind, Kind::Tree { written: false }, "{tree:?}");
    }
    assert!(!bundle.read_only, "the layer is written");
    let words: Vec<_> = plan.workload.command.iter().map(|word| word.0.as_slice()).collect();
    assert!(words.contains(&b"--overlay2=root:memory".as_slice()));
    assert!(
        words.contains(&b"--rootless".as_slice()) && words.contains(&b"--network=host".as_slice())
    );
    // Elsewhere nobody writes the root, and no layer hides that.
    let plan = planned(READ_ONLY, &facts(&ORDINARY, &[]), &new());
    assert!(super::gvisor::bundle(&plan).read_only);
    let words: Vec<_> = plan.workload.command.iter().map(|word| word.0.as_slice()).collect();
    assert!(words.contains(&b"--overlay2=none".as_slice()));
}

/// What the workload sees of the bundle is itself, and its words and variables are JSON whatever they are.
#[test]
fn a_bundle_is_json() {
    let text = "oversight = 'tenant'\n[environment]\nset = { A = \"q\\\"\\\\\\n\\u0001é\" }\n";
    let policy = resolve(&document(text), &facts(&ORDINARY, &[])).unwrap();
    let command: Vec<_> =
        ["sh", "-c", "echo \"a\\b\"\t$A"].map(|word| Argument(word.into())).into();
    let plan = compile(&policy, &new(), command).unwrap();
    let whole = plan.completed(|_| Vec::new(), &[]);
    let found = whole.setup.iter().find_map(|step| {
        let Step::File { path, content: Content::Bytes(bytes), .. } = step else { return None };
        path.ends_with("config.json").then(|| bytes.clone())
    });
    let json: serde_json::Value = serde_json::from_slice(&found.unwrap()).unwrap();
    let args = &json["process"]["args"];
    assert_eq!(args[0], "/usr/bin/env");
    assert_eq!(args[4], "echo \"a\\b\"\t$A");
    let environment = json["process"]["env"].as_array().unwrap();
    assert!(environment.iter().any(|one| one == "A=q\"\\\n\u{1}é"), "{environment:?}");
    assert_eq!(json["process"]["user"]["uid"], 0);
    assert_eq!(json["process"]["capabilities"].as_object().unwrap().len(), 0);
    assert!(
        !json["linux"]["namespaces"].as_array().unwrap().iter().any(|n| n["type"] == "network")
    );
}

#[test]
fn what_nobody_holds_is_refused() {
    let refused = |text: &str, host: &Host| {
        let policy =
            resolve(&document(text), &facts(&ORDINARY, &[PROTECTED, TREES].concat())).unwrap();
        let refusal = compile(&policy, host, vec![Argument(b"true".to_vec())]).err();
        refusal.map(|refusal| {
            assert!(!refusal.hint().is_empty());
            (refusal.code(), refusal.to_string())
        })
    };
    let unheld = |text: &str, word: &str| {
        let (code, says) = refused(text, &new()).unwrap();
        assert_eq!(code, "gvisor-unheld", "{text}");
        assert!(says.contains(word), "{word}: {says}");
    };
    assert_eq!(refused(TENANT, &new()), None);
    assert_eq!(refused(READ_ONLY, &new()), None);
    unheld("isolation = 'gvisor'\n", "protects in /home/u/app, there or not: .git/remotes");
    unheld(
        "oversight = 'tenant'\n[filesystem]\nhide = ['**/.env']\n",
        "hides in /home/u/app, there or not: **/.env",
    );
    unheld(
        "oversight = 'tenant'\n[filesystem]\nmask = ['**/.env']\n",
        "masks in /home/u/app, there or not: **/.env",
    );
    unheld(
        "oversight = 'tenant'\n[filesystem]\ngrant = [{ path = '/srv/data', mode = 'no-delete' }]\n",
        "/srv/data is no-delete",
    );
    let (code, says) = refused(TENANT, &old()).unwrap();
    assert_eq!(code, "gvisor-unheld");
    assert!(says.contains("builds from 2023 on"), "{says}");
    for jail in ["bubblewrap", "landlock"] {
        let text = format!("isolation = 'gvisor'\njail = '{jail}'\n");
        assert_eq!(refused(&text, &new()).unwrap().0, "gvisor-jail");
    }
    assert_eq!(refused(READ_ONLY, &host()).unwrap().0, "runsc-unasked");
    // No mount over /proc for a build that mounts one of its own, and each guard that holds alone kills.
    let plan = planned(READ_ONLY, &facts(&ORDINARY, &[]), &old());
    let over = |step: &Step| matches!(step, Step::Bind { at, .. } if at.starts_with("/proc"));
    assert!(!plan.setup.iter().any(over));
    let hidden = "oversight = 'tenant'\n[filesystem]\nhide = ['.git/config']\n";
    let plan = planned(hidden, &facts(&ORDINARY, PROTECTED), &new());
    let kills = plan.setup.iter().any(|step| {
        matches!(step, Step::Bind { at, guard: Guard::Kill, .. } if at.ends_with(".git/config"))
    });
    assert!(kills, "nothing else holds it");
}
