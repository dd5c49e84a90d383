//! Random policies, random acts: `why` says beforehand what happens in a real sandbox.
//!
//! Each act is first made on a copy of the tree without a wall, where it must work. Names are looked up, which
//! the gateway answers by its rules and asks nobody for.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use cofferdam::policy::{Act, Host, Name};
use cofferdam::why::{Outcome, Question};
use cofferdam::{Engine, Options, PolicyFrom, Sink};

use super::support::{Place, finish, programs, variable};

/// Cases that have to be compared.
const CASES_MIN: usize = 300;
/// Policies that may be tried for them: some are refused, as they should be.
const POLICIES_MAX: usize = 120;
/// Acts on paths under each policy.
const ACTS: u64 = 9;

const FOLDERS: &[&str] = &[
    "home/src/app",
    "home/src/app/sub",
    "home/src/app/sub/deep",
    "home/src/app/.git/hooks",
    "home/src/other",
    "out/one",
    "out/one/inner",
    "out/two",
];
const GRANTED: &[&str] =
    &["home/src/other", "out/one", "out/one/inner", "out/two", "home/src/app/sub/deep"];
const NAMED: &[&str] =
    &["home/src/app/sub", "home/src/app/sub/deep", "out/one/inner", "out/two", "home/src/other"];
const HOSTS: &[&str] = &["a.test", "b.test", "x.b.test", "y.x.b.test", "c.test", "d.test"];
const PATTERNS: &[&str] = &["a.test", "b.test", "*.b.test", "c.test", "x.b.test"];

const SCRIPT: &str = r#"
import errno, json, os, socket, sys
def act(what, path):
    if what == "read": os.close(os.open(path, os.O_RDONLY))
    elif what == "write": os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
    elif what == "create": os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    elif what == "delete": os.unlink(path)
    elif what == "exec":
        # A script whose name is hidden is started, and not found by its interpreter.
        if os.waitpid(os.posix_spawn(path, [path], {}), 0)[1] != 0: raise OSError(errno.ENOENT, path)
    elif what == "lookup": socket.getaddrinfo(path, 443)
for what, path in json.loads(sys.argv[1]):
    try: act(what, path); print("ok")
    except OSError as e: print(errno.errorcode.get(e.errno, e.errno))
"#;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bound = u64::try_from(bound).unwrap_or(1).max(1);
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound).unwrap_or(0)
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list.get(self.below(list.len())).copied().unwrap_or_default()
    }

    fn some(&mut self, list: &[&'static str], of: usize) -> Vec<&'static str> {
        list.iter().copied().filter(|_| self.below(of) == 0).collect()
    }
}

/// A question, as the script does it.
#[derive(Clone, Debug)]
struct Case {
    what: &'static str,
    at: String,
}

/// Files, and links to files elsewhere, one for each act.
fn acts(random: &mut Random, place: &Place) -> Vec<Case> {
    let mut cases = Vec::new();
    for number in 0..ACTS {
        let what = random.pick(&["read", "write", "create", "delete", "exec"]);
        let below = format!("{}/file-{number}", random.pick(FOLDERS));
        if what != "create" {
            let path = place.write(&below, "#!/bin/sh\nexit 0\n");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let linked = ["read", "write", "exec"].contains(&what) && random.below(3) == 0;
        if !linked {
            cases.push(Case { what, at: below });
            continue;
        }
        let link = format!("home/src/app/link-{number}");
        symlink(format!("../../../{below}"), place.root.join(&link)).unwrap();
        cases.push(Case { what, at: link });
    }
    cases
}

fn policy(random: &mut Random, place: &Place) -> String {
    let path = |below: &str| place.root.join(below).display().to_string();
    let mut grants = String::new();
    for below in random.some(GRANTED, 2) {
        let mode = random.pick(&["read-only", "no-delete", "read-write"]);
        grants += &format!("{{ path = \"{}\", mode = \"{mode}\" }}, ", path(below));
    }
    let mut names = |of: usize, pattern: &str| {
        let named: String =
            random.some(NAMED, of).iter().map(|below| format!("\"{}\", ", path(below))).collect();
        format!("{named}{}", if random.below(3) == 0 { pattern } else { "" })
    };
    let (hide, protect) =
        (names(9, "\"**/file-[12]\"").replace("[12]", "1"), names(6, "\"**/file-2\""));
    let mode = random.pick(&["read-write", "read-write", "no-delete", "read-only"]);
    let mut text = format!(
        "version = 1\n[filesystem]\nworkspace = {{ path = \"{}\", mode = \"{mode}\" }}\ngrant = [{grants}]\n\
         hide = [{hide}]\nprotect = [{protect}]\n",
        path("home/src/app"),
    );
    for host in random.some(PATTERNS, 2) {
        text += &format!("[[network.allow]]\nhost = \"{host}\"\n");
    }
    for host in random.some(PATTERNS, 6) {
        text += &format!("[[network.deny]]\nhost = \"{host}\"\n");
    }
    text
}

fn words(cases: &[Case], root: &std::path::Path) -> Vec<String> {
    let at = |case: &Case| match case.what {
        "lookup" => case.at.clone(),
        _ => root.join(&case.at).display().to_string(),
    };
    let list: Vec<(&str, String)> = cases.iter().map(|case| (case.what, at(case))).collect();
    ["/usr/bin/python3", "-c", SCRIPT, &serde_json::to_string(&list).unwrap()]
        .map(str::to_owned)
        .into()
}

fn question(case: &Case, place: &Place) -> Question {
    let act = match case.what {
        "read" => Act::Read,
        "write" => Act::Write,
        "create" => Act::Create,
        "delete" => Act::Remove,
        "exec" => Act::Execute,
        _ => {
            let host = Host::Name(Name::parse(case.at.as_bytes()).unwrap());
            return Question::Connect { host, port: 443, request: None };
        }
    };
    Question::Path(act, place.root.join(&case.at))
}

/// Cases in which what was said is not what happened.
fn disagree(said: &[bool], happened: &[&str]) -> Vec<usize> {
    let both = said.iter().zip(happened).enumerate();
    both.filter(|(_, (said, happened))| **said != (**happened == "ok")).map(|(at, _)| at).collect()
}

/// One policy: how many cases, how many of them denied. None where the policy is refused.
fn round(random: &mut Random, engine: &Engine) -> Option<(usize, usize)> {
    let place = Place::new();
    for below in FOLDERS {
        fs::create_dir_all(place.root.join(below)).unwrap();
    }
    let mut cases = acts(random, &place);
    let text = policy(random, &place);
    let copy = place.root.with_extension("copy");
    finish(place.command("cp").arg("-a").arg(&place.root).arg(&copy)).works("copy the tree");
    let control = words(&cases, &copy);
    let control = finish(place.command(&control[0]).args(&control[1..])).works("the control");
    fs::remove_dir_all(&copy).unwrap();
    assert!(control.out.lines().all(|line| line == "ok"), "outside: {cases:?} {}", control.out);
    cases.extend((0..3).map(|_| Case { what: "lookup", at: random.pick(HOSTS).into() }));

    let options = Options {
        policy: PolicyFrom::Text { name: "random".into(), text: text.clone() },
        audit: Some(place.root.join("log/audit.jsonl")),
        ..Options::command(words(&cases, &place.root))
    };
    let prepared = engine.prepare(&options).ok()?;
    let considered =
        engine.consider(&options).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    assert_eq!(considered.plan.rules, prepared.plan.rules, "the rules of the plan that runs");
    let answers: Vec<_> =
        cases.iter().map(|case| considered.why(&question(case, &place)).unwrap()).collect();
    let said: Vec<bool> = answers.iter().map(|one| one.verdict == Outcome::Allowed).collect();
    let session = engine.start(&prepared).unwrap_or_else(|refused| panic!("{refused}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    session.run(None, Sink::Collect(&mut out), Sink::Collect(&mut err), None).unwrap();
    let out = String::from_utf8_lossy(&out).into_owned();
    let happened: Vec<&str> = out.lines().collect();
    assert_eq!(happened.len(), cases.len(), "{out}{}", String::from_utf8_lossy(&err));
    if let Some(at) = disagree(&said, &happened).first().copied() {
        panic!("{:?}: {}, but {:?}\n{text}", cases[at], happened[at], answers[at]);
    }
    for (answer, case) in answers.iter().zip(&cases) {
        let held = !answer.held_by.is_empty();
        assert!(held, "nothing of the plan holds it: {case:?} {answer:?}");
    }
    // Each answer that were another one would be found.
    for at in 0..said.len() {
        let mut wrong = said.clone();
        wrong[at] = !wrong[at];
        assert_eq!(disagree(&wrong, &happened), [at], "a wrong answer is found");
    }
    Some((cases.len(), said.iter().filter(|allowed| !**allowed).count()))
}

#[test]
fn why_is_what_happens() {
    let seed = variable("COFFERDAM_SEED").and_then(|seed| seed.parse().ok());
    // The same cases every time, so that a failure is of the change at hand.
    let seed = seed.unwrap_or(0xC0FF_E2DA);
    println!("COFFERDAM_SEED={seed}");
    let mut random = Random(seed);
    let engine = Engine::with_programs(&programs()).unwrap();
    let (mut total, mut denied, mut refused, mut policies) = (0, 0, 0, 0);
    while total < CASES_MIN && policies < POLICIES_MAX {
        policies += 1;
        match round(&mut random, &engine) {
            Some((cases, no)) => (total, denied) = (total + cases, denied + no),
            None => refused += 1,
        }
    }
    println!(
        "{total} cases under {policies} policies, {denied} denied, {refused} policies refused"
    );
    assert!(
        total >= CASES_MIN && denied * 4 >= total && denied * 10 <= total * 9,
        "{total} {denied}"
    );
}
