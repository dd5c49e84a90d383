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
    WORDS.iter().any(|word| squashed.contains(word))
        || KEYS.iter().any(|key| squashed.ends_with(key))
}

/// Letters and digits alone, small: what parts the words says nothing.
fn squashed(name: &[u8]) -> String {
    let kept = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    kept.map(|byte| char::from(byte.to_ascii_lowercase())).collect()
}
