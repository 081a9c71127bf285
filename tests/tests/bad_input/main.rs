//! Bad input: each kind has a clear reason, changes nothing, uses up no id that it should not, and shows nobody else's
//! data. On both databases.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod envelopes;
mod fields;
mod limits;
mod messages;
mod privacy;
mod states;
mod tokens;
mod world;
