//! Proposals: every step that moves money is made by one person and approved by another. What an action needs is checked when it is proposed
//! and again when it is approved; only the approval carries it out.

use super::action::{Action, SettleCycle};
use super::fact::Actor;
use super::plan::Plan;
use super::refusal::{FinanceRefusal, ensure, named};
use super::trail::Step;
use super::{Finance, check_list, check_number, check_positive, check_step, check_words};
use crate::cycle::CycleState;
use crate::finance::{CarryCause, ExceptionState, Party, PaymentState};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx, ProposalNo};
use crate::message::Context;
use crate::terms::MerchantState;
use serde::{Deserialize, Serialize};

/// State of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProposalState {
    /// Waits for another person.
    Pending,
    /// Approved and carried out.
    Approved,
    /// Refused by another person.
    Rejected,
    /// Taken back by its maker.
    Withdrawn,
}

impl ProposalState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }
}

/// How a proposal was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// By whom.
    pub checker: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Instant,
    /// The entry that holds it.
    pub seq: u64,
}

/// A step that moves money, as it was proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Running number.
    pub number: ProposalNo,
    /// What it would do.
    pub action: Action,
    /// State.
    pub state: ProposalState,
    /// The maker's reason.
    pub reason: String,
    /// Who made it.
    pub maker: String,
    /// When.
    pub made_at: Instant,
    /// The entry that holds it.
    pub made_seq: u64,
    /// How it was decided; `None` while it waits.
    pub decision: Option<Decision>,
}

/// At which of the two looks an action is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Proposed,
    Approved(ProposalNo),
}

impl Finance {
    /// All proposals, by number.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// A proposal.
    #[must_use]
    pub fn proposal(&self, number: ProposalNo) -> Option<&Proposal> {
        self.proposals.get((number.0 as usize).checked_sub(1)?)
    }

    /// Proposals that wait.
    pub fn pending(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals
            .iter()
            .filter(|proposal| proposal.state == ProposalState::Pending)
    }

    /// The next proposal's number.
    #[must_use]
    pub fn next_proposal(&self) -> ProposalNo {
        ProposalNo(self.proposals.len() as u32 + 1)
    }
}

impl Global {
    pub(crate) fn check_proposal(
        &self,
        number: ProposalNo,
        action: &Action,
        reason: &str,
        actor: &Actor,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        check_step(reason, actor)?;
        check_number(number.0, self.finance.proposals.len())?;
        self.check_alone(action)?;
        self.check_action(action, Stage::Proposed, ctx.decided_at)
            .map(drop)
    }

    /// No other proposal for the same waits.
    fn check_alone(&self, action: &Action) -> Result<(), FinanceRefusal> {
        match self.finance.pending().find(|p| p.action.collides(action)) {
            None => Ok(()),
            Some(other) => Err(FinanceRefusal::AlreadyProposed(other.number)),
        }
    }

    pub(crate) fn check_decision(
        &self,
        number: ProposalNo,
        approved: bool,
        reason: &str,
        actor: &Actor,
        ctx: &Context,
    ) -> Result<Option<Plan>, FinanceRefusal> {
        check_step(reason, actor)?;
        let proposal = self
            .finance
            .proposal(number)
            .ok_or(FinanceRefusal::ProposalNotFound(number))?;
        ensure(proposal.state == ProposalState::Pending, || {
            FinanceRefusal::ProposalDecided(number)
        })?;
        if !approved {
            return Ok(None);
        }
        ensure(proposal.maker != actor.holder, || {
            FinanceRefusal::SamePerson(actor.holder.clone())
        })?;
        self.check_action(&proposal.action, Stage::Approved(number), ctx.decided_at)
    }

    /// What an action needs, when it is proposed and when it is approved. Answers the plan of a settlement.
    fn check_action(
        &self,
        action: &Action,
        stage: Stage,
        at: Instant,
    ) -> Result<Option<Plan>, FinanceRefusal> {
        match action {
            Action::SettleCycle(settle) => return self.check_settle(settle, stage, at).map(Some),
            Action::AbortSettlement { cycle } => self.check_abort(*cycle),
            Action::Adjustment(adjustment) => self.check_adjustment(adjustment, None),
            Action::ReinstructPayment { payment } => self.reinstructible(*payment, at),
            Action::CarryForwardPayment { payment } => self.can_carry_forward(*payment),
            Action::PostReconciliation { report } => self.check_posting(*report),
            Action::MatchException {
                exception,
                payments,
            } => {
                check_list(payments)?;
                self.check_match(*exception, payments).map(drop)
            }
            Action::ReleaseHoldback {
                merchant,
                amount_micros,
            } => self.check_release(*merchant, *amount_micros),
            Action::DeclareDefault {
                merchant,
                amount_micros,
            } => self.check_default(*merchant, *amount_micros, at).map(drop),
            Action::PrepaidPack {
                merchant,
                amount_micros,
                reference,
            } => self.check_prepaid(*merchant, *amount_micros, reference),
            Action::PrefundPoints { merchant } => self.check_prefunding(*merchant),
        }?;
        Ok(None)
    }

    /// A settlement: the next cycle in order; at its approval audited, with accounts for all who are paid, within caps, and still what was
    /// proposed.
    fn check_settle(
        &self,
        settle: &SettleCycle,
        stage: Stage,
        at: Instant,
    ) -> Result<Plan, FinanceRefusal> {
        let needed = match stage {
            Stage::Proposed => CycleState::Closed,
            Stage::Approved(_) => CycleState::PendingApproval,
        };
        self.check_order(settle.cycle, needed)?;
        let plan = self.plan(settle, at)?;
        if let Stage::Approved(number) = stage {
            self.check_ready(&plan, at).map_or(Ok(()), Err)?;
            let proposed = self.finance.proposed_plan.as_deref();
            ensure(proposed.is_some_and(|p| p.is_same(&plan, self)), || {
                FinanceRefusal::PlanChanged(number)
            })?;
        }
        Ok(plan)
    }

    fn check_ready(&self, plan: &Plan, at: Instant) -> Option<FinanceRefusal> {
        self.obstacles(plan, at).into_iter().next()
    }

    /// What keeps a planned settlement from being approved.
    pub(crate) fn obstacles(&self, plan: &Plan, at: Instant) -> Vec<FinanceRefusal> {
        let cycle = plan.settle.cycle;
        let mut obstacles = Vec::new();
        if self.finance.audit(cycle).is_none() {
            obstacles.push(FinanceRefusal::NotAudited(cycle));
        }
        let payees: std::collections::BTreeSet<Party> =
            plan.payments.iter().map(|payment| payment.payee).collect();
        obstacles.extend(
            payees
                .into_iter()
                .filter_map(|payee| self.payable_to(payee, at).err()),
        );
        if !plan.settle.accept_cap_breach {
            obstacles.extend(self.cap_breaches(plan, at));
        }
        obstacles
    }

    /// Merchants whose exposure the payments raise beyond their limit. One that is beyond it already and gets nearer is none.
    pub(crate) fn cap_breaches(&self, plan: &Plan, at: Instant) -> Vec<FinanceRefusal> {
        plan.positions
            .keys()
            .filter_map(|merchant| {
                let limit_micros = self.exposure_limit(*merchant, at)?;
                let before = self.exposure(*merchant, at);
                let exposure_micros =
                    self.exposure_with(*merchant, at, -plan.instructed(*merchant), 0);
                let breach = exposure_micros > limit_micros && exposure_micros > before;
                breach.then(|| FinanceRefusal::CapExceeded {
                    merchant: named(self, Party::Merchant(*merchant)),
                    exposure_micros,
                    limit_micros,
                })
            })
            .collect()
    }

    fn check_abort(&self, cycle: CycleNo) -> Result<(), FinanceRefusal> {
        let totals = self
            .cycle(cycle)
            .ok_or(FinanceRefusal::CycleNotFound(cycle))?;
        let submitted = self.finance.settlement(cycle).is_some_and(|s| s.submitted);
        ensure(!submitted, || FinanceRefusal::SettlementUnderWay(cycle))?;
        ensure(totals.state == CycleState::Approved, || {
            FinanceRefusal::CycleState {
                cycle,
                state: totals.state,
                needed: "APPROVED",
            }
        })
    }

    fn check_release(&self, merchant: MerchantIx, micros: i64) -> Result<(), FinanceRefusal> {
        check_positive(micros)?;
        ensure(self.merchant(merchant).is_some(), || {
            FinanceRefusal::MerchantNotFound
        })?;
        let held_back_micros = self.finance.held_back(merchant);
        ensure(i128::from(micros) <= held_back_micros, || {
            FinanceRefusal::NotHeldBack {
                merchant: named(self, Party::Merchant(merchant)),
                held_back_micros,
            }
        })
    }

    fn check_prepaid(
        &self,
        merchant: MerchantIx,
        micros: i64,
        reference: &str,
    ) -> Result<(), FinanceRefusal> {
        check_positive(micros)?;
        check_words(reference)?;
        let state = self
            .merchant(merchant)
            .ok_or(FinanceRefusal::MerchantNotFound)?
            .state;
        ensure(state != MerchantState::Closed, || {
            FinanceRefusal::MerchantState {
                merchant: named(self, Party::Merchant(merchant)),
                needed: "not CLOSED",
            }
        })?;
        let used = self.finance.proposals.iter().any(|p| {
            let same = matches!(&p.action, Action::PrepaidPack { merchant: m, reference: r, .. }
                if *m == merchant && r == reference);
            p.state == ProposalState::Approved && same
        });
        ensure(!used, || {
            FinanceRefusal::ReferenceTaken(reference.to_owned())
        })
    }

    /// A merchant that takes no new accruals any more, and has points that it has not paid for.
    fn check_prefunding(&self, merchant: MerchantIx) -> Result<(), FinanceRefusal> {
        let state = self
            .merchant(merchant)
            .ok_or(FinanceRefusal::MerchantNotFound)?
            .state;
        let leaves = matches!(
            state,
            MerchantState::BurnOnly | MerchantState::WindingDown | MerchantState::Suspended
        );
        ensure(leaves, || FinanceRefusal::MerchantState {
            merchant: named(self, Party::Merchant(merchant)),
            needed: "BURN_ONLY, WINDING_DOWN or SUSPENDED",
        })?;
        ensure(!self.open_burn(merchant).is_empty(), || {
            FinanceRefusal::AmountOutOfRange("the merchant has no open BURN points to pay for")
        })
    }

    /// Takes a checked proposal in.
    pub(crate) fn propose(&mut self, action: &Action, reason: &str, actor: &Actor, ctx: &Context) {
        let number = self.finance.next_proposal();
        if let Action::SettleCycle(settle) = action {
            self.finance.proposed_plan = self.plan(settle, ctx.decided_at).ok().map(Box::new);
            self.set_state(settle.cycle, CycleState::PendingApproval);
        }
        self.finance.proposals.push(Proposal {
            number,
            action: action.clone(),
            state: ProposalState::Pending,
            reason: reason.to_owned(),
            maker: actor.holder.clone(),
            made_at: ctx.decided_at,
            made_seq: ctx.pos.seq(),
            decision: None,
        });
        self.trace(&actor.holder, Step::Proposed(number), ctx);
    }

    /// Decides a checked proposal, and carries an approved one out.
    pub(crate) fn decide_proposal(
        &mut self,
        number: ProposalNo,
        approved: bool,
        reason: &str,
        actor: &Actor,
        plan: Option<Plan>,
        ctx: &Context,
    ) {
        let Some(proposal) = self.proposal_mut(number) else {
            return;
        };
        let (state, step) = match (approved, proposal.maker == actor.holder) {
            (true, _) => (ProposalState::Approved, Step::Approved(number)),
            (false, true) => (ProposalState::Withdrawn, Step::Withdrawn(number)),
            (false, false) => (ProposalState::Rejected, Step::Rejected(number)),
        };
        proposal.state = state;
        proposal.decision = Some(Decision {
            checker: actor.holder.clone(),
            reason: reason.to_owned(),
            at: ctx.decided_at,
            seq: ctx.pos.seq(),
        });
        let action = proposal.action.clone();
        self.trace(&actor.holder, step, ctx);
        if approved {
            self.carry_out(&action, plan, number, reason, actor, ctx);
        } else if let Action::SettleCycle(settle) = &action {
            self.finance.proposed_plan = None;
            self.set_state(settle.cycle, CycleState::Closed);
        }
    }

    fn carry_out(
        &mut self,
        action: &Action,
        plan: Option<Plan>,
        number: ProposalNo,
        reason: &str,
        actor: &Actor,
        ctx: &Context,
    ) {
        let at = ctx.decided_at;
        match action {
            Action::SettleCycle(_) => {
                self.finance.proposed_plan = None;
                if let Some(plan) = plan {
                    self.settle(plan, number, ctx);
                }
            }
            Action::AbortSettlement { cycle } => self.abort(*cycle, at),
            Action::Adjustment(adjustment) => self.adjust(adjustment, number, reason, actor),
            Action::ReinstructPayment { payment } => self.reinstruct(*payment, at),
            Action::CarryForwardPayment { payment } => self.carry_forward(*payment, at),
            Action::PostReconciliation { report } => self.post_report(*report, number, ctx),
            Action::MatchException {
                exception,
                payments,
            } => {
                self.match_exception(*exception, payments, at);
                self.close_exception(*exception, ExceptionState::Matched, reason, actor);
            }
            Action::ReleaseHoldback {
                merchant,
                amount_micros,
            } => self.finance.release(*merchant, i128::from(*amount_micros)),
            Action::DeclareDefault {
                merchant,
                amount_micros,
            } => self.declare_default(*merchant, *amount_micros, number, at),
            Action::PrepaidPack {
                merchant,
                amount_micros,
                ..
            } => {
                self.post(&super::prepaid_journal(*merchant, *amount_micros));
                let micros = -i128::from(*amount_micros);
                self.finance
                    .bring_forward(*merchant, CarryCause::Prepaid, micros);
            }
            Action::PrefundPoints { merchant } => self.prefund(*merchant, ctx),
        }
    }

    pub(crate) fn proposal_mut(&mut self, number: ProposalNo) -> Option<&mut Proposal> {
        self.finance
            .proposals
            .get_mut((number.0 as usize).checked_sub(1)?)
    }

    fn set_state(&mut self, cycle: CycleNo, state: CycleState) {
        if let Some(totals) = self.cycles.get_mut(cycle.0 as usize) {
            totals.state = state;
        }
    }
}

/// Payments that a default brings forward: what the bank has not begun.
pub(crate) const fn is_recallable(state: PaymentState, payer_is_merchant: bool) -> bool {
    match state {
        PaymentState::Pending | PaymentState::Rejected | PaymentState::Returned => true,
        PaymentState::Submitted => payer_is_merchant,
        PaymentState::Accepted
        | PaymentState::Settled
        | PaymentState::CarriedForward
        | PaymentState::Reinstructed => false,
    }
}
