//! One credential of the session: what it was and is, and what stands in for each.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use cofferdam_policy::credentials::{Credential, Inject, SECRET_BYTES_MIN as PART_MIN};
use tokio::time::{Duration, Instant};

use super::{login, made_for};
use crate::agent::Identity;
use crate::vault::Secret;

/// Most secrets of one credential that are known at a time: an answer may say any of them.
const TOKENS_MAX: usize = 256;
/// How long a secret is known at least, and taken out of answers: longer than common access tokens live.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Stand-ins that are worth something: clients that have not heard of the newest go on.
const ACCEPTED_MAX: usize = 8;

/// One of them.
pub(crate) struct Held {
    credential: Credential,
    /// What of its source is no secret: each by its name.
    plain: Vec<(String, String)>,
    /// Oldest first; none before an answer brings one.
    tokens: RefCell<Vec<Token>>,
    /// Tokens of answers that are nobody's secret: they are taken out of answers, and that is all.
    others: RefCell<Vec<Token>>,
    /// What the agent of ssh signs with, where it is a key: nothing stands in for it then.
    login: RefCell<Option<Rc<Identity>>>,
    /// Until then it is worth something.
    until: Option<Instant>,
    revoked: Cell<bool>,
}

/// A secret, and what stands in for it.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Rc<Secret>,
    pub(super) stand_in: Rc<str>,
    since: Instant,
}

/// Why a credential is worth nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worthless {
    /// Somebody has revoked it.
    Revoked,
    /// Its time is over.
    Expired,
}

impl fmt::Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Held({})", self.credential.name)
    }
}

impl Held {
    /// Without a secret yet.
    pub(super) fn new(
        credential: Credential,
        plain: Vec<(String, String)>,
        until: Option<Instant>,
    ) -> Self {
        let (tokens, others, revoked) = (RefCell::default(), RefCell::default(), Cell::new(false));
        let login = RefCell::default();
        Self { credential, plain, tokens, others, login, until, revoked }
    }

    /// This is the secret from here on, as the caller has it: what stands in for it stays.
    ///
    /// # Errors
    /// It is no key where one is wanted, or nothing can stand in for it.
    pub(super) fn begin(&self, secret: Secret) -> Result<(), (&'static str, String)> {
        if let Some(key) = login(&self.credential, &secret)? {
            self.login.replace(Some(Rc::new(key)));
            return Ok(());
        }
        let made = made_for(&secret)?;
        let kept = self.stand_in().unwrap_or_else(|| made.into());
        self.take(secret, kept);
        Ok(())
    }

    /// The key, where it is one of ssh.
    pub(super) fn login(&self) -> Option<Rc<Identity>> {
        self.login.borrow().clone()
    }

    pub(crate) fn name(&self) -> &str {
        &self.credential.name
    }

    pub(crate) const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// What of its source is no secret, by `NAME.ITS`.
    pub(super) fn plain(&self) -> impl Iterator<Item = (String, &str)> {
        self.plain.iter().map(|(its, text)| (format!("{}.{its}", self.name()), text.as_str()))
    }

    /// What stands in for the secret as it is now.
    pub(crate) fn stand_in(&self) -> Option<Rc<str>> {
        self.tokens.borrow().last().map(|token| Rc::clone(&token.stand_in))
    }

    /// All that stands in for it and is worth something, the newest first: each for the secret as it is now.
    pub(crate) fn accepted(&self) -> Vec<Rc<str>> {
        let mut found: Vec<Rc<str>> = Vec::new();
        for token in self.tokens.borrow().iter().rev() {
            if found.len() < ACCEPTED_MAX && !found.contains(&token.stand_in) {
                found.push(Rc::clone(&token.stand_in));
            }
        }
        found
    }

    /// Whether requests are signed with it.
    pub(crate) const fn is_signed(&self) -> bool {
        matches!(self.credential.inject, Inject::SigV4 { .. })
    }

    /// Its name with what stands in for it, or for each of its parts where the sandbox has them apart.
    pub(super) fn parts(&self) -> Vec<(String, String)> {
        let parts = if self.is_signed() { 3 } else { 1 };
        let Some(whole) = self.stand_in() else { return Vec::new() };
        let parts = whole.splitn(parts, ':').filter(|part| part.len() >= PART_MIN);
        parts.map(|part| (self.name().to_owned(), part.to_owned())).collect()
    }

    /// The secret as it is now.
    pub(crate) fn secret(&self) -> Option<Rc<Secret>> {
        self.tokens.borrow().last().map(|token| Rc::clone(&token.secret))
    }

    /// All that an answer may say of it.
    pub(super) fn all(&self) -> Vec<Token> {
        self.tokens.borrow().iter().chain(self.others.borrow().iter()).cloned().collect()
    }

    /// What stands in for this, where it is known.
    pub(super) fn known(&self, secret: &Secret) -> Option<Rc<str>> {
        let all = self.all().into_iter().rev();
        let mut same = all.filter(|token| token.secret.expose() == secret.expose());
        same.next().map(|token| token.stand_in)
    }

    /// Whether another one can be known beside those that still have to be.
    pub(super) fn has_room(&self) -> bool {
        [&self.tokens, &self.others].into_iter().all(|list| {
            let list = list.borrow();
            let first = list.first().map(|first| first.since.elapsed());
            list.len() < TOKENS_MAX || first.is_some_and(|age| age > KNOWN_FOR)
        })
    }

    /// This is the secret from here on.
    pub(super) fn take(&self, secret: Secret, stand_in: Rc<str>) {
        push(&mut self.tokens.borrow_mut(), secret, stand_in);
    }

    /// This came with it, and is nobody's.
    pub(super) fn take_other(&self, secret: Secret, stand_in: Rc<str>) {
        push(&mut self.others.borrow_mut(), secret, stand_in);
    }

    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn revoke(&self) {
        self.revoked.set(true);
    }

    /// Whether it is worth nothing, and why.
    pub(crate) fn worthless(&self) -> Option<Worthless> {
        if self.revoked.get() {
            return Some(Worthless::Revoked);
        }
        self.until.filter(|until| *until <= Instant::now()).map(|_| Worthless::Expired)
    }
}

fn push(list: &mut Vec<Token>, secret: Secret, stand_in: Rc<str>) {
    // One that comes back is known once.
    list.retain(|one| one.stand_in != stand_in || one.secret.expose() != secret.expose());
    // What still has to be known stays, however many are exchanged at once.
    let is_old = |token: &Token| token.since.elapsed() > KNOWN_FOR;
    if list.len() >= TOKENS_MAX && list.first().is_some_and(is_old) {
        list.remove(0);
    }
    list.push(Token { secret: Rc::new(secret), stand_in, since: Instant::now() });
}
