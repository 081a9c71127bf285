//! Documents of finance, made of the log: statements, the liability report, the general ledger.
//!
//! - [`event`] - what happened, as documents name it
//! - [`breakdown`] - a closed cycle's interval of the log, added up by what a statement explains
//! - [`facts`] - what finance's own facts post to a cycle: adjustments, prefunding
//! - [`terms`] - prices, taxes and the zone, as a pass over the log needs them
//! - [`parties`] - who documents are from, for and with
//! - [`statement`], [`ledger`], [`liability`] - the documents
//! - [`proof`] - where the log proves a cycle
//! - [`commission`] - an affiliate's statement
//! - [`ages`] - how old open points are
//! - [`file`] - a document's names, its bytes, its manifest
//!
//! Everything here is a function of the log: the same log gives the same bytes, in the hub and in `hansa verify`. Costs
//! nothing on the path of a message; a pass over a cycle reads its recorded effects once and keeps sums, not messages.
//! May not: read a clock or a database, or decide.

pub mod ages;
pub mod breakdown;
pub mod commission;
pub mod event;
pub mod facts;
pub mod file;
pub mod ledger;
pub mod liability;
pub mod parties;
pub mod proof;
pub mod statement;
pub mod terms;

use chrono::{DateTime, Utc};
use hansa_report::{Amount, CommissionStatementError, LedgerError, LiabilityError, StatementError};
use hansa_settlement::Instant;
use tonic::Code;

use crate::error::{HubError, Reason};
use breakdown::Disagreement;

/// Micro-units as documents have them.
fn amount(micros: i128) -> Result<Amount, HubError> {
    Amount::try_from(micros).map_err(HubError::internal)
}

/// An instant as documents have it.
fn utc(at: Instant) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.0).unwrap_or_default()
}

/// The last instant of a period that ends at `at`: what falls on its midnight belongs to the day before.
fn within(at: Instant) -> Instant {
    at.plus_micros(-1)
}

/// Terms that no document can carry, e.g. a name with a line break: what to correct, and not a fault of the hub.
fn unfit(error: &impl std::fmt::Display) -> HubError {
    let reason = Reason::Ledger {
        code: "DOCUMENT_UNFIT",
        status: Code::FailedPrecondition,
    };
    HubError::new(reason, format!("{error}; correct the terms and apply them"))
}

impl From<Disagreement> for HubError {
    fn from(error: Disagreement) -> Self {
        Self::internal(error)
    }
}

impl From<StatementError> for HubError {
    fn from(error: StatementError) -> Self {
        match error {
            StatementError::Text(text) => unfit(&text),
            StatementError::TooManyRows(_) => {
                let reason = Reason::Ledger {
                    code: "TOO_MANY_ITEMS",
                    status: Code::FailedPrecondition,
                };
                HubError::new(reason, error.to_string())
            }
            other => HubError::internal(other),
        }
    }
}

impl From<CommissionStatementError> for HubError {
    fn from(error: CommissionStatementError) -> Self {
        match error {
            CommissionStatementError::Text(text) => unfit(&text),
            CommissionStatementError::NoWorkbook => {
                Self::field("format", "UNSUPPORTED", error.to_string())
            }
            other => Self::internal(other),
        }
    }
}

impl From<LedgerError> for HubError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Text(text) => unfit(&text),
            other => HubError::internal(other),
        }
    }
}

impl From<LiabilityError> for HubError {
    fn from(error: LiabilityError) -> Self {
        match error {
            LiabilityError::Text(text) => unfit(&text),
            LiabilityError::Revenue { .. } => {
                HubError::field("allocated_prices", "REVENUE", error.to_string())
            }
            other => HubError::internal(other),
        }
    }
}
