//! Why something is allowed or denied, said beforehand: the same judge, asked about one act.
//!
//! Nothing is started and nothing is made. A policy is resolved and compiled as `plan` does it, and the rules of
//! that plan are asked. What would change an answer is tried the same way before it is told.

mod error;
mod event;
mod network;
mod path;

use std::path::{Path, PathBuf};

use cofferdam_plan::coverage::Extent;
use cofferdam_plan::host::Groups;
use cofferdam_plan::plan::Argument;
use cofferdam_plan::{Plan, Rows, Task, compile, host_row};
use cofferdam_policy::Act;
use cofferdam_policy::facts::Facts;
use cofferdam_policy::judge::hosts::Host;
use cofferdam_policy::model::{Clause, Policy};
use cofferdam_sandbox::probe;
use serde::Serialize;

use crate::engine::{Engine, outer};
use crate::options::Options;
use crate::refused::Refused;
pub use error::WhyError;
pub use event::{Recorded, explain};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// An act on a path, as a person writes it: relative to the working directory, or below `~`.
    Path(Act, PathBuf),
    /// A connection, and perhaps a request in it.
    Connect {
        /// To whom.
        host: Host,
        /// On which port.
        port: u16,
        /// Method and target.
        request: Option<(String, String)>,
    },
    /// Requests that bear a credential.
    Use {
        /// Its name in the policy.
        credential: String,
        /// To whom.
        host: Host,
    },
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No rule forbids it.
    Allowed,
    /// A rule does.
    Denied,
    /// Nothing was decided: an event that is about no act.
    Noted,
}

/// What would change an answer: the same in two spellings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// An option of the command line; empty where there is none.
    pub option: String,
    /// A line of a policy, or what to do by hand; empty where nothing helps.
    pub policy: String,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What was asked, in words: `read /home/u/src/app/.env`.
    pub asked: String,
    /// What comes of it.
    pub verdict: Outcome,
    /// Stable name of the reason, where it is denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it is denied, for a person.
    pub why: String,
    /// What the workload would hear: the name of an `errno(3)`, or an HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hears: Option<String>,
    /// The rule that decides.
    pub clause: Clause,
    /// What holds that rule, by the plan's coverage.
    pub held_by: Vec<String>,
    /// What of the rule is left open, by the same.
    pub open: Vec<String>,
    /// What would change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What a person should know besides.
    pub notes: Vec<String>,
}

/// A policy on this machine, with the plan that a run would have.
#[derive(Debug)]
pub struct Considered<'e> {
    engine: &'e Engine,
    options: Options,
    /// What was read of the caller's side.
    pub facts: Facts,
    /// What was decided from the text.
    pub policy: Policy,
    /// What would be done.
    pub plan: Plan,
}

impl Engine {
    /// Resolves and compiles what `options` say, to ask about it. Starts and makes nothing; limits are taken
    /// for held, which nobody asks about here.
    ///
    /// # Errors
    /// What `plan` would refuse in the policy, or because of this machine.
    pub fn consider(&self, options: &Options) -> Result<Considered<'_>, Refused> {
        let resolved = self.resolve(options)?;
        let mut host = probe::host();
        host.groups = Some(Groups { version: 2, memory: true, processes: true, cpus: true });
        let command = vec![Argument(b"true".to_vec())];
        let task = Task { command, streams: options.streams, rows: Rows::ButHosts };
        // What it would be started by is looked at, and not kept.
        drop(outer(&resolved.policy, &mut host));
        self.application_kernel(options, &resolved.policy, (&resolved.state, &mut host));
        let plan = compile(&resolved.policy, &host, task)?;
        let (facts, policy) = (resolved.facts, resolved.policy);
        Ok(Considered { engine: self, options: options.clone(), facts, policy, plan })
    }
}

impl Considered<'_> {
    /// The answer, and what would change it.
    ///
    /// # Errors
    /// The question names what is not there: a credential.
    pub fn why(&self, question: &Question) -> Result<Answer, WhyError> {
        match question {
            Question::Path(act, path) => {
                let mut answer = self.of_path(*act, path);
                if answer.verdict == Outcome::Denied {
                    self.mend(*act, path, &mut answer);
                }
                Ok(answer)
            }
            Question::Connect { host, port, request } => {
                let request =
                    request.as_ref().map(|(method, target)| (method.as_str(), target.as_str()));
                Ok(self.of_connection(host, *port, request))
            }
            Question::Use { credential, host } => self.of_credential(credential, host),
        }
    }

    /// The answer alone: nothing is tried to change it.
    #[must_use]
    pub fn judged(&self, act: Act, path: &Path) -> Answer {
        self.of_path(act, path)
    }

    /// An answer with what the plan's coverage says of its clause.
    fn answer(&self, asked: String, verdict: Outcome, clause: &Clause) -> Answer {
        let (mut held_by, mut open) = (Vec::new(), Vec::new());
        let host = host_row(&self.policy, clause);
        let rows = self.plan.coverage.iter().filter(|row| row.clause == *clause).chain(&host);
        for row in rows {
            for mechanism in &row.mechanisms {
                if !held_by.contains(mechanism) {
                    held_by.push(mechanism.clone());
                }
            }
            if let Extent::Partly { open: text } = &row.extent {
                open.push(text.clone());
            }
        }
        Answer {
            asked,
            verdict,
            code: None,
            why: String::new(),
            hears: None,
            clause: clause.clone(),
            held_by,
            open,
            fix: None,
            notes: Vec::new(),
        }
    }
}
