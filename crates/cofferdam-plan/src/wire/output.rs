//! Wire forms of what becomes of the output.

use cofferdam_policy::output::Canary;

use super::{Malformed, Wire};
use crate::plan::{Escapes, Most, Output, Redaction};

wire_struct!(Output { escapes, redaction, most });
wire_struct!(Most { bytes, clause });
wire_struct!(Canary { name, text, clause });
wire_enum!(Escapes { 0 => Safe, 1 => Always, 2 => Raw });
wire_enum!(Redaction { 0 => On, 1 => Off });
