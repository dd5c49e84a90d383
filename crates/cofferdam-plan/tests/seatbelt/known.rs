//! The evaluator against profiles whose answers are known: one that is wrong cannot hide a profile that is.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use crate::ask::evaluator::{Act, Profile, Reading, Verdict};

fn profile(rules: &str) -> Profile {
    let parameters = BTreeMap::from([("P".into(), "/p".into()), ("Q".into(), "/q\"".into())]);
    let text = format!("(version 1)\n{rules}");
    Profile::new(&text, &parameters).unwrap_or_else(|why| panic!("{why}: {rules}"))
}

#[track_caller]
fn file(rules: &str, operation: &str, path: &str, want: Verdict) {
    let act = Act { operation, path: Some(path), kind: Some("REGULAR-FILE"), ..Act::default() };
    assert_eq!(profile(rules).says(&act), want, "{rules}: {operation} {path}");
}

use Verdict::{Allow, Deny};

#[test]
fn filters_of_paths() {
    for (rules, operation, path, want) in [
        ("(deny default)", "file-read-data", "/a", Deny),
        ("(allow default)", "file-read-data", "/a", Allow),
        ("(deny default)(allow file-read-data (literal \"/a\"))", "file-read-data", "/a", Allow),
        ("(deny default)(allow file-read-data (literal \"/a\"))", "file-read-data", "/a/b", Deny),
        ("(deny default)(allow file-read-data (subpath \"/a\"))", "file-read-data", "/a/b", Allow),
        ("(deny default)(allow file-read-data (subpath \"/a\"))", "file-read-data", "/ab", Deny),
        ("(deny default)(allow file-read-data (prefix \"/a\"))", "file-read-data", "/ab", Allow),
        ("(deny default)(allow file-read-data (subpath \"/\"))", "file-read-data", "/ab", Allow),
        (
            "(deny default)(allow file-read-data (regex #\"^/a\\.b$\"))",
            "file-read-data",
            "/a.b",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (regex #\"^/a\\.b$\"))",
            "file-read-data",
            "/axb",
            Deny,
        ),
        (
            "(deny default)(allow file-read-data (regex \"/\\\"$\"))",
            "file-read-data",
            "/a/\"",
            Allow,
        ),
    ] {
        file(rules, operation, path, want);
    }
}

#[test]
fn filters_of_paths_that_are_put_together() {
    for (rules, operation, path, want) in [
        (
            "(deny default)(allow file-read-data (path-ancestors \"/a/b\"))",
            "file-read-data",
            "/a",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (path-ancestors \"/a/b\"))",
            "file-read-data",
            "/",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (path-ancestors \"/a/b\"))",
            "file-read-data",
            "/a/b",
            Deny,
        ),
        (
            "(deny default)(allow file-read-data (subpath (param \"P\")))",
            "file-read-data",
            "/p/x",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (literal (param \"Q\")))",
            "file-read-data",
            "/q\"",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (literal (string-append (param \"P\") \"/x\")))",
            "file-read-data",
            "/p/x",
            Allow,
        ),
        (
            "(deny default)(allow file-read-data (literal \"/a\") (literal \"/b\"))",
            "file-read-data",
            "/b",
            Allow,
        ),
        ("(deny default)(allow file-read-data)", "file-read-data", "/b", Allow),
        ("(deny default) ; (allow default)\n", "file-read-data", "/b", Deny),
        ("(deny default)(allow file-read-data (literal \"/;)\"))", "file-read-data", "/;)", Allow),
        (
            "(deny default)(allow file-read-data (literal \"/a\\nb\"))",
            "file-read-data",
            "/a\nb",
            Allow,
        ),
        (
            "(allow default)(deny file-read-data (literal \"/a\") (with message \"x\"))",
            "file-read-data",
            "/a",
            Deny,
        ),
    ] {
        file(rules, operation, path, want);
    }
}

#[test]
fn filters_of_filters() {
    let both =
        "(deny default)(allow file-read-data (require-all (subpath \"/a\") (regex #\"b$\")))";
    let one =
        "(deny default)(allow file-read-data (require-any (literal \"/a\") (literal \"/b\")))";
    let not = "(deny default)(allow file-read-data \
               (require-all (subpath \"/a\") (require-not (subpath \"/a/b\"))))";
    let kind = "(deny default)(allow file-read-data \
                (require-all (subpath \"/a\") (vnode-type REGULAR-FILE)))";
    let other = "(deny default)(allow file-read-data (vnode-type SYMLINK))";
    for (rules, path, want) in [
        (both, "/a/b", Allow),
        (both, "/a/c", Deny),
        (both, "/b", Deny),
        (one, "/b", Allow),
        (one, "/c", Deny),
        (not, "/a/c", Allow),
        (not, "/a/b/c", Deny),
        (kind, "/a/c", Allow),
        (other, "/a/c", Deny),
    ] {
        file(rules, "file-read-data", path, want);
    }
}

#[test]
fn the_last_match_wins_and_classes_hold_their_operations() {
    let order =
        "(deny default)(allow file-read* (subpath \"/a\"))(deny file-read* (subpath \"/a/b\"))";
    let again = "(deny default)(allow file-read* (subpath \"/a\"))(deny file-read* (subpath \"/a/b\"))\
                 (allow file-read* (subpath \"/a/b/c\"))";
    for (rules, operation, path, want) in [
        (order, "file-read-data", "/a/x", Allow),
        (order, "file-read-metadata", "/a/b/x", Deny),
        (order, "file-write-data", "/a/x", Deny),
        (again, "file-read-xattr", "/a/b/c/x", Allow),
        (again, "file-read-data", "/a/b/x", Deny),
        ("(deny default)(allow file* (subpath \"/a\"))", "file-write-create", "/a", Allow),
        ("(deny default)(allow file-write* (subpath \"/a\"))", "file-write-unlink", "/a", Allow),
        ("(deny default)(allow file-write* (subpath \"/a\"))", "file-read-data", "/a", Deny),
        ("(deny default)(allow file-write* (subpath \"/a\"))", "file-link", "/a", Deny),
        ("(deny default)(allow file-read* (subpath \"/a\"))", "file-test-existence", "/a", Deny),
        ("(deny default)(allow process-exec* (subpath \"/a\"))", "process-exec", "/a", Allow),
        ("(deny default)(allow process* (subpath \"/a\"))", "process-exec", "/a", Allow),
    ] {
        file(rules, operation, path, want);
    }
}

/// The one point on which sources differ is seen as one, and not decided.
#[test]
fn the_two_readings_are_told_apart() {
    let text = "(deny default)(allow file-read-metadata (subpath \"/a\"))(deny file-read* (subpath \"/a\"))";
    let profile = profile(text);
    let act = Act { operation: "file-read-metadata", path: Some("/a"), ..Act::default() };
    assert_eq!(profile.reads(&act, Reading::InOrder), Deny);
    assert_eq!(profile.reads(&act, Reading::NearestFirst), Allow);
    assert!(
        std::panic::catch_unwind(AssertUnwindSafe(|| profile.says(&act))).is_err(),
        "it is noticed"
    );
}

#[test]
fn what_is_no_path() {
    let rules = "(deny default)\
                 (allow mach-lookup (global-name \"com.a\") (global-name-prefix \"com.b.\"))\
                 (allow sysctl-read (sysctl-name-regex #\"^hw\"))\
                 (allow network-outbound (remote ip \"localhost:80\") (literal \"/s\"))\
                 (allow network-bind (local ip \"*:90\"))\
                 (allow signal (target same-sandbox))\
                 (allow process-fork)";
    let profile = profile(rules);
    let act = |operation| Act { operation, ..Act::default() };
    let name = |operation, name| Act { name: Some(name), ..act(operation) };
    let remote = |remote| Act { remote: Some(remote), ..act("network-outbound") };
    for (asked, want) in [
        (name("mach-lookup", "com.a"), Allow),
        (name("mach-lookup", "com.ax"), Deny),
        (name("mach-lookup", "com.b.x"), Allow),
        (name("sysctl-read", "hw.ncpu"), Allow),
        (name("sysctl-read", "kern.x"), Deny),
        (remote("127.0.0.1:80"), Allow),
        (remote("[::1]:80"), Allow),
        (remote("127.0.0.1:81"), Deny),
        (remote("10.0.0.1:80"), Deny),
        (Act { path: Some("/s"), ..act("network-outbound") }, Allow),
        (Act { path: Some("/t"), ..act("network-outbound") }, Deny),
        (Act { local: Some("0.0.0.0:90"), ..act("network-bind") }, Allow),
        (Act { target: Some("self"), ..act("signal") }, Allow),
        (Act { target: Some("others"), ..act("signal") }, Deny),
        (act("process-fork"), Allow),
        (act("iokit-open"), Deny),
    ] {
        assert_eq!(profile.says(&asked), want, "{asked:?}");
    }
}

#[test]
fn what_it_does_not_know_is_an_error() {
    for text in [
        "(deny default)",
        "(version 1)",
        "(version 2)(deny default)",
        "(version 1)(deny default)(import \"x.sb\")",
        "(version 1)(deny default)(allow file-read* (home-literal \"/a\"))",
        "(version 1)(deny default)(allow file-read* (literal (param \"NONE\")))",
        "(version 1)(deny default)(allow file-read* (literal \"/a\" \"/b\"))",
        "(version 1)(deny default)(allow file-read* (with no-log))",
        "(version 1)(deny default)(allow)",
        "(version 1)(deny default)(allow file-read*",
        "(version 1)(deny default))",
        "(version 1)(deny default)(allow file-read* (literal \"/a))",
        "(version 1)(deny default)(allow file-read* (regex #\"[a\"))",
        "(version 1)(deny default)(allow file-read* (require-not (literal \"/a\") (literal \"/b\")))",
        "(version 1)(deny default)(allow file-read* (require-all))",
        "(version 1)(deny default) allow",
    ] {
        assert!(Profile::new(text, &BTreeMap::new()).is_err(), "{text}");
    }
}
