//! What no preset does, whatever is added to one.

use super::{ALL, PREFIX};
use crate::document::{Document, NetworkText, Presence, Source};
use crate::judge::hosts::{Pattern, Protocol};
use crate::model::{Isolation, Mode};
use crate::view;

/// Files that hold tokens, and directories that hold such files, below the home.
const TOKENS: &[&str] = &[
    ".aws",
    ".bunfig.toml",
    ".bundle/config",
    ".cache/deno/location_data",
    ".cargo/config.toml",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".claude.json",
    ".claude/.credentials.json",
    ".codex/auth.json",
    ".config/gh",
    ".config/git",
    ".config/pip/pip.conf",
    ".docker",
    ".gem/credentials",
    ".git-credentials",
    ".gitconfig",
    ".gnupg",
    ".gradle/gradle.properties",
    ".local/share/gem/credentials",
    ".local/share/uv/credentials",
    ".m2/settings-security.xml",
    ".m2/settings.xml",
    ".netrc",
    ".npm-global/etc/npmrc",
    ".npmrc",
    ".pypirc",
    ".ssh",
];

fn document(name: &str) -> Document {
    let mut document = Document::built_in();
    document.add_preset(name).unwrap();
    document
}

#[test]
fn each_is_read_and_grants_only_what_may_be_absent_and_read() {
    for preset in ALL {
        let source =
            Source { name: format!("{PREFIX}{}", preset.name), text: preset.text.to_owned() };
        let own = Document::parse(source).unwrap_or_else(|error| panic!("{error}"));
        let defaults = Document::built_in();
        assert_eq!(own.isolation.value, Isolation::Auto, "{}", preset.name);
        assert_eq!(own.workspace, defaults.workspace, "{}: no workspace", preset.name);
        assert_eq!(own.home, defaults.home, "{}: no home", preset.name);
        assert_eq!(own.dangerous, [], "{}: no secret", preset.name);
        for grant in &own.grants {
            let text = &grant.value;
            assert_eq!(text.mode, Mode::ReadOnly, "{}: {}", preset.name, text.path);
            assert_eq!(text.presence, Presence::Optional, "{}: {}", preset.name, text.path);
            let below = text.path.strip_prefix("~/").expect("in the home, below it");
            let token = TOKENS.iter().find(|token| {
                token.starts_with(&format!("{below}/")) || below.starts_with(**token)
            });
            assert_eq!(token, None, "{}: {below}", preset.name);
            let seen = view::TOOLCHAINS.iter().any(|tree| below.starts_with(tree));
            assert!(!seen, "{}: {below} is in the built-in view", preset.name);
        }
        for seed in preset.seeds {
            assert!(!seed.path.starts_with('/') && !seed.path.contains(".."), "{}", seed.path);
        }
    }
}

/// Presets that open hosts by themselves, and how many; the others open none.
const HOSTS: &[(&str, usize)] = &[
    ("pypi", 2),
    ("npm", 3),
    ("crates", 2),
    ("go-proxy", 2),
    ("maven", 4),
    ("rubygems", 2),
    ("github", 6),
    ("anthropic", 2),
    ("openai", 2),
    ("claude-login", 4),
    ("chatgpt-login", 5),
    ("github-login", 2),
];

#[test]
fn hosts_are_open_by_presets_that_are_for_that() {
    for preset in ALL {
        let source =
            Source { name: format!("{PREFIX}{}", preset.name), text: preset.text.to_owned() };
        let network = Document::parse(source).unwrap().network;
        let want = HOSTS.iter().find(|(name, _)| *name == preset.name).map_or(0, |(_, n)| *n);
        assert_eq!(network.allow.len(), want, "{}", preset.name);
        for rule in &network.allow {
            let (pattern, why) = (&rule.pattern, preset.name);
            assert!(matches!(pattern, Pattern::Exact(_)), "{why}: {pattern}: each by name");
            assert_eq!((rule.ports.as_slice(), rule.protocol), (&[443][..], Protocol::Tls));
            assert!(rule.reason.is_some() && rule.dial.is_none(), "{why}: {pattern}: says why");
        }
        let closed = NetworkText { allow: Vec::new().into(), ..network };
        assert_eq!(closed, NetworkText::none(closed.base.clone()), "{}: nothing else", preset.name);
    }
}

/// A preset that opens its registry takes back what its toolchain says for a closed network, in
/// whatever order they are named.
#[test]
fn registries_take_the_toolchains_word_back() {
    for (registry, toolchain, variable, want) in [
        ("pypi", "uv", "UV_OFFLINE", "0"),
        ("pypi", "python", "PIP_RETRIES", "5"),
        ("npm", "node", "npm_config_offline", "false"),
        ("crates", "rust", "CARGO_NET_OFFLINE", "false"),
        ("go-proxy", "go", "GOSUMDB", "sum.golang.org"),
    ] {
        for names in [[registry, toolchain], [toolchain, registry]] {
            let mut document = Document::built_in();
            names.iter().for_each(|name| document.add_preset(name).unwrap());
            let mut set = document.presets.iter().flat_map(|preset| &preset.set);
            let last = set.rfind(|set| set.value.name == variable);
            assert_eq!(last.unwrap().value.value, want, "{names:?}: {variable}");
        }
    }
    let codex = document("codex");
    let names: Vec<&str> = codex.presets.iter().map(|preset| preset.name).collect();
    assert_eq!(names, ["git", "openai", "codex"], "an agent gets its API");
    let rule = codex.presets[1].network.allow.first().unwrap();
    assert_eq!(rule.clause.to_string(), "network.allow[0] (preset:openai:12)");
}

#[test]
fn a_clause_names_its_preset_and_line() {
    let document = document("uv");
    let names: Vec<&str> = document.presets.iter().map(|preset| preset.name).collect();
    assert_eq!(names, ["python", "uv"], "what is extended comes first");
    let [python, uv] = document.presets.as_slice() else { panic!("two presets") };
    assert_eq!(python.clause.to_string(), "extends[0] (preset:uv:4)");
    assert_eq!(uv.clause.to_string(), "--preset (command line)");
    let set = uv.set.iter().find(|set| set.value.name == "UV_OFFLINE").unwrap();
    assert_eq!(set.clause.to_string(), "environment.set.UV_OFFLINE (preset:uv:9)");
    assert_eq!(python.grants.first().unwrap().clause.file, "preset:python");
}

#[test]
fn twice_is_once() {
    let text = "version = 1\nextends = ['preset:uv', 'preset:python', 'preset:uv']";
    let source = Source { name: "p".into(), text: text.into() };
    let mut document = Document::parse(source).unwrap();
    document.add_preset("python").unwrap();
    let names: Vec<&str> = document.presets.iter().map(|preset| preset.name).collect();
    assert_eq!(names, ["python", "uv"]);
}
