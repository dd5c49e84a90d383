//! Messages to an agent: what is signed is one of the few requests that the policy allows, byte for byte, and
//! how the bytes are cut changes nothing.

#![no_main]

use cofferdam_gateway::agent::{Frames, HostKey, Identity, Outcome, PrivateKey, Session};
use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const SESSION: &[u8] = b"session";
const USERS: [&str; 2] = ["git", "root"];
const METHODS: [&str; 2] = ["publickey", "publickey-hostbound-v00@openssh.com"];
/// The key of the seed of 32 times 1.
const FILE: &str = include_str!("agent/key");

fn host() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[2; 32]).expect("a seed")
}

fn strings(strings: &[&[u8]]) -> Vec<u8> {
    let one = |string: &&[u8]| {
        let length = u32::try_from(string.len()).expect("short").to_be_bytes();
        [length.as_slice(), string].concat()
    };
    strings.iter().flat_map(one).collect()
}

fn host_blob() -> Vec<u8> {
    strings(&[b"ssh-ed25519", host().public_key().as_ref()])
}

/// Every message that may be signed once the session is bound.
fn allowed(key: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for user in USERS {
        for method in METHODS {
            let mut login = strings(&[SESSION]);
            login.push(50);
            login.extend(strings(&[user.as_bytes(), b"ssh-connection", method.as_bytes()]));
            login.push(1);
            login.extend(strings(&[b"ssh-ed25519", key]));
            if method != "publickey" {
                login.extend(strings(&[&host_blob()]));
            }
            let asked = strings(&[key, &login]);
            all.push([&[13], asked.as_slice(), &[0; 4]].concat());
        }
    }
    all
}

fn messages(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<Vec<u8>> {
    let (mut frames, mut found) = (Frames::new(), Vec::new());
    for piece in pieces {
        let mut rest = piece;
        loop {
            let Ok((taken, message)) = frames.feed(rest) else { return found };
            rest = &rest[taken..];
            match message {
                Some(message) => found.push(message),
                None => break,
            }
        }
        assert!(rest.is_empty(), "all is taken");
    }
    found
}

/// The first byte says where the session is bound: before the message of this number.
fn drive(bytes: &[u8], identities: &[Identity]) {
    let Some((bind, bytes)) = bytes.split_first() else { return };
    let whole = messages(&mut std::iter::once(bytes));
    assert_eq!(whole, messages(&mut bytes.chunks(1)), "byte by byte");
    assert_eq!(whole, messages(&mut bytes.chunks(7)), "in pieces");

    let signature = strings(&[b"ssh-ed25519", host().sign(SESSION).as_ref()]);
    let name: &[u8] = b"session-bind@openssh.com";
    let bound = strings(&[name, &host_blob(), SESSION, &signature]);
    let bound = [&[27], bound.as_slice(), &[0]].concat();
    let mut session = Session::new(identities);
    let allowed = allowed(identities[0].key.blob());
    let (mut is_bound, mut is_spoiled) = (false, false);
    for (at, message) in whole.iter().enumerate() {
        if at == usize::from(*bind) {
            let (_, outcome) = session.answer(&bound);
            assert_eq!(outcome == Outcome::Bound, !is_spoiled, "the first word counts");
            is_bound = !is_spoiled;
        }
        let is_bind =
            message.first() == Some(&27) && message.get(1..29) == Some(strings(&[name]).as_slice());
        let (reply, outcome) = session.answer(message);
        let length = reply.first_chunk().map(|length| u32::from_be_bytes(*length));
        assert_eq!(length, u32::try_from(reply.len() - 4).ok(), "the length of a reply");
        match outcome {
            Outcome::Signed { identity, .. } => {
                assert_eq!((reply[4], identity), (14, 0));
                assert!(is_bound && !is_spoiled && allowed.contains(message), "{message:?}");
            }
            Outcome::Listed => assert_eq!((reply[4], message.as_slice()), (12, &[11][..])),
            // Nobody but the host can say so: these bytes have its signature.
            Outcome::Bound => {
                assert_eq!((reply[4], message), (6, &bound));
                is_bound = true;
            }
            Outcome::Denied(_) => {
                assert_eq!(reply[4..], [5]);
                let signs = is_bound && !is_spoiled && allowed.contains(message);
                assert!(!signs, "what is allowed is signed");
                is_spoiled |= is_bind;
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    thread_local! {
        static IDENTITIES: Vec<Identity> = {
            let file = strings(&[&host_blob()]);
            let line = format!("ssh-ed25519 {}", base64(&file[4..]));
            vec![Identity {
                key: PrivateKey::parse(FILE.as_bytes()).expect("a key"),
                comment: "a key".into(),
                hosts: vec![HostKey::parse(&line).expect("a host")],
                users: USERS.map(str::to_owned).to_vec(),
            }]
        };
    }
    IDENTITIES.with(|identities| drive(bytes, identities));
    // Files and lines are read without a fault of ours.
    let _key = PrivateKey::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _host = HostKey::parse(text);
    }
});

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let whole = (0..3)
            .fold(0_usize, |all, at| all << 8 | usize::from(three.get(at).copied().unwrap_or(0)));
        let letter = |at: usize| char::from(LETTERS[whole >> (18 - 6 * at) & 63]);
        (0..4).map(|at| if at <= three.len() { letter(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
