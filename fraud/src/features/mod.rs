//! Streaming features: what is remembered of the traffic, in memory that does not grow with it.
//!
//! Owns the profiles of pairs of affiliate and merchant, address prefixes and devices, and the small memories behind them; an
//! affiliate's and a merchant's profile are the union of their pairs. Judges nothing. A touch updates three profiles of 384 bytes; nothing is allocated but when a table grows towards its bound.

mod distinct;
mod identities;
mod index;
mod profile;
mod rate;
mod recent;
mod table;

use serde::{Deserialize, Serialize};

pub use distinct::Distinct;
pub use identities::{Identities, Link, LinkKind};
pub(crate) use profile::is_late;
pub use profile::{GAP_BINS, PERIOD_MS, Profile, TALLIES, TIME_BINS, Tally, time_bin, time_edges};
pub use rate::HALF_LIVES_MS;
pub use recent::DUPLICATE_MS;
pub use table::Table;

use crate::event::{
    Affiliate, Conversion, Enrolment, Event, Merchant, Refusal, RefusalKind, Return, Touch,
    TouchKind,
};
use index::Tag;
use profile::{ConversionFacts, TouchFacts};
use recent::{Agents, Recent};

/// Spreads a key over all bits (the finaliser of SplitMix64).
#[inline]
pub(crate) const fn mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A pair of affiliate and merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pair {
    /// Who sends the traffic.
    pub affiliate: Affiliate,
    /// Who pays for it.
    pub merchant: Merchant,
}

impl Pair {
    pub(crate) const fn key(self) -> u64 {
        (self.affiliate.0 as u64) << 32 | self.merchant.0 as u64
    }

    const fn of(key: u64) -> Self {
        Self {
            affiliate: Affiliate((key >> 32) as u32),
            merchant: Merchant(key as u32),
        }
    }
}

impl Touch {
    const fn pair(&self) -> Pair {
        Pair {
            affiliate: self.affiliate,
            merchant: self.merchant,
        }
    }
}

impl Conversion {
    const fn pair(&self) -> Pair {
        Pair {
            affiliate: self.affiliate,
            merchant: self.merchant,
        }
    }
}

/// How much may be remembered. Pairs are as many as enrolled; the bounds on prefixes and devices hold
/// against a flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pairs of affiliate and merchant.
    pub pairs: usize,
    /// Address prefixes.
    pub prefixes: usize,
    /// Devices.
    pub devices: usize,
    /// Clicks of the last minute, and means of payment.
    pub recent: usize,
}

impl Default for Limits {
    /// A million entities.
    fn default() -> Self {
        Self {
            pairs: 200_000,
            prefixes: 200_000,
            devices: 600_000,
            recent: 1 << 17,
        }
    }
}

/// A prefix with so many clicks in fading memory, and no conversion, is barren.
const BARREN_CLICKS: u32 = 150;
/// A device that so many affiliates reached is crowded.
const CROWDED: usize = 5;

/// So many events are looked ahead at, at most: what they need fits into the second level of a processor's cache with room to
/// spare.
pub(crate) const AHEAD: usize = 64;

/// All features.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Features {
    pairs: Table,
    prefixes: Table,
    devices: Table,
    clicks: Recent,
    payments: Recent,
    agents: Agents,
    identities: Identities,
}

impl Features {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            pairs: Table::new(limits.pairs),
            prefixes: Table::new(limits.prefixes),
            devices: Table::new(limits.devices),
            clicks: Recent::new(limits.recent),
            payments: Recent::new(limits.recent),
            agents: Agents::new(),
            identities: Identities::default(),
        }
    }

    /// Reads a little of all that these events will change, and changes nothing. Almost nothing of a million entities is near
    /// the processor; it fetches many things at once when, as here, none needs another one first. An event alone waits three
    /// times.
    pub(crate) fn look_ahead(&self, events: &[Event]) {
        let mut read = 0;
        let tables = [&self.pairs, &self.prefixes, &self.devices];
        let mut wanted = [[None; 3]; AHEAD];
        for (wanted, event) in wanted.iter_mut().zip(events) {
            let (pair, prefix, device) = match event {
                Event::Touch(touch) => {
                    if let Some(visit) = visit(touch) {
                        read ^= self.clicks.look(visit);
                    }
                    (touch.pair(), touch.prefix, touch.device)
                }
                Event::Conversion(conversion) => {
                    (conversion.pair(), conversion.prefix, conversion.device)
                }
                Event::Refusal(_) | Event::Return(_) | Event::Enrolment(_) | Event::Ban(..) => {
                    continue;
                }
            };
            let keys = [
                Some(pair.key()),
                prefix.map(u64::from),
                device.map(u64::from),
            ];
            for ((tag, key), table) in wanted.iter_mut().zip(keys).zip(tables) {
                *tag = key.map(Tag::of);
                read ^= tag.map_or(0, |tag| table.look(tag));
            }
        }
        for (wanted, event) in wanted.iter().zip(events) {
            let conversion = matches!(event, Event::Conversion(_));
            for (tag, table) in wanted.iter().zip(tables) {
                let profile = tag.and_then(|tag| table.guess(tag));
                read ^= profile.map_or(0, |profile| profile.look(conversion));
            }
        }
        // What nobody uses need not be read.
        std::hint::black_box(read);
    }

    /// Takes a touch in.
    pub fn touch(&mut self, touch: &Touch) {
        let pair = touch.pair();
        let mut facts = TouchFacts::default();
        let affiliate = u64::from(touch.affiliate.0);
        if touch.kind != TouchKind::View {
            if let Some(visit) = visit(touch) {
                let row = self.clicks.row(visit, touch.at_ms);
                facts.duplicate = row >= 2;
                facts.burst = row >= 3;
            }
            facts.rare_agent = match touch.agent {
                Some(agent) => self.agents.count(agent.get()),
                None => true,
            };
        }
        if let Some(prefix) = touch.prefix {
            let profile = self.prefixes.entry(prefix.get(), touch.at_ms);
            facts.barren = profile.tally(Tally::Clicks) >= BARREN_CLICKS
                && profile.tally(Tally::Conversions) == 0;
            profile.touch(touch, facts, affiliate);
        }
        if let Some(device) = touch.device {
            let profile = self.devices.entry(device.get(), touch.at_ms);
            facts.crowded = profile.tally(Tally::Clicks) as usize >= CROWDED
                && profile.others.occupied() >= CROWDED;
            profile.touch(touch, facts, affiliate);
        }
        let prefix = touch.prefix.map_or(0, u64::from);
        self.pairs
            .entry(pair.key(), touch.at_ms)
            .touch(touch, facts, prefix);
    }

    /// Takes an accepted conversion in; whether customer or device are an affiliate's, and whether its means of payment paid
    /// through the affiliate for another customer.
    pub fn conversion(&mut self, conversion: &Conversion) -> (bool, bool) {
        let pair = conversion.pair();
        let shared_payment = conversion.payment.is_some_and(|payment| {
            let customer = conversion.customer.map_or(0, u64::from) as i64;
            let key = payment.get() ^ mix(u64::from(conversion.affiliate.0));
            self.payments
                .replace(key, customer)
                .is_some_and(|last| last != customer)
        });
        let facts = ConversionFacts {
            own: self.identities.owns(conversion.customer, conversion.device),
            shared_payment,
        };
        let at_ms = conversion.at_ms;
        for (table, key) in [
            (&mut self.pairs, Some(pair.key())),
            (&mut self.prefixes, conversion.prefix.map(u64::from)),
            (&mut self.devices, conversion.device.map(u64::from)),
        ] {
            if let Some(key) = key {
                table.entry(key, at_ms).conversion(conversion, facts);
            }
        }
        (facts.own, facts.shared_payment)
    }

    /// Takes a refusal in. Late conversions are no sign of forgery and are not counted.
    pub fn refusal(&mut self, refusal: &Refusal) {
        match refusal.kind {
            RefusalKind::BadSignature | RefusalKind::ForgedClick | RefusalKind::ReusedClick => {
                self.count(
                    refusal.affiliate,
                    refusal.merchant,
                    Tally::Refused,
                    refusal.at_ms,
                );
            }
            RefusalKind::OutsideWindow => {}
        }
    }

    /// Takes a return in.
    pub fn back(&mut self, back: &Return) {
        let tally = if back.whole {
            Tally::Returned
        } else {
            Tally::PartReturned
        };
        self.count(back.affiliate, back.merchant, tally, back.at_ms);
    }

    /// Takes an enrolment in; what it has in common with others.
    pub fn enrolment(&mut self, enrolment: &Enrolment) -> Vec<Link> {
        self.identities.enrol(enrolment)
    }

    /// Remembers that an affiliate is banned; who has something in common with it.
    pub fn ban(&mut self, affiliate: Affiliate) -> Vec<Link> {
        self.identities.ban(affiliate)
    }

    /// Forgets that an affiliate is banned.
    pub(crate) fn lift_ban(&mut self, affiliate: Affiliate) {
        self.identities.lift_ban(affiliate);
    }

    fn count(&mut self, affiliate: Affiliate, merchant: Merchant, tally: Tally, at_ms: i64) {
        let pair = Pair {
            affiliate,
            merchant,
        };
        self.pairs.entry(pair.key(), at_ms).count(tally, at_ms);
    }

    /// All pairs as they stand at an instant, by affiliate and merchant.
    #[must_use]
    pub fn pairs(&self, at_ms: i64) -> Vec<(Pair, Profile)> {
        let mut pairs: Vec<_> = self
            .pairs
            .iter()
            .map(|profile| {
                let mut profile = profile.clone();
                profile.roll(at_ms);
                (Pair::of(profile.key), profile)
            })
            .collect();
        pairs.sort_unstable_by_key(|(pair, _)| *pair);
        pairs
    }

    /// A pair as it stands at an instant.
    #[must_use]
    pub fn pair(&self, pair: Pair, at_ms: i64) -> Option<Profile> {
        let mut profile = self.pairs.get(pair.key())?.clone();
        profile.roll(at_ms);
        Some(profile)
    }

    /// An affiliate over all its merchants, as it stands at an instant. Looks at every pair.
    #[must_use]
    pub fn affiliate(&self, affiliate: Affiliate, at_ms: i64) -> Option<Profile> {
        self.union(|pair| pair.affiliate == affiliate, at_ms)
    }

    /// A merchant over all its affiliates, as it stands at an instant. Looks at every pair.
    #[must_use]
    pub fn merchant(&self, merchant: Merchant, at_ms: i64) -> Option<Profile> {
        self.union(|pair| pair.merchant == merchant, at_ms)
    }

    fn union(&self, is_part: impl Fn(Pair) -> bool, at_ms: i64) -> Option<Profile> {
        self.pairs
            .iter()
            .filter(|profile| is_part(Pair::of(profile.key)))
            .map(|profile| {
                let mut profile = profile.clone();
                profile.roll(at_ms);
                profile
            })
            .reduce(|mut whole, part| {
                whole.join(&part);
                whole
            })
    }

    /// Who the affiliates are.
    #[must_use]
    pub const fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Pairs, prefixes and devices.
    #[must_use]
    pub const fn tables(&self) -> [(&'static str, &Table); 3] {
        [
            ("pairs", &self.pairs),
            ("prefixes", &self.prefixes),
            ("devices", &self.devices),
        ]
    }

    /// Makes what is not saved anew. False when the bytes that were read are no saved features.
    pub(crate) fn reindex(&mut self) -> bool {
        let Self {
            pairs,
            prefixes,
            devices,
            ..
        } = self;
        [pairs, prefixes, devices].into_iter().all(Table::reindex)
            && self.clicks.is_sound()
            && self.payments.is_sound()
            && self.agents.is_sound()
    }
}

/// What two clicks of one visitor on one link have in common; nothing where the visitor is not known.
#[inline]
fn visit(touch: &Touch) -> Option<u64> {
    let visitor = match (touch.device, touch.address) {
        (Some(device), _) => device.get(),
        (None, Some(address)) => mix(address.get()) ^ touch.agent.map_or(0, u64::from),
        (None, None) => return None,
    };
    Some(mix(visitor) ^ touch.pair().key())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::event::Marks;

    pub(crate) fn click(at_ms: i64, affiliate: u32, device: u64) -> Touch {
        Touch {
            at_ms,
            affiliate: Affiliate(affiliate),
            merchant: Merchant(1),
            kind: TouchKind::Click,
            local_hour: 12,
            address: NonZeroU64::new(device + 1),
            prefix: NonZeroU64::new(device / 100 + 1),
            device: NonZeroU64::new(device),
            agent: NonZeroU64::new(device % 7 + 1),
            referrer: None,
            marks: Marks::default(),
        }
    }

    #[test]
    fn the_same_device_within_a_minute_is_a_duplicate_and_people_behind_one_address_are_not() {
        let mut features = Features::new(Limits::default());
        features.touch(&click(0, 1, 5));
        features.touch(&click(59_999, 1, 5));
        features.touch(&click(200_000, 1, 5));
        for device in 100..150 {
            let mut touch = click(300_000, 1, device);
            touch.address = NonZeroU64::new(77);
            features.touch(&touch);
        }
        let pair = Pair {
            affiliate: Affiliate(1),
            merchant: Merchant(1),
        };
        let profile = features.pair(pair, 300_000).expect("the pair is known");
        assert_eq!(profile.tally(Tally::Clicks), 53);
        assert_eq!(profile.tally(Tally::Duplicate), 1);
        assert!((45.0..60.0).contains(&profile.devices()));
    }

    #[test]
    fn a_device_that_many_affiliates_reach_is_crowded() {
        let mut features = Features::new(Limits::default());
        for affiliate in 0..30 {
            features.touch(&click(i64::from(affiliate), affiliate, 9));
        }
        let crowded: u32 = features
            .pairs(100)
            .iter()
            .map(|(_, profile)| profile.tally(Tally::Crowded))
            .sum();
        assert!((20..=25).contains(&crowded), "{crowded}");
        let merchant = features.merchant(Merchant(1), 100).expect("it is known");
        assert_eq!(merchant.tally(Tally::Clicks), 30);
        assert_eq!(merchant.tally(Tally::Crowded), crowded);
        assert!((merchant.rate(2, 29) - 30.0).abs() < 0.1);
        let affiliate = features.affiliate(Affiliate(3), 100).expect("it is known");
        assert_eq!(affiliate.tally(Tally::Clicks), 1);
        assert_eq!(features.affiliate(Affiliate(99), 100), None);
    }
}
