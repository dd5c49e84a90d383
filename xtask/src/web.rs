//! A host that is looked into: a server of HTTP/1.1, HTTP/2 and WebSocket in TLS, on the host's loopback.
//! It is a program of Node.js, which shares no code with what looks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = include_str!("web.mjs");
const NODE: &str = "/usr/bin/node";

/// The server, which ends with its input.
pub(crate) struct Web {
    pub(crate) port: u16,
    folder: PathBuf,
    child: Child,
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

impl Web {
    /// Brings it up, with its files in a folder that is made.
    pub(crate) fn up(folder: PathBuf) -> Result<Self, String> {
        let made = fs::create_dir_all(&folder).and_then(|()| {
            fs::write(folder.join("web.mjs"), PROGRAM)?;
            fs::write(folder.join("ext"), "subjectAltName=DNS:web.test,DNS:localhost\n")
        });
        made.map_err(|error| format!("{}: {error}", folder.display()))?;
        certificates(&folder)?;
        let mut command = Command::new(NODE);
        command.arg(folder.join("web.mjs")).arg("server");
        command.arg(folder.join("leaf.pem")).arg(folder.join("leaf.key"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{NODE}: {error}"))?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
        let port = line.trim().parse().map_err(|_| format!("{NODE} says: {line}"))?;
        Ok(Self { port, folder, child })
    }

    /// Whom to believe, to ask it.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A policy that leads `web.test` here, with these keys.
    pub(crate) fn policy(&self, keys: &str) -> String {
        let (authority, port) = (self.authority(), self.port);
        format!(
            "version = 1\n[network]\ntrust_ca = [{authority:?}]\n[[network.allow]]\nhost = \"web.test\"\n\
             dial = \"127.0.0.1:{port}\"\n{keys}\n"
        )
    }

    /// Its client's words, in a workspace.
    pub(crate) fn client(work: &Path, seconds: u64) -> Result<Vec<String>, String> {
        let program = work.join("web.mjs");
        fs::write(&program, PROGRAM).map_err(|error| format!("{}: {error}", program.display()))?;
        let seconds = seconds.to_string();
        Ok(vec![NODE.into(), program.display().to_string(), "client".into(), seconds])
    }
}

/// An authority, and what it signs.
fn certificates(folder: &Path) -> Result<(), String> {
    let script = "set -e; cd \"$0\"; key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -days 2 -subj /CN=web -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.pem
        openssl req $key -subj /CN=web.test -keyout leaf.key -out leaf.csr
        openssl x509 -req -days 2 -in leaf.csr -CA ca.pem -CAkey ca.key -extfile ext -out leaf.pem";
    let made = Command::new("sh").args(["-c", script]).arg(folder).output();
    let made = made.map_err(|error| format!("sh: {error}"))?;
    if made.status.success() {
        return Ok(());
    }
    Err(format!("openssl: {}", String::from_utf8_lossy(&made.stderr)))
}
