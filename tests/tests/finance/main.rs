//! Finance over the wire, on both databases: from an open cycle to money that the bank confirmed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bank_files;
mod calendar;
mod conditions;
mod disputes;
mod documents;
mod exit;
mod golden;
mod matching;
mod people;
mod privacy;
mod restart;
mod returns;
mod risk;
