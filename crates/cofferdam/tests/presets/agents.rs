//! Agents: with the preset, what the agent starts runs in cofferdam's wall and in no other. The
//! service they speak to is played by a script on the sandbox's own loopback.

use std::path::Path;

use super::support::Ran;
use super::{Bench, tool};

pub(super) const SERVICE: &str = include_str!("service.py");

/// Starts the agent beside its service; it is told to look for a secret and to write what it saw.
fn ask(bench: &Bench, options: &[&str], program: &Path, agent: &str) -> Ran {
    let folder = program.parent().unwrap_or(Path::new("/")).display().to_string();
    let grant = format!("{folder}:ro");
    bench.place.write("home/src/app/service.py", SERVICE);
    bench.place.write("home/src/app/agent.sh", agent);
    let script = "rm -f made-by-agent; /usr/bin/python3 service.py sh agent.sh 2>&1; \
                  cat made-by-agent && echo MADE";
    let agent = format!("AGENT={}", program.display());
    let mut all = vec!["--grant", &grant, "--env", &agent];
    all.extend(options);
    bench.inside(&all, script)
}

/// Settings that only a file can hold are made in the fresh home, and nothing else of it is there.
#[test]
fn codex_finds_its_settings() {
    let bench = Bench::new();
    bench.place.write("home/.codex/auth.json", "token");
    bench.place.write("home/.codex/config.toml", "model = \"of-the-person\"\n");
    let ran = bench.with("codex", "ls -A ~/.codex; cat ~/.codex/config.toml; echo >~/.codex/new");
    let out = ran.works("a file of the fresh home").out;
    let (names, config) = out.split_once('\n').unwrap_or_else(|| panic!("{out}"));
    assert_eq!(names, "config.toml", "and nothing else");
    let config: toml::Table = config.parse().unwrap_or_else(|error| panic!("{error}: {config}"));
    assert_eq!(config["sandbox_mode"].as_str(), Some("danger-full-access"));
    assert_eq!(config["check_for_update_on_startup"].as_bool(), Some(false));
    assert_eq!(config["web_search"].as_str(), Some("disabled"), "what the rule refuses");
    bench.inside(&[], "ls ~/.codex").fails(&["No such file"], "without the preset");
    assert_eq!(bench.place.read("home/.codex/config.toml"), "model = \"of-the-person\"\n");
}

/// Its own sandbox cannot start inside; with the preset it is off, and the wall is as it was.
#[test]
fn codex() {
    let Some(codex) = tool("codex") else { return };
    let bench = Bench::new();
    bench.place.write("home/.codex/auth.json", "token");
    let agent = "$AGENT exec --skip-git-repo-check -c model=gpt-5 -c model_provider=played \
                 -c \"model_providers.played={name='played',base_url='http://127.0.0.1:$PORT/v1',\
                 wire_api='responses',env_key='PLAYED'}\" please </dev/null\n";
    let options = ["--env", "PLAYED=none"];
    let without = ask(&bench, &options, &codex, agent);
    without.fails(&["namespace"], "its sandbox needs what nobody has inside");
    bench.unchanged(|| {
        let ran = ask(&bench, &["--env", "PLAYED=none", "--preset", "codex"], &codex, agent);
        let out = ran.works("the agent's command").out;
        assert!(out.contains("sandbox: danger-full-access") && out.contains("MADE"), "{out}");
        assert!(out.contains("home-secret: No such file"), "the wall stands: {out}");
    });
}

#[test]
fn claude_code() {
    let Some(claude) = tool("claude") else { return };
    let bench = Bench::new();
    bench.place.write("home/.claude/.credentials.json", "token");
    let agent = "export ANTHROPIC_BASE_URL=http://127.0.0.1:$PORT ANTHROPIC_API_KEY=none\n\
                 $AGENT -p please --allowedTools Bash </dev/null\n$AGENT update || true\n";
    bench.unchanged(|| {
        let ran = ask(&bench, &["--preset", "claude-code"], &claude, agent);
        let out = ran.works("the agent's command").out;
        assert!(out.contains("all done") && out.contains("MADE"), "{out}");
        assert!(out.contains("home-secret: No such file"), "the wall stands: {out}");
        assert!(out.contains("Updates are disabled"), "it does not replace itself: {out}");
        let kept = bench.with("claude-code", "cat ~/.claude/.credentials.json");
        kept.fails(&["No such file"], "a token");
    });
}
