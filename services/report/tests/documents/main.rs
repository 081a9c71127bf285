//! The documents as a finance department gets them. One binary; a file per concern.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod commissions;
mod figures;
mod golden;
mod ledger;
mod liability;
mod march;
mod pages;
mod refusals;
mod sheets;
