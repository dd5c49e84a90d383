//! E03, E04, E05, E15, E20, E21, E24, E26, L03: a rule allows whom it names, and nothing else allows anybody.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::asking::{ALL_ADDRESSES, ALL_BUT_EVIL, GATEWAY, POLICY, body, line};
use crate::internet::{GOOD, GOOD_6, Internet};

/// A policy with one rule.
fn rule(host: &str) -> String {
    format!("version = 1\n[[network.allow]]\nhost = '{host}'\n")
}

#[test]
fn e03_e04_neither_the_front_nor_the_end_of_a_name_is_enough() {
    let Some(net) = Internet::take() else { return };
    net.answer("evilgood.test", &["A 203.0.114.66"]);
    for name in ["good.test.evil.test", "evilgood.test"] {
        net.asks_outside(&format!("assert connect(b'{name}:443') == 200")).works(name);
        assert!(net.evil() > 0, "{name}: the control reaches it");
        net.forget();
        net.answer("evilgood.test", &["A 203.0.114.66"]);
        let told = [
            &*format!("proxy {name}:443 host-not-allowed"),
            &format!("socks {name}:443 host-not-allowed"),
            &format!("lookup {name}:0 host-not-allowed"),
        ];
        let act = format!(
            "assert connect(b'{name}:443') == 403\nassert socks(b'{name}', 443)[0] == 2\n\
             try: socket.getaddrinfo('{name}', 443)\nexcept socket.gaierror: pass\n\
             else: raise SystemExit('it has an address')"
        );
        net.tells(&told, || net.asks_inside(POLICY, &act).works(name));
        net.is_silent(name);
    }
    let good = "assert connect(b'good.test:443') == connect(b'a.good.test:443') == 200";
    net.asks_inside(POLICY, good).works("the names themselves");
}

/// Name, and whether `good.test`, `*.good.test` and `*.a.good.test` allow it: a name is itself, a
/// wildcard is one or more labels below, never the apex.
const TRUTH: &[(&str, [bool; 3])] = &[
    ("good.test", [true, false, false]),
    ("a.good.test", [false, true, false]),
    ("b.a.good.test", [false, true, true]),
    ("c.b.a.good.test", [false, true, true]),
    ("xgood.test", [false, false, false]),
    ("xa.good.test", [false, true, false]),
    ("test", [false, false, false]),
];

#[test]
fn e05_a_wildcard_is_what_is_below() {
    let Some(net) = Internet::take() else { return };
    for name in ["xgood.test", "test"] {
        net.answer(name, &[&format!("A {GOOD}")]);
    }
    let every = |want: &dyn Fn(&[bool; 3]) -> u16| {
        TRUTH.iter().fold(String::new(), |act, (name, row)| {
            let want = want(row);
            act + &format!(
                "code = connect(b'{name}:443')\nassert code == {want}, ('{name}', code)\n"
            )
        })
    };
    net.asks_outside(&every(&|_| 200)).works("each is there");
    for (at, pattern) in ["good.test", "*.good.test", "*.a.good.test"].into_iter().enumerate() {
        let code = |row: &[bool; 3]| if row[at] { 200 } else { 403 };
        let told: Vec<String> = TRUTH
            .iter()
            .map(|(name, row)| {
                let what = if row[at] { "allowed" } else { "host-not-allowed" };
                format!("proxy {name}:443 {what}")
            })
            .collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        let act = every(&code);
        net.tells(&told, || net.asks_inside(&rule(pattern), &act).works(pattern));
    }
}

#[test]
fn e15_an_address_of_ipv6_without_brackets_has_no_port() {
    let Some(net) = Internet::take() else { return };
    let run = |allow: &str| {
        let mut command = net.cofferdam(&["--allow", allow]);
        crate::support::finish(command.args(["curl", "-sS", &format!("https://[{GOOD_6}]/")]))
    };
    net.outside(&["curl", "-sS", &format!("https://[{GOOD_6}]/")]).works("without a wall");
    net.forget();
    run(&format!("{GOOD_6}:443")).refused("", "the last part may be a port or belong to it");
    net.inside(&rule(&format!("{GOOD_6}:443")), &["true"]).refused("", "nor in a policy");
    net.tells(&["proxy :3128 authority-unbracketed"], || {
        let act = format!("assert connect(b'{GOOD_6}:443') == 400");
        net.asks_inside(ALL_ADDRESSES, &act).works("nor for the proxy")
    });
    net.is_silent("a guess");
    run(&format!("[{GOOD_6}]:443")).works("with brackets");
    assert!(net.hits(GOOD_6) > 0);
}

#[test]
fn e20_nothing_in_the_list_allows_nothing() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "import socket\n\
         def one(to):\n    try: socket.create_connection(to, 3)\n    except OSError: return\n    raise SystemExit(to)\n\
         for to in (('good.test', 443), ('good.test', 80), ('{GOOD}', 443), ('{GOOD}', 80), ('{GATEWAY}', 3128), ('{GATEWAY}', 1080), ('{GOOD_6}', 443)): one(to)"
    );
    net.python_outside(&act).fails(&["good.test"], "the control connects");
    assert!(net.hits(GOOD) + net.hits(GOOD_6) > 0);
    net.forget();
    for empty in [
        "version = 1",
        "version = 1\n[network]",
        "version = 1\n[network]\nallow = []",
        "version = 1\n[network]\nallow = []\ndeny = []",
        "version = 1\n[[network.deny]]\nhost = 'evil.test'",
    ] {
        net.tells(&[], || net.python_inside(empty, &act).works(empty));
        net.is_silent(empty);
    }
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let mut none = net.cofferdam(&["--policy", &policy, "--network", "none"]);
    let act = crate::support::python(&act);
    crate::support::finish(none.args(["/usr/bin/python3", "-c", &act])).works("--network none");
    net.is_silent("--network none");
    net.inside(POLICY, &["curl", "-sS", "https://good.test/"]).works("a list with a name in it");
}

#[test]
fn e21_the_gateway_is_no_host() {
    let Some(net) = Internet::take() else { return };
    let whom = [
        "198.18.0.1:80",
        "198.18.0.1:443",
        "198.18.0.1:3128",
        "198.18.0.1:53",
        "127.0.0.1:80",
        "[::1]:80",
        "localhost:80",
        "gateway:80",
        "cofferdam:443",
    ];
    net.outside(&["curl", "-sS", "http://127.0.0.1/"]).works("HOST's own server, without a wall");
    assert!(!net.seen_by_host().requests.is_empty());
    net.forget();
    let every = whom.map(|whom| {
        format!("code = connect(b'{whom}')\nassert code in (403, 502), ('{whom}', code)\n")
    });
    let every = every.concat();
    for policy in [POLICY, ALL_BUT_EVIL, ALL_ADDRESSES] {
        net.asks_inside(policy, &every).works("judged as any other, and refused");
        assert_eq!(net.seen_by_host().packets, []);
        assert_eq!(net.hits(GATEWAY), 0);
    }
    let told = whom.map(|whom| format!("proxy {whom} host-not-allowed"));
    let told = told.each_ref().map(String::as_str);
    net.tells(&told, || net.asks_inside(POLICY, &every).works("by name"));
    net.asks_inside(POLICY, "assert connect(b'good.test:443') == 200").works("twin");
}

#[test]
fn e26_another_sandbox_is_no_way_out() {
    let Some(net) = Internet::take() else { return };
    let policy = net.place.write("first.toml", POLICY).display().to_string();
    let mut first = net.cofferdam(&["--policy", &policy]);
    let script = "curl -sS -o /dev/null https://good.test/ && python3 -c 'import socket; print(socket.gethostbyname(\"good.test\"))'; read go; \
                  curl -sS -o /dev/null https://good.test/ && echo works";
    first.args(["sh", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    let mut out = BufReader::new(first.stdout.take().unwrap());
    let mut address = String::new();
    out.read_line(&mut address).unwrap();
    let address = address.trim();
    assert!(address.starts_with("198.18."), "{address}");
    net.forget();
    // The second may talk to another; what the first was given is nothing here.
    let act = format!(
        "assert connect(b'good.test:443') == 403\n\
         assert status(b'CONNECT good.test:443 HTTP/1.1\\r\\nHost: good.test:443\\r\\nProxy-Authorization: Basic Zmlyc3Q6Zmlyc3Q=\\r\\n\\r\\n') == 403\n\
         assert socks(b'good.test', 443)[0] == 2\n\
         first = tls(('{address}', 443), hello('good.test'))\nassert first in (None, 21), first"
    );
    let told = [
        "proxy good.test:443 host-not-allowed",
        "socks good.test:443 host-not-allowed",
        // The same address may stand for another host here.
        "direct other.test:443 name-mismatch",
    ];
    net.tells(&told, || net.asks_inside(&rule("other.test"), &act).works("the second"));
    net.is_silent("the second");
    drop(first.stdin.take());
    let mut said = String::new();
    out.read_line(&mut said).unwrap();
    assert_eq!((said.as_str(), first.wait().unwrap().code()), ("works\n", Some(0)), "the first");
}

/// L03, E24: what is written into the policy's file while the command runs changes nothing of it: each
/// connection is judged by what was read at the start, and there is no moment without a policy.
#[test]
fn l03_the_policy_of_a_run_stays_as_it_was_read() {
    let Some(net) = Internet::take() else { return };
    let file = net.place.write("policy.toml", POLICY);
    let act = "import time\n\
         print('begun', flush=True)\n\
         def status(host):\n\
         \x20   s = socket.create_connection((PROXY, 3128), 5); s.settimeout(5)\n\
         \x20   s.sendall(b'GET http://' + host + b'/ HTTP/1.1\\r\\nHost: ' + host + b'\\r\\nConnection: close\\r\\n\\r\\n')\n\
         \x20   return int(s.recv(64).split()[1])\n\
         until = time.time() + 3; seen = []\n\
         while time.time() < until: seen.append((status(b'good.test'), status(b'evil.test')))\n\
         assert set(seen) == {(200, 403)} and len(seen) > 20, seen";
    let policy = file.display().to_string();
    let mut command = net.cofferdam(&["--policy", &policy]);
    command.args(["/usr/bin/python3", "-c", &crate::support::python(&body(GATEWAY, act))]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut engine = command.spawn().unwrap();
    assert_eq!(line(&mut engine), "begun\n");
    let evil = "version = 1\n[[network.allow]]\nhost = 'evil.test'\nports = [80]\n";
    let mut written = 0;
    while engine.try_wait().unwrap().is_none() && written < 10_000 {
        for text in [evil, "version = 1\n", "not a policy", ""] {
            std::fs::write(&file, text).unwrap();
            written += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = engine.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(written > 100, "{written}");
    assert_eq!(net.evil(), 0);
    // The twin: a run that begins later is judged by what stands there then.
    std::fs::write(&file, evil).unwrap();
    net.inside(evil, &["curl", "-sS", "http://evil.test/"]).works("with another policy");
}
