//! What can be wrong with a root file system in place of the host's system.

use std::path::PathBuf;

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RootfsFault {
    #[error("{} is no root file system: it has neither /usr nor /bin", path.display())]
    NoSystem { path: PathBuf },
    #[error("others may write the root file system {}: owner {uid}, mode {mode:04o}", path.display())]
    Shared { path: PathBuf, uid: u32, mode: u32 },
    #[error("{} is no root file system for a sandbox: {why}", path.display())]
    TooWide { path: PathBuf, why: String },
    #[error("the workload could write the root file system {}: {} is writable", path.display(), tree.display())]
    Within { path: PathBuf, tree: PathBuf },
    #[error("the root file system {} has no place for {}", root.display(), path.display())]
    NoPlace { path: PathBuf, root: PathBuf },
    #[error("the root file system {} has no file for the sandbox's own {}", root.display(), listed(lacking))]
    Lacks { root: PathBuf, lacking: Vec<PathBuf> },
    #[error("{} lies in the root file system, of which nothing is hidden", path.display())]
    Hidden { path: PathBuf },
}

fn listed(paths: &[PathBuf]) -> String {
    let all: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    all.join(", ")
}

impl RootfsFault {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NoSystem { .. } => "rootfs-no-system",
            Self::Shared { .. } => "rootfs-shared",
            Self::TooWide { .. } => "rootfs-too-wide",
            Self::Within { .. } => "rootfs-writable",
            Self::NoPlace { .. } => "rootfs-no-place",
            Self::Lacks { .. } => "rootfs-lacks",
            Self::Hidden { .. } => "rootfs-hidden",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::NoSystem { .. } => {
                "name a directory that holds usr and etc, or a tar of an OCI layout".into()
            }
            Self::Shared { path, .. } => {
                let path = path.display();
                format!("make it yours alone: chmod go-w {path}, and chown it to yourself")
            }
            Self::TooWide { .. } => "name a directory that holds a root file system alone".into(),
            Self::Within { .. } => "keep it outside of the workspace and of what is granted".into(),
            Self::NoPlace { path, root } => {
                let at = root.join(path.strip_prefix("/").unwrap_or(path));
                format!("work elsewhere, or make the place: mkdir -p {}", at.display())
            }
            Self::Lacks { root, lacking } => {
                let at =
                    lacking.iter().map(|path| root.join(path.strip_prefix("/").unwrap_or(path)));
                let at: Vec<String> = at.map(|path| path.display().to_string()).collect();
                let at = at.join(" ");
                format!("make an empty one to mount it on: rm -f {at}; touch {at}")
            }
            Self::Hidden { .. } => "leave the rule out, and take the file out of the image".into(),
        }
    }
}
