//! The settlement of one cycle: what was approved, and how far its payments are. The cycle's state follows from it.

use super::Finance;
use super::action::NettingMethod;
use super::carry::CarryMove;
use super::payment::{PaymentInstruction, PaymentState};
use super::plan::Plan;
use crate::cycle::CycleState;
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx, PaymentNo, ProposalNo};
use crate::message::Context;
use crate::statement::Payment;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a settlement does with one merchant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledPosition {
    /// Net, brought forward, payment, held back, carried forward.
    pub payment: Payment,
    /// What was brought forward, by cause.
    pub brought: Vec<CarryMove>,
}

/// An approved settlement. It grows with merchants and cycles and is kept: statements of settled cycles are made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleSettlement {
    /// The approved proposal.
    pub proposal: ProposalNo,
    /// How it nets.
    pub method: NettingMethod,
    /// Pairs were set off first.
    pub bilateral_first: bool,
    /// When banks shall execute, in the programme's zone; never before the approval.
    pub execution_date: NaiveDate,
    /// Everyone with a net or something brought forward.
    pub positions: BTreeMap<MerchantIx, SettledPosition>,
    /// The first of its payments; they are numbered without gaps. Reinstructed ones come later.
    pub first_payment: PaymentNo,
    /// Number of payments at approval.
    pub payment_count: u32,
    /// Payments that have not ended.
    pub under_way: u32,
    /// Payments that were given up and brought forward.
    pub carried_forward: u32,
    /// Something was submitted.
    pub submitted: bool,
    /// It was given up.
    pub aborted: bool,
}

impl CycleSettlement {
    /// The state that its cycle has by it.
    #[must_use]
    pub const fn state(&self) -> CycleState {
        match (self.aborted, self.under_way, self.carried_forward) {
            (true, ..) => CycleState::Aborted,
            (false, 0, 0) => CycleState::Settled,
            (false, 0, _) => CycleState::PartiallySettled,
            (false, ..) if self.submitted => CycleState::Settling,
            (false, ..) => CycleState::Approved,
        }
    }

    /// Whether instruction, held back and carried forward are the payable of everyone.
    pub(crate) fn adds_up(&self) -> bool {
        self.positions.values().all(|position| {
            let p = &position.payment;
            let brought: i128 = position.brought.iter().map(|m| m.micros).sum();
            p.instruction_micros + p.carried_forward_micros - p.held_back_micros
                == p.payable_micros()
                && brought == p.brought_forward_micros
        })
    }
}

impl Global {
    /// Becomes what was approved: payments, what is held back, what is carried forward.
    pub(crate) fn settle(&mut self, plan: Plan, proposal: ProposalNo, ctx: &Context) {
        let at = ctx.decided_at;
        let cycle = plan.settle.cycle;
        let first_payment = self.finance.next_payment();
        let today = self.programme(at).zone.date(at);
        let execution_date = plan
            .settle
            .execution_date
            .map_or(today, |date| date.max(today));
        let mut positions = BTreeMap::new();
        for (merchant, planned) in plan.positions {
            self.finance.set_carry(merchant, planned.after);
            let held = planned.position.payment.held_back_micros;
            self.finance.hold_back(merchant, cycle, held);
            positions.insert(merchant, planned.position);
        }
        self.finance.settlements.insert(
            cycle,
            CycleSettlement {
                proposal,
                method: plan.settle.method,
                bilateral_first: plan.settle.bilateral_first,
                execution_date,
                positions,
                first_payment,
                payment_count: plan.payments.len() as u32,
                under_way: 0,
                carried_forward: 0,
                submitted: false,
                aborted: false,
            },
        );
        for planned in plan.payments {
            self.finance.instruct(PaymentInstruction {
                number: self.finance.next_payment(),
                cycle,
                payer: planned.payer,
                payee: planned.payee,
                amount_micros: planned.amount_micros,
                state: PaymentState::Pending,
                state_at: at,
                settled_at: None,
                returned_at: None,
                payer_account: self.account_of(planned.payer, at),
                payee_account: planned.payee_account,
                replaces: None,
                bank_reference: String::new(),
                bank_reason: String::new(),
            });
        }
        self.refresh_cycle(cycle);
    }

    /// Gives a settlement up of which nothing was submitted.
    pub(crate) fn abort(&mut self, cycle: CycleNo, at: Instant) {
        for number in self.finance.outstanding_of(cycle) {
            self.carry_forward(number, at);
        }
        self.finance.release_cycle(cycle);
        if let Some(settlement) = self.finance.settlements.get_mut(&cycle) {
            settlement.aborted = true;
            settlement.positions.values_mut().for_each(|position| {
                let payment = &mut position.payment;
                payment.instruction_micros = 0;
                payment.held_back_micros = 0;
                payment.carried_forward_micros = payment.payable_micros();
            });
        }
        self.refresh_cycle(cycle);
    }

    /// Puts the cycle into the state that its settlement has.
    pub(crate) fn refresh_cycle(&mut self, cycle: CycleNo) {
        let settlement = self.finance.settlements.get(&cycle);
        if let (Some(settlement), Some(totals)) =
            (settlement, self.cycles.get_mut(cycle.0 as usize))
        {
            totals.state = settlement.state();
        }
    }
}

impl Finance {
    /// The approved settlement of a cycle.
    #[must_use]
    pub fn settlement(&self, cycle: CycleNo) -> Option<&CycleSettlement> {
        self.settlements.get(&cycle)
    }

    /// All payments, by number.
    #[must_use]
    pub fn payments(&self) -> &[PaymentInstruction] {
        &self.payments
    }

    /// A payment.
    #[must_use]
    pub fn payment(&self, number: PaymentNo) -> Option<&PaymentInstruction> {
        self.payments.get((number.0 as usize).checked_sub(1)?)
    }

    /// The payment of an end-to-end reference.
    #[must_use]
    pub fn payment_by_end_to_end_id(&self, text: &str) -> Option<&PaymentInstruction> {
        let (cycle, number) = super::payment::parse_end_to_end_id(text)?;
        self.payment(number)
            .filter(|payment| payment.cycle == cycle)
    }

    /// Payments that have not ended, by number.
    pub fn outstanding(&self) -> impl Iterator<Item = &PaymentInstruction> {
        self.outstanding
            .iter()
            .filter_map(|number| self.payment(*number))
    }

    pub(crate) fn outstanding_of(&self, cycle: CycleNo) -> Vec<PaymentNo> {
        self.outstanding()
            .filter(|payment| payment.cycle == cycle)
            .map(|payment| payment.number)
            .collect()
    }

    pub(crate) fn payment_mut(&mut self, number: PaymentNo) -> Option<&mut PaymentInstruction> {
        self.payments.get_mut((number.0 as usize).checked_sub(1)?)
    }

    pub(crate) fn next_payment(&self) -> PaymentNo {
        PaymentNo(self.payments.len() as u32 + 1)
    }

    /// Adds a PENDING payment.
    pub(crate) fn instruct(&mut self, payment: PaymentInstruction) {
        if let Some(settlement) = self.settlements.get_mut(&payment.cycle) {
            settlement.under_way += 1;
        }
        self.outstanding.insert(payment.number);
        self.payments.push(payment);
    }

    /// Changes a payment's state and the counters of its settlement; answers its cycle.
    pub(crate) fn move_payment(
        &mut self,
        number: PaymentNo,
        state: PaymentState,
        at: Instant,
    ) -> Option<CycleNo> {
        let payment = self.payment_mut(number)?;
        let (before, cycle) = (payment.state, payment.cycle);
        payment.state = state;
        payment.state_at = at;
        let settlement = self.settlements.get_mut(&cycle)?;
        match (before.has_ended(), state.has_ended()) {
            (false, true) => {
                settlement.under_way -= 1;
                self.outstanding.remove(&number);
            }
            (true, false) => {
                settlement.under_way += 1;
                self.outstanding.insert(number);
            }
            (false, false) | (true, true) => {}
        }
        if state == PaymentState::CarriedForward {
            settlement.carried_forward += 1;
        }
        if matches!(
            state,
            PaymentState::Submitted | PaymentState::Accepted | PaymentState::Settled
        ) {
            settlement.submitted = true;
        }
        Some(cycle)
    }
}
