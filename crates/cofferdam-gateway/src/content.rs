//! What a rule asks of the body of a request, followed as it passes, in every version of HTTP.

use cofferdam_policy::judge::requests::{GraphQl, Request, Requests, is_same_field};

use crate::graphql::{self, BODY_BYTES_MAX};
use crate::packets::{Fetch, Push};

/// Longest list of what a push changes, as it is put on record. Letters.
const SHOWN_MAX: usize = 300;

/// A body on its way.
#[derive(Debug)]
pub(crate) enum Content {
    /// Nobody asks anything of it.
    Any,
    /// Git's push: what it changes stands first.
    Push(Box<Push>),
    /// Git's fetch: its first packet says so.
    Fetch(Fetch),
    /// GraphQL, which is held until all of it is there.
    Document(Vec<u8>),
}

/// Why a body does not go on: a stable name, and words.
pub(crate) type Unread = (&'static str, String);

/// A body that has to be read before it goes on is not there in time.
pub(crate) fn late() -> Unread {
    ("body-late", "its body has to be read whole, and was not there in time".into())
}

impl Content {
    /// What `rule` asks of the body of this request, which it allows.
    pub(crate) fn of(rule: &Requests, request: &Request<'_>) -> Self {
        if let Some(GraphQl::Query) = rule.graphql {
            return Self::Document(Vec::new());
        }
        if rule.git.is_empty() || request.method != "POST" {
            return Self::Any;
        }
        // A fetch that is coded says no less what it is by its path; a push never is.
        let is_coded =
            |(name, _): &(&str, &[u8])| is_same_field(b"content-encoding", name.as_bytes());
        match request.path.rsplit('/').next() {
            Some("git-receive-pack") => Self::Push(Box::default()),
            Some("git-upload-pack") if !request.headers.iter().any(is_coded) => {
                Self::Fetch(Fetch::new())
            }
            Some(_) | None => Self::Any,
        }
    }

    /// Whether nothing goes on before all of it is there.
    pub(crate) const fn holds(&self) -> bool {
        matches!(self, Self::Document(_))
    }

    /// The bytes that come next, without what frames them. None of them may go on where they are refused.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Unread> {
        match self {
            Self::Any => Ok(()),
            Self::Push(push) => loop {
                let fed = push.feed(bytes).map_err(|fault| (fault.code(), fault.to_string()))?;
                bytes = bytes.get(fed.taken..).unwrap_or_default();
                if fed.done && !bytes.is_empty() && !push.has_pack() {
                    return Err(("git-trailing", "bytes follow a push of nothing".into()));
                }
                if fed.done || fed.taken == 0 {
                    return Ok(());
                }
            },
            Self::Fetch(fetch) => match fetch.feed(bytes) {
                Ok(_) => Ok(()),
                Err(fault) => Err((fault.code(), fault.to_string())),
            },
            Self::Document(held) if held.len().saturating_add(bytes.len()) > BODY_BYTES_MAX => {
                let why = format!("a request of GraphQL has at most {BODY_BYTES_MAX} bytes");
                Err(("graphql-long", why))
            }
            Self::Document(held) => {
                held.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// All of it is there.
    pub(crate) fn end(&self, request: &Request<'_>) -> Result<(), Unread> {
        match self {
            Self::Any | Self::Push(_) | Self::Fetch(_) => Ok(()),
            Self::Document(held) => graphql::queries_only(request, held)
                .map_err(|fault| (fault.code(), fault.to_string())),
        }
    }

    /// What is put on record of it.
    pub(crate) fn shown(&self) -> Option<String> {
        let Self::Push(push) = self else { return None };
        let names = push.updates().iter().map(|update| update.name.escape_ascii().to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        let short: String = names.chars().take(SHOWN_MAX).collect();
        (!short.is_empty()).then(|| format!("pushes {short}"))
    }
}
