//! `[credentials]`: whose identity requests may bear, and where the sandbox finds what stands in for it.
//!
//! Nothing here holds a secret: a credential says where the gateway finds one.

mod ssh;

use std::path::PathBuf;

pub use self::ssh::{AGENT, AGENT_VARIABLE, KNOWN_HOSTS, LOGINS_MAX, Logins, SshHost, first_login};
use crate::line::in_line;
use crate::model::Clause;

/// What a stand-in holds, so that one is known wherever it turns up, whatever session made it: letters of
/// both cases and digits, as most tokens have. Random bytes of base64 hold it once in 10^16.
pub const MARK: &str = "cFd7MxQ2v";
/// The same in tokens of small letters and digits.
pub const MARK_SMALL: &str = "cfd7mxq2vk";
/// The same in tokens of capitals and digits: those of base32 (RFC 4648, 6).
pub const MARK_CAPITAL: &str = "CFD7MXQ2VK";
/// The same in tokens of hexadecimal digits.
pub const MARK_HEX: &str = "c0ffe7da3b5e";
/// All of them.
pub const MARKS: [&str; 4] = [MARK, MARK_SMALL, MARK_CAPITAL, MARK_HEX];
/// Whether this holds one of [`MARKS`]: then it is found by it, however many others there are.
#[must_use]
pub fn is_marked(stand_in: &str) -> bool {
    MARKS.iter().any(|mark| stand_in.contains(mark))
}

/// Shortest secret: what is shorter cannot be told from ordinary text. Bytes.
pub const SECRET_BYTES_MIN: usize = 8;
/// Longest name of a credential. Bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most members of one that are no secret.
pub const OPEN_MAX: usize = 16;
/// Most credentials of a policy.
pub const CREDENTIALS_MAX: usize = 1_000;

/// What several variables and places hold of one: most parts of `KEY_ID:SECRET[:TOKEN]`.
pub const PARTS_MAX: usize = 3;

/// What `asked` means of the credential `name`, whose value is `value`: the name itself all of it, `NAME.0`,
/// `NAME.1` and `NAME.2` what a colon parts, at most twice. `None` where it means none of these, or a part
/// that is not there.
#[must_use]
pub fn part<'v>(name: &str, value: &'v str, asked: &str) -> Option<&'v str> {
    if asked == name {
        return Some(value);
    }
    let number = asked.strip_prefix(name)?.strip_prefix('.')?;
    let at = (0..PARTS_MAX).find(|at| at.to_string() == number)?;
    value.splitn(PARTS_MAX, ':').nth(at)
}

/// Whether this may be the name of a credential, and of a secret in the vault: small letters, digits, and
/// `.`, `_` and `-` behind the first.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= NAME_BYTES_MAX
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
}

/// One `[credentials.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Credential {
    /// As rules name it.
    pub name: String,
    /// Where the secret is.
    pub source: Source,
    /// The way to it in a JSON object that the source holds; empty where the source holds nothing else.
    pub member: Vec<String>,
    /// How a request bears it.
    pub inject: Inject,
    /// Variables that hold the stand-in inside; of [`Inject::SigV4`] one for each of its parts, two or
    /// three, in their order.
    pub env: Vec<String>,
    /// Files of the private home that hold it.
    pub files: Vec<Placed>,
    /// How long it may be used from the start on. Seconds.
    pub expires: Option<u64>,
    /// Members of the source that are no secret, each by its name: `{NAME.ITS}` is where one goes in files of
    /// the home, as it stands in the JSON; `null` where it is not there.
    pub open: Vec<(String, Vec<String>)>,
    /// Whose tokens come in the answers to requests that bear it.
    pub oauth: Option<OAuth>,
    /// The rule.
    pub clause: Clause,
}

/// Whose secrets the tokens of an answer become (RFC 6749, 5.1): names of credentials. A token that is there
/// and has no name here becomes nobody's, and is replaced all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct OAuth {
    /// `access_token`.
    pub access_token: String,
    /// `refresh_token`.
    pub refresh_token: Option<String>,
    /// `id_token`.
    pub id_token: Option<String>,
}

impl OAuth {
    /// Each token that has a name, by its member of the answer.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rest = [("refresh_token", &self.refresh_token), ("id_token", &self.id_token)];
        let rest = rest.into_iter().filter_map(|(member, name)| Some((member, name.as_deref()?)));
        std::iter::once(("access_token", self.access_token.as_str())).chain(rest)
    }
}

/// How tokens are asked for (RFC 6749).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// With a refresh token (section 6).
    RefreshToken,
    /// With a secret of the client's (section 4.4).
    ClientCredentials,
}

impl Grant {
    /// As a request says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Source {
    /// In cofferdam's own encrypted file, under this name.
    Vault(String),
    /// In the keychain of the system, under this name, of the service `cofferdam`.
    Keychain(String),
    /// In this variable of the caller's.
    Env(String),
    /// The whole text of this file, without the line's end; absolute.
    File(PathBuf),
    /// What this program says on its standard output, without the line's end: an absolute path, and its
    /// arguments. No shell.
    Command(Vec<String>),
    /// Nowhere before an answer brings it ([`OAuth`]).
    OAuth,
}

impl Credential {
    /// What the agent signs with it, where it is a key of SSH.
    #[must_use]
    pub const fn logins(&self) -> Option<&Logins> {
        match &self.inject {
            Inject::Ssh(logins) => Some(logins),
            Inject::Header(_)
            | Inject::Bearer
            | Inject::Basic(_)
            | Inject::Query(_)
            | Inject::Cookie(_)
            | Inject::Json(_)
            | Inject::Form(_)
            | Inject::SigV4 { .. } => None,
        }
    }
}

impl Source {
    /// For a person; of a command its program alone, for its arguments may say more than they should.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Vault(name) => format!("the vault's `{name}`"),
            Self::Keychain(name) => format!("the keychain's `{name}`"),
            Self::Env(name) => format!("the caller's ${name}"),
            Self::File(path) => format!("the file {}", in_line(path.display())),
            Self::Command(words) => {
                let program = words.first().map(String::as_str).unwrap_or_default();
                format!("the command {}", in_line(program))
            }
            Self::OAuth => "a token of an answer".into(),
        }
    }
}

impl Inject {
    /// For a person.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Header(name) => format!("as the header `{name}`"),
            Self::Bearer => "as a bearer token".into(),
            Self::Basic(None) => "as a password".into(),
            Self::Basic(Some(user)) => format!("as the password of `{}`", in_line(user)),
            Self::Query(name) => format!("as the parameter `{name}`"),
            Self::Cookie(name) => format!("as the cookie `{name}`"),
            Self::Json(way) => format!("as the member `{}` of a JSON body", in_line(way.join("."))),
            Self::Form(name) => format!("as the field `{name}` of a form"),
            Self::SigV4 { service, region } => {
                format!("by a signature of AWS for {service} in {region}")
            }
            Self::Ssh(logins) => logins.shown(),
        }
    }

    /// Which grant a request asks for that bears it so, where there is one.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        let member = match self {
            Self::Json(way) => way.as_slice(),
            Self::Form(name) => std::slice::from_ref(name),
            // Who it is stands in the policy.
            Self::Basic(Some(_)) => return Some(Grant::ClientCredentials),
            Self::Header(_)
            | Self::Bearer
            | Self::Basic(None)
            | Self::Query(_)
            | Self::Cookie(_)
            | Self::SigV4 { .. }
            | Self::Ssh(_) => return None,
        };
        match member {
            [name] if name == "refresh_token" => Some(Grant::RefreshToken),
            [name] if name == "client_secret" => Some(Grant::ClientCredentials),
            [] | [_] | [_, _, ..] => None,
        }
    }

    /// Whether a request bears it in its body, which is held for that.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        match self {
            Self::Json(_) | Self::Form(_) => true,
            Self::Header(_)
            | Self::Bearer
            | Self::Basic(_)
            | Self::Query(_)
            | Self::Cookie(_)
            | Self::SigV4 { .. }
            | Self::Ssh(_) => false,
        }
    }
}

/// How a request bears a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
pub enum Inject {
    /// The whole value of this field. Small letters.
    Header(String),
    /// `Authorization: Bearer` (RFC 6750, 2.1).
    Bearer,
    /// The password of `Authorization: Basic` (RFC 7617), of this user; of any where none is named.
    Basic(Option<String>),
    /// The value of this parameter of the query.
    Query(String),
    /// The value of this cookie (RFC 6265), which is the only one.
    Cookie(String),
    /// This member of a body in JSON.
    Json(Vec<String>),
    /// This field of a body that is a form (`application/x-www-form-urlencoded`).
    Form(String),
    /// A signature of Amazon's, version 4, for this service in this region. The secret is
    /// `KEY_ID:SECRET[:TOKEN]`.
    SigV4 {
        /// Such as `s3`.
        service: String,
        /// Such as `eu-central-1`.
        region: String,
    },
    /// No request bears it: an agent signs logins with it, and nothing stands in for it. The secret is a
    /// private key in the form of OpenSSH.
    Ssh(Logins),
}

/// A file of the private home that holds the stand-in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Placed {
    /// Absolute, in the home.
    pub path: PathBuf,
    /// Its text; `{NAME}` is where the stand-in of the credential `NAME` goes, and `{NAME.0}` where its
    /// first part does ([`part`]).
    pub content: String,
}

impl Placed {
    /// Its text with what stands in, for each credential that `known` knows.
    #[must_use]
    pub fn filled<'k>(content: &str, known: impl Fn(&str) -> Option<&'k [u8]>) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), content);
        while let Some((before, after)) = rest.split_once('{') {
            out.extend_from_slice(before.as_bytes());
            let found =
                after.split_once('}').and_then(|(name, behind)| Some((known(name)?, behind)));
            match found {
                Some((value, behind)) => {
                    out.extend_from_slice(value);
                    rest = behind;
                }
                None => {
                    out.push(b'{');
                    rest = after;
                }
            }
        }
        out.extend_from_slice(rest.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials() {
        for (name, want, why) in [
            ("anthropic", true, "letters"),
            ("a", true, "one"),
            ("2fa.x_y-z", true, "signs behind the first"),
            ("", false, "nothing"),
            ("-a", false, "a flag"),
            (".a", false, "a hidden file"),
            ("A", false, "a second spelling"),
            ("a b", false, "a blank"),
            ("a/b", false, "a path"),
            ("\u{e4}", false, "a letter beyond"),
            (&"a".repeat(64), true, "as long as may be"),
            (&"a".repeat(65), false, "longer"),
        ] {
            assert_eq!(is_name(name), want, "{why}: {name:?}");
        }
    }

    #[test]
    fn parts_are_told_by_number() {
        for (value, asked, want, why) in [
            ("ID:SECRET:TO:KEN", "aws", Some("ID:SECRET:TO:KEN"), "all of it"),
            ("ID:SECRET:TO:KEN", "aws.0", Some("ID"), "the first"),
            ("ID:SECRET:TO:KEN", "aws.1", Some("SECRET"), "the second"),
            ("ID:SECRET:TO:KEN", "aws.2", Some("TO:KEN"), "the rest"),
            ("ID:SECRET", "aws.1", Some("SECRET"), "the last of two"),
            ("ID:SECRET", "aws.2", None, "a part that is not there"),
            ("ID:SECRET:TOKEN", "aws.3", None, "no such part"),
            ("ID:SECRET:TOKEN", "aws.00", None, "another spelling"),
            ("ID:SECRET:TOKEN", "aws.", None, "no number"),
            ("ID:SECRET:TOKEN", "aws0", None, "no dot"),
            ("ID:SECRET:TOKEN", "aw", None, "another name"),
        ] {
            assert_eq!(part("aws", value, asked), want, "{why}: {asked}");
        }
    }

    #[test]
    fn what_stands_in_is_filled_in() {
        let known = |name: &str| (name == "npm").then_some(b"npm_X".as_slice());
        for (text, want, why) in [
            ("a={npm}", "a=npm_X", "at the end"),
            ("{npm}{npm}", "npm_Xnpm_X", "twice"),
            ("{\"a\":\"{npm}\"}", "{\"a\":\"npm_X\"}", "in JSON"),
            ("{other} {npm", "{other} {npm", "no name of a credential, and no end"),
            ("{{npm}}", "{npm_X}", "braces around"),
            ("", "", "nothing"),
        ] {
            assert_eq!(Placed::filled(text, known), want.as_bytes(), "{why}");
        }
    }
}
