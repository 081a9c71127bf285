//! A bank's report as a fact brings it, and as the state keeps it: the header, whom it speaks of, and what waits to be posted. Entries stay in the
//! log, at the report's entry.

use super::action::Party;
use super::exception::FieldDifference;
use super::fact::Actor;
use super::payment::PaymentState;
use crate::ids::{ExceptionNo, Instant, PaymentNo, ProposalNo, ReportNo};
use serde::{Deserialize, Serialize};

/// Form of a bank's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BankReportFormat {
    /// Payment status report.
    Pain002,
    /// Debit and credit notification.
    Camt054,
    /// Account statement.
    Camt053,
    /// Account statement as CSV.
    Csv,
}

impl BankReportFormat {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pain002 => "PAIN_002",
            Self::Camt054 => "CAMT_054",
            Self::Camt053 => "CAMT_053",
            Self::Csv => "CSV",
        }
    }
}

/// One entry of a report, as far as the fold reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankEntry {
    /// Running number within the report, from 1.
    pub number: u32,
    /// + = money came in; micro-units.
    pub amount_micros: i64,
    /// The bank's own reference.
    pub bank_reference: String,
    /// It gives an earlier payment back.
    pub is_return: bool,
    /// The bank's reason code.
    pub reason: String,
}

/// A status of one payment; moves no money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankStatus {
    /// The payment.
    pub payment: PaymentNo,
    /// ACCEPTED or REJECTED.
    pub state: PaymentState,
    /// The bank's code.
    pub reason: String,
}

/// Entries and payments that belong together: 1:1, 1:n or n:1. Their amounts are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankMatch {
    /// The payments.
    pub payments: Vec<PaymentNo>,
    /// The entries, by their number.
    pub entries: Vec<u32>,
    /// It gives the payments back instead of confirming them.
    pub is_return: bool,
}

/// What did not match, as an import finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewException {
    /// The next number.
    pub number: ExceptionNo,
    /// The entry; `None` = a payment that no entry confirms.
    pub entry: Option<u32>,
    /// The payment that it looks like.
    pub payment: Option<PaymentNo>,
    /// What is wrong, for people.
    pub description: String,
    /// Field by field.
    pub differences: Vec<FieldDifference>,
}

/// A report, read and matched. Every entry is in one match or one exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFact {
    /// The next number.
    pub number: ReportNo,
    /// Form.
    pub format: BankReportFormat,
    /// Name, for people.
    pub file_name: String,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The bank's message id.
    pub message_id: String,
    /// Account; empty where the form has none.
    pub account: String,
    /// Balance at the beginning, micro-units.
    pub opening_micros: Option<i64>,
    /// Balance at the end, micro-units.
    pub closing_micros: Option<i64>,
    /// Entries.
    pub entries: Vec<BankEntry>,
    /// Statuses.
    pub statuses: Vec<BankStatus>,
    /// What belongs together.
    pub matches: Vec<BankMatch>,
    /// What did not match.
    pub exceptions: Vec<NewException>,
}

/// What waits to be posted of one match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) payments: Vec<PaymentNo>,
    /// The first of its entries.
    pub(crate) entry: u32,
    pub(crate) is_return: bool,
    pub(crate) bank_reference: String,
    pub(crate) reason: String,
}

/// A report that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankReport {
    /// Running number.
    pub number: ReportNo,
    /// The entry of the log that holds all of it.
    pub seq: u64,
    /// Form.
    pub format: BankReportFormat,
    /// Name, for people.
    pub file_name: String,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The bank's message id.
    pub message_id: String,
    /// Account.
    pub account: String,
    /// Whose account it is.
    pub owner: Party,
    /// Balance at the beginning, micro-units.
    pub opening_micros: Option<i64>,
    /// Balance at the end, micro-units.
    pub closing_micros: Option<i64>,
    /// Number of entries.
    pub entry_count: u32,
    /// Payments that it speaks of, by number.
    pub payments: Vec<PaymentNo>,
    /// When it was imported.
    pub imported_at: Instant,
    /// By whom.
    pub imported_by: String,
    /// The approved proposal that posted its matches.
    pub posted: Option<ProposalNo>,
    /// Matches, until they are posted.
    pub(crate) waiting: Vec<Waiting>,
}

impl BankReport {
    /// The state's part of a report that is imported.
    pub(crate) fn new(
        fact: &ReportFact,
        owner: Party,
        actor: &Actor,
        seq: u64,
        at: Instant,
    ) -> Self {
        let matched = fact.matches.iter().flat_map(|m| m.payments.iter().copied());
        let mut payments: Vec<PaymentNo> = matched
            .chain(fact.statuses.iter().map(|status| status.payment))
            .chain(fact.exceptions.iter().filter_map(|e| e.payment))
            .collect();
        payments.sort_unstable();
        payments.dedup();
        let entry = |number: &u32| fact.entries.get((*number as usize).checked_sub(1)?);
        let waiting = fact
            .matches
            .iter()
            .map(|m| {
                let first = m.entries.first().and_then(entry);
                Waiting {
                    payments: m.payments.clone(),
                    entry: m.entries.first().copied().unwrap_or(0),
                    is_return: m.is_return,
                    bank_reference: first.map(|e| e.bank_reference.clone()).unwrap_or_default(),
                    reason: first.map(|e| e.reason.clone()).unwrap_or_default(),
                }
            })
            .collect();
        Self {
            number: fact.number,
            seq,
            format: fact.format,
            file_name: fact.file_name.clone(),
            sha256: fact.sha256,
            message_id: fact.message_id.clone(),
            account: fact.account.clone(),
            owner,
            opening_micros: fact.opening_micros,
            closing_micros: fact.closing_micros,
            entry_count: fact.entries.len() as u32,
            payments,
            imported_at: at,
            imported_by: actor.holder.clone(),
            posted: None,
            waiting,
        }
    }

    /// Matches that wait to be posted.
    #[must_use]
    pub fn waiting_matches(&self) -> usize {
        self.waiting.len()
    }
}
