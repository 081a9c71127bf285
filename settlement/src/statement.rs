//! Statements: one merchant's lines of one cycle, its net, and what is paid.

use crate::cycle::{CycleState, CycleTotals, LineKey, LineTotal};
use crate::finance::{CarryMove, SettledPosition};
use crate::global::Global;
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::money::Currency;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a net. All micro-units; positive = the merchant pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The cycle's net.
    pub net_micros: i128,
    /// Carried forward by the cycle before.
    pub brought_forward_micros: i128,
    /// What its payments come to: net + brought forward, rounded half-even to the currency's minor unit, less what is held back.
    pub instruction_micros: i128,
    /// Money that the merchant does not get yet; never negative.
    pub held_back_micros: i128,
    /// Net + brought forward - instruction + held back.
    pub carried_forward_micros: i128,
}

impl Payment {
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

/// Payments of all merchants in a cycle: those of [`positions`].
#[must_use]
pub fn payments(global: &Global, cycle: CycleNo) -> BTreeMap<MerchantIx, Payment> {
    positions(global, cycle)
        .into_iter()
        .map(|(merchant, position)| (merchant, position.payment))
        .collect()
}

/// Positions of all merchants in a cycle: those of its approved settlement, otherwise provisional ones: each merchant against the hub, as if the
/// cycles up to this one were settled now.
#[must_use]
pub fn positions(global: &Global, cycle: CycleNo) -> BTreeMap<MerchantIx, SettledPosition> {
    if let Some(settlement) = global.finance().settlement(cycle) {
        return settlement.positions.clone();
    }
    let mut chain = BTreeMap::new();
    let mut carried: BTreeMap<MerchantIx, Vec<CarryMove>> = global.finance().all_carried().clone();
    let waiting = global
        .cycles()
        .iter()
        .filter(|totals| !totals.state.is_planned() && totals.no <= cycle);
    for totals in waiting {
        chain = next_positions(global, totals, &mut carried);
    }
    chain
}

/// Provisional positions of a cycle, given what is brought forward. Everyone with a net or something brought forward has one.
fn next_positions(
    global: &Global,
    totals: &CycleTotals,
    carried: &mut BTreeMap<MerchantIx, Vec<CarryMove>>,
) -> BTreeMap<MerchantIx, SettledPosition> {
    let nets = totals.nets();
    let merchants: BTreeSet<MerchantIx> = nets.keys().chain(carried.keys()).copied().collect();
    let mut positions = BTreeMap::new();
    for merchant in merchants {
        let net = nets.get(&merchant).copied().unwrap_or(0);
        let moves = carried.remove(&merchant).unwrap_or_default();
        let (position, after) = global.provisional(merchant, net, &moves, totals.no);
        positions.insert(merchant, position);
        if !after.is_empty() {
            carried.insert(merchant, after);
        }
    }
    positions
}
