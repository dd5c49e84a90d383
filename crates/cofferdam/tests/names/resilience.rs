//! A gateway that is attacked, full, or gone.
