//! P15: no variable that a project's settings may set has a program of ours run or read anything.

use std::fs;

use crate::support::{Place, finish, programs};

#[test]
fn p15_nothing_of_the_environment_is_obeyed() {
    let place = Place::new();
    place.write("home/src/app/canary.sh", "touch \"$OUT/pwned\"\n");
    place.outside("chmod +x canary.sh; git init -q .").works("");
    let canary = place.work.join("canary.sh").display().to_string();
    let shell = format!("sh {canary}");
    let pairs: Vec<(&str, &str)> = vec![
        ("BASH_ENV", &canary),
        ("ENV", &canary),
        ("PROMPT_COMMAND", &shell),
        ("PS4", "$(touch $OUT/pwned)"),
        ("GIT_SSH_COMMAND", &shell),
        ("GIT_EXTERNAL_DIFF", &canary),
        ("GIT_PAGER", &shell),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", &canary),
        ("EDITOR", &canary),
        ("VISUAL", &canary),
        ("PAGER", &canary),
        ("LESSOPEN", &canary),
        ("SSH_ASKPASS", &canary),
        ("PYTHONSTARTUP", &canary),
        ("NODE_OPTIONS", "--require=./canary.js"),
        ("PERL5OPT", "-Mcanary"),
        ("RUBYOPT", "-rcanary"),
        ("JAVA_TOOL_OPTIONS", "-javaagent:canary.jar"),
        ("GCONV_PATH", "."),
        ("TZ", ":./canary.sh"),
    ];
    let with = |command: &mut std::process::Command| {
        for (name, value) in &pairs {
            command.env(name, value);
        }
    };
    let mut twin = place.command("git");
    with(twin.arg("status"));
    finish(&mut twin);
    assert!(place.out.join("pwned").exists(), "it fires when git runs outside");
    fs::remove_file(place.out.join("pwned")).unwrap();
    for words in [
        &["doctor"][..],
        &["plan", "--", "true"],
        &["run", "--", "true"],
        &["policy", "show"],
        &["policy", "check"],
        &["trust", "--list"],
        &["sessions"],
        &["completions", "bash"],
        &["version"],
    ] {
        let mut command = place.command(programs().join("cofferdam"));
        with(command.args(words));
        let ran = finish(&mut command);
        assert_ne!(ran.status, None, "{words:?}: {ran:?}");
        assert!(!place.out.join("pwned").exists(), "{words:?}: something ran");
    }
    let mut command = place.cofferdam(&[]);
    with(command.args(["env"]));
    let ran = finish(&mut command).works("what passes");
    for (name, _) in pairs.iter().filter(|(name, _)| *name != "TZ") {
        assert!(!ran.out.lines().any(|line| line.starts_with(&format!("{name}="))), "{name}");
    }
}
