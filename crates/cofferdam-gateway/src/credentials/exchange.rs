//! Tokens that an answer brings: they become secrets, what stands in for them goes inside, and who keeps a
//! vault gets them before the sandbox hears of it.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::rc::Rc;

use cofferdam_plan::message::{FromGateway, Lacking};
use cofferdam_policy::credentials::{Credential, Source, is_marked};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::{Duration, timeout};
use zeroize::Zeroizing;

use super::{Credentials, Held, made_for};
use crate::coding::Decoder;
use crate::content::Unread;
use crate::fields::{Field, elements};
use crate::oauth::{self, Brought, OAuthFault};
use crate::vault::writer::{self, Change, Writer};
use crate::vault::{Name, Secret, Vault};

/// Longest answer with tokens, plain. Bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// How long a request for tokens may take, with its answer.
pub(crate) const TOKENS_WITHIN: Duration = Duration::from_secs(60);
/// How long a write may take: another writer is waited for, too.
const KEPT_WITHIN: Duration = Duration::from_secs(15);
/// What an answer is refused with that brings something which cannot be read, or stood in for.
const UNREAD: &str = "oauth-unread";

/// Why an answer is refused that is longer than any with tokens.
pub(crate) fn long() -> Unread {
    (UNREAD, format!("an answer with tokens has at most {ANSWER_BYTES_MAX} bytes"))
}

/// Who keeps what answers bring.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    writer: RefCell<Option<Writer>>,
    /// The same, once there is a reactor.
    heard: OnceCell<(Writer, UnixStream)>,
    /// One write at a time; how many answers to earlier ones are still to come.
    writes: Mutex<u32>,
}

impl Keeper {
    /// Starts it where a token of an answer has its place in the vault.
    pub(super) fn spawn(
        wanted: &[Credential],
        vault: &Path,
        opens: Option<&Secret>,
    ) -> Result<Self, Box<Lacking>> {
        let names = wanted.iter().filter_map(|one| one.oauth.as_ref()).flat_map(|all| all.names());
        let names: Vec<&str> = names.map(|(_, name)| name).collect();
        let is_kept = |one: &&Credential| {
            matches!(one.source, Source::Vault(_)) && names.contains(&one.name.as_str())
        };
        let Some(first) = wanted.iter().find(is_kept) else { return Ok(Self::default()) };
        let writer = writer::spawn(&Vault::at(vault.to_owned()), opens).map_err(|error| {
            let (name, clause) = (first.name.clone(), first.clause.clone());
            let why = format!("nobody could be started who keeps its tokens: {error}");
            let (code, fix) = ("no-writer".into(), "run it again".into());
            Box::new(Lacking { name, clause, code, why, fix })
        })?;
        Ok(Self { writer: RefCell::new(Some(writer)), ..Self::default() })
    }

    pub(super) fn hear(&self) -> io::Result<()> {
        if let Some(writer) = self.writer.take() {
            let bell = std::os::unix::net::UnixStream::from(writer.as_fd().try_clone_to_owned()?);
            bell.set_nonblocking(true)?;
            // Set once.
            drop(self.heard.set((writer, UnixStream::from_std(bell)?)));
        }
        Ok(())
    }

    /// Writes it down; or the code of why not.
    async fn keep(&self, name: &Name, changes: &[Change]) -> Result<(), String> {
        let gone = |_: io::Error| "no-writer".to_owned();
        let Some((writer, bell)) = self.heard.get() else { return Err("no-writer".into()) };
        let mut owed = self.writes.lock().await;
        writer.change(name, changes).map_err(gone)?;
        *owed = owed.saturating_add(1);
        let heard = async {
            loop {
                let answer = bell
                    .async_io(Interest::READABLE, || {
                        writer.answer()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
                    })
                    .await?;
                // They come in the order in which they were asked for.
                *owed = owed.saturating_sub(1);
                if *owed == 0 {
                    return Ok(answer);
                }
            }
        };
        let late = |_| "vault-late".to_owned();
        let answer = timeout(KEPT_WITHIN, heard).await.map_err(late)?.map_err(gone)?;
        answer.fault.map_or(Ok(()), Err)
    }
}

/// What came of one answer.
#[derive(Default)]
struct Learned {
    /// Whether something is new.
    any: bool,
    /// What stands in for each token, by its member.
    stand_ins: Vec<(&'static str, Rc<str>)>,
    /// What the vault gets, for each of its names.
    kept: Vec<(Name, Vec<Change>)>,
    /// Why one of them cannot go inside.
    fault: Option<Unread>,
}

impl Credentials {
    /// Whether all that an answer to a request that bears `held` may bring can be known beside the rest.
    pub(crate) fn has_room(&self, held: &Held) -> bool {
        let oauth = held.credential().oauth.iter();
        let mut names = oauth.flat_map(|oauth| oauth.names());
        held.has_room() && names.all(|(_, name)| self.named(name).is_none_or(|one| one.has_room()))
    }

    /// What goes inside of an answer to a request that bore `held`, whose host knows these: each token in it
    /// is somebody's secret from here on.
    ///
    /// # Errors
    /// It cannot be read, or something in it cannot be stood in for. What could be read holds all the same.
    pub(crate) async fn exchanged(
        self: &Rc<Self>,
        (held, known): (&Held, &[Rc<Held>]),
        (status, fields, body): (u16, &[Field], &[u8]),
    ) -> Result<Vec<u8>, Unread> {
        let body = plain(fields, body)?;
        let unread = |fault: &OAuthFault| (UNREAD, fault.to_string());
        let is_good = (200..300).contains(&status);
        let brought = oauth::read(&body);
        let learned = match &brought {
            Some(brought) => self.learn(held, brought),
            None if is_good => return Err(unread(&OAuthFault::Answer)),
            None => Learned::default(),
        };
        if learned.any {
            self.renew();
            self.kept(held.name(), learned.kept).await;
        }
        if let Some(fault) = learned.fault {
            return Err(fault);
        }
        let tokens = brought.as_ref().map_or(0, |brought| brought.tokens.len());
        if is_good && brought.as_ref().is_some_and(|all| all.token("access_token").is_none()) {
            return Err(unread(&OAuthFault::Answer));
        }
        // Errors have tokens of their own: for another factor, or another step.
        if let Some(more) = brought.and_then(|brought| brought.more) {
            return Err(unread(&OAuthFault::Unknown(more)));
        }
        let pairs = self.pairs(known).map_err(|fault| (fault.code(), fault.to_string()))?;
        let out = pairs.scrub_whole(&body).into_owned();
        // What goes on is read once more: each token is what stands in for it, and no other is there.
        let again = oauth::read(&out);
        let is_clean = match &again {
            Some(again) => {
                let all = learned.stand_ins.iter();
                again.tokens.len() == tokens
                    && all.into_iter().all(|(name, own)| again.token(name) == Some(own))
            }
            None => tokens == 0,
        };
        if is_clean { Ok(out) } else { Err(unread(&OAuthFault::Answer)) }
    }

    /// Makes what an answer brought secrets.
    fn learn(&self, held: &Held, brought: &Brought) -> Learned {
        let mut learned = Learned::default();
        for (member, value) in &brought.tokens {
            let oauth = held.credential().oauth.as_ref();
            let name = oauth.and_then(|all| all.names().find(|(named, _)| named == member));
            let target = name.and_then(|(_, name)| self.named(name));
            // Some say one of a few again and again, or the same for two.
            let all = oauth.into_iter().flat_map(|all| all.names());
            let all = all.filter_map(|(_, name)| self.named(name));
            let known = move |secret: &Secret| {
                let own = held.known(secret);
                own.or_else(|| all.into_iter().find_map(|one| one.known(secret)))
            };
            let value = (*member, value.as_bytes());
            if let Err(fault) = learned.one(value, (held, target.as_deref()), known) {
                learned.fault = Some(fault);
            }
        }
        learned
    }

    /// Has the vault keep what it can, and tells the engine. It is done however the request ends.
    async fn kept(self: &Rc<Self>, name: &str, changes: Vec<(Name, Vec<Change>)>) {
        let (all, credential) = (Rc::clone(self), name.to_owned());
        let task = spawn_local(async move {
            let mut kept = if changes.is_empty() { "memory" } else { "vault" }.to_owned();
            for (name, changes) in &changes {
                if let Err(code) = all.keeper.keep(name, changes).await {
                    kept = code;
                }
            }
            if let Some(tells) = all.tells.get() {
                tells(&FromGateway::Refreshed { name: credential, kept });
            }
        });
        // It ends with the gateway alone.
        drop(task.await);
    }
}

impl Learned {
    fn one(
        &mut self,
        (member, value): (&'static str, &[u8]),
        (held, target): (&Held, Option<&Held>),
        known: impl FnOnce(&Secret) -> Option<Rc<str>>,
    ) -> Result<(), Unread> {
        let secret = Secret::of(value).map_err(|fault| (UNREAD, fault.to_string()))?;
        if let Some(target) = target
            && let (Some(before), Some(own)) = (target.secret(), target.stand_in())
            && before.expose() == secret.expose()
        {
            // As it was: so is what stands in.
            self.stand_ins.push((member, own));
            return Ok(());
        }
        self.any = true;
        // First of all, for it may be the only one that is worth something.
        if let Some(credential) = target.map(Held::credential)
            && let Source::Vault(name) = &credential.source
            && let Ok(name) = Name::parse(name)
        {
            let change = Change { member: credential.member.clone(), secret: secret.copy() };
            match self.kept.iter_mut().find(|(other, _)| *other == name) {
                Some((_, changes)) => changes.push(change),
                None => self.kept.push((name, vec![change])),
            }
        }
        let made =
            known(&secret).map(|own| Ok(own.to_string())).unwrap_or_else(|| made_for(&secret));
        let made = made.map_err(|(_, why)| (UNREAD, format!("`{member}`: {why}")))?;
        if !is_marked(&made) {
            let why = format!("`{member}` is too short for something to stand in for it");
            return Err((UNREAD, why));
        }
        let made: Rc<str> = made.into();
        self.stand_ins.push((member, Rc::clone(&made)));
        match target {
            Some(target) => target.take(secret, made),
            None => held.take_other(secret, made),
        }
        Ok(())
    }
}

/// A whole body without what it is coded with.
fn plain(fields: &[Field], body: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let codings: Vec<&[u8]> = elements(fields, "content-encoding").collect();
    let told = |fault: crate::coding::CodingFault| (fault.code(), fault.to_string());
    let Some(mut decoder) = Decoder::new(&codings).map_err(told)? else {
        return Ok(Zeroizing::new(body.to_vec()));
    };
    let (mut out, mut rest) = (Zeroizing::new(Vec::new()), body);
    loop {
        let step = decoder.feed(rest, &mut out).map_err(told)?;
        rest = rest.get(step.taken..).unwrap_or_default();
        if out.len() > ANSWER_BYTES_MAX {
            return Err(long());
        }
        if rest.is_empty() && !step.more {
            decoder.finish().map_err(told)?;
            return Ok(out);
        }
    }
}
