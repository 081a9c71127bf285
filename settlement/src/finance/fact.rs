//! Facts of finance: entries of the hub that carry its work. Validated against the state, applied when they take their place in the log, and
//! applied again on restart; nothing about them is decided anywhere else.

use super::action::{Action, Adjustment, OriginalReference};
use super::case::Evidence;
use super::query::QueryFact;
use super::report::ReportFact;
use crate::ids::{CycleNo, DisputeNo, ExceptionNo, MerchantIx, PaymentNo, ProposalNo};
use serde::{Deserialize, Serialize};

/// The person behind the key that asked for a step. Two keys of one person are one actor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The key's holder.
    pub holder: String,
}

impl Actor {
    /// A person.
    #[must_use]
    pub fn new(holder: impl Into<String>) -> Self {
        Self {
            holder: holder.into(),
        }
    }
}

/// A fact of finance. Numbers that a fact brings are the next ones of their kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinanceFact {
    /// The auditor has come to the same figures for a cycle.
    CycleAudited {
        /// The cycle.
        cycle: CycleNo,
        /// SHA-256 of the canonical bytes that it agreed with.
        digest: [u8; 32],
        /// Number of leading entries that it had audited.
        audited_size: u64,
    },
    /// A step that moves money, proposed.
    ProposalMade {
        /// The next number.
        proposal: ProposalNo,
        /// What it would do.
        action: Action,
        /// Why.
        reason: String,
        /// The maker.
        actor: Actor,
    },
    /// A proposal, decided. An approval is carried out by this entry; a refusal by the maker itself is a withdrawal.
    ProposalDecided {
        /// The proposal.
        proposal: ProposalNo,
        /// Approved, or not.
        approved: bool,
        /// Why.
        reason: String,
        /// The checker.
        actor: Actor,
    },
    /// Payments, handed to a bank or asked for from their payer.
    PaymentsSubmitted {
        /// The payments; PENDING.
        payments: Vec<PaymentNo>,
        /// SHA-256 of the payment file; `None` where the payer was only asked.
        file_sha256: Option<[u8; 32]>,
        /// Who did it.
        actor: Actor,
    },
    /// What a bank said, as it was read and matched. Moves no money.
    BankReportImported {
        /// The report.
        report: Box<ReportFact>,
        /// Who imported it.
        actor: Actor,
    },
    /// An exception, explained.
    ExceptionExplained {
        /// The exception.
        exception: ExceptionNo,
        /// Why no money hangs on it.
        explanation: String,
        /// Who says so.
        actor: Actor,
    },
    /// A dispute, raised by a merchant.
    DisputeRaised {
        /// The next number.
        dispute: DisputeNo,
        /// Who.
        merchant: MerchantIx,
        /// Over what: a line of a closed cycle's statement, or an entry of it.
        original: OriginalReference,
        /// What the merchant says that its net should change by, micro-units.
        claimed_micros: i64,
        /// In words.
        text: String,
        /// Attachments, without content.
        evidence: Vec<Evidence>,
    },
    /// A dispute, answered by finance.
    DisputeAnswered {
        /// The dispute.
        dispute: DisputeNo,
        /// The adjustment that is proposed with an acceptance, made by who answers; `None` = rejected.
        adjustment: Option<Adjustment>,
        /// In words.
        answer: String,
        /// Who answers.
        actor: Actor,
    },
    /// A dispute, taken to a ruling by the merchant.
    DisputeEscalated {
        /// The dispute.
        dispute: DisputeNo,
        /// In words.
        text: String,
        /// More attachments, without content.
        evidence: Vec<Evidence>,
    },
    /// A dispute, ruled.
    DisputeRuled {
        /// The dispute.
        dispute: DisputeNo,
        /// The adjustment that is proposed where it is upheld; `None` = not upheld.
        adjustment: Option<Adjustment>,
        /// In words.
        ruling: String,
        /// Who rules; not who rejected it.
        actor: Actor,
    },
    /// A step of a query over a commission.
    Query(QueryFact),
}
