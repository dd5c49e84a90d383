//! Origins that a test plays: `/played/NAME/...` is answered by the program `played/NAME.py` below `www`.
//!
//! It reads the head as it came and the body, and writes a whole answer, which goes on as it comes.
//! `/git/locked/...` is for who sends the `Authorization` that `git/locked/wanted` holds.

use std::io::{Error, Result, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{header, whole};
use crate::internet::log::Request;

/// Whether it is answered here.
pub fn serve(folder: &Path, request: &Request, to: &mut impl Write) -> Result<bool> {
    let www = folder.join("www");
    if request.target.starts_with("/git/locked/") {
        let wanted = std::fs::read_to_string(www.join("git/locked/wanted"))?;
        if header(&request.head, "authorization").eq([wanted.as_str()]) {
            return Ok(false);
        }
        let kind = "text/plain\r\nWWW-Authenticate: Basic realm=\"locked\"";
        whole(to, "401 Unauthorized", kind, b"who are you?\n")?;
        return Ok(true);
    }
    let name = request.target.strip_prefix("/played/").and_then(|rest| rest.split('/').next());
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase());
    let Some(name) = name.filter(plain) else { return Ok(false) };
    let mut child = Command::new("/usr/bin/python3")
        .arg(www.join(format!("played/{name}.py")))
        .env("VERSION", if request.two { "2" } else { "1" })
        .env("AUTHORITY", request.hosts.first().map_or("", String::as_str))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or(Error::other("no input"))?;
    let mut output = child.stdout.take().ok_or(Error::other("no output"))?;
    let asked = [request.head.as_bytes(), request.body.as_slice()].concat();
    let writer = std::thread::spawn(move || input.write_all(&asked));
    let copied = std::io::copy(&mut output, to);
    drop((writer.join(), child.wait()));
    copied.map(|_| true)
}
