//! What people and agents do with git all day works, and what it writes into its settings lands as
//! git wrote it.

use std::fs;
use std::path::Path;

use crate::support::{Place, Ran, finish};

/// A repository with a commit, a bare one beside it as its remote, and a policy for both.
pub(crate) fn repository() -> Place {
    let place = Place::new();
    let set_up = "git init -q -b main . && git config user.email a@b.test && git config user.name a \
                  && echo 1 > file && git add . && git commit -qm first \
                  && git clone -q --bare . $OUT/bare && git remote add origin $OUT/bare && git fetch -q \
                  && git push -q origin main:other && git fetch -q";
    place.outside(set_up).works("a repository with a remote");
    let text = format!(
        "version = 1\n\n[filesystem]\ngrant = [{{ path = \"{}/bare\", mode = \"read-write\" }}]\n\n\
         [[network.allow]]\nhost = \"good.test\"\n\n[[network.allow]]\nhost = \"*.wide.test\"\n",
        place.out.display()
    );
    place.write("policy.toml", &text);
    place
}

/// A shell script inside, under the policy of [`repository`].
pub(crate) fn inside(place: &Place, script: &str) -> Ran {
    let policy = place.root.join("policy.toml").display().to_string();
    place.inside_with(&["--policy", &policy], script)
}

fn config(place: &Place) -> Vec<u8> {
    fs::read(place.work.join(".git/config")).unwrap()
}

#[test]
fn a_day_of_work() {
    let place = repository();
    for script in [
        "echo 2 >> file && git add . && git commit -qm two && git log --oneline | grep two",
        "git branch topic && git checkout -q topic && git checkout -q main && git checkout -q -b more",
        "git checkout -q main && echo 3 >> file && git stash -q && git stash pop -q && git commit -qam three",
        "git merge -q topic && git rebase -q topic && git tag v1 && git tag -a -m t v2",
        "git clone -q . sub/clone && cd sub/clone && echo y > y && git add y && git -c user.name=a -c user.email=a@b.test commit -qm y && git config core.pager cat",
        "git worktree add -q wt topic && echo z > wt/z && git -C wt add z && git -C wt commit -qm z && git worktree remove wt",
        "git push -q origin main && git -C $OUT/bare log --oneline main | grep three",
        "git fetch -q && git pull -q origin main && git gc -q && git fsck",
        "git rm -q file && git commit -qm gone && git reset -q --hard HEAD~1 && git clean -fdq && test -f file",
        "git mv file moved && git commit -qm moved && git status --porcelain",
    ] {
        inside(&place, script).works(script);
    }
    assert_eq!(
        place
            .outside("rm -rf sub && git status --porcelain && git fsck --no-dangling")
            .works("the host sees it")
            .out,
        ""
    );
}

/// Edits of settings that run nothing: the same bytes as without a wall.
#[test]
fn harmless_settings_land_as_git_wrote_them() {
    let place = repository();
    let twin = place.root.join("twin");
    let copied = place.command("cp").arg("-a").arg(&place.work).arg(&twin).status().unwrap();
    assert!(copied.success());
    for script in [
        "git push -q -u origin main",
        "git remote add up https://good.test/me/repo.git",
        "git remote add wide https://a.wide.test/repo",
        "git config user.email new@b.test",
        "git config user.name 'A \"quoted\" name; with #signs'",
        "git checkout -q --track -b tracks origin/other",
        "git checkout -q -b fresh --no-track main && git branch -q --set-upstream-to=origin/main",
        "git branch -q -m fresh renamed",
        "git remote set-url up https://good.test/you/repo.git",
        "git config --unset user.email",
        "git branch -q --unset-upstream",
        "git branch -q -D tracks",
    ] {
        let before = config(&place);
        inside(&place, script).works(script);
        let mut outside = place.command("sh");
        finish(outside.args(["-c", script]).current_dir(&twin)).works("without a wall");
        let (got, want) = (config(&place), fs::read(twin.join(".git/config")).unwrap());
        assert_eq!(text(&got), text(&want), "{script}");
        assert_ne!(text(&got), text(&before), "{script}: it is an edit");
        assert!(!place.work.join(".git/config.lock").exists(), "{script}");
    }
    let seen = fs::metadata(place.work.join(".git/config")).unwrap();
    assert_eq!(mode(&twin.join(".git/config")), mode(&place.work.join(".git/config")), "{seen:?}");
    place.outside("git status --porcelain && git config --list").works("and git reads it");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mode(path: &Path) -> (u32, u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let seen = fs::metadata(path).unwrap();
    (seen.mode(), seen.uid(), seen.gid())
}
