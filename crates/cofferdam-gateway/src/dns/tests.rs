//! Messages in, messages out; then the two loops on loopback.

use std::cell::RefCell;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use cofferdam_plan::synthetic::pair;
use cofferdam_policy::judge::hosts::{Allowed, Denied, Pattern, Protocol};
use cofferdam_policy::judge::requests::{Asked, Inspect};
use hickory_proto::rr::rdata::opt::EdnsOption;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn rules() -> HostRules {
    let allowed = |pattern: Pattern| Allowed {
        clause: Clause::built_in(&format!("allow {pattern}")),
        pattern,
        ports: vec![443],
        protocol: Protocol::Tls,
        dial: None,
        inspect: Inspect::Auto,
        requests: Asked::default(),
        reason: None,
    };
    let bad = Pattern::Exact(name("bad.wide.test"));
    let clause = Clause::built_in("deny bad.wide.test");
    HostRules {
        allow: vec![
            allowed(Pattern::Exact(name("good.test"))),
            allowed(Pattern::Exact(name("printer"))),
            allowed(Pattern::Exact(name("nas.local"))),
            allowed(Pattern::Below(name("wide.test"))),
        ]
        .into(),
        deny: vec![Denied {
            pattern: bad,
            ports: Vec::new(),
            methods: Vec::new(),
            paths: Vec::new(),
            reason: None,
            clause,
        }]
        .into(),
        base: Clause::built_in("network"),
    }
}

fn synthetic() -> Synthetic {
    let (v4, v6) = pair(0).unwrap();
    Synthetic::new([(name("good.test"), v4, v6)]).unwrap()
}

/// The one place that calls the function.
fn ask(query: &[u8], transport: Transport) -> Answered {
    let (rules, mut synthetic) = (rules(), synthetic());
    answer(query, transport, &mut Judged { rules: &rules, synthetic: &mut synthetic })
}

fn question(asked: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 0x1234;
    message.metadata.recursion_desired = true;
    let labels = asked.split('.').filter(|label| !label.is_empty());
    let mut asked = rr::Name::from_labels(labels.map(str::as_bytes)).unwrap();
    asked.set_fqdn(true);
    message.add_query(Query::query(asked, kind));
    message
}

fn parsed(answered: &Answered) -> Message {
    Message::from_vec(answered.reply.as_ref().unwrap()).unwrap()
}

#[test]
fn what_names_have() {
    use ResponseCode::{NXDomain, NoError};
    let (v4, v6) = pair(0).unwrap();
    let (v4, v6) = (v4.to_string(), v6.to_string());
    let next = pair(1).unwrap().0.to_string();
    let base = Some("network");
    for (asked, kind, code, data, clause, why) in [
        ("good.test", RecordType::A, NoError, v4.as_str(), None, "the plan's address"),
        ("GoOd.TeSt", RecordType::A, NoError, &v4, None, "names have no case"),
        ("good.test", RecordType::AAAA, NoError, &v6, None, "the plan's address"),
        ("good.test", RecordType::HTTPS, NoError, "", None, "no key for an encrypted hello"),
        ("good.test", RecordType::SVCB, NoError, "", None, "the same"),
        ("good.test", RecordType::ANY, NoError, "", None, "RFC 8482"),
        ("good.test", RecordType::MX, NoError, "", None, "nothing else"),
        ("good.test", RecordType::TXT, NoError, "", None, "nothing else"),
        ("good.test", RecordType::Unknown(4711), NoError, "", None, "nothing else"),
        ("a.wide.test", RecordType::A, NoError, &next, None, "the next address"),
        ("bad.wide.test", RecordType::A, NXDomain, "", Some("deny bad.wide.test"), "denied"),
        ("wide.test", RecordType::A, NXDomain, "", base, "never the apex"),
        ("evil.test", RecordType::A, NXDomain, "", base, "no rule names it"),
        ("evil.test", RecordType::TXT, NXDomain, "", base, "of any kind"),
        ("x.good.test", RecordType::A, NXDomain, "", base, "exact is exact"),
        ("localhost", RecordType::A, NoError, "127.0.0.1", None, "RFC 6761"),
        ("db.localhost", RecordType::AAAA, NoError, "::1", None, "RFC 6761"),
        ("localhost", RecordType::MX, NoError, "", None, "nothing else"),
        ("printer", RecordType::A, NoError, &next, None, "one label, as a rule says"),
        ("scanner", RecordType::A, NXDomain, "", base, "one label"),
        ("nas.local", RecordType::A, NoError, &next, None, "as a rule says"),
        ("tv.local", RecordType::A, NXDomain, "", base, "no multicast"),
        ("0.1.18.198.in-addr.arpa", RecordType::PTR, NoError, "good.test.", None, "back"),
        ("0.1.18.198.in-addr.arpa", RecordType::A, NoError, "", None, "no address"),
        ("8.8.8.8.in-addr.arpa", RecordType::PTR, NXDomain, "", base, "nobody's"),
        ("1.18.198.in-addr.arpa", RecordType::PTR, NXDomain, "", base, "a block"),
        ("1.0.0.127", RecordType::A, NXDomain, "", None, "no host name"),
        ("-x.test", RecordType::A, NXDomain, "", None, "no host name"),
        (".", RecordType::NS, NXDomain, "", None, "no host name"),
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let query = question(asked, kind);
            let answered = ask(&query.to_vec().unwrap(), transport);
            let got = parsed(&answered);
            assert_eq!(got.metadata.response_code, code, "{asked} {kind}: {why}");
            let records: Vec<String> = got.answers.iter().map(|one| one.data.to_string()).collect();
            assert_eq!(records.join(" "), data, "{asked} {kind}: {why}");
            assert_eq!(got.metadata.id, 0x1234);
            assert_eq!(got.queries, query.queries, "{asked}: the question, in its own spelling");
            assert!(
                got.answers
                    .iter()
                    .all(|one| one.ttl == TTL_SECS && one.name == *query.queries[0].name())
            );
            let refused = answered.refused.map(|refused| match refused.because {
                Because::Unwanted(clause, _) => (refused.name, clause.name),
                Because::Full => panic!("not full"),
            });
            let want = clause.map(|clause| (name(asked), clause.to_owned()));
            assert_eq!(refused, want, "{asked} {kind}: {why}");
        }
    }
}

#[test]
fn ipv6_addresses_lead_back() {
    let mut back = rr::Name::from(IpAddr::from(pair(0).unwrap().1));
    back.set_fqdn(true);
    let mut query = question("x", RecordType::PTR);
    query.queries = vec![Query::query(back, RecordType::PTR)];
    let got = parsed(&ask(&query.to_vec().unwrap(), Transport::Udp));
    assert_eq!(got.answers[0].data.to_string(), "good.test.");
}

#[test]
fn what_is_no_query() {
    use ResponseCode::{FormErr, NotImp, Refused};
    let good = question("good.test", RecordType::A);
    let ordinary = good.to_vec().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = ordinary.clone();
        bytes[at] = byte;
        bytes
    };
    let mut three = good.clone();
    three.queries = vec![good.queries[0].clone(); 3];
    let mut chaos = good.clone();
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut looping = ordinary[..12].to_vec();
    looping.extend([0xc0, 12, 0, 1, 0, 1]);
    let mut forward = ordinary[..12].to_vec();
    forward.extend([1, b'a', 0xc0, 40, 0, 1, 0, 1]);
    let zone = question("good.test", RecordType::AXFR).to_vec().unwrap();
    let all = Some(ResponseCode::NoError);
    for (query, want, why) in [
        (ordinary.clone(), all, "an ordinary one"),
        (Vec::new(), None, "nothing"),
        (ordinary[..11].to_vec(), None, "less than a header"),
        (with(2, 0x81), None, "a response"),
        (with(2, 0x09), Some(NotImp), "an inverse query"),
        (with(2, 0x21), Some(NotImp), "a notice"),
        (with(2, 0x29), Some(NotImp), "an update"),
        (with(5, 0), Some(FormErr), "no question"),
        (with(5, 2), Some(FormErr), "a question less than it says"),
        (three.to_vec().unwrap(), Some(FormErr), "three questions"),
        (with(7, 1), Some(FormErr), "an answer"),
        (with(9, 1), Some(FormErr), "an authority"),
        (with(11, 1), Some(FormErr), "a record less than it says"),
        (ordinary[..20].to_vec(), Some(FormErr), "cut in the name"),
        (ordinary[..12].to_vec(), Some(FormErr), "cut after the header"),
        (looping, Some(FormErr), "a name that points to itself"),
        (forward, Some(FormErr), "a name that points forward"),
        (chaos.to_vec().unwrap(), Some(NotImp), "another class"),
        (zone, Some(Refused), "a whole zone"),
    ] {
        let answered = ask(&query, Transport::Udp);
        let got = answered.reply.as_ref().map(|bytes| Message::from_vec(bytes).unwrap());
        assert_eq!(got.as_ref().map(|got| got.metadata.response_code), want, "{why}");
        assert!(got.is_none_or(|got| got.metadata.id == 0x1234), "{why}");
        assert_eq!(answered.refused, None, "{why}");
    }
}

#[test]
fn labels_of_strange_bytes_are_no_names() {
    for (labels, why) in [
        (vec![&b"good.test"[..]], "a dot in a label makes no two labels"),
        (vec![b"wide", b"a.wide.test"], "the same"),
        (vec![b"g\0od", b"test"], "a NUL"),
        (vec![b"g\xc3\xb6d", b"test"], "other scripts are A-labels"),
        (vec![b"good\n", b"test"], "a new line reaches no log"),
        (vec![b" good", b"test"], "a blank"),
    ] {
        let mut query = question("x", RecordType::A);
        let mut asked = rr::Name::from_labels(labels).unwrap();
        asked.set_fqdn(true);
        query.queries = vec![Query::query(asked, RecordType::A)];
        let answered = ask(&query.to_vec().unwrap(), Transport::Udp);
        let got = parsed(&answered);
        assert_eq!(got.metadata.response_code, ResponseCode::NXDomain, "{why}");
        assert!(got.answers.is_empty() && answered.refused.is_none(), "{why}");
    }
}

#[test]
fn options() {
    let with = |version: u8, payload: u16| {
        let mut query = question("good.test", RecordType::A);
        let mut edns = Edns::new();
        edns.set_version(version).set_max_payload(payload).set_dnssec_ok(true);
        edns.options_mut().insert(EdnsOption::Unknown(10, vec![7; 8]));
        query.set_edns(edns);
        parsed(&ask(&query.to_vec().unwrap(), Transport::Udp))
    };
    let got = with(0, 4_096);
    assert_eq!(got.answers.len(), 1);
    let edns = got.edns.unwrap();
    assert_eq!((edns.version(), edns.max_payload()), (0, EDNS_BYTES));
    assert!(edns.options().as_ref().is_empty(), "nothing of the client's is repeated");
    assert!(!edns.flags().dnssec_ok, "nothing here is signed");
    let got = with(1, 4_096);
    let code = u16::from(got.metadata.response_code);
    assert_eq!(code, u16::from(ResponseCode::BADVERS), "it has a second name, BADSIG");
    assert!(got.answers.is_empty());
    let plain = question("good.test", RecordType::A).to_vec().unwrap();
    assert!(parsed(&ask(&plain, Transport::Udp)).edns.is_none(), "who names none gets none");
}

#[test]
fn what_does_not_fit_is_cut_and_says_so() {
    let mut message = question("good.test", RecordType::A);
    message.metadata.message_type = MessageType::Response;
    let asked = message.queries[0].name().clone();
    for n in 0..40 {
        let data = RData::A(A(Ipv4Addr::new(198, 18, 1, n)));
        message.add_answer(Record::from_rdata(asked.clone(), TTL_SECS, data));
    }
    let whole = Message::from_vec(&fit(&message, 4_096).unwrap()).unwrap();
    assert_eq!((whole.answers.len(), whole.metadata.truncation), (40, false));
    let bytes = fit(&message, UDP_BYTES).unwrap();
    assert!(bytes.len() <= UDP_BYTES);
    let cut = Message::from_vec(&bytes).unwrap();
    assert!(cut.metadata.truncation && cut.queries == message.queries);
    assert!(cut.answers.is_empty(), "no half of an answer");
    assert_eq!(fit(&message, 5), None, "not even the question");
}

#[test]
fn a_wildcard_ends() {
    let (rules, mut synthetic) = (rules(), synthetic());
    let mut names = Judged { rules: &rules, synthetic: &mut synthetic };
    let mut last = None;
    for n in 0..=crate::synthetic::WILDCARD_NAMES_MAX {
        let query = question(&format!("n{n}.wide.test"), RecordType::A).to_vec().unwrap();
        // Questions that need no address use none up.
        let text = question(&format!("t{n}.wide.test"), RecordType::TXT).to_vec().unwrap();
        assert_eq!(answer(&text, Transport::Udp, &mut names).refused, None);
        assert!(last.is_none(), "n{n}: too early");
        last = answer(&query, Transport::Udp, &mut names).refused;
    }
    let refused = last.unwrap();
    assert_eq!((refused.because, refused.kind.as_str()), (Because::Full, "A"));
}

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// What holds of every answer: it can be read, it is to this query, and it gives an address to no name
/// that the judge does not know. Says whether it gave one.
fn holds(query: &[u8]) -> bool {
    let answered = ask(query, Transport::Udp);
    let Some(reply) = answered.reply else {
        return false;
    };
    assert!(reply.len() <= usize::from(EDNS_BYTES));
    let got = Message::from_vec(&reply).unwrap();
    assert_eq!(got.metadata.message_type, MessageType::Response);
    assert_eq!(got.metadata.id.to_be_bytes(), query[..2]);
    if let Ok(asked) = Message::from_vec(query) {
        assert!(got.queries.is_empty() || got.queries == asked.queries);
    }
    for record in &got.answers {
        let Some(address) = record.data.ip_addr().filter(|address| !address.is_loopback()) else {
            continue;
        };
        assert!(crate::synthetic::is_synthetic(address));
        assert!(rules().knows(&host_name(&record.name).unwrap()).is_ok());
    }
    got.answers.iter().any(|record| record.data.ip_addr().is_some())
}

#[test]
fn ten_thousand_packets() {
    let mut numbers = Numbers(0x1f2e_3d4c_5b6a_7988);
    let mut given = 0;
    for n in 0..10_000 {
        let query = if n % 2 == 0 {
            let length = numbers.below(96);
            (0..length).map(|_| numbers.byte()).collect()
        } else {
            // An ordinary query with some bytes of it changed, so that the depth is met as well.
            let names = ["good.test", "a.wide.test", "evil.test", "0.1.18.198.in-addr.arpa"];
            let mut query = question(names[numbers.below(4)], RecordType::A);
            query.set_edns(Edns::new());
            let mut query = query.to_vec().unwrap();
            for _ in 0..numbers.below(4) {
                let at = numbers.below(query.len());
                query[at] = numbers.byte();
            }
            query
        };
        if holds(&query) {
            given += 1;
        }
    }
    assert!(given > 500, "{given}: some were answered");
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(Duration::from_secs(30), future).await.unwrap() };
    runtime.block_on(tokio::task::LocalSet::new().run_until(bounded))
}

fn replies() -> impl FnMut(&[u8]) -> Option<Vec<u8>> {
    |query| ask(query, Transport::Udp).reply
}

/// A server on every address of one family, and its port.
fn server(wildcard: &str) -> (OwnedFd, u16) {
    let socket = UdpSocket::bind((wildcard, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let socket = OwnedFd::from(socket);
    tell_destination(&socket, wildcard.parse().unwrap()).unwrap();
    (socket, port)
}

async fn exchange(client: &tokio::net::UdpSocket, query: &[u8]) -> Vec<u8> {
    client.send(query).await.unwrap();
    let mut reply = vec![0; 2_048];
    let length = client.recv(&mut reply).await.unwrap();
    reply.truncate(length);
    reply
}

#[test]
fn datagrams_are_answered_from_where_they_were_sent_to() {
    run(async {
        for (wildcard, asked) in [("0.0.0.0", "127.0.0.53"), ("::", "::1")] {
            let (socket, port) = server(wildcard);
            let serving = tokio::task::spawn_local(serve_udp(socket, replies()));
            let client = tokio::net::UdpSocket::bind((wildcard, 0)).await.unwrap();
            // From here on the kernel drops what comes from another address.
            client.connect((asked, port)).await.unwrap();
            let query = question("good.test", RecordType::A).to_vec().unwrap();
            for _ in 0..3 * UDP_BURST {
                client.send(b"no query").await.unwrap();
            }
            client.send(&vec![0; QUERY_BYTES_MAX + 1]).await.unwrap();
            // Somebody who is gone when the answer comes.
            let gone = UdpSocket::bind((wildcard, 0)).unwrap();
            gone.send_to(&query, (asked, port)).unwrap();
            drop(gone);
            let reply = exchange(&client, &query).await;
            assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1);
            assert!(!serving.is_finished());
            serving.abort();
        }
    });
}

#[test]
fn a_socket_that_tells_nothing_is_an_error() {
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", to).unwrap();
        assert!(serve_udp(OwnedFd::from(socket), replies()).await.is_err());
    });
}

#[test]
fn who_is_answered() {
    for (address, want, why) in [
        ("198.18.0.1", true, "the gateway"),
        ("8.8.8.8", true, "any other server that a client has in mind"),
        ("fdc0:ffe7:da00::1", true, "the gateway"),
        ("224.0.0.1", false, "a group"),
        ("::ffff:224.0.0.1", false, "a group"),
        ("ff02::fb", false, "a group"),
        ("255.255.255.255", false, "all"),
        ("0.0.0.0", false, "none"),
        ("::", false, "none"),
    ] {
        assert_eq!(serve::answers(address.parse().unwrap()), want, "{address}: {why}");
    }
}

#[test]
fn connections_have_many_queries_and_an_end() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Rc::new(RefCell::new(0));
        let count = Rc::clone(&asked);
        tokio::task::spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = Rc::clone(&count);
                tokio::task::spawn_local(serve_tcp(stream, move |query| {
                    *count.borrow_mut() += 1;
                    ask(query, Transport::Tcp).reply
                }));
            }
        });
        let query = question("good.test", RecordType::A).to_vec().unwrap();
        let whole = [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat();
        let mut client = TcpStream::connect(address).await.unwrap();
        for n in 0..TCP_QUERIES_MAX {
            // In two pieces, the first of them within the length.
            client.write_all(&whole[..1]).await.unwrap();
            client.write_all(&whole[1..]).await.unwrap();
            let length = client.read_u16().await.unwrap();
            let mut reply = vec![0; length.into()];
            client.read_exact(&mut reply).await.unwrap();
            assert_eq!(Message::from_vec(&reply).unwrap().answers.len(), 1, "{n}");
        }
        assert!(client.read_u16().await.is_err(), "it has an end");
        assert_eq!(*asked.borrow(), TCP_QUERIES_MAX);

        // Too long, a response, less than it says.
        let mut response = whole.clone();
        response[4] |= 0x80;
        for bytes in [&[0xff; 8][..], &response, &[0, 40, 1]] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            let mut rest = Vec::new();
            // An end or a reset: no byte of an answer either way.
            drop(client.read_to_end(&mut rest).await);
            assert!(rest.is_empty());
        }
    });
}

#[test]
fn a_connection_that_stands_still_ends() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let began = std::time::Instant::now();
        let ended = serve_tcp(stream, |_| None).await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= TCP_IDLE && began.elapsed() < 3 * TCP_IDLE);
        drop(client);
    });
}
