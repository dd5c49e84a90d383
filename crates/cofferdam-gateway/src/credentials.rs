//! The session's credentials: the secrets, what stands in for them inside, and which are worth something.
//!
//! Secrets are read before the gateway is confined, and exist nowhere else. They are borne by requests of
//! the rules that name them, over TLS that was verified, and by nothing else.

mod exchange;
mod held;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::{fmt, io};

use cofferdam_plan::message::{FromGateway, Lacking, Lent, StandIn};
use cofferdam_policy::credentials::{Credential, SECRET_BYTES_MIN as PART_MIN, Source};
use cofferdam_policy::judge::hosts::{Allowed, Host, Pattern};
use cofferdam_policy::model::Clause;
use cofferdam_policy::output::Canary;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{Mutex, watch};
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

use self::exchange::Keeper;
pub(crate) use self::exchange::{ANSWER_BYTES_MAX, TOKENS_WITHIN, long};
pub(crate) use self::held::{Held, Worthless};
use crate::agent::{HostKey, Identity, KeyFault, PrivateKey};
use crate::bearing::search::Wanted;
use crate::denial::Denial;
use crate::scrub::{Pairs, ScrubFault};
use crate::stand_in;
use crate::vault::reader::{self, Reader};
use crate::vault::{Secret, Sources, Vault};

/// Who tells the engine.
type Tells = Box<dyn Fn(&FromGateway)>;

/// All of a session.
pub(crate) struct Credentials {
    /// In the order of the policy.
    held: Vec<Rc<Held>>,
    /// The same by name.
    by_name: BTreeMap<String, Rc<Held>>,
    /// What must not go out, whatever carries it.
    wanted: Option<&'static Wanted>,
    changed: watch::Sender<()>,
    /// Which hosts may know which, by name.
    told: RefCell<BTreeMap<Host, BTreeSet<String>>>,
    /// Made once for each set of credentials that some host knows.
    pairs: RefCell<BTreeMap<Vec<String>, Pairs>>,
    /// Who reads them anew.
    reader: RefCell<Option<Reader>>,
    /// The same, once there is a reactor.
    heard: OnceCell<(Reader, UnixStream)>,
    /// One question at a time.
    asks: Mutex<()>,
    /// Who keeps what answers bring.
    keeper: Keeper,
    /// Tells the engine.
    tells: OnceCell<Tells>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} credentials", self.held.len())
    }
}

impl Credentials {
    /// Gets every secret, and makes what stands in for it. To be called before the gateway is confined.
    pub(crate) fn read(
        wanted: &[Credential],
        canaries: &[Canary],
        lent: Lent,
    ) -> Result<Self, Box<Lacking>> {
        let mut held = Vec::new();
        let reads = |one: &Credential| !matches!(one.source, Source::Env(_) | Source::OAuth);
        let reader = match wanted.iter().find(|one| reads(one)) {
            Some(first) => Some(reader::spawn(wanted, &lent).map_err(|error| {
                let (name, clause) = (first.name.clone(), first.clause.clone());
                let why = format!("nobody could be started who reads it anew: {error}");
                let (code, fix) = ("no-reader".into(), "run it again".into());
                Box::new(Lacking { name, clause, code, why, fix })
            })?),
            None => None,
        };
        let Lent { secrets, variables, vault, passphrase } = lent;
        let opens = phrase(passphrase);
        let keeper = Keeper::spawn(wanted, &vault, opens.as_ref())?;
        let secrets: Vec<_> =
            secrets.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        let value = |name: &str| {
            let (_, value) = secrets.iter().find(|(known, _)| known == name)?;
            Secret::of(value).ok()
        };
        let surroundings = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let sources =
            Sources::new(Vault::at(vault), opens.as_ref(), &value, surroundings.collect());
        for credential in wanted {
            let lacks = |code: &str, why: String, fix: String| {
                let (name, clause) = (credential.name.clone(), credential.clause.clone());
                Box::new(Lacking { name, clause, code: code.into(), why, fix })
            };
            let until = credential.expires.map(|secs| Instant::now() + Duration::from_secs(secs));
            let plain = sources.plain(credential);
            let plain = plain.map_err(|fault| lacks(fault.code(), fault.what(), fault.hint()))?;
            let one = Held::new(credential.clone(), plain, until);
            // What an answer brings, nobody has yet.
            if credential.source != Source::OAuth {
                let secret = sources.read(&credential.source, &credential.member);
                let secret =
                    secret.map_err(|fault| lacks(fault.code(), fault.what(), fault.hint()))?;
                one.begin(secret).map_err(|(code, why)| {
                    let fix = match credential.logins() {
                        Some(_) => {
                            "store a private key of OpenSSH's: cofferdam vault set NAME <FILE"
                        }
                        None => "give it another secret: cofferdam vault set",
                    };
                    lacks(code, why, fix.into())
                })?;
            }
            held.push(Rc::new(one));
        }
        no_secret_is_plain(&held)?;
        let stand_ins: Vec<(String, String)> = held.iter().flat_map(|one| one.parts()).collect();
        let stand_ins = stand_ins.iter().map(|(name, part)| (name.as_str(), part.as_str()));
        let wanted = Wanted::new(stand_ins, canaries).map_err(|fault| {
            let (name, clause) = (String::new(), Clause::built_in("canary"));
            let (code, why) = (fault.code().into(), fault.to_string());
            Box::new(Lacking { name, clause, code, why, fix: "name fewer, or longer ones".into() })
        })?;
        // One a process: every body that is looked through holds it.
        let wanted = wanted.map(|wanted| &*Box::leak(Box::new(wanted)));
        let mut by_name = BTreeMap::new();
        for one in &held {
            by_name.entry(one.name().to_owned()).or_insert_with(|| Rc::clone(one));
        }
        let changed = watch::Sender::new(());
        let (pairs, told) = (RefCell::default(), RefCell::default());
        let (reader, heard, asks) = (RefCell::new(reader), OnceCell::new(), Mutex::new(()));
        let tells = OnceCell::new();
        Ok(Self { held, by_name, wanted, changed, told, pairs, reader, heard, asks, keeper, tells })
    }

    /// What the sandbox gets.
    pub(crate) fn stand_ins(&self) -> Vec<StandIn> {
        let one = |held: &Rc<Held>| {
            let value = held.stand_in()?.to_string();
            Some(StandIn { name: held.name().to_owned(), value })
        };
        let plain = self.held.iter().flat_map(|held| held.plain());
        let plain = plain.map(|(name, value)| StandIn { name, value: value.to_owned() });
        self.held.iter().filter_map(one).chain(plain).collect()
    }

    /// The keys of ssh, as they are now, in the order of the policy.
    pub(crate) fn logins(&self) -> Vec<(Rc<Held>, Rc<Identity>)> {
        let key = |held: &Rc<Held>| Some((Rc::clone(held), held.login()?));
        self.held.iter().filter_map(key).collect()
    }

    pub(crate) fn named(&self, name: &str) -> Option<Rc<Held>> {
        self.by_name.get(name).cloned()
    }

    /// Credentials that a host may know: those of rules that hold now, and those that it was told before.
    pub(crate) fn known<'n>(
        &self,
        host: &Host,
        bound: impl Iterator<Item = &'n str>,
    ) -> Vec<Rc<Held>> {
        let mut told = self.told.borrow_mut();
        let mut bound = bound.peekable();
        if bound.peek().is_none() && !told.contains_key(host) {
            return Vec::new();
        }
        let names = told.entry(host.clone()).or_default();
        for name in bound {
            // Who gives tokens out knows them.
            let oauth = self.by_name.get(name).and_then(|held| held.credential().oauth.as_ref());
            names.extend(oauth.into_iter().flat_map(|oauth| oauth.names()).map(|row| row.1.into()));
            names.insert(name.to_owned());
        }
        names.iter().filter_map(|name| self.named(name)).collect()
    }

    /// What must not go out; `None` where there is nothing of that kind.
    pub(crate) const fn wanted(&self) -> Option<&'static Wanted> {
        self.wanted
    }

    /// Whether the name of a host carries nothing out that must not go: one that a rule does not spell out.
    pub(crate) fn look_at_name(&self, host: &Host, rule: &Allowed) -> Result<(), Box<Denial>> {
        let (Some(wanted), Host::Name(name)) = (self.wanted, host) else { return Ok(()) };
        if matches!(rule.pattern, Pattern::Exact(_)) {
            return Ok(());
        }
        let denial = |(code, why)| Box::new(Denial::spoken(code, why, &rule.clause));
        wanted.look_at_name(name.as_str()).map_err(denial)
    }

    /// Secrets and what stands in for them, for answers of a host that knows these.
    ///
    /// # Errors
    /// One of them is nothing that could be found in an answer.
    pub(crate) fn pairs(&self, known: &[Rc<Held>]) -> Result<Pairs, ScrubFault> {
        let names: Vec<String> = known.iter().map(|held| held.name().to_owned()).collect();
        if let Some(pairs) = self.pairs.borrow().get(&names) {
            return Ok(pairs.clone());
        }
        // A host may say one that was before.
        let all: Vec<_> = known
            .iter()
            .flat_map(|held| held.all().into_iter().map(move |one| (held, one)))
            .collect();
        let mut rows: Vec<(&[u8], Vec<u8>)> = Vec::new();
        for (held, token) in &all {
            let (real, own) = (token.secret.expose(), token.stand_in.as_ref());
            rows.push((real, as_long(own, real.len())));
            // Of a key of Amazon's a host knows the parts, but for its name, which is no secret.
            let parts = real.splitn(3, |byte| *byte == b':').skip(1);
            let parts = parts.filter(|part| held.is_signed() && part.len() >= PART_MIN);
            rows.extend(parts.map(|part| (part, as_long(own, part.len()))));
            // What is signed by a token of three parts stands in what is inside: the last one is the secret.
            if let (Some(real), Some(own)) = (signature(real), own.rsplit('.').next()) {
                rows.push((real, as_long(own, real.len())));
            }
        }
        let pairs: Vec<(&[u8], &[u8])> =
            rows.iter().map(|(real, own)| (*real, own.as_slice())).collect();
        let pairs = Pairs::new(&pairs)?;
        self.pairs.borrow_mut().insert(names, pairs.clone());
        Ok(pairs)
    }

    /// Whom this tells what the engine is to hear.
    pub(crate) fn tell_by(&self, tells: impl Fn(&FromGateway) + 'static) {
        // Set once.
        drop(self.tells.set(Box::new(tells)));
    }

    /// A secret is known that was not: replies that have begun go on with it.
    fn renew(&self) {
        let before = std::mem::take(&mut *self.pairs.borrow_mut());
        for (names, old) in before {
            let known: Vec<_> = names.iter().filter_map(|name| self.named(name)).collect();
            // What was taken for a secret can be found: that was asked before.
            if let Ok(newer) = self.pairs(&known) {
                old.give_way(newer);
            }
        }
    }

    /// From here on it is worth nothing.
    pub(crate) fn revoke(&self, name: &str) {
        if let Some(held) = self.named(name) {
            held.revoke();
            self.changed.send_replace(());
        }
    }

    /// Hears who reads secrets anew. To be called where there is a reactor.
    pub(crate) fn hear(&self) -> io::Result<()> {
        if let Some(reader) = self.reader.take() {
            // It tells when there is something to hear, and that is all.
            let bell = std::os::unix::net::UnixStream::from(reader.as_fd().try_clone_to_owned()?);
            bell.set_nonblocking(true)?;
            // Set once.
            drop(self.heard.set((reader, UnixStream::from_std(bell)?)));
        }
        self.keeper.hear()
    }

    /// Has the secret read again from where it comes. What stands in for it stays; where there is none
    /// to be had, so does the one that was: the code says why.
    pub(crate) async fn rotate(&self, name: &str) -> Result<(), String> {
        let gone = |_: io::Error| "no-reader".to_owned();
        let (Some(held), Some((reader, bell))) = (self.named(name), self.heard.get()) else {
            return Err("secret-in-variable".into());
        };
        let _one = self.asks.lock().await;
        reader.ask(name).map_err(gone)?;
        let secret = {
            let heard = bell.async_io(Interest::READABLE, || {
                reader.answer()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
            });
            heard.await.map_err(gone)??
        };
        held.begin(secret).map_err(|(code, _)| code.to_owned())?;
        self.renew();
        Ok(())
    }

    /// Comes back when this one is worth nothing any more.
    pub(crate) async fn over(&self, held: &Held) -> Worthless {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(worthless) = held.worthless() {
                return worthless;
            }
            let changed = async {
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            match held.until() {
                None => changed.await,
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                },
            }
        }
    }
}

/// What opens the vault, where somebody gave it.
pub(crate) fn phrase(passphrase: Option<Vec<u8>>) -> Option<Secret> {
    Secret::of(&Zeroizing::new(passphrase?)).ok()
}

/// The key that a secret is, where an agent signs with it.
fn login(
    credential: &Credential,
    secret: &Secret,
) -> Result<Option<Identity>, (&'static str, String)> {
    let Some(logins) = credential.logins() else { return Ok(None) };
    let fault = |fault: KeyFault| (fault.code(), fault.to_string());
    let hosts = logins.hosts.iter().map(|host| HostKey::parse(&host.key));
    Ok(Some(Identity {
        key: PrivateKey::parse(secret.expose()).map_err(fault)?,
        comment: credential.name.clone(),
        hosts: hosts.collect::<Result<_, _>>().map_err(fault)?,
        users: logins.users.clone(),
    }))
}

/// Refuses what is said to be no secret, and holds one.
fn no_secret_is_plain(held: &[Rc<Held>]) -> Result<(), Box<Lacking>> {
    let secrets: Vec<Rc<Secret>> = held.iter().filter_map(|one| one.secret()).collect();
    for one in held {
        let holds = |text: &str, secret: &[u8]| {
            text.as_bytes().windows(secret.len()).any(|window| window == secret)
        };
        let is_one = |text: &str| secrets.iter().any(|secret| holds(text, secret.expose()));
        if let Some((name, _)) = one.plain().find(|(_, text)| is_one(text)) {
            let (code, fix) = ("open-secret".into(), "name another member in `open`".into());
            let why = format!("`{name}` is said to be no secret, and holds one");
            let clause = one.credential().clause.clone();
            return Err(Box::new(Lacking { name: one.name().to_owned(), clause, code, why, fix }));
        }
    }
    Ok(())
}

/// What stands in for it, which has to be told from ordinary text, in a request and in an answer.
fn made_for(secret: &Secret) -> Result<String, (&'static str, String)> {
    let made = stand_in::like(secret.expose(), below);
    let made = made.map_err(|unlike| (unlike.code(), unlike.to_string()))?;
    let pair = Pairs::new(&[(secret.expose(), made.as_bytes())]);
    pair.map_err(|fault| (fault.code(), fault.to_string()))?;
    Ok(made)
}

/// The last part of a JSON Web Token (RFC 7519, 3).
fn signature(secret: &[u8]) -> Option<&[u8]> {
    let mut parts = secret.split(|byte| *byte == b'.');
    let (first, _, last) = (parts.next()?, parts.next()?, parts.next()?);
    let is_token = first.starts_with(b"eyJ") && parts.next().is_none() && last.len() >= PART_MIN;
    is_token.then_some(last)
}

/// What stands in, for a secret that is longer or shorter by now.
fn as_long(stand_in: &str, length: usize) -> Vec<u8> {
    stand_in.bytes().cycle().take(length).collect()
}

/// A number below `most`, as good as the kernel's generator: what is left over of its range is taken again.
fn below(most: usize) -> usize {
    let most = u64::try_from(most).unwrap_or(u64::MAX).max(1);
    let limit = u64::MAX - u64::MAX % most;
    loop {
        let mut bytes = [0_u8; 8];
        // It cannot fail once the machine is up (`getrandom(2)`); a short answer is asked for again.
        if getrandom(&mut bytes[..], GetRandomFlags::empty()) != Ok(bytes.len()) {
            continue;
        }
        let number = u64::from_le_bytes(bytes);
        if number < limit {
            return usize::try_from(number % most).unwrap_or(0);
        }
    }
}
