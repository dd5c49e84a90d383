//! The egress gateway: started by `cofferdam`, never by a person.

use std::process::ExitCode;

fn main() -> ExitCode {
    cofferdam_gateway::main()
}
