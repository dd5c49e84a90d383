//! Tables of what git's settings may become: texts that git itself writes, and texts that nobody does.

use super::syntax::{ENTRIES_MAX, Malformed, SECTION_BYTES_MAX, TEXT_BYTES_MAX, entries};
use super::{Kept, Unfit, edit};
use crate::hostname::Name;
use crate::judge::hosts::{Allowed, Denied, HostRules, Pattern, Protocol};
use crate::judge::requests::{Asked, Inspect};
use crate::model::Clause;

const OLD: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
    [remote \"origin\"]\n\turl = https://good.test/a/b.git\n\
    \tfetch = +refs/heads/*:refs/remotes/origin/*\n\
    [branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n\
    [alias]\n\tst = status # short\n";

fn hosts() -> HostRules {
    let allowed = |name: &str, port: u16, protocol| Allowed {
        pattern: Pattern::Exact(Name::parse(name.as_bytes()).unwrap()),
        ports: vec![port],
        protocol,
        dial: None,
        inspect: Inspect::Auto,
        requests: Asked::default(),
        reason: None,
        clause: Clause::built_in("allow"),
    };
    let bad = Pattern::Exact(Name::parse(b"bad.test").unwrap());
    HostRules {
        allow: vec![
            allowed("good.test", 443, Protocol::Tls),
            allowed("good.test", 22, Protocol::Tcp),
            allowed("good.test", 8443, Protocol::Tcp),
            allowed("plain.test", 80, Protocol::Http),
            allowed("bad.test", 443, Protocol::Tls),
        ]
        .into(),
        deny: vec![Denied {
            pattern: bad,
            ports: Vec::new(),
            methods: Vec::new(),
            paths: Vec::new(),
            reason: None,
            clause: Clause::built_in("deny"),
        }]
        .into(),
        base: Clause::built_in("network"),
    }
}

#[track_caller]
fn check(old: &str, new: &str, want: Result<(), &str>, why: &str) {
    let got = edit(old.as_bytes(), new.as_bytes(), &hosts());
    let got = got.map_err(|kept| kept.to_string());
    assert_eq!(got.as_ref().map_err(String::as_str).copied(), want, "{why}: {new:?}");
}

#[test]
fn what_git_writes() {
    let add = "[remote \"fork\"]\n\turl = git@good.test:me/b.git\n\
        \tfetch = +refs/heads/*:refs/remotes/fork/*\n";
    let track = "[branch \"feature/a\"]\n\tremote = origin\n\tmerge = refs/heads/feature/a\n";
    let branch = "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n";
    let tracked = format!("{OLD}{track}");
    let loose = OLD.replace(branch, "");
    let renamed = loose.replace("origin", "upstream");
    let removed = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
        [alias]\n\tst = status # short\n";
    let rebase = OLD.replace("refs/heads/main\n", "refs/heads/main\n\trebase = merges\n");
    let moved = OLD.replace("https://good.test/a/b.git", "ssh://git@good.test/a/b.git");
    let who = format!("{OLD}[user]\n\temail = a@b.test\n\tname = A \"B\\\" C\"\n");
    let text = format!("{OLD}[branch \"x\"]\n\tdescription = one\\ntwo\\n\n");
    let gone = "`remote.origin.url` may not change from inside";
    for (old, new, want, why) in [
        (OLD, OLD, Ok(()), "nothing"),
        (OLD, &tracked, Ok(()), "push -u, checkout --track"),
        (&tracked, OLD, Ok(()), "branch -d"),
        (OLD, &format!("{OLD}{add}"), Ok(()), "remote add"),
        (OLD, &rebase, Ok(()), "config branch.main.rebase"),
        (OLD, &loose, Ok(()), "remote remove, at first"),
        (&loose, removed, Err(gone), "its name would be a directory"),
        (&loose, &renamed, Err(gone), "remote rename: the same of its old name"),
        (OLD, &moved, Ok(()), "remote set-url"),
        (OLD, &who, Ok(()), "config user.email"),
        (OLD, &text, Ok(()), "branch --edit-description"),
        (OLD, &OLD.replace('\n', "\r\n"), Ok(()), "ends of lines"),
        (OLD, &format!("\u{feff}{OLD}"), Ok(()), "a mark of byte order"),
        ("", add, Ok(()), "settings that there were none of"),
        (
            OLD,
            &OLD.replace("origin\"", "away\""),
            Err("`branch.main.remote` may not become this from inside: \
                no remote has this name, so git would take a directory"),
            "a remote goes that a branch follows",
        ),
    ] {
        check(old, new, want, why);
    }
}

#[test]
fn keys_that_stay() {
    let more = |text: &str| format!("{OLD}{text}");
    for (new, key, why) in [
        (more("[core]\n\thooksPath = x\n"), "core.hookspath", "hooks"),
        (more("[core]fsmonitor=x"), "core.fsmonitor", "on one line, without an end"),
        (more("[CORE]\nFSMonitor = x\n"), "core.fsmonitor", "any case"),
        (more("[core]\n\tsshCommand\n"), "core.sshcommand", "without a value"),
        (more("[alias]\n\tx = !y\n"), "alias.x", "an alias"),
        (more("[include]\n\tpath = x\n"), "include.path", "another file"),
        (more("[\tinclude]\n"), "", "git reads no such section"),
        (more("[include \"\"]\npath = x\n"), "include..path", "an odd spelling"),
        (more("[includeIf \"gitdir:/\"]\npath = x\n"), "includeif.gitdir:/.path", "on a condition"),
        (more("[url \"ext::x\"]\ninsteadOf = https:\n"), "url.ext::x.insteadof", "rewritten"),
        (more("[credential]\nhelper = x\n"), "credential.helper", "a helper"),
        (more("[filter \"x\"]\nclean = x\n"), "filter.x.clean", "a filter"),
        (more("[remote \"origin\"]\nuploadpack = x\n"), "remote.origin.uploadpack", "a program"),
        (more("[remote \"origin\"]\nvcs = x\n"), "remote.origin.vcs", "a program"),
        (more("[remote \"origin\"]\npushurl = x\n"), "remote.origin.pushurl", "not of the list"),
        (more("[remote]\npushDefault = x\n"), "remote.pushdefault", "no subsection"),
        (more("[branch \"main\"]\nmergeOptions = x\n"), "branch.main.mergeoptions", "options"),
        (more("[branch]\nautoSetupRebase = always\n"), "branch.autosetuprebase", "no subsection"),
        (more("[user]\nsigningKey = x\n"), "user.signingkey", "a key"),
        (more("[user \"x\"]\nname = x\n"), "user.x.name", "another section"),
        (more("[extensions]\nworktreeConfig\n"), "extensions.worktreeconfig", "one more file"),
        (more("[remote.fork]\nurl = https://good.test/x\n"), "remote.fork.url", "the old spelling"),
        (more("[Branch.x]\nrebase = true\n"), "branch.x.rebase", "in another case"),
        (more("[a \"\n\u{1b}[2J\"]\nb = c\n"), "", "a subsection over two lines"),
        (more("[a \"\u{1b}\"]\nb = c\n"), "a.\u{fffd}.b", "what a terminal obeys is not told"),
        (OLD.replace("bare = false", "bare = true"), "core.bare", "a value"),
        (OLD.replace("bare = false", "bare = \"false\""), "core.bare", "its spelling"),
        (OLD.replace("# short", "# long"), "alias.st", "its comment"),
        (OLD.replace("\tbare = false\n", ""), "alias.st", "a key that goes"),
        (OLD.replace("= status # short\n", "= status \\\n\tx\n"), "alias.st", "goes on"),
        (more("[core]\n\tbare = false\n"), "core.bare", "a section twice"),
        (more("[alias]\nst = status # short\n"), "alias.st", "an entry twice"),
        (
            more("[branch \"x\"]\n\tdescription = \"a\\\nb\"\n\t[core] pager = x\n"),
            "core.pager",
            "after a value over two lines",
        ),
    ] {
        let kept = edit(OLD.as_bytes(), new.as_bytes(), &hosts()).unwrap_err();
        assert_eq!(kept.key().unwrap_or_default(), key, "{why}: {kept:?}");
        assert_eq!(matches!(kept, Kept::New(_)), key.is_empty(), "{why}: {kept:?}");
    }
}

#[track_caller]
fn taken(section: &str, (key, value): (&str, &str), want: Result<(), Unfit>, why: &str) {
    let new = format!("{OLD}[{section} \"x\"]\n\t{key} {value}\n");
    let got = edit(OLD.as_bytes(), new.as_bytes(), &hosts());
    let name = format!("{section}.x.{}", key.to_lowercase());
    let want = want.map_err(|unfit| Kept::Value(name, unfit));
    assert_eq!(got, want, "{why}: {value}");
}

#[test]
fn what_branches_may_become() {
    use Unfit::{Branch, Letter, Missing, NoRemote, Rebase, Remote};
    for (key, value, want, why) in [
        ("remote", "= origin", Ok(()), "a remote"),
        ("remote", "= .", Ok(()), "the repository itself"),
        ("remote", "", Err(Missing), "without a value"),
        ("remote", "= evil", Err(NoRemote), "a directory to git"),
        ("remote", "= ext::sh", Err(Remote), "a program"),
        ("remote", "= https://good.test/x", Err(Remote), "an address"),
        ("remote", "= ../evil", Err(Remote), "a path"),
        ("remote", "= ./evil", Err(Remote), "a path"),
        ("remote", "= /evil", Err(Remote), "a path"),
        ("remote", "= -x", Err(Remote), "an option"),
        ("remote", "= \"\"", Err(Remote), "nothing"),
        ("pushRemote", "= evil", Err(NoRemote), "the same"),
        ("merge", "= refs/heads/x", Ok(()), "a branch"),
        ("merge", "= x", Err(Branch), "half of one"),
        ("merge", "= refs/a:refs/b", Err(Branch), "two"),
        ("merge", "= refs/a b", Err(Letter), "a space"),
        ("rebase", "", Ok(()), "true"),
        ("rebase", "= True", Ok(()), "a boolean"),
        ("rebase", "= interactive", Ok(()), "a way"),
        ("rebase", "= sh", Err(Rebase), "another"),
        ("description", "= a b\\n", Ok(()), "lines"),
        ("description", "= a\\b", Err(Letter), "a control character"),
    ] {
        taken("branch", (key, value), want, why);
    }
}

#[test]
fn where_remotes_may_be() {
    use Unfit::{Address, Letter, Missing, Password, Remote};
    let host = |name: &str, port| Err(Unfit::Host(name.into(), port));
    for (key, value, want, why) in [
        ("url", "= https://good.test/a", Ok(()), "allowed"),
        ("url", "= https://GOOD.test:443/a", Ok(()), "in another spelling"),
        ("url", "= https://me@good.test/a", Ok(()), "with a user"),
        ("url", "= https://good.test:8443/a", Ok(()), "a rule that looks at nothing"),
        ("url", "= http://plain.test/a", Ok(()), "in the clear"),
        ("url", "= ssh://git@good.test:22/a", Ok(()), "by ssh"),
        ("url", "= git@good.test:a", Ok(()), "in short"),
        ("url", "= https://me:pw@good.test/a", Err(Password), "a password"),
        ("url", "= https://other.test/a", host("other.test", 443), "another host"),
        ("url", "= https://bad.test/a", host("bad.test", 443), "denied"),
        ("url", "= https://good.test:80/a", host("good.test", 80), "another port"),
        ("url", "= http://good.test/a", host("good.test", 80), "in the clear, on another port"),
        ("url", "= https://[::1]:443/a", host("[::1]", 443), "an address"),
        ("url", "= git@other.test:good.test/a", host("other.test", 22), "the host is before `:`"),
        ("url", "= git@plain.test:a", host("plain.test", 22), "not by ssh"),
        ("url", "= https://good.test", Err(Address), "no path"),
        ("url", "= https://good.test@other.test/a", host("other.test", 443), "the host is last"),
        ("url", "= \"https://other.test#@good.test/a\"", Err(Address), "two readings"),
        ("url", "= https://other.test\\\\@good.test/a", Err(Address), "two readings"),
        ("url", "= \"https://other.test;@good.test/a\"", Err(Address), "two readings"),
        ("url", "= https://good.test:+443/a", Err(Address), "a sign"),
        ("url", "= https://good.test:0443/a", Ok(()), "the same port"),
        ("url", "= https://good.test:/a", Err(Address), "no port"),
        ("url", "= https://good.test/a%0Ahost=other.test", Err(Letter), "a line by its number"),
        ("url", "= HTTPS://good.test/a", Err(Address), "git looks for a program of this name"),
        ("url", "= git://good.test/a", Err(Address), "a protocol without a seal"),
        ("url", "= file:///a", Err(Address), "a directory"),
        ("url", "= /a", Err(Address), "a directory"),
        ("url", "= ext::sh", Err(Address), "a program"),
        ("url", "= good.test::a", Err(Address), "a program"),
        ("url", "= git@good.test::a", Err(Address), "no path"),
        ("url", "= git@good.test:-a", Err(Address), "an option"),
        ("url", "= git@good.test://a", Err(Address), "another protocol"),
        ("url", "= -git@good.test:a", Err(Address), "an option"),
        ("url", "= ssh://-oProxyCommand=x/a", Err(Address), "an option"),
        ("url", "= ssh://-l@good.test/a", Err(Address), "an option"),
        ("url", "= ssh://good.test%20-x/a", Err(Address), "an escape"),
        ("url", "= https://good.test/a b", Err(Letter), "a space"),
        ("url", "= \"https://good.test/\\n\"", Err(Letter), "a line"),
        ("url", "", Err(Missing), "without a value"),
        ("fetch", "= ^refs/heads/x", Ok(()), "a refspec"),
        ("fetch", "= -x", Err(Letter), "an option"),
        ("fetch", "= a\\tb", Err(Letter), "a control character"),
    ] {
        taken("remote", (key, value), want, why);
    }
    for (name, why) in
        [("-x", "an option"), ("a b", "a space"), ("https://good.test/", "an address")]
    {
        let new = format!("{OLD}[remote \"{name}\"]\n\turl = https://good.test/a\n");
        let got = edit(OLD.as_bytes(), new.as_bytes(), &hosts());
        assert_eq!(got, Err(Kept::Value(format!("remote.{name}.url"), Remote)), "{why}");
    }
}

/// What a person has set stays usable, whatever we think of it.
#[test]
fn what_was_there_may_stay() {
    let old = "[remote \"x\"]\n\turl = /srv/x\n[branch \"a\"]\n\tremote = gone\n[branch.old]\n\trebase = x\n";
    let more = format!("{old}[user]\n\tname = A\n");
    check(old, &more, Ok(()), "beside a new entry");
    let kept = "`branch.b.remote` may not become this from inside: \
        no remote has this name, so git would take a directory";
    check(old, &format!("{old}[branch \"b\"]\nremote = gone\n"), Err(kept), "but not once more");
    let push = "[remote \"x\"]\n\turl = /srv/x\n[remote]\n\tpushDefault = x\n";
    let kept = kept.replace("branch.b.remote", "remote.pushdefault");
    check(push, "[remote]\n\tpushDefault = x\n", Err(&kept), "nor may its remote go");
}

#[test]
fn texts_that_are_no_settings() {
    let long = format!("[a]\n\tb = {}\n", "x".repeat(TEXT_BYTES_MAX));
    let many = format!("[a]\n{}", "b\n".repeat(ENTRIES_MAX + 1));
    let wide = format!("[a \"{}\"]\n", "x".repeat(SECTION_BYTES_MAX));
    for (text, line, why) in [
        ("[a]\nb = \"x\n", 3, "an open quote"),
        ("[a]\nb = x\\y\n", 2, "an unknown escape"),
        ("[a]\nb = x\\", 2, "a backslash and nothing"),
        ("[a]\nb # c\n", 2, "a comment in place of a value"),
        ("[a]\nb c\n", 2, "two words"),
        ("[a\n", 2, "an open section"),
        ("[a \"b]\n", 2, "an open subsection"),
        ("[a \"b\" ]\n", 1, "a space behind it"),
        ("[a b]\n", 1, "no quotes"),
        ("[]\nb\n", 1, "no name"),
        ("b = c\n", 1, "no section"),
        ("[a]\n= b\n", 2, "no key"),
        ("[a]\nb = c\0d\n", 2, "a NUL"),
        ("[a]\nb = c\rd\n", 2, "a carriage return that ends nothing"),
        ("\u{feff}\u{feff}[a]\n", 1, "two marks of byte order"),
        (&long, 1, "too long"),
        (&many, ENTRIES_MAX + 2, "too many entries"),
        (&wide, 1, "too long a section"),
    ] {
        assert_eq!(entries(text.as_bytes()), Err(Malformed(line)), "{why}");
        assert_eq!(edit(b"", text.as_bytes(), &hosts()), Err(Kept::New(line)), "{why}");
        assert_eq!(edit(text.as_bytes(), text.as_bytes(), &hosts()), Err(Kept::Old(line)), "{why}");
    }
}

#[test]
fn what_is_said_fits_its_place() {
    for unfit in [
        Unfit::Missing,
        Unfit::Letter,
        Unfit::Remote,
        Unfit::NoRemote,
        Unfit::Branch,
        Unfit::Rebase,
        Unfit::Address,
        Unfit::Password,
        Unfit::Host("good.test".into(), 1),
    ] {
        let text = Kept::Value("remote.origin.url".into(), unfit).to_string();
        assert!(text.len() < 160 && !text.ends_with('.') && !text.contains('\n'), "{text}");
    }
}
