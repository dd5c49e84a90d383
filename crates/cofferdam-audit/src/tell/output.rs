//! What was found in the output, in a few words.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{one_line, quoted};

pub(super) fn alarm(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Alarm {
        what: String,
        #[serde(default)]
        name: String,
        place: String,
        encoding: String,
        clause: String,
        times: u64,
    }
    let Alarm { what, name, place, encoding, clause, times } = serde_json::from_str(event).ok()?;
    let times = if times > 1 { format!(", {times} times") } else { String::new() };
    let name = if name.is_empty() { name } else { format!(" {}", quoted(&name)) };
    let (what, place, encoding) = (one_line(&what), one_line(&place), one_line(&encoding));
    let first = format!("{what}{name} on its way to {place} ({encoding}){times}: masked");
    Some(vec![first, format!("by {}", one_line(&clause))])
}

pub(super) fn kept(event: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Kept {
        stream: String,
        refused: BTreeMap<String, u64>,
    }
    let Kept { stream, refused } = serde_json::from_str(event).ok()?;
    let kinds: Vec<String> =
        refused.iter().map(|(kind, count)| format!("{} {count}", quoted(kind))).collect();
    let kinds = kinds.join(", ");
    Some(vec![format!("taken out of {}, escape sequences by kind: {kinds}", one_line(&stream))])
}
