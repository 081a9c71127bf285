//! What decides about limits: what merchants owe, what they will owe, and points that they have not paid for (rule 11).
//!
//! Exposure counts what is posted. What a bank confirmed of an approved settlement is finance's to match and not in these books, so that
//! from the first approval on the auditor knows a clearing balance between two bounds: nothing of the settlement is paid, or all of it.
//! A message that is refused for a limit, or not, must be right for one of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    exact::share,
    source::MerchantNo,
    terms::{Contract, Mode},
};

/// What a purchase would add to a merchant's exposure. Unit: micro-units.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// It funds a part.
    pub(crate) funds: bool,
    pub(crate) clearing: i128,
    pub(crate) waiting: i128,
    /// Value of open BURN points.
    pub(crate) burn: i128,
}

/// What a limit says to a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    Beyond,
    /// It depends on what was paid.
    Either,
}

/// A closed cycle until its settlement is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) nets: BTreeMap<MerchantNo, i128>,
    /// As its closing entry says.
    pub(crate) digest: Vec<u8>,
    /// Number of entries up to the closing one.
    pub(crate) size: u64,
    /// The log says that it was audited.
    pub(crate) audited: bool,
}

/// Sums by merchant. Unit: micro-units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// 1100 as if no settlement was ever paid. Debit is positive.
    clearing: BTreeMap<MerchantNo, i128>,
    /// Open points by funder, mode and price.
    open: BTreeMap<(MerchantNo, Mode, i64), i64>,
    /// What pending purchases will cost their funders.
    waiting: BTreeMap<MerchantNo, i128>,
    /// Closed cycles whose settlement is not approved, by number.
    closed: BTreeMap<u32, Closed>,
    /// Nets of approved settlements: what may have been paid.
    payable: BTreeMap<MerchantNo, i128>,
    /// Roundings of approved settlements: what may have been paid beside.
    rounding: i128,
    /// Payments of any amount may have been matched by hand.
    unknown: bool,
    /// Collateral that defaults may have used up.
    used: BTreeMap<MerchantNo, i128>,
    /// Funders that left and paid for their points: all of theirs are ISSUE since.
    prefunded: BTreeSet<MerchantNo>,
}

impl Standing {
    pub(crate) fn owe(&mut self, merchant: MerchantNo, micros: i128) {
        *self.clearing.entry(merchant).or_default() += micros;
    }

    /// Open points of a funder become more or fewer.
    pub(crate) fn open_points(&mut self, funder: MerchantNo, mode: Mode, price: i64, points: i64) {
        let key = (funder, mode, price);
        let open = self.open.entry(key).or_default();
        *open += points;
        if *open == 0 {
            self.open.remove(&key);
        }
    }

    /// Pending purchases of a funder become dearer or cheaper.
    pub(crate) fn wait_for(&mut self, funder: MerchantNo, micros: i128) {
        *self.waiting.entry(funder).or_default() += micros;
    }

    /// A cycle was closed.
    pub(crate) fn closed(&mut self, cycle: u32, closed: Closed) {
        self.closed.insert(cycle, closed);
    }

    /// A closed cycle whose settlement is not approved.
    pub(crate) fn waiting_cycle(&mut self, cycle: u32) -> Option<&mut Closed> {
        self.closed.get_mut(&cycle)
    }

    /// A cycle's settlement was approved, in payments rounded to this unit; answers whether it was closed, audited, and not settled
    /// before.
    pub(crate) fn settle(&mut self, cycle: u32, unit: i128) -> bool {
        match self.closed.remove(&cycle) {
            Some(closed) if closed.audited => {
                for (merchant, micros) in closed.nets {
                    *self.payable.entry(merchant).or_default() += micros;
                }
                self.rounding += unit;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Payments were matched by hand, whatever their amounts.
    pub(crate) fn match_by_hand(&mut self) {
        self.unknown = true;
    }

    /// A default may have used up so much of a merchant's collateral.
    pub(crate) fn use_up(&mut self, merchant: MerchantNo, micros: i128) {
        *self.used.entry(merchant).or_default() += micros;
    }

    /// A funder that leaves pays for its open points; answers how many, and their value.
    pub(crate) fn prefund(&mut self, funder: MerchantNo) -> (i64, i128) {
        let paid = self.open_burn(funder);
        let burn = |(of, mode, _): &(MerchantNo, Mode, i64)| *of == funder && *mode == Mode::Burn;
        let keys: Vec<_> = self.open.keys().filter(|key| burn(key)).copied().collect();
        for (_, mode, price) in keys {
            if let Some(points) = self.open.remove(&(funder, mode, price)) {
                self.open_points(funder, Mode::Issue, price, points);
            }
        }
        self.prefunded.insert(funder);
        paid
    }

    /// Funders that have left and paid.
    pub(crate) fn prefunded(&self) -> &BTreeSet<MerchantNo> {
        &self.prefunded
    }

    /// Points of a funder that it has not paid for, and their value.
    pub(crate) fn open_burn(&self, funder: MerchantNo) -> (i64, i128) {
        let from = (funder, Mode::Burn, i64::MIN);
        let to = (funder, Mode::Burn, i64::MAX);
        let open = self.open.range(from..=to);
        open.fold((0, 0), |(points, value), ((_, _, price), open)| {
            (
                points + open,
                value + i128::from(*open) * i128::from(*price),
            )
        })
    }

    /// Value of all points that stand in the reserve (invariant 4).
    pub(crate) fn reserve(&self) -> i128 {
        self.open
            .iter()
            .filter(|((_, mode, _), _)| *mode == Mode::Issue)
            .map(|((_, _, price), open)| i128::from(*open) * i128::from(*price))
            .sum()
    }

    /// Whether a merchant stays within its cap and collateral with something on top.
    pub(crate) fn verdict(
        &self,
        merchant: MerchantNo,
        contract: &Contract,
        added: &Added,
    ) -> Verdict {
        let Some((cap, collateral)) = contract.limit else {
            return Verdict::Within;
        };
        if self.unknown {
            return Verdict::Either;
        }
        let of = |map: &BTreeMap<MerchantNo, i128>| map.get(&merchant).copied().unwrap_or(0);
        let open = self.open_burn(merchant).1 + added.burn;
        let rest = of(&self.waiting) + added.waiting + share(open, contract.exposure_bps);
        let (unpaid, payable) = (of(&self.clearing) + added.clearing, of(&self.payable));
        let least = (unpaid - payable.max(0) - self.rounding).max(0) + rest;
        let most = (unpaid - payable.min(0) + self.rounding).max(0) + rest;
        let limit = cap + collateral;
        let lowest = cap + (collateral - of(&self.used)).max(0);
        if most <= lowest {
            Verdict::Within
        } else if least > limit {
            Verdict::Beyond
        } else {
            Verdict::Either
        }
    }
}
