//! What no rule allows is asked for outside, and a yes lets just that through.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::internet::Internet;
use crate::support::{Ran, finish, programs};

const POLICY: &str = "version = 1\n[[network.allow]]\nhost = 'good.test'\n";

fn cofferdam(net: &Internet, words: &[&str]) -> Ran {
    finish(net.command(programs().join("cofferdam")).args(words))
}

fn begin(net: &Internet, script: &str) -> Child {
    let policy = net.place.write("policy.toml", POLICY).display().to_string();
    let mut command = net.cofferdam(&["--approve", "--policy", &policy]);
    command.args(["sh", "-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The next question, once there is one.
fn question(net: &Internet) -> serde_json::Value {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let ran = cofferdam(net, &["approve", "--list", "--json"]);
        if ran.status == Some(0) {
            let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
            if !json["questions"][0].is_null() {
                return json["questions"][0].clone();
            }
        }
        assert!(Instant::now() < until, "{ran:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_yes_lets_just_that_through() {
    let Some(net) = Internet::take() else { return };
    let fetch = "curl -sS -o /dev/null -w '%{http_code}\n' --max-time 15";
    net.outside(&["curl", "-sS", "http://x.wide.test/a"]).works("outside");
    net.forget();
    for proxy in ["", "--noproxy '*'"] {
        net.forget();
        let script = format!(
            "{fetch} {proxy} http://x.wide.test/a; {fetch} {proxy} http://x.wide.test/a; \
             {fetch} {proxy} http://x.wide.test/b; {fetch} {proxy} https://y.wide.test/"
        );
        let child = begin(&net, &script);
        for (host, port, path, flag) in [
            ("x.wide.test", 80, Some("/a"), "--yes"),
            ("x.wide.test", 80, Some("/b"), "--no"),
            ("y.wide.test", 443, None, "--yes"),
        ] {
            let asked = question(&net);
            assert_eq!((&asked["host"], &asked["port"]), (&host.into(), &port.into()), "{asked}");
            assert_eq!(asked["path"].as_str(), path, "{asked}");
            cofferdam(&net, &["approve", flag, &asked["id"].to_string()]).works(host);
        }
        let output = child.wait_with_output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(out, "200\n200\n403\n200\n", "{proxy}: {output:?}");
        let targets: Vec<_> = net.settled().requests.iter().map(|r| r.target.clone()).collect();
        assert_eq!(targets, ["/a", "/a", "/"], "{proxy}: what was not allowed is not asked for");
    }
    let allowed = net.events("connection");
    let allowed = allowed.iter().filter(|event| event["verdict"] == "allowed");
    let of_a_yes = |event: &&serde_json::Value| {
        event["clause"].as_str().is_some_and(|clause| clause.starts_with("--approve["))
    };
    assert_eq!(allowed.clone().filter(of_a_yes).count(), allowed.clone().count());
    assert!(allowed.count() >= 6, "each is on record");
}
