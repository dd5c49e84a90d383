//! What a person asks about trust.

use std::path::{Path, PathBuf};

use cofferdam_sandbox::Caller;
use cofferdam_sandbox::facts::real_path;

use super::{Offer, Text, TrustedError, TrustedProject, project_of};
use crate::engine::Engine;
use crate::options::Options;
use crate::places::{Around, Places, homes};
use crate::refused::Refused;

impl Engine {
    /// Reads the policy of the project that `folder` is in, once, and says what it would change for a
    /// run there. Nothing is trusted by that. The working directory of this process becomes the
    /// project: what a policy means depends on where somebody stands.
    ///
    /// # Errors
    /// There is no such project, its policy cannot be read, or it says what `run` would refuse.
    pub fn offer(&self, folder: &Path) -> Result<Offer, Refused> {
        let caller = Caller::read()?;
        let unread = |source| TrustedError::Unread { path: folder.to_owned(), source };
        let folder = std::fs::canonicalize(caller.cwd.join(folder)).map_err(unread)?;
        let Some(project) = project_of(&folder, &homes(&caller)) else {
            return Err(TrustedError::NoProject { path: folder }.into());
        };
        std::env::set_current_dir(project).map_err(unread)?;
        let text = Text::read(project)?;
        let options = Options::default();
        let with = self.resolve_around(&options, Around::Offered(&text))?;
        let without = self.resolve_around(&options, Around::Managed)?;
        // As seen from the project, like the run that would believe it.
        let caller = Caller::read()?;
        let places = Places::of(&caller);
        places.state_is_the_persons(&caller)?;
        let state = places.state;
        Ok(Offer::new(text, state, (&with.document, &with.policy), &without.policy)?)
    }

    /// Every project that this person trusts, by path.
    ///
    /// # Errors
    /// What is trusted cannot be read, or is not this user's alone.
    pub fn trusted_projects() -> Result<Vec<TrustedProject>, Refused> {
        let caller = Caller::read()?;
        Ok(Places::of(&caller).trusted(&caller)?.list()?)
    }

    /// Has the project at `folder`, or around it, be trusted no more; says which one it was.
    ///
    /// # Errors
    /// None of them is trusted, or what is trusted cannot be changed.
    pub fn distrust(folder: &Path) -> Result<PathBuf, Refused> {
        let caller = Caller::read()?;
        let path = real_path(caller.cwd.join(folder));
        let path: PathBuf = path.components().collect();
        let store = Places::of(&caller).trusted(&caller)?;
        for project in path.ancestors() {
            if store.remove(project)? {
                return Ok(project.to_owned());
            }
        }
        Err(TrustedError::NotTrusted { path }.into())
    }
}
