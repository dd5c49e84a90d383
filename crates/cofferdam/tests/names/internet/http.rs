//! The HTTP/1 server: it takes what comes, answers by path, and keeps every request as it came.
//!
//! `/chunked`, `/big/BYTES`, `/redirect?URL`, `/upgrade` and `/websocket` (101 and then an
//! echo), `/alternative` (names another server), `/close` (no answer), `/status/NUMBER`, `/slow/MS`,
//! `/git/...` (git's own server), files below `www` (`.gz` as a coding); any other path echoes the
//! head. What streams is in streams.rs, what a test's own program answers in played.rs.

mod played;
mod streams;

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::log::{Log, Request, Visit};
use super::pattern::Digest;
pub use streams::{EVENT_EACH, EVENTS, event};

/// No longer head or line is read.
const HEAD_MAX: u64 = 64 * 1024;
/// No longer body is read.
const BODY_MAX: u64 = 64 * 1024 * 1024;

/// A connection with what is known of it.
#[derive(Debug)]
pub struct Origin<'a> {
    pub log: Arc<Log>,
    /// In the log; none for what comes out of TLS: that is there already.
    pub visit: Option<&'a Visit>,
    /// Whom the client dialled.
    pub to: SocketAddr,
    /// Holds `www`.
    pub folder: &'a Path,
}

/// Bytes of a connection, written to the log as they come.
struct Wire<'a, R>(R, Option<&'a Visit>);

impl<R: Read> Read for Wire<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        let size = self.0.read(to)?;
        if let Some(visit) = self.1 {
            visit.received(&to[..size]);
        }
        Ok(size)
    }
}

impl Origin<'_> {
    /// Answers requests until the connection ends.
    pub fn serve(&self, from: impl Read, mut to: impl Write) -> Result<()> {
        let mut from = BufReader::new(Wire(from, self.visit));
        while let Some(request) = self.read(&mut from, &mut to)? {
            let close =
                header(&request.head, "connection").any(|v| v.eq_ignore_ascii_case("close"));
            self.log.request(request.clone());
            if let Some(then) = streams::serve(&request, &mut from, &mut to)? {
                match then {
                    Then::Next if !close => continue,
                    Then::Next | Then::Close | Then::Echo => return Ok(()),
                }
            }
            if request.method == "HEAD" {
                let answer = self.answers(&request)?;
                let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
                to.write_all(&answer[..end.map_or(answer.len(), |end| end + 4)])?;
                continue;
            }
            match self.answer(&request, &mut to)? {
                Then::Next if !close => {}
                Then::Next | Then::Close => return Ok(()),
                Then::Echo => {
                    let mut bytes = [0; 4096];
                    loop {
                        let size = from.read(&mut bytes)?;
                        if size == 0 {
                            return Ok(());
                        }
                        to.write_all(&bytes[..size])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next request, with its body: whatever a forgiving server would read.
    fn read(&self, from: &mut impl BufRead, to: &mut impl Write) -> Result<Option<Request>> {
        let mut head = Vec::new();
        loop {
            let size = from.take(HEAD_MAX).read_until(b'\n', &mut head)?;
            if size == 0 {
                return Ok(None);
            }
            let empty = head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n");
            if empty || head.len() as u64 > HEAD_MAX {
                break;
            }
        }
        let head: String = head.iter().copied().map(char::from).collect();
        let waits = header(&head, "expect").any(|value| value.eq_ignore_ascii_case("100-continue"));
        let target = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        if waits && target == "/refuse" {
            // Not a byte of the body is wanted.
            to.write_all(
                b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            )?;
        } else if waits {
            to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Body { sunk: (target == "/sink").then(Digest::default), ..Body::default() };
        if waits && target == "/refuse" {
            // It does not come.
        } else if is_chunked(&head) {
            body.chunks(from)?;
        } else if let Some(size) = header(&head, "content-length").next() {
            let size: u64 = size.parse().map_err(Error::other)?;
            body.take(from, size)?;
            body.framed.clone_from(&body.bytes);
        }
        if let Some(digest) = body.sunk.take() {
            body.bytes = digest.line().into_bytes();
        }
        let mut words = head.split_whitespace();
        Ok(Some(Request {
            to: self.to,
            tls: self.visit.is_none(),
            method: words.next().unwrap_or_default().to_owned(),
            target: words.next().unwrap_or_default().to_owned(),
            hosts: header(&head, "host").map(str::to_owned).collect(),
            head,
            body: body.bytes,
            two: false,
            framed: body.framed,
            trailers: body.trailers,
        }))
    }

    /// A whole answer.
    pub fn answers(&self, request: &Request) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.answer(request, &mut bytes)?;
        Ok(bytes)
    }

    fn answer(&self, request: &Request, to: &mut impl Write) -> Result<Then> {
        if played::serve(self.folder, request, to)? {
            return Ok(Then::Next);
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let size = path.strip_prefix("/big/").and_then(|size| size.parse::<u64>().ok());
        let file = path.strip_prefix('/').map(|name| self.folder.join("www").join(name));
        let climbs = Path::new(path).components().any(|part| part == Component::ParentDir);
        match path {
            "/close" | "/refuse" => return Ok(Then::Close),
            "/upgrade" => {
                to.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")?;
                return Ok(Then::Echo);
            }
            "/websocket" => {
                to.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
                return Ok(Then::Echo);
            }
            "/alternative" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nAlt-Svc: h3=\"evil.test:443\"\r\nContent-Length: 12\r\n\r\nalternative\n")?;
            }
            "/chunked" => {
                to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                to.write_all(b"4\r\none \r\n4\r\ntwo \r\n6\r\nthree\n\r\n0\r\n\r\n")?;
            }
            "/redirect" => {
                let to_whom = format!("Location: {query}\r\nContent-Length: 0");
                to.write_all(format!("HTTP/1.1 302 Found\r\n{to_whom}\r\n\r\n").as_bytes())?;
            }
            _ if size.is_some() => {
                let size = size.unwrap_or_default();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
                to.write_all(head.as_bytes())?;
                std::io::copy(&mut std::io::repeat(b'x').take(size), to)?;
            }
            _ if path.starts_with("/git/") => self.git(request, to)?,
            _ if path.starts_with("/status/") => {
                whole(to, &format!("{} Said", &path[8..]), "text/plain", b"status\n")?
            }
            _ if path.starts_with("/slow/") => {
                let wait = path[6..].parse().map_err(Error::other)?;
                std::thread::sleep(Duration::from_millis(wait));
                whole(to, "200 OK", "text/plain", b"slow\n")?;
            }
            _ => {
                let index =
                    |file: PathBuf| if file.is_dir() { file.join("index.html") } else { file };
                let file = file.map(index).filter(|file| !climbs && file.is_file());
                let kind = match file.as_ref().and_then(|file| file.extension()) {
                    Some(end) if end == "gz" => "text/html\r\nContent-Encoding: gzip",
                    Some(_) | None => "text/html",
                };
                let body = match file.map(std::fs::read) {
                    Some(bytes) => bytes?,
                    None => format!("{}\n{}", self.to, request.head).into_bytes(),
                };
                whole(to, "200 OK", kind, &body)?;
            }
        }
        Ok(Then::Next)
    }

    /// Asks git's own server (git-http-backend(1)), which speaks CGI.
    fn git(&self, request: &Request, to: &mut impl Write) -> Result<()> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let first = |name| header(&request.head, name).next().unwrap_or_default();
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.folder.join("www"))
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "anybody")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", first("content-type"))
            .env("HTTP_CONTENT_ENCODING", first("content-encoding"))
            .env("GIT_PROTOCOL", first("git-protocol"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().ok_or(Error::other("no input"))?;
        let body = request.body.clone();
        let writer = std::thread::spawn(move || input.write_all(&body));
        let output = child.wait_with_output()?;
        drop(writer.join());
        let bytes = output.stdout;
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head: String = bytes[..end].iter().copied().map(char::from).collect();
        let head = format!("CGI\r\n{head}");
        let status = header(&head, "status").next().unwrap_or("200 OK");
        let kind = header(&head, "content-type").next().unwrap_or("text/plain");
        whole(to, status, kind, bytes.get(end + 4..).unwrap_or_default())
    }
}

/// What comes after an answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    Next,
    Echo,
    Close,
}

fn whole(to: &mut impl Write, status: &str, kind: &str, body: &[u8]) -> Result<()> {
    if status.starts_with("204 ") || status.starts_with("304 ") {
        return write!(to, "HTTP/1.1 {status}\r\n\r\n");
    }
    let size = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n");
    // At once, or a client's first read ends in the middle of the head.
    to.write_all(&[head.as_bytes(), body].concat())
}

/// A body as it comes.
#[derive(Debug, Default)]
struct Body {
    bytes: Vec<u8>,
    framed: Vec<u8>,
    trailers: String,
    /// Where nothing is kept.
    sunk: Option<Digest>,
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").any(|v| v.to_ascii_lowercase().contains("chunked"))
}

impl Body {
    fn take(&mut self, from: &mut impl BufRead, size: u64) -> Result<()> {
        let Some(digest) = &mut self.sunk else {
            let before = self.bytes.len();
            if before as u64 + size > BODY_MAX {
                return Err(Error::other("too long"));
            }
            from.take(size).read_to_end(&mut self.bytes)?;
            return Ok(());
        };
        let mut from = from.take(size);
        loop {
            let bytes = from.fill_buf()?;
            let size = bytes.len();
            if size == 0 {
                return Ok(());
            }
            digest.add(bytes);
            from.consume(size);
        }
    }

    fn chunks(&mut self, from: &mut impl BufRead) -> Result<()> {
        loop {
            let line = self.line(from)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(Error::other)?;
            if size == 0 {
                break;
            }
            let before = self.bytes.len();
            self.take(from, size)?;
            self.framed.extend(&self.bytes[before..]);
            self.line(from)?;
        }
        loop {
            let line = self.line(from)?;
            if line.trim().is_empty() {
                return Ok(());
            }
            self.trailers += &line;
        }
    }

    fn line(&mut self, from: &mut impl BufRead) -> Result<String> {
        let mut line = Vec::new();
        from.take(HEAD_MAX).read_until(b'\n', &mut line)?;
        if self.sunk.is_none() {
            self.framed.extend(&line);
        }
        Ok(line.into_iter().map(char::from).collect())
    }
}

/// Values of a header field, in order.
pub fn header<'a>(head: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let pair = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    pair.filter(move |(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
