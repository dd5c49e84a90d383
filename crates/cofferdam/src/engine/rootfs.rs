//! The root file system that a policy names: the directory itself, or an image's, unpacked.

use std::path::Path;

use cofferdam_policy::facts::Ids;
use cofferdam_policy::{Document, Person, resolve};
use cofferdam_sandbox::Caller;
use cofferdam_sandbox::facts::rootfs::Asked;
use cofferdam_sandbox::image::{self, Bounds};

use crate::places::Places;
use crate::refused::Refused;

/// Where images are unpacked, below our state.
const IMAGES: &str = "images";

/// What is to be looked at, where the policy names one. An archive is unpacked where nobody has yet.
pub(super) fn asked(
    document: &Document,
    person: &Person,
    home: &Path,
    (places, caller): (&Places, &Caller),
) -> Result<Option<Asked>, Refused> {
    let Some(text) = &document.rootfs else { return Ok(None) };
    let Some(named) = resolve::rootfs_path(document, home, &caller.cwd) else { return Ok(None) };
    let wanted = resolve::wanted_in_rootfs(document);
    // What is neither is told of when the policy is resolved.
    if !std::fs::symlink_metadata(&named).is_ok_and(|seen| seen.is_file()) {
        return Ok(Some(Asked { root: named.clone(), named, digest: None, wanted }));
    }
    let clause = text.clause.clone();
    if let Ids::Owner { uid, .. } = person.ids {
        return Err(Refused::ImageForAnother { uid, clause });
    }
    places.state_is_the_persons(caller)?;
    let unpacked = image::unpacked(&named, &places.state.join(IMAGES), &Bounds::default());
    let image = unpacked.map_err(|source| Refused::Image { source: Box::new(source), clause })?;
    Ok(Some(Asked { root: image.root, named, digest: Some(image.digest), wanted }))
}
