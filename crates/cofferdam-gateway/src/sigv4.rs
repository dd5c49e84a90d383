//! Signatures of Amazon's, version 4, in the head (AWS: "Signature Version 4 signing process"): a request
//! that is signed with a session's stand-in is signed anew with the real key.
//!
//! The signature that came is verified, so the request is the session's own, and what it is for is held
//! against the rule. Nothing else of the request changes: what was signed inside is what is signed here,
//! at the same date. A signature in the URL is refused, and so is one for each chunk of a body: those
//! bodies would have to be written anew.

mod authorization;
mod canonical;
mod fault;
#[cfg(test)]
mod tests;

use cofferdam_policy::judge::requests::{Request, is_same_field};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;
use time::{Date, Month, Time};
use zeroize::Zeroizing;

use self::authorization::Authorization;
pub use self::fault::SigV4Fault;
use crate::percent::{hex, unhex};

/// How far a signature's date may be from now: Amazon's own bound. Seconds.
pub const CLOCK_SECS_MAX: u64 = 15 * 60;
/// The one algorithm. That of version 4A (`AWS4-ECDSA-P256-SHA256`) has a key for each secret, and signs
/// for sets of regions.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What a scope ends with.
const TERMINATOR: &str = "aws4_request";
/// Where the token of a session of Amazon's goes.
const TOKEN: &str = "x-amz-security-token";
/// What tells the body's hash.
const CONTENT: &str = "x-amz-content-sha256";
/// What tells the time of the signature.
const DATE: &str = "x-amz-date";

/// A key, and the token that belongs to it where it is of a session. `Debug` shows none of it.
#[derive(Clone, Copy)]
pub struct Keys<'k> {
    /// The key's name, which every request shows: letters and digits.
    pub id: &'k [u8],
    /// What signatures are made with.
    pub secret: &'k [u8],
    /// Of temporary keys.
    pub token: Option<&'k [u8]>,
}

impl std::fmt::Debug for Keys<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Keys")
    }
}

/// What a signature may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'s> {
    /// Such as `eu-central-1`.
    pub region: &'s str,
    /// Such as `s3`.
    pub service: &'s str,
}

/// What has to be known of a body before a request can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the head says what is signed, and the host checks it.
    Nothing,
    /// Its SHA-256, which is signed and stands nowhere.
    BodyHash,
}

/// What to write in place of the fields that came.
#[derive(Clone, PartialEq, Eq)]
pub struct Resigned {
    /// The value of `Authorization`.
    pub authorization: String,
    /// The value of `X-Amz-Security-Token`; where there is none, the field does not go on.
    pub token: Option<Vec<u8>>,
}

impl std::fmt::Debug for Resigned {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Resigned")
    }
}

/// Who signs what instead of whom.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'k> {
    /// What the sandbox signs with.
    pub stand_in: Keys<'k>,
    /// What the host knows.
    pub real: Keys<'k>,
    /// What the rule allows it for.
    pub scope: Scope<'k>,
}

/// Whether the body has to be read first.
///
/// # Errors
/// What is said of the body is nothing that is signed here.
pub fn needs(request: &Request<'_>) -> Result<Needs, SigV4Fault> {
    Ok(match content(request)? {
        Some(_) => Needs::Nothing,
        None => Needs::BodyHash,
    })
}

impl Signer<'_> {
    /// What `request` needs to be of the real key. It is the request as the sandbox signed it, `Host` among
    /// its fields (`:authority` in HTTP/2 is one). `body` is the body's SHA-256, which [`needs`] may ask
    /// for; where it is known anyway, it has to be the one that the head names. `now` is in seconds of
    /// Unix.
    ///
    /// # Errors
    /// The request is not the session's own, is not for what the rule allows, or can be read in two ways.
    pub fn resign(
        &self,
        request: &Request<'_>,
        body: Option<[u8; 32]>,
        now: u64,
    ) -> Result<Resigned, SigV4Fault> {
        if canonical::is_presigned(request.query) {
            return Err(SigV4Fault::Presigned);
        }
        let given = Authorization::read(request)?;
        let date = date(request, now)?;
        self.judge(request, &given, date)?;
        let payload = payload(request, body)?;
        let mut canonical = canonical::Canonical::of(request, self.scope.service, &payload)?;

        let signed = canonical.hash(request, &given.names, None)?;
        let key = self.key(&self.stand_in, date);
        let text = self.text(date, &signed);
        if hmac::verify(&key, text.as_bytes(), &given.signature).is_err() {
            return Err(SigV4Fault::Signature);
        }

        let mut names = given.names;
        names.retain(|name| name != TOKEN);
        if self.real.token.is_some() {
            names.push(TOKEN.into());
            names.sort_unstable();
        }
        let hash = canonical.hash(request, &names, self.real.token)?;
        let signature = hmac::sign(&self.key(&self.real, date), self.text(date, &hash).as_bytes());
        let id = std::str::from_utf8(self.real.id).map_err(|_| SigV4Fault::Key)?;
        if !authorization::is_id(id) {
            return Err(SigV4Fault::Key);
        }
        let authorization = format!(
            "{ALGORITHM} Credential={id}/{}, SignedHeaders={}, Signature={}",
            self.range(date),
            names.join(";"),
            hex(signature.as_ref()),
        );
        Ok(Resigned { authorization, token: self.real.token.map(<[u8]>::to_vec) })
    }

    /// Whose it is, what it is for, and that all of it is signed that says so.
    fn judge(
        &self,
        request: &Request<'_>,
        given: &Authorization,
        date: &str,
    ) -> Result<(), SigV4Fault> {
        if !bool::from(given.id.as_bytes().ct_eq(self.stand_in.id)) {
            return Err(SigV4Fault::KeyId);
        }
        if given.scope != self.range(date) {
            return Err(SigV4Fault::Scope);
        }
        let is_ours = match (one(request, TOKEN, SigV4Fault::Token)?, self.stand_in.token) {
            (None, None) => true,
            (Some(token), Some(ours)) => bool::from(token.ct_eq(ours)),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if !is_ours {
            return Err(SigV4Fault::Token);
        }
        let is_signed = |name: &str| given.names.iter().any(|signed| signed == name);
        if one(request, "host", SigV4Fault::Host)?.is_none() || !is_signed("host") {
            return Err(SigV4Fault::Host);
        }
        for (name, _) in request.headers {
            let (start, small) = (name.as_bytes().get(..6), name.to_ascii_lowercase());
            let is_amazons = start.is_some_and(|start| is_same_field(start, b"x-amz-"));
            // Under another spelling it is signed as another one.
            if is_amazons && (!small.starts_with("x-amz-") || !is_signed(&small)) {
                return Err(SigV4Fault::Unsigned);
            }
        }
        Ok(())
    }

    /// What a signature of this date is for, as `Credential` has it behind the key's name.
    fn range(&self, date: &str) -> String {
        let day = date.get(..8).unwrap_or_default();
        format!("{day}/{}/{}/{TERMINATOR}", self.scope.region, self.scope.service)
    }

    /// What is signed, with this hash of the canonical request.
    fn text(&self, date: &str, hash: &[u8]) -> String {
        format!("{ALGORITHM}\n{date}\n{}\n{}", self.range(date), hex(hash))
    }

    /// What signs on that day, there.
    fn key(&self, keys: &Keys<'_>, date: &str) -> hmac::Key {
        let mut secret = Zeroizing::new(Vec::with_capacity(keys.secret.len() + 4));
        secret.extend_from_slice(b"AWS4");
        secret.extend_from_slice(keys.secret);
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let day = date.get(..8).unwrap_or_default();
        for part in [day, self.scope.region, self.scope.service, TERMINATOR] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        key
    }
}

/// The value of the one field of this name. A name that some host takes for it counts as a second.
fn one<'a>(
    request: &Request<'a>,
    name: &str,
    fault: SigV4Fault,
) -> Result<Option<&'a [u8]>, SigV4Fault> {
    let same = |(field, _): &&(&str, &[u8])| is_same_field(field.as_bytes(), name.as_bytes());
    let mut fields = request.headers.iter().filter(same);
    match (fields.next(), fields.next()) {
        (None, _) => Ok(None),
        (Some((field, value)), None) if field.eq_ignore_ascii_case(name) => Ok(Some(value)),
        (Some(_), _) => Err(fault),
    }
}

/// When it was signed, as `YYYYMMDDTHHMMSSZ`.
fn date<'a>(request: &Request<'a>, now: u64) -> Result<&'a str, SigV4Fault> {
    let value = one(request, DATE, SigV4Fault::Date)?.ok_or(SigV4Fault::Date)?;
    let date = std::str::from_utf8(value).map_err(|_| SigV4Fault::Date)?;
    let seconds = seconds(date).ok_or(SigV4Fault::Date)?;
    if seconds.abs_diff(now) > CLOCK_SECS_MAX { Err(SigV4Fault::Time) } else { Ok(date) }
}

/// Seconds of Unix at a date; `None` where it is none, or before 1970.
fn seconds(date: &str) -> Option<u64> {
    let has = |at: usize, letter: u8| date.as_bytes().get(at) == Some(&letter);
    if date.len() != 16 || !has(8, b'T') || !has(15, b'Z') {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = date.get(from..to)?;
        let all = digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| all)
    };
    let small = |from: usize, to: usize| u8::try_from(number(from, to)?).ok();
    let month = Month::try_from(small(4, 6)?).ok()?;
    let day = Date::from_calendar_date(number(0, 4)?.into(), month, small(6, 8)?).ok()?;
    let time = Time::from_hms(small(9, 11)?, small(11, 13)?, small(13, 15)?).ok()?;
    u64::try_from(day.with_time(time).assume_utc().unix_timestamp()).ok()
}

/// What the head says of the body, where it says something that is signed here.
fn content<'a>(request: &Request<'a>) -> Result<Option<&'a [u8]>, SigV4Fault> {
    let Some(value) = one(request, CONTENT, SigV4Fault::Content)? else { return Ok(None) };
    match value {
        b"UNSIGNED-PAYLOAD" | b"STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Some(value)),
        _ if value.starts_with(b"STREAMING-") => Err(SigV4Fault::Chunks),
        _ if unhex::<32>(value).is_some() => Ok(Some(value)),
        _ => Err(SigV4Fault::Content),
    }
}

/// The last line of a canonical request.
fn payload(request: &Request<'_>, body: Option<[u8; 32]>) -> Result<Vec<u8>, SigV4Fault> {
    match (content(request)?, body) {
        (None, None) => Err(SigV4Fault::BodyUnread),
        (None, Some(hash)) => Ok(hex(&hash).into_bytes()),
        (Some(named), Some(hash)) if unhex(named).is_some_and(|named: [u8; 32]| named != hash) => {
            Err(SigV4Fault::Body)
        }
        (Some(named), _) => Ok(named.to_vec()),
    }
}

/// SHA-256.
fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}
