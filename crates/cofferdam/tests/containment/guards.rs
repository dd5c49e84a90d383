//! Guards over protected names: where they stand, and where no start is the only honest answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Place, finish, is_root, programs};

/// A place whose workspace is a repository.
fn repository() -> Place {
    let place = Place::new();
    place.outside("git init -q . && git config user.email a@example.com").works("a repository");
    place.write("home/src/app/.git/hooks/pre-commit", "#!/bin/sh\n");
    place
}

/// What cannot be looked at is not known to be absent, so it is no reason to leave a guard out.
#[test]
fn what_cannot_be_seen_is_not_absent() {
    let place = repository();
    if is_root() {
        eprintln!(
            "not run as root: guards: what_cannot_be_seen_is_not_absent: root sees everything"
        );
        return;
    }
    place.inside("chmod 000 .git").fails(&["Permission denied"], "the workload cannot shut it");
    place.outside("chmod 000 .git").works("the host shuts the directory");
    place.inside("true").refused("cannot look at", "the guard cannot be put up");
    let plan = finish(place.command(programs().join("cofferdam")).args(["plan", "--", "true"]));
    plan.refused("permission denied", "and the plan says so");
    place.outside("chmod 755 .git").works("opened again");
    place.inside("echo x >> .git/config").fails(&["Permission denied"], "and guarded again");
}

/// Files that git reads besides `config` and `hooks`.
#[test]
fn what_leads_git_elsewhere_stays() {
    let place = repository();
    place.outside("mkdir -p .git/modules/vendor/lib/hooks .git/worktrees/x && echo ref: x > .git/modules/vendor/lib/HEAD").works("a submodule and a worktree");
    for name in [
        "commondir",
        "config.worktree",
        "modules/vendor/lib/config",
        "modules/vendor/lib/hooks/pre-commit",
        "worktrees/x/commondir",
        "worktrees/x/gitdir",
    ] {
        let write = format!(": >> .git/{name}");
        let own = if name == "commondir" { "." } else { "" };
        place.write(&format!("home/src/app/.git/{name}"), own);
        place.outside(&write).works("the control");
        place.inside(&write).fails(&["Permission denied"], name);
    }
    place.inside("git add -A . && echo x > .git/other").works("git itself works");
    place
        .inside("echo x > .git/modules/vendor/lib/index && echo x > .git/worktrees/x/index")
        .works("and what it writes there");
    place.inside("mv .git/modules/vendor .git/modules/old").fails(&["busy"], "their parents stay");
    place.inside("mv .git/worktrees/x .git/worktrees/y").fails(&["busy"], "their parents stay");
    fs::remove_file(place.work.join(".git/commondir")).unwrap();
    let plan = finish(place.command(programs().join("cofferdam")).args(["plan", "--", "true"]));
    let plan = plan.works("the plan").out;
    for open in [".git/commondir", "core.hooksPath", "nested repository"] {
        assert!(plan.contains(open), "the plan says that {open} is open: {plan}");
    }
}

/// A hook with a second name in the tree could be changed through that.
#[test]
fn hooks_have_one_name() {
    let place = repository();
    place.outside("ln .git/hooks/pre-commit shared").works("a second name");
    place.outside("echo x >> shared && grep x .git/hooks/pre-commit").works("which writes through");
    place.inside("true").refused("hard links", "a hook with two names");
    place
        .outside("rm shared && echo x > script && ln -s ../../script .git/hooks/post-merge")
        .works("");
    let plan = finish(place.command(programs().join("cofferdam")).args(["plan", "--", "true"]));
    let text = plan.works("the plan").out;
    assert!(text.contains("post-merge is a link to"), "a hook that leads away is told: {text}");
    // A sample never runs.
    place.outside("rm .git/hooks/post-merge && cp .git/hooks/pre-commit .git/hooks/x.sample && ln .git/hooks/x.sample y").works("");
    place.inside("true").works("a sample with two names");
}

/// No grant opens what is protected.
#[test]
fn protection_beats_every_grant() {
    let place = repository();
    place.write("home/src/app/.claude/commands/x.md", "");
    let work = place.work.display();
    for (below, words) in [
        (".git/hooks/pre-commit", "is protected"),
        (".git", "is protected"),
        (".claude/commands", "is protected"),
    ] {
        let grant = format!("{work}/{below}:rw");
        place.inside_with(&["--grant", &grant], "true").refused(words, below);
        let read_only = format!("{work}:ro");
        let options = ["--workspace", &read_only, "--grant", &grant];
        place.inside_with(&options, "true").refused(words, "with a workspace that is read-only");
        let grant = format!("{work}/{below}:ro");
        place.inside_with(&["--grant", &grant], "true").works("reading it");
    }
    for below in [".git", ".git/hooks"] {
        let workspace = format!("{work}/{below}");
        place.inside_with(&["--workspace", &workspace], "true").refused("is protected", below);
    }
}

/// Of any writable tree, not of the workspace alone.
#[test]
fn protection_is_of_every_writable_tree() {
    let place = Place::new();
    place.outside("mkdir -p $OUT/two/.claude/sub $OUT/one").works("");
    let grant = |below: &str| format!("{}/{below}:rw", place.out.display());
    let (two, sub) = (grant("two"), grant("two/.claude/sub"));
    for options in [["--grant", &two, "--grant", &sub], ["--grant", &sub, "--grant", &two]] {
        place.inside_with(&options, "true").refused("is protected", "in the other grant");
    }
    // Alone it is what a person asked for: no tree has it as a protected name.
    place.inside_with(&["--grant", &sub], "echo x > $OUT/two/.claude/sub/x").works("by itself");
    let options = ["--grant", &two, "--grant", &grant("one")];
    place.inside_with(&options, "echo x > $OUT/two/x && echo x > $OUT/one/x").works("side by side");
}

/// A `.git` that is a file, a repository without one, and a git directory with its parents.
#[test]
fn git_directories_have_guards_wherever_they_are() {
    let place = Place::new();
    place
        .outside("git init -q --bare .bare && echo 'gitdir: ./.bare' > .git && git init -q --bare $OUT/b.git")
        .works("repositories");
    let bare = format!("{}/b.git:rw", place.out.display());
    let inside = |script: &str| place.inside_with(&["--grant", &bare], script);
    for act in [
        "git config core.fsmonitor x",
        "echo x >> .bare/config",
        "echo x > .bare/hooks/post-checkout",
        "echo 'gitdir: elsewhere' > .git",
        "echo x >> $OUT/b.git/config",
        "echo x > $OUT/b.git/hooks/post-update",
    ] {
        inside(act).fails(&["Permission denied", "could not"], act);
    }
    inside("mv .bare old").fails(&["busy"], "its name stays");
    inside("git symbolic-ref HEAD refs/heads/x && echo x > $OUT/b.git/description").works("beside");
    // What the workload may rename in one run does not decide about the guards of the next.
    inside("rm $OUT/b.git/HEAD && ln -s refs/heads/none $OUT/b.git/HEAD && mv $OUT/b.git/refs $OUT/b.git/r").works("names without a guard");
    inside("echo x > $OUT/b.git/hooks/post-update")
        .fails(&["Permission denied"], "a repository all the same");
    place
        .outside("git config core.bare false && echo x > $OUT/b.git/hooks/post-update")
        .works("control");
    // A worktree's .git leads to a git directory that shares its hooks and configuration.
    place
        .outside(
            "rm -rf .git .bare && git init -q $OUT/main && mkdir -p $OUT/main/.git/worktrees/w && \
                  echo ../.. > $OUT/main/.git/worktrees/w/commondir && \
                  echo \"gitdir: $OUT/main/.git/worktrees/w\" > .git",
        )
        .works("a worktree");
    let above = format!("{}:rw", place.out.display());
    for act in ["echo x >> $OUT/main/.git/config", "echo x > $OUT/main/.git/hooks/post-merge"] {
        place.outside(act).works("the control");
        place.inside_with(&["--grant", &above], act).fails(&["Permission denied"], act);
    }
    place.outside("echo nonsense > .git").works("");
    place.inside("true").refused("it is no `gitdir: PATH`", "what it leads to is not known");
}

/// Work in a repository with a submodule and a worktree goes on as without a wall.
#[test]
fn submodules_and_worktrees_can_be_worked_in() {
    let place = Place::new();
    let set_up = "git init -q $OUT/lib && cd $OUT/lib && git config user.email a@example.com && \
                  git config user.name a && echo 1 > a && git add a && git commit -qm one && \
                  cd $W && git init -q . && git config user.email a@example.com && \
                  git config user.name a && git config protocol.file.allow always && \
                  git -c protocol.file.allow=always submodule --quiet add $OUT/lib vendor/lib && \
                  git -C vendor/lib config user.email a@example.com && \
                  git -C vendor/lib config user.name a && git commit -qm two && \
                  git worktree add -q tree";
    place.outside(set_up).works("a repository");
    place
        .inside("cd vendor/lib && echo 2 >> a && git add a && git commit -qm inside && cd .. && git add lib && git commit -qm sub && git status")
        .works("a commit in the submodule");
    place
        .inside("cd tree && echo 3 > b && git add b && git commit -qm tree")
        .works("in the worktree");
    for act in [
        "git -C vendor/lib config core.fsmonitor x",
        "echo x > .git/modules/vendor/lib/hooks/post-checkout",
        "echo x > .git/worktrees/tree/commondir",
    ] {
        place.inside(act).fails(&["Permission denied", "could not"], act);
    }
}

/// A repository that is granted for writing has the same guards as the workspace.
#[test]
fn other_writable_trees_have_guards() {
    let place = Place::new();
    place.outside("git init -q $OUT/other && mkdir -p $OUT/other/.vscode").works("a repository");
    let grant = format!("{}/other:rw", place.out.display());
    let inside = |script: &str| place.inside_with(&["--grant", &grant], script);
    for act in [
        "echo x >> $OUT/other/.git/config",
        "echo x > $OUT/other/.git/hooks/pre-commit",
        "echo x > $OUT/other/.vscode/tasks.json",
    ] {
        inside(act).fails(&["Permission denied"], act);
    }
    inside("mv $OUT/other/.git $OUT/other/git").fails(&["Permission denied"], "its parent stays");
    inside("echo x > $OUT/other/file && cd $OUT/other && git add file").works("beside it");
    place.outside("echo x >> $OUT/other/.git/config").works("the control");
}

/// The policy's own file is no file of the workload's.
#[test]
fn the_policy_stays() {
    let place = Place::new();
    let policy = place.write("home/src/app/rules/policy.toml", "version = 1\n");
    let options = ["--policy", &policy.display().to_string()];
    for (act, with) in [
        ("echo x >> rules/policy.toml", "Permission denied"),
        ("rm rules/policy.toml", "Permission denied"),
        ("mv rules old", "busy"),
    ] {
        place.inside_with(&options, act).fails(&[with], act);
    }
    place.inside_with(&options, "echo x > rules/other").works("beside it");
    place.outside("ln rules/policy.toml second").works("a second name");
    place.inside_with(&options, "true").refused("hard links", "a policy with two names");
    place.outside("rm second && echo '# x' >> rules/policy.toml").works("the control");
    // The user's own stays too when another was named, by every name on the way to it.
    place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    place.outside("ln $H/.config/cofferdam/policy.toml second").works("a second name");
    place.inside_with(&options, "true").refused("hard links", "the user's policy with two names");
    place.outside("rm second && mv $H/.config/cofferdam/policy.toml mine && ln -s $W/mine $H/.config/cofferdam/policy.toml").works("a link into the workspace");
    place.inside_with(&options, "echo x >> mine").fails(&["Permission denied"], "what it leads to");
    place
        .outside("mv mine $OUT/mine && ln -s $OUT/mine mine")
        .works("over a link in the workspace");
    place.inside_with(&options, "true").refused("is a symbolic link", "a link that can be turned");
    place.outside("rm mine && rm -r $H/.config && mkdir -p $OUT/conf/cofferdam && echo version = 1 > $OUT/conf/cofferdam/policy.toml").works("");
    place.outside("ln -s $OUT/conf $H/.config").works("a linked directory");
    place.inside("true").works("outside of writable trees");
    place
        .outside("ln -s $OUT/conf conf && ln -sfn $W/conf $H/.config")
        .works("by way of the workspace");
    place.inside("true").refused("is a symbolic link", "a directory that can be turned");
    place.outside("rm conf && rm $H/.config && ln -s $OUT/state $W/st && mkdir -p $H/.local $OUT/state && rm -rf $H/.local/state && ln -s $W/st $H/.local/state").works("the same for the log");
    place.inside("true").refused("is a symbolic link", "the log's directory");
    place.outside("rm $H/.local/state $W/st && rm -rf $H/.config").works("");
    let user = place.write("home/.config/cofferdam/policy.toml", "version = 1\n");
    fs::set_permissions(&user, fs::Permissions::from_mode(0o666)).unwrap();
    place.inside("true").refused("others may write the policy", "the user's policy");
    fs::set_permissions(&user, fs::Permissions::from_mode(0o644)).unwrap();
    place.inside("true").works("the user's alone");
    place.outside("chmod 777 $H/.config/cofferdam").works("");
    place.inside("true").refused("others may write the policy", "its directory");
    place.outside("chmod 755 $H/.config/cofferdam && rm $H/.config/cofferdam/policy.toml && mkfifo $H/.config/cofferdam/policy.toml").works("");
    place.inside("true").refused("not a regular file", "nobody waits for a writer");
}

/// A policy that is there and cannot be read is not the same as none.
#[test]
fn the_users_policy_is_never_skipped() {
    let place = Place::new();
    let policy = place.home.join(".config/cofferdam/policy.toml");
    place.write("home/.config/cofferdam/other", "");
    place.inside("true").works("without a policy");
    std::os::unix::fs::symlink("nowhere", &policy).unwrap();
    place.inside("true").refused("cannot read the policy", "a link to nowhere");
    fs::remove_file(&policy).unwrap();
    fs::create_dir(&policy).unwrap();
    place.inside("true").refused("cannot read the policy", "a directory in its place");
    fs::remove_dir(&policy).unwrap();
    if is_root() {
        eprintln!("not run as root: guards: the_users_policy_is_never_skipped: a closed directory");
        return;
    }
    place.outside("chmod 000 $H/.config/cofferdam").works("");
    place.inside("true").refused("cannot read the policy", "a closed directory");
    place.outside("chmod 700 $H/.config/cofferdam").works("");
    place.inside("true").works("open again");
}

/// A tree may be one file, which has no names in it to guard.
#[test]
fn a_single_file_is_granted() {
    let place = Place::new();
    let grant = |mode: &str| format!("{}/canary:{mode}", place.out.display());
    let write = "echo more >> $OUT/canary && cat $OUT/canary";
    place.inside(write).fails(&["No such file", "nonexistent"], "without the grant");
    place.inside_with(&["--grant", &grant("ro")], write).fails(&["Read-only"], "to read");
    place.inside_with(&["--grant", &grant("rw")], write).works("to write");
    assert_eq!(place.read("out/canary"), "out-canary\nmore\n");
    for act in ["rm $OUT/canary", "mv $OUT/canary x", "echo > x && mv x $OUT/canary", "ls $OUT/x"] {
        place
            .inside_with(&["--grant", &grant("rw")], act)
            .fails(&["busy", "Read-only", "No such file"], act);
    }
}

/// The host moves what is guarded, or a directory above it, and makes the name anew: the mount goes with
/// the old one, and the name is held all the same.
#[test]
fn a_guard_that_is_moved_away_holds_its_name() {
    for (moved, name, acts) in [
        (
            "mv .mcp.json .mcp.json~ && echo {} > .mcp.json",
            ".mcp.json",
            &[
                "echo x >> .mcp.json",
                "rm -f .mcp.json",
                "mv .mcp.json x",
                "echo x > y && mv y .mcp.json",
                "ln .mcp.json x",
            ][..],
        ),
        (
            "mv .git .old && git init -q . && echo > .git/hooks/pre-commit",
            ".git",
            &[
                "echo x >> .git/hooks/pre-commit",
                "echo x > .git/hooks/post-merge",
                "git config core.fsmonitor x",
                "rm -r .git/hooks",
                "mv .git x",
            ],
        ),
        (
            "mv conf conf2 && mkdir conf && echo KEY=2 > conf/.env",
            "conf/.env",
            &["cat conf/.env", "stat conf/.env", "echo x > conf/.env", "ln conf/.env x"],
        ),
    ] {
        let place = repository();
        place.outside("echo {} > .mcp.json && mkdir conf && echo KEY=1 > conf/.env").works("");
        let held = place.during_a_run(&["--hide", "conf/.env"], moved, acts);
        assert_eq!(held.status, Some(0), "the workload runs on: {held:?}");
        let refused = "Permission denied|No such file|could not";
        let words = |line: &&str| refused.split('|').any(|word| line.contains(word));
        assert!(!held.out.contains("done: ") && held.out.ends_with("over\n"), "{held:?}");
        assert!(held.err.lines().filter(words).count() >= 2 * acts.len(), "{held:?}");
        let log = fs::read_to_string(place.audit_log()).unwrap();
        assert!(log.contains("\"kind\":\"mount-fell\""), "{name}: told: {log}");
        assert!(log.contains(&format!("{}/{name}", place.work.display())), "{name}: {log}");
        let text = place.outside("cat .mcp.json conf/.env && ls .git/hooks").works("after").out;
        assert!(text.contains("{}\nKEY=") && !text.contains("post-merge"), "unchanged: {text}");
        // And each of them is an act that nothing else forbids.
        let fresh = repository();
        fresh.outside("echo {} > .mcp.json && mkdir conf && echo KEY=1 > conf/.env").works("");
        for act in acts {
            fresh.outside(&format!("({act}) && rm -rf x y")).works(act);
            fresh.outside("git init -q . && mkdir -p conf .git/hooks && echo {} > .mcp.json && echo > .git/hooks/pre-commit && echo KEY=1 > conf/.env").works("again");
        }
    }
}

/// A tree that is granted in another is a mount in it: when the host puts another thing in its place, it
/// falls, and the run ends.
#[test]
fn a_tree_that_is_replaced_ends_the_workload() {
    let place = Place::new();
    let inner = place.write("home/src/app/inner", "old\n");
    let grant = format!("{}:ro", inner.display());
    let flags = ["--grant", &grant];
    let ran = place.during_a_run(&flags, "true", &["cat inner", "echo x >> inner"]);
    assert_eq!(ran.status, Some(0), "the control: {ran:?}");
    assert!(ran.out.contains("done: cat") && !ran.out.contains("done: echo"), "{ran:?}");
    let ran = place.during_a_run(&flags, "echo new > n && mv n inner", &["sleep 2 && cat inner"]);
    assert_eq!(ran.status, Some(137), "{ran:?}");
    assert!(!ran.out.contains("done") && !ran.out.contains("over"), "{ran:?}");
}
