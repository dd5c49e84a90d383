//! Each rule sees a planted violation, and is silent about its twin that is none.

use crate::source::{DECODER, DOCUMENTS, File, TRUSTED};
use crate::{
    ABSENT, INIT_REACHES, LINES_MAX, NO_PACKAGE, NO_PATH, NO_WORD, ONLY_IN, Rule, arrows,
    banned_words, calls, codes, lints, locked, modules, named_tests, places, sizes, trusted,
};

fn faults(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<File> = files.iter().map(|(path, text)| File::new(path, text)).collect();
    rule(&files)
}

/// Exactly one fault, and in it `want`.
#[track_caller]
fn caught(rule: Rule, files: &[(&str, &str)], want: &str) {
    let found = faults(rule, files);
    assert!(matches!(&*found, [one] if one.contains(want)), "{want:?} in {files:?}: {found:?}");
}

#[track_caller]
fn passed(rule: Rule, files: &[(&str, &str)]) {
    assert_eq!(faults(rule, files), Vec::<String>::new(), "{files:?}");
}

const SYS: &str = "crates/cofferdam-sys/src/lib.rs";
const PLAN: &str = "crates/cofferdam-plan/Cargo.toml";

#[test]
fn arrow() {
    for table in ["dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
        let manifest = |to: &str| format!("[{table}]\n{to}.workspace = true\n");
        passed(arrows, &[(PLAN, &manifest("cofferdam-policy"))]);
        caught(arrows, &[(PLAN, &manifest("cofferdam-sys"))], "on cofferdam-sys");
    }
    let renamed = "[dependencies]\nx = { package = \"cofferdam-sys\", path = \"\" }\n";
    caught(arrows, &[(PLAN, renamed)], "on cofferdam-sys");
    caught(arrows, &[("crates/cofferdam-new/Cargo.toml", "")], "no row");
}

#[test]
fn size() {
    let longest = "\n".repeat(LINES_MAX);
    passed(sizes, &[(SYS, &longest), ("README.md", &"\n".repeat(9999))]);
    caught(sizes, &[(SYS, &format!("{longest}\n"))], "longer");
    passed(sizes, &[("ARCHITECTURE.md", &"\n".repeat(200))]);
    caught(sizes, &[("ARCHITECTURE.md", &"\n".repeat(201))], "longer");
}

#[test]
fn trusted_base() {
    let mut files: Vec<(String, String)> = Vec::new();
    for (starts, most) in [TRUSTED, DECODER] {
        for (index, start) in starts.iter().enumerate() {
            let path = if start.ends_with(".rs") { "" } else { "/a.rs" };
            let lines = if index == 0 { most } else { 0 };
            files.push((format!("{start}{path}"), "a();\n\n// said\n".repeat(lines)));
        }
    }
    let all = || files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    passed(trusted, &all().collect::<Vec<_>>());
    for more in ["crates/cofferdam-sys/src/new.rs", "crates/cofferdam-plan/src/wire/new.rs"] {
        caught(trusted, &all().chain([(more, "a();\n")]).collect::<Vec<_>>(), "over");
    }
    caught(trusted, &all().skip(1).collect::<Vec<_>>(), "no file");
}

#[test]
fn place() {
    for (place, needles, _) in ABSENT {
        for needle in *needles {
            let path = format!("{place}a/b.rs");
            caught(places, &[(&path, &format!("fn a() {{ x {needle} }}"))], needle);
            passed(places, &[(&path, &format!("// {needle}\nconst A: &str = \"{needle}\";"))]);
        }
    }
    for (needle, only, _) in ONLY_IN {
        let text = format!("fn a() {{ {needle} {{}} }}");
        caught(places, &[("crates/cofferdam-plan/src/a.rs", &text)], needle);
        caught(places, &[("xtask/src/main.rs", &text)], needle);
        caught(places, &[("crates/cofferdam/tests/a.rs", &text)], needle);
        let path = only.first().unwrap();
        passed(
            places,
            &[(&format!("{path}{}", if path.ends_with('/') { "a.rs" } else { "" }), &text)],
        );
    }
    passed(places, &[("xtask/src/a.rs", "#![expect(unsafe_code, reason = \"x\")]")]);
    let hidden = "const A: char = '\"'; const B: &str = r#\"\"x\"#; fn a<'a>() { unsafe {} } // \"";
    caught(places, &[("xtask/src/a.rs", hidden)], "unsafe");
}

#[test]
fn lint() {
    let root = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nunreachable_pub = \"warn\"\n";
    let sys = ("crates/cofferdam-sys/Cargo.toml", "[lints.rust]\nunreachable_pub = \"warn\"\n");
    let plan = (PLAN, "[lints]\nworkspace = true\n");
    passed(lints, &[("Cargo.toml", root), sys, plan]);
    caught(lints, &[("Cargo.toml", &root.replace("forbid", "deny")), sys, plan], "not forbidden");
    caught(lints, &[("Cargo.toml", root), sys, (PLAN, "[lints]\n")], PLAN);
    caught(lints, &[("Cargo.toml", root), (sys.0, plan.1), plan], sys.0);
    caught(lints, &[("Cargo.toml", root), (sys.0, ""), plan], sys.0);
}

#[test]
fn call() {
    let good = "fn a() -> [u8; 2] {\n    // SAFETY: of\n    // numbers.\n    unsafe { libc::b(libc::C::d(1)) }\n}\n";
    passed(calls, &[(SYS, good)]);
    caught(calls, &[(SYS, &good.replace("// SAFETY", "// Reason"))], "SAFETY");
    caught(calls, &[(SYS, &good.replace("    // numbers.", ""))], "SAFETY");
    caught(calls, &[(SYS, &good.replace("1)", "libc::e())"))], "more than one");
    caught(calls, &[(SYS, "// SAFETY: none\nunsafe fn a() {}")], "no block");
}

#[test]
fn lock() {
    let package = |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\n{rest}\n");
    let chain = |names: &[&str]| -> String {
        let needs = names.iter().filter(|name| !name.starts_with("cofferdam"));
        let needs: Vec<String> = needs.map(|name| format!("\"{name}\"")).collect();
        package("rustix", &format!("dependencies = [{}]", needs.join(",")))
    };
    let init = "[dependencies]\nrustix = {}\ncofferdam-plan = {}\ncofferdam-policy = {}\n\
                cofferdam-sys = {}\nserde = { optional = true }\n";
    let rest = [
        ("crates/cofferdam-plan/Cargo.toml", ""),
        ("crates/cofferdam-policy/Cargo.toml", ""),
        ("crates/cofferdam-sys/Cargo.toml", ""),
    ];
    let files = |lock: &str, init: &str| {
        let own = [("Cargo.lock", lock), ("crates/cofferdam-init/Cargo.toml", init)];
        let files: Vec<File> =
            own.iter().chain(&rest).map(|(path, text)| File::new(path, text)).collect();
        locked(&files).join("; ")
    };
    let good = chain(INIT_REACHES);
    assert_eq!(files(&good, init), "");
    assert_eq!(files(&chain(&[INIT_REACHES, &["toml"]].concat()), init), "init reaches toml");
    assert_eq!(files(&good, &init.replace("optional = true", "")), "init reaches serde");
    assert!(
        files(&good, &init.replace("plan = {}", "plan = { features = [] }"))
            .contains("features of")
    );
    assert!(
        files(&good, &format!("{init}[features]\ndefault = []\n")).contains("default features")
    );
    assert!(files(&good, &init.replace("rustix = {}\n", "")).contains("does not reach rustix"));
    for (name, why) in NO_PACKAGE {
        let lock = format!("{good}{}", package(name, ""));
        assert_eq!(files(&lock, init), format!("Cargo.lock: {name}; {why}"));
    }
    let many: String = (0..400).map(|at| package(&format!("p{at}"), "")).collect();
    assert!(files(&format!("{good}{many}"), init).contains("401 packages"));
    let git = package("p", "source = \"git+https://example.com/p\"");
    assert!(files(&format!("{good}{git}"), init).contains("p from git"));
    assert_eq!(faults(locked, &[]), ["Cargo.lock: absent"]);
}

#[test]
fn word() {
    for (word, _) in NO_WORD {
        for path in ["README.md", SYS, "a.yml"] {
            caught(banned_words, &[(path, &format!("a {word} b"))], word);
        }
        passed(banned_words, &[("README.md", &format!("a{word}b"))].map(|(p, t)| (p, t.as_str())));
    }
    for path in NO_PATH {
        caught(banned_words, &[("a.sh", &format!("cd \"{path}a\""))], path);
        passed(banned_words, &[("a.sh", &format!("cd ~{path}a"))].map(|(p, t)| (p, t.as_str())));
    }
    caught(banned_words, &[("README.md", &NO_WORD.last().unwrap().0.to_ascii_uppercase())], "deny");
}

#[test]
fn code() {
    let file = |a: &str, b: &str| {
        format!(
            "fn code(&self) -> &str {{ match self {{ A => \"{a}\" }} }} fn x() {{ S {{ code: \"{b}\" }} }}"
        )
    };
    passed(codes, &[(SYS, &file("a-b", "a-c2"))]);
    caught(codes, &[(SYS, &file("a-b", "a-b"))], "again");
    caught(codes, &[(SYS, &file("a-b", "c")), ("xtask/src/a.rs", &file("c", "d"))], "`c` again");
    for bad in ["A-b", "a_b", "a--b", "-a", "a b", ""] {
        caught(codes, &[(SYS, &file(bad, "c"))], "kebab");
    }
}

#[test]
fn module() {
    let main = "crates/cofferdam/tests/containment/main.rs";
    let attack = ("crates/cofferdam/tests/containment/f01_a.rs", "#[test]\nfn a() {}");
    passed(modules, &[(main, "mod f01_a;"), attack]);
    caught(modules, &[(main, "// mod f01_a;"), attack], "f01_a");
    caught(modules, &[(main, "mod f01_ab;"), attack], "f01_a");
    caught(modules, &[(main, ""), attack, ("crates/x/src/lib.rs", "mod f01_a;")], "f01_a");
    let (lib, tests) = ("crates/x/src/lib.rs", ("crates/x/src/a_tests.rs", ""));
    passed(modules, &[(lib, "#[path = \"a_tests.rs\"]\nmod tests;"), tests]);
    caught(modules, &[(lib, "#[path = \"b_tests.rs\"]\nmod tests;"), tests], "a_tests");
    let (manifest, target) = ("fuzz/Cargo.toml", ("fuzz/fuzz_targets/a.rs", ""));
    passed(modules, &[(manifest, "path = \"fuzz_targets/a.rs\""), target]);
    caught(modules, &[(manifest, "path = \"fuzz_targets/b.rs\""), target], "a.rs");
}

#[test]
fn named() {
    let tests = [
        ("crates/cofferdam/tests/containment/f01_a.rs", "#[test]\n#[cfg(x)]\nfn a() {}\nfn b() {}"),
        ("crates/cofferdam/tests/crash.rs", "#[test]\nfn c() {}\n/// #[test]\nfn d() {}"),
        ("crates/cofferdam-plan/src/seccomp/tests.rs", "#[test]\nfn e() {}"),
        ("tests/conformance/files.toml", "[[row]]\nid = \"a-row\"\npolicy = \"no-row\"\n"),
    ];
    let with = |document: &str, token: &str| {
        let text = format!("One `word`, two: `{token}` (`Plan::new`).");
        let files = [&[(document, &*text)], &tests[..]].concat();
        faults(named_tests, &files)
    };
    for document in DOCUMENTS {
        for good in [
            "containment::f01_a::a",
            "crash::c",
            "cofferdam-plan::seccomp::tests::e",
            "plan::e",
            "plan::Plan",
            "conformance::a-row",
        ] {
            assert_eq!(with(document, good), Vec::<String>::new());
        }
        for bad in [
            "containment::f01_a::b",
            "containment::f02_b::a",
            "containment::f01_a::*",
            "crash::d",
            "crash::e",
            "kernel::a",
            "policy::e",
            "cofferdam-policy::e",
            "conformance::no-row",
        ] {
            assert_eq!(with(document, bad), [format!("{document}:1: `{bad}` is no test")]);
        }
    }
}
