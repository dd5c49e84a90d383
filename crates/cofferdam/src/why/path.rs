//! Questions about paths: links are followed as the workload's would be, and the judge is asked about what they
//! lead to.

use std::collections::VecDeque;
use std::fs;
use std::path::{Component, Path, PathBuf};

use cofferdam_policy::judge::{Because, leads, masked};
use cofferdam_policy::model::{Clause, Mode};
use cofferdam_policy::{Act, Request, Verdict, decide};

use super::{Answer, Considered, Fix, Outcome};
use crate::options::Options;

/// Links on the way to a path; the kernel follows as many (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// Where a path leads inside.
struct Way<'r> {
    /// The path that the judge is asked about.
    path: PathBuf,
    /// Whether a link was followed.
    linked: bool,
    /// The link at which it ends, where one is not there inside.
    ends: Option<(PathBuf, &'r Clause, Because)>,
    /// Whether it goes on for ever.
    endless: bool,
}

/// The word of the question for an act.
pub(super) const fn word(act: Act) -> &'static str {
    match act {
        Act::Read => "read",
        Act::Write => "write",
        Act::Create => "create",
        Act::Rename => "rename",
        Act::Remove => "delete",
        Act::Execute => "exec",
        Act::Connect => "connect",
    }
}

/// The name of an errno that [`Because::errno`] gives.
pub(super) const fn errno_name(number: i32) -> &'static str {
    match number {
        1 => "EPERM",
        2 => "ENOENT",
        13 => "EACCES",
        16 => "EBUSY",
        18 => "EXDEV",
        30 => "EROFS",
        _ => "an error",
    }
}

impl Considered<'_> {
    pub(super) fn of_path(&self, act: Act, asked: &Path) -> Answer {
        let written = self.absolute(asked);
        let way = self.followed(&written, !matches!(act, Act::Create | Act::Remove | Act::Rename));
        let rules = &self.plan.rules;
        let question = format!("{} {}", word(act), way.path.display());
        let verdict = match &way.ends {
            Some((_, clause, because)) => Verdict::Deny(clause, *because),
            None => decide(rules, Request { act, path: &way.path }),
        };
        let mut answer = match verdict {
            Verdict::Allow(clause) => {
                let mask = masked(rules, &way.path).filter(|_| act == Act::Read);
                let mut answer = self.answer(question, Outcome::Allowed, mask.unwrap_or(clause));
                if mask.is_some() {
                    answer.notes.push("what is read is a placeholder of the same shape".into());
                }
                answer.notes.extend(there(act, &self.on_host(&way.path)));
                answer
            }
            Verdict::Deny(clause, because) => {
                let mut answer = self.answer(question, Outcome::Denied, clause);
                answer.why = because.why().into();
                answer.code = Some(because.code().into());
                answer.hears = Some(errno_name(because.errno()).into());
                answer
            }
        };
        if way.linked {
            answer.notes.insert(0, format!("asked as {}, which leads there", written.display()));
        }
        if let Some((link, ..)) = &way.ends {
            answer.notes.push(format!("the link {} is not there inside", link.display()));
        }
        if way.endless {
            answer.notes.push("its links lead nowhere: ELOOP outside too".into());
        }
        answer
    }

    /// As a person writes it, from the root.
    fn absolute(&self, asked: &Path) -> PathBuf {
        match asked.strip_prefix("~") {
            Ok(below) => self.policy.home.join(below),
            Err(_) => self.facts.cwd.join(asked),
        }
    }

    /// Follows links as the kernel would inside (`path_resolution(7)`); the last one where `last` says so.
    fn followed(&self, path: &Path, last: bool) -> Way<'_> {
        let mut way = Way { path: PathBuf::from("/"), linked: false, ends: None, endless: false };
        let mut left: VecDeque<PathBuf> = parts(path).collect();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == Path::new("..") {
                way.path.pop();
                continue;
            }
            let at = way.path.join(&name);
            let Some(target) = self.link(&at).filter(|_| last || !left.is_empty()) else {
                way.path = at;
                continue;
            };
            let root_link = self.policy.root_links.iter().any(|(link, _)| *link == at);
            if !root_link && let Verdict::Deny(clause, because) = leads(&self.plan.rules, &at) {
                way.ends = Some((at.clone(), clause, because));
                way.path = left.iter().fold(at, |at, name| at.join(name));
                return way;
            }
            links += 1;
            way.linked = true;
            if links > LINKS_MAX {
                way.path = at;
                way.endless = true;
                return way;
            }
            if target.is_absolute() {
                way.path = PathBuf::from("/");
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                left.push_front(part);
            }
        }
        way
    }

    /// Where on the host is what the view has at `path`: of another system it is elsewhere.
    fn on_host(&self, path: &Path) -> PathBuf {
        let holding = self.policy.grants.iter().filter(|tree| path.starts_with(&tree.path));
        let tree = holding.max_by_key(|tree| tree.path.components().count());
        let below = tree.and_then(|tree| Some((tree, path.strip_prefix(&tree.path).ok()?)));
        match below {
            Some((tree, below)) if !below.as_os_str().is_empty() => tree.source.join(below),
            Some((tree, _)) => tree.source.clone(),
            None => path.to_owned(),
        }
    }

    /// Where the link at `at` leads, of the view or of the host.
    fn link(&self, at: &Path) -> Option<PathBuf> {
        let root = self.policy.root_links.iter().find(|(link, _)| link == at);
        root.map(|(_, target)| target.clone()).or_else(|| fs::read_link(self.on_host(at)).ok())
    }

    /// Tries what might help, and tells the first that does; else why there is none.
    pub(super) fn mend(&self, act: Act, asked: &Path, answer: &mut Answer) {
        let Some(because) = Because::of_code(answer.code.as_deref().unwrap_or_default()) else {
            return;
        };
        let by_hand = because.fix();
        match because {
            Because::Absent | Because::Ungranted | Because::ReadOnly => {}
            Because::Guarded
            | Because::Hidden
            | Because::Pinned
            | Because::NoDelete
            | Because::Socket
            | Because::Copied => {
                let policy = match (because, answer.clause.line) {
                    (Because::Guarded, 1..) => format!("take it from {}", answer.clause),
                    (Because::Hidden, 1..) => {
                        format!("take it from {}, if it is no secret", answer.clause)
                    }
                    _ => by_hand.to_owned(),
                };
                answer.fix = (!policy.is_empty()).then(|| Fix { option: String::new(), policy });
                return;
            }
        }
        let way = self.followed(&self.absolute(asked), true);
        let (tree, mode, language) = match act {
            Act::Read | Act::Execute | Act::Connect => (way.path.clone(), "ro", Mode::ReadOnly),
            Act::Write => (way.path.clone(), "rw", Mode::ReadWrite),
            Act::Create | Act::Rename | Act::Remove => {
                let above = way.path.parent().unwrap_or(&way.path);
                (above.to_owned(), "rw", Mode::ReadWrite)
            }
        };
        let shown = tree.display();
        let workspace = tree.starts_with(&self.policy.workspace.path)
            && answer.clause == self.policy.workspace.clause;
        let mut tried = self.options.clone();
        let fix = if workspace {
            let path = self.policy.workspace.path.display();
            tried.workspace = Some(format!("{path}:rw"));
            Fix {
                option: format!("--workspace {path}:rw"),
                policy: format!(
                    "filesystem.workspace = {{ path = {:?}, mode = \"read-write\" }}",
                    path.to_string()
                ),
            }
        } else {
            tried.grants.push(format!("{shown}:{mode}"));
            Fix {
                option: format!("--grant {shown}:{mode}"),
                policy: format!(
                    "filesystem.grant = [{{ path = {:?}, mode = \"{}\" }}]",
                    shown.to_string(),
                    language.as_str()
                ),
            }
        };
        self.tried(&tried, (act, asked), fix, answer);
    }

    /// Whether it is allowed under other options; what is told is what was tried.
    fn tried(&self, options: &Options, (act, asked): (Act, &Path), fix: Fix, answer: &mut Answer) {
        match self.engine.consider(options) {
            Ok(other) if other.of_path(act, asked).verdict == Outcome::Allowed => {
                answer.fix = Some(fix);
            }
            Ok(_) => {
                answer
                    .notes
                    .push(format!("{} would not do: another rule holds it then", fix.option));
            }
            Err(refused) => {
                answer.notes.push(format!("{} would be refused: {refused}", fix.option));
            }
        }
    }
}

/// Names of a path, without `.`.
fn parts(path: &Path) -> impl Iterator<Item = PathBuf> + use<'_> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    })
}

/// What of the host's an allowed act would not find, or find in its way: no rule's doing.
fn there(act: Act, path: &Path) -> Option<String> {
    let exists = fs::symlink_metadata(path).is_ok();
    match (act, exists) {
        (Act::Create, true) => Some("it is there already".into()),
        (Act::Create, false) | (_, true) => None,
        (_, false) => Some("it is not there now".into()),
    }
}
