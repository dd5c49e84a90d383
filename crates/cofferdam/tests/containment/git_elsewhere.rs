//! Repositories whose git directory is not in the workspace: those that name the work tree
//! themselves can be worked with, and no `.git` that a workload plants shows another project.

use crate::support::{Place, finish, programs};

const IDENTITY: &str = "git config user.email a@example.com && git config user.name a";
/// What a person does all day.
const WORK: &str = "git status --short && echo 2 >> file && git diff --exit-code file > /dev/null; \
                    git add file && git commit -qm inside && git log --oneline | grep inside && \
                    git diff HEAD~1 --stat";
const CLOSED: &[&str] = &["Permission denied", "Read-only", "busy", "could not", "unable", "error"];

fn plan(place: &Place, workspace: &str) -> String {
    let mut command = place.command(programs().join("cofferdam"));
    let ran = finish(command.args(["plan", "--workspace", workspace, "--", "true"]));
    ran.works("the plan").out
}

/// Another project, which nobody grants.
fn victim(place: &Place) {
    let set_up = format!(
        "git init -q $OUT/victim && cd $OUT/victim && {IDENTITY} && echo treasure > t && \
         git add t && git commit -qm treasure"
    );
    place.outside(&set_up).works("another project");
}

fn mono() -> Place {
    let place = Place::new();
    let set_up = format!(
        "git init -q . && {IDENTITY} && mkdir -p pkg/one pkg/two && echo 1 > pkg/one/file && \
         echo 1 > pkg/two/file && echo top > top && git add . && git commit -qm first"
    );
    place.outside(&set_up).works("a repository");
    place
}

#[test]
fn a_repository_in_a_parent_directory_works() {
    let place = mono();
    let one = place.work.join("pkg/one").display().to_string();
    let flags = ["--workspace", &one];
    let inside = |script: &str| {
        let mut command = place.cofferdam(&flags);
        finish(command.current_dir(place.work.join("pkg/one")).args(["sh", "-c", script]))
    };
    inside(WORK).works("git");
    place
        .outside("git log --oneline | grep inside && git show --stat | grep pkg/one/file")
        .works("");
    place
        .outside("test \"$(git show --name-only --format= HEAD)\" = pkg/one/file")
        .works("and nothing else is in the commit");
    // The rest of its work tree is somebody's files, and absent.
    for act in ["cat ../two/file", "cat ../../top"] {
        place.outside(&format!("cd pkg/one && {act}")).works("the control");
        inside(act).fails(&["No such file"], act);
    }
    for act in [
        "echo x >> ../../.git/config",
        "git config core.fsmonitor x",
        "echo x > ../../.git/hooks/post-commit",
        "mv ../../.git/hooks ../../.git/old",
        "mv ../../.git ../../old",
        "rm -rf ../../.git/hooks",
    ] {
        inside(act).fails(CLOSED, act);
    }
    place.outside("echo >> .git/config && git config core.x y").works("the control");
    let text = plan(&place, &one);
    let shown =
        format!("the workspace's repository is in view: {}/.git, read-write", place.work.display());
    assert!(text.contains(&shown) && text.contains("git shows it as deleted"), "{text}");
    // With the whole tree to read, git finds nothing missing.
    let whole = format!("{}:ro", place.work.display());
    let mut command = place.cofferdam(&["--workspace", &one, "--grant", &whole]);
    let ran = finish(command.args([
        "sh",
        "-c",
        "git status --short && cat $W/top && git commit -q --allow-empty -m whole",
    ]));
    assert_eq!(ran.works("the tree around it").out, "top\n");
    // As is the workspace, so is its repository.
    let read_only = format!("{one}:ro");
    let mut command = place.cofferdam(&["--workspace", &read_only]);
    finish(command.args([
        "sh",
        "-c",
        "cd $W/pkg/one && git log --oneline && git commit -q --allow-empty -m no",
    ]))
    .fails(CLOSED, "a commit in a workspace that is read-only");
    // A person may close it.
    let git = format!("{}/.git", place.work.display());
    let mut command = place.cofferdam(&["--workspace", &one, "--hide", &git]);
    finish(command.args(["git", "-C", &one, "log"])).fails(&["not a git repository"], "hidden");
}

/// Root in the workspace of another: the repository must be that user's.
#[test]
fn a_repository_of_the_owner_works_for_root() {
    if !crate::support::is_root() {
        eprintln!(
            "not run as an ordinary user: git_elsewhere: a_repository_of_the_owner_works_for_root"
        );
        return;
    }
    let place = mono();
    let one = place.work.join("pkg/one").display().to_string();
    let inside = |script: &str| {
        let mut command = place.cofferdam(&["--workspace", &one]);
        finish(command.current_dir(&one).args(["sh", "-c", script]))
    };
    place.outside("chown -R 4242:4242 $W && chmod 755 $R $H $H/src").works("another's project");
    inside(WORK).works("git as its owner");
    inside("id -u && test $(stat -c %u file) = 4242").works("who the workload is");
    place.outside("chown -R 0:0 .git").works("the repository alone is root's");
    inside("git log").fails(&["not a git repository"], "another's repository");
    place.outside("chown -R 4242:4242 .git && chown 0:0 .").works("its work tree alone is root's");
    inside("git log").fails(&["not a git repository"], "another's work tree");
}

#[test]
fn worktrees_and_submodules_work_by_themselves() {
    let place = mono();
    let set_up = format!(
        "git worktree add -q $H/src/tree && git worktree add -q $H/src/tree2 && \
         git init -q $OUT/lib && (cd $OUT/lib && {IDENTITY} && echo 1 > file && git add . && git commit -qm lib) && \
         git -c protocol.file.allow=always submodule --quiet add $OUT/lib vendor/lib && \
         (cd vendor/lib && {IDENTITY} && mkdir sub) && git commit -qm sub && \
         (cd $H/src/tree && mkdir -p deep/er && echo 1 > file && git add file && git commit -qm file)"
    );
    place.outside(&set_up).works("a worktree and a submodule");
    let src = place.home.join("src");
    for (at, from, git, act) in [
        ("tree", "tree", "app/.git", "echo x > $W/.git/hooks/post-commit"),
        ("tree", "tree", "app/.git", "echo x >> $W/.git/config"),
        ("tree", "tree", "app/.git", "echo x > $W/.git/worktrees/tree2/gitdir"),
        ("tree", "tree", "app/.git", "echo x > $H/src/tree/.git"),
        ("tree/deep", "tree/deep/er", "app/.git", "echo x > $H/src/tree/.git"),
        ("app/vendor/lib", "app/vendor/lib", "app/.git/modules/vendor/lib", "git config a.b c"),
        (
            "app/vendor/lib",
            "app/vendor/lib",
            "app/.git/modules/vendor/lib",
            "echo x > $W/.git/modules/vendor/lib/hooks/x",
        ),
        (
            "app/vendor/lib/sub",
            "app/vendor/lib/sub",
            "app/.git/modules/vendor/lib",
            "git config a.b c",
        ),
    ] {
        let workspace = src.join(at).display().to_string();
        let inside = |script: &str| {
            let mut command = place.cofferdam(&["--workspace", &workspace]);
            finish(command.current_dir(src.join(from)).args(["sh", "-c", script]))
        };
        inside(WORK).works(&format!("git in {at}"));
        inside(act).fails(CLOSED, act);
        let text = plan(&place, &workspace);
        assert!(text.contains(&format!("{}, read-write", src.join(git).display())), "{at}: {text}");
        inside("cat $W/top $H/src/tree2/top").fails(&["No such file"], "other work trees");
    }
    // Work trees beside a bare repository.
    place
        .outside("git clone -q --bare $W $H/src/bare/.bare && cd $H/src/bare && git --git-dir=.bare worktree add -q one && cd one && git config user.email a@example.com && git config user.name a")
        .works("a bare repository");
    let one = src.join("bare/one").display().to_string();
    let mut command = place.cofferdam(&["--workspace", &one]);
    finish(command.args(["sh", "-c", &format!("cd {one} && {WORK}")])).works("a bare repository's");
    // A submodule does not show the repository around it.
    let lib = src.join("app/vendor/lib").display().to_string();
    let mut command = place.cofferdam(&["--workspace", &lib]);
    finish(command.args(["cat", &format!("{}/.git/HEAD", place.work.display())]))
        .fails(&["No such file"], "the superproject's");
    place.outside("cat $W/.git/HEAD $H/src/tree2/top").works("the control");
}

/// A git directory that names the workspace, at `@`.
const FAKE: &str = "mkdir -p @/worktrees/x @/objects @/refs && echo ref: refs/heads/x > @/HEAD && \
                cp @/HEAD @/worktrees/x/HEAD && echo $W/.git > @/worktrees/x/gitdir";

/// What is planted; `F` and `SCRATCH` stand for [`FAKE`] in the workspace and in a granted tree.
const PLANTED: &[(&str, &str)] = &[
    ("its git directory", "echo gitdir: $OUT/victim/.git > .git"),
    ("its worktree's directory", "echo gitdir: $OUT/victim/.git/worktrees/tree > .git"),
    ("its submodule's", "echo gitdir: $OUT/victim/.git/modules/lib > .git"),
    ("what is no git directory", "echo gitdir: $OUT > .git"),
    ("the secrets of the home", "echo gitdir: $H/.ssh > .git"),
    (
        "a worktree of ours with its repository there",
        "F && echo $OUT/victim/.git > f/worktrees/x/commondir && echo gitdir: f/worktrees/x > .git",
    ),
    (
        "the same in a tree that it could write once",
        "SCRATCH && echo $OUT/victim/.git > $OUT/scratch/worktrees/x/commondir && \
             echo gitdir: $OUT/scratch/worktrees/x > .git",
    ),
    (
        "the same by a link",
        "F && rmdir f/objects f/refs && ln -s $OUT/victim/.git/objects f/objects && echo ../.. > f/worktrees/x/commondir && echo gitdir: f/worktrees/x > .git",
    ),
    (
        "a link among our worktrees",
        "F && rm -r f/worktrees && ln -s $OUT/victim/.git/worktrees f/worktrees && echo gitdir: f/worktrees/tree > .git",
    ),
    (
        "a link to its git directory",
        "ln -s $OUT/victim/.git l && echo gitdir: l/worktrees/tree > .git",
    ),
    (
        "the worktree in our workspace, which a link makes the whole of it",
        "mv tree t && ln -s . tree && echo gitdir: $OUT/victim/.git/worktrees/tree1 > .git",
    ),
    (
        "a submodule of ours with a link",
        "mkdir -p m/.git && ln -s $OUT/victim/.git m/.git/modules && echo gitdir: m/.git/modules > .git",
    ),
    (
        "an include of ours",
        "mkdir -p m/.git/modules/x/refs m/.git/modules/x/objects && cp $W/canary m 2>/dev/null; printf '[core]\\nworktree = ../../../..\\n[include]\\npath = $OUT/victim/.git/config\\n' > m/.git/modules/x/config && echo $OUT/victim/.git/objects > m/.git/modules/x/objects/alternates && echo ref: x > m/.git/modules/x/HEAD && echo gitdir: m/.git/modules/x > .git",
    ),
    ("two lines", "printf 'gitdir: $OUT/victim/.git/worktrees/tree\\ngitdir: x\\n' > .git"),
];

/// Whatever the workload of an earlier run wrote into its workspace, another project stays closed.
#[test]
fn a_planted_git_file_shows_no_other_project() {
    let place = Place::new();
    victim(&place);
    // The victim has a worktree, and a submodule, of its own; and a worktree in our workspace.
    let set_up = "cd $OUT/victim && git worktree add -q $OUT/tree && git worktree add -q -b inner $W/tree && \
                  mkdir -p .git/modules/lib/objects .git/modules/lib/refs && \
                  echo ref: refs/heads/x > .git/modules/lib/HEAD && \
                  printf '[core]\\n\\tworktree = ../../../lib\\n' > .git/modules/lib/config";
    place.outside(set_up).works("");
    let treasure = "cat $OUT/victim/.git/HEAD $OUT/victim/.git/modules/lib/HEAD && \
                    git --git-dir=$OUT/victim/.git show HEAD:t";
    place.outside(treasure).works("the control");
    place.outside("mkdir $OUT/scratch").works("");
    let scratch = format!("{}/scratch:rw", place.out.display());
    let clean = "rm -rf .git f l m $OUT/scratch/*; test -L tree && rm tree && mv t tree; true";
    for (what, plant) in PLANTED {
        let plant = plant.replace("F &&", &format!("{} &&", FAKE.replace("@/", "f/")));
        let plant = plant.replace("SCRATCH", &FAKE.replace("@/", "$OUT/scratch/"));
        // The workload itself cannot; it could make all but the last of it, before there was a name.
        place.inside_with(&["--grant", &scratch], &plant).fails(&["Permission denied"], what);
        assert!(!place.work.join(".git").exists(), "{what}");
        place.outside(clean).works("");
        place.outside(&plant).works(what);
        let ran = place.inside(treasure);
        // Left out and told, or refused where not even the guards are known.
        assert!(matches!(ran.status, Some(1 | 125)), "{what}: {ran:?}");
        assert!(!ran.out.contains("treasure") && !ran.out.contains("ref:"), "{what}: {ran:?}");
        place.outside(clean).works("");
    }
    // A tree that was granted once is not granted for ever by what was planted in it.
    let plant = FAKE.replace("@/", "$OUT/scratch/")
        + " && echo ../.. > $OUT/scratch/worktrees/x/commondir && \
           echo gitdir: $OUT/scratch/worktrees/x > .git";
    place.outside(&plant).works("a repository by its looks");
    place.outside("echo private > $OUT/scratch/later").works("");
    let read = "cat $OUT/scratch/later";
    place.inside_with(&["--grant", &scratch], read).works("the control");
    place.inside(read).fails(&["No such file"], "a tree that was granted once");
    assert!(plan(&place, &place.work.display().to_string()).contains("neither .git, NAME.git"));
    place.outside("rm .git").works("");
    // The worktree itself is what it says.
    let tree = place.work.join("tree").display().to_string();
    let mut command = place.cofferdam(&["--workspace", &tree]);
    let read = format!("cd {tree} && git show HEAD:t");
    let ran = finish(command.args(["sh", "-c", &read]));
    assert_eq!(ran.works("a worktree that both sides name").out, "treasure\n");
}

/// What is above the workspace is believed no more than it deserves.
#[test]
fn a_git_directory_above_is_not_always_the_workspaces() {
    let place = Place::new();
    victim(&place);
    let app = place.work.display().to_string();
    let left_out = |set_up: &str, why: &str| {
        place.outside(set_up).works("prepare");
        let text = plan(&place, &app);
        assert!(text.contains(why), "{set_up}: {text}");
        place.inside("git log").fails(&["not a git repository"], why);
        place.outside("rm -rf $H/src/.git $H/.git $H/../.git").works("");
    };
    left_out("ln -s $OUT/victim/.git $H/src/.git", "it is a symbolic link");
    left_out("git init -q $H", "it is the home directory's");
    left_out("git init -q $H/..", "it is the home directory's");
    left_out(
        "git init -q $H/src && echo $OUT/victim/.git > $H/src/.git/commondir",
        "its commondir leads elsewhere",
    );
    left_out("echo gitdir: $OUT/victim/.git > $H/src/.git", "what it names says of no work tree");
    // What could not be guarded is not shown; the workspace itself starts.
    left_out(
        "git init -q $H/src && rm -r $H/src/.git/hooks && ln -s $OUT $H/src/.git/hooks",
        ".git/hooks is a symbolic link",
    );
    left_out("git init -q $H/src && ln $H/src/.git/config $OUT/c", ".git/config has another name");
    left_out(
        "git init -q $H/src && echo > $H/src/.git/hooks/a && ln $H/src/.git/hooks/a $OUT/hook",
        ".git/hooks has another name",
    );
    if crate::support::is_root() {
        left_out("git init -q $H/src && chown -R 4242 $H/src/.git", "belongs to user 4242, not 0");
    } else {
        eprintln!("not run as an ordinary user: git_elsewhere: another owner");
    }
    place.outside("mkdir -p $H/src/.git/objects").works("no repository");
    place.inside("git log").fails(&["not a git repository"], "git would go on as well");
    place.outside("rm -r $H/src/.git && git init -q $H/src").works("a repository");
    place.inside("git status").works("and one that is the workspace's");
}
