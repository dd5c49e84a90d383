//! The origins that the other tests stand on do what they are said to do.

use crate::internet::{Internet, Pattern};

const CURL: &str = "/usr/bin/curl";

fn curl(net: &Internet, words: &[&str], why: &str) -> String {
    net.outside(&[&[CURL, "-sS", "--max-time", "8"], words].concat()).works(why).out
}

#[test]
fn versions_are_as_the_name_has_them() {
    let Some(net) = Internet::take() else { return };
    let version = ["-o", "/dev/null", "-w", "%{http_version}"];
    for (name, more, want) in [
        ("new.test", &["--http2"][..], "2"),
        ("new.test", &["--http1.1"], "1.1"),
        ("a.new.test", &["--http2"], "2"),
        ("one.test", &["--http2"], "1.1"),
        ("two.test", &["--http2"], "2"),
    ] {
        let url = format!("https://{name}/x?q=1");
        let found = curl(&net, &[&version[..], more, &[&url]].concat(), name);
        assert_eq!(found, want, "{name}");
    }
    for request in net.settled().requests {
        assert_eq!((request.target.as_str(), request.hosts.len()), ("/x?q=1", 1), "{request:?}");
    }
    for name in ["expired.test", "self.test", "stranger.test", "wrong.test"] {
        let url = format!("https://{name}/");
        net.outside(&[CURL, "-sS", &url]).fails(&["SSL", "certificate"], name);
        net.outside(&[CURL, "-sSk", &url]).works(name);
    }
}

#[test]
fn bytes_arrive_as_they_are() {
    let Some(net) = Internet::take() else { return };
    let size = (5 << 20) + 3;
    let mut bytes = Vec::new();
    Pattern::of(size).pour(&mut bytes).unwrap();
    std::fs::write(net.place.work.join("bytes"), &bytes).unwrap();
    let want = format!("{size} {}\n", Pattern::digest(size));
    for version in ["--http1.1", "--http2"] {
        let sent = ["-T", "bytes", version, "https://new.test/sink"];
        assert_eq!(curl(&net, &sent, version), want, "{version}");
        let sent = ["-T", "-", version, "https://new.test/sink"];
        let script = format!("cat bytes | {CURL} -sS {}", sent.join(" "));
        assert_eq!(net.outside(&["sh", "-c", &script]).works(version).out, want, "in pieces");
        let url = format!("https://new.test/pattern/{size}");
        curl(&net, &[version, "-o", "got", &url], version);
        assert!(std::fs::read(net.place.work.join("got")).unwrap() == bytes, "{version}");
        let got = curl(&net, &[version, "-d", "a=b", "https://new.test/x"], version);
        assert!(got.contains("content-type") || got.contains("Content-Type"), "{got}");
        let asked = net.asked();
        assert_eq!(asked.last().map(|one| one.body.as_slice()), Some(&b"a=b"[..]), "{version}");
    }
}

#[test]
fn answers_that_take_a_while() {
    let Some(net) = Internet::take() else { return };
    for version in ["--http1.1", "--http2"] {
        let get =
            |path: &str| curl(&net, &["-i", version, &format!("https://new.test{path}")], path);
        let events = get("/events");
        assert_eq!(events.matches("data: ").count(), 4, "{events}");
        assert!(get("/hints").contains(" 103"), "an early hint");
        let trailed = get("/trailers").to_lowercase();
        assert!(trailed.contains("x-last: yes"), "{trailed}");
        assert!(get("/status/418").contains(" 418"));
    }
    let expects = ["-i", "--http1.1", "-H", "Expect: 100-continue", "-d", "x"];
    let got = curl(&net, &[&expects[..], &["https://new.test/x"]].concat(), "100");
    assert!(got.starts_with("HTTP/1.1 100 Continue"), "{got}");
    let got = curl(&net, &[&expects[..], &["https://new.test/refuse"]].concat(), "413");
    assert!(got.starts_with("HTTP/1.1 413 "), "{got}");
}
