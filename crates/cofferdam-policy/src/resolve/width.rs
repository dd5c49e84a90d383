//! What is too much to hand over: the machine, a home, our own places, the system's.

use std::path::{Component, Path, PathBuf};

use super::Resolver;
use crate::error::{Fault, PolicyError};
use crate::judge::pattern::{Meets, Pattern};
use crate::model::Mode;
use crate::view;

/// The git directory that `path` is or lies in: what is written there runs at the next git command.
pub(super) fn git_directory(path: &Path) -> Option<PathBuf> {
    let is_git =
        |path: &&Path| path.components().next_back() == Some(Component::Normal(".git".as_ref()));
    path.ancestors().filter(is_git).last().map(Path::to_owned)
}

/// The protected name of `top` that `path` is or lies in.
pub(super) fn protected(path: &Path, top: &Path) -> Option<PathBuf> {
    let mut names = view::PROTECTED.iter().map(|name| top.join(name));
    let by_pattern = || {
        let patterns = || view::PROTECTED_PATTERNS.iter().map(|text| Pattern::new(text));
        let named = |path: &&Path| patterns().any(|one| one.meets(top, path) == Meets::At);
        path.ancestors().find(named).map(Path::to_owned)
    };
    names.find(|name| path.starts_with(name)).or_else(by_pattern)
}

impl Resolver<'_> {
    /// Why a tree is too much to hand over, if it is.
    pub(super) fn too_wide(&self, path: &Path) -> Option<String> {
        let facts = self.facts;
        if path == Path::new("/") {
            return Some("it is the whole machine".into());
        }
        if facts.holds(path, &facts.home) {
            return Some("it is or holds the home directory".into());
        }
        if path == Path::new(view::HOMES) || path.parent() == Some(Path::new(view::HOMES)) {
            return Some("it is or holds a home directory".into());
        }
        if let Some(home) = facts.homes.iter().find(|home| facts.holds(path, home)) {
            return Some(format!("it is or holds the home directory {}", home.display()));
        }
        if let Some(place) =
            view::SHARED_TEMPORARY.iter().find(|place| Path::new(place).starts_with(path))
        {
            return Some(format!("it is or holds the shared temporary directory {place}"));
        }
        if let Some(place) = facts
            .own_places
            .iter()
            .find(|place| facts.holds(path, place) || facts.holds(place, path))
        {
            return Some(format!(
                "cofferdam keeps its configuration or state in {}",
                place.display()
            ));
        }
        view::SYSTEM
            .iter()
            .chain(view::RESERVED)
            .find(|place| path == Path::new(place) && **place != "/opt")
            .map(|place| format!("{place} belongs to the system"))
    }

    /// The system's tree that `path` is or lies in, which is not granted for writing.
    pub(super) fn the_systems(&self, path: &Path, mode: Mode) -> Option<PathBuf> {
        let places = view::SYSTEM_OWNED.iter().filter(|_| mode.is_written());
        let place = places.map(Path::new).find(|place| self.facts.holds(place, path))?;
        let source = view::SYSTEM_SOURCES
            .iter()
            .any(|place| path.starts_with(place) && path != Path::new(place));
        (!source).then(|| place.into())
    }

    /// The private home is made at the home's path, so that must be a place that can be made.
    pub(super) fn home(&self) -> Result<(), PolicyError> {
        let home = &self.facts.home;
        let why = if home.as_os_str().as_encoded_bytes().iter().any(u8::is_ascii_control) {
            "its name has a control character"
        } else if home.starts_with("/.cofferdam") {
            "cofferdam keeps files of its own there, inside"
        } else {
            return Ok(());
        };
        Err(PolicyError::plain(Fault::HomeUnusable { path: home.clone(), why: why.into() }))
    }
}
