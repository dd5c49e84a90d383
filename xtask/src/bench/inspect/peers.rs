//! Other programs that look into TLS, as PyPI and npm have them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::kept_folder;
use crate::test::{install, step};
use crate::web::Web;

/// In the versions that the settings below were written for.
const MITMPROXY: &str = "mitmproxy==11.0.2";
const SRT: &str = "@anthropic-ai/sandbox-runtime@0.0.83";
/// Whom both have to reach: they look names up outside, and have no `dial`.
const WAY: &str = "localhost";

/// One of them, running where it has to run beside its clients.
pub(super) struct Peer {
    pub(super) name: &'static str,
    program: Option<PathBuf>,
    /// What comes before a command.
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It is our child; one that has ended already is as good.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Peer {
    pub(super) fn command(&self, work: &Path, words: &[&str]) -> Command {
        let mut all = self.words.iter().map(String::as_str).chain(words.iter().copied());
        let program = match &self.program {
            Some(program) => program.clone(),
            None => all.next().unwrap_or("true").into(),
        };
        let mut command = Command::new(program);
        command.current_dir(work).args(all).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }
}

type Found = Result<Peer, (&'static str, String)>;

/// Installs them, where a second run finds them; one that cannot be, with the reason.
pub(super) fn installed(scratch: &Path, web: &Web) -> Result<Vec<Found>, String> {
    let folder = kept_folder()?;
    Ok(vec![
        mitmproxy(&folder, scratch, web).map_err(|why| ("mitmproxy", why)),
        srt(&folder, scratch, web).map_err(|why| ("srt with tlsTerminate", why)),
        Err((
            "nono",
            "it comes as source alone (cargo install nono-cli), and is not built by this".into(),
        )),
    ])
}

/// A proxy beside its clients, which passes bodies on as they come.
fn mitmproxy(folder: &Path, scratch: &Path, web: &Web) -> Result<Peer, String> {
    let place = folder.join("mitmproxy");
    if !place.join("bin/mitmdump").exists() {
        let mut make = Command::new("/usr/bin/python3");
        step("a place for mitmproxy", make.args(["-m", "venv"]).arg(&place))?;
        let mut pip = Command::new(place.join("bin/pip"));
        step("install from PyPI", pip.args(["install", "-q", MITMPROXY]))?;
    }
    let home = scratch.join("mitmproxy");
    let mut command = Command::new(place.join("bin/mitmdump"));
    command.arg("--set").arg(format!("confdir={}", home.display()));
    command
        .arg("--set")
        .arg(format!("ssl_verify_upstream_trusted_ca={}", web.authority().display()));
    command.args(["--set", "stream_large_bodies=1m", "--set", "flow_detail=0"]);
    command.args(["--listen-host", "127.0.0.1", "--listen-port", "0"]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let out = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(out).lines().map_while(Result::ok);
    let port = lines
        .find_map(|line| line.rsplit_once(':')?.1.trim().trim_end_matches('.').parse::<u16>().ok());
    std::thread::spawn(move || lines.for_each(drop));
    let mut peer = Peer {
        name: "mitmproxy",
        program: None,
        words: vec![],
        variables: vec![],
        child: Some(child),
    };
    let port = port.ok_or("mitmdump does not say its port")?;
    let authority = home.join("mitmproxy-ca-cert.pem").display().to_string();
    peer.variables.push(("https_proxy", format!("http://127.0.0.1:{port}")));
    peer.variables.push(("CURL_CA_BUNDLE", authority));
    Ok(peer)
}

fn srt(folder: &Path, scratch: &Path, web: &Web) -> Result<Peer, String> {
    install(&[("/usr/bin/bwrap", "bubblewrap"), ("/usr/bin/socat", "socat")])?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(folder).arg(SRT);
    step("install from npm", &mut npm)?;
    let home = scratch.join("srt-looks");
    let settings = home.join("settings.json");
    let text = format!(
        "{{\"network\": {{\"allowedDomains\": [\"{WAY}\"], \"deniedDomains\": [], \"tlsTerminate\": {{}}}},\n\
         \"filesystem\": {{\"denyRead\": [], \"allowWrite\": [\".\"], \"denyWrite\": []}}}}\n"
    );
    std::fs::create_dir_all(&home)
        .and_then(|()| std::fs::write(&settings, text))
        .map_err(|error| format!("{}: {error}", settings.display()))?;
    // Without the dashes it takes curl's own options for its.
    let words = vec!["--settings".into(), settings.display().to_string(), "--".into()];
    let variables = vec![("NODE_EXTRA_CA_CERTS", web.authority().display().to_string())];
    let program = Some(folder.join("node_modules/.bin/srt"));
    Ok(Peer { name: "srt with tlsTerminate", program, words, variables, child: None })
}
