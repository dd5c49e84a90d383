//! What is asked of the body of a request, followed as it passes, in every version of HTTP: what its rule
//! asks, and that it carries nothing which must not go out.

use cofferdam_policy::judge::requests::{GraphQl, Request, Requests, is_same_field};
use zeroize::Zeroizing;

use crate::bearing::Bearing;
use crate::bearing::search::Search;
use crate::fields::Field;
use crate::graphql::{self, BODY_BYTES_MAX};
use crate::jsonrules;
use crate::packets::{Fetch, Push};

/// Longest list of what a push changes, as it is put on record. Letters.
const SHOWN_MAX: usize = 300;

/// Places of a long body: few are held at once.
const MEMBERS_PLACES: u32 = 4;

/// A body on its way.
#[derive(Debug)]
pub(crate) struct Content {
    kind: Kind,
    /// Where something is looked for; of what is held, afterwards.
    search: Option<Search>,
}

/// What its rule asks.
#[derive(Debug)]
enum Kind {
    /// Nobody asks anything of it.
    Any,
    /// Git's push: what it changes stands first.
    Push(Box<Push>),
    /// Git's fetch: its first packet says so.
    Fetch(Fetch),
    /// GraphQL, which is held until all of it is there.
    Document(Vec<u8>),
    /// JSON in which something is refused: held likewise.
    Members(Vec<u8>),
    /// It bears the request's identity: held likewise.
    Bears(Vec<u8>),
}

/// Why a body does not go on: a stable name, and words.
pub(crate) type Unread = (&'static str, String);

/// A body that has to be read before it goes on is not there in time.
pub(crate) fn late() -> Unread {
    ("body-late", "its body has to be read whole, and was not there in time".into())
}

impl Content {
    /// One of which nobody asks anything.
    pub(crate) const fn any() -> Self {
        Self { kind: Kind::Any, search: None }
    }

    /// What `rule`, which allows this request, and what it bears ask of its body.
    pub(crate) fn of(
        rule: &Requests,
        request: &Request<'_>,
        (bearing, fields): (&Bearing, &[Field]),
    ) -> Result<Self, Unread> {
        let kind = match (bearing.is_in_body(), rule.graphql) {
            // It is judged by its whole, and one is enough to be judged by.
            (true, Some(_)) => {
                return Err((
                    "graphql-credential",
                    "a document bears no identity in itself".into(),
                ));
            }
            (true, None) => Kind::Bears(Vec::new()),
            (false, _) => Kind::of(rule, request),
        };
        Ok(Self { kind, search: bearing.search(fields)? })
    }

    /// Whether fields may stand behind it: nobody looks through those.
    pub(crate) const fn may_trail(&self) -> bool {
        self.search.is_none()
    }

    /// Whether nothing goes on before all of it is there.
    pub(crate) const fn holds(&self) -> bool {
        matches!(self.kind, Kind::Document(_) | Kind::Members(_) | Kind::Bears(_))
    }

    /// Most of it that is held. Bytes.
    pub(crate) const fn most(&self) -> usize {
        self.kind.most()
    }

    /// How many places among those that are held it takes.
    pub(crate) const fn places(&self) -> u32 {
        match self.kind {
            Kind::Members(_) => MEMBERS_PLACES,
            Kind::Any | Kind::Push(_) | Kind::Fetch(_) | Kind::Document(_) | Kind::Bears(_) => 1,
        }
    }

    /// The bytes that come next, without what frames them. None of them may go on where they are refused.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        // Of what bears an identity that is taken out first.
        if let (Some(search), false) = (&mut self.search, matches!(self.kind, Kind::Bears(_))) {
            search.feed(bytes)?;
        }
        self.kind.feed(bytes)
    }

    /// All of it is there; what was held, as it goes on: another one where it bears an identity.
    pub(crate) fn end(
        &mut self,
        (rule, request): (&Requests, &Request<'_>),
        bearing: &Bearing,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Unread> {
        if let Kind::Members(held) | Kind::Bears(held) = &self.kind
            && !rule.refuse_body.is_empty()
        {
            let refused = jsonrules::refuse_of(&rule.refuse_body, request, held);
            refused.map_err(|fault| (fault.code(), fault.to_string()))?;
        }
        let borne = match &self.kind {
            Kind::Bears(held) => {
                let (without, with) = bearing.in_body(request, held)?;
                if let Some(search) = &mut self.search {
                    search.feed(&without)?;
                }
                Some(with)
            }
            Kind::Any | Kind::Push(_) | Kind::Fetch(_) | Kind::Document(_) | Kind::Members(_) => {
                self.kind.end(request)?;
                None
            }
        };
        self.last()?;
        Ok(borne)
    }

    /// All of what was not held has come.
    pub(crate) fn last(&mut self) -> Result<(), Unread> {
        self.search.as_mut().map_or(Ok(()), Search::end)
    }

    /// What is put on record of it.
    pub(crate) fn shown(&self) -> Option<String> {
        self.kind.shown()
    }
}

impl Kind {
    fn of(rule: &Requests, request: &Request<'_>) -> Self {
        if let Some(GraphQl::Query) = rule.graphql {
            return Self::Document(Vec::new());
        }
        if !rule.refuse_body.is_empty() {
            return Self::Members(Vec::new());
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

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Unread> {
        let most = self.most();
        let long = if matches!(self, Self::Members(_)) { "json-long" } else { "graphql-long" };
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
            Self::Document(held) | Self::Members(held) | Self::Bears(held)
                if held.len().saturating_add(bytes.len()) > most =>
            {
                Err((long, format!("a body that is read whole has at most {most} bytes")))
            }
            Self::Document(held) | Self::Members(held) | Self::Bears(held) => {
                held.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Most of it that is held. Bytes.
    const fn most(&self) -> usize {
        match self {
            Self::Members(_) => jsonrules::BODY_BYTES_MAX,
            Self::Any | Self::Push(_) | Self::Fetch(_) | Self::Document(_) | Self::Bears(_) => {
                BODY_BYTES_MAX
            }
        }
    }

    fn end(&self, request: &Request<'_>) -> Result<(), Unread> {
        match self {
            Self::Any | Self::Push(_) | Self::Fetch(_) | Self::Members(_) | Self::Bears(_) => {
                Ok(())
            }
            Self::Document(held) => graphql::queries_only(request, held)
                .map_err(|fault| (fault.code(), fault.to_string())),
        }
    }

    fn shown(&self) -> Option<String> {
        let Self::Push(push) = self else { return None };
        let names = push.updates().iter().map(|update| update.name.escape_ascii().to_string());
        let names = names.collect::<Vec<_>>().join(", ");
        let short: String = names.chars().take(SHOWN_MAX).collect();
        (!short.is_empty()).then(|| format!("pushes {short}"))
    }
}
