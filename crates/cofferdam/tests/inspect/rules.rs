//! What a rule asks of each request: methods, paths, query, fields, lengths, how often. The first that
//! allows it decides, and one that denies it wins.

use crate::internet::Internet;
use crate::looking::{PROXY, Row, WAYS, rule};

/// Rules and requests under them.
const TABLES: &[(&str, &[Row<'_>])] = &[
    (
        "methods = ['GET', 'HEAD']",
        &[
            ("a method that is named", "get('/x')", 200, "-"),
            ("another that is named", "get('/x', method='HEAD')", 200, "-"),
            ("one that is not", "get('/x', method='POST', body=b'a=b')", 403, "method-not-allowed"),
            ("one that nobody knows", "get('/x', method='BREW')", 403, "method-not-allowed"),
            ("small letters are another", "get('/x', method='get')", 403, "method-not-allowed"),
        ],
    ),
    (
        "paths = ['/ok/**', '/one/*/end']",
        &[
            ("below", "get('/ok/a/b')", 200, "-"),
            ("with a query, which no rule names", "get('/ok/a?b=/../c')", 200, "-"),
            ("one word", "get('/one/a/end')", 200, "-"),
            ("two words", "get('/one/a/b/end')", 403, "path-not-allowed"),
            ("beside", "get('/okay')", 403, "path-not-allowed"),
            ("above", "get('/')", 403, "path-not-allowed"),
            ("capitals are others", "get('/OK/a')", 403, "path-not-allowed"),
        ],
    ),
    (
        "query = ['a=*', 'b=1']",
        &[
            ("none", "get('/x')", 200, "-"),
            ("named ones", "get('/x?b=1&a=anything')", 200, "-"),
            ("another value", "get('/x?b=2')", 403, "query-not-allowed"),
            ("one that is not named", "get('/x?a=1&c=1')", 403, "query-not-allowed"),
        ],
    ),
    (
        "headers = { x-team = 'blue*' }",
        &[
            ("as it is asked for", "get('/x', more='X-Team: blue-7\\r\\n')", 200, "-"),
            ("not there", "get('/x')", 403, "header-required"),
            ("another value", "get('/x', more='X-Team: red\\r\\n')", 403, "header-required"),
            (
                "twice, one of them another",
                "get('/x', more='X-Team: blue\\r\\nX-Team: red\\r\\n')",
                403,
                "header-required",
            ),
        ],
    ),
    (
        "max_request_bytes = 10",
        &[
            ("as long as it may be", "get('/x', method='POST', body=b'0123456789')", 200, "-"),
            ("longer", "get('/x', method='POST', body=b'0123456789a')", 413, "request-too-large"),
        ],
    ),
];

#[test]
fn each_clause_of_a_rule_holds() {
    let Some(net) = Internet::take() else { return };
    for (asks, rows) in TABLES {
        net.table(&rule(asks), rows);
    }
}

#[test]
fn the_first_that_allows_decides_and_a_denial_wins() {
    let Some(net) = Internet::take() else { return };
    let rules = format!(
        "{}{}[[network.deny]]\nhost = 'new.test'\npaths = ['/both/secret/**']\n",
        rule("methods = ['GET']\npaths = ['/both/**', '/read/**']"),
        rule("methods = ['POST']\npaths = ['/both/**']"),
    );
    net.table(
        &rules,
        &[
            ("the first", "get('/read/a')", 200, "-"),
            ("the second", "get('/both/a', method='POST', body=b'a')", 200, "-"),
            ("neither", "get('/read/a', method='POST', body=b'a')", 403, "path-not-allowed"),
            ("denied", "get('/both/secret/a')", 403, "host-denied"),
            ("beside what is denied", "get('/both/secrets')", 200, "-"),
        ],
    );
}

#[test]
fn fields_are_removed_and_set() {
    let Some(net) = Internet::take() else { return };
    let rules = rule(
        "inspect = 'always'\nremove_headers = ['x-beta', 'cookie']\nset_headers = { x-from = 'cage' }",
    );
    let act = "more = 'X-Beta: 1\\r\\nx-BETA: 2\\r\\nCookie: a=b\\r\\nX-From: me\\r\\nX-Kept: y\\r\\n'\n\
         assert ask(get('/x', more=more))[0] == 200\n\
         low = [('x-beta', '1'), ('cookie', 'a=b'), ('x-from', 'me'), ('x-kept', 'y')]\n\
         assert two('/x', more=low)[0] == 200";
    net.speaks_outside(act).works("without a wall");
    assert!(net.asked().iter().all(|one| one.head.to_lowercase().contains("x-beta: 1")));
    for way in WAYS {
        net.forget();
        net.speaks(&rules, way, act).works(way.0);
        let asked = net.asked();
        assert_eq!(asked.len(), 2);
        for request in asked {
            let head = request.head.to_lowercase();
            assert!(!head.contains("x-beta") && !head.contains("cookie"), "{head}");
            assert_eq!(head.matches("x-from: cage").count(), 1, "{head}");
            assert_eq!((head.matches("x-from").count(), head.matches("x-kept: y").count()), (1, 1));
        }
    }
}

/// Fields by which a server is told to take another method, or another target, than the one that is
/// judged.
#[test]
fn no_field_names_another_method() {
    let Some(net) = Internet::take() else { return };
    let names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];
    let fields: String = names.iter().map(|name| format!("{name}: DELETE\\r\\n")).collect();
    let act = format!(
        "assert ask(get('/x', more='{fields}', method='POST', body=b'a'))[0] == 200\n\
         assert two('/x', more=[(n.lower(), 'DELETE') for n in {names:?}], method='POST', body=b'a')[0] == 200"
    );
    net.speaks_outside(&act).works("without a wall");
    assert!(net.asked().iter().all(|one| one.head.to_lowercase().contains("method-override")));
    net.forget();
    net.speaks(&rule("methods = ['POST']"), PROXY, &act).works("inside");
    for request in net.asked() {
        assert!(!request.head.to_lowercase().contains("delete"), "{request:?}");
    }
}

/// S13: nobody is told of another server for the same name.
#[test]
fn s13_no_other_server_is_named() {
    let Some(net) = Internet::take() else { return };
    let act = "for found in (ask(get('/alternative')), two('/alternative')):\n    \
         assert found[0] == 200 and found[2] == b'alternative\\n', found\n    print(found[1].get('alt-svc'))";
    let named = "h3=\"evil.test:443\"\n";
    assert_eq!(net.speaks_outside(act).works("without a wall").out, named.repeat(2));
    for way in WAYS {
        let ran = net.speaks(&rule("inspect = 'always'"), way, act).works(way.0);
        assert_eq!(ran.out, "None\nNone\n");
    }
    assert_eq!(net.hits(crate::internet::EVIL), 0);
}

/// S24.
#[test]
fn s24_nothing_is_echoed() {
    let Some(net) = Internet::take() else { return };
    net.table(
        &rule("inspect = 'always'"),
        &[
            ("TRACE", "get('/x', method='TRACE', more='X-Key: secret\\r\\n')", 405, "http-echo"),
            ("TRACK", "get('/x', method='TRACK', more='X-Key: secret\\r\\n')", 405, "http-echo"),
            ("HTTP/2", "lambda: two('/x', method='TRACE')", 405, "http-echo"),
            ("GET", "get('/x')", 200, "-"),
        ],
    );
}

#[test]
fn only_so_many_in_a_while() {
    let Some(net) = Internet::take() else { return };
    let act = "found = [ask(get('/x'))[0] for i in range(8)]\n\
         print(found)\n";
    assert_eq!(net.speaks_outside(act).works("").out, format!("{:?}\n", [200; 8]));
    for way in WAYS {
        net.forget();
        let rules = rule("rate = '5/min'");
        let (ran, found) = net.on_record(|| net.speaks(&rules, way, act));
        let want = [&[200; 5][..], &[429; 3]].concat();
        assert_eq!(ran.works(way.0).out, format!("{want:?}\n"), "{}", way.0);
        assert_eq!((net.asked().len(), found.len()), (5, 8), "{found:?}");
    }
}

/// An answer that is longer than it may be is cut, and the client sees that.
#[test]
fn an_answer_is_no_longer_than_it_may_be() {
    let Some(net) = Internet::take() else { return };
    let act = "import sys\n\
         def size(version, path):\n    \
         p = subprocess.run(['curl', '-sS', '--fail', version, '-o', 'got', '-w', '%{http_code}', 'https://new.test' + path], capture_output=True, text=True)\n    \
         return p.returncode == 0, p.stdout, os.path.getsize('got') if os.path.exists('got') else 0\n\
         for version in ('--http1.1', '--http2'):\n    \
         for path in ('/big/10', '/big/11', '/pattern/5000000', '/chunked'):\n        \
         whole, status, got = size(version, path); os.path.exists('got') and os.remove('got'); print(whole, got <= 10)\n";
    let outside = "True True\nTrue False\nTrue False\nTrue False\n".repeat(2);
    assert_eq!(net.speaks_outside(act).works("without a wall").out, outside);
    for way in WAYS {
        let ran = net.speaks(&rule("max_response_bytes = 10"), way, act).works(way.0);
        let want = "True True\nFalse True\nFalse True\nFalse True\n".repeat(2);
        assert_eq!(ran.out, want, "{}", way.0);
    }
}
