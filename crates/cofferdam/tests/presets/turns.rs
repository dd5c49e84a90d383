//! One turn of each agent with the API under its own name: the agent as npm installs it, a key
//! that it was given in so many words, and a server on this machine's loopback that plays the API.
//! It is told to run a command, runs it, tells what came of it, and ends.

mod logins;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::agents::SERVICE;
use super::support::{Ran, finish, programs, variable};
use super::{Bench, tool};

/// What a key must never be found by.
const SECRET: &str = "fake-4711-never-told";
/// What the agent's command asks for twice, and no rule allows.
const CLOSED: &str = "collector.test";
/// Seconds after which a turn is killed: far more than one takes, even with all its repetitions.
const WATCHDOG_SECONDS: &str = "90";
/// Seconds for a turn that has no network, and may repeat what it tries for minutes.
const ALONE_SECONDS: &str = "6";

/// An agent, and how one speaks to it.
struct Agent {
    program: &'static str,
    package: &'static str,
    preset: &'static str,
    /// What the preset says of the network.
    rules: &'static str,
    host: &'static str,
    /// The variable of its key, and how the key is sent.
    key: &'static str,
    sent: &'static str,
    words: &'static [&'static str],
    /// What it asks for first, is refused, and does without: a method and a path.
    without: Option<(&'static str, &'static str)>,
}

const CLAUDE_CODE: Agent = Agent {
    program: "claude",
    package: "@anthropic-ai/claude-code",
    preset: "claude-code",
    rules: include_str!("../../../cofferdam-policy/src/presets/anthropic.toml"),
    host: "api.anthropic.com",
    key: "ANTHROPIC_API_KEY",
    sent: SECRET,
    words: &["claude", "-p", "please", "--output-format", "json", "--allowedTools", "Bash"],
    without: None,
};

const CODEX: Agent = Agent {
    program: "codex",
    package: "@openai/codex",
    preset: "codex",
    rules: include_str!("../../../cofferdam-policy/src/presets/openai.toml"),
    host: "api.openai.com",
    key: "CODEX_API_KEY",
    sent: "Bearer fake-4711-never-told",
    words: &["codex", "exec", "--skip-git-repo-check", "please"],
    // A WebSocket, in which nobody could read what is refused: after some seconds it takes requests.
    without: Some(("GET", "/v1/responses")),
};

/// How the agent finds its way to the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By the variables that cofferdam sets.
    Proxy,
    /// By name and connection alone: the variables are taken away again.
    Direct,
}

impl Way {
    /// As the log tells it.
    const fn told(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Direct => "direct",
        }
    }

    /// What the agent is started with.
    fn words(self) -> Vec<&'static str> {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"];
        let names = names.into_iter().chain(["all_proxy", "NODE_USE_ENV_PROXY"]);
        match self {
            Self::Proxy => Vec::new(),
            Self::Direct => ["env"].into_iter().chain(names.flat_map(|it| ["-u", it])).collect(),
        }
    }
}

/// A home with the agent in it, and the server that plays its API.
struct Stage {
    agent: &'static Agent,
    bench: Bench,
    origin: Child,
    policy: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.origin.kill());
        drop(self.origin.wait());
    }
}

impl Stage {
    /// Sets it up; says so and gives none where the agent or `openssl` is not installed.
    fn new(agent: &'static Agent) -> Option<Self> {
        Self::with(agent, &[agent.host], &[], &policy)
    }

    /// The same for these hosts, with what else the server is told, and under another policy.
    fn with(
        agent: &'static Agent,
        hosts: &[&str],
        told: &[(&str, &str)],
        policy: &dyn Fn(&Agent, &Path, u16) -> String,
    ) -> Option<Self> {
        let tools = variable("COFFERDAM_TOOLS").map(|tools| Path::new(&tools).join("npm-global"));
        let modules = tools.map(|tools| tools.join("lib/node_modules"));
        let Some(modules) = modules.filter(|modules| modules.join(agent.package).exists()) else {
            let package = agent.package;
            println!("not run: {package} is not installed from npm (cargo xtask agents does it)");
            return None;
        };
        tool("openssl")?;
        let mut bench = Bench::new();
        installed(&mut bench, agent, &modules);
        bench.place.write("out/service.py", SERVICE);
        let made = finish(
            bench.command("sh").current_dir(&bench.place.out).args(["-ec", &authority(hosts)]),
        );
        made.works("an authority and a certificate");
        let mut origin = bench.command("/usr/bin/python3");
        origin.current_dir(&bench.place.out).args(["service.py", "--tls", "leaf.pem", "leaf.key"]);
        origin.envs(told.iter().copied());
        origin.arg("seen").env("ASKED", asked()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut origin = origin.spawn().unwrap_or_else(|error| panic!("{error}"));
        let mut port = String::new();
        let out = origin.stdout.take().unwrap_or_else(|| panic!("it is piped"));
        drop(BufReader::new(out).read_line(&mut port));
        let port: u16 = port.trim().parse().unwrap_or_else(|_| panic!("no port: {port:?}"));
        let policy = bench.place.write("policy.toml", &policy(agent, &bench.place.work, port));
        Some(Self { agent, bench, origin, policy })
    }

    /// `cofferdam TASK` under the policy, with the key in the caller's environment.
    fn cofferdam(&self, seconds: &str, task: &str, more: &[&str]) -> Command {
        let mut command = self.bench.command("timeout");
        command.args(["--signal=KILL", seconds]).arg(programs().join("cofferdam"));
        command.arg(task).arg("--policy").arg(&self.policy);
        command.args(["--dangerous-env", self.agent.key]).args(more).arg("--");
        command.env(self.agent.key, SECRET);
        command
    }

    /// A turn, and what it must have made.
    fn turn(&self, way: Way, more: &[&str], words: &[&str]) -> Ran {
        drop(fs::remove_file(self.bench.place.work.join("made-by-agent")));
        let mut command = self.cofferdam(WATCHDOG_SECONDS, "run", more);
        let ran = finish(command.args(way.words()).args(words)).works("a turn");
        assert!(ran.out.contains("all done"), "{ran:?}");
        let made = self.bench.place.read("home/src/app/made-by-agent");
        assert_eq!(made, "home-secret: No such file or directory\nclosed\nclosed\n", "{ran:?}");
        ran
    }

    /// What the server was asked, in order.
    fn seen(&self) -> Vec<Value> {
        lines(&self.bench.place.read("out/seen"))
    }

    /// Events of a kind on record.
    fn events(&self, kind: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.bench.place.audit_log());
        let log = log.unwrap_or_else(|error| panic!("{error}"));
        let events = lines(&log).into_iter().map(|record| record["event"].clone());
        events.filter(|event| event["kind"] == kind).collect()
    }

    /// Nothing that cofferdam wrote has the key's value: not its state, nor what it said.
    #[track_caller]
    fn untold(&self, said: &[&Ran]) {
        let state = self.bench.place.home.join(".local/state");
        let found = finish(self.bench.command("grep").args(["-rlF", SECRET]).arg(&state));
        assert_eq!((found.status, found.out.as_str()), (Some(1), ""), "{found:?}");
        let found = finish(self.bench.command("grep").args(["-rlF", self.agent.key]).arg(&state));
        found.works("its name is on record");
        for ran in said {
            assert!(!ran.err.contains(SECRET) && !ran.out.contains(SECRET), "{ran:?}");
        }
    }
}

/// Puts the agent where npm puts what is installed without root, and on `PATH`.
fn installed(bench: &mut Bench, agent: &Agent, modules: &Path) {
    let own = bench.place.home.join(".npm-global");
    let to = own.join("lib/node_modules").join(agent.package);
    let (from, folder) = (modules.join(agent.package), to.parent().unwrap_or(&own).to_owned());
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{error}"));
    // Links where they can be made: an agent is large.
    if finish(bench.command("cp").arg("-al").args([&from, &to])).status != Some(0) {
        drop(fs::remove_dir_all(&to));
        finish(bench.command("cp").arg("-a").args([&from, &to])).works("a copy of the agent");
    }
    let bin = modules.join("../../bin");
    fs::create_dir_all(own.join("bin")).unwrap_or_else(|error| panic!("{error}"));
    let link =
        finish(bench.command("cp").arg("-a").args([&bin.join(agent.program), &own.join("bin")]));
    link.works("npm's link to the agent");
    bench.path = format!("{}/bin:{}", own.display(), bench.path);
}

/// A script that makes `ca.pem`, and `leaf.pem` for these names.
fn authority(hosts: &[&str]) -> String {
    let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
    let new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    format!(
        "{new} -subj /CN=played -addext basicConstraints=critical,CA:TRUE \
           -keyout ca.key -out ca.pem\n\
         {new} -subj /CN=api -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE \
           -addext subjectAltName={} -keyout leaf.key -out leaf.pem\n\
         cp ca.pem \"$W\"",
        names.join(",")
    )
}

/// What the agent is told to run: it looks for a secret, asks twice for a closed host, and writes
/// down what came of it.
fn asked() -> String {
    let ask = format!(
        "/usr/bin/python3 -c 'import urllib.request as u; u.urlopen(\"https://{CLOSED}/\")' \
         >/dev/null 2>&1 && echo open || echo closed"
    );
    format!(
        "{{ cat ~/.ssh/id_test 2>&1 | sed 's/.*:/home-secret:/'; {ask}; {ask}; }} >made-by-agent"
    )
}

/// The preset, the authority to trust, and where the API is played: by the preset's own rules, so that the
/// agent's requests are such as these let through.
fn policy(agent: &Agent, work: &Path, port: u16) -> String {
    let (ca, preset, host) = (work.join("ca.pem"), agent.preset, agent.host);
    let (_, rules) = agent.rules.split_once("version = 1\n").unwrap_or_default();
    let named = format!("host = \"{host}\"\n");
    let played = rules.replace(&named, &format!("{named}dial = \"127.0.0.1:{port}\"\n"));
    assert_eq!(played.matches("dial").count(), 2, "{rules}");
    format!(
        "version = 1\nextends = [\"preset:{preset}\"]\n\n[network]\ntrust_ca = [\"{}\"]\n{played}",
        ca.display()
    )
}

fn lines(text: &str) -> Vec<Value> {
    let values = text.lines().map(serde_json::from_str);
    values.map(|value| value.unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

/// A whole turn by each way; what is on record, what is said, and what is nowhere.
fn whole_turn(agent: &'static Agent) {
    let Some(stage) = Stage::new(agent) else { return };
    stage.bench.outside("cat ~/.ssh/id_test").works("outside the secret is there");
    let danger = format!("the real value of {} is inside", agent.key);
    let mut said = Vec::new();
    for task in ["plan", "run"] {
        let shown = finish(stage.cofferdam(WATCHDOG_SECONDS, task, &["--json"]).arg("true"));
        let shown = shown.works("plan, or a run of nothing");
        assert!(shown.out.contains(&danger) || shown.err.contains(&danger), "{task}: {shown:?}");
        said.push(shown);
    }
    let plan = finish(stage.cofferdam(WATCHDOG_SECONDS, "plan", &[]).args(agent.words));
    let plan = plan.works("plan");
    assert!(plan.out.contains(&danger), "{plan:?}");
    said.push(plan);
    for way in [Way::Proxy, Way::Direct] {
        drop(fs::remove_file(stage.bench.place.audit_log()));
        drop(fs::remove_file(stage.bench.place.out.join("seen")));
        let ran = stage.turn(way, &[], agent.words);
        assert_eq!(ran.err.matches(&danger).count(), 1, "the note: {ran:?}");
        let told = ran.err.lines().filter(|line| line.contains(CLOSED) && line.contains("refused"));
        assert_eq!(told.count(), 1, "the note names what was closed once: {ran:?}");
        let refused = ran.err.lines().filter(|line| line.starts_with("cofferdam: refused"));
        let without = agent.without.map(|(method, path)| {
            format!("cofferdam: refused: {method} {}:443{path} ", agent.host)
        });
        let (own, other): (Vec<&str>, Vec<&str>) =
            refused.partition(|line| without.as_ref().is_some_and(|start| line.starts_with(start)));
        assert_eq!((own.len(), other.len()), (usize::from(without.is_some()), 1), "{ran:?}");
        arrived(&stage);
        on_record(&stage, way, &danger);
        said.push(ran);
    }
    let mut show = stage.bench.command(programs().join("cofferdam"));
    said.push(finish(show.args(["audit", "show"])).works("the log"));
    assert!(said.iter().any(|ran| ran.out.contains(&danger)), "the log tells it: {said:?}");
    let said: Vec<&Ran> = said.iter().collect();
    // An agent's own words are its own; ours begin on standard error.
    stage.untold(&said);
}

/// The server was asked under the API's name alone, with the key that was given.
fn arrived(stage: &Stage) {
    let seen = stage.seen();
    let (agent, mut turns) = (stage.agent, 0);
    for request in &seen {
        assert_eq!(request["host"], agent.host, "{seen:?}");
        assert_eq!(request["name"], agent.host, "{seen:?}");
        let asks = request["method"] == "POST";
        turns += usize::from(asks);
        assert!(!asks || request["keys"] == serde_json::json!([agent.sent]), "{seen:?}");
    }
    assert_eq!(turns, 2, "a tool is asked for, and what came of it is told: {seen:?}");
}

/// Each connection is on record: to the API as it was dialled, and nowhere else.
fn on_record(stage: &Stage, way: Way, danger: &str) {
    let connections = stage.events("connection");
    let host = stage.agent.host;
    let (open, closed): (Vec<_>, Vec<_>) =
        connections.iter().partition(|event| event["verdict"] == "allowed");
    assert!(open.len() >= 2, "{connections:?}");
    let port = fs::read_to_string(&stage.policy).unwrap_or_default();
    for event in &open {
        assert_eq!((&event["host"], &event["port"]), (&host.into(), &443.into()), "{event}");
        assert_eq!(event["way"], way.told(), "{event}");
        let address = event["address"].as_str().unwrap_or_default();
        assert!(address.starts_with("127.0.0.1:") && port.contains(address), "{event}");
        let clause = event["clause"].as_str().unwrap_or_default();
        assert!(clause.starts_with("network.allow["), "{event}");
        assert!(clause.contains("policy.toml"), "the rule of the policy: {event}");
        assert!(
            event["sent"].as_u64() > Some(0) && event["received"].as_u64() > Some(0),
            "{event}"
        );
    }
    let own = |event: &&&Value| {
        let request = &event["request"];
        let word = |key: &str| request[key].as_str().unwrap_or_default();
        event["host"] == host && stage.agent.without == Some((word("method"), word("path")))
    };
    let closed: Vec<&&Value> = closed.iter().filter(|event| !own(event)).collect();
    assert!(!closed.is_empty());
    for event in closed {
        assert_eq!(
            (&event["host"], &event["verdict"]),
            (&CLOSED.into(), &"denied".into()),
            "{event}"
        );
        assert_eq!(event["code"], "host-not-allowed", "{event}");
    }
    let starts = stage.events("start");
    let dangers = starts.iter().map(|start| start["policy"]["dangers"][0]["what"].as_str());
    let dangers: Vec<&str> = dangers.flatten().collect();
    assert_eq!(dangers.len(), 1, "{dangers:?}");
    assert!(dangers[0].contains(danger), "{dangers:?}");
}

/// Without a network nothing arrives and nothing is made.
fn no_turn_alone(agent: &'static Agent) {
    let Some(stage) = Stage::new(agent) else { return };
    let more = ["--network", "none"];
    let ran = finish(stage.cofferdam(ALONE_SECONDS, "run", &more).args(agent.words));
    assert_ne!(ran.status, Some(0), "{ran:?}");
    assert!(!ran.out.contains("all done"), "{ran:?}");
    assert!(!stage.bench.place.work.join("made-by-agent").exists(), "{ran:?}");
    assert_eq!(stage.seen(), Vec::<Value>::new());
}

#[test]
fn claude_code_makes_a_turn() {
    whole_turn(&CLAUDE_CODE);
}

#[test]
fn codex_makes_a_turn() {
    whole_turn(&CODEX);
}

#[test]
fn claude_code_makes_none_alone() {
    no_turn_alone(&CLAUDE_CODE);
}

#[test]
fn codex_makes_none_alone() {
    no_turn_alone(&CODEX);
}

/// Nobody gives it the key: none arrives.
#[test]
fn a_key_is_passed_only_where_the_person_says_so() {
    let Some(stage) = Stage::new(&CODEX) else { return };
    let mut command = stage.bench.command(programs().join("cofferdam"));
    command.arg("run").arg("--policy").arg(&stage.policy).env(CODEX.key, SECRET);
    let ran = finish(command.args(["--", "sh", "-c", "env; cat /proc/self/environ"]));
    let ran = ran.works("what is inside");
    assert!(ran.out.contains("SSL_CERT_FILE="), "{ran:?}");
    assert!(!ran.out.contains(SECRET) && !ran.out.contains(CODEX.key), "{ran:?}");
    assert!(!ran.err.contains("dangerous"), "{ran:?}");
}

/// With its switches taken back it asks hosts that nobody allowed, and goes on without them.
#[test]
fn codex_asks_closed_hosts_and_its_turn_succeeds() {
    let Some(stage) = Stage::new(&CODEX) else { return };
    let mut words: Vec<&str> = CODEX.words.to_vec();
    words.extend(["-c", "features.api_key_model_discovery=true", "-c", "features.plugins=true"]);
    let ran = stage.turn(Way::Proxy, &[], &words);
    let refused = ran.err.lines().filter_map(|line| line.strip_prefix("cofferdam: refused: "));
    let hosts: Vec<&str> = refused.filter_map(|row| row.split([' ', ':']).next()).collect();
    assert!(hosts.contains(&"chatgpt.com") && hosts.contains(&CLOSED), "{ran:?}");
    let mut once = hosts.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), hosts.len(), "each is named once: {hosts:?}");
    arrived(&stage);
}

/// Its reports go to the host of the API: with the preset's variable it makes none, and without it the
/// rules, which name what the host is asked for, refuse them. The turn succeeds all the same.
#[test]
fn reports_of_claude_code_are_refused_where_it_makes_some() {
    let Some(stage) = Stage::new(&CLAUDE_CODE) else { return };
    let reports = || {
        let seen = stage.seen();
        let paths = seen.iter().filter_map(|request| request["path"].as_str().map(str::to_owned));
        paths.filter(|path| path.contains("event_logging")).count()
    };
    stage.turn(Way::Proxy, &[], CLAUDE_CODE.words);
    let refused = || {
        let events = stage.events("connection");
        let paths = events.iter().filter(|event| event["code"] == "path-not-allowed");
        paths
            .filter(|event| {
                event["request"]["path"].as_str().is_some_and(|p| p.contains("event_logging"))
            })
            .count()
    };
    assert_eq!((reports(), refused()), (0, 0), "{:?}", stage.seen());
    let mut words = vec!["env", "-u", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"];
    words.extend(CLAUDE_CODE.words);
    stage.turn(Way::Proxy, &[], &words);
    assert_eq!(reports(), 0, "{:?}", stage.seen());
    assert!(refused() > 0, "{:?}", stage.events("connection"));
}

/// The same turn on a terminal, from its first screen: that asks for no closed host.
#[test]
fn claude_code_makes_a_turn_on_its_screen() {
    let Some(stage) = Stage::new(&CLAUDE_CODE) else { return };
    if tool("tmux").is_none() {
        return;
    }
    let socket = stage.bench.place.out.join("tmux").display().to_string();
    let tmux = |words: &[&str]| {
        let mut command = stage.bench.command("tmux");
        command.args(["-S", &socket, "-f", "/dev/null"]).args(words).env("TERM", "xterm");
        finish(command.env(CLAUDE_CODE.key, SECRET))
    };
    let run = stage.cofferdam(WATCHDOG_SECONDS, "run", &[]);
    let words: Vec<_> = run.get_args().filter_map(|word| word.to_str()).skip(2).collect();
    let line = format!("{} claude --allowedTools Bash", words.join(" "));
    tmux(&["new-session", "-d", "-x", "100", "-y", "40", &line]).works("a terminal");
    // A key that comes with what is on the screen may come too early: it is sent until it is heard.
    let until = |words: &str, keys: &[&str]| {
        let mut screen = String::new();
        for round in 0..200 {
            screen = tmux(&["capture-pane", "-p"]).out;
            if screen.contains(words) {
                return;
            }
            if round % 10 == 9 && !keys.is_empty() {
                tmux(&[&["send-keys"], keys].concat()).works("keys");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no {words:?} on the screen: {screen}");
    };
    until("Yes, I trust this folder", &[]);
    until("Do you want to use this API key?", &["Enter"]);
    until("❯ 1. Yes", &["Up"]);
    until("for shortcuts", &["Enter"]);
    tmux(&["send-keys", "please"]).works("a question");
    until("all done", &["Enter"]);
    tmux(&["kill-server"]).works("the end");
    let made = stage.bench.place.read("home/src/app/made-by-agent");
    assert!(made.starts_with("home-secret: No such file"), "{made}");
    let asked = stage.events("connection");
    let other =
        asked.iter().find(|event| event["host"] != CLAUDE_CODE.host && event["host"] != CLOSED);
    assert_eq!(other, None, "{asked:?}");
}
