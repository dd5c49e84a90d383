//! A scripted name server on loopback. That an address without a class is dialled, and no other, is
//! shown in a network of its own: `tests/outside.rs`.

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use cofferdam_policy::model::Clause;
use cofferdam_policy::network::ProxyProtocol;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{self, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::ranges::Class;

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn nothing(_: IpAddr) -> bool {
    false
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(tokio::task::LocalSet::new().run_until(future))
}

/// A name server, and how often it was asked.
struct Server {
    address: SocketAddr,
    asked: Rc<RefCell<Vec<String>>>,
}

type Script = fn(&str) -> Result<Vec<IpAddr>, ResponseCode>;

/// Answers with the addresses of the script, of the family that was asked for; `cname.…` is another
/// name for `metadata.internal`, as a server that resolves for others tells it.
async fn server(script: Script) -> Server {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&asked);
    tokio::task::spawn_local(async move {
        let mut buffer = vec![0; 4_096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            let text = question.name().to_ascii();
            log.borrow_mut().push(text.clone());
            let (id, op_code) = (query.metadata.id, query.metadata.op_code);
            let mut reply = Message::new(id, MessageType::Response, op_code);
            reply.metadata.recursion_available = true;
            reply.add_query(question.clone());
            let mut owner = question.name().clone();
            if text.starts_with("cname.") {
                let other = rr::Name::from_ascii("metadata.internal.").unwrap();
                let alias = RData::CNAME(CNAME(other.clone()));
                reply.add_answer(Record::from_rdata(owner, 0, alias));
                owner = other;
            }
            match script(&text) {
                Ok(addresses) => addresses.into_iter().for_each(|address| {
                    let (kind, data) = match address {
                        IpAddr::V4(v4) => (RecordType::A, RData::A(A(v4))),
                        IpAddr::V6(v6) => (RecordType::AAAA, RData::AAAA(AAAA(v6))),
                    };
                    if kind == question.query_type() {
                        reply.add_answer(Record::from_rdata(owner.clone(), 0, data));
                    }
                }),
                Err(code) => reply.metadata.response_code = code,
            }
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    Server { address, asked }
}

fn to(host: &Host) -> To<'_> {
    To { host, port: 443, dial: None, denied: &nothing }
}

async fn fault(upstream: &Upstream, host: &str) -> DialFault {
    let host = host.parse().map_or_else(|_| Host::Name(name(host)), Host::Address);
    upstream.dial(&to(&host)).await.unwrap_err()
}

#[test]
fn special_addresses_are_refused_by_class() {
    run(async {
        let server = server(|asked| {
            // `a-b-c-d.good.test` is a.b.c.d; `0--1.v6.test` is 0::1.
            let label = asked.split('.').next().unwrap();
            if label == "cname" || label == "metadata" {
                return Ok(vec!["169.254.169.254".parse().unwrap()]);
            }
            let letter = if asked.ends_with(".v6.test.") { ":" } else { "." };
            Ok(vec![label.replace('-', letter).parse().unwrap()])
        });
        let server = server.await;
        let upstream = Upstream::with_servers(&[server.address], None);
        for (host, address, class) in [
            ("0-0-0-0.good.test", "0.0.0.0", Class::Unspecified),
            ("0--0.v6.test", "::", Class::Unspecified),
            ("127-0-0-1.good.test", "127.0.0.1", Class::Loopback),
            ("0--1.v6.test", "::1", Class::Loopback),
            ("0--ffff-7f00-1.v6.test", "127.0.0.1", Class::Loopback),
            ("64-ff9b--7f00-1.v6.test", "64:ff9b::7f00:1", Class::Loopback),
            ("10-0-0-1.good.test", "10.0.0.1", Class::Private),
            ("100-64-0-1.good.test", "100.64.0.1", Class::Shared),
            ("198-18-0-1.good.test", "198.18.0.1", Class::Benchmark),
            ("192-0-0-192.good.test", "192.0.0.192", Class::Metadata),
            ("168-63-129-16.good.test", "168.63.129.16", Class::Metadata),
            ("fd00-ec2--254.v6.test", "fd00:ec2::254", Class::Metadata),
            ("cname.good.test", "169.254.169.254", Class::Metadata),
            ("127.0.0.1", "127.0.0.1", Class::Loopback),
            ("::1", "::1", Class::Loopback),
        ] {
            let got = fault(&upstream, host).await;
            let address = address.parse().unwrap();
            let because = Why::Class(class);
            assert_eq!(got, DialFault::Forbidden { address, because }, "{host}");
            assert_eq!((got.code(), got.retry()), ("forbidden-address", Retry::Never));
        }
    });
}

#[test]
fn a_rule_denies_an_address_that_a_name_leads_to() {
    run(async {
        let server = server(|_| Ok(vec!["93.184.216.34".parse().unwrap()])).await;
        let upstream = Upstream::with_servers(&[server.address], None);
        let host = Host::Name(name("good.test"));
        let denied = |address: IpAddr| address == IpAddr::from([93, 184, 216, 34]);
        let to = To { denied: &denied, ..to(&host) };
        let got = upstream.dial(&to).await.unwrap_err();
        let address = "93.184.216.34".parse().unwrap();
        assert_eq!(got, DialFault::Forbidden { address, because: Why::Denied });
    });
}

#[test]
fn names_without_addresses() {
    run(async {
        let server = server(|asked| match asked {
            "empty.test." => Ok(Vec::new()),
            "broken.test." => Err(ResponseCode::ServFail),
            "closed.test." => Err(ResponseCode::Refused),
            _ => Err(ResponseCode::NXDomain),
        });
        let server = server.await;
        let upstream = Upstream::with_servers(&[server.address], None);
        for (host, code, retry) in [
            ("gone.test", "no-such-name", Retry::Never),
            ("empty.test", "no-such-name", Retry::Never),
            ("broken.test", "resolver-failed", Retry::Later),
            ("closed.test", "resolver-failed", Retry::Later),
        ] {
            let got = fault(&upstream, host).await;
            assert_eq!((got.code(), got.retry()), (code, retry), "{host}: {got}");
        }
        let asked = server.asked.borrow();
        let own = |asked: &String| asked.ends_with(".test.") && asked.split('.').count() == 3;
        assert!(asked.iter().all(own), "{asked:?}: no domain is put behind a name");
    });
}

#[test]
fn a_name_server_that_is_silent() {
    run(async {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstream = Upstream::with_servers(&[silent.local_addr().unwrap()], None);
        let began = std::time::Instant::now();
        let got = fault(&upstream, "good.test").await;
        assert_eq!(got.code(), "resolver-failed");
        assert!(began.elapsed() < RESOLVE_WITHIN + Duration::from_secs(2));
    });
}

#[test]
fn dial_is_taken_as_it_is() {
    run(async {
        let server = server(|_| Err(ResponseCode::NXDomain)).await;
        let upstream = Upstream::with_servers(&[server.address], None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let host = Host::Name(name("good.test"));
        let got = upstream.dial(&To { dial: Some(here), ..to(&host) }).await.unwrap();
        assert_eq!((got.address, got.by), (here, By::Dial));
        assert_eq!(listener.accept().await.unwrap().1, got.stream.local_addr().unwrap());
        assert!(server.asked.borrow().is_empty(), "no name server was asked");
    });
}

fn proxy(at: SocketAddr, speaks: ProxyProtocol) -> UpstreamProxy {
    let (host, clause) = (ProxyHost::Address(at.ip()), Clause::built_in("network.upstream_proxy"));
    UpstreamProxy { speaks, host, port: at.port(), clause }
}

#[test]
fn a_proxy_resolves_names_itself() {
    run(async {
        let server = server(|_| Err(ResponseCode::NXDomain)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let proxy = proxy(here, ProxyProtocol::Http);
        let upstream = Upstream::with_servers(&[server.address], Some(proxy));
        let serving = tokio::task::spawn_local(async move {
            let mut all = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 512];
                let length = stream.read(&mut request).await.unwrap();
                all.push(String::from_utf8(request[..length].to_vec()).unwrap());
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
            }
            all
        });
        for host in [Host::Name(name("good.test")), Host::Address([8, 8, 8, 8].into())] {
            let mut got = upstream.dial(&to(&host)).await.unwrap();
            assert_eq!((got.address, got.by), (here, By::Proxy));
            let mut hello = [0; 5];
            got.stream.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"hello");
        }
        // An address is judged here: the proxy is asked for none that is forbidden.
        assert_eq!(fault(&upstream, "169.254.169.254").await.code(), "forbidden-address");
        assert!(server.asked.borrow().is_empty(), "no name server was asked");
        let lines: Vec<String> = serving.await.unwrap();
        assert!(lines[0].starts_with("CONNECT good.test:443 HTTP/1.1\r\n"));
        assert!(lines[1].starts_with("CONNECT 8.8.8.8:443 HTTP/1.1\r\n"));
    });
}

#[test]
fn families_take_turns() {
    let v4 = |n: u8| IpAddr::from(Ipv4Addr::new(8, 8, 8, n));
    let v6 = |n: u16| IpAddr::from(Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, n));
    for (found, want, why) in [
        (vec![v4(1), v4(2), v6(1)], vec![v6(1), v4(1), v4(2)], "IPv6 first, then the rest"),
        (vec![v6(1), v6(2), v4(1)], vec![v6(1), v4(1), v6(2)], "by turns"),
        (vec![v4(1), v4(1)], vec![v4(1)], "none twice"),
        (vec!["::ffff:8.8.8.1".parse().unwrap(), v4(1)], vec![v4(1)], "the same in IPv6 form"),
        (Vec::new(), Vec::new(), "nothing"),
    ] {
        assert_eq!(by_turns(&found), want, "{why}");
    }
    let many: Vec<IpAddr> = (0..100).map(v4).chain((0..100).map(v6)).collect();
    assert_eq!(by_turns(&many).len(), 2 * ANSWERS_MAX);
}

#[test]
fn the_systems_files_are_read() {
    let rules = HostRules::none(Clause::built_in("network"));
    let upstream = Upstream::read(None, &rules).unwrap();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut lines = hosts.lines().map(str::split_whitespace);
    let known = lines.any(|mut words| {
        let address = words.next().is_some_and(|word| word.parse::<IpAddr>().is_ok());
        address && words.take_while(|word| !word.starts_with('#')).any(|word| word == "localhost")
    });
    let found = upstream.system.hosts(&name("localhost"));
    assert_eq!(found.is_some(), known, "a rule may come to know it: {found:?}");
    assert!(upstream.resolver.get().is_none(), "made when it is needed");
}
