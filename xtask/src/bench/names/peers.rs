//! Other programs that let a command talk to hosts by name, as npm has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::test::step;

/// From npm, in the versions that the settings below were written for.
const FROM_NPM: [&str; 2] = ["@anthropic-ai/sandbox-runtime@0.0.83", "@openai/codex@0.169.0"];
/// How they call the server on this machine: they look names up outside, and have no `dial`.
pub(super) const WAY: &str = "localhost";

/// Its proxy is off unless asked for, and its rules of hosts are without effect then.
const CODEX: &str = r#"
default_permissions = "bench"
[features.network_proxy]
enabled = true
[permissions.bench.filesystem]
":root" = "read"
":minimal" = "read"
[permissions.bench.filesystem.":workspace_roots"]
"." = "write"
[permissions.bench.network]
enabled = true
mode = "full"
allow_local_binding = true
[permissions.bench.network.domains]
"localhost" = "allow"
"#;

/// The first of them.
pub(super) const SRT: &str = "srt";

/// One of them, with its settings.
pub(super) struct Peer {
    pub(super) name: &'static str,
    program: PathBuf,
    /// What comes before a command.
    words: Vec<String>,
    /// Where its own files are.
    home: PathBuf,
}

impl Peer {
    pub(super) fn command(&self, work: &Path, words: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(work).env("CODEX_HOME", &self.home).args(&self.words).args(words);
        command.stdin(Stdio::null());
        command
    }
}

/// Installs them below `target`, where a second run finds them.
pub(super) fn installed(scratch: &Path) -> Result<Vec<Peer>, String> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = folder.join("peers");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let folder = fs::canonicalize(&folder).map_err(|error| error.to_string())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).args(FROM_NPM);
    step("install from npm", &mut npm)?;
    Ok(vec![srt(&folder, scratch)?, codex(&folder)?])
}

fn srt(folder: &Path, scratch: &Path) -> Result<Peer, String> {
    let home = scratch.join("srt");
    let settings = home.join("settings.json");
    let text = format!(
        "{{\"network\": {{\"allowedDomains\": [\"{WAY}\"], \"deniedDomains\": []}},\n\
         \"filesystem\": {{\"denyRead\": [], \"allowWrite\": [\".\"], \"denyWrite\": []}}}}\n"
    );
    keep(&settings, &text)?;
    let words = vec!["--settings".into(), settings.display().to_string()];
    Ok(Peer { name: SRT, program: folder.join("node_modules/.bin/srt"), words, home })
}

/// Its home lies beside it: below a temporary directory it makes no programs of its own, and fails.
fn codex(folder: &Path) -> Result<Peer, String> {
    let home = folder.join("codex-home");
    keep(&home.join("config.toml"), CODEX)?;
    let words = ["sandbox", "-P", "bench", "--"].map(str::to_owned).to_vec();
    Ok(Peer { name: "codex", program: folder.join("node_modules/.bin/codex"), words, home })
}

fn keep(path: &Path, text: &str) -> Result<(), String> {
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    made.and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}
