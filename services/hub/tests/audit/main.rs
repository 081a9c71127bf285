//! The auditor against the fold: random histories, both golden runs, and what must be found.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation ends a test"
)]

mod beside;
mod commissions;
mod cost;
mod finance;
mod forge;
mod golden;
mod histories;
mod over;
mod queries;
mod repetitions;
mod rules;
mod shop;
mod traffic;
