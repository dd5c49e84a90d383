//! The AppArmor profile for hosts that forbid user namespaces to programs without one.

use std::path::Path;

/// The profile for the usual places of installation.
const SHIPPED: &str = include_str!("../../../../packaging/apparmor/cofferdam");
/// What stands there for the places.
const PLACES: &str =
    "/usr/bin/cofferdam-init /usr/local/bin/cofferdam-init @{HOME}/.cargo/bin/cofferdam-init";

/// The profile for the `cofferdam-init` in `directory`; `None` where its path cannot stand in one.
pub(crate) fn profile(directory: &Path) -> Option<String> {
    let path = directory.join("cofferdam-init");
    let path = path.to_str()?;
    // In a profile these have meanings of their own.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    path.chars().all(plain).then(|| SHIPPED.replace(PLACES, path))
}
