//! The contract of the store: one suite, run against SQLite and against PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

mod appending;
mod auditing;
mod crash;
mod evidence;
mod fixture;
mod gate;
mod offering;
mod postgres;
mod projecting;
mod reading;
mod schema;
mod sqlite;
mod touching;
