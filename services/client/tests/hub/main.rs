//! The connection to the hub, against a fake hub that fails on demand.
#![expect(
    clippy::unwrap_used,
    reason = "a test that meets a value it cannot use fails by panicking"
)]

mod fake;
mod stream;
mod tls;
mod unary;
