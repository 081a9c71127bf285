//! Who is in the simulated alliance: merchants, affiliates that differ honestly, and those who cheat.
//!
//! Honest affiliates differ in volume (log-normal), conversion, speed of their buyers, hours, networks (carriers with one
//! address for thousands of phones), in-app browsers without a referrer, crawlers, double clicks, returns; a few test their own
//! links, share an account with a declared or undeclared sister site, or go viral for four days.

use std::collections::BTreeSet;

use super::rng::Rng;
use crate::typology::Typology;

/// Kinds of sites.
pub(super) const VERTICALS: usize = 6;
pub(super) const CONTENT: u8 = 0;
pub(super) const COUPON: u8 = 1;
pub(super) const SOCIAL: u8 = 2;
pub(super) const COMPARISON: u8 = 3;
pub(super) const MAIL: u8 = 4;

/// Size of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Affiliates.
    pub affiliates: u32,
    /// Merchants.
    pub merchants: u32,
    /// Days.
    pub days: u32,
    /// Cheating affiliates per scheme.
    pub per_scheme: u32,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            affiliates: 1_000,
            merchants: 30,
            days: 60,
            per_scheme: 8,
        }
    }
}

/// What a cheating affiliate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// One of the named schemes, as it is.
    Named(Typology),
    /// Several schemes, each of them throttled below what shows by itself.
    Throttled,
    /// Touches placed on people who are about to buy, at times drawn from the merchant's honest ones.
    HonestTimes,
}

impl Scheme {
    /// The twelve named ones and the two that adapt.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Typology::ALL
            .into_iter()
            .filter(|typology| *typology != Typology::LowQuality)
            .map(Self::Named)
            .chain([Self::Throttled, Self::HonestTimes])
            .collect()
    }

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Named(typology) => typology.code(),
            Self::Throttled => "ADAPTIVE_THROTTLED",
            Self::HonestTimes => "ADAPTIVE_HONEST_TIMES",
        }
    }
}

/// What one who cheats does, and since when.
#[derive(Debug, Clone)]
pub(super) struct Fraud {
    pub(super) scheme: Scheme,
    /// The day it begins.
    pub(super) onset: u32,
    /// Part of the traffic (clicks or conversions) that is the scheme's, behind the onset.
    pub(super) contamination: f64,
    /// Extra clicks per honest one, where the scheme needs them.
    pub(super) noise: f64,
    /// Networks that its programs use.
    pub(super) proxies: u64,
}

pub(super) struct Merchant {
    pub(super) conversion: f64,
    pub(super) fast_median_s: f64,
    pub(super) slow_median_s: f64,
    pub(super) slow_part: f64,
    pub(super) window_days: f64,
    pub(super) basket: f64,
    pub(super) commission: f64,
    pub(super) returns: f64,
    pub(super) lock_days: i64,
    pub(super) tells_checkout: bool,
    pub(super) flash_days: [u32; 2],
    pub(super) resend_day: u32,
    pub(super) season: f64,
}

pub(super) struct Affiliate {
    pub(super) vertical: u8,
    pub(super) clicks_a_day: f64,
    /// Merchants and the part of the clicks that goes there.
    pub(super) merchants: Vec<(u32, f64)>,
    pub(super) conversion: f64,
    pub(super) pace: f64,
    pub(super) slow_shift: f64,
    pub(super) peak_hour: f64,
    pub(super) day_depth: f64,
    pub(super) utc_offset: i64,
    pub(super) mobile: f64,
    pub(super) in_app: f64,
    pub(super) crawlers: f64,
    pub(super) doubles: f64,
    pub(super) no_navigation: f64,
    pub(super) banned: f64,
    pub(super) preceded: f64,
    pub(super) at_checkout: f64,
    pub(super) returns: f64,
    pub(super) disposable: f64,
    pub(super) new_customers: f64,
    pub(super) own_purchases: u32,
    pub(super) viral_day: Option<u32>,
    pub(super) enrols: u32,
    pub(super) fraud: Option<Fraud>,
}

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) scale: Scale,
    pub(super) merchants: Vec<Merchant>,
    pub(super) affiliates: Vec<Affiliate>,
}

impl World {
    pub(super) fn new(seed: u64, scale: Scale) -> Self {
        let mut rng = Rng::new(seed, 1);
        let merchants: Vec<Merchant> = (0..scale.merchants)
            .map(|_| Merchant::new(&mut rng, scale.days))
            .collect();
        let mut affiliates: Vec<Affiliate> = (0..scale.affiliates)
            .map(|_| Affiliate::new(&mut rng, &merchants))
            .collect();
        // One honest site goes viral; it is not among those that cheat.
        let viral = rng.below(u64::from(scale.affiliates)) as usize;
        if let Some(viral) = affiliates.get_mut(viral) {
            viral.viral_day = Some(scale.days / 2);
            viral.vertical = SOCIAL;
        }
        let mut taken = BTreeSet::from([viral]);
        for scheme in Scheme::all() {
            for _ in 0..scale.per_scheme {
                let at = loop {
                    let at = rng.below(u64::from(scale.affiliates)) as usize;
                    if taken.insert(at) {
                        break at;
                    }
                };
                affiliates[at].cheat(scheme, &mut rng, scale.days);
            }
        }
        Self {
            seed,
            scale,
            merchants,
            affiliates,
        }
    }
}

impl Merchant {
    fn new(rng: &mut Rng, days: u32) -> Self {
        Self {
            conversion: rng.log_normal(0.03, 0.35),
            fast_median_s: rng.range(120.0, 420.0),
            slow_median_s: rng.range(3.0, 12.0) * 3_600.0,
            slow_part: rng.range(0.25, 0.45),
            window_days: [7.0, 14.0, 30.0][rng.below(3) as usize],
            basket: rng.log_normal(60.0, 0.5),
            commission: rng.range(0.03, 0.12),
            returns: rng.range(0.03, 0.2),
            lock_days: [21, 30, 45, 60][rng.below(4) as usize],
            tells_checkout: rng.chance(0.85),
            flash_days: [
                rng.below(u64::from(days)) as u32,
                rng.below(u64::from(days)) as u32,
            ],
            resend_day: rng.below(u64::from(days)) as u32,
            season: rng.range(-0.3, 0.5),
        }
    }
}

impl Affiliate {
    fn new(rng: &mut Rng, merchants: &[Merchant]) -> Self {
        let vertical = rng.below(VERTICALS as u64) as u8;
        let mut own = BTreeSet::new();
        let count = 1 + rng.below(4);
        while (own.len() as u64) < count.min(merchants.len() as u64) {
            own.insert(rng.zipf(merchants.len() as u64) as u32);
        }
        let weights: Vec<f64> = own.iter().map(|_| rng.range(0.3, 1.0)).collect();
        let total: f64 = weights.iter().sum();
        // Kinds of sites: conversion, pace, phones, in-app browsers.
        let (conversion, pace, mobile, in_app) = match vertical {
            CONTENT => (0.9, 1.3, 0.4, 0.05),
            COUPON => (1.7, 0.7, 0.4, 0.03),
            SOCIAL => (0.6, 1.0, 0.85, 0.6),
            COMPARISON => (1.3, 1.1, 0.3, 0.02),
            MAIL => (1.1, 0.9, 0.5, 0.1),
            _ => (0.8, 0.8, 0.95, 0.3),
        };
        Self {
            vertical,
            clicks_a_day: rng.log_normal(60.0, 0.9).min(900.0),
            merchants: own
                .into_iter()
                .zip(weights)
                .map(|(merchant, weight)| (merchant, weight / total))
                .collect(),
            conversion: rng.log_normal(conversion, 0.3),
            pace: rng.log_normal(pace, 0.3),
            slow_shift: 0.06 * rng.normal(),
            peak_hour: if vertical == MAIL { 10.0 } else { 20.0 } + 1.2 * rng.normal(),
            day_depth: rng.range(0.65, 0.95),
            utc_offset: rng.below(12) as i64 - 6,
            mobile: (mobile + 0.08 * rng.normal()).clamp(0.05, 0.98),
            in_app: (in_app + 0.05 * rng.normal()).clamp(0.0, 0.9),
            crawlers: rng.log_normal(0.025, 0.5).min(0.12),
            doubles: rng.log_normal(0.02, 0.5).min(0.1),
            no_navigation: rng.log_normal(0.006, 0.6).min(0.05),
            banned: rng.log_normal(0.002, 0.7).min(0.03),
            preceded: rng
                .log_normal(if vertical == COUPON { 0.2 } else { 0.1 }, 0.3)
                .min(0.5),
            at_checkout: if vertical == COUPON {
                rng.range(0.15, 0.4)
            } else {
                rng.range(0.0, 0.03)
            },
            returns: rng.log_normal(1.0, 0.3),
            disposable: rng.log_normal(0.01, 0.5).min(0.05),
            new_customers: rng.range(0.3, 0.55),
            own_purchases: if rng.chance(0.15) {
                1 + rng.below(3) as u32
            } else {
                0
            },
            viral_day: None,
            enrols: 0,
            fraud: None,
        }
    }

    /// Turns it into one that cheats. Cheating pays at scale: such an affiliate has at least 150 clicks a day.
    fn cheat(&mut self, scheme: Scheme, rng: &mut Rng, days: u32) {
        self.clicks_a_day = self.clicks_a_day.max(rng.range(150.0, 400.0));
        let onset = days / 3 + rng.below(u64::from(days / 4).max(1)) as u32;
        if scheme == Scheme::Named(Typology::DuplicateIdentity) {
            self.enrols = onset;
        }
        let coupons_only = scheme == Scheme::Named(Typology::CouponHijack);
        if coupons_only {
            self.vertical = COUPON;
        }
        self.fraud = Some(Fraud {
            scheme,
            onset,
            contamination: rng.range(0.1, 1.0),
            noise: rng.range(1.0, 3.0),
            proxies: rng.next(),
        });
    }
}
