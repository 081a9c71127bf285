//! Messages of points, scored as they come: farming, impossible speed, burning behind a linked account.
//!
//! Owns a small bounded memory per member, till and device, and what is usual at each merchant. An accrual may be put into
//! quarantine, a redemption or return may be flagged; no message is refused here and no points are moved. The same messages
//! under the same version of the rules give the same verdicts. Costs some microseconds a message.

mod bounded;
mod rules;
mod state;
mod verdict;

use std::{collections::BTreeMap, num::NonZeroU64};

use serde::{Deserialize, Serialize};

pub use rules::{PointsLimits, PointsRules, Steps};
pub use verdict::{Action, PointsEvidence, PointsSignal, PointsVerdict};

use crate::{
    event::{Merchant, Token},
    features::mix,
};
use bounded::Bounded;
use state::{Counted, DeviceState, LaneState, MemberState};
use verdict::Weighing;

/// A message of points, as far as it matters here. Members, tills and devices are keyed hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PointsEvent {
    /// Points for a purchase.
    Accrual {
        /// When the purchase was made, in milliseconds UTC.
        at_ms: i64,
        /// Whose.
        member: NonZeroU64,
        /// Where.
        merchant: Merchant,
        /// The till; `None` where there is none.
        lane: Token,
        /// The phone or other device that showed the card; `None` of a card of plastic and of devices that many people use.
        device: Token,
        /// The member stood there: not a purchase over the net.
        in_person: bool,
        /// Points, in the smallest unit.
        points: i64,
        /// The most that the merchant gives for one receipt, where there is such a limit.
        limit: Option<i64>,
    },
    /// Points spent.
    Redemption {
        /// When, in milliseconds UTC.
        at_ms: i64,
        /// Whose.
        member: NonZeroU64,
        /// Where.
        merchant: Merchant,
        /// Points, in the smallest unit.
        points: i64,
    },
    /// Goods came back and the points for them with them.
    Return {
        /// When, in milliseconds UTC.
        at_ms: i64,
        /// Whose.
        member: NonZeroU64,
        /// Where.
        merchant: Merchant,
    },
    /// An account was linked: another card or id stands for the member, or another account was merged into it.
    Link {
        /// When, in milliseconds UTC.
        at_ms: i64,
        /// The member that has it now.
        member: NonZeroU64,
        /// Points that the member has now, in the smallest unit.
        balance: i64,
    },
}

/// The scorer of points messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Points {
    rules: PointsRules,
    members: Bounded<MemberState>,
    lanes: Bounded<LaneState>,
    devices: Bounded<DeviceState>,
    /// Receipts just under the limit, of all with a limit, by merchant.
    usual: BTreeMap<Merchant, Counted>,
}

impl Points {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(limits: PointsLimits, rules: PointsRules) -> Self {
        Self {
            rules,
            members: Bounded::new(limits.members),
            lanes: Bounded::new(limits.lanes),
            devices: Bounded::new(limits.devices),
            usual: BTreeMap::new(),
        }
    }

    /// Another version of the rules is in force from here on.
    pub fn set_rules(&mut self, rules: PointsRules) {
        self.rules = rules;
    }

    /// Members, tills and devices in memory.
    #[must_use]
    pub fn remembered(&self) -> [usize; 3] {
        [self.members.len(), self.lanes.len(), self.devices.len()]
    }

    /// Takes a message in and judges it.
    pub fn apply(&mut self, event: &PointsEvent) -> PointsVerdict {
        match *event {
            PointsEvent::Accrual { .. } => self.accrual(event),
            PointsEvent::Redemption {
                at_ms,
                member,
                points,
                ..
            } => self.redemption(at_ms, member, points),
            PointsEvent::Return { at_ms, member, .. } => self.back(at_ms, member),
            PointsEvent::Link {
                at_ms,
                member,
                balance,
                ..
            } => {
                self.members.entry(member.get(), at_ms).link(at_ms, balance);
                PointsVerdict::accept()
            }
        }
    }

    fn accrual(&mut self, event: &PointsEvent) -> PointsVerdict {
        let PointsEvent::Accrual {
            at_ms,
            member,
            merchant,
            lane,
            device,
            in_person,
            points,
            limit,
        } = *event
        else {
            return PointsVerdict::accept();
        };
        let mut weighing = Weighing::default();
        let rules = &self.rules;
        let near = limit.map(|limit| rules.is_near(points, limit));
        let usual = self.usual.entry(merchant).or_default();
        usual.roll(at_ms);
        let usual_share = usual.share();

        let state = self.members.entry(member.get(), at_ms);
        let till = lane.map_or(0, |lane| mix(lane.get() ^ u64::from(merchant.0)) as u32 | 1);
        state.accrue(at_ms, merchant, till, in_person);
        let minute = state.within(at_ms, 60_000, |_| true);
        weighing.step(PointsSignal::AccrualsMinute, minute, &rules.accruals_minute);
        let hour = state.within(at_ms, 3_600_000, |_| true);
        weighing.step(PointsSignal::AccrualsHour, hour, &rules.accruals_hour);
        let merchants = state.merchants_within(at_ms, rules.merchants_within_ms);
        weighing.step(PointsSignal::ManyMerchants, merchants, &rules.merchants);
        if till != 0 {
            let same = state.within(at_ms, 86_400_000, |seen| seen.till == till);
            weighing.step(PointsSignal::SameTill, same, &rules.same_till);
        }
        if let Some(near) = near {
            state.near.roll(at_ms);
            state.near.count(near);
            if near {
                weighing.rare(PointsSignal::NearLimit, state.near, usual_share, rules);
            }
        }
        if let (Some(lane), Some(near)) = (lane, near) {
            let key = mix(lane.get()) ^ u64::from(merchant.0);
            let state = self.lanes.entry(key, at_ms);
            state.near.roll(at_ms);
            state.near.count(near);
            if near {
                weighing.rare(PointsSignal::TillNearLimit, state.near, usual_share, rules);
            }
        }
        if let Some(device) = device {
            let members = self
                .devices
                .entry(device.get(), at_ms)
                .member(at_ms, member.get());
            weighing.step(PointsSignal::DeviceMembers, members, &rules.device_members);
        }
        if let Some(near) = near {
            self.usual.entry(merchant).or_default().count(near);
        }
        weighing.finish(Action::Quarantine)
    }

    fn redemption(&mut self, at_ms: i64, member: NonZeroU64, points: i64) -> PointsVerdict {
        let rules = &self.rules;
        let mut weighing = Weighing::default();
        let state = self.members.entry(member.get(), at_ms);
        if let Some((share, elapsed_ms)) = state.redeem(at_ms, points)
            && elapsed_ms <= rules.linked_within_ms
        {
            weighing.step(PointsSignal::BurnAfterLink, share, &rules.burn_after_link);
        }
        let returns = state.returned(at_ms);
        weighing.step(
            PointsSignal::ReturnAfterBurn,
            returns,
            &rules.return_after_burn,
        );
        weighing.finish(Action::Flag)
    }

    fn back(&mut self, at_ms: i64, member: NonZeroU64) -> PointsVerdict {
        let rules = &self.rules;
        let mut weighing = Weighing::default();
        let state = self.members.entry(member.get(), at_ms);
        let returns = state.back(at_ms, rules.return_within_ms);
        weighing.step(
            PointsSignal::ReturnAfterBurn,
            returns,
            &rules.return_after_burn,
        );
        weighing.finish(Action::Flag)
    }
}

#[cfg(test)]
mod tests;
