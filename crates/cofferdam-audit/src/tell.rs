//! A record in a few words, for a person.
//!
//! What is told is short whatever the record holds, and one line for each part: a newline that an
//! attacker wrote does not begin a new one. It is not made safe for a terminal here.

mod changes;
mod network;
mod output;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::record::Record;

/// Longest line that is told. Letters.
const LETTERS_MAX: usize = 400;
/// Longest value of an event whose kind is not known here. Letters.
const VALUE_MAX: usize = 120;

/// What happened: a line, and perhaps another one that says more.
#[must_use]
pub fn tell(record: &Record<'_>) -> Vec<String> {
    let event = record.event.get();
    let known = match record.kind.as_str() {
        "start" => start(event),
        "ready" => ready(event),
        "exit" => exit(event),
        "refusal" => refusal(event),
        "mount-fell" => mount_fell(event),
        "limit" => limit(event),
        "connection" => network::connection(event),
        "rules" => network::rules(event),
        "name" => name(event),
        "alarm" => output::alarm(event),
        "output" => output::kept(event),
        "policy-applied" => changes::applied(event),
        "policy-refused" => changes::refused(event),
        "credential-revoked" => changes::credential(event, "is worth nothing from here on"),
        "credential-unread" => changes::unread(event),
        "credential-refreshed" => changes::refreshed(event),
        "credential-rotated" => changes::credential(event, "is read again from where it comes"),
        "approved" => changes::approved(event),
        "refused" => changes::not_approved(event),
        "uncontrolled" => changes::uncontrolled(event),
        "gateway-gone" => Some(vec!["every connection is refused from here on".into()]),
        "torn" => record.torn.as_ref().map(|(bytes, _)| {
            vec![format!("{bytes} bytes of a record that its writer, killed, never finished")]
        }),
        _ => None,
    };
    let lines = known.unwrap_or_else(|| vec![anything(event)]);
    lines.into_iter().map(|line| short(&line, LETTERS_MAX)).collect()
}

#[derive(Deserialize)]
struct Start<'e> {
    #[serde(borrow)]
    plan: Plan<'e>,
    #[serde(borrow)]
    policy: Policy<'e>,
}

#[derive(Deserialize)]
struct Plan<'e> {
    #[serde(borrow)]
    wall: Cow<'e, str>,
    #[serde(borrow)]
    workload: Workload<'e>,
}

#[derive(Deserialize)]
struct Workload<'e> {
    #[serde(borrow)]
    command: Vec<Cow<'e, str>>,
}

#[derive(Deserialize)]
struct Policy<'e> {
    #[serde(borrow)]
    workspace: Workspace<'e>,
    #[serde(borrow, default)]
    dangers: Vec<Danger<'e>>,
}

#[derive(Deserialize)]
struct Danger<'e> {
    #[serde(borrow)]
    what: Cow<'e, str>,
}

#[derive(Deserialize)]
struct Workspace<'e> {
    #[serde(borrow)]
    path: Cow<'e, str>,
}

fn start(event: &str) -> Option<Vec<String>> {
    let Start { plan, policy } = serde_json::from_str(event).ok()?;
    let words: Vec<String> = plan.workload.command.iter().map(|word| quoted(word)).collect();
    let wall = one_line(&plan.wall);
    let place = format!("in {}, {wall}", quoted(&policy.workspace.path));
    let dangers = policy.dangers.iter();
    let dangers = dangers.map(|danger| format!("dangerous: {}", one_line(&danger.what)));
    Some([words.join(" "), place].into_iter().chain(dangers).collect())
}

fn ready(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Ready {
        authority: Option<String>,
    }
    let Ready { authority } = serde_json::from_str(event).ok()?;
    let told = authority.map(|hash| format!("the session's authority: SHA-256 {}", quoted(&hash)));
    Some(vec![told.unwrap_or_default()])
}

fn exit(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Outcome {
        Code(u8),
        Signal(i32),
    }
    #[derive(Deserialize)]
    struct Exit {
        outcome: Outcome,
        duration_ms: u64,
        note: Option<String>,
    }
    let Exit { outcome, duration_ms, note } = serde_json::from_str(event).ok()?;
    let how = match outcome {
        Outcome::Code(code) => format!("status {code}"),
        Outcome::Signal(signal) => format!("signal {signal}"),
    };
    let note = note.map(|note| format!(": {}", one_line(&note))).unwrap_or_default();
    Some(vec![format!("{how} after {}{note}", duration(duration_ms))])
}

fn duration(ms: u64) -> String {
    // A record that somebody else wrote may say anything.
    let (tenths, seconds) = (ms.saturating_add(50) / 100, ms.saturating_add(500) / 1_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..59_950 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn refusal(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
        message: String,
        hint: String,
    }
    let Refusal { code, message, hint } = serde_json::from_str(event).ok()?;
    let what = format!("{} [{}]", one_line(&message), one_line(&code));
    Some(vec![what, format!("help: {}", one_line(&hint))])
}

fn mount_fell(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Fell {
        path: String,
        action: String,
    }
    let Fell { path, action } = serde_json::from_str(event).ok()?;
    Some(vec![format!("{} lost its guard: {}", quoted(&path), one_line(&action))])
}

fn limit(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Limit {
        limit: String,
        value: String,
        what: String,
    }
    let Limit { limit, value, what } = serde_json::from_str(event).ok()?;
    Some(vec![format!("{} = {}: {}", quoted(&limit), quoted(&value), one_line(&what))])
}

fn name(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Name {
        operation: String,
        path: String,
        clause: String,
        why: String,
        fix: String,
        times: u64,
    }
    let Name { operation, path, clause, why, fix, times } = serde_json::from_str(event).ok()?;
    let times = if times > 1 { format!(", {times} times") } else { String::new() };
    let what = format!("denied {} {}{times}", one_line(&operation), quoted(&path));
    // A name may be longer than a line that is told: the reason has one of its own.
    let mut lines = vec![what, format!("{}; by {}", one_line(&why), one_line(&clause))];
    if !fix.is_empty() {
        lines.push(format!("help: {}", one_line(&fix)));
    }
    Some(lines)
}

/// An event of a kind that this release does not know: its fields.
fn anything(event: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(event) else { return String::new() };
    let told = fields.iter().filter(|(name, _)| *name != "kind").map(|(name, value)| {
        let value = match value {
            Value::String(text) => quoted(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => value.to_string(),
        };
        format!("{} {}", quoted(name), short(&value, VALUE_MAX))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// A word as it is where nothing in it has a meaning to a shell or a terminal, else in quotes.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:=,+@%~^".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("{word:?}") }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r', '\t'], " ")
}

fn short(text: &str, most: usize) -> String {
    let letters = text.chars().count();
    if letters <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}… ({} more letters)", letters - most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;

    #[test]
    fn a_record_in_words() {
        for (event, want, why) in [
            (
                r#"{"kind":"start","facts":{},"policy":{"workspace":{"path":"/a b","x":1}},"plan":{"wall":"process/native","workload":{"command":["sh","-c","rm -rf /\nx",""],"search":[]}}}"#,
                &["sh -c \"rm -rf /\\nx\" \"\"", "in \"/a b\", process/native"][..],
                "a newline in a word begins no line",
            ),
            (
                r#"{"kind":"start","policy":{"workspace":{"path":"/a"},"dangers":[{"what":"K\nis inside","clause":{}}]},"plan":{"wall":"w","workload":{"command":["x"]}}}"#,
                &["x", "in /a, w", "dangerous: K is inside"],
                "what is dangerous is told",
            ),
            (r#"{"kind":"start","old":1}"#, &["old 1"], "a form that is not known"),
            (r#"{"kind":"ready"}"#, &[""], "nothing more to say"),
            (
                r#"{"kind":"exit","outcome":{"code":3},"duration_ms":999}"#,
                &["status 3 after 999 ms"],
                "",
            ),
            (
                r#"{"kind":"exit","outcome":{"signal":9},"duration_ms":1450,"note":"by\nit"}"#,
                &["signal 9 after 1.5 s: by it"],
                "a note",
            ),
            (
                r#"{"kind":"exit","outcome":{"code":0},"duration_ms":59949}"#,
                &["status 0 after 59.9 s"],
                "",
            ),
            (
                r#"{"kind":"exit","outcome":{"code":0},"duration_ms":3600000}"#,
                &["status 0 after 60 min 0 s"],
                "",
            ),
            (
                r#"{"kind":"exit","outcome":{"code":0},"duration_ms":18446744073709551615}"#,
                &["status 0 after 307445734561825 min 51 s"],
                "the longest that can be written",
            ),
            (
                r#"{"kind":"limit","limit":"wall_time","value":"1s","what":"it was\nkilled"}"#,
                &["wall_time = 1s: it was killed"],
                "",
            ),
            (
                r#"{"kind":"refusal","code":"c","message":"m\tm","hint":"h"}"#,
                &["m m [c]", "help: h"],
                "",
            ),
            (
                r#"{"kind":"mount-fell","path":"/a","guard":"kill","action":"x"}"#,
                &["/a lost its guard: x"],
                "",
            ),
            (
                r#"{"kind":"torn","bytes":7,"sha256":"00"}"#,
                &["7 bytes of a record that its writer, killed, never finished"],
                "",
            ),
            (
                r#"{"kind":"limit","what":"memory","bytes":5,"more":{"a":[1]}}"#,
                &["bytes 5, more {\"a\":[1]}, what memory"],
                "a kind to come",
            ),
        ] {
            check(event, want, why);
        }
    }

    #[test]
    fn connections_in_words() {
        for (event, want, why) in [
            (
                r#"{"kind":"connection","way":"proxy","host":"good.test","port":443,"protocol":"tls","address":"192.0.2.1:443","verdict":"allowed","clause":"network.allow[0] (p:3)","sent":5,"received":7,"duration_ms":12,"times":1}"#,
                &[
                    "allowed good.test:443 tls (proxy) at 192.0.2.1:443: 5 bytes out, 7 in, 12 ms",
                    "by network.allow[0] (p:3)",
                ][..],
                "",
            ),
            (
                r#"{"kind":"connection","way":"lookup","host":"evil.test","port":0,"verdict":"denied","code":"host-not-allowed","clause":"network (built-in)","why":"no\nrule","fix":"--allow evil.test","sent":0,"received":0,"duration_ms":0,"times":7}"#,
                &[
                    "denied evil.test (lookup), 7 times: no rule [host-not-allowed]",
                    "by network (built-in)",
                    "help: --allow evil.test",
                ],
                "a reason begins no line",
            ),
            (
                r#"{"kind":"connection","way":"direct","host":"good.test","port":443,"protocol":"tls","address":"192.0.2.1:443","verdict":"allowed","clause":"network.allow[0] (p:3)","sent":5,"received":7,"duration_ms":12,"times":1,"request":{"version":"HTTP/2","method":"GET","path":"/a b","status":200}}"#,
                &[
                    "allowed GET good.test:443 \"/a b\" -> 200 HTTP/2 (direct): 5 bytes out, 7 in, 12 ms; by network.allow[0] (p:3)",
                ],
                "a request in one line",
            ),
            (
                r#"{"kind":"connection","way":"proxy","host":"good.test","port":443,"verdict":"denied","code":"method","clause":"c","why":"no","fix":"f","sent":0,"received":0,"duration_ms":0,"times":2,"request":{"version":"HTTP/1.1","method":"POST","path":"/"}}"#,
                &[
                    "denied POST good.test:443 / HTTP/1.1 (proxy), 2 times: no [method]; by c",
                    "help: f",
                ],
                "one that was not let through",
            ),
            (
                r#"{"kind":"rules","rules":[{"clause":"a\nb","allowed":1,"denied":2,"failed":3,"sent":4,"received":5}]}"#,
                &["1 rule decided", "a b: 1 allowed, 2 denied, 3 failed; 4 bytes out, 5 in"],
                "a rule begins no line",
            ),
            (
                r#"{"kind":"ready","authority":"0a"}"#,
                &["the session's authority: SHA-256 0a"],
                "who may look into TLS",
            ),
            (r#"{"kind":"gateway-gone"}"#, &["every connection is refused from here on"], ""),
        ] {
            check(event, want, why);
        }
    }

    /// Whatever an event holds: no part begins a line, or ends one.
    #[test]
    fn nothing_forges_a_line() {
        let evil = "x\\n2026-01-01 forged\\r\\u001b[2K\\u202e\\t\\u009b";
        for (event, lines) in [
            (
                r#"{"kind":"alarm","what":"E","name":"E","place":"E","encoding":"E","clause":"E","times":1}"#,
                2,
            ),
            (r#"{"kind":"output","stream":"E","refused":{"E":1}}"#, 1),
            (
                r#"{"kind":"name","operation":"E","path":"E","clause":"E","why":"E","fix":"E","times":1}"#,
                3,
            ),
            (r#"{"kind":"limit","limit":"E","value":"E","what":"E"}"#, 1),
            (r#"{"kind":"refusal","code":"E","message":"E","hint":"E"}"#, 2),
            (r#"{"kind":"mount-fell","path":"E","guard":"E","action":"E"}"#, 1),
            (r#"{"kind":"exit","outcome":{"code":0},"duration_ms":1,"note":"E"}"#, 1),
            (
                r#"{"kind":"connection","way":"E","host":"E","port":1,"protocol":"E","address":"E","verdict":"E","code":"E","clause":"E","why":"E","fix":"E","sent":0,"received":0,"duration_ms":0,"times":1}"#,
                3,
            ),
            (
                r#"{"kind":"rules","rules":[{"clause":"E","allowed":1,"denied":2,"failed":3,"sent":4,"received":5}]}"#,
                2,
            ),
            (r#"{"kind":"policy-refused","source":"E","code":"E","why":"E","by":1}"#, 2),
            (r#"{"kind":"uncontrolled","why":"E"}"#, 1),
            (r#"{"kind":"E","E":"E"}"#, 1),
        ] {
            let event = event.replace('E', evil);
            let line = format!(
                r#"{{"hash":"","prev":"","seq":1,"session":"s","time":"t","event":{event}}}"#
            );
            let told = tell(&parse(line.as_bytes()).unwrap());
            assert_eq!(told.len(), lines, "{event}: {told:?}");
            let breaks = |line: &String| line.contains(['\n', '\r']);
            assert!(!told.iter().any(breaks), "{event}: {told:?}");
        }
    }

    #[test]
    fn alarms_in_words() {
        for (event, want, why) in [
            (
                r#"{"kind":"alarm","what":"canary","name":"invoice","place":"standard output","encoding":"base64","clause":"canary.invoice (p:4)","times":3}"#,
                &[
                    "canary invoice on its way to standard output (base64), 3 times: masked",
                    "by canary.invoice (p:4)",
                ][..],
                "",
            ),
            (
                r#"{"kind":"alarm","what":"stand-in","place":"the terminal","encoding":"plain","clause":"credentials (built-in)","times":1}"#,
                &[
                    "stand-in on its way to the terminal (plain): masked",
                    "by credentials (built-in)",
                ],
                "without a name",
            ),
            (
                r#"{"kind":"output","stream":"the terminal","refused":{"clipboard":1,"title":20}}"#,
                &["taken out of the terminal, escape sequences by kind: clipboard 1, title 20"],
                "",
            ),
        ] {
            check(event, want, why);
        }
    }

    #[test]
    fn denied_names_in_words() {
        for (event, want, why) in [
            (
                r#"{"kind":"name","operation":"create","path":"/w/.envrc","clause":"filesystem.protect[0] (p:4)","why":"it is\nprotected","fix":"remove the rule","errno":13,"times":1}"#,
                &[
                    "denied create /w/.envrc",
                    "it is protected; by filesystem.protect[0] (p:4)",
                    "help: remove the rule",
                ][..],
                "",
            ),
            (
                r#"{"kind":"name","operation":"look","path":"/w/a\n\u001b b","clause":"c (p:4)","why":"hidden","fix":"","errno":2,"times":7}"#,
                &["denied look \"/w/a\\n\\u{1b} b\", 7 times", "hidden; by c (p:4)"],
                "a name begins no line, and nothing is said where nothing helps",
            ),
            (
                r#"{"kind":"name","path":"/w/a","times":"many"}"#,
                &["path /w/a, times many"],
                "a form that is not known",
            ),
        ] {
            check(event, want, why);
        }
    }

    #[track_caller]
    fn check(event: &str, want: &[&str], why: &str) {
        let line =
            format!(r#"{{"hash":"","prev":"","seq":1,"session":"s","time":"t","event":{event}}}"#);
        assert_eq!(tell(&parse(line.as_bytes()).unwrap()), want, "{event}: {why}");
    }

    #[test]
    fn it_is_short() {
        let event =
            format!(r#"{{"kind":"x","a":"{}","b":"{}"}}"#, "y".repeat(9_000), "z".repeat(500));
        let line =
            format!(r#"{{"hash":"","prev":"","seq":1,"session":"s","time":"t","event":{event}}}"#);
        let told = tell(&parse(line.as_bytes()).unwrap());
        assert_eq!(told.len(), 1);
        assert!(told[0].chars().count() < 2 * VALUE_MAX + 80, "{told:?}");
        assert!(told[0].contains("(8880 more letters)"), "{told:?}");
    }
}
