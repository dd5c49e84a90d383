//! Against `tokio-rustls` at the other end, over pipes in memory that split whatever is sent.

use std::future::poll_fn;
use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// Numbers that look random and are the same each time (xorshift, Marsaglia 2003).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Bytes of which no two places look alike.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 253) % 251).unwrap()).collect()
}

pub(crate) type Both = (Secure<DuplexStream>, TlsStream<DuplexStream>);

/// Both ends of a connection whose pipes hold so many bytes; ours is the first, and a client's if it says so.
pub(crate) async fn pair(
    version: &'static SupportedProtocolVersion,
    is_client: bool,
    size: usize,
) -> Both {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["one.test".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let asks = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let asks = asks.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots);
    let asks = TlsConnector::from(Arc::new(asks.with_no_client_auth()));
    let ends = ServerConfig::builder_with_provider(provider);
    let ends = ends.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut ends = ends.with_single_cert(vec![certificate], key).unwrap();
    // A client that does not read yet would have no room for them.
    ends.send_tls13_tickets = 0;
    let ends = TlsAcceptor::from(Arc::new(ends));
    let (near, far) = duplex(size);
    let asks = asks.connect(ServerName::try_from("one.test").unwrap(), near);
    let (asks, ends) = tokio::try_join!(asks, ends.accept(far)).unwrap();
    let (asks, ends) = (TlsStream::Client(asks), TlsStream::Server(ends));
    if is_client { (Secure::new(asks), ends) } else { (Secure::new(ends), asks) }
}

pub(crate) fn wait<F: Future>(works: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let within = std::time::Duration::from_secs(60);
    runtime.block_on(async { tokio::time::timeout(within, works).await }).expect("in time")
}

pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// New keys for what the other end sends (RFC 8446, 4.6.3).
fn renew(tls: &mut TlsStream<DuplexStream>) {
    match tls {
        TlsStream::Client(tls) => tls.get_mut().1.refresh_traffic_keys().unwrap(),
        TlsStream::Server(tls) => tls.get_mut().1.refresh_traffic_keys().unwrap(),
    }
}

/// The same for what goes from here.
fn renew_ours(ours: &mut Secure<DuplexStream>) {
    renew(&mut ours.tls);
}

/// Writes all, in pieces of any size, of which some are flushed; then says that it was all.
pub(crate) async fn say(to: &mut (impl AsyncWrite + Unpin), all: &[u8], numbers: &mut Numbers) {
    let mut rest = all;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(1 + numbers.below(40_000)));
        if numbers.below(2) == 0 {
            let (one, two) = piece.split_at(numbers.below(piece.len()));
            let pieces = [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(two)];
            let sent = to.write_vectored(&pieces).await.unwrap();
            to.write_all(&piece[sent..]).await.unwrap();
        } else {
            to.write_all(piece).await.unwrap();
        }
        if numbers.below(3) == 0 {
            to.flush().await.unwrap();
        }
        rest = later;
    }
    to.shutdown().await.unwrap();
}

#[test]
fn any_pieces_arrive_as_they_were_said() {
    for seed in 1..=40_u64 {
        let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let version = VERSIONS[numbers.below(2)];
        let size = [7, 100, 5_000, 70_000][numbers.below(4)];
        let all = bytes(numbers.below(300_000));
        let is_client = numbers.below(2) == 0;
        wait(async {
            let (mut ours, mut theirs) = pair(version, is_client, size).await;
            let mut came = Vec::new();
            let both = async {
                tokio::join!(say(&mut ours, &all, &mut numbers), theirs.read_to_end(&mut came))
            };
            both.await.1.expect("an end that was said");
            assert!(came == all, "seed {seed}: from here");
            // And back, half closed as it is.
            let mut came = Vec::new();
            let hears = async {
                loop {
                    let some = poll_fn(|task| {
                        let got = ready!(ours.poll_come(task))?;
                        came.extend_from_slice(&got[..got.len().min(9_999)]);
                        Poll::Ready(io::Result::Ok(got.len().min(9_999)))
                    });
                    let some = some.await.expect("an end that was said");
                    ours.taken(some);
                    if some == 0 {
                        return;
                    }
                }
            };
            tokio::join!(hears, say(&mut theirs, &all, &mut numbers));
            assert!(came == all, "seed {seed}: to here");
        });
    }
}

#[test]
fn an_end_that_was_not_said_is_an_error() {
    for version in VERSIONS {
        for is_client in [true, false] {
            wait(async {
                let (mut ours, mut theirs) = pair(version, is_client, 1 << 16).await;
                theirs.write_all(b"a part").await.unwrap();
                theirs.flush().await.unwrap();
                drop(theirs);
                let length = poll_fn(|task| {
                    let came = ready!(ours.poll_come(task)).unwrap();
                    assert_eq!(came, b"a part");
                    Poll::Ready(came.len())
                });
                let length = length.await;
                ours.taken(length);
                let end = poll_fn(|task| ours.poll_come(task).map(|end| end.map(<[u8]>::len)));
                assert_eq!(end.await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            });
        }
    }
}

#[test]
fn records_are_whole_where_there_is_enough() {
    wait(async {
        let (mut ours, mut theirs) = pair(&rustls::version::TLS13, false, 1 << 20).await;
        let frame = [bytes(9), bytes(RECORD_BYTES)].concat();
        // As HTTP/2 says a frame: its head, and what it bears.
        for _ in 0..3 {
            let pieces = [IoSlice::new(&frame[..9]), IoSlice::new(&frame[9..])];
            assert_eq!(ours.write_vectored(&pieces).await.unwrap(), frame.len());
        }
        let nothing = {
            let mut byte = [0];
            let mut into = ReadBuf::new(&mut byte);
            poll_fn(|task| Poll::Ready(Pin::new(&mut theirs).poll_read(task, &mut into))).await
        };
        assert!(nothing.is_pending(), "nothing goes before it is asked to");
        assert_eq!(ours.rest.len(), 27, "three heads more than three records");
        ours.flush().await.unwrap();
        assert_eq!((ours.rest.capacity(), ours.queued), (0, 0), "no room for who is done");
        let mut lengths = Vec::new();
        while lengths.iter().sum::<usize>() < 3 * frame.len() {
            let length = poll_fn(|task| {
                let came = Pin::new(&mut theirs).poll_fill_buf(task);
                came.map(|came| came.unwrap().len())
            });
            let length = length.await;
            Pin::new(&mut theirs).consume(length);
            lengths.push(length);
        }
        assert_eq!(lengths, [RECORD_BYTES, RECORD_BYTES, RECORD_BYTES, 27]);
    });
}

#[test]
fn who_takes_nothing_is_told_nothing_more() {
    wait(async {
        let (mut ours, mut theirs) = pair(&rustls::version::TLS13, true, 1_000).await;
        let all = bytes(10_000);
        let mut taken = 0;
        loop {
            let piece = IoSlice::new(&all);
            let one = poll_fn(|task| {
                Poll::Ready(Pin::new(&mut ours).poll_write_vectored(task, &[piece]))
            });
            let Poll::Ready(one) = one.await else { break };
            taken += one.unwrap();
            assert!(taken < 3 * GATHERED_BYTES, "it is bounded");
        }
        assert!(taken >= GATHERED_BYTES, "{taken}");
        // The twin: once it takes, all of it goes.
        let mut came = vec![0; taken];
        let (flushed, read) = tokio::join!(ours.flush(), theirs.read_exact(&mut came));
        flushed.unwrap();
        assert_eq!(read.unwrap(), taken);
        assert!(came.chunks(all.len()).all(|piece| piece == all));
    });
}

#[test]
fn keys_are_renewed_while_it_goes_on() {
    wait(async {
        let (mut ours, mut theirs) = pair(&rustls::version::TLS13, true, 1 << 17).await;
        let all = bytes(50_000);
        for round in 0..20 {
            renew(&mut theirs);
            renew_ours(&mut ours);
            ours.write_all(&all).await.unwrap();
            ours.flush().await.unwrap();
            let mut came = vec![0; all.len()];
            theirs.read_exact(&mut came).await.unwrap();
            assert!(came == all, "round {round}: from here");
            theirs.write_all(&all).await.unwrap();
            theirs.flush().await.unwrap();
            ours.read_exact(&mut came).await.unwrap();
            assert!(came == all, "round {round}: to here");
        }
    });
}

#[test]
fn what_is_no_tls_is_told_to_both() {
    wait(async {
        let (mut ours, theirs) = pair(&rustls::version::TLS13, false, 1 << 16).await;
        let (TlsStream::Client(theirs), mut byte) = (theirs, [0; 64]) else { panic!("a client") };
        let (mut below, _) = theirs.into_inner();
        below.write_all(b"\x17\x03\x03\x00\x20not encrypted by anybody, so long").await.unwrap();
        let error = ours.read(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(ours.write_all(b"more").await.is_err() || ours.flush().await.is_err());
        assert!(below.read(&mut byte).await.unwrap() > 0, "an alert");
    });
}

#[test]
fn what_waits_is_not_shown() {
    wait(async {
        let (mut ours, _theirs) = pair(&rustls::version::TLS13, true, 1 << 16).await;
        ours.write_all(b"secret").await.unwrap();
        assert!(!format!("{ours:?}").contains("115"), "{ours:?}");
        assert!(!format!("{ours:?}").contains("secret"), "{ours:?}");
    });
}
