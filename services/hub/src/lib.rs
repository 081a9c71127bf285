//! The hub: terminates the wire, gives every message its place in the log, and answers for it.
//!
//! - [`server`] - gRPC services, ownership, limits; [`services`] holds a file per service
//! - [`intake`] - from received bytes to messages that can be decided
//! - [`sequencer`] - order, decisions, commits, projections
//! - [`tlog`] - the Merkle tree, checkpoints, proofs
//! - [`verify`] - the whole log decided again; [`reopen`] - going on after a loss
//! - [`audit`] - the auditor, beside the traffic
//! - [`touches`] - affiliates' links and what they bring, beside the log; [`redirect`] - HTTP for shoppers
//! - [`offers`] - what merchants let affiliates advertise, beside the log
//! - [`documents`] - statements, liability, general ledger, made of the log
//! - [`cli`] - the program `hansa`

pub mod anchor;
pub mod audit;
pub mod auth;
pub mod authority;
pub mod cli;
pub mod clock;
pub mod commission_terms;
pub mod commissions;
pub mod convert;
pub mod cycle_calendar;
pub mod diff;
pub mod documents;
pub mod error;
pub mod facts;
pub mod finance;
pub mod forward;
pub mod fraud;
pub mod home;
pub mod intake;
pub mod limits;
pub mod memory;
pub mod offers;
pub mod ownership;
pub mod queries;
pub mod redirect;
pub mod registry;
pub mod reopen;
pub mod sequencer;
pub mod server;
pub mod services;
pub mod settlement_terms;
pub mod signer;
pub mod tlog;
pub mod touches;
pub mod verify;
