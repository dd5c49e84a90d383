//! The published schema says of a policy what the reader says, but for what only a machine or
//! TOML knows.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cofferdam::policy::{Base, Document, Layer, LayerText, Source, keys, presets, view};
use serde_json::Value;

use super::support::{Place, finish, programs};
use super::{CASES, network, requests};

const SCHEMA: &str = include_str!("../../../../schema/policy.schema.json");

/// Policies with and without a fault of keys and types; which, the reader says.
const TEXTS: &[&str] = &[
    "version = 1",
    "version = 2",
    "version = \"1\"",
    "version = 1\nnetwork = {}",
    "version = 1\n[managed]",
    "version = 1\n[managed]\nonly = [\"network.allow\", \"filesystem.home\"]\ndangerous = false",
    "version = 1\n[managed]\nonly = [\"network\"]",
    "version = 1\n[managed]\nonly = \"network.allow\"",
    "version = 1\n[managed]\nmounts = []\naudit = \"/var/log/x\"",
    "version = 1\n[managed]\nmounts = [{ path = \"~/src\", mode = \"read-only\" }, { path = \"/srv\" }]",
    "version = 1\n[managed]\nmounts = [{ path = \"src\" }]",
    "version = 1\n[managed]\nmounts = [{ mode = \"read-only\" }]",
    "version = 1\n[managed]\nmounts = [{ path = \"/a\", mode = \"ro\" }]",
    "version = 1\n[managed]\nmounts = [{ path = \"/a\", optional = true }]",
    "version = 1\n[managed]\naudit = \"x\"",
    "version = 1\n[managed]\ndangerous = 1",
    "version = 1\n[managed]\nforced = true",
    "version = 1\nnetwork = \"none\"",
    "version = 1\nnetwork = { allow = [] }",
    "version = 1\nisolation = \"process\"",
    "version = 1\nisolation = true",
    "version = 1\nbest_effort = []",
    "version = 1\nbest_effort = [\"absent\", \"times\"]",
    "version = 1\nbest_effort = [\"network\"]",
    "version = 1\nbest_effort = \"absent\"",
    "version = 1\nextends = []",
    "version = 1\nextends = [\"preset:base\", \"preset:codex\"]",
    "version = 1\nextends = [\"preset:Base\"]",
    "version = 1\nextends = [\"preset:\"]",
    "version = 1\nextends = { preset = \"node\" }",
    "version = 1\nfilesystem = []",
    "version = 1\n[filesystem]\nhome = \"private\"",
    "version = 1\n[filesystem]\nhome = 1",
    "version = 1\n[filesystem]\nworkspace = \".\"",
    "version = 1\n[filesystem]\nworkspace = {}",
    "version = 1\n[filesystem]\nworkspace = { path = \".\" }",
    "version = 1\n[filesystem]\nworkspace = { path = 1 }",
    "version = 1\n[filesystem]\nworkspace = { path = \"\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"~\", mode = \"read-only\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"~/..\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"..\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"/a/..b\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"/a/../b\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"/a\\nb\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"/a\\u0085b\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"a[1]\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \"/ä b\" }",
    "version = 1\n[filesystem]\ngrant = []",
    "version = 1\n[filesystem]\ngrant = [1]",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/opt\", mode = \"read-only\", optional = true }]",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/opt\", mode = \"read-only\", optional = 1 }]",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/opt\", mode = \"ro\" }]",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/opt\", mode = \"read-only\", more = 1 }]",
    "version = 1\n[environment]\nallow = []\nset = {}",
    "version = 1\n[output]\nescape_sequences = \"always\"\nredact = false\nmax_bytes = \"64MiB\"",
    "version = 1\n[output]\nmax_bytes = 1024",
    "version = 1\n[output]\nmax_bytes = 1.5",
    "version = 1\n[output]\nmore = 1",
    "version = 1\n[canary]\ninvoice-1 = \"planted string\"",
    "version = 1\n[canary]\nA = \"planted\\nstring\"",
    "version = 1\ncanary = []",
    "version = 1\n[environment]\nallow = [\"A\", \"B_*\"]\nset = { A = \"\", b9 = \"x y\" }",
    "version = 1\n[environment]\nallow = \"A\"",
    "version = 1\n[environment]\nallow = [1]",
    "version = 1\n[environment]\nallow = [\"*\"]",
    "version = 1\n[environment]\nallow = [\"A*B\"]",
    "version = 1\n[environment]\nallow = [\"1A\"]",
    "version = 1\n[environment]\nallow = [\"PATH*\"]",
    "version = 1\n[environment]\nallow = [\"My_Api_Key\"]",
    "version = 1\n[environment]\nset = { A = 1 }",
    "version = 1\n[environment]\nset = { \"A B\" = \"1\" }",
    "version = 1\n[environment]\nset = { A = \"\\u0000\" }",
    "version = 1\n[environment]\nset = { MY_TOKEN = \"a value that is written down\" }",
    "version = 1\n[environment]\nset = { PWD = \"/\" }",
    "version = 1\n[environment]\nset = []",
    "version = 1\n[environment]\nunset = []",
    "version = 1\n[filesystem]\nhome = \"project\"",
    "version = 1\n[filesystem]\nhide = [\".env\", \"~/x\"]\nprotect = [\"/a\"]",
    "version = 1\n[filesystem]\nhide = [1]",
    "version = 1\n[filesystem]\nprotect = [\"**/.env\"]",
    "version = 1\n[filesystem]\nprotect = [\"a/**\", \"/**/*.pem\", \"~/?\", \"**\", \"a\\\\b\"]",
    "version = 1\n[filesystem]\nhide = [\"**.env\"]",
    "version = 1\n[filesystem]\nhide = [\"a**/b\"]",
    "version = 1\n[filesystem]\nhide = [\"***\"]",
    "version = 1\n[filesystem]\nhide = [\"../*\"]",
    "version = 1\n[filesystem]\nhide = [\"*\\\\*\"]",
    "version = 1\n[filesystem]\nhide = [\"a\\\\*\"]",
    "version = 1\n[filesystem]\nmask = [\"{a,b}\"]",
    "version = 1\n[filesystem]\nmask = [\"$A/*\"]",
    "version = 1\n[filesystem]\nmask = \".env\"",
    "version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"no-delete\" }",
    "version = 1\n[filesystem]\nworkspace = { path = \".\", overwrite = true }",
    "version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"no-delete\", overwrite = false }",
    "version = 1\n[filesystem]\nworkspace = { path = \".\", mode = \"no-delete\", overwrite = 1 }",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/a\", mode = \"no-delete\", overwrite = true }]",
    "version = 1\n[filesystem]\ngrant = [{ path = \"/a\", mode = \"read-only\", overwrite = true }]",
    "version = 1\n[sockets]",
    "version = 1\n[sockets]\nallow = [\"run/db.sock\", \"~/x\", \"/a\"]",
    "version = 1\n[sockets]\nallow = [\"*.sock\"]",
    "version = 1\n[sockets]\nallow = \"a\"",
    "version = 1\n[sockets]\nbind = [\"a\"]",
    "version = 1\n[limits]",
    "version = 1\n[limits]\nmemory = \"2GiB\"\ncpus = 1.5\nprocesses = 64\nopen_files = 1024",
    "version = 1\n[limits]\nmemory = { max = 1073741824, hold = \"best-effort\" }",
    "version = 1\n[limits]\ncpus = { max = 2, hold = \"required\" }\nwall_time = \"1h30m\"",
    "version = 1\n[limits]\nfile_size = \"1GiB\"\ngrace = \"0s\"\nprivate_size = \"64MiB\"",
    "version = 1\n[limits]\nmemory = { hold = \"best-effort\" }",
    "version = 1\n[limits]\nmemory = { max = \"2GiB\", hold = \"maybe\" }",
    "version = 1\n[limits]\nmemory = true",
    "version = 1\n[limits]\nprocesses = \"64\"",
    "version = 1\n[limits]\nprocesses = { max = 64 }",
    "version = 1\n[limits]\nwall_time = 90",
    "version = 1\n[limits]\nmemroy = \"2GiB\"",
    "version = 1\n[environment]\ndangerous_allow = [\"MY_TOKEN\"]",
    "version = 1\n[environment]\ndangerous_allow = [\"MY_*\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"",
    "version = 1\n[[network.allow]]\nhost = \"*.bücher.test\"\nports = [443]\nreason = \"x\"",
    "version = 1\n[[network.allow]]\nhost = \"*\"\ndangerous_wide_wildcard = true",
    "version = 1\n[[network.allow]]\nhost = \"192.0.2.0/24\"\nports = [80]",
    "version = 1\n[[network.allow]]\nhost = \"192.0.2.1\"\nports = [22]\nprotocol = \"tcp\"",
    "version = 1\n[[network.allow]]\nhost = \"2001:db8::/32\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ndial = \"[2001:db8::7]:8443\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ndial = \"192.0.2.7:8443\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = [80, 443]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = [80, 443]\nprotocol = \"tcp\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = []",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = [1, 1]\nprotocol = \"tcp\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nmethods = [\"GET\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nreason = \"\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nreason = \"a\\u0085b\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ninspect = \"always\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ninspect = \"never\"\nports = [443]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = [80]\nh2c = true",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nports = [80]\nh2c = true\nprotocol = \"tls\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nprotocol = \"http\"\nh2c = false",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nquery = []\nrate = \"1/h\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nquery = [\"a=*\", \"=\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nheaders = { Accept = \"*/* x\", b = \"\" }",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nset_headers = { Accept = \"x \" }",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nmax_request_bytes = 0",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nmax_response_bytes = \"1GiB\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngit = [\"a/b:read\", \"a/b/*:write\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngit = [\"a/..:read\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngit = [\"../a:read\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngit = [\"a/b.git:read\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngit = [\"a/b.gitx:read\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\ngraphql = \"query\"\nwebsocket = false",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"mcp_servers\", \"**.url=http*\", \"tools.*.type!=custom|bash_*\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = []",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a..b\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a.**\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"**.**.a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a*\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a=*b\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"!=a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a.!=a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"**!=a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a\", \"a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a\"]\nwebsocket = true",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a\"]\ngraphql = \"query\"",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nrefuse_body = [\"a\"]\ngit = [\"a/b:read\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nprotocol = \"tcp\"\nrefuse_body = [\"a\"]",
    "version = 1\n[[network.allow]]\nhost = \"a.test\"\nwebsocket = \"yes\"",
    "version = 1\n[network]\ndeny = [{ host = \"a.test\", methods = [\"PUT\"], paths = [\"/x/**\"] }]",
    "version = 1\n[network]\ntrust_ca = [\"ca.pem\", \"~/x/ca.pem\"]",
    "version = 1\n[network]\ntrust_ca = [\"*.pem\"]",
    "version = 1\n[network]\ntrust_ca = \"ca.pem\"",
    "version = 1\n[network]\nallow = [\"a.test\"]",
    "version = 1\n[network]\ndeny = [{ host = \"*.a.test\", reason = \"x\" }, { host = \"*\" }]",
    "version = 1\n[network]\ndeny = [{ host = \"a.test\", protocol = \"tls\" }]",
    "version = 1\n[network]\nupstream_proxy = \"http://localhost:3128\"",
    "version = 1\n[network]\nupstream_proxy = \"socks5://[::1]:1080\"",
    "version = 1\n[network]\nupstream_proxy = \"https://localhost:3128\"",
    "version = 1\n[network]\npublish = [\"3000\", \"3000:8080\"]",
    "version = 1\n[network]\npublish = [\"3000:\"]",
    "version = 1\n[network]\npublish = [3000]",
    "version = 1\n[credentials.a]\nsource = { vault = \"a\" }",
    "version = 1\n[credentials.a]\nsource = { vault = \"a\" }\ninject = { bearer = true }\nenv = \"A\"",
    "version = 1\n[credentials.a]\nsource = { vault = \"a\" }\nssh = { hosts = [], users = [\"git\"] }",
    "version = 1\n[credentials.a]\nsource = { vault = \"a\" }\nssh = {}",
    "version = 1\n[credentials.a]\nsource = { vault = \"a\" }\nssh = { hosts = [\"h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\"], users = [\"git\", \"a-b\"] }\nexpires = \"1h\"",
];

/// Reads instances and says of each whether it is valid.
const SCRIPT: &str = "
import json, sys
import jsonschema
schema, instances = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.Draft202012Validator.check_schema(schema)
checker = jsonschema.Draft202012Validator(schema)
print(json.dumps([checker.is_valid(instance) for instance in instances]))
";

fn reader(text: &str) -> Result<(), &'static str> {
    let source = Source { name: "p".into(), text: text.into() };
    // One table is the managed text's alone.
    let layer = if text.contains("[managed]") { Layer::Managed } else { Layer::Named };
    let text = LayerText { layer, source, base: Base::AsWritten };
    Document::stack(vec![text]).map(drop).map_err(|error| error.code())
}

/// What the schema says of each text; `None` where Python has no validator.
fn schema_of(place: &Place, texts: &[String]) -> Option<Vec<bool>> {
    let instances: Vec<Value> = texts
        .iter()
        .map(|text| toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect();
    let schema = place.write("schema.json", SCHEMA);
    let instances = place.write("instances.json", &serde_json::to_string(&instances).unwrap());
    let mut python = place.command("/usr/bin/python3");
    let ran = finish(python.args(["-c", SCRIPT]).arg(schema).arg(instances));
    if ran.err.contains("No module named 'jsonschema'") {
        println!("not run: the schema against a validator: python3-jsonschema is not installed");
        return None;
    }
    Some(serde_json::from_str(&ran.works("validate").out).unwrap())
}

#[test]
fn the_schema_says_what_the_reader_says() {
    let place = Place::new();
    let cases = CASES
        .iter()
        .chain(network::CASES)
        .chain(requests::CASES)
        .filter_map(|(_, text, _)| *text)
        .map(str::to_owned);
    let mut texts: Vec<String> = cases.chain(TEXTS.iter().map(|text| (*text).into())).collect();
    for word in view::SECRET_WORDS {
        texts.push(format!("version = 1\n[environment]\nallow = [\"MY_{word}_X\"]"));
        let small = word.to_lowercase();
        texts.push(format!("version = 1\n[environment]\nallow = [\"{small}\"]"));
    }
    for name in view::OWN_VARIABLES {
        texts.push(format!("version = 1\n[environment]\nset = {{ {name} = \"x\" }}"));
        texts.push(format!("version = 1\n[environment]\nset = {{ X{name} = \"x\" }}"));
    }
    let many = |one: &str| one.repeat(257);
    texts.push(format!("version = 1\n[environment]\nallow = [{}]", many("\"A\",")));
    texts.push(format!("version = 1\nextends = [{}]", many("\"preset:base\",")));
    // Bounds of sizes and durations with a unit, how a number is spelt, what a name is, who is the public, and
    // case of a header are the reader's alone.
    let beyond = [
        "policy-not-toml",
        "limit-range",
        "canary-text",
        "output-bytes",
        "limit-value",
        "host-text",
        "host-too-wide",
        "dial-address",
        "dial-pattern",
        "proxy-address",
        "publish-twice",
        "rules-clash",
        "inspect-clash",
        "path-pattern",
        "query-pattern",
        "header-twice",
        "header-secret",
        "header-kept",
        "git-twice",
        "credential-host-key",
    ];
    texts.retain(|text| reader(text).err().is_none_or(|code| !beyond.contains(&code)));
    let refused = texts.iter().filter(|text| reader(text).is_err()).count();
    assert!(refused > 60 && texts.len() - refused > 25, "{refused} of {}", texts.len());
    let Some(says) = schema_of(&place, &texts) else { return };
    for (text, says) in texts.iter().zip(says) {
        assert_eq!(says, reader(text).is_ok(), "the reader says {:?}: {text}", reader(text));
    }
}

/// Every policy that documents, presets and `policy init` show.
#[test]
fn the_schema_takes_every_example() {
    let place = Place::new();
    let mut texts: Vec<String> = presets::ALL.iter().map(|preset| preset.text.into()).collect();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let documents = documents(root);
    if documents.is_empty() {
        println!("not run: the documents cannot be read");
    } else {
        let before = texts.len();
        for document in documents {
            let text = fs::read_to_string(&document).unwrap();
            let blocks = text.split("```toml\n").skip(1);
            texts.extend(blocks.filter_map(|rest| Some(rest.split("```").next()?.to_owned())));
        }
        assert!(texts.len() >= before + 2, "documents have examples");
    }
    place.outside("mkdir .git && touch Cargo.toml package.json Gemfile").works("a project");
    let init = finish(place.command(programs().join("cofferdam")).args(["policy", "init"]));
    init.works("write a policy");
    texts.push(place.read("home/src/app/.cofferdam/policy.toml"));
    for text in &texts {
        assert_eq!(reader(text), Ok(()), "{text}");
    }
    let Some(says) = schema_of(&place, &texts) else { return };
    for (text, says) in texts.iter().zip(says) {
        assert!(says, "{text}");
    }
}

fn documents(root: &Path) -> Vec<PathBuf> {
    let folders = [root.to_owned(), root.join("docs")];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

/// The schema's tables and keys are the reader's: who adds a key adds it to both.
#[test]
fn the_schema_has_the_readers_keys() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut found = BTreeMap::new();
    tables("", &schema, &mut found);
    let wanted: BTreeMap<String, BTreeSet<String>> = keys()
        .map(|(table, keys)| (table.to_owned(), keys.iter().map(|&key| key.into()).collect()))
        .collect();
    assert_eq!(found, wanted);
    let names: Vec<String> =
        presets::ALL.iter().map(|preset| format!("preset:{}", preset.name)).collect();
    assert_eq!(schema["$defs"]["preset"]["enum"], serde_json::json!(names));
}

/// Every object of the schema with keys of its own, by the name of its table.
fn tables(name: &str, schema: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(items) = schema.get("items") {
        tables(name, items, found);
    }
    for choice in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        tables(name, choice, found);
    }
    // Tables whose names a person chooses.
    if let Some(inner) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
        tables(&format!("{name}.NAME"), inner, found);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    assert_eq!(schema["additionalProperties"], false, "{name}: unknown keys are refused");
    found.insert(name.into(), properties.keys().cloned().collect());
    for (key, inner) in properties {
        let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
        tables(&name, inner, found);
    }
}

/// The program prints the published file.
#[test]
fn the_program_prints_the_schema() {
    let place = Place::new();
    let ran = finish(place.command(programs().join("cofferdam")).args(["policy", "schema"]));
    assert_eq!(ran.works("print it").out, SCHEMA);
}
