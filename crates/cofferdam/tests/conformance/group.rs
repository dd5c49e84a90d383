//! Rows of one policy: done without a wall, done inside, and compared with what the table says.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::gvisor;
use crate::internet::Internet;
use crate::side::{Outside, Side};
use crate::support::{Ran, finish, variable};
use crate::table::{MECHANISMS, Policy, Row, Verdict};

/// What the plan says of denials that leave no event.
const SILENT: &str = "what the kernel refuses by itself leaves no event";

/// What the jail landlock does not hold.
const GIVEN_UP: &str =
    "absent,processes,private-places,private-size,process-limit,times,signals,abstract-sockets";

/// The wall that this run is about.
pub(crate) fn wall() -> String {
    variable("COFFERDAM_WALL").unwrap_or_else(|| "process/native".into())
}

/// Words of the command line that choose the wall.
fn chosen(wall: &str) -> Vec<String> {
    match wall.strip_prefix("process/") {
        Some("native") => vec![],
        Some("landlock") => {
            ["--jail", "landlock", "--best-effort", GIVEN_UP].map(str::to_owned).into()
        }
        Some(jail) => vec!["--jail".into(), jail.into()],
        None if wall == gvisor::WALL => gvisor::chosen(),
        None => panic!("COFFERDAM_WALL={wall}"),
    }
}

/// What came of rows.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) ran: usize,
    pub(crate) denied: usize,
    pub(crate) judged: usize,
    pub(crate) faults: Vec<String>,
    /// Rows of policies that are refused as a whole.
    refused: usize,
    policies_refused: usize,
    /// Policies that can be had with the oversight of a tenant alone.
    tenants: usize,
    /// Rows that are different here, and why.
    differ: Vec<String>,
    /// Rows whose act could not be shown to work without a wall, and why.
    uncontrolled: Vec<String>,
    not_run: Vec<String>,
}

impl Report {
    pub(crate) fn add(&mut self, other: Self) {
        self.ran += other.ran;
        self.denied += other.denied;
        self.judged += other.judged;
        self.refused += other.refused;
        self.policies_refused += other.policies_refused;
        self.tenants += other.tenants;
        self.faults.extend(other.faults);
        self.differ.extend(other.differ);
        self.uncontrolled.extend(other.uncontrolled);
        self.not_run.extend(other.not_run);
    }

    pub(crate) fn print(&self, wall: &str, person: &str) {
        let Self { ran, denied, judged, .. } = self;
        println!("{wall} as {person}: {ran} rows, {denied} denied, {judged} put to the judge too");
        println!("{} rows are different here", self.differ.len() - self.policies_refused);
        println!(
            "{} rows are of {} policies that are refused",
            self.refused, self.policies_refused
        );
        if self.tenants > 0 {
            println!("{} policies are had with oversight = \"tenant\" alone", self.tenants);
        }
        for (what, lines) in [
            ("differs", &self.differ),
            ("no control", &self.uncontrolled),
            ("not run", &self.not_run),
        ] {
            for line in lines {
                println!("{what}: {line}");
            }
        }
    }
}

/// The rows of one policy, as they are here.
#[derive(Debug)]
pub(crate) struct Group<'t> {
    policy: &'t Policy,
    pub(crate) rows: Vec<Row>,
    /// As they are where no wall is different.
    written: Vec<Row>,
    /// Of those that are different here: id, whether a wall or a person makes it so, and why.
    because: Vec<(String, &'static str, String)>,
    wall: String,
    person: &'static str,
}

impl<'t> Group<'t> {
    pub(crate) fn of(policy: &'t Policy, rows: &[Row], here: (&str, &'static str)) -> Self {
        let (wall, person) = here;
        let mut group = Self {
            policy,
            rows: vec![],
            written: vec![],
            because: vec![],
            wall: wall.into(),
            person,
        };
        for row in rows.iter().filter(|row| row.policy == policy.name) {
            let (written, _) = row.here("", person);
            let (row, why) = row.here(wall, person);
            let why = why.into_iter().map(|(of, why)| (row.id.clone(), of, why));
            group.because.extend(why);
            group.written.push(written);
            group.rows.push(row);
        }
        group
    }

    /// Does the rows, where the policy can be had here.
    pub(crate) fn perform(&self, outside: &Outside) -> Report {
        let not_run = |why: &str| {
            let line = format!("{} rows of {}: {why}", self.rows.len(), self.policy.name);
            Report { not_run: vec![line], ..Report::default() }
        };
        if let Some(why) = self.policy.not_for.get(self.person) {
            return not_run(why);
        }
        if !self.policy.internet {
            let free = Side::new(outside, None, &self.rows);
            return self.compared(&free, &Side::new(outside, None, &self.rows));
        }
        match Internet::take() {
            None => not_run("no internet of our own can be made here"),
            Some(internet) => {
                let side = Side::new(outside, Some(&internet), &self.rows);
                self.compared(&side, &side)
            }
        }
    }

    fn compared(&self, free: &Side<'_>, walled: &Side<'_>) -> Report {
        let mut report = Report::default();
        let mut words = chosen(&self.wall);
        let mut plan = self.plan(walled, &words);
        // What nobody holds in a tree of the host's is tried where nothing of it changes.
        let is_tenant = self.wall == gvisor::WALL && gvisor::is_unheld(&plan);
        if is_tenant {
            words.extend(gvisor::TENANT.map(str::to_owned));
            plan = self.plan(walled, &words);
        }
        if let Some(refused) = self.policy.walls.get(&self.wall) {
            let code = format!("\"code\":\"{}\"", refused.refused);
            if plan.status != Some(125) || !format!("{}{}", plan.out, plan.err).contains(&code) {
                report
                    .faults
                    .push(format!("{}: not refused with {code}: {plan:?}", self.policy.name));
            }
            report.differ.push(format!("{}: refused, {}", self.policy.name, refused.refused));
            report.policies_refused += 1;
            report.refused += self.rows.len();
            return report;
        }
        if plan.status != Some(0) {
            report.faults.push(format!("{}: no plan: {plan:?}", self.policy.name));
            return report;
        }
        let coverage = coverage(&plan.out);
        report.tenants += usize::from(is_tenant);
        // A rule on a name is about the host's, whatever becomes of it in a layer above.
        for row in if is_tenant { &self.written } else { &self.rows } {
            self.judge(row, walled, &words, &mut report);
        }
        let acts = free.words(&self.rows, false);
        let controls = finish(free.command("/usr/bin/python3").args(acts.iter().skip(1)));
        self.controls(&answers(&controls), &mut report);
        let before = is_tenant.then(|| gvisor::host(walled.place()));
        let ran = self.inside(walled, &words);
        if let Some(before) = before {
            let changed = gvisor::changed(&before, &gvisor::host(walled.place()));
            let fault =
                |path: String| format!("{}: the host's {path} is another", self.policy.name);
            report.faults.extend(changed.into_iter().map(fault));
        }
        let found = answers(&ran);
        let (events, ended) = (events(walled), json!({ "ended": ran.status }));
        for row in &self.rows {
            report.ran += 1;
            report.denied += usize::from(row.verdict == Verdict::Deny);
            // Whoever ended the whole sandbox has not said so inside.
            let ends = row.shows.as_ref().is_some_and(|shows| shows.starts_with("ended "));
            let faults = match found.get(&row.id).or_else(|| ends.then_some(&ended)) {
                None => vec![format!("nothing was heard of it: {ran:?}")],
                Some(answer) => compare(row, answer, walled, &events),
            };
            report.faults.extend(faults.iter().map(|fault| format!("{}: {fault}", row.id)));
            report.faults.extend(told(row, &coverage, &self.wall));
        }
        for (id, of, why) in &self.because {
            report.differ.push(format!("{id}: {why}"));
            if *of == "wall" && !coverage.contains(why.as_str()) {
                report.faults.push(format!("{id}: the plan's coverage does not say: {why}"));
            }
        }
        report
    }

    /// Asks the judge, before anything is changed: `cofferdam why` says what the table says.
    fn judge(&self, row: &Row, side: &Side<'_>, chosen: &[String], report: &mut Report) {
        let Some(words) = question(row, side) else { return };
        if row.unjudged.is_some() {
            return;
        }
        let mut command = side.cofferdam();
        command.args(["why", "--json", "--policy", &self.policy(side)]);
        let ran = finish(command.args(chosen).args(self.options(side)).args(words));
        let answer: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        report.judged += 1;
        let verdict = match row.verdict {
            Verdict::Allow => "allowed",
            Verdict::Deny => "denied",
        };
        if answer["verdict"] != verdict {
            report.faults.push(format!("{}: why does not say {verdict}: {ran:?}", row.id));
        }
        // The other's home is not this one.
        let of_home = |clause: &str| Side::is_anothers() && clause == "filesystem.home";
        if let Some(clause) = &row.clause
            && answer["clause"]["name"] != clause.as_str()
            && !of_home(clause)
        {
            report
                .faults
                .push(format!("{}: by {}, and the table says {clause}", row.id, answer["clause"]));
        }
    }

    /// Every act works without a wall.
    fn controls(&self, found: &BTreeMap<String, Value>, report: &mut Report) {
        for row in &self.rows {
            let said = found.get(&row.id).cloned().unwrap_or_default();
            if said.get("ok").is_some() {
                continue;
            }
            match row.uncontrolled.get(self.person) {
                Some(why) => report.uncontrolled.push(format!("{}: {why}: {said}", row.id)),
                None => report.faults.push(format!("{}: without a wall: {said}", row.id)),
            }
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.policy.name
    }

    /// The code with which this wall refuses the policy.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.policy.walls.get(&self.wall).map(|refused| refused.refused.as_str())
    }

    /// Rows that this wall makes different, and whose reason is not in `coverage`.
    pub(crate) fn unsaid(&self, coverage: &str) -> Vec<String> {
        let walls = self.because.iter().filter(|(_, of, _)| *of == "wall");
        let unsaid = walls.filter(|(.., why)| !coverage.contains(why.as_str()));
        unsaid.map(|(id, _, why)| format!("{id}: the coverage does not say: {why}")).collect()
    }

    pub(crate) fn policy(&self, side: &Side<'_>) -> String {
        let text = format!("version = 1\n{}", side.filled(&self.policy.text));
        side.place().write("policy.toml", &text).display().to_string()
    }

    fn plan(&self, side: &Side<'_>, chosen: &[String]) -> Ran {
        let mut command = side.cofferdam();
        command.args(["plan", "--json", "--policy", &self.policy(side)]);
        command.args(chosen).args(self.options(side));
        finish(command.args(["--", "true"]))
    }

    fn options(&self, side: &Side<'_>) -> Vec<String> {
        self.policy.options.iter().map(|word| side.filled(word)).collect()
    }

    fn inside(&self, side: &Side<'_>, chosen: &[String]) -> Ran {
        let mut command = side.cofferdam();
        command.args(["run", "--quiet", "--policy", &self.policy(side)]);
        // In another's home root has its log elsewhere.
        if Side::is_anothers() {
            command.arg("--audit").arg(side.place().audit_log());
        }
        command.args(chosen).args(self.options(side));
        finish(command.arg("--").args(side.words(&self.rows, true)))
    }
}

/// The row as a question to the judge, where it knows the operation.
pub(crate) fn question(row: &Row, side: &Side<'_>) -> Option<Vec<String>> {
    let path = |verb: &str| Some(vec![verb.to_owned(), side.filled(row.path.as_ref()?)]);
    match row.operation.as_str() {
        "open-read" | "readdir" => path("read"),
        "open-write" | "open-append" | "map-to-write" => path("write"),
        "create" | "mkdir" | "mkfifo" => path("create"),
        "unlink" | "rmdir" => path("delete"),
        "exec" => path("exec"),
        "connect-name" | "connect-tls" | "connect-port" | "connect-address" | "tunnel"
        | "tunnel-port" => {
            let place = format!("{}:{}", row.host.as_ref()?, row.port.unwrap_or(443));
            Some(vec!["connect".into(), place])
        }
        "request"
        | "request-method"
        | "request-path"
        | "request-target"
        | "request-query"
        | "request-denied-path"
        | "request-two"
        | "request-two-path"
        | "request-git-read"
        | "request-git-write"
        | "request-git-other"
        | "request-not-git" => {
            let method = row.method.clone().unwrap_or_else(|| "GET".into());
            let target = row.target.clone().unwrap_or_else(|| "/x".into());
            Some(vec!["connect".into(), row.host.clone()?, method, target])
        }
        "bear-header" | "bear-elsewhere" => {
            Some(vec!["use".into(), "api".into(), row.host.clone()?])
        }
        _ => None,
    }
}

/// What the probe said of each row.
fn answers(ran: &Ran) -> BTreeMap<String, Value> {
    let lines = ran.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some((line["id"].as_str()?.to_owned(), line))).collect()
}

/// Every word of the plan's coverage.
fn coverage(plan: &str) -> String {
    let plan: Value = serde_json::from_str(plan).unwrap_or_default();
    let mut text = String::new();
    gather(&plan["plan"]["coverage"], &mut text);
    text
}

fn gather(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => {
            into.push_str(text);
            into.push('\n');
        }
        Value::Array(list) => list.iter().for_each(|one| gather(one, into)),
        Value::Object(object) => object.values().for_each(|one| gather(one, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn events(side: &Side<'_>) -> Vec<Value> {
    let text = fs::read_to_string(side.place().audit_log()).unwrap_or_default();
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.map(|record| record["event"].clone()).collect()
}

/// The answer as the table writes it.
fn shown(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().map(str::to_owned);
    let number = |key: &str| answer[key].as_i64().map(|number| number.to_string());
    let code = || [number("status")?, text("code")?].join(" ").into();
    let ok = answer.get("ok").map(|_| "ok".to_owned());
    let signal = || number("signal").map(|signal| format!("signal {signal}"));
    let ended = || number("ended").map(|status| format!("ended {status}"));
    ok.or_else(|| text("errno"))
        .or_else(code)
        .or_else(signal)
        .or_else(ended)
        .unwrap_or_else(|| answer.to_string())
}

/// What is different from what the row says.
fn compare(row: &Row, answer: &Value, side: &Side<'_>, events: &[Value]) -> Vec<String> {
    let mut faults = vec![];
    let (got, want) = (shown(answer), row.shows.clone().unwrap_or_else(|| "ok".into()));
    if !want.split('|').any(|one| one == got) {
        faults.push(format!("{got}, and the table says {want}"));
    }
    let about = |event: &&Value| match (event["kind"].as_str(), &row.host) {
        (Some("name"), _) => {
            let paths = [&row.path, &row.to].into_iter().flatten();
            paths.map(|path| side.filled(path)).any(|path| event["path"] == path.as_str())
        }
        (Some("connection"), Some(host)) => event["host"] == host.as_str(),
        _ => false,
    };
    let of = |event: &Value| match event["kind"].as_str() {
        Some("connection") => {
            let code = event["code"].as_str().or_else(|| event["verdict"].as_str());
            format!("connection {}", code.unwrap_or_default())
        }
        Some("limit") => format!("limit {}", event["limit"].as_str().unwrap_or_default()),
        kind => {
            let operation = event["operation"].as_str().unwrap_or_default();
            format!("{} {operation}", kind.unwrap_or_default())
        }
    };
    let about: Vec<String> = events.iter().filter(about).map(of).collect();
    let limits = events.iter().filter(|event| event["kind"] == "limit").map(of);
    let is_there = about.contains(&row.event) || limits.into_iter().any(|one| one == row.event);
    match row.event.as_str() {
        "none" if about.iter().any(|one| one.starts_with("name ")) => {
            faults.push(format!("an event, and the table says none: {about:?}"));
        }
        "none" => {}
        event if !is_there => faults.push(format!("no event {event}: {about:?}")),
        _ => {}
    }
    faults
}

/// What the plan does not say and has to.
fn told(row: &Row, coverage: &str, wall: &str) -> Vec<String> {
    let mut faults = vec![];
    let word = MECHANISMS.iter().find(|(name, _)| *name == row.mechanism).map(|(_, word)| *word);
    let word = word.unwrap_or_default();
    // Without a view of its own and without namespaces it is these, for each act.
    let word = match (wall, row.mechanism.as_str()) {
        ("process/landlock", "absence" | "mount") => "Landlock",
        ("process/landlock", "identity" | "namespace") => "in the host's own namespaces",
        (gvisor::WALL, "landlock" | "seccomp") => "gVisor's kernel",
        (gvisor::WALL, "broker") => "gVisor's layer in memory",
        (gvisor::WALL, "privileges") => "no capabilities outside",
        _ => word,
    };
    if !coverage.contains(word) {
        faults.push(format!("{}: the plan's coverage does not say {word:?}", row.id));
    }
    if row.verdict == Verdict::Deny && row.event == "none" {
        let why = row.unrecorded.as_deref().unwrap_or(SILENT);
        if !coverage.contains(why) {
            faults.push(format!("{}: the plan's coverage does not say {why:?}", row.id));
        }
    }
    faults
}
