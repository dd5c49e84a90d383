//! What is believed of a file that anybody of this user could have written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;

/// A state directory of its own, removed at the end.
struct State(PathBuf);

impl State {
    fn new(name: &str) -> Self {
        let at = std::env::temp_dir();
        let at = at.join(format!("cofferdam-trials-{}-{name}", std::process::id()));
        Self(at.join("state"))
    }

    fn file(&self) -> PathBuf {
        self.0.join(NAME)
    }

    fn keep(&self, known: &Known) {
        keep(&self.0, &key(), known, read(&self.0, &key())).unwrap();
    }

    #[track_caller]
    fn forgets(&self, why: &str) {
        assert_eq!(read(&self.0, &key()), [], "{why}");
    }
}

impl Drop for State {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(self.0.parent().unwrap()));
    }
}

fn key() -> Key {
    Key("build 6.1 1000 1".into())
}

fn known(number: u64) -> Known {
    let stamp = Stamp { dev: 1, ino: number, size: 3, written: (4, 5), changed: (-6, 999_999_999) };
    let why = "unknown platform: systrap (status 128)".into();
    let tried = Tried {
        version: Version::named("0.0~20221219.0").unwrap(),
        features: Features { directfs: false, overlay: true, host_sockets: true },
        platforms: vec![
            (Platform::Systrap, Outcome::Fails { why }),
            (Platform::Ptrace, Outcome::Works),
            (Platform::Kvm, Outcome::Hangs { after: 4 }),
        ],
    };
    Known { stamp, digest: format!("{number:064x}"), tried }
}

#[test]
fn what_is_kept_is_read_again() {
    let state = State::new("kept");
    state.forgets("there is nothing yet");
    state.keep(&known(1));
    state.keep(&known(2));
    assert_eq!(read(&state.0, &key()), [known(2), known(1)]);
    let changed = Known { stamp: Stamp { ino: 9, ..known(1).stamp }, ..known(1) };
    state.keep(&changed);
    assert_eq!(read(&state.0, &key()), [changed, known(2)], "one line a digest");
    let others: Vec<_> = fs::read_dir(&state.0).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(others, [NAME], "nothing else stays");
    for (path, mode) in [(state.0.clone(), 0o700), (state.file(), 0o600)] {
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode, "{}", path.display());
    }
    for number in 10..30 {
        state.keep(&known(number));
    }
    assert_eq!(read(&state.0, &key()).len(), KNOWN_MAX);
}

#[test]
fn what_was_tried_otherwise_is_not_believed() {
    let state = State::new("key");
    state.keep(&known(1));
    for other in ["build 6.2 1000 1", "other 6.1 1000 1", "build 6.1 0 1", "build 6.1 1000 2"] {
        assert_eq!(read(&state.0, &Key(other.into())), [], "{other}");
    }
    assert_eq!(read(&state.0, &key()), [known(1)]);
}

#[test]
fn one_letter_otherwise_and_all_is_thrown_away() {
    let whole = write(&key(), &[known(1), known(2)]);
    assert_eq!(parse(&whole, &key()), Some(vec![known(1), known(2)]));
    for (from, to, why) in [
        ("ptrace works", "ptrace fails so", "none works"),
        ("ptrace works", "ptrace  works", "a space"),
        ("ptrace works", "gvisor works", "another platform"),
        ("ptrace works\t", "", "one is missing"),
        ("hangs 4", "hangs +4", "a sign"),
        ("hangs 4", "hangs", "no number"),
        ("\t011\t", "\t012\t", "a flag that is neither"),
        ("\t011\t", "\t11\t", "too few flags"),
        ("0.0~20221219.0", "0.0~2022 1219", "a version with a space"),
        ("-6.999999999", "-6", "half a time"),
        ("000001\t", "00001\t", "a short digest"),
        ("000001\t", "00000G\t", "no hexadecimal digit"),
        ("build 6.1", "build 6.1 ", "the key"),
        ("systrap fails unknown", "systrap fails un\u{7}known", "a control"),
    ] {
        assert!(whole.contains(from), "{from:?}");
        assert_eq!(parse(&whole.replacen(from, to, 1), &key()), None, "{why}");
    }
    for cut in 0..whole.len() {
        let kept = parse(whole.get(..cut).unwrap_or_default(), &key()).unwrap_or_default();
        assert!(kept.len() < 2, "{cut}");
    }
    assert_eq!(parse(&format!("{whole}\n"), &key()), None, "an empty line");
}

#[test]
fn a_file_that_others_may_write_is_not_believed() {
    let state = State::new("others");
    state.keep(&known(1));
    for mode in [0o620, 0o602] {
        fs::set_permissions(state.file(), fs::Permissions::from_mode(mode)).unwrap();
        state.forgets("others may write it");
    }
    fs::set_permissions(state.file(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(read(&state.0, &key()), [known(1)]);
    let other = state.0.join("other");
    fs::hard_link(state.file(), &other).unwrap();
    state.forgets("it has another name");
    fs::remove_file(state.file()).unwrap();
    symlink(&other, state.file()).unwrap();
    state.forgets("it is a link");
    fs::remove_file(state.file()).unwrap();
    fs::create_dir(state.file()).unwrap();
    state.forgets("it is a directory");
}

#[test]
fn what_is_older_than_a_week_is_tried_again() {
    let state = State::new("age");
    state.keep(&known(1));
    let file = fs::File::options().write(true).open(state.file()).unwrap();
    let set = |time| file.set_modified(time).unwrap();
    set(SystemTime::now() - Duration::from_secs(BELIEVED - 60));
    assert_eq!(read(&state.0, &key()), [known(1)]);
    set(SystemTime::now() - Duration::from_secs(BELIEVED + 60));
    state.forgets("older than a week");
    set(SystemTime::now() + Duration::from_secs(3600));
    state.forgets("of a time that is not yet");
}
