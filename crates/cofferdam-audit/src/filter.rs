//! Which records a person wants to see.

use std::str::FromStr;

use jiff::Timestamp;
use serde::Deserialize;

use crate::read::Line;
use crate::record::Record;

/// What a record must be to be shown; what is left out asks nothing. A line that does not verify is
/// always shown: what it says of itself may be a lie.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Beginning of the session's name.
    pub session: String,
    /// Kinds of events, any of them; empty for all.
    pub kinds: Vec<String>,
    /// Not before.
    pub since: Option<Moment>,
    /// Not after.
    pub until: Option<Moment>,
    /// Only what went wrong: refusals, denials, ends that are not 0, kills, limits that were hit.
    pub failed: bool,
}

impl Filter {
    /// Whether a line is to be shown.
    #[must_use]
    pub fn takes(&self, line: &Line<'_>) -> bool {
        let Some(record) = line.record.as_ref().filter(|_| line.problem.is_none()) else {
            return true;
        };
        record.session.starts_with(&self.session)
            && (self.kinds.is_empty() || self.kinds.contains(&record.kind))
            && self.is_between(&record.time)
            && (!self.failed || failed(record))
    }

    fn is_between(&self, time: &str) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        // What no writer of ours writes is shown rather than hidden.
        let Ok(time) = time.parse().map(Moment) else { return true };
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// Whether an event is one that a person looks for when something went wrong.
fn failed(record: &Record<'_>) -> bool {
    #[derive(Deserialize)]
    struct Exit<'e> {
        #[serde(borrow)]
        outcome: &'e serde_json::value::RawValue,
        #[serde(default)]
        note: Option<String>,
    }
    #[derive(Deserialize)]
    struct Connection<'e> {
        #[serde(borrow)]
        verdict: std::borrow::Cow<'e, str>,
    }
    match record.kind.as_str() {
        "refusal" | "alarm" | "mount-fell" | "torn" | "limit" | "name" | "gateway-gone"
        | "policy-refused" | "refused" | "uncontrolled" => true,
        "connection" => serde_json::from_str(record.event.get())
            .map_or(true, |connection: Connection<'_>| connection.verdict != "allowed"),
        "exit" => serde_json::from_str(record.event.get()).map_or(true, |exit: Exit<'_>| {
            exit.outcome.get() != "{\"code\":0}" || exit.note.is_some()
        }),
        _ => false,
    }
}

/// A point in time, as a person writes it: RFC 3339 (`2026-11-26T08:00:00Z`), a day
/// (`2026-11-26`, from midnight UTC), or how long ago: `90s`, `30m`, `2h`, `3d`, `1w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

/// It is no point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no time: write 2026-11-26T08:00:00Z, 2026-11-26, or how long ago: 30m, 2h, 3d")]
pub struct NoMoment;

impl FromStr for Moment {
    type Err = NoMoment;

    fn from_str(words: &str) -> Result<Self, NoMoment> {
        Self::at(words, Timestamp::now())
    }
}

impl Moment {
    fn at(words: &str, now: Timestamp) -> Result<Self, NoMoment> {
        if let Ok(time) = words.parse::<Timestamp>() {
            return Ok(Self(time));
        }
        if let Ok(midnight) = format!("{words}T00:00:00Z").parse::<Timestamp>() {
            return Ok(Self(midnight));
        }
        let unit = words.chars().next_back().ok_or(NoMoment)?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            _ => return Err(NoMoment),
        };
        let number = words.strip_suffix(unit).unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoMoment);
        }
        let ago = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds));
        let ago = ago.and_then(|ago| now.as_second().checked_sub(ago)).ok_or(NoMoment)?;
        let fraction = now.subsec_nanosecond();
        Timestamp::new(ago, fraction).map(Self).map_err(|_| NoMoment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;

    #[test]
    fn what_went_wrong() {
        for (event, want, why) in [
            (r#"{"kind":"ready"}"#, false, "it goes on"),
            (r#"{"kind":"exit","outcome":{"code":0},"duration_ms":1}"#, false, "a good end"),
            (r#"{"kind":"exit","outcome":{"code":1},"duration_ms":1}"#, true, "another one"),
            (r#"{"kind":"connection","verdict":"allowed"}"#, false, "let through"),
            (r#"{"kind":"connection","verdict":"denied"}"#, true, "denied"),
            (r#"{"kind":"name","operation":"look","path":"/w/.env"}"#, true, "a denied name"),
            (r#"{"kind":"names"}"#, false, "a kind that is not known"),
        ] {
            let line = format!(
                r#"{{"hash":"","prev":"","seq":1,"session":"s","time":"t","event":{event}}}"#
            );
            assert_eq!(failed(&parse(line.as_bytes()).unwrap()), want, "{event}: {why}");
        }
    }

    #[test]
    fn moments() {
        let now: Timestamp = "2026-11-26T12:00:00.5Z".parse().unwrap();
        for (words, want, why) in [
            ("2026-11-26T08:00:00Z", Some("2026-11-26T08:00:00Z"), "a time"),
            ("2026-11-26T08:00:00.250+02:00", Some("2026-11-26T06:00:00.25Z"), "of a place"),
            ("2026-11-26", Some("2026-11-26T00:00:00Z"), "a day"),
            ("90s", Some("2026-11-26T11:58:30.5Z"), "seconds ago"),
            ("30m", Some("2026-11-26T11:30:00.5Z"), "minutes ago"),
            ("2h", Some("2026-11-26T10:00:00.5Z"), "hours ago"),
            ("3d", Some("2026-11-23T12:00:00.5Z"), "days ago"),
            ("1w", Some("2026-11-19T12:00:00.5Z"), "a week ago"),
            ("0s", Some("2026-11-26T12:00:00.5Z"), "now"),
            ("", None, "nothing"),
            ("h", None, "no number"),
            ("-2h", None, "in the future"),
            ("+2h", None, "a sign"),
            ("2", None, "no unit"),
            ("2h30m", None, "one unit"),
            ("2 h", None, "a blank"),
            ("yesterday", None, "a word"),
            ("2026-11-26T08:00:00", None, "no zone"),
            ("2026-13-01", None, "no month"),
            ("99999999999999999999d", None, "past what can be counted"),
            ("9999999999w", None, "before all time"),
            ("٣d", None, "an Arabic digit"),
        ] {
            let got = Moment::at(words, now).map(|moment| moment.0.to_string()).ok();
            assert_eq!(got.as_deref(), want, "{words:?}: {why}");
        }
    }
}
