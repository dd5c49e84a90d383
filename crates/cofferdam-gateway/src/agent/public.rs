//! Keys of hosts, and what they have signed (RFC 4253, 6.6; RFC 5656; RFC 8332; RFC 8709).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};

use super::wire::Reader;
use super::{KeyFault, Reason};

/// A host's public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    blob: Vec<u8>,
}

impl HostKey {
    /// The key of a line as `ssh-keyscan(1)` and files of public keys have it, without the host's name: its
    /// kind and its base64; what follows says nothing.
    ///
    /// # Errors
    /// It is no such line, or a key of another kind than is verified here.
    pub fn parse(line: &str) -> Result<Self, KeyFault> {
        let mut words = line.split_ascii_whitespace();
        let (kind, coded) = (words.next(), words.next());
        let (Some(kind), Some(coded)) = (kind, coded) else { return Err(KeyFault::Form) };
        let blob = STANDARD.decode(coded).map_err(|_| KeyFault::Form)?;
        let mut from = Reader::new(&blob);
        if from.string() != Some(kind.as_bytes()) {
            return Err(KeyFault::Form);
        }
        match key(&blob) {
            Ok(_) => Ok(Self { blob }),
            Err(Reason::HostKind) => Err(KeyFault::Kind),
            Err(_) => Err(KeyFault::Form),
        }
    }

    /// As the protocol has it.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }
}

/// As OpenSSH shows a key.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, blob);
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

/// The parts of a key.
enum Key<'k> {
    Ed25519(&'k [u8]),
    Ecdsa(Curve, &'k [u8]),
    Rsa { n: &'k [u8], e: &'k [u8] },
}

/// Where keys of ECDSA are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

impl Curve {
    /// Bytes of one coordinate.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    pub(super) const fn algorithm(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-sha2-nistp256",
            Self::P384 => "ecdsa-sha2-nistp384",
        }
    }

    /// As `algorithm` ends.
    pub(super) fn of(algorithm: &[u8]) -> Option<Self> {
        let all = [Self::P256, Self::P384];
        all.into_iter().find(|curve| curve.algorithm().as_bytes() == algorithm)
    }

    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::P256 => b"nistp256",
            Self::P384 => b"nistp384",
        }
    }
}

fn key(blob: &[u8]) -> Result<Key<'_>, Reason> {
    let mut from = Reader::new(blob);
    let kind = from.string().ok_or(Reason::Malformed)?;
    let found = match kind {
        b"ssh-ed25519" => from.string().filter(|key| key.len() == 32).map(Key::Ed25519),
        b"ssh-rsa" => match (from.mpint(), from.mpint()) {
            (Some(e), Some(n)) => Some(Key::Rsa { n, e }),
            _ => None,
        },
        _ => {
            let curve = Curve::of(kind).ok_or(Reason::HostKind)?;
            let name = from.string();
            // Uncompressed alone (RFC 5656, 3.1).
            let is_point =
                |point: &&[u8]| point.len() == 2 * curve.bytes() + 1 && point.first() == Some(&4);
            let point = from.string().filter(is_point).filter(|_| name == Some(curve.name()));
            point.map(|point| Key::Ecdsa(curve, point))
        }
    };
    found.filter(|_| from.is_done()).ok_or(Reason::Malformed)
}

/// Whether the key has signed the message. RSA with SHA-1 has not.
pub(super) fn verify(blob: &[u8], message: &[u8], signed: &[u8]) -> Result<(), Reason> {
    let mut from = Reader::new(signed);
    let (algorithm, value) = (from.string(), from.string());
    let (Some(algorithm), Some(value)) = (algorithm, value) else { return Err(Reason::Signature) };
    if !from.is_done() {
        return Err(Reason::Signature);
    }
    let with = |by: &'static dyn VerificationAlgorithm, key: &[u8], value: &[u8]| {
        UnparsedPublicKey::new(by, key).verify(message, value).map_err(|_| Reason::Signature)
    };
    match (key(blob)?, algorithm) {
        (Key::Ed25519(key), b"ssh-ed25519") => with(&signature::ED25519, key, value),
        (Key::Ecdsa(curve, key), algorithm) if algorithm == curve.algorithm().as_bytes() => {
            let value = fixed(curve, value).ok_or(Reason::Signature)?;
            match curve {
                Curve::P256 => with(&signature::ECDSA_P256_SHA256_FIXED, key, &value),
                Curve::P384 => with(&signature::ECDSA_P384_SHA384_FIXED, key, &value),
            }
        }
        (Key::Rsa { n, e }, b"rsa-sha2-256" | b"rsa-sha2-512") => {
            let by = match algorithm {
                b"rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => &signature::RSA_PKCS1_2048_8192_SHA512,
            };
            let verified = RsaPublicKeyComponents { n, e }.verify(by, message, value);
            verified.map_err(|_| Reason::Signature)
        }
        (Key::Ed25519(_) | Key::Ecdsa(..) | Key::Rsa { .. }, _) => Err(Reason::Signature),
    }
}

/// Both numbers of an ECDSA signature, each as long as a coordinate.
fn fixed(curve: Curve, value: &[u8]) -> Option<Vec<u8>> {
    let mut from = Reader::new(value);
    let (r, s) = (from.mpint()?, from.mpint()?);
    let mut out = Vec::with_capacity(2 * curve.bytes());
    for number in [r, s] {
        out.resize(out.len() + curve.bytes().checked_sub(number.len())?, 0);
        out.extend_from_slice(number);
    }
    from.is_done().then_some(out)
}
