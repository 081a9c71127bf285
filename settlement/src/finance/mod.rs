//! Finance: what is done with closed cycles, as a fold over facts. Propose, approve, pay, reconcile, carry forward, adjust, dispute, query.
//!
//! Owns every state machine behind a closed cycle and every journal that is not a message's: payments (1200 and 1100), adjustments (1100 and
//! 4900), prepaid packs. Only [`Global::apply_finance`] changes it; a refused fact changes nothing. Money moves only by an approved proposal
//! whose checker is another person than its maker. Instants come in; no deadline waits for a sweep.
//!
//! May not: change a closed cycle's totals, read members, decide messages.
//!
//! # Where the domain text leaves a choice
//!
//! - **Brought forward** is one running balance per merchant, by cause ([`CarryMove`]). An approved settlement takes it; everything that is given
//!   up later (a payment, an aborted settlement, held-back money) goes back into it, never into a closed cycle.
//! - **Positions are kept by every method**; see [`Plan`]. A merchant that is left out, and every fraction of a minor unit, is with the hub.
//! - **A cycle's state follows its payments.** A payment that comes back makes a SETTLED cycle SETTLING again until it is paid again (SETTLED) or
//!   carried forward (PARTIALLY_SETTLED). Its totals and digest stay.
//! - **An approval** carries out exactly what was proposed: the same payments to the same accounts, otherwise PLAN_CHANGED.
//! - **Caps after a settlement**: refused is what raises a merchant's exposure beyond its limit, not what brings it nearer.
//! - **A merchant that was asked and did not pay** (SUBMITTED, the payer a merchant) can be carried forward. If it pays after all, that is an
//!   exception, booked as a prepaid pack.
//! - **A match by hand** posts what the bank booked; what that is less (or more) than the payments is brought forward.
//! - **The same booking in two reports** (camt.054, then camt.053) is posted once: it has the same bank reference.
//! - **Collateral** that a default used up no longer raises the cap; it is posted against 4900, which the hub clears with the collateral it holds.
//!
//! # What it costs, and what grows for ever
//!
//! Nothing on the path of a message, except that the collateral of a cap is read less what a default used up (a field of the merchant's
//! standing). A finance fact costs what it names; a plan costs one netting run, a report one pass over its matches. The state is part of the
//! snapshot, so it is kept small: payments refer to terms instead of copying accounts (about 25 bytes each), bank entries stay in the log (a
//! report keeps its header, the numbers of the payments that it speaks of, and its matches until they are posted). It grows, like cycles and
//! contract versions, with what finance does: per settled cycle one position per merchant and its payments; per proposal, report, exception,
//! dispute, query and step of the trail one record. A thousand merchants in monthly cycles make about 1 MB a year.

mod action;
mod adjustment;
mod carry;
mod case;
mod default;
mod dispute;
mod exception;
mod fact;
mod netting;
mod payment;
mod plan;
mod preview;
mod proposal;
mod query;
mod reconciliation;
mod refusal;
mod report;
mod risk;
mod settlement;
mod trail;

pub use action::{
    Action, Adjustment, AdjustmentReason, Holdback, NettingMethod, OriginalReference, Party,
    SettleCycle,
};
pub use adjustment::adjustment_journal;
pub use carry::{CarryCause, CarryMove, HeldBack};
pub use case::{Evidence, MAX_EVIDENCE};
pub use default::{DefaultRecord, Waterfall, prepaid_journal};
pub use dispute::{Dispute, DisputeState};
pub use exception::{Exception, ExceptionState, FieldDifference};
pub use fact::{Actor, FinanceFact};
pub use payment::{
    AccountRef, PaymentInstruction, PaymentState, parse_end_to_end_id, payment_journal,
};
pub use plan::{Plan, PlannedPayment};
pub use preview::{
    NettingComparison, NettingFigures, Preview, PreviewPosition, Warning, compare_netting,
    preview_settlement,
};
pub use proposal::{Decision as ProposalDecision, Proposal, ProposalState};
pub use query::{
    NewQuery, Query, QueryFact, QueryParty, QueryRefusal, QueryRemedy, QueryState, QuerySubject,
};
pub use refusal::{FinanceRefusal, ReportFault};
pub use report::{
    BankEntry, BankMatch, BankReport, BankReportFormat, BankStatus, NewException, ReportFact,
};
pub use risk::{RiskLine, risk};
pub use settlement::{CycleSettlement, SettledPosition};
pub use trail::{Step, TrailEntry, TrailFilter};

use crate::cycle::CycleState;
use crate::global::{Global, Violation};
use crate::ids::{CycleNo, MerchantIx, PaymentNo};
use crate::message::Context;
use crate::money::MAX_AMOUNT_MICROS;
use refusal::ensure;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest text of a step, bytes.
pub const MAX_TEXT: usize = 4_000;

/// The auditor's word on a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Number of leading entries that it had audited.
    pub audited_size: u64,
    /// The entry that says so.
    pub seq: u64,
}

/// What finance did, and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finance {
    proposals: Vec<Proposal>,
    /// What the waiting SETTLE_CYCLE would do, as its maker saw it. Cycles settle in their order, so there is at most one.
    proposed_plan: Option<Box<Plan>>,
    settlements: BTreeMap<CycleNo, CycleSettlement>,
    payments: Vec<PaymentInstruction>,
    outstanding: BTreeSet<PaymentNo>,
    carry: BTreeMap<MerchantIx, Vec<CarryMove>>,
    held: BTreeMap<MerchantIx, Vec<HeldBack>>,
    audits: BTreeMap<CycleNo, Audit>,
    reports: Vec<BankReport>,
    exceptions: Vec<Exception>,
    disputes: Vec<Dispute>,
    queries: Vec<Query>,
    defaults: Vec<DefaultRecord>,
    trail: Vec<TrailEntry>,
}

impl Finance {
    /// The auditor's word on a cycle, if it agreed.
    #[must_use]
    pub fn audit(&self, cycle: CycleNo) -> Option<&Audit> {
        self.audits.get(&cycle)
    }
}

impl Global {
    /// Whether a fact of finance may take its place in the log now.
    pub fn validate_finance(
        &self,
        fact: &FinanceFact,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        match fact {
            FinanceFact::CycleAudited { cycle, digest, .. } => self.check_audit(*cycle, digest),
            FinanceFact::ProposalMade {
                proposal,
                action,
                reason,
                actor,
            } => self.check_proposal(*proposal, action, reason, actor, ctx),
            FinanceFact::ProposalDecided {
                proposal,
                approved,
                reason,
                actor,
            } => self
                .check_decision(*proposal, *approved, reason, actor, ctx)
                .map(drop),
            FinanceFact::PaymentsSubmitted {
                payments, actor, ..
            } => self.check_submission(payments, actor),
            FinanceFact::BankReportImported { report, actor } => {
                self.check_report(report, actor, ctx)
            }
            FinanceFact::ExceptionExplained {
                exception,
                explanation,
                actor,
            } => self.check_explanation(*exception, explanation, actor),
            FinanceFact::DisputeRaised {
                dispute,
                merchant,
                original,
                claimed_micros,
                text,
                evidence,
            } => {
                check_words(text)?;
                case::check_evidence(evidence)?;
                self.check_dispute(*dispute, *merchant, original, *claimed_micros, ctx)
            }
            FinanceFact::DisputeAnswered {
                dispute,
                adjustment,
                answer,
                actor,
            } => {
                check_step(answer, actor)?;
                self.check_answer(*dispute, adjustment.as_ref(), ctx)
            }
            FinanceFact::DisputeEscalated {
                dispute,
                text,
                evidence,
            } => {
                check_words(text)?;
                self.check_escalation(*dispute, evidence, ctx)
            }
            FinanceFact::DisputeRuled {
                dispute,
                adjustment,
                ruling,
                actor,
            } => {
                check_step(ruling, actor)?;
                self.check_ruling(*dispute, adjustment.as_ref(), actor, ctx)
            }
            FinanceFact::Query(fact) => self.check_query_fact(fact, ctx),
        }
    }

    /// Validates a fact of finance and applies it; a refused one changes nothing. The same on restart as live.
    pub fn apply_finance(
        &mut self,
        fact: &FinanceFact,
        ctx: &Context,
    ) -> Result<(), FinanceRefusal> {
        let plan = match fact {
            FinanceFact::ProposalDecided {
                proposal,
                approved,
                reason,
                actor,
            } => self.check_decision(*proposal, *approved, reason, actor, ctx)?,
            _ => {
                self.validate_finance(fact, ctx)?;
                None
            }
        };
        match fact {
            FinanceFact::CycleAudited {
                cycle,
                audited_size,
                ..
            } => {
                let audit = Audit {
                    audited_size: *audited_size,
                    seq: ctx.pos.seq(),
                };
                self.finance.audits.insert(*cycle, audit);
                self.trace("hub", Step::CycleAudited(*cycle), ctx);
            }
            FinanceFact::ProposalMade {
                action,
                reason,
                actor,
                ..
            } => self.propose(action, reason, actor, ctx),
            FinanceFact::ProposalDecided {
                proposal,
                approved,
                reason,
                actor,
            } => self.decide_proposal(*proposal, *approved, reason, actor, plan, ctx),
            FinanceFact::PaymentsSubmitted {
                payments,
                file_sha256,
                actor,
            } => {
                for number in payments {
                    self.move_payment(*number, PaymentState::Submitted, ctx.decided_at);
                }
                let step = Step::PaymentsSubmitted {
                    payments: payments.clone(),
                    file_sha256: *file_sha256,
                };
                self.trace(&actor.holder, step, ctx);
            }
            FinanceFact::BankReportImported { report, actor } => self.import(report, actor, ctx),
            FinanceFact::ExceptionExplained {
                exception,
                explanation,
                actor,
            } => {
                self.close_exception(*exception, ExceptionState::Explained, explanation, actor);
                self.trace(&actor.holder, Step::ExceptionExplained(*exception), ctx);
            }
            FinanceFact::DisputeRaised {
                merchant,
                original,
                claimed_micros,
                text,
                evidence,
                ..
            } => self.raise(*merchant, original, *claimed_micros, text, evidence, ctx),
            FinanceFact::DisputeAnswered {
                dispute,
                adjustment,
                answer,
                actor,
            } => self.answer(*dispute, adjustment.as_ref(), answer, actor, ctx),
            FinanceFact::DisputeEscalated {
                dispute,
                text,
                evidence,
            } => self.escalate(*dispute, text, evidence, ctx),
            FinanceFact::DisputeRuled {
                dispute,
                adjustment,
                ruling,
                actor,
            } => self.rule(*dispute, adjustment.as_ref(), ruling, actor, ctx),
            FinanceFact::Query(fact) => self.apply_query_fact(fact, ctx),
        }
        Ok(())
    }

    fn check_audit(&self, cycle: CycleNo, digest: &[u8; 32]) -> Result<(), FinanceRefusal> {
        let totals = self
            .cycle(cycle)
            .ok_or(FinanceRefusal::CycleNotFound(cycle))?;
        ensure(totals.state.is_closed(), || FinanceRefusal::CycleState {
            cycle,
            state: totals.state,
            needed: "a CLOSED cycle",
        })?;
        ensure(totals.digest.as_ref() == Some(digest), || {
            FinanceRefusal::AuditDisagrees(cycle)
        })?;
        ensure(self.finance.audit(cycle).is_none(), || {
            FinanceRefusal::AlreadyAudited(cycle)
        })
    }

    fn check_submission(
        &self,
        payments: &[PaymentNo],
        actor: &Actor,
    ) -> Result<(), FinanceRefusal> {
        check_actor(actor)?;
        check_list(payments)?;
        payments.iter().try_for_each(|number| {
            let payment = self.payment(*number)?;
            ensure(payment.state == PaymentState::Pending, || {
                FinanceRefusal::PaymentState {
                    payment: *number,
                    state: payment.state,
                    needed: "PENDING",
                }
            })
        })
    }

    /// Whether nothing of a merchant is under way: nothing in its clearing account, by each of its parts.
    pub(crate) fn is_settled_up(&self, merchant: MerchantIx) -> bool {
        self.clearing(merchant) == 0
            && self.finance.carry(merchant) == 0
            && self.finance.held_back(merchant) == 0
            && self
                .finance
                .outstanding()
                .all(|payment| payment.merchants().all(|(m, _)| m != merchant))
            && self
                .cycles
                .iter()
                .rev()
                .take_while(|cycle| !cycle.state.is_planned())
                .all(|cycle| cycle.net(merchant) == 0)
    }

    /// For every merchant: 1100.m = nets of cycles without an approved settlement + brought forward + payments that have not ended - held back.
    /// For every settlement under way: instruction + carried forward - held back = net + brought forward.
    pub(crate) fn check_finance(&self) -> Result<(), Violation> {
        let mut expected = vec![0_i128; self.standings.len()];
        let mut add = |merchant: MerchantIx, micros: i128| {
            if let Some(sum) = expected.get_mut(merchant.0 as usize) {
                *sum += micros;
            }
        };
        for cycle in self.cycles.iter().filter(|cycle| !cycle.state.is_planned()) {
            for (merchant, net) in cycle.nets() {
                add(merchant, net);
            }
        }
        let mut under_way: BTreeMap<CycleNo, u32> = BTreeMap::new();
        for payment in self.finance.outstanding() {
            *under_way.entry(payment.cycle).or_default() += 1;
            for (merchant, micros) in payment.merchants() {
                add(merchant, micros);
            }
        }
        for merchant in self.finance.carry.keys() {
            add(*merchant, self.finance.carry(*merchant));
        }
        for merchant in self.finance.held.keys() {
            add(*merchant, -self.finance.held_back(*merchant));
        }
        for (i, (standing, expected)) in self.standings.iter().zip(&expected).enumerate() {
            if standing.clearing_micros != *expected {
                return Err(Violation::ClearingMismatch(MerchantIx(i as u32)));
            }
        }
        for (cycle, settlement) in &self.finance.settlements {
            let state = self.cycle(*cycle).map(|totals| totals.state);
            let counted = under_way.get(cycle).copied().unwrap_or(0);
            let running = !settlement.state().has_ended();
            if state != Some(settlement.state())
                || settlement.under_way != counted
                || (running && !settlement.adds_up())
            {
                return Err(Violation::SettlementUnbalanced(*cycle));
            }
        }
        Ok(())
    }

    /// The state that a cycle must be in for a settlement to be proposed, and that all before it must have left.
    pub(crate) fn check_order(
        &self,
        cycle: CycleNo,
        needed: CycleState,
    ) -> Result<(), FinanceRefusal> {
        let totals = self
            .cycle(cycle)
            .ok_or(FinanceRefusal::CycleNotFound(cycle))?;
        ensure(totals.state == needed, || FinanceRefusal::CycleState {
            cycle,
            state: totals.state,
            needed: needed.code(),
        })?;
        let before = &self.cycles[..cycle.0 as usize];
        match before.iter().find(|other| !other.state.is_planned()) {
            None => Ok(()),
            Some(other) => Err(FinanceRefusal::CycleNotNext(other.no)),
        }
    }
}

pub(crate) fn check_actor(actor: &Actor) -> Result<(), FinanceRefusal> {
    ensure(!actor.holder.trim().is_empty(), || {
        FinanceRefusal::HolderMissing
    })?;
    check_text(&actor.holder)
}

/// A reason is there, and a person.
pub(crate) fn check_step(reason: &str, actor: &Actor) -> Result<(), FinanceRefusal> {
    check_actor(actor)?;
    check_words(reason)
}

/// Words are there.
pub(crate) fn check_words(text: &str) -> Result<(), FinanceRefusal> {
    ensure(!text.trim().is_empty(), || FinanceRefusal::ReasonMissing)?;
    check_text(text)
}

pub(crate) fn check_text(text: &str) -> Result<(), FinanceRefusal> {
    ensure(text.len() <= MAX_TEXT, || FinanceRefusal::TextTooLong)
}

/// A list names something, and nothing twice.
pub(crate) fn check_list<T: Ord>(list: &[T]) -> Result<(), FinanceRefusal> {
    ensure(!list.is_empty(), || FinanceRefusal::NothingListed)?;
    let set: BTreeSet<&T> = list.iter().collect();
    ensure(set.len() == list.len(), || FinanceRefusal::ListedTwice)
}

/// A positive amount within the bounds of a message.
pub(crate) fn check_positive(micros: i64) -> Result<(), FinanceRefusal> {
    ensure((1..=MAX_AMOUNT_MICROS).contains(&micros), || {
        FinanceRefusal::AmountOutOfRange("it must be above 0 and at most a thousand million units")
    })
}

/// A number that a fact brings is the next one.
pub(crate) fn check_number(given: u32, count: usize) -> Result<(), FinanceRefusal> {
    let next = count as u64 + 1;
    ensure(u64::from(given) == next, || {
        FinanceRefusal::NumberOutOfOrder {
            given: given.into(),
            next,
        }
    })
}
