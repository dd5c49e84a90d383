//! What of a policy may change while a session runs.

use std::collections::BTreeSet;

use cofferdam_policy::Policy;
use cofferdam_policy::judge::hosts::HostRules;
use serde_json::Value;

/// Something that cannot change while a session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Restart(String);

impl std::fmt::Display for Restart {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} changes", self.0)
    }
}

/// The rules of `new`, where nothing else of it differs from `old`.
pub(super) fn egress_change(old: &Policy, new: &Policy) -> Result<HostRules, Vec<Restart>> {
    let mut because = BTreeSet::new();
    match (value(old), value(new)) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let differs = |name: &&&String| before.get(**name) != after.get(**name);
            because.extend(names.iter().filter(differs).map(|name| name.replace('_', " ")));
        }
        _ => drop(because.insert("what cannot be compared".to_owned())),
    }
    let own = |rules: &HostRules| -> BTreeSet<(String, u16)> {
        let ports = rules
            .allow
            .iter()
            .flat_map(|rule| rule.ports.iter().map(|port| (rule.pattern.to_string(), *port)));
        ports.filter(|(_, port)| ![80, 443].contains(port)).collect()
    };
    let (old_ports, new_ports) = (own(&old.network.rules), own(&new.network.rules));
    let more = new_ports.difference(&old_ports);
    because.extend(more.map(|(host, port)| format!("port {port} of {host}")));
    if old.network.leads_out() != new.network.leads_out() {
        because.insert("whether there is a network".to_owned());
    }
    // Its authority is what the programs inside believe, from the start on.
    if new.network.rules.inspects() && !old.network.rules.inspects() {
        because.insert("whether TLS is looked into".to_owned());
    }
    if because.is_empty() {
        return Ok(new.network.rules.clone());
    }
    Err(because.into_iter().map(Restart).collect())
}

/// All that a running session rests on, without where it is written.
fn value(policy: &Policy) -> Option<Value> {
    let mut value = serde_json::to_value(policy).ok()?;
    let object = value.as_object_mut()?;
    object.retain(|name, _| name != "dangers" && name != "presets" && !name.ends_with("clause"));
    if let Some(network) = object.get_mut("network").and_then(Value::as_object_mut) {
        network.remove("rules");
    }
    strip(&mut value);
    Some(value)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("clause");
            fields.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
