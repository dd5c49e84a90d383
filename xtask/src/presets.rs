//! `cargo xtask presets`: the tests of presets with every toolchain that registries have, and
//! `cargo xtask agents`: those of agents at work. Too large for CI, where those that Debian brings
//! cheaply are tested.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::test::{cargo_test, install, step};

/// From Debian, beside what every test needs.
const NEEDS: &[(&str, &str)] = &[
    ("/usr/bin/go", "golang-go"),
    ("/usr/bin/java", "default-jre-headless"),
    ("/usr/bin/mvn", "maven"),
    ("/usr/bin/ruby", "ruby"),
    ("/usr/bin/bundle", "bundler"),
    ("/usr/bin/npm", "npm"),
];

/// From npm.
const FROM_NPM: &[&str] = &["bun@1.4.5", "deno@2.9.6"];

/// From npm: the agents that the presets were written for and tried with.
const AGENTS: &[&str] = &["@openai/codex@0.169.0", "@anthropic-ai/claude-code@2.1.197"];

/// What the tests of agents need from Debian.
const AGENTS_NEED: &[(&str, &str)] = &[
    ("/usr/bin/node", "nodejs"),
    ("/usr/bin/npm", "npm"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/tmux", "tmux"),
];

/// Names of programs, each with its path below `node_modules`: the program itself, not
/// the script that starts it.
const PROGRAMS: &[(&str, &str)] = &[
    ("bun", "bun/bin/bun.exe"),
    ("deno", "deno/deno"),
    ("codex", "@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex"),
    ("claude", "@anthropic-ai/claude-code-linux-x64/claude"),
];

pub(crate) fn run() -> Result<(), String> {
    install(NEEDS)?;
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    let folder = folder.join("target/presets");
    let bin = folder.join("bin");
    std::fs::create_dir_all(&bin).map_err(|error| format!("{}: {error}", bin.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    npm.args(FROM_NPM).args(AGENTS);
    step("install from npm", &mut npm)?;
    let venv = folder.join("venv");
    step("make an environment", Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = venv.join("bin/pip");
    step("install from PyPI", Command::new(pip).args(["install", "-q", "uv==0.13.9"]))?;
    for (name, below) in PROGRAMS {
        link(&folder.join("node_modules").join(below), &bin.join(name))?;
    }
    link(&venv.join("bin/uv"), &bin.join("uv"))?;
    step(
        "presets",
        cargo_test()
            .args(["-p", "cofferdam", "--test", "presets", "--", "--nocapture"])
            .env("COFFERDAM_TOOLS", &folder),
    )
}

/// `cargo xtask agents`: the agents as a person without root has them from npm, and a turn of each.
pub(crate) fn agents() -> Result<(), String> {
    install(AGENTS_NEED)?;
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    let folder = folder.join("target/presets");
    let mut npm = Command::new("npm");
    npm.args(["install", "--global", "--no-audit", "--no-fund", "--prefix"]);
    step("install from npm", npm.arg(folder.join("npm-global")).args(AGENTS))?;
    step("agents", Command::new("tests/acceptance/agents.sh").env("COFFERDAM_TOOLS", &folder))
}

fn link(from: &Path, at: &Path) -> Result<(), String> {
    if !from.exists() {
        return Err(format!("{} is not there: has its package changed?", from.display()));
    }
    drop(std::fs::remove_file(at));
    symlink(from, at).map_err(|error| format!("{}: {error}", at.display()))
}
