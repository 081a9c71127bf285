//! What disputes and queries have in common: attachments, time limits, who may escalate, and that a remedy is proposed.

use super::action::{Action, Adjustment};
use super::check_text;
use super::dispute::DisputeState;
use super::fact::Actor;
use super::refusal::{FinanceRefusal, ensure};
use crate::global::Global;
use crate::ids::{Instant, MerchantIx, ProposalNo};
use crate::message::Context;
use serde::{Deserialize, Serialize};

/// Most attachments of a dispute or a query.
pub const MAX_EVIDENCE: usize = 8;

/// The state that an escalation needs, for refusals.
pub(super) const ESCALABLE: &str = "REJECTED, or RAISED without an answer in time";

/// An attachment; its content is kept beside the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Name, for people.
    pub file_name: String,
    /// Media type.
    pub media_type: String,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// Size in bytes.
    pub size: u64,
}

/// Attachments within their number, with names and types within the bounds of a text.
pub(super) fn check_evidence(evidence: &[Evidence]) -> Result<(), FinanceRefusal> {
    ensure(evidence.len() <= MAX_EVIDENCE, || {
        FinanceRefusal::TooMuchEvidence
    })?;
    evidence.iter().try_for_each(|one| {
        check_text(&one.file_name)?;
        check_text(&one.media_type)
    })
}

/// The same of attachments that come to others.
pub(super) fn check_more_evidence(
    before: &[Evidence],
    more: &[Evidence],
) -> Result<(), FinanceRefusal> {
    check_evidence(more)?;
    ensure(before.len() + more.len() <= MAX_EVIDENCE, || {
        FinanceRefusal::TooMuchEvidence
    })
}

/// A rejection in time, or silence.
pub(super) fn may_escalate(state: DisputeState, deadline: Option<Instant>, at: Instant) -> bool {
    matches!(
        (state, state.told(deadline, at)),
        (DisputeState::Rejected, DisputeState::Rejected)
            | (DisputeState::Raised, DisputeState::Lapsed)
    )
}

/// `Ok` before the deadline.
pub(super) fn in_time(
    at: Instant,
    deadline: Option<Instant>,
    too_late: impl FnOnce(Instant) -> FinanceRefusal,
) -> Result<(), FinanceRefusal> {
    match deadline.filter(|deadline| at >= *deadline) {
        None => Ok(()),
        Some(deadline) => Err(too_late(deadline)),
    }
}

impl Global {
    /// Days of a merchant's contract for each step; 0: it excludes them.
    pub(super) fn dispute_days(&self, merchant: MerchantIx, at: Instant) -> u32 {
        self.contract(merchant, at)
            .map_or(0, |(_, terms)| terms.dispute_days)
    }

    /// 00:00 of the date of `from` + days + 1, in the programme's zone: whole days.
    pub(super) fn limit(&self, from: Instant, days: u32) -> Instant {
        self.programme(from)
            .zone
            .midnight_after_days(from, days + 1)
    }

    /// What was granted is proposed by who granted it; another person approves.
    pub(super) fn propose_remedy(
        &mut self,
        adjustment: Option<Adjustment>,
        reason: &str,
        actor: &Actor,
        ctx: &Context,
    ) -> Option<ProposalNo> {
        let action = Action::Adjustment(adjustment?);
        let number = self.finance.next_proposal();
        self.propose(&action, reason, actor, ctx);
        Some(number)
    }
}
