//! Work that makes many names, with and without cofferdam, and the start in a repository of many files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::sync;

use super::super::subject::Subject;
use super::super::{Figure, TREE_FILES, alternate, fill, starts, time};
use super::Ratios;
use crate::test::step;

/// Files in the archive.
const ARCHIVED: u32 = 20_000;
/// Work takes seconds, and so many pairs are enough.
const PAIRS_MAX: usize = 15;
/// What the work may take of the time that it takes without.
const RATIO_MAX: f64 = 1.3;
const GOAL: &str = "at most 1.3";

/// From npm: a project as many are.
const FROM_NPM: [&str; 4] =
    ["eslint@9.17.0", "express@4.21.2", "typescript@5.7.2", "webpack@5.97.1"];

/// The same words on both sides, in a directory that `before` makes ready each time. Neither side
/// writes what the other has left to be written.
fn work(
    subject: &Subject,
    folder: &Path,
    words: &[&str],
    pairs: usize,
    before: impl Fn() -> Result<(), String>,
) -> Result<Ratios, String> {
    let bare = || {
        let (program, words) = words.split_first().ok_or("no command")?;
        let mut command = Command::new(program);
        command.current_dir(folder).args(words);
        Ok::<_, String>(command)
    };
    let both = alternate(
        pairs.min(PAIRS_MAX),
        || {
            before()?;
            sync();
            Ok(time(&mut subject.cofferdam(folder, words))?.as_secs_f64())
        },
        || {
            before()?;
            sync();
            Ok(time(&mut bare()?)?.as_secs_f64())
        },
    )?;
    let mut ratios = Ratios::default();
    both.into_iter().for_each(|(one, other)| ratios.push(one, other));
    Ok(ratios)
}

fn row(what: &str, ratios: &Ratios) -> Figure {
    let (held, found) = (ratios.median() <= RATIO_MAX, ratios.text("s", 1.0));
    Figure { what: what.into(), goal: GOAL.into(), held, found }
}

/// Removes a tree that the last run has made; there is none before the first.
fn emptied(tree: &Path) -> Result<(), String> {
    match fs::remove_dir_all(tree) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", tree.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn archive(subject: &Subject, pairs: usize) -> Result<Figure, String> {
    let folder = subject.workspace("archive")?;
    let tree = folder.join("tree");
    fs::create_dir_all(&tree).map_err(|error| error.to_string())?;
    println!("making an archive of {ARCHIVED} files");
    fill(&tree, ARCHIVED, "a small file, as sources are\n")?;
    let mut pack = Command::new("tar");
    step("pack", pack.current_dir(&folder).args(["cf", "archive.tar", "tree"]))?;
    let unpack = ["tar", "xf", "archive.tar"];
    let ratios = work(subject, &folder, &unpack, pairs, || emptied(&tree))?;
    let what = "`tar x` of 20,000 small files, against without cofferdam";
    emptied(&folder)?;
    Ok(row(what, &ratios))
}

/// `npm ci` of packages that were fetched before; why not, where npm or they are not there.
pub(super) fn packages(subject: &Subject, pairs: usize) -> Figure {
    let what = "`npm ci` of eslint, express, typescript and webpack, against without cofferdam";
    let measured = project(subject).and_then(|(folder, cache)| {
        let words = ["npm", "ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"];
        let words = [&words[..], &["--cache", &cache]].concat();
        let ratios =
            work(subject, &folder, &words, pairs, || emptied(&folder.join("node_modules")));
        emptied(&folder)?;
        ratios
    });
    match measured {
        Ok(ratios) => row(what, &ratios),
        Err(why) => {
            let found = format!("not run: {}", why.lines().last().unwrap_or_default());
            Figure { what: what.into(), goal: GOAL.into(), held: false, found }
        }
    }
}

/// A project with its packages in a cache of its own; below `target` a second run finds them.
fn project(subject: &Subject) -> Result<(PathBuf, String), String> {
    let kept = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let kept = kept.join("npm-ci");
    let failed = |error: std::io::Error| format!("{}: {error}", kept.display());
    if !kept.join("fetched").exists() {
        emptied(&kept)?;
        fs::create_dir_all(&kept).map_err(failed)?;
        let folder = fs::canonicalize(&kept).map_err(failed)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        npm.arg(&folder).arg("--cache").arg(folder.join("cache")).args(FROM_NPM);
        step("fetch from npm", npm.current_dir(&folder))?;
        // What it asks for besides the packages.
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--cache"]);
        step("install from npm", npm.arg(folder.join("cache")).current_dir(&folder))?;
        fs::write(kept.join("fetched"), "").map_err(failed)?;
    }
    let folder = subject.workspace("npm")?;
    let mut copy = Command::new("cp");
    copy.arg("-R").args(["cache", "package.json", "package-lock.json"].map(|name| kept.join(name)));
    step("copy the packages", copy.arg(&folder))?;
    let cache = folder.join("cache").display().to_string();
    Ok((folder, cache))
}

pub(super) fn repository(subject: &Subject, pairs: usize) -> Result<Figure, String> {
    let (empty, large) = (subject.workspace("repo-empty")?, subject.workspace("repo-large")?);
    for folder in [&empty, &large] {
        step("git init", Command::new("git").args(["init", "-q"]).arg(folder))?;
    }
    println!("making a repository of {TREE_FILES} files");
    fill(&large, TREE_FILES, "")?;
    let ratios = starts(subject, pairs, (&large, &empty))?;
    emptied(&large)?;
    Ok(Figure {
        what: "start in a repository of 300,000 files against an empty one".into(),
        goal: "at most 1.10".into(),
        held: ratios.median() <= 1.1,
        found: ratios.text("ms", 1e3),
    })
}
