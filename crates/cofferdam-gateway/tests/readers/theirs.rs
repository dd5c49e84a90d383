//! The two other readers: hyper, and Python's h11, which shares nothing with it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::rc::Rc;

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Debian's Python, which has Debian's packages.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = include_str!("h11.py");
/// Room for what one request and its answers take. Bytes.
const PIPE_BYTES: usize = 1 << 20;

/// Name in small letters, and value.
pub(crate) type Fields = Vec<(String, Vec<u8>)>;

/// A request as somebody has read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

/// What somebody has read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Whole requests.
    pub(crate) requests: Vec<Read>,
    /// What was left after them, as far as the reader tells.
    pub(crate) rest: Option<Vec<u8>>,
    /// Why it stopped.
    pub(crate) fault: Option<String>,
}

/// In the order that says something: of one name alone. Readers keep their own between names. And h11
/// gives `Transfer-Encoding` in small letters, whatever came.
pub(crate) fn sorted(mut fields: Fields) -> Fields {
    for (_, value) in fields.iter_mut().filter(|(name, _)| name == "transfer-encoding") {
        value.make_ascii_lowercase();
    }
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

fn fields(map: &HeaderMap) -> Fields {
    let pair = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    sorted(map.iter().map(pair).collect())
}

/// All of a request, its body too.
async fn whole(request: Request<Incoming>) -> Result<Read, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let mut read = Read {
        method: head.method.as_str().to_owned(),
        target: head.uri.to_string(),
        fields: fields(&head.headers),
        ..Read::default()
    };
    while let Some(frame) =
        std::future::poll_fn(|polled| Pin::new(&mut body).poll_frame(polled)).await
    {
        match frame?.into_data() {
            Ok(data) => read.body.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().map_err(drop).unwrap_or_default();
                read.trailers = fields(&trailers);
            }
        }
    }
    Ok(read)
}

/// What hyper's server reads from a client that sends these bytes and leaves.
pub(crate) async fn hyper(bytes: &[u8]) -> Reading {
    let (mut client, server) = tokio::io::duplex(PIPE_BYTES);
    let found = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request| {
        let found = Rc::clone(&found);
        async move {
            let read = whole(request).await?;
            found.borrow_mut().push(read);
            // A tunnel and an upgrade are refused: what follows is the next request.
            let mut answer = Response::new(String::new());
            *answer.status_mut() = hyper::StatusCode::FORBIDDEN;
            Ok::<_, hyper::Error>(answer)
        }
    });
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(true).max_headers(200).max_buf_size(PIPE_BYTES);
    let fault = builder.serve_connection(TokioIo::new(server), service).await.err();
    let mut answers = Vec::new();
    client.read_to_end(&mut answers).await.unwrap();
    let requests = found.take();
    Reading { requests, rest: None, fault: fault.map(|error| format!("{error:?}")) }
}

#[expect(clippy::disallowed_methods, reason = "a test runs the reader that ours is compared with")]
fn python(text: &str) -> Command {
    let mut command = Command::new(PYTHON);
    command.args(["-c", text]);
    command
}

/// Whether h11 is there.
pub(crate) fn has_h11() -> bool {
    let imported = python("import h11").stderr(Stdio::null()).status();
    imported.is_ok_and(|status| status.success())
}

/// What h11 reads of each, in one run.
pub(crate) fn h11(records: Vec<Vec<u8>>) -> Vec<Reading> {
    let mut child = python(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut into = child.stdin.take().unwrap();
    let count = records.len();
    let writer = std::thread::spawn(move || {
        for record in records {
            let length = u32::try_from(record.len()).unwrap();
            into.write_all(&[&length.to_be_bytes()[..], &record].concat()).unwrap();
        }
    });
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let read: Vec<Reading> = lines.map(|line| reading(&line.unwrap())).collect();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success(), "h11 came to its end");
    assert_eq!(read.len(), count, "a line for each");
    read
}

/// Bytes that were written as letters.
fn bytes(value: &serde_json::Value) -> Vec<u8> {
    value.as_str().unwrap().chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}

fn reading(line: &str) -> Reading {
    let said: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let pairs = |value: &serde_json::Value| {
        let pair = |pair: &serde_json::Value| (text(&pair[0]), bytes(&pair[1]));
        sorted(value.as_array().unwrap().iter().map(pair).collect())
    };
    let whole = said["requests"].as_array().unwrap().iter();
    let whole = whole.filter(|request| request["whole"] == true).map(|request| Read {
        method: text(&request["method"]),
        target: text(&request["target"]),
        fields: pairs(&request["fields"]),
        body: bytes(&request["body"]),
        trailers: pairs(&request["trailers"]),
    });
    Reading {
        requests: whole.collect(),
        rest: Some(bytes(&said["rest"])),
        fault: said["fault"].as_str().map(str::to_owned),
    }
}
