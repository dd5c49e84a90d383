//! The host replaces what is guarded as editors and git do, while the workload tries without pause to get
//! hold of it. A mount would fall off; a rule about a name stays.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Place, finish};

/// What the workload does (work/attacker.py).
const ATTACKER: &str = include_str!("attacker.py");
/// Replacements by the host, over all names and ways.
const ROUNDS: usize = 1_000;
/// Between the steps of a replacement: long enough for many attempts, on a machine of two cores.
const PAUSE: Duration = Duration::from_millis(2);
/// Longer than the whole takes on a machine that does more besides.
const WITHIN: Duration = Duration::from_secs(120);

const HIDDEN: &str = "conf/token";
const GUARDED: &[&str] =
    &[".git/config", ".mcp.json", ".envrc", ".claude/settings.json", "keys/signing.ini", HIDDEN];
/// Names that are there when the workload starts; the others are made by the host meanwhile.
const PRESENT: &[&str] = &[".git/config", ".mcp.json", ".claude/settings.json", HIDDEN];
const POLICY: &str =
    "version = 1\n[filesystem]\nprotect = [\"keys/signing.ini\"]\nhide = [\"conf/token\"]\n";

/// How a program of the host's saves a file.
#[derive(Clone, Copy, Debug)]
enum Saves {
    /// A new file is renamed over the name.
    Over,
    /// The old file is renamed away, a new one is made under the name.
    Backup,
    /// `git config` writes a lock file and renames it.
    Git,
    /// In place.
    Within,
}

impl Saves {
    const ALL: [Self; 4] = [Self::Over, Self::Backup, Self::Git, Self::Within];

    /// Saves a text that tells the round; what the host then has.
    fn save(self, place: &Place, name: &str, round: usize) -> String {
        let path = place.work.join(name);
        let text = format!("[user]\n\tname = host {round}\n");
        let aside = |ending: &str| path.with_file_name(format!("host-{ending}"));
        let is_settings = path.extension().is_some_and(|ending| ending == "ini");
        match self {
            Self::Git if name == ".git/config" || is_settings => {
                let value = format!("host {round}");
                let mut git = place.command("git");
                git.args(["config", "-f", name, "user.name", &value]);
                finish(&mut git).works("git config");
                return fs::read_to_string(&path).unwrap();
            }
            Self::Over | Self::Git => {
                fs::write(aside("new"), &text).unwrap();
                pause();
                fs::rename(aside("new"), &path).unwrap();
            }
            Self::Backup => {
                if path.exists() {
                    fs::rename(&path, aside("old")).unwrap();
                    pause();
                }
                fs::write(&path, &text).unwrap();
                drop(fs::remove_file(aside("old")));
            }
            Self::Within => fs::write(&path, &text).unwrap(),
        }
        text
    }
}

fn pause() {
    std::thread::sleep(PAUSE);
}

/// A repository with what is guarded in it.
fn repository() -> (Place, String) {
    let place = Place::new();
    place.outside("git init -q . && mkdir .claude keys conf").works("a repository");
    for name in PRESENT {
        place.write(&format!("home/src/app/{name}"), "[user]\n\tname = host\n");
    }
    let policy = place.write("policy.toml", POLICY).display().to_string();
    (place, policy)
}

/// Without a wall each attempt works: what fails inside fails for the rule.
#[test]
fn each_attempt_works_where_nothing_is_guarded() {
    let (place, _) = repository();
    for name in GUARDED {
        place.write(&format!("home/src/app/{name}"), "x\n");
    }
    let mut command = place.command("/usr/bin/python3");
    command.args(["-c", ATTACKER, "once", HIDDEN]).args(GUARDED);
    let ran = finish(&mut command).works("outside");
    let failed: Vec<&str> = ran.out.lines().filter(|line| !line.starts_with("worked")).collect();
    assert!(failed.is_empty() && ran.out.lines().count() > 100, "{failed:?}: {ran:?}");
}

/// Waits for a file of the workload's that says `what`.
fn until(child: &mut Child, what: &str, path: &Path, is: impl Fn(&str) -> bool) {
    let end = Instant::now() + WITHIN;
    loop {
        let said = fs::read_to_string(path).unwrap_or_default();
        if is(&said) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the workload ended before {what}: {said}");
        assert!(Instant::now() < end, "no {what}");
        pause();
    }
}

fn attempts(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[test]
fn no_window_in_a_thousand_rounds() {
    let (place, policy) = repository();
    let mut command = place.cofferdam(&["--policy", &policy]);
    command.args(["/usr/bin/python3", "-c", ATTACKER, "always", HIDDEN]).args(GUARDED);
    let said = place.root.join("said");
    let file = fs::File::create(&said).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null());
    let mut run = command.spawn().unwrap();
    until(&mut run, "its beginning", &said, |text| text.contains("began"));
    let count = place.work.join("count");
    until(&mut run, "a first round", &count, |text| !text.is_empty());
    let began = Instant::now();
    let before = attempts(&count);
    let saved = (0..ROUNDS).map(|round| {
        let name = GUARDED[round % GUARDED.len()];
        let way = Saves::ALL[round / GUARDED.len() % Saves::ALL.len()];
        let text = way.save(&place, name, round);
        pause();
        let held = fs::read_to_string(place.work.join(name)).unwrap_or_default();
        assert_eq!(held, text, "round {round}: {name}, saved {way:?}: the host's own text");
        name
    });
    let saved = saved.count();
    let rounds = attempts(&count) - before;
    let took = began.elapsed();
    place.write("home/src/app/stop", "");
    let status = run.wait().unwrap().code();
    let said = fs::read_to_string(&said).unwrap();
    let told: Vec<&str> =
        said.lines().filter(|line| line.contains("WORK") || line.contains("UNEX")).collect();
    assert!(told.is_empty(), "{} attempts worked, the first {:?}", told.len(), told.first());
    assert_eq!(status, Some(7), "the workload goes on to its own end: {said}");
    assert!(rounds >= 20, "{rounds} rounds of the workload in {took:?} prove little");
    for name in ["planted", "second", "away"] {
        let held = fs::read_to_string(place.work.join(name)).unwrap_or_default();
        assert!(!held.contains("host"), "{name} holds the host's text");
    }
    println!("{saved} replacements, {rounds} rounds of attempts, {} ms", took.as_millis());
}
