//! What a request bears, and what must not go out with it: asked of each request of a session that has
//! credentials or canaries, after its rule has let it through and before anything of it goes on.

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::{Request, Requests};
use zeroize::{Zeroize, Zeroizing};

use crate::body::Framing;
use crate::content::Unread;
use crate::credentials::{Credentials, Held, Worthless};
use crate::fields::Field;
use crate::foreign::{self, Kind, Own};
use crate::head::{Head, Target};
use crate::relay::{listed, split, view};
use crate::scrub::Pairs;
use crate::sigv4::{self, Keys, Needs, Resigned, Scope, SigV4Fault, Signer};
use crate::{forms, jsonrules, oauth};

pub(crate) mod search;

use search::{Messages, Place, Search, Wanted};

/// What one request bears.
#[derive(Debug, Default)]
pub struct Bearing {
    all: Option<Rc<Credentials>>,
    wanted: Option<&'static Wanted>,
    /// The name of its rule's.
    named: Option<String>,
    /// That of its rule.
    held: Option<Rc<Held>>,
    /// What of that which stands in for it was found.
    used: Option<Rc<str>>,
    /// Those whose secrets the host may know.
    known: Vec<Rc<Held>>,
    own: Option<Own>,
    /// The head whose signature waits for the body that is signed with it.
    unsigned: Option<Head>,
    /// What is signed with the secret.
    resigned: OnceCell<Resigned>,
}

/// A host that takes passwords is asked without one first, and says that it wants one (RFC 7617).
pub(crate) const WANTS_PASSWORD: &str = "credential-wanted";
/// What a request is refused with that bears another identity, or one more.
const FOREIGN: &str = "foreign-credential";

impl Bearing {
    /// For a request that `rule` lets through, to a host that may know these.
    pub(crate) fn new(all: &Rc<Credentials>, rule: &Requests, known: Vec<Rc<Held>>) -> Self {
        let named = rule.credential.clone();
        let held = named.as_ref().and_then(|name| all.named(name));
        let (wanted, all) = (all.wanted(), Some(Rc::clone(all)));
        Self { all, wanted, named, held, known, ..Self::default() }
    }

    /// Takes away what would have an answer come in pieces that nobody could look through, or has its client
    /// wait for a word of the host's where the body is held.
    fn prepare(&self, head: &mut Head, rule: &Requests) {
        let inject = self.held.as_ref().map(|held| &held.credential().inject);
        let signed = matches!(inject, Some(Inject::SigV4 { .. }));
        if !self.known.is_empty() && !signed {
            head.headers.retain(|field| !field.is("range") && !field.is("if-range"));
        }
        // What is compressed with what came before in another message nobody could look through.
        if self.reads_messages() {
            head.headers.retain(|field| !field.is_like("sec-websocket-extensions"));
        }
        let read = rule.graphql.is_some() || !rule.refuse_body.is_empty();
        let holds = signed || self.asks_tokens() || inject.is_some_and(Inject::is_in_body);
        if read || holds {
            head.headers.retain(|field| !field.is("expect"));
        }
    }

    /// Whether its own is still worth something.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn stands(&self) -> Result<(), Unread> {
        let held = self.held.as_ref();
        match held.and_then(|held| Some((held.worthless()?, held.name()))) {
            Some((worthless, name)) => Err(told(worthless, name)),
            None => Ok(()),
        }
    }

    /// Whether something is looked for.
    pub(crate) const fn searches(&self) -> bool {
        self.wanted.is_some()
    }

    /// Whether messages of a WebSocket are read: what goes out is searched, what comes is without secrets.
    pub(crate) const fn reads_messages(&self) -> bool {
        self.searches() || !self.known.is_empty()
    }

    /// Asks the head of a request, as its rule wants it to go on, and takes away what cannot: what was
    /// found stands in a place of the head as it is afterwards.
    ///
    /// # Errors
    /// It bears another identity than its rule's, or none, or one more; its own is worth nothing any more;
    /// or something else in it must not go out.
    pub(crate) fn check(&mut self, head: &mut Head, rule: &Requests) -> Result<(), Unread> {
        self.prepare(head, rule);
        if let Some(name) = &self.named {
            let Some(held) = self.held.clone() else {
                return Err((FOREIGN, format!("this session has no credential `{name}`")));
            };
            let (own, used) = own(head, &held)?;
            (self.own, self.used) = (Some(own), used);
            self.stands()?;
            if self.asks_tokens() && self.all.as_ref().is_some_and(|all| !all.has_room(&held)) {
                let why = format!("`{name}` has had too many tokens within a day");
                return Err(("oauth-often", why));
            }
            if self.own == Some(Own::Signature) {
                self.sign(head, &held)?;
            }
        }
        self.look(head)
    }

    /// Looks through the head, but for the place where its own belongs.
    fn look(&self, head: &Head) -> Result<(), Unread> {
        let Some(wanted) = self.wanted else { return Ok(()) };
        let target = head.target.path_and_query();
        let own = match &self.own {
            Some(Own::Parameter { bytes }) => {
                let from = split(target).0.len() + 1;
                from + bytes.start..from + bytes.end
            }
            Some(_) | None => target.len()..target.len(),
        };
        let user = match &self.own {
            Some(Own::Basic { user, .. }) => Some((user.as_bytes(), Place::Is("the user's name"))),
            Some(_) | None => None,
        };
        let is_own = |at: usize, field: &Field| match &self.own {
            Some(
                Own::Field { at: own, .. }
                | Own::Cookie { at: own, .. }
                | Own::Basic { at: own, .. },
            ) => *own == at,
            Some(Own::Signature) => SIGNED.iter().any(|name| field.is(name)),
            Some(Own::Parameter { .. } | Own::Body) | None => false,
        };
        let fields = head.headers.iter().enumerate().flat_map(|(at, field)| {
            let value = (field.value.as_slice(), Place::Header(&field.name));
            let value = (!is_own(at, field)).then_some(value);
            [Some((field.name.as_bytes(), Place::Is("the name of a header"))), value]
        });
        let before = target.get(..own.start).unwrap_or_default().as_bytes();
        let behind = target.get(own.end..).unwrap_or_default().as_bytes();
        let of_target = [before, behind].map(|part| Some((part, Place::Is("its target"))));
        let method = Some((head.method.as_bytes(), Place::Is("its method")));
        let all = of_target.into_iter().chain([user, method]).chain(fields);
        wanted.look_at(all.flatten())
    }

    /// Signs it with the secret, where it is signed with the stand-in; later, where the body is signed too.
    fn sign(&mut self, head: &Head, held: &Held) -> Result<(), Unread> {
        let fields = listed(head);
        let needs = sigv4::needs(&view(head, &fields)).map_err(unsigned)?;
        match (needs, head.framing) {
            (Needs::Nothing, _) => self.resign(head, held, None),
            (Needs::BodyHash, Framing::None) => self.resign(head, held, Some(&[])),
            (Needs::BodyHash, Framing::Length(_) | Framing::Chunked | Framing::UntilClose) => {
                self.unsigned = Some(head.clone());
                Ok(())
            }
        }
    }

    fn resign(&self, head: &Head, held: &Held, body: Option<&[u8]>) -> Result<(), Unread> {
        let Inject::SigV4 { service, region } = &held.credential().inject else { return Ok(()) };
        let (Some(secret), Some(own)) = (held.secret(), &self.used) else { return Ok(()) };
        let fields = listed(head);
        let signer = Signer {
            stand_in: keys(own.as_bytes()),
            real: keys(secret.expose()),
            scope: Scope { region, service },
        };
        let hash = body.map(|body| {
            let digest = ring::digest::digest(&ring::digest::SHA256, body);
            digest.as_ref().try_into().unwrap_or([0; 32])
        });
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signed = signer.resign(&view(head, &fields), hash, now).map_err(unsigned)?;
        // Once a request.
        drop(self.resigned.set(signed));
        Ok(())
    }

    /// What looks through its body, which has these fields in front; nothing where there is nothing to
    /// look for.
    ///
    /// # Errors
    /// It is coded in a way that nobody here can undo.
    pub(crate) fn search(&self, fields: &[Field]) -> Result<Option<Search>, Unread> {
        self.wanted.map(|wanted| Search::new(wanted, fields)).transpose()
    }

    /// What looks through messages of a WebSocket that go out; nothing where there is nothing to look for.
    pub(crate) fn messages(&self) -> Option<Messages> {
        self.wanted.map(Messages::new)
    }

    /// Puts the secret where the stand-in is. The head is overwritten when it has gone.
    ///
    /// # Errors
    /// Such a place cannot bear the secret.
    pub(crate) fn inject(&self, mut head: Head) -> Result<Injected, Unread> {
        let (Some(held), Some(own)) = (&self.held, &self.own) else { return Ok(Injected(head)) };
        self.stands()?;
        let moved = || (FOREIGN, "what was asked is not what goes on".to_owned());
        let secret = held.secret().ok_or_else(moved)?;
        let written = || {
            let why = "the secret has bytes that cannot stand where the rule wants it";
            own.written(secret.expose()).ok_or_else(|| ("credential-unsayable", why.to_owned()))
        };
        match own {
            Own::Field { at, bytes } | Own::Cookie { at, bytes } | Own::Basic { at, bytes, .. } => {
                let written = written()?;
                let field = head.headers.get_mut(*at).ok_or_else(moved)?;
                let there = field.value.get(bytes.clone());
                let is_basic = matches!(own, Own::Basic { .. }) && field.is("authorization");
                if !is_basic && there != self.used.as_deref().map(str::as_bytes) {
                    return Err(moved());
                }
                replace(&mut field.value, bytes.clone(), &written);
            }
            Own::Parameter { bytes } => {
                let mut target = head.target.path_and_query().as_bytes().to_vec();
                let from = split(head.target.path_and_query()).0.len() + 1;
                replace(&mut target, from + bytes.start..from + bytes.end, &written()?);
                // Percent signs and letters took the place of such.
                head.target = Target::Origin(String::from_utf8(target).unwrap_or_default());
            }
            Own::Signature => {
                let Some(signed) = self.resigned.get() else {
                    return Err((FOREIGN, "its signature was not looked at".into()));
                };
                head.headers.retain(|field| !SIGNED.iter().any(|name| field.is(name)));
                head.headers.push(Field::new("Authorization", &signed.authorization));
                head.headers.extend(signed.token.iter().map(|token| Field {
                    name: "X-Amz-Security-Token".into(),
                    value: token.clone(),
                }));
            }
            Own::Body => {}
        }
        Ok(Injected(head))
    }

    /// Whether its body bears its identity.
    pub(crate) fn is_in_body(&self) -> bool {
        matches!(self.own, Some(Own::Body)) || self.unsigned.is_some() || self.asks_tokens()
    }

    /// Whether it asks for tokens: its body is judged, and so is the answer, whole.
    pub(crate) fn asks_tokens(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.credential().oauth.is_some())
    }

    /// A body that bears its identity: without what stands in, and with the secret there.
    ///
    /// # Errors
    /// What stands in for it is not there, once, in its place.
    pub(crate) fn in_body(
        &self,
        request: &Request<'_>,
        body: &[u8],
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Unread> {
        let Some(held) = &self.held else { return Ok((body.to_vec(), Zeroizing::default())) };
        let foreign = |fault: String| {
            let name = held.name();
            (FOREIGN, format!("the rule lets through what bears `{name}` alone: {fault}"))
        };
        let inject = &held.credential().inject;
        if self.asks_tokens() {
            oauth::asks(request, body, inject).map_err(|fault| foreign(fault.to_string()))?;
            if !inject.is_in_body() {
                return Ok((body.to_vec(), Zeroizing::new(body.to_vec())));
            }
        }
        if let Some(head) = &self.unsigned {
            self.resign(head, held, Some(body))?;
            return Ok((body.to_vec(), Zeroizing::new(body.to_vec())));
        }
        // What one reader takes for JSON another one takes for a form.
        let said = |kind| oauth::kind(request, kind).map_err(|fault| fault.to_string());
        let replaced = |own: &[u8], with: &[u8]| match inject {
            Inject::Json(way) => {
                said("application/json")?;
                jsonrules::replace_member(body, way, own, with).map_err(|fault| fault.to_string())
            }
            Inject::Form(name) => {
                said("application/x-www-form-urlencoded")?;
                forms::replace_field(body, name, own, with).map_err(|fault| fault.to_string())
            }
            Inject::Header(_)
            | Inject::Bearer
            | Inject::Basic(_)
            | Inject::Query(_)
            | Inject::Cookie(_)
            | Inject::SigV4 { .. }
            | Inject::Ssh(_) => Err("it does not bear it in its body".into()),
        };
        let Some(secret) = held.secret() else { return Err(foreign("nobody has it yet".into())) };
        let mut told = None;
        for own in held.accepted() {
            match replaced(own.as_bytes(), b"") {
                Ok(without) => {
                    let with = replaced(own.as_bytes(), secret.expose()).map_err(foreign)?;
                    return Ok((without, Zeroizing::new(with)));
                }
                Err(fault) => told = told.or(Some(fault)),
            }
        }
        Err(foreign(told.unwrap_or_default()))
    }

    /// What goes inside of an answer to a request for tokens: its body, plain, with what stands in.
    ///
    /// # Errors
    /// It cannot be read, or something in it cannot be stood in for; or what it bore is worth nothing by now.
    pub(crate) async fn exchanged(
        &self,
        answer: (u16, &[Field], &[u8]),
    ) -> Result<Vec<u8>, Unread> {
        let (Some(all), Some(held)) = (&self.all, &self.held) else { return Ok(answer.2.to_vec()) };
        let body = all.exchanged((held, &self.known), answer).await?;
        self.stands().map(|()| body)
    }

    /// What of the host's answers is a secret, and what stands in for it; `None` where it can know none.
    ///
    /// # Errors
    /// A secret of theirs could not be found in an answer: none is passed on.
    pub(crate) fn pairs(&self) -> Result<Option<Pairs>, Unread> {
        let all = self.all.as_ref().filter(|_| !self.known.is_empty());
        let pairs = all.map(|all| all.pairs(&self.known)).transpose();
        pairs.map_err(|fault| (fault.code(), fault.to_string()))
    }

    /// Comes back when its own is worth nothing any more.
    pub(crate) async fn over(&self) -> Unread {
        match (&self.all, &self.held) {
            (Some(all), Some(held)) => told(all.over(held).await, held.name()),
            (None, _) | (_, None) => std::future::pending().await,
        }
    }
}

/// Fields of a signature of Amazon's.
const SIGNED: [&str; 2] = ["authorization", "x-amz-security-token"];

/// Where the request bears what stands in for it, and which; and no other identity anywhere.
fn own(head: &Head, held: &Held) -> Result<(Own, Option<Rc<str>>), Unread> {
    let (inject, name, fields) = (&held.credential().inject, held.name(), listed(head));
    let request = view(head, &fields);
    let accepted = held.accepted();
    let check = |own: Option<&Rc<str>>| {
        foreign::check(&request, inject, own.map_or(&b""[..], |own| own.as_bytes()))
    };
    let found =
        accepted.iter().find_map(|one| Some((check(Some(one)).ok()?, Some(Rc::clone(one)))));
    // Nothing but the newest is told of.
    let (found, used) = match found {
        Some((found, used)) => (Ok(found), used),
        None => (check(accepted.first()), None),
    };
    if let (Ok(Own::Basic { user, .. }), Inject::Basic(None)) = (&found, inject)
        && user.len() > USER_BYTES_MAX
    {
        let why = "the user's name is as long as a key: the policy can name it";
        return Err((FOREIGN, why.into()));
    }
    if let Some(field) = head.headers.iter().find(|field| is_key_in_protocols(field)) {
        return Err((FOREIGN, format!("`{}` may bear another identity", field.name)));
    }
    found
        .map_err(|foreign| match (foreign.kind, inject) {
            (Kind::Missing, Inject::Basic(_)) => {
                (WANTS_PASSWORD, format!("the rule wants `{name}`, by a password"))
            }
            _ => (FOREIGN, format!("the rule lets through what bears `{name}` alone: {foreign}")),
        })
        .map(|found| (found, used))
}

/// Longest user that nobody named: keys are longer. Bytes.
const USER_BYTES_MAX: usize = 24;

/// Whether a list of protocols for a WebSocket has a key in it, as some interfaces for browsers want it.
fn is_key_in_protocols(field: &Field) -> bool {
    if !field.is_like("sec-websocket-protocol") {
        return false;
    }
    let text = String::from_utf8_lossy(&field.value).to_ascii_lowercase();
    let words = ["key", "token", "auth", "secret", "bearer", "jwt", "password"];
    words.iter().any(|word| text.contains(word))
}

/// `ID:SECRET[:TOKEN]`.
fn keys(secret: &[u8]) -> Keys<'_> {
    let mut parts = secret.splitn(3, |byte| *byte == b':');
    let mut part = || parts.next();
    let (id, secret) = (part().unwrap_or_default(), part().unwrap_or_default());
    Keys { id, secret, token: part() }
}

fn unsigned(fault: SigV4Fault) -> Unread {
    (FOREIGN, format!("the rule lets through what this session has signed: {fault}"))
}

/// Replaces bytes, and overwrites what was there.
fn replace(value: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
    let (before, after) = (value.get(..range.start), value.get(range.end..));
    let new = [before.unwrap_or_default(), with, after.unwrap_or_default()].concat();
    value.zeroize();
    *value = new;
}

fn told(worthless: Worthless, name: &str) -> Unread {
    match worthless {
        Worthless::Revoked => {
            ("credential-revoked", format!("`{name}` was revoked in this session"))
        }
        Worthless::Expired => ("credential-expired", format!("the time of `{name}` is over")),
    }
}

/// A head with a secret in it, overwritten when it goes.
pub(crate) struct Injected(Head);

impl std::ops::Deref for Injected {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0
    }
}

impl Injected {
    /// Its body is another one than came, of this many bytes.
    pub(crate) fn with_length(&mut self, length: usize) {
        let frames = ["content-length", "transfer-encoding", "trailer"];
        self.0.headers.retain(|field| !frames.iter().any(|name| field.is(name)));
        self.0.headers.push(Field::new("Content-Length", &length.to_string()));
    }

    /// The bytes of it.
    pub(crate) fn written(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.write())
    }
}

impl std::fmt::Debug for Injected {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Injected({})", self.0.method)
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        self.0.headers.iter_mut().for_each(|field| field.value.zeroize());
        if let Target::Origin(path) = &mut self.0.target {
            path.zeroize();
        }
    }
}
