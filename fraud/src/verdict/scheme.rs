//! From statistics to named schemes: which ones speak for which scheme, how they add up, and which scheme explains another away.

use super::signal::{Evidence, Signal};
use crate::{
    stats::{LEAST_EVENTS, fisher},
    typology::Typology,
};

/// Statistics that speak for a scheme: each alone, and together.
struct Pattern {
    typology: Typology,
    /// Any of these is enough.
    alone: &'static [Signal],
    /// These count together (Fisher), where two of them are odd by themselves.
    together: &'static [Signal],
    /// Below this they are odd by themselves.
    odd: f64,
    /// A scheme that is odd leaves these without weight: they are its side effects.
    explained_by: &'static [Typology],
}

const PATTERNS: [Pattern; 12] = [
    Pattern {
        typology: Typology::DeclaredBot,
        alone: &[Signal::Automated],
        together: &[],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::CookieStuffing,
        alone: &[Signal::NoNavigation],
        together: &[Signal::NoNavigation, Signal::TimesFlood],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::BannedSource,
        alone: &[Signal::Banned],
        together: &[],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::ForgedPostback,
        alone: &[Signal::Refused],
        together: &[],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::CouponHijack,
        alone: &[Signal::Overwritten],
        together: &[],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::SelfReferral,
        alone: &[Signal::OwnPurchases, Signal::SharedPayments],
        together: &[Signal::OwnPurchases, Signal::SharedPayments],
        odd: ODD,
        explained_by: &[],
    },
    Pattern {
        typology: Typology::ClickDuplicate,
        alone: &[Signal::Duplicates, Signal::Bursts],
        together: &[Signal::Duplicates, Signal::Bursts],
        odd: ODD,
        explained_by: &[Typology::DeclaredBot],
    },
    Pattern {
        typology: Typology::ClickInjection,
        // Late touches alone are what honest coupon sites have.
        alone: &[Signal::TimesSpike],
        // Two that have nothing to do with each other in an honest affiliate: less is enough of each.
        together: &[Signal::Preceded, Signal::RateHigh],
        odd: 0.05,
        explained_by: &[Typology::CouponHijack, Typology::SelfReferral],
    },
    Pattern {
        typology: Typology::ClickFlood,
        alone: &[Signal::TimesFlood],
        together: &[Signal::TimesFlood, Signal::RateLow],
        odd: ODD,
        explained_by: &[Typology::CookieStuffing],
    },
    Pattern {
        typology: Typology::FakeConversion,
        // Many returns alone are a matter of taste and sizes.
        alone: &[Signal::DisposableMail],
        together: &[Signal::Returned, Signal::DisposableMail, Signal::RateHigh],
        odd: ODD,
        explained_by: &[Typology::SelfReferral],
    },
    Pattern {
        typology: Typology::MasqueradingBot,
        alone: &[
            Signal::HoursFlat,
            Signal::BarrenPrefixes,
            Signal::RareAgents,
        ],
        together: &[
            Signal::HoursFlat,
            Signal::BarrenPrefixes,
            Signal::RareAgents,
            Signal::RegularGaps,
            Signal::RateLow,
        ],
        odd: ODD,
        explained_by: &[
            Typology::DeclaredBot,
            Typology::ClickFlood,
            Typology::CookieStuffing,
            Typology::ClickDuplicate,
        ],
    },
    Pattern {
        typology: Typology::LowQuality,
        alone: &[Signal::PartReturned],
        together: &[],
        odd: ODD,
        explained_by: &[Typology::FakeConversion, Typology::SelfReferral],
    },
];

/// A statistic is odd by itself below this.
const ODD: f64 = 0.01;
/// One of several that count together is never taken for surer than this: they must agree.
const SUREST: f64 = 1e-4;
/// Above this, a statistic does not speak.
const SPEAKS: f64 = 0.1;

/// What the statistics say of one scheme.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) typology: Typology,
    pub(super) p_value: f64,
    /// Part of the traffic that is the scheme's.
    pub(super) share: f64,
    /// How many events more than usual.
    pub(super) events: f64,
    /// What speaks for it, the strongest first.
    pub(super) evidence: Vec<Evidence>,
}

/// Every scheme for which enough was counted, in the order of the patterns.
pub(super) fn findings(evidence: &[Evidence]) -> Vec<Finding> {
    PATTERNS
        .iter()
        .filter_map(|pattern| pattern.finding(evidence))
        .collect()
}

/// Whether one of the schemes is a side effect of another one.
pub(super) fn explains(cause: Typology, effect: Typology) -> bool {
    PATTERNS
        .iter()
        .any(|pattern| pattern.typology == effect && pattern.explained_by.contains(&cause))
}

impl Pattern {
    fn finding(&self, evidence: &[Evidence]) -> Option<Finding> {
        let get = |signal: &Signal| evidence.iter().find(|found| found.signal == *signal);
        let mut ways: Vec<f64> = self
            .alone
            .iter()
            .filter_map(get)
            .map(|found| found.p_value)
            .collect();
        let together: Vec<&Evidence> = self.together.iter().filter_map(get).collect();
        let odd = |found: &&&Evidence| found.p_value < self.odd && found.events() >= LEAST_EVENTS;
        if together.iter().filter(odd).count() >= 2 {
            let p_values: Vec<f64> = together
                .iter()
                .map(|found| found.p_value.max(SUREST))
                .collect();
            ways.push(fisher(&p_values));
        }
        let smallest = ways.iter().copied().reduce(f64::min)?;
        let mut speaking: Vec<Evidence> = self
            .alone
            .iter()
            .chain(self.together)
            .filter_map(get)
            .filter(|found| found.p_value < SPEAKS)
            .copied()
            .collect();
        speaking.sort_by(|a, b| {
            a.p_value
                .total_cmp(&b.p_value)
                .then(a.signal.cmp(&b.signal))
        });
        speaking.dedup_by_key(|found| found.signal);
        Some(Finding {
            typology: self.typology,
            p_value: (smallest * ways.len() as f64).min(1.0),
            share: speaking.iter().map(Evidence::excess).fold(0.0, f64::max),
            events: speaking.iter().map(Evidence::events).fold(0.0, f64::max),
            evidence: speaking,
        })
    }
}
