//! Seatbelt profiles: golden texts, and an evaluator of the language that is asked what the judge is asked.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "panics are how tests fail"
)]

mod agreement;
mod ask;
mod cases;
mod golden;
mod known;
mod services;
