//! One turn of each agent with a person's login and no key: its tokens are in the vault, the agent has what
//! stands in for them, refreshes them as ever, and the API sees the real one. Nothing inside has it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Agent, CLAUDE_CODE, CLOSED, CODEX, Stage, WATCHDOG_SECONDS, Way};
use crate::support::{finish, programs};

/// What every real token holds, and nothing that stands in for one.
const KNOWN: [&str; 2] = ["R34lT0ken", "OfTh1sP3rson"];

/// A login, and where it is used.
struct Login {
    agent: &'static Agent,
    /// The preset, without `-login`: the name of the secret, too.
    name: &'static str,
    /// The API, and who gives tokens out.
    hosts: &'static [&'static str],
    /// Where tokens are asked for.
    path: &'static str,
    access: &'static str,
    refresh: &'static str,
    /// What the agent keeps, with both.
    kept: fn(&str, &str) -> String,
    /// Where it keeps it.
    file: &'static str,
    /// What it is told beside what it is told with a key.
    words: &'static [&'static str],
}

const CLAUDE: Login = Login {
    agent: &CLAUDE_CODE,
    name: "claude",
    hosts: &["api.anthropic.com", "console.anthropic.com", "platform.claude.com"],
    path: "/v1/oauth/token",
    access: "sk-ant-oat01-R34lT0ken0000OfTh1sP3rson-abcdefghijklmnopqrstuvwxyz0123456789-AAAAAA",
    refresh: "sk-ant-ort01-R34lT0ken0000OfTh1sP3rson-abcdefghijklmnopqrstuvwxyz0123456789-BBBBBB",
    // It is over, so that the agent asks for the next one first.
    kept: |access, refresh| {
        format!(
            "{{\"claudeAiOauth\":{{\"accessToken\":\"{access}\",\"refreshToken\":\"{refresh}\",\"expiresAt\":1000,\
             \"scopes\":[\"user:inference\",\"user:profile\"],\"subscriptionType\":\"max\"}}}}"
        )
    },
    file: ".claude/.credentials.json",
    words: &[],
};

/// Claims: an account, and an end long ago.
const SPENT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjEwMDAsImVtYWlsIjoic29tZWJvZHlAZXhhbXBsZS50ZXN0IiwiaHR0cHM6Ly9hcGkub3BlbmFpLmNvbS9hdXRoIjp7ImNoYXRncHRfYWNjb3VudF9pZCI6ImFjYy0xIiwiY2hhdGdwdF9wbGFuX3R5cGUiOiJwcm8ifX0.R34lT0ken0000OfTh1sP3rson0123456789abcdef";

const CHATGPT: Login = Login {
    agent: &CODEX,
    name: "chatgpt",
    hosts: &["chatgpt.com", "api.openai.com", "auth.openai.com"],
    path: "/oauth/token",
    access: SPENT,
    refresh: "rt_R34lT0ken0000OfTh1sP3rson.abcdefghijklmnopqrstuvwxyz0123456789",
    kept: |access, refresh| {
        format!(
            "{{\"OPENAI_API_KEY\":null,\"tokens\":{{\"id_token\":\"{SPENT}\",\"access_token\":\"{access}\",\
             \"refresh_token\":\"{refresh}\",\"account_id\":\"acc-1\"}},\"last_refresh\":\"2025-01-01T00:00:00Z\"}}"
        )
    },
    file: ".codex/auth.json",
    // Else it asks first which of several hosts is its account's, in a way that nobody here plays.
    words: &[
        "-c",
        "model_provider=played",
        "-c",
        "model_providers.played={name='played',base_url='https://chatgpt.com/backend-api/codex',wire_api='responses',requires_openai_auth=true}",
    ],
};

impl Login {
    /// The preset, with each of its hosts played here.
    fn policy(&self, out: &Path, port: u16) -> String {
        let name = self.name;
        let mut text = format!(
            "version = 1\nextends = [\"preset:{name}-login\"]\n[network]\ntrust_ca = [\"{}\"]\n",
            out.join("ca.pem").display()
        );
        for host in self.hosts {
            let gives = ["console.anthropic.com", "platform.claude.com", "auth.openai.com"];
            let asks = if gives.contains(host) {
                format!(
                    "methods = [\"POST\"]\npaths = [\"{}\"]\ncredential = \"{name}-refresh\"",
                    self.path
                )
            } else {
                format!("credential = \"{name}\"")
            };
            text += &format!(
                "[[network.allow]]\nhost = \"{host}\"\ndial = \"127.0.0.1:{port}\"\n{asks}\n"
            );
        }
        text
    }

    /// The file of the vault's own that is read by nobody but cofferdam.
    fn stores(&self, stage: &Stage) {
        let mut command = stage.bench.command(programs().join("cofferdam"));
        command.args(["vault", "set", self.name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
        let kept = (self.kept)(self.access, self.refresh);
        let mut input = child.stdin.take().unwrap_or_else(|| panic!("it is piped"));
        input.write_all(kept.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        drop(input);
        assert!(child.wait().is_ok_and(|status| status.success()));
    }

    fn runs(&self, stage: &Stage) -> Command {
        let mut command = stage.bench.command("timeout");
        command.args(["--signal=KILL", WATCHDOG_SECONDS]).arg(programs().join("cofferdam"));
        command.args(["run", "--quiet", "--policy"]).arg(&stage.policy).arg("--");
        command
    }
}

/// What the server was asked, a line each.
fn asked(seen: &[serde_json::Value]) -> String {
    let word = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or("-").to_owned();
    let row = |one: &serde_json::Value| {
        let number = one["keys"][0]
            .as_str()
            .map_or("none", |key| if key.contains("0001") { "next" } else { "first" });
        format!("{} {}{} {number}\n", word(one, "method"), word(one, "host"), word(one, "path"))
    };
    seen.iter().map(row).collect()
}

/// A whole turn, each way: the agent exchanges its token first.
fn turns(login: &'static Login) {
    let state =
        std::env::temp_dir().join(format!("cofferdam-login-{}-{}", login.name, std::process::id()));
    let told = [("LOGIN", state.to_str().unwrap_or_default())];
    let policy = |_: &Agent, work: &Path, port: u16| {
        let home = work.ancestors().nth(3).unwrap_or(work);
        login.policy(&home.join("out"), port)
    };
    fs::write(&state, format!("{}\n{}\n0000", login.access, login.refresh))
        .unwrap_or_else(|error| panic!("{error}"));
    let Some(stage) = Stage::with(login.agent, login.hosts, &told, &policy) else { return };
    for (number, way) in [Way::Proxy, Way::Direct].into_iter().enumerate() {
        fs::write(&state, format!("{}\n{}\n0000", login.access, login.refresh))
            .unwrap_or_else(|error| panic!("{error}"));
        login.stores(&stage);
        drop(fs::remove_file(stage.bench.place.out.join("seen")));
        let ran =
            finish(login.runs(&stage).args(way.words()).args(login.agent.words).args(login.words));
        let seen = stage.seen();
        let told = stage.events("connection").into_iter().filter(|event| event["host"] != CLOSED);
        let refused: Vec<_> = told.filter(|event| !event["code"].is_null()).collect();
        let ran = ran.works(&format!("{}: {}{refused:?}", way.told(), asked(&seen)));
        assert!(ran.out.contains("all done"), "{ran:?}: {}", asked(&seen));
        let made = stage.bench.place.read("home/src/app/made-by-agent");
        assert!(made.starts_with("home-secret: No such file"), "{made}");
        // The API was asked with the token that the exchange brought, which nothing inside has.
        let is_next = |key: &str| key.starts_with("Bearer ") && key.contains("R34lT0ken0001");
        let turns = seen.iter().filter(|one| one["keys"][0].as_str().is_some_and(is_next));
        let turns = turns.filter(|one| one["method"] == "POST");
        assert!(turns.count() >= 2, "{}", asked(&seen));
        let exchanged = stage.events("credential-refreshed");
        assert!(exchanged.len() > number, "{exchanged:?}");
        assert!(exchanged.iter().all(|event| event["kept"] == "vault"), "{exchanged:?}");
        for piece in KNOWN {
            assert!(!ran.out.contains(piece) && !ran.err.contains(piece), "{ran:?}");
            let found = finish(
                stage.bench.command("grep").args(["-rlF", piece]).arg(&stage.bench.place.home),
            );
            assert_eq!((found.status, found.out.as_str()), (Some(1), ""), "{found:?}");
        }
    }
    // What is inside is what the agent itself keeps, without the tokens.
    let inside =
        finish(login.runs(&stage).args(["sh", "-c", &format!("cat ~/{} >kept.json", login.file)]));
    inside.works("what it keeps");
    let kept = stage.bench.place.read("home/src/app/kept.json");
    assert!(serde_json::from_str::<serde_json::Value>(&kept).is_ok(), "{kept}");
    assert!(KNOWN.iter().all(|piece| !kept.contains(piece)), "{kept}");
    drop(fs::remove_file(&state));
}

#[test]
fn claude_code_makes_a_turn_by_a_login() {
    turns(&CLAUDE);
}

#[test]
fn codex_makes_a_turn_by_a_login() {
    turns(&CHATGPT);
}
