//! gVisor's application kernel, and its platforms.

use cofferdam_plan::host::Runsc;
use cofferdam_plan::runsc::{Build, Outcome, Platform};

use super::super::{Evidence, Row, State};

/// Of a digest, for a person. Letters.
const SHORT: usize = 12;

impl Evidence {
    pub(super) fn gvisor(&self) -> Row {
        match &self.runsc {
            Some(Runsc::Ready(build)) => Row::enforced(in_words(build)),
            Some(Runsc::Missing { asked: Some(path), .. }) => {
                not_needed(format!("there is no runsc at {}", path.display()), None)
            }
            Some(Runsc::Missing { asked: None, install }) => {
                not_needed("it is not installed".into(), Some(install.clone()))
            }
            Some(Runsc::Untrusted { path, why }) => {
                not_needed(format!("{} is not to be trusted: {why}", path.display()), None)
            }
            Some(Runsc::Useless { path, why }) => {
                not_needed(format!("{} runs nothing here: {why}", path.display()), None)
            }
            Some(Runsc::Unasked) | None => Row::unknown("it was not tried"),
        }
    }

    pub(super) fn on_platform(&self, platform: Platform) -> Row {
        let Some(Runsc::Ready(build)) = &self.runsc else {
            return without("there is no runsc to be tried".into());
        };
        let outcome = build.platforms.iter().find(|(of, _)| *of == platform);
        match outcome.map(|(_, outcome)| outcome) {
            Some(Outcome::Works) if platform == build.platform => {
                Row::enforced("a program ran on it, on a kernel that is not the host's; it is used")
            }
            Some(Outcome::Works) => {
                Row::enforced("a program ran on it, on a kernel that is not the host's")
            }
            Some(Outcome::Fails { why }) => without(format!("it does not run: {why}")),
            Some(Outcome::Hangs { after }) => without(format!("it hangs: ended after {after} s")),
            Some(Outcome::Untried) | None => Row::unknown("it was not tried"),
        }
    }
}

fn in_words(build: &Build) -> String {
    let digest: String = build.digest.chars().take(SHORT).collect();
    let files = if build.features.directfs { "by itself" } else { "by a process beside it" };
    format!(
        "{}, version {}, SHA-256 {digest}…, runs on {}; it opens files {files}",
        build.program.path.display(),
        build.version.name,
        build.platform.name()
    )
}

fn not_needed(why: String, remedy: Option<String>) -> Row {
    Row {
        state: State::NotNeeded,
        found: format!("isolation = \"gvisor\" cannot be had: {why}"),
        remedy,
    }
}

/// One of three, of which one is enough.
const fn without(found: String) -> Row {
    Row { state: State::NotNeeded, found, remedy: None }
}
