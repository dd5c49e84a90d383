//! Both builds of `runsc` that must work: Debian's of 2022 and the next suite's of 2024, unpacked, not
//! installed, from the mirror that this machine uses and by lists of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where `cargo xtask test` has them.
pub(crate) const PLACE: &str = "target/runsc";
/// The year of each and the suite that has it; Debian 12 and 13.
const BUILDS: [(&str, &str); 2] = [("2022", "bookworm"), ("2024", "trixie")];
/// Who has signed them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Puts them to `YEAR/usr/bin/runsc` in `into`, where they are not there yet.
pub(crate) fn run(into: &str) -> Result<(), String> {
    let into = PathBuf::from(into);
    let path = |error: std::io::Error| format!("{}: {error}", into.display());
    fs::create_dir_all(&into).map_err(path)?;
    let into = fs::canonicalize(&into).map_err(path)?;
    for (year, suite) in BUILDS {
        let program = into.join(year).join("usr/bin/runsc");
        if !program.is_file() {
            fetch(&into, year, suite)
                .map_err(|why| format!("runsc of {year} cannot be had from {suite}: {why}"))?;
        }
        println!("{}", program.display());
    }
    Ok(())
}

fn fetch(into: &Path, year: &str, suite: &str) -> Result<(), String> {
    let system = |error: std::io::Error| error.to_string();
    let work = into.join(format!(".{year}"));
    match fs::remove_dir_all(&work) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(system(error)),
        Ok(()) | Err(_) => {}
    }
    for folder in ["lists/partial", "cache/archives/partial", "parts", "unpacked"] {
        fs::create_dir_all(work.join(folder)).map_err(system)?;
    }
    let source = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?);
    fs::write(work.join("sources.list"), source).map_err(system)?;
    apt(&work, &["update"])?;
    apt(&work, &["download", "runsc"])?;
    let entries = fs::read_dir(&work).map_err(system)?;
    let mut packages = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let package = packages.find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let package = package.ok_or("apt-get has downloaded nothing")?;
    let unpacked = work.join("unpacked");
    said(Command::new("dpkg-deb").arg("-x").args([&package, &unpacked]))?;
    fs::rename(&unpacked, into.join(year)).map_err(system)?;
    fs::remove_dir_all(&work).map_err(system)
}

/// Where this machine's packages come from; the one for security has no other suites.
fn mirror() -> Result<String, String> {
    let said = said(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let mirror = said.lines().find(|line| line.trim_end_matches('/').ends_with("/debian"));
    mirror.map(str::to_owned).ok_or_else(|| "this machine has no mirror of Debian".into())
}

/// `apt-get` with lists and a cache of its own.
fn apt(work: &Path, words: &[&str]) -> Result<String, String> {
    let options = [
        ("Dir::State::lists", "lists"),
        ("Dir::Cache", "cache"),
        ("Dir::Etc::sourcelist", "sources.list"),
        ("Dir::Etc::sourceparts", "parts"),
        ("Dir::Etc::preferencesparts", "parts"),
    ];
    let mut command = Command::new("apt-get");
    for (name, at) in options {
        command.arg("-o").arg(format!("{name}={}", work.join(at).display()));
    }
    // Its own user cannot reach a checkout below root's home.
    command.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
    said(command.args(words).current_dir(work))
}

fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_os_string();
    let name = name.display();
    let ran = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&ran.stderr);
    Err(format!("{name}: {}: {}", ran.status, words.trim()))
}
