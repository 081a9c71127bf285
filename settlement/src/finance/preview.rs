//! Previews: what a settlement would do, and how the methods compare. They change nothing.

use super::action::{Action, NettingMethod, Party, SettleCycle};
use super::netting::figures;
use super::plan::{Plan, PlannedPayment};
use super::refusal::{FinanceRefusal, named};
use super::{DisputeState, Finance};
use crate::cycle::CycleState;
use crate::global::Global;
use crate::ids::{CycleNo, DisputeNo, Instant, MerchantIx};
use crate::statement::Payment;
use thiserror::Error;

/// A merchant before and after a settlement; micro-units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviewPosition {
    /// The merchant.
    pub merchant: MerchantIx,
    /// Net, brought forward, payment, held back, carried forward.
    pub payment: Payment,
    /// Exposure now.
    pub exposure_before_micros: i128,
    /// Exposure once its payments are settled.
    pub exposure_after_micros: i128,
    /// Cap plus collateral; `None` = unlimited.
    pub limit_micros: Option<i128>,
}

/// What a checker should know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Warning {
    /// A cap is exceeded afterwards, and that was accepted.
    #[error("{0}")]
    CapExceeded(FinanceRefusal),
    /// A dispute over the cycle is not decided.
    #[error("dispute {0} over this cycle is not decided")]
    OpenDispute(DisputeNo),
    /// A merchant that is paid owes unpaid payments of earlier cycles.
    #[error(
        "merchant {merchant} is paid {payout_micros} micro-units and has not paid {unpaid_micros} of earlier settlements: carry them forward or hold back"
    )]
    PaidWhileOwing {
        /// Its slug.
        merchant: String,
        /// What this settlement pays it.
        payout_micros: i128,
        /// What it has not paid.
        unpaid_micros: i128,
    },
}

/// What a settlement would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// By merchant.
    pub positions: Vec<PreviewPosition>,
    /// Payments, by payer and payee.
    pub payments: Vec<PlannedPayment>,
    /// What a checker should know.
    pub warnings: Vec<Warning>,
    /// Why it could not be proposed or approved now.
    pub blockers: Vec<FinanceRefusal>,
}

/// What one method would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NettingFigures {
    /// The method.
    pub method: NettingMethod,
    /// Value that is paid, micro-units. What the hub only passes on (MULTILATERAL) is not counted again.
    pub payment_value_micros: i128,
    /// Number of payments.
    pub payments: usize,
    /// Payments between two that had no obligation in this direction.
    pub new_relations: usize,
    /// Money that must be brought so that the payments can be made, micro-units.
    pub liquidity_micros: i128,
    /// Obligations that are met without cash, micro-units.
    pub cleared_micros: i128,
}

/// All methods, side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NettingComparison {
    /// Sum of all obligations, micro-units.
    pub gross_micros: i128,
    /// Sum of the positive net positions, the hub's included: the least that any method pays. Micro-units.
    pub net_internal_debt_micros: i128,
    /// By method.
    pub methods: Vec<NettingFigures>,
}

impl Finance {
    /// What a merchant was asked for and has not paid, micro-units.
    fn unpaid(&self, merchant: MerchantIx) -> i128 {
        self.outstanding()
            .filter(|payment| payment.payer == Party::Merchant(merchant))
            .map(|payment| i128::from(payment.amount_micros))
            .sum()
    }
}

/// What a settlement would do now. A plan that cannot be made at all is the refusal.
pub fn preview_settlement(
    global: &Global,
    settle: &SettleCycle,
    at: Instant,
) -> Result<Preview, FinanceRefusal> {
    let plan = global.plan(settle, at)?;
    let mut blockers: Vec<FinanceRefusal> = out_of_turn(global, &plan).into_iter().collect();
    blockers.extend(global.obstacles(&plan, at));
    let positions = plan
        .positions()
        .map(|(merchant, position)| PreviewPosition {
            merchant,
            payment: position.payment,
            exposure_before_micros: global.exposure(merchant, at),
            exposure_after_micros: global.exposure_with(
                merchant,
                at,
                -plan.instructed(merchant),
                0,
            ),
            limit_micros: global.exposure_limit(merchant, at),
        })
        .collect();
    Ok(Preview {
        positions,
        warnings: warnings(global, &plan, at),
        payments: plan.payments,
        blockers,
    })
}

/// Why it could not be proposed; of what is proposed already, why its checker could not approve it.
fn out_of_turn(global: &Global, plan: &Plan) -> Option<FinanceRefusal> {
    let (finance, cycle) = (global.finance(), plan.settle.cycle);
    let same_cycle = |action: &Action| matches!(action, Action::SettleCycle(s) if s.cycle == cycle);
    let Some(pending) = finance.pending().find(|p| same_cycle(&p.action)) else {
        return global.check_order(cycle, CycleState::Closed).err();
    };
    let seen = finance.proposed_plan.as_deref();
    match seen.filter(|seen| seen.settle == plan.settle) {
        None => Some(FinanceRefusal::AlreadyProposed(pending.number)),
        Some(seen) if !seen.is_same(plan, global) => {
            Some(FinanceRefusal::PlanChanged(pending.number))
        }
        Some(_) => global.check_order(cycle, CycleState::PendingApproval).err(),
    }
}

fn warnings(global: &Global, plan: &Plan, at: Instant) -> Vec<Warning> {
    let finance = global.finance();
    let mut warnings = Vec::new();
    if plan.settle.accept_cap_breach {
        warnings.extend(
            global
                .cap_breaches(plan, at)
                .into_iter()
                .map(Warning::CapExceeded),
        );
    }
    let undecided = finance.disputes().iter().filter(|dispute| {
        dispute.original.cycle == Some(plan.settle.cycle)
            && match dispute.state {
                DisputeState::Raised | DisputeState::Escalated => true,
                DisputeState::Rejected => dispute.state_at(at) == DisputeState::Rejected,
                DisputeState::Accepted | DisputeState::Ruled => {
                    dispute.proposal.is_some() && dispute.adjusted_by.is_none()
                }
                DisputeState::Lapsed => false,
            }
    });
    warnings.extend(undecided.map(|dispute| Warning::OpenDispute(dispute.number)));
    for (merchant, position) in plan.positions() {
        let payout_micros = -position.payment.instruction_micros;
        let unpaid_micros = finance.unpaid(merchant);
        if payout_micros > 0 && unpaid_micros > 0 {
            warnings.push(Warning::PaidWhileOwing {
                merchant: named(global, Party::Merchant(merchant)),
                payout_micros,
                unpaid_micros,
            });
        }
    }
    warnings
}

/// Every method on the obligations of a closed cycle and what is brought forward, side by side.
pub fn compare_netting(
    global: &Global,
    cycle: CycleNo,
    bilateral_first: bool,
    without: &[MerchantIx],
    at: Instant,
) -> Result<NettingComparison, FinanceRefusal> {
    let totals = global
        .cycle(cycle)
        .ok_or(FinanceRefusal::CycleNotFound(cycle))?;
    super::refusal::ensure(totals.state.is_closed(), || FinanceRefusal::CycleState {
        cycle,
        state: totals.state,
        needed: "a CLOSED cycle",
    })?;
    let settle = SettleCycle {
        bilateral_first,
        without: without.to_vec(),
        ..SettleCycle::new(cycle, NettingMethod::Gross)
    };
    let (parts, _) = global.parts(totals, &settle, at)?;
    figures(global, totals, &settle, &parts, at)
}
