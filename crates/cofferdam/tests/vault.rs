//! `cofferdam vault`: secrets go in and stay in, whatever happens meanwhile.
#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "panics are how tests fail"
)]

#[path = "vault/commands.rs"]
mod commands;
#[path = "vault/faults.rs"]
mod faults;
#[path = "vault/keychain.rs"]
mod keychain;
#[path = "support/mod.rs"]
mod support;
#[path = "vault/terminal.rs"]
mod terminal;
#[path = "vault/writer.rs"]
mod writer;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::{Place, Ran, finish, programs};

/// `cofferdam vault` with the rest to come.
fn command(place: &Place) -> Command {
    let mut command = place.command(programs().join("cofferdam"));
    command.arg("vault").env_remove("COFFERDAM_VAULT_PASSPHRASE_FD");
    command
}

/// `cofferdam vault WORDS` with these bytes on standard input.
fn piped(place: &Place, words: &[&str], bytes: &[u8]) -> Ran {
    let path = place.root.join("stdin");
    fs::write(&path, bytes).unwrap();
    let ran = finish(command(place).args(words).stdin(fs::File::open(&path).unwrap()));
    fs::remove_file(&path).unwrap();
    ran
}

/// The same by a pipe, in these pieces.
fn in_pieces(place: &Place, words: &[&str], pieces: &[&[u8]]) -> Ran {
    let mut child = command(place)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for piece in pieces {
        stdin.write_all(piece).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same with these lines on descriptor 3, for passphrases.
fn with_phrases(place: &Place, words: &[&str], value: &str, lines: &str) -> Ran {
    place.write("phrases", lines);
    place.write("value", value);
    let script = "exec 3<$P/phrases; exec \"$0\" vault \"$@\" <$P/value";
    let mut command = place.command("sh");
    let program = programs().join("cofferdam");
    command.args(["-c", script]).arg(program).args(words).env("P", &place.root);
    let ran = finish(command.env("COFFERDAM_VAULT_PASSPHRASE_FD", "3"));
    fs::remove_file(place.root.join("phrases")).unwrap();
    fs::remove_file(place.root.join("value")).unwrap();
    ran
}

fn file(place: &Place, name: &str) -> PathBuf {
    place.home.join(".config/cofferdam/vault").join(name)
}

/// Every file of the vault, with its bytes.
fn files(place: &Place) -> Vec<Option<Vec<u8>>> {
    ["vault.age", "vault.age.previous", "vault.key"]
        .map(|name| fs::read(file(place, name)).ok())
        .into()
}

/// The names that are listed.
#[track_caller]
fn names(place: &Place) -> Vec<String> {
    let ran = finish(command(place).args(["list", "--json"])).works("a list");
    let object: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let rows = object["secrets"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}
