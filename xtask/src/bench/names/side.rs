//! The two sides: a client inside, by names, and the same one outside, by addresses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::peer::{self, servers};

const TLS_PEER: &str = include_str!("tls_peer.py");
/// Debian's own: whatever a person has put before it is not in view inside.
const PYTHON: &str = "/usr/bin/python3";

/// Servers on the host's loopback.
pub(super) struct Sites {
    pub(super) flood: SocketAddr,
    /// A bare splice proxy before `flood`.
    pub(super) flood_spliced: SocketAddr,
    pub(super) http: SocketAddr,
    /// A bare splice proxy before `http`.
    pub(super) spliced: SocketAddr,
    pub(super) echo: SocketAddr,
    pub(super) tls: TlsSite,
    /// The same, which says nothing of its own after a handshake.
    pub(super) terse: TlsSite,
    folder: PathBuf,
}

/// A server of TLS, which ends with its input.
pub(super) struct TlsSite {
    pub(super) port: u16,
    child: Child,
}

impl Drop for TlsSite {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

impl Sites {
    /// Brings all of them up, with files in `scratch`'s workspace.
    pub(super) fn up(scratch: &Path) -> Result<Self, String> {
        let folder = scratch.join("names");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        certificate(&folder)?;
        fs::write(folder.join("tls_peer.py"), TLS_PEER).map_err(|error| error.to_string())?;
        let up = || {
            let http = servers::serve(servers::http)?;
            let spliced = servers::serve(move |stream| servers::splicing(stream, http))?;
            let (flood, echo) = (servers::serve(servers::flood)?, servers::serve(servers::echo)?);
            let flood_spliced = servers::serve(move |stream| servers::splicing(stream, flood))?;
            let (tls, terse) = (tls_site(&folder, "2")?, tls_site(&folder, "0")?);
            Ok::<_, std::io::Error>(Self {
                flood,
                flood_spliced,
                http,
                spliced,
                echo,
                tls,
                terse,
                folder,
            })
        };
        up().map_err(|error| format!("servers: {error}"))
    }

    /// Path of the certificate, inside and outside.
    pub(super) fn certificate(&self) -> String {
        self.folder.join("leaf.pem").display().to_string()
    }

    fn policy(&self) -> String {
        let rule = |host: &str, port: u16, protocol: &str, dial: SocketAddr| {
            format!(
                "[[network.allow]]\nhost = \"{host}\"\nports = [{port}]\n\
                 protocol = \"{protocol}\"\ndial = \"{dial}\"\n"
            )
        };
        let at = |site: &TlsSite| SocketAddr::from(([127, 0, 0, 1], site.port));
        let rules = [
            rule("flood.test", 443, "tcp", self.flood),
            rule("http.test", 80, "http", self.http),
            rule("good.test", 443, "tls", at(&self.tls)),
            rule("terse.test", 443, "tls", at(&self.terse)),
            rule("held.test", 443, "tls", self.echo),
        ];
        format!("version = 1\n{}", rules.concat())
    }
}

/// One certificate for the names of both servers, which signs itself.
fn certificate(folder: &Path) -> Result<(), String> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=good.test", "-addext"]);
    openssl.arg("subjectAltName=DNS:good.test,DNS:terse.test");
    openssl.arg("-keyout").arg(folder.join("leaf.key")).arg("-out").arg(folder.join("leaf.pem"));
    let made = openssl.output().map_err(|error| format!("openssl: {error}"))?;
    if made.status.success() {
        return Ok(());
    }
    Err(format!("openssl: {}", String::from_utf8_lossy(&made.stderr)))
}

/// A server with so many tickets a handshake.
fn tls_site(folder: &Path, tickets: &str) -> std::io::Result<TlsSite> {
    let mut child = Command::new(PYTHON)
        .arg(folder.join("tls_peer.py"))
        .arg("server")
        .args([folder.join("leaf.pem"), folder.join("leaf.key")])
        .arg(tickets)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    BufReader::new(out).read_line(&mut line)?;
    let port = line.trim().parse().map_err(std::io::Error::other)?;
    Ok(TlsSite { port, child })
}

/// Commands on either side.
pub(super) struct Side {
    cofferdam: PathBuf,
    policy: PathBuf,
    log: PathBuf,
    /// This program, copied to where it is in view.
    program: PathBuf,
    /// The workspace.
    pub(super) work: PathBuf,
}

impl Side {
    pub(super) fn new(cofferdam: PathBuf, scratch: &Path, sites: &Sites) -> Result<Self, String> {
        let work = sites.folder.clone();
        let (policy, program) = (scratch.join("names.toml"), work.join("peer"));
        fs::write(&policy, sites.policy()).map_err(|error| error.to_string())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        fs::copy(this, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(Self { cofferdam, policy, log: scratch.join("log/audit.jsonl"), program, work })
    }

    /// `cofferdam run` with these options.
    pub(super) fn named(&self, options: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(&self.work).args(["run", "--quiet", "--audit"]).arg(&self.log);
        command.args(options).arg("--").args(words);
        command
    }

    fn ruled(&self) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(&self.work).args(["run", "--quiet", "--audit"]).arg(&self.log);
        command.arg("--policy").arg(&self.policy).arg("--");
        command
    }

    /// This program's client, inside.
    pub(super) fn inside(&self, words: &[&str]) -> Command {
        let mut command = self.ruled();
        command.arg(&self.program).arg(peer::TASK).args(words);
        command
    }

    /// The same outside.
    pub(super) fn outside(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.work).arg(peer::TASK).args(words);
        command
    }

    pub(super) fn tls_words(&self, words: &[&str]) -> Vec<String> {
        let script = self.work.join("tls_peer.py").display().to_string();
        let all = [PYTHON.to_owned(), "-I".into(), script].into_iter();
        all.chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    pub(super) fn tls_inside(&self, words: &[&str]) -> Command {
        let mut command = self.ruled();
        command.args(self.tls_words(words));
        command
    }

    pub(super) fn tls_outside(&self, words: &[&str]) -> Command {
        let words = self.tls_words(words);
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or(PYTHON, String::as_str));
        command.current_dir(&self.work).args(words);
        command
    }
}
