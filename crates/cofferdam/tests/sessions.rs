//! Sessions that run: which there are, another policy for one, and a person who is asked.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on says where"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use support::{Place, Ran, finish, is_root, programs};

const DRIVER: &str = include_str!("terminal/driver.py");

/// `get(NAME)` is the status of a request to it, by the proxy.
const GET: &str = "
import os, sys, time, urllib.error, urllib.request
def get(name):
    try: return urllib.request.urlopen('http://%s/x' % name, timeout=30).status
    except urllib.error.HTTPError as error: return error.code
def wait(name):
    while not os.path.exists(name): time.sleep(0.02)
def say(*words):
    print(*words, flush=True)
";

/// A server of this test's, which any host of a policy may be dialled at.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut head = [0; 4096];
                if stream.read(&mut head).unwrap_or(0) == 0 {
                    return;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(answer).unwrap_or(());
            });
        }
    });
    port
}

/// A policy that lets these hosts through to the server.
fn policy(place: &Place, name: &str, hosts: &[&str], port: u16) -> String {
    let rule = |host: &&str| {
        format!(
            "[[network.allow]]\nhost = \"{host}\"\nports = [80]\nprotocol = \"http\"\n\
             dial = \"127.0.0.1:{port}\"\n"
        )
    };
    let rules: String = hosts.iter().map(rule).collect();
    place.write(name, &format!("version = 1\n{rules}")).display().to_string()
}

fn cofferdam(place: &Place, words: &[&str]) -> Ran {
    finish(place.command(programs().join("cofferdam")).args(words))
}

/// A run of a Python program, once its session can be asked.
fn begin(place: &Place, options: &[&str], program: &str) -> Child {
    let mut command = place.cofferdam(options);
    command.args(["/usr/bin/python3", "-c", &format!("{GET}{program}")]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("a session", || cofferdam(place, &["sessions"]).out.contains("  pid "));
    child
}

fn end(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(err));
    String::from_utf8_lossy(out).into_owned()
}

#[track_caller]
fn wait_for(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn first(place: &Place) -> serde_json::Value {
    let json = cofferdam(place, &["sessions", "--json"]).works("a list").out;
    let all: serde_json::Value = serde_json::from_str(&json).unwrap();
    all["sessions"][0].clone()
}

/// Its control socket.
fn socket(place: &Place) -> PathBuf {
    let folder = place.home.join(".local/state/cofferdam/sessions");
    folder.join(first(place)["id"].as_str().unwrap())
}

fn events(place: &Place) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(place.audit_log()).unwrap_or_default();
    let event = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["event"].clone()
    };
    log.lines().map(event).collect()
}

#[test]
fn a_policy_holds_while_the_command_runs() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let two = policy(&place, "two.toml", &["b.test"], port);
    let program = "say(get('a.test'), get('b.test'))\nopen('ready', 'w')\nwait('go')\n\
                   say(get('a.test'), get('b.test'), get('flag.test'))";
    let child = begin(&place, &["--policy", &one, "--allow", "flag.test:80"], program);
    wait_for("the first requests", || place.work.join("ready").exists());
    let id = first(&place)["id"].as_str().unwrap()[..6].to_owned();
    let said = cofferdam(&place, &["policy", "apply", &id, &two]).works("applied");
    assert!(said.out.ends_with(": generation 1 holds, 2 rules for hosts\n"), "{said:?}");
    place.write("home/src/app/go", "");
    // The flag of the start holds: that name has no address, which is another thing than a refusal.
    assert_eq!(end(child), "200 403\n403 200 502\n");
    let kinds: Vec<_> = events(&place).iter().map(|event| event["kind"].clone()).collect();
    let at = |kind: &str| kinds.iter().position(|found| found == kind).unwrap();
    let rules: Vec<_> = events(&place)[at("policy-applied")..]
        .iter()
        .filter(|event| event["verdict"] == "allowed")
        .map(|event| event["clause"].as_str().unwrap().to_owned())
        .collect();
    assert!(rules.iter().all(|clause| clause.contains("two.toml")), "{rules:?}");
    assert_eq!(cofferdam(&place, &["audit", "verify"]).status, Some(0));
    assert!(cofferdam(&place, &["sessions"]).out.contains("no session"), "it is over");
}

#[test]
fn what_does_not_hold_changes_nothing() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let child = begin(&place, &["--policy", &one], "wait('go')\nsay(get('a.test'))");
    let bad = place.write("bad.toml", "version = 1\n[filesytem]\n").display().to_string();
    let check = cofferdam(&place, &["policy", "check", &bad]).refused("filesytem", "check");
    let apply = cofferdam(&place, &["policy", "apply", &bad]);
    assert_eq!((apply.status, &apply.err), (Some(125), &check.err), "word for word");
    let json = cofferdam(&place, &["policy", "apply", "--json", &bad]).err;
    let checked = cofferdam(&place, &["policy", "check", "--json", &bad]).err;
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&json), value(&checked));
    let text = fs::read_to_string(&one).unwrap();
    let limits = place.write("limits.toml", &format!("{text}[limits]\nprocesses = 99\n"));
    let limits = limits.display().to_string();
    let restart = cofferdam(&place, &["policy", "apply", &limits]);
    restart.refused("[restart]", "a limit");
    let json = value(&cofferdam(&place, &["policy", "apply", "--json", &limits]).err);
    assert_eq!(json["code"], "restart");
    assert!(json["because"][0].as_str().unwrap().contains("limits"), "{json}");
    for (words, code) in [
        (&["policy", "apply", "ffffff", &one][..], "session-unknown"),
        (&["policy", "apply", "zz", &one], "session-prefix"),
        (&["policy", "apply", "/nonexistent"], "policy-unread"),
        (&["approve", "--list"], "not-asking"),
        (&["approve", "--yes", "1"], "not-asking"),
        (&["approve"], "no-terminal-to-ask"),
    ] {
        let ran = cofferdam(&place, words);
        assert!(ran.err.lines().count() <= 6, "{ran:?}");
        ran.refused(&format!("[{code}]"), code);
    }
    place.write("home/src/app/go", "");
    assert_eq!(end(child), "200\n", "as it was");
}

#[test]
fn what_the_workload_may_write_is_nobodys_policy() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let text = fs::read_to_string(&one).unwrap().replace("a.test", "b.test");
    place.write("home/src/app/.cofferdam/policy.toml", &text);
    let program = "import shutil\nshutil.copy('.cofferdam/policy.toml', 'mine.toml')\n\
                   try: open('.cofferdam/policy.toml', 'a')\nexcept OSError: say('protected')\n\
                   open('ready', 'w')\nwait('go')\nsay(get('a.test'), get('b.test'))";
    let child = begin(&place, &["--policy", &one], program);
    wait_for("its policy", || place.work.join("ready").exists());
    let mine = place.work.join("mine.toml").display().to_string();
    cofferdam(&place, &["policy", "apply", &mine]).refused("[policy-reachable]", "its own");
    let through = place.out.join("link.toml");
    std::os::unix::fs::symlink(&mine, &through).unwrap();
    let through = through.display().to_string();
    cofferdam(&place, &["policy", "apply", &through]).refused("[policy-reachable]", "by a link");
    let guarded = place.work.join(".cofferdam/policy.toml").display().to_string();
    cofferdam(&place, &["policy", "apply", &guarded]).works("what it may not write");
    place.write("home/src/app/go", "");
    assert_eq!(end(child), "protected\n403 200\n");
}

#[test]
fn a_thousand_hosts_are_eight_questions() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let program = "import threading\nwait('go')\nanswers = []\n\
                   def ask(part):\n    for n in range(part, 1000, 40): answers.append(get('h%d.test' % n))\n\
                   for part in range(40): threading.Thread(target=ask, args=(part,), daemon=True).start()\n\
                   while len(answers) < 700: time.sleep(0.02)\n\
                   say(set(answers), get('a.test'))\nwait('over')\nos._exit(0)";
    let mut child = begin(&place, &["--policy", &one, "--approve"], program);
    place.write("home/src/app/go", "");
    let mut said = [0; 64];
    let length = child.stdout.as_mut().unwrap().read(&mut said).unwrap();
    assert_eq!(String::from_utf8_lossy(&said[..length]), "{403} 200\n", "others are not held up");
    let json = cofferdam(&place, &["approve", "--list", "--json"]).works("a list").out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["questions"].as_array().unwrap().len(), 8, "{json}");
    place.write("home/src/app/over", "");
    child.wait().unwrap();
    let events = events(&place);
    let refused: Vec<_> = events.iter().filter(|event| event["kind"] == "refused").collect();
    let times: u64 = refused.iter().map(|event| event["times"].as_u64().unwrap()).sum();
    // The gateway turns some away itself; what it passes on is eight questions and a sum.
    assert!(refused.len() <= 10 && times >= 100, "{} events for {times}", refused.len());
}

#[test]
fn nothing_of_it_is_inside() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let child = begin(&place, &["--policy", &one], "wait('go')");
    let path = socket(&place);
    let connect = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\n\
         s.sendall(b'{{\"do\":\"describe\"}}\\n')\nassert b'session' in s.recv(9999)",
        path.display()
    );
    let seen = fs::metadata(&path).unwrap();
    assert_eq!(seen.mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
    // From outside, and from another session of the same user.
    place.python_outside(&connect).works("outside");
    place.python_inside(&connect).fails(&["ENOENT", "EACCES", "ECONNREFUSED"], "inside");
    let open = ["--policy", &one];
    place.python_inside_with(&open, &connect).fails(&["ENOENT", "EACCES"], "with a network");
    let grant = format!("{}:ro", path.parent().unwrap().display());
    place.inside_with(&["--grant", &grant], "true").refused("configuration or state", "as a grant");
    place.write("home/src/app/go", "");
    end(child);
}

#[test]
fn another_user_is_refused() {
    if !is_root() {
        println!("not run: another user: only root can be one");
        return;
    }
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let child = begin(&place, &["--policy", &one], "wait('go')");
    let path = socket(&place);
    let connect = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('{}')\nprint(s.recv(9999))",
        path.display()
    );
    let other = |why: &str| {
        let mut command = place.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        println!("{why}");
        finish(command.args(["/usr/bin/python3", "-c", &connect]).current_dir("/"))
    };
    other("the directory").fails(&["PermissionError"], "the directory holds");
    // Were all of that open, the socket itself asks who it is.
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(&place.root)) {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let ran = other("the socket").works("it connects");
    assert!(ran.out.contains("session-of-another") && ran.out.contains("65534"), "{ran:?}");
    place.write("home/src/app/go", "");
    end(child);
}

#[test]
fn a_killed_session_is_none() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let mut child = begin(&place, &["--policy", &one], "wait('go')");
    let path = socket(&place);
    let pid = first(&place)["pid"].as_u64().unwrap();
    assert_eq!(pid, u64::from(child.id()), "the process that holds it");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(path.exists(), "nobody removed it");
    assert!(cofferdam(&place, &["sessions"]).works("a list").out.contains("no session"));
    assert!(!path.exists(), "whoever lists does");
}

#[test]
fn a_closed_network_has_no_socket() {
    let place = Place::new();
    place.inside("true").works("a run");
    assert!(!place.home.join(".local/state/cofferdam/sessions").exists());
    let mut command = place.cofferdam(&["--network", "none", "--approve"]);
    finish(command.arg("true")).refused("--approve", "it contradicts");
}

#[test]
fn the_plan_names_the_weakening() {
    let place = Place::new();
    let words = ["plan", "--approve", "--", "true"];
    let plan = cofferdam(&place, &words).works("a plan").out;
    assert!(plan.contains("what no rule allows is asked for outside"), "{plan}");
    assert!(plan.contains("dangerous   what no rule allows"), "{plan}");
    let plain = cofferdam(&place, &["plan", "--", "true"]).works("a plan").out;
    assert!(!plain.contains("asked for outside"), "{plain}");
}

#[test]
fn a_script_answers_by_number() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let program = "wait('go')\nsay(get('no.test'))\nsay(get('yes.test'))\nsay(get('a.test'))";
    let child = begin(&place, &["--policy", &one, "--approve"], program);
    let list = || {
        let json = cofferdam(&place, &["approve", "--list", "--json"]).works("a list").out;
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["questions"].clone()
    };
    assert_eq!(list(), serde_json::json!([]));
    place.write("home/src/app/go", "");
    for (host, flag) in [("no.test", "--no"), ("yes.test", "--yes")] {
        wait_for(host, || list()[0]["host"] == host);
        let question = list()[0].clone();
        assert_eq!((&question["port"], &question["method"]), (&80.into(), &"GET".into()));
        let id = question["id"].to_string();
        cofferdam(&place, &["approve", flag, &id]).works(host);
        cofferdam(&place, &["approve", flag, &id]).refused("no-question", "once");
    }
    // Allowed, and nobody knows its address: another thing than a refusal.
    assert_eq!(end(child), "403\n502\n200\n");
    let of = |kind: &str| {
        let found: Vec<_> = events(&place).into_iter().filter(|e| e["kind"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        found[0].clone()
    };
    let (yes, no) = (of("approved"), of("refused"));
    assert_eq!((&yes["host"], &yes["path"]), (&"yes.test".into(), &"/x".into()));
    assert_eq!((&no["host"], &yes["by"]), (&"no.test".into(), &no["by"]));
    let clauses: Vec<_> = events(&place).iter().map(|event| event["clause"].clone()).collect();
    assert!(clauses.contains(&"--approve[1] (command line)".into()), "{clauses:?}");
}

/// Lets a person do `acts` at a terminal, and starts nothing else.
#[track_caller]
fn at_a_terminal(place: &Place, acts: &str, why: &str) {
    let driver = DRIVER.replace("cofferdam run -- ", "");
    let mut command = place.command("/usr/bin/python3");
    command.env("COFFERDAM_BIN", programs());
    finish(command.args(["-c", &format!("{driver}\n{acts}\np.ends()\n")])).works(why);
}

#[test]
fn a_person_answers_in_another_terminal() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    let program = "wait('go')\nsay(get('first.test'))\nwait('on')\nsay(get('second.test'))";
    let child = begin(&place, &["--policy", &one, "--approve"], program);
    at_a_terminal(
        &place,
        r#"
p.types("cofferdam approve\n"); p.sees("waiting for its questions")
# Typed ahead: it answers nothing.
p.types("y\n"); open("go", "w").close()
seen = p.sees("question [0-9]+\\)")
p.types("y\ny\n")
seen = p.sees("allow [a-z.]+:[0-9]+ in this session")
assert b"host     first.test\r\n" in seen and b'path     "/x"' in seen, seen
time.sleep(0.5)
p.types("Y\n"); p.sees("allow [a-z.]+:[0-9]+ in this session")
p.types("yes\n"); p.sees("allow [a-z.]+:[0-9]+ in this session")
p.types("y\n"); p.sees("allowed, until the session ends")
open("on", "w").close()
p.sees("host     second.test\r\n"); p.sees("allow [a-z.]+:[0-9]+ in this session")
p.types("n\n"); p.sees("refused")
p.sees("the session has ended"); p.prompt()
"#,
        "questions one at a time",
    );
    assert_eq!(end(child), "502\n403\n", "yes and no");
}

#[test]
fn a_person_is_asked_on_the_own_terminal_where_the_command_has_none() {
    let (place, port) = (Place::new(), server());
    let one = policy(&place, "one.toml", &["a.test"], port);
    place.write("home/src/app/ask.py", &format!("{GET}say(get('new.test'))"));
    at_a_terminal(
        &place,
        &format!(
            r#"
run = "cofferdam run --approve --policy {one} -- /usr/bin/python3 ask.py "
p.types(run + "< /dev/null > out 2> err\n")
p.sees("host     new.test\r\n"); p.sees("allow [a-z.]+:[0-9]+ in this session")
p.types("n\n"); p.prompt()
assert open("out").read() == "403\n", open("out").read()
p.types(run + "< /dev/null > out 2> err\n")
p.sees("host     new.test\r\n"); p.types("y\n"); p.sees("allow [a-z.]+:[0-9]+ in this session")
p.types("y\n"); p.prompt()
assert open("out").read() == "502\n", open("out").read()
# Its output is a terminal: nothing is asked there.
p.types(run + "< /dev/null 2> err &\n"); p.sees("\n")
wait_for(lambda: b"new.test" in os.popen("cofferdam approve --list").read().encode(), "the question")
p.types("jobs\n"); seen = p.sees("Running")
assert b"in this session" not in seen, seen
no = "cofferdam approve --no $(cofferdam approve --list | cut -d' ' -f1)"
os.system(no)
p.sees("403")
# A pipe leads to the terminal: what the command writes would stand above the question.
p.types(run + "< /dev/null 2>&1 | tee out\n"); p.sees("\n")
wait_for(lambda: b"new.test" in os.popen("cofferdam approve --list").read().encode(), "the question")
time.sleep(1)
os.system(no)
seen = p.sees("403")
assert b"in this session" not in seen and b"question" not in seen, seen
"#
        ),
        "on its own terminal",
    );
}
