//! The walk goes on where the chain does not hold, and says which lines do not.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::{Event, Log};

/// A log of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("cofferdam-read-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn log(&self) -> PathBuf {
        self.0.join("a.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn refusal(message: &str) -> Event {
    Event::Refusal { code: "c".into(), message: message.into(), hint: "h".into() }
}

/// Five records, as lines with their newlines.
fn five(folder: &Folder) -> Vec<Vec<u8>> {
    let mut log = Log::open(&folder.log(), "aa".into()).unwrap();
    for number in 1..=5 {
        log.append(&refusal(&format!("number {number}"))).unwrap();
    }
    let bytes = fs::read(folder.log()).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// Each line that is shown: its number, the record it claims to be (0 for none), its problem.
type Shown = Vec<(u64, u64, Option<Problem>)>;

fn shown(bytes: &[u8]) -> (Shown, Result<Verified, Broken>) {
    let mut shown = Vec::new();
    let mut visit = |line: &Line<'_>| {
        let seq = line.record.as_ref().map_or(0, |record| record.seq);
        shown.push((line.number, seq, line.problem.clone()));
        ControlFlow::Continue(())
    };
    let verdict = walk(bytes, &mut visit);
    (shown, verdict)
}

#[test]
fn what_does_not_verify_is_marked_and_the_rest_is_not() {
    use Problem::{Chain, Changed, TooLong};
    let lines = five(&Folder::new("marks"));
    let changed = String::from_utf8(lines[1].clone()).unwrap().replace("number", "NUMBER").into();
    let long = [vec![b'x'; MAX_RECORD_BYTES + 10], b"\n".to_vec()].concat();
    let garbage = b"{}\n".to_vec();
    let of = |order: &[&Vec<u8>]| {
        order.iter().flat_map(|line| line.iter().copied()).collect::<Vec<u8>>()
    };
    let [one, two, three, four, five] = &lines[..] else { panic!("five records") };
    for (bytes, want, why) in [
        (of(&[one, two, three]), vec![(1, 1, None), (2, 2, None), (3, 3, None)], "whole"),
        (
            of(&[one, &changed, three, four]),
            vec![(1, 1, None), (2, 2, Some(Changed)), (3, 3, None), (4, 4, None)],
            "one changed: what it claims is shown",
        ),
        (
            of(&[one, three, four]),
            vec![(1, 1, None), (2, 3, Some(Chain)), (3, 4, None)],
            "one dropped",
        ),
        (
            of(&[one, &changed, four, five]),
            vec![(1, 1, None), (2, 2, Some(Changed)), (3, 4, Some(Chain)), (4, 5, None)],
            "one changed and its successor dropped",
        ),
        (
            of(&[one, &garbage, &long, two]),
            vec![(1, 1, None), (2, 0, Some(Changed)), (3, 0, Some(TooLong)), (4, 2, None)],
            "two that are none between two that follow each other",
        ),
        (of(&[&garbage, &garbage]), vec![(1, 0, Some(Changed)), (2, 0, Some(Changed))], "no log"),
        (of(&[one, two, &b"{\"hash".to_vec()]), vec![(1, 1, None), (2, 2, None)], "unfinished"),
    ] {
        let (shown, verdict) = shown(&bytes);
        let first = want.iter().find_map(|(line, _, problem)| Some((*line, problem.clone()?)));
        assert_eq!(shown, want, "{why}");
        let broken = verdict.err().map(|broken| (broken.line, broken.problem));
        assert_eq!(broken, first, "{why}: the verdict is of the first");
    }
}

/// A line that a killed writer left is no line, once a record accounts for it.
#[test]
fn a_torn_line_is_passed_over() {
    let folder = Folder::new("torn");
    let lines = five(&folder);
    let bytes = lines.concat();
    fs::write(folder.log(), &bytes[..bytes.len() - 9]).unwrap();
    Log::open(&folder.log(), "bb".into()).unwrap().append(&refusal("after")).unwrap();
    let (shown, verdict) = shown(&fs::read(folder.log()).unwrap());
    let numbers: Vec<_> = shown.iter().map(|(line, seq, _)| (*line, *seq)).collect();
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 3), (4, 4), (6, 5), (7, 6)]);
    assert_eq!(verdict.unwrap().torn, 1);
}

/// Readers do not keep writers waiting, and do not run after them.
#[test]
fn a_reader_sees_the_log_as_it_was_and_locks_nobody_out() {
    let folder = Folder::new("snapshot");
    five(&folder);
    let reading = Reading::open(&folder.log()).unwrap();
    let mut log = Log::open(&folder.log(), "bb".into()).unwrap();
    let mut lines = 0;
    let verdict = reading.each(|_| {
        lines += 1;
        log.append(&refusal("while it is read")).unwrap();
        ControlFlow::Continue(())
    });
    assert_eq!((lines, verdict.unwrap().records), (5, 5));
    assert_eq!(
        Reading::open(&folder.log()).unwrap().each(|_| ControlFlow::Continue(())).unwrap().records,
        10
    );
    let mut first = 0;
    drop(reading.each(|line| {
        first = line.number;
        ControlFlow::Break(())
    }));
    assert_eq!(first, 1, "a reader that has enough sees no more");
}
