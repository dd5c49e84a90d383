//! Git's smart HTTP (`gitprotocol-http(5)`): which repository a request is about, and what it does there.
//!
//! Five requests are all of it: two that find out what a repository has, for fetches and for pushes, and
//! two that carry them. Files that "dumb" clients fetch, LFS and everything else a host has are none of
//! them.

use super::{GitAccess, Repository};

/// A request of git's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// The repository's path, without the slash in front and `.git` behind.
    path: &'a str,
    access: GitAccess,
}

/// What `method`, `path` and `query` ask of a repository; nothing where they are no request of git's.
pub(super) fn asked<'a>(method: &str, path: &'a str, query: Option<&str>) -> Option<Asked<'a>> {
    let below = path.strip_prefix('/')?;
    let (top, access) = match (method, query) {
        ("GET", Some("service=git-upload-pack")) => {
            (below.strip_suffix("/info/refs")?, GitAccess::Read)
        }
        ("GET", Some("service=git-receive-pack")) => {
            (below.strip_suffix("/info/refs")?, GitAccess::Write)
        }
        ("POST", None) => match below.strip_suffix("/git-upload-pack") {
            Some(top) => (top, GitAccess::Read),
            None => (below.strip_suffix("/git-receive-pack")?, GitAccess::Write),
        },
        _ => return None,
    };
    let path = top.strip_suffix(".git").unwrap_or(top);
    (!path.is_empty()).then_some(Asked { path, access })
}

/// What the rules say of a request of git's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It may be.
    Allowed,
    /// The repository is among them, and only to be read.
    OnlyRead,
    /// It is not among them.
    Unknown,
}

/// What `repositories` say of `asked`.
pub(super) fn says(repositories: &[Repository], asked: Asked<'_>) -> Says {
    let mut says = Says::Unknown;
    for repository in repositories.iter().filter(|repository| repository.holds(asked.path)) {
        match (repository.access, asked.access) {
            (GitAccess::Write, GitAccess::Read | GitAccess::Write)
            | (GitAccess::Read, GitAccess::Read) => return Says::Allowed,
            (GitAccess::Read, GitAccess::Write) => says = Says::OnlyRead,
        }
    }
    says
}

impl Repository {
    /// `owner/name`, or `owner/*` for each whose path is `owner/` and one name.
    fn holds(&self, path: &str) -> bool {
        match (self.path.strip_suffix('*'), path.rsplit_once('/')) {
            (Some(owner), Some((above, name))) => {
                owner.strip_suffix('/') == Some(above) && !name.is_empty()
            }
            (Some(_), None) => false,
            (None, _) => self.path == path,
        }
    }

    /// `owner/name`, `owner/*`: at least two words of letters, digits, `-`, `_`, `.` and `~`, the last of
    /// which may be `*`, and does not end in `.git`.
    #[must_use]
    pub fn is_path(text: &str) -> bool {
        let word = |word: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
            !word.is_empty() && word.bytes().all(fits) && !word.bytes().all(|b| b == b'.')
        };
        let Some((above, name)) = text.rsplit_once('/') else { return false };
        let named = name == "*" || (word(name) && !name.ends_with(".git"));
        text.len() <= super::PATTERN_BYTES_MAX && above.split('/').all(word) && named
    }
}
