//! gVisor's `runsc`, found and tried: Debian's builds, and programs that only look like one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "panics are how tests fail, and what was not run is told"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cofferdam_plan::facts::Ids;
use cofferdam_plan::host::Runsc;
use cofferdam_plan::model::Clause;
use cofferdam_plan::runsc::{Build, Outcome, Platform};
use cofferdam_sandbox::runsc::{Depth, PATIENCE, Seek, find};
use cofferdam_sandbox::{Caller, Programs, probe};
use serde_json::Value;
use support::{Place, finish, is_root, programs, variable};

/// What is asked of the engine's eyes and hands in these tests.
struct Here {
    place: Place,
    programs: Programs,
    ids: Ids,
}

impl Here {
    fn new() -> Self {
        let place = Place::new();
        // The workload's user comes to a program by its path.
        fs::set_permissions(&place.root, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&place.out, fs::Permissions::from_mode(0o755)).unwrap();
        let caller = Caller::read().unwrap();
        let ids = caller.person(Path::new("/")).0.ids;
        Self { place, programs: Programs::in_directory(&programs()).unwrap(), ids }
    }

    fn find(&self, named: &Path, depth: Depth) -> Runsc {
        self.find_beside(named, depth, &[])
    }

    fn find_beside(&self, named: &Path, depth: Depth, written: &[&Path]) -> Runsc {
        let state = self.state();
        let (named, state) = (Some(named), Some(state.as_path()));
        let seek = Seek { named, written, state, ids: self.ids, depth };
        let found = find(&seek, &self.programs, &probe::host());
        assert_eq!(found.program.is_some(), matches!(found.record, Runsc::Ready(_)));
        found.record
    }

    #[track_caller]
    fn build(&self, named: &Path, depth: Depth) -> Build {
        let found = self.find(named, depth);
        let Runsc::Ready(build) = found else { panic!("{}: {found:?}", named.display()) };
        build
    }

    fn state(&self) -> PathBuf {
        self.place.root.join("state")
    }

    fn kept(&self) -> PathBuf {
        self.state().join("runsc-trials")
    }

    /// A static program that answers as a `runsc` does, but for what `otherwise` does (C) when it is to run
    /// a bundle. Its processes are called `name`.
    fn fake(&self, name: &str, otherwise: &str) -> Option<PathBuf> {
        let source = self.place.write(
            &format!("out/{name}.c"),
            &format!(
                "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n#include <sys/prctl.h>\n\
                 int main(int count, char **words) {{\n\
                 prctl(PR_SET_NAME, \"{name}\");\n\
                 if (!strcmp(words[1], \"--version\")) return puts(\"runsc version 0.0~20240101.0\") < 0;\n\
                 if (!strcmp(words[1], \"flags\")) return puts(\"  -directfs\") < 0;\n\
                 char *platform = words[2]; (void) platform;\n{otherwise}\n}}\n"
            ),
        );
        let program = self.place.out.join(name);
        let mut gcc = self.place.command("gcc");
        gcc.args(["-static", "-w", "-o"]).args([&program, &source]);
        match gcc.output() {
            Ok(ran) if ran.status.success() => {
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
                Some(program)
            }
            Ok(_) | Err(_) => {
                println!("not run: there is no gcc with a static C library here");
                None
            }
        }
    }
}

/// The builds that `cargo xtask runsc` has unpacked, by the year.
fn debians(year: &str) -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/runsc");
    let place = variable("COFFERDAM_RUNSC_BUILDS").map_or(checkout, PathBuf::from);
    let program = place.join(year).join("usr/bin/runsc");
    if program.is_file() {
        return Some(program);
    }
    println!("not run: no runsc of {year}, which `cargo xtask runsc` brings");
    None
}

fn outcome(build: &Build, platform: Platform) -> &Outcome {
    &build.platforms.iter().find(|(of, _)| *of == platform).unwrap().1
}

/// How many processes of the machine are called `name`.
fn processes(name: &str) -> usize {
    let names = fs::read_dir("/proc").unwrap().flatten();
    let names = names.filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    names.filter(|found| found.trim_end() == name).count()
}

#[test]
fn debians_build_of_2022_runs_on_ptrace_alone() {
    let Some(program) = debians("2022") else { return };
    let build = Here::new().build(&program, Depth::Each);
    assert_eq!((build.version.day, build.platform), (Some(20_221_219), Platform::Ptrace));
    assert_eq!(outcome(&build, Platform::Ptrace), &Outcome::Works);
    let unknown = matches!(outcome(&build, Platform::Systrap),
                           Outcome::Fails { why } if why.contains("unknown platform"));
    assert!(unknown, "{:?}", build.platforms);
    assert!(!build.features.directfs && build.features.overlay && build.features.host_sockets);
    let bytes = fs::read(&program).unwrap();
    assert_eq!(build.digest, cofferdam_audit::digest::sha256(&bytes));
}

#[test]
fn debians_build_of_2024_runs_on_systrap() {
    let Some(program) = debians("2024") else { return };
    let here = Here::new();
    let build = here.build(&program, Depth::First);
    assert_eq!((build.version.day, build.platform), (Some(20_240_729), Platform::Systrap));
    assert_eq!(outcome(&build, Platform::Ptrace), &Outcome::Untried, "one is enough");
    assert!(build.features.directfs);
    let build = here.build(&program, Depth::Each);
    assert_eq!(build.platform, Platform::Systrap);
    assert_eq!(outcome(&build, Platform::Ptrace), &Outcome::Works);
    assert_ne!(outcome(&build, Platform::Kvm), &Outcome::Untried);
}

/// What is kept chooses the platform, and nothing else; what is not as it was written is tried again.
#[test]
fn what_was_tried_is_kept_by_the_digest() {
    let Some(program) = debians("2024") else { return };
    let here = Here::new();
    let first = here.build(&program, Depth::First);
    let text = fs::read_to_string(here.kept()).unwrap();
    assert!(text.contains(&format!("\t{}\t", first.digest)), "{text}");
    let other = text.replace("systrap works", "systrap fails by hand");
    fs::write(here.kept(), other.replace("ptrace untried", "ptrace works")).unwrap();
    let kept = here.build(&program, Depth::First);
    assert_eq!(kept.platform, Platform::Ptrace, "it is believed");
    assert_eq!((kept.digest, kept.program), (first.digest.clone(), first.program.clone()));
    assert_eq!(here.build(&program, Depth::Each).platform, Platform::Systrap, "tried anew");
    for broken in ["", "nonsense\n", &text.replace("systrap works", "systrap worked")] {
        fs::write(here.kept(), broken).unwrap();
        assert_eq!(here.build(&program, Depth::First), first, "{broken:?}");
    }
    fs::write(here.kept(), text.replace(&first.digest, &"0".repeat(64))).unwrap();
    let forged = here.build(&program, Depth::First).digest;
    assert_eq!(forged, "0".repeat(64), "who owns the file may say so of an unchanged program");
    let copy = here.place.out.join("runsc");
    fs::copy(&program, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(here.build(&copy, Depth::First).digest, first.digest, "another file is read");
}

/// It is ended within five seconds, with children that left its session; another platform is asked then.
#[test]
fn one_that_hangs_is_ended_with_all_its_children() {
    let here = Here::new();
    let name = format!("hangs{}", std::process::id());
    let hangs = "if (strstr(platform, \"systrap\")) {\n\
                 for (int i = 0; i < 3; i++) if (!fork()) { setsid(); if (!fork()) setsid(); for (;;) pause(); }\n\
                 for (;;) pause(); }\n\
                 fputs(\"this one says so\\n\", stderr); return 3;";
    let Some(program) = here.fake(&name, hangs) else { return };
    assert_eq!(processes(&name), 0);
    let done = AtomicBool::new(false);
    let (most, lived, found) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut most, mut first, mut last) = (0, None, None);
            while !done.load(Ordering::Relaxed) {
                let seen = processes(&name);
                if seen >= 7 {
                    first = first.or_else(|| Some(Instant::now()));
                    last = Some(Instant::now());
                }
                most = most.max(seen);
                std::thread::sleep(Duration::from_millis(20));
            }
            let lived = last.zip(first).map(|(last, first)| last.duration_since(first));
            (most, lived.unwrap_or_default())
        });
        let found = here.find(&program, Depth::Each);
        done.store(true, Ordering::Relaxed);
        let (most, lived) = watch.join().unwrap();
        (most, lived, found)
    });
    assert_eq!(most, 7, "it was there with its children");
    assert!(lived < Duration::from_secs(5), "{lived:?}");
    assert_eq!(processes(&name), 0, "nothing is left");
    let Runsc::Useless { why, .. } = found else { panic!("{found:?}") };
    assert!(why.contains(&format!("systrap hangs, ended after {PATIENCE} s")), "{why}");
    assert!(why.contains("ptrace does not run: this one says so (status 3)"), "{why}");
    assert!(!here.kept().exists(), "what is of no use is not kept");
}

#[test]
fn one_that_lies_is_of_no_use() {
    let here = Here::new();
    for (name, lies, why) in [
        (
            "passes-on",
            "execl(\"/bundle/root/name\", \"name\", 0); return 9;",
            "systrap does not run",
        ),
        ("says-yes", "return 0;", "no word (status 0)"),
        (
            "talks",
            "while (strstr(platform, \"systrap\")) puts(\"Linux\"); return 1;",
            "systrap hangs",
        ),
        ("right-status", "return 42;", "no word (status 42)"),
    ] {
        let Some(program) = here.fake(name, lies) else { return };
        let found = here.find(&program, Depth::First);
        assert!(
            matches!(&found, Runsc::Useless { why: said, .. } if said.contains(why)),
            "{name}: {found:?}"
        );
    }
    let other = Path::new("/bin/true");
    let found = here.find(other, Depth::First);
    let says = matches!(&found, Runsc::Useless { why, .. } if why.contains("--version"));
    assert!(says, "{found:?}");
}

#[test]
fn what_others_may_write_is_not_started() {
    let here = Here::new();
    let Some(program) = here.fake("shared", "return 3;") else { return };
    let untrusted = |written: &[&Path], why: &str| {
        let found = here.find_beside(&program, Depth::First, written);
        let says = matches!(&found, Runsc::Untrusted { why: said, .. } if said.contains(why));
        assert!(says, "{why}: {found:?}");
        let refusal = found.ready(&Clause::built_in("isolation")).unwrap_err();
        assert_eq!(refusal.code(), "runsc-untrusted");
    };
    let tried = || {
        let found = here.find(&program, Depth::First);
        assert!(matches!(found, Runsc::Useless { .. }), "it is started: {found:?}");
    };
    let set =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    tried();
    for (mode, why) in [
        (0o775, "others may write it"),
        (0o757, "others may write it"),
        (0o4755, "set-user-ID"),
        (0o644, "nobody may execute"),
    ] {
        set(&program, mode);
        untrusted(&[], why);
    }
    set(&program, 0o755);
    for mode in [0o775, 0o757] {
        set(&here.place.out, mode);
        untrusted(&[], "others may write");
    }
    set(&here.place.out, 0o755);
    untrusted(&[&here.place.root], "the workload may write");
    let another = here.place.out.join("another");
    fs::hard_link(&program, &another).unwrap();
    if !is_root() {
        untrusted(&[], "2 names");
    }
    fs::remove_file(&another).unwrap();
    if is_root() {
        lchown(&program, Some(65_533), None).unwrap();
        untrusted(&[], "of user 65533");
        lchown(&program, Some(0), None).unwrap();
    }
    tried();
}

#[test]
fn a_missing_one_is_told_with_what_installs_it() {
    let here = Here::new();
    let found = here.find(&here.place.out.join("nothing"), Depth::First);
    let refusal = found.ready(&Clause::built_in("isolation")).unwrap_err();
    assert_eq!(refusal.code(), "runsc-missing");
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if release.lines().any(|line| line == "ID=debian") {
        assert!(refusal.hint().contains("sudo apt-get install runsc"), "{}", refusal.hint());
    }
    assert!(refusal.to_string().contains("nothing: "), "{refusal}");
}

#[test]
fn doctor_tells_of_each_platform() {
    let here = Here::new();
    let doctor = |words: &[&str]| {
        let mut command: Command = here.place.command(programs().join("cofferdam"));
        let ran = finish(command.args(["doctor", "--json"]).args(words));
        serde_json::from_str::<Value>(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let says = |all: &Value, name: &str, state: &str, words: &str| {
        let rows = all["guarantees"].as_array().unwrap();
        let row = rows.iter().find(|row| row["guarantee"] == name).unwrap();
        let found = row["found"].as_str().unwrap();
        assert!(row["state"] == state && found.contains(words), "{row:#}");
    };
    let missing = here.place.out.join("nothing").display().to_string();
    let all = doctor(&["--runsc", &missing]);
    says(&all, "gvisor", "not-needed", "there is no runsc at");
    says(&all, "gvisor-kvm", "not-needed", "no runsc to be tried");
    if let Some(program) = debians("2022") {
        let all = doctor(&["--runsc", &program.display().to_string()]);
        says(&all, "gvisor", "enforced", "version 0.0~20221219.0, SHA-256 ");
        says(&all, "gvisor-systrap", "not-needed", "unknown platform");
        says(&all, "gvisor-ptrace", "enforced", "it is used");
    }
    if let Some(program) = debians("2024") {
        let all = doctor(&["--runsc", &program.display().to_string()]);
        says(&all, "gvisor", "enforced", "runs on systrap");
        says(&all, "gvisor-systrap", "enforced", "it is used");
        says(&all, "gvisor-ptrace", "enforced", "a program ran on it");
    }
}
