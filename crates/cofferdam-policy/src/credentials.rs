//! `[credentials]`: whose identity requests may bear, and where the sandbox finds what stands in for it.
//!
//! Nothing here holds a secret: a credential says where the gateway finds one.

use std::path::PathBuf;

use crate::model::Clause;

/// What every stand-in holds, so that one is known wherever it turns up, whatever session made it: letters
/// of both cases and digits, which every alphabet of tokens has.
pub const MARK: &str = "cFd7Mx";
/// The same in tokens of hexadecimal digits.
pub const MARK_HEX: &str = "c0ffe7da3b";

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
    /// Variables that hold the stand-in inside.
    pub env: Vec<String>,
    /// Files of the private home that hold it.
    pub files: Vec<Placed>,
    /// How long it may be used from the start on. Seconds.
    pub expires: Option<u64>,
    /// The rule.
    pub clause: Clause,
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
}

/// A file of the private home that holds the stand-in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Placed {
    /// Absolute, in the home.
    pub path: PathBuf,
    /// Its text; `{NAME}` is where the stand-in of the credential `NAME` goes.
    pub content: String,
}
