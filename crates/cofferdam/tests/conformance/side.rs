//! Where rows are done: a place of its own without a wall, and another one inside, laid out alike.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use crate::support::{Place, Ran, finish};
use crate::table::Row;

/// Performs the operations.
pub(crate) const PROBE: &str = include_str!("probe.py");

/// What the host has, and the workload tries to reach.
#[derive(Debug)]
pub(crate) struct Outside {
    process: Child,
    loopback: TcpListener,
    _abstract: UnixListener,
    name: String,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let process = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn();
        let name = format!("cofferdam-conformance-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name);
        let listener = address.and_then(|address| UnixListener::bind_addr(&address));
        Self {
            process: process.unwrap_or_else(|error| panic!("{error}")),
            loopback: TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}")),
            _abstract: listener.unwrap_or_else(|error| panic!("{error}")),
            name,
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// One side of rows.
#[derive(Debug)]
pub(crate) struct Side<'o> {
    pub(crate) place: Place,
    outside: &'o Outside,
    sockets: Vec<UnixListener>,
}

impl<'o> Side<'o> {
    pub(crate) fn new(outside: &'o Outside, rows: &[Row]) -> Self {
        let mut side = Self { place: Place::new(), outside, sockets: vec![] };
        for row in rows {
            for given in &row.given {
                side.give(&row.id, given);
            }
        }
        side
    }

    /// With the names of this side in the place of `$W`, `$H` and so on.
    pub(crate) fn filled(&self, text: &str) -> String {
        let port = self.outside.loopback.local_addr().map_or(0, |address| address.port());
        let path = |path: &Path| path.display().to_string();
        text.replace("$OUT", &path(&self.place.out))
            .replace("$ABSTRACT", &self.outside.name)
            .replace("$PORT", &port.to_string())
            .replace("$PID", &self.outside.process.id().to_string())
            .replace("$W", &path(&self.place.work))
            .replace("$H", &path(&self.place.home))
    }

    fn give(&mut self, id: &str, given: &str) {
        let given = self.filled(given);
        let mut words = given.splitn(3, ' ');
        let (kind, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let rest = words.next();
        let path = Path::new(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let made = made.and_then(|()| match kind {
            "file" => fs::write(path, rest.unwrap_or("content\n")),
            "program" => fs::write(path, "#!/bin/sh\nexit 0\n")
                .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755))),
            "binary" => fs::copy("/bin/true", path).map(drop),
            "directory" => fs::create_dir_all(path),
            "link" => symlink(rest.unwrap_or_default(), path),
            "hard-link" => fs::hard_link(rest.unwrap_or_default(), path),
            "socket" => UnixListener::bind(path).map(|socket| self.sockets.push(socket)),
            other => panic!("{id}: nothing is given as {other}"),
        });
        made.unwrap_or_else(|error| panic!("{id}: {given}: {error}"));
    }

    /// The row's arguments, as the probe takes them.
    pub(crate) fn arguments(&self, row: &Row) -> Value {
        let mut object = Map::new();
        object.insert("id".into(), json!(row.id));
        object.insert("operation".into(), json!(row.operation));
        let texts = [
            ("path", &row.path),
            ("to", &row.to),
            ("text", &row.text),
            ("host", &row.host),
            ("method", &row.method),
            ("target", &row.target),
            ("other", &row.other),
            ("more", &row.more),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                object.insert(key.into(), json!(self.filled(text)));
            }
        }
        let number = match &row.number {
            Some(toml::Value::String(text)) => self.filled(text).parse().ok(),
            Some(toml::Value::Integer(number)) => Some(*number),
            Some(other) => panic!("{}: {other:?} is no number", row.id),
            None => None,
        };
        for (key, number) in
            [("number", number), ("kind", row.kind), ("port", row.port.map(i64::from))]
        {
            if let Some(number) = number {
                object.insert(key.into(), json!(number));
            }
        }
        Value::Object(object)
    }

    /// The probe's words for all rows.
    pub(crate) fn words(&self, rows: &[Row]) -> Vec<String> {
        let rows: Vec<Value> = rows.iter().map(|row| self.arguments(row)).collect();
        vec!["/usr/bin/python3".into(), "-c".into(), PROBE.into(), json!(rows).to_string()]
    }

    /// Without any wall.
    pub(crate) fn performs(&self, rows: &[Row]) -> Ran {
        let words = self.words(rows);
        finish(self.place.command("/usr/bin/python3").args(words.iter().skip(1)))
    }
}
