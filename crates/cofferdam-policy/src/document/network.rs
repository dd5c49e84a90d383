//! What the text and the flags say of the network.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::{Document, Flag, Located};
use crate::error::{Fault, NetworkFault, PolicyError, RequestFault};
use crate::judge::hosts::{Allowed, Denied, Pattern};
use crate::judge::requests::Inspect;
use crate::list::List;
use crate::model::{Clause, Danger};
use crate::network::{Published, UpstreamProxy};
use crate::read;

/// `[network]` of one text, then flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkText {
    /// The rule where no other holds: the table, or the built-in one.
    pub base: Clause,
    /// `network.allow`.
    pub allow: List<Allowed>,
    /// `--allow`.
    pub flags: Vec<Allowed>,
    /// `network.deny`.
    pub deny: List<Denied>,
    /// `network.upstream_proxy`.
    pub upstream_proxy: Option<UpstreamProxy>,
    /// `network.publish`, then `--publish`.
    pub publish: Vec<Published>,
    /// `network.trust_ca`: paths relative to the workspace.
    pub trust_ca: Vec<Located<String>>,
    /// What is wider than it should be, because the text says so.
    pub dangers: Vec<Danger>,
    /// `--network none`: nothing of all this holds, nor of what presets say.
    pub closed: Option<Clause>,
    /// `--approve`: somebody outside is asked about what no rule allows.
    pub approve: Option<Clause>,
}

impl NetworkText {
    /// No rule at all.
    pub(crate) fn none(base: Clause) -> Self {
        Self {
            base,
            allow: List::default(),
            flags: Vec::new(),
            deny: List::default(),
            upstream_proxy: None,
            publish: Vec::new(),
            trust_ca: Vec::new(),
            dangers: Vec::new(),
            closed: None,
            approve: None,
        }
    }

    /// Adds a published port; each port of the host belongs to one.
    pub(crate) fn publish(&mut self, new: Published) -> Result<(), NetworkFault> {
        if self.publish.iter().any(|old| old.outside == new.outside) {
            return Err(NetworkFault::PublishTwice { port: new.outside.port() });
        }
        self.publish.push(new);
        Ok(())
    }
}

/// What rules say together of one host and port.
struct Said<'r> {
    /// The first of them.
    first: &'r Allowed,
    /// Whether one of them has nobody look into its connections, and whether one has to.
    never: bool,
    looks: bool,
}

/// Refuses the first of `rules` that says otherwise than one before it of the same host and port, with its
/// place: the first would hold, and the other one say something that does not.
pub(crate) fn agree(rules: &[Allowed]) -> Result<(), (usize, NetworkFault)> {
    let mut said: HashMap<(&Pattern, u16), Said<'_>, Fixed> =
        HashMap::with_capacity_and_hasher(rules.len(), Fixed::default());
    for (at, new) in rules.iter().enumerate() {
        let (never, looks) = (new.inspect == Inspect::Never, new.looks());
        for port in &new.ports {
            let all = said.entry((&new.pattern, *port));
            let all = all.or_insert(Said { first: new, never, looks });
            let host = || new.pattern.to_string();
            if (all.first.protocol, all.first.dial) != (new.protocol, new.dial) {
                return Err((at, NetworkFault::Clash { host: host(), port: *port }));
            }
            if all.never && looks || never && all.looks {
                return Err((at, RequestFault::ClashNever { host: host(), port: *port }.into()));
            }
            (all.never, all.looks) = (all.never || never, all.looks || looks);
        }
    }
    Ok(())
}

type Fixed = BuildHasherDefault<DefaultHasher>;

impl Document {
    /// `--allow HOST[:PORT[/PROTOCOL]]`, in addition to the text's, and before them.
    ///
    /// # Errors
    /// The words name no host, one that is the public's, or a port on which anything may be spoken;
    /// there are too many; or the network is closed by a flag.
    pub fn add_allowed(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--allow", words);
        self.open(&flag)?;
        let count = self.network.flags.len() + 1;
        if count > read::ENTRIES_MAX {
            return Err(flag.fault(Fault::TooMany { key: flag.name.into(), count }));
        }
        let rule = read::allow_flag(words, Clause::flag(flag.name));
        self.network.flags.push(rule.map_err(|fault| flag.fault(fault.into()))?);
        Ok(())
    }

    /// `--publish PORT[:HOSTPORT]`, in addition to the text's.
    ///
    /// # Errors
    /// The words are no ports, the port of the host is taken by another rule, there are too many, or
    /// the network is closed by a flag.
    pub fn add_published(&mut self, words: &str) -> Result<(), PolicyError> {
        let flag = Flag::new("--publish", words);
        self.open(&flag)?;
        let count = self.network.publish.len() + 1;
        if count > read::ENTRIES_MAX {
            return Err(flag.fault(Fault::TooMany { key: flag.name.into(), count }));
        }
        let published = read::published(words, Clause::flag(flag.name));
        let added = published.and_then(|published| self.network.publish(published));
        added.map_err(|fault| flag.fault(fault.into()))
    }

    /// `--approve`: somebody outside is asked about what no rule allows.
    ///
    /// # Errors
    /// The network is closed by a flag.
    pub fn ask_outside(&mut self) -> Result<(), PolicyError> {
        let flag = Flag::new("--approve", "");
        self.open(&flag)?;
        self.network.approve = Some(Clause::flag(flag.name));
        Ok(())
    }

    /// `--network none`: no rule of the text, of a preset or of a flag opens anything.
    pub fn close_network(&mut self) {
        self.network.closed = Some(Clause::flag("--network"));
    }

    /// `--dangerous-env NAME`: passes a variable even if its name says that its value is a secret.
    ///
    /// # Errors
    /// The name is none, is cofferdam's own, stands for more than one, or comes with a value.
    pub fn add_dangerous_variable(&mut self, words: &str) -> Result<(), PolicyError> {
        // The value may be the secret itself, so no message repeats it.
        let (name, value) = words.split_once('=').unzip();
        let name = name.unwrap_or(words);
        let flag = Flag::new("--dangerous-env", name);
        if value.is_some() {
            return Err(flag.fault(Fault::VariableValue { name: name.to_owned() }));
        }
        read::check_dangerous(name).map_err(|fault| flag.fault(fault))?;
        self.dangerous.push(flag.located(name.to_owned()));
        Ok(())
    }

    fn open(&self, flag: &Flag) -> Result<(), PolicyError> {
        match self.network.closed {
            Some(_) => Err(flag.fault(NetworkFault::Contradiction { flag: flag.name }.into())),
            None => Ok(()),
        }
    }
}
