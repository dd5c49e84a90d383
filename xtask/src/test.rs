//! `cargo xtask test`: everything that must hold, in the order in which it fails soonest.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::runsc;

/// Programs and files that the tests use, with the Debian package that brings each.
const NEEDS: &[(&str, &str)] = &[
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3.11/ensurepip", "python3-venv"),
    ("/usr/lib/python3/dist-packages/pytest", "python3-pytest"),
    ("/usr/lib/python3/dist-packages/jsonschema", "python3-jsonschema"),
    ("/usr/lib/python3/dist-packages/grpc", "python3-grpcio"),
    ("/usr/lib/python3/dist-packages/h2", "python3-h2"),
    ("/usr/lib/python3/dist-packages/httpx", "python3-httpx"),
    ("/usr/lib/python3/dist-packages/aiohttp", "python3-aiohttp"),
    ("/usr/lib/python3/dist-packages/requests", "python3-requests"),
    ("/usr/bin/git", "git"),
    ("/usr/bin/node", "nodejs"),
    ("/usr/bin/ruby", "ruby"),
    ("/usr/bin/make", "make"),
    ("/usr/bin/gcc", "gcc"),
    ("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"),
    ("/usr/bin/sqlite3", "sqlite3"),
    ("/usr/bin/rg", "ripgrep"),
    ("/usr/bin/script", "bsdutils"),
    ("/usr/bin/unshare", "util-linux"),
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/bin/ps", "procps"),
    ("/usr/bin/strace", "strace"),
    ("/usr/bin/vim", "vim"),
    ("/usr/bin/less", "less"),
    ("/usr/bin/htop", "htop"),
    ("/usr/bin/tmux", "tmux"),
    ("/usr/bin/mandoc", "mandoc"),
    ("/usr/bin/zsh", "zsh"),
    ("/usr/bin/fish", "fish"),
    ("/usr/bin/ip", "iproute2"),
    ("/usr/bin/curl", "curl"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/openssl", "openssl"),
];

/// One profile for everything, so that everything is built once.
const PROFILE: [&str; 3] = ["--profile", "ci", "--locked"];

pub(crate) fn run() -> Result<(), String> {
    packages()?;
    step("format", Command::new("cargo").args(["fmt", "--all", "--check"]))?;
    step(
        "lints",
        Command::new("cargo")
            .args(["clippy", "--workspace", "--all-targets"])
            .args(PROFILE)
            .args(["--", "-D", "warnings"]),
    )?;
    step("unit tests", cargo_test().args(["--workspace", "--lib", "--bins"]))?;
    step("documentation's examples", cargo_test().args(["--workspace", "--doc"]))?;
    step("golden plans", cargo_test().args(["-p", "cofferdam-plan", "--tests"]))?;
    step("readers", cargo_test().args(["-p", "cofferdam-gateway", "--tests"]))?;
    step("tidy", cargo_test().args(["-p", "cofferdam", "--test", "tidy"]))?;
    step("build", Command::new("cargo").arg("build").args(PROFILE))?;
    step("fuzz", cargo_test().args(["-p", "cofferdam", "--test", "fuzz"]))?;
    first_command()?;
    println!("== runsc");
    // Without them, the tests that need one say so by name.
    if let Err(why) = runsc::run(runsc::PLACE) {
        println!("not run: {why}");
    }
    step(
        "the example",
        Command::new("cargo")
            .args(["run", "-q", "-p", "cofferdam", "--example", "embed"])
            .args(PROFILE),
    )?;
    // Containment, kernel, crash, agreement and broken policies run from there, as the caller and
    // as an ordinary user.
    // Each says what it found even where another has failed: one run tells everything.
    let failed: Vec<_> =
        ["wall", "daily", "names", "inspect", "vault", "trust", "broker", "gvisor"]
            .into_iter()
            .filter_map(|name| {
                let mut script = Command::new(format!("tests/acceptance/{name}.sh"));
                step(&format!("acceptance: {name}"), &mut script).err()
            })
            .collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// The first command of the README, in a tree where only `cofferdam` itself was built.
fn first_command() -> Result<(), String> {
    println!("== the README's first command");
    let readme = std::fs::read_to_string("README.md").map_err(|error| error.to_string())?;
    let command = readme.lines().find(|line| line.starts_with("cargo run --release -- "));
    let command = command.ok_or("README.md has no first command")?;
    let command = command.replacen("--release", &PROFILE.join(" "), 1);
    let built = std::env::current_exe().map_err(|error| error.to_string())?;
    let programs = built.parent().unwrap_or(Path::new("."));
    match std::fs::remove_file(programs.join("cofferdam-init")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", programs.display()));
        }
        Ok(()) | Err(_) => {}
    }
    let state = std::env::temp_dir().join(format!("cofferdam-xtask-{}", std::process::id()));
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("XDG_STATE_HOME", &state).stdin(Stdio::null());
    let output = shell.output().map_err(|error| format!("sh: {error}"))?;
    drop(std::fs::remove_dir_all(&state));
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said == "may work here\nmay not read home\n" {
        return Ok(());
    }
    Err(format!("{command}: {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The test program `fuzz` with `rounds` changes of each sample, from another seed each time.
pub(crate) fn fuzz(rounds: u32) -> Result<(), String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = since.map_or(1, |since| since.as_secs());
    step(
        "fuzz",
        cargo_test()
            .args(["-p", "cofferdam", "--test", "fuzz", "--", "--nocapture"])
            .env("COFFERDAM_FUZZ_ROUNDS", rounds.to_string())
            .env("COFFERDAM_SEED", seed.to_string()),
    )
}

pub(crate) fn cargo_test() -> Command {
    let mut command = Command::new("cargo");
    command.args(["test", "-q"]).args(PROFILE);
    command
}

pub(crate) fn step(name: &str, command: &mut Command) -> Result<(), String> {
    println!("== {name}");
    let status = command.stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: cannot start {command:?}: {error}")),
    }
}

/// Installs what is missing, as root; says what is missing otherwise.
fn packages() -> Result<(), String> {
    install(NEEDS)
}

/// The same for a list of files, each with its package.
pub(crate) fn install(needs: &[(&str, &'static str)]) -> Result<(), String> {
    let missing = || {
        let absent = needs.iter().filter(|(file, _)| !Path::new(file).exists());
        absent.map(|(_, package)| *package).collect::<Vec<_>>()
    };
    let wanted = missing();
    if wanted.is_empty() {
        return Ok(());
    }
    let list = wanted.join(" ");
    let id = Command::new("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    if id.stdout != b"0\n" {
        return Err(format!("packages are missing; as root: apt-get install {list}"));
    }
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-y"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // A stale list is the usual reason for a failed installation.
    if step(&format!("install {list}"), apt(&["install"]).args(&wanted)).is_err() {
        step("refresh the package lists", &mut apt(&["update"]))?;
        step(&format!("install {list}"), apt(&["install"]).args(&wanted))?;
    }
    match missing().as_slice() {
        [] => Ok(()),
        still => Err(format!("still missing after the installation: {}", still.join(" "))),
    }
}
