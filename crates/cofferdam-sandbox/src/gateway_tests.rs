//! A gateway that says what a test says for it.

#![expect(
    clippy::disallowed_methods,
    reason = "a program that says nothing stands for the gateway"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;

use cofferdam_plan::message::{HttpVersion, Requested, Way, Went};
use cofferdam_plan::model::Clause;

use super::*;

#[derive(Default)]
struct Seen {
    last: Option<Ended>,
    ended: usize,
    gone: usize,
    words: VecDeque<Word>,
    not_taken: Vec<Word>,
    applied: Vec<u32>,
    asked: Vec<String>,
    given_up: Vec<u64>,
}

impl Witness for Seen {
    fn leaks(&mut self, _: Leak) {}
    fn kept(&mut self, _: Stream, _: Kept) {}
    fn fell(&mut self, _: &Path, _: bool) {}
    fn denied(&mut self, _: Denied) {}
    fn has_room(&mut self, _: u32) -> bool {
        true
    }
    fn ended(&mut self, ended: Ended) {
        self.last = Some(ended);
        self.ended += 1;
    }
    fn gateway_gone(&mut self) {
        self.gone += 1;
    }
    fn bell(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn word(&mut self) -> Option<Word> {
        self.words.pop_front()
    }
    fn not_taken(&mut self, word: &Word) {
        self.not_taken.push(word.clone());
    }
    fn applied(&mut self, generation: u32) {
        self.applied.push(generation);
    }
    fn unread(&mut self, _: String, _: String) {}
    fn refreshed(&mut self, _: String, _: String) {}
    fn asks(&mut self, question: Question) {
        self.asked.push(question.host);
    }
    fn asks_no_more(&mut self, id: u64) {
        self.given_up.push(id);
    }
}

fn rules(generation: u32) -> Word {
    let rules = HostRules::none(Clause::built_in(&format!("network {generation}")));
    Word::Rules { generation, rules: Box::new(rules) }
}

/// The next message to the gateway, and the rules that came with it.
fn told(theirs: &OwnedFd) -> (ToGateway, Option<HostRules>) {
    let mut bytes = [0_u8; 100];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = rustix::net::RecvAncillaryBuffer::new(&mut space);
    let into = &mut [std::io::IoSliceMut::new(&mut bytes)];
    let got = rustix::net::recvmsg(theirs, into, &mut ancillary, RecvFlags::DONTWAIT).unwrap();
    let memory = ancillary.drain().find_map(|message| {
        let rustix::net::RecvAncillaryMessage::ScmRights(mut fds) = message else {
            return None;
        };
        fds.next()
    });
    let rules = memory.map(|memory| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(memory), &mut bytes).unwrap();
        wire::decode(&bytes).unwrap()
    });
    (wire::decode(&bytes[..got.bytes]).unwrap(), rules)
}

#[test]
fn rules_and_answers_arrive_in_their_order() {
    let (gateway, theirs) = silent();
    let answer = |id, allowed| Word::Answer { id, allowed };
    let words = [rules(1), answer(7, true), rules(2), answer(8, false)];
    let mut seen = Seen { words: words.into(), ..Seen::default() };
    gateway.tell(&mut seen);
    for (order, clause) in [
        (ToGateway::Rules { generation: 1 }, Some("network 1")),
        (ToGateway::Answer { id: 7, allowed: true }, None),
        (ToGateway::Rules { generation: 2 }, Some("network 2")),
        (ToGateway::Answer { id: 8, allowed: false }, None),
    ] {
        let (got, rules) = told(&theirs);
        let rules = rules.map(|rules| rules.base.name);
        assert_eq!((got, rules.as_deref()), (order, clause));
    }
    assert!(seen.not_taken.is_empty(), "all was taken");
}

#[test]
fn what_it_does_not_take_is_told() {
    let (gateway, theirs) = silent();
    let many = 10_000;
    let mut seen = Seen { words: (0..many).map(rules).collect(), ..Seen::default() };
    gateway.tell(&mut seen);
    assert!(!seen.not_taken.is_empty(), "it reads nothing, and nobody waits for it");
    assert!(seen.not_taken.len() < 10_000, "what its socket holds is taken");
    drop(theirs);
    let mut seen = Seen { words: [rules(1)].into(), ..Seen::default() };
    gateway.tell(&mut seen);
    assert_eq!(seen.not_taken, [rules(1)], "gone");
}

#[test]
fn what_it_asks_and_applies_is_passed_on() {
    let (mut gateway, theirs) = silent();
    let (host, method, path) = ("new.test".to_owned(), None, None);
    let protocol = cofferdam_plan::judge::hosts::Protocol::Tls;
    let question = Question { id: 3, host, port: 443, protocol, method, path };
    for message in [
        FromGateway::Asks(Box::new(question)),
        FromGateway::AsksNoMore { id: 3 },
        FromGateway::Applied { generation: 9 },
    ] {
        say(&theirs, &wire::encode(&message));
    }
    let mut seen = Seen::default();
    gateway.hear(&mut seen);
    assert_eq!(seen.asked, ["new.test"]);
    assert_eq!((seen.given_up, seen.applied), (vec![3], vec![9]));
}

/// A gateway that lives and says nothing, and the end where a test speaks for it.
fn silent() -> (Gateway, OwnedFd) {
    let (socket, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    (Gateway { socket, child, places: 2, owed: 0, open: 0, gone: false }, theirs)
}

fn say(to: &OwnedFd, bytes: &[u8]) {
    rustix::net::send(to, bytes, SendFlags::NOSIGNAL).unwrap();
}

fn ended() -> Vec<u8> {
    wire::encode(&FromGateway::Ended(Box::new(event())))
}

fn counted() -> Vec<u8> {
    wire::encode(&FromGateway::Counted(Box::new(event())))
}

fn event() -> Ended {
    Ended {
        way: Way::Direct,
        host: "good.test".into(),
        port: 443,
        protocol: None,
        address: None::<SocketAddr>,
        clause: Clause::built_in("network"),
        verdict: Went::Allowed,
        why: String::new(),
        fix: String::new(),
        sent: 0,
        received: 0,
        duration_ms: 0,
        times: 1,
        request: None,
    }
}

#[test]
fn one_that_cannot_be_read_is_ended() {
    let (mut gateway, theirs) = silent();
    let mut seen = Seen::default();
    say(&theirs, &wire::encode(&FromGateway::Waits));
    gateway.hear(&mut seen);
    assert!(gateway.child.try_wait().unwrap().is_none() && seen.gone == 0, "it lives");
    say(&theirs, &[0xFF; 100]);
    gateway.hear(&mut seen);
    assert_eq!(seen.gone, 1);
    assert_eq!(gateway.child.wait().unwrap().signal(), Some(9), "and carries nothing any more");
}

#[test]
fn last_words_that_are_missing_are_told() {
    let begun = || wire::encode(&FromGateway::Begun { count: 1 });
    for (words, closes, want, why) in [
        (vec![begun(), ended()], true, (1, 0), "all of it"),
        (vec![ended(), begun()], true, (1, 0), "it tells of what began later"),
        (vec![begun(), ended(), counted(), counted()], true, (3, 0), "and what was counted"),
        (vec![ended(), ended(), ended()], true, (2, 1), "an event without a place is none"),
        (vec![], true, (0, 0), "nothing had begun"),
        (vec![begun()], true, (0, 1), "one connection has no end"),
        (vec![begun(), ended()], false, (1, 1), "it goes on and on"),
        (vec![vec![0xFF; 9]], true, (0, 1), "nobody can read it"),
    ] {
        let (gateway, theirs) = silent();
        words.iter().for_each(|bytes| say(&theirs, bytes));
        let kept = (!closes).then_some(theirs);
        let mut seen = Seen::default();
        gateway.finish(&mut seen);
        assert_eq!((seen.ended, seen.gone), want, "{why}");
        drop(kept);
    }
}

/// The first word of one that makes an authority is its certificate, whole.
#[test]
fn an_authority_is_said_first_or_nothing_starts() {
    let certificate = vec![0x30, 2, 5, 0];
    let authority = |certificate: &[u8]| {
        wire::encode(&FromGateway::Authority { certificate: certificate.to_vec() })
    };
    let failed = FromGateway::Failed { doing: "read the authorities".into(), errno: 2 };
    let long = [vec![0x30, 0x82, 0xEF, 0xFC], vec![0; 0xEFFC]].concat();
    for (said, want, why) in [
        (authority(&certificate), Ok(certificate.clone()), "as it is meant"),
        (authority(&long), Ok(long.clone()), "one that names many hosts"),
        (authority(&[long.clone(), long].concat()), Err("cannot hear from"), "cut off"),
        (authority(b""), Err("something else"), "none"),
        (authority(b"0\x02\x05\0\0"), Err("something else"), "a byte behind it"),
        (
            wire::encode(&FromGateway::Ready { build: BUILD.into() }),
            Err("something else"),
            "it has no authority",
        ),
        (wire::encode(&failed), Err("read the authorities: no such file"), "it tells why"),
        (vec![0xFF; 9], Err("cannot hear from"), "nobody can read it"),
    ] {
        let (mut gateway, theirs) = silent();
        say(&theirs, &said);
        let got = gateway.authority().map_err(|refusal| refusal.to_string());
        match want {
            Ok(want) => assert_eq!(got, Ok(want), "{why}"),
            Err(part) => {
                assert!(got.as_ref().is_err_and(|got| got.contains(part)), "{why}: {got:?}")
            }
        }
    }
    let (mut gateway, theirs) = silent();
    drop(theirs);
    let refusal = gateway.authority().unwrap_err();
    assert_eq!(refusal.to_string(), "cofferdam-gateway did not start: it ended without a word");
}

/// What the workload wrote into a request has a place in the log, and no terminal obeys it.
#[test]
fn requests_on_record_are_short_and_plain() {
    let long = "/".to_owned() + &"\u{e9}".repeat(PATH_BYTES_MAX);
    let cut = "/".to_owned() + &"\u{e9}".repeat(PATH_BYTES_MAX / 2 - 1);
    for (method, path, want, why) in [
        ("GET", "/a?b", ("GET", "/a?b"), "as it is"),
        ("GET", "/\u{1b}[2J\n\u{202e}x\u{9b}", ("GET", "/?[2J??x?"), "controls"),
        ("GET", &long, ("GET", &cut), "cut between letters"),
        (&"M".repeat(40), "/", (&"M".repeat(METHOD_BYTES_MAX), "/"), "a long method"),
    ] {
        let (mut gateway, theirs) = silent();
        let mut event = event();
        event.request = Some(Requested {
            version: HttpVersion::Http11,
            method: method.into(),
            path: path.into(),
            status: None,
        });
        say(&theirs, &wire::encode(&FromGateway::Ended(Box::new(event))));
        let mut seen = Seen::default();
        gateway.hear(&mut seen);
        let request = seen.last.unwrap().request.unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), want, "{why}");
    }
}
