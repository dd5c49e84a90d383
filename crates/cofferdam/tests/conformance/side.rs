//! Where rows are done: a place of its own without a wall, and another one inside, laid out alike.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Map, Value, json};

use crate::group::wall;
use crate::internet::{Internet, TRUST_VARIABLES};
use crate::support::{Place, is_root, programs};
use crate::table::Row;

/// Performs the operations.
const PROBE: &str = include_str!("probe.py");
/// Operations that need hosts, and what they speak with.
const WIRE: &str = include_str!("wire.py");
const SPEAKING: &str = include_str!("../inspect/speaking.py");
/// A secret of the caller's.
const SECRET: &str = "sk-ant-api03-R34lS3cr3tOfTh1sP3rson-abcdefghijklmnopqrstuvwxyz0123456789-AA";
/// How long all rows of a policy may take. Seconds.
const WITHIN_SECONDS: u32 = 100;
/// Who owns the place where root's own is refused: nobody of this machine.
const OWNER: &str = "748211";
/// What begins the probe's end.
const BEGIN: &str = "\nif __name__ ==";

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
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cofferdam-conformance-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name);
        let listener = address.and_then(|address| UnixListener::bind_addr(&address));
        let loopback = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}"));
        let listener = listener.unwrap_or_else(|error| panic!("{error}"));
        // Last: whatever fails before leaves no process. It holds no pipe of this one's.
        let mut sleep = Command::new("sleep");
        sleep.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = sleep.spawn();
        Self {
            process: process.unwrap_or_else(|error| panic!("{error}")),
            loopback,
            _abstract: listener,
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

/// A place of this side's own, or that of an internet.
#[derive(Debug)]
enum Ground<'o> {
    Own(Place),
    Internet(&'o Internet),
}

/// One side of rows.
#[derive(Debug)]
pub(crate) struct Side<'o> {
    ground: Ground<'o>,
    outside: &'o Outside,
    sockets: Vec<UnixListener>,
}

impl<'o> Side<'o> {
    pub(crate) fn new(outside: &'o Outside, internet: Option<&'o Internet>, rows: &[Row]) -> Self {
        let ground = internet.map_or_else(|| Ground::Own(Place::new()), Ground::Internet);
        let mut side = Self { ground, outside, sockets: vec![] };
        if internet.is_some() {
            // Its own name in the workspace is where clients look.
            let authority = side.place().read("home/src/app/ca.pem");
            side.place().write("believed/ca.pem", &authority);
        }
        for row in rows {
            for given in &row.given {
                side.give(&row.id, given);
            }
        }
        side.give_away();
        side
    }

    /// Under a jail that has nobody to stand in for root, the workload is the workspace's owner.
    fn give_away(&self) {
        if is_root() && ["process/bubblewrap", "process/landlock"].contains(&wall().as_str()) {
            let owned = format!("chown -R -h {OWNER}:{OWNER} $W $OUT");
            self.place().outside(&owned).works("the place is another's");
        }
    }

    pub(crate) fn place(&self) -> &Place {
        match &self.ground {
            Ground::Own(place) => place,
            Ground::Internet(internet) => &internet.place,
        }
    }

    /// A command in this place; what a policy takes from the environment is there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match &self.ground {
            Ground::Own(place) => place.command(program),
            Ground::Internet(internet) => internet.command_within(WITHIN_SECONDS, program),
        };
        command.env("API_SECRET", SECRET).env("W", &self.place().work);
        command
    }

    /// The same for cofferdam itself, to which nobody says whom to believe.
    pub(crate) fn cofferdam(&self) -> Command {
        let mut command = self.command(programs().join("cofferdam"));
        for name in TRUST_VARIABLES {
            command.env_remove(name);
        }
        command
    }

    /// With the names of this side in the place of `$W`, `$H` and so on.
    pub(crate) fn filled(&self, text: &str) -> String {
        let port = self.outside.loopback.local_addr().map_or(0, |address| address.port());
        let path = |path: &Path| path.display().to_string();
        text.replace("$OUT", &path(&self.place().out))
            .replace("$ABSTRACT", &self.outside.name)
            .replace("$PORT", &port.to_string())
            .replace("$PID", &self.outside.process.id().to_string())
            .replace("$W", &path(&self.place().work))
            .replace("$H", &path(&self.place().home))
            .replace("$CA", &path(&self.place().root.join("believed/ca.pem")))
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

    /// The row's arguments, as the probe takes them inside or without a wall. What is masked inside reads
    /// otherwise without; and who started it is pid 1 inside, as `$ONE`.
    fn arguments(&self, row: &Row, walled: bool) -> Value {
        let one = if walled { "1".to_owned() } else { self.outside.process.id().to_string() };
        let filled = |text: &str| self.filled(&text.replace("$ONE", &one));
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
            if let Some(text) =
                text.as_ref().filter(|_| walled || key != "text" || row.operation != "read-masked")
            {
                object.insert(key.into(), json!(filled(text)));
            }
        }
        let number = match &row.number {
            Some(toml::Value::String(text)) => filled(text).parse().ok(),
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
    pub(crate) fn words(&self, rows: &[Row], walled: bool) -> Vec<String> {
        let hosts = rows.iter().any(|row| row.host.is_some());
        let rows: Vec<Value> = rows.iter().map(|row| self.arguments(row, walled)).collect();
        let more = format!("\n{SPEAKING}\n{WIRE}{BEGIN}");
        let probe = if hosts { PROBE.replacen(BEGIN, &more, 1) } else { PROBE.into() };
        vec!["/usr/bin/python3".into(), "-c".into(), probe, json!(rows).to_string()]
    }
}
