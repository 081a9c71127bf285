//! Why a fact of finance is refused. Each says what to do; none is a half effect.

use super::action::Party;
use super::payment::PaymentState;
use super::query::QueryRefusal;
use crate::cycle::CycleState;
use crate::ids::{CycleNo, DisputeNo, ExceptionNo, PaymentNo, ProposalNo, ReportNo};
use thiserror::Error;

/// Why a fact of finance is refused: closed, with a stable [`FinanceRefusal::code`]. Amounts are micro-units; merchants are named by their slug.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum FinanceRefusal {
    /// A step without a person.
    #[error("the key has no holder: register it with the person who holds it")]
    HolderMissing,
    /// A step without a reason.
    #[error("say why: a reason is mandatory")]
    ReasonMissing,
    /// A text beyond [`super::MAX_TEXT`].
    #[error("a text is longer than {} bytes: shorten it", super::MAX_TEXT)]
    TextTooLong,
    /// Not the next number of its kind.
    #[error(
        "number {given} is not the next one, {next}: somebody else was faster, read again and repeat"
    )]
    NumberOutOfOrder {
        /// As given.
        given: u64,
        /// As it must be.
        next: u64,
    },
    /// Something is listed twice.
    #[error("something is listed twice: name each merchant and each payment once")]
    ListedTwice,
    /// A list that must name something is empty.
    #[error("nothing is listed: name at least one")]
    NothingListed,
    /// An amount of 0, with the wrong sign, beyond the bounds, or not in whole minor units where it must be.
    #[error("the amount is out of range: {0}")]
    AmountOutOfRange(&'static str),
    /// No such merchant.
    #[error("no such merchant in the alliance")]
    MerchantNotFound,
    /// The merchant's state does not allow it.
    #[error("merchant {merchant} must be {needed} for this")]
    MerchantState {
        /// Its slug.
        merchant: String,
        /// The state that it needs.
        needed: &'static str,
    },
    /// No such cycle.
    #[error("there is no cycle {}", .0.shown())]
    CycleNotFound(CycleNo),
    /// The cycle is not in the state that the step needs.
    #[error("cycle {} is {}: this needs {needed}", .cycle.shown(), .state.code())]
    CycleState {
        /// The cycle.
        cycle: CycleNo,
        /// Its state.
        state: CycleState,
        /// What the step needs.
        needed: &'static str,
    },
    /// An earlier cycle has no approved settlement yet.
    #[error("cycle {} must be settled first: cycles are settled in their order", .0.shown())]
    CycleNotNext(CycleNo),
    /// Audited before.
    #[error("cycle {} is audited already", .0.shown())]
    AlreadyAudited(CycleNo),
    /// The auditor came to other figures.
    #[error("the auditor's digest of cycle {} is not that of its closing entry: do not settle, look for the message that differs", .0.shown())]
    AuditDisagrees(CycleNo),
    /// The auditor has not passed the cycle.
    #[error("the auditor has not passed cycle {} yet: wait for it", .0.shown())]
    NotAudited(CycleNo),
    /// No such proposal.
    #[error("there is no proposal {0}")]
    ProposalNotFound(ProposalNo),
    /// It was decided before.
    #[error("proposal {0} is decided already: make a new one")]
    ProposalDecided(ProposalNo),
    /// Maker and checker are one person.
    #[error("{0} made this proposal: another person must approve it")]
    SamePerson(String),
    /// The same step waits already.
    #[error("proposal {0} for the same waits already: decide it first")]
    AlreadyProposed(ProposalNo),
    /// The settlement would be another one than the proposed.
    #[error(
        "what would be paid has changed since proposal {0} was made: reject it and propose again"
    )]
    PlanChanged(ProposalNo),
    /// More held back than is paid.
    #[error(
        "{held_back_micros} micro-units are to be held back from merchant {merchant}, but this settlement pays it {payout_micros}: hold back at most that"
    )]
    HoldbackTooLarge {
        /// Its slug.
        merchant: String,
        /// What is to be held back.
        held_back_micros: i128,
        /// What it would be paid.
        payout_micros: i128,
    },
    /// Nowhere to pay to.
    #[error("{0} has no account to be paid to: put bank_details into its terms")]
    AccountMissing(String),
    /// The settlement leaves a merchant beyond its cap.
    #[error(
        "after this settlement the exposure of merchant {merchant} would be {exposure_micros}, above its limit of {limit_micros} micro-units: hold back, ask for collateral, or propose with accept_cap_breach"
    )]
    CapExceeded {
        /// Its slug.
        merchant: String,
        /// Its exposure afterwards.
        exposure_micros: i128,
        /// Cap plus collateral.
        limit_micros: i128,
    },
    /// The netting refused its input.
    #[error("the netting method cannot be used: {0}")]
    Netting(String),
    /// The certificate of a netting result does not hold: a fault of the program.
    #[error(
        "the certificate of the netting result does not hold ({0}): choose another method and report this"
    )]
    CertificateInvalid(String),
    /// No such payment.
    #[error("there is no payment {0}")]
    PaymentNotFound(PaymentNo),
    /// The payment is not in the state that the step needs.
    #[error("payment {payment} is {}: this needs {needed}", .state.code())]
    PaymentState {
        /// The payment.
        payment: PaymentNo,
        /// Its state.
        state: PaymentState,
        /// What the step needs.
        needed: &'static str,
    },
    /// A bank report that is not posted yet speaks of the payment.
    #[error("bank report {report} speaks of payment {payment} and is not posted: post it first")]
    ReportOpen {
        /// The payment.
        payment: PaymentNo,
        /// The report.
        report: ReportNo,
    },
    /// A settlement of which something was submitted cannot be given up.
    #[error("payments of cycle {} were submitted: carry single payments forward instead", .0.shown())]
    SettlementUnderWay(CycleNo),
    /// No such report.
    #[error("there is no bank report {0}")]
    ReportNotFound(ReportNo),
    /// The same file again.
    #[error("this file is bank report {0} already; nothing changed")]
    ReportAlreadyImported(ReportNo),
    /// Posted before.
    #[error("bank report {0} is posted already")]
    ReportAlreadyPosted(ReportNo),
    /// It has nothing to post.
    #[error("bank report {0} matches no payment: there is nothing to post")]
    NothingToPost(ReportNo),
    /// A report of an account that is nobody's here.
    #[error("account {0} is neither the hub's nor a merchant's: this is not our bank's file")]
    ForeignAccount(String),
    /// A report that contradicts itself or the payments as they stand.
    #[error(
        "the bank report does not fit: {0}. Nothing was imported; read and match the file again"
    )]
    ReportUnfit(ReportFault),
    /// No such exception.
    #[error("there is no exception {0}")]
    ExceptionNotFound(ExceptionNo),
    /// It is closed.
    #[error("exception {0} is closed already")]
    ExceptionClosed(ExceptionNo),
    /// Payments that the exception's entry cannot confirm.
    #[error("exception {exception} cannot be matched with these payments: {fault}")]
    MatchUnfit {
        /// The exception.
        exception: ExceptionNo,
        /// Why.
        fault: ReportFault,
    },
    /// More than is held back.
    #[error(
        "{held_back_micros} micro-units of merchant {merchant} are held back: release at most that"
    )]
    NotHeldBack {
        /// Its slug.
        merchant: String,
        /// What is held back.
        held_back_micros: i128,
    },
    /// More than the merchant owes.
    #[error(
        "merchant {merchant} owes {owed_micros} micro-units in unpaid payments and brought forward: share at most that"
    )]
    NotOwed {
        /// Its slug.
        merchant: String,
        /// What it owes.
        owed_micros: i128,
    },
    /// A prepaid pack's reference was used before.
    #[error(
        "reference \"{0}\" was used for this merchant before: the same money is not booked twice"
    )]
    ReferenceTaken(String),
    /// An adjustment that lacks what its reason needs, or names what it may not.
    #[error("the adjustment is incomplete: {0}")]
    AdjustmentUnfit(&'static str),
    /// What is referred to is not there.
    #[error("the original is not there: {0}")]
    OriginalNotFound(&'static str),
    /// No such dispute.
    #[error("there is no dispute {0}")]
    DisputeNotFound(DisputeNo),
    /// The dispute is not in the state that the step needs.
    #[error("dispute {dispute} is {state}: this needs {needed}")]
    DisputeState {
        /// The dispute.
        dispute: DisputeNo,
        /// Its state at this instant.
        state: &'static str,
        /// What the step needs.
        needed: &'static str,
    },
    /// The contract allows no disputes.
    #[error("the contract of merchant {0} allows no disputes")]
    DisputesExcluded(String),
    /// The time limit has passed.
    #[error("the time limit has passed: it was {deadline_micros} microseconds since 1970")]
    DisputeTooLate {
        /// First instant behind the limit, microseconds since 1970.
        deadline_micros: i64,
    },
    /// Too many attachments.
    #[error("a dispute or a query has at most {} attachments", super::MAX_EVIDENCE)]
    TooMuchEvidence,
    /// Of a query.
    #[error(transparent)]
    Query(#[from] QueryRefusal),
}

/// What is wrong with a bank report, or with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum ReportFault {
    /// Entry numbers are not 1, 2, 3...
    #[error("entry {0} is not in its place")]
    EntryOrder(u32),
    /// An entry that the report does not have.
    #[error("entry {0} is not in the report")]
    EntryUnknown(u32),
    /// An entry in two matches, or in a match and an exception.
    #[error("entry {0} is accounted for twice")]
    EntryTwice(u32),
    /// An entry in no match and no exception.
    #[error("entry {0} is in no match and no exception")]
    EntryUnaccounted(u32),
    /// A payment that does not exist.
    #[error("payment {0} does not exist")]
    PaymentUnknown(PaymentNo),
    /// A payment in two matches.
    #[error("payment {0} is in two matches")]
    PaymentTwice(PaymentNo),
    /// The payment's state does not fit what the bank says.
    #[error("payment {0} is in a state in which the bank cannot say this")]
    PaymentState(PaymentNo),
    /// The payment does not touch the account that the report is about.
    #[error("payment {0} does not touch this account")]
    OtherAccount(PaymentNo),
    /// Amounts differ.
    #[error(
        "payments come to {payments_micros}, entries to {entries_micros} micro-units (+ = money came in)"
    )]
    Amount {
        /// Sum of the payments as this account sees them.
        payments_micros: i128,
        /// Sum of the entries.
        entries_micros: i128,
    },
    /// A difference that cannot be brought forward, because it is not one merchant's.
    #[error(
        "payments come to {payments_micros}, the entry to {entries_micros} micro-units, and they are not payments between the hub and one merchant in that direction"
    )]
    Difference {
        /// Sum of the payments as this account sees them.
        payments_micros: i128,
        /// The entry.
        entries_micros: i128,
    },
    /// A payment that the exception does not name.
    #[error("payment {0} is not the one that it is about")]
    NotNamed(PaymentNo),
    /// A status other than ACCEPTED and REJECTED.
    #[error("a bank's status is ACCEPTED or REJECTED")]
    Status,
}

impl FinanceRefusal {
    /// The stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::HolderMissing => "HOLDER_MISSING",
            Self::ReasonMissing => "REASON_MISSING",
            Self::TextTooLong => "TEXT_TOO_LONG",
            Self::NumberOutOfOrder { .. } => "NUMBER_OUT_OF_ORDER",
            Self::ListedTwice => "LISTED_TWICE",
            Self::NothingListed => "NOTHING_LISTED",
            Self::AmountOutOfRange(_) => "AMOUNT_OUT_OF_RANGE",
            Self::MerchantNotFound => "MERCHANT_NOT_FOUND",
            Self::MerchantState { .. } => "MERCHANT_STATE",
            Self::CycleNotFound(_) => "CYCLE_NOT_FOUND",
            Self::CycleState { .. } => "CYCLE_STATE",
            Self::CycleNotNext(_) => "CYCLE_NOT_NEXT",
            Self::AlreadyAudited(_) => "ALREADY_AUDITED",
            Self::AuditDisagrees(_) => "AUDIT_DISAGREES",
            Self::NotAudited(_) => "NOT_AUDITED",
            Self::ProposalNotFound(_) => "PROPOSAL_NOT_FOUND",
            Self::ProposalDecided(_) => "PROPOSAL_DECIDED",
            Self::SamePerson(_) => "SAME_PERSON",
            Self::AlreadyProposed(_) => "ALREADY_PROPOSED",
            Self::PlanChanged(_) => "PLAN_CHANGED",
            Self::HoldbackTooLarge { .. } => "HOLDBACK_TOO_LARGE",
            Self::AccountMissing(_) => "ACCOUNT_MISSING",
            Self::CapExceeded { .. } => "CAP_EXCEEDED",
            Self::Netting(_) => "NETTING",
            Self::CertificateInvalid(_) => "CERTIFICATE_INVALID",
            Self::PaymentNotFound(_) => "PAYMENT_NOT_FOUND",
            Self::PaymentState { .. } => "PAYMENT_STATE",
            Self::ReportOpen { .. } => "REPORT_OPEN",
            Self::SettlementUnderWay(_) => "SETTLEMENT_UNDER_WAY",
            Self::ReportNotFound(_) => "REPORT_NOT_FOUND",
            Self::ReportAlreadyImported(_) => "REPORT_ALREADY_IMPORTED",
            Self::ReportAlreadyPosted(_) => "REPORT_ALREADY_POSTED",
            Self::NothingToPost(_) => "NOTHING_TO_POST",
            Self::ForeignAccount(_) => "FOREIGN_ACCOUNT",
            Self::ReportUnfit(_) => "REPORT_UNFIT",
            Self::ExceptionNotFound(_) => "EXCEPTION_NOT_FOUND",
            Self::ExceptionClosed(_) => "EXCEPTION_CLOSED",
            Self::MatchUnfit { .. } => "MATCH_UNFIT",
            Self::NotHeldBack { .. } => "NOT_HELD_BACK",
            Self::NotOwed { .. } => "NOT_OWED",
            Self::ReferenceTaken(_) => "REFERENCE_TAKEN",
            Self::AdjustmentUnfit(_) => "ADJUSTMENT_UNFIT",
            Self::OriginalNotFound(_) => "ORIGINAL_NOT_FOUND",
            Self::DisputeNotFound(_) => "DISPUTE_NOT_FOUND",
            Self::DisputeState { .. } => "DISPUTE_STATE",
            Self::DisputesExcluded(_) => "DISPUTES_EXCLUDED",
            Self::DisputeTooLate { .. } => "DISPUTE_TOO_LATE",
            Self::TooMuchEvidence => "TOO_MUCH_EVIDENCE",
            Self::Query(refusal) => refusal.code(),
        }
    }
}

/// A party as refusals name it.
pub(crate) fn named(global: &crate::global::Global, party: Party) -> String {
    match party {
        Party::Hub => "the hub".to_owned(),
        Party::Merchant(merchant) => global
            .merchant(merchant)
            .map_or_else(|| merchant.to_string(), |m| m.slug.clone()),
    }
}

/// `Ok` where something holds.
pub(crate) fn ensure(
    holds: bool,
    refusal: impl FnOnce() -> FinanceRefusal,
) -> Result<(), FinanceRefusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}
