use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;

const SESSION: &[u8] = b"exchange hash of a session";

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    strings.iter().for_each(|string| put(&mut out, string));
    out
}

fn blob(seed: u8) -> Vec<u8> {
    strings(&[b"ssh-ed25519", pair(seed).public_key().as_ref()])
}

fn signature(seed: u8, message: &[u8]) -> Vec<u8> {
    strings(&[b"ssh-ed25519", pair(seed).sign(message).as_ref()])
}

fn host(seed: u8) -> HostKey {
    HostKey::parse(&format!("ssh-ed25519 {} a comment", STANDARD.encode(blob(seed)))).unwrap()
}

/// The parts of a file of a key.
#[derive(Clone)]
struct Stored {
    magic: &'static [u8],
    cipher: &'static [u8],
    keys: u32,
    blob: Vec<u8>,
    checks: [u32; 2],
    kind: &'static [u8],
    public: Vec<u8>,
    secret: Vec<u8>,
    padding: Vec<u8>,
}

impl Stored {
    fn new(seed: u8) -> Self {
        let public = pair(seed).public_key().as_ref().to_vec();
        Self {
            magic: b"openssh-key-v1\0",
            cipher: b"none",
            keys: 1,
            blob: blob(seed),
            checks: [7, 7],
            kind: b"ssh-ed25519",
            secret: [[seed; 32].as_slice(), &public].concat(),
            public,
            padding: vec![1, 2, 3],
        }
    }

    fn file(&self) -> String {
        let [one, other] = self.checks.map(u32::to_be_bytes);
        let parts = strings(&[self.kind, &self.public, &self.secret, b"comment"]);
        let inner = [one.as_slice(), &other, &parts, &self.padding].concat();
        let head = strings(&[self.cipher, b"none", b""]);
        let tail = strings(&[&self.blob, &inner]);
        let whole = [self.magic, &head, &self.keys.to_be_bytes(), &tail].concat();
        let (begin, end) =
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
        format!("{begin}\n{}\n{end}\n", STANDARD.encode(whole))
    }
}

fn identities() -> Vec<Identity> {
    let identity = |seed: u8, hosts: &[u8], users: &[&str]| Identity {
        key: PrivateKey::parse(Stored::new(seed).file().as_bytes()).unwrap(),
        comment: format!("key {seed}"),
        hosts: hosts.iter().map(|seed| host(*seed)).collect(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
    };
    vec![
        identity(1, &[10], &["git", "deploy"]),
        identity(2, &[11], &["root"]),
        identity(1, &[11], &["git"]),
    ]
}

/// `session-bind@openssh.com`.
fn bind(host: u8, session: &[u8], signed: &[u8], forwards: u8) -> Vec<u8> {
    let parts = strings(&[b"session-bind@openssh.com", &blob(host), session, signed]);
    [&[EXTENSION], parts.as_slice(), &[forwards]].concat()
}

/// A request to sign a login, and what it is made of.
#[derive(Clone)]
struct Asked {
    key: Vec<u8>,
    session: &'static [u8],
    kind: u8,
    user: &'static [u8],
    service: &'static [u8],
    method: &'static [u8],
    has: u8,
    algorithm: &'static [u8],
    within: Vec<u8>,
    host: Option<Vec<u8>>,
    behind: &'static [u8],
    flags: u32,
}

impl Asked {
    fn new() -> Self {
        Self {
            key: blob(1),
            session: SESSION,
            kind: USERAUTH_REQUEST,
            user: b"git",
            service: b"ssh-connection",
            method: b"publickey",
            has: 1,
            algorithm: b"ssh-ed25519",
            within: blob(1),
            host: None,
            behind: b"",
            flags: 0,
        }
    }

    fn signed(&self) -> Vec<u8> {
        let mut out = strings(&[self.session]);
        out.push(self.kind);
        out.extend(strings(&[self.user, self.service, self.method]));
        out.push(self.has);
        out.extend(strings(&[self.algorithm, &self.within]));
        out.extend(self.host.iter().flat_map(|host| strings(&[host])));
        out.extend_from_slice(self.behind);
        out
    }

    fn message(&self) -> Vec<u8> {
        let parts = strings(&[&self.key, &self.signed()]);
        [&[SIGN_REQUEST], parts.as_slice(), &self.flags.to_be_bytes()].concat()
    }
}

/// What comes of the last of some messages on one connection.
fn last(messages: &[Vec<u8>]) -> (Vec<u8>, Outcome) {
    let identities = identities();
    let mut session = Session::new(&identities);
    let answers: Vec<_> = messages.iter().map(|message| session.answer(message)).collect();
    let (reply, outcome) = answers.into_iter().next_back().unwrap();
    assert_eq!(reply[..4], u32::try_from(reply.len() - 4).unwrap().to_be_bytes());
    (reply[4..].to_vec(), outcome)
}

fn bound() -> Vec<u8> {
    bind(10, SESSION, &signature(10, SESSION), 0)
}

#[test]
fn named_logins_are_signed() {
    let hostbound: &[u8] = b"publickey-hostbound-v00@openssh.com";
    let second = bind(11, SESSION, &signature(11, SESSION), 0);
    let two = Asked { key: blob(2), within: blob(2), user: b"root", ..Asked::new() };
    for (bound, asked, number, why) in [
        (bound(), Asked::new(), 0, "the first user"),
        (bound(), Asked { user: b"deploy", ..Asked::new() }, 0, "the second"),
        (bound(), Asked { method: hostbound, host: Some(blob(10)), ..Asked::new() }, 0, "bound"),
        (second.clone(), two, 1, "another key there"),
        (second, Asked::new(), 2, "the first key again, there"),
    ] {
        let (reply, outcome) = last(&[bound, asked.message()]);
        let seed = if asked.key == blob(2) { 2 } else { 1 };
        let want = strings(&[&signature(seed, &asked.signed())]);
        assert_eq!(reply, [&[SIGN_RESPONSE], want.as_slice()].concat(), "{why}");
        let user = String::from_utf8_lossy(asked.user).into_owned();
        let host = public::fingerprint(&blob(if number == 0 { 10 } else { 11 }));
        assert_eq!(outcome, Outcome::Signed { identity: number, user, host }, "{why}");
    }
    let again = last(&[bound(), bound(), Asked::new().message(), Asked::new().message()]);
    assert!(matches!(again.1, Outcome::Signed { .. }), "told again, asked again");
}

#[test]
fn other_signatures_are_refused() {
    use Reason::{Algorithm, Host, Key, Malformed, NoLogin, Service, Session as Other, User};
    let good = Asked::new();
    let hostbound: &[u8] = b"publickey-hostbound-v00@openssh.com";
    for (asked, want, why) in [
        (Asked { user: b"root", ..good.clone() }, User, "another user"),
        (Asked { user: b"Git", ..good.clone() }, User, "case counts"),
        (Asked { user: b"git\0", ..good.clone() }, User, "a byte more"),
        (Asked { key: blob(2), within: blob(2), ..good.clone() }, Host, "a key of another host"),
        (Asked { key: blob(9), within: blob(9), ..good.clone() }, Key, "no such key"),
        (Asked { within: blob(2), ..good.clone() }, Key, "another key within"),
        (Asked { session: b"another", ..good.clone() }, Other, "another session"),
        (Asked { service: b"ssh-userauth", ..good.clone() }, Service, "another service"),
        (Asked { kind: 51, ..good.clone() }, NoLogin, "another message"),
        (Asked { method: b"hostbased", ..good.clone() }, NoLogin, "another method"),
        (Asked { method: b"password", ..good.clone() }, NoLogin, "a password"),
        (Asked { method: hostbound, ..good.clone() }, NoLogin, "bound to no host"),
        (Asked { host: Some(blob(10)), ..good.clone() }, NoLogin, "a host where none belongs"),
        (Asked { method: hostbound, host: Some(blob(11)), ..good.clone() }, Host, "another host"),
        (Asked { has: 0, ..good.clone() }, NoLogin, "without a signature"),
        (Asked { has: 2, ..good.clone() }, NoLogin, "another truth"),
        (Asked { behind: b"a", ..good.clone() }, NoLogin, "a byte behind"),
        (Asked { algorithm: b"rsa-sha2-256", ..good.clone() }, Algorithm, "another algorithm"),
        (Asked { flags: 2, ..good.clone() }, Algorithm, "flags of RSA"),
        (Asked { flags: 1, ..good.clone() }, Algorithm, "flags that nobody has"),
    ] {
        let (reply, outcome) = last(&[bound(), asked.message()]);
        let Outcome::Denied(denied) = outcome else { panic!("{why}") };
        assert_eq!((reply, denied.reason), (vec![FAILURE], want), "{why}");
        assert!(denied.host.is_some_and(|host| host.starts_with("SHA256:")), "{why}");
    }
    let (sign, login) = (good.message(), good.signed());
    let raw = |parts: &[&[u8]]| [&[SIGN_REQUEST], strings(parts).as_slice(), &[0; 4]].concat();
    for (message, want, why) in [
        ([sign.as_slice(), b"a"].concat(), Malformed, "a byte behind"),
        (sign[..sign.len() - 1].to_vec(), Malformed, "a byte less"),
        (raw(&[&blob(1), b"SSHSIG\0\0\0\x04file"]), NoLogin, "a signature of a file"),
        (raw(&[&blob(1), b""]), NoLogin, "nothing"),
        (raw(&[&blob(1), &login[..login.len() - 1]]), NoLogin, "most of a login"),
        (raw(&[&blob(1), &login, b"a"]), Malformed, "a string more"),
    ] {
        let (reply, outcome) = last(&[bound(), message]);
        let Outcome::Denied(denied) = outcome else { panic!("{why}") };
        assert_eq!((reply, denied.reason), (vec![FAILURE], want), "{why}");
    }
    let told = Asked { user: b"a\x1b[31m\xff", ..good }.message();
    let Outcome::Denied(denied) = last(&[bound(), told]).1 else { panic!("a user") };
    assert_eq!(denied.user.as_deref(), Some(r"a\u{1b}[31m\u{fffd}"));
}

#[test]
fn a_session_is_its_hosts() {
    use Reason::{Forwarded, HostKind, Malformed, Signature, Unbound};
    let good = signature(10, SESSION);
    let sign = || Asked::new().message();
    let certificate = strings(&[b"ssh-ed25519-cert-v01@openssh.com", b"a"]);
    let certificate = strings(&[b"session-bind@openssh.com", &certificate, SESSION, &good]);
    let certificate = [&[EXTENSION], certificate.as_slice(), &[0]].concat();
    let sha1 = strings(&[b"ssh-rsa", &[1; 256]]);
    for (told, want, why) in [
        (bind(10, SESSION, &signature(11, SESSION), 0), Signature, "another host's signature"),
        (bind(11, SESSION, &good, 0), Signature, "another host's key"),
        (bind(10, b"another", &good, 0), Signature, "another session"),
        (bind(10, SESSION, &sha1, 0), Signature, "another algorithm"),
        (bind(10, SESSION, &good[..good.len() - 1], 0), Signature, "a byte less"),
        (bind(10, SESSION, &[good.as_slice(), b"a"].concat(), 0), Signature, "a byte more"),
        (bind(10, SESSION, &good, 1), Forwarded, "forwarded"),
        (bind(10, SESSION, &good, 2), Malformed, "no truth"),
        (bind(10, b"", &signature(10, b""), 0), Malformed, "no session"),
        ([bound().as_slice(), b"a"].concat(), Malformed, "a byte behind"),
        (certificate, HostKind, "a certificate"),
    ] {
        let (reply, outcome) = last(std::slice::from_ref(&told));
        let Outcome::Denied(denied) = outcome else { panic!("{why}") };
        assert_eq!((reply, denied.reason), (vec![FAILURE], want), "{why}");
        // Nothing makes it good again.
        for after in [vec![told.clone(), sign()], vec![told, bound(), sign()]] {
            let Outcome::Denied(denied) = last(&after).1 else { panic!("{why}") };
            assert_eq!(denied.reason, Forwarded, "{why}");
        }
    }
    let other = bind(11, b"another", &signature(11, b"another"), 0);
    for (messages, want, why) in [
        (vec![sign()], Unbound, "before"),
        (vec![bound(), other.clone()], Forwarded, "a second session"),
        (vec![bound(), other.clone(), sign()], Forwarded, "after it"),
        (vec![bound(), other, vec![REQUEST_IDENTITIES]], Forwarded, "nor a list"),
    ] {
        let Outcome::Denied(denied) = last(&messages).1 else { panic!("{why}") };
        assert_eq!(denied.reason, want, "{why}");
    }
}

#[test]
fn keys_are_listed_and_nothing_else_is_done() {
    let (reply, outcome) = last(&[vec![REQUEST_IDENTITIES]]);
    assert_eq!(outcome, Outcome::Listed);
    let all: [&[u8]; 6] = [&blob(1), b"key 1", &blob(2), b"key 2", &blob(1), b"key 1"];
    assert_eq!(reply, [&[IDENTITIES_ANSWER, 0, 0, 0, 3], strings(&all).as_slice()].concat());
    let extension = |name: &[u8]| [&[EXTENSION], strings(&[name]).as_slice()].concat();
    for (message, want) in [
        (extension(b"query"), Reason::Extension),
        (extension(b"restrict-destination-v00@openssh.com"), Reason::Extension),
        (extension(b"session-bind@openssh.com"), Reason::Malformed),
        (vec![EXTENSION], Reason::Extension),
        (vec![REQUEST_IDENTITIES, 0], Reason::Malformed),
        (vec![SIGN_REQUEST], Reason::Malformed),
        (Vec::new(), Reason::Malformed),
    ] {
        let (reply, outcome) = last(std::slice::from_ref(&message));
        assert_eq!(reply, [FAILURE], "{message:?}");
        assert_eq!(outcome, Outcome::Denied(want.into()), "{message:?}");
    }
    for kind in (0..=u8::MAX).filter(|kind| ![11, 13, 27].contains(kind)) {
        let answer = last(&[bound(), vec![kind]]);
        assert_eq!(answer, (vec![FAILURE], Outcome::Denied(Reason::Message.into())), "{kind}");
    }
}

#[test]
fn messages_are_cut_from_bytes() {
    let messages = [vec![11], bound(), Asked::new().message()];
    let whole: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    let read = |pieces: &[&[u8]]| {
        let (mut frames, mut found) = (Frames::new(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let (taken, message) = frames.feed(rest).unwrap();
                rest = &rest[taken..];
                match message {
                    Some(message) => found.push(message),
                    None => break,
                }
            }
            assert!(rest.is_empty());
        }
        found
    };
    assert_eq!(read(&[&whole]), messages);
    assert_eq!(read(&whole.chunks(1).collect::<Vec<_>>()), messages);
    for at in 0..=whole.len() {
        let (before, after) = whole.split_at(at);
        assert_eq!(read(&[before, after]), messages, "at {at}");
    }
    let most = u32::try_from(FRAME_BYTES_MAX).unwrap();
    for (length, fits) in
        [(1, true), (most, true), (0, false), (most + 1, false), (u32::MAX, false)]
    {
        let mut frames = Frames::new();
        let got = frames.feed(&length.to_be_bytes());
        assert_eq!(got, if fits { Ok((4, None)) } else { Err(TooLong) }, "{length}");
        assert_eq!(frames.feed(b"").is_ok(), fits, "for ever: {length}");
    }
}

#[test]
fn files_of_keys_are_read_in_one_way() {
    use KeyFault::{Encrypted, Form, Kind, Numbers, Other};
    let good = Stored::new(1);
    let file = good.file();
    let mut odd = good.clone();
    odd.secret[40] ^= 1;
    let parsed = |file: &str| PrivateKey::parse(file.as_bytes()).map(|key| key.blob().to_vec());
    for (file, want, why) in [
        (file.clone(), Ok(blob(1)), "as it is written"),
        (file.replace('\n', "\r\n"), Ok(blob(1)), "lines of two bytes"),
        (Stored { padding: Vec::new(), ..good.clone() }.file(), Ok(blob(1)), "no padding"),
        (String::new(), Err(Form), "nothing"),
        (format!("a{file}"), Err(Form), "a letter before"),
        (format!("{file}a"), Err(Form), "a letter behind"),
        (file.replace("-----\n", "-----\n "), Err(Form), "a blank"),
        (file.replace("OPENSSH ", "RSA "), Err(Other), "an older form"),
        (file.replace("OPENSSH ", ""), Err(Other), "PKCS #8"),
        (
            Stored { magic: b"openssh-key-v2\0", ..good.clone() }.file(),
            Err(Form),
            "another version",
        ),
        (Stored { cipher: b"aes256-ctr", ..good.clone() }.file(), Err(Encrypted), "encrypted"),
        (Stored { keys: 2, ..good.clone() }.file(), Err(Form), "two keys"),
        (Stored { checks: [7, 8], ..good.clone() }.file(), Err(Form), "two checks"),
        (Stored { blob: blob(2), ..good.clone() }.file(), Err(Form), "another public key"),
        (Stored { kind: b"ssh-dss", ..good.clone() }.file(), Err(Kind), "DSA"),
        (Stored { kind: b"ecdsa-sha2-nistp256", ..good.clone() }.file(), Err(Form), "another kind"),
        (Stored { padding: vec![1, 3], ..good.clone() }.file(), Err(Form), "odd padding"),
        (Stored { padding: (1..=17).collect(), ..good }.file(), Err(Form), "long padding"),
        (odd.file(), Err(Numbers), "numbers that do not fit"),
    ] {
        assert_eq!(parsed(&file), want, "{why}");
    }
    let shown = format!("{:?}", identities());
    assert!(shown.contains("PrivateKey") && !shown.contains("01, 01"), "{shown}");
}

#[test]
fn keys_of_hosts_are_read_in_one_way() {
    let line = |kind: &str, blob: &[u8]| format!("{kind} {}", STANDARD.encode(blob));
    let p256 = [&[4_u8][..], &[1; 64]].concat();
    let short = strings(&[b"ssh-ed25519", &[1; 31]]);
    let (e, n): (&[u8], &[u8]) = (&[1, 0, 1], &[&[0, 0x80][..], &[1; 255]].concat());
    for (line, want, why) in [
        (line("ssh-ed25519", &blob(1)), Ok(()), "Ed25519"),
        (
            line("ecdsa-sha2-nistp256", &strings(&[b"ecdsa-sha2-nistp256", b"nistp256", &p256])),
            Ok(()),
            "ECDSA",
        ),
        (line("ssh-rsa", &strings(&[b"ssh-rsa", e, n])), Ok(()), "RSA"),
        (line("ssh-rsa", &strings(&[b"ssh-rsa", e, &n[1..]])), Err(KeyFault::Form), "below zero"),
        (
            line("ssh-rsa", &strings(&[b"ssh-rsa", &[0, 3], n])),
            Err(KeyFault::Form),
            "a zero before",
        ),
        (
            line("ecdsa-sha2-nistp256", &strings(&[b"ecdsa-sha2-nistp256", b"nistp384", &p256])),
            Err(KeyFault::Form),
            "two curves",
        ),
        (
            line("ecdsa-sha2-nistp384", &strings(&[b"ecdsa-sha2-nistp384", b"nistp384", &p256])),
            Err(KeyFault::Form),
            "too short",
        ),
        (
            line("ecdsa-sha2-nistp521", &strings(&[b"ecdsa-sha2-nistp521"])),
            Err(KeyFault::Kind),
            "P-521",
        ),
        (line("ssh-rsa", &blob(1)), Err(KeyFault::Form), "two kinds"),
        (line("ssh-ed25519", &short), Err(KeyFault::Form), "too short"),
        (
            line("ssh-ed25519", &[blob(1).as_slice(), b"a"].concat()),
            Err(KeyFault::Form),
            "a byte behind",
        ),
        ("ssh-ed25519".into(), Err(KeyFault::Form), "no key"),
        (format!("{}!", line("ssh-ed25519", &blob(1))), Err(KeyFault::Form), "no base64"),
        (format!("host {}", line("ssh-ed25519", &blob(1))), Err(KeyFault::Form), "a host's name"),
    ] {
        assert_eq!(HostKey::parse(&line).map(drop), want, "{why}: {line}");
    }
}
