//! Packages from registries of this test: an index of Python and a registry of npm, in the shape that
//! both take from a server of files.

use crate::asking::POLICY;
use crate::clients::WITHOUT;
use crate::internet::{GOOD, GOOD_6, Internet};

/// Without a wall from EVIL, then inside from GOOD and from EVIL, with and without proxy variables.
/// `script` gives the command that installs from a host; `asked` is how many requests that takes.
fn installs(net: &Internet, script: &dyn Fn(&str, &str) -> String, asked: usize) {
    net.outside(&["sh", "-c", &script("", "evil.test")]).works("without a wall");
    assert!(net.evil() > 0, "the control reaches it");
    for (before, way) in [("", "proxy"), (WITHOUT, "direct")] {
        net.forget();
        net.tells(&[&*format!("{way} good.test:443 allowed")], || {
            net.inside(POLICY, &["sh", "-c", &script(before, "good.test")]).works(way)
        });
        let seen = net.settled();
        let requests = seen.requests_to(GOOD).len() + seen.requests_to(GOOD_6).len();
        assert_eq!(requests, asked, "{way}: {:?}", seen.requests);
        net.forget();
        let told = match way {
            "proxy" => "proxy evil.test:443 host-not-allowed",
            _ => "lookup evil.test:0 host-not-allowed",
        };
        net.tells(&[told], || {
            let ran = net.inside(POLICY, &["sh", "-c", &script(before, "evil.test")]);
            ran.fails(&["403", "ENOTFOUND", "No matching distribution"], way)
        });
        net.is_silent(way);
    }
}

#[test]
fn pip_installs_from_an_index_that_is_allowed() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["/usr/bin/python3", "-m", "pip", "--version"]).status != Some(0) {
        println!("not run: pip inside: it is not installed");
        return;
    }
    net.python_index();
    let script = |before: &str, host: &str| {
        format!(
            "{before}/usr/bin/python3 -m pip install -q --no-deps --no-cache-dir --no-compile --retries 0 --timeout 5 \
             --disable-pip-version-check --target got --index-url https://{host}/simple small 2>&1 && grep -q 'x = 1' got/small.py && rm -r got"
        )
    };
    installs(&net, &script, 2);
}

#[test]
fn npm_installs_from_a_registry_that_is_allowed() {
    let Some(net) = Internet::take() else { return };
    if net.outside(&["npm", "--version"]).status != Some(0) {
        println!("not run: npm inside: it is not installed");
        return;
    }
    net.npm_registry(&["good.test", "evil.test"]);
    let script = |before: &str, host: &str| {
        format!(
            "{before}npm install --silent --loglevel error --prefix got --cache got/cache --no-audit --no-fund --no-update-notifier --fetch-retries 0 \
             --registry https://{host}/npm/{host}/ small 2>&1 && grep -q exports got/node_modules/small/index.js && rm -r got"
        )
    };
    installs(&net, &script, 2);
}
