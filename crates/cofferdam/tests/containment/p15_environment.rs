//! P15: no variable passes but those that are named.

use crate::support::Place;

/// Variables that change what programs run, read or trust.
const HOSTILE: &[&str] = &[
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "BASH_ENV",
    "ENV",
    "PROMPT_COMMAND",
    "PS4",
    "IFS",
    "GIT_DIR",
    "GIT_SSH_COMMAND",
    "GIT_CONFIG_GLOBAL",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONHOME",
    "PERL5OPT",
    "RUBYOPT",
    "JAVA_TOOL_OPTIONS",
    "EDITOR",
    "PAGER",
    "LESSOPEN",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "HTTPS_PROXY",
    "SSL_CERT_FILE",
    "GCONV_PATH",
    "MALLOC_CHECK_",
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "ANTHROPIC_API_KEY",
    "DBUS_SESSION_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "OLDPWD",
];

#[test]
fn only_named_variables_pass() {
    let place = Place::new();
    let with = |command: &mut std::process::Command| {
        for name in HOSTILE {
            // A value that breaks nothing: the control must be able to run `env`.
            command.env(name, "");
        }
        command.env("LC_TIME", "C").env("TERM", "vt100").env("WANTED", "yes").env("UNWANTED", "no");
        crate::support::finish(command)
    };
    let outside = with(place.command("/usr/bin/env").arg("-0")).works("control").out;
    for name in HOSTILE {
        assert!(
            outside.split('\0').any(|line| line.starts_with(&format!("{name}="))),
            "{name} passes outside"
        );
    }
    let inside =
        with(place.cofferdam(&["--env", "WANTED", "--env", "SET=1"]).args(["/usr/bin/env", "-0"]))
            .works("inside")
            .out;
    let mut names: Vec<&str> = inside
        .split('\0')
        .filter_map(|line| line.split('=').next())
        .filter(|n| !n.is_empty())
        .collect();
    names.sort_unstable();
    names.retain(|name| {
        !["LANG", "LC_ALL", "LC_CTYPE", "COLORTERM", "TZ", "NO_COLOR"].contains(name)
    });
    assert_eq!(
        names,
        [
            "H", "HOME", "LC_TIME", "LOGNAME", "OUT", "PATH", "SET", "SHELL", "TERM", "TMPDIR",
            "USER", "W", "WANTED"
        ]
    );
}

#[test]
fn not_even_through_the_environment_of_init() {
    let place = Place::new();
    let run = |script: &str| {
        crate::support::finish(
            place.cofferdam(&[]).env("SECRET_WORD", "open-sesame").args(["sh", "-c", script]),
        )
    };
    run("cat /proc/1/environ").fails(&["Permission denied"], "init's environment");
    let found = run(
        "cat /proc/*/environ /proc/*/task/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c open-sesame",
    );
    assert_eq!(found.out.trim(), "0", "nowhere in /proc");
    let outside = crate::support::finish(
        place
            .command("sh")
            .env("SECRET_WORD", "open-sesame")
            .args(["-c", "tr '\\0' '\\n' < /proc/$$/environ | grep -c open-sesame"]),
    );
    assert_eq!(outside.works("control").out.trim(), "1");
}

/// What a pattern covers and nobody wrote down does not pass where its name may be a secret's.
#[test]
fn patterns_pass_no_secret() {
    let place = Place::new();
    let text =
        "version = 1\n[environment]\nallow = [\"A*\", \"D*\", \"G*\", \"M*\", \"N*\", \"O*\"]\n";
    let policy = place.write("policy.toml", text).display().to_string();
    let mut command = place.cofferdam(&["--policy", &policy]);
    for name in ["AWS_KEY", "DB_PASS", "GITHUB_PAT", "MYSQL_PWD", "NPM_AUTH", "OPENAI_KEY", "ANY"] {
        command.env(name, "hush-hush");
    }
    let inside = crate::support::finish(command.arg("/usr/bin/env")).works("inside").out;
    let passed = inside.lines().filter(|line| line.ends_with("=hush-hush")).collect::<Vec<_>>();
    assert_eq!(passed, ["ANY=hush-hush"], "{inside}");
}

/// The values that a person lets through by name are in no record, nor those of names that only
/// look like a locale's.
#[test]
fn values_are_not_recorded() {
    let place = Place::new();
    let mut command = place.cofferdam(&["--env", "WANTED", "--env", "SET=set-hush"]);
    command.env("WANTED", "hush-hush").env("LC_PASSPORT", "locale-hush").env("LC_TIME", "C.UTF-8");
    crate::support::finish(command.arg("true")).works("runs");
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    for (name, value) in
        [("WANTED", "hush-hush"), ("SET", "set-hush"), ("LC_PASSPORT", "locale-hush")]
    {
        assert!(
            log.contains(name) && !log.contains(value),
            "{name}: the name is, the value is not"
        );
    }
    assert!(log.contains("C.UTF-8"), "the value of a locale is");
}
