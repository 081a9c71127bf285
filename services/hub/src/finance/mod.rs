//! Finance between the wire and the ledger: facts and actions read, nouns shown, payment files made, bank files matched.
//!
//! - [`read`] - actions and facts of the contract as the ledger has them
//! - [`show`] - the ledger's nouns as the contract has them
//! - [`order`] - the payment file of one payer in one cycle
//! - [`import`] - a bank's file, matched against the payments
//!
//! Decides nothing: what a fact may do is the ledger's to say. May not: read a clock or a database.

pub mod import;
pub mod order;
pub mod read;
pub mod show;

use hansa_settlement::{
    Global, Instant, MerchantIx,
    finance::{FinanceRefusal, Party, QueryRefusal},
};
use tonic::Code;

use crate::{
    error::{HubError, Reason},
    registry::Registry,
};

/// Micro-units as the wire has them. The ledger's bounds keep every total far below this.
pub fn wire(micros: i128) -> Result<i64, HubError> {
    i64::try_from(micros).map_err(|_| HubError::internal("a total does not fit into 64 bits"))
}

/// Id of a merchant; empty for the hub.
pub fn party_id(registry: &Registry, party: Party) -> String {
    party
        .merchant()
        .map(|merchant| registry.slug(merchant.0).to_owned())
        .unwrap_or_default()
}

/// A party of its id; empty is the hub. `None`: no such merchant.
pub fn party(registry: &Registry, id: &str) -> Option<Party> {
    if id.is_empty() {
        return Some(Party::Hub);
    }
    registry
        .merchant(id)
        .map(|index| Party::Merchant(MerchantIx(index)))
}

/// The ledger's refusal as a call is answered with it: its own stable name.
pub fn refused(refusal: &FinanceRefusal) -> HubError {
    let reason = Reason::Ledger {
        code: refusal.code(),
        status: status_of(refusal),
    };
    HubError::new(reason, refusal.to_string())
}

/// What the caller got wrong is INVALID_ARGUMENT, what is not there NOT_FOUND, what another person must do
/// PERMISSION_DENIED; what the state does not allow, FAILED_PRECONDITION.
fn status_of(refusal: &FinanceRefusal) -> Code {
    use FinanceRefusal as R;
    match refusal {
        R::HolderMissing
        | R::ReasonMissing
        | R::TextTooLong
        | R::ListedTwice
        | R::NothingListed
        | R::AmountOutOfRange(_)
        | R::AdjustmentUnfit(_)
        | R::TooMuchEvidence => Code::InvalidArgument,
        R::MerchantNotFound
        | R::CycleNotFound(_)
        | R::ProposalNotFound(_)
        | R::PaymentNotFound(_)
        | R::ReportNotFound(_)
        | R::ExceptionNotFound(_)
        | R::OriginalNotFound(_)
        | R::DisputeNotFound(_) => Code::NotFound,
        R::SamePerson(_) => Code::PermissionDenied,
        R::NumberOutOfOrder { .. }
        | R::MerchantState { .. }
        | R::CycleState { .. }
        | R::CycleNotNext(_)
        | R::AlreadyAudited(_)
        | R::AuditDisagrees(_)
        | R::NotAudited(_)
        | R::ProposalDecided(_)
        | R::AlreadyProposed(_)
        | R::PlanChanged(_)
        | R::HoldbackTooLarge { .. }
        | R::AccountMissing(_)
        | R::CapExceeded { .. }
        | R::Netting(_)
        | R::CertificateInvalid(_)
        | R::PaymentState { .. }
        | R::ReportOpen { .. }
        | R::SettlementUnderWay(_)
        | R::ReportAlreadyImported(_)
        | R::ReportAlreadyPosted(_)
        | R::NothingToPost(_)
        | R::ForeignAccount(_)
        | R::ReportUnfit(_)
        | R::ExceptionClosed(_)
        | R::MatchUnfit { .. }
        | R::NotHeldBack { .. }
        | R::NotOwed { .. }
        | R::ReferenceTaken(_)
        | R::DisputeState { .. }
        | R::DisputesExcluded(_)
        | R::DisputeTooLate { .. } => Code::FailedPrecondition,
        R::Query(refusal) => match refusal {
            QueryRefusal::Unfit(_) => Code::InvalidArgument,
            QueryRefusal::NotFound(_) => Code::NotFound,
            QueryRefusal::State { .. }
            | QueryRefusal::Excluded(_)
            | QueryRefusal::TooLate { .. }
            | QueryRefusal::Open(_) => Code::FailedPrecondition,
        },
    }
}

/// The method of a settlement that names none: the programme's.
pub fn default_method(global: &Global, at: i64) -> hansa_settlement::finance::NettingMethod {
    global.programme(Instant(at)).settlement.method
}
