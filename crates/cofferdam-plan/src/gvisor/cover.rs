//! Coverage with an application kernel in the jail.

use cofferdam_policy::model::Policy;

use crate::coverage::Coverage;
use crate::plan::Plan;
use crate::runsc::Build;

/// The native plan's rows with who holds them here.
pub(super) fn rows(_policy: &Policy, plan: &Plan, _build: &Build) -> Vec<Coverage> {
    plan.coverage.clone()
}
