//! Why a request is not signed anew.

use super::CLOCK_SECS_MAX;

/// Why a request does not go on with a real key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigV4Fault {
    /// There is no `Authorization`.
    Absent,
    /// There are two, or one under another spelling.
    Twice,
    /// Another scheme or algorithm, such as version 4A's.
    Algorithm,
    /// Not the three parts, or more than them.
    Form,
    /// The signature, or a part of one, stands in the URL.
    Presigned,
    /// The key's name is not the session's stand-in.
    KeyId,
    /// The token is not the session's stand-in, is missing, stands there twice or has no place.
    Token,
    /// Signed for another day, region or service than the rule names.
    Scope,
    /// No `X-Amz-Date`, two, or one that is no date.
    Date,
    /// The date is over [`CLOCK_SECS_MAX`] from now.
    Time,
    /// The list of signed fields is not in order, or names what must not be signed.
    Names,
    /// `Host` is not signed, absent, or there twice.
    Host,
    /// A field of Amazon's is not signed.
    Unsigned,
    /// A field that is signed is not there.
    Missing,
    /// The path does not begin with a slash.
    Path,
    /// The query is coded in a way that hosts read differently.
    Query,
    /// `X-Amz-Content-SHA256` is nothing that is known, or there twice.
    Content,
    /// Each chunk of the body is signed.
    Chunks,
    /// The body's hash is part of the signature, and nobody has read the body.
    BodyUnread,
    /// The body is not the one that the head names.
    Body,
    /// The signature is not the stand-in's.
    Signature,
    /// The real key's name is none.
    Key,
}

impl SigV4Fault {
    /// Stable name for scripts and the log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Absent => "sigv4-absent",
            Self::Twice => "sigv4-twice",
            Self::Algorithm => "sigv4-algorithm",
            Self::Form => "sigv4-form",
            Self::Presigned => "sigv4-presigned",
            Self::KeyId => "sigv4-key-id",
            Self::Token => "sigv4-token",
            Self::Scope => "sigv4-scope",
            Self::Date => "sigv4-date",
            Self::Time => "sigv4-time",
            Self::Names => "sigv4-signed-headers",
            Self::Host => "sigv4-host",
            Self::Unsigned => "sigv4-unsigned",
            Self::Missing => "sigv4-missing",
            Self::Path => "sigv4-path",
            Self::Query => "sigv4-query",
            Self::Content => "sigv4-content",
            Self::Chunks => "sigv4-chunks",
            Self::BodyUnread => "sigv4-body-unread",
            Self::Body => "sigv4-body",
            Self::Signature => "sigv4-signature",
            Self::Key => "sigv4-key",
        }
    }
}

impl std::fmt::Display for SigV4Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Absent => "the request is not signed",
            Self::Twice => "the request has more than one `Authorization`",
            Self::Algorithm => {
                "signed by another algorithm than `AWS4-HMAC-SHA256`: multi-region access points need \
                 version 4A, which cannot be signed anew; address a bucket of one region"
            }
            Self::Form => "`Authorization` has not the three parts of a signature of version 4",
            Self::Presigned => {
                "the signature stands in the URL: send it in `Authorization`, not as a presigned URL"
            }
            Self::KeyId => "signed with another key than this session's stand-in",
            Self::Token => "the session token is not this session's stand-in",
            Self::Scope => "signed for another day, region or service than the rule names",
            Self::Date => "there is not one `X-Amz-Date` that is a date",
            Self::Time => {
                return write!(out, "the signature's date is over {CLOCK_SECS_MAX} seconds from now");
            }
            Self::Names => "the list of signed fields is not in order, or names what is never signed",
            Self::Host => "there is not one `Host` that is signed",
            Self::Unsigned => "a field `X-Amz-…` is not signed",
            Self::Missing => "a field that is signed is not there",
            Self::Path => "the path does not begin with a slash",
            Self::Query => "the query is coded in a way that hosts read differently",
            Self::Content => "there is not one `X-Amz-Content-SHA256` that is known",
            Self::Chunks => {
                "each chunk of the body is signed, which cannot be done anew: send over TLS with the \
                 payload unsigned or hashed whole (`payload_signing_enabled` or a checksum as a trailer)"
            }
            Self::BodyUnread => "the body is part of the signature and was not read",
            Self::Body => "the body is not the one that was signed",
            Self::Signature => "the signature is not made with this session's stand-in",
            Self::Key => "the real key's name holds bytes that no such name has",
        })
    }
}
