//! What the gateway put on record, in a few words.

use serde::Deserialize;

use super::{duration, one_line, quoted, short};

/// Longest path that is told. Letters.
const PATH_MAX: usize = 160;
/// Most rules that are told.
const RULES_MAX: usize = 40;

#[derive(Deserialize)]
struct Connection {
    way: String,
    host: String,
    port: u16,
    protocol: Option<String>,
    address: Option<String>,
    verdict: String,
    code: Option<String>,
    clause: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    fix: String,
    sent: u64,
    received: u64,
    duration_ms: u64,
    times: u64,
    request: Option<Request>,
}

#[derive(Deserialize)]
struct Request {
    version: String,
    method: String,
    path: String,
    status: Option<u16>,
}

impl Connection {
    fn place(&self) -> String {
        match (self.host.as_str(), self.port) {
            ("", port) => format!("port {port}"),
            (host, 0) => one_line(host),
            (host, port) => format!("{}:{port}", one_line(host)),
        }
    }

    /// How it came, and how many like it.
    fn way(&self) -> String {
        let times = if self.times > 1 { format!(", {} times", self.times) } else { String::new() };
        format!("({}){times}", one_line(&self.way))
    }

    fn reason(&self, code: &str) -> String {
        format!("{} [{}]", one_line(&self.why), one_line(code))
    }

    fn took(&self) -> String {
        let (sent, received) = (self.sent, self.received);
        format!("{sent} bytes out, {received} in, {}", duration(self.duration_ms))
    }

    /// The rule is what a person looks for, so it is on the same line.
    fn request(&self, request: &Request) -> String {
        let (method, path) = (quoted(&request.method), short(&quoted(&request.path), PATH_MAX));
        let status = request.status.map(|status| format!(" -> {status}")).unwrap_or_default();
        let end = match &self.code {
            Some(code) => self.reason(code),
            None => self.took(),
        };
        let (verdict, place, version) =
            (one_line(&self.verdict), self.place(), one_line(&request.version));
        let (way, clause) = (self.way(), one_line(&self.clause));
        format!("{verdict} {method} {place} {path}{status} {version} {way}: {end}; by {clause}")
    }

    fn whole(&self) -> [String; 2] {
        let spoken = self.protocol.as_ref().map(|spoken| format!(" {}", one_line(spoken)));
        let spoken = spoken.unwrap_or_default();
        let what = format!("{} {}{spoken} {}", one_line(&self.verdict), self.place(), self.way());
        let line = match (&self.code, &self.address) {
            (Some(code), _) => format!("{what}: {}", self.reason(code)),
            (None, Some(at)) => format!("{what} at {}: {}", one_line(at), self.took()),
            (None, None) => format!("{what}: {}", self.took()),
        };
        [line, format!("by {}", one_line(&self.clause))]
    }
}

/// A connection, or a request of one.
pub(super) fn connection(event: &str) -> Option<Vec<String>> {
    let told: Connection = serde_json::from_str(event).ok()?;
    let mut lines = match &told.request {
        Some(request) => vec![told.request(request)],
        None => told.whole().into(),
    };
    if !told.fix.is_empty() {
        lines.push(format!("help: {}", one_line(&told.fix)));
    }
    Some(lines)
}

/// What became of the connections and requests of each rule, a line each.
pub(super) fn rules(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Rules {
        rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    struct Rule {
        clause: String,
        allowed: u64,
        denied: u64,
        failed: u64,
        sent: u64,
        received: u64,
    }
    let Rules { rules } = serde_json::from_str(event).ok()?;
    let mut lines = vec![match rules.len() {
        1 => "1 rule decided".into(),
        count => format!("{count} rules decided"),
    }];
    lines.extend(rules.iter().take(RULES_MAX).map(|rule| {
        let Rule { clause, allowed, denied, failed, sent, received } = rule;
        format!(
            "{}: {allowed} allowed, {denied} denied, {failed} failed; {sent} bytes out, {received} in",
            one_line(clause)
        )
    }));
    if let Some(more @ 1..) = rules.len().checked_sub(RULES_MAX) {
        lines.push(format!("and {more} more: --json shows all"));
    }
    Some(lines)
}
