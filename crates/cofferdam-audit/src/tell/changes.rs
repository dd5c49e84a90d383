//! What persons changed while a session ran, in a few words.

use serde::Deserialize;

use super::{one_line, quoted};

pub(super) fn applied(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Applied {
        generation: u32,
        source: String,
        sha256: String,
        rules: usize,
        by: u32,
    }
    let Applied { generation, source, sha256, rules, by } = serde_json::from_str(event).ok()?;
    let (source, sha256) = (quoted(&source), one_line(&sha256));
    let what = format!("generation {generation}: {source}, {rules} rules; by user {by}");
    Some(vec![what, format!("sha256 {sha256}")])
}

pub(super) fn refused(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Refused {
        source: String,
        code: String,
        why: String,
        by: u32,
    }
    let Refused { source, code, why, by } = serde_json::from_str(event).ok()?;
    let (source, code) = (quoted(&source), one_line(&code));
    let what = format!("{source} does not hold; by user {by}");
    Some(vec![what, format!("{} [{code}]", one_line(&why))])
}

/// What a person did to a credential.
pub(super) fn credential(event: &str, what: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Changed {
        credential: String,
        by: u32,
    }
    let Changed { credential, by } = serde_json::from_str(event).ok()?;
    Some(vec![format!("{} {what}; by user {by}", quoted(&credential))])
}

pub(super) fn unread(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Unread {
        credential: String,
        code: String,
    }
    let Unread { credential, code } = serde_json::from_str(event).ok()?;
    Some(vec![format!("{} could not be read again [{}]", quoted(&credential), one_line(&code))])
}

pub(super) fn refreshed(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Refreshed {
        credential: String,
        kept: String,
    }
    let Refreshed { credential, kept } = serde_json::from_str(event).ok()?;
    let kept = match kept.as_str() {
        "vault" => "the vault has them".to_owned(),
        "memory" => "they end with the session".to_owned(),
        code => {
            format!("they end with the session: the vault has not got them [{}]", one_line(code))
        }
    };
    Some(vec![format!("{} has other tokens: {kept}", quoted(&credential))])
}

#[derive(Deserialize)]
struct Asked {
    host: String,
    port: u16,
    protocol: String,
    method: Option<String>,
    path: Option<String>,
    generation: Option<u32>,
    by: Option<u32>,
    #[serde(default)]
    why: String,
    times: u64,
}

impl Asked {
    fn place(&self) -> String {
        let request = [&self.method, &self.path].into_iter().flatten();
        let request: String = request.map(|part| format!(" {}", quoted(part))).collect();
        let (host, port) = (one_line(&self.host), self.port);
        format!("{host}:{port} {}{request}", one_line(&self.protocol))
    }
}

pub(super) fn approved(event: &str) -> Option<Vec<String>> {
    let asked: Asked = serde_json::from_str(event).ok()?;
    let by = asked.by.map(|by| format!("by user {by}")).unwrap_or_default();
    let generation = asked.generation.map(|number| format!(", generation {number}"));
    Some(vec![asked.place(), by + &generation.unwrap_or_default()])
}

pub(super) fn not_approved(event: &str) -> Option<Vec<String>> {
    let asked: Asked = serde_json::from_str(event).ok()?;
    let times = if asked.times > 1 { format!(", {} times", asked.times) } else { String::new() };
    let who = match asked.by {
        Some(by) => format!("by user {by}"),
        None => one_line(&asked.why),
    };
    Some(vec![asked.place() + &times, who])
}

pub(super) fn uncontrolled(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Uncontrolled {
        why: String,
    }
    let Uncontrolled { why } = serde_json::from_str(event).ok()?;
    Some(vec![format!("nobody can apply a policy to it: {}", one_line(&why))])
}

#[cfg(test)]
mod tests {
    use crate::record::parse;
    use crate::{Asked, Event, Log, tell};

    /// What the writer writes is told; what only looks like it is told by its fields.
    #[test]
    fn changes_in_words() {
        let asked = || {
            let (host, protocol) = ("new.test".to_owned(), "tls");
            let (method, path) = (Some("GET".to_owned()), Some("/a\nb".to_owned()));
            let (generation, by, why) = (Some(3), Some(1000), String::new());
            Asked { host, port: 443, protocol, method, path, generation, by, why, times: 1 }
        };
        let late = Asked { generation: None, by: None, why: "no answer".into(), ..asked() };
        let source = "/p q.toml".to_owned();
        let by = 1000;
        let (code, why) = ("restart".to_owned(), "the workspace\nchanges".to_owned());
        let folder = std::env::temp_dir().join(format!("cofferdam-tell-{}", std::process::id()));
        let path = folder.join("audit.jsonl");
        let mut log = Log::open(&path, "aa".into()).unwrap();
        for (event, want, reason) in [
            (
                Event::PolicyApplied {
                    generation: 2,
                    source: source.clone(),
                    sha256: "ab".into(),
                    rules: 4,
                    by,
                },
                &["generation 2: \"/p q.toml\", 4 rules; by user 1000", "sha256 ab"][..],
                "applied",
            ),
            (
                Event::CredentialRevoked { credential: "npm".into(), by },
                &["npm is worth nothing from here on; by user 1000"],
                "revoked",
            ),
            (
                Event::CredentialRotated { credential: "npm".into(), by },
                &["npm is read again from where it comes; by user 1000"],
                "rotated",
            ),
            (
                Event::PolicyRefused { source, code, why, by },
                &["\"/p q.toml\" does not hold; by user 1000", "the workspace changes [restart]"],
                "a newline begins no line",
            ),
            (
                Event::Approved(Box::new(asked())),
                &["new.test:443 tls GET \"/a\\nb\"", "by user 1000, generation 3"],
                "approved",
            ),
            (
                Event::Refused(Box::new(Asked { generation: None, ..asked() })),
                &["new.test:443 tls GET \"/a\\nb\"", "by user 1000"],
                "a person said no",
            ),
            (
                Event::Refused(Box::new(Asked { times: 5, ..late })),
                &["new.test:443 tls GET \"/a\\nb\", 5 times", "no answer"],
                "nobody said anything",
            ),
            (
                Event::Uncontrolled { why: "no room".into() },
                &["nobody can apply a policy to it: no room"],
                "no socket",
            ),
        ] {
            log.append(&event).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let record = parse(text.lines().last().unwrap().as_bytes()).unwrap();
            assert_eq!(tell(&record), want, "{reason}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
