//! Finance: from closed cycles to money on an account, step by step, through facts alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../golden_march/mod.rs"]
mod golden_march;

mod bank;
mod default;
mod disputes;
mod golden;
mod history;
mod plan;
mod properties;
mod queries;
mod refusals;
mod risk;
mod states;
