//! Presets: what a toolchain or an agent needs beside the built-in view, as policy text that comes
//! with the program.
//!
//! A preset is read by the reader of every policy and may say less: it lists what else is extended,
//! grants that may be absent, variables, and hosts. It never grants for writing, and nothing that holds a
//! token. What no variable can tell a program, a preset says in a small file of the private home:
//! those are data of this module, not of the language.

use std::sync::Arc;

use crate::credentials::Credential;
use crate::document::{Document, GrantText, Located, NetworkText, Setting, Source};
use crate::error::{Fault, PolicyError};
use crate::layers::Layer;
use crate::model::Clause;
use crate::read;

/// What a preset's name begins with in `extends`, and in the clauses that come from it.
pub const PREFIX: &str = "preset:";

/// A file that the private home begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedText {
    /// Below the home, without `..`.
    pub path: &'static str,
    /// Its whole text.
    pub content: &'static str,
}

/// A preset as it comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// What a person calls it.
    pub name: &'static str,
    /// Its policy text.
    pub text: &'static str,
    /// What the private home begins with.
    pub seeds: &'static [SeedText],
}

const fn plain(name: &'static str, text: &'static str) -> BuiltIn {
    BuiltIn { name, text, seeds: &[] }
}

/// Every preset, in the order in which help and documents list them.
pub const ALL: &[BuiltIn] = &[
    plain("base", include_str!("presets/base.toml")),
    plain("git", include_str!("presets/git.toml")),
    plain("python", include_str!("presets/python.toml")),
    plain("uv", include_str!("presets/uv.toml")),
    plain("node", include_str!("presets/node.toml")),
    plain("bun", include_str!("presets/bun.toml")),
    plain("deno", include_str!("presets/deno.toml")),
    plain("rust", include_str!("presets/rust.toml")),
    plain("go", include_str!("presets/go.toml")),
    plain("java", include_str!("presets/java.toml")),
    plain("ruby", include_str!("presets/ruby.toml")),
    plain("pypi", include_str!("presets/pypi.toml")),
    plain("npm", include_str!("presets/npm.toml")),
    plain("crates", include_str!("presets/crates.toml")),
    plain("go-proxy", include_str!("presets/go-proxy.toml")),
    plain("maven", include_str!("presets/maven.toml")),
    plain("rubygems", include_str!("presets/rubygems.toml")),
    plain("github", include_str!("presets/github.toml")),
    plain("anthropic", include_str!("presets/anthropic.toml")),
    plain("openai", include_str!("presets/openai.toml")),
    BuiltIn {
        name: "claude-code",
        text: include_str!("presets/claude-code.toml"),
        seeds: &[SeedText {
            path: ".claude.json",
            content: include_str!("presets/claude-code.claude.json"),
        }],
    },
    BuiltIn {
        name: "codex",
        text: include_str!("presets/codex.toml"),
        seeds: &[SeedText {
            path: ".codex/config.toml",
            content: include_str!("presets/codex.config.toml"),
        }],
    },
    plain("claude-login", include_str!("presets/claude-login.toml")),
    plain("chatgpt-login", include_str!("presets/chatgpt-login.toml")),
    plain("github-login", include_str!("presets/github-login.toml")),
];

/// What one preset brings to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// The rule that asks for it.
    pub clause: Clause,
    /// Its grants, each of which may be absent.
    pub grants: Vec<Located<GrantText>>,
    /// Names of variables that pass.
    pub variables: Vec<Located<String>>,
    /// Variables that it sets.
    pub set: Vec<Located<Setting>>,
    /// Whom it lets be talked to.
    pub network: NetworkText,
    /// Whose identity requests may bear.
    pub credentials: Vec<Located<Credential>>,
    /// Files of the private home.
    pub seeds: &'static [SeedText],
}

/// Adds the preset `name`, which `clause` asks for, and before it what that extends. A preset that
/// the document has already stays where it is.
pub(crate) fn add(document: &mut Document, name: &str, clause: &Clause) -> Result<(), Fault> {
    let Some(found) = ALL.iter().find(|preset| preset.name == name) else {
        let names = ALL.iter().map(|preset| &preset.name);
        return Err(Fault::PresetUnknown {
            asked: name.into(),
            nearest: read::nearest(name.strip_prefix(PREFIX).unwrap_or(name), names.clone()),
            known: names.map(|name| (*name).to_owned()).collect(),
        });
    };
    let has = |document: &Document, name| document.presets.iter().any(|p| p.name == name);
    if has(document, found.name) {
        return Ok(());
    }
    // The tests parse every preset, so this is no person's fault and no text of theirs.
    let own = Document::parse_preset(found)
        .map_err(|error| Fault::PresetBroken { name: found.name.into(), why: error.to_string() })?;
    for inner in own.presets {
        if !has(document, inner.name) {
            document.presets.push(inner);
        }
    }
    document.presets.push(Preset {
        name: found.name,
        clause: clause.clone(),
        grants: own.grants,
        variables: own.variables,
        set: own.set,
        network: own.network,
        credentials: own.credentials,
        seeds: found.seeds,
    });
    Ok(())
}

impl Document {
    /// The text of a preset, without the defaults that a whole policy has.
    fn parse_preset(preset: &BuiltIn) -> Result<Self, PolicyError> {
        let source = Source { name: format!("{PREFIX}{}", preset.name), text: preset.text.into() };
        let mut document = Self { variables: Vec::new(), ..Self::built_in() };
        document.source = Arc::new(source);
        let source = Arc::clone(&document.source);
        read::into(&mut document, &source, Layer::BuiltIn)?;
        Ok(document)
    }
}

#[cfg(test)]
#[path = "presets_tests.rs"]
mod tests;
