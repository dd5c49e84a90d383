//! `cargo xtask bench inspect`: what it costs that the gateway looks into requests, against TLS of which
//! it sees nothing, and against TLS without it.

mod peers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::names::{Goal, Others, figure, memory_of};
use super::{Figure, Scratch, installed, pairs_of, report, told};
use crate::web::Web;
use peers::Peer;

const CLIENT: &str = include_str!("inspect/web_client.py");
const PYTHON: &str = "/usr/bin/python3";
/// Connections whose median is one measurement.
const CONNECTIONS: &str = "60";
/// Requests, likewise.
const REQUESTS: &str = "1000";
/// Connections that a gateway has open when its memory is read.
const HELD: &str = "200";
/// Pairs with somebody else's program, or with a gigabyte: one takes seconds.
const LONG_PAIRS_MAX: usize = 15;

/// Commands on either side of the wall.
struct Bench {
    cofferdam: PathBuf,
    scratch: PathBuf,
    work: PathBuf,
    web: Web,
}

pub(crate) fn inspect(pairs: usize, others: Others) -> Result<(), String> {
    super::build()?;
    let scratch = Scratch::new()?;
    let work = scratch.0.join("work");
    let made = fs::create_dir(&work).and_then(|()| fs::write(work.join("web_client.py"), CLIENT));
    made.map_err(|error| format!("{}: {error}", work.display()))?;
    let web = Web::up(scratch.0.join("web"))?;
    let cofferdam = installed(&scratch)?.join("cofferdam");
    let bench = Bench { cofferdam, scratch: scratch.0.clone(), work, web };
    for (name, keys) in [("looks", "inspect = \"always\""), ("tunnel", "inspect = \"never\"")] {
        let path = bench.scratch.join(format!("{name}.toml"));
        fs::write(&path, bench.web.policy(keys)).map_err(|error| error.to_string())?;
    }
    let mut figures = Vec::new();
    let mut add = |figure: Figure| {
        println!("{}: {}", figure.what, figure.found);
        figures.push(figure);
    };
    bench.downloads(pairs.min(LONG_PAIRS_MAX))?.into_iter().for_each(&mut add);
    bench.requests(pairs)?.into_iter().for_each(&mut add);
    add(bench.memory()?);
    if others == Others::Measured {
        for peer in peers::installed(&bench.scratch, &bench.web)? {
            add(bench.against(peer, pairs.min(LONG_PAIRS_MAX)));
        }
    }
    report(&figures, pairs);
    Ok(())
}

impl Bench {
    /// `cofferdam run` under one of the policies.
    fn inside(&self, policy: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(&self.work).args(["run", "--quiet", "--audit"]);
        command.arg(self.scratch.join("log/audit.jsonl"));
        command.arg("--policy").arg(self.scratch.join(format!("{policy}.toml")));
        // What a tunnel's client is to believe is the host's own authority.
        let file = self.work.join("ca.pem");
        if policy == "tunnel" && fs::copy(self.web.authority(), &file).is_ok() {
            command.env("SSL_CERT_FILE", &file).env("CURL_CA_BUNDLE", &file);
            command.args(["--env", "SSL_CERT_FILE", "--env", "CURL_CA_BUNDLE"]);
        }
        command.arg("--").args(words);
        command
    }

    fn outside(&self, words: &[&str]) -> Command {
        let (program, rest) = words.split_first().unwrap_or((&"true", &[]));
        let mut command = Command::new(program);
        command.current_dir(&self.work).args(rest);
        command.env("SSL_CERT_FILE", self.web.authority());
        command.env("CURL_CA_BUNDLE", self.web.authority());
        command
    }

    fn client(&self) -> String {
        self.work.join("web_client.py").display().to_string()
    }

    /// Throughputs: a ratio is direct's time to the gateway's.
    fn downloads(&self, pairs: usize) -> Result<Vec<Figure>, String> {
        let mut figures = Vec::new();
        let port = self.web.port;
        for (version, said) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
            let (ours, theirs) =
                ("https://web.test/flood".to_owned(), format!("https://localhost:{port}/flood"));
            let ratios = pairs_of(
                pairs,
                || told(&mut self.outside(&download(version, &theirs))),
                || told(&mut self.inside("looks", &download(version, &ours))),
            )?;
            let what = format!("1 GiB of {said}, looked into, throughput against direct TLS");
            figures.push(figure(what, Goal::AtLeast(0.6), &ratios, ("s", 1.0)));
        }
        Ok(figures)
    }

    fn requests(&self, pairs: usize) -> Result<Vec<Figure>, String> {
        let (client, port) = (self.client(), self.web.port.to_string());
        let new = [PYTHON, "-I", &client, "new", "web.test", "443", "web.test", CONNECTIONS];
        let direct = [PYTHON, "-I", &client, "new", "127.0.0.1", &port, "localhost", CONNECTIONS];
        let kept = [PYTHON, "-I", &client, "kept", "web.test", "443", "web.test", REQUESTS];
        let first = pairs_of(
            pairs,
            || told(&mut self.inside("looks", &new)),
            || told(&mut self.outside(&direct)),
        )?;
        let again = pairs_of(
            pairs,
            || told(&mut self.inside("looks", &kept)),
            || told(&mut self.inside("tunnel", &kept)),
        )?;
        Ok(vec![
            figure(
                "a connection with its first request, looked into, against a direct one",
                Goal::AtMost(1.5),
                &first,
                ("ms", 1e3),
            ),
            figure(
                "a request on a kept connection, looked into, against a tunnelled one",
                Goal::AtMost(2.0),
                &again,
                ("us", 1e6),
            ),
        ])
    }

    /// Proportional set size of the gateway with connections into which it looks, which root alone may
    /// read.
    fn memory(&self) -> Result<Figure, String> {
        let client = self.client();
        let words = [PYTHON, "-I", &client, "held", "web.test", "443", "web.test", HELD];
        let what = "memory of the gateway with 200 idle connections that it looks into (PSS)";
        memory_of(self.inside("looks", &words), 16, what)
    }

    /// The same gigabyte through somebody else's program.
    fn against(&self, peer: Result<Peer, (&'static str, String)>, pairs: usize) -> Figure {
        let of = |name: &str| format!("1 GiB of HTTP/1.1, looked into, throughput against {name}");
        let missed = |what: String, why: String| {
            let found = format!("not run: {}", why.lines().last().unwrap_or_default());
            Figure { what, goal: "at least 3".into(), held: false, found }
        };
        let peer = match peer {
            Ok(peer) => peer,
            Err((name, why)) => return missed(of(name), why),
        };
        let url = format!("https://localhost:{}/flood", self.web.port);
        let ordinary = download("--http1.1", &url);
        // This host too goes through its proxy.
        let theirs: Vec<&str> = ordinary.into_iter().chain(["--noproxy", ""]).collect();
        let ratios = pairs_of(
            pairs,
            || told(&mut peer.command(&self.work, &theirs)),
            || told(&mut self.inside("looks", &download("--http1.1", "https://web.test/flood"))),
        );
        match ratios {
            Ok(ratios) => figure(of(peer.name), Goal::AtLeast(3.0), &ratios, ("s", 1.0)),
            Err(why) => missed(of(peer.name), why),
        }
    }
}

/// curl's own figure: seconds from its start to the last byte.
fn download<'a>(version: &'a str, url: &'a str) -> [&'a str; 8] {
    ["curl", "-sS", "--fail", version, "-o", "/dev/null", "-w%{time_total}", url]
}

/// A folder that outlives one run of this.
pub(super) fn kept_folder() -> Result<PathBuf, String> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let folder = folder.join("peers");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    fs::canonicalize::<&Path>(&folder).map_err(|error| error.to_string())
}
