//! The merchant's SDK of Hansa: keys, signatures, tokens, message ids, and the proofs that the hub kept its word.
//!
//! The hub uses the modules of the wire (`keys`, `dsse`, `token`, `leaf`, `time`) too, so that both sides of a
//! signature are one implementation. This crate knows no tier above `hansa-proto`.

pub mod batch;
pub mod dsse;
pub mod hub;
pub mod ids;
pub mod keys;
pub mod leaf;
pub mod message;
pub mod money;
pub mod note;
pub mod outbox;
pub mod proof;
pub mod time;
pub mod token;

mod jwt_provider;
