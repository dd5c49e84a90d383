//! What is asked and what is not.

use cofferdam_policy::judge::hosts::{Denied, Protocol};
use cofferdam_policy::judge::requests::{GraphQl, LinePattern, Rate};

use super::*;

fn question(id: u64, host: &str) -> Question {
    let (method, path) = (None, None);
    Question { id, host: host.into(), port: 443, protocol: Protocol::Tls, method, path }
}

fn request(id: u64, method: &str, path: &str) -> Question {
    let (method, path) = (Some(method.into()), Some(path.into()));
    Question { method, path, ..question(id, "api.test") }
}

fn rules() -> HostRules {
    HostRules::none(Clause::built_in("network"))
}

#[test]
fn a_yes_allows_what_was_asked_and_nothing_beside() {
    for (host, want, why) in [
        ("good.test", Some("good.test"), "a name"),
        ("xn--bcher-kva.test", Some("xn--bcher-kva.test"), "in A-labels"),
        ("192.0.2.1", Some("192.0.2.1"), "an address"),
        ("[2001:db8::1]", Some("2001:db8::1/128"), "one of IPv6"),
        ("2001:db8::1", None, "without brackets: not as the judge spells it"),
        ("Good.test", None, "another spelling"),
        ("good.test.", None, "another spelling"),
        ("*.good.test", None, "no host"),
        ("*", None, "no host"),
        ("", None, "nobody said"),
        ("bücher.test", None, "not as it is judged"),
        ("good.test\u{1b}[2J", None, "no name"),
    ] {
        let rule = rule(&question(1, host), &rules(), 7);
        let got = rule.as_ref().map(|rule| rule.pattern.to_string());
        assert_eq!(got.as_deref(), want, "{host:?}: {why}");
        if let Some(rule) = rule {
            assert_eq!((rule.ports, rule.protocol), (vec![443], Protocol::Tls), "{why}");
            assert!(!rule.requests.asks(), "{why}");
            assert_eq!(rule.clause, Clause::flag("--approve[7]"));
        }
    }
    for (method, path, want, why) in [
        ("GET", "/v1/models", true, "a request"),
        ("GET", "/a%20b", true, "as it is sent"),
        ("GET", "/a%2Fb", true, "so is this"),
        ("GET", "/a%2ab", false, "a star, whoever decodes it"),
        ("GET", "/a/../b", false, "what no request is let through with"),
        ("GET", "/**", false, "a path that would be every path"),
        ("GET", "/a*", false, "a star"),
        ("GET", "a", false, "no path"),
        ("GET", "/a?b", false, "a query is none of it"),
        ("GET", "/a b", false, "a blank"),
        ("GET", "/a\nb", false, "a newline"),
        ("GET", "/\u{202e}", false, "letters that turn the line around"),
        ("", "/", false, "no method"),
        ("GET /x", "/", false, "two words"),
        ("*", "/", false, "a star"),
        (&"G".repeat(33), "/", false, "too long"),
        ("GET", &format!("/{}", "a".repeat(2 << 10)), false, "too long"),
    ] {
        let rule = rule(&request(1, method, path), &rules(), 1);
        let made = rule.map(|rule| {
            let paths = rule.requests.paths.iter().map(|path| path.text().to_owned());
            (rule.requests.methods.clone(), paths.collect::<Vec<_>>())
        });
        let wanted = want.then(|| (vec![method.to_owned()], vec![path.to_owned()]));
        assert_eq!(made, wanted, "{method:?} {path:?}: {why}");
    }
    let none = Question { port: 0, ..question(1, "good.test") };
    assert!(rule(&none, &rules(), 1).is_none(), "a lookup has no port");
}

/// The person was shown a method and a path: all else that the policy says of the host still holds.
#[test]
fn a_yes_to_a_request_keeps_what_binds_the_host() {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let line = |text: &str| LinePattern::parse(text).unwrap();
    let bound = Requests {
        methods: vec!["GET".into()],
        paths: vec![PathPattern::parse("/v1/**").unwrap()],
        query: Some(vec![line("page=*")]),
        headers: vec![("x-team".into(), line("red"))],
        remove_headers: vec!["authorization".into()],
        set_headers: vec![field("x-tenant", "sandbox")],
        max_request_bytes: Some(10),
        max_response_bytes: Some(20),
        rate: Some(Rate { requests: 1, seconds: 60 }),
        git: Vec::new(),
        graphql: Some(GraphQl::Query),
        refuse_body: vec!["tools.*.type=mcp".parse().unwrap()],
        websocket: true,
        h2c: false,
        credential: Some("team".into()),
    };
    let base = |host: &str, port: u16, requests: &Requests| Allowed {
        dial: Some("127.0.0.1:8443".parse().unwrap()),
        ports: vec![port],
        requests: requests.clone().into(),
        ..rule(&question(0, host), &rules(), 0).unwrap()
    };
    let mut held = rules();
    held.allow = vec![
        base("other.test", 443, &Requests::default()),
        base("api.test", 8443, &Requests::default()),
        base("api.test", 443, &bound),
        base("api.test", 443, &Requests::default()),
    ]
    .into();
    let asked = request(1, "POST", "/v2/x");
    let made = rule(&asked, &held, 1).unwrap();
    let wanted = Requests {
        methods: vec!["POST".into()],
        paths: vec![PathPattern::parse("/v2/x").unwrap()],
        graphql: None,
        websocket: false,
        ..bound.clone()
    };
    assert_eq!((made.dial, &*made.requests), (held.allow[2].dial, &wanted), "the first for it");
    let whole = rule(&question(1, "api.test"), &held, 1).unwrap();
    assert_eq!(*whole.requests, bound, "a host that came to have a rule is opened no further");
    for (asked, why) in [
        (Question { port: 80, ..asked.clone() }, "another port"),
        (Question { protocol: Protocol::Http, ..asked.clone() }, "another protocol"),
        (Question { host: "new.test".into(), ..asked.clone() }, "another host"),
    ] {
        let made = rule(&asked, &held, 1).unwrap();
        let plain = Requests {
            methods: wanted.methods.clone(),
            paths: wanted.paths.clone(),
            ..Requests::default()
        };
        assert_eq!((made.dial, made.requests), (None, plain.into()), "{why}");
    }
    let other = rule(&request(2, "POST", "/v2/y"), &held, 2).unwrap();
    assert_ne!(made.clause, other.clause, "each has tokens of its own");
}

#[test]
fn one_question_for_those_alike() {
    let (mut questions, now) = (Questions::default(), Instant::now());
    let mut hear = |question| questions.hear(question, &rules(), now);
    for (asked, want, why) in [
        (question(1, "a.test"), Heard::Asked, "the first"),
        (question(2, "a.test"), Heard::Joined, "the same again"),
        (question(3, "b.test"), Heard::Asked, "another host"),
        (Question { port: 80, ..question(4, "a.test") }, Heard::Asked, "another port"),
        (request(5, "GET", "/a"), Heard::Asked, "a request"),
        (request(6, "GET", "/a"), Heard::Joined, "again"),
        (request(7, "POST", "/a"), Heard::Asked, "another method"),
        (request(8, "GET", "/b"), Heard::Asked, "another path"),
        (request(9, "GET", "/**"), Heard::No(Why::NoRule), "no rule says that"),
    ] {
        assert_eq!(hear(asked), want, "{why}");
    }
    let open = questions.answered(1, true, now).unwrap();
    assert_eq!(open.waiting, [1, 2], "one answer for both");
    assert!(questions.answered(1, true, now).is_none(), "once");
    assert!(questions.answered(6, true, now).is_none(), "by the number that was shown");
    questions.no_more(5);
    assert_eq!(questions.answered(5, true, now).unwrap().waiting, [6], "one went away");
}

#[test]
fn a_no_stands_and_silence_is_one() {
    let (mut questions, begin) = (Questions::default(), Instant::now());
    let at = |seconds| begin + Duration::from_secs(seconds);
    assert_eq!(questions.hear(question(1, "a.test"), &rules(), at(0)), Heard::Asked);
    assert_eq!(questions.hear(question(2, "b.test"), &rules(), at(5)), Heard::Asked);
    assert!(questions.answered(1, false, at(6)).is_some());
    let again = questions.hear(question(3, "a.test"), &rules(), at(7));
    assert_eq!(again, Heard::No(Why::SaidNo), "not a moment later");
    assert_eq!(questions.due(), Some(at(65)));
    assert!(questions.late(at(64)).is_empty(), "there is time");
    let late: Vec<u64> = questions.late(at(65)).iter().map(|open| open.question.id).collect();
    assert_eq!(late, [2]);
    assert!(questions.answered(2, true, at(66)).is_none(), "a late yes is none");
    let again = questions.hear(question(4, "b.test"), &rules(), at(70));
    assert_eq!(again, Heard::No(Why::SaidNo), "silence stands too");
    assert_eq!(questions.hear(question(5, "a.test"), &rules(), at(67)), Heard::Asked, "later");
}

#[test]
fn a_workload_cannot_ask_without_end() {
    let (mut questions, begin) = (Questions::default(), Instant::now());
    let at = |seconds| begin + Duration::from_secs(seconds);
    let (mut asked, mut denied) = (0, 0);
    for number in 0..1_000_u64 {
        match questions.hear(question(number, &format!("h{number}.test")), &rules(), at(0)) {
            Heard::Asked => asked += 1,
            Heard::No(Why::TooMany) => denied += 1,
            other @ (Heard::Joined | Heard::Yes | Heard::No(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!((asked, denied), (OPEN_MAX, 1_000 - OPEN_MAX), "so many are open");
    for number in 1_000..2_000_u64 {
        for open in questions.open().to_vec() {
            questions.answered(open.question.id, false, at(1)).unwrap();
        }
        if questions.hear(question(number, &format!("h{number}.test")), &rules(), at(1))
            == Heard::Asked
        {
            asked += 1;
        }
    }
    assert_eq!(asked, MINUTE_MAX, "and so many in a minute, however fast a person answers");
    let later = questions.hear(question(3_000, "later.test"), &rules(), at(60));
    assert_eq!(later, Heard::Asked, "the next minute has questions of its own");
    let one = questions.open().last().unwrap().question.id;
    let waits =
        (0..1_000).map(|n| questions.hear(question(4_000 + n, "later.test"), &rules(), at(60)));
    let joined = waits.filter(|heard| *heard == Heard::Joined).count();
    assert_eq!(joined, WAITING_MAX - 1, "nor wait without end");
    assert_eq!(questions.answered(one, true, at(61)).unwrap().waiting.len(), WAITING_MAX);
}

#[test]
fn rules_come_before_questions() {
    let denied = |host: &str, methods: &[&str]| Denied {
        pattern: Pattern::Exact(Name::parse(host.as_bytes()).unwrap()),
        ports: Vec::new(),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        paths: Vec::new(),
        reason: None,
        clause: Clause::built_in("network.deny"),
    };
    let mut rules = rules();
    rules.deny = vec![denied("bad.test", &[]), denied("api.test", &["DELETE"])].into();
    rules.allow.extend(rule(&question(0, "good.test"), &HostRules::none(Clause::built_in("x")), 0));
    let mut questions = Questions::default();
    for (asked, want, why) in [
        (question(1, "bad.test"), Heard::No(Why::Denied), "deny wins over a person"),
        (question(2, "good.test"), Heard::Yes, "a yes came in between"),
        (question(3, "new.test"), Heard::Asked, "no rule says anything"),
        (request(4, "GET", "/a"), Heard::Asked, "other requests are denied, not this host"),
    ] {
        assert_eq!(questions.hear(asked, &rules, Instant::now()), want, "{why}");
    }
}
