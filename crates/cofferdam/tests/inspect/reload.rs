//! L03: rules that are replaced while requests are under way: each is judged by the old ones or by the
//! new ones, never by none; what is no policy changes nothing, and what needs a start says so.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::internet::Internet;
use crate::looking::{DIRECT, rule};
use crate::support::{Ran, finish, programs};

const RELOADS: usize = 500;
const REQUESTS: usize = 10_000;

/// Two rules that differ in one path; one is common to both.
fn rules(odd: bool) -> String {
    rule(if odd { "paths = ['/both/**', '/odd/**']" } else { "paths = ['/both/**', '/even/**']" })
}

fn apply(net: &Internet, file: &Path) -> Ran {
    let mut command = net.command_within(10, programs().join("cofferdam"));
    finish(command.args(["policy", "apply"]).arg(file))
}

/// Asks on four connections until the reloads are over, and says how each path was answered.
fn asks() -> String {
    format!(
        "import collections, concurrent.futures\nopen('ready', 'w').close()\n\
         def many(n):\n    found = collections.Counter(); k = None\n    \
         for i in range({REQUESTS} * 10):\n        \
         if i >= {REQUESTS} // 4 and os.path.exists('stop'): break\n        \
         path = {{0: '/odd/x', 8: '/even/x', 4: '/none/x' if i % 64 == 4 else '/both/y'}}.get(i % 16, '/both/x')\n        \
         if k is None: s = open_tls(); k = Kept(s)\n        \
         s.sendall(get(path)); status, fields, body = answer(k)\n        \
         if status != 200: k = None\n        \
         found[path, status, fields.get('x-cofferdam', '-')] += 1\n    return found\n\
         with concurrent.futures.ThreadPoolExecutor(4) as all: found = sum(all.map(many, range(4)), collections.Counter())\n\
         for (path, status, code), n in sorted(found.items()): print(path, status, code, n)"
    )
}

fn begin(net: &Internet, act: &str) -> Child {
    let script = net.speaking("act.py", act);
    let mut command = net.looks(120, &rules(false));
    command.args(["sh", "-c", &format!("{}{script}", DIRECT.1)]);
    let mut engine = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !net.place.work.join("ready").exists() {
        if engine.try_wait().unwrap().is_some() || std::time::Instant::now() > until {
            panic!("{:?}", engine.wait_with_output());
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    engine
}

#[test]
fn l03_each_request_is_judged_by_old_or_new() {
    let Some(net) = Internet::take() else { return };
    let files = [false, true]
        .map(|odd| net.place.write(&format!("rules-{odd}.toml"), &net.policy(&rules(odd))));
    let mut engine = begin(&net, &asks());
    for turn in 0..RELOADS {
        apply(&net, &files[(turn + 1) % 2]).works("a reload");
    }
    let busy = engine.try_wait().unwrap().is_none();
    net.place.write("home/src/app/stop", "");
    let output = engine.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(busy, "requests outlast the reloads");
    let said = String::from_utf8(output.stdout).unwrap();
    let (mut all, mut passed) = (0, 0);
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let n: usize = words[3].parse().unwrap();
        all += n;
        match (words[0], words[1], words[2]) {
            ("/both/x" | "/both/y" | "/odd/x" | "/even/x", "200", "-") => passed += n,
            ("/odd/x" | "/even/x" | "/none/x", "403", "path-not-allowed") => {}
            _ => panic!("judged by neither: {said}"),
        }
    }
    assert!(all >= REQUESTS, "{said}");
    assert_eq!(net.targets().len(), passed, "{said}");
    println!("{RELOADS} reloads during {all} requests");
    for both in ["/odd/x 200", "/odd/x 403", "/even/x 200", "/even/x 403"] {
        assert!(said.contains(both), "each was in force for a while: {said}");
    }
    let events = net.events("connection");
    let told = |verdict: &str| {
        let of =
            events.iter().filter(|one| one["request"].is_object() && one["verdict"] == verdict);
        of.map(|one| usize::try_from(one["times"].as_u64().unwrap_or(1)).unwrap()).sum::<usize>()
    };
    assert_eq!((told("allowed"), told("denied")), (passed, all - passed));
}

#[test]
fn l03_what_is_no_policy_changes_nothing() {
    let Some(net) = Internet::take() else { return };
    let act = "open('ready', 'w').close()\n\
         for i in range(2000):\n    if os.path.exists('go'): break\n    time.sleep(.01)\n\
         print(ask(get('/even/x'))[0], ask(get('/odd/x'))[0])";
    let engine = begin(&net, act);
    let bad = [
        ("no policy", "version = 1\nhello = true\n".to_owned(), "unknown-key"),
        ("no TOML", "[[[".to_owned(), ""),
        (
            "a directory more",
            format!(
                "{}[[filesystem.grant]]\npath = '/srv'\nmode = 'read-only'\n",
                net.policy(&rules(true))
            ),
            "",
        ),
        (
            "a port more",
            net.policy(&format!(
                "{}[[network.allow]]\nhost = 'new.test'\nports = [7777]\nprotocol = 'tcp'\n",
                rules(true)
            )),
            "",
        ),
    ];
    for (why, text, says) in bad {
        let file = net.place.write("bad.toml", &text);
        let ran = apply(&net, &file);
        assert_eq!(ran.status, Some(125), "{why}: {ran:?}");
        assert!(ran.err.contains(says) && !ran.err.is_empty(), "{why}: {ran:?}");
    }
    net.place.write("home/src/app/go", "");
    let output = engine.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "200 403\n", "the old rules hold");
}
