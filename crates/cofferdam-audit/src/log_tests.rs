//! The writer and the verifier, together.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::event::ExitKind;
use crate::verify::{Problem, verify, verify_bytes};

/// A directory of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("cofferdam-audit-{}-{number}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("state/cofferdam/audit.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn refusal(message: &str) -> Event {
    Event::Refusal { code: "test".into(), message: message.into(), hint: "none".into() }
}

fn three_records(path: &Path) -> Vec<u8> {
    let mut log = Log::open(path, "aa".into()).unwrap();
    log.append(&refusal("one \u{1F512} \"quoted\"\n")).unwrap();
    log.append(&Event::Ready { authority: None }).unwrap();
    let mut other = Log::open(path, "bb".into()).unwrap();
    let (outcome, note) = (ExitKind::Signal(9), Some("late".into()));
    other.append(&Event::Exit { outcome, duration_ms: 7, note }).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_written_log_verifies() {
    let folder = Folder::new();
    three_records(&folder.log());
    let whole = verify(&folder.log()).unwrap();
    assert_eq!((whole.records, whole.sessions, whole.torn, whole.unfinished), (3, 2, 0, 0));
    let mode = fs::metadata(folder.log()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "nobody else reads the log");
    let mode = fs::metadata(folder.log().parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "nor lists its directory");
}

#[test]
fn every_changed_byte_is_noticed() {
    let folder = Folder::new();
    let bytes = three_records(&folder.log());
    let whole = verify_bytes(&bytes).unwrap();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= flip;
            let got = verify_bytes(&changed);
            assert!(
                got.as_ref().map_or(true, |got| *got != whole),
                "byte {at} flipped by {flip:#x} went unseen"
            );
        }
    }
}

#[test]
fn dropped_moved_and_repeated_records_are_noticed() {
    let folder = Folder::new();
    let bytes = three_records(&folder.log());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let (one, two, three) = (lines[0], lines[1], lines[2]);
    for (kept, line, why) in [
        (vec![two, three], 1, "the first dropped"),
        (vec![one, three], 2, "the middle dropped"),
        (vec![one, three, two], 2, "two exchanged"),
        (vec![one, two, two, three], 3, "one repeated"),
        (vec![one, one, two, three], 2, "the first repeated"),
    ] {
        let broken = verify_bytes(&kept.concat()).unwrap_err();
        assert_eq!((broken.line, broken.problem), (line, Problem::Chain), "{why}");
    }
    let cut = verify_bytes(&[one, two].concat()).unwrap();
    assert_ne!(cut.head, verify_bytes(&bytes).unwrap().head, "a cut end shows in the head only");
}

#[test]
fn a_torn_tail_is_closed_and_accounted_for() {
    let folder = Folder::new();
    let bytes = three_records(&folder.log());
    let last =
        bytes.len() - bytes.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap() - 1;
    for cut in [last + 1, last + 20, bytes.len() - 2] {
        fs::write(folder.log(), &bytes[..cut]).unwrap();
        assert_ne!(verify(&folder.log()).unwrap().unfinished, 0, "cut at {cut}");
        let mut log = Log::open(&folder.log(), "cc".into()).unwrap();
        log.append(&Event::Ready { authority: None }).unwrap();
        let whole = verify(&folder.log()).unwrap();
        assert_eq!((whole.records, whole.torn, whole.unfinished), (4, 1, 0), "cut at {cut}");
        let healed = fs::read(folder.log()).unwrap();
        let mut changed = healed.clone();
        changed[last + 1] ^= 1;
        assert!(verify_bytes(&changed).is_err(), "the torn bytes are part of the record");
    }
    // Only the newline is missing: the record is whole.
    fs::write(folder.log(), &bytes[..bytes.len() - 1]).unwrap();
    Log::open(&folder.log(), "cc".into())
        .unwrap()
        .append(&Event::Ready { authority: None })
        .unwrap();
    let whole = verify(&folder.log()).unwrap();
    assert_eq!((whole.records, whole.torn), (4, 0));
}

#[test]
fn a_log_that_ends_in_something_else_is_refused() {
    let folder = Folder::new();
    three_records(&folder.log());
    let mut bytes = fs::read(folder.log()).unwrap();
    bytes.extend_from_slice(b"hello\n");
    fs::write(folder.log(), &bytes).unwrap();
    let error = Log::open(&folder.log(), "cc".into())
        .unwrap()
        .append(&Event::Ready { authority: None })
        .unwrap_err();
    assert_eq!(error.code(), "audit-damaged");
    assert_eq!(fs::read(folder.log()).unwrap(), bytes, "and left as it was");
}

#[test]
fn a_long_record_is_found_again_and_a_longer_one_refused() {
    let folder = Folder::new();
    let mut log = Log::open(&folder.log(), "aa".into()).unwrap();
    log.append(&refusal(&"x".repeat(300_000))).unwrap();
    Log::open(&folder.log(), "bb".into())
        .unwrap()
        .append(&Event::Ready { authority: None })
        .unwrap();
    let error = log.append(&refusal(&"x".repeat(MAX_RECORD_BYTES))).unwrap_err();
    assert_eq!(error.code(), "audit-too-long");
    assert_eq!(verify(&folder.log()).unwrap().records, 2, "nothing of it was written");
}

#[test]
fn logs_that_others_reach_are_refused() {
    let folder = Folder::new();
    let log = folder.log();
    three_records(&log);
    let state = |path: &Path| Log::open(path, "aa".into()).map(|_| ()).map_err(|e| e.code());
    for (mode, want) in [(0o600, Ok(())), (0o400 | 0o200, Ok(())), (0o640, Err("audit-shared"))] {
        fs::set_permissions(&log, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(state(&log), want, "mode {mode:o}");
    }
    let link = folder.0.join("link");
    symlink(&log, &link).unwrap();
    assert_eq!(state(&link), Err("audit-not-regular"), "a symbolic link is not followed");
    assert_eq!(state(&folder.0), Err("audit-not-regular"), "a directory");
    let fifo = folder.0.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(state(&fifo), Err("audit-not-regular"), "a FIFO, without waiting");
    let below = log.join("below");
    assert_eq!(state(&below), Err("audit-directory"), "below a file");
}

#[test]
fn many_writers_make_one_chain() {
    let folder = Folder::new();
    let path = folder.log();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let mut log = Log::open(path, format!("{number:02x}")).unwrap();
                for _ in 0..25 {
                    log.append(&Event::Ready { authority: None }).unwrap();
                }
            });
        }
    });
    let whole = verify(&path).unwrap();
    assert_eq!((whole.records, whole.sessions), (200, 8));
}

#[test]
fn room_where_nothing_can_be_set_aside() {
    for (free, bytes, want, why) in [
        ((100, 2, 4_096), 8_192, true, "to the byte"),
        ((100, 2, 4_096), 8_193, false, "one more"),
        ((100, 0, 4_096), 1, false, "full"),
        ((0, 0, 4_096), 1 << 40, true, "blocks are not counted"),
        ((u64::MAX, u64::MAX, 4_096), u64::MAX, true, "more than can be told"),
        ((100, 100, -1), 1, false, "no size"),
    ] {
        assert_eq!(fits(free, bytes), want, "{why}");
    }
}
