//! The rules that hold now. They are replaced as a whole while connections go on: who was judged by the
//! old ones keeps them, who comes next is judged by the new ones, and nobody by none.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use cofferdam_policy::judge::hosts::HostRules;
use tokio::sync::watch;

use crate::denial::Denial;
use crate::gate::Granted;

/// Rules, and how often they were used.
#[derive(Debug)]
pub(crate) struct Rules {
    now: RefCell<Rc<HostRules>>,
    /// What rules with a rate have left, by their clause.
    left: RefCell<BTreeMap<String, Left>>,
    replaced: watch::Sender<()>,
}

/// What a rule with a rate has left.
#[derive(Clone, Copy, Debug)]
struct Left {
    /// Requests, in thousandths of one.
    tokens: u64,
    since: Instant,
}

/// One request, in the unit of [`Left::tokens`].
const ONE: u64 = 1_000;

impl Rules {
    pub(crate) fn new(rules: HostRules) -> Self {
        Self {
            now: RefCell::new(Rc::new(rules)),
            left: RefCell::default(),
            replaced: watch::Sender::new(()),
        }
    }

    /// Those that hold at this moment.
    pub(crate) fn now(&self) -> Rc<HostRules> {
        Rc::clone(&self.now.borrow())
    }

    /// From here on these hold.
    pub(crate) fn replace(&self, rules: HostRules) {
        *self.now.borrow_mut() = Rc::new(rules);
        self.replaced.send_replace(());
    }

    /// Tells each time that rules are replaced.
    pub(crate) fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Takes one of the requests that a rule allows in its time.
    pub(crate) fn in_time(&self, rule: &Granted) -> Result<(), Box<Denial>> {
        let Some(rate) = rule.requests.rate else { return Ok(()) };
        let most = u64::from(rate.requests).saturating_mul(ONE);
        let (now, clause) = (Instant::now(), rule.clause.to_string());
        let mut left = self.left.borrow_mut();
        let left = left.entry(clause).or_insert(Left { tokens: most, since: now });
        let passed = u64::try_from(now.duration_since(left.since).as_millis()).unwrap_or(u64::MAX);
        // Milliseconds times requests over seconds: thousandths of a request.
        let more = passed.saturating_mul(rate.requests.into()) / u64::from(rate.seconds.max(1));
        if more > 0 {
            *left = Left { tokens: left.tokens.saturating_add(more).min(most), since: now };
        }
        match left.tokens.checked_sub(ONE) {
            Some(rest) => {
                left.tokens = rest;
                Ok(())
            }
            None => {
                let why = format!(
                    "the rule allows {} requests in {} s, and they are used up",
                    rate.requests, rate.seconds
                );
                Err(Box::new(Denial::too_often(why, &rule.clause)))
            }
        }
    }
}
