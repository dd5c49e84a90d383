//! In a network of its own, where this machine plays hosts of the Internet.
//!
//! Each test begins itself again by `unshare -rn`, which needs no privilege, and gives that network
//! its addresses with `ip`. Where the host has not both, the test says so and shows nothing.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "panics are how tests fail; the exemption for tests does not cover what they call"
)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use cofferdam_gateway::dns::{self, Judged, Transport, serve_udp, tell_destination};
use cofferdam_gateway::synthetic::Synthetic;
use cofferdam_gateway::upstream::{DialFault, STAGGER, To, Upstream, Why};
use cofferdam_policy::model::Clause;
use cofferdam_policy::{Host, HostRules, Name};
use cofferdam_sys::process::{Namespaces, unshare};
use hickory_proto::op::{Message, MessageType, Query};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{self, RData, Record, RecordType};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::{LocalSet, spawn_local};

/// 93.184.216.0/24 is somebody else's, see [`elsewhere`]; 93.184.217.1 and, on the same interface,
/// 93.184.217.2 are this machine's own, and so is 93.184.217.128/25, which is no interface's;
/// 93.184.218.0/24 takes everything and says nothing.
const OUTSIDE: &str = "ip link set lo up && ip addr add 10.9.9.1/32 dev lo \
    && ip addr add 93.184.217.1/30 dev lo && ip addr add 93.184.217.2/30 dev lo \
    && ip route add local 93.184.217.128/25 dev lo src 10.9.9.1 \
    && ip tuntap add name silent mode tun && ip link set silent up \
    && ip route add 93.184.218.0/24 dev silent src 10.9.9.1";
/// The way to 93.184.216.0/24, once the link to it is there; and the other side of it.
const WAY_THERE: &str = "ip link set here up && ip route add 93.184.216.0/24 dev here src 10.9.9.1";
const THERE: &str = "ip link set lo up && ip addr add 93.184.216.1/24 dev there \
    && ip link set there up && ip route add local 93.184.216.0/24 dev lo \
    && ip route add 10.9.9.1/32 dev there";
/// As inside a sandbox: every address is local.
const INSIDE: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo \
    && ip -6 route add local ::/0 dev lo";
/// What the second start of a test is told. No test has this name.
const AGAIN: &str = "in-a-network-of-its-own";

#[expect(clippy::disallowed_methods, reason = "a test makes the network that it is about")]
fn command(program: &str) -> Command {
    Command::new(program)
}

/// Whether this is the second start, in a network that `setup` has made. In the first one this makes
/// the second, and fails as it does.
fn there(test: &str, setup: &str) -> bool {
    if std::env::args().any(|word| word == AGAIN) {
        return true;
    }
    let in_network = |script: &str| {
        let mut unshare = command("unshare");
        unshare.args(["-rn", "sh", "-c", script]);
        unshare
    };
    if !in_network(setup).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIP {test}: no network of its own by unshare(1) and ip(8) here");
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let run = format!("{setup} && exec \"$0\" --exact {test} {AGAIN} --nocapture");
    assert!(in_network(&run).arg(own).status().unwrap().success(), "{test}, in its own network");
    false
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let bounded = async { tokio::time::timeout(Duration::from_secs(60), future).await.unwrap() };
    builder.enable_all().build().unwrap().block_on(LocalSet::new().run_until(bounded))
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap()
}

fn nothing(_: IpAddr) -> bool {
    false
}

/// Who gives a name its addresses.
type Script = Box<dyn FnMut(&str) -> Vec<[u8; 4]>>;

/// A name server outside. It answers with IPv4 addresses, for as long as a moment.
async fn name_server(mut script: Script) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    spawn_local(async move {
        let mut buffer = vec![0; 4_096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let (id, op_code) = (query.metadata.id, query.metadata.op_code);
            let mut reply = Message::new(id, MessageType::Response, op_code);
            let question = query.queries[0].clone();
            reply.add_query(question.clone());
            if question.query_type() == RecordType::A {
                for address in script(&question.name().to_ascii()) {
                    let data = RData::A(A(address.into()));
                    reply.add_answer(Record::from_rdata(question.name().clone(), 0, data));
                }
            }
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

/// Counts who connects.
async fn count(at: SocketAddr) -> Rc<Cell<usize>> {
    count_on(TcpListener::bind(at).await.unwrap())
}

/// A listener on a machine of its own, which has 93.184.216.0/24. It lives as long as the listener.
fn elsewhere(at: SocketAddr) -> TcpListener {
    let script = |text: &str| {
        assert!(command("sh").args(["-c", text]).status().unwrap().success(), "{text}");
    };
    let (tell, told) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let there = std::thread::spawn(move || {
        unshare(Namespaces::NETWORK).unwrap();
        tell.send(rustix::thread::gettid().as_raw_nonzero()).unwrap();
        gone.recv().unwrap();
        script(THERE);
        std::net::TcpListener::bind(at).unwrap()
    });
    let thread = told.recv().unwrap();
    script(&format!("ip link add here type veth peer name there netns {thread} && {WAY_THERE}"));
    go.send(()).unwrap();
    let listener = there.join().unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

fn count_on(listener: TcpListener) -> Rc<Cell<usize>> {
    let connected = Rc::new(Cell::new(0));
    let counter = Rc::clone(&connected);
    spawn_local(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
            counter.set(counter.get() + 1);
        }
    });
    connected
}

async fn settled() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[test]
fn a_name_that_changes_its_address_reaches_nothing_inside() {
    if !there("a_name_that_changes_its_address_reaches_nothing_inside", OUTSIDE) {
        return;
    }
    run(async {
        const REQUESTS: usize = 50;
        let (outside, loopback) = ([93, 184, 216, 34], [127, 0, 0, 1]);
        let seen_outside = count_on(elsewhere((outside, 443).into()));
        let seen_loopback = count((loopback, 443).into()).await;
        // Each answer is another than the one before.
        let mut turn = false;
        let server = name_server(Box::new(move |_| {
            turn = !turn;
            vec![if turn { outside } else { loopback }]
        }))
        .await;
        let upstream = Upstream::with_servers(&[server], None);
        let host = Host::Name(name("rebinding.test"));
        let to = To { host: &host, port: 443, dial: None, denied: &nothing };
        let (mut reached, mut forbidden) = (0, 0);
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let threads_before = threads();
        for _ in 0..REQUESTS {
            match upstream.dial(&to).await {
                Ok(dialled) => {
                    assert_eq!(dialled.address, SocketAddr::from((outside, 443)));
                    assert_eq!(dialled.stream.peer_addr().unwrap(), dialled.address);
                    reached += 1;
                }
                Err(fault) => {
                    assert_eq!(fault.code(), "forbidden-address", "{fault}");
                    forbidden += 1;
                }
            }
        }
        assert_eq!(threads(), threads_before, "nothing here begins a thread");
        settled().await;
        assert!(reached > 0 && forbidden > 0, "{reached} and {forbidden}: both answers were met");
        assert_eq!((seen_outside.get(), seen_loopback.get()), (reached, 0));
        // The listener that saw nobody can be reached.
        tokio::net::TcpStream::connect((IpAddr::from(loopback), 443)).await.unwrap();
        settled().await;
        assert_eq!(seen_loopback.get(), 1);
    });
}

#[test]
fn this_machines_own_addresses_are_refused() {
    if !there("this_machines_own_addresses_are_refused", OUTSIDE) {
        return;
    }
    run(async {
        let own = [93, 184, 217, 1];
        let seen_elsewhere = count_on(elsewhere(([93, 184, 216, 34], 443).into()));
        let seen = count(([0, 0, 0, 0], 443).into()).await;
        let both = |asked: &str| match asked {
            "both.test." => vec![[93, 184, 217, 1], [93, 184, 216, 34]],
            _ => vec![[93, 184, 217, 1]],
        };
        let upstream = Upstream::with_servers(&[name_server(Box::new(both)).await], None);
        // The second address of an interface and one of a block: the kernel goes to either from
        // another address.
        let others = [[93, 184, 217, 2], [93, 184, 217, 130]];
        let by_address =
            others.iter().chain([&own]).map(|own| (Host::Address((*own).into()), *own));
        for (host, own) in by_address.chain([(Host::Name(name("own.test")), own)]) {
            let to = To { host: &host, port: 443, dial: None, denied: &nothing };
            let want = DialFault::Forbidden { address: own.into(), because: Why::Own };
            assert_eq!(upstream.dial(&to).await.unwrap_err(), want, "{host}");
        }
        settled().await;
        assert_eq!(seen.get(), 0);
        // What listens on all addresses is there, on each of them; and the other name leads elsewhere.
        for own in others.iter().chain([&own]) {
            tokio::net::TcpStream::connect((IpAddr::from(*own), 443)).await.unwrap();
        }
        let host = Host::Name(name("both.test"));
        let to = To { host: &host, port: 443, dial: None, denied: &nothing };
        let got = upstream.dial(&to).await.unwrap();
        assert_eq!(got.address.ip(), IpAddr::from([93, 184, 216, 34]));
        settled().await;
        assert_eq!((seen.get(), seen_elsewhere.get()), (3, 1));
    });
}

#[test]
fn an_address_that_is_silent_costs_a_moment() {
    if !there("an_address_that_is_silent_costs_a_moment", OUTSIDE) {
        return;
    }
    run(async {
        let addresses: HashMap<&str, Vec<[u8; 4]>> = HashMap::from([
            ("slow.test.", vec![[93, 184, 218, 1], [93, 184, 216, 34]]),
            ("silent.test.", vec![[93, 184, 218, 1]]),
            ("closed.test.", vec![[93, 184, 216, 35]]),
            ("nowhere.test.", vec![[93, 184, 219, 1]]),
        ]);
        let script = move |asked: &str| addresses.get(asked).cloned().unwrap_or_default();
        let upstream = Upstream::with_servers(&[name_server(Box::new(script)).await], None);
        let seen = count_on(elsewhere(([93, 184, 216, 34], 443).into()));
        let dial = async |host: &str| {
            let host = Host::Name(name(host));
            let to = To { host: &host, port: 443, dial: None, denied: &nothing };
            upstream.dial(&to).await.map(|dialled| dialled.address.ip())
        };
        let began = Instant::now();
        assert_eq!(dial("slow.test").await, Ok([93, 184, 216, 34].into()));
        let took = began.elapsed();
        assert!(took >= STAGGER && took < 8 * STAGGER, "{took:?}");
        assert_eq!(seen.get(), 1);
        for (host, want) in [
            ("silent.test", "timeout"),
            ("closed.test", "refused"),
            ("nowhere.test", "unreachable"),
        ] {
            let fault = dial(host).await.unwrap_err();
            assert_eq!(fault.code(), want, "{host}: {fault}");
        }
    });
}

/// A query, and what came back to a client that takes answers from `to` only.
async fn exchange(from: &str, to: &str, query: &[u8]) -> Option<Vec<u8>> {
    let client = UdpSocket::bind(from).await.unwrap();
    client.connect(to).await.unwrap();
    client.send(query).await.unwrap();
    let mut reply = vec![0; 2_048];
    let length = tokio::time::timeout(Duration::from_millis(500), client.recv(&mut reply)).await;
    reply.truncate(length.ok()?.unwrap());
    Some(reply)
}

#[test]
fn a_name_server_on_every_address_lives_on() {
    if !there("a_name_server_on_every_address_lives_on", INSIDE) {
        return;
    }
    run(async {
        let calls = Rc::new(RefCell::new(0));
        for (wildcard, bound) in [("0.0.0.0", "0.0.0.0:53"), ("::", "[::]:53")] {
            let socket = one_family(wildcard.parse().unwrap(), bound);
            tell_destination(&socket, wildcard.parse().unwrap()).unwrap();
            let rules = HostRules::none(Clause::built_in("network"));
            let calls = Rc::clone(&calls);
            let mut synthetic = Synthetic::new([]).unwrap();
            spawn_local(serve_udp(socket, move |query| {
                *calls.borrow_mut() += 1;
                let mut names = Judged { rules: &rules, synthetic: &mut synthetic };
                dns::answer(query, Transport::Udp, &mut names).reply
            }));
        }
        let mut query = Message::query();
        let localhost = rr::Name::from_ascii("localhost.").unwrap();
        query.add_query(Query::query(localhost, RecordType::A));
        let query = query.to_vec().unwrap();
        let v4 = ["198.18.0.1:53", "8.8.8.8:53", "127.0.0.53:53", "203.0.113.255:53"];
        for to in v4 {
            assert!(exchange("0.0.0.0:0", to, &query).await.is_some(), "{to}");
        }
        for to in ["[fdc0:ffe7:da00::1]:53", "[2606:4700::1111]:53"] {
            assert!(exchange("[::]:0", to, &query).await.is_some(), "{to}");
        }
        // A datagram to a group reaches a socket on every address, and no answer can leave from there.
        let group = UdpSocket::bind("0.0.0.0:5353").await.unwrap();
        let before = *calls.borrow();
        let client = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        for port in [53, 5353] {
            client.send_to(&query, ("224.0.0.1", port)).await.unwrap();
        }
        let mut buffer = [0; 512];
        let (length, _) = group.recv_from(&mut buffer).await.unwrap();
        assert_eq!(length, query.len(), "it does reach such a socket");
        settled().await;
        assert_eq!(*calls.borrow(), before, "none was answered");
        // An answer to a source that nobody has, and to one whose port nobody listens on.
        for from in ["203.0.113.9:0", "0.0.0.0:0"] {
            let client = std::net::UdpSocket::bind(from).unwrap();
            client.send_to(&query, "198.18.0.1:53").unwrap();
        }
        settled().await;
        for to in v4 {
            assert!(exchange("0.0.0.0:0", to, &query).await.is_some(), "{to}: it lives on");
        }
    });
}

/// A socket of one family only: `[::]` is not IPv4 as well.
fn one_family(family: IpAddr, bound: &str) -> OwnedFd {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};
    let domain = if family.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let made = socket(domain, SocketType::DGRAM, None).unwrap();
    if family.is_ipv6() {
        sockopt::set_ipv6_v6only(&made, true).unwrap();
    }
    bind(&made, &bound.parse::<SocketAddr>().unwrap()).unwrap();
    made
}

#[test]
fn no_file_is_opened_after_the_first_moment() {
    if !there("no_file_is_opened_after_the_first_moment", OUTSIDE) {
        return;
    }
    run(async {
        let seen = count_on(elsewhere(([93, 184, 216, 34], 443).into()));
        let server = name_server(Box::new(|_| vec![[93, 184, 216, 34]])).await;
        let upstream = Upstream::with_servers(&[server], None);
        // From here on there is not one file.
        std::fs::File::open("/dev/urandom").unwrap();
        let empty = std::env::temp_dir().join(format!("cofferdam-empty-{}", std::process::id()));
        std::fs::create_dir(&empty).unwrap();
        std::env::set_current_dir(&empty).unwrap();
        std::fs::remove_dir(&empty).unwrap();
        rustix::process::chroot(".").unwrap();
        assert!(std::fs::File::open("/dev/urandom").is_err());
        let host = Host::Name(name("good.test"));
        let to = To { host: &host, port: 443, dial: None, denied: &nothing };
        upstream.dial(&to).await.unwrap();
        settled().await;
        assert_eq!(seen.get(), 1);
    });
}
