//! Rules about these sources that no compiler holds. Each is shown to catch a planted violation.

#[path = "tidy/planted.rs"]
mod planted;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind};
use std::path::Path;

use source::{
    CRATES, DECODER, DOCUMENTS, File, NOT_INITS, PROGRAMS, TRUSTED, block, is_row, is_target, load,
    words,
};
use toml::{Table, Value};

/// Which of our crates may depend on which.
const ARROWS: &[(&str, &[&str], &str)] = &[
    ("cofferdam-audit", &[], "a log is readable without the product"),
    (
        "cofferdam-gateway",
        &["cofferdam-audit", "cofferdam-plan", "cofferdam-policy", "cofferdam-sys"],
        "asks the judge, dials, looks for what must not leave, and confines itself",
    ),
    ("cofferdam-init", &["cofferdam-plan", "cofferdam-sys"], "pid 1 obeys a plan, no more"),
    ("cofferdam-plan", &["cofferdam-policy"], "compiles what the policy says"),
    ("cofferdam-policy", &[], "the judge asks nobody"),
    (
        "cofferdam-sandbox",
        &["cofferdam-audit", "cofferdam-plan", "cofferdam-sys"],
        "carries a plan out; what must not leave by a stream is found by who finds it in records",
    ),
    ("cofferdam-sys", &[], "one call, no knowledge of the caller"),
    (
        "cofferdam",
        &[
            "cofferdam-audit",
            "cofferdam-gateway",
            "cofferdam-init",
            "cofferdam-plan",
            "cofferdam-policy",
            "cofferdam-sandbox",
            "cofferdam-sys",
        ],
        "ties all together",
    ),
];

/// No longer .rs file: one that is, holds two ideas.
const LINES_MAX: usize = 599;
/// No longer ARCHITECTURE.md: a reader takes it in at one sitting.
const ARCHITECTURE_LINES_MAX: usize = 200;

const POLICY: &str = "crates/cofferdam-policy/src/";
const PLAN: &str = "crates/cofferdam-plan/src/";
const PURE: &str = "policy and plan are functions of what they are given";
const FILES: &str = "this asks the file system; facts and host are given";

/// Place, words that its code does not hold, reason.
const ABSENT: &[(&str, &[&str], &str)] = &[
    (POLICY, &["std::fs", "std::env", "std::process", "std::net"], PURE),
    (PLAN, &["std::fs", "std::env", "std::process", "std::net"], PURE),
    (POLICY, &["Instant::now", "SystemTime"], PURE),
    (PLAN, &["Instant::now", "SystemTime"], PURE),
    (POLICY, &["std::{"], "one path a line, or the rows above do not see it"),
    (PLAN, &["std::{"], "one path a line, or the rows above do not see it"),
    (POLICY, &[".exists(", ".metadata(", ".symlink_metadata(", ".canonicalize("], FILES),
    (PLAN, &[".exists(", ".metadata(", ".symlink_metadata(", ".canonicalize("], FILES),
    (POLICY, &[".is_dir(", ".is_file(", ".is_symlink(", ".read_dir(", ".read_link("], FILES),
    (PLAN, &[".is_dir(", ".is_file(", ".is_symlink(", ".read_dir(", ".read_link("], FILES),
    ("", &["#[ignore"], "a test that does not run holds nothing"),
];

/// Words, the only places (beginnings of paths) whose code may hold them, reason.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("unsafe", &["crates/cofferdam-sys/src/"], "one crate to read for memory safety"),
    (
        "target_os",
        &[
            "crates/cofferdam-gateway/src/lib.rs",
            "crates/cofferdam-init/src/",
            "crates/cofferdam-sandbox/src/",
            "crates/cofferdam-sys/src/",
            "crates/cofferdam/src/lib.rs",
        ],
        "the system is the business of the crates that touch it",
    ),
];

/// Every package that Cargo.lock lets init reach, on any system.
const INIT_REACHES: &[&str] = &[
    "bitflags",
    "cofferdam-init",
    "cofferdam-plan",
    "cofferdam-policy",
    "cofferdam-sys",
    "errno",
    "libc",
    "linux-raw-sys",
    "rustix",
    "tinyvec",
    "unicode-normalization",
    "windows-link",
    "windows-sys",
];
const INIT_PACKAGES_MAX: usize = 14;
const PACKAGES_MAX: usize = 399;
const REGISTRY: &str = "/crates.io-index";

/// Packages that are nowhere among the dependencies.
const NO_PACKAGE: &[(&str, &str)] = &[
    ("openssl-sys", "links C that the static programs would carry"),
    ("native-tls", "brings openssl-sys"),
    ("aws-lc-sys", "builds C and assembler"),
];

/// Words that no text file of the repository holds. Split, so that this file does not.
const NO_WORD: &[(&str, &str)] = &[
    (concat!("to", "do!("), "unfinished"),
    (concat!("unimpl", "emented!("), "unfinished"),
    (concat!("d", "bg!("), "a trace of a search for a fault"),
    (concat!("TO", "DO"), "unfinished: finish it or write an issue"),
    (concat!("FIX", "ME"), "unfinished: finish it or write an issue"),
    (concat!("X", "XX"), "unfinished: finish it or write an issue"),
    (concat!("HA", "CK"), "say what it works around"),
    (concat!("military", "-grade"), "says nothing that a test shows"),
    (concat!("bank", "-grade"), "says nothing that a test shows"),
    (concat!("unhack", "able"), "says nothing that a test shows"),
    (concat!("bullet", "proof"), "says nothing that a test shows"),
    (concat!("white", "list"), "write allow-list"),
    (concat!("black", "list"), "write deny-list"),
];

/// Paths of one developer's machine: what begins so is in no file.
const NO_PATH: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/.cargo")];

/// What a rule finds wrong, each with its place.
type Rule = fn(&[File]) -> Vec<String>;

fn arrows(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, manifest) in manifests(files) {
        let Some((_, allowed, why)) = ARROWS.iter().find(|row| row.0 == name) else {
            faults.push(format!("crates/{name}: no row in ARROWS"));
            continue;
        };
        let ours = depends(&manifest).into_iter().filter(|to| to.starts_with("cofferdam"));
        let wrong = ours.filter(|to| !allowed.contains(&to.as_str()));
        faults.extend(wrong.map(|to| format!("crates/{name}/Cargo.toml: on {to}; {why}")));
    }
    faults
}

/// Name of the folder and manifest of each of our crates.
fn manifests(files: &[File]) -> BTreeMap<String, Table> {
    let name = |file: &File| {
        let name = file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
        Some((name.to_owned(), table(file)))
    };
    files.iter().filter_map(name).collect()
}

/// The TOML of a file; nothing where it is none: Cargo says so first.
fn table(file: &File) -> Table {
    file.text.parse().unwrap_or_default()
}

/// Packages that a manifest names to build or run, on any system, optional ones too.
fn depends(manifest: &Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    [manifest].into_iter().chain(targets).flat_map(|table| named(table, true)).collect()
}

fn named(manifest: &Table, optional: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for key in ["dependencies", "build-dependencies"] {
        for (name, value) in manifest.get(key).and_then(Value::as_table).into_iter().flatten() {
            let is_optional = value.get("optional").and_then(Value::as_bool) == Some(true);
            if optional || !is_optional {
                let package = value.get("package").and_then(Value::as_str);
                names.insert(package.unwrap_or(name).to_owned());
            }
        }
    }
    names
}

fn sizes(files: &[File]) -> Vec<String> {
    let most = |file: &File| match file.path.as_str() {
        "ARCHITECTURE.md" => ARCHITECTURE_LINES_MAX,
        _ if file.is_rust() => LINES_MAX,
        _ => usize::MAX,
    };
    let long = files.iter().filter(|file| file.text.lines().count() > most(file));
    long.map(|file| format!("{}: longer than {} lines", file.path, most(file))).collect()
}

fn trusted(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for (starts, most) in [TRUSTED, DECODER] {
        let within = |file: &&File, start: &str| {
            file.path.starts_with(start) && !NOT_INITS.contains(&&*file.path)
        };
        let code = |file: &File| file.code.lines().filter(|line| !line.trim().is_empty()).count();
        let base = files.iter().filter(|file| starts.iter().any(|start| within(file, start)));
        let lines: usize = base.map(code).sum();
        let gone = starts.iter().filter(|start| !files.iter().any(|file| within(&file, start)));
        faults.extend(gone.map(|start| format!("{start}: no file")));
        if lines > most {
            faults.push(format!("{}: {lines} lines of code, over {most}", starts.join(", ")));
        }
    }
    faults
}

fn places(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let absent = ABSENT.iter().filter(|row| file.path.starts_with(row.0));
        let absent = absent.flat_map(|row| row.1.iter().map(move |needle| (*needle, row.2)));
        let elsewhere =
            ONLY_IN.iter().filter(|row| !row.1.iter().any(|p| file.path.starts_with(p)));
        for (needle, why) in absent.chain(elsewhere.map(|row| (row.0, row.2))) {
            let found = words(&file.code, needle);
            faults.extend(found.map(|at| format!("{}: `{needle}`; {why}", file.at(at))));
        }
    }
    faults
}

/// Every crate has the workspace's lints; sys the same but for `unsafe_code`.
fn lints(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    let tables = files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    let tables: BTreeMap<&str, Table> =
        tables.map(|file| (file.path.as_str(), table(file))).collect();
    let root = tables.get("Cargo.toml").and_then(|root| root.get("workspace"));
    let mut wanted = root.and_then(|root| root.get("lints")).cloned();
    let rust =
        wanted.as_mut().and_then(|lints| lints.get_mut("rust")).and_then(Value::as_table_mut);
    let forbidden = rust.and_then(|rust| rust.remove("unsafe_code"));
    if forbidden.as_ref().and_then(Value::as_str) != Some("forbid") {
        faults.push("Cargo.toml: unsafe_code is not forbidden".into());
    }
    for (path, manifest) in tables.iter().filter(|row| *row.0 != "Cargo.toml") {
        let lints = manifest.get("lints");
        if *path == "crates/cofferdam-sys/Cargo.toml" {
            if lints != wanted.as_ref() {
                faults.push(format!("{path}: not the workspace's lints without unsafe_code"));
            }
        } else if lints.and_then(|l| l.get("workspace")).and_then(Value::as_bool) != Some(true) {
            faults.push(format!("{path}: not the workspace's lints"));
        }
    }
    faults
}

/// In sys: each `unsafe` is a block with its reason above, and a function makes one call.
fn calls(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    let sys = files.iter().filter(|file| file.path.starts_with("crates/cofferdam-sys/src/"));
    for file in sys.filter(|file| file.is_rust()) {
        for at in words(&file.code, "unsafe") {
            let (before, after) = file.code.split_at(at);
            if !after.starts_with("unsafe {") {
                faults.push(format!("{}: `unsafe` that is no block", file.at(at)));
            }
            let above = file.text.get(..before.len()).unwrap_or_default().rsplit('\n').skip(1);
            let mut comment = above.map(str::trim_start).take_while(|line| line.starts_with("//"));
            if !comment.any(|line| line.starts_with("// SAFETY: ")) {
                faults.push(format!("{}: no `// SAFETY:` above", file.at(at)));
            }
        }
        for at in words(&file.code, "fn ") {
            let Some(body) = block(&file.code, at) else { continue };
            let body = file.code.get(body).unwrap_or_default();
            if words(body, "libc::").filter(|&call| is_call(body, call)).count() > 1 {
                faults.push(format!("{}: more than one system call", file.at(at)));
            }
        }
    }
    faults
}

/// Whether the `libc::` at an offset names a function that is called.
fn is_call(body: &str, at: usize) -> bool {
    let name = body.get(at + "libc::".len()..).unwrap_or_default();
    name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').starts_with('(')
}

fn locked(files: &[File]) -> Vec<String> {
    let Some(lock) = files.iter().find(|file| file.path == "Cargo.lock").map(table) else {
        return vec!["Cargo.lock: absent".into()];
    };
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let packages: Vec<&Table> = packages.filter_map(Value::as_table).collect();
    let mut faults = Vec::new();
    if packages.len() > PACKAGES_MAX {
        faults.push(format!("Cargo.lock: {} packages, over {PACKAGES_MAX}", packages.len()));
    }
    let mut locked: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages {
        let name = package.get("name").and_then(Value::as_str).unwrap_or_default();
        let needs = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        let needs: Vec<_> = needs.filter_map(|need| need.as_str().map(str::to_owned)).collect();
        let version = package.get("version").and_then(Value::as_str).unwrap_or_default();
        for name in [name.to_owned(), format!("{name} {version}")] {
            locked.entry(name).or_default().extend(needs.clone());
        }
        if let Some((_, why)) = NO_PACKAGE.iter().find(|row| row.0 == name) {
            faults.push(format!("Cargo.lock: {name}; {why}"));
        }
        let from = package.get("source").and_then(Value::as_str).unwrap_or(REGISTRY);
        if !from.ends_with(REGISTRY) {
            faults.push(format!("Cargo.lock: {name} from {from}"));
        }
    }
    let reached = init_reaches(files, &locked, &mut faults);
    let name = |found: &String| found.split(' ').next().map(str::to_owned);
    let reached: BTreeSet<String> = reached.iter().filter_map(name).collect();
    let expected: BTreeSet<String> = INIT_REACHES.iter().map(|&name| name.to_owned()).collect();
    let more = reached.difference(&expected).map(|name| format!("init reaches {name}"));
    let fewer = expected.difference(&reached).map(|name| format!("init does not reach {name}"));
    faults.extend(more.chain(fewer));
    if reached.len() > INIT_PACKAGES_MAX {
        faults.push(format!("init reaches {} packages, over {INIT_PACKAGES_MAX}", reached.len()));
    }
    faults
}

/// Packages that init reaches. Of our crates on the way, what is not optional counts, and none may
/// switch a feature of another on; of the others, all that Cargo.lock has.
fn init_reaches(
    files: &[File],
    locked: &BTreeMap<String, BTreeSet<String>>,
    faults: &mut Vec<String>,
) -> BTreeSet<String> {
    let ours = manifests(files);
    let mut reached = BTreeSet::new();
    let mut next = vec!["cofferdam-init".to_owned()];
    while let Some(name) = next.pop() {
        if !reached.insert(name.clone()) {
            continue;
        }
        let Some(manifest) = ours.get(&name) else {
            next.extend(locked.get(&name).into_iter().flatten().cloned());
            continue;
        };
        if manifest.get("features").and_then(|features| features.get("default")).is_some() {
            faults.push(format!("crates/{name}/Cargo.toml: default features, and init reaches it"));
        }
        for (to, value) in
            manifest.get("dependencies").and_then(Value::as_table).into_iter().flatten()
        {
            if ours.contains_key(to) && value.get("features").is_some() {
                faults.push(format!("crates/{name}/Cargo.toml: features of {to} for init"));
            }
        }
        next.extend(named(manifest, false));
    }
    reached
}

fn banned_words(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        let small = file.text.to_ascii_lowercase();
        for (word, why) in NO_WORD {
            // What is written in small letters is banned in any letters.
            let any = *word == word.to_ascii_lowercase();
            let found = words(if any { &small } else { &file.text }, word);
            faults.extend(found.map(|at| format!("{}: `{word}`; {why}", file.at(at))));
        }
        for start in NO_PATH {
            let begins = |at: &usize| {
                let before = file.text.get(..*at).and_then(|text| text.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && !"~.-_/".contains(c))
            };
            let found = file.text.match_indices(start).map(|(at, _)| at).filter(begins);
            faults
                .extend(found.map(|at| format!("{}: `{start}`; one machine's path", file.at(at))));
        }
    }
    faults
}

/// Codes of refusals: one meaning each, in small letters and hyphens.
fn codes(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let sources = files.iter().filter(|file| file.is_rust() && file.path.contains("/src/"));
    for file in sources.filter(|file| !file.path.ends_with("tests.rs")) {
        let tables = words(&file.code, "fn code(").filter_map(|at| block(&file.code, at));
        let fields = words(&file.code, "code: \"").filter_map(|at| {
            let end = file.code.get(at..)?.match_indices('"').nth(1)?.0;
            Some(at..at + end + 1)
        });
        for (at, code) in tables.chain(fields).flat_map(|part| file.literals(part)) {
            let mut parts = code.split('-');
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            if !parts.all(|part| !part.is_empty() && part.chars().all(plain)) {
                faults.push(format!("{}: `{code}` is not kebab-case", file.at(at)));
            }
            if let Some(first) = seen.insert(code, file.at(at)) {
                faults.push(format!("{}: `{code}` again, after {first}", file.at(at)));
            }
        }
    }
    faults
}

/// A Rust file that no other names is not compiled, and its tests pass by not being there.
fn modules(files: &[File]) -> Vec<String> {
    let is_named = |file: &File| {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        let (around, parent) = folder.rsplit_once('/').unwrap_or(("", folder));
        let stem = name.trim_end_matches(".rs");
        let is_root = match (parent, name) {
            ("tests" | "examples" | "benches" | "bin", _) | (_, "main.rs" | "build.rs") => true,
            ("src", _) => name == "lib.rs",
            ("fuzz_targets", _) => is_target(files, name),
            _ => false,
        };
        let (stem, folder) = if name == "mod.rs" { (parent, around) } else { (stem, folder) };
        let module = format!("mod {stem};");
        let path = if name == "mod.rs" { format!("{parent}/{name}") } else { name.to_owned() };
        let path = format!("{path}\"]\n");
        is_root
            || files.iter().filter(|other| other.path != file.path).any(|other| {
                let from = other.path.rsplit_once('/').map_or("", |(from, _)| from);
                let inside =
                    folder.strip_prefix(from).is_some_and(|r| r.is_empty() || r.starts_with('/'));
                let by_path = other.quoted.match_indices("#[path = \"").any(|(at, _)| {
                    let line =
                        other.quoted.get(at..).and_then(|rest| rest.split_inclusive('\n').next());
                    line.is_some_and(|line| line.ends_with(&path))
                });
                inside && (by_path || words(&other.code, &module).next().is_some())
            })
    };
    let lost = files.iter().filter(|file| file.is_rust() && !is_named(file));
    lost.map(|file| format!("{}: no `mod` names it", file.path)).collect()
}

/// Every test that a document names is there.
fn named_tests(files: &[File]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())) {
        let pieces = file.text.split('`').scan(0, |at, piece| {
            let start = *at;
            *at += piece.len() + 1;
            Some((start, piece))
        });
        // What is quoted lies between an odd tick and an even one.
        for (at, token) in pieces.skip(1).step_by(2) {
            if is_test_name(token) && !is_test(files, token) && !is_row(files, token) {
                faults.push(format!("{}: `{token}` is no test", file.at(at)));
            }
        }
    }
    faults
}

/// Whether a quoted word claims to be a test: any path into a test program, and a path of small
/// letters into a crate of ours.
fn is_test_name(token: &str) -> bool {
    let Some((first, rest)) = token.split_once("::") else { return false };
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':';
    PROGRAMS.contains(&first) || (CRATES.contains(&short(first)) && rest.chars().all(small))
}

fn short(name: &str) -> &str {
    name.strip_prefix("cofferdam-").or(name.strip_prefix("cofferdam_")).unwrap_or(name)
}

/// Whether `program::module::name` or `crate::modules::name` is a test in its place.
fn is_test(files: &[File], token: &str) -> bool {
    let parts: Vec<&str> = token.split("::").collect();
    let (Some(&first), Some(&name)) = (parts.first(), parts.last()) else { return false };
    let module = parts.get(1).filter(|_| parts.len() == 3).copied();
    let in_place = |path: &str| {
        if !PROGRAMS.contains(&first) {
            return path.starts_with(&format!("crates/cofferdam-{}/", short(first)));
        }
        let within =
            path.strip_prefix("crates/cofferdam/tests/").and_then(|p| p.strip_prefix(first));
        match (within, module) {
            (Some(within), Some(module)) => {
                within.strip_prefix('/').and_then(|p| p.strip_suffix(".rs")) == Some(module)
                    || within == ".rs"
            }
            (Some(within), None) => within == ".rs" || within.starts_with('/'),
            (None, _) => false,
        }
    };
    let signature = format!("fn {name}(");
    files.iter().filter(|file| file.is_rust() && in_place(&file.path)).any(|file| {
        words(&file.code, &signature).any(|at| {
            // What stands between the item before and this one: attributes, visibility.
            let before = file.code.get(..at).unwrap_or_default().rsplit(['{', '}', ';']).next();
            before.is_some_and(|before| before.lines().any(|line| line.trim() == "#[test]"))
        })
    })
}

/// Holds a rule over the repository, where it can be read.
fn hold(name: &str, rule: Rule) {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let files = load(root);
    // Another user's, or a program that was carried elsewhere.
    let unread = |error: &&Error| error.kind() == ErrorKind::PermissionDenied || !root.exists();
    if let Some(error) = files.as_ref().err().filter(unread) {
        eprintln!("tidy::{name}: not held, cannot read {}: {error}", root.display());
        return;
    }
    let files = files.expect("files of the repository are there and UTF-8");
    assert!(files.len() > 50, "{} files are not the repository", files.len());
    let faults = rule(&files);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn crates_depend_as_drawn() {
    hold("crates_depend_as_drawn", arrows);
}

#[test]
fn files_are_short() {
    hold("files_are_short", sizes);
}

#[test]
fn the_trusted_base_is_small() {
    hold("the_trusted_base_is_small", trusted);
}

#[test]
fn words_are_in_their_places() {
    hold("words_are_in_their_places", places);
}

#[test]
fn crates_have_the_lints() {
    hold("crates_have_the_lints", lints);
}

#[test]
fn sys_functions_make_one_call() {
    hold("sys_functions_make_one_call", calls);
}

#[test]
fn packages_are_few_and_known() {
    hold("packages_are_few_and_known", locked);
}

#[test]
fn words_are_plain() {
    hold("words_are_plain", banned_words);
}

#[test]
fn codes_are_unique() {
    hold("codes_are_unique", codes);
}

#[test]
fn modules_are_compiled() {
    hold("modules_are_compiled", modules);
}

#[test]
fn documents_name_tests_that_exist() {
    hold("documents_name_tests_that_exist", named_tests);
}
