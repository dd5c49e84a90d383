//! What `policy show`, `check` and `plan` say of the network, and of what is dangerous.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

use super::support::{Place, Ran, finish, programs};
use super::{policy, shows};

const POLICY: &str = r#"version = 1
extends = ["preset:rubygems"]
[network]
upstream_proxy = "http://localhost:3128"
publish = ["3000:8080"]
allow = [
    { host = "*.BÜCHER.test" },
    { host = "db.test", ports = [5432], protocol = "tcp", dial = "192.0.2.7:5432" },
    { host = "2001:db8::/32", ports = [80] },
    { host = "*.github.io", dangerous_wide_wildcard = true },
]
deny = [{ host = "evil.bücher.test" }, { host = "good．test", ports = [80, 443] }]
"#;

/// The part of `policy show` that begins with `network`, after the rows that begin with `dangerous`.
fn shown(place: &Place) -> Vec<String> {
    let text = policy(place, &["show", "p.toml"]).works("show").out;
    let dangerous = text.lines().filter(|line| line.starts_with("dangerous"));
    let network = text.lines().skip_while(|line| !line.starts_with("network"));
    dangerous.chain(network).map(str::to_owned).collect()
}

#[test]
fn every_rule_of_the_network_is_shown_with_its_place() {
    let place = Place::new();
    place.write("home/src/app/p.toml", POLICY);
    assert_eq!(
        shown(&place),
        [
            "dangerous   `*.github.io` is reached, where anybody can have a host   \
             network.allow[3] (p.toml:10)",
            "network",
            "  allow       tls        *.xn--bcher-kva.test:443   network.allow[0] (p.toml:7)",
            "  allow       tcp        db.test:5432, dialled at 192.0.2.7:5432   \
             network.allow[1] (p.toml:8)",
            "  allow       http       [2001:db8::/32]:80   network.allow[2] (p.toml:9)",
            "  allow       tls        *.github.io:443   network.allow[3] (p.toml:10)",
            "  allow       tls        rubygems.org:443   network.allow[0] (preset:rubygems:8)",
            "  allow       tls        index.rubygems.org:443   network.allow[1] (preset:rubygems:12)",
            "  deny        always     evil.xn--bcher-kva.test, every port   \
             network.deny[0] (p.toml:12)",
            "  deny        always     good.test:80,443   network.deny[1] (p.toml:12)",
            "  upstream    http       localhost:3128   network.upstream_proxy (p.toml:4)",
            "  publish     tcp        127.0.0.1:8080, port 3000   network.publish[0] (p.toml:5)",
        ]
    );
    let checked = policy(&place, &["check", "p.toml"]).works("check").out;
    assert!(checked.contains("network: 6 rules, 1 published port\ndangerous: `*.g"), "{checked}");
    let json = policy(&place, &["check", "--json", "p.toml"]).works("for machines").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&object["network"], &object["published"]), (&6.into(), &1.into()));
    let json = policy(&place, &["show", "--json", "p.toml"]).works("for machines").out;
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rules = &object["network"]["rules"];
    assert_eq!(rules["allow"][0]["pattern"]["below"], "xn--bcher-kva.test");
    assert_eq!(rules["deny"][1]["pattern"]["exact"], "good.test");
    assert_eq!(object["dangers"][0]["clause"]["name"], "network.allow[3]");
}

/// No list, an empty one and `--network none` come to the same.
#[test]
fn nothing_is_open_where_nothing_is_named() {
    let place = Place::new();
    for (text, clause) in [
        ("version = 1\n", "network (built-in)"),
        ("version = 1\n[network]\n", "network (p.toml:2)"),
        ("version = 1\n[network]\nallow = []\n", "network (p.toml:2)"),
    ] {
        place.write("home/src/app/p.toml", text);
        assert_eq!(shown(&place), [format!("network     none   {clause}")], "{text}");
        let checked = policy(&place, &["check", "p.toml"]).works("check").out;
        assert!(checked.ends_with("network: none\n"), "{checked}");
    }
}

/// The network as a plan for machines has it.
fn planned(place: &Place, flags: &[&str]) -> serde_json::Value {
    let mut plan = place.command(programs().join("cofferdam"));
    plan.args(["plan", "--json", "--policy", "p.toml"]).args(flags).args(["--", "true"]);
    let ran = finish(&mut plan).works("a plan").out;
    let object: serde_json::Value = serde_json::from_str(&ran).unwrap();
    object["policy"].clone()
}

#[test]
fn flags_add_and_none_takes_all_away() {
    let place = Place::new();
    place.write("home/src/app/p.toml", POLICY);
    let flags = ["--network", "none", "--preset", "pypi"];
    let closed = planned(&place, &flags);
    for key in ["allow", "deny"] {
        assert_eq!(closed["network"]["rules"][key], serde_json::json!([]), "{key}");
    }
    assert_eq!(closed["network"]["publish"], serde_json::json!([]));
    assert_eq!(closed["network"]["upstream_proxy"], serde_json::Value::Null);
    assert_eq!(closed["network_clause"]["name"], "--network");
    assert_eq!(closed["dangers"], serde_json::json!([]), "what is closed is not dangerous");
    place.write("home/src/app/p.toml", "version = 1\n");
    let flags = ["--preset", "openai", "--allow", "a.test", "--allow", "[::1]:22/tcp"];
    let open = planned(&place, &[&flags[..], &["--publish", "3000"]].concat());
    let clauses: Vec<&str> = open["network"]["rules"]["allow"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|rule| rule["clause"]["file"].as_str())
        .collect();
    assert_eq!(
        clauses,
        ["command line", "command line", "preset:openai", "preset:openai"],
        "the first that holds"
    );
    assert_eq!(open["network"]["publish"][0]["outside"], "127.0.0.1:3000");
}

/// What `policy init` writes as an example is one.
#[test]
fn the_lines_that_init_comments_out_hold() {
    let place = Place::new();
    policy(&place, &["init"]).works("write it");
    let text = place.read("home/src/app/.cofferdam/policy.toml");
    let (before, network) = text.split_once("[network]\n").unwrap();
    let lines = network.lines().filter_map(|line| line.strip_prefix("# "));
    let examples: Vec<&str> = lines.skip_while(|line| !line.starts_with("allow")).collect();
    place.write("home/src/app/p.toml", &format!("{before}[network]\n{}\n", examples.join("\n")));
    let told = shown(&place).join("\n");
    for words in ["api.example.com:443", "db.example.com:5432", "internal.example.com, every port"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// Whom a preset names, the person may lead elsewhere: their rule comes first.
#[test]
fn a_persons_rule_beats_a_presets() {
    let place = Place::new();
    let text = "version = 1\nextends = [\"preset:openai\"]\n[[network.allow]]\n\
                host = \"api.openai.com\"\ndial = \"127.0.0.1:8443\"\n";
    place.write("home/src/app/p.toml", text);
    let policy = planned(&place, &["--allow", "api.openai.com:443/tcp"]);
    let rules = &policy["network"]["rules"]["allow"];
    assert_eq!(rules[0]["protocol"], "tcp", "the flag's");
    assert_eq!(rules[1]["dial"], "127.0.0.1:8443", "the text's");
    assert_eq!(rules[2]["clause"]["file"], "preset:openai", "the preset's");
}

/// A secret passes by a name of its own; that it is inside is said everywhere, its value nowhere.
#[test]
fn a_secret_inside_is_told_and_not_shown() {
    let place = Place::new();
    let with = |words: &[&str], command: &[&str]| -> Ran {
        let mut run = place.command(programs().join("cofferdam"));
        run.env("MY_API_KEY", "hush-hush").args(words).arg("--").args(command);
        finish(&mut run)
    };
    let echo = ["sh", "-c", "echo [$MY_API_KEY]"];
    with(&["run", "--env", "MY_API_KEY"], &echo).refused("says that the value", "not by --env");
    let run = with(&["run"], &echo).works("without");
    assert_eq!(
        (run.out.as_str(), run.err.as_str()),
        ("[]\n", ""),
        "nothing passes, nothing is told"
    );
    let word = "the real value of MY_API_KEY is inside: it can be read and sent";
    let text = "version = 1\n[environment]\ndangerous_allow = [\"MY_API_KEY\", \"MY_OTHER_KEY\"]\n";
    let file = place.write("p.toml", text).display().to_string();
    for (flags, clause) in [
        (["--dangerous-env", "MY_API_KEY"], "--dangerous-env (command line)".to_owned()),
        (["--policy", &file], format!("environment.dangerous_allow[0] ({file}:3)")),
    ] {
        let run = with(&[&["run"], &flags[..]].concat(), &echo).works("with");
        assert_eq!(run.out, "[hush-hush]\n", "it passes");
        let note = format!("cofferdam: dangerous: {word} [dangerous]\n");
        assert!(run.err.starts_with(&note), "{}", run.err);
        assert_eq!(run.err.lines().count(), 2, "{}: no other name", run.err);
        let run = with(&[&["run", "--json"], &flags[..]].concat(), &echo).works("for machines");
        let object: serde_json::Value = serde_json::from_str(&run.err).unwrap();
        assert_eq!((&object["event"], &object["code"]), (&"dangerous".into(), &"dangerous".into()));
        let run = with(&[&["run", "--quiet"], &flags[..]].concat(), &echo).works("quiet");
        assert_eq!(run.err, "", "as it was asked for");
        let plan = with(&[&["plan"], &flags[..]].concat(), &echo).works("plan").out;
        assert!(plan.contains(&format!("\ndangerous   {word}   {clause}\n")), "{plan}");
        assert!(plan.contains("MY_API_KEY=(value not recorded)"), "{plan}");
        let json = with(&[&["plan", "--json"], &flags[..]].concat(), &echo).works("plan").out;
        assert!(!plan.contains("hush") && !json.contains("hush"), "{plan}{json}");
    }
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    assert!(log.contains(word) && !log.contains("hush-hush"), "{log}");
    let told = shows(&place);
    assert!(told.contains(&format!("dangerous: {word}")), "{told}");
    // What is set over it is no secret of the caller's.
    let set = ["run", "--dangerous-env", "MY_API_KEY", "--env", "MY_API_KEY=mine"];
    let run = with(&set, &echo).works("set");
    assert_eq!((run.out.as_str(), run.err.as_str()), ("[mine]\n", ""));
    // A wrong word does not spill it.
    let ran = with(&["run", "--dangerous-env", "MY_API_KEY=hush-hush"], &echo);
    assert!(!ran.err.contains("hush"), "{}", ran.err);
    let log = std::fs::read_to_string(place.audit_log()).unwrap();
    assert!(log.contains("variable-value") && !log.contains("hush-hush"), "{log}");
}

/// Nothing that is asked about a policy is cut or lost because there are ten thousand rules.
#[test]
fn ten_thousand_rules_hold_and_the_last_one_answers() {
    let place = Place::new();
    let text = |count: usize| {
        let rules = (0..count).map(|at| format!("  {{ host = \"h{at}.test\" }},\n"));
        format!("version = 1\n[network]\nallow = [\n{}]\n", rules.collect::<String>())
    };
    place.write("home/src/app/p.toml", &text(10_000));
    let checked = policy(&place, &["check", "p.toml"]).works("check").out;
    assert!(checked.contains("; network: 10000 rules"), "{checked}");
    let why = |host: &str| {
        let mut why = place.command(programs().join("cofferdam"));
        finish(why.args(["why", "--json", "--policy", "p.toml", "--", "connect", host]))
    };
    for (host, at, line) in [("h0.test", 0, 4), ("h9999.test", 9_999, 10_003)] {
        let object = why(host).works(host).out;
        let object: serde_json::Value = serde_json::from_str(&object).unwrap();
        assert_eq!(object["verdict"], "allowed", "{object}");
        assert_eq!(object["clause"]["name"], format!("network.allow[{at}]"), "{object}");
        assert_eq!(object["clause"]["line"], line, "{object}");
    }
    assert_eq!(why("h10000.test").status, Some(1), "no rule names it");
    place.write("home/src/app/p.toml", &text(10_001));
    policy(&place, &["check", "p.toml"])
        .refused("`network.allow` has 10001 entries; at most 10000 are allowed", "one more");
}
