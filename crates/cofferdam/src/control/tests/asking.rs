//! Questions, and what becomes of the answers.

use super::*;

#[test]
fn rules_that_the_gateway_does_not_take_do_not_hold() {
    let mut session = Fixture::new(Stands::Deaf, Approval::Socket, GOOD);
    let file = session.write("new.toml", &session.text(OTHER));
    for _ in 0..2 {
        assert_eq!(told(session.apply(&file)).code, "rules-not-taken");
    }
    session.ask(1, "new.test");
    session.open(1);
    let answered = session.questions().answer(1, true).unwrap();
    assert_eq!(answered, Reply::Answered { id: 1, allowed: true });
    let words = session.words(4);
    assert_eq!(hosts(&words[2]), ["flag.test", "good.test", "new.test"], "the first policy's");
    assert_eq!(words[3], Word::Answer { id: 1, allowed: false }, "no rule, no yes");
    let running = client::sessions(&session.state()).unwrap();
    assert_eq!(running[0].generation, 0);
    let kinds: Vec<_> = session.end().iter().map(|event| event["kind"].clone()).collect();
    let each = ["policy-applied", "policy-refused"];
    assert_eq!(kinds, [each[0], each[1], each[0], each[1], "approved"]);
}

#[test]
fn a_yes_is_a_rule_of_this_session() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    for (id, host) in [(1, "new.test"), (2, "new.test"), (3, "other-new.test"), (4, "*.test")] {
        session.ask(id, host);
    }
    let words = session.words(1);
    assert_eq!(words, [Word::Answer { id: 4, allowed: false }], "no host");
    let open = session.open(2);
    assert_eq!((open[0].id, open[0].host.as_str(), open[0].port), (1, "new.test", 443));
    assert!(open[0].seconds_left <= 60);
    assert_eq!(told(session.questions().answer(2, true).unwrap()).code, "no-question");
    session.questions().answer(1, true).unwrap();
    session.questions().answer(3, false).unwrap();
    assert_eq!(told(session.questions().answer(1, true).unwrap()).code, "no-question", "once");
    let words = session.words(5);
    assert_eq!(hosts(&words[1]), ["flag.test", "good.test", "new.test"], "the rules come first");
    let answers = [(1, true), (2, true), (3, false)];
    assert_eq!(words[2..], answers.map(|(id, allowed)| Word::Answer { id, allowed }));
    let file = session.write("new.toml", &session.text(OTHER));
    assert_eq!(session.apply(&file), Reply::Live { generation: 2, rules: 4 });
    let last = session.words(6);
    let want = ["flag.test", "other.test", "*.wide.test", "new.test"];
    assert_eq!(hosts(&last[5]), want, "a yes stands whatever policy is applied");
    let record = session.end();
    let of = |kind: &str| {
        let found = record.iter().filter(|event| event["kind"] == kind);
        found.cloned().collect::<Vec<_>>()
    };
    let (yes, no) = (of("approved"), of("refused"));
    let uid = rustix::process::getuid().as_raw();
    assert_eq!((yes.len(), no.len()), (1, 2), "{record:?}");
    assert_eq!((&yes[0]["host"], &yes[0]["by"]), (&"new.test".into(), &uid.into()));
    assert_eq!(yes[0]["generation"], 1);
    assert_eq!(no[0]["why"], "no rule can allow just this, so nobody was asked");
    assert_eq!((&no[1]["host"], &no[1]["by"]), (&"other-new.test".into(), &uid.into()));
}

#[test]
fn a_flood_of_questions_is_denied_and_counted() {
    let mut session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    for id in 0..1_000 {
        session.ask(id, &format!("h{id}.test"));
    }
    let words = session.words(992);
    assert!(words.iter().all(|word| matches!(word, Word::Answer { allowed: false, .. })));
    assert_eq!(session.open(8).len(), 8, "so many a person is asked");
    let record = session.end();
    let rows = |why: &str| {
        let rows = record.iter().filter(|event| event["why"] == why);
        rows.map(|event| event["times"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(rows("more was asked for than a person is asked"), [1, 991], "{record:?}");
    assert_eq!(rows("the session ended before an answer"), [1; 8], "each is on record");
}

#[test]
fn who_watches_hears_of_each_change() {
    let session = Fixture::new(Stands::Obedient, Approval::Socket, GOOD);
    let mut watcher = session.raw();
    watcher.write_all(b"{\"do\":\"watch\"}\n").unwrap();
    let mut hears = |want: &[u64]| {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            watcher.read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        let reply: Reply = serde_json::from_slice(&line).unwrap();
        let Reply::Questions { open } = reply else { panic!("{reply:?}") };
        assert_eq!(open.iter().map(|asked| asked.id).collect::<Vec<_>>(), want);
    };
    hears(&[]);
    session.ask(7, "a.test");
    hears(&[7]);
    session.ask(8, "b.test");
    hears(&[7, 8]);
    session.questions().answer(7, false).unwrap();
    hears(&[8]);
}
