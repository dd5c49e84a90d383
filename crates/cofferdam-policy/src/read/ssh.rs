//! `[credentials.NAME]` with `ssh`: keys of hosts as files of known hosts have them, and users.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

use super::{Reader, Table, Value};
use crate::credentials::{LOGINS_MAX, Logins, SshHost};
use crate::error::{CredentialFault, PolicyError};

pub(super) const SSH: Table =
    Table { name: "credentials.NAME.ssh", now: &["hosts", "users"], later: &[] };

/// Where no name is given, since who has the key is the host.
const ANY_NAME: &str = "*";
/// Longest names of a host. Bytes.
const NAMES_BYTES_MAX: usize = 512;
/// Longest name of a user. Bytes.
const USER_BYTES_MAX: usize = 64;
/// What has no meaning for a credential that no request bears.
const NOT_BESIDE: [&str; 3] = ["inject", "env", "files"];

impl Reader<'_> {
    /// `ssh` of a credential that is `table`.
    pub(super) fn logins(
        &self,
        table: &DeTable<'_>,
        value: &Value<'_>,
    ) -> Result<Logins, PolicyError> {
        if let Some((key, other)) = NOT_BESIDE.iter().find_map(|key| Some((key, table.get(*key)?)))
        {
            return Err(self.credential(CredentialFault::Beside { key }, other));
        }
        let found = self.table(value, &SSH)?;
        let list = |key: &'static str| {
            let missing = |value| self.credential(CredentialFault::Missing { key }, value);
            let entry = found.get(key).ok_or_else(|| missing(value))?;
            match self.list(SSH.name, entry)? {
                [] => Err(missing(entry)),
                list if list.len() > LOGINS_MAX => {
                    Err(self.credential(CredentialFault::Many { count: list.len() }, entry))
                }
                list => Ok(list),
            }
        };
        let host = |entry: &Value<'_>| {
            let text = self.text(SSH.name, entry)?;
            host(text).ok_or_else(|| self.credential(CredentialFault::HostKey, entry))
        };
        let user = |entry: &Value<'_>| {
            let text = self.text(SSH.name, entry)?;
            let fault = || self.credential(CredentialFault::SshUser { got: text.into() }, entry);
            is_user(text).then(|| text.to_owned()).ok_or_else(fault)
        };
        Ok(Logins {
            hosts: list("hosts")?.iter().map(host).collect::<Result<_, _>>()?,
            users: list("users")?.iter().map(user).collect::<Result<_, _>>()?,
        })
    }
}

fn is_user(name: &str) -> bool {
    (1..=USER_BYTES_MAX).contains(&name.len())
        && !name.contains(|letter: char| letter.is_control() || letter.is_whitespace())
}

/// `[NAMES] KIND BASE64 [COMMENT]`.
fn host(line: &str) -> Option<SshHost> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (names, kind, coded) = match words.as_slice() {
        [kind, coded, ..] if is_kind(kind) => (ANY_NAME, *kind, *coded),
        [names, kind, coded, ..] if is_kind(kind) => (*names, *kind, *coded),
        _ => return None,
    };
    let is_name = |byte: u8| byte.is_ascii_graphic();
    // A mark says that the key is an authority's, or is to be believed no more; a number sign, that the
    // line says nothing.
    let is_plain = names.len() <= NAMES_BYTES_MAX
        && names.bytes().all(is_name)
        && !names.starts_with(['@', '#']);
    let blob = STANDARD.decode(coded).ok().filter(|blob| is_plain && is_key(kind, blob))?;
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&blob)));
    Some(SshHost { names: names.into(), key: format!("{kind} {coded}"), fingerprint })
}

/// Kinds whose signatures the agent verifies.
fn is_kind(word: &str) -> bool {
    ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"].contains(&word)
}

/// Whether the bytes are a key of this kind (RFC 4253, 6.6; RFC 5656, 3.1; RFC 8709, 4).
fn is_key(kind: &str, blob: &[u8]) -> bool {
    let Some(strings) = strings(blob) else { return false };
    let Some((first, rest)) = strings.split_first() else { return false };
    if *first != kind.as_bytes() {
        return false;
    }
    let is_point = |curve: &str, bytes: usize| match rest {
        // Uncompressed alone.
        [name, point] => {
            *name == curve.as_bytes() && point.len() == bytes && point.first() == Some(&4)
        }
        _ => false,
    };
    match kind {
        "ssh-ed25519" => matches!(rest, [key] if key.len() == 32),
        "ecdsa-sha2-nistp256" => is_point("nistp256", 65),
        "ecdsa-sha2-nistp384" => is_point("nistp384", 97),
        _ => matches!(rest, [exponent, modulus] if is_positive(exponent) && is_positive(modulus)),
    }
}

/// Over zero, in the one spelling (RFC 4251, 5, mpint).
fn is_positive(number: &[u8]) -> bool {
    match number {
        [0, next, ..] => *next >= 0x80,
        [first, ..] => *first > 0 && *first < 0x80,
        [] => false,
    }
}

/// Strings, each with its length in four bytes in front, and nothing else (RFC 4251, 5).
fn strings(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (string, rest) = rest.split_at_checked(length)?;
        found.push(string);
        bytes = rest;
    }
    bytes.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Document, Source};

    fn blob(parts: &[&[u8]]) -> Vec<u8> {
        let one = |part: &&[u8]| {
            let length = u32::try_from(part.len()).unwrap().to_be_bytes();
            [length.as_slice(), part].concat()
        };
        parts.iter().flat_map(one).collect()
    }

    #[test]
    fn keys_of_hosts() {
        let line = |kind: &str, parts: &[&[u8]]| format!("{kind} {}", STANDARD.encode(blob(parts)));
        let ed = line("ssh-ed25519", &[b"ssh-ed25519", &[7; 32]]);
        let p256 = [&[4_u8][..], &[1; 64]].concat();
        let (n, kind): (&[u8], &[u8]) = (&[&[0, 0x80][..], &[1; 255]].concat(), b"ssh-rsa");
        let curve: &[u8] = b"ecdsa-sha2-nistp256";
        for (line, want, why) in [
            (ed.clone(), Some("*"), "a key"),
            (format!("{ed} who@where more"), Some("*"), "a comment"),
            (format!("git.test,[git.test]:22 {ed}"), Some("git.test,[git.test]:22"), "names"),
            (line("ecdsa-sha2-nistp256", &[curve, b"nistp256", &p256]), Some("*"), "ECDSA"),
            (line("ssh-rsa", &[kind, &[1, 0, 1], n]), Some("*"), "RSA"),
            (String::new(), None, "nothing"),
            ("ssh-ed25519".into(), None, "a kind alone"),
            (format!("@cert-authority git.test {ed}"), None, "an authority"),
            (format!("@revoked {ed}"), None, "one that is believed no more"),
            (format!("# {ed}"), None, "a line that says nothing"),
            (format!("a b {ed}"), None, "two words in front"),
            (format!("{}\u{e4} {ed}", "a"), None, "a letter beyond"),
            (format!("{} {ed}", "a".repeat(513)), None, "a long name"),
            (format!("{}!", ed), None, "no base64"),
            (line("ssh-ed25519", &[b"ssh-ed25519", &[7; 31]]), None, "too short"),
            (line("ssh-ed25519", &[b"ssh-ed25519", &[7; 32], b""]), None, "more behind"),
            (line("ssh-ed25519", &[b"ssh-rsa", &[7; 32]]), None, "two kinds"),
            (line("ssh-dss", &[b"ssh-dss", &[7; 32]]), None, "a kind that is not verified"),
            (line("ecdsa-sha2-nistp256", &[curve, b"nistp384", &p256]), None, "two curves"),
            (line("ecdsa-sha2-nistp256", &[curve, b"nistp256", &p256[1..]]), None, "no point"),
            (line("ssh-rsa", &[kind, &[0, 3], n]), None, "a zero before"),
            (line("ssh-rsa", &[kind, &[1, 0, 1], &n[1..]]), None, "below zero"),
            ("-----BEGIN OPENSSH PRIVATE KEY----- s3cr3t".into(), None, "a private key"),
        ] {
            assert_eq!(host(&line).map(|host| host.names).as_deref(), want, "{why}: {line}");
        }
        let found = host(&format!("git.test {ed} comment")).unwrap();
        assert_eq!(found.line(), format!("git.test {ed}\n"));
        // `ssh-keygen -l` says so of this key.
        assert_eq!(found.fingerprint, "SHA256:gNSIRW+2Iyiuvsdp/bgjy38bvWHw6wQm3tuoXrl3WjQ");
    }

    #[test]
    fn what_an_agent_is_for() {
        let ed = format!("ssh-ed25519 {}", STANDARD.encode(blob(&[b"ssh-ed25519", &[7; 32]])));
        let both = format!("ssh = {{ hosts = ['{ed}'], users = ['git'] }}\n");
        for (rest, want, why) in [
            (both.clone(), Ok(()), "both"),
            (format!("{both}expires = '1h'"), Ok(()), "for a while"),
            (format!("{both}env = 'KEY'"), Err("credential-beside"), "a variable"),
            (format!("{both}inject = {{ bearer = true }}"), Err("credential-beside"), "a header"),
            (format!("{both}files = {{ '~/x' = '{{k}}' }}"), Err("credential-beside"), "a file"),
            ("ssh = {}".into(), Err("credential-missing-key"), "neither"),
            (format!("ssh = {{ hosts = ['{ed}'] }}"), Err("credential-missing-key"), "no users"),
            (
                format!("ssh = {{ hosts = ['{ed}'], users = [] }}"),
                Err("credential-missing-key"),
                "nobody",
            ),
            (
                "ssh = { hosts = [], users = ['git'] }".into(),
                Err("credential-missing-key"),
                "nowhere",
            ),
            (
                "ssh = { hosts = ['ssh-ed25519 s3cr3t'], users = ['git'] }".into(),
                Err("credential-host-key"),
                "no key",
            ),
            (both.replace("'git'", "''"), Err("credential-user"), "no name"),
            (both.replace("'git'", "'a b'"), Err("credential-user"), "a blank"),
            (both.replace("'git'", "\"a\\u0000\""), Err("credential-user"), "a control byte"),
            (both.replace("'git'", "7"), Err("wrong-type"), "a number"),
            (both.replace("users", "user"), Err("unknown-key"), "another key"),
            (both.replace("['git']", &format!("{:?}", ["a"; 65])), Err("credential-many"), "65"),
        ] {
            let text =
                format!("version = 1\n[credentials.k]\nsource = {{ vault = 'k' }}\n{rest}\n");
            let read = Document::parse(Source { name: "p".into(), text });
            let got = read.as_ref().map(|_| ()).map_err(|error| error.code());
            assert_eq!(got, want, "{why}: {rest}");
            if let Err(error) = read {
                assert!(error.line().is_some(), "{why}: it has a place");
                assert!(!error.to_string().contains("s3cr3t"), "{why}: nothing is repeated");
            }
        }
    }
}
