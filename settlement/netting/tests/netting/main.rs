//! Tests of the crate through its interface.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a failure panics"
)]

mod common;
mod golden;
mod oracle;
mod properties;
