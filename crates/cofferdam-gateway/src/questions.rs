//! Questions to a person outside: whether something that no rule allows may be.
//!
//! One question for each host, port and shape of request at a time, however many connections wait for
//! its answer. Who answers adds a rule, which is what allows; the answer only wakes who waits.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use cofferdam_plan::message::{FromGateway, Question, Requested};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::control::Ledger;
use crate::gate::Asked;

/// How long a connection waits for an answer: a little longer than the engine lets a person think.
const ANSWER_WITHIN: Duration = Duration::from_secs(65);
/// Most questions that are open: beyond them nobody is asked.
const OPEN_MAX: usize = 32;

/// What a question is about: host, port, method and path.
type Shape = (String, u16, Option<(String, String)>);

/// Those that are open.
#[derive(Debug)]
pub(crate) struct Questions {
    /// Whether anybody is asked at all.
    wanted: bool,
    next: Cell<u64>,
    open: RefCell<BTreeMap<Shape, Open>>,
}

#[derive(Debug)]
struct Open {
    id: u64,
    answer: watch::Sender<Option<bool>>,
}

impl Questions {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { wanted, next: Cell::new(1), open: RefCell::default() }
    }

    /// Whether anybody is asked at all.
    pub(crate) const fn wanted(&self) -> bool {
        self.wanted
    }

    /// Asks, or waits for the answer to the same question.
    pub(crate) async fn ask(
        &self,
        ledger: &Ledger,
        asked: &Asked,
        about: Option<&Requested>,
    ) -> bool {
        if !self.wanted {
            return false;
        }
        let request = about.map(|about| (about.method.clone(), about.path.clone()));
        let shape = (asked.host.to_string(), asked.port, request);
        let Some((id, mut answer)) = self.open(ledger, asked, &shape) else { return false };
        let waits = Waits { questions: self, ledger, shape: &shape, id };
        let answered = timeout(ANSWER_WITHIN, answer.wait_for(Option::is_some)).await;
        let allowed = matches!(answered, Ok(Ok(said)) if *said == Some(true));
        drop(waits);
        allowed
    }

    /// The question of this shape, asked now where it is not open yet.
    fn open(
        &self,
        ledger: &Ledger,
        asked: &Asked,
        shape: &Shape,
    ) -> Option<(u64, watch::Receiver<Option<bool>>)> {
        let mut open = self.open.borrow_mut();
        if let Some(same) = open.get(shape) {
            return Some((same.id, same.answer.subscribe()));
        }
        if open.len() >= OPEN_MAX {
            return None;
        }
        let id = self.next.get();
        self.next.set(id.saturating_add(1));
        let (host, port, request) = shape.clone();
        let (method, path) = request.unzip();
        let question = Question { id, host, port, protocol: asked.protocol, method, path };
        ledger.send(&FromGateway::Asks(Box::new(question)));
        let (answer, heard) = watch::channel(None);
        open.insert(shape.clone(), Open { id, answer });
        Some((id, heard))
    }

    /// What a person said.
    pub(crate) fn answer(&self, id: u64, allowed: bool) {
        let mut open = self.open.borrow_mut();
        // Who waits has its own hold on it.
        open.retain(|_, question| {
            let this = question.id == id;
            if this {
                question.answer.send_replace(Some(allowed));
            }
            !this
        });
    }
}

/// One who waits. The last one takes the question back.
struct Waits<'a> {
    questions: &'a Questions,
    ledger: &'a Ledger,
    shape: &'a Shape,
    id: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut open = self.questions.open.borrow_mut();
        let Some(question) = open.get(self.shape).filter(|question| question.id == self.id) else {
            return;
        };
        // Its own hold on the answer is there still where it was cut off in waiting.
        if question.answer.receiver_count() <= 1 {
            open.remove(self.shape);
            self.ledger.send(&FromGateway::AsksNoMore { id: self.id });
        }
    }
}
