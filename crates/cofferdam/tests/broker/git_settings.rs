//! Settings of git that can run a program, or lead to a host that is not allowed, do not land.

use std::fs;

use crate::git_work::{inside, repository};
use crate::support::Place;
use crate::trial::{Session, denied};

/// Edits by git itself.
const BY_GIT: &[&str] = &[
    "git config core.fsmonitor 'touch x'",
    "git config core.hooksPath hooks",
    "git config core.sshCommand 'sh -c x'",
    "git config core.pager 'sh -c x'",
    "git config core.editor 'sh -c x'",
    "git config core.worktree /",
    "git config core.attributesFile a",
    "git config core.gitProxy x",
    "git config core.askPass x",
    "git config alias.st '!sh'",
    "git config alias.co checkout",
    "git config include.path ../inc",
    "git config includeIf.gitdir:/.path ../inc",
    "git config remote.origin.url 'ext::sh -c id'",
    "git config remote.origin.url https://evil.test/x",
    "git config remote.origin.pushurl https://evil.test/x",
    "git config remote.origin.uploadpack x",
    "git config remote.origin.receivepack x",
    "git config remote.origin.proxy http://evil.test",
    "git config remote.origin.vcs x",
    "git remote add evil https://evil.test/x.git",
    "git remote add evil git@evil.test:x.git",
    "git remote add evil ssh://-oProxyCommand=x/y",
    "git remote add evil https://good.test.evil.test/x.git",
    "git remote add evil https://good.test@evil.test/x.git",
    "git remote add evil ext::sh",
    "git remote add evil 'fd::17'",
    "git remote set-url origin https://evil.test/x.git",
    "git remote set-url --push origin https://evil.test/x.git",
    "git config url.https://evil.test/.insteadOf https://good.test/",
    "git config credential.helper '!sh'",
    "git config credential.https://good.test.helper '!sh'",
    "git config diff.external x",
    "git config diff.x.textconv x",
    "git config diff.x.command x",
    "git config filter.x.clean x",
    "git config filter.x.smudge x",
    "git config merge.x.driver x",
    "git config mergetool.x.cmd x",
    "git config gpg.program x",
    "git config gpg.ssh.program x",
    "git config commit.gpgsign true",
    "git config submodule.x.update '!sh'",
    "git config submodule.x.url https://evil.test/x",
    "git config http.proxy http://evil.test",
    "git config http.sslVerify false",
    "git config sequence.editor x",
    "git config uploadpack.packObjectsHook x",
    "git config init.templateDir t",
    "git config extensions.worktreeConfig true",
    "git config protocol.ext.allow always",
    "git config safe.directory '*'",
    "git config pager.log 'sh -c x'",
    "git config interactive.diffFilter x",
    "git config branch.main.remote 'ext::sh -c id'",
    "git config sendemail.smtpserver /x",
    "git config unknown.key value",
    "git config --unset core.bare && git config core.bare x",
    "git submodule add -q ./ sub",
];

#[test]
fn what_git_would_run_does_not_land() {
    let place = repository();
    let before = fs::read(place.work.join(".git/config")).unwrap();
    let mut faults = Vec::new();
    for script in BY_GIT {
        let ran =
            inside(&place, &format!("cp -r . /tmp/copy && (cd /tmp/copy && {script}) && {script}"));
        let lock = place.work.join(".git/config.lock").exists();
        let after = fs::read(place.work.join(".git/config")).unwrap();
        if matches!(ran.status, Some(0 | 125) | None) || after != before || lock {
            faults.push(format!("{script}: {ran:?}, changed: {}, lock: {lock}", after != before));
            fs::write(place.work.join(".git/config"), &before).unwrap();
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), BY_GIT.len(), faults.join("\n"));
    for script in BY_GIT.iter().filter(|script| !script.contains("submodule add")) {
        let copy = place.root.join("copy");
        let set = format!("rm -rf {0}; cp -a . {0} && cd {0} && {script}", copy.display());
        place.outside(&set).works("the control");
        assert_ne!(fs::read(copy.join(".git/config")).unwrap(), before, "{script}: the control");
    }
}

/// Texts that a parser may read otherwise than git does, moved into place by hand.
const TEXTS: &[&str] = &[
    "[core]\n\tfsmonitor = x\n",
    "[CORE]\n\tFsMonitor = x\n",
    "[core] fsmonitor = x\n",
    "[user]\n\tname = a\n[core]fsmonitor=x",
    "[user]\n\tname = a\\\n[core]\n\tfsmonitor = x\n\tname = b\n[core]\n\tfsmonitor = x\n",
    "[user]\n\tname = \"a\n[core]\n\tfsmonitor = x\n",
    "[user] name = a ; comment\n[alias] x = !sh\n",
    "\u{feff}[core]\n\tfsmonitor = x\n",
    "[core]\r\n\tfsmonitor = x\r\n",
    "[include]\n\tpath = inc\n",
    "[InClude]\n\tpath = inc\n",
    "[include \"x\"]\n\tpath = inc\n",
    "[includeIf \"gitdir:/\"]\n\tpath = inc\n",
    "[remote \"origin\"]\n\turl = ext::sh -c id\n",
    "[remote \"or\\\"igin\"]\n\turl = ext::sh -c id\n",
    "[remote.origin]\n\turl = ext::sh -c id\n",
    "[Remote \"origin\"]\n\tURL = ext::sh -c id\n",
    "[remote \"origin\"]\n\turl = \"ext\"::sh\n",
    "[remote \"origin\"]\n\turl = e\\\nxt::sh\n",
    "[remote \"origin\"]\n\turl = https://good.test\\n@evil.test/\n",
    "[remote \"origin\"]\n\turl = https://good.test/\n\turl = https://evil.test/\n",
    "[remote \"origin\"]\n\turl = //evil.test/x\n",
    "[remote \"origin\"]\n\turl = evil.test:x\n",
    "[remote \"origin\"]\n\turl = https://good.test:22@evil.test/\n",
    "[remote \"origin\"]\n\turl = https://evil.test#@good.test/\n",
    "[remote \"origin\"]\n\turl = https://evil.test\\\\@good.test/\n",
    "[remote \"origin\"]\n\tfetch = x\n\tuploadpack = x\n",
    "[user]\n\tname = a\0[core]\n\tfsmonitor = x\n",
    "[core\n]fsmonitor = x\n",
    "nonsense",
    "[user",
];

#[test]
fn no_text_by_hand_lands() {
    let place = repository();
    let options = ["--policy", &place.root.join("policy.toml").display().to_string()];
    let mut acts = Vec::new();
    for text in TEXTS {
        let text = serde_json::to_string(text).unwrap();
        acts.push((
            format!("put('.git/config.lock', get('.git/config') + {text}); put('ok')"),
            text,
        ));
    }
    let before = fs::read(place.work.join(".git/config")).unwrap();
    let mut inside = Session::inside(&place, &options);
    for (_, text) in &acts {
        for at in [".git/config.lock", "elsewhere", ".git/other"] {
            inside.ok(&format!("put('{at}', get('.git/config') + {text})"));
            for rename in [
                format!("os.rename('{at}', '.git/config')"),
                format!("call(316, -100, b'{at}', -100, b'.git/config', 0)"),
            ] {
                // `.git` is a mount of its own, so nothing comes in from beside it.
                inside.fails(&rename, if at == "elsewhere" { "EXDEV" } else { "EACCES" });
                assert_eq!(fs::read(place.work.join(".git/config")).unwrap(), before, "{text}");
            }
            inside.ok(&format!("os.unlink('{at}')"));
        }
    }
    inside.end().works("to its end");
    let place = repository();
    let mut outside = Session::outside(&place, &place.work);
    outside.ok(&format!("put('l', {}); os.rename('l', '.git/config')", acts[0].1));
}

/// Other ways than a rename of a file, and other files than a text.
#[test]
fn nothing_but_a_text_by_rename_lands() {
    let place = repository();
    let policy = place.root.join("policy.toml").display().to_string();
    place.outside("cp .git/config copy && mkdir d && ln -s copy link && mkfifo fifo && head -c 3000000 /dev/zero | tr '\\0' '#' > big").works("");
    let acts: Vec<_> = [
        "os.rename('link', '.git/config')",
        "os.rename('fifo', '.git/config')",
        "os.rename('big', '.git/config')",
        "call(316, -100, b'copy', -100, b'.git/config', 2)",
        "call(316, -100, b'.git/config', -100, b'copy', 2)",
        "os.unlink('.git/config')",
        "os.unlink('.git/config'); os.link('copy', '.git/config')",
        "os.rename('.git/config', '.git/old')",
        "os.link('.git/config', 'second')",
        "put('.git/config', get('copy'))",
        "open('.git/config', 'a').close()",
        "os.truncate('.git/config', 0)",
        "os.chmod('.git/config', 0o777)",
        "os.setxattr('.git/config', 'user.x', b'1')",
        "fd = os.open('.git/config', os.O_RDONLY); os.fchmod(fd, 0o777)",
        "fd = os.open('.git/config', os.O_RDONLY); os.open('/proc/self/fd/%d' % fd, os.O_WRONLY)",
        "os.unlink('.git/config'); os.mkdir('.git/config')",
        "put('.git/config.worktree')",
        "put('.git/commondir', '/tmp')",
        "put('.git/hooks/post-commit') if os.path.isdir('.git/hooks') else os.mkdir('.git/hooks')",
        "os.makedirs('.git/info', exist_ok=True); put('.git/info/attributes')",
    ]
    .map(|act| (act.to_owned(), "EACCES EROFS EBUSY EXDEV ELOOP E2BIG"))
    .into();
    denied(&place, &["--policy", &policy], &acts);
    let mut inside = Session::inside(&place, &["--policy", &policy]);
    inside.ok(
        "import shutil; shutil.copy('copy', '.git/copy'); os.rename('.git/copy', '.git/config')",
    );
    inside.end().works("the same text, by rename, is no change");
}

/// Without a rule for any host, no remote may be added, and the rest works.
#[test]
fn without_hosts_no_remote_is_added() {
    let place = repository();
    let before = place.read("home/src/app/.git/config");
    place
        .inside("git remote add up https://good.test/x")
        .fails(&["could not", "error", "denied"], "no host");
    assert_eq!(place.read("home/src/app/.git/config"), before);
    place
        .inside("git config user.name b && git branch -q --set-upstream-to=origin/main")
        .works("no host is in it");
    let hint = place.inside_with(&[], "git config core.fsmonitor x");
    assert!(!matches!(hint.status, Some(0)), "{hint:?}");
}

/// The record says which key, so that a person can do it.
#[test]
fn the_refusal_names_the_key() {
    let place: Place = repository();
    inside(&place, "git config core.fsmonitor x")
        .fails(&["could not", "error", "denied"], "refused");
    let told = crate::trial::events(&place, "name");
    let why =
        told.iter().map(|event| format!("{}{}", event["why"], event["fix"])).collect::<String>();
    assert!(why.to_lowercase().contains("core.fsmonitor"), "{told:?}");
}
