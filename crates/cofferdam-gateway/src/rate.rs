//! How often a rule may allow: a token bucket for each rule.
//!
//! A bucket holds as many tokens as the rule has requests, and fills evenly within its time. So a burst
//! of the whole number may come at once; in no time `t` are there more than that number and its share
//! of `t`. The bucket is kept as the one moment at which it will be full (the generic cell rate
//! algorithm): whole nanoseconds, no fraction is lost.

use std::time::{Duration, Instant};

use cofferdam_policy::judge::requests::Rate;
use cofferdam_policy::model::Clause;

/// No token is left; one is there after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// For `Retry-After` (RFC 9110, 10.2.3): whole seconds, at least one, never too few.
    pub retry_after_secs: u64,
}

/// One rule's tokens.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// When it is full again. In the past: it is full.
    full: Option<Instant>,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, full: None }
    }

    /// Takes one token at `now`. What is refused costs nothing.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&mut self, now: Instant) -> Result<(), Exhausted> {
        let whole = Duration::from_secs(u64::from(self.rate.seconds));
        let full = self.full.filter(|full| *full > now).unwrap_or(now);
        let wait = full.duration_since(now);
        // One token's time, rounded up: never more than the rule says.
        let requests = self.rate.requests.max(1);
        let remainder = !whole.as_nanos().is_multiple_of(u128::from(requests));
        let each = (whole / requests).saturating_add(Duration::from_nanos(u64::from(remainder)));
        let filled = wait.saturating_add(each);
        let next = now.checked_add(filled).filter(|_| filled <= each.saturating_mul(requests));
        let Some(next) = next else {
            let short = filled.saturating_sub(each.saturating_mul(requests));
            let secs = short.as_secs().saturating_add(u64::from(short.subsec_nanos() > 0));
            return Err(Exhausted { retry_after_secs: secs.max(1) });
        };
        self.full = Some(next);
        Ok(())
    }
}

/// Every rule's tokens.
#[derive(Debug, Default)]
pub struct Rates {
    buckets: Vec<(Clause, Bucket)>,
}

impl Rates {
    /// Takes one token of the rule with this clause. A rule whose rate has changed begins anew.
    ///
    /// # Errors
    /// There is none.
    pub fn take(&mut self, clause: &Clause, rate: Rate, now: Instant) -> Result<(), Exhausted> {
        let found = self.buckets.iter_mut().find(|(of, _)| of == clause);
        if let Some((_, bucket)) = found {
            if bucket.rate != rate {
                *bucket = Bucket::new(rate);
            }
            return bucket.take(now);
        }
        let mut bucket = Bucket::new(rate);
        let taken = bucket.take(now);
        self.buckets.push((clause.clone(), bucket));
        taken
    }

    /// Forgets the rules that are no more. Whoever reloads rules calls it, so that there are never more
    /// buckets than rules; a rule that stays keeps its own, or reloading would be a way to more tokens.
    pub fn keep(&mut self, is_rule: impl Fn(&Clause) -> bool) {
        self.buckets.retain(|(clause, _)| is_rule(clause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rate(requests: u32, seconds: u32) -> Rate {
        Rate { requests, seconds }
    }

    #[test]
    fn tokens_come_back_evenly() {
        let began = Instant::now();
        let taken = Ok(());
        let none = |retry_after_secs| Err(Exhausted { retry_after_secs });
        // Milliseconds from the beginning, and what is answered.
        for (rate, asked, why) in [
            (rate(1, 1), &[(0, taken), (0, none(1)), (999, none(1)), (1_000, taken)][..], "one"),
            (
                rate(2, 60),
                &[(0, taken), (0, taken), (0, none(30)), (29_001, none(1)), (30_000, taken)],
                "half the time for each of two",
            ),
            (
                rate(2, 60),
                &[(0, taken), (500_000, taken), (500_000, taken), (500_000, none(30))],
                "a long silence fills no more than the bucket",
            ),
            (
                rate(3, 1),
                &[(0, taken), (0, taken), (0, taken), (333, none(1)), (334, taken)],
                "a third of a second, rounded up",
            ),
            (rate(1, u32::MAX), &[(0, taken), (0, none(u64::from(u32::MAX)))], "once in a life"),
            (rate(u32::MAX, 1), &[(0, taken), (0, taken), (0, taken)], "hardly a limit"),
            (rate(0, 5), &[(0, taken), (0, none(5))], "none is one: the policy has no zero"),
        ] {
            let mut bucket = Bucket::new(rate);
            for (at, want) in asked {
                let now = began + Duration::from_millis(*at);
                assert_eq!(bucket.take(now), *want, "{why}: at {at} ms");
            }
        }
    }

    #[test]
    fn refused_ones_cost_nothing() {
        let began = Instant::now();
        let mut bucket = Bucket::new(rate(1, 10));
        assert_eq!(bucket.take(began), Ok(()));
        for _ in 0..1_000 {
            assert!(bucket.take(began).is_err());
        }
        assert_eq!(bucket.take(began + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn each_rule_has_its_own() {
        let now = Instant::now();
        let (one, other) = (Clause::built_in("one"), Clause::built_in("other"));
        let mut rates = Rates::default();
        assert_eq!(rates.take(&one, rate(1, 10), now), Ok(()));
        assert!(rates.take(&one, rate(1, 10), now).is_err());
        assert_eq!(rates.take(&other, rate(1, 10), now), Ok(()), "the other's is full");
        rates.keep(|clause| *clause == one);
        assert!(rates.take(&one, rate(1, 10), now).is_err(), "a reload is no way to more");
        assert_eq!(rates.take(&other, rate(1, 10), now), Ok(()), "a rule that was gone");
        assert_eq!(rates.take(&one, rate(2, 10), now), Ok(()), "another rate begins anew");
    }
}
