//! Each way in which requests bear an identity, with its twins: the session's own, another, none, twice,
//! and one more beside it.

use crate::internet::Internet;
use crate::lodging::{BOTH, OTHERS, SECRET, bound, credential};

/// A way: what the rule says, what a client with the stand-in sends, and what the host then sees of it.
struct Way {
    inject: &'static str,
    /// Python that asks with the key `k`, and gives the request's bytes.
    asks: &'static str,
    /// What the host reads, with `SECRET` where that is.
    seen: String,
    /// What is told of one who bears another: the refusal's name, and its status.
    other: (u16, &'static str),
}

fn ways() -> Vec<Way> {
    let basic = {
        use std::process::Command;
        let pair = format!("x:{SECRET}");
        let said = Command::new("base64")
            .arg("-w0")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut child = said.unwrap();
        use std::io::Write as _;
        child.stdin.take().unwrap().write_all(pair.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let foreign = (403, "foreign-credential");
    vec![
        Way {
            inject: "header = 'X-Api-Key'",
            asks: "get('/v1', more=f'X-Api-Key: {k}\\r\\n')",
            seen: format!("X-Api-Key: {SECRET}\r\n"),
            other: foreign,
        },
        Way {
            inject: "bearer = true",
            asks: "get('/v1', more=f'Authorization: Bearer {k}\\r\\n')",
            seen: format!("Authorization: Bearer {SECRET}\r\n"),
            other: foreign,
        },
        Way {
            inject: "basic = 'x'",
            asks: "get('/v1', more='Authorization: Basic ' + base64.b64encode(b'x:' + k.encode()).decode() + '\\r\\n')",
            seen: format!("Authorization: Basic {basic}\r\n"),
            other: foreign,
        },
        Way {
            inject: "query = 'key'",
            asks: "get(f'/v1?a=b&key={k}&c=d')",
            seen: format!("/v1?a=b&key={SECRET}&c=d"),
            other: foreign,
        },
        Way {
            inject: "cookie = 'session'",
            asks: "get('/v1', more=f'Cookie: session={k}\\r\\n')",
            seen: format!("Cookie: session={SECRET}\r\n"),
            other: foreign,
        },
        Way {
            inject: "json = 'auth.key'",
            asks: "get('/v1', method='POST', more='content-type: application/json\\r\\n', body=('{\"a\": [1, 2],  \"auth\": {\"key\": \"' + k + '\"}}').encode())",
            seen: format!("{{\"a\": [1, 2],  \"auth\": {{\"key\": \"{SECRET}\"}}}}"),
            other: foreign,
        },
        Way {
            inject: "form = 'key'",
            asks: "get('/v1', method='POST', more='content-type: application/x-www-form-urlencoded\\r\\n', body=f'a=b&key={k}&c=d'.encode())",
            seen: format!("a=b&key={SECRET}&c=d"),
            other: foreign,
        },
    ]
}

#[test]
fn only_the_sessions_own_passes_whatever_carries_it() {
    let Some(net) = Internet::take() else { return };
    for way in ways() {
        let asks = way.asks;
        let act = format!(
            "
import base64
def asks(k): return {asks}
own, other = os.environ['API_KEY'], {OTHERS:?}
table([asks(own), asks(other), asks(own).replace(b'\\r\\n', b'\\r\\nPrivate-Token: {OTHERS}\\r\\n', 1), asks(own[:-1] + 'x')])
"
        );
        let outside = format!("import os; os.environ['API_KEY'] = {SECRET:?}\n{act}");
        net.forget();
        net.speaks_outside(&outside).works("without a wall");
        assert_eq!(net.asked().len(), 4, "{}: all four go through without a wall", way.inject);
        let rules = format!("{}{}", bound(""), credential(way.inject));
        for by in BOTH {
            net.forget();
            let ran = net.bears(&rules, by, &act).works(way.inject);
            let (status, code) = way.other;
            let want = format!("200 -\n{}", format!("{status} {code}\n").repeat(3));
            assert_eq!(ran.out, want, "{}, {}: {ran:?}", way.inject, by.0);
            let asked = net.asked();
            assert_eq!(asked.len(), 1, "{}: the host saw one: {asked:?}", way.inject);
            let all = format!("{}{}", asked[0].head, String::from_utf8_lossy(&asked[0].body));
            assert!(all.contains(&way.seen), "{}: {all}", way.inject);
        }
    }
}

/// In HTTP/2 the same holds.
#[test]
fn the_same_in_http_2() {
    let Some(net) = Internet::take() else { return };
    let act = format!(
        "
own = os.environ['API_KEY']
for more in ([('x-api-key', own)], [('x-api-key', {OTHERS:?})], [], [('x-api-key', own), ('authorization', 'Bearer x')], [('x-api-key', own), ('cookie', 'a=b')]):
    status, fields, body = two('/v1', more=more)
    print(status, dict(fields).get('x-cofferdam', '-'), flush=True)
"
    );
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    for by in BOTH {
        net.forget();
        let ran = net.bears(&rules, by, &act).works("HTTP/2");
        assert_eq!(ran.out, format!("200 -\n{}", "403 foreign-credential\n".repeat(4)), "{ran:?}");
        let asked = net.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].two && asked[0].head.contains(SECRET), "{:?}", asked[0].head);
    }
}

/// Who has a password is asked for it first, by the gateway: the host hears nothing of that.
#[test]
fn a_password_is_asked_for() {
    let Some(net) = Internet::take() else { return };
    let act = "
status, fields, _ = ask(get('/v1'))
print(status, fields.get('www-authenticate'), fields.get('x-cofferdam'))
";
    let rules = format!("{}{}", bound(""), credential("basic = '*'"));
    net.forget();
    let ran = net.bears(&rules, BOTH[0], act).works("asks");
    assert_eq!(ran.out, "401 Basic realm=\"cofferdam\" credential-wanted\n");
    assert_eq!(net.asked().len(), 0);
}

/// What would lead around the one place, or around the search: each with the twin that passes.
#[test]
fn what_leads_around_is_refused_or_taken_away() {
    let Some(net) = Internet::take() else { return };
    let basic = "
import base64
k = os.environ['API_KEY']
def named(user): return get('/v1', more='Authorization: Basic ' + base64.b64encode(f'{user}:{k}'.encode()).decode() + '\\r\\n')
table([named('x-access-token'), named('ghp_16C7e42F292c6912E7710c838347Ae178B4a')])
";
    let rules = format!("{}{}", bound(""), credential("basic = '*'"));
    let ran = net.bears(&rules, BOTH[0], basic).works("users");
    assert_eq!(ran.out, "200 -\n403 foreign-credential\n", "a user as long as a key");
    let act = "
k = os.environ['API_KEY']
own = f'x-api-key: {k}\\r\\n'
chunks = 'Transfer-Encoding: chunked\\r\\n'
table([
    get('/v1', method='POST', more=own + chunks, body=b'1\\r\\nx\\r\\n0\\r\\n\\r\\n'),
    get('/v1', method='POST', more=own + chunks, body=b'1\\r\\nx\\r\\n0\\r\\nX-Note: a\\r\\n\\r\\n'),
    get('/v1', more=own + 'Range: bytes=0-9\\r\\nX-Note: kept\\r\\n'),
])
";
    let rules = format!("{}{}", bound(""), credential("header = 'x-api-key'"));
    net.forget();
    let ran = net.bears(&rules, BOTH[0], act).works("behind and in pieces");
    assert_eq!(ran.out, "200 -\n400 trailer-field\n200 -\n", "{ran:?}");
    let asked = net.asked();
    let ranged = asked.iter().find(|one| one.head.contains("X-Note: kept")).unwrap();
    assert!(!ranged.head.contains("Range:"), "nobody could look through pieces: {}", ranged.head);
}

/// A field that is taken away in front of it does not move the secret into another one.
#[test]
fn the_secret_stays_in_its_field_in_http_2() {
    let Some(net) = Internet::take() else { return };
    let act = "
k = os.environ['API_KEY']
more = [('content-type', 'application/json'), ('expect', '100-continue'), ('range', 'bytes=0-1'), ('authorization', f'Bearer {k}'), ('x-note', 'Bearer 1234567')]
status, fields, body = two('/v1', more=more, method='POST', body=b'{\"query\": \"{a}\"}')
print(status)
";
    for asks in ["", "graphql = 'query'"] {
        let rules = format!("{}{}", bound(asks), credential("bearer = true"));
        net.forget();
        let ran = net.bears(&rules, BOTH[0], act).works("HTTP/2");
        assert_eq!(ran.out, "200\n", "{asks}: {ran:?}");
        let head = &net.asked()[0].head;
        assert!(head.contains(&format!("Bearer {SECRET}")), "{asks}: {head}");
        assert!(head.contains("Bearer 1234567\r") || head.contains("Bearer 1234567\n"), "{head}");
        assert_eq!(head.matches(SECRET).count(), 1, "{asks}: {head}");
    }
}
