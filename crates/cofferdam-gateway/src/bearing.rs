//! What a request bears, and what must not go out with it: asked of each request of a session that has
//! credentials or canaries, after its rule has let it through and before anything of it goes on.

use std::rc::Rc;

use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::Requests;
use zeroize::{Zeroize, Zeroizing};

use crate::content::Unread;
use crate::credentials::{Credentials, Held, Worthless};
use crate::fields::Field;
use crate::head::{Head, Target};
use crate::scrub::Pairs;
use crate::{forms, jsonrules};

mod own;
pub(crate) mod search;

use own::{Foreign, Own};
use search::{Search, Wanted};

/// What one request bears.
#[derive(Debug, Default)]
pub struct Bearing {
    all: Option<Rc<Credentials>>,
    wanted: Option<&'static Wanted>,
    /// That of its rule.
    held: Option<Rc<Held>>,
    /// Those whose secrets the host may know.
    known: Vec<Rc<Held>>,
    own: Option<Own>,
}

/// A host that takes passwords is asked without one first, and says that it wants one (RFC 7617).
pub(crate) const WANTS_PASSWORD: &str = "credential-wanted";

impl Bearing {
    /// For a request that `rule` lets through, to a host that may know these.
    pub(crate) fn new(all: &Rc<Credentials>, rule: &Requests, known: Vec<Rc<Held>>) -> Self {
        let held = rule.credential.as_ref().and_then(|name| all.named(name));
        Self { wanted: all.wanted(), all: Some(Rc::clone(all)), held, known, own: None }
    }

    /// Asks the head of a request, as it would go on.
    ///
    /// # Errors
    /// It bears another identity than its rule's, or none, or one more; its own is worth nothing any more;
    /// or something else in it must not go out.
    pub(crate) fn check(&mut self, head: &Head) -> Result<(), Unread> {
        if let Some(held) = &self.held {
            let (inject, name) = (&held.credential().inject, held.name());
            match own::find(head, inject, held.stand_in()) {
                Ok(own) => self.own = Some(own),
                Err(Foreign::None) if matches!(inject, Inject::Basic(_)) => {
                    return Err((
                        WANTS_PASSWORD,
                        format!("the rule wants `{name}`, by a password"),
                    ));
                }
                Err(foreign) => {
                    let why = format!("the rule lets through what bears `{name}` alone: {foreign}");
                    return Err(("foreign-credential", why));
                }
            }
            if let Some(worthless) = held.worthless() {
                return Err(told(worthless, name));
            }
        }
        self.look(head)
    }

    /// Looks through the head, but for the place where its own belongs.
    fn look(&self, head: &Head) -> Result<(), Unread> {
        let Some(wanted) = &self.wanted else { return Ok(()) };
        let target = head.target.path_and_query();
        match &self.own {
            Some(Own::Query(range)) => {
                wanted
                    .look(target.get(..range.start).unwrap_or_default().as_bytes(), "its target")?;
                wanted
                    .look(target.get(range.end..).unwrap_or_default().as_bytes(), "its target")?;
            }
            Some(Own::Field(..) | Own::Basic(..) | Own::Body | Own::Signature(_)) | None => {
                wanted.look(target.as_bytes(), "its target")?;
            }
        }
        wanted.look(head.method.as_bytes(), "its method")?;
        for (at, field) in head.headers.iter().enumerate() {
            let is_own = match &self.own {
                Some(Own::Field(own, _) | Own::Basic(own, _) | Own::Signature(own)) => *own == at,
                Some(Own::Query(_) | Own::Body) | None => false,
            };
            wanted.look(field.name.as_bytes(), "the name of a header")?;
            if !is_own {
                wanted.look(&field.value, &format!("the header `{}`", field.name))?;
            }
        }
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

    /// Puts the secret where the stand-in is. The head is overwritten when it has gone ([`Injected`]).
    pub(crate) fn inject(&self, mut head: Head) -> Injected {
        let (Some(held), Some(own)) = (&self.held, &self.own) else { return Injected(head) };
        let secret = held.secret();
        match own {
            Own::Field(at, range) => {
                if let Some(field) = head.headers.get_mut(*at) {
                    own::replace(field, range.clone(), secret.expose());
                }
            }
            Own::Basic(at, user) => {
                if let Some(field) = head.headers.get_mut(*at) {
                    let whole = 0..field.value.len();
                    own::replace(field, whole, &own::basic_value(user, secret.expose()));
                }
            }
            Own::Query(range) => {
                let target = head.target.path_and_query().to_owned();
                let (before, after) = (target.get(..range.start), target.get(range.end..));
                let coded = own::in_query(secret.expose());
                let coded = std::str::from_utf8(&coded).unwrap_or_default();
                let whole = [before.unwrap_or_default(), coded, after.unwrap_or_default()].concat();
                head.target = Target::Origin(whole);
            }
            Own::Body | Own::Signature(_) => {}
        }
        Injected(head)
    }

    /// Whether its body bears its identity.
    pub(crate) const fn is_in_body(&self) -> bool {
        matches!(self.own, Some(Own::Body))
    }

    /// A body that bears its identity: without what stands in, and with the secret there.
    ///
    /// # Errors
    /// What stands in for it is not there, once, in its place.
    pub(crate) fn in_body(&self, body: &[u8]) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Unread> {
        let Some(held) = &self.held else { return Ok((body.to_vec(), Zeroizing::default())) };
        let (own, secret) = (held.stand_in().as_bytes(), held.secret());
        let both = |replaced: &dyn Fn(&[u8]) -> Result<Vec<u8>, String>| {
            Ok((replaced(b"")?, Zeroizing::new(replaced(secret.expose())?)))
        };
        let replaced = match &held.credential().inject {
            Inject::Json(way) => both(&|with| {
                jsonrules::replace_member(body, way, own, with).map_err(|fault| fault.to_string())
            }),
            Inject::Form(name) => both(&|with| {
                forms::replace_field(body, name, own, with).map_err(|fault| fault.to_string())
            }),
            Inject::Header(_)
            | Inject::Bearer
            | Inject::Basic(_)
            | Inject::Query(_)
            | Inject::Cookie(_)
            | Inject::SigV4 { .. } => Err("it does not bear it in its body".into()),
        };
        replaced.map_err(|fault: String| {
            let name = held.name();
            (
                "foreign-credential",
                format!("the rule lets through what bears `{name}` alone: {fault}"),
            )
        })
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
