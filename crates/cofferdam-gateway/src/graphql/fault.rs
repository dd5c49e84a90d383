//! Why a request is no query of GraphQL.

use super::BODY_BYTES_MAX;
use crate::json::Odd;

/// Why a request does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphQlFault {
    /// Neither `POST` nor `GET`.
    Method,
    /// No `Content-Type`, two, or one that is neither JSON nor GraphQL in UTF-8.
    Type,
    /// A content coding: nobody has looked inside.
    Coded,
    /// Over [`BODY_BYTES_MAX`], or a batch that is too large.
    TooLong,
    /// A parameter of the URL that does not belong there, stands there twice, or is coded oddly.
    Parameter,
    /// No JSON of UTF-8, or a member of another kind.
    Json,
    /// A member stands there twice.
    Twice,
    /// A member that is none of GraphQL's.
    Member,
    /// There is no document.
    NoDocument,
    /// A hash in place of a document, or beside it.
    Persisted,
    /// The document cannot be read, or not in one way.
    Document,
    /// A `mutation`.
    Mutation,
    /// A `subscription`.
    Subscription,
    /// A definition that nobody sends to be run.
    Definition,
}

impl GraphQlFault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Method => "graphql-method",
            Self::Type => "graphql-type",
            Self::Coded => "graphql-coded",
            Self::TooLong => "graphql-long",
            Self::Parameter => "graphql-parameter",
            Self::Json => "graphql-json",
            Self::Twice => "graphql-twice",
            Self::Member => "graphql-member",
            Self::NoDocument => "graphql-no-document",
            Self::Persisted => "graphql-persisted",
            Self::Document => "graphql-document",
            Self::Mutation => "graphql-mutation",
            Self::Subscription => "graphql-subscription",
            Self::Definition => "graphql-definition",
        }
    }
}

impl std::fmt::Display for GraphQlFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Method => "GraphQL is asked by `POST`, or by `GET` with a query",
            Self::Type => "the body is neither `application/json` nor `application/graphql`",
            Self::Coded => "the body has a content coding, so nobody can look inside",
            Self::TooLong => {
                return write!(out, "GraphQL that is judged has at most {BODY_BYTES_MAX} bytes");
            }
            Self::Parameter => "the URL has a parameter that does not belong there",
            Self::Json => "the body is no JSON of a GraphQL request",
            Self::Twice => "a member of the JSON stands there twice",
            Self::Member => "the JSON has a member that is none of GraphQL's",
            Self::NoDocument => "there is no document of GraphQL",
            Self::Persisted => "a hash stands for a document that only the server knows",
            Self::Document => "the document of GraphQL cannot be read without doubt",
            Self::Mutation => "the document has a mutation, and only queries are allowed",
            Self::Subscription => "the document has a subscription, and only queries are allowed",
            Self::Definition => "the document defines what nobody sends to be run",
        })
    }
}

impl From<Odd> for GraphQlFault {
    fn from(odd: Odd) -> Self {
        match odd {
            Odd::Syntax => Self::Json,
            Odd::Twice => Self::Twice,
        }
    }
}
