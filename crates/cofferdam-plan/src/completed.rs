//! What of a plan is known only when it starts.

use cofferdam_policy::credentials::{Placed, part};
use cofferdam_policy::model::{Shown, Variable};

use crate::content::{Content, Trusted};
use crate::message::StandIn;
use crate::plan::{Plan, Step, Word, Workload};

impl Plan {
    /// The plan as init gets it: with `made` of every file that is made later, and with what stands in for
    /// credentials. The rest is as it was decided.
    #[must_use]
    pub fn completed(&self, made: impl Fn(Trusted) -> Vec<u8>, stand_ins: &[StandIn]) -> Self {
        let known = |name: &str| stand_ins.iter().find_map(|one| part(&one.name, &one.value, name));
        let filled = |text: &str| Placed::filled(text, |name| known(name).map(str::as_bytes));
        // A part that the secret does not have leaves no variable: a key without a session's token.
        let lacks = |asked: &str| {
            let whole = asked.rsplit_once('.').and_then(|(name, _)| known(name));
            whole.is_some() && known(asked).is_none()
        };
        let fill = |variables: &mut Vec<Variable>| {
            variables.retain(|one| one.shown != Shown::StandIn || !lacks(&one.value));
            for variable in variables {
                // One that is not known keeps what nobody reads.
                if let (Shown::StandIn, Some(found)) = (variable.shown, known(&variable.value)) {
                    (variable.value, variable.shown) = (found.to_owned(), Shown::NameOnly);
                }
            }
        };
        let mut whole = self.clone();
        let outer = whole.outer.iter_mut().flat_map(|outer| &mut outer.options).flatten();
        let outer = outer.filter_map(Word::content_mut);
        for content in whole.setup.iter_mut().filter_map(Step::content_mut).chain(outer) {
            match content {
                Content::Later(what) => *content = Content::Bytes(made(*what)),
                Content::Holds(text) => *content = Content::Bytes(filled(text)),
                Content::Bundle(bundle) => {
                    let variables = &mut bundle.environment;
                    fill(variables);
                    *content = Content::Bytes(bundle.json().into_bytes());
                }
                Content::Text(_) | Content::Bytes(_) => {}
            }
        }
        let Workload { environment, masked, .. } = &mut whole.workload;
        for variables in [environment, masked] {
            fill(variables);
        }
        whole
    }

    /// Whether something in it is made later.
    #[must_use]
    pub fn waits(&self) -> bool {
        let later = |step: &Step| {
            matches!(
                step,
                Step::File {
                    content: Content::Later(_) | Content::Holds(_) | Content::Bundle(_),
                    ..
                }
            )
        };
        let outer = self.outer.iter().flat_map(|outer| &outer.options).flatten();
        self.setup.iter().any(later)
            || outer.into_iter().any(Word::waits)
            || self.workload.environment.iter().any(|variable| variable.shown == Shown::StandIn)
    }
}
