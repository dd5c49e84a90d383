//! `cargo xtask bench`: cofferdam against bubblewrap and against going without, alternating in one run.
//!
//! Every figure is a median of ratios of neighbours in time, with an interval from order
//! statistics: the machine's noise hits both sides alike. Nothing here passes or fails a build.

mod broker;
mod clauses;
mod identity;
mod inspect;
mod names;
mod speed;
mod stat;
mod subject;
mod terminal;
mod view;
mod walls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use broker::broker;
pub(crate) use broker::calls::{TASK as CALLS, run as calls};
pub(crate) use clauses::clauses;
pub(crate) use identity::{Amount, identity};
pub(crate) use inspect::inspect;
pub(crate) use names::{Others, gateway_of, names};
pub(crate) use speed::{RELEASED, in_release, released};
use stat::Ratios;
use subject::Subject;
pub(crate) use terminal::terminal;
use view::View;
use walls::Walls;
pub(crate) use walls::{TASK as WALLS, under_walls};

/// Files in the large tree.
const TREE_FILES: u32 = 300_000;
/// Files that are opened inside.
const OPENS: u32 = 20_000;

const OPENS_FIGURE: &str = "opening 20,000 files inside, against bwrap";
const OPENS_ALIKE: &str =
    "opening 20,000 files inside, against bwrap with the same filter and Landlock layers";
const ARCHIVE_FIGURE: &str = "`tar` of /usr/share inside, against bwrap";
const ARCHIVE_ALIKE: &str =
    "`tar` of /usr/share inside, against bwrap with the same filter and Landlock layers";
/// Figures against bubblewrap as it is, which has no filter and no Landlock, each with the one
/// that compares like with like.
const ALIKE: [(&str, &str); 2] = [(OPENS_FIGURE, OPENS_ALIKE), (ARCHIVE_FIGURE, ARCHIVE_ALIKE)];

/// The goal of a figure that has none.
const TOLD: &str = "none";

/// A row of the table.
struct Figure {
    what: String,
    goal: String,
    held: bool,
    found: String,
}

pub(crate) fn start(pairs: usize) -> Result<(), String> {
    if !Path::new("/usr/bin/bwrap").exists() {
        return Err("bubblewrap is missing; as root: apt-get install bubblewrap".into());
    }
    if pairs < 30 {
        println!("note: {pairs} pairs are fewer than the 30 that a figure for the record takes");
    }
    build()?;
    let scratch = Scratch::new()?;
    let programs = installed(&scratch)?;
    let subject = Subject::new(programs.join("cofferdam"), scratch.0.clone());
    let first = start_time(&subject, pairs)?;
    println!("{}: {}", first.what, first.found);
    let second = bubblewrap_start(&subject, &programs, pairs)?;
    println!("{}: {}", second.what, second.found);
    let mut figures = vec![first, second, large_tree(&subject, pairs)?, memory(&subject)?];
    figures.extend(opens(&subject, &programs, pairs)?);
    figures.extend(archive(&subject, &programs, pairs)?);
    report(&figures, pairs);
    Ok(())
}

pub(crate) fn build() -> Result<(), String> {
    println!("building release programs");
    let built = Command::new("cargo").args(["build", "--release", "--locked", "-q"]).status();
    if built.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err("cargo build --release failed".into())
    }
}

/// The release programs lie beside the profile that this program was built with, wherever the
/// target directory is.
fn release_programs() -> Result<PathBuf, String> {
    let find = || {
        let this = fs::canonicalize(std::env::current_exe()?)?;
        let profiles = this.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
        fs::canonicalize(profiles.join("release"))
    };
    find().map_err(|error| format!("the built programs: {error}"))
}

/// The release programs as an installation has them: copied. A file as the linker wrote it lies in
/// small pieces in the page cache, which costs a start a tenth of its time until it is written anew.
pub(crate) fn installed(scratch: &Scratch) -> Result<PathBuf, String> {
    let (from, to) = (release_programs()?, scratch.0.join("bin"));
    let copied = || {
        fs::create_dir(&to)?;
        for name in ["cofferdam", "cofferdam-init", "cofferdam-gateway"] {
            match fs::copy(from.join(name), to.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    };
    copied().map_err(|error: std::io::Error| format!("{}: {error}", to.display()))?;
    Ok(to)
}

/// A directory of our own, removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("cofferdam-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(fs::canonicalize(&path).unwrap_or(path)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Wall time of a command from spawn to exit.
fn time(command: &mut Command) -> Result<Duration, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    let took = begin.elapsed();
    if status.success() { Ok(took) } else { Err(format!("{command:?}: {status}")) }
}

/// Seconds that a command prints as its last word: what it measured itself.
fn told(command: &mut Command) -> Result<f64, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.split_whitespace().last().and_then(|word| word.parse().ok());
    last.ok_or_else(|| format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn pairs_of(
    pairs: usize,
    mut one: impl FnMut() -> Result<f64, String>,
    mut other: impl FnMut() -> Result<f64, String>,
) -> Result<Ratios, String> {
    for _ in 0..2 {
        one()?;
        other()?;
    }
    let mut ratios = Ratios::default();
    for (a, b) in alternate(pairs, one, other)? {
        ratios.push(a, b);
    }
    Ok(ratios)
}

/// What both sides give, in turn. The first of each is not counted.
fn alternate<T>(
    pairs: usize,
    mut one: impl FnMut() -> Result<T, String>,
    mut other: impl FnMut() -> Result<T, String>,
) -> Result<Vec<(T, T)>, String> {
    one()?;
    other()?;
    let mut both = Vec::new();
    for number in 0..pairs {
        // Which side goes first changes, so that neither always follows the other.
        if number % 2 == 0 {
            both.push((one()?, other()?));
        } else {
            let (b, a) = (other()?, one()?);
            both.push((a, b));
        }
    }
    Ok(both)
}

/// Files with this text below `tree`, a thousand in a directory.
fn fill(tree: &Path, files: u32, text: &str) -> Result<(), String> {
    for folder in 0..files / 1000 {
        let folder = tree.join(format!("d{folder}"));
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        for file in 0..1000 {
            fs::write(folder.join(format!("f{file}")), text).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn start_time(subject: &Subject, pairs: usize) -> Result<Figure, String> {
    let work = subject.workspace("empty")?;
    let ratios = pairs_of(
        pairs,
        || Ok(time(&mut subject.cofferdam(&work, &["true"]))?.as_secs_f64()),
        || Ok(time(&mut subject.bubblewrap(&work, &["true"]))?.as_secs_f64()),
    )?;
    Ok(Figure {
        what: "start: `run --network none -- true` against bwrap with the same view".into(),
        goal: "at most 1.2".into(),
        held: ratios.median() <= 1.2,
        found: ratios.text("ms", 1e3),
    })
}

/// The same under bubblewrap, as whom the workspace belongs to on both sides: root's own is a refusal.
fn bubblewrap_start(subject: &Subject, programs: &Path, pairs: usize) -> Result<Figure, String> {
    let work = subject.workspace("somebodys")?;
    // Its owner, before it is planned for whom.
    subject.in_bubblewrap(&work)?;
    let view = View::of_run(programs, &work)?;
    let ratios = pairs_of(
        pairs,
        || Ok(time(&mut subject.in_bubblewrap(&work)?)?.as_secs_f64()),
        || Ok(time(&mut subject.bare_bubblewrap(&work, &view)?)?.as_secs_f64()),
    )?;
    Ok(Figure {
        what:
            "start: `run --jail bubblewrap --network none -- true` against bwrap with the same view"
                .into(),
        goal: "at most 1.5".into(),
        held: ratios.median() <= 1.5,
        found: ratios.text("ms", 1e3),
    })
}

/// Starts in one workspace against starts in another.
fn starts(subject: &Subject, pairs: usize, (one, other): (&Path, &Path)) -> Result<Ratios, String> {
    pairs_of(
        pairs,
        || Ok(time(&mut subject.cofferdam(one, &["true"]))?.as_secs_f64()),
        || Ok(time(&mut subject.cofferdam(other, &["true"]))?.as_secs_f64()),
    )
}

fn large_tree(subject: &Subject, pairs: usize) -> Result<Figure, String> {
    let (empty, large) = (subject.workspace("empty")?, subject.workspace("large")?);
    println!("making a tree of {TREE_FILES} files");
    fill(&large, TREE_FILES, "")?;
    let ratios = starts(subject, pairs, (&large, &empty))?;
    Ok(Figure {
        what: "start in a tree of 300,000 files against an empty one".into(),
        goal: "within 10 %".into(),
        held: ratios.median() <= 1.1,
        found: ratios.text("ms", 1e3),
    })
}

fn opens(subject: &Subject, programs: &Path, pairs: usize) -> Result<[Figure; 2], String> {
    let work = subject.workspace("opens")?;
    for file in 0..OPENS {
        fs::write(work.join(format!("f{file}")), "x").map_err(|error| error.to_string())?;
    }
    let walls = Walls::of_run(programs, &work, &subject.workspace("walls")?)?;
    let script = format!(
        "import os, time\nnames = ['f%d' % i for i in range({OPENS})]\nbegin = time.perf_counter()\n\
         for name in names: os.close(os.open(name, os.O_RDONLY))\nprint(time.perf_counter() - begin)"
    );
    let words = ["/usr/bin/python3", "-c", &script];
    subject.check_walls(&work, &walls)?;
    let ours = || told(&mut subject.cofferdam(&work, &words));
    let plain = pairs_of(pairs, ours, || told(&mut subject.bubblewrap(&work, &words)))?;
    let alike =
        pairs_of(pairs, ours, || told(&mut subject.bubblewrap_walled(&work, &walls, &words)))?;
    Ok([(OPENS_FIGURE, plain), (OPENS_ALIKE, alike)]
        .map(|(what, ratios)| within_five_percent(what, &ratios, ("ms", 1e3))))
}

fn archive(subject: &Subject, programs: &Path, pairs: usize) -> Result<[Figure; 2], String> {
    let work = subject.workspace("empty")?;
    let walls = Walls::of_run(programs, &work, &subject.workspace("walls")?)?;
    // tar notices /dev/null and reads nothing.
    let words = ["sh", "-c", "tar cf - /usr/share 2>/dev/null | cat >/dev/null"];
    let ours = || Ok(time(&mut subject.cofferdam(&work, &words))?.as_secs_f64());
    let plain =
        pairs_of(pairs, ours, || Ok(time(&mut subject.bubblewrap(&work, &words))?.as_secs_f64()))?;
    let alike = pairs_of(pairs, ours, || {
        Ok(time(&mut subject.bubblewrap_walled(&work, &walls, &words))?.as_secs_f64())
    })?;
    Ok([(ARCHIVE_FIGURE, plain), (ARCHIVE_ALIKE, alike)]
        .map(|(what, ratios)| within_five_percent(what, &ratios, ("s", 1.0))))
}

fn within_five_percent(what: &'static str, ratios: &Ratios, (unit, scale): (&str, f64)) -> Figure {
    let (goal, held) = ("within 5 %", ratios.median() <= 1.05);
    Figure { what: what.into(), goal: goal.into(), held, found: ratios.text(unit, scale) }
}

/// Proportional set size of the engine and of init while a workload sleeps
/// (`/proc/PID/smaps_rollup`, `proc(5)`).
fn memory(subject: &Subject) -> Result<Figure, String> {
    let work = subject.workspace("empty")?;
    let mut engine = subject
        .cofferdam(&work, &["sleep", "5"])
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    std::thread::sleep(Duration::from_secs(1));
    let children = format!("/proc/{0}/task/{0}/children", engine.id());
    let children = fs::read_to_string(children).map_err(|error| error.to_string())?;
    let init = children.split_whitespace().next().ok_or("the engine has no child")?.to_owned();
    let sizes = [engine.id().to_string(), init].map(|pid| pss(&pid));
    engine.wait().map_err(|error| error.to_string())?;
    let [engine, init] = sizes;
    let (engine, init) = (engine?, init?);
    let sum = engine + init;
    Ok(Figure {
        what: "memory of the engine and init (PSS)".into(),
        goal: "at most 5 MiB".into(),
        held: sum <= 5 << 10,
        found: format!("{sum} KiB: engine {engine}, init {init}"),
    })
}

pub(crate) fn pss(pid: &str) -> Result<u64, String> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{path}: no Pss"))
}

fn report(figures: &[Figure], pairs: usize) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let who = Command::new("id").arg("-un").output().map(|output| output.stdout);
    let who = String::from_utf8_lossy(&who.unwrap_or_default()).trim().to_owned();
    println!("\nLinux {}, {cores} cores, as {who}, {pairs} pairs\n", release.trim());
    println!("| figure | goal | found | held |\n|---|---|---|---|");
    for Figure { what, goal, held, found } in figures {
        let held = match (*held, goal.as_str()) {
            (_, TOLD) => "-",
            (true, _) => "yes",
            (false, _) => "missed",
        };
        println!("| {what} | {goal} | {found} | {held} |");
    }
    println!();
    for (what, alike) in ALIKE {
        let found = |name| figures.iter().find(|figure| figure.what == name);
        if let (Some(Figure { held: false, .. }), Some(alike)) = (found(what), found(alike)) {
            println!(
                "missed: {what}; bwrap as started has no filter and no Landlock, like for like it \
                 is the row \"{}\": {}",
                alike.what, alike.found
            );
        }
    }
}
