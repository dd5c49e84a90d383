//! Requests for tokens, and the answers to them (RFC 6749), read strictly: what an answer brings is this
//! session's identity from then on, so a request asks for nothing but the session's own.

use cofferdam_policy::credentials::{Grant, Inject};
use cofferdam_policy::judge::requests::{Request, is_same_field};
use zeroize::{Zeroize, Zeroizing};

use crate::foreign::is_carrier_parameter;
use crate::forms::{self, FormFault};
use crate::json::{self, Json};

/// Members of a request beside what it bears: how it asks, for whom, and for what (RFC 6749, 4.4.2 and 6;
/// RFC 8707); and what Codex says beside it. Each other one could be an identity.
const ASKED: &[&str] =
    &["grant_type", "client_id", "scope", "resource", "audience", "refresh_reason"];
/// Members of an answer that are tokens (RFC 6749, 5.1; OpenID Connect Core, 3.1.3.3).
const TOKENS: &[&str] = &["access_token", "refresh_token", "id_token"];
/// Members that are called like one, and say of which kind it is.
const KINDS: &[&str] = &["token_type", "issued_token_type"];

/// Why a request for tokens does not go on, or an answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OAuthFault {
    /// Another method than `POST`.
    Method,
    /// Its body is not said to be what it has to be, once.
    Kind(&'static str),
    /// It is no object of texts.
    Json,
    /// It is no form.
    Form(FormFault),
    /// A member that may be another identity.
    More(String),
    /// A member is there twice.
    Twice(String),
    /// It asks in another way.
    Grant(&'static str),
    /// The answer is no object with tokens.
    Answer,
    /// The answer has something else that may be a token.
    Unknown(String),
}

impl std::fmt::Display for OAuthFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Method => out.write_str("tokens are asked for by POST"),
            Self::Kind(kind) => {
                write!(out, "its body has to be said to be {kind}, in UTF-8, once, not coded")
            }
            Self::Json => out.write_str("its body is no object of texts"),
            Self::Form(fault) => write!(out, "{fault}"),
            Self::More(name) => write!(out, "`{name}` may be another identity"),
            Self::Twice(name) => write!(out, "`{name}` is there twice"),
            Self::Grant(grant) => write!(out, "its grant_type has to be {grant}"),
            Self::Answer => out.write_str("the answer is no object of JSON with an access_token"),
            Self::Unknown(name) => {
                write!(out, "`{name}` of the answer may be a token, and nobody knows whose")
            }
        }
    }
}

/// Whether a request with this body asks for tokens with what it bears, and with nothing else. What it bears
/// is not looked at.
pub(crate) fn asks(request: &Request<'_>, body: &[u8], inject: &Inject) -> Result<(), OAuthFault> {
    let Some(grant) = inject.grant() else { return Err(OAuthFault::Grant("another")) };
    let (own, fields) = match inject {
        Inject::Json(way) => {
            kind(request, "application/json")?;
            (way.first().map(String::as_str), members(body)?)
        }
        Inject::Form(_)
        | Inject::Basic(_)
        | Inject::Header(_)
        | Inject::Bearer
        | Inject::Query(_)
        | Inject::Cookie(_)
        | Inject::SigV4 { .. }
        | Inject::Ssh(_) => {
            kind(request, "application/x-www-form-urlencoded")?;
            let own = if let Inject::Form(name) = inject { Some(name.as_str()) } else { None };
            (own, forms::fields(body).map_err(OAuthFault::Form)?)
        }
    };
    if request.method != "POST" {
        return Err(OAuthFault::Method);
    }
    // Some endpoints read parameters there, too (RFC 6749, 3.2, has them in the body).
    if request.query.is_some() {
        return Err(OAuthFault::More("its query".into()));
    }
    asked(&fields, own, grant)
}

/// Whether the members are those of such a request, each once.
fn asked(
    fields: &[(String, Zeroizing<String>)],
    own: Option<&str>,
    grant: Grant,
) -> Result<(), OAuthFault> {
    for (at, (name, _)) in fields.iter().enumerate() {
        let told = || name.escape_default().take(64).collect();
        if !ASKED.contains(&name.as_str()) && Some(name.as_str()) != own {
            return Err(OAuthFault::More(told()));
        }
        if fields.iter().skip(at + 1).any(|(other, _)| other == name) {
            return Err(OAuthFault::Twice(told()));
        }
    }
    let said = fields.iter().find(|(name, _)| name == "grant_type");
    match said {
        Some((_, said)) if said.as_str() == grant.as_str() => Ok(()),
        Some(_) | None => Err(OAuthFault::Grant(grant.as_str())),
    }
}

/// Whether the body is said to be this in UTF-8, once, and is not coded: two readers take it for the same.
pub(crate) fn kind(request: &Request<'_>, wanted: &'static str) -> Result<(), OAuthFault> {
    let named = |wanted: &'static str| {
        let all = request.headers.iter();
        all.filter(move |(name, _)| is_same_field(wanted.as_bytes(), name.as_bytes()))
    };
    let mut kinds = named("content-type");
    let is_wanted = match (kinds.next(), kinds.next()) {
        (Some((name, value)), None) => {
            let mut parts = value.splitn(2, |byte| *byte == b';').map(<[u8]>::trim_ascii);
            let is_kind =
                parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted.as_bytes()));
            let charset = parts.next().unwrap_or(b"charset=utf-8").to_ascii_lowercase();
            name.eq_ignore_ascii_case("content-type")
                && is_kind
                && matches!(charset.as_slice(), b"charset=utf-8" | b"charset=\"utf-8\"")
        }
        (_, _) => false,
    };
    if is_wanted && named("content-encoding").next().is_none() {
        Ok(())
    } else {
        Err(OAuthFault::Kind(wanted))
    }
}

fn members(body: &[u8]) -> Result<Vec<(String, Zeroizing<String>)>, OAuthFault> {
    let text = std::str::from_utf8(body).map_err(|_| OAuthFault::Json)?;
    let Ok(Json::Object(members)) = json::read(text) else { return Err(OAuthFault::Json) };
    let text = |(name, value)| match value {
        Json::Text(value) => Ok((name, Zeroizing::new(value))),
        Json::Null | Json::Other | Json::List(_) | Json::Object(_) => Err(OAuthFault::Json),
    };
    members.into_iter().map(text).collect()
}

/// What an answer brings.
#[derive(Debug)]
pub(crate) struct Brought {
    /// Each token that is there, by its member.
    pub(crate) tokens: Vec<(&'static str, Zeroizing<String>)>,
    /// The name of something else that may be one.
    pub(crate) more: Option<String>,
}

impl Brought {
    pub(crate) fn token(&self, member: &str) -> Option<&str> {
        self.tokens.iter().find(|(name, _)| *name == member).map(|(_, value)| value.as_str())
    }
}

/// Reads an answer; `None` where it is no object in which each token is a text.
pub(crate) fn read(body: &[u8]) -> Option<Brought> {
    let mut json = json::read(std::str::from_utf8(body).ok()?).ok()?;
    let read = brought(&json);
    wipe(&mut json);
    read
}

fn brought(json: &Json) -> Option<Brought> {
    let Json::Object(members) = json else { return None };
    let mut found = Brought { tokens: Vec::new(), more: None };
    for (name, value) in members {
        match (TOKENS.iter().find(|token| *token == name), value) {
            (Some(name), Json::Text(value)) => {
                found.tokens.push((*name, Zeroizing::new(value.clone())));
            }
            (Some(_), Json::Null) => {}
            (Some(_), Json::Other | Json::List(_) | Json::Object(_)) => return None,
            (None, value) => {
                found.more = found.more.or_else(|| carrier(name, value));
            }
        }
    }
    Some(found)
}

/// The name of what may be a token, in a member or within it. As deep as the reader allows.
fn carrier(name: &str, value: &Json) -> Option<String> {
    // A number of it is none.
    let says_of_it = KINDS.contains(&name) || name.ends_with("_uuid");
    let is_named = || is_carrier_parameter(name.as_bytes()) && !says_of_it;
    match value {
        Json::Null | Json::Other => None,
        Json::Text(_) => is_named().then(|| name.escape_default().take(64).collect()),
        Json::List(some) => some.iter().find_map(|one| carrier(name, one)),
        Json::Object(members) => members.iter().find_map(|(name, one)| carrier(name, one)),
    }
}

/// Overwrites what was read.
fn wipe(json: &mut Json) {
    match json {
        Json::Null | Json::Other => {}
        Json::Text(text) => text.zeroize(),
        Json::List(some) => some.iter_mut().for_each(wipe),
        Json::Object(members) => members.iter_mut().for_each(|(_, value)| wipe(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: (&str, &[u8]) = ("Content-Type", b"application/json");
    const FORM: (&str, &[u8]) =
        ("content-type", b"application/x-www-form-urlencoded;charset=UTF-8");

    fn asking(
        (method, headers): (&str, &[(&str, &[u8])]),
        body: &str,
        inject: &Inject,
    ) -> Result<(), OAuthFault> {
        let request = Request { method, path: "/token", query: None, headers, websocket: false };
        asks(&request, body.as_bytes(), inject)
    }

    #[test]
    fn only_the_own_grant_is_asked_for() {
        use OAuthFault::{Grant, Json, Method};
        let inject = Inject::Json(vec!["refresh_token".into()]);
        let good =
            r#"{"grant_type":"refresh_token","refresh_token":"S","client_id":"c","scope":"a b"}"#;
        let kind = || Err(OAuthFault::Kind("application/json"));
        for (method, headers, want, why) in [
            ("POST", &[JSON][..], Ok(()), "as clients ask"),
            ("POST", &[FORM], kind(), "said to be a form"),
            ("POST", &[], kind(), "nothing said"),
            ("POST", &[JSON, FORM], kind(), "said to be both"),
            ("POST", &[JSON, ("Content_Type", b"x")], kind(), "spelt oddly"),
            ("POST", &[JSON, ("content-encoding", b"gzip")], kind(), "coded"),
            ("PUT", &[JSON], Err(Method), "another method"),
            (
                "POST",
                &[("content-type", b"application/json; charset=UTF-8")],
                Ok(()),
                "in what JSON is written in",
            ),
            (
                "POST",
                &[("content-type", b"application/json; charset=utf-7")],
                kind(),
                "in what hides members",
            ),
            ("POST", &[("content-type", b"application/json;a;charset=utf-8")], kind(), "with more"),
        ] {
            assert_eq!(asking((method, headers), good, &inject), want, "{why}");
        }
        let more = |name: &str| Err(OAuthFault::More(name.into()));
        let query = Some("device_code=x");
        let request =
            Request { method: "POST", path: "/", query, headers: &[JSON], websocket: false };
        let got = asks(&request, good.as_bytes(), &inject);
        assert_eq!(got, more("its query"), "some endpoints read it, too");
        let grant = || Err(Grant("refresh_token"));
        for (body, want, why) in [
            (r#"{"refresh_token":"S"}"#, grant(), "no grant"),
            (r#"{"grant_type":"authorization_code","refresh_token":"S"}"#, grant(), "another"),
            (r#"{"grant_type":"refresh_token","code":"x"}"#, more("code"), "another identity"),
            (
                r#"{"grant_type":"refresh_token","Refresh_Token":"x"}"#,
                more("Refresh_Token"),
                "oddly",
            ),
            (r#"{"grant_type":["refresh_token"]}"#, Err(Json), "a list"),
            (r#"{"scope":"a","scope":"b"}"#, Err(Json), "twice"),
            ("[]", Err(Json), "no object"),
        ] {
            assert_eq!(asking(("POST", &[JSON]), body, &inject), want, "{why}: {body}");
        }
    }

    #[test]
    fn the_same_in_a_form() {
        use OAuthFault::{Form, Twice};
        let more = |name: &str| Err(OAuthFault::More(name.into()));
        let form = Inject::Form("refresh_token".into());
        let basic = Inject::Basic(Some("id".into()));
        for (body, inject, want, why) in [
            ("grant_type=refresh_token&refresh_token=S&scope=a+b", &form, Ok(()), "as clients ask"),
            ("grant_type=refresh_token&client_secret=x", &form, more("client_secret"), "another"),
            (
                "grant_type=refresh_token&scope=a&scope=b",
                &form,
                Err(Twice("scope".into())),
                "twice",
            ),
            ("grant%5ftype=refresh_token", &form, Err(Form(FormFault::Twice)), "coded"),
            ("grant_type=client_credentials", &basic, Ok(()), "by a password"),
            ("grant_type=client_credentials&code=x", &basic, more("code"), "another beside it"),
            ("", &basic, Err(Form(FormFault::Empty)), "nothing"),
        ] {
            assert_eq!(asking(("POST", &[FORM]), body, inject), want, "{why}: {body}");
        }
        let text = Inject::Form("key".into());
        let got = asking(("POST", &[FORM]), "grant_type=refresh_token", &text);
        assert!(got.is_err(), "nobody asks for tokens with such a field");
    }

    #[test]
    fn what_an_answer_brings() {
        let told = |body: &str| {
            let read = read(body.as_bytes())?;
            let tokens =
                read.tokens.iter().map(|(name, value)| format!("{name}={}", value.as_str()));
            Some((tokens.collect::<Vec<_>>().join(" "), read.more))
        };
        let some =
            |tokens: &str, more: Option<&str>| Some((tokens.to_owned(), more.map(str::to_owned)));
        for (body, want, why) in [
            (
                r#"{"token_type":"Bearer","access_token":"a","expires_in":1,"refresh_token":"r"}"#,
                some("access_token=a refresh_token=r", None),
                "as servers answer",
            ),
            (
                r#"{"access_token":"\u0061","id_token":null}"#,
                some("access_token=a", None),
                "escaped",
            ),
            (r#"{"error":"invalid_grant"}"#, some("", None), "none"),
            (r#"{"access_token":1}"#, None, "a number"),
            (r#"{"access_token":"a","access_token":"b"}"#, None, "twice"),
            (r#"["access_token"]"#, None, "a list"),
            ("access_token=a", None, "a form"),
            ("", None, "nothing"),
            (
                r#"{"access_token":"a","session_token":"b"}"#,
                some("access_token=a", Some("session_token")),
                "one more",
            ),
            (r#"{"data":{"access_token":"a"}}"#, some("", Some("access_token")), "within"),
            (r#"{"apiKey":["a"]}"#, some("", Some("apiKey")), "in a list"),
            (
                r#"{"tokens_left":5,"Access_Token":"a"}"#,
                some("", Some("Access_Token")),
                "spelt oddly",
            ),
        ] {
            assert_eq!(told(body), want, "{why}: {body}");
        }
    }
}
