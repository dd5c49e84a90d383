//! What can be wrong with what a rule asks of requests: one variant a situation.

use super::network::short;
use crate::judge::requests::{MemberFault, PathFault, Trick};

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestFault {
    #[error("rules for port {port} of `{}` look inside, and never do", short(host))]
    ClashNever { host: String, port: u16 },
    #[error("unknown `inspect`: `{}`", short(asked))]
    InspectUnknown { asked: String },
    #[error("`{key}` is about requests, and `inspect = \"never\"` looks at none")]
    NeverAsks { key: &'static str },
    #[error("`inspect = \"never\"` is about TLS, and this is in the clear")]
    NeverClear,
    #[error("`{key}` is about requests, and nothing is looked at in `tcp`")]
    InsideTcp { key: &'static str },
    #[error("`{key}` and `{of}` cannot hold together")]
    NotWith { key: &'static str, of: &'static str },
    #[error("`h2c` is HTTP/2 in the clear, and this is not HTTP in the clear")]
    H2c,
    #[error("`{key}` is empty")]
    ListEmpty { key: &'static str },
    #[error("`{}` is no method", short(got))]
    Method { got: String },
    #[error("no rule can allow `{method}`")]
    MethodNever { method: String },
    #[error("the method `{}` is named twice", short(method))]
    MethodTwice { method: String },
    #[error("`{}` is no pattern of paths: {why}", short(got))]
    RequestPath { got: String, why: PathFault },
    #[error("`{}` is no pattern of a parameter", short(got))]
    Query { got: String },
    #[error("`{}` is no name of a header", short(got))]
    HeaderName { got: String },
    #[error("the header `{}` is named twice", short(name))]
    HeaderTwice { name: String },
    #[error("the header `{}` is the gateway's own", short(name))]
    HeaderKept { name: String },
    #[error("the header `{}` has a value that is no line of letters", short(name))]
    HeaderValue { name: String },
    #[error("the name `{}` says that the value is a secret", short(name))]
    HeaderSecret { name: String },
    #[error("`{}` is no size", short(got))]
    RequestSize { got: String },
    #[error("`{}` is no rate", short(got))]
    Rate { got: String },
    #[error("`{}` is no repository with an access", short(got))]
    Git { got: String },
    #[error("the repository `{}` is named twice", short(path))]
    GitTwice { path: String },
    #[error("unknown `graphql`: `{}`", short(asked))]
    GraphQl { asked: String },
    #[error("`{}` is no pattern: {why}", short(got))]
    Members { got: String, why: MemberFault },
    #[error("the pattern `{}` stands there twice", short(got))]
    MembersTwice { got: String },
}

impl RequestFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::ClashNever { .. } => "inspect-clash",
            Self::InspectUnknown { .. } => "inspect-unknown",
            Self::NeverAsks { .. } => "inspect-never",
            Self::NeverClear => "inspect-clear",
            Self::InsideTcp { .. } => "inside-tcp",
            Self::NotWith { .. } => "rule-keys",
            Self::H2c => "h2c-protocol",
            Self::ListEmpty { .. } => "list-empty",
            Self::Method { .. } => "method-text",
            Self::MethodNever { .. } => "method-never",
            Self::MethodTwice { .. } => "method-twice",
            Self::RequestPath { .. } => "path-pattern",
            Self::Query { .. } => "query-pattern",
            Self::HeaderName { .. } => "header-name",
            Self::HeaderTwice { .. } => "header-twice",
            Self::HeaderKept { .. } => "header-kept",
            Self::HeaderValue { .. } => "header-value",
            Self::HeaderSecret { .. } => "header-secret",
            Self::RequestSize { .. } => "request-size",
            Self::Rate { .. } => "rate-text",
            Self::Git { .. } => "git-repository",
            Self::GitTwice { .. } => "git-twice",
            Self::GraphQl { .. } => "graphql-unknown",
            Self::Members { .. } => "member-pattern",
            Self::MembersTwice { .. } => "member-twice",
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::ClashNever { .. } => {
                "remove `inspect = \"never\"`, or what the other rule asks of requests"
            }
            Self::InspectUnknown { .. } => "write `auto`, `always` or `never`",
            Self::NeverAsks { .. } => {
                "remove one of the two; without `inspect`, the rule looks inside"
            }
            Self::NeverClear => "remove it: who carries HTTP in the clear sees it",
            Self::InsideTcp { .. } => {
                "remove it, or write the protocol that is spoken: `tls` or `http`"
            }
            Self::NotWith { of: "git", .. } => {
                "write a rule for each: what git's requests are is known"
            }
            Self::NotWith { key: "refuse_body", .. } => {
                "remove one of the two: a document of GraphQL is read as one already"
            }
            Self::NotWith { .. } => "write a rule for each: what is in a WebSocket is not read",
            Self::H2c => "remove it: within TLS, both sides agree on the version",
            Self::ListEmpty { key } if key.ends_with("git") => {
                "leave it out, or name a repository: git = [\"owner/name:read\"]"
            }
            Self::ListEmpty { .. } => "leave it out, where nothing is asked, or name what is meant",
            Self::Method { .. } => {
                "write it as it is sent, in capitals, such as `GET`; case counts"
            }
            Self::MethodNever { .. } => "remove it: the gateway refuses such requests by itself",
            Self::MethodTwice { .. }
            | Self::HeaderTwice { .. }
            | Self::GitTwice { .. }
            | Self::MembersTwice { .. } => "name it once",
            Self::RequestPath { why, .. } => hint_of_path(*why),
            Self::Query { .. } => {
                "write one parameter as \"name=value\", with `*` for any letters; \"name=*\""
            }
            Self::HeaderName { .. } => "write a name such as `accept`, without a colon",
            Self::HeaderKept { .. } => "remove it: it says how one connection carries a message",
            Self::HeaderValue { .. } => {
                "write one line of ASCII that begins and ends with no blank"
            }
            Self::HeaderSecret { .. } => "a policy holds no secrets: name a `credential`",
            Self::RequestSize { .. } => {
                "write a size such as \"2MiB\" or \"512KiB\", or a plain number of bytes"
            }
            Self::Rate { .. } => "write \"10/s\", \"60/min\" or \"1000/h\", with a whole number",
            Self::Git { .. } => {
                "write \"owner/name:read\" or \"owner/name:write\"; `*` is any last name"
            }
            Self::GraphQl { .. } => "write `query`: operations that change nothing",
            Self::Members { .. } => "write it such as \"tools.*.type=web_*\" or \"**.url=http*\"",
        }
    }
}

fn hint_of_path(why: PathFault) -> &'static str {
    match why {
        PathFault::NoSlash => "write the whole path, such as `/v1/models`, or `/v1/**`",
        PathFault::TooLong => "write fewer words, and `**` for the rest",
        PathFault::Stars => "write `/a/**`, or `*` for letters of one word",
        PathFault::Query => "write the path alone; parameters go into `query`",
        PathFault::Never(Trick::Unreserved) => "write that letter as it is",
        PathFault::Never(_) => "no request with it is let through: write what hosts take it for",
    }
}
