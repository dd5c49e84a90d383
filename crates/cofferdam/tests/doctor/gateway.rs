//! The row `gateway`, in situations where all else holds: it says what `run --allow` says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::support::{Place, programs};
use super::{NOTHING, doctor, run, run_with, without};

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
    let mut bytes = fs::read(programs().join("cofferdam-gateway")).unwrap();
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
    for name in ["cofferdam", "cofferdam-init"] {
        fs::copy(programs().join(name), bin.join(name)).unwrap();
    }
    let around = format!("shift; exec {}/cofferdam \"$@\"", bin.display());
    let write = |bytes: &[u8]| {
        let path = bin.join("cofferdam-gateway");
        // Another file each time: one that was just started may be busy still.
        fs::remove_file(&path).unwrap_or(());
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    refused(&place, &around, "program-missing", "cofferdam-gateway is missing");
    write(b"#!/bin/sh\nexit 0\n");
    refused(&place, &around, "gateway-died", "without a word");

    // It stands, and says no otherwise than the wall does.
    write(&changed("host-not-allowed"));
    assert_eq!(run_with(&place, &around, &ALLOW), None, "`run` cannot know");
    let words = "denied-proxied came to";
    doctor(&place, &around).does_not_hold().says("gateway", "absent", words);

    write(&fs::read(programs().join("cofferdam-gateway")).unwrap());
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
