//! `cargo xtask bench identity`: what it costs that requests bear a credential, against requests that are
//! looked into all the same: in sessions without one, and in such as look for what stands in for one in
//! every request.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::names::{Goal, figure};
use super::{Figure, Scratch, TOLD, installed, pairs_of, report, told};
use crate::web::Web;

const CLIENT: &str = include_str!("identity_client.py");
const PYTHON: &str = "/usr/bin/python3";
/// Shaped like those of an API.
const SECRET: &str = "sk-ant-api03-Qm9yZXhhbXBsZS1vZi1hLXNlY3JldC0wMTIzNDU2Nzg5YWJjZGVm";
/// Pairs with a gigabyte: one takes seconds.
const LONG_PAIRS_MAX: usize = 15;
const CREDENTIAL: &str = "[credentials.api]\nsource = { env = 'API_SECRET' }\nenv = 'API_KEY'\ninject = { bearer = true }\n";

/// Of it: what stands in is borne by nobody without.
const HELD: &str = "env = 'API_KEY'\n";
/// It is another host's.
const ELSEWHERE: &str = "[[network.allow]]\nhost = 'elsewhere.test'\ncredential = 'api'\n";

/// How much of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// 1 GiB, and 10,000 requests.
    Whole,
    /// 64 MiB, and 500 requests: no figure for the record.
    Short,
}

impl Amount {
    const fn mebibytes(self) -> u32 {
        match self {
            Self::Whole => 1024,
            Self::Short => 64,
        }
    }

    const fn requests(self) -> u32 {
        match self {
            Self::Whole => 10_000,
            Self::Short => 500,
        }
    }
}

/// Either side of it.
struct Bench {
    cofferdam: PathBuf,
    scratch: PathBuf,
    work: PathBuf,
}

pub(crate) fn identity(pairs: usize, amount: Amount) -> Result<(), String> {
    super::build()?;
    let scratch = Scratch::new()?;
    let work = scratch.0.join("work");
    let made = fs::create_dir(&work).and_then(|()| fs::write(work.join("client.py"), CLIENT));
    made.map_err(|error| format!("{}: {error}", work.display()))?;
    let web = Web::up(scratch.0.join("web"))?;
    let cofferdam = installed(&scratch)?.join("cofferdam");
    let bench = Bench { cofferdam, scratch: scratch.0.clone(), work };
    let plain = web.policy("inspect = \"always\"");
    for (name, policy) in [
        ("searched", format!("{plain}{ELSEWHERE}{}", CREDENTIAL.replace(HELD, ""))),
        ("plain", plain),
        ("bears", web.policy("credential = \"api\"") + CREDENTIAL),
    ] {
        let path = bench.scratch.join(format!("{name}.toml"));
        fs::write(&path, policy).map_err(|error| error.to_string())?;
    }
    let (size, count) = (amount.mebibytes(), amount.requests());
    let long = pairs.min(LONG_PAIRS_MAX);
    let up = format!("{size} MiB of JSON to the host");
    let kept = format!("{count} requests on a kept connection");
    let down = format!("{size} MiB of JSON from the host");
    let without = "a session without credentials";
    let rows = [
        (format!("{up}, injected, against the same session to another host"), "up", size),
        (format!("{up}, looked through and injected, against {without}"), "up", size),
        (format!("{kept}, looked through and injected, against {without}"), "kept", count),
        (format!("{down}, scrubbed, against {without}"), "down", size),
    ];
    let sides = ["searched", "plain", "plain", "plain"];
    let goals = [Some(1.1), None, Some(1.1), Some(1.3)];
    let mut figures: Vec<Figure> = Vec::new();
    for (((what, way, count), side), goal) in rows.into_iter().zip(sides).zip(goals) {
        let pairs = if way == "kept" { pairs } else { long };
        let count = count.to_string();
        let ratios = pairs_of(
            pairs,
            || told(&mut bench.inside("bears", &[way, &count])),
            || told(&mut bench.inside(side, &[way, &count])),
        )?;
        let row = match goal {
            Some(most) => figure(&what, Goal::AtMost(most), &ratios, ("s", 1.0)),
            None => Figure { what, goal: TOLD.into(), held: false, found: ratios.text("s", 1.0) },
        };
        println!("{}: {}", row.what, row.found);
        figures.push(row);
    }
    report(&figures, pairs);
    Ok(())
}

impl Bench {
    /// The client under one of the policies.
    fn inside(&self, policy: &str, words: &[&str]) -> Command {
        let mut command = Command::new(&self.cofferdam);
        command.current_dir(&self.work).args(["run", "--quiet", "--audit"]);
        command.arg(self.scratch.join("log/audit.jsonl"));
        command.arg("--policy").arg(self.scratch.join(format!("{policy}.toml")));
        command.env("API_SECRET", SECRET).args(["--", PYTHON, "-I"]);
        command.arg(self.work.join("client.py")).args(words);
        command
    }
}
