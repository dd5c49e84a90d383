//! `cofferdam why`: words to a question, an answer to words.

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cofferdam_policy::hosts::parse_pattern;
use cofferdam_policy::judge::hosts::{Host, Pattern};
use cofferdam_policy::{Act, in_line, nearest_of, printable};
use serde_json::json;

use super::arguments::What;
use super::say::{Output, Say, to_stdout};
use super::{REFUSED, options};
use crate::engine::Engine;
use crate::refused::Refused;
use crate::why::{Answer, Outcome, Question, Recorded, WhyError, explain};

const QUESTIONS: [&str; 7] = ["read", "write", "create", "delete", "exec", "connect", "use"];
/// The port of a host that was named without one: HTTPS.
const PORT: u16 = 443;

/// What the words ask.
enum Asked {
    Question(Question),
    Number(u64),
    Text(PathBuf),
}

pub(super) fn obey(what: &What) -> ExitCode {
    let say = Say::new(what.output());
    match answered(what).and_then(|answer| told(&answer, what.output()).map(|()| answer.verdict)) {
        Ok(Outcome::Allowed | Outcome::Noted) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::from(1),
        Err(refused) => {
            say.refused(&refused);
            ExitCode::from(REFUSED)
        }
    }
}

fn answered(what: &What) -> Result<Answer, Refused> {
    match asked(&what.command)? {
        Asked::Number(number) => {
            let log = what.audit.clone().map_or_else(Engine::default_audit_log, Ok)?;
            Ok(explain(&Recorded::find(&log, number)?))
        }
        Asked::Text(path) => Ok(explain(&Recorded::read(&path)?)),
        Asked::Question(question) => {
            let engine = Engine::new()?;
            // The program ends with the answer: ten thousand rules need not be given back one by one.
            let considered = ManuallyDrop::new(engine.consider(&options(what)?)?);
            Ok(considered.why(&question)?)
        }
    }
}

fn asked(words: &[OsString]) -> Result<Asked, WhyError> {
    let Some((first, rest)) = words.split_first() else {
        return Err(WhyError::Question { asked: String::new(), nearest: None });
    };
    let text = first.to_string_lossy();
    let path = |question: &'static str, act: Act| match rest {
        [path] => Ok(Asked::Question(Question::Path(act, path.into()))),
        _ => Err(WhyError::Words { question, form: "one path" }),
    };
    match text.as_ref() {
        "read" => path("read", Act::Read),
        "write" => path("write", Act::Write),
        "create" => path("create", Act::Create),
        "delete" => path("delete", Act::Remove),
        "exec" => path("exec", Act::Execute),
        "connect" => connection(rest),
        "use" => match rest {
            [credential, host] => {
                let (host, _) = place(&host.to_string_lossy())?;
                let credential = credential.to_string_lossy().into_owned();
                Ok(Asked::Question(Question::Use { credential, host }))
            }
            _ => Err(WhyError::Words { question: "use", form: "a credential and a host" }),
        },
        other => event(other, rest.is_empty()),
    }
}

fn event(word: &str, alone: bool) -> Result<Asked, WhyError> {
    let number = word.parse().ok();
    match (number, alone) {
        (Some(number), true) => Ok(Asked::Number(number)),
        (None, true) if word == "-" || Path::new(word).is_file() => Ok(Asked::Text(word.into())),
        _ => {
            let nearest = nearest_of(word, QUESTIONS.into_iter());
            Err(WhyError::Question { asked: in_line(word), nearest })
        }
    }
}

fn connection(rest: &[OsString]) -> Result<Asked, WhyError> {
    let (host, request) = match rest {
        [host] => (host, None),
        [host, method, path] => (host, Some((method, path))),
        _ => {
            let form = "HOST[:PORT], and perhaps a method and a path";
            return Err(WhyError::Words { question: "connect", form });
        }
    };
    let (host, port) = place(&host.to_string_lossy())?;
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let request = request.map(|(method, path)| (text(method), text(path)));
    Ok(Asked::Question(Question::Connect { host, port: port.unwrap_or(PORT), request }))
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT`.
fn place(text: &str) -> Result<(Host, Option<u16>), WhyError> {
    let none = |why: String| WhyError::Host { asked: in_line(text), why };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, port.strip_prefix(':')),
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        }
        None => (text, None),
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port @ 1..)) => Some(port),
        Some(_) => return Err(none("a port is a number from 1 to 65535".into())),
    };
    match parse_pattern(host) {
        Ok(Pattern::Exact(name)) => Ok((Host::Name(name), port)),
        Ok(Pattern::Net(net)) if net.addresses(1).is_some() => {
            Ok((Host::Address(net.address()), port))
        }
        Ok(Pattern::Net(_) | Pattern::Below(_) | Pattern::AnyName) => {
            Err(none("it is many; ask about one of them".into()))
        }
        Err(_) => Err(none("it is neither a name nor an address".into())),
    }
}

fn told(answer: &Answer, output: Output) -> Result<(), Refused> {
    match output {
        Output::Quiet => Ok(()),
        Output::Json => {
            let mut object = json!(answer);
            if let Some(map) = object.as_object_mut() {
                map.insert("event".into(), "why".into());
            }
            to_stdout(&object.to_string())
        }
        Output::Text => to_stdout(&printable(&text(answer))),
    }
}

/// A line for each thing that is known, none for what is not.
fn text(answer: &Answer) -> String {
    let verdict = match answer.verdict {
        Outcome::Allowed => "allowed",
        Outcome::Denied => "denied",
        Outcome::Noted => "noted",
    };
    let mut lines = vec![format!("{verdict}: {}", in_line(&answer.asked))];
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("  {name:<8} {}", in_line(text)));
        }
    };
    let code = answer.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
    let why = if answer.why.is_empty() { String::new() } else { format!("{}{code}", answer.why) };
    line("because", &why);
    line("hears", answer.hears.as_deref().unwrap_or_default());
    line("by", &answer.clause.to_string());
    line("held by", &answer.held_by.join("; "));
    for open in &answer.open {
        line("open", open);
    }
    for note in &answer.notes {
        line("note", note);
    }
    match (&answer.fix, answer.verdict) {
        (Some(fix), _) => {
            line("help", &fix.option);
            let words = if fix.option.is_empty() { "help" } else { "or" };
            line(words, &fix.policy);
        }
        // What would allow a request may be long, or a secret: the rule is what a person changes.
        (None, Outcome::Denied) if answer.clause.line > 0 => {
            line("help", &format!("change {}", answer.clause));
        }
        (None, Outcome::Denied) => line("help", "nothing in a policy opens it"),
        (None, Outcome::Allowed | Outcome::Noted) => {}
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, want, why) in [
            ("good.test", Some(("good.test", None)), "a name"),
            ("Good.Test:80", Some(("good.test", Some(80))), "with a port"),
            ("1.2.3.4:22", Some(("1.2.3.4", Some(22))), "an address"),
            ("[2001:db8::1]:22", Some(("[2001:db8::1]", Some(22))), "of IPv6"),
            ("[2001:db8::1]", Some(("[2001:db8::1]", None)), "without a port"),
            ("good.test:0", None, "no port"),
            ("good.test:x", None, "no number"),
            ("*.good.test", None, "many"),
            ("10.0.0.0/8", None, "many"),
            ("a b", None, "no name"),
        ] {
            let got = place(text).ok().map(|(host, port)| (host.to_string(), port));
            assert_eq!(got, want.map(|(host, port)| (host.to_owned(), port)), "{why}");
        }
    }
}
