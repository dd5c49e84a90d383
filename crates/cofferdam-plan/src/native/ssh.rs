//! The agent of ssh: its socket, and the hosts that clients know.

use std::path::Path;

use cofferdam_policy::credentials::{AGENT, KNOWN_HOSTS, first_login};
use cofferdam_policy::model::Policy;

use crate::plan::Step;

/// Its socket, in our own corner: nobody inside can give that name to anything else, for the root is
/// read-only by the time that the workload runs.
pub(super) fn agent(policy: &Policy) -> Option<Step> {
    first_login(&policy.credentials).map(|_| Step::Listen { path: AGENT.into() })
}

/// The hosts of every key, in the private home where nothing else is there: clients verify them without
/// a question. What the agent signs does not depend on it.
pub(super) fn known_hosts(policy: &Policy) -> Option<Step> {
    let path = policy.home.join(KNOWN_HOSTS);
    let is_taken = |tree: &Path| path.starts_with(tree);
    let mut trees = policy.grants.iter().chain([&policy.workspace]).map(|tree| tree.path.as_path());
    let files = policy.credentials.iter().flat_map(|one| &one.files).map(|file| &file.path);
    let mut files = files.chain(policy.seeds.iter().map(|seed| &seed.path));
    if policy.kept_home.is_some() || trees.any(is_taken) || files.any(|file| *file == path) {
        return None;
    }
    let hosts = policy.credentials.iter().filter_map(|one| one.logins());
    let lines: String = hosts.flat_map(|logins| &logins.hosts).map(|host| host.line()).collect();
    (!lines.is_empty()).then(|| Step::File { path, content: lines.into(), mode: 0o644 })
}
