//! GraphQL: where a request passes, another parser finds queries in it and nothing else, whichever
//! member of the JSON it takes.
#![no_main]

use cofferdam_gateway::graphql::queries_only;
use cofferdam_policy::judge::requests::Request;
use graphql_parser::query::{Definition, OperationDefinition, parse_query};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// That parser takes no deeper ones: what it cannot read shows nothing.
fn has_queries_only(document: &str) {
    let Ok(read) = parse_query::<&str>(document) else { return };
    for definition in read.definitions {
        let is_query = match definition {
            Definition::Fragment(_) => true,
            Definition::Operation(
                OperationDefinition::Query(_) | OperationDefinition::SelectionSet(_),
            ) => true,
            Definition::Operation(
                OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_),
            ) => false,
        };
        assert!(is_query, "{document:?}");
    }
}

fn one(value: &Value) {
    let members = value.as_object().expect("an object");
    for (name, value) in members {
        if name.eq_ignore_ascii_case("query") {
            has_queries_only(value.as_str().expect("a text"));
        }
    }
    assert!(members.contains_key("query"), "a document");
    let hash = value.pointer("/extensions/persistedQuery");
    assert!(hash.is_none(), "no hash");
}

/// As a careless server reads a URL.
fn parameters(query: &str) {
    for parameter in query.split(['&', ';']) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (mut bytes, mut rest) = (Vec::new(), value.as_bytes());
        while let [first, after @ ..] = rest {
            let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let coded = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
            let (byte, next) = match (first, coded) {
                (b'%', Some(byte)) => (byte, &after[2..]),
                (b'+', _) => (b' ', after),
                (byte, _) => (*byte, after),
            };
            bytes.push(byte);
            rest = next;
        }
        if name.eq_ignore_ascii_case("query") {
            has_queries_only(&String::from_utf8_lossy(&bytes));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let asked = |method, query, kind: &'static str, body| {
        let headers = [("content-type", kind.as_bytes())];
        let headers = &headers;
        queries_only(&Request { method, path: "/", query, headers, websocket: false }, body)
    };
    if asked("POST", None, "application/json", bytes).is_ok() {
        match serde_json::from_slice(bytes).expect("JSON") {
            Value::Array(some) => some.iter().for_each(one),
            value => one(&value),
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if asked("POST", None, "application/graphql", bytes).is_ok() {
        has_queries_only(text);
    }
    if text.bytes().all(|byte| byte.is_ascii_graphic())
        && asked("GET", Some(text), "text/plain", b"").is_ok()
    {
        parameters(text);
    }
});
