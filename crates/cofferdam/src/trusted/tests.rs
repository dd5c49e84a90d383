//! The store, and races at its level: a thousand rounds, each of which a process would take a second for.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use super::*;
use crate::digest::sha256 as hash;

const ROUNDS: usize = 1_000;

/// A directory of a test, with a state directory and a project in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let top = fs::canonicalize(std::env::temp_dir()).unwrap();
        let root = top.join(format!("cofferdam-trusted-{}-{number}", std::process::id()));
        fs::create_dir_all(root.join("w/sub/.cofferdam")).unwrap();
        fs::create_dir_all(root.join("w/.cofferdam")).unwrap();
        fs::create_dir_all(root.join("w/.git")).unwrap();
        fs::create_dir(root.join("state")).unwrap();
        Self(root)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, text: &str) -> PathBuf {
        let file = self.at("w/.cofferdam/policy.toml");
        fs::write(&file, text).unwrap();
        file
    }

    fn store(&self) -> Store {
        Store::make(&self.at("state")).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn what_is_pinned_is_what_was_read() {
    let folder = Folder::new();
    let (w, state) = (folder.at("w"), folder.at("state"));
    assert_eq!(Store::open(&state).unwrap().list().unwrap(), [], "nobody has trusted anything");
    let file = folder.write("one");
    let text = Text::read(&w).unwrap();
    fs::write(&file, "two").unwrap();
    let store = folder.store();
    store.pin(&text).unwrap();
    assert_eq!(store.pin_of(&w).unwrap(), Some(hash(b"one")), "whatever the file holds by now");
    let changed = store.find(&w, &[]).unwrap_err();
    assert_eq!(changed.code(), "project-changed");
    fs::write(&file, "one").unwrap();
    let (policy, found) = store.find(&folder.at("w/sub"), &[]).unwrap();
    assert_eq!(found.unwrap().bytes, b"one");
    assert!(matches!(policy, ProjectPolicy::Trusted { project, .. } if project == w));
    let name = state.join(FOLDER).join(hash(w.as_os_str().as_encoded_bytes()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&name), mode(&state.join(FOLDER))), (0o600, 0o700));
    store.pin(&Text::read(&w).unwrap()).unwrap();
    assert_eq!(fs::read_dir(state.join(FOLDER)).unwrap().count(), 1, "nothing is left over");
    assert!(store.remove(&w).unwrap() && !store.remove(&w).unwrap());
    let (policy, found) = store.find(&w, &[]).unwrap();
    assert!(matches!(policy, ProjectPolicy::Untrusted { .. }) && found.is_none());
}

#[test]
fn a_store_that_is_not_ones_own_alone_is_none() {
    let folder = Folder::new();
    folder.write("one");
    let (w, state) = (folder.at("w"), folder.at("state"));
    let store = folder.store();
    store.pin(&Text::read(&w).unwrap()).unwrap();
    let pins = state.join(FOLDER);
    let pin = pins.join(hash(w.as_os_str().as_encoded_bytes()));
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&pins, 0o755);
    assert_eq!(Store::open(&state).unwrap_err().code(), "trust-shared");
    mode(&pins, 0o700);
    mode(&pin, 0o644);
    assert_eq!(store.pin_of(&w).unwrap_err().code(), "trust-shared");
    mode(&pin, 0o600);
    assert!(store.pin_of(&w).unwrap().is_some(), "as it was");
    for broken in ["", "abc\n/w", &format!("{}\n/elsewhere", hash(b"one")), &hash(b"one")] {
        fs::write(&pin, broken).unwrap();
        assert_eq!(store.pin_of(&w).unwrap_err().code(), "trust-broken", "{broken:?}");
    }
    fs::remove_file(&pin).unwrap();
    symlink("/dev/null", &pin).unwrap();
    assert_eq!(store.pin_of(&w).unwrap_err().code(), "trust-store", "a link is not followed");
    fs::rename(&pins, folder.at("moved")).unwrap();
    symlink(folder.at("moved"), &pins).unwrap();
    assert_eq!(Store::open(&state).unwrap_err().code(), "trust-store", "nor one to the directory");
}

#[test]
fn which_directory_is_a_project() {
    let folder = Folder::new();
    folder.write("one");
    let (w, sub) = (folder.at("w"), folder.at("w/sub"));
    assert_eq!(project_of(&sub, &[]), Some(w.as_path()), "up to the repository's top");
    assert_eq!(project_of(&sub, std::slice::from_ref(&w)), None, "a home is none");
    assert_eq!(project_of(&sub, std::slice::from_ref(&sub)), None, "nor what holds one");
    fs::write(folder.at("w/sub/.cofferdam/policy.toml"), "").unwrap();
    assert_eq!(project_of(&sub, &[]), Some(sub.as_path()), "the nearest");
    fs::remove_file(folder.at("w/sub/.cofferdam/policy.toml")).unwrap();
    fs::create_dir(folder.at("w/sub/.git")).unwrap();
    assert_eq!(project_of(&sub, &[]), None, "another repository's top");
    fs::remove_dir(folder.at("w/sub/.git")).unwrap();
    fs::remove_dir(folder.at("w/.git")).unwrap();
    assert_eq!(project_of(&sub, &[]), None, "outside of a repository the directory alone");
    assert_eq!(project_of(&w, &[]), Some(w.as_path()));
}

/// What a thread does to the file meanwhile: by new files and in place, so that half of one may be read.
fn swapping(file: &Path, texts: [&str; 2], stop: &AtomicBool) {
    let new = file.with_extension("new");
    let mut turn = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let text = texts[turn % 2];
        if turn.is_multiple_of(3) {
            fs::write(file, text).unwrap();
        } else {
            fs::write(&new, text).unwrap();
            fs::rename(&new, file).unwrap();
        }
    }
}

#[test]
fn swapped_between_show_answer_and_load_a_thousand_rounds() {
    let folder = Folder::new();
    let one = format!("version = 1\n# {}\n", "1".repeat(9_000));
    let two = format!("version = 1\n# {}\n", "2".repeat(9_000));
    let file = folder.write(&one);
    let w = folder.at("w");
    let store = folder.store();
    let stop = AtomicBool::new(false);
    let (mut loaded, mut changed, mut seen) = (0, 0, std::collections::BTreeSet::new());
    thread::scope(|scope| {
        scope.spawn(|| swapping(&file, [&one, &two], &stop));
        for round in 0..ROUNDS {
            // Shown, answered, pinned; then loaded by the next run.
            let shown = Text::read(&w).unwrap();
            store.pin(&shown).unwrap();
            assert_eq!(store.pin_of(&w).unwrap(), Some(hash(&shown.bytes)), "round {round}");
            match store.find(&w, &[]) {
                Ok((_, Some(text))) => {
                    assert!(
                        text.bytes == shown.bytes,
                        "round {round}: other bytes than were shown"
                    );
                    loaded += 1;
                }
                Ok((policy, None)) => panic!("round {round}: {policy:?}"),
                Err(error) => {
                    assert_eq!(error.code(), "project-changed", "round {round}: {error}");
                    changed += 1;
                }
            }
            seen.insert(hash(&shown.bytes));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(loaded + changed, ROUNDS);
    assert!(loaded > 0 && changed > 0 && seen.len() > 1, "both happen: {loaded}, {changed}");
}
