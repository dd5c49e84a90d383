//! What a request bears, and what must not go out with it: asked of each request of a session that has
//! credentials or canaries, after its rule has let it through and before anything of it goes on.

use std::rc::Rc;

use cofferdam_policy::credentials::Inject;
use cofferdam_policy::judge::requests::Requests;
use zeroize::Zeroize;

use crate::content::Unread;
use crate::credentials::{Credentials, Held, Worthless};
use crate::fields::Field;
use crate::head::{Head, Target};
use crate::scrub::Scrubber;

mod own;
pub(crate) mod search;

use own::{Foreign, Own};
use search::{Search, Wanted};

/// What one request bears.
#[derive(Debug, Default)]
pub struct Bearing {
    all: Option<Rc<Credentials>>,
    wanted: Option<Rc<Wanted>>,
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

    /// Whether there is anything to ask or to do.
    pub(crate) const fn is_idle(&self) -> bool {
        self.wanted.is_none()
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
                    return Err((WANTS_PASSWORD, format!("the rule wants `{name}`, by a password")));
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
                wanted.look(target.get(..range.start).unwrap_or_default().as_bytes(), "its target")?;
                wanted.look(target.get(range.end..).unwrap_or_default().as_bytes(), "its target")?;
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
        self.wanted.as_ref().map(|wanted| Search::new(wanted, fields)).transpose()
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

    /// What takes the secrets out of the host's answer; `None` where it can know none.
    pub(crate) fn scrubber(&self) -> Option<Scrubber> {
        if self.known.is_empty() {
            return None;
        }
        let secrets: Vec<_> = self.known.iter().map(|held| (held.secret(), held.stand_in())).collect();
        let pairs: Vec<(&[u8], &[u8])> =
            secrets.iter().map(|(real, own)| (real.expose(), own.as_bytes())).collect();
        Some(Scrubber::new(&pairs))
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
        Worthless::Revoked => ("credential-revoked", format!("`{name}` was revoked in this session")),
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
