//! Whom the workload's programs believe where the gateway looks into TLS, and that nobody is believed
//! anew where it does not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

#[path = "support/mod.rs"]
mod support;

use std::fs;

use serde_json::Value;
use support::{Place, Ran, finish, programs};

/// The list of this system, where Debian and others have it.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";
const INSPECTS: &str = "[[network.allow]]\nhost = 'api.good.test'\ninspect = 'always'\n";
const PLAIN: &str = "[[network.allow]]\nhost = 'api.good.test'\n";

/// Python: how many Python believes, and of these the session's own; then the same of the system's list.
const BELIEVED: &str = r"
import ssl
def count(context):
    all = context.get_ca_certs(binary_form=False)
    return len(all), sum('cofferdam' in str(one['subject']) for one in all)
print(*count(ssl.create_default_context()))
print(*count(ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt')))
";

fn policy(place: &Place, rules: &str) -> String {
    let text = format!("version = 1\n{rules}");
    place.write("trust.toml", &text).display().to_string()
}

fn run(place: &Place, rules: &str, command: &[&str]) -> Ran {
    let policy = policy(place, rules);
    finish(place.cofferdam(&["--policy", &policy]).args(command))
}

/// Numbers of a line each.
fn numbers(ran: &Ran) -> Vec<Vec<usize>> {
    let line = |line: &str| line.split(' ').map(|word| word.parse().unwrap()).collect();
    ran.out.lines().map(line).collect()
}

fn event(place: &Place, kind: &str) -> Option<Value> {
    let log = fs::read_to_string(place.audit_log()).unwrap();
    let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut events = records.map(|mut record| record["event"].take());
    events.rfind(|event| event["kind"] == kind)
}

#[test]
fn the_session_is_believed_beside_the_system() {
    if !std::path::Path::new(SYSTEM).exists() {
        return;
    }
    let place = Place::new();
    let python = ["/usr/bin/python3", "-c", BELIEVED];
    let outside = finish(place.command(python[0]).args(&python[1..])).works("without a wall");
    let outside = numbers(&outside);
    let (listed, none) = (outside[1][0], outside[1][1]);
    assert!(listed > 10 && none == 0, "{outside:?}");
    let inside = numbers(&run(&place, INSPECTS, &python).works("inside"));
    assert_eq!(inside, [[listed + 1, 1], [listed + 1, 1]], "by variable and by the system's name");
    // Nobody is believed anew where nobody looks: as without a wall.
    assert_eq!(numbers(&run(&place, PLAIN, &python).works("inside")), outside);
}

#[test]
fn the_files_are_on_record_by_their_hash() {
    let place = Place::new();
    let script = "openssl x509 -in $NODE_EXTRA_CA_CERTS -outform DER | sha256sum | cut -d' ' -f1
        openssl x509 -in $DENO_CERT -noout -ext basicConstraints | grep -c CA:TRUE
        tail -n +2 $NODE_EXTRA_CA_CERTS | head -n 1 | grep -cFf - $SSL_CERT_FILE
        od -An -tx1 -N8 /.cofferdam/cacerts | tr -d ' '";
    let ran = run(&place, INSPECTS, &["sh", "-c", script]).works("inside");
    let lines: Vec<&str> = ran.out.lines().collect();
    let ready = event(&place, "ready").unwrap();
    assert_eq!(lines.first().copied(), ready["authority"].as_str(), "{ready}");
    assert_eq!(&lines[1..], ["1", "1", "feedfeed00000002"], "{ran:?}");
    let start = event(&place, "start").unwrap().to_string();
    assert!(start.contains("{\"later\":\"everybody\"}"), "{start}");
    assert!(!start.contains("BEGIN CERTIFICATE"), "no list is on record");
    run(&place, PLAIN, &["true"]).works("inside");
    let ready = event(&place, "ready").unwrap();
    assert!(ready.get("authority").is_none(), "{ready}");
    let start = event(&place, "start").unwrap().to_string();
    assert!(!start.contains("later") && !start.contains("ca-certificates.crt"), "{start}");
}

/// Java reads the store, whether or not somebody gives the password that all of its stores have.
#[test]
fn java_reads_its_store() {
    let place = Place::new();
    if place.outside("command -v keytool").status != Some(0) {
        return;
    }
    let script =
        "keytool -list -keystore /.cofferdam/cacerts -storepass changeit | grep -c trustedCert
        keytool -list -keystore /.cofferdam/cacerts -storepass notthisone && exit 1
        grep -c BEGIN $SSL_CERT_FILE";
    let ran = run(&place, INSPECTS, &["sh", "-c", script]).works("inside");
    let lines: Vec<&str> = ran.out.lines().collect();
    let [listed, wrong, believed] = lines[..] else { panic!("{ran:?}") };
    assert!(wrong.contains("tampered with, or password was incorrect"), "{ran:?}");
    assert_eq!(listed, believed, "{ran:?}");
}

#[test]
fn the_workload_changes_none_of_it() {
    let place = Place::new();
    let script = |path: &str| format!("f=$(realpath {path}); test -s $f && echo x >>$f");
    for name in ["$SSL_CERT_FILE", "$NODE_EXTRA_CA_CERTS", "/.cofferdam/cacerts", SYSTEM] {
        let ran = run(&place, INSPECTS, &["sh", "-c", &script(name)]);
        ran.fails(&["Read-only", "Permission denied"], name);
    }
    place.outside("echo x >>own.pem && echo x >>own.pem").works("an act that works elsewhere");
}

/// What the person sets stays, and the plan says who may not believe the session then.
#[test]
fn a_persons_own_variable_stays() {
    let place = Place::new();
    let rules = format!("[environment]\nset = {{ PIP_CERT = '/etc/own.pem' }}\n{INSPECTS}");
    let ran = run(&place, &rules, &["sh", "-c", "echo $PIP_CERT $REQUESTS_CA_BUNDLE"]);
    assert_eq!(ran.works("inside").out, "/etc/own.pem /.cofferdam/ca-certificates.crt\n");
    let policy = policy(&place, &rules);
    let mut plan = place.command(programs().join("cofferdam"));
    let plan = finish(plan.args(["plan", "--policy", &policy, "--", "true"])).works("a plan");
    assert!(plan.out.contains("so pip may refuse them"), "{plan:?}");
    assert!(plan.out.contains("/.cofferdam"), "{plan:?}");
}

/// Of a file of a person's only certificates go inside.
#[test]
fn no_key_goes_inside() {
    let place = Place::new();
    let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ours \
                -days 2 -keyout $OUT/key.pem -out $OUT/cert.pem && cat $OUT/key.pem $OUT/cert.pem >$OUT/both.pem";
    place.outside(make).works("an authority of somebody's");
    let both = place.out.join("both.pem");
    let rules = format!("[network]\ntrust_ca = ['{}']\n{INSPECTS}", both.display());
    let script = "import os, ssl
all = ssl.create_default_context().get_ca_certs()
print(sum('ours' in dict(part[0] for part in one['subject']).values() for one in all))
print(open(os.environ['SSL_CERT_FILE']).read().count('PRIVATE'))";
    let ran = run(&place, &rules, &["/usr/bin/python3", "-c", script]);
    assert_eq!(ran.works("inside").out, "1\n0\n");
    let key = place.out.join("key.pem");
    let rules = format!("[network]\ntrust_ca = ['{}']\n{INSPECTS}", key.display());
    run(&place, &rules, &["true"]).refused("holds no certificate", "a key alone");
    let rules = format!("[network]\ntrust_ca = ['{}/none']\n{INSPECTS}", place.out.display());
    run(&place, &rules, &["true"]).refused("does not exist", "a file that is not there");
}

/// Whoever writes a file of `network.trust_ca` says whom the next session's gateway believes.
#[test]
fn nobody_inside_writes_whom_the_next_session_believes() {
    let place = Place::new();
    let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ours \
                -days 2 -keyout $OUT/key.pem -out ca.pem && cp ca.pem other.pem";
    place.outside(make).works("an authority in the workspace");
    for rules in [INSPECTS, PLAIN] {
        let rules = format!("[network]\ntrust_ca = ['ca.pem']\n{rules}");
        let inside = |script: &str| run(&place, &rules, &["sh", "-c", script]);
        inside("cat ca.pem >/dev/null && echo x >> other.pem").works("a file beside it");
        for (script, why) in [
            ("echo x >> ca.pem", "written"),
            ("rm -f ca.pem", "removed"),
            ("mv ca.pem old.pem", "moved"),
            ("cp other.pem new.pem && mv -f new.pem ca.pem", "replaced"),
        ] {
            let ran = inside(script);
            assert!(ran.status != Some(0), "{why}: {ran:?}");
            place.outside("openssl x509 -noout -in ca.pem").works(why);
        }
        place.outside("mv ca.pem real.pem && ln -s real.pem ca.pem").works("a link");
        inside("true").refused("link", "one that the workload could turn");
        place.outside("mv real.pem ca.pem && ln ca.pem second.pem").works("a second name");
        inside("true").refused("2 hard links", "by one it could be written");
        place.outside("rm second.pem && mv ca.pem away.pem").works("it is gone");
        inside("true").refused("does not exist", "the workload could make it");
        place.outside("mv away.pem ca.pem").works("it is back");
    }
}
