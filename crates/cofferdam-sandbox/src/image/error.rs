//! Why an image is not used.

use std::io;
use std::path::PathBuf;

use crate::refusal::errno_text;

/// An archive, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the image {}: {fault}", archive.display())]
pub struct ImageError {
    /// The archive.
    pub archive: PathBuf,
    /// What is wrong.
    pub fault: Fault,
}

/// One situation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The archive cannot be read.
    #[error("it cannot be read: {0}")]
    Unread(String),
    /// It is no archive of a layout.
    #[error("it is no OCI image layout: {0}")]
    NoLayout(&'static str),
    /// It is not what it says.
    #[error("it is broken: {0}")]
    Broken(String),
    /// There is none, or more than one, for this machine.
    #[error("it has no single image for linux/amd64: {0}")]
    Platform(String),
    /// A name in it leads out, or is no name.
    #[error("{name} in it is not safe: {why}")]
    Unsafe {
        /// The name, as it may be shown.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// More than is unpacked.
    #[error("it is too large: {0}")]
    TooLarge(String),
    /// The file system has no room.
    #[error("there is no room for it in {}: {need} bytes are needed, {have} are free", at.display())]
    NoRoom {
        /// Where it is unpacked.
        at: PathBuf,
        /// Bytes.
        need: u64,
        /// Bytes.
        have: u64,
    },
    /// It cannot be unpacked.
    #[error("it cannot be unpacked: {doing}: {why}")]
    Unwritten {
        /// What was done.
        doing: String,
        /// What the system said.
        why: String,
    },
    /// The directory of images is somebody else's too.
    #[error("others may write {}, where images are unpacked", .0.display())]
    Shared(PathBuf),
}

impl Fault {
    pub(super) fn broken(why: impl Into<String>) -> Self {
        Self::Broken(why.into())
    }

    pub(super) fn ends() -> Self {
        Self::Broken("it ends too early".into())
    }

    /// What reading said: of a decoder, or of the system.
    pub(super) fn read(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::Unread(errno_text(errno)),
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::ends(),
            None => match error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
                Some(fault) => fault.clone(),
                None => Self::Broken(error.to_string()),
            },
        }
    }

    pub(super) fn unsafe_name(name: &[u8], why: &'static str) -> Self {
        let shown: String = String::from_utf8_lossy(name).chars().take(120).collect();
        let shown = shown.escape_debug().to_string();
        Self::Unsafe { name: format!("`{shown}`"), why }
    }

    pub(super) fn unwritten(doing: impl Into<String>) -> impl Fn(io::Error) -> Self {
        let doing = doing.into();
        move |error| {
            let why = error.raw_os_error().map_or_else(|| error.to_string(), errno_text);
            Self::Unwritten { doing: doing.clone(), why }
        }
    }
}

impl ImageError {
    /// Stable name for scripts and the audit log.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.fault {
            Fault::Unread(_) => "image-unread",
            Fault::NoLayout(_) => "image-no-layout",
            Fault::Broken(_) => "image-broken",
            Fault::Platform(_) => "image-platform",
            Fault::Unsafe { .. } => "image-unsafe",
            Fault::TooLarge(_) => "image-too-large",
            Fault::NoRoom { .. } => "image-no-room",
            Fault::Unwritten { .. } => "image-unwritten",
            Fault::Shared(_) => "image-shared",
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn hint(&self) -> String {
        let copy = "skopeo copy docker://NAME oci-archive:image.tar";
        match &self.fault {
            Fault::Unread(_) => "name an archive that you can read".into(),
            Fault::NoLayout(_) => format!(
                "make one: {copy}; a plain root file system is unpacked into a directory, and that is named"
            ),
            Fault::Broken(_) => format!("get it again: {copy}"),
            Fault::Platform(_) => {
                format!("put one image into it: {copy} --override-os linux --override-arch amd64")
            }
            Fault::Unsafe { .. } => {
                "do not trust it; if you do, unpack it yourself and name the directory".into()
            }
            Fault::TooLarge(_) => {
                "take a smaller one, or unpack it yourself and name the directory".into()
            }
            Fault::NoRoom { .. } | Fault::Unwritten { .. } => {
                "make room there, or let XDG_STATE_HOME lead to a file system that has some".into()
            }
            Fault::Shared(path) => {
                let path = path.display();
                format!("make it yours alone: chmod 700 {path}, and chown it to yourself")
            }
        }
    }
}
