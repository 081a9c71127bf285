//! The auditor: follows the log behind the traffic and derives every journal a second time.
//!
//! An implementation of its own of the rules of the points ledger. It shares with the fold that it checks (`settlement`) the
//! generated protos, the money types and nothing else; it was written from the rules' text, not from the fold. It verifies every
//! signature with the keys that the log itself registered, recomputes every leaf, decides every message again, compares the recorded
//! outcome field by field, and adds the journals up by cycle: nets, the hub's side, pairs, lines, counts. At the entry that closes
//! a cycle it answers a [`Certificate`] with its own totals, which whoever approves the cycle compares with the fold's.
//! The first contradiction ends it: a [`Finding`] names entry, message, and both sides.
//!
//! ```text
//! Auditor::new, or Auditor::resume(what was saved)
//! loop: audit(the next entry, source) -> certificate of a closed cycle, now and then
//!       save() -> members and references that changed, and a small state: write them in one transaction
//! ```
//!
//! Costs O(what the entry touches): members and conversions are read by number when a message names them, changed ones are saved, and a closed
//! cycle's aggregates leave the state. Nothing here reads a clock, a database or a file; [`Source`] is where it asks.
//!
//! # What it takes from the record, and why that is no hole
//!
//! - **Repetitions.** The log says of a repeated message where it was decided first. The auditor reads that entry, verifies its
//!   signature, and compares ids and bytes. That an id is not decided twice it sees by the ids that it remembers ([`Bounds::ids`]);
//!   `hansa verify` remembers all.
//! - **Originals that are not there.** What is over, so that no message can name it any more, is dropped from a member's record. A
//!   message that names what is not there may be refused as ORIGINAL_NOT_FOUND or as too late (HOLD_EXPIRED, RETURN_WINDOW_CLOSED):
//!   no journal depends on which.
//! - **What a bank confirmed** is finance's to match. From the first approved settlement on, a purchase that a limit refuses, or does
//!   not, must be right for some amount that may have been paid; and what a declared default shares out must lie within what was owed.
//! - **Digests** of closed cycles are taken down, not compared: they cover the fold's own form of its totals.
//!
//! # What it may not do
//!
//! It may not depend on `settlement`, and it decides nothing that anybody is answered with.

mod affiliates;
mod attribution;
mod auditor;
mod batch;
mod books;
mod calendar;
mod claim;
mod conversion;
mod debt;
mod decide;
mod due;
mod earn;
mod exact;
mod facts;
mod finance;
mod finding;
mod give_back;
mod keys;
mod member;
mod memory;
mod query;
mod review;
mod seal;
mod source;
mod spend;
mod standing;
mod state;
mod terms;
mod totals;
mod touch;

pub use auditor::{Auditor, Bounds, Certificate, Journals, Save, Stop};
pub use finding::{Finding, What};
pub use seal::Hash;
pub use source::{Entry, MerchantNo, ReferenceKey, Source, SourceError};
pub use state::Unreadable;
pub use totals::{Account, Counts, CycleTotals, Difference, Hub, Kind, Leg, Line, LineKey, Pair};
