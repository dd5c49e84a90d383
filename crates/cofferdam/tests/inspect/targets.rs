//! S22: what is judged of a target is what is sent; what a server might read as another one is refused.

use crate::internet::Internet;
use crate::looking::{WAYS, rule};

/// Targets under `/ok/**`, and what is done with each: 200, or the refusal.
const TARGETS: &[(&str, u16)] = &[
    ("/ok/x", 200),
    ("/ok/", 200),
    ("/ok/a%20b", 200),
    ("/ok/x?a=/../b", 200),
    ("/ok/x?a=%2e%2e", 200),
    ("/ok/x.y-z_~!$&'()*+,=:@", 200),
    ("/x", 403),
    ("/ok/../x", 400),
    ("/ok/..", 400),
    ("/ok/./x", 400),
    ("/ok/%2e%2e/x", 400),
    ("/ok/%2E%2e/x", 400),
    ("/ok/.%2e/x", 400),
    ("/ok//x", 400),
    ("//ok/x", 400),
    ("/ok/..;/x", 400),
    ("/ok/x;p=1/../y", 400),
    ("/ok%2fx", 400),
    ("/ok/a%2Fb", 400),
    ("/ok/%252e%252e/x", 400),
    ("/ok/a%5cb", 400),
    ("/ok/x%3Fy", 400),
    ("/ok/x%23y", 400),
    ("/ok/x%00", 400),
    ("/ok/x%0d%0aX:1", 400),
    ("/ok/x%zz", 400),
    ("/ok/x%", 400),
    ("/ok/%c0%ae%c0%ae/x", 400),
];
/// The same, in bytes that no target has.
const NONE: &[&str] =
    &["/ok/a\\\\b", "/ok/x#y", "/ok/\\xe9", "/ok/x y", "/ok/\\t", "ok/x", "*", ""];

#[test]
fn s22_a_target_is_sent_as_it_is_judged_or_not_at_all() {
    let Some(net) = Internet::take() else { return };
    let all: Vec<&str> = TARGETS.iter().map(|one| one.0).collect();
    let one = format!("for t in {all:?}: print(ask(get(t))[0], flush=True)\n");
    let two = format!("for t in {all:?}: print(two(t)[0], flush=True)\n");
    net.speaks_outside(&format!("{one}{two}")).works("without a wall");
    let outside = net.targets();
    assert_eq!(outside.len(), 2 * TARGETS.len(), "a server that takes all of them");
    let want: Vec<u16> = TARGETS.iter().chain(TARGETS).map(|one| one.1).collect();
    let passed: Vec<&str> = TARGETS.iter().filter(|one| one.1 == 200).map(|one| one.0).collect();
    for way in WAYS {
        net.forget();
        let act = format!("{one}{two}");
        let (ran, told) =
            net.on_record(|| net.speaks(&rule("paths = ['/ok/**']"), way, &act).works(""));
        let got: Vec<u16> = ran.out.lines().map(|line| line.parse().unwrap()).collect();
        let rows: Vec<_> = TARGETS.iter().chain(TARGETS).zip(&got).collect();
        assert_eq!(got, want, "{}: {rows:?}", way.0);
        assert_eq!(net.targets(), [&passed[..], &passed].concat(), "{}: as they are", way.0);
        assert_eq!(told.len(), want.len(), "one event each: {told:?}");
    }
}

#[test]
fn s22_what_is_no_target_is_refused() {
    let Some(net) = Internet::take() else { return };
    let rows: String = NONE
        .iter()
        .map(|t| format!("s = open_tls(); out = say(s, b'GET {t} HTTP/1.1\\r\\nHost: new.test\\r\\nConnection: close\\r\\n\\r\\n')[0]; print(out[9:12].decode())\n"))
        .collect();
    net.speaks_outside(&rows).works("without a wall");
    assert_eq!(net.asked().len(), NONE.len(), "a server that takes all of them");
    for way in WAYS {
        net.forget();
        let ran = net.speaks(&rule("paths = ['/ok/**']"), way, &rows).works(way.0);
        let bad: Vec<_> = NONE
            .iter()
            .zip(ran.out.lines())
            .filter(|one| !["400", "403"].contains(&one.1))
            .collect();
        assert!(bad.is_empty() && ran.out.lines().count() == NONE.len(), "{bad:?}: {ran:?}");
        assert_eq!(net.targets(), Vec::<String>::new());
    }
}
