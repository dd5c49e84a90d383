//! For the note at the end: whom the workload was not let through to.

use cofferdam_plan::message::{ALARMS, Ended, Way, Went};

/// Rows that the note at the end can have; the log names all.
const ROWS_MAX: usize = 100;
/// Words of a path that are told apart: what belongs to whom, mostly.
const WORDS_MAX: usize = 2;
/// Longest path of a row. Letters.
const PATH_MAX: usize = 100;

/// A host that the workload was not let through to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// Its name or address; empty where nobody said.
    pub host: String,
    /// The port; 0 where only its address was asked for.
    pub port: u16,
    /// The method, where requests are looked at.
    pub method: Option<String>,
    /// The path, likewise: its first two words, and `/…` for those that follow.
    pub path: Option<String>,
    /// Stable name of the reason.
    pub code: String,
    /// The reason.
    pub why: String,
    /// The smallest change that would let it through; empty where there is none.
    pub fix: String,
    /// The rule that decided.
    pub clause: String,
    /// Whether a rule denied it, or it was let through and not reached.
    pub denied: Denied,
    /// How often.
    pub times: u64,
}

impl TurnedAway {
    /// Whether it tried to carry an identity, or what was planted, where it has no business.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        ALARMS.contains(&self.code.as_str())
    }
}

/// Who said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The policy.
    ByPolicy,
    /// Nobody: the host was not reached.
    Unreached,
}

/// A row for each host, port and reason; for requests also for each method and beginning of a path.
#[derive(Debug, Default)]
pub(super) struct TurnedAways(Vec<TurnedAway>);

impl TurnedAways {
    pub(super) fn hear(&mut self, ended: &Ended) {
        let (code, denied) = match &ended.verdict {
            Went::Allowed => return,
            Went::Denied { code } => (code, Denied::ByPolicy),
            Went::Failed { code } => (code, Denied::Unreached),
        };
        let (method, path) = match &ended.request {
            Some(request) => (Some(request.method.clone()), Some(beginning(&request.path))),
            None => (None, None),
        };
        let same = |row: &&mut TurnedAway| {
            row.host == ended.host
                && row.port == ended.port
                && row.code == *code
                && (&row.method, &row.path) == (&method, &path)
        };
        if let Some(row) = self.0.iter_mut().find(same) {
            row.times = row.times.saturating_add(ended.times);
        } else if ended.way != Way::Published && self.0.len() < most(ended) {
            self.0.push(TurnedAway {
                host: ended.host.clone(),
                port: ended.port,
                method,
                path,
                code: code.clone(),
                why: ended.why.clone(),
                fix: ended.fix.clone(),
                clause: ended.clause.to_string(),
                denied,
                times: ended.times,
            });
        }
    }

    /// In the order of the first attempts; alarms first.
    pub(super) fn rows(mut self) -> Vec<TurnedAway> {
        self.0.sort_by_key(|row| !row.is_alarm());
        self.0
    }
}

/// An alarm has room where others have none any more.
fn most(ended: &Ended) -> usize {
    if ended.is_alarm() { 2 * ROWS_MAX } else { ROWS_MAX }
}

/// The first words of a path.
fn beginning(path: &str) -> String {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    // A path begins with a slash, so the one that ends its second word is the third.
    let end = slashes.filter(|at| *at > 0).nth(WORDS_MAX - 1);
    let (kept, more) = match end.and_then(|at| path.split_at_checked(at)) {
        Some((kept, "/")) | Some((kept, "")) => (kept, false),
        Some((kept, _)) => (kept, true),
        None => (path, false),
    };
    let short: String = kept.chars().take(PATH_MAX).collect();
    if more || short.len() < kept.len() { format!("{short}/…") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use cofferdam_plan::message::{HttpVersion, Requested};
    use cofferdam_policy::model::Clause;

    use super::*;

    fn ended(host: &str, code: &str, request: Option<(&str, &str)>) -> Ended {
        Ended {
            way: Way::Direct,
            host: host.into(),
            port: 443,
            protocol: None,
            address: None,
            clause: Clause::built_in("network"),
            verdict: Went::Denied { code: code.into() },
            why: String::new(),
            fix: String::new(),
            sent: 0,
            received: 0,
            duration_ms: 0,
            times: 1,
            request: request.map(|(method, path)| Requested {
                version: HttpVersion::Http2,
                method: method.into(),
                path: path.into(),
                status: Some(403),
            }),
        }
    }

    #[test]
    fn the_beginning_of_a_path() {
        let long = format!("/{}", "x".repeat(200));
        for (path, want, why) in [
            ("/", "/", "none"),
            ("*", "*", "of OPTIONS"),
            ("/a", "/a", "one word"),
            ("/a/b", "/a/b", "two"),
            ("/a/b/", "/a/b/", "nothing follows"),
            ("/a/b/c", "/a/b/…", "a third"),
            ("/a/b/c/d", "/a/b/…", "any number"),
            ("//a/b", "//a/…", "an empty word"),
            ("", "", "nothing"),
            (&long, &format!("/{}/…", "x".repeat(PATH_MAX - 1)), "a long word"),
        ] {
            assert_eq!(beginning(path), want, "{why}");
        }
    }

    #[test]
    fn what_is_one_row() {
        let mut rows = TurnedAways::default();
        for (host, code, request) in [
            ("a", "host", None),
            ("a", "host", None),
            ("a", "method", Some(("POST", "/o/r/1"))),
            ("a", "method", Some(("POST", "/o/r/2"))),
            ("a", "method", Some(("PUT", "/o/r/2"))),
            ("a", "method", Some(("PUT", "/o/s"))),
            ("a", "path", Some(("PUT", "/o/s"))),
            ("b", "path", Some(("PUT", "/o/s"))),
        ] {
            rows.hear(&ended(host, code, request));
        }
        let told = rows.rows().into_iter().map(|row| (row.method, row.path, row.times));
        let told: Vec<_> = told.collect();
        let request = |method: &str, path: &str| (Some(method.into()), Some(path.into()));
        let row = |(method, path), times| (method, path, times);
        let want = [
            row((None, None), 2),
            row(request("POST", "/o/r/…"), 2),
            row(request("PUT", "/o/r/…"), 1),
            row(request("PUT", "/o/s"), 1),
            row(request("PUT", "/o/s"), 1),
            row(request("PUT", "/o/s"), 1),
        ];
        assert_eq!(told, want);
    }

    #[test]
    fn paths_without_end_make_no_rows_without_end() {
        let mut rows = TurnedAways::default();
        for number in 0..10 * ROWS_MAX {
            rows.hear(&ended("a", "path", Some(("GET", &format!("/{number}")))));
        }
        assert_eq!(rows.rows().len(), ROWS_MAX);
    }
}
