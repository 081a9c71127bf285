//! The hub: terminates the wire, gives every message its place in the log, and answers for it.
//!
//! - [`server`]: gRPC services, ownership, limits; [`services`] holds a file per service
//! - [`intake`]: from received bytes to messages that can be decided
//! - [`sequencer`]: order, decisions, commits, projections
//! - [`tlog`]: the Merkle tree, checkpoints, proofs
//! - [`cli`]: the program `hansa`

pub mod anchor;
pub mod auth;
pub mod clock;
pub mod convert;
pub mod error;
pub mod facts;
pub mod intake;
pub mod registry;
pub mod sequencer;
pub mod signer;
pub mod tlog;
