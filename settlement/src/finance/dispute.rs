//! Disputes over lines of closed cycles: RAISED -> ACCEPTED | REJECTED -> ESCALATED -> RULED; silence lapses. Deadlines are instants that a step is
//! compared with when it is decided; nothing sweeps them. A dispute never holds a cycle up: what comes of it is an adjustment.

use super::action::{Adjustment, OriginalReference, Party};
use super::adjustment::Basis;
use super::case::{ESCALABLE, Evidence, check_more_evidence, in_time, may_escalate};
use super::fact::Actor;
use super::refusal::{FinanceRefusal, ensure, named};
use super::trail::Step;
use super::{Finance, check_actor, check_number};
use crate::global::Global;
use crate::ids::{DisputeNo, Instant, MerchantIx, ProposalNo};
use crate::message::Context;
use crate::money::MAX_AMOUNT_MICROS;
use serde::{Deserialize, Serialize};

/// State of a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DisputeState {
    /// Waits for finance's answer.
    Raised,
    /// Accepted; an adjustment was proposed.
    Accepted,
    /// Rejected; the merchant may escalate.
    Rejected,
    /// Waits for a ruling.
    Escalated,
    /// Ruled.
    Ruled,
    /// Nobody acted inside the time limit: a rejection stands, a dispute that nobody answered is the merchant's to escalate. Only told, never
    /// stored.
    Lapsed,
}

impl DisputeState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Raised => "RAISED",
            Self::Accepted => "ACCEPTED",
            Self::Rejected => "REJECTED",
            Self::Escalated => "ESCALATED",
            Self::Ruled => "RULED",
            Self::Lapsed => "LAPSED",
        }
    }

    /// What is told of it at an instant: silence lapses.
    pub(super) fn told(self, deadline: Option<Instant>, at: Instant) -> Self {
        match self {
            Self::Raised | Self::Rejected if deadline.is_some_and(|deadline| at >= deadline) => {
                Self::Lapsed
            }
            state => state,
        }
    }
}

/// A dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Running number.
    pub number: DisputeNo,
    /// Who raised it.
    pub merchant: MerchantIx,
    /// What it is over.
    pub original: OriginalReference,
    /// What the merchant says that its net should change by, micro-units.
    pub claimed_micros: i64,
    /// The merchant's words; on escalation more are added on a line of their own.
    pub text: String,
    /// Attachments.
    pub evidence: Vec<Evidence>,
    /// The last step that was taken; [`Dispute::state_at`] knows about silence.
    pub state: DisputeState,
    /// Until when the next step must be taken; `None` when there is no limit.
    pub deadline: Option<Instant>,
    /// Finance's answer, then the ruling.
    pub answer: String,
    /// Who answered.
    pub answered_by: String,
    /// The adjustment's proposal.
    pub proposal: Option<ProposalNo>,
    /// The approved proposal that adjusted it.
    pub adjusted_by: Option<ProposalNo>,
    /// When it was raised.
    pub raised_at: Instant,
    /// A ruling for the merchant.
    pub upheld: bool,
    /// Who ruled.
    pub ruled_by: String,
}

impl Dispute {
    /// Where it stands at an instant.
    #[must_use]
    pub fn state_at(&self, at: Instant) -> DisputeState {
        self.state.told(self.deadline, at)
    }
}

impl Finance {
    /// Disputes, by number.
    #[must_use]
    pub fn disputes(&self) -> &[Dispute] {
        &self.disputes
    }

    /// A dispute.
    #[must_use]
    pub fn dispute(&self, number: DisputeNo) -> Option<&Dispute> {
        self.disputes.get((number.0 as usize).checked_sub(1)?)
    }

    /// The next dispute's number.
    #[must_use]
    pub fn next_dispute(&self) -> DisputeNo {
        DisputeNo(self.disputes.len() as u32 + 1)
    }
}

impl Global {
    pub(crate) fn check_dispute(
        &self,
        number: DisputeNo,
        merchant: MerchantIx,
        original: &OriginalReference,
        claimed_micros: i64,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        check_number(number.0, self.finance.disputes.len())?;
        ensure(self.merchant(merchant).is_some(), || {
            FinanceRefusal::MerchantNotFound
        })?;
        ensure(
            claimed_micros != 0
                && claimed_micros.unsigned_abs() <= MAX_AMOUNT_MICROS.unsigned_abs(),
            || {
                FinanceRefusal::AmountOutOfRange(
                    "a claim is not 0 and at most a thousand million units",
                )
            },
        )?;
        let (Some(cycle), true) = (
            original.cycle,
            original.line.is_some() || original.leaf.is_some(),
        ) else {
            return Err(FinanceRefusal::OriginalNotFound(
                "name the cycle, and the line or the entry",
            ));
        };
        self.check_original(merchant, original)?;
        let days = self.dispute_days(merchant, ctx.decided_at);
        ensure(days > 0, || {
            FinanceRefusal::DisputesExcluded(named(self, Party::Merchant(merchant)))
        })?;
        let closed_at = self.cycle(cycle).and_then(|totals| totals.closes_at);
        let deadline = self.limit(closed_at.unwrap_or(Instant::MIN), days);
        in_time(ctx.decided_at, Some(deadline), too_late)
    }

    pub(crate) fn raise(
        &mut self,
        merchant: MerchantIx,
        original: &OriginalReference,
        claimed_micros: i64,
        text: &str,
        evidence: &[Evidence],
        ctx: &Context,
    ) {
        let number = self.finance.next_dispute();
        let at = ctx.decided_at;
        let deadline = self.limit(at, self.dispute_days(merchant, at));
        self.finance.disputes.push(Dispute {
            number,
            merchant,
            original: *original,
            claimed_micros,
            text: text.to_owned(),
            evidence: evidence.to_vec(),
            state: DisputeState::Raised,
            deadline: Some(deadline),
            answer: String::new(),
            answered_by: String::new(),
            proposal: None,
            adjusted_by: None,
            raised_at: at,
            upheld: false,
            ruled_by: String::new(),
        });
        let who = named(self, Party::Merchant(merchant));
        self.trace(&who, Step::DisputeRaised(number), ctx);
    }

    fn existing_dispute(&self, number: DisputeNo) -> Result<&Dispute, FinanceRefusal> {
        self.finance
            .dispute(number)
            .ok_or(FinanceRefusal::DisputeNotFound(number))
    }

    /// Finance may answer for as long as the merchant has not escalated, late or not.
    pub(crate) fn check_answer(
        &self,
        number: DisputeNo,
        adjustment: Option<&Adjustment>,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        let dispute = self.existing_dispute(number)?;
        ensure(dispute.state == DisputeState::Raised, || {
            refused_state(dispute, ctx.decided_at, "RAISED")
        })?;
        self.check_remedy(number, adjustment)
    }

    fn check_remedy(
        &self,
        number: DisputeNo,
        adjustment: Option<&Adjustment>,
    ) -> Result<(), FinanceRefusal> {
        let Some(adjustment) = adjustment else {
            return Ok(());
        };
        ensure(adjustment.dispute == Some(number), || {
            FinanceRefusal::AdjustmentUnfit("it must name the dispute that it answers")
        })?;
        self.check_adjustment(adjustment, Some(Basis::Dispute(number)))
    }

    pub(crate) fn answer(
        &mut self,
        number: DisputeNo,
        adjustment: Option<&Adjustment>,
        answer: &str,
        actor: &Actor,
        ctx: &Context,
    ) {
        self.trace(&actor.holder, Step::DisputeAnswered(number), ctx);
        let proposal = self.propose_remedy(adjustment.copied(), answer, actor, ctx);
        let at = ctx.decided_at;
        let merchant = self.finance.dispute(number).map(|d| d.merchant);
        let deadline = merchant.map(|m| self.limit(at, self.dispute_days(m, at)));
        if let Some(dispute) = self.dispute_mut(number) {
            (dispute.state, dispute.deadline) = match adjustment {
                Some(_) => (DisputeState::Accepted, None),
                None => (DisputeState::Rejected, deadline),
            };
            answer.clone_into(&mut dispute.answer);
            dispute.answered_by.clone_from(&actor.holder);
            dispute.proposal = proposal;
        }
    }

    /// A merchant escalates a rejection in time, or a dispute that nobody answered in time.
    pub(crate) fn check_escalation(
        &self,
        number: DisputeNo,
        evidence: &[Evidence],
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        let dispute = self.existing_dispute(number)?;
        let at = ctx.decided_at;
        if !may_escalate(dispute.state, dispute.deadline, at) {
            in_time(
                at,
                dispute
                    .deadline
                    .filter(|_| dispute.state == DisputeState::Rejected),
                too_late,
            )?;
            return Err(refused_state(dispute, at, ESCALABLE));
        }
        check_more_evidence(&dispute.evidence, evidence)
    }

    pub(crate) fn escalate(
        &mut self,
        number: DisputeNo,
        text: &str,
        evidence: &[Evidence],
        ctx: &Context,
    ) {
        let Some(dispute) = self.dispute_mut(number) else {
            return;
        };
        dispute.state = DisputeState::Escalated;
        dispute.deadline = None;
        dispute.text.push('\n');
        dispute.text.push_str(text);
        dispute.evidence.extend_from_slice(evidence);
        let merchant = dispute.merchant;
        let who = named(self, Party::Merchant(merchant));
        self.trace(&who, Step::DisputeEscalated(number), ctx);
    }

    /// Somebody else than who rejected it rules.
    pub(crate) fn check_ruling(
        &self,
        number: DisputeNo,
        adjustment: Option<&Adjustment>,
        actor: &Actor,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        check_actor(actor)?;
        let dispute = self.existing_dispute(number)?;
        ensure(dispute.state == DisputeState::Escalated, || {
            refused_state(dispute, ctx.decided_at, "ESCALATED")
        })?;
        ensure(dispute.answered_by != actor.holder, || {
            FinanceRefusal::SamePerson(actor.holder.clone())
        })?;
        self.check_remedy(number, adjustment)
    }

    pub(crate) fn rule(
        &mut self,
        number: DisputeNo,
        adjustment: Option<&Adjustment>,
        ruling: &str,
        actor: &Actor,
        ctx: &Context,
    ) {
        self.trace(&actor.holder, Step::DisputeRuled(number), ctx);
        let proposal = self.propose_remedy(adjustment.copied(), ruling, actor, ctx);
        if let Some(dispute) = self.dispute_mut(number) {
            dispute.state = DisputeState::Ruled;
            dispute.upheld = adjustment.is_some();
            ruling.clone_into(&mut dispute.answer);
            dispute.ruled_by.clone_from(&actor.holder);
            dispute.proposal = proposal;
        }
    }

    pub(crate) fn dispute_mut(&mut self, number: DisputeNo) -> Option<&mut Dispute> {
        self.finance
            .disputes
            .get_mut((number.0 as usize).checked_sub(1)?)
    }
}

fn too_late(deadline: Instant) -> FinanceRefusal {
    FinanceRefusal::DisputeTooLate {
        deadline_micros: deadline.0,
    }
}

fn refused_state(dispute: &Dispute, at: Instant, needed: &'static str) -> FinanceRefusal {
    FinanceRefusal::DisputeState {
        dispute: dispute.number,
        state: dispute.state_at(at).code(),
        needed,
    }
}
