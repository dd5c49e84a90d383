//! The evaluator and the judge are asked the same, of policies and paths that a number draws.

use std::path::Path;

use cofferdam_plan::seatbelt::{BASE, DEVICES, compile};
use cofferdam_policy::judge::Access;
use cofferdam_policy::judge::names::{self, Answer, Ask, Change, Hold, Made, Thing};
use cofferdam_policy::judge::pattern::Meets;
use cofferdam_policy::{Act, Policy, Request, Rules, Verdict, decide};

use crate::ask::evaluator::Profile;
use crate::ask::{SESSION, placed, read};
use crate::cases::{MACHINE, policy, resolved};

/// A number after a number (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        let count = u64::try_from(of.len()).unwrap();
        &of[usize::try_from(self.next() % count).unwrap()]
    }

    fn chance(&mut self, in_a_hundred: u64) -> bool {
        self.next() % 100 < in_a_hundred
    }
}

const TREES: &[&str] = &[
    "/srv/data",
    "/srv/data/set",
    "/srv/data/set/one",
    "/srv/other",
    "vendor/lib",
    "keys/public",
    "sub",
    "sub/deep",
    "/var/lib/x",
];
const NAMES: &[&str] = &[
    "keys",
    "sub/.env",
    "/srv/other",
    "/srv/data/set",
    "caf\u{e9}",
    "stra\u{df}e.key",
    "new/deep/x",
    "office.txt",
    "/srv/data/no",
    "/home/u/.netrc",
    "vendor",
    "\u{79d8}\u{5bc6}",
    "Mixed Case",
];
const PATTERNS: &[&str] = &[
    "**/.env",
    "**/*.pem",
    "*.key",
    "a?c",
    "ci/**/*.yml",
    "**/ci/run",
    "sub/*",
    "caf?",
    "**/?.x",
    "new/*/y",
    "/srv/data/**/one",
    "**/ma\u{df}e",
];

/// A policy as text.
fn text(draw: &mut Draw) -> String {
    let mut grants = Vec::new();
    for tree in TREES {
        if draw.chance(30) {
            let mode = draw.one(&["read-only", "read-write"]);
            grants.push(format!("{{ path = '{tree}', mode = '{mode}' }}"));
        }
    }
    let mut list = |share| {
        let all = NAMES.iter().chain(PATTERNS);
        let some = all.filter(|_| draw.chance(share)).map(|name| format!("'{name}'"));
        some.collect::<Vec<_>>().join(", ")
    };
    let (hide, mask, protect) = (list(9), list(6), list(9));
    let mode = if draw.chance(85) { "read-write" } else { "read-only" };
    let mut out = format!(
        "[filesystem]\nworkspace = {{ path = '.', mode = '{mode}' }}\ngrant = [{}]\nhide = [{hide}]\n\
         mask = [{mask}]\nprotect = [{protect}]\n",
        grants.join(", ")
    );
    if draw.chance(50) {
        out += "[sockets]\nallow = ['a.sock']\n";
    }
    if draw.chance(40) {
        out += "[[network.allow]]\nhost = 'a.test'\n";
    }
    out
}

/// Parts of names, some of which are others to nobody but a file system.
const PARTS: &[&str] = &[
    ".env",
    ".ENV",
    ".env.",
    ".e\u{200b}nv",
    "key.pem",
    "KEY.PEM ",
    "x.key",
    "abc",
    "a\u{e9}c",
    "aXXc",
    "ci",
    "CI",
    "run",
    "b.yml",
    "keys",
    "Keys",
    "public",
    "new",
    "deep",
    "x",
    "y",
    "q.x",
    "qq.x",
    "caf\u{e9}",
    "cafe\u{301}",
    "CAF\u{c9}",
    "cafe",
    "strasse.key",
    "stra\u{df}e.KEY",
    "o\u{fb03}ce.txt",
    "OFFICE.TXT",
    "\u{79d8}\u{5bc6}",
    "ma\u{1e9e}e",
    "masse",
    ".git",
    ".GIT",
    "hooks",
    "config",
    ".vscode",
    ".cofferdam-x",
    "mixed case",
    "one",
    "set",
    "a.sock",
    "no",
    "\u{212a}eys",
    "a\nb",
    "\")(",
];

/// A path that has to do with what policies are about.
fn path(draw: &mut Draw) -> String {
    let roots: Vec<&str> = MACHINE.iter().map(|(path, _)| *path).collect();
    let others = [
        "/srv",
        "/home/u",
        "/home/u/APP",
        "/tmp/a",
        "/var/tmp",
        "/root/.ssh",
        "/opt",
        "/home/u/app2",
    ];
    let mut path =
        if draw.chance(85) { (*draw.one(&roots)).to_owned() } else { (*draw.one(&others)).into() };
    if draw.chance(30) {
        path = "/home/u/app".into();
    }
    let depth = draw.next() % 4;
    for _ in 0..depth {
        path = format!("{path}/{}", draw.one(PARTS));
    }
    path
}

/// Why the two may differ, of the kinds that `docs/seatbelt.md` lists.
fn differs(rules: &Rules, act: Act, path: &Path) -> Option<&'static str> {
    let holding = rules.entries().iter().rev().find(|entry| path.starts_with(&entry.path));
    let meets = |top: &Path, rule: &names::NameRule| rule.pattern.meets(top, path);
    let comes_or_goes = matches!(act, Act::Create | Act::Rename | Act::Remove);
    let floats =
        |rule: &names::NameRule| rule.pattern.is_wild() && rule.pattern.text().starts_with("**/");
    if holding.is_some_and(|entry| entry.access == Access::Private) {
        return Some("the session's places are elsewhere");
    }
    if matches!(names::judge(rules, Ask::Read(path)), Answer::Mask(_)) && act == Act::Read {
        return Some("what is masked is closed");
    }
    if comes_or_goes && rules.names().iter().any(|rule| meets(&rule.top, rule) == Meets::Above) {
        return Some("what leads to a held name is held");
    }
    let anywhere = |rule: &names::NameRule| {
        floats(rule) && matches!(meets(Path::new("/"), rule), Meets::At | Meets::Below)
    };
    if rules.names().iter().any(anywhere) {
        return Some("a pattern that begins with ** is about every tree");
    }
    let text = path.to_str().unwrap();
    let odd = |letter: char| !(' '..='~').contains(&letter);
    let ends = |name: &str| name.ends_with(['.', ' ']);
    if text.contains(odd) || text.split('/').any(ends) {
        let plain: String = text.chars().filter(|letter| !odd(*letter)).collect();
        let plain = Path::new(&plain);
        let near = |rule: &names::NameRule| {
            let text = rule.pattern.text();
            let whole = text.contains('?') || text.contains(odd);
            whole
                || matches!(rule.pattern.meets(&rule.top, plain), Meets::At | Meets::Below)
                || floats(rule)
                    && matches!(rule.pattern.meets(Path::new("/"), plain), Meets::At | Meets::Below)
                || comes_or_goes && rule.pattern.meets(&rule.top, plain) == Meets::Above
        };
        if rules.names().iter().any(near) {
            return Some("letters outside ASCII are near to a held name");
        }
    }
    None
}

/// What a kind of act is to Seatbelt.
const fn operation(act: Act) -> &'static str {
    match act {
        Act::Read => "file-read-data",
        Act::Write => "file-write-data",
        Act::Create => "file-write-create",
        Act::Rename | Act::Remove => "file-write-unlink",
        Act::Execute => "process-exec",
        Act::Connect => "network-outbound",
    }
}

const ACTS: &[Act] =
    &[Act::Read, Act::Write, Act::Create, Act::Rename, Act::Remove, Act::Execute, Act::Connect];

#[derive(Default)]
struct Counted {
    questions: u32,
    allowed: u32,
    denied: u32,
    /// Where the evaluator denies what the judge allows, by reason.
    stricter: std::collections::BTreeMap<&'static str, u32>,
}

impl Counted {
    /// Asks both.
    fn ask(&mut self, text: &str, rules: &Rules, profile: &Profile, (act, path): (Act, &str)) {
        let asked = Path::new(path);
        let judged = matches!(decide(rules, Request { act, path: asked }), Verdict::Allow(_));
        let evaluated = profile.allows_path(operation(act), path, "REGULAR-FILE");
        self.questions += 1;
        match (judged, evaluated) {
            (true, true) => self.allowed += 1,
            (false, false) => self.denied += 1,
            (false, true) => panic!("{act:?} {path:?}: the judge denies, Seatbelt allows\n{text}"),
            (true, false) => match differs(rules, act, asked) {
                Some(why) => *self.stricter.entry(why).or_default() += 1,
                None => panic!("{act:?} {path:?}: the judge allows, Seatbelt denies\n{text}"),
            },
        }
    }
}

/// What the judge of names says of whole directories, links and attributes: never is more allowed.
fn never_more(text: &str, rules: &Rules, profile: &Profile, path: &str) {
    let asked = Path::new(path);
    let allows = |operation: &str, kind: &str| profile.allows_path(operation, path, kind);
    let denied = |ask| matches!(names::judge(rules, ask), Answer::Deny(..));
    let old = |directory| Thing { made: false, directory, bytes: 9 };
    let say = |what: &str| format!("{what} {path:?}\n{text}");
    assert!(
        !allows("file-link", "REGULAR-FILE") && !allows("file-clone", "REGULAR-FILE"),
        "{}",
        say("link")
    );
    assert!(!allows("file-write-setugid", "REGULAR-FILE"), "{}", say("setuid"));
    for kind in ["REGULAR-FILE", "DIRECTORY"] {
        if denied(Ask::Remove(asked, old(kind == "DIRECTORY"))) {
            assert!(!allows("file-write-unlink", kind), "{}", say("remove"));
        }
        if denied(Ask::Look(asked)) {
            assert!(!allows("file-read-metadata", kind), "{}", say("look"));
            assert!(!allows("file-test-existence", kind), "{}", say("look"));
        }
    }
    if denied(Ask::Create(asked, Made::Directory)) {
        assert!(!allows("file-write-create", "DIRECTORY"), "{}", say("make"));
    }
    // A tree's own place exists: nothing is made there.
    let is_tree = |entry: &cofferdam_policy::judge::Entry| {
        let tree = entry.path.to_str().unwrap().to_lowercase();
        tree == path.to_lowercase() || tree.starts_with(&format!("{}/", path.to_lowercase()))
    };
    if denied(Ask::Create(asked, Made::Link)) && !rules.entries().iter().any(is_tree) {
        assert!(!allows("file-write-create", "SYMLINK"), "{}", say("link by name"));
    }
    let changes = ["mode", "owner", "flags", "times", "xattr", "acl", "data"];
    for change in changes.map(|change| format!("file-write-{change}")) {
        assert_eq!(
            allows(&change, "DIRECTORY"),
            allows("file-write-data", "DIRECTORY"),
            "{}",
            say(&change)
        );
        if denied(Ask::Change(asked, Change::Attributes, old(false))) {
            assert!(!allows(&change, "REGULAR-FILE"), "{}", say(&change));
        }
    }
    if allows("file-read-data", "REGULAR-FILE") {
        assert!(allows("file-read-metadata", "REGULAR-FILE"), "{}", say("what is read is seen"));
        assert_eq!(names::judge(rules, Ask::Read(asked)), Answer::Allow, "{}", say("read"));
    }
    let both = format!("/private{path}");
    if ["/tmp", "/var", "/etc"].iter().any(|linked| asked.starts_with(linked)) {
        for act in ACTS {
            let one = profile.allows_path(operation(*act), path, "REGULAR-FILE");
            let other = profile.allows_path(operation(*act), &both, "REGULAR-FILE");
            assert_eq!(one, other, "{}", say("two spellings"));
        }
    }
}

/// A directory is moved only where the judge of names lets it, or where a pattern holds on both sides.
fn moves(text: &str, rules: &Rules, profile: &Profile, from: &str, to: &str) {
    let goes = profile.allows_path("file-write-unlink", from, "DIRECTORY");
    let comes = profile.allows_path("file-write-create", to, "DIRECTORY");
    let thing = Thing { made: false, directory: true, bytes: 0 };
    let (from, to) = (Path::new(from), Path::new(to));
    if !(goes && comes) || from.starts_with(to) || to.starts_with(from) {
        return;
    }
    if let Answer::Deny(clause, because) =
        names::judge(rules, Ask::Rename { from, thing, to, over: None })
    {
        let otherwise = |rule: &names::NameRule| {
            // What comes below a hidden name is hidden, and what comes from there does not leave it.
            let comes = matches!(rule.hold, Hold::Hide | Hold::Mask)
                && rule.pattern.meets(&rule.top, from) != Meets::Above;
            &rule.clause == clause && (rule.pattern.text().starts_with("**/") || comes)
        };
        assert!(
            rules.names().iter().any(otherwise),
            "{from:?} to {to:?}: {clause} {because:?}\n{text}"
        );
    }
}

fn dials(policy: &Policy, profile: &Profile) {
    use crate::ask::evaluator::Act;
    let out = policy.network.leads_out();
    for (remote, want) in [
        ("127.0.0.1:41280", out),
        ("[::1]:41080", out),
        ("127.0.0.1:41281", false),
        ("10.0.0.1:41280", false),
        ("93.184.216.34:443", false),
        ("8.8.8.8:53", false),
        ("169.254.169.254:80", false),
    ] {
        for operation in ["network-outbound", "network-bind", "network-inbound"] {
            let act =
                Act { operation, remote: Some(remote), local: Some(remote), ..Act::default() };
            assert_eq!(
                profile.allows(&act),
                want && operation == "network-outbound",
                "{remote} {operation}"
            );
        }
    }
    for path in [
        "/private/var/run/mDNSResponder",
        "/var/run/mDNSResponder",
        "/var/run/syslog",
        "/var/run/docker.sock",
    ] {
        assert!(!profile.allows_path("network-outbound", path, "SOCKET"), "{path}");
    }
}

/// At least 10,000 questions about 150 policies, the same each time.
#[test]
fn the_evaluator_says_what_the_judge_says() {
    let mut draw = Draw(0x005e_a7be_1700);
    let mut counted = Counted::default();
    let (mut policies, mut refused) = (0, 0);
    while policies < 150 {
        let text = text(&mut draw);
        let Ok(policy) = resolved(&text) else {
            refused += 1;
            assert!(refused < 10_000, "policies are refused: {text}");
            continue;
        };
        policies += 1;
        let rules = Rules::of(&policy);
        let profile = read(&compile(&policy, &SESSION).unwrap());
        dials(&policy, &profile);
        for _ in 0..12 {
            let asked = path(&mut draw);
            for act in ACTS {
                counted.ask(&text, &rules, &profile, (*act, &asked));
            }
            never_more(&text, &rules, &profile, &asked);
            moves(&text, &rules, &profile, &asked, &path(&mut draw));
        }
    }
    eprintln!(
        "{policies} policies ({refused} refused), {} questions: both allow {}, both deny {}, stricter {:?}",
        counted.questions, counted.allowed, counted.denied, counted.stricter
    );
    assert!(counted.questions >= 10_000, "{}", counted.questions);
    assert!(
        counted.allowed >= 1_000 && counted.denied >= 1_000,
        "{} {}",
        counted.allowed,
        counted.denied
    );
    assert_eq!(
        counted.stricter.len(),
        5,
        "each documented difference is met: {:?}",
        counted.stricter
    );
}

/// The system's trees are read and run and never changed, and a rule about them still holds.
#[test]
fn what_the_profile_adds_to_the_policy() {
    let profile = read(&compile(&policy(""), &SESSION).unwrap());
    for (tree, _) in BASE {
        let path = format!("{tree}/x");
        for (operation, want) in [
            ("file-read-data", true),
            ("process-exec", true),
            ("file-map-executable", true),
            ("file-write-data", false),
            ("file-write-create", false),
            ("file-write-unlink", false),
            ("network-outbound", false),
        ] {
            assert_eq!(
                profile.allows_path(operation, &path, "REGULAR-FILE"),
                want,
                "{operation} {path}"
            );
        }
    }
    for (device, written) in DEVICES {
        assert!(profile.allows_path("file-read-data", device, "CHARACTER-DEVICE"), "{device}");
        assert_eq!(
            profile.allows_path("file-write-data", device, "CHARACTER-DEVICE"),
            *written,
            "{device}"
        );
        for operation in
            ["file-write-create", "file-write-unlink", "file-write-mode", "process-exec"]
        {
            assert!(
                !profile.allows_path(operation, device, "CHARACTER-DEVICE"),
                "{operation} {device}"
            );
        }
    }
    for device in ["/dev/disk0", "/dev/ttys001", "/dev/mem", "/dev/auditpipe"] {
        assert!(!profile.allows_path("file-read-data", device, "CHARACTER-DEVICE"), "{device}");
    }
    let hidden = policy("[filesystem]\nhide = ['/usr/share/x', '**/*.pem']\n");
    let hidden = read(&compile(&hidden, &SESSION).unwrap());
    for path in ["/usr/share/x", "/usr/share/x/y", "/System/Library/x.pem"] {
        assert!(
            profile.allows_path("file-read-data", path, "REGULAR-FILE"),
            "{path}: without a rule"
        );
        assert!(!hidden.allows_path("file-read-data", path, "REGULAR-FILE"), "{path}: with one");
    }
}

/// What the sandbox has of its own is where the session has it, and the real places are closed.
#[test]
fn the_session_has_places_of_its_own() {
    let policy = policy("");
    let profile = read(&compile(&policy, &SESSION).unwrap());
    for path in ["/home/u/x", "/tmp/x", "/var/tmp/x", "/tmp", "/home/u/.ssh/id"] {
        let its = placed(&policy, Path::new(path));
        for operation in [
            "file-read-data",
            "file-write-create",
            "file-write-unlink",
            "process-exec",
            "network-outbound",
        ] {
            assert!(!profile.allows_path(operation, path, "REGULAR-FILE"), "{operation} {path}");
            let its = its.to_str().unwrap();
            assert!(profile.allows_path(operation, its, "REGULAR-FILE"), "{operation} {its}");
        }
    }
    for place in [crate::ask::HOME, crate::ask::TMP] {
        let above = Path::new(place).parent().unwrap().to_str().unwrap();
        assert!(profile.allows_path("file-read-metadata", above, "DIRECTORY"));
        assert!(
            !profile.allows_path("file-read-data", above, "DIRECTORY"),
            "another session's is closed"
        );
    }
}

/// One function answers rows of the conformance table.
#[test]
fn a_question_in_words() {
    use crate::ask::evaluator::Verdict::{Allow, Deny};
    let policy = policy(
        "[filesystem]\nhide = ['keys']\nprotect = ['**/ci/*.yml']\n[[network.allow]]\nhost = 'a.test'\n\
         [sockets]\nallow = ['a.sock']\n",
    );
    for (operation, argument, want) in [
        ("read", "/home/u/app/src/main.rs", Allow),
        ("read", "/home/u/app/keys/id", Deny),
        ("look", "/home/u/app/keys", Deny),
        ("write", "/home/u/app/x/ci/a.yml", Deny),
        ("create", "/home/u/app/.git/hooks/pre-commit", Deny),
        ("create", "/tmp/x", Allow),
        ("delete", "/home/u/app/src/main.rs", Allow),
        ("rename", "/home/u/app", Deny),
        ("exec", "/usr/bin/true", Allow),
        ("exec", "/opt/x", Deny),
        ("socket", "/home/u/app/a.sock", Allow),
        ("socket", "/home/u/app/b.sock", Deny),
        ("connect", "a.test:443", Allow),
        ("connect", "b.test:443", Deny),
        ("connect", "93.184.216.34:443", Deny),
        ("dial", "93.184.216.34:443", Deny),
        ("service", "com.apple.pasteboard.1", Deny),
        ("service", "com.apple.logd", Allow),
    ] {
        assert_eq!(
            crate::ask::ask(&policy, operation, argument),
            Ok(want),
            "{operation} {argument}"
        );
    }
}
