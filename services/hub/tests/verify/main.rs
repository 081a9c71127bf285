//! `hansa verify` against a real hub: a log that is in order verifies however it is read, and each tampering with the
//! database is found and named.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation ends a test"
)]

mod copy;
mod forged;
mod honest;
mod hub;
mod queries;
mod story;
mod tampered;
