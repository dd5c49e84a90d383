use super::*;

/// An extension.
fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(content)].concat()
}

fn long(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [&length.to_be_bytes()[..], content].concat()
}

fn named(name: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &long(&[&[HOST_NAME][..], &long(name)].concat()))
}

/// The body of a hello up to the extensions.
fn front() -> Vec<u8> {
    [&[3, 3][..], &[7; 32], &[0], &long(&[0x13, 1]), &[1, 0]].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[CLIENT_HELLO][..], &length[1..], body].concat()
}

/// The message in records of at most `size` bytes.
fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &long(part)].concat()).collect()
}

fn with(extensions: &[u8]) -> Vec<u8> {
    records(&message(&[front(), long(extensions)].concat()), 16_384)
}

/// The hello whole, and every beginning of it: not yet, or the same fault.
#[track_caller]
fn check(bytes: &[u8], want: Result<(Option<&str>, Ech), HelloFault>, why: &str) {
    let got = read(bytes).map(|hello| hello.expect(why));
    let said = got.as_ref().map(|h| (h.server_name.as_ref().map(Name::as_str), h.ech));
    assert_eq!(said.map_err(|fault| *fault), want, "{why}");
    for end in 0..bytes.len() {
        let early = read(&bytes[..end]);
        assert!(early == Ok(None) || early.err() == want.err(), "{why}: {end} bytes");
    }
    if let Ok(hello) = got {
        assert_eq!(hello.length, bytes.len(), "{why}: all of it");
        let more = [bytes, &[23, 3, 3, 0, 1, 0]].concat();
        assert_eq!(read(&more).unwrap().unwrap(), hello, "{why}: and no more");
    }
}

#[test]
fn who_is_named() {
    use Ech::{Absent, Present};
    let other = extension(43, &[2, 3, 4]);
    for (bytes, want, why) in [
        (with(&named(b"good.test")), (Some("good.test"), Absent), "a name"),
        (with(&named(b"GOOD.test")), (Some("good.test"), Absent), "in any case"),
        (with(&[other.clone(), named(b"a.test")].concat()), (Some("a.test"), Absent), "later"),
        (with(&other), (None, Absent), "no name"),
        (with(&[]), (None, Absent), "no extension"),
        (records(&message(&front()), 9_999), (None, Absent), "nor a list of them"),
        (
            with(&[extension(0xFE0D, &[0; 9]), named(b"a.test")].concat()),
            (Some("a.test"), Present),
            "an encrypted hello beside it",
        ),
        (with(&extension(0xFFCE, &[])), (None, Present), "an old one"),
    ] {
        check(&bytes, Ok(want), why);
    }
}

#[test]
fn records_may_cut_it_anywhere() {
    let whole = message(&[front(), long(&named(b"good.test"))].concat());
    for size in 1..=whole.len() {
        check(&records(&whole, size), Ok((Some("good.test"), Ech::Absent)), "in pieces");
    }
}

#[test]
fn what_is_no_tls() {
    use HelloFault::{NotHello, NotTls, Record};
    for (bytes, want, why) in [
        (&b"GET / HTTP/1.1\r\n"[..], NotTls, "HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", NotTls, "SSH"),
        (&[0x80, 0x2E, 1, 3, 1], NotTls, "a hello of SSL 2"),
        (&[22, 2], NotTls, "another major version"),
        (&[22, 3, 0], NotTls, "SSL 3"),
        (&[22, 3, 4], NotTls, "no version of records"),
        (&[21, 3, 3, 0, 2, 2, 0], NotTls, "an alert"),
        (&[23, 3, 3], NotTls, "data"),
        (&[22, 3, 1, 0, 0], Record, "an empty record"),
        (&[22, 3, 1, 0x40, 1], Record, "a record over 16 KiB"),
        (&[22, 3, 1, 0, 4, 2], NotHello, "a ServerHello"),
    ] {
        check(bytes, Err(want), why);
        let first = read(&bytes[..1]);
        assert!(bytes[0] == 22 || first == Err(NotTls), "{why}: the first byte tells");
    }
}

#[test]
fn lengths_fit_to_the_byte() {
    use HelloFault::{Length, NameList, NotTls, TooLong, Trailing, Twice};
    let body =
        |front: Vec<u8>, rest: &[u8]| records(&message(&[front, rest.into()].concat()), 16_384);
    let changed = |at: usize, byte: u8| {
        let mut front = front();
        front[at] = byte;
        body(front, &long(&named(b"good.test")))
    };
    let name = |content: &[u8]| with(&extension(SERVER_NAME, content));
    let host = |kind: u8, text: &[u8]| [&[kind][..], &long(text)].concat();
    let two = [host(0, b"good.test"), host(0, b"evil.test")].concat();
    let hello = message(&[front(), long(&named(b"good.test"))].concat());
    for (bytes, want, why) in [
        (records(&[hello.as_slice(), &[0]].concat(), 999), Trailing, "a byte in its record"),
        (records(&[hello.as_slice(), &hello].concat(), 999), Trailing, "a second hello"),
        (vec![22, 3, 1, 0, 4, 1, 1, 0, 0], TooLong, "64 KiB of hello"),
        (changed(0, 2), NotTls, "another version"),
        (changed(1, 4), NotTls, "one that is never written there"),
        (changed(34, 33), Length("session"), "a long session"),
        (changed(36, 3), Length("cipher suites"), "half a suite"),
        (changed(36, 0), Length("cipher suites"), "no suite"),
        (body(front(), &[0]), Length("hello"), "half a length"),
        (body(front(), &[0, 5, 0, 0, 0, 1]), Length("extensions"), "more than there is"),
        (body(front(), &[0, 0, 0]), Length("hello"), "a byte after the extensions"),
        (with(&[0, 0, 0]), Length("extensions"), "half an extension"),
        (with(&[0, 43, 0, 9, 1]), Length("extension"), "more than there is"),
        (with(&[named(b"a.test"), named(b"b.test")].concat()), Twice(0), "two names"),
        (with(&[extension(99, b""), extension(99, b"")].concat()), Twice(99), "any, twice"),
        (name(b""), Length("extension"), "as a server would send it"),
        (name(&long(b"")), NameList, "an empty list"),
        (name(&long(&two)), NameList, "a list of two"),
        (name(&long(&host(1, b"good.test"))), NameList, "another kind of name"),
        (name(&long(&[0, 0, 9, b'a'])), Length("host name"), "a short name"),
        (name(&[long(&host(0, b"a.test")), vec![0]].concat()), Length("extension"), "a byte more"),
    ] {
        check(&bytes, Err(want), why);
    }
    let mut no_compression = front();
    no_compression.truncate(38);
    no_compression[36] = 2;
    let bytes = records(&message(&[no_compression, vec![1, 0, 0]].concat()), 999);
    assert!(read(&bytes).is_err(), "parts that slip by a byte");
}

#[test]
fn names_are_names() {
    for (name, want, why) in [
        (&b""[..], HelloFault::Name(NameFault::Empty), "nothing"),
        (b"good.test.", HelloFault::NameDot, "RFC 6066 has no dot there"),
        (b"203.0.113.7", HelloFault::Name(NameFault::Number), "an address is none"),
        (b"2001:db8::1", HelloFault::Name(NameFault::Byte(b':')), "nor is this"),
        (b"evil.test\0.good.test", HelloFault::Name(NameFault::Byte(0)), "NUL"),
        (b"good.test:443", HelloFault::Name(NameFault::Byte(b':')), "a port"),
        (b"*.good.test", HelloFault::Name(NameFault::Byte(b'*')), "a pattern"),
    ] {
        check(&with(&named(name)), Err(want), why);
    }
}

#[test]
fn hellos_are_bounded() {
    let padded = |length: usize| {
        let bare = with(&[named(b"a.test"), extension(21, &[])].concat()).len();
        with(&[named(b"a.test"), extension(21, &vec![0; length - bare])].concat())
    };
    assert!(read(&padded(HELLO_BYTES_MAX)).unwrap().is_some(), "the longest");
    assert_eq!(read(&padded(HELLO_BYTES_MAX + 5)), Err(HelloFault::TooLong), "longer");
    let whole = message(&[front(), long(&extension(21, &[0; 4_000]))].concat());
    let bytes = records(&whole, 1);
    assert_eq!(read(&bytes), Err(HelloFault::TooLong), "a byte a record is over it too");
}

#[test]
fn alerts_are_fatal() {
    assert_eq!(alert(ALERT_UNRECOGNIZED_NAME), [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(alert(HelloFault::NotTls.alert()), [21, 3, 3, 0, 2, 2, 50]);
}
