//! OCI images in a local archive (image-spec 1.1, "OCI Image Layout"): read, verified and unpacked where
//! only the caller writes.
//!
//! An archive is anybody's. Each blob is what its digest says or nothing of it is used; every name is checked
//! before the first is written; nothing is written through a link, outside of the root, or with a privilege;
//! sizes and counts are bounded.

mod error;
mod layer;
mod layout;
mod name;
mod store;
mod tar;
mod unpack;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use error::{Fault, ImageError};
pub use layout::Bounds;
use layout::Layout;

/// An image that is unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its root.
    pub root: PathBuf,
    /// The digest of its manifest, as `sha256:HEX`.
    pub digest: String,
}

/// The image in `archive`, unpacked below `folder`, where an earlier one of the same digest is used again.
/// `folder` is made where it is missing, for the caller alone.
///
/// # Errors
/// The archive is no image for this machine, or not a safe one; or there is no room for it.
pub fn unpacked(archive: &Path, folder: &Path, bounds: &Bounds) -> Result<Image, ImageError> {
    let failed = |fault| ImageError { archive: archive.to_owned(), fault };
    from(archive, folder, bounds).map_err(failed)
}

fn from(archive: &Path, folder: &Path, bounds: &Bounds) -> Result<Image, Fault> {
    let file = layout::open(archive)?;
    let store = store::Store::open(folder)?;
    let layout = Layout::read(layout::plain(file, || store.unnamed(), bounds)?)?;
    let manifest = layout.manifest()?;
    let root = store.image(&manifest.digest, |root| {
        let mut bounds = bounds.clone();
        unpack::all(&layout, &manifest.layers, root, &mut bounds)
    })?;
    Ok(Image { root, digest: manifest.digest.to_string() })
}

/// Reads a whole archive as [`unpacked`] does, and writes nothing: for tests that feed it anything.
///
/// # Errors
/// Those of [`unpacked`].
pub fn check(archive: &[u8], bounds: &Bounds) -> Result<(), Fault> {
    let file = rustix::fs::memfd_create("image", rustix::fs::MemfdFlags::CLOEXEC);
    let mut file = File::from(file.map_err(|errno| Fault::read(errno.into()))?);
    file.write_all(archive).map_err(Fault::read)?;
    let layout = Layout::read(file)?;
    let manifest = layout.manifest()?;
    let mut bounds = bounds.clone();
    for layer in &manifest.layers {
        layer::scan(&layout, layer, &mut bounds)?;
    }
    Ok(())
}

/// Reads a layer that is a plain tar, whatever its digest is: the names that it would make or take away, and
/// those that its hard links lead to. For tests that feed it anything.
///
/// # Errors
/// Those of [`unpacked`].
pub fn check_layer(layer: &[u8], bounds: &Bounds) -> Result<Vec<PathBuf>, Fault> {
    layer::names(layer, &mut bounds.clone())
}
