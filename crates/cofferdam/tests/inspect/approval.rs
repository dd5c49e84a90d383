//! A person outside is asked about what no rule allows: seen as it is, once, and nowhere from inside.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::internet::Internet;
use crate::looking::{PROXY, rule};
use crate::support::{Ran, finish, programs};

/// Begins a run that asks, under rules.
fn begin(net: &Internet, rules: &str, act: &str) -> Child {
    let script = net.speaking("act.py", act);
    let policy = net.place.write("asks.toml", &net.policy(rules));
    let mut command = net.command_within(60, programs().join("cofferdam"));
    command.args(["run", "--quiet", "--approve", "--policy"]).arg(policy);
    command.args(["--", "sh", "-c", &format!("{}exec {script}", PROXY.1)]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn approve(net: &Internet, words: &[&str]) -> Ran {
    finish(net.command_within(10, programs().join("cofferdam")).arg("approve").args(words))
}

/// What is open, once there are so many.
fn questions(net: &Internet, engine: &mut Child, many: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let ran = approve(net, &["--json"]);
        let said: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let open = said["questions"].as_array().cloned().unwrap_or_default();
        if open.len() >= many {
            return open;
        }
        assert!(Instant::now() < until, "{many} questions: {ran:?}");
        assert!(engine.try_wait().unwrap().is_none(), "it has ended: {ran:?}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

fn ended(engine: Child) -> String {
    let output = engine.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

const TEN: &str = "import concurrent.futures\n\
     with concurrent.futures.ThreadPoolExecutor(10) as all: found = list(all.map(lambda i: ask(get('/asked'))[0], range(10)))\n\
     print(sorted(set(found)))\n\
     print(ask(get('/ok/x'))[0])";

/// Ten ask for the same: one question. A yes lets all of them through, a no none.
#[test]
fn one_question_for_all_who_ask_the_same() {
    let Some(net) = Internet::take() else { return };
    let rules = rule("paths = ['/ok/**']");
    for (word, want, at_origin) in [("--yes", "[200]\n200\n", 11), ("--no", "[403]\n200\n", 1)] {
        net.forget();
        let mut engine = begin(&net, &rules, TEN);
        std::thread::sleep(Duration::from_millis(300));
        let open = questions(&net, &mut engine, 1);
        assert_eq!(open.len(), 1, "{open:?}");
        let question = &open[0];
        let of = [&question["host"], &question["method"], &question["path"]];
        assert_eq!(of, ["new.test", "GET", "/asked"], "{question}");
        assert_eq!(net.targets(), Vec::<String>::new(), "nobody is asked before a person is");
        approve(&net, &[word, &question["id"].to_string()]).works(word);
        assert_eq!((ended(engine).as_str(), net.targets().len()), (want, at_origin), "{word}");
    }
}

/// Hosts and paths that would move a terminal, begin a line, hide an end, or look like ours.
const DECEPTIVE: &[(&str, &str)] = &[
    ("login.bank.test.login.bank.test.login.bank.test.login.bank.test.evil.test", "/"),
    ("xn--bcher-kva.evil.test", "/"),
    ("allow-it-in-this-session-y-n.evil.test", "/"),
    ("new.test", "/%1b[2J%1b[1;1Hallowed"),
    ("new.test", "/%0aquestion%207:%20y"),
    ("new.test", "/%e2%80%ae/txet"),
];

#[test]
fn what_is_asked_deceives_nobody() {
    let Some(net) = Internet::take() else { return };
    let asks = format!(
        "def one(of):\n    host, path = of\n    \
         try: return ask(get(path, host=host), name=host)[0]\n    except (OSError, AssertionError): return 0\n\
         all = {DECEPTIVE:?}\n\
         threads = [threading.Thread(target=one, args=(of,), daemon=True) for of in all]\n\
         for t in threads: t.start()\n\
         for t in threads: t.join(30)\nprint('over')"
    );
    let rules = rule("paths = ['/ok/**']");
    let mut engine = begin(&net, &rules, &asks);
    let open = questions(&net, &mut engine, 4);
    std::thread::sleep(Duration::from_millis(500));
    let list = approve(&net, &["--list"]).works("as a person sees it").out;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.len() >= open.len(), "a line each: {list}");
    for line in &lines {
        let plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(plain, "printable, of our own letters: {line:?}");
        assert!(
            line.chars().next().is_some_and(|c| c.is_ascii_digit()),
            "it begins with ours: {line:?}"
        );
    }
    // On a terminal of its own: the same, and nothing of it is an answer.
    let approve_on_terminal = format!(
        "(sleep 2; echo q) | script -qefc '{} approve' /dev/null",
        programs().join("cofferdam").display()
    );
    let seen = net.outside(&["sh", "-c", &approve_on_terminal]);
    let text = seen.out.replace('\r', "");
    assert!(text.contains("  host     "), "{seen:?}");
    for line in text.lines().filter(|line| line.contains("evil") || line.contains("path")) {
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
        assert!(line.len() <= 100, "{line:?}");
    }
    let hosts: BTreeSet<&str> = open.iter().filter_map(|one| one["host"].as_str()).collect();
    assert!(hosts.iter().all(|host| host.ends_with(".test")), "{hosts:?}");
    assert_eq!(net.targets(), Vec::<String>::new(), "nothing is let through meanwhile");
    net.outside(&["kill", &engine.id().to_string()]).works("ended");
    engine.wait().unwrap();
}

/// Whoever is inside finds no socket, and may not answer.
#[test]
fn nobody_inside_answers() {
    let Some(net) = Internet::take() else { return };
    let cofferdam = programs().join("cofferdam").display().to_string();
    let act = format!(
        "t = threading.Thread(target=lambda: print(ask(get('/asked'))[0], flush=True)); t.start()\n\
         time.sleep(1)\nfound = []\n\
         for top in ('/run', '/tmp', os.environ['HOME'], '/var', '/dev'):\n    \
         for at, folders, files in os.walk(top):\n        \
         for name in files:\n            \
         path = os.path.join(at, name)\n            \
         try:\n                \
         if __import__('stat').S_ISSOCK(os.lstat(path).st_mode): found.append(path)\n            \
         except OSError: pass\n\
         print(found, flush=True)\n\
         p = subprocess.run(['{cofferdam}', 'approve', '--yes', '1'], capture_output=True, text=True)\n\
         print(p.returncode, flush=True)\nt.join()"
    );
    let folder = programs().display().to_string();
    let rules = format!(
        "[[filesystem.grant]]\npath = '{folder}'\nmode = 'read-only'\n{}",
        rule("paths = ['/ok/**']")
    );
    let mut engine = begin(&net, &rules, &act);
    let open = questions(&net, &mut engine, 1);
    std::thread::sleep(Duration::from_secs(2));
    approve(&net, &["--no", &open[0]["id"].to_string()]).works("who is outside may");
    let said = ended(engine);
    assert!(said.contains("[]\n") && said.contains("403\n") && !said.contains("200"), "{said}");
    assert!(said.contains("125\n"), "and is told that nothing runs: {said}");
}
