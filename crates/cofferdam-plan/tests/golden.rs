//! Golden plans: from fixed text, Facts and Host to every step that init would obey.
//!
//! `UPDATE_GOLDEN=1` writes `golden/native/*.plan` anew; the diff is the review. A change of the
//! wall that no file here shows is a change that no case covers: add one.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "panics are how tests fail; whether to write golden files anew is the environment's"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use cofferdam_plan::egress::{Family, Serves};
use cofferdam_plan::facts::{
    Enclosing, Facts, Kind, Person, STAND_IN_ID, Seen, Values, workload_ids,
};
use cofferdam_plan::host::{
    Ceiling, Ceilings, DEVICES, Groups, Listening, NO_CEILING, PROC_MASKED,
};
use cofferdam_plan::judge::hosts::Allowed;
use cofferdam_plan::message::StandIn;
use cofferdam_plan::plan::{Argument, Aside, Content, Trusted};
use cofferdam_plan::{Extent, Host, Plan, Rows, Step, Task, compile, host_row, wire};
use cofferdam_policy::{Act, Document, Request, Source, Verdict, decide, resolve};

#[path = "golden/bubblewrap.rs"]
mod bubblewrap;
#[path = "golden/gvisor.rs"]
mod gvisor;
#[path = "golden/landlocked.rs"]
mod landlocked;
#[path = "golden/network.rs"]
mod network;

/// The machine that kernel-side tests run on as well.
fn host() -> Host {
    Host {
        system: "Linux".into(),
        release: "6.18.0".into(),
        machine: "x86_64".into(),
        landlock_abi: 7,
        max_user_namespaces: Some(15_000),
        unprivileged_userns_clone: None,
        apparmor_restrict_userns: None,
        yama_ptrace_scope: None,
        outer_seccomp: 0,
        listening: Listening::Ready,
        stand_in_mapped: true,
        devices: DEVICES.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        proc_names: PROC_MASKED.iter().map(|name| (*name).to_owned()).collect(),
        ipv6: true,
        memory: 16 << 30,
        killed_first: 0,
        ceilings: Ceilings {
            processes: Ceiling { soft: 63_000, hard: 63_000 },
            open_files: Ceiling { soft: 1_024, hard: 524_288 },
            file_size: Ceiling { soft: NO_CEILING, hard: NO_CEILING },
            data: Ceiling { soft: NO_CEILING, hard: NO_CEILING },
            signals: Ceiling { soft: 63_000, hard: 63_000 },
        },
        groups: None,
        namespaces_denied: false,
        bubblewrap: cofferdam_plan::host::Bubblewrap::Unasked,
        runsc: cofferdam_plan::host::Runsc::Unasked,
    }
}

/// What a case changes of the ordinary caller in `/home/u/app`.
struct Caller {
    uid: u32,
    owner: u32,
    groups: &'static [u32],
}

const ORDINARY: Caller = Caller { uid: 1000, owner: 1000, groups: &[1000] };

/// A path, what it is, and where it leads if it is a link.
type Row = (&'static str, Kind, Option<&'static str>);

const MACHINE: &[Row] = &[
    ("/usr", Kind::Directory, None),
    ("/etc", Kind::Directory, None),
    ("/bin", Kind::Link, Some("usr/bin")),
    ("/usr/bin", Kind::Directory, None),
    ("/etc/shadow", Kind::File, None),
    ("/etc/sudoers.d", Kind::Directory, None),
    ("/etc/passwd", Kind::File, None),
    ("/etc/resolv.conf", Kind::File, None),
    ("/home/u/.cargo/bin", Kind::Directory, None),
    ("/home/u/app", Kind::Directory, None),
];

const PROTECTED: &[Row] = &[
    ("/home/u/app/.git", Kind::Directory, None),
    ("/home/u/app/.git/hooks", Kind::Directory, None),
    ("/home/u/app/.git/config", Kind::File, None),
    ("/home/u/app/.mcp.json", Kind::File, None),
];

const TREES: &[Row] = &[
    ("/srv/data", Kind::Directory, None),
    ("/srv/data/set/one", Kind::Directory, None),
    ("/home/u/app/vendor/lib", Kind::Directory, None),
    ("/home/u/app/target", Kind::Directory, None),
    ("/home/u/app/target/cofferdam-init", Kind::File, None),
];

/// A tree of a preset, one that a link leads to; the others of `java` and `codex` are absent.
const OF_PRESETS: &[Row] = &[
    ("/home/u/.m2/repository", Kind::Directory, None),
    ("/home/u/.jdks", Kind::Link, Some("srv/data")),
    ("/srv/data", Kind::Directory, None),
];

fn facts(caller: &Caller, rows: &[Row]) -> Facts {
    let mut paths = BTreeMap::new();
    for (number, (path, kind, link)) in (1..).zip(MACHINE.iter().chain(rows)) {
        let uid = if path.starts_with("/home") { caller.owner } else { 0 };
        let seen = Seen {
            kind: *kind,
            real: link.map(|link| Path::new("/").join(link)),
            link: link.map(PathBuf::from),
            dev: 8,
            ino: number,
            uid,
            gid: uid,
            // Of the hidden ones, everybody may read the first and root alone the second.
            mode: match *kind {
                Kind::Directory if path.ends_with(".d") => 0o750,
                Kind::Directory => 0o755,
                Kind::File | Kind::Link | Kind::Other => 0o644,
            },
            links: 1,
            acl: false,
        };
        paths.insert(PathBuf::from(path), Some(seen));
    }
    let owner = (caller.owner, caller.owner);
    let own = PathBuf::from("/home/u/app/target/cofferdam-init");
    let own_programs = Some(own).filter(|own| paths.contains_key(own));
    let variables = [("TERM", "xterm"), ("LANG", "C.UTF-8")];
    Facts {
        person: Person {
            caller_uid: caller.uid,
            caller_gid: caller.uid,
            caller_groups: caller.groups.to_vec(),
            ids: workload_ids((caller.uid, caller.uid), owner, Some(caller.owner), STAND_IN_ID),
            name: "u".into(),
        },
        home: "/home/u".into(),
        cwd: "/home/u/app".into(),
        homes: vec!["/home/u".into()],
        own_places: ["/home/u/.config/cofferdam", "/home/u/.local/state/cofferdam"]
            .map(PathBuf::from)
            .into(),
        own_programs: own_programs.into_iter().collect(),
        policy_files: Vec::new(),
        git_directories: Vec::new(),
        enclosing: None,
        kept_home: None,
        rootfs: None,
        environment: Values(variables.map(|(name, value)| (name.into(), value.into())).into()),
        environment_names: ["AWS_SECRET_ACCESS_KEY", "LANG", "TERM"].map(String::from).into(),
        path: ["/home/u/.cargo/bin", "/home/u/bin", "bin", "/usr/bin", "/home/u/.cargo/bin"]
            .map(PathBuf::from)
            .into(),
        paths,
        unseen: BTreeMap::new(),
    }
}

/// The plan of a case, after a journey over the wire.
fn planned(text: &str, facts: &Facts, host: &Host) -> Plan {
    let plan = compiled(&document(text), facts, host);
    let whole = plan.completed(|_| Vec::new(), &[]);
    assert_eq!(wire::decode(&wire::encode(&whole)), Ok(whole), "init reads what is written");
    plan
}

fn document(text: &str) -> Document {
    let source = Source { name: "case.toml".into(), text: format!("version = 1\n{text}") };
    Document::parse(source).unwrap_or_else(|error| panic!("{error}"))
}

fn compiled(document: &Document, facts: &Facts, host: &Host) -> Plan {
    let policy = resolve(document, facts).unwrap_or_else(|error| panic!("{error}"));
    let command = ["make", "test"].map(|word| Argument(word.into()));
    compile(&policy, host, Vec::from(command)).unwrap_or_else(|why| panic!("{why}"))
}

/// Whose filter a step is, if it is one.
fn filter(step: &Step) -> Option<(&'static str, &[u8])> {
    if let Step::Seccomp { program } = step {
        return Some(("the workload", program));
    }
    if let Step::Broker { program, .. } = step {
        return Some(("the broker", program));
    }
    if let Step::InitSeccomp { program } = step { Some(("init", program)) } else { None }
}

/// Every decision of a plan, one a line; filters have tests of their own.
fn written(plan: &Plan) -> String {
    let mut out = format!("wall {}\n", plan.wall);
    let words: Vec<String> = plan.workload.command.iter().map(|word| format!("{word:?}")).collect();
    let search: Vec<_> = plan.workload.search.iter().map(|path| path.display()).collect();
    writeln!(out, "command {} in {}", words.join(" "), plan.workload.directory.display()).unwrap();
    writeln!(out, "search {search:?}").unwrap();
    for variable in &plan.workload.environment {
        writeln!(out, "environment {variable:?}   {}", variable.clause).unwrap();
    }
    if let Some(outer) = &plan.outer {
        bubblewrap::write(&mut out, outer);
    }
    for step in &plan.setup {
        let text = match filter(step) {
            Some((whose, program)) => {
                assert!(program.len().is_multiple_of(8) && !program.is_empty(), "{whose}");
                let text = format!("the system-call filter of {whose}");
                if let Step::Broker { threads, .. } = step {
                    format!("{text}, {threads} threads")
                } else {
                    text
                }
            }
            None => format!("{step:?}"),
        };
        writeln!(out, "step {text}").unwrap();
    }
    for row in &plan.coverage {
        let extent = match &row.extent {
            Extent::Enforced => "enforced".to_owned(),
            Extent::Partly { open } => format!("partly, open: {open}"),
        };
        let by = row.mechanisms.join("; ");
        writeln!(out, "coverage {}: {} by [{by}] {extent}", row.clause, row.says).unwrap();
    }
    if let Some(egress) = &plan.egress {
        for rule in &egress.rules.allow {
            let Allowed { pattern, ports, protocol, dial, clause, .. } = rule;
            let spoken = protocol.as_str();
            writeln!(out, "allow {pattern} {ports:?} {spoken} {dial:?}   {clause}").unwrap();
        }
        for rule in &egress.rules.deny {
            writeln!(out, "deny {} {:?}   {}", rule.pattern, rule.ports, rule.clause).unwrap();
        }
        for row in &egress.names {
            writeln!(out, "name {} {} {}", row.name, row.v4, row.v6).unwrap();
        }
        let mut doors: Vec<(String, usize)> = Vec::new();
        for door in &egress.doors {
            let text = format!("{:?} for {:?}", door.socket, door.serves);
            match doors.last_mut().filter(|(last, _)| *last == text) {
                Some((_, count)) => *count += 1,
                None => doors.push((text, 1)),
            }
        }
        for (text, count) in doors {
            writeln!(out, "door {count} x {text}").unwrap();
        }
        for server in &egress.publish {
            writeln!(out, "publish {} {}   {}", server.inside, server.outside, server.clause)
                .unwrap();
        }
    }
    for entry in plan.rules.entries() {
        writeln!(out, "rule {} {:?}   {}", entry.path.display(), entry.access, entry.clause)
            .unwrap();
    }
    out
}

#[track_caller]
fn check(name: &str, plan: &Plan) {
    let got = written(plan);
    let jail = plan.wall.trim_start_matches("process/").trim_end_matches("/native");
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{jail}/{name}.plan"));
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::write(&path, &got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (got, want)) in (1..).zip(got.lines().zip(want.lines())) {
        assert_eq!(got, want, "{}:{number}", path.display());
    }
    assert_eq!(got.lines().count(), want.lines().count(), "{}: as many lines", path.display());
}

#[test]
fn an_ordinary_user() {
    let caller = Caller { groups: &[1000, 27], ..ORDINARY };
    check("ordinary", &planned("", &facts(&caller, PROTECTED), &host()));
}

#[test]
fn root_in_somebodys_workspace() {
    let caller = Caller { uid: 0, groups: &[0], ..ORDINARY };
    check("owner", &planned("", &facts(&caller, &[]), &host()));
}

#[test]
fn root_in_its_own_workspace() {
    let caller = Caller { uid: 0, owner: 0, groups: &[0] };
    let granted = "[filesystem]\ngrant = [{ path = '/srv/data', mode = 'read-only' }]\n";
    check("stand-in", &planned(granted, &facts(&caller, TREES), &host()));
}

#[test]
fn trees_in_trees() {
    let text = "[filesystem]\ngrant = [\n\
                { path = '/srv/data', mode = 'read-write' },\n\
                { path = '/srv/data/set/one', mode = 'read-only' },\n\
                { path = 'vendor/lib', mode = 'read-only' },\n]\n\
                [environment]\nset = { CI = '1' }\n[network]\n";
    check("trees", &planned(text, &facts(&ORDINARY, TREES), &host()));
}

#[test]
fn a_workspace_that_stays_as_it_is() {
    let text = "[filesystem]\nworkspace = { path = '.', mode = 'read-only' }\n";
    check("read-only", &planned(text, &facts(&ORDINARY, PROTECTED), &host()));
}

/// A tree to read, one that is left out, a file of the home; and a grant that is absent.
#[test]
fn presets_and_what_may_be_absent() {
    let caller = Caller { uid: 0, owner: 0, groups: &[0] };
    let text = "extends = ['preset:java', 'preset:codex']\n[filesystem]\ngrant = [\n\
                { path = '/srv/none', mode = 'read-write', optional = true },\n]\n\
                [environment]\nset = { GIT_CONFIG_COUNT = '0' }\n";
    check("presets", &planned(text, &facts(&caller, OF_PRESETS), &host()));
}

/// Authorities as a distribution keeps them: a list, a second name of it, a name that leads out of view,
/// and Java's own.
const AUTHORITIES: &[Row] = &[
    ("/etc/ssl/certs/ca-certificates.crt", Kind::File, None),
    ("/etc/ssl/cert.pem", Kind::Link, Some("etc/ssl/certs/ca-certificates.crt")),
    ("/etc/ssl/ca-bundle.pem", Kind::Link, Some("var/lib/ca-certificates/ca-bundle.pem")),
    ("/var/lib/ca-certificates/ca-bundle.pem", Kind::File, None),
    ("/etc/ssl/certs/java/cacerts", Kind::File, None),
];

/// Where somebody looks into TLS the sandbox believes the session's authority; nothing of that is there
/// where nobody does.
#[test]
fn requests_that_are_looked_at() {
    let text = "[environment]\nset = { PIP_CERT = '/etc/corp.pem' }\n\
                [[network.allow]]\nhost = 'api.good.test'\n";
    let facts = facts(&ORDINARY, AUTHORITIES);
    let plain = planned(text, &facts, &host());
    let told = format!("{:?}{:?}{:?}", plain.setup, plain.workload, plain.coverage);
    assert!(
        !told.contains("Later") && !told.contains("CERT_FILE") && !told.contains("network.inspect")
    );
    let asks = "methods = ['GET', 'HEAD']\npaths = ['/v1/**']\n[[network.allow]]\nhost = 'x.test'\n\
                inspect = 'always'\n[[network.allow]]\nhost = 'plain.test'\n[[network.deny]]\n\
                host = 'x.test'\npaths = ['/admin/**']\n";
    let plan = compiled(&document(&format!("{text}{asks}")), &facts, &host());
    check("inspect", &plan);
    assert!(
        wire::decode::<Plan>(&wire::encode(&plan)).is_err(),
        "nobody obeys what is not complete"
    );
    let whole = plan.completed(|what| format!("of {what:?}").into_bytes(), &[]);
    assert_eq!(wire::decode(&wire::encode(&whole)), Ok(whole.clone()), "init reads what is");
    let made = |what: Trusted| {
        let content = Content::Bytes(format!("of {what:?}").into_bytes());
        let path = Path::new("/.cofferdam").join(what.name());
        whole.setup.contains(&Step::File { path, content, mode: 0o644 })
    };
    assert!(Trusted::EACH.into_iter().all(made), "{:?}", whole.setup);
    let others = |plan: &Plan| {
        let later = |step: &&Step| !format!("{step:?}").contains("/.cofferdam/");
        plan.setup.iter().filter(later).cloned().collect::<Vec<_>>()
    };
    assert_eq!(others(&whole), others(&plan), "and nothing else has changed");
}

/// A variable gets its part of what stands in, and one whose part is not there is none.
#[test]
fn parts_of_a_stand_in_are_put_where_they_belong() {
    let text = "[[network.allow]]\nhost = 'a.test'\ncredential = 'aws'\n\
                [credentials.aws]\nsource = { vault = 'aws' }\nenv = ['I', 'S', 'T']\n\
                inject = { sigv4 = { service = 's3', region = 'eu-central-1' } }\n\
                files = { '~/.aws/credentials' = 'key={aws.0}:{aws.1}:{aws.2}' }\n";
    let plan = compiled(&document(text), &facts(&ORDINARY, &[]), &host());
    for (value, want, file, why) in [
        ("A:B:C:D", "I=A S=B T=C:D", "key=A:B:C:D", "a token, to the end"),
        ("A:B", "I=A S=B", "key=A:B:{aws.2}", "no token"),
    ] {
        let made = StandIn { name: "aws".into(), value: value.into() };
        let whole = plan.completed(|_| Vec::new(), &[made]);
        let all = whole.workload.environment.iter().filter(|one| one.name.len() == 1);
        let all: Vec<_> = all.map(|one| format!("{}={}", one.name, one.value)).collect();
        assert_eq!(all.join(" "), want, "{why}");
        let content = Content::Bytes(file.into());
        let holds =
            |step: &Step| matches!(step, Step::File { content: its, .. } if *its == content);
        assert!(whole.setup.iter().any(holds), "{why}");
    }
}

const NAMES: &[Row] = &[
    ("/home/u/app/keys", Kind::Directory, None),
    ("/home/u/app/keys/public", Kind::Directory, None),
    ("/home/u/app/sub", Kind::Directory, None),
    ("/home/u/app/sub/.env", Kind::File, None),
    ("/home/u/app/sub/Makefile", Kind::File, None),
    ("/srv/data", Kind::Directory, None),
    ("/srv/other", Kind::Directory, None),
    ("/home/u/.netrc", Kind::File, None),
];

/// Hidden, protected, shown again, and what needs nothing; in a home that is kept.
#[test]
fn names_that_a_person_closes() {
    let text = "[filesystem]\nhome = 'project'\n\
                hide = ['keys', 'sub/.env', '~/.netrc', '/srv/other']\n\
                protect = ['sub/Makefile', '/srv/data']\n\
                grant = [\n\
                { path = 'keys/public', mode = 'read-only' },\n\
                { path = '/srv/data', mode = 'read-write' },\n\
                { path = '/srv/other', mode = 'read-only' },\n]\n";
    let mut facts = facts(&ORDINARY, NAMES);
    let home = PathBuf::from("/home/u/.local/state/cofferdam/homes/x/home");
    let seen = facts.paths[Path::new("/home/u/app")].clone().map(|seen| Seen { ino: 99, ..seen });
    facts.paths.insert(home.clone(), seen);
    facts.kept_home = Some(home);
    check("names", &planned(text, &facts, &host()));
}

/// Patterns, names that are not there, trees in which nothing is lost, and a socket.
#[test]
fn what_the_broker_alone_holds() {
    let text = "[filesystem]\nhide = ['**/*.pem']\nmask = ['token']\nprotect = ['later', 'gen/*.lock']\n\
                grant = [\n\
                { path = '/srv/data', mode = 'no-delete' },\n\
                { path = '/srv/data/set/one', mode = 'no-delete', overwrite = false },\n]\n\
                [sockets]\nallow = ['/srv/data/agent']\n";
    let rows = [TREES, &[("/srv/data/agent", Kind::Other, None)]].concat();
    check("broker", &planned(text, &facts(&ORDINARY, &rows), &host()));
}

/// A system's tree that a link leads to is hidden in where it is shown.
#[test]
fn names_in_a_tree_that_a_link_leads_to() {
    let rows: &[Row] = &[
        ("/opt", Kind::Link, Some("srv/opt")),
        ("/srv/opt", Kind::Directory, None),
        ("/srv/opt/keys", Kind::Directory, None),
        ("/srv/opt/tool", Kind::File, None),
    ];
    let text = "[filesystem]\nhide = ['/srv/opt/keys']\n";
    let plan = planned(text, &facts(&ORDINARY, rows), &host());
    let at = Path::new("/opt/keys");
    let over = |step: &&Step| matches!(step, Step::Bind { at: over, from, .. } if over == at && from != at);
    assert_eq!(plan.setup.iter().filter(over).count(), 1, "a mount over it");
    let act = |path: &str| {
        let request = Request { act: Act::Read, path: Path::new(path) };
        matches!(decide(&plan.rules, request), Verdict::Allow(_))
    };
    assert!(act("/opt/tool") && !act("/opt/keys/a"), "{:?}", plan.rules);
    let row =
        plan.coverage.iter().find(|row| row.clause.name.starts_with("filesystem.hide")).unwrap();
    assert_eq!(row.says, "/opt/keys is hidden: open and stat find nothing");
}

const REPOSITORY: &[Row] = &[
    ("/home/u/mono", Kind::Directory, None),
    ("/home/u/mono/.git", Kind::Directory, None),
    ("/home/u/mono/.git/hooks", Kind::Directory, None),
    ("/home/u/mono/.git/config", Kind::File, None),
    ("/home/u/mono/pkg", Kind::Directory, None),
];

/// The git directory of the repository around the workspace comes with its guards.
#[test]
fn a_repository_in_a_parent_directory() {
    let mut facts = facts(&ORDINARY, REPOSITORY);
    let (top, directory) = ("/home/u/mono".into(), PathBuf::from("/home/u/mono/.git"));
    facts.git_directories = vec![directory.clone()];
    facts.enclosing = Some(Enclosing::Found { top, directory });
    facts.cwd = "/home/u/mono/pkg".into();
    check("repository", &planned("", &facts, &host()));
    // Not one that is another user's.
    let directory = facts.paths.get_mut(Path::new("/home/u/mono/.git")).unwrap();
    *directory = directory.clone().map(|seen| Seen { uid: 7, ..seen });
    let plan = planned("", &facts, &host());
    let git = plan.coverage.iter().find(|row| row.clause.name == "filesystem.git").unwrap();
    assert!(git.says.contains("belongs to user 7, not 1000"), "{git:?}");
    assert!(!plan.rules.entries().iter().any(|entry| entry.path.ends_with(".git")));
}

/// Every limit, where a group holds what can be held by one.
#[test]
fn limits_in_a_group() {
    let text = "[limits]\nmemory = '2GiB'\ncpus = 1.5\nprocesses = 256\nopen_files = 1000000\n\
                file_size = '1GiB'\nwall_time = '1h30m'\ngrace = '0s'\n";
    let groups = Groups { version: 2, memory: true, processes: true, cpus: true };
    let host = Host { groups: Some(groups), killed_first: 900, ..host() };
    check("limits-group", &planned(text, &facts(&ORDINARY, &[]), &host));
}

/// The same without a group, and with a caller who is bounded himself.
#[test]
fn limits_by_process() {
    let text = "[limits]\nmemory = { max = '2GiB', hold = 'best-effort' }\n\
                cpus = { max = 2, hold = 'best-effort' }\nprivate_size = '64MiB'\n\
                file_size = '1GiB'\n";
    let ceilings = Ceilings {
        processes: Ceiling { soft: 100, hard: 200 },
        open_files: Ceiling { soft: 256, hard: 512 },
        file_size: Ceiling { soft: 4_096, hard: 1 << 20 },
        data: Ceiling { soft: 1 << 30, hard: 1 << 31 },
        signals: Ceiling { soft: 512, hard: 512 },
    };
    let host = Host { ceilings, release: "5.13.0".into(), ..host() };
    check("limits-process", &planned(text, &facts(&ORDINARY, &[]), &host));
}

/// What becomes of the output: bounds, planted strings, and what a person has switched off.
#[test]
fn output() {
    let text = "[output]\nescape_sequences = 'always'\nmax_bytes = '64MiB'\n\
                [canary]\ninvoice = 'no-such-invoice'\n";
    check("output", &planned(text, &facts(&ORDINARY, &[]), &host()));
    let text = "[output]\nescape_sequences = 'raw'\nredact = false\n\
                [canary]\ninvoice = 'no-such-invoice'\n";
    check("output-raw", &planned(text, &facts(&ORDINARY, &[]), &host()));
}

/// A limit for the whole sandbox that nobody holds is none: it is refused, with both remedies.
#[test]
fn limits_without_a_plan() {
    let half = Groups { version: 1, memory: false, processes: true, cpus: false };
    for (text, groups, remedy) in [
        ("[limits]\nmemory = '2GiB'\n", None, "--limit memory=2GiB:best-effort"),
        ("[limits]\nmemory = '2GiB'\n", Some(half), "memory = { max = \"2GiB\", hold ="),
        ("[limits]\ncpus = { max = 1.5, hold = 'required' }\n", Some(half), "cpus = { max = 1.5,"),
    ] {
        let source = Source { name: "case.toml".into(), text: format!("version = 1\n{text}") };
        let policy = resolve(&Document::parse(source).unwrap(), &facts(&ORDINARY, &[])).unwrap();
        let refusal = compile(&policy, &Host { groups, ..host() }, Vec::new()).err().unwrap();
        assert_eq!(refusal.code(), "limit-unheld", "{text}");
        assert!(refusal.to_string().contains("(case.toml:3)"), "{refusal}");
        for words in [remedy, "systemd-run --user --scope -p Delegate=yes", "best-effort"] {
            assert!(refusal.hint().contains(words), "{}", refusal.hint());
        }
    }
}

const HOSTS: &str = "[network]\npublish = ['3000:8080']\n[[network.allow]]\nhost = 'api.good.test'\n\
    [[network.allow]]\nhost = 'db.good.test'\nports = [5432]\nprotocol = 'tcp'\ndial = '10.0.0.7:5432'\n\
    [[network.allow]]\nhost = '*.wide.good.test'\nports = [80, 443, 8443]\nprotocol = 'tls'\n\
    [[network.allow]]\nhost = '93.184.216.0/31'\nports = [22]\nprotocol = 'tcp'\n\
    [[network.allow]]\nhost = 'gone.good.test'\n\
    [[network.deny]]\nhost = 'gone.good.test'\nreason = 'moved'\n";

#[test]
fn the_first_landlock() {
    let host = Host { landlock_abi: 1, release: "5.13.0".into(), proc_names: vec![], ..host() };
    check("landlock-1", &planned("", &facts(&ORDINARY, &[]), &host));
}

#[test]
fn machines_without_a_plan() {
    let off = |count| Host { max_user_namespaces: Some(count), ..host() };
    for (host, code) in [
        (Host { system: "Darwin".into(), ..host() }, "wrong-machine"),
        (Host { machine: "aarch64".into(), ..host() }, "wrong-machine"),
        (off(0), "userns-off"),
        (Host { unprivileged_userns_clone: Some(0), ..host() }, "userns-off"),
        (Host { landlock_abi: 0, ..host() }, "landlock-missing"),
        (Host { listening: Listening::Unknown, ..host() }, "broker-unknown"),
        (Host { listening: Listening::Taken, ..host() }, "broker-taken"),
        (Host { listening: Listening::Refused(1), ..host() }, "broker-refused"),
        (Host { yama_ptrace_scope: Some(2), ..host() }, "broker-blind"),
        (Host { yama_ptrace_scope: Some(3), ..host() }, "broker-blind"),
        (Host { devices: vec!["null".into()], ..host() }, "device-missing"),
    ] {
        let policy = resolve(&document(""), &facts(&ORDINARY, &[])).unwrap();
        let refusal = compile(&policy, &host, Vec::new()).err().unwrap();
        assert_eq!(refusal.code(), code, "{host:?}");
        assert!(!refusal.hint().is_empty() && !refusal.to_string().is_empty());
    }
    planned("", &facts(&ORDINARY, &[]), &off(1));
    let traced = Host { yama_ptrace_scope: Some(1), outer_seccomp: 2, ..host() };
    planned("", &facts(&ORDINARY, &[]), &traced);
    // Root has to give way to somebody.
    let root = facts(&Caller { uid: 0, owner: 0, groups: &[0] }, &[]);
    let policy = resolve(&document(""), &root).unwrap();
    let refusal = compile(&policy, &Host { stand_in_mapped: false, ..host() }, Vec::new()).err();
    assert_eq!(refusal.unwrap().code(), "no-stand-in");
}
