//! What is remembered of a member, a till and a device.

use serde::{Deserialize, Serialize};

use super::bounded::State;
use crate::{
    event::Merchant,
    features::{Distinct, PERIOD_MS},
};

/// Accruals of a member that are remembered one by one.
const RECENT: usize = 16;

/// So many of so many; halved every 14 days, so that a change shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) some: u32,
    pub(super) all: u32,
    period: i32,
}

impl Counted {
    pub(super) fn roll(&mut self, at_ms: i64) {
        let now = period(at_ms);
        let turns = now.saturating_sub(self.period);
        if turns > 0 {
            let turns = turns.unsigned_abs().min(31);
            self.some >>= turns;
            self.all >>= turns;
            self.period = now;
        }
    }

    pub(super) fn count(&mut self, holds: bool) {
        self.all = self.all.saturating_add(1);
        self.some = self.some.saturating_add(u32::from(holds));
    }

    /// The share that is usual, leaning on one in fifty where little was seen.
    pub(super) fn share(&self) -> f64 {
        (f64::from(self.some) + 1.0) / (f64::from(self.all) + 50.0)
    }
}

fn period(at_ms: i64) -> i32 {
    i32::try_from(at_ms.div_euclid(PERIOD_MS)).unwrap_or(i32::MAX)
}

/// An accrual that was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    at_ms: i64,
    merchant: Merchant,
    pub(super) till: u32,
    in_person: bool,
    taken: bool,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct MemberState {
    key: u64,
    recent: [Seen; RECENT],
    next: u8,
    pub(super) near: Counted,
    burnt_ms: Option<i64>,
    returned: Counted,
    /// When an account was linked, what the member had then, and what was burnt since.
    linked: Option<(i64, i64, i64)>,
}

impl State for MemberState {
    fn new(key: u64) -> Self {
        Self {
            key,
            recent: [Seen::default(); RECENT],
            next: 0,
            near: Counted::default(),
            burnt_ms: None,
            returned: Counted::default(),
            linked: None,
        }
    }

    fn key(&self) -> u64 {
        self.key
    }
}

impl MemberState {
    pub(super) fn accrue(&mut self, at_ms: i64, merchant: Merchant, till: u32, in_person: bool) {
        let at = usize::from(self.next) % RECENT;
        self.recent[at] = Seen {
            at_ms,
            merchant,
            till,
            in_person,
            taken: true,
        };
        self.next = ((at + 1) % RECENT) as u8;
    }

    fn since(&self, at_ms: i64, within_ms: i64) -> impl Iterator<Item = &Seen> {
        // Messages may come late: what is near in time counts, before or behind.
        self.recent
            .iter()
            .filter(move |seen| seen.taken && (at_ms - seen.at_ms).abs() < within_ms)
    }

    /// Accruals of a kind within a time of an instant, up to 16.
    pub(super) fn within(
        &self,
        at_ms: i64,
        within_ms: i64,
        is_kind: impl Fn(&Seen) -> bool,
    ) -> u32 {
        self.since(at_ms, within_ms)
            .filter(|seen| is_kind(seen))
            .count() as u32
    }

    /// Merchants at which the member stood within a time of an instant.
    pub(super) fn merchants_within(&self, at_ms: i64, within_ms: i64) -> u32 {
        let mut merchants: Vec<Merchant> = self
            .since(at_ms, within_ms)
            .filter(|seen| seen.in_person)
            .map(|seen| seen.merchant)
            .collect();
        merchants.sort_unstable();
        merchants.dedup();
        merchants.len() as u32
    }

    pub(super) fn link(&mut self, at_ms: i64, balance: i64) {
        self.linked = Some((at_ms, balance.max(0), 0));
    }

    /// Takes a redemption in: percent of the balance at the last link that was burnt since, and how long ago that was.
    pub(super) fn redeem(&mut self, at_ms: i64, points: i64) -> Option<(u32, i64)> {
        self.burnt_ms = Some(at_ms);
        let (linked_ms, balance, burnt) = self.linked.as_mut()?;
        *burnt = burnt.saturating_add(points.max(0));
        let percent = i128::from(*burnt) * 100 / i128::from((*balance).max(1));
        let percent = if *balance > 0 { percent } else { 0 };
        Some((
            u32::try_from(percent).unwrap_or(u32::MAX),
            at_ms - *linked_ms,
        ))
    }

    /// Returns soon after burning, so far.
    pub(super) fn returned(&mut self, at_ms: i64) -> u32 {
        self.returned.roll(at_ms);
        self.returned.some
    }

    /// Takes a return in: how many came soon after burning, where this one did.
    pub(super) fn back(&mut self, at_ms: i64, within_ms: i64) -> u32 {
        // One return for one time of burning.
        if let Some(burnt_ms) = self.burnt_ms
            && (0..within_ms).contains(&(at_ms - burnt_ms))
        {
            self.burnt_ms = None;
            self.returned.roll(at_ms);
            self.returned.count(true);
            return self.returned.some;
        }
        0
    }
}

/// A till.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LaneState {
    key: u64,
    pub(super) near: Counted,
}

impl State for LaneState {
    fn new(key: u64) -> Self {
        Self {
            key,
            near: Counted::default(),
        }
    }

    fn key(&self) -> u64 {
        self.key
    }
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceState {
    key: u64,
    period: i32,
    members: Distinct,
}

impl State for DeviceState {
    fn new(key: u64) -> Self {
        Self {
            key,
            period: i32::MIN,
            members: Distinct::default(),
        }
    }

    fn key(&self) -> u64 {
        self.key
    }
}

impl DeviceState {
    /// Takes a member in: how many different ones there were in these two weeks.
    pub(super) fn member(&mut self, at_ms: i64, member: u64) -> u32 {
        let now = period(at_ms);
        if now > self.period {
            self.period = now;
            self.members = Distinct::default();
        }
        self.members.add(member);
        self.members.estimate() as u32
    }
}
