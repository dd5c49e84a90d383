//! Layers and trust: a managed ceiling, projects that are trusted by their bytes, and clones that are
//! not; the rows P01 to P22 of the catalogue that are about what is read before trust, and E24, E25.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "helpers of tests are not covered by the exemption for tests"
)]

mod clone;
#[path = "../support/mod.rs"]
mod support;

mod e24_reload;
mod e25_only;
mod managed;
mod p03_headless;
mod p04_tools;
mod p07_changed;
mod p08_words;
mod p14_words_of_shells;
mod p15_environment;
mod p22_from_inside;
mod places;
mod races;
mod terminal;
