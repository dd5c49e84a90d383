//! What no preset does, whatever is added to one.

use super::{ALL, PREFIX};
use crate::document::{Document, Presence, Source};
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
        assert_eq!(own.isolation.value, Isolation::Process, "{}", preset.name);
        assert_eq!(own.workspace, defaults.workspace, "{}: no workspace", preset.name);
        assert_eq!(own.home, defaults.home, "{}: no home", preset.name);
        assert_eq!(own.network, defaults.network, "{}: no network", preset.name);
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
