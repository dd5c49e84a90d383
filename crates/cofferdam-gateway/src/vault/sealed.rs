//! What is in a vault's file: an age file (<https://c2sp.org/age>) of a small JSON object.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::Name;
use super::folder::FILE_BYTES_MAX;
use super::members::Members;
use super::secret::{SECRET_BYTES_MAX, Secret};

/// Most secrets of a vault.
pub(super) const SECRETS_MAX: usize = 1_024;
const VERSION: u32 = 1;
/// The work of a passphrase, as a power of two: 128 MiB and half a second.
const WORK: u8 = 17;
/// The most that is done for a file that somebody else made: 1 GiB.
const WORK_MAX: u8 = 20;
/// Keys in a key file: the one that holds, and the one before it.
const KEYS_MAX: usize = 2;

/// Why a file is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SealFault {
    /// It is no such file, or is not whole.
    Corrupt(&'static str),
    /// What is given opens another file.
    Other,
}

/// What opens a vault.
pub(super) enum Opens<'a> {
    Keys(&'a Keys),
    Passphrase(&'a Secret),
}

/// The keys of a key file, of which the first is the one that new versions are sealed to.
pub(super) struct Keys(Vec<x25519::Identity>);

impl Keys {
    /// A new one.
    pub(super) fn new() -> Self {
        Self(vec![x25519::Identity::generate()])
    }

    /// A new one before the one that holds now.
    pub(super) fn before(mut self) -> Self {
        self.0.insert(0, x25519::Identity::generate());
        self.0.truncate(KEYS_MAX);
        self
    }

    /// The first alone.
    pub(super) fn newest(mut self) -> Self {
        self.0.truncate(1);
        self
    }

    /// An age identity file of X25519 keys.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Result<Vec<_>, _> =
            lines.take(KEYS_MAX + 1).map(x25519::Identity::from_str).collect();
        match keys {
            Ok(keys) if keys.len() > KEYS_MAX => Err("it holds more than two keys"),
            Ok(keys) if keys.is_empty() => Err("it holds no key"),
            Ok(keys) => Ok(Self(keys)),
            Err(_) => Err("a line of it is no key of age's"),
        }
    }

    pub(super) fn text(&self) -> Zeroizing<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.0.len() * 128));
        for key in &self.0 {
            text.extend_from_slice(key.to_string().expose_secret().as_bytes());
            text.push(b'\n');
        }
        text
    }
}

/// The secrets of a vault.
#[derive(Debug, Default)]
pub(super) struct Contents(pub(super) BTreeMap<Name, Secret>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    version: u32,
    #[serde(borrow)]
    secrets: Members<'a, &'a str>,
}

impl Contents {
    fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        const NOT: &str = "what is in it is no list of secrets of this version";
        let plain: Plain<'_> = serde_json::from_slice(bytes).map_err(|_| NOT)?;
        if plain.version != VERSION {
            return Err("a newer cofferdam wrote it");
        }
        let mut secrets = BTreeMap::new();
        for (name, value) in plain.secrets.0 {
            let name = Name::parse(&name).map_err(|_| NOT)?;
            let mut bytes = Zeroizing::new(vec![0; value.len()]);
            let length = STANDARD.decode_slice(value, &mut bytes).map_err(|_| NOT)?;
            let secret = Secret::of(bytes.get(..length).unwrap_or_default()).map_err(|_| NOT)?;
            secrets.insert(name, secret);
        }
        if secrets.len() > SECRETS_MAX {
            Err("it holds too many secrets")
        } else {
            Ok(Self(secrets))
        }
    }

    /// The same bytes for the same secrets. The room is made at once.
    fn write(&self) -> Option<Zeroizing<Vec<u8>>> {
        const ROOM: usize = 64;
        let each = |(name, secret): (&Name, &Secret)| {
            name.as_str().len() + secret.expose().len().div_ceil(3) * 4 + ROOM
        };
        let room = self.0.iter().map(each).sum::<usize>() + ROOM;
        let mut encoded = Zeroizing::new(vec![0; SECRET_BYTES_MAX.div_ceil(3) * 4]);
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        text.extend_from_slice(br#"{"version":1,"secrets":{"#);
        for (at, (name, secret)) in self.0.iter().enumerate() {
            let between = if at == 0 { "\"" } else { ",\"" };
            let length = STANDARD.encode_slice(secret.expose(), &mut encoded).ok()?;
            for piece in [between.as_bytes(), name.as_str().as_bytes(), b"\":\""] {
                text.extend_from_slice(piece);
            }
            text.extend_from_slice(encoded.get(..length)?);
            text.push(b'"');
        }
        text.extend_from_slice(b"}}");
        Some(text)
    }

    /// Opens a vault's file.
    pub(super) fn open(file: &[u8], by: &Opens<'_>) -> Result<Self, SealFault> {
        let sealed = Decryptor::new_buffered(file).map_err(|error| fault(&error))?;
        let passphrase;
        let identities: Vec<&dyn Identity> = match by {
            Opens::Keys(keys) => keys.0.iter().map(|key| key as &dyn Identity).collect(),
            Opens::Passphrase(words) => {
                let mut made = scrypt::Identity::new(phrase(words).ok_or(SealFault::Other)?);
                made.set_max_work_factor(WORK_MAX);
                passphrase = made;
                vec![&passphrase]
            }
        };
        let opened = sealed.decrypt(identities.into_iter());
        let mut opened = opened.map_err(|error| match (by, fault(&error)) {
            // A wrong passphrase does not open the file's key.
            (Opens::Passphrase(_), _) if matches!(error, DecryptError::DecryptionFailed) => {
                SealFault::Other
            }
            (_, fault) => fault,
        })?;
        let mut plain = Zeroizing::new(Vec::with_capacity(file.len()));
        let read = opened.by_ref().take(FILE_BYTES_MAX as u64).read_to_end(&mut plain);
        read.map_err(|_| SealFault::Corrupt("it is not whole"))?;
        Self::read(&plain).map_err(SealFault::Corrupt)
    }

    /// Makes a vault's file; `None` where the secrets are too many for one.
    pub(super) fn seal(&self, to: &Opens<'_>) -> Option<Vec<u8>> {
        if self.0.len() > SECRETS_MAX {
            return None;
        }
        let plain = self.write()?;
        let recipient: Box<dyn Recipient> = match to {
            Opens::Keys(keys) => Box::new(keys.0.first()?.to_public()),
            Opens::Passphrase(words) => {
                let mut made = scrypt::Recipient::new(phrase(words)?);
                made.set_work_factor(WORK);
                Box::new(made)
            }
        };
        let sealed = Encryptor::with_recipients([&*recipient].into_iter()).ok()?;
        let mut file = Vec::new();
        let mut into = sealed.wrap_output(&mut file).ok()?;
        into.write_all(&plain).ok()?;
        into.finish().ok()?;
        (file.len() <= FILE_BYTES_MAX).then_some(file)
    }
}

/// Whether a passphrase opens a file.
pub(super) fn has_passphrase(file: &[u8]) -> Result<bool, SealFault> {
    let sealed = Decryptor::new_buffered(file).map_err(|error| fault(&error))?;
    Ok(sealed.is_scrypt())
}

/// A passphrase is text.
fn phrase(words: &Secret) -> Option<SecretString> {
    std::str::from_utf8(words.expose()).ok().map(|words| words.to_owned().into())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "features of age add arms that are not ours")]
const fn fault(error: &DecryptError) -> SealFault {
    match error {
        DecryptError::NoMatchingKeys => SealFault::Other,
        DecryptError::ExcessiveWork { .. } => {
            SealFault::Corrupt("its passphrase asks for more work than is done")
        }
        _ => SealFault::Corrupt("it is no whole age file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(rows: &[(&str, &[u8])]) -> Contents {
        let row = |(name, value): &(&str, &[u8])| {
            (Name::parse(name).unwrap(), Secret::of(value).unwrap())
        };
        Contents(rows.iter().map(row).collect())
    }

    fn rows(contents: &Contents) -> Vec<(String, Vec<u8>)> {
        let row =
            |(name, value): (&Name, &Secret)| (name.as_str().to_owned(), value.expose().to_vec());
        contents.0.iter().map(row).collect()
    }

    #[test]
    fn the_plaintext_is_read_strictly() {
        let good = br#"{"version":1,"secrets":{"a":"YQ==","b":"YmI="}}"#;
        let read = Contents::read(good).unwrap();
        assert_eq!(rows(&read), [("a".into(), b"a".to_vec()), ("b".into(), b"bb".to_vec())]);
        assert_eq!(*read.write().unwrap(), good, "and written the same");
        assert!(rows(&Contents::read(br#"{ "version": 1, "secrets": { } }"#).unwrap()).is_empty());
        for (bytes, why) in [
            (&br#"{"version":1,"secrets":{"a":"YQ==","a":"Yg=="}}"#[..], "a name twice"),
            (br#"{"version":1,"secrets":{"a":"YQ=="},"more":1}"#, "an unknown member"),
            (br#"{"version":1,"version":1,"secrets":{}}"#, "a member twice"),
            (br#"{"secrets":{}}"#, "no version"),
            (br#"{"version":2,"secrets":{}}"#, "another version"),
            (br#"{"version":1}"#, "no secrets"),
            (br#"{"version":1,"secrets":{"A":"YQ=="}}"#, "no name"),
            (br#"{"version":1,"secrets":{"a":"YQ"}}"#, "no padding"),
            (br#"{"version":1,"secrets":{"a":"YR=="}}"#, "bits behind the end"),
            (br#"{"version":1,"secrets":{"a":""}}"#, "an empty secret"),
            (br#"{"version":1,"secrets":{"a":"DQ=="}}"#, "a control byte"),
            (br#"{"version":1,"secrets":{"a":1}}"#, "no string"),
            (br#"{"version":1,"secrets":{}} "x""#, "something behind it"),
            (br#"[]"#, "another type"),
            (b"", "nothing"),
        ] {
            assert!(Contents::read(bytes).is_err(), "{why}");
        }
    }

    #[test]
    fn keys_open_what_is_sealed_to_them_and_no_more() {
        let keys = Keys::new();
        let all = contents(&[("a", b"one"), ("b", b"two\nlines")]);
        let file = all.seal(&Opens::Keys(&keys)).unwrap();
        assert!(file.starts_with(b"age-encryption.org/v1\n-> X25519 "), "any age reads it");
        assert!(!has_passphrase(&file).unwrap());
        let read = Keys::read(&keys.text()).unwrap();
        let opened = Contents::open(&file, &Opens::Keys(&read)).unwrap();
        assert_eq!(rows(&opened), rows(&all));
        let other = Contents::open(&file, &Opens::Keys(&Keys::new())).unwrap_err();
        assert_eq!(other, SealFault::Other);
        // The key before opens it, and a version sealed now is the newest's.
        let keys = keys.before();
        assert!(Contents::open(&file, &Opens::Keys(&keys)).is_ok());
        let file = all.seal(&Opens::Keys(&keys)).unwrap();
        assert!(Contents::open(&file, &Opens::Keys(&read)).is_err(), "the key before does not");
        assert!(Contents::open(&file, &Opens::Keys(&keys.newest())).is_ok());
    }

    #[test]
    fn a_passphrase_opens_it_and_no_other_does() {
        let words = Secret::of("korrekt pf\u{e4}rd".as_bytes()).unwrap();
        let all = contents(&[("a", b"one")]);
        let file = all.seal(&Opens::Passphrase(&words)).unwrap();
        assert!(has_passphrase(&file).unwrap());
        assert_eq!(rows(&Contents::open(&file, &Opens::Passphrase(&words)).unwrap()), rows(&all));
        for other in [&b"korrekt"[..], b"\xff\xfe"] {
            let other = Secret::of(other).unwrap();
            let opened = Contents::open(&file, &Opens::Passphrase(&other));
            assert_eq!(opened.unwrap_err(), SealFault::Other);
        }
        let opened = Contents::open(&file, &Opens::Keys(&Keys::new()));
        assert_eq!(opened.unwrap_err(), SealFault::Other, "a key is no passphrase");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_noticed() {
        let keys = Keys::new();
        let file = contents(&[("a", b"one")]).seal(&Opens::Keys(&keys)).unwrap();
        assert!(Contents::open(&file, &Opens::Keys(&keys)).is_ok());
        for length in 0..file.len() {
            assert!(Contents::open(&file[..length], &Opens::Keys(&keys)).is_err(), "{length}");
        }
        for at in 0..file.len() {
            let mut file = file.clone();
            file[at] ^= 1;
            assert!(Contents::open(&file, &Opens::Keys(&keys)).is_err(), "byte {at}");
        }
        let longer = [&file[..], b"\n"].concat();
        assert!(Contents::open(&longer, &Opens::Keys(&keys)).is_err(), "a byte more");
    }

    #[test]
    fn what_a_key_file_is() {
        let one = Keys::new().text();
        let three = [&one[..], &Keys::new().text(), &Keys::new().text()].concat();
        let two = three[..one.len() * 2].to_vec();
        let crlf = [&one[..one.len() - 1], b"\r\n"].concat();
        for (bytes, works, why) in [
            (&one[..], true, "one key"),
            (&two, true, "two"),
            (&[b"# made by hand\n\n", &one[..]].concat(), true, "a remark, as age-keygen writes"),
            (&crlf, true, "a line end of another system"),
            (&three, false, "three"),
            (b"", false, "none"),
            (&one[..one.len() / 2], false, "half of one"),
            (b"\xff", false, "no text"),
            (b"age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq\n", false, "a public one"),
        ] {
            assert_eq!(Keys::read(bytes).is_ok(), works, "{why}");
        }
    }
}
