//! The commands beside `run` and `plan`: the shell, the log as a person reads it, completions,
//! manual pages, versions.

#![expect(clippy::print_stdout, reason = "what was not run is told")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use cofferdam::audit::{Event, Log};
use support::{Place, Ran, finish, is_root, programs};

fn cofferdam(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).args(words))
}

/// Whether a program that a check needs is there; says so where it is not.
fn there(program: &str, check: &str) -> bool {
    let found = Path::new("/usr/bin").join(program).exists();
    if !found {
        println!("not run: {check}: no /usr/bin/{program}");
    }
    found
}

/// `cofferdam shell` with `text` on a pipe.
fn shell(place: &Place, words: &[&str], text: &str) -> Ran {
    let mut command = place.command(programs().join("cofferdam"));
    command.arg("shell").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("cofferdam starts");
    let input = child.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
    assert!(matches!(input, Some(Ok(()))), "the words are taken");
    let output = child.wait_with_output().expect("it ends");
    Ran {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_shell_is_inside() {
    let place = Place::new();
    place.outside("cat $H/.ssh/id_test").works("outside it can be read");
    let words = ["--quiet", "--env", "H", "--", "-c", "cat $H/.ssh/id_test"];
    shell(&place, &words, "").fails(&["No such file"], "a secret of the home");
    let said = shell(&place, &["--", "-c", "echo here > note && cat note"], "");
    assert_eq!(said.works("the workspace").out, "here\n");
    shell(&place, &["--grant", "/proc/1:ro"], "").refused("reserved-path", "as run refuses");
    assert_eq!(shell(&place, &[], "exit 4\n").status, Some(4), "the shell's own status");
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    assert!(log.contains("reserved-path"), "its refusal is on record");
    assert_eq!(log.matches("\"kind\":\"start\"").count(), 3, "as its starts are");
}

#[test]
fn a_prompt_says_that_one_is_inside() {
    let place = Place::new();
    let asked = shell(&place, &["--", "-i"], "echo an-answer\nexit 7\n");
    assert_eq!((asked.status, asked.out.as_str()), (Some(7), "an-answer\n"), "{asked:?}");
    assert!(asked.err.contains("(cofferdam) "), "{asked:?}");
    let piped = shell(&place, &[], "echo an-answer\n").works("a script");
    assert_eq!((piped.out.as_str(), piped.err.as_str()), ("an-answer\n", ""), "no prompt");
    // On a terminal it is interactive by itself.
    let program = programs().join("cofferdam").display().to_string();
    let mut script = place.command("script");
    script.args(["-qec", &format!("{program} shell"), "/dev/null"]);
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut script = script.expect("script starts");
    let typed = script.stdin.as_mut().map(|input| input.write_all(b"exit 6\n"));
    assert!(matches!(typed, Some(Ok(()))), "typed");
    let ended = script.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(6), "{said}");
    assert!(said.contains("(cofferdam) "), "{said}");
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    assert_eq!(log.matches("sh\",\"-i\"],").count(), 2, "asked for, and on a terminal");
    // Even where start files of a home set another one, and in a shell that the shell starts.
    place.write("home/src/app/rc", "PS1='other> '\n");
    let other = shell(&place, &["--", "--rcfile", "rc", "-i"], "exit\n").works("start files");
    if Path::new("/usr/bin/bash").exists() {
        assert!(other.err.contains("(cofferdam) other> "), "{other:?}");
    }
    // What a person sets holds.
    let own = ["--env", "PROMPT_COMMAND=:", "--", "-c", "printenv PROMPT_COMMAND"];
    assert_eq!(shell(&place, &own, "").works("a variable of the person's").out, ":\n");
}

#[test]
fn bash_is_taken_where_it_can_run() {
    let place = Place::new();
    let name = ["--quiet", "--", "-c", "echo $0"];
    let bash = if Path::new("/usr/bin/bash").exists() { "/usr/bin/bash\n" } else { "/bin/sh\n" };
    assert_eq!(shell(&place, &name, "").works("a shell").out, bash);
    if !is_root() {
        println!("not run: a machine without bash: only root can make one");
        return;
    }
    // In a mount namespace of its own a file that nobody can execute lies over it.
    let script = format!(
        "mount --bind $OUT/canary $(realpath /bin/bash) && exec {} shell --quiet -- -c 'echo $0'",
        programs().join("cofferdam").display()
    );
    let ran = finish(place.command("unshare").args(["-m", "sh", "-c", &script]));
    assert_eq!(ran.works("without bash").out, "/bin/sh\n");
}

/// Three runs: one that works, one that fails, one that is refused.
fn three_runs(place: &Place) {
    place.inside("true").works("a run");
    place.inside("exit 3");
    place.inside_with(&["--grant", "/proc/1:ro"], "true").refused("reserved-path", "a refusal");
}

#[test]
fn show_tells_what_is_on_record() {
    let place = Place::new();
    three_runs(&place);
    let all = cofferdam(&place, &["audit", "show"]).works("the log").out;
    for words in [
        "  start       sh -c true\n",
        "  ready\n",
        "  exit        status 0 after ",
        "  exit        status 3 after ",
        "  refusal     command line:1: /proc/1 lies in /proc",
        "help: remove the rule\n",
        "process/native\n",
    ] {
        assert!(all.contains(words), "{words:?}: {all}");
    }
    let lines = |words: &[&str]| {
        let words = [&["audit", "show", "--json"], words].concat();
        let out = cofferdam(&place, &words).works("filters").out;
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    let records: Vec<&str> = log.lines().collect();
    assert_eq!(records.len(), 7, "{log}");
    assert_eq!(lines(&[]), records, "as they stand in the log");
    let session = |record: &str| {
        let record: serde_json::Value = serde_json::from_str(record).expect("JSON");
        record["session"].as_str().unwrap_or_default().to_owned()
    };
    let second = session(records[3]);
    for (words, want, why) in [
        (&["--last", "2"][..], &records[5..], "the last ones"),
        (&["--last", "99"], &records[..], "more than there are"),
        (&["--kind", "exit"], &[records[2], records[5]], "a kind"),
        (&["--kind", "exit", "--kind", "refusal", "--last", "2"], &records[5..], "two kinds"),
        (&["--session", &second], &records[3..6], "a session"),
        (&["--session", &second[..12]], &records[3..6], "its beginning"),
        (&["--failed"], &records[5..], "what went wrong"),
        (&["--since", "1h"], &records[..], "of the last hour"),
        (&["--until", "1h"], &[], "before that"),
        (&["--since", "2020-01-01", "--until", "2020-02-01"], &[], "of a month"),
        (&["--since", "2020-01-01T00:00:00Z"], &records[..], "since a time"),
    ] {
        assert_eq!(lines(words), want, "{why}");
    }
    let none = cofferdam(&place, &["audit", "show", "--kind", "refusals"]).works("a misspelt one");
    assert!(none.err.contains("kinds are: exit, ready, refusal, start"), "{none:?}");
    let full = cofferdam(&place, &["audit", "show", "--full", "--kind", "start", "--last", "1"]);
    assert!(
        full.works("whole").out.contains("\"directory\": "),
        "the plan is shown when asked for"
    );
}

/// Who wrote a record's words may have meant them for a terminal, or for the reader of a list.
#[test]
fn show_is_deceived_by_nothing_in_a_record() {
    let place = Place::new();
    let forged =
        "x\u{1b}[2J\r\n2026-01-01T00:00:00.000Z  00000000  exit        status 0\u{202e}\u{9b}31m";
    let ran = finish(place.cofferdam(&[]).args(["sh", "-c", "exit 9", forged]));
    assert_eq!(ran.status, Some(9), "{ran:?}");
    for words in [&["audit", "show"][..], &["audit", "show", "--full"]] {
        let out = cofferdam(&place, words).works("a log with a forged line").out;
        assert!(out.contains("status 9 after "), "{out}");
        assert!(!out.lines().any(|line| line.trim_start().starts_with("2026-01-01")), "{out}");
        let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(obeyed), "{out:?}");
    }
}

#[test]
fn show_marks_what_does_not_verify() {
    let place = Place::new();
    three_runs(&place);
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    let changed = log.replacen("\"code\":3", "\"code\":0", 1);
    assert_ne!(changed, log, "an end is made to look well");
    fs::write(place.audit_log(), &changed).expect("changed");
    let verdict = cofferdam(&place, &["audit", "verify"]);
    assert_eq!(verdict.status, Some(1), "{verdict:?}");
    for words in [&["audit", "show"][..], &["audit", "show", "--failed", "--session", "f"]] {
        let ran = cofferdam(&place, words);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let marked: Vec<&str> = ran.out.lines().filter(|line| line.starts_with("! ")).collect();
        assert_eq!(marked.len(), 1, "the line itself: {ran:?}");
        assert!(marked[0].contains("exit        status 0"), "with what it claims: {ran:?}");
        let said = "broken at line 6: the record was changed";
        assert!(ran.err.contains(said) && verdict.out.contains(said), "where: {ran:?} {verdict:?}");
    }
    let json = cofferdam(&place, &["audit", "show", "--json"]);
    assert_eq!((json.status, json.out.lines().count()), (Some(1), 6), "without it: {json:?}");
    let object: serde_json::Value = serde_json::from_str(&json.err).expect("and told in JSON");
    assert_eq!(object["code"], "audit-broken");
}

/// A long log needs no more memory than a short one, and a reader that has enough is no fault.
#[test]
fn show_reads_line_by_line() {
    let place = Place::new();
    let logged = |name: &str, records: usize| {
        let path = place.root.join(name);
        let mut log = Log::open(&path, "aa".into()).expect("a log");
        let (code, hint, message) = ("c".to_owned(), "h".to_owned(), "x".repeat(1 << 20));
        let event = Event::Refusal { code, message, hint };
        for _ in 0..records {
            log.append(&event).expect("a record");
        }
        format!("{} audit show {}", programs().join("cofferdam").display(), path.display())
    };
    let (short, show) = (logged("short.jsonl", 3), logged("long.jsonl", 64));
    for words in ["", "--last 2", "--json --last 2", "--full --last 1"] {
        let within = |kib: u32, show: &str| {
            let script = format!("ulimit -v {kib} && {show} {words} | tail -c 300");
            finish(place.command("bash").args(["-o", "pipefail", "-c", &script]))
        };
        // The program itself is a part of it; half of the long log is no room for all of it.
        let least = (4_000..32_000).step_by(1_000).find(|&kib| {
            let ran = within(kib, &short);
            ran.status == Some(0)
        });
        let least = least.expect("the short one is shown");
        assert!(!within(least + 1_000, &show).works(words).out.is_empty(), "{words}");
    }
    let script = format!("{{ {show} --json; echo $? >&2; }} | head -c 10");
    assert_eq!(place.outside(&script).works("a reader that has enough").err, "0\n");
    let full = place.outside(&format!("{show} > /dev/full"));
    assert_eq!(full.status, Some(125), "an answer that was lost: {full:?}");
}

#[test]
fn completions_complete() {
    let place = Place::new();
    let program = programs().join("cofferdam").display().to_string();
    if there("bash", "completions of bash") {
        for (words, want) in [
            (&["cofferdam", "sh"][..], "shell"),
            (&["cofferdam", "audit", "s"], "show"),
            (&["cofferdam", "audit", "show", "--fa"], "--failed"),
            (&["cofferdam", "completions", "f"], "fish"),
        ] {
            let last = words.len() - 1;
            let script = format!(
                "source <({program} completions bash) && complete -p cofferdam >/dev/null && \
                 COMP_WORDS=({}) COMP_CWORD={last} && _cofferdam cofferdam '{}' '{}'; \
                 echo \"${{COMPREPLY[*]}}\"",
                words.join(" "),
                words[last],
                words[last - 1]
            );
            let ran = finish(place.command("bash").args(["-c", &script]));
            assert_eq!(ran.works("bash").out.trim(), want, "{words:?}");
        }
    }
    for name in ["zsh", "fish"] {
        let script = cofferdam(&place, &["completions", name]).works(name).out;
        assert!(script.contains("failed"), "{name}: {script}");
        let file = place.write(&format!("out/completions.{name}"), &script);
        if there(name, &format!("the syntax of completions of {name}")) {
            finish(place.command(name).arg("-n").arg(&file)).works(name);
            let broken = place.write("out/broken", "if true; then (\n");
            let ran = finish(place.command(name).arg("-n").arg(broken));
            assert_ne!(ran.status, Some(0), "{name} finds a fault where there is one");
        }
    }
}

#[test]
fn manual_pages_are_pages() {
    let place = Place::new();
    let folder = place.out.join("man/man1");
    cofferdam(&place, &["man", &folder.display().to_string()]).works("pages");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).expect("pages") {
        let path = entry.expect("a page").path();
        let page = fs::read_to_string(&path).expect("text");
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{name}: {page}");
        if there("mandoc", "the form of manual pages (mandoc)") {
            // Of warnings there are some on what clap writes; a fault is more than that.
            let ran = finish(place.command("mandoc").args(["-Tlint", "-Werror"]).arg(&path));
            assert_eq!((ran.status, ran.out.as_str()), (Some(0), ""), "{name}: {ran:?}");
        }
        if there("man", "the form of manual pages (man)") {
            let mut man = place.command("man");
            man.args(["--warnings", "-Tutf8", "-l"]).arg(&path).env("MANWIDTH", "100");
            let ran = finish(man.env("LC_ALL", "C.UTF-8")).works(&name);
            assert_eq!(ran.err, "", "{name}");
            assert!(ran.out.contains("cofferdam"), "{name}: {}", ran.out);
        }
        names.push(name);
    }
    names.sort();
    for want in ["cofferdam.1", "cofferdam-run.1", "cofferdam-audit.1", "cofferdam-audit-show.1"] {
        assert!(names.iter().any(|name| name == want), "{want}: {names:?}");
    }
    let one = cofferdam(&place, &["man"]).works("the page").out;
    assert_eq!(one, fs::read_to_string(folder.join("cofferdam.1")).expect("the same"));
}

#[test]
fn version_is_what_a_bug_report_needs() {
    let place = Place::new();
    let short = cofferdam(&place, &["-V"]).works("a line").out;
    assert!(short.starts_with(concat!("cofferdam ", env!("CARGO_PKG_VERSION"), " (build ")));
    assert_eq!(short.lines().count(), 1);
    let long = cofferdam(&place, &["version"]).works("more").out;
    assert!(long.starts_with(&short), "{long}");
    assert_eq!(cofferdam(&place, &["--version"]).works("the same").out, long);
    let kernel = place.outside("uname -srm").works("uname").out;
    assert!(long.contains(kernel.trim()), "{long}");
    let json = cofferdam(&place, &["version", "--json"]).works("for machines").out;
    let object: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(object["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(object["machine"]["root"], is_root());
    for text in [&long, &json] {
        let home = place.home.display().to_string();
        assert!(!text.contains(&home), "no path of the home: {text}");
    }
}
