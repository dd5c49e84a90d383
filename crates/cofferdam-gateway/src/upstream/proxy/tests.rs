//! A scripted proxy: what it is sent, and what comes of its answers.

use super::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

fn host(text: &str) -> Host {
    let name = || cofferdam_policy::Name::parse(text.as_bytes()).unwrap();
    text.parse().map_or_else(|_| Host::Name(name()), Host::Address)
}

/// Asks a proxy that sends `answers`, each after it has read as many bytes as stand before it, and then
/// closes. What it was sent, what came of it, and what is left to read.
fn asked(
    speaks: ProxyProtocol,
    to: &str,
    answers: &[(usize, &[u8])],
) -> (Vec<u8>, Result<(), DialFault>, Vec<u8>) {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut proxy, _) = listener.accept().await.unwrap();
        let proxy = async {
            let mut got = Vec::new();
            for (read, answer) in answers {
                let mut part = vec![0; *read];
                proxy.read_exact(&mut part).await.unwrap();
                got.extend(part);
                // Byte by byte, so that no border is where a reader expects it.
                for byte in *answer {
                    proxy.write_all(&[*byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            proxy.shutdown().await.unwrap();
            got
        };
        let host = host(to);
        let client = async {
            let result = ask(&mut stream, speaks, &host, 443).await;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (result, rest)
        };
        let (mut proxy, mut client) = (Box::pin(proxy), Box::pin(client));
        let (mut got, mut answer) = (None, None);
        std::future::poll_fn(|waker| {
            use std::task::Poll::{Pending, Ready};
            if got.is_none()
                && let Ready(bytes) = proxy.as_mut().poll(waker)
            {
                got = Some(bytes);
            }
            if answer.is_none()
                && let Ready(result) = client.as_mut().poll(waker)
            {
                answer = Some(result);
            }
            if got.is_some() && answer.is_some() { Ready(()) } else { Pending }
        })
        .await;
        let (result, rest) = answer.unwrap();
        (got.unwrap(), result, rest)
    })
}

#[test]
fn connect_in_http() {
    let request = b"CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n";
    let refused = |why: &str| Err(DialFault::ProxyRefused(why.into()));
    let other = refused("its answer is not HTTP");
    let closed = refused("it closed the connection");
    let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; PROXY_ANSWER_BYTES_MAX]].concat();
    for (answer, want, rest, why) in [
        (&b"HTTP/1.1 200 OK\r\n\r\n"[..], Ok(()), &b""[..], "an ordinary answer"),
        (b"HTTP/1.0 200\r\nVia: x\r\n\r\n\x16hi", Ok(()), b"\x16hi", "what follows is the host's"),
        (b"HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\nhost", Ok(()), b"host", "no body (RFC 9110)"),
        (b"HTTP/1.1 407 Auth\r\n\r\n", refused("status 407"), b"", "a password"),
        (b"HTTP/1.1 503 No\r\n\r\nbody", refused("status 503"), b"body", "a refusal"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", other.clone(), b"", "four digits"),
        (b"HTTP/1.1 +20 OK\r\n\r\n", other.clone(), b"", "no number"),
        (b"HTTP/2 200\r\n\r\n", other.clone(), b"", "another version"),
        (b"HTTP/1.1  200 OK\r\n\r\n", other.clone(), b"", "two blanks"),
        (b"HTTP/1.1 200 OK\nX: y\r\n\r\n", other.clone(), b"", "a bare LF"),
        (b"HTTP/1.1 200 OK\r\nX: \ry\r\n\r\n", other.clone(), b"", "a bare CR"),
        (b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", other.clone(), b"", "a NUL"),
        (b"SSH-2.0-x\r\n\r\n", other.clone(), b"", "another protocol"),
        (b"HTTP/1.1 200 OK\r\n", closed.clone(), b"", "half an answer"),
        (b"", closed, b"", "no answer"),
    ] {
        let (got, result, left) =
            asked(ProxyProtocol::Http, "good.test", &[(request.len(), answer)]);
        assert_eq!(got, request, "{why}");
        assert_eq!((result, &left[..]), (want, rest), "{why}");
    }
    let (_, result, _) = asked(ProxyProtocol::Http, "good.test", &[(request.len(), &long)]);
    assert_eq!(result, refused("its answer is too long"));
    let request = b"CONNECT [2606:4700::1]:443 HTTP/1.1\r\nHost: [2606:4700::1]:443\r\n\r\n";
    let script: &[(usize, &[u8])] = &[(request.len(), b"HTTP/1.1 200 OK\r\n\r\n")];
    assert_eq!(asked(ProxyProtocol::Http, "2606:4700::1", script).0, request);
}

#[test]
fn connect_in_socks() {
    let request = b"\x05\x01\x00\x03\x09good.test\x01\xbb";
    let refused = |why: &str| Err(DialFault::ProxyRefused(why.into()));
    let other = refused("its answer is not SOCKS 5");
    let closed = refused("it closed the connection");
    for (chosen, answer, want, rest, why) in [
        (b"\x05\x00", &b"\x05\0\0\x01\x7f\0\0\x01\0\x50"[..], Ok(()), &b""[..], "ordinary"),
        (b"\x05\x00", b"\x05\0\0\x03\x02ab\0\x50hi", Ok(()), b"hi", "a name; then the host's"),
        (b"\x05\x00", b"\x05\0\0\x04aaaabbbbccccdddd\0\x50\x05", Ok(()), b"\x05", "IPv6"),
        (b"\x05\x00", b"\x05\x02\0\x01aaaapp", refused("SOCKS reply 2"), b"aaaapp", "a refusal"),
        (b"\x05\x00", b"\x05\0\0\x02aaaapp", other.clone(), b"aaaapp", "a strange address"),
        (b"\x05\x00", b"\x05\0\x01\x01aaaapp", other.clone(), b"aaaapp", "not reserved"),
        (b"\x05\x00", b"\x04\0\0\x01aaaapp", other.clone(), b"aaaapp", "another version"),
        (b"\x05\x00", b"\x05\0\0\x01aa", closed, b"", "half an answer"),
    ] {
        let script: &[(usize, &[u8])] = &[(3, chosen), (request.len(), answer)];
        let (got, result, left) = asked(ProxyProtocol::Socks5, "good.test", script);
        assert_eq!(got, [b"\x05\x01\x00", &request[..]].concat(), "{why}");
        assert_eq!((result, &left[..]), (want, rest), "{why}");
    }
    for (chosen, want) in [
        (b"\x05\xff", refused("it asks for a password")),
        (b"\x05\x02", refused("it asks for a password")),
        (b"HT", other),
    ] {
        assert_eq!(asked(ProxyProtocol::Socks5, "good.test", &[(3, chosen)]).1, want);
    }
    let script: &[(usize, &[u8])] = &[(3, b"\x05\x00"), (10, b"\x05\0\0\x01aaaapp")];
    let (got, result, _) = asked(ProxyProtocol::Socks5, "8.8.8.8", script);
    assert_eq!((&got[3..], result), (&b"\x05\x01\x00\x01\x08\x08\x08\x08\x01\xbb"[..], Ok(())));
}
