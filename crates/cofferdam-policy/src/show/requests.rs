//! What rules ask of requests, as a person reads it.

use crate::judge::hosts::{Allowed, Denied};
use crate::judge::requests::{
    GitAccess, GraphQl, Inspect, MemberPattern, PathPattern, Rate, Repository, Requests,
};
use crate::limits;

/// What a rule asks, key by key; of a list at most `most` entries.
#[must_use]
pub fn asked(rule: &Allowed, most: usize) -> Vec<String> {
    // A field that is added is shown or does not compile.
    let Requests {
        methods,
        paths,
        query,
        headers,
        remove_headers,
        set_headers,
        max_request_bytes,
        max_response_bytes,
        rate,
        git,
        graphql,
        refuse_body,
        websocket,
        h2c,
        credential,
    } = &*rule.requests;
    let mut all = Vec::new();
    match rule.inspect {
        Inspect::Auto => {}
        Inspect::Always => all.push("always looked into".to_owned()),
        Inspect::Never => all.push("never looked into".to_owned()),
    }
    all.extend(named("methods", methods.iter().cloned(), most));
    all.extend(named("paths", texts(paths), most));
    match query.as_deref() {
        None => {}
        Some([]) => all.push("no query".to_owned()),
        Some(some) => all.extend(named("query", some.iter().map(|p| p.text().to_owned()), most)),
    }
    let required = headers.iter().map(|(name, value)| format!("{name}: {}", value.text()));
    all.extend(named("headers", required, most));
    all.extend(named("without", remove_headers.iter().cloned(), most));
    let set = set_headers.iter().map(|(name, value)| format!("{name}: {value}"));
    all.extend(named("with", set, most));
    let size = |bytes: &u64| limits::Name::FileSize.shown(*bytes);
    all.extend(max_request_bytes.iter().map(|most| format!("at most {} out", size(most))));
    all.extend(max_response_bytes.iter().map(|most| format!("at most {} in", size(most))));
    all.extend(rate.iter().map(often));
    all.extend(named("git", git.iter().map(repository), most));
    all.extend(graphql.iter().map(|GraphQl::Query| "GraphQL queries".to_owned()));
    let refused = refuse_body.iter().map(MemberPattern::to_string);
    all.extend(named("no body with", refused, most));
    all.extend(websocket.then(|| "WebSocket too".to_owned()));
    all.extend(h2c.then(|| "HTTP/2 too".to_owned()));
    all.extend(credential.iter().map(|name| format!("only as `{name}`")));
    all
}

/// Which requests a rule denies; nothing where it denies connections.
#[must_use]
pub fn denied(rule: &Denied, most: usize) -> Vec<String> {
    let methods = named("methods", rule.methods.iter().cloned(), most);
    methods.into_iter().chain(named("paths", texts(&rule.paths), most)).collect()
}

fn texts(paths: &[PathPattern]) -> impl ExactSizeIterator<Item = String> {
    paths.iter().map(|path| path.text().to_owned())
}

fn named(
    name: &str,
    entries: impl ExactSizeIterator<Item = String>,
    most: usize,
) -> Option<String> {
    let count = entries.len();
    let mut words: Vec<String> = entries.take(most).collect();
    if count > words.len() {
        words.push(format!("and {} more", count - words.len()));
    }
    (count > 0).then(|| format!("{name} {}", words.join(" ")))
}

/// `60 in 1 min`; as the language has it.
fn often(rate: &Rate) -> String {
    let unit = match rate.seconds {
        1 => "s".to_owned(),
        60 => "min".to_owned(),
        3_600 => "h".to_owned(),
        other => format!("{other} s"),
    };
    format!("{}/{unit}", rate.requests)
}

fn repository(repository: &Repository) -> String {
    let access = match repository.access {
        GitAccess::Read => "read",
        GitAccess::Write => "write",
    };
    format!("{}:{access}", repository.path)
}
