//! Acting on verdicts: what is flagged, which conversions wait, and what people decide about it.
//!
//! Flags are grouped by affiliate, merchant and scheme: one row, however many events. A hold covers the conversions that the
//! scheme made and no other; it ends by a person's outcome, never by time. Moves no money: it says what waits, what goes on and
//! what is forfeited, and the ledger of commissions posts it.

mod ban;
mod case;
mod cover;
mod flag;
mod rules;

pub use ban::{Ban, BanError, BanNotice, Bans, Severity};
pub use case::{APPEAL_MS, Case, CaseError, CaseStatus, Outcome};
pub use cover::Kept;
pub use flag::{Flag, FlagKey, Holders, RuleHold};
pub use rules::{Mode, Rules};
