//! The egress gateway. This release closes the network, so there is nothing for it to carry.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let text = "cofferdam-gateway: this release has no egress: a policy that allows hosts is \
                refused by `cofferdam run`\n";
    // With standard error closed there is nobody to tell.
    drop(std::io::stderr().write_all(text.as_bytes()));
    ExitCode::from(125)
}
