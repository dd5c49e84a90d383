//! Names of fields and parameters that may bear an identity.
//!
//! What contains one of some words is one, so that the next service's key is known too; what is harmless
//! and has such a name stands in a list. A field that names an account without proving anything
//! (`OpenAI-Organization`, `OpenAI-Project`, `ChatGPT-Account-ID`, `X-Goog-User-Project`) is none: the host
//! takes it only from a key that belongs to the account, and the key is the session's own. The same goes for
//! fields that name a conversation (`session_id`, `Mcp-Session-Id`).

/// Wherever in a name, which was [`squashed`].
const WORDS: &[&str] = &[
    "apikey",
    "assertion",
    "auth",
    "bearer",
    "clientcert",
    "cookie",
    "credential",
    "jwt",
    "passphrase",
    "passw",
    "secret",
    "signature",
    "token",
];
/// At the end of a name, which was [`squashed`]: other keys are of caches and lists.
const KEYS: &[&str] = &[
    "accesskey",
    "accountkey",
    "applicationkey",
    "appkey",
    "clientkey",
    "devkey",
    "functionskey",
    "licensekey",
    "masterkey",
    "privatekey",
    "publishablekey",
    "rapidkey",
    "servicekey",
    "sharedkey",
    "signingkey",
    "subscriptionkey",
    "userkey",
    "xkey",
];
/// Whole names of fields, [`squashed`].
const FIELDS: &[&str] = &[
    "cfaccessclientid",
    "dpop",
    "key",
    "pat",
    "remoteuser",
    "sign",
    "sslclientsdn",
    "xappid",
    "xclientdn",
    "xforwardedemail",
    "xforwardedpreferredusername",
    "xforwardeduser",
    "xgithubotp",
    "xhmac",
    "xotp",
    "xpat",
    "xpwd",
    "xremoteuser",
    "xsession",
    "xsessionid",
    "xsid",
    "xsig",
    "xsign",
    "xsslclientsdn",
    "xwebauthuser",
];
/// Fields that have such a name and bear no identity: they make a request repeatable, bind it to a page,
/// name an entry of a cache, encrypt what is stored, or say by which page npm signs in. [`squashed`].
const HARMLESS_FIELDS: &[&str] = &[
    "author",
    "authority",
    "cachekey",
    "csrftoken",
    "idempotencykey",
    "maxtokens",
    "npmauthtype",
    "secwebsocketkey",
    "surrogatekey",
    "xamzcopysourceserversideencryptioncustomerkey",
    "xamzserversideencryptioncustomerkey",
    "xcachekey",
    "xcsrftoken",
    "xgoogencryptionkey",
    "xidempotencykey",
    "xmsencryptionkey",
    "xxsrftoken",
];
/// Whole names of parameters, [`squashed`].
const PARAMETERS: &[&str] = &[
    "appid",
    "aspsessionid",
    "awsaccesskeyid",
    "code",
    "googleaccessid",
    "hmac",
    "jsessionid",
    "key",
    "keypairid",
    "otp",
    "pass",
    "pat",
    "phpsessid",
    "pwd",
    "samlresponse",
    "session",
    "sessionid",
    "sid",
    "sig",
    "sign",
    "ticket",
    "totp",
];
/// Parameters that have such a name and bear no identity: they name a page of a list, or who wrote
/// something. [`squashed`].
const HARMLESS_PARAMETERS: &[&str] = &[
    "author",
    "authorid",
    "authorname",
    "authors",
    "continuationtoken",
    "maxtokens",
    "nextpagetoken",
    "nexttoken",
    "pagetoken",
    "synctoken",
];
/// What signs a URL has such a beginning, at Amazon's and Google's.
const SIGNING: &[&str] = &["xamz", "xgoog"];

/// Whether a field of this name may bear an identity. It goes for those behind a body too.
#[must_use]
pub fn is_carrier_field(name: &[u8]) -> bool {
    let squashed = squashed(name);
    let is_key = || {
        // `…-Key` alone, so that no word that ends so counts.
        let last = name.rsplit(|byte| !byte.is_ascii_alphanumeric()).next();
        last.is_some_and(|last| last.eq_ignore_ascii_case(b"key"))
    };
    !HARMLESS_FIELDS.contains(&squashed.as_str())
        && (bears(&squashed) || is_key() || FIELDS.contains(&squashed.as_str()))
}

/// Whether a parameter of this name, decoded, may bear an identity; `a[b]` and `a.b` may where one of their
/// parts may.
#[must_use]
pub fn is_carrier_parameter(name: &[u8]) -> bool {
    let is_one = |part: &[u8]| {
        let squashed = squashed(part);
        !HARMLESS_PARAMETERS.contains(&squashed.as_str())
            && (bears(&squashed)
                || PARAMETERS.contains(&squashed.as_str())
                || SIGNING.iter().any(|start| squashed.starts_with(start)))
    };
    is_one(name) || name.split(|byte| matches!(byte, b'[' | b']' | b'.')).any(is_one)
}

fn bears(squashed: &str) -> bool {
    // Asked of each field of each request: few bytes begin a word.
    let begins = |(at, byte): (usize, u8)| {
        byte.checked_sub(b'a').is_some_and(|letter| BEGINNINGS >> letter & 1 == 1)
            && squashed
                .get(at..)
                .is_some_and(|rest| WORDS.iter().any(|word| rest.starts_with(word)))
    };
    (0..).zip(squashed.bytes()).any(begins) || KEYS.iter().any(|key| squashed.ends_with(key))
}

/// A bit for each letter that [`WORDS`] begin with.
const BEGINNINGS: u64 = {
    let (mut all, mut rest) = (0, WORDS);
    while let [word, more @ ..] = rest {
        if let [first, ..] = word.as_bytes() {
            all |= 1 << (*first - b'a');
        }
        rest = more;
    }
    all
};

/// Letters and digits alone, small: what parts the words says nothing.
fn squashed(name: &[u8]) -> String {
    let kept = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let mut squashed = String::with_capacity(name.len());
    squashed.extend(kept.map(|byte| char::from(byte.to_ascii_lowercase())));
    squashed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against a search for each word by itself, wherever it stands.
    #[test]
    fn a_word_is_found_wherever_it_stands() {
        let slow = |name: &str| {
            WORDS.iter().any(|word| name.contains(word))
                || KEYS.iter().any(|key| name.ends_with(key))
        };
        let mut found = 0;
        for word in WORDS.iter().chain(KEYS).chain(FIELDS).chain(HARMLESS_FIELDS) {
            for (before, behind) in [("", ""), ("x", ""), ("", "s"), ("0a", "9z"), ("tok", "key")] {
                let cut = |name: &str| name.get(..name.len() - 1).unwrap_or_default().to_owned();
                for word in [(*word).to_owned(), cut(word)] {
                    let name = format!("{before}{word}{behind}");
                    assert_eq!(bears(&name), slow(&name), "{name}");
                    found += u32::from(bears(&name));
                }
            }
        }
        assert!(found > 100, "{found} bear something");
    }
}
