//! `cofferdam audit show`: the log as a person reads it, line by line as it is read.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::process::ExitCode;

use cofferdam_audit::{Broken, Filter, Line, Problem, Reading, tell};
use cofferdam_policy::printable;

use super::arguments::Show;
use super::say::{Answer, Output, Say};
use crate::engine::Engine;
use crate::refused::Refused;

/// Kinds that are named where nothing matches, and letters of a kind or a time: ours are fewer, but
/// a record that somebody else wrote may have any.
const KINDS_MAX: usize = 32;
const LETTERS_MAX: usize = 24;

pub(super) fn show(what: &Show) -> ExitCode {
    let say = Say::new(if what.json { Output::Json } else { Output::Text });
    match shown(what, &say) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(super::REFUSED)
        }
    }
}

/// Whether the chain holds.
fn shown(what: &Show, say: &Say) -> Result<bool, Refused> {
    let filter = what.filter().ok_or(Refused::TimesCrossed)?;
    let path = what.file.clone().map_or_else(Engine::default_audit_log, Ok)?;
    let unread = |broken: Broken| match broken.problem {
        Problem::Unreadable(why) => Refused::LogUnread { path: path.clone(), why },
        Problem::Changed | Problem::Chain | Problem::TooLong => {
            Refused::LogUnread { path: path.clone(), why: broken.to_string() }
        }
    };
    let log = Reading::open(&path).map_err(unread)?;
    let mut skipped = match what.last {
        Some(last) => matching(&log, &filter).saturating_sub(last),
        None => 0,
    };
    let mut answer = Answer::new();
    let (mut taken, mut kinds) = (0_u64, BTreeSet::new());
    let verdict = log.each(|line| {
        if let Some(record) = line.record.as_ref().filter(|_| kinds.len() < KINDS_MAX) {
            kinds.insert(first(&record.kind));
        }
        if !filter.takes(line) {
            return ControlFlow::Continue(());
        }
        taken += 1;
        if skipped > 0 {
            skipped -= 1;
            return ControlFlow::Continue(());
        }
        if what.json { json(line, &mut answer) } else { text(line, what.full, &mut answer) }
    });
    let gone = answer.finish()?;
    match &verdict {
        Err(Broken { problem: Problem::Unreadable(why), .. }) => {
            Err(Refused::LogUnread { path, why: why.clone() })
        }
        // Its reader has enough: how the rest stands was not asked.
        _ if gone => Ok(true),
        Err(broken) => {
            say.broken(&path, broken);
            Ok(false)
        }
        Ok(whole) if taken == 0 => {
            say.nothing_matches(&path, whole, &kinds.into_iter().collect::<Vec<_>>());
            Ok(true)
        }
        Ok(_) => Ok(true),
    }
}

fn matching(log: &Reading, filter: &Filter) -> u64 {
    let mut number = 0;
    let counted = log.each(|line| {
        number += u64::from(filter.takes(line));
        ControlFlow::Continue(())
    });
    // How the chain stands is told when it is read again.
    drop(counted);
    number
}

/// The record as it stands in the log. What is no record is left out: a reader of JSON must be able
/// to read each line.
fn json(line: &Line<'_>, answer: &mut Answer) -> ControlFlow<()> {
    match line.problem {
        Some(Problem::Changed | Problem::TooLong | Problem::Unreadable(_)) => {
            ControlFlow::Continue(())
        }
        Some(Problem::Chain) | None => answer.line(line.bytes),
    }
}

fn text(line: &Line<'_>, full: bool, answer: &mut Answer) -> ControlFlow<()> {
    let mark = if line.problem.is_some() { "! " } else { "" };
    let Some(record) = &line.record else {
        let text = format!("{mark}line {}: no record, {} bytes", line.number, line.bytes.len());
        return answer.line(text.as_bytes());
    };
    let session: String = record.session.chars().take(8).collect();
    let (time, kind) = (first(&record.time), first(&record.kind));
    let head = format!("{mark}{time}  {session:<8}  {kind:<10}  ");
    let mut told = tell(record).into_iter();
    let mut lines = vec![head.clone() + &told.next().unwrap_or_default()];
    let blank = " ".repeat(head.chars().count());
    lines.extend(told.map(|line| format!("{blank}{line}")));
    if full {
        let event: Result<serde_json::Value, _> = serde_json::from_str(record.event.get());
        let event = event.and_then(|event| serde_json::to_string_pretty(&event));
        lines.extend(event.unwrap_or_default().lines().map(|line| format!("    {line}")));
    }
    // A time or kind that holds a newline begins no line either.
    let safe = |line: &String| printable(&line.replace(['\n', '\t'], " ")).trim_end().to_owned();
    lines.iter().try_for_each(|line| answer.line(safe(line).as_bytes()))
}

fn first(text: &str) -> String {
    text.chars().take(LETTERS_MAX).collect()
}
