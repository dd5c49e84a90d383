//! Private keys as OpenSSH stores them (PROTOCOL.key), and their signatures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

use super::KeyFault;
use super::public::Curve;
use super::wire::{Reader, put, put_mpint};

/// Longest file of a key. Bytes. One of RSA with 8,192 bits has 6,400.
const FILE_BYTES_MAX: usize = 16 * 1024;
/// Which hash a client asks of a key of RSA (draft-ietf-sshm-ssh-agent, 4.6.1).
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// A key that signs. `Debug` shows none of it.
pub struct PrivateKey {
    blob: Vec<u8>,
    secret: Secret,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// Reads a file of `ssh-keygen(1)`: one key without a passphrase.
    ///
    /// # Errors
    /// It is another file, has a passphrase, or is a key of a kind or size that does not sign here.
    pub fn parse(file: &[u8]) -> Result<Self, KeyFault> {
        let bytes = unarmoured(file)?;
        let mut from = Reader::new(&bytes);
        if from.take(15) != Some(b"openssh-key-v1\0") {
            return Err(KeyFault::Form);
        }
        let (cipher, derivation, salt) = (from.string(), from.string(), from.string());
        if cipher.is_none_or(|cipher| cipher != b"none") || derivation != Some(b"none") {
            return Err(KeyFault::Encrypted);
        }
        let is_one = salt.is_some_and(<[u8]>::is_empty) && from.number() == Some(1);
        let blob = from.string().filter(|_| is_one).ok_or(KeyFault::Form)?;
        let inner = from.string().filter(|_| from.is_done()).ok_or(KeyFault::Form)?;

        let mut from = Reader::new(inner);
        let (first, second) = (from.number(), from.number());
        let kind = from.string().filter(|_| first == second).ok_or(KeyFault::Form)?;
        let (public, secret) = match kind {
            b"ssh-ed25519" => ed25519(&mut from)?,
            b"ssh-rsa" => rsa(&mut from)?,
            _ => ecdsa(Curve::of(kind).ok_or(KeyFault::Kind)?, &mut from)?,
        };
        from.string().ok_or(KeyFault::Form)?;
        let is_padding = from.rest().iter().zip(1_u8..).all(|(byte, at)| *byte == at);
        if !is_padding || from.rest().len() > 16 || public != blob {
            return Err(KeyFault::Form);
        }
        let key = Self { blob: public, secret };
        // Some of a key of RSA is looked at only when it signs.
        let tried = key.algorithm(if kind == b"ssh-rsa" { RSA_SHA2_256 } else { 0 });
        let tried = tried.and_then(|algorithm| key.sign(algorithm, b""));
        tried.map(|_| key).ok_or(KeyFault::Numbers)
    }

    /// The public key, as the protocol has it.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// How it signs where a client gives these flags.
    pub(super) const fn algorithm(&self, flags: u32) -> Option<&'static str> {
        match (&self.secret, flags) {
            (Secret::Ed25519(_), 0) => Some("ssh-ed25519"),
            (Secret::Ecdsa(curve, _), 0) => Some(curve.algorithm()),
            (Secret::Rsa(_), RSA_SHA2_256) => Some("rsa-sha2-256"),
            (Secret::Rsa(_), RSA_SHA2_512) => Some("rsa-sha2-512"),
            (Secret::Ed25519(_) | Secret::Ecdsa(..) | Secret::Rsa(_), _) => None,
        }
    }

    /// Signs; `None` where the system gives no random bytes.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let value = match &self.secret {
            Secret::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Secret::Ecdsa(curve, key) => {
                let signature = key.sign(&random, message).ok()?;
                let (r, s) = signature.as_ref().split_at_checked(curve.bytes())?;
                let mut value = Vec::new();
                put_mpint(&mut value, r);
                put_mpint(&mut value, s);
                value
            }
            Secret::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match algorithm {
                    "rsa-sha2-256" => &signature::RSA_PKCS1_SHA256,
                    _ => &signature::RSA_PKCS1_SHA512,
                };
                let mut value = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut value).ok()?;
                value
            }
        };
        let mut out = Vec::new();
        put(&mut out, algorithm.as_bytes());
        put(&mut out, &value);
        Some(out)
    }
}

/// What stands in base64 between the two lines.
fn unarmoured(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let text = std::str::from_utf8(file).map_err(|_| KeyFault::Form)?;
    if text.len() > FILE_BYTES_MAX {
        return Err(KeyFault::Form);
    }
    let text = text.trim_ascii();
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let inner = text.strip_prefix(begin).and_then(|text| text.strip_suffix(end));
    let Some(inner) = inner else {
        let is_other = text.starts_with("-----BEGIN ") && !text.starts_with(begin);
        return Err(if is_other { KeyFault::Other } else { KeyFault::Form });
    };
    let kept = inner.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    // Large enough at once: what grows leaves a copy behind.
    let mut coded = Zeroizing::new(Vec::with_capacity(inner.len()));
    coded.extend(kept);
    let mut bytes = Zeroizing::new(vec![0; inner.len()]);
    let length = STANDARD.decode_slice(coded.as_slice(), &mut bytes).map_err(|_| KeyFault::Form)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn ed25519(from: &mut Reader<'_>) -> Result<(Vec<u8>, Secret), KeyFault> {
    let (public, both) = (from.string(), from.string());
    let (Some(public), Some(both)) = (public, both) else { return Err(KeyFault::Form) };
    let (seed, again) = both.split_at_checked(32).ok_or(KeyFault::Form)?;
    let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
    let pair = pair.ok().filter(|_| again == public).ok_or(KeyFault::Numbers)?;
    let mut blob = Vec::new();
    put(&mut blob, b"ssh-ed25519");
    put(&mut blob, public);
    Ok((blob, Secret::Ed25519(pair)))
}

fn ecdsa(curve: Curve, from: &mut Reader<'_>) -> Result<(Vec<u8>, Secret), KeyFault> {
    let (name, point, number) = (from.string(), from.string(), from.mpint());
    let (Some(point), Some(number)) = (point, number) else { return Err(KeyFault::Form) };
    let missing = curve.bytes().checked_sub(number.len()).filter(|_| name == Some(curve.name()));
    let mut scalar = Zeroizing::new(Vec::with_capacity(curve.bytes()));
    scalar.resize(missing.ok_or(KeyFault::Form)?, 0);
    scalar.extend_from_slice(number);
    let by = match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    };
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(by, &scalar, point, &random);
    let pair = pair.map_err(|_| KeyFault::Numbers)?;
    let mut blob = Vec::new();
    put(&mut blob, curve.algorithm().as_bytes());
    put(&mut blob, curve.name());
    put(&mut blob, pair.public_key().as_ref());
    Ok((blob, Secret::Ecdsa(curve, pair)))
}

fn rsa(from: &mut Reader<'_>) -> Result<(Vec<u8>, Secret), KeyFault> {
    let mut next = || from.mpint().ok_or(KeyFault::Form);
    let (n, e, d, q_inverse, p, q) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let (d_p, d_q) = (exponent(d, p)?, exponent(d, q)?);
    let pair = RsaKeyPair::from_components(&KeyPairComponents {
        public_key: PublicKeyComponents { n, e },
        d,
        p,
        q,
        dP: &d_p,
        dQ: &d_q,
        qInv: q_inverse,
    });
    let pair = pair.map_err(|_| KeyFault::Numbers)?;
    let mut blob = Vec::new();
    put(&mut blob, b"ssh-rsa");
    put_mpint(&mut blob, e);
    put_mpint(&mut blob, n);
    Ok((blob, Secret::Rsa(pair)))
}

/// `d` modulo `prime - 1`, which OpenSSH does not store. Once for each key, before the sandbox runs: how
/// long it takes tells nobody anything.
fn exponent(d: &[u8], prime: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    // A byte in front, since a remainder is doubled before it is taken off.
    let mut modulus = Zeroizing::new(vec![0; 1]);
    modulus.reserve_exact(prime.len());
    modulus.extend_from_slice(prime);
    match modulus.last_mut() {
        // Odd, so that nothing is borrowed.
        Some(last) if *last & 1 == 1 && prime.len() > 1 => *last -= 1,
        Some(_) | None => return Err(KeyFault::Numbers),
    }
    let mut rest = Zeroizing::new(vec![0_u8; modulus.len()]);
    for bit in d.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let mut carry = bit;
        for byte in rest.iter_mut().rev() {
            let next = *byte >> 7;
            *byte = *byte << 1 | carry;
            carry = next;
        }
        if rest.as_slice() >= modulus.as_slice() {
            let mut borrow = false;
            for (byte, minus) in rest.iter_mut().zip(modulus.iter()).rev() {
                let (less, first) = byte.overflowing_sub(*minus);
                let (less, second) = less.overflowing_sub(u8::from(borrow));
                (*byte, borrow) = (less, first || second);
            }
        }
    }
    let start = rest.iter().position(|byte| *byte != 0).ok_or(KeyFault::Numbers)?;
    Ok(Zeroizing::new(rest.get(start..).unwrap_or_default().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_remainders() {
        for (d, prime) in [
            (0x1234_5678_9ABC_DEF1_u64, 0x1_0001_u64),
            (5, 0xFFFB),
            (0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF),
            (0x1_0000, 0xFFF1),
            (u64::MAX - 1, 0x8000_0000_0000_001D),
        ] {
            let bytes = |number: u64| {
                let bytes = number.to_be_bytes();
                bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>()
            };
            let got = exponent(&bytes(d), &bytes(prime)).map(|got| got.to_vec());
            assert_eq!(got, Ok(bytes(d % (prime - 1))), "{d} modulo {prime} - 1");
        }
        assert_eq!(exponent(&[5], &[0xFF, 0xFA]), Err(KeyFault::Numbers), "even");
        assert_eq!(exponent(&[0xFF, 0xFA], &[0xFF, 0xFB]), Err(KeyFault::Numbers), "nothing left");
    }
}
