//! A member as the auditor keeps it: plain maps of purchases, holds and lots, and a list of debts.
//!
//! Costs: about 60 bytes a purchase or hold that can still be named, 40 a lot. What nothing can name any more is dropped
//! when the record is packed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    exact::Exact,
    source::MerchantNo,
    terms::{Bonus, Mode, Terms},
};

/// A message by its sender and id.
pub(crate) type MessageKey = (MerchantNo, [u8; 16]);

/// A place in the log: leaf and position. Places order what falls due at one instant.
pub(crate) type Place = (u64, u32);

/// The number of a lot within its member, from 1, in order of posting.
pub(crate) type LotNo = u64;

/// How the base points of a purchase follow from an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Basis {
    /// The hub computes by this rate.
    Rate(Exact),
    /// The merchant said so many for the whole amount.
    Said(i64),
}

/// A promotion that applied to a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    pub(crate) bonus: Bonus,
    /// Points for the whole amount.
    pub(crate) points: i64,
    /// The parts are its funders', from this one on, those without points too.
    pub(crate) first_part: usize,
    /// Each funder's share in basis points.
    pub(crate) shares: Vec<i64>,
}

impl Applied {
    /// Its parts among those of the purchase.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.first_part..self.first_part + self.shares.len()
    }
}

/// One funder's points of a purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) funder: MerchantNo,
    pub(crate) mode: Mode,
    pub(crate) price: i64,
    pub(crate) fee: i64,
    /// A return gives the fee back.
    pub(crate) returns_fee: bool,
    pub(crate) points: i64,
    pub(crate) reversed: i64,
    /// Of its own lots.
    pub(crate) expired: i64,
}

impl Part {
    /// Points that a return may still ask for.
    pub(crate) fn left(&self) -> i64 {
        self.points - self.reversed
    }

    /// What its points cost its funder, fee included.
    pub(crate) fn cost(&self, points: i64) -> i128 {
        i128::from(points) * (i128::from(self.price) + i128::from(self.fee))
    }
}

/// Until when something can still be named, by the terms of its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Events must have happened before this instant.
    pub(crate) end: i64,
    /// How much later they may be told, at least.
    pub(crate) late: i64,
}

/// A purchase. The first part is the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purchase {
    pub(crate) place: Place,
    pub(crate) event_time: i64,
    pub(crate) amount: i64,
    pub(crate) returned: i64,
    pub(crate) basis: Basis,
    pub(crate) parts: Vec<Part>,
    pub(crate) applied: Vec<Applied>,
    /// When it posts; none: it has.
    pub(crate) waits_until: Option<i64>,
    /// Returns must have happened before this instant.
    pub(crate) window: Window,
    /// When its lots expire.
    pub(crate) expires: i64,
    pub(crate) late: bool,
}

/// Points of one funder, posted at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lot {
    pub(crate) funder: MerchantNo,
    pub(crate) mode: Mode,
    pub(crate) price: i64,
    pub(crate) remaining: i64,
    pub(crate) held: i64,
    pub(crate) posted: i64,
    pub(crate) expires: i64,
    /// The purchase and its part that it comes from.
    pub(crate) origin: (MessageKey, usize),
}

impl Lot {
    pub(crate) fn free(&self) -> i64 {
        self.remaining - self.held
    }

    pub(crate) fn value(&self, points: i64) -> i128 {
        i128::from(points) * i128::from(self.price)
    }
}

/// Points of one lot in a hold or a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Use {
    pub(crate) lot: LotNo,
    pub(crate) points: i64,
    pub(crate) refunded: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HoldState {
    Open,
    /// Captured by this message.
    Captured([u8; 16]),
    Voided,
    Ended,
}

/// An authorisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) place: Place,
    pub(crate) ends: i64,
    /// While it can be named.
    pub(crate) window: Window,
    /// In the order in which the lots were taken.
    pub(crate) uses: Vec<Use>,
    pub(crate) state: HoldState,
}

impl Hold {
    pub(crate) fn points(&self) -> i64 {
        self.uses.iter().map(|taken| taken.points).sum()
    }
}

/// A capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capture {
    pub(crate) fee_bps: u32,
    pub(crate) uses: Vec<Use>,
    /// Refunds must have happened before this instant.
    pub(crate) window: Window,
}

impl Capture {
    pub(crate) fn left(&self) -> i64 {
        self.uses.iter().map(|u| u.points - u.refunded).sum()
    }
}

/// Points that the member owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Debt {
    pub(crate) to: MerchantNo,
    pub(crate) points: i64,
    /// Service fee per point that comes back with it.
    pub(crate) fee: i64,
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) purchases: BTreeMap<MessageKey, Purchase>,
    pub(crate) holds: BTreeMap<MessageKey, Hold>,
    pub(crate) captures: BTreeMap<MessageKey, Capture>,
    pub(crate) lots: BTreeMap<LotNo, Lot>,
    /// Oldest first.
    pub(crate) debts: Vec<Debt>,
    pub(crate) last_lot: LotNo,
    /// Event time of the last purchase or capture.
    pub(crate) last_active: Option<i64>,
}

impl Member {
    /// Points of funders that left and paid for them are ISSUE points.
    pub(crate) fn prefund(&mut self, funders: &BTreeSet<MerchantNo>) {
        let lots = self.lots.values_mut();
        let lots = lots.map(|lot| (lot.funder, &mut lot.mode));
        let parts = self.purchases.values_mut().flat_map(|p| &mut p.parts);
        let parts = parts.map(|part| (part.funder, &mut part.mode));
        for (funder, mode) in lots.chain(parts) {
            if funders.contains(&funder) {
                *mode = Mode::Issue;
            }
        }
    }

    /// Points that are owed.
    pub(crate) fn debt(&self) -> i64 {
        self.debts.iter().map(|debt| debt.points).sum()
    }

    /// Points that can be spent at an instant.
    pub(crate) fn available(&self, now: i64) -> i64 {
        let free: i64 = self
            .lots
            .values()
            .filter(|lot| lot.expires > now)
            .map(Lot::free)
            .sum();
        (free - self.debt()).max(0)
    }

    /// Lots that have something free, in the order in which they are spent.
    pub(crate) fn burn_order(&self) -> Vec<LotNo> {
        let mut order: Vec<(i64, i64, LotNo)> = self
            .lots
            .iter()
            .filter(|(_, lot)| lot.free() > 0)
            .map(|(number, lot)| (lot.expires, lot.posted, *number))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(.., number)| number).collect()
    }

    /// The last activity, when something happens at an instant: never backwards.
    pub(crate) fn active(&self, event_time: i64) -> i64 {
        self.last_active.map_or(event_time, |at| at.max(event_time))
    }

    /// Posts a lot.
    pub(crate) fn post(&mut self, lot: Lot) -> LotNo {
        self.last_lot += 1;
        self.lots.insert(self.last_lot, lot);
        self.last_lot
    }

    /// When something of it is due next.
    pub(crate) fn next_due(&self) -> Option<i64> {
        let holds = self
            .holds
            .values()
            .filter(|hold| hold.state == HoldState::Open)
            .map(|hold| hold.ends);
        let lots = self
            .lots
            .values()
            .filter(|lot| lot.free() > 0 && lot.expires != i64::MAX)
            .map(|lot| lot.expires);
        let waiting = self.purchases.values().filter_map(|p| p.waits_until);
        holds.chain(lots).chain(waiting).min()
    }

    /// Forgets what no message can name any more at `now`: what is over, which it stays.
    pub(crate) fn forget(&mut self, terms: &Terms, now: i64) {
        let over = |key: &MessageKey, window: Window| terms.is_over(key.0, window, now);
        self.purchases
            .retain(|key, p| p.waits_until.is_some() || !over(key, p.window));
        self.captures.retain(|key, c| !over(key, c.window));
        let captures = &self.captures;
        self.holds.retain(|key, hold| match &hold.state {
            HoldState::Open => true,
            HoldState::Captured(by) => captures.contains_key(&(key.0, *by)),
            HoldState::Voided | HoldState::Ended => !over(key, hold.window),
        });
        let named: BTreeSet<LotNo> = self
            .captures
            .values()
            .flat_map(|capture| &capture.uses)
            .map(|taken| taken.lot)
            .collect();
        self.lots
            .retain(|number, lot| lot.remaining > 0 || named.contains(number));
    }

    /// Its bytes, with a version in front.
    pub(crate) fn pack(&mut self, terms: &Terms, now: i64) -> Vec<u8> {
        self.forget(terms, now);
        crate::state::pack(self)
    }
}
