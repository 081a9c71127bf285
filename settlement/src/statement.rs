//! Statements: one merchant's lines of one cycle, its net, and what is paid. The only rounding is the payment's.

use crate::cycle::{CycleState, CycleTotals, LineKey, LineTotal};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::money::{Currency, round_half_even};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What becomes of a net. All micro-units; positive = the merchant pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The cycle's net.
    pub net_micros: i128,
    /// Carried forward by the cycle before.
    pub brought_forward_micros: i128,
    /// Net + brought forward, rounded half-even to the currency's minor unit.
    pub instruction_micros: i128,
    /// What the instruction leaves.
    pub carried_forward_micros: i128,
}

impl Payment {
    /// The payment of a net.
    #[must_use]
    pub fn new(net_micros: i128, brought_forward_micros: i128, currency: Currency) -> Self {
        let payable = net_micros + brought_forward_micros;
        let instruction_micros = round_half_even(payable, currency);
        Self {
            net_micros,
            brought_forward_micros,
            instruction_micros,
            carried_forward_micros: payable - instruction_micros,
        }
    }

    /// Net + brought forward, micro-units.
    #[must_use]
    pub fn payable_micros(&self) -> i128 {
        self.net_micros + self.brought_forward_micros
    }
}

/// One merchant's statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The cycle.
    pub cycle: CycleNo,
    /// The merchant.
    pub merchant: MerchantIx,
    /// Where the cycle stands: before CLOSED the statement is provisional.
    pub state: CycleState,
    /// First instant.
    pub opens_at: Instant,
    /// Closing instant, if known.
    pub closes_at: Option<Instant>,
    /// Currency of all amounts.
    pub currency: Currency,
    /// Lines in order, information included.
    pub lines: Vec<(LineKey, LineTotal)>,
    /// What is paid.
    pub payment: Payment,
}

/// A merchant's statement of a cycle; `None` for a cycle that does not exist.
#[must_use]
pub fn statement(global: &Global, cycle: CycleNo, merchant: MerchantIx) -> Option<Statement> {
    let totals = global.cycle(cycle)?;
    Some(Statement {
        cycle,
        merchant,
        state: totals.state,
        opens_at: totals.opens_at,
        closes_at: totals.closes_at,
        currency: global.currency(),
        lines: totals
            .lines_of(merchant)
            .map(|(key, total)| (*key, *total))
            .collect(),
        payment: payments(global, cycle)
            .get(&merchant)
            .copied()
            .unwrap_or_default(),
    })
}

/// Payments of all merchants in a cycle: fixed ones of a closed cycle, provisional ones otherwise.
#[must_use]
pub fn payments(global: &Global, cycle: CycleNo) -> BTreeMap<MerchantIx, Payment> {
    let mut chain = BTreeMap::new();
    for totals in global
        .cycles()
        .iter()
        .take_while(|totals| totals.no <= cycle)
    {
        chain = match totals.state {
            CycleState::Closed | CycleState::Settled => totals.payments.clone(),
            CycleState::Open | CycleState::Closing => {
                next_payments(totals, &chain, global.currency())
            }
        };
    }
    chain
}

/// Payments of a cycle, given those of the cycle before. Everyone with a net or something carried has one.
pub(crate) fn next_payments(
    totals: &CycleTotals,
    before: &BTreeMap<MerchantIx, Payment>,
    currency: Currency,
) -> BTreeMap<MerchantIx, Payment> {
    let nets = totals.nets();
    let carried = before
        .iter()
        .filter(|(_, payment)| payment.carried_forward_micros != 0)
        .map(|(merchant, _)| *merchant);
    let merchants: std::collections::BTreeSet<MerchantIx> =
        nets.keys().copied().chain(carried).collect();
    let payment = |merchant: &MerchantIx| {
        let brought = before
            .get(merchant)
            .map_or(0, |payment| payment.carried_forward_micros);
        Payment::new(nets.get(merchant).copied().unwrap_or(0), brought, currency)
    };
    merchants
        .iter()
        .map(|merchant| (*merchant, payment(merchant)))
        .collect()
}
