//! `[limits]` and `--limit`: sizes, durations and counts, each with one spelling of its unit.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Reader, Table, Value};
use crate::document::Document;
use crate::error::{Fault, PolicyError};
use crate::limits::{DURATIONS, Hold, Limit, Name, SIZES, Unit};

pub(super) const LIMITS: Table = Table {
    name: "limits",
    now: &[
        "memory",
        "cpus",
        "processes",
        "open_files",
        "file_size",
        "wall_time",
        "grace",
        "private_size",
    ],
    later: &[],
};
pub(super) const MEMORY: Table = Table { name: "limits.memory", now: &["max", "hold"], later: &[] };
pub(super) const CPUS: Table = Table { name: "limits.cpus", now: &["max", "hold"], later: &[] };
const HELD: [(Name, &Table); 2] = [(Name::Memory, &MEMORY), (Name::Cpus, &CPUS)];

impl Reader<'_> {
    pub(super) fn limits(
        &self,
        table: &DeTable<'_>,
        document: &mut Document,
    ) -> Result<(), PolicyError> {
        for name in Name::ALL {
            let Some(entry) = table.get(name.as_str()) else { continue };
            let clause = self.clause(format!("limits.{}", name.as_str()), entry);
            let of_this = HELD.iter().find(|(held, _)| *held == name);
            let (max, hold) = match (entry.get_ref(), of_this) {
                (DeValue::Table(_), Some((_, keys))) => self.held(entry, keys)?,
                _ => (entry, Hold::Required),
            };
            let value = self.amount(name, max)?;
            document.limits.set(name, Limit { value, hold, clause });
        }
        Ok(())
    }

    /// `{ max = …, hold = "…" }`.
    fn held<'t, 'i>(
        &self,
        entry: &'t Value<'i>,
        keys: &Table,
    ) -> Result<(&'t Value<'i>, Hold), PolicyError> {
        let found = self.table(entry, keys)?;
        let Some(max) = found.get("max") else {
            return Err(self.fault(Fault::LimitMax { key: keys.name }, entry.span()));
        };
        let Some(word) = found.get("hold") else { return Ok((max, Hold::Required)) };
        let text = self.text(&format!("{}.hold", keys.name), word)?;
        let hold = hold(text).map_err(|fault| self.fault(fault, word.span()))?;
        Ok((max, hold))
    }

    /// A number as it stands in the text: TOML's other spellings of it (0x10, 1_000, +1) are none.
    fn amount(&self, name: Name, value: &Value<'_>) -> Result<u64, PolicyError> {
        let unit = name.unit();
        let text = match (value.get_ref(), unit) {
            (DeValue::String(text), Unit::Size | Unit::Duration) => text.as_ref(),
            (DeValue::Integer(_), Unit::Size | Unit::Count | Unit::Thousandths)
            | (DeValue::Float(_), Unit::Thousandths) => self.as_written(value),
            _ => {
                let key = format!("limits.{}", name.as_str());
                return Err(self.wrong(&key, form(unit), value));
            }
        };
        let quoted = matches!(value.get_ref(), DeValue::String(_));
        let parsed = parse(name, text, quoted);
        parsed.map_err(|fault| self.fault(fault, value.span()))
    }

    fn as_written<T>(&self, value: &Spanned<T>) -> &str {
        self.source.text.get(value.span()).unwrap_or_default()
    }
}

/// What is to be written, for errors.
pub(crate) const fn form(unit: Unit) -> &'static str {
    match unit {
        Unit::Size => "a size such as \"2GiB\" or \"512MiB\", or a plain number of bytes",
        Unit::Duration => "a duration such as \"90s\", \"30m\" or \"1h30m\"",
        Unit::Count => "a whole number",
        Unit::Thousandths => "a number such as 2 or 1.5, with at most three decimals",
    }
}

fn hold(text: &str) -> Result<Hold, Fault> {
    match text {
        "required" => Ok(Hold::Required),
        "best-effort" => Ok(Hold::BestEffort),
        other => Err(Fault::LimitHold { asked: other.into() }),
    }
}

/// `NAME=VALUE` or `NAME=VALUE:HOLD`, the words of `--limit`.
pub(crate) fn flag(words: &str) -> Result<(Name, u64, Hold), Fault> {
    let Some((key, rest)) = words.split_once('=') else {
        return Err(Fault::LimitWords);
    };
    let name = Name::ALL.into_iter().find(|name| name.as_str() == key);
    let Some(name) = name else { return Err(Fault::LimitName { asked: key.into() }) };
    let (text, hold) = match rest.split_once(':') {
        None => (rest, Hold::Required),
        Some((text, word)) if name.has_hold() => (text, hold(word)?),
        Some(_) => return Err(Fault::LimitAlwaysHolds { name: name.as_str() }),
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let value = parse(name, text, !(plain && name.unit() == Unit::Size))?;
    Ok((name, value, hold))
}

/// The value, within its bounds. A size with a unit is `quoted`, a plain one is not.
fn parse(name: Name, text: &str, quoted: bool) -> Result<u64, Fault> {
    let parsed = match name.unit() {
        Unit::Size if quoted => size(text),
        Unit::Size | Unit::Count => whole(text),
        Unit::Duration => duration(text),
        Unit::Thousandths => thousandths(text),
    };
    let got = || text.to_owned();
    let value = parsed.ok_or_else(|| Fault::LimitValue { name, got: got() })?;
    let (least, most, _) = name.bounds();
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Fault::LimitRange { name, got: got() })
    }
}

/// Decimal digits without a leading zero. What is larger than any bound is the largest number.
pub(super) fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let one_spelling = text == "0" || !text.starts_with('0');
    (digits && one_spelling).then(|| text.parse().unwrap_or(u64::MAX))
}

pub(super) fn size(text: &str) -> Option<u64> {
    SIZES.iter().find_map(|(name, unit)| {
        let number = text.strip_suffix(name)?;
        whole(number).map(|number| number.saturating_mul(*unit))
    })
}

/// Hours, minutes, seconds, in this order, each at most once.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    for (name, unit) in DURATIONS {
        if let Some((number, after)) = rest.split_once(name) {
            total = total.saturating_add(whole(number)?.saturating_mul(unit));
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

fn thousandths(text: &str) -> Option<u64> {
    let (number, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let short = (1..=3).contains(&decimals.len());
    let digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    let part = format!("{decimals:0<3}").parse::<u64>().ok().filter(|_| short && digits)?;
    Some(whole(number)?.saturating_mul(1_000).saturating_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (name, text, want) in [
            (Name::Memory, "2GiB", Some(2 << 30)),
            (Name::Memory, "512MiB", Some(512 << 20)),
            (Name::Memory, "2G", None),
            (Name::Memory, "2 GiB", None),
            (Name::Memory, "2gib", None),
            (Name::Memory, "02GiB", None),
            (Name::Memory, "1.5GiB", None),
            (Name::Memory, "GiB", None),
            (Name::Memory, "-2GiB", None),
            (Name::WallTime, "90s", Some(90)),
            (Name::WallTime, "1h30m", Some(5_400)),
            (Name::WallTime, "1h1m1s", Some(3_661)),
            (Name::WallTime, "30m1h", None),
            (Name::WallTime, "1h1h", None),
            (Name::WallTime, "90", None),
            (Name::WallTime, "", None),
            (Name::WallTime, "1.5h", None),
            (Name::Grace, "0s", Some(0)),
            (Name::Cpus, "1.5", Some(1_500)),
            (Name::Cpus, "2", Some(2_000)),
            (Name::Cpus, "0.25", Some(250)),
            (Name::Cpus, "1.", None),
            (Name::Cpus, ".5", None),
            (Name::Cpus, "1e1", None),
            (Name::Cpus, "1.2345", None),
            (Name::Processes, "256", Some(256)),
            (Name::Processes, "0x100", None),
            (Name::Processes, "1_000", None),
        ] {
            let got = parse(name, text, true);
            assert_eq!(got.as_ref().ok().copied(), want, "{name:?} {text:?}: {got:?}");
            if let Ok(value) = got {
                let again = parse(name, &name.shown(value), true);
                assert_eq!(again, Ok(value), "{name:?} {text:?}: as it is shown");
            }
        }
    }

    #[test]
    fn bounds() {
        for name in Name::ALL {
            let (least, most, why) = name.bounds();
            assert!(!why.is_empty());
            for (value, good) in [(least, true), (most, true), (most + 1, false)] {
                let got = parse(
                    name,
                    &name.shown(value),
                    !name.shown(value).ends_with(char::is_numeric) || name.unit() != Unit::Size,
                );
                assert_eq!(got.is_ok(), good, "{name:?} {value}: {got:?}");
            }
        }
        for (name, text) in [
            (Name::Memory, "99999999999999999999TiB"),
            (Name::WallTime, "99999999999999999999h"),
            (Name::Processes, "1"),
            (Name::OpenFiles, "15"),
            (Name::Cpus, "0.009"),
            (Name::Grace, "301s"),
        ] {
            assert!(matches!(parse(name, text, true), Err(Fault::LimitRange { .. })), "{text}");
        }
    }

    #[test]
    fn keys_are_the_names() {
        assert!(LIMITS.now.iter().copied().eq(Name::ALL.map(Name::as_str)));
        for name in Name::ALL {
            assert_eq!(HELD.iter().any(|(held, _)| *held == name), name.has_hold(), "{name:?}");
        }
    }
}
