//! Tables of the judge of names: every kind of rule, every kind of question.

use std::path::Path;

use super::{Answer, Ask, Change, Hold, Made, NameRule, Thing, judge};
use crate::judge::pattern::Pattern;
use crate::judge::{Access, Entry, Rules};
use crate::model::Clause;

/// A file of the host's.
const OLD: Thing = Thing { made: false, directory: false, bytes: 9 };
const OLD_DIRECTORY: Thing = Thing { made: false, directory: true, bytes: 0 };
const MADE: Thing = Thing { made: true, directory: false, bytes: 9 };
const MADE_DIRECTORY: Thing = Thing { made: true, directory: true, bytes: 0 };

fn rule(hold: Hold, top: &str, pattern: &str) -> NameRule {
    let clause = Clause::built_in(pattern);
    NameRule { hold, top: top.into(), pattern: Pattern::new(pattern), clause }
}

fn rules() -> Rules {
    let entry =
        |path: &str, access| Entry { path: path.into(), access, clause: Clause::built_in(path) };
    Rules::new([
        entry("/tmp", Access::Private),
        entry("/w", Access::ReadWrite),
        entry("/w/h/way/shown", Access::ReadOnly),
        entry("/p", Access::ReadWrite),
        entry("/keep", Access::NoDelete),
        entry("/log", Access::AppendOnly),
    ])
    .with_names(vec![
        rule(Hold::GitConfig, "/w", ".git/config"),
        rule(Hold::ProtectEntry, "/w", ".git"),
        rule(Hold::Protect, "/w", ".git/hooks"),
        rule(Hold::Protect, "/w", "a/b/c"),
        rule(Hold::Protect, "/w", ".cofferdam*"),
        rule(Hold::Protect, "/w", "ci/**/*.yml"),
        rule(Hold::Protect, "/w", "masked"),
        rule(Hold::Mask, "/w", "masked"),
        rule(Hold::Hide, "/w", "h"),
        rule(Hold::Hide, "/w", "x/y"),
        rule(Hold::Hide, "/w", "**/.env"),
        rule(Hold::Hide, "/w", "**/keys/*.pem"),
        rule(Hold::Protect, "/p", "**/.vscode"),
        rule(Hold::GitConfig, "/p", "conf"),
        rule(Hold::Protect, "/p", "conf"),
        rule(Hold::GitConfig, "/keep", "conf"),
    ])
    .with_sockets(vec![("/w/granted".into(), Clause::built_in("sockets"))])
}

#[track_caller]
fn check(ask: Ask<'_>, want: &str, why: &str) {
    let got = match judge(&rules(), ask) {
        Answer::Allow => "allow".into(),
        Answer::Mask(clause) => format!("mask by {}", clause.name),
        Answer::GitConfig(clause) => format!("git by {}", clause.name),
        Answer::Deny(clause, because) => format!("{because:?} by {}", clause.name),
    };
    assert_eq!(got, want, "{ask:?}: {why}");
}

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn moved<'a>(from: &'a str, thing: Thing, to: &'a str, over: Option<Thing>) -> Ask<'a> {
    Ask::Rename { from: path(from), thing, to: path(to), over }
}

#[test]
fn what_is_there_and_what_is_in_it() {
    for (name, look, read, why) in [
        ("/w/src/a", "allow", "allow", "nothing is said of it"),
        ("/w/.git/hooks/x", "allow", "allow", "protected is readable"),
        ("/w/.git/config", "allow", "allow", "settings too"),
        ("/w/masked", "allow", "mask by masked", "the name shows, the content does not"),
        ("/w/MASKED", "allow", "mask by masked", "in any case"),
        ("/w/masked/x", "allow", "mask by masked", "and what is below it"),
        ("/w/a/.env", "Hidden by **/.env", "Hidden by **/.env", "at any depth"),
        ("/w/.env", "Hidden by **/.env", "Hidden by **/.env", "at none"),
        ("/w/.ENV/x", "Hidden by **/.env", "Hidden by **/.env", "with what is below"),
        ("/w/masked/.env", "Hidden by **/.env", "Hidden by **/.env", "hidden is stronger"),
        ("/w/a/keys/b.pem", "Hidden by **/keys/*.pem", "Hidden by **/keys/*.pem", "two words"),
        ("/w/a/keys/b.pub", "allow", "allow", "another name"),
        ("/w/h/x", "Hidden by h", "Hidden by h", "below a hidden directory"),
        ("/w/h", "allow", "Hidden by h", "on the way to what shows again, and no more"),
        ("/w/h/way", "allow", "Hidden by h", "further on the way"),
        ("/w/h/way/shown", "allow", "allow", "it shows"),
        ("/w/h/way/shown/x", "allow", "allow", "with what is in it"),
        ("/w/h/way/shown/.env", "Hidden by **/.env", "Hidden by **/.env", "but for a pattern"),
        ("/w/h/way/shownot", "Hidden by h", "Hidden by h", "a longer name is another name"),
        ("/w/x/y", "Hidden by x/y", "Hidden by x/y", "nothing shows below it"),
        ("/w/x", "allow", "allow", "above it"),
        ("/p/.env", "allow", "allow", "outside of the rule's top"),
        ("w/x/y", "Absent by filesystem", "Absent by filesystem", "no absolute path"),
        ("/p/../w/x/y", "Absent by filesystem", "Absent by filesystem", "no place"),
    ] {
        check(Ask::Look(path(name)), look, why);
        check(Ask::Read(path(name)), read, why);
    }
}

#[test]
fn changes() {
    use Change::{Append, Attributes, Cut, Write};
    let every = [Write, Append, Cut(0), Cut(10), Attributes];
    for (name, want, why) in [
        ("/w/src/a", "allow", "nothing is said of it"),
        ("/w/.git", "Guarded by .git", "the entry itself"),
        ("/w/.git/index", "allow", "what is below an entry is for other rules"),
        ("/w/.git/hooks", "Guarded by .git/hooks", "protected"),
        ("/w/.git/hooks/x", "Guarded by .git/hooks", "below it"),
        ("/w/.GIT/Hooks/x", "Guarded by .git/hooks", "in any case"),
        ("/w/.g\u{200c}it/hooks. /x", "Guarded by .git/hooks", "in any spelling"),
        ("/w/.git/config", "Guarded by .git/config", "settings are moved there, not changed"),
        ("/w/.cofferdam.toml", "Guarded by .cofferdam*", "a pattern"),
        ("/w/src/.cofferdam.toml", "allow", "which is not at any depth"),
        ("/w/ci/x.yml", "Guarded by ci/**/*.yml", "no word between"),
        ("/w/ci/d/e/x.yml", "Guarded by ci/**/*.yml", "two words between"),
        ("/w/ci/x.txt", "allow", "another name"),
        ("/w/masked", "Guarded by masked", "a placeholder cannot be written"),
        ("/w/.env", "Hidden by **/.env", "hidden"),
        ("/w/h/way", "Hidden by h", "on the way"),
        ("/w/h/way/shown/x", "allow", "the mount is read-only, no rule about names is"),
        ("/w/a/b", "allow", "above a protected name"),
        ("/keep/conf", "Guarded by conf", "settings in a tree that keeps"),
    ] {
        for change in every {
            check(Ask::Change(path(name), change, OLD), want, why);
            check(Ask::Change(path(name), change, MADE), want, "who made it changes nothing");
        }
    }
    for (name, change, thing, want, why) in [
        ("/keep/a", Write, OLD, "allow", "no-delete may be written over"),
        ("/keep/a", Append, OLD, "allow", "and added to"),
        ("/keep/a", Attributes, OLD, "allow", "and its mode changed"),
        ("/keep/a", Cut(8), OLD, "NoDelete by /keep", "and not be cut"),
        ("/keep/a", Cut(9), OLD, "allow", "nothing is lost"),
        ("/keep/a", Cut(10), OLD, "allow", "it grows"),
        ("/keep/a", Cut(0), MADE, "allow", "what this session made"),
        ("/log/a", Write, OLD, "NoDelete by /log", "written over is lost"),
        ("/log/a", Write, MADE, "allow", "what this session made"),
        ("/log/a", Append, OLD, "allow", "added at the end"),
        ("/log/a", Cut(0), OLD, "NoDelete by /log", "cut"),
        ("/log/a", Attributes, OLD, "allow", "its mode"),
    ] {
        check(Ask::Change(path(name), change, thing), want, why);
    }
}

#[test]
fn new_names() {
    use Made::{Directory, File, Link};
    let guarded = |text: &str| format!("Guarded by {text}");
    for (name, made, want, why) in [
        ("/w/src", Directory, "allow".into(), "nothing is said of it"),
        ("/w/.git", Directory, guarded(".git"), "never made"),
        ("/w/.git", File, guarded(".git"), "as a file neither"),
        ("/w/.git", Link, guarded(".git"), "nor as a link"),
        ("/w/sub/.git", Directory, "allow".into(), "a clone below"),
        ("/w/.git/config", File, guarded(".git/config"), "settings where there are none"),
        ("/w/.git/config.lock", File, "allow".into(), "beside them"),
        ("/w/.git/hooks", Directory, guarded(".git/hooks"), "absent and protected"),
        ("/w/a", Directory, "allow".into(), "above a protected name"),
        ("/w/a/b", Directory, "allow".into(), "above it"),
        ("/w/a/b", Link, guarded("a/b/c"), "a link would lead elsewhere"),
        ("/w/a/b", File, "allow".into(), "a file leads nowhere"),
        ("/w/a/b/c", Directory, guarded("a/b/c"), "itself"),
        ("/w/A/B/C", File, guarded("a/b/c"), "in any case"),
        ("/w/a/b/d", Link, "allow".into(), "beside it"),
        ("/w/ci", Link, guarded("ci/**/*.yml"), "leads to names of a pattern"),
        ("/w/ci/d", Link, guarded("ci/**/*.yml"), "so does a directory below"),
        ("/w/ci/d", Directory, "allow".into(), "which may be made"),
        ("/w/lib", Link, "allow".into(), "what is hidden at any depth is hidden there too"),
        ("/w/lib/keys", Link, "Guarded by **/keys/*.pem".into(), "but not by its name alone"),
        ("/w/x", Link, guarded("x/y"), "leads to a hidden name"),
        ("/w/lib/.env", File, "Hidden by **/.env".into(), "hidden where it is not"),
        ("/w/h/new", File, "Hidden by h".into(), "below a hidden directory"),
        ("/p/d/.vscode", Directory, guarded("**/.vscode"), "at any depth"),
        ("/p/d", Link, "allow".into(), "which leads to where the same holds"),
        ("/keep/new", File, "allow".into(), "no-delete takes new names"),
        ("/log/new", Link, "allow".into(), "of any kind"),
    ] {
        check(Ask::Create(path(name), made), &want, why);
    }
}

#[test]
fn names_that_go() {
    for (name, thing, want, why) in [
        ("/w/src", OLD_DIRECTORY, "allow", "nothing is said of it"),
        ("/w/.git", OLD_DIRECTORY, "Guarded by .git", "the entry"),
        ("/w/.git", MADE, "Guarded by .git", "whoever made it"),
        ("/w/.git/index", OLD, "allow", "below it"),
        ("/w/.git/config", OLD, "Guarded by .git/config", "settings"),
        ("/w/.git/hooks/x", OLD, "Guarded by .git/hooks", "protected"),
        ("/w/a/b", OLD_DIRECTORY, "allow", "above an absent name; the kernel says if it is there"),
        ("/w/masked", OLD, "Guarded by masked", "masked"),
        ("/w/.env", OLD, "Hidden by **/.env", "hidden"),
        ("/w/h", OLD_DIRECTORY, "Hidden by h", "on the way"),
        ("/keep/a", OLD, "NoDelete by /keep", "older than the session"),
        ("/keep/a", OLD_DIRECTORY, "NoDelete by /keep", "a directory too"),
        ("/keep/a", MADE, "allow", "what this session made"),
        ("/log/a", OLD, "NoDelete by /log", "no more than there"),
        ("/tmp/a", OLD, "allow", "a private place"),
    ] {
        check(Ask::Remove(path(name), thing), want, why);
    }
}

#[test]
fn files_that_move() {
    for (from, thing, to, over, want, why) in [
        ("/w/s", OLD, "/w/t", None, "allow", "nothing is said of them"),
        ("/w/s", OLD, "/w/t", Some(OLD), "allow", "over another"),
        ("/w/.git/config.lock", MADE, "/w/.git/config", Some(OLD), "git by .git/config", "git"),
        ("/w/.git/config.lock", MADE, "/w/.git/config", None, "git by .git/config", "absent"),
        ("/w/.git/x", MADE_DIRECTORY, "/w/.git/config", None, "Guarded by .git/config", "no file"),
        ("/w/.git/x", MADE, "/w/.git/config/x", None, "Guarded by .git/config", "below them"),
        ("/w/.git/config", OLD, "/w/x1", None, "Guarded by .git/config", "settings away"),
        ("/p/x", MADE, "/p/conf", Some(OLD), "Guarded by conf", "protect is stronger"),
        ("/keep/x", MADE, "/keep/conf", Some(OLD), "NoDelete by /keep", "what is kept is kept"),
        ("/w/s", MADE, "/w/.git/hooks/x", None, "Guarded by .git/hooks", "into a protected place"),
        ("/w/.git/hooks/x", OLD, "/w/s", None, "Guarded by .git/hooks", "out of it"),
        ("/w/s", MADE, "/w/.git", None, "Guarded by .git", "a file for the entry"),
        ("/w/s", MADE, "/w/a/b", None, "Guarded by a/b/c", "it may be a link"),
        ("/w/a/b", MADE, "/w/s", Some(MADE), "Guarded by a/b/c", "exchanged, so may that"),
        ("/w/a/b", MADE, "/w/s", None, "allow", "away from there"),
        ("/w/s", MADE, "/w/masked", None, "Guarded by masked", "over a placeholder"),
        ("/w/masked", OLD, "/w/s", None, "Guarded by masked", "a masked file by another name"),
        ("/w/.env", OLD, "/w/s", None, "Hidden by **/.env", "a hidden file by another name"),
        ("/w/s", MADE, "/w/d/.env", None, "Hidden by **/.env", "to a hidden name"),
        ("/keep/a", OLD, "/keep/b", None, "NoDelete by /keep", "away"),
        ("/keep/a", MADE, "/keep/b", Some(OLD), "NoDelete by /keep", "over something old"),
        ("/keep/a", MADE, "/keep/b", None, "allow", "what this session made, to a free name"),
        ("/keep/a", MADE, "/keep/b", Some(MADE), "allow", "or over what it made"),
        ("/keep/a", MADE, "/w/b", None, "allow", "or to another tree"),
    ] {
        check(moved(from, thing, to, over), want, why);
    }
}

#[test]
fn directories_that_move() {
    let (old, made) = (OLD_DIRECTORY, MADE_DIRECTORY);
    for (from, thing, to, over, want, why) in [
        ("/w/s", old, "/w/t", None, "allow", "what is hidden at any depth stays hidden"),
        ("/w/s", made, "/w/t/u", Some(made), "allow", "over another"),
        ("/w/.git", old, "/w/got", None, "Guarded by .git", "the entry"),
        ("/w/new", made, "/w/.git", None, "Guarded by .git", "a new entry"),
        ("/w/a", old, "/w/s", None, "Copied by a/b/c", "carries a protected name away"),
        ("/w/s", made, "/w/a/b", None, "Copied by a/b/c", "or brings one"),
        ("/w/S", made, "/w/A", None, "Copied by a/b/c", "in any case"),
        ("/w/a", MADE, "/w/s", Some(made), "Copied by a/b/c", "exchanged with a directory"),
        ("/w/s", made, "/w/a", Some(MADE), "Copied by a/b/c", "either way"),
        ("/w/x", old, "/w/s", None, "Copied by x/y", "carries a hidden name into the open"),
        ("/w/ci", old, "/w/s", None, "Copied by ci/**/*.yml", "carries names of a pattern"),
        ("/w/ci/d", old, "/w/ci/e", None, "Copied by ci/**/*.yml", "and within it"),
        ("/w/d/keys", old, "/w/d/k", None, "Copied by **/keys/*.pem", "hidden by two words"),
        ("/w/d/keys", old, "/w/e/keys", None, "allow", "which move together"),
        ("/w/d", old, "/p/d", None, "Copied by **/.env", "out of the rule's top"),
        ("/p/d", old, "/p/e", None, "Copied by **/.vscode", "protected at any depth"),
        ("/w/h", old, "/w/s", None, "Hidden by h", "a hidden directory"),
        ("/w/h/way", old, "/w/s", None, "Hidden by h", "on the way"),
        ("/w", old, "/v", None, "Copied by .git/config", "the top itself"),
        ("/keep/a", old, "/keep/b", None, "NoDelete by /keep", "older than the session"),
        ("/keep/a", made, "/keep/b", None, "allow", "what this session made"),
    ] {
        check(moved(from, thing, to, over), want, why);
    }
}

#[test]
fn second_names() {
    for (from, to, want, why) in [
        ("/w/s", "/w/t", "allow", "nothing is said of them"),
        ("/w/.git/objects/a", "/w/sub/a", "allow", "a local clone"),
        ("/w/.git", "/w/t", "Guarded by .git", "a second name for the entry"),
        ("/w/.git/config", "/w/t", "Guarded by .git/config", "for the settings"),
        ("/w/.git/hooks/x", "/w/t", "Guarded by .git/hooks", "for a protected file"),
        ("/w/masked", "/w/t", "Guarded by masked", "for a masked one"),
        ("/w/.env", "/w/t", "Hidden by **/.env", "for a hidden one"),
        ("/w/s", "/w/.git/config", "Guarded by .git/config", "settings are moved, not linked"),
        ("/w/s", "/w/.git/hooks/x", "Guarded by .git/hooks", "a protected name"),
        ("/w/s", "/w/.env", "Hidden by **/.env", "a hidden name"),
        ("/w/s", "/w/a", "Guarded by a/b/c", "a symbolic link may have a second name"),
        ("/keep/a", "/keep/b", "allow", "within a tree that keeps"),
        ("/keep/a", "/w/b", "NoDelete by /keep", "out of it"),
        ("/w/a1", "/keep/b", "allow", "into it"),
    ] {
        check(Ask::Link { from: path(from), to: path(to) }, want, why);
    }
}

#[test]
fn sockets() {
    for (name, thing, want, why) in [
        ("/w/s", OLD, "Socket by filesystem.sockets", "the host's"),
        ("/w/s", MADE, "allow", "this session's"),
        ("/w/granted", OLD, "allow", "granted"),
        ("/w/Granted", OLD, "Socket by filesystem.sockets", "as it is spelled"),
        ("/w/granted/x", OLD, "Socket by filesystem.sockets", "itself alone"),
        ("/tmp/s", OLD, "allow", "a private place has no others"),
        ("/elsewhere", OLD, "Socket by filesystem.sockets", "nothing is granted there"),
        ("/w/h/s", MADE, "Hidden by h", "hidden"),
    ] {
        check(Ask::Connect(path(name), thing), want, why);
    }
}

/// Whatever is asked about a held name, nothing of it changes; and where two names are one to a file
/// system, the answer is one.
#[test]
fn held_names_stay_whatever_is_asked() {
    let rules = rules();
    let words =
        [".git", "config", "hooks", "a", "b", "c", "h", "way", ".env", "keys", "k.pem", "ci"];
    let mut paths = Vec::new();
    for one in words {
        for two in words {
            paths.extend(words.map(|three| format!("/w/{one}/{two}/{three}")));
            paths.push(format!("/w/{one}/{two}"));
        }
        paths.push(format!("/w/{one}"));
    }
    let (mut stayed, mut open) = (0, 0);
    for (at, name) in paths.iter().enumerate() {
        let held = !matches!(judge(&rules, Ask::Remove(path(name), OLD)), Answer::Allow);
        let other = paths.get((at * 7 + 3) % paths.len()).unwrap();
        let upper = name.to_uppercase().replacen("/W", "/w", 1);
        for thing in [OLD, OLD_DIRECTORY, MADE, MADE_DIRECTORY] {
            for ask in [
                Ask::Change(path(name), Change::Write, thing),
                Ask::Create(path(name), Made::Link),
                Ask::Create(path(name), Made::Directory),
                Ask::Remove(path(name), thing),
                moved(name, thing, other, None),
                moved(name, thing, other, Some(thing)),
                moved(other, thing, name, Some(thing)),
                Ask::Link { from: path(name), to: path(other) },
                Ask::Link { from: path(other), to: path(name) },
            ] {
                let answer = judge(&rules, ask);
                let kept = matches!(answer, Answer::Deny(..) | Answer::GitConfig(_));
                assert!(kept || !held, "{ask:?}: {answer:?}");
                let settings = matches!(answer, Answer::GitConfig(_));
                let onto = matches!(ask, Ask::Rename { thing, to, .. }
                    if !thing.directory && to == path("/w/.git/config"));
                assert!(!settings || onto, "{ask:?}");
            }
        }
        let (one, two) = (Ask::Read(path(name)), Ask::Read(path(&upper)));
        assert_eq!(judge(&rules, one), judge(&rules, two), "{name} {upper}");
        if held { stayed += 1 } else { open += 1 }
    }
    assert!(stayed > 100 && open > 100, "{stayed} {open}");
}
