//! What rows share: a policy that believes the authority of our internet, a sandbox with what cofferdam
//! gives it to believe, and the requests that are on record.

use std::process::Command;

use serde_json::Value;

use crate::internet::{Internet, NEW, Request, TRUST_VARIABLES};
use crate::support::{Ran, finish, programs, python};

/// Variables that send a client to a proxy; none of them is needed.
const WITHOUT: &str = "unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NODE_USE_ENV_PROXY grpc_proxy; ";

/// A way that a client has: how the log names it, and what comes before its script.
pub(crate) type Way = (&'static str, &'static str);
pub(crate) const PROXY: Way = ("proxy", "");
pub(crate) const DIRECT: Way = ("direct", WITHOUT);
pub(crate) const WAYS: [Way; 2] = [PROXY, DIRECT];

/// Begins Python that speaks.
const SPEAKING: &str = include_str!("speaking.py");

/// A request of a table: what it shows, a Python expression that gives its bytes or that asks, the
/// status that comes, and the refusal's name, or `-` where the origin answers.
pub(crate) type Row<'a> = (&'a str, &'a str, u16, &'a str);

/// A rule for `new.test` that asks something.
pub(crate) fn rule(asks: &str) -> String {
    format!("[[network.allow]]\nhost = 'new.test'\n{asks}\n")
}

/// A request on record: way, host, version, method, path, status, and what came of it.
fn told(event: &Value) -> Option<String> {
    let request = event.get("request").filter(|request| request.is_object())?;
    let word = |from: &Value, key: &str| from[key].as_str().unwrap_or("-").to_owned();
    let version = if word(request, "version").contains('2') { "h2" } else { "h1" };
    let came = if event["code"].is_null() { "verdict" } else { "code" };
    let status = request["status"].as_u64().map_or("-".to_owned(), |status| status.to_string());
    let (way, host) = (word(event, "way"), word(event, "host"));
    let (method, path) = (word(request, "method"), word(request, "path"));
    Some(format!("{way} {host} {version} {method} {path} {status} {}", word(event, came)))
}

impl Internet {
    /// `rules` below a policy that believes the authority of this internet.
    pub(crate) fn policy(&self, rules: &str) -> String {
        let authority = self.place.read("home/src/app/ca.pem");
        let file = self.place.write("believed/ca.pem", &authority);
        format!("version = 1\n[network]\ntrust_ca = ['{}']\n{rules}", file.display())
    }

    /// `cofferdam run` under rules, with nothing from outside that says whom to believe.
    pub(crate) fn looks(&self, seconds: u32, rules: &str) -> Command {
        self.looks_by(seconds, &self.policy(rules))
    }

    /// The same under a whole policy.
    pub(crate) fn looks_by(&self, seconds: u32, policy: &str) -> Command {
        let policy = self.place.write("policy.toml", policy).display().to_string();
        let mut command = self.command_within(seconds, programs().join("cofferdam"));
        for name in TRUST_VARIABLES {
            command.env_remove(name);
        }
        command.args(["run", "--quiet", "--env", "W", "--policy", &policy, "--"]);
        command
    }

    /// Runs a script under rules, one way.
    pub(crate) fn scripted(&self, rules: &str, (_, before): Way, script: &str) -> Ran {
        finish(self.looks(60, rules).args(["sh", "-c", &format!("{before}{script}")]))
    }

    /// Writes Python that speaks; the command that runs it.
    pub(crate) fn speaking(&self, name: &str, act: &str) -> String {
        self.place.write(&format!("home/src/app/{name}"), &python(&format!("{SPEAKING}{act}")));
        format!("/usr/bin/python3 {name}")
    }

    /// Runs Python that speaks, under rules, one way.
    pub(crate) fn speaks(&self, rules: &str, way: Way, act: &str) -> Ran {
        let script = self.speaking("act.py", act);
        self.scripted(rules, way, &script)
    }

    /// The same without any wall, and by no proxy.
    pub(crate) fn speaks_outside(&self, act: &str) -> Ran {
        let script = self.speaking("act.py", act);
        finish(self.command_within(60, "sh").args(["-c", &script]))
    }

    /// Requests on record, sorted, of the runs that `run` makes.
    pub(crate) fn on_record(&self, run: impl FnOnce() -> Ran) -> (Ran, Vec<String>) {
        let before = self.events("connection").len();
        let ran = run();
        let events = self.events("connection").split_off(before);
        let mut found: Vec<String> = events.iter().filter_map(told).collect();
        found.sort();
        (ran, found)
    }

    /// Runs it, and compares the requests on record with `want`: each once, and no other.
    #[track_caller]
    pub(crate) fn records(&self, want: &[String], run: impl FnOnce() -> Ran) -> Ran {
        let (ran, found) = self.on_record(run);
        let mut want = want.to_vec();
        want.sort();
        assert_eq!(found, want, "requests on record: {ran:?}: {:?}", self.events("connection"));
        ran
    }

    /// Events of connections since there were so many, that carried no request: way, host, code.
    pub(crate) fn unheard(&self, before: usize) -> Vec<String> {
        let events = self.events("connection").split_off(before);
        let none = events.into_iter().filter(|event| told(event).is_none());
        let word = |event: &Value, key: &str| event[key].as_str().unwrap_or("-").to_owned();
        let row = |one: Value| {
            let came = if one["code"].is_null() { "verdict" } else { "code" };
            format!("{} {} {}", word(&one, "way"), word(&one, "host"), word(&one, came))
        };
        none.map(row).collect()
    }

    /// Requests that NEW has read since it was last forgotten.
    pub(crate) fn asked(&self) -> Vec<Request> {
        let seen = self.settled();
        seen.requests.into_iter().filter(|one| one.to.ip().to_string() == NEW).collect()
    }

    /// Targets of them.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|one| one.target).collect()
    }

    /// Every row reaches the origin without a wall. Inside, both ways: status and name of the refusal are
    /// as said, each is on record once, and what reaches the origin is what would reach it without a
    /// wall.
    #[track_caller]
    pub(crate) fn table(&self, rules: &str, rows: &[Row<'_>]) {
        let all: Vec<&str> = rows.iter().map(|row| row.1).collect();
        let act = format!("table([{}])", all.join(",\n"));
        self.forget();
        self.speaks_outside(&act).works("without a wall");
        let outside = self.asked();
        assert_eq!(outside.len(), rows.len(), "the control asks for all: {outside:?}");
        for way in WAYS {
            self.forget();
            let before = self.events("connection").len();
            let (ran, found) = self.on_record(|| self.speaks(rules, way, &act));
            let ran = ran.works(way.0);
            let want: Vec<String> = rows
                .iter()
                .map(|(why, _, status, code)| format!("{status} {code}  {why}"))
                .collect();
            let lines = ran.out.lines().map(str::to_owned).zip(rows);
            let got: Vec<String> = lines.map(|(line, row)| format!("{line}  {}", row.0)).collect();
            assert_eq!(got, want, "{}: {rules}", way.0);
            let inside = self.asked();
            let passed = outside.iter().zip(rows).filter(|(_, row)| row.3 == "-");
            let passed: Vec<String> = passed.map(|(request, _)| said(request)).collect();
            let heard: Vec<String> = inside.iter().map(said).collect();
            assert_eq!(heard, passed, "{}: bytes at the origin: {rules}", way.0);
            // What is refused while it is read is no request yet.
            let all: Vec<String> = found.into_iter().chain(self.unheard(before)).collect();
            assert_eq!(all.len(), rows.len(), "{}: one event each: {all:?}", way.0);
            for (_, _, _, code) in rows {
                let end = if *code == "-" { " allowed".to_owned() } else { format!(" {code}") };
                assert!(all.iter().any(|one| one.ends_with(&end)), "{end}: {all:?}");
            }
        }
    }
}

/// All that the origin has of a request.
pub(crate) fn said(request: &Request) -> String {
    let framed = if request.two { &request.body } else { &request.framed };
    // A name is written as it was judged, however it came.
    let head = request.head.replace("Host: new.test:443\r", "Host: new.test\r");
    let head = head.replace("Host: NEW.Test\r", "Host: new.test\r");
    format!("{head}{}{}", framed.escape_ascii(), request.trailers)
}
