//! What is usual at a merchant: shares, times and hours, of everybody but those who are flagged, and nobody counting more than
//! three times the median.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::signal::{SHARES, Whole};
use crate::{
    event::{Affiliate, Merchant},
    features::{Pair, Profile, TIME_BINS, Tally, time_edges},
    stats::{Mixture, median},
};

/// Purchases faster than this are a spike, in milliseconds.
const SPIKE_MS: i64 = 10_000;
/// The window's last bin has no end; it counts as a day and a half per bin behind it.
const LAST_BIN_MS: f64 = 11.0 * 86_400_000.0;
/// A merchant with fewer than so many clicks or conversions leans on the alliance.
const LEAN: [f64; 2] = [500.0, 40.0];

/// What is usual at one merchant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) shares: [f64; SHARES.len()],
    pub(super) times: Vec<f64>,
    pub(super) hours: Vec<f64>,
    last_bin: usize,
}

/// The mixtures of one merchant, made from its reference.
#[derive(Debug, Clone)]
pub(super) struct Mixtures {
    pub(super) flood: Mixture,
    pub(super) spike: Mixture,
    pub(super) flat: Mixture,
}

/// What is usual at each merchant, and how much kinds of sites differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct References {
    merchants: BTreeMap<Merchant, Reference>,
    overall: Reference,
    /// By kind of site: how many times the usual share.
    verticals: Kinds,
}

/// By kind of site: how many times the usual share.
type Kinds = BTreeMap<u8, [f64; SHARES.len()]>;

/// Merchants and kinds of sites are taken beside each other so often.
const ROUNDS: usize = 3;

impl References {
    pub(super) fn take(
        pairs: &[(Pair, Profile)],
        flagged: &BTreeSet<Affiliate>,
        vertical: impl Fn(Affiliate) -> u8,
    ) -> Self {
        let honest: Vec<(Pair, &Profile, u8)> = pairs
            .iter()
            .filter(|(pair, _)| !flagged.contains(&pair.affiliate))
            .map(|(pair, profile)| (*pair, profile, vertical(pair.affiliate)))
            .collect();
        let mut of: BTreeMap<Merchant, Vec<(&Profile, u8)>> = BTreeMap::new();
        for (pair, profile, kind) in &honest {
            of.entry(pair.merchant).or_default().push((profile, *kind));
        }
        let all: Vec<(&Profile, u8)> = honest.iter().map(|(_, p, kind)| (*p, *kind)).collect();
        let mut references = Self::default();
        // A merchant's share depends on the kinds of its sites, and a kind's on its merchants: each is taken beside the other.
        for _ in 0..ROUNDS {
            let kinds = &references.verticals;
            let overall = Reference::shares(&all, kinds, None);
            let merchants = of.iter().map(|(merchant, profiles)| {
                let shares = Reference::shares(profiles, kinds, Some(&overall));
                (*merchant, Reference::of_shares(shares))
            });
            references.merchants = merchants.collect();
            references.overall = Reference::of_shares(overall);
            references.verticals = references.multiples(&honest);
        }
        references.overall.histograms(&all, None);
        for (merchant, profiles) in &of {
            if let Some(reference) = references.merchants.get_mut(merchant) {
                reference.histograms(profiles, Some(&references.overall));
            }
        }
        references
    }

    /// Observed over expected by kind of site, leaning on 1.
    fn multiples(&self, honest: &[(Pair, &Profile, u8)]) -> Kinds {
        let mut sums: BTreeMap<u8, [(f64, f64); SHARES.len()]> = BTreeMap::new();
        for (pair, profile, kind) in honest {
            let reference = self.of(pair.merchant);
            let sums = sums.entry(*kind).or_default();
            for (at, (_, part, whole)) in SHARES.iter().enumerate() {
                let n = whole.of(profile);
                // One site of the kind must not decide what is usual for the kind.
                let weight = (2_000.0 / n.max(1.0)).min(1.0);
                let k = f64::from(profile.tally(*part));
                sums[at].0 += weight * k.min(usual_most(n, reference.shares[at]));
                sums[at].1 += weight * n * reference.shares[at];
            }
        }
        sums.into_iter()
            .map(|(vertical, sums)| {
                (
                    vertical,
                    sums.map(|(k, e)| ((k + 5.0) / (e + 5.0)).clamp(0.05, 20.0)),
                )
            })
            .collect()
    }

    pub(super) fn of(&self, merchant: Merchant) -> &Reference {
        self.merchants.get(&merchant).unwrap_or(&self.overall)
    }

    /// The share that is expected of a site of this kind at the merchant.
    pub(super) fn expected(&self, merchant: Merchant, vertical: u8, at: usize) -> f64 {
        let multiple = self.verticals.get(&vertical).map_or(1.0, |all| all[at]);
        (self.of(merchant).shares[at] * multiple).clamp(1e-4, 0.95)
    }

    pub(super) fn mixtures(&self) -> BTreeMap<Merchant, Mixtures> {
        self.merchants
            .iter()
            .map(|(merchant, reference)| (*merchant, reference.mixtures()))
            .collect()
    }
}

impl Reference {
    fn of_shares(shares: [f64; SHARES.len()]) -> Self {
        Self {
            shares,
            ..Self::default()
        }
    }

    /// The shares of a site of no special kind, leaning on those of all merchants.
    fn shares(
        profiles: &[(&Profile, u8)],
        kinds: &Kinds,
        lean: Option<&[f64; SHARES.len()]>,
    ) -> [f64; SHARES.len()] {
        let most =
            [Whole::Clicks, Whole::Conversions, Whole::Attempts].map(|whole| most(profiles, whole));
        let mut shares = [0.0; SHARES.len()];
        for (at, (_, part, whole)) in SHARES.iter().enumerate() {
            let lean = lean.map_or((0.5, 50.0), |overall| {
                let by = LEAN[usize::from(*whole != Whole::Clicks)];
                (by * overall[at], by)
            });
            let (mut k, mut n) = lean;
            // Twice, the second time without what is far too much by the first.
            for bound in [f64::INFINITY, 1.0] {
                let first = k / n;
                (k, n) = lean;
                for (profile, kind) in profiles {
                    let count = whole.of(profile);
                    let weight = (most[*whole as usize] / count.max(1.0)).min(1.0);
                    let multiple = kinds.get(kind).map_or(1.0, |all| all[at]);
                    let usual = bound * usual_most(count * multiple, first);
                    k += weight * f64::from(profile.tally(*part)).min(usual);
                    n += weight * count * multiple;
                }
            }
            shares[at] = k / n;
        }
        shares
    }

    fn histograms(&mut self, profiles: &[(&Profile, u8)], lean: Option<&Self>) {
        let by_conversions = most(profiles, Whole::Conversions);
        self.times = histogram(
            profiles,
            |profile| &profile.times()[..],
            |profile| (by_conversions / Whole::Conversions.of(profile).max(1.0)).min(1.0),
            lean.map(|overall| (&overall.times[..], LEAN[1])),
        );
        let by_clicks = most(profiles, Whole::Clicks);
        self.hours = histogram(
            profiles,
            |profile| &profile.hours()[..],
            |profile| (by_clicks / Whole::Clicks.of(profile).max(1.0)).min(1.0),
            lean.map(|overall| (&overall.hours[..], LEAN[0])),
        );
        let seen = |bin: &usize| {
            profiles
                .iter()
                .any(|(profile, _)| profile.times().get(*bin).is_some_and(|count| *count > 0))
        };
        self.last_bin = (0..TIME_BINS).rev().find(seen).unwrap_or(TIME_BINS - 1);
    }

    /// Any time of the window.
    pub(super) fn flood(&self) -> Vec<f64> {
        let edges = time_edges();
        (0..TIME_BINS)
            .map(|bin| match edges.get(bin + 1) {
                _ if bin > self.last_bin => 0.0,
                Some(end) => (end - edges[bin]) as f64,
                None => LAST_BIN_MS,
            })
            .collect()
    }

    /// The first seconds.
    pub(super) fn spike() -> Vec<f64> {
        let edges = time_edges();
        (0..TIME_BINS)
            .map(|bin| {
                let end = edges
                    .get(bin + 1)
                    .copied()
                    .unwrap_or(i64::MAX)
                    .min(SPIKE_MS);
                (end - edges[bin]).max(0) as f64
            })
            .collect()
    }

    fn mixtures(&self) -> Mixtures {
        Mixtures {
            flood: Mixture::new(&self.times, &self.flood(), 2, false),
            spike: Mixture::new(&self.times, &Self::spike(), 2, false),
            flat: Mixture::new(&self.hours, &[1.0; 24], 2, true),
        }
    }
}

/// Nobody counts for more than this: three times the median.
fn most(profiles: &[(&Profile, u8)], whole: Whole) -> f64 {
    let mut sizes: Vec<f64> = profiles
        .iter()
        .map(|(profile, _)| whole.of(profile))
        .filter(|n| *n > 0.0)
        .collect();
    3.0 * median(&mut sizes)
}

/// More than so many of `n` say nothing about what is usual.
fn usual_most(n: f64, share: f64) -> f64 {
    let expected = n * share;
    // Honest affiliates differ by a factor of three, and small numbers by chance.
    3.0 * expected + 3.0 * libm::sqrt(expected) + 2.0
}

/// A weighted sum of histograms as probabilities, none of them 0, leaning on another one with a weight in counts.
fn histogram<'a>(
    profiles: &[(&'a Profile, u8)],
    cells: impl Fn(&'a Profile) -> &'a [u16],
    weight: impl Fn(&Profile) -> f64,
    lean: Option<(&[f64], f64)>,
) -> Vec<f64> {
    let mut sum: Vec<f64> = Vec::new();
    for (profile, _) in profiles {
        let weight = weight(profile);
        let cells = cells(profile);
        sum.resize(cells.len(), 0.2);
        for (sum, cell) in sum.iter_mut().zip(cells) {
            *sum += weight * f64::from(*cell);
        }
    }
    if let Some((overall, by)) = lean {
        sum.resize(overall.len(), 0.2);
        for (sum, cell) in sum.iter_mut().zip(overall) {
            *sum += by * cell;
        }
    }
    let total: f64 = sum.iter().sum();
    sum.iter().map(|cell| cell / total.max(1e-9)).collect()
}

/// Clicks of a profile.
pub(super) fn clicks(profile: &Profile) -> f64 {
    f64::from(profile.tally(Tally::Clicks))
}
