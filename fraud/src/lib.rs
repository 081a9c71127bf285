//! Fraud in affiliate traffic and in messages of points: what came in, what is odd about it, which scheme that looks like, and what to hold.
//!
//! Pure: events and instants come in as arguments, flags and holds come out; no IO, no clock, no randomness. It sees what a
//! hub sees (touches, conversions, refusals, returns, enrolments), never who is honest. The same events under the same rule
//! versions give the same flags, byte for byte, on every platform: ordered iteration only, and the functions whose last bit
//! differs between platforms (`exp`, `ln`, ...) come from `libm`.
//!
//! No money is decided here in floats: amounts are whole micro-units and stay so. Statistics are about money, they are not money.

#![allow(
    clippy::float_arithmetic,
    reason = "statistics of traffic; amounts of money stay whole micro-units"
)]

pub mod act;
mod engine;
mod event;
pub mod features;
pub mod learn;
pub mod lists;
pub mod points;
pub mod rules;
pub mod score;
pub mod simulate;
pub mod stats;
mod token;
mod typology;
pub mod verdict;

pub use engine::{Effect, Engine, NotAState};
pub use event::{
    Affiliate, Conversion, Enrolment, Event, Mark, Marks, Merchant, Refusal, RefusalKind, Return,
    Token, Touch, TouchKind,
};
pub use token::{TokenKey, TokenKind};
pub use typology::{Typology, UnknownTypology};
