//! What is said in bodies and in queries: S25 GraphQL, S31 DNS over HTTPS, S40 what is packed.

use std::process::Stdio;

use crate::internet::Internet;
use crate::looking::{PROXY, Row, rule};
use crate::transfers::watched;

/// A body of GraphQL over HTTP, as Python.
const HEAD: &str = "'Content-Type: application/json\\r\\n'";

fn post(body: &str) -> String {
    format!("get('/graphql', method='POST', more={HEAD}, body=json.dumps({body}).encode())")
}

fn asked(query: &str) -> String {
    format!("get('/graphql?' + __import__('urllib.parse').parse.urlencode(dict({query})))")
}

/// S25: an operation that changes something, however it is told.
#[test]
fn s25_a_graphql_rule_reads_alone() {
    let Some(net) = Internet::take() else { return };
    let good = [
        ("a query", post("dict(query='query { me { name } }')")),
        ("the short form", post("dict(query='{ me }')")),
        (
            "two, the query is meant",
            post("dict(query='query A { me } query B { you }', operationName='A')"),
        ),
        ("the word in a string", post("dict(query='{ me(say: \"mutation { x }\") }')")),
        ("the word as a field", post("dict(query='{ mutation }')")),
        ("many queries", post("[dict(query='{ a }'), dict(query='{ b }')]")),
        ("by GET", asked("query='{ me }'")),
    ];
    let bad = [
        ("graphql-mutation", "a mutation", post("dict(query='mutation { drop }')")),
        ("graphql-subscription", "a subscription", post("dict(query='subscription { all }')")),
        ("graphql-mutation", "behind a comment", post("dict(query='# query\\n mutation { drop }')")),
        ("graphql-document", "behind a mark of byte order", post("dict(query='\\ufeffmutation { drop }')")),
        ("graphql-mutation", "one of two", post("dict(query='query A { me } mutation B { drop }', operationName='B')")),
        ("graphql-mutation", "two, none is named", post("dict(query='query A { me } mutation B { drop }')")),
        ("graphql-mutation", "one of many", post("[dict(query='{ a }'), dict(query='mutation { drop }')]")),
        (
            "graphql-persisted",
             "a hash instead",
            post("dict(extensions=dict(persistedQuery=dict(version=1, sha256Hash='a' * 64)))"),
        ),
        ("graphql-member", "a hash beside", post("dict(query='{ a }', id='17', extensions=dict(persistedQuery=dict(version=1, sha256Hash='a' * 64)))")),
        ("graphql-mutation", "by GET", asked("query='mutation { drop }'")),
        ("graphql-persisted", "by GET and by hash", asked("extensions='{\"persistedQuery\":{\"version\":1,\"sha256Hash\":\"aa\"}}'")),
        ("graphql-twice", "a key twice", "get('/graphql', method='POST', more='Content-Type: application/json\\r\\n', body=b'{\"query\":\"{ a }\",\"query\":\"mutation { drop }\"}')".into()),
        ("graphql-twice", "a key in another spelling", "get('/graphql', method='POST', more='Content-Type: application/json\\r\\n', body=b'{\"query\":\"{ a }\",\"\\\\u0071uery\":\"mutation { drop }\"}')".into()),
        ("graphql-json", "no JSON", "get('/graphql', method='POST', more='Content-Type: application/json\\r\\n', body=b'mutation { drop }')".into()),
        ("graphql-type", "a form", "get('/graphql', method='POST', more='Content-Type: application/x-www-form-urlencoded\\r\\n', body=b'query=mutation+%7B+drop+%7D')".into()),
        ("graphql-mutation", "text of its own kind", "get('/graphql', method='POST', more='Content-Type: application/graphql\\r\\n', body=b'mutation { drop }')".into()),
        ("graphql-coded", "packed", "get('/graphql', method='POST', more='Content-Type: application/json\\r\\nContent-Encoding: gzip\\r\\n', body=gzip.compress(b'{\"query\":\"mutation { drop }\"}'))".into()),
        ("graphql-json", "nothing", "get('/graphql', method='POST', more='Content-Type: application/json\\r\\nContent-Length: 0\\r\\n')".into()),
        ("graphql-parameter", "a body and a query", "get('/graphql?query=mutation+%7B+drop+%7D', method='POST', more='Content-Type: application/json\\r\\n', body=b'{\"query\":\"{ a }\"}')".into()),
        ("graphql-mutation", "HTTP/2", "lambda: two('/graphql', method='POST', more=[('content-type', 'application/json')], body=b'{\"query\":\"mutation { drop }\"}')".into()),
    ];
    let rows: Vec<Row<'_>> = good
        .iter()
        .map(|(why, ask)| (*why, ask.as_str(), 200, "-"))
        .chain(bad.iter().map(|(code, why, ask)| (*why, ask.as_str(), 403, *code)))
        .collect();
    net.table(&rule("graphql = 'query'"), &rows);
}

/// S31: an allowed host is no resolver, unless a rule says that it is one.
#[test]
fn s31_no_host_is_a_resolver_by_the_way() {
    let Some(net) = Internet::take() else { return };
    let query = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
    let message = "b'\\0\\0\\1\\0\\0\\1' + bytes(6) + b'\\1a\\4evil\\4test\\0\\0\\1\\0\\1'";
    let ask = [
        format!("get('/dns-query?dns={query}', more='Accept: application/dns-message\\r\\n')"),
        format!("get('/other?dns={query}', more='Accept: application/dns-message\\r\\n')"),
        format!(
            "get('/dns-query', method='POST', more='Content-Type: application/dns-message\\r\\n', body={message})"
        ),
        format!(
            "lambda: two('/dns-query', method='POST', more=[('content-type', 'application/dns-message')], body={message})"
        ),
        "get('/dns-query?name=a.evil.test&type=TXT', more='Accept: application/dns-json\\r\\n')"
            .to_owned(),
        "get('/x?dns=no')".to_owned(),
    ];
    let dns = "doh";
    let rows: Vec<Row<'_>> = vec![
        ("a question in the query", &ask[0], 403, dns),
        ("another path", &ask[1], 403, dns),
        ("a question in the body", &ask[2], 403, dns),
        ("by HTTP/2", &ask[3], 403, dns),
        ("in JSON", &ask[4], 403, dns),
        ("a query that is none", &ask[5], 200, "-"),
    ];
    net.table(&rule("inspect = 'always'"), &rows);
}

/// S40: ten gigabytes in ten megabytes: nobody here unpacks them, and a rule's bound is one of what is
/// carried.
#[test]
fn s40_what_is_packed_stays_packed() {
    let Some(net) = Internet::take() else { return };
    let bomb = net.www().join("bomb.gz").display().to_string();
    net.python_outside(&format!(
        "import gzip\none = gzip.compress(bytes(10 << 20), mtime=0)\n\
         with open('{bomb}', 'wb') as f:\n    for _ in range(1024): f.write(one)\n\
         print(os.path.getsize('{bomb}'))"
    ))
    .works("a bomb");
    let packed = std::fs::metadata(net.www().join("bomb.gz")).unwrap().len();
    assert!((8 << 20..14 << 20).contains(&packed), "{packed} bytes for ten gigabytes");
    let script = "for v in --http1.1 --http2; do curl -sS $v -H 'Accept-Encoding: gzip' https://new.test/bomb.gz | wc -c; done";
    let whole = format!("{packed}\n{packed}\n");
    assert_eq!(net.outside(&["sh", "-c", script]).works("without a wall").out, whole);
    for (asks, want) in
        [("inspect = 'always'", Some(whole)), ("max_response_bytes = 1000000", None)]
    {
        let mut command = net.looks(40, &rule(asks));
        command.args(["sh", "-c", script]).stdin(Stdio::null());
        let (most, output) = watched(command);
        assert!((1..48 << 10).contains(&most), "{asks}: {most} KiB resident");
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        match want {
            Some(want) => assert_eq!(said, want, "{asks}: {output:?}"),
            None => {
                let sizes: Vec<u64> = said.lines().map(|line| line.parse().unwrap()).collect();
                assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 1_000_000), "{said}");
            }
        }
    }
    std::fs::remove_file(net.www().join("bomb.gz")).unwrap();
    net.scripted(
        &rule("max_response_bytes = 1000000"),
        PROXY,
        "curl -sS --fail https://new.test/x",
    )
    .works("what is shorter");
}

/// S44: places of an allowed host at which files are left: what no rule names is refused.
#[test]
fn s44_uploads_are_what_a_rule_says() {
    let Some(net) = Internet::take() else { return };
    let rows: [Row<'_>; 6] = [
        ("what is for", "get('/v1/messages', method='POST', body=b'{}')", 200, "-"),
        ("files", "get('/v1/files', method='POST', body=b'a')", 403, "path-not-allowed"),
        ("a snippet", "get('/gists', method='POST', body=b'a')", 403, "path-not-allowed"),
        ("a package", "get('/npm/x', method='PUT', body=b'a')", 403, "method-not-allowed"),
        (
            "signed beforehand",
            "get('/v1/messages?X-Amz-Signature=a', method='PUT', body=b'a')",
            403,
            "method-not-allowed",
        ),
        ("HTTP/2", "lambda: two('/v1/files', method='POST', body=b'a')", 403, "path-not-allowed"),
    ];
    net.table(&rule("methods = ['POST']\npaths = ['/v1/messages']"), &rows);
}
