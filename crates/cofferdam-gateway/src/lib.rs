//! The gateway: the only way out of a sandbox.
//!
//! It accepts connections in the sandbox's own network namespace, on listening sockets that
//! `cofferdam-init` made there, judges each by the name that it is for, and dials. Bytes judged are
//! bytes sent: what a parser here has read is what goes out, and what it cannot read without doubt
//! is refused.

pub mod dns;
pub mod ranges;
pub mod synthetic;
pub mod upstream;
