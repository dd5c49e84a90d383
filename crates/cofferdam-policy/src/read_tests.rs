//! The language, row by row.

use crate::document::{Document, Source, TEXT_BYTES_MAX, matches};
use crate::model::Mode;

fn parse(text: &str) -> Result<Document, crate::PolicyError> {
    Document::parse(Source { name: "p.toml".into(), text: text.into() })
}

/// `want` is the code, the line and the column of the fault, or `Ok`.
#[track_caller]
fn check(text: &str, want: Result<(), (&str, usize, usize)>, why: &str) {
    let got = parse(text)
        .map(drop)
        .map_err(|error| (error.code(), error.line().unwrap_or(0), error.column().unwrap_or(0)));
    assert_eq!(got, want, "{text:?}: {why}");
}

#[test]
fn what_the_language_has() {
    for (text, why) in [
        ("version = 1", "the shortest policy"),
        ("version = 1\nisolation = 'process'", "the one wall of this release"),
        ("version = 1\njail = 'bubblewrap'", "another cage"),
        ("version = 1\nextends = []", "no preset"),
        ("version = 1\nextends = ['preset:uv', 'preset:git', 'preset:uv']", "twice is once"),
        (
            "version = 1\n[filesystem]\n\
             grant = [{ path = '/a', mode = 'read-write', optional = true }]",
            "one that may be absent",
        ),
        ("version = 1\n[filesystem]\nhome = \"private\"", "a fresh home"),
        ("version = 1\n[filesystem]\nhome = 'project'", "a home that is kept"),
        ("version = 1\n[filesystem]\nhide = ['.env', '~/x']\nprotect = ['/a/b']", "names"),
        ("version = 1\n[filesystem]\nhide = ['**/.env', '*.p?m']\nmask = ['/a/**/b']", "patterns"),
        ("version = 1\n[filesystem]\nprotect = ['a\\b']", "a letter of a name"),
        (
            "version = 1\n[filesystem]\nworkspace = { path = '.', mode = 'no-delete' }",
            "a tree in which nothing is lost",
        ),
        (
            "version = 1\n[filesystem]\n\
             grant = [{ path = '/a', mode = 'no-delete', overwrite = false }]",
            "and nothing is changed in place",
        ),
        ("version = 1\n[sockets]\nallow = ['run/db.sock', '~/x', '/a/b']", "sockets"),
        ("version = 1\n[network]", "no network, written out"),
        ("version = 1\nnetwork = {}", "the same, inline"),
        ("version = 1\n[filesystem]\nworkspace = { path = '~/src' }", "a workspace's default mode"),
        ("version = 1\n[environment]\nallow = []", "not even TERM"),
        ("version = 1\n[environment]\ndangerous_allow = ['GITHUB_TOKEN']", "a secret, by name"),
        ("version = 1\n[environment]\nset = { A = '', _b9 = 'x y' }", "empty values are values"),
        (
            "version = 1\n[[filesystem.grant]]\npath = '/opt/x'\nmode = 'read-only'",
            "TOML's long form",
        ),
    ] {
        check(text, Ok(()), why);
    }
}

#[test]
fn what_it_refuses() {
    let fs = |rest: &str| format!("version = 1\n[filesystem]\n{rest}");
    let env = |rest: &str| format!("version = 1\n[environment]\n{rest}");
    for (text, code, line, column, why) in [
        (String::new(), "version-missing", 1, 1, "an empty file is no policy"),
        ("isolation = 'process'".into(), "version-missing", 1, 1, "the version comes with it"),
        ("version = 2".into(), "version-unknown", 1, 11, "a later language"),
        ("version = 0x1".into(), "version-unknown", 1, 11, "one spelling per value"),
        ("version = '1'".into(), "wrong-type", 1, 11, "a string is no version"),
        ("version = 1\nversion = 1".into(), "policy-not-toml", 2, 1, "twice"),
        ("version = 1\n[filesytem]".into(), "unknown-key", 2, 2, "a misspelt table"),
        ("version = 1\nextends = ['preset:x']".into(), "preset-unknown", 2, 12, "no such preset"),
        ("version = 1\nextends = ['/etc/p']".into(), "extends-not-yet", 2, 12, "no other file"),
        ("version = 1\nextends = [[]]".into(), "wrong-type", 2, 12, "a name"),
        ("version = 1\naudit = {}".into(), "key-not-yet", 2, 1, "known, and not enforced yet"),
        ("version = 1\nisolation = 'vm'".into(), "isolation-not-yet", 2, 13, "a later wall"),
        ("version = 1\nisolation = 'docker'".into(), "isolation-unknown", 2, 13, "none of ours"),
        ("version = 1\njail = 'chroot'".into(), "jail-unknown", 2, 8, "none of ours"),
        ("version = 1\n[network]\nlisten = []".into(), "key-not-yet", 3, 1, "later"),
        ("version = 1\nnetwork = 'none'".into(), "wrong-type", 2, 11, "a table"),
        (fs("workspace = '.'"), "wrong-type", 3, 13, "a table"),
        (fs("workspace = { path = '.', mode = 'overlay' }"), "mode-not-yet", 3, 34, "later"),
        (
            fs("workspace = { path = '.', mode = 'rw' }"),
            "mode-unknown",
            3,
            34,
            "short forms are flags",
        ),
        (
            fs("grant = [{ path = '/a', mode = 'read-only', optional = 0 }]"),
            "wrong-type",
            3,
            56,
            "yes or no",
        ),
        (fs("grant = [{ path = '/opt' }]"), "mode-missing", 3, 10, "a grant says how far it goes"),
        (fs("grant = [{ mode = 'read-only' }]"), "path-missing", 3, 10, "of what"),
        (fs("grant = [{ path = '/a/../b', mode = 'read-only' }]"), "path-up", 3, 19, "upwards"),
        (fs("grant = [{ path = '/a/*', mode = 'read-only' }]"), "path-glob", 3, 19, "literal"),
        (
            fs("grant = [{ path = '~bob/x', mode = 'read-only' }]"),
            "path-other-home",
            3,
            19,
            "~user",
        ),
        (
            fs("grant = [{ path = '$HOME/x', mode = 'read-only' }]"),
            "path-variable",
            3,
            19,
            "literal",
        ),
        (fs("grant = [{ path = '', mode = 'read-only' }]"), "path-empty", 3, 19, "nothing"),
        (
            fs("grant = [{ path = \"/a\\u0000b\", mode = 'read-only' }]"),
            "path-control",
            3,
            19,
            "NUL",
        ),
        (fs("grant = {}"), "wrong-type", 3, 9, "an array"),
        (fs("home = 'real'"), "home-unknown", 3, 8, "never the real one"),
        (fs("hide = ['**.env']"), "pattern-form", 3, 9, "`**` is a word"),
        (fs("protect = ['a', 'b{c}']"), "pattern-form", 3, 17, "another language's"),
        (fs("mask = ['[ab]/*']"), "pattern-form", 3, 9, "another language's"),
        (fs("hide = ['*\\*']"), "pattern-form", 3, 9, "nothing is quoted"),
        (fs("hide = ['../*']"), "path-up", 3, 9, "upwards"),
        (fs("hide = ['$X/*']"), "path-variable", 3, 9, "no variables"),
        (fs("mask = true"), "wrong-type", 3, 8, "a list"),
        ("version = 1\n[sockets]\nallow = ['*.sock']".into(), "path-glob", 3, 10, "each by name"),
        ("version = 1\n[sockets]\nbind = []".into(), "unknown-key", 3, 1, "bind is judged by name"),
        (
            fs("workspace = { path = '.', overwrite = false }"),
            "overwrite-mode",
            3,
            27,
            "of no-delete alone",
        ),
        (
            fs("grant = [{ path = '/a', mode = 'read-only', overwrite = true }]"),
            "overwrite-mode",
            3,
            45,
            "of no-delete alone",
        ),
        (
            fs("grant = [{ path = '/a', mode = 'no-delete', overwrite = 1 }]"),
            "wrong-type",
            3,
            57,
            "yes or no",
        ),
        (fs("hide = '.env'"), "wrong-type", 3, 8, "a list"),
        (fs("hide = [1]"), "wrong-type", 3, 9, "of paths"),
        (fs("protect = ['../x']"), "path-up", 3, 12, "upwards"),
        (fs("protect = ['']"), "path-empty", 3, 12, "nothing"),
        (fs(&format!("hide = [{}]", "'A',".repeat(257))), "too-many-entries", 3, 8, "bounded"),
        (env("allow = ['PATH']"), "variable-ours", 3, 10, "made anew"),
        (env("allow = ['*']"), "variable-name", 3, 10, "everything is not a name"),
        (env("allow = ['GITHUB_TOKEN']"), "variable-secret", 3, 10, "a secret by name"),
        (env("dangerous_allow = ['A_*']"), "variable-pattern", 3, 20, "each by name"),
        (env("dangerous_allow = ['HOME']"), "variable-ours", 3, 20, "made anew"),
        (env("dangerous_allow = ['1A']"), "variable-name", 3, 20, "no name"),
        (env("dangerous_allow = 'A'"), "wrong-type", 3, 19, "a list"),
        (env("allow = ['A=B']"), "variable-name", 3, 10, "no name"),
        (env("allow = ['A*B']"), "variable-name", 3, 10, "a star ends a prefix"),
        (env("set = { HOME = '/x' }"), "variable-ours", 3, 9, "ours"),
        (env("set = { A = 1 }"), "wrong-type", 3, 13, "a string"),
        (env("set = { A = \"\\u0000\" }"), "variable-nul", 3, 9, "execve would cut it"),
        (env(&format!("allow = [{}]", "'A',".repeat(257))), "too-many-entries", 3, 9, "bounded"),
        ("\u{FEFF}version = 1".into(), "policy-not-toml", 1, 1, "a byte order mark"),
    ] {
        check(&text, Err((code, line, column)), why);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let code = |bytes: Vec<u8>| Source::from_bytes("p".into(), bytes).map_err(|e| e.code()).err();
    assert_eq!(code(b"version = 1".to_vec()), None);
    assert_eq!(code(vec![b'#', 0xFF]), Some("policy-not-utf8"));
    assert_eq!(code(vec![b'#'; TEXT_BYTES_MAX]), None, "the limit itself is allowed");
    assert_eq!(code(vec![b'#'; TEXT_BYTES_MAX + 1]), Some("policy-too-long"));
}

#[test]
fn the_command_line() {
    type Set = fn(&mut Document, &str) -> Result<(), crate::PolicyError>;
    let (workspace, grant, env): (Set, Set, Set) =
        (Document::set_workspace, Document::add_grant, Document::add_variable);
    let (preset, dangerous): (Set, Set) = (Document::add_preset, Document::add_dangerous_variable);
    for (set, words, want, why) in [
        (preset, "rust", None, "a preset"),
        (preset, "", Some("preset-unknown"), "no name"),
        (preset, "preset:rust", Some("preset-unknown"), "the name alone"),
        (workspace, "/a", None, "read-write by default"),
        (workspace, "/a:ro", None, "the short form"),
        (workspace, "/a:read-only", None, "the long form"),
        (workspace, "/a:b", Some("mode-unknown"), "a colon is for the mode"),
        (workspace, "", Some("path-empty"), "nothing"),
        (grant, "/a", Some("mode-missing"), "a grant says how far it goes"),
        (grant, "/a:rw", None, "both said"),
        (grant, "a/../b:ro", Some("path-up"), "upwards"),
        (env, "EDITOR", None, "passed"),
        (env, "AWS_SECRET_ACCESS_KEY", Some("variable-secret"), "never passed"),
        (env, "A=b=c", None, "the first = ends the name"),
        (env, "=x", Some("variable-name"), "no name"),
        (dangerous, "AWS_SECRET_ACCESS_KEY", None, "passed by a name of its own"),
        (dangerous, "AWS_*", Some("variable-pattern"), "each by name"),
        (dangerous, "A=b", Some("variable-value"), "nothing is set"),
        (env, "LD PRELOAD=x", Some("variable-name"), "no name"),
    ] {
        let mut document = Document::built_in();
        let got = set(&mut document, words).map_err(|error| error.code()).err();
        assert_eq!(got, want, "{words:?}: {why}");
    }
    let mut document = Document::built_in();
    assert!(document.set_workspace("/a:b:ro").is_ok(), "the last colon is the mode's");
    assert_eq!(document.workspace.value.path, "/a:b");
    assert_eq!(document.workspace.value.mode, Mode::ReadOnly);
}

#[test]
fn patterns_never_cover_a_secret() {
    for (pattern, name, want) in [
        ("LANG", "LANG", true),
        ("LANG", "LANGUAGE", false),
        ("LC_*", "LC_ALL", true),
        ("AWS_*", "AWS_REGION", true),
        ("AWS_*", "AWS_SECRET_ACCESS_KEY", false),
        ("X*", "X_Api_Key", false),
    ] {
        assert_eq!(matches(pattern, name), want, "{pattern} {name}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    // Each prefix and each single change of a policy that has everything.
    let whole = "version = 1\nextends=['preset:go']\nisolation='process'\n[filesystem]\nworkspace={path='.'}\n\
                 grant=[{path='/a',mode='read-only',optional=true}]\n[environment]\nallow=['A']\ndangerous_allow=['D']\nset={B='c'}\n\
                 [network]\npublish=['1:2']\nupstream_proxy='http://p:1'\nallow=[{host='*.e.test',ports=[1],protocol='tcp',\
                 reason='r'},{host='1.2.3.0/24'}]\n[[network.deny]]\nhost='::1'\nports=[9]";
    assert!(parse(whole).is_ok());
    for at in 0..whole.len() {
        drop(parse(&whole[..at]));
        for byte in ['\0', '"', '\'', '[', '{', '=', '\n', '\u{1F512}'] {
            let changed = format!("{}{byte}{}", &whole[..at], &whole[at + 1..]);
            if let Err(error) = parse(&changed) {
                assert!(!crate::render(&error, false, 80).is_empty());
            }
        }
    }
}
