//! Cycles that close while everything goes on, whatever is stalled or killed meanwhile: every message is in exactly one
//! cycle, the sums are those of what senders were told, and what comes of a cycle is the same to the byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod books;
mod crash;
mod life;
mod senders;
mod stall;
mod step;
mod under_load;
