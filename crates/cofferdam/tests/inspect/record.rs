//! One event for each request, however it ends, and one for a connection without any.

use crate::internet::Internet;
use crate::looking::{WAYS, rule};

/// How requests end, and what is on record of each.
const ENDS: &[(&str, &str, &str)] = &[
    ("an answer", "assert ask(get('/x'))[0] == 200", "h1 GET /x 200 allowed"),
    ("not there", "assert ask(get('/status/404'))[0] == 404", "h1 GET /status/404 404 allowed"),
    (
        "the host's fault",
        "assert ask(get('/status/500'))[0] == 500",
        "h1 GET /status/500 500 allowed",
    ),
    ("no answer", "assert ask(get('/close'))[0] in (0, 502, 504)", "h1 GET /close * *"),
    (
        "the client leaves in the middle of its body",
        "s = open_tls(); s.sendall(get('/left', method='POST', more='Content-Length: 100\\r\\n', body=b'abc')); s.close()",
        "h1 POST /left - *",
    ),
    (
        "the client leaves in the middle of the answer",
        "s = open_tls(); s.sendall(get('/pattern/50000000')); s.recv(1000); s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()",
        "h1 GET /pattern/50000000 200 *",
    ),
    ("the host resets", "assert two('/reset')[0] in (0, 502)", "h2 GET /reset * *"),
    ("HTTP/2", "assert two('/two')[0] == 200", "h2 GET /two 200 allowed"),
    (
        "two on one connection",
        "s = open_tls(); s.sendall(get('/a')); assert answer(s)[0] == 200; s.sendall(get('/b')); assert answer(s)[0] == 200",
        "h1 GET /a 200 allowed; h1 GET /b 200 allowed",
    ),
    ("denied", "assert ask(get('/denied'))[0] == 403", "h1 GET /denied 403 host-denied"),
    ("no request", "s = open_tls(); s.close()", ""),
];

#[test]
fn each_request_is_one_event() {
    let Some(net) = Internet::take() else { return };
    let outside: Vec<&str> = ENDS.iter().filter(|one| one.0 != "denied").map(|one| one.1).collect();
    net.speaks_outside(&outside.join("\n")).works("without a wall");
    let rules = format!(
        "{}[[network.deny]]\nhost = 'new.test'\npaths = ['/denied']\n",
        rule("inspect = 'always'")
    );
    for way in WAYS {
        for (why, act, want) in ENDS {
            let before = net.events("connection").len();
            let (_, told) = net.on_record(|| net.speaks(&rules, way, act).works(why));
            let want: Vec<&str> = want.split("; ").filter(|one| !one.is_empty()).collect();
            assert_eq!(told.len(), want.len(), "{why}, {}: {told:?}", way.0);
            for (told, want) in told.iter().zip(want) {
                let told: Vec<&str> = told.split(' ').skip(2).collect();
                let want: Vec<&str> = want.split(' ').collect();
                let alike = |(told, want): (&&str, &&str)| *want == "*" || told == want;
                assert!(told.iter().zip(&want).all(alike), "{why}: {told:?} is not {want:?}");
            }
            let none = net.unheard(before).len();
            assert_eq!(none, usize::from(*why == "no request"), "{why}: {:?}", net.unheard(before));
        }
    }
}

/// A path is on record, its query and fields are not: they may hold a secret.
#[test]
fn no_secret_is_on_record() {
    let Some(net) = Internet::take() else { return };
    let act = "more = 'Authorization: Bearer s3cret-header\\r\\n'\n\
         assert ask(get('/x?key=s3cret-query', more=more, method='POST', body=b's3cret-body'))[0] == 200\n\
         assert two('/x?key=s3cret-query', more=[('authorization', 's3cret-header')])[0] == 200\n\
         assert ask(get('/denied?key=s3cret-query', more=more))[0] == 403";
    let rules = rule("paths = ['/x']");
    net.speaks(&rules, WAYS[0], act).works("inside");
    assert_eq!(net.asked().iter().filter(|one| one.target.contains("s3cret-query")).count(), 2);
    let log = std::fs::read_to_string(net.place.audit_log()).unwrap();
    assert!(log.contains("\"/denied\"") && !log.contains("s3cret"), "{log}");
}

/// Each of four hundred requests on many connections is on record, with the rule that decided.
#[test]
fn none_of_many_is_lost() {
    let Some(net) = Internet::take() else { return };
    let act = "import concurrent.futures\n\
         def many(n):\n    s = open_tls(); k = Kept(s)\n    for i in range(20):\n        s.sendall(get(f'/{\"ok\" if i % 2 else \"no\"}/{n}'))\n        \
         if answer(k)[0] == 403: s = open_tls(); k = Kept(s)\n\
         with concurrent.futures.ThreadPoolExecutor(8) as all: list(all.map(many, range(20)))";
    let rules = rule("paths = ['/ok/*']");
    let (_, told) = net.on_record(|| net.speaks(&rules, WAYS[1], act).works("four hundred"));
    let with = |end: &str| told.iter().filter(|one| one.ends_with(end)).count();
    let alike: u64 = net
        .events("connection")
        .iter()
        .filter(|one| one["code"] == "path-not-allowed")
        .map(|one| one["times"].as_u64().unwrap_or(1))
        .sum();
    assert_eq!((with(" 200 allowed"), alike), (200, 200), "{} events", told.len());
    assert_eq!(net.targets().len(), 200);
}
