//! Broken policies and command lines: each a fault of its own, with its message.
//!
//! The messages are in `broken.golden`; `UPDATE_GOLDEN=1` writes it anew, and the diff is the
//! review.

#[path = "broken/network.rs"]
mod network;
#[path = "broken/requests.rs"]
mod requests;
#[path = "broken/schema.rs"]
mod schema;
#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use support::{Place, finish, programs, updates_golden};

const GOLDEN: &str = include_str!("broken.golden");

type Case = (&'static str, Option<&'static str>, &'static [&'static str]);

/// Name, policy text (none: the built-in one), flags. `$W`, `$H`, `$OUT` stand for places.
const CASES: &[Case] = &[
    ("not-toml", Some("version = 1\nisolation = process\n"), &[]),
    ("no-version", Some("isolation = \"process\"\n"), &[]),
    ("later-version", Some("version = 2\n"), &[]),
    ("misspelt-table", Some("version = 1\n[filesytem]\n"), &[]),
    ("misspelt-key", Some("version = 1\n[filesystem]\ngrants = []\n"), &[]),
    ("strange-key", Some("version = 1\nzebra = 1\n"), &[]),
    ("managed-elsewhere", Some("version = 1\n[managed]\ndangerous = true\n"), &[]),
    ("later-key", Some("version = 1\n[audit]\nredact = true\n"), &[]),
    ("later-isolation", Some("version = 1\nisolation = \"vm\"\n"), &[]),
    ("unknown-isolation", Some("version = 1\nisolation = \"docker\"\n"), &[]),
    ("unknown-best-effort", Some("version = 1\nbest_effort = [\"abscent\"]\n"), &[]),
    ("unknown-best-effort-flag", None, &["--best-effort", "absent,everything"]),
    ("rootfs-of-another-type", Some("version = 1\nrootfs = true\n"), &[]),
    ("rootfs-upwards", Some("version = 1\nrootfs = \"../image\"\n"), &[]),
    ("rootfs-not-there", Some("version = 1\nrootfs = \"image\"\n"), &[]),
    ("rootfs-no-system-flag", None, &["--rootfs", "/srv"]),
    ("rootfs-of-the-workload", None, &["--rootfs", "$W"]),
    ("rootfs-no-archive", None, &["--rootfs", "$OUT/canary"]),
    ("best-effort-of-another-type", Some("version = 1\nbest_effort = \"absent\"\n"), &[]),
    ("wrong-type", Some("version = 1\n[filesystem]\ngrant = \"/opt\"\n"), &[]),
    (
        "later-mode",
        Some("version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"overlay\" }\n"),
        &[],
    ),
    (
        "unknown-mode",
        Some("version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"writable\" }\n"),
        &[],
    ),
    ("no-mode", Some("version = 1\n[filesystem]\ngrant = [{ path = \"/opt\" }]\n"), &[]),
    ("no-path", Some("version = 1\n[filesystem]\ngrant = [{ mode = \"read-only\" }]\n"), &[]),
    (
        "upwards",
        Some(
            "version = 1\n[filesystem]\ngrant = [{ path = \"../other\", mode = \"read-only\" }]\n",
        ),
        &[],
    ),
    (
        "wildcard",
        Some("version = 1\n[filesystem]\ngrant = [{ path = \"/opt/*\", mode = \"read-only\" }]\n"),
        &[],
    ),
    (
        "other-home",
        Some("version = 1\n[filesystem]\ngrant = [{ path = \"~bob/x\", mode = \"read-only\" }]\n"),
        &[],
    ),
    (
        "variable-in-path",
        Some("version = 1\n[filesystem]\ngrant = [{ path = \"$HOME/x\", mode = \"read-only\" }]\n"),
        &[],
    ),
    ("unknown-home", Some("version = 1\n[filesystem]\nhome = \"real\"\n"), &[]),
    (
        "overwrite-of-what",
        Some(
            "version = 1\n[filesystem]\n\
             workspace = { path = \".\", mode = \"read-write\", overwrite = false }\n",
        ),
        &[],
    ),
    (
        "overwrite-without-mode",
        Some("version = 1\n[filesystem]\nworkspace = { path = \".\", overwrite = true }\n"),
        &[],
    ),
    (
        "overwrite-no-boolean",
        Some(
            "version = 1\n[filesystem]\n\
             grant = [{ path = \"/opt\", mode = \"no-delete\", overwrite = \"no\" }]\n",
        ),
        &[],
    ),
    (
        "overwrite-misspelt",
        Some("version = 1\n[filesystem]\nworkspace = { path = \".\", overwirte = true }\n"),
        &[],
    ),
    (
        "no-delete-around-workspace",
        Some(
            "version = 1\n[filesystem]\n\
             grant = [{ path = \"~/src\", mode = \"no-delete\" }]\n",
        ),
        &[],
    ),
    ("hide-pattern-braces", Some("version = 1\n[filesystem]\nhide = [\"*.{pem,key}\"]\n"), &[]),
    ("hide-pattern-word", Some("version = 1\n[filesystem]\nhide = [\"**.env\"]\n"), &[]),
    ("hide-pattern-quoted", Some("version = 1\n[filesystem]\nhide = ['\\*.env']\n"), &[]),
    ("hide-pattern-upwards", Some("version = 1\n[filesystem]\nhide = [\"../*.env\"]\n"), &[]),
    ("hide-all", Some("version = 1\n[filesystem]\nhide = [\"**\"]\n"), &[]),
    ("hide-above", Some("version = 1\n[filesystem]\nhide = [\"~/s*\"]\n"), &[]),
    ("hide-of-the-root", Some("version = 1\n[filesystem]\nhide = [\"/h*\"]\n"), &[]),
    ("hide-of-the-kernel", Some("version = 1\n[filesystem]\nhide = [\"/proc/*/environ\"]\n"), &[]),
    ("mask-workspace", Some("version = 1\n[filesystem]\nmask = [\".\"]\n"), &[]),
    ("mask-above", Some("version = 1\n[filesystem]\nmask = [\"~/src\"]\n"), &[]),
    ("mask-two-names", Some("version = 1\n[filesystem]\nmask = [\"two\"]\n"), &[]),
    ("mask-link", Some("version = 1\n[filesystem]\nmask = [\"link\"]\n"), &[]),
    ("mask-no-list", Some("version = 1\n[filesystem]\nmask = \".env\"\n"), &[]),
    ("hide-behind-a-link", Some("version = 1\n[filesystem]\nhide = [\"folder/later\"]\n"), &[]),
    (
        "protect-behind-a-link",
        Some("version = 1\n[filesystem]\nprotect = [\"folder/*.key\"]\n"),
        &[],
    ),
    ("socket-pattern", Some("version = 1\n[sockets]\nallow = [\"*.sock\"]\n"), &[]),
    ("socket-outside", Some("version = 1\n[sockets]\nallow = [\"~/later/db.sock\"]\n"), &[]),
    ("socket-of-the-system", Some("version = 1\n[sockets]\nallow = [\"/run/docker.sock\"]\n"), &[]),
    ("socket-file", Some("version = 1\n[sockets]\nallow = [\"two\"]\n"), &[]),
    ("socket-link", Some("version = 1\n[sockets]\nallow = [\"link\"]\n"), &[]),
    ("socket-key", Some("version = 1\n[sockets]\nalow = []\n"), &[]),
    ("hide-no-list", Some("version = 1\n[filesystem]\nhide = \".env\"\n"), &[]),
    ("hide-with-mode", Some("version = 1\n[filesystem]\nhide = [{ path = \".env\" }]\n"), &[]),
    ("protect-upwards", Some("version = 1\n[filesystem]\nprotect = [\"../x\"]\n"), &[]),
    ("protect-other-home", Some("version = 1\n[filesystem]\nprotect = [\"~bob/x\"]\n"), &[]),
    ("hide-workspace", Some("version = 1\n[filesystem]\nhide = [\".\"]\n"), &[]),
    ("hide-link", None, &["--hide", "$OUT/link"]),
    ("protect-link", None, &["--protect", "$OUT/link"]),
    ("hide-two-names", None, &["--hide", "$OUT/two"]),
    ("protect-two-names", None, &["--protect", "$OUT/two"]),
    ("protect-fifo", None, &["--protect", "$OUT/fifo"]),
    ("hide-proc", None, &["--hide", "/proc/1"]),
    ("hide-everything", None, &["--hide", "/"]),
    ("hide-flag-pattern", None, &["--hide", "**.pem"]),
    ("hide-flag-all", None, &["--hide", "$W/**"]),
    ("grant-flag-mode", None, &["--grant", "/opt:keep"]),
    ("hide-nothing", None, &["--hide", ""]),
    ("grant-around-workspace", None, &["--grant", "$H/src:rw"]),
    (
        "secret-variable",
        Some("version = 1\n[environment]\nallow = [\"TERM\", \"GITHUB_TOKEN\"]\n"),
        &[],
    ),
    ("own-variable", Some("version = 1\n[environment]\nset = { HOME = \"/x\" }\n"), &[]),
    (
        "grant-not-there",
        Some(
            "version = 1\n[filesystem]\ngrant = [{ path = \"~/nowhere\", mode = \"read-only\" }]\n",
        ),
        &[],
    ),
    (
        "grant-home",
        Some("version = 1\n[filesystem]\ngrant = [{ path = \"~\", mode = \"read-only\" }]\n"),
        &[],
    ),
    ("grant-proc", None, &["--grant", "/proc/1:ro"]),
    ("grant-shadow", None, &["--grant", "/etc/shadow:ro"]),
    ("grant-without-mode", None, &["--grant", "/opt"]),
    ("grant-protected", None, &["--grant", "$W/.vscode:rw"]),
    ("grant-of-the-system", None, &["--grant", "/etc/ssl:rw"]),
    ("grant-fifo", None, &["--grant", "$OUT/fifo:ro"]),
    ("grant-link", None, &["--grant", "$OUT/link:ro"]),
    ("workspace-root", None, &["--workspace", "/"]),
    ("workspace-home", None, &["--workspace", "$H"]),
    ("workspace-parent-of-home", None, &["--workspace", "$R"]),
    ("workspace-tmp", None, &["--workspace", "/tmp"]),
    ("workspace-var-tmp", None, &["--workspace", "/var/tmp"]),
    ("workspace-usr", None, &["--workspace", "/usr"]),
    ("workspace-file", None, &["--workspace", "$OUT/canary"]),
    ("workspace-mode", None, &["--workspace", ".:rwx"]),
    ("variable-name", None, &["--env", "1A=x"]),
    ("network", None, &["--network", "host"]),
    ("limit-misspelt", Some("version = 1\n[limits]\nwalltime = \"30m\"\n"), &[]),
    ("limit-unit", Some("version = 1\n[limits]\nmemory = \"2GB\"\n"), &[]),
    ("limit-float", Some("version = 1\n[limits]\nmemory = 2.5\n"), &[]),
    ("limit-hexadecimal", Some("version = 1\n[limits]\nprocesses = 0x100\n"), &[]),
    ("limit-duration", Some("version = 1\n[limits]\nwall_time = \"30 minutes\"\n"), &[]),
    ("limit-plain-duration", Some("version = 1\n[limits]\nwall_time = 30\n"), &[]),
    ("limit-order", Some("version = 1\n[limits]\nwall_time = \"30m1h\"\n"), &[]),
    ("limit-too-small", Some("version = 1\n[limits]\nmemory = \"1MiB\"\n"), &[]),
    ("limit-too-large", Some("version = 1\n[limits]\nopen_files = 2000000\n"), &[]),
    ("limit-none", Some("version = 1\n[limits]\ncpus = 0\n"), &[]),
    ("limit-infinite", Some("version = 1\n[limits]\ncpus = inf\n"), &[]),
    (
        "limit-hold",
        Some("version = 1\n[limits]\nmemory = { max = \"2GiB\", hold = \"maybe\" }\n"),
        &[],
    ),
    ("limit-max", Some("version = 1\n[limits]\ncpus = { hold = \"required\" }\n"), &[]),
    ("limit-table", Some("version = 1\n[limits]\ngrace = { max = \"5s\" }\n"), &[]),
    ("limit-flag-name", None, &["--limit", "mem=2GiB"]),
    ("limit-flag-strange", None, &["--limit", "zebra=1"]),
    ("limit-flag-words", None, &["--limit", "memory"]),
    ("limit-flag-value", None, &["--limit", "cpus=two"]),
    ("limit-flag-hold", None, &["--limit", "processes=64:best-effort"]),
    ("limit-flag-range", None, &["--limit", "grace=1h"]),
    ("output-misspelt", Some("version = 1\n[output]\nescapes = \"safe\"\n"), &[]),
    ("output-escapes", Some("version = 1\n[output]\nescape_sequences = \"on\"\n"), &[]),
    ("output-redact", Some("version = 1\n[output]\nredact = \"no\"\n"), &[]),
    ("output-bytes", Some("version = 1\n[output]\nmax_bytes = \"64MB\"\n"), &[]),
    ("output-bytes-few", Some("version = 1\n[output]\nmax_bytes = 10\n"), &[]),
    ("output-flag", None, &["--output", "plain"]),
    ("canary-number", Some("version = 1\n[canary]\nA = 123456\n"), &[]),
    ("canary-short", Some("version = 1\n[canary]\nA = \"short\"\n"), &[]),
    ("canary-name", Some("version = 1\n[canary]\n\"a b\" = \"planted-string\"\n"), &[]),
    ("policy-not-there", None, &["--policy", "$OUT/none.toml"]),
    ("policy-directory", None, &["--policy", "$OUT"]),
    ("preset-misspelt", Some("version = 1\nextends = [\"preset:git\", \"preset:pyton\"]\n"), &[]),
    ("preset-unknown", Some("version = 1\nextends = [\"preset:cobol\"]\n"), &[]),
    ("extends-file", Some("version = 1\nextends = [\"./base.toml\"]\n"), &[]),
    ("extends-no-prefix", Some("version = 1\nextends = [\"node\"]\n"), &[]),
    ("extends-string", Some("version = 1\nextends = \"preset:node\"\n"), &[]),
    ("extends-number", Some("version = 1\nextends = [1]\n"), &[]),
    ("preset-flag", None, &["--preset", "nodejs"]),
    ("preset-flag-prefix", None, &["--preset", "preset:rust"]),
    (
        "optional-no-boolean",
        Some(
            "version = 1\n[filesystem]\n\
             grant = [{ path = \"/opt\", mode = \"read-only\", optional = \"yes\" }]\n",
        ),
        &[],
    ),
    (
        "optional-workspace",
        Some("version = 1\n[filesystem]\nworkspace = { path = \".\", optional = true }\n"),
        &[],
    ),
    (
        "optional-guard",
        Some(
            "version = 1\n[filesystem]\n\
             grant = [{ path = \"./vendor\", mode = \"read-only\", optional = true }]\n",
        ),
        &[],
    ),
    (
        "optional-home",
        Some(
            "version = 1\n[filesystem]\n\
             grant = [{ path = \"~\", mode = \"read-only\", optional = true }]\n",
        ),
        &[],
    ),
    ("unknown-flag", None, &["--writable"]),
    ("quiet-and-json", None, &["--quiet", "--json"]),
];

/// Name and words of command lines that run nothing.
const LINES: &[(&str, &[&str])] = &[
    ("shell-undashed", &["shell", "-c", "true"]),
    ("shell-of-the-system", &["shell", "--workspace", "/etc"]),
    ("show-no-log", &["audit", "show"]),
    ("show-no-such-log", &["audit", "show", "$OUT/none.jsonl"]),
    ("show-directory", &["audit", "show", "$OUT"]),
    ("show-fifo", &["audit", "show", "$OUT/fifo"]),
    ("show-since", &["audit", "show", "--since", "yesterday"]),
    ("show-until", &["audit", "show", "--until", "2026-13-01"]),
    ("show-crossed", &["audit", "show", "--since", "1h", "--until", "2h"]),
    ("show-none", &["audit", "show", "--last", "0"]),
    ("show-session", &["audit", "show", "--session", "mine"]),
    ("show-kind", &["audit", "show", "--kind", "Refusal"]),
    ("show-full-and-json", &["audit", "show", "--full", "--last", "1", "--json"]),
    ("audit-unknown", &["audit", "shwo"]),
    ("completions-for-nobody", &["completions"]),
    ("completions-unknown", &["completions", "tcsh"]),
    ("man-over-a-file", &["man", "$OUT/canary"]),
    ("version-unknown-flag", &["version", "--yaml"]),
    ("no-such-command", &["rum", "--", "true"]),
];

/// Most lines of a message on a terminal of 80 columns.
const ROWS_MAX: usize = 6;
const COLUMNS: usize = 80;

/// The words of a message, with places named: nothing of it depends on where the test runs.
fn plain(place: &Place, text: &str) -> String {
    let mut out = String::new();
    for (path, name) in
        [(&place.work, "$W"), (&place.home, "$H"), (&place.out, "$OUT"), (&place.root, "$R")]
    {
        let text = if out.is_empty() { text.to_owned() } else { out };
        out = text.replace(&path.display().to_string(), name);
    }
    // The carets' number follows the length of a path.
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    for line in lines.iter_mut().filter(|line| line.trim_matches([' ', '|', '^']).is_empty()) {
        while line.contains("^^^^") {
            *line = line.replace("^^^^", "^^^");
        }
    }
    lines.join("\n") + "\n"
}

fn words(place: &Place, words: &[&str]) -> Vec<String> {
    let named = |word: &&str| {
        word.replace("$W", &place.work.display().to_string())
            .replace("$H", &place.home.display().to_string())
            .replace("$OUT", &place.out.display().to_string())
            .replace("$R", &place.root.display().to_string())
    };
    words.iter().map(named).collect()
}

/// What a command line says that runs nothing.
fn line(place: &Place, line: &[&str]) -> String {
    let mut command = place.command(programs().join("cofferdam"));
    let ran = finish(command.args(words(place, line)));
    assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{line:?}: {ran:?}");
    plain(place, &ran.err)
}

/// How many lines of a terminal a line takes, broken between words and indented by four.
fn rows(line: &str) -> usize {
    let mut words = line.split(' ').map(|word| word.chars().count());
    let (mut rows, mut width) = (1, words.next().unwrap_or(0));
    for word in words {
        if width + 1 + word > COLUMNS {
            (rows, width) = (rows + 1, 4 + word);
        } else {
            width += 1 + word;
        }
    }
    rows
}

/// The shape that all have; what is for machines is one line.
fn has_the_shape(name: &str, text: &str) {
    if text.starts_with('{') {
        return assert_eq!(text.lines().count(), 1, "{name}: {text}");
    }
    let rows: usize = text.lines().map(rows).sum();
    assert!(rows <= ROWS_MAX, "{name}: {rows} rows: {text}");
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("cofferdam: refused: ") && first.ends_with(']'), "{name}: {text}");
    let last = text.lines().next_back().unwrap_or_default();
    assert!(last.starts_with("  help: "), "{name}: {text}");
}

fn message(place: &Place, policy: Option<&str>, flags: &[&str], verb: &str) -> String {
    let mut command = place.command(programs().join("cofferdam"));
    command.arg(verb);
    if let Some(text) = policy {
        command.arg("--policy").arg(place.write("policy.toml", text));
    }
    command.args(words(place, flags));
    let ran = finish(command.args(["--", "touch", "started"]));
    assert_eq!(ran.status, Some(125), "{policy:?} {flags:?}: {ran:?}");
    assert_eq!(ran.out, "", "{policy:?} {flags:?}: nothing on standard output");
    assert!(!place.work.join("started").exists(), "{policy:?} {flags:?}: nothing ran");
    plain(place, &ran.err)
}

#[test]
fn each_fault_has_its_message() {
    let mut got = String::new();
    let mut texts = BTreeSet::new();
    for (name, policy, flags) in CASES.iter().chain(network::CASES).chain(requests::CASES) {
        let place = Place::new();
        place
            .outside(
                "mkfifo $OUT/fifo && ln -s $OUT/canary $OUT/link && mkdir .vscode && \
                 echo > $OUT/two && ln $OUT/two $OUT/2 && ln -s $OUT/canary link && \
                 echo > two && ln two 2 && mkdir real && ln -s real folder",
            )
            .works("prepare");
        let text = message(&place, *policy, flags, "run");
        assert_eq!(
            message(&place, *policy, flags, "plan").replace("cofferdam plan", "cofferdam run"),
            text,
            "{name}: plan refuses as run does"
        );
        assert!(texts.insert(text.clone()), "{name}: a message of its own: {text}");
        has_the_shape(name, &text);
        write!(got, "=== {name}\n{text}").unwrap();
    }
    for (name, words) in LINES {
        let place = Place::new();
        place.outside("mkfifo $OUT/fifo").works("prepare");
        let text = line(&place, words);
        assert!(texts.insert(text.clone()), "{name}: a message of its own: {text}");
        has_the_shape(name, &text);
        write!(got, "=== {name}\n{text}").unwrap();
    }
    assert!(texts.len() >= 20);
    if updates_golden() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broken.golden");
        std::fs::write(path, &got).unwrap();
        return;
    }
    for (got, want) in got.split("=== ").zip(GOLDEN.split("=== ")) {
        assert_eq!(got, want, "see broken.golden");
    }
    assert_eq!(got.len(), GOLDEN.len(), "as many cases as in broken.golden");
}

/// Nothing that a policy or a name contains reaches the terminal as a command to it.
#[test]
fn messages_obey_no_escape_sequence() {
    let place = Place::new();
    for (policy, flags) in [
        (Some("version = 1\n# \u{1b}[2J\n[oops]\n"), &[][..]),
        (Some("version = 1\n\"\\u001b[31m\" = 1\n"), &[]),
        (None, &["--grant", "/\u{1b}]0;title\u{7}:ro"]),
        (None, &["--workspace", "/nowhere/\u{1b}[31m"]),
        (None, &["--audit", "/proc/none/\u{1b}[31m/x"]),
        (None, &["--network", "\u{1b}[31m"]),
        (None, &["--un\u{1b}[31mknown"]),
    ] {
        let text = message(&place, policy, flags, "run");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    }
}

/// For machines: one object, with the place of the fault.
#[test]
fn json_says_the_same() {
    let place = Place::new();
    let policy = place.write("p.toml", "version = 1\n\n[filesytem]\n").display().to_string();
    let ran = finish(
        place
            .command(programs().join("cofferdam"))
            .args(["run", "--json", "--policy", &policy, "--", "true"]),
    );
    let object: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    for (key, want) in [
        ("event", "refusal"),
        ("code", "unknown-key"),
        ("hint", "did you mean `filesystem`?"),
        ("file", &policy),
    ] {
        assert_eq!(object[key], want, "{object}");
    }
    assert_eq!((&object["line"], &object["column"]), (&3.into(), &2.into()));
}

/// Words that no command line is made of, for people and for machines.
#[test]
fn usage_is_told_in_the_voice_that_was_asked_for() {
    let place = Place::new();
    let says = |words: &[&str]| {
        let ran = finish(place.command(programs().join("cofferdam")).args(words));
        assert_eq!((ran.status, ran.out.as_str()), (Some(125), ""), "{words:?}: {ran:?}");
        ran.err
    };
    assert!(says(&["run", "true"]).contains("put `--` before the command"));
    assert!(!says(&["run", "--writable", "--", "true"]).contains("put `--`"));
    assert!(says(&["run", "--", ""]).contains("the command is empty"));
    for words in [
        &["run", "--json"][..],
        &["run", "--json", "true"],
        &["plan", "--json", "--writable", "--", "true"],
        &["run", "--json", "--", ""],
    ] {
        let text = says(words);
        assert_eq!(text.lines().count(), 1, "{words:?}: one object a line: {text}");
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["event"], "refusal", "{words:?}");
        for key in ["code", "message", "hint"] {
            assert!(object[key].as_str().is_some_and(|text| !text.is_empty()), "{words:?}: {key}");
        }
    }
    let asked = finish(place.command(programs().join("cofferdam")).args(["run", "--help"]));
    assert!(asked.works("help is no fault").out.contains("Examples:"));
}
