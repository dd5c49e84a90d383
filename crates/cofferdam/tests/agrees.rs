//! What the judge says about a plan is what happens when that plan runs.
//!
//! Random policies over a random tree, random accesses; the same [`Prepared`] is asked and run.
//! Each access is first made on a copy of the tree without any wall, where it must work: a denial
//! inside is then the wall's doing and nothing else's.
//!
//! Left out: files of the system, which an ordinary user cannot change outside either, and names
//! in directories that exist inside only as places for mounts.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "support/mod.rs"]
mod support;
#[path = "agrees/table.rs"]
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cofferdam::policy::{Act, Request, Verdict, decide};
use cofferdam::{Engine, Options, Outcome, PolicyFrom, Sink};
use support::{Place, finish, programs, variable};

const POLICIES: u64 = 40;
const ACCESSES: u64 = 12;

/// Directories below the place's root in which accesses are made.
const FOLDERS: &[&str] = &[
    "home/src/app",
    "home/src/app/sub",
    "home/src/app/sub/deep",
    "home/src/app/vendor",
    "home/src/app/.git",
    "home/src/app/.git/hooks",
    "home/src/app/.vscode",
    "home/src/other",
    "out",
    "out/one",
    "out/one/inner",
    "out/one/inner/most",
    "out/two",
];

/// Those of them that a policy may grant.
const GRANTABLE: &[&str] = &[
    "home/src/other",
    "home/src/app/sub/deep",
    "home/src/app/vendor",
    "out/one",
    "out/one/inner",
    "out/one/inner/most",
    "out/two",
];

/// Holds the workspace, so it is granted to read alone.
const AROUND: &str = "home/src";

/// Those that a policy may hide or protect, besides a file that is accessed.
const NAMED: &[&str] = &[
    "home/src",
    "home/src/other",
    "home/src/app/.git/hooks",
    "out",
    "home/src/app/sub",
    "home/src/app/sub/deep",
    "home/src/app/vendor",
    "home/src/app/.vscode",
    "home/src/app/.git",
    "out/one",
    "out/one/inner",
    "out/one/inner/most",
    "out/two",
];

/// Makes accesses in turn and says of each `ok` or why not.
const SCRIPT: &str = r#"
import errno, json, os, sys
def act(what, path):
    if what == "read":
        os.close(os.open(path, os.O_RDONLY)) if not os.path.isdir(path) else os.listdir(path)
    elif what == "write":
        fd = os.open(path, os.O_WRONLY | os.O_APPEND); os.write(fd, b"\n"); os.close(fd)
    elif what == "create":
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    elif what == "rename":
        os.rename(path, path + ".new")
    elif what == "remove":
        os.unlink(path)
    elif what == "execute":
        pid = os.posix_spawn(path, [path], {})
        # A script whose name is hidden is started, and not found by its interpreter.
        if os.waitpid(pid, 0)[1] != 0: raise OSError(errno.ENOENT, path)
for what, path in json.loads(sys.argv[1]):
    try:
        act(what, path); print("ok")
    except OSError as e:
        print(errno.errorcode.get(e.errno, e.errno))
"#;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound
    }

    fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        let bound = u64::try_from(list.len()).unwrap_or(1);
        let index = usize::try_from(self.below(bound)).unwrap_or_default();
        list.get(index).unwrap_or_else(|| panic!("an empty list"))
    }

    fn mode(&mut self) -> &'static str {
        self.pick::<&str>(&["read-only", "no-delete", "read-write"])
    }
}

/// An access, by its path below the place's root.
#[derive(Debug)]
struct Access {
    act: Act,
    below: String,
}

const fn word(act: Act) -> &'static str {
    match act {
        Act::Read => "read",
        Act::Write => "write",
        Act::Create => "create",
        Act::Rename => "rename",
        Act::Remove => "remove",
        Act::Execute => "execute",
        Act::Connect => "connect",
    }
}

fn policy(random: &mut Random, place: &Place, accesses: &[Access]) -> String {
    let path = |below: &str| place.root.join(below).display().to_string();
    let mut grants = String::new();
    // Single files too; the last access moves a directory, with what is in it.
    let files = accesses.iter().filter(|access| access.act != Act::Create);
    let files = files.map(|access| access.below.as_str()).filter(|below| below.contains("/file-"));
    let files: Vec<&str> = files.filter(|_| random.below(6) == 0).collect();
    let folders = GRANTABLE.iter().copied().filter(|_| random.below(2) == 0);
    let trees: Vec<&str> = folders.collect::<Vec<_>>().into_iter().chain(files).collect();
    for below in trees {
        // A protected name is granted to read alone.
        let kept = below.contains("/.git/") || below.contains("/.vscode/");
        let (path, mode) = (path(below), if kept { "read-only" } else { random.mode() });
        grants += &format!("  {{ path = \"{path}\", mode = \"{mode}\" }},\n");
    }
    if random.below(3) == 0 {
        grants += &format!("  {{ path = \"{}\", mode = \"read-only\" }},\n", path(AROUND));
    }
    let mut names = |list: &str| {
        // Names that do not exist yet as well.
        let files = accesses.iter().filter(|access| access.below.contains("/file-"));
        let named = NAMED.iter().copied().chain(files.map(|access| access.below.as_str()));
        let named = named.filter(|_| random.below(8) == 0);
        let named: Vec<String> = named.map(|below| format!("\"{}\", ", path(below))).collect();
        format!("{list} = [{}", named.concat())
    };
    let (hide, protect) = (names("hide"), names("protect"));
    let pattern = if random.below(3) == 0 { "\"**/file-1?\"" } else { "" };
    let names = format!("{hide}{pattern}]\n{protect}]\n");
    // Mostly writable, as people work.
    let mode = match random.below(6) {
        0 => "read-only",
        1 => "no-delete",
        _ => "read-write",
    };
    let workspace = path("home/src/app");
    format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{workspace}\", mode = \"{mode}\" }}\n\
         grant = [\n{grants}]\n{names}"
    )
}

/// A file of its own for every access, so that none disturbs another.
fn accesses(random: &mut Random, place: &Place) -> Vec<Access> {
    let acts = [Act::Read, Act::Write, Act::Create, Act::Rename, Act::Remove, Act::Execute];
    let mut made: Vec<Access> = (0..ACCESSES)
        .map(|number| {
            let act = *random.pick(&acts);
            let below = format!("{}/file-{number}", random.pick(FOLDERS));
            if act != Act::Create {
                let path = place.write(&below, "#!/bin/sh\nexit 0\n");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .unwrap_or_else(|error| panic!("{error}"));
            }
            Access { act, below }
        })
        .collect();
    // Whole directories: listed first, moved last, since what is below goes with them.
    let list = (*random.pick(FOLDERS)).to_owned();
    made.insert(0, Access { act: Act::Read, below: list });
    let moved = (*random.pick(FOLDERS)).to_owned();
    made.push(Access { act: Act::Rename, below: moved });
    made
}

fn arguments(accesses: &[Access], root: &Path) -> Vec<String> {
    let list: Vec<(&str, PathBuf)> =
        accesses.iter().map(|access| (word(access.act), root.join(&access.below))).collect();
    let list = serde_json::to_string(&list).unwrap_or_else(|error| panic!("{error}"));
    ["/usr/bin/python3", "-c", SCRIPT, &list].map(str::to_owned).into()
}

/// One policy: what every access did inside, and how many the judge denied.
fn round(random: &mut Random, engine: &Engine) -> (usize, usize) {
    let place = Place::new();
    for below in FOLDERS {
        fs::create_dir_all(place.root.join(below)).unwrap_or_else(|error| panic!("{error}"));
    }
    let accesses = accesses(random, &place);
    let text = policy(random, &place, &accesses);
    let copy = place.root.with_extension("copy");
    finish(place.command("cp").arg("-a").arg(&place.root).arg(&copy)).works("copy the tree");
    let control = arguments(&accesses, &copy);
    let control = finish(place.command(&control[0]).args(&control[1..])).works("the control");
    fs::remove_dir_all(&copy).unwrap_or_else(|error| panic!("{error}"));
    assert!(control.out.lines().all(|line| line == "ok"), "outside: {accesses:?} {}", control.out);

    let options = Options {
        policy: PolicyFrom::Text { name: "random".into(), text: text.clone() },
        audit: Some(place.root.join("log/audit.jsonl")),
        ..Options::command(arguments(&accesses, &place.root))
    };
    let prepared = engine.prepare(&options).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    let session = engine.start(&prepared).unwrap_or_else(|refused| panic!("{refused}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let outcome = session.run(None, Sink::Collect(&mut out), Sink::Collect(&mut err), None);
    let outcome = outcome.unwrap_or_else(|refused| panic!("{refused}"));
    let err = String::from_utf8_lossy(&err);
    assert_eq!(outcome.outcome, Outcome::Exited(0), "{err}\n{text}");
    let out = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(out.lines().count(), accesses.len(), "{out}{err}");
    let mut denied = 0;
    for (access, happened) in accesses.iter().zip(out.lines()) {
        let path = place.root.join(&access.below);
        let verdict = decide(&prepared.plan.rules, Request { act: access.act, path: &path });
        let allowed = matches!(verdict, Verdict::Allow(_));
        assert_eq!(allowed, happened == "ok", "{access:?}: {happened}, but {verdict:?}\n{text}");
        denied += usize::from(!allowed);
    }
    (accesses.len(), denied)
}

#[test]
fn plan_agrees_with_what_happens() {
    let seed = variable("COFFERDAM_SEED").and_then(|seed| seed.parse().ok());
    // The same cases every time, so that a failure is of the change at hand.
    let seed = seed.unwrap_or(0xC0FF_E2DA);
    println!("COFFERDAM_SEED={seed}");
    let mut random = Random(seed);
    let engine = Engine::with_programs(&programs()).unwrap();
    let (mut total, mut denied) = (0, 0);
    for _ in 0..POLICIES {
        let (made, refused) = round(&mut random, &engine);
        total += made;
        denied += refused;
    }
    println!("{total} accesses under {POLICIES} policies, {denied} denied");
    assert!(total >= 300 && denied * 3 >= total, "{total} {denied}");
    let distinct: BTreeSet<&str> = GRANTABLE.iter().copied().collect();
    assert!(distinct.iter().all(|below| FOLDERS.contains(below)), "each grant is accessed");
}
