//! The ceiling: whether anything below the managed text goes beyond it.
//!
//! Pure, and at the end of the resolution: what is judged is what would hold, by the paths that Facts
//! saw. Nothing is dropped; what goes beyond is an error that names both rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::credentials::Credential;
use crate::document::{Document, GrantText, Located};
use crate::error::{LayerFault, PolicyError};
use crate::facts::{Facts, Kind};
use crate::judge::hosts::{Allowed, Pattern, canonical};
use crate::judge::pattern::{self as names, Meets};
use crate::layers::Layer;
use crate::limits::{Hold, Name};
use crate::managed::Only;
use crate::model::{Clause, Grant, Isolation, Origin, Oversight, Policy};
use crate::promise::Promise;
use crate::resolve;

/// Every path that the ceiling names.
pub(crate) fn wanted(document: &Document, home: &Path, cwd: &Path) -> BTreeSet<PathBuf> {
    let mounts = document.managed.mounts.iter().flat_map(|(list, _)| list);
    let mounts = mounts.map(|mount| resolve::absolute(&mount.value.path, home, cwd));
    // Facts looks at what is above them, so that another name of one is known.
    mounts.flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

/// Refuses the first rule that goes beyond the ceiling, if there is one.
pub(crate) fn hold(document: &Document, facts: &Facts, policy: &Policy) -> Result<(), PolicyError> {
    let Some(managed) = document.ceiling.as_deref() else { return Ok(()) };
    let ceiling = Ceiling { document, managed, facts };
    ceiling.only()?;
    ceiling.kernel()?;
    ceiling.limits()?;
    ceiling.given_up()?;
    ceiling.addresses()?;
    ceiling.dangers()?;
    ceiling.hidden(policy)?;
    ceiling.anywhere(policy)?;
    ceiling.mounts(policy)
}

struct Ceiling<'a> {
    document: &'a Document,
    /// What the managed text says alone.
    managed: &'a Document,
    facts: &'a Facts,
}

impl Ceiling<'_> {
    fn is_below(&self, clause: &Clause) -> bool {
        self.document.layer_of(clause).is_below_managed()
    }

    fn beyond(&self, clause: &Clause, what: impl Into<String>, ceiling: &Clause) -> PolicyError {
        let (what, ceiling) = (what.into(), ceiling.clone());
        let by = self.document.asked_by(clause);
        let rule = if by == clause { clause.to_string() } else { format!("{clause}, by {by},") };
        self.document.fault_at(LayerFault::Beyond { rule, what, ceiling }.into(), by)
    }

    fn only(&self) -> Result<(), PolicyError> {
        for only in &self.managed.managed.only {
            let key = only.value.as_str();
            let found = self.said(only.value).into_iter().find(|clause| self.is_below(clause));
            if let Some(clause) = found {
                let what = format!("only the managed policy says `{key}`");
                return Err(self.beyond(&clause, what, &only.clause));
            }
        }
        Ok(())
    }

    /// A kernel that the managed text puts around the workload stays, and with `tenant` nothing else does.
    fn kernel(&self) -> Result<(), PolicyError> {
        let Ok((Isolation::Gvisor, ceiling)) = self.managed.kernel() else { return Ok(()) };
        let document = self.document;
        let other = !matches!(document.kernel(), Ok((Isolation::Gvisor, _)));
        let stays = self.managed.oversight.value == Oversight::Tenant
            && document.oversight.value != Oversight::Tenant;
        let said = [&document.isolation.clause, &document.oversight.clause];
        match said.into_iter().find(|clause| self.is_below(clause)) {
            Some(clause) if other || stays => {
                Err(self.beyond(clause, "the managed policy isolates further", ceiling))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What is said of the kernel, otherwise than the managed text does.
    fn isolated(&self) -> Vec<Clause> {
        let document = self.document;
        let kernel = |of: &Document| of.kernel().ok().map(|(kernel, _)| kernel);
        let same = document.isolation.value == self.managed.isolation.value
            || kernel(document).is_some_and(|one| Some(one) == kernel(self.managed));
        let watched = document.oversight.value == self.managed.oversight.value;
        let isolation = unless(same, &document.isolation.clause);
        [isolation, unless(watched, &document.oversight.clause)].concat()
    }

    /// Every rule that says something of `only`. One that says what holds anyway is none.
    fn said(&self, only: Only) -> Vec<Clause> {
        let document = self.document;
        match only {
            Only::Isolation => self.isolated(),
            Only::Jail => {
                let same = document.jail.value == self.managed.jail.value;
                let jail = unless(same, &document.jail.clause);
                [jail, clauses(self.newly_given_up(&Promise::ALL))].concat()
            }
            Only::Rootfs => {
                let of = |document: &Document| {
                    document.rootfs.as_ref().map(|rootfs| rootfs.value.clone())
                };
                let said = document.rootfs.iter();
                let other = said.filter(|_| of(document) != of(self.managed));
                clauses(other)
            }
            Only::Workspace => unless(
                document.workspace.value == self.managed.workspace.value,
                &document.workspace.clause,
            ),
            Only::Home => {
                unless(document.home.value == self.managed.home.value, &document.home.clause)
            }
            Only::Extends => document.presets.iter().map(|one| one.clause.clone()).collect(),
            Only::Grant => {
                let presets = document.presets.iter().flat_map(|preset| &preset.grants);
                clauses(document.grants.iter().chain(presets))
            }
            Only::Sockets => clauses(&document.sockets),
            Only::Environment => {
                let presets = document.presets.iter().flat_map(|preset| &preset.set);
                let set = document.set.iter().chain(presets);
                let held = self.credentials().filter(|one| !one.value.env.is_empty());
                [clauses(document.passed()), clauses(set), clauses(held)].concat()
            }
            Only::Allow => self.allowed(),
            Only::Publish => {
                let published = document.network.publish.iter();
                published.map(|published| published.clause.clone()).collect()
            }
            Only::TrustCa => clauses(&document.network.trust_ca),
            Only::UpstreamProxy => {
                let proxy = document.network.upstream_proxy.iter();
                proxy.map(|proxy| proxy.clause.clone()).collect()
            }
            Only::Credentials => {
                let bear = self.host_rules().filter(|rule| rule.requests.credential.is_some());
                let bear = bear.map(|rule| rule.clause.clone());
                clauses(self.credentials()).into_iter().chain(bear).collect()
            }
            Only::Limits => {
                let same = |name, limit: &crate::limits::Limit| {
                    let mut all = self.managed.limits.each();
                    all.any(|(other, old)| {
                        other == name && old.value == limit.value && old.hold == limit.hold
                    })
                };
                let limits = document.limits.each().filter(|(name, limit)| !same(*name, limit));
                let limits = limits.map(|(_, limit)| limit.clause.clone());
                let counted = [Promise::ProcessLimit, Promise::PrivateSize];
                limits.chain(clauses(self.newly_given_up(&counted))).collect()
            }
            Only::Output => self.output(),
        }
    }

    /// Rules that open a host, and the one by which a person is asked for more.
    fn allowed(&self) -> Vec<Clause> {
        let rules = self.host_rules().map(|rule| rule.clause.clone());
        rules.chain(self.document.network.approve.clone()).collect()
    }

    /// Rules that open a host, of presets too.
    fn host_rules(&self) -> impl Iterator<Item = &Allowed> {
        let presets = self.document.presets.iter().map(|preset| &preset.network);
        let networks = [&self.document.network].into_iter().chain(presets);
        networks.flat_map(|network| network.allow.iter().chain(&network.flags))
    }

    /// Credentials, of presets too.
    fn credentials(&self) -> impl Iterator<Item = &Located<Credential>> {
        let presets = self.document.presets.iter().flat_map(|preset| &preset.credentials);
        self.document.credentials.iter().chain(presets)
    }

    /// Which of `promises` are given up, and not by the managed text.
    fn newly_given_up(&self, promises: &[Promise]) -> impl Iterator<Item = &Located<Promise>> {
        let above = |one: &Promise| self.managed.best_effort.iter().any(|old| old.value == *one);
        let all = self.document.best_effort.iter();
        all.filter(move |one| promises.contains(&one.value) && !above(&one.value))
    }

    fn output(&self) -> Vec<Clause> {
        let (new, old) = (&self.document.output, &self.managed.output);
        let bytes = |output: &crate::output::Output| output.most.as_ref().map(|most| most.bytes);
        let most = new.most.iter().filter(|_| bytes(new) != bytes(old));
        [
            unless(new.escapes == old.escapes, &new.escapes_clause),
            unless(new.redaction == old.redaction, &new.redaction_clause),
            most.map(|most| most.clause.clone()).collect(),
        ]
        .concat()
    }

    /// Limits of the managed text are the most that there is, and hold as surely.
    fn limits(&self) -> Result<(), PolicyError> {
        let written = |clause: &Clause| self.document.layer_of(clause) == Layer::Managed;
        let old = self.managed.limits.each().filter(|(_, limit)| written(&limit.clause));
        for (name, old) in old {
            let mut new = self.document.limits.each();
            let Some((_, new)) = new.find(|(other, _)| *other == name) else { continue };
            if new.value > old.value {
                let (new_value, most) = (name.shown(new.value), name.shown(old.value));
                let what = format!("{new_value} is more than {most}");
                return Err(self.beyond(&new.clause, what, &old.clause));
            }
            if old.hold == Hold::Required && new.hold == Hold::BestEffort {
                return Err(self.beyond(&new.clause, "it need not hold", &old.clause));
            }
        }
        let (new, old) = (&self.document.output.most, &self.managed.output.most);
        if let (Some(new), Some(old)) = (new, old)
            && new.bytes > old.bytes
        {
            let what = format!("{} bytes are more than {}", new.bytes, old.bytes);
            return Err(self.beyond(&new.clause, what, &old.clause));
        }
        Ok(())
    }

    /// What a managed limit counts is counted: nobody below gives that up.
    fn given_up(&self) -> Result<(), PolicyError> {
        let written = |clause: &Clause| self.document.layer_of(clause) == Layer::Managed;
        for (name, old) in self.managed.limits.each().filter(|(_, old)| written(&old.clause)) {
            let promise = match name {
                Name::Processes => Promise::ProcessLimit,
                Name::PrivateSize => Promise::PrivateSize,
                Name::Memory
                | Name::Cpus
                | Name::OpenFiles
                | Name::FileSize
                | Name::WallTime
                | Name::Grace => continue,
            };
            let mut new = self.newly_given_up(std::slice::from_ref(&promise));
            if let Some(new) = new.find(|new| self.is_below(&new.clause)) {
                return Err(self.beyond(&new.clause, "it need not hold", &old.clause));
            }
        }
        Ok(())
    }

    /// An address that is denied is reached under no other name, and through no proxy, which dials
    /// where nobody here sees it.
    fn addresses(&self) -> Result<(), PolicyError> {
        let denied = || {
            self.managed.network.deny.iter().filter_map(|denied| match &denied.pattern {
                Pattern::Net(net) => Some((net, denied)),
                Pattern::Exact(_) | Pattern::Below(_) | Pattern::AnyName => None,
            })
        };
        for rule in self.host_rules().filter(|rule| self.is_below(&rule.clause)) {
            let Some(dial) = rule.dial else { continue };
            let mut all = denied();
            let holding = all.find(|(net, denied)| {
                let port = denied.ports.is_empty() || denied.ports.contains(&dial.port());
                port && net.holds(canonical(dial.ip()))
            });
            if let Some((_, denied)) = holding {
                let what = format!("it dials {dial}, which is denied");
                return Err(self.beyond(&rule.clause, what, &denied.clause));
            }
        }
        let proxy = self.document.network.upstream_proxy.as_ref();
        if let Some(proxy) = proxy.filter(|proxy| self.is_below(&proxy.clause))
            && let Some((net, denied)) = denied().next()
        {
            let what = format!("nobody here sees whether a proxy dials {net}, which is denied");
            return Err(self.beyond(&proxy.clause, what, &denied.clause));
        }
        Ok(())
    }

    /// What takes a piece out of the wall, whether it would have here or not.
    fn dangers(&self) -> Result<(), PolicyError> {
        let Some(ceiling) = &self.managed.managed.no_dangers else { return Ok(()) };
        let document = self.document;
        let dialled = self.host_rules().filter(|rule| rule.dial.is_some());
        let dialled = dialled.map(|rule| rule.clause.clone());
        let presets = document.presets.iter().map(|preset| &preset.network);
        let networks = [&document.network].into_iter().chain(presets);
        let wide = networks.flat_map(|network| network.dangers.iter().cloned());
        let wide = wide.chain(document.output.dangers()).map(|danger| danger.clause);
        let given_up = clauses(&document.best_effort);
        let all = clauses(&document.dangerous).into_iter().chain(wide).chain(dialled);
        let all = all.chain(given_up);
        let mut all = all.chain(document.network.approve.clone());
        match all.find(|clause| self.is_below(clause)) {
            Some(clause) => Err(self.beyond(&clause, "nothing dangerous is allowed", ceiling)),
            None => Ok(()),
        }
    }

    /// A tree below a hidden directory shows again: not below one that the managed text hides.
    fn hidden(&self, policy: &Policy) -> Result<(), PolicyError> {
        let names = self.managed.hide.iter().chain(&self.managed.mask);
        for (path, hides) in resolve::written_paths(names, self.document, self.facts) {
            let mut trees = self.trees(policy);
            let shown = trees.find(|tree| {
                tree.path != path
                    && (tree.path.starts_with(&path) || self.facts.holds(&path, &tree.source))
            });
            if let Some(tree) = shown {
                let what = format!("{} is hidden", path.display());
                return Err(self.beyond(&tree.asked, what, hides));
            }
        }
        Ok(())
    }

    /// A name that may be anywhere (`**/.env`) is also that of a whole tree, or of what holds one:
    /// inside of it the pattern would begin too late to see that.
    fn anywhere(&self, policy: &Policy) -> Result<(), PolicyError> {
        let root = Path::new("/");
        let closed = self.managed.hide.iter().chain(&self.managed.mask);
        let closed = closed.map(|name| (name, "hidden"));
        let kept = self.managed.protect.iter().map(|name| (name, "protected"));
        for (name, verb) in closed.chain(kept) {
            if name.value.split('/').next() != Some("**") {
                continue;
            }
            let pattern = names::Pattern::new(&name.value);
            let mut trees =
                self.trees(policy).filter(|tree| verb == "hidden" || tree.mode.is_written());
            let covered = trees.find(|tree| match pattern.meets(root, &tree.source) {
                Meets::At | Meets::Below => true,
                Meets::Above | Meets::No => false,
            });
            if let Some(tree) = covered {
                let what = format!("{} is {verb} by `{}`", tree.source.display(), name.value);
                return Err(self.beyond(&tree.asked, what, &name.clause));
            }
        }
        Ok(())
    }

    /// The workspace and every tree that somebody below asked for, or that comes with the workspace.
    fn trees<'p>(&self, policy: &'p Policy) -> impl Iterator<Item = &'p Grant> {
        let asked = |tree: &&Grant| match tree.origin {
            Origin::Workspace => self.document.layer_of(&tree.asked) != Layer::Managed,
            Origin::Granted | Origin::Preset => self.is_below(&tree.asked),
            Origin::Repository => true,
            Origin::System | Origin::Toolchain => false,
        };
        [&policy.workspace].into_iter().chain(&policy.grants).filter(asked)
    }

    /// Each tree lies below a mount, and may do no more than the innermost one; nor than those in it.
    fn mounts(&self, policy: &Policy) -> Result<(), PolicyError> {
        let Some((list, clause)) = &self.managed.managed.mounts else { return Ok(()) };
        let mounts = list.iter().map(|mount| Ok((self.unlinked(mount)?, mount)));
        let mounts: Vec<(PathBuf, &Located<GrantText>)> =
            mounts.collect::<Result<_, PolicyError>>()?;
        for tree in self.trees(policy) {
            let holding = mounts.iter().filter(|(at, _)| tree.source.starts_with(at));
            let Some((_, mount)) = holding.max_by_key(|(at, _)| at.components().count()) else {
                let what = format!("{} is in no managed mount", tree.source.display());
                return Err(self.beyond(&tree.asked, what, clause));
            };
            let inside = mounts.iter().filter(|(at, _)| at.starts_with(&tree.source));
            let bounds = inside.filter(|(at, _)| !self.is_narrowed(policy, at, tree));
            let bounds = bounds.map(|(_, mount)| *mount).chain([*mount]);
            if let Some(mount) = bounds.min_by_key(|mount| mount.value.mode)
                && mount.value.mode < tree.mode
            {
                let (mode, most) = (tree.mode.as_str(), mount.value.mode.as_str());
                let what = format!("{} is {mode}, and {most} at most", tree.source.display());
                return Err(self.beyond(&tree.asked, what, &mount.clause));
            }
        }
        Ok(())
    }

    /// Whether a tree of its own at `path`, inside `outer`, says what may be done there.
    fn is_narrowed(&self, policy: &Policy, path: &Path, outer: &Grant) -> bool {
        let mut trees = [&policy.workspace].into_iter().chain(&policy.grants);
        path != outer.source && trees.any(|tree| tree.source == path)
    }

    /// A managed path as it is written. One that a link is on the way of is refused: who owns the link
    /// would say where the mount is, and that may be the very person whom it binds.
    fn unlinked(&self, mount: &Located<GrantText>) -> Result<PathBuf, PolicyError> {
        let path = resolve::absolute(&mount.value.path, &self.facts.home, &self.facts.cwd);
        let seen = self.facts.seen(&path);
        let real = seen.and_then(|seen| seen.real.clone()).filter(|real| *real != path);
        let link = seen.is_some_and(|seen| seen.kind == Kind::Link);
        if real.is_none() && !link {
            return Ok(path);
        }
        let fault = LayerFault::MountLink { path, real };
        Err(self.document.fault_at(fault.into(), &mount.clause))
    }
}

/// The rule, unless it says what holds anyway.
fn unless(same: bool, clause: &Clause) -> Vec<Clause> {
    if same { Vec::new() } else { vec![clause.clone()] }
}

fn clauses<'l, T: 'l>(list: impl IntoIterator<Item = &'l Located<T>>) -> Vec<Clause> {
    list.into_iter().map(|one| one.clause.clone()).collect()
}
