//! The plan of a settlement: from nets and what is brought forward to payments in whole minor units. Pure arithmetic over the state; the same
//! state gives the same plan, which is how an approval knows that it approves what was proposed.
//!
//! Per merchant: payable = net + brought forward; what it pays or gets is the payable, rounded half-even, less what is held back. Every method
//! gives each merchant exactly that position; methods differ in who pays whom. So what is carried forward is the same under each of them, save
//! where a payment stays below the minimum payout or a merchant cannot pay (CLEARING_VECTOR).
//!
//! Prepaid money is used up by what the merchant owes and not paid back while it may still earn.

use super::action::{Party, SettleCycle};
use super::carry::{CarryCause, CarryMove};
use super::netting::{Parts, payments};
use super::payment::AccountRef;
use super::refusal::{FinanceRefusal, ensure, named};
use super::settlement::SettledPosition;
use crate::cycle::CycleTotals;
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::money::{round_half_even, share_floor};
use crate::statement::Payment;
use crate::terms::MerchantState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A payment that a settlement would instruct.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPayment {
    /// Who pays.
    pub payer: Party,
    /// Who is paid.
    pub payee: Party,
    /// Positive, whole minor units; micro-units.
    pub amount_micros: i64,
    /// Terms that name the payee's account.
    pub payee_account: Option<AccountRef>,
}

/// A merchant in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedPosition {
    pub(crate) position: SettledPosition,
    /// What is brought forward afterwards.
    pub(crate) after: Vec<CarryMove>,
}

/// What a settlement would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub(crate) settle: SettleCycle,
    pub(crate) positions: BTreeMap<MerchantIx, PlannedPosition>,
    pub(crate) payments: Vec<PlannedPayment>,
}

impl Plan {
    /// Who pays whom, by payer and payee.
    #[must_use]
    pub fn payments(&self) -> &[PlannedPayment] {
        &self.payments
    }

    /// What becomes of everyone with a net or something brought forward.
    pub fn positions(&self) -> impl Iterator<Item = (MerchantIx, &SettledPosition)> {
        self.positions
            .iter()
            .map(|(merchant, planned)| (*merchant, &planned.position))
    }

    /// What its payments change for a merchant, micro-units: + it pays.
    #[must_use]
    pub fn instructed(&self, merchant: MerchantIx) -> i128 {
        self.positions
            .get(&merchant)
            .map_or(0, |p| p.position.payment.instruction_micros)
    }

    /// Whether another plan pays the same to the same accounts and leaves the same behind.
    pub(crate) fn is_same(&self, other: &Self, global: &Global) -> bool {
        let account = |payment: &PlannedPayment| global.account_name(payment.payee_account);
        self.settle == other.settle
            && self.positions == other.positions
            && self.payments.len() == other.payments.len()
            && self.payments.iter().zip(&other.payments).all(|(a, b)| {
                (a.payer, a.payee, a.amount_micros) == (b.payer, b.payee, b.amount_micros)
                    && account(a) == account(b)
            })
    }
}

/// What a merchant's net and moves come to.
pub(crate) struct Payable {
    /// What is brought forward into this settlement, by cause.
    pub(crate) brought: Vec<CarryMove>,
    /// Moves that may only enter a later one.
    later: Vec<CarryMove>,
    net: i128,
    /// To be paid (+) or paid out (-) now.
    pub(crate) micros: i128,
    /// Of what was prepaid, what is left, positive.
    prepaid_left: i128,
}

impl Payable {
    /// `pays_back`: prepaid money is not kept any more.
    pub(crate) fn new(net: i128, moves: &[CarryMove], cycle: CycleNo, pays_back: bool) -> Self {
        let (brought, later): (Vec<_>, Vec<_>) =
            moves.iter().copied().partition(|m| m.from_cycle <= cycle);
        let kept = |m: &&CarryMove| m.cause == CarryCause::Prepaid && !pays_back;
        let prepaid = -brought.iter().filter(kept).map(|m| m.micros).sum::<i128>();
        let total = net + brought.iter().map(|m| m.micros).sum::<i128>();
        let due = total + prepaid;
        let used = due.clamp(0, prepaid.max(0));
        Self {
            brought,
            later,
            net,
            micros: due - used,
            prepaid_left: prepaid - used,
        }
    }

    /// What becomes of it when so much is instructed and held back.
    pub(crate) fn settled(
        self,
        cause: CarryCause,
        instruction_micros: i128,
        held_back_micros: i128,
    ) -> PlannedPosition {
        let brought_forward_micros = self.brought.iter().map(|m| m.micros).sum();
        let payable = self.net + brought_forward_micros;
        let carried_forward_micros = payable - instruction_micros + held_back_micros;
        let residue = carried_forward_micros + self.prepaid_left;
        let mut after = self.later;
        for (cause, micros) in [(cause, residue), (CarryCause::Prepaid, -self.prepaid_left)] {
            if micros != 0 {
                after.push(CarryMove {
                    cause,
                    micros,
                    from_cycle: CycleNo(0),
                });
            }
        }
        PlannedPosition {
            position: SettledPosition {
                payment: Payment {
                    net_micros: self.net,
                    brought_forward_micros,
                    instruction_micros,
                    held_back_micros,
                    carried_forward_micros,
                },
                brought: self.brought,
            },
            after,
        }
    }
}

/// A merchant's part before it is netted.
pub(crate) struct Part {
    pub(crate) payable: Payable,
    /// What it is to pay (+) or get (-) in whole minor units; micro-units.
    pub(crate) position_micros: i128,
    pub(crate) held_micros: i128,
}

impl Global {
    /// What a settlement would do now.
    pub fn plan(&self, settle: &SettleCycle, at: Instant) -> Result<Plan, FinanceRefusal> {
        let totals = self
            .cycle(settle.cycle)
            .ok_or(FinanceRefusal::CycleNotFound(settle.cycle))?;
        let (parts, mut positions) = self.parts(totals, settle, at)?;
        let payments = payments(self, totals, settle, &parts, at)?;
        let mut instructed: BTreeMap<MerchantIx, i128> = BTreeMap::new();
        for payment in &payments {
            let amount = i128::from(payment.amount_micros);
            for (party, micros) in [(payment.payer, amount), (payment.payee, -amount)] {
                if let Some(merchant) = party.merchant() {
                    *instructed.entry(merchant).or_default() += micros;
                }
            }
        }
        for (merchant, part) in parts {
            let instruction = instructed.get(&merchant).copied().unwrap_or(0);
            let cause = CarryCause::Residue(settle.cycle);
            let position = part.payable.settled(cause, instruction, part.held_micros);
            positions.insert(merchant, position);
        }
        Ok(Plan {
            settle: settle.clone(),
            positions,
            payments,
        })
    }

    /// Merchants that take part, and what becomes of those that are left out.
    pub(crate) fn parts(
        &self,
        totals: &CycleTotals,
        settle: &SettleCycle,
        at: Instant,
    ) -> Result<(Parts, BTreeMap<MerchantIx, PlannedPosition>), FinanceRefusal> {
        let without = self.left_out(settle)?;
        let held = self.wanted_holdbacks(settle, &without)?;
        let (mut parts, mut left_out) = (Parts::new(), BTreeMap::new());
        for (merchant, net) in self.nets_to_settle(totals) {
            let moves = self.finance.carry_moves(merchant);
            let payable = self.payable(merchant, net, moves, settle.cycle);
            if without.contains(&merchant) {
                let position = self.left_out_position(merchant, payable, settle.cycle);
                left_out.insert(merchant, position);
            } else {
                let wanted = held.get(&merchant).copied().unwrap_or(0);
                parts.insert(merchant, self.part(merchant, payable, wanted, at)?);
            }
        }
        match held
            .iter()
            .find(|(merchant, _)| !parts.contains_key(merchant))
        {
            None => Ok((parts, left_out)),
            Some((merchant, held_back_micros)) => Err(FinanceRefusal::HoldbackTooLarge {
                merchant: named(self, Party::Merchant(*merchant)),
                held_back_micros: *held_back_micros,
                payout_micros: 0,
            }),
        }
    }

    /// Everyone with a net or something brought forward, with the net.
    fn nets_to_settle(&self, totals: &CycleTotals) -> BTreeMap<MerchantIx, i128> {
        let mut nets = totals.nets();
        for merchant in self.finance.carry.keys() {
            nets.entry(*merchant).or_default();
        }
        nets
    }

    fn payable(
        &self,
        merchant: MerchantIx,
        net: i128,
        moves: &[CarryMove],
        cycle: CycleNo,
    ) -> Payable {
        let winding_down = self
            .merchant(merchant)
            .is_some_and(|m| m.state == MerchantState::WindingDown);
        Payable::new(net, moves, cycle, winding_down)
    }

    /// What a merchant's position would be against the hub without minimum and holdbacks, and what is brought forward behind it.
    pub(crate) fn provisional(
        &self,
        merchant: MerchantIx,
        net: i128,
        moves: &[CarryMove],
        cycle: CycleNo,
    ) -> (SettledPosition, Vec<CarryMove>) {
        let payable = self.payable(merchant, net, moves, cycle);
        let instruction =
            self.collected(merchant, round_half_even(payable.micros, self.currency()));
        let planned = payable.settled(CarryCause::Residue(cycle), instruction, 0);
        (planned.position, planned.after)
    }

    /// What an affiliate owes, claw-backs above its commissions, is not asked for: it is carried forward against its later commissions.
    fn collected(&self, merchant: MerchantIx, position_micros: i128) -> i128 {
        if self.affiliates.profile(merchant).is_some() {
            position_micros.min(0)
        } else {
            position_micros
        }
    }

    fn left_out(&self, settle: &SettleCycle) -> Result<BTreeSet<MerchantIx>, FinanceRefusal> {
        let mut without = BTreeSet::new();
        for merchant in &settle.without {
            ensure(self.merchant(*merchant).is_some(), || {
                FinanceRefusal::MerchantNotFound
            })?;
            ensure(without.insert(*merchant), || FinanceRefusal::ListedTwice)?;
        }
        Ok(without)
    }

    /// The holdbacks that are asked for: of merchants in the settlement, positive, in whole minor units.
    fn wanted_holdbacks(
        &self,
        settle: &SettleCycle,
        without: &BTreeSet<MerchantIx>,
    ) -> Result<BTreeMap<MerchantIx, i128>, FinanceRefusal> {
        let unit = self.currency().minor_micros();
        let mut wanted = BTreeMap::new();
        for holdback in &settle.holdbacks {
            let micros = i128::from(holdback.amount_micros);
            ensure(self.merchant(holdback.merchant).is_some(), || {
                FinanceRefusal::MerchantNotFound
            })?;
            ensure(micros > 0 && micros % unit == 0, || {
                FinanceRefusal::AmountOutOfRange(
                    "a holdback is positive and in whole minor units of the currency",
                )
            })?;
            super::check_text(&holdback.reason)?;
            let new = wanted.insert(holdback.merchant, micros).is_none();
            ensure(new && !without.contains(&holdback.merchant), || {
                FinanceRefusal::ListedTwice
            })?;
        }
        Ok(wanted)
    }

    /// A merchant that the settlement leaves out keeps what it was brought, and its net with it.
    fn left_out_position(
        &self,
        merchant: MerchantIx,
        payable: Payable,
        cycle: CycleNo,
    ) -> PlannedPosition {
        let net = payable.net;
        let mut left_out = payable.settled(CarryCause::LeftOut(cycle), 0, 0);
        left_out.after = self.finance.carry_moves(merchant).to_vec();
        if net != 0 {
            left_out.after.push(CarryMove {
                cause: CarryCause::LeftOut(cycle),
                micros: net,
                from_cycle: CycleNo(0),
            });
        }
        left_out
    }

    /// The rounded position of a merchant, less what is held back: what finance asked for, then the contract's share, which is taken only of a
    /// payment that reaches the minimum payout.
    fn part(
        &self,
        merchant: MerchantIx,
        payable: Payable,
        wanted: i128,
        at: Instant,
    ) -> Result<Part, FinanceRefusal> {
        let currency = self.currency();
        let unit = currency.minor_micros();
        let rounded = self.collected(merchant, round_half_even(payable.micros, currency));
        let payout = (-rounded).max(0);
        ensure(wanted <= payout, || FinanceRefusal::HoldbackTooLarge {
            merchant: named(self, Party::Merchant(merchant)),
            held_back_micros: wanted,
            payout_micros: payout,
        })?;
        let left = payout - wanted;
        let share = self.contract(merchant, at).map_or(0, |(_, terms)| {
            let share = share_floor(left, terms.holdback_bps) / unit * unit;
            if left - share >= i128::from(terms.minimum_payout_micros) {
                share
            } else {
                0
            }
        });
        Ok(Part {
            payable,
            position_micros: rounded + wanted + share,
            held_micros: wanted + share,
        })
    }
}
