//! The rules that hold now. They are replaced as a whole while connections go on: who was judged by the
//! old ones keeps them, who comes next is judged by the new ones, and nobody by none.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use cofferdam_policy::judge::hosts::HostRules;
use cofferdam_policy::judge::indexed::Indexed;
use cofferdam_policy::model::Clause;
use tokio::sync::watch;

use crate::denial::Denial;
use crate::gate::Granted;
use crate::rate::Rates;

/// Rules, and how often they were used.
#[derive(Debug)]
pub(crate) struct Rules {
    now: RefCell<Rc<Indexed>>,
    rates: RefCell<Rates>,
    replaced: watch::Sender<()>,
}

impl Rules {
    pub(crate) fn new(rules: HostRules) -> Self {
        Self {
            now: RefCell::new(Rc::new(Indexed::new(rules))),
            rates: RefCell::default(),
            replaced: watch::Sender::new(()),
        }
    }

    /// Those that hold at this moment.
    pub(crate) fn now(&self) -> Rc<Indexed> {
        Rc::clone(&self.now.borrow())
    }

    /// From here on these hold.
    pub(crate) fn replace(&self, rules: HostRules) {
        let stays = |clause: &Clause| rules.allow.iter().any(|rule| rule.clause == *clause);
        self.rates.borrow_mut().keep(stays);
        *self.now.borrow_mut() = Rc::new(Indexed::new(rules));
        self.replaced.send_replace(());
    }

    /// Tells each time that rules are replaced.
    pub(crate) fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Takes one of the requests that a rule allows in its time.
    pub(crate) fn in_time(&self, rule: &Granted) -> Result<(), Box<Denial>> {
        let Some(rate) = rule.requests.rate else { return Ok(()) };
        let taken = self.rates.borrow_mut().take(&rule.clause, rate, Instant::now());
        taken.map_err(|none| {
            let (requests, seconds) = (rate.requests, rate.seconds);
            let why = format!("the rule allows {requests} requests in {seconds} s: no more now");
            Box::new(Denial::too_often(why, none.retry_after_secs, &rule.clause))
        })
    }
}
