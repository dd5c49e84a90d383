//! Real work inside gives what it gives outside: the same status, the same words, the same tree.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Place, Ran, finish};
use crate::{Compared, same, taken};

/// Longer than any of these takes. Seconds.
const WITHIN: &str = "200";

/// A piece of work in the directory `tree`, which is the workspace.
struct Job<'a> {
    name: &'a str,
    /// Words for `cofferdam run`.
    options: &'a [&'a str],
    /// Makes what is worked on, always outside.
    set_up: &'a str,
    /// The work; what it prints is compared.
    work: &'a str,
    /// What no two runs have in common.
    left_out: &'a [&'a str],
}

impl Job<'_> {
    fn plain<'a>(name: &'a str, set_up: &'a str, work: &'a str) -> Job<'a> {
        Job { name, options: &[], set_up, work, left_out: &[] }
    }

    /// Both ways at one path; what it printed.
    #[track_caller]
    fn compare(&self, place: &Place) -> String {
        let (outside, tree_outside, bare) = self.goes(place, place.command("timeout"));
        let inside = place.cofferdam(self.options);
        let (inside, tree_inside, walled) = self.goes(place, with(inside, "timeout"));
        let name = self.name;
        assert_eq!(outside.status, Some(0), "{name}: the control: {outside:?}");
        assert_eq!(inside.status, Some(0), "{name}: inside: {inside:?}");
        same(&format!("{name}: what was printed"), &outside.out, &inside.out);
        same(&format!("{name}: trees"), &tree_outside, &tree_inside);
        let ratio = walled.as_secs_f64() / bare.as_secs_f64();
        let lines = tree_outside.lines().count();
        println!("{name}: {lines} names; {bare:.1?} outside, {walled:.1?} inside: x {ratio:.2}");
        outside.out
    }

    fn goes(&self, place: &Place, mut command: Command) -> (Ran, String, Duration) {
        let tree = place.work.join("tree");
        fs::create_dir(&tree).unwrap();
        let set_up = format!("umask 022; cd tree; {}", self.set_up);
        finish(place.command("sh").args(["-ec", &set_up])).works(self.name);
        let work = format!("umask 022; {}", self.work);
        command.current_dir(&tree).args(["--signal=KILL", WITHIN, "sh", "-ec", &work]);
        let began = Instant::now();
        let ran = finish(&mut command);
        let took = began.elapsed();
        (ran, taken(place, Compared::Content, "tree", self.left_out), took)
    }
}

fn with(mut command: Command, word: &str) -> Command {
    command.arg(word);
    command
}

/// Whether a program is here; says so where it is not.
fn is_here(program: &str, work: &str) -> bool {
    let found = finish(Command::new("sh").args(["-c", &format!("command -v {program}")]));
    if found.status != Some(0) {
        println!("not run: {work}: {program} is not installed here");
    }
    found.status == Some(0)
}

#[test]
fn an_archive_of_twenty_thousand_files() {
    let place = Place::new();
    let make = "\
import io, tarfile
with tarfile.open(sys.argv[1], 'w') as archive:
    for folder in range(200):
        for number in range(100):
            name = 'd%d/s%d/f%d' % (folder % 10, folder, number)
            entry = tarfile.TarInfo(name)
            entry.mtime, entry.mode = 1000000000, (0o644, 0o755, 0o600)[number % 3]
            text = b'text %d %d' % (folder, number) * (number % 7)
            if number % 25 == 24: entry.type, entry.linkname = tarfile.SYMTYPE, 'f%d' % (number - 1)
            elif number % 40 == 39: entry.type, entry.linkname = tarfile.LNKTYPE, name[:-2] + '0'
            else: entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text) if entry.size else None)
";
    let mut command = place.command("/usr/bin/python3");
    command.args(["-c", &format!("import sys\n{make}")]).arg(place.work.join("files.tar"));
    finish(&mut command).works("an archive");
    let work = "tar --no-same-owner -xpf files.tar; rm files.tar; find . | wc -l";
    let ran = Job::plain("tar", "cp ../files.tar .", work).compare(&place);
    assert!(ran.trim().parse::<u32>().unwrap() > 20_000, "{ran}");
}

/// The git directory is the workspace's own, with its guards.
#[test]
fn git_with_branches_worktrees_rebase_and_gc() {
    let set_up = "\
git init -q -b main . && git config user.email a@example.com && git config user.name a
git config gc.auto 0 && git config pack.threads 1
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
printf 'remote.git\\nside\\n' > .gitignore
for i in 1 2 3 4 5 6 7 8 9 10; do
    mkdir -p src/$i; seq $i 200 > src/$i/file; git add . ; git commit -qm \"commit $i\"
done
git init -q --bare remote.git && git remote add origin ./remote.git && git push -q origin main";
    let work = "\
export GIT_AUTHOR_DATE='2020-01-02T00:00:00Z' GIT_COMMITTER_DATE='2020-01-02T00:00:00Z'
git checkout -qb topic main~3
echo one > one; git add one; git commit -qm one; echo two > two; git add .; git commit -qm two
git rebase -q main
git worktree add -q side -b side main~1
(cd side && echo three > three && git add . && git commit -qm three && git status --porcelain)
git merge -q side -m merged
git worktree list --porcelain | grep -c ^worktree
git worktree remove side
git branch -q -d side
git branch -m topic renamed
git checkout -q main; git merge -q renamed; git tag -a -m tagged v1
echo dirty >> one; git stash -q; git stash pop -q; git checkout -q one
git mv src/1 src/moved; git rm -rq src/2; git commit -qm moved
git push -q -u origin main
git branch -q --track follows origin/main
git clone -q remote.git cloned; rm -rf cloned
git gc -q --prune=now
git fsck --strict
git status --porcelain
git for-each-ref; git rev-list --all --objects | sort; git config --local -l";
    if !is_here("git", "git") {
        return;
    }
    let left_out = &[".git", "remote.git"];
    let job = Job { left_out, ..Job::plain("git", set_up, work) };
    let said = job.compare(&Place::new());
    assert!(said.contains("refs/tags/v1") && said.contains("branch.follows.merge"), "{said}");
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    let work = "/usr/bin/python3 -c \"
import multiprocessing, sqlite3
def writes(number):
    base = sqlite3.connect('base', timeout=60, isolation_level=None)
    for at in range(100):
        base.execute('begin immediate')
        base.execute('insert into t values (?, ?)', (number, at))
        base.execute('commit')
base = sqlite3.connect('base', isolation_level=None)
print(base.execute('pragma journal_mode = wal').fetchone())
base.execute('create table t(who, at)')
workers = [multiprocessing.Process(target=writes, args=(n,)) for n in range(4)]
for w in workers: w.start()
for w in workers: w.join()
print([w.exitcode for w in workers], base.execute('select count(*), sum(at) from t').fetchone())
print(base.execute('pragma wal_checkpoint(truncate)').fetchone()[0], base.execute('pragma integrity_check').fetchone())
base.execute('delete from t where at > 50'); base.execute('vacuum')
print(base.execute('select count(*) from t').fetchone(), base.execute('pragma journal_mode = delete').fetchone())
\"; ls base*";
    // The order of the rows is the order in which the four came.
    let job = Job { left_out: &["base"], ..Job::plain("sqlite", "true", work) };
    let said = job.compare(&Place::new());
    assert!(said.contains("('wal',)") && said.contains("(400, 19800)"), "{said}");
}

#[test]
fn editors_save_as_vim_and_vs_code_do() {
    let set_up = "for n in a b c d e f; do seq 100 > $n; chmod 640 $n; done; chmod 755 b; ln -s c linked; ln d second";
    // VS Code writes in place, or beside and over; Emacs takes a lock that is a link to nowhere.
    let script = "
import os
def over(name, text):
    mode = os.stat(name).st_mode
    os.symlink('a@host.1:2', '.#' + name)
    fd = os.open(name + '.vsctmp', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, text); os.fchmod(fd, mode & 0o777); os.fsync(fd); os.close(fd)
    os.rename(name + '.vsctmp', name)
    os.unlink('.#' + name)
def within(name, text):
    with open(name, 'r+b') as file:
        file.truncate(0); file.write(text); file.flush(); os.fsync(file.fileno())
def backup(name, text):
    os.link(name, name + '~')
    fd = os.open(name + '.new', os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o640)
    os.write(fd, text); os.close(fd)
    os.rename(name + '.new', name)
for at in range(50):
    for name, save in (('a', over), ('e', within), ('d', over)): save(name, b'saved %d' % at)
backup('f', b'saved')
";
    let place = Place::new();
    let work = format!("/usr/bin/python3 -c \"{script}\"; cat a d e f f~ | sha256sum; ls -a");
    Job::plain("VS Code and Emacs", set_up, &work).compare(&place);
    if !is_here("vim", "vim's saves") {
        return;
    }
    let work = "\
vim -Nu NONE -i NONE -es -c 'set backupcopy=no writebackup' -c '%s/1/one/' -c 'wq' a
vim -Nu NONE -i NONE -es -c 'set backupcopy=yes backup backupdir=.' -c '%s/2/two/' -c 'wq' b
vim -Nu NONE -i NONE -es -c 'set backupcopy=auto' -c '%s/3/three/' -c 'wq' linked
vim -Nu NONE -i NONE -es -c 'set backupcopy=auto undofile undodir=.' -c '%s/4/four/' -c 'wq' d
for n in $(seq 20); do vim -Nu NONE -i NONE -es -c \"set backupcopy=no\" -c '$s/$/x/' -c 'w' -c 'w' -c 'q' e; done
cat a b c d e second | sha256sum; stat -c '%n %a %h %F' *; ls -A";
    // An undo file has the time of each change in it.
    let job = Job { left_out: &[".d.un~"], ..Job::plain("vim", set_up, work) };
    job.compare(&place);
}

#[test]
fn a_parallel_make() {
    if !is_here("make", "make -j8") || !is_here("gcc", "make -j8") {
        return;
    }
    let set_up = "
for i in $(seq 20); do echo \"int f$i(int x) { return x + $i; }\" > f$i.c; done
{ for i in $(seq 20); do echo \"int f$i(int);\"; done; echo 'int main(void) { return f1(1) + f20(2) != 24; }'; } > main.c
printf 'all: prog $(addprefix made/,$(shell seq 180))\\nprog: main.o $(addsuffix .o,$(addprefix f,$(shell seq 20)))\\n\\tgcc -o $@ $^\\n%%.o: %%.c\\n\\tgcc -O1 -c $< -o $@\\nmade/%%: Makefile\\n\\t@mkdir -p $(@D) tmp && echo $* > tmp/$*.part && mv tmp/$*.part $@ && ln -sf $* made/link-$*\\n' > Makefile";
    let work = "make -s -j8; ./prog; make -q -j8; ls made | wc -l";
    let said = Job::plain("make -j8", set_up, work).compare(&Place::new());
    assert_eq!(said, "360\n");
}

#[test]
fn tests_in_python() {
    let set_up = "
printf 'def four():\\n    return 4\\n' > mod.py
printf 'import unittest, tempfile, os, pathlib\\nfrom mod import four\\n' > test_mod.py
printf 'class T(unittest.TestCase):\\n' >> test_mod.py
for i in $(seq 30); do printf \"    def test_$i(self):\\n        with tempfile.TemporaryDirectory(dir='.') as d:\\n            p = pathlib.Path(d, 'x'); p.write_text('$i'); p.rename(p.with_suffix('.y')); self.assertEqual(four(), 4)\\n        pathlib.Path('kept-$i').write_text('$i')\\n\" >> test_mod.py; done";
    let unittest =
        "export PYTHONDONTWRITEBYTECODE=1; /usr/bin/python3 -m unittest 2>&1 | grep -v ^Ran; ls";
    Job::plain("unittest", set_up, unittest).compare(&Place::new());
    if !Path::new("/usr/lib/python3/dist-packages/pytest").exists() {
        println!("not run: pytest: it is not installed here");
        return;
    }
    // The same on both sides, whatever the caller's environment says.
    let pytest = "unset PYTHONDONTWRITEBYTECODE; \
        /usr/bin/python3 -m pytest -q --basetemp=base . | sed 's/ in .*//'; ls; ls .pytest_cache";
    // Compiled modules have times of their sources in them.
    let left_out = &["__pycache__", ".pytest_cache/v/cache/lastfailed"];
    let job = Job { left_out, ..Job::plain("pytest", set_up, pytest) };
    let said = job.compare(&Place::new());
    assert!(said.contains("30 passed"), "{said}");
}

#[test]
fn a_small_crate() {
    if !is_here("rustc", "cargo build") {
        return;
    }
    let asked = finish(Command::new("sh").args(["-c", "rustc --print sysroot"]));
    let sysroot = asked.out.trim().to_owned();
    let set_up = "
printf '[package]\\nname = \"small\"\\nversion = \"0.1.0\"\\nedition = \"2021\"\\n[workspace]\\n' > Cargo.toml
mkdir src; echo 'pub fn two() -> u32 { 2 }' > src/lib.rs
printf 'fn main() { println!(\"built {}\", small::two()); }\\n#[test]\\nfn adds() { assert_eq!(small::two(), 2); }\\n' > src/main.rs";
    let work = format!(
        "export PATH={sysroot}/bin:$PATH CARGO_TARGET_DIR=target CARGO_INCREMENTAL=1; cargo build -q --offline; \
         ./target/debug/small; echo 'pub fn two() -> u32 {{ 3 - 1 }}' > src/lib.rs; cargo test -q --offline > log; \
         ./target/debug/small; find target -name '*.lock' -o -name '*.d' | grep -c ."
    );
    let grant = format!("{sysroot}:ro");
    // Hashes of paths and times are in the names of what is built.
    let (options, left_out) = (&["--preset", "rust", "--grant", &*grant], &["target", "log"]);
    let job = Job { options, left_out, ..Job::plain("cargo", set_up, &work) };
    let said = job.compare(&Place::new());
    assert!(said.starts_with("built 2\nbuilt 2\n"), "{said}");
}

/// Packages that lie there as archives, as `npm ci` finds them in its lock file.
#[test]
fn npm_ci_of_packages_that_were_fetched() {
    if !is_here("npm", "npm ci") {
        return;
    }
    let place = Place::new();
    let archives = "\
import io, json, os, sys, tarfile
os.makedirs(sys.argv[1])
for at in range(40):
    with tarfile.open('%s/p%d.tgz' % (sys.argv[1], at), 'w:gz') as archive:
        files = {'package.json': json.dumps(dict(name='p%d' % at, version='1.0.0', bin='cli.js')), 'cli.js': '#!/usr/bin/env node\\n'}
        files.update(('lib/d%d/f%d.js' % (n % 5, n), 'module.exports = %d' % n) for n in range(50))
        for name, text in files.items():
            entry = tarfile.TarInfo('package/' + name)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
depends = dict(('p%d' % at, 'file:deps/p%d.tgz' % at) for at in range(40))
json.dump(dict(name='app', version='1.0.0', dependencies=depends), open(sys.argv[2], 'w'))
";
    let mut command = place.command("/usr/bin/python3");
    command
        .args(["-c", archives])
        .arg(place.work.join("deps"))
        .arg(place.work.join("package.json"));
    finish(&mut command).works("archives");
    let quiet = "--offline --no-audit --no-fund --no-update-notifier --loglevel=error";
    let lock = format!("npm install --package-lock-only {quiet} --cache $OUT/cache");
    place.outside(&lock).works("a lock file");
    let work = format!(
        "npm ci {quiet} --cache ./cache | sed 's/ in .*//'; ls node_modules | wc -l; node -p 'require(\"p7/lib/d4/f9\")'"
    );
    let set_up = "cp -r ../deps ../package.json ../package-lock.json .";
    let job = Job { left_out: &["cache"], ..Job::plain("npm ci", set_up, &work) };
    assert!(job.compare(&place).ends_with("\n9\n"));
}
