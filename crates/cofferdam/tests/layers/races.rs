//! The file is swapped while it is shown, asked about and read: what holds is what was shown. The
//! thousand rounds are the library's (`trusted::tests`); these are whole processes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::places::{at_a_terminal, says};
use crate::support::Place;

/// Rounds of whole processes.
const ROUNDS: usize = 24;

/// A policy whose number of open files says which it is. As long as the other one.
fn text(files: u32) -> String {
    format!("version = 1\n[limits]\nopen_files = {files}\n")
}

#[test]
fn swapped_between_question_and_answer() {
    let place = Place::new();
    let file = place.write("home/src/app/.cofferdam/policy.toml", &text(64));
    let ran = at_a_terminal(&place, &["trust"], "yes\n", Some((&file, &text(99)))).works("typed");
    assert!(ran.out.contains("open_files = 64") && !ran.out.contains("99"), "{ran:?}");
    let run = ["run", "--", "sh", "-c", "ulimit -n"];
    says(&place, &run).refused("project-changed", "what is there now was not shown");
    fs::write(&file, text(64)).unwrap();
    assert_eq!(says(&place, &run).works("what was shown").out, "64\n");
}

fn swap(file: &Path, stop: &AtomicBool) {
    let new = file.with_extension("new");
    let mut turn = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let text = text(if turn.is_multiple_of(2) { 64 } else { 99 });
        // Now by a new file, now in place: half of it may be read.
        if turn.is_multiple_of(3) {
            drop(fs::write(file, text));
        } else {
            drop(fs::write(&new, text).and_then(|()| fs::rename(&new, file)));
        }
    }
}

#[test]
fn swapped_while_processes_read_it() {
    let place = Place::new();
    let file = place.write("home/src/app/.cofferdam/policy.toml", &text(64));
    at_a_terminal(&place, &["trust"], "yes\n", None).works("64 is trusted");
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (file, stop) = (file.clone(), Arc::clone(&stop));
        thread::spawn(move || swap(&file, &stop))
    };
    let (mut held, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let ran = says(&place, &["run", "--", "sh", "-c", "ulimit -n"]);
        match ran.status {
            Some(0) => {
                assert_eq!(ran.out, "64\n", "round {round}: only what was shown holds: {ran:?}");
                held += 1;
            }
            _ => {
                // Read as the trusted one, and another file, or none, when the wall is built.
                let codes = ["project-changed", "changed-meanwhile", "step-failed"];
                let code = codes.into_iter().find(|code| ran.err.contains(code));
                ran.refused(code.unwrap_or("project-changed"), "the other one");
                refused += 1;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    swapping.join().unwrap();
    println!("{held} held, {refused} refused");
    fs::write(&file, text(64)).unwrap();
    assert_eq!(says(&place, &["run", "--", "sh", "-c", "ulimit -n"]).works("at rest").out, "64\n");
}
