//! Packages of the registries that people use, pinned, fetched once by a test program. They lie beside the
//! internet's own files, and go with it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::internet::Internet;
use crate::support::finish;

/// How long a registry may take. Seconds.
const FETCH_SECONDS: &str = "40";

static KNOWN: Mutex<Option<HashMap<String, Option<String>>>> = Mutex::new(None);

/// Where packages of Python's are that were fetched under this name; says why where they are not.
pub(crate) fn python(net: &Internet, name: &str, packages: &[&str]) -> Option<String> {
    fetched(net, name, |to| {
        let mut command = Command::new("timeout");
        command.args([FETCH_SECONDS, "/usr/bin/python3", "-m", "pip", "install", "-q"]);
        command.args(["--disable-pip-version-check", "--retries", "1", "--only-binary", ":all:"]);
        command.args(["--no-compile", "--target"]).arg(to).args(packages);
        command
    })
}

/// The same of npm's; they are in `node_modules` there.
pub(crate) fn node(net: &Internet, name: &str, packages: &[&str]) -> Option<String> {
    fetched(net, name, |to| {
        let mut command = Command::new("timeout");
        command.args([FETCH_SECONDS, "npm", "install", "--silent", "--no-audit", "--no-fund"]);
        command.args(["--ignore-scripts", "--fetch-retries", "1", "--prefix"]).arg(to);
        command.args(packages);
        command
    })
}

fn fetched(net: &Internet, name: &str, fetch: impl Fn(&Path) -> Command) -> Option<String> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known.get_or_insert_default().entry(name.to_owned()).or_insert_with(|| {
        let to = net.www().with_file_name("fetched").join(name);
        std::fs::create_dir_all(&to).unwrap();
        let ran = finish(&mut fetch(&to));
        if ran.status == Some(0) {
            return Some(to.display().to_string());
        }
        let why = ran.err.lines().chain(ran.out.lines()).last().unwrap_or_default();
        println!("not run: {name} with a stand-in: it could not be fetched: {why}");
        None
    });
    found.clone()
}
