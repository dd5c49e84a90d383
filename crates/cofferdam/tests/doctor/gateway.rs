//! The row `gateway`, in situations where all else holds: it says what `run --allow` says.

use std::fs;

use super::support::{Place, finish, programs};
use super::{NOTHING, doctor, run, run_with, without};

const GATEWAY: &str = "cofferdam-gateway";
const ALLOW: [&str; 2] = ["--allow", "allowed.cofferdam.example"];

/// `run --allow` is refused for this, `run` is not, and the row has the same words.
#[track_caller]
fn refused(place: &Place, around: &str, code: &str, words: &str) {
    assert_eq!(run(place, around), None, "{code}: without a gateway nothing is missing");
    let (found, hint) = run_with(place, around, &ALLOW).unwrap_or_else(|| panic!("{code}: works"));
    assert_eq!(found, code, "{hint}");
    let answer = doctor(place, around);
    answer.does_not_hold().says("wall", "enforced", "").says("network", "enforced", "");
    answer.says("gateway", "absent", &format!("`run --allow` is refused here: {code}: "));
    answer.says("gateway", "absent", words);
    assert_eq!(answer.row("gateway")["remedy"], hint);
    assert_eq!(answer.in_state("absent"), ["gateway"]);
}

/// The bytes of the gateway's program, with the last byte of each `text` another one.
fn changed(text: &str) -> Vec<u8> {
    let mut bytes = fs::read(programs().join(GATEWAY)).unwrap();
    let at: Vec<_> =
        (0..bytes.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes())).collect();
    assert!(!at.is_empty(), "the gateway knows {text}");
    at.iter().for_each(|at| bytes[at + text.len() - 1] = b'z');
    bytes
}

#[test]
fn its_program_is_missing_or_another() {
    let place = Place::new();
    let bin = place.root.join("bin");
    fs::create_dir(&bin).unwrap();
    let around = format!("shift; exec {}/cofferdam \"$@\"", bin.display());
    let put = |name: &str, bytes: &[u8]| {
        fs::write(place.out.join("new"), bytes).unwrap();
        // By a process of its own: whatever another test starts meanwhile holds this one's files open,
        // and nobody may start a program that is open for writing.
        let mut install = place.command("install");
        install.args(["-m", "755"]).args([place.out.join("new"), bin.join(name)]);
        finish(&mut install).works("a program is put there");
    };
    let built = |name: &str| fs::read(programs().join(name)).unwrap();
    for name in ["cofferdam", "cofferdam-init"] {
        put(name, &built(name));
    }
    refused(&place, &around, "program-missing", "cofferdam-gateway is missing");
    put(GATEWAY, b"#!/bin/sh\nexit 0\n");
    refused(&place, &around, "gateway-died", "without a word");

    // It stands, and says no otherwise than the wall does.
    put(GATEWAY, &changed("host-not-allowed"));
    assert_eq!(run_with(&place, &around, &ALLOW), None, "`run` cannot know");
    let words = "denied-proxied came to";
    doctor(&place, &around).does_not_hold().says("gateway", "absent", words);

    put(GATEWAY, &built(GATEWAY));
    doctor(&place, &around).holds().says("gateway", "enforced", "");
    assert_eq!(run_with(&place, &around, &ALLOW), None, "the true one");
}

#[test]
fn a_kernel_that_it_cannot_hear_with_is_named() {
    let (epoll_create1, bind, enosys) = (291, 49, 38);
    let place = Place::new();
    refused(&place, &without(&place, epoll_create1, enosys), "gateway-died", "gateway");
    // "Done", and nothing is: only who tries finds it out.
    let around = without(&place, bind, 0);
    assert_eq!(run_with(&place, &around, &ALLOW), None, "`run` cannot know");
    let words = "inside, allowed-direct failed: connection refused";
    doctor(&place, &around).does_not_hold().says("gateway", "absent", words);
    assert_eq!(run_with(&place, NOTHING, &ALLOW), None, "the control");
}
