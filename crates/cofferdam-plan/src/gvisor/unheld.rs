//! What nobody holds with an application kernel in the jail: what is the broker's natively.

use cofferdam_policy::model::Policy;

use crate::refusal::Refusal;

/// Refuses a policy that has a clause which is held by nobody here.
pub(super) fn check(_policy: &Policy) -> Result<(), Refusal> {
    Ok(())
}
