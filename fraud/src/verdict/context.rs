//! What a day's population says of each subject. Taken once from all pairs; then a single pair is judged in microseconds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    history::{Changes, Drifts, History, WINDOWS},
    reference::{Mixtures, Reference, References, clicks},
    signal::{Evidence, SHARES, Signal, Whole},
};
use crate::{
    event::{Affiliate, Merchant},
    features::{Pair, Profile, Tally},
    stats::{ByVolume, Mixture, Row, Shares, Surface, calibrate, entropy, fisher, normal_upper},
};

/// Below so many conversions, times say nothing.
const LEAST_TIMES: f64 = 15.0;
/// Below so many clicks, hours, gaps and duplicates say nothing.
const LEAST_CLICKS: f64 = 60.0;

/// How honest subjects differ, at one level: pairs, or affiliates over all merchants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Level {
    shares: [Shares; SHARES.len()],
    /// How honest subjects differ from their own past.
    changes: [[Shares; WINDOWS]; SHARES.len()],
    /// Correlations of the mixtures: flood, spike, flat.
    mixtures: [f64; 3],
    duplicates: ByVolume,
    gaps: ByVolume,
}

/// A day's references and calibration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Context {
    references: References,
    drifts: Drifts,
    pairs: Level,
    affiliates: Level,
    #[serde(skip)]
    mixtures: BTreeMap<Merchant, Mixtures>,
}

/// What one subject has to show, before anybody says what is usual.
struct Facts {
    rows: [Row; SHARES.len()],
    changes: Changes,
    surfaces: Option<[Surface; 3]>,
    /// Merchant by whose mixtures the surfaces are read.
    merchant: Merchant,
    conversions: f64,
    clicks: f64,
    duplicates: f64,
    gaps: f64,
    gap_counts: f64,
}

/// A subject: an affiliate at one merchant, or at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// Who.
    pub affiliate: Affiliate,
    /// At which merchant; `None`: at all of them together.
    pub merchant: Option<Merchant>,
}

impl Context {
    /// From all pairs of an instant and their past. Flagged affiliates say nothing about what is usual.
    #[must_use]
    pub fn take(
        pairs: &[(Pair, Profile)],
        history: &History,
        flagged: &BTreeSet<Affiliate>,
        vertical: impl Fn(Affiliate) -> u8,
    ) -> (Self, Vec<(Subject, Vec<Evidence>)>) {
        let references = References::take(pairs, flagged, &vertical);
        let mut context = Self {
            mixtures: references.mixtures(),
            references,
            drifts: history.drifts(flagged),
            ..Self::default()
        };
        let mut of_pairs = Vec::with_capacity(pairs.len());
        let mut of_affiliates: Vec<(Affiliate, Facts, usize)> = Vec::new();
        for (pair, profile) in pairs {
            let facts = context.facts(*pair, profile, history, vertical(pair.affiliate));
            match of_affiliates.last_mut() {
                Some((last, sum, merchants)) if *last == pair.affiliate => {
                    sum.add(&facts);
                    *merchants += 1;
                }
                _ => {
                    let copy = context.facts(*pair, profile, history, vertical(pair.affiliate));
                    of_affiliates.push((pair.affiliate, copy, 1));
                }
            }
            of_pairs.push((*pair, facts));
        }
        let honest = |affiliate: &Affiliate| !flagged.contains(affiliate);
        context.pairs = context.level(
            of_pairs
                .iter()
                .filter(|(pair, _)| honest(&pair.affiliate))
                .map(|(_, facts)| facts),
        );
        context.affiliates = context.level(
            of_affiliates
                .iter()
                .filter(|(affiliate, ..)| honest(affiliate))
                .map(|(_, facts, _)| facts),
        );
        let pairs = of_pairs.iter().map(|(pair, facts)| {
            let subject = Subject {
                affiliate: pair.affiliate,
                merchant: Some(pair.merchant),
            };
            (subject, context.evidence(facts, &context.pairs))
        });
        // At a single merchant an affiliate is its pair.
        let affiliates = of_affiliates
            .iter()
            .filter(|(.., merchants)| *merchants > 1)
            .map(|(affiliate, facts, _)| {
                let subject = Subject {
                    affiliate: *affiliate,
                    merchant: None,
                };
                (subject, context.evidence(facts, &context.affiliates))
            });
        let evidence = pairs.chain(affiliates).collect();
        (context, evidence)
    }

    /// What one pair shows against the references as they were taken last.
    #[must_use]
    pub fn judge(
        &self,
        pair: Pair,
        profile: &Profile,
        history: &History,
        vertical: u8,
    ) -> Vec<Evidence> {
        let facts = self.facts(pair, profile, history, vertical);
        self.evidence(&facts, &self.pairs)
    }

    /// The bins of click-to-conversion times in which, at this share of the other histogram, a tenth or more is not the
    /// merchant's own.
    #[must_use]
    pub fn suspect_bins(&self, merchant: Merchant, signal: Signal, share: f64) -> u32 {
        let reference = self.references.of(merchant);
        let other = match signal {
            Signal::TimesFlood => reference.flood(),
            Signal::TimesSpike => Reference::spike(),
            _ => return 0,
        };
        Mixture::suspects(&reference.times, &other, share, 0.1)
    }

    /// Makes what is not saved anew.
    pub(crate) fn rebuild(&mut self) {
        self.mixtures = self.references.mixtures();
    }

    fn facts(&self, pair: Pair, profile: &Profile, history: &History, vertical: u8) -> Facts {
        let mut at = 0;
        let rows = SHARES.map(|(_, part, whole)| {
            let row = Row {
                k: f64::from(profile.tally(part)).min(whole.of(profile)),
                n: whole.of(profile),
                expected: self.references.expected(pair.merchant, vertical, at),
            };
            at += 1;
            row
        });
        let surfaces = self.mixtures.get(&pair.merchant).map(|mixtures| {
            [
                mixtures.flood.surface(profile.times()),
                mixtures.spike.surface(profile.times()),
                mixtures.flat.surface(profile.hours()),
            ]
        });
        let clicks = clicks(profile);
        let gap_counts: f64 = profile.gaps().iter().map(|count| f64::from(*count)).sum();
        Facts {
            rows,
            changes: history.changes(pair, &self.drifts),
            surfaces,
            merchant: pair.merchant,
            conversions: f64::from(profile.tally(Tally::Conversions)),
            clicks,
            duplicates: f64::from(profile.tally(Tally::Duplicate)),
            gaps: entropy(profile.gaps()),
            gap_counts,
        }
    }

    /// Ratio and share of each mixture.
    fn ratios(&self, facts: &Facts, rho: [f64; 3]) -> [(f64, f64); 3] {
        let (Some(surfaces), Some(mixtures)) =
            (&facts.surfaces, self.mixtures.get(&facts.merchant))
        else {
            return [(0.0, 0.0); 3];
        };
        let weight = |n: f64, rho: f64| 1.0 / (1.0 + (n - 1.0).max(0.0) * rho);
        [
            mixtures
                .flood
                .ratio(&surfaces[0], weight(facts.conversions, rho[0])),
            mixtures
                .spike
                .ratio(&surfaces[1], weight(facts.conversions, rho[1])),
            mixtures
                .flat
                .ratio(&surfaces[2], weight(facts.clicks, rho[2])),
        ]
    }

    fn level<'a>(&self, population: impl Iterator<Item = &'a Facts>) -> Level {
        let population: Vec<&Facts> = population.collect();
        let mut level = Level::default();
        for (at, (signal, _, whole)) in SHARES.iter().enumerate() {
            let rows: Vec<Row> = population
                .iter()
                .map(|facts| facts.rows[at])
                .filter(|row| row.n >= whole.least())
                .collect();
            let upper = *signal != Signal::RateLow;
            level.shares[at] = Shares::fit(&rows, upper);
            for window in 0..WINDOWS {
                let rows: Vec<Row> = population
                    .iter()
                    .map(|facts| facts.changes[at][window])
                    .filter(|row| row.n > 0.0)
                    .collect();
                level.changes[at][window] = Shares::fit(&rows, upper);
            }
        }
        let mut ratios: [Vec<(f64, f64)>; 3] = Default::default();
        for facts in &population {
            let found = self.ratios(facts, [0.0; 3]);
            for (at, n, least) in [
                (0, facts.conversions, LEAST_TIMES),
                (1, facts.conversions, LEAST_TIMES),
                (2, facts.clicks, LEAST_CLICKS),
            ] {
                if n >= least {
                    ratios[at].push((found[at].0, n));
                }
            }
        }
        level.mixtures = ratios.map(|population| calibrate(&population));
        let usable = || {
            population
                .iter()
                .filter(|facts| facts.clicks >= LEAST_CLICKS)
        };
        let duplicates: Vec<(f64, f64)> = usable()
            .map(|facts| (facts.clicks, facts.duplicate_level()))
            .collect();
        level.duplicates = ByVolume::fit(&duplicates, 0.25);
        let gaps: Vec<(f64, f64)> = usable().map(|facts| (facts.clicks, facts.gaps)).collect();
        level.gaps = ByVolume::fit(&gaps, 0.1);
        level
    }

    fn evidence(&self, facts: &Facts, level: &Level) -> Vec<Evidence> {
        let mut all = Vec::new();
        for (at, (signal, _, whole)) in SHARES.iter().enumerate() {
            let row = &facts.rows[at];
            if row.n < whole.least() {
                continue;
            }
            let is_low = *signal == Signal::RateLow;
            let mut found = Evidence {
                signal: *signal,
                observed: row.k / row.n,
                expected: row.expected,
                counted: row.n,
                change: None,
                p_value: level.shares[at].tail(row, is_low),
            };
            // Beside what others have counts how much of it is new.
            if signal.has_past()
                && let Some((p_value, times)) = level.change(at, &facts.changes[at], is_low)
            {
                found.p_value = if signal.is_rate() {
                    p_value
                } else {
                    fisher(&[found.p_value, p_value])
                };
                found.change = Some(times);
            }
            all.push(found);
        }
        if facts.clicks >= LEAST_CLICKS {
            let (z, usual) = level.duplicates.z(facts.clicks, facts.duplicate_level());
            all.push(Evidence {
                signal: Signal::Duplicates,
                observed: facts.duplicates / facts.clicks,
                expected: libm::exp(usual),
                counted: facts.clicks,
                change: None,
                p_value: normal_upper(z * ROBUST),
            });
            let (z, usual) = level.gaps.z(facts.clicks, facts.gaps);
            all.push(Evidence {
                signal: Signal::RegularGaps,
                observed: facts.gaps,
                expected: usual,
                counted: facts.gap_counts,
                change: None,
                p_value: normal_upper(-z * ROBUST),
            });
        }
        let ratios = self.ratios(facts, level.mixtures);
        for (at, signal, n, least) in [
            (0, Signal::TimesFlood, facts.conversions, LEAST_TIMES),
            (1, Signal::TimesSpike, facts.conversions, LEAST_TIMES),
            (2, Signal::HoursFlat, facts.clicks, LEAST_CLICKS),
        ] {
            if n >= least {
                all.push(Evidence {
                    signal,
                    observed: ratios[at].1,
                    expected: 0.0,
                    counted: n,
                    change: None,
                    p_value: Surface::p_value(ratios[at].0),
                });
            }
        }
        all
    }
}

impl Level {
    /// How probable it is that an honest subject changes so much, and how many times its own past the share is: by the span of
    /// time that shows it best, of those that there are.
    fn change(&self, at: usize, rows: &[Row; WINDOWS], is_low: bool) -> Option<(f64, f64)> {
        let spans = rows.iter().filter(|row| row.n > 0.0).count() as f64;
        rows.iter()
            .zip(&self.changes[at])
            .filter(|(row, _)| row.n > 0.0)
            .map(|(row, shares)| {
                let p_value = (shares.tail(row, is_low) * spans).min(1.0);
                let before = ((row.n - row.k) / (1.0 - row.expected)).max(0.5);
                (p_value, row.k / row.expected / before)
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Tails of honest populations are heavier than a normal one's: a robust z counts for so much of itself.
const ROBUST: f64 = 0.75;

impl Facts {
    fn duplicate_level(&self) -> f64 {
        libm::log((self.duplicates + 1.0) / (self.clicks + 50.0))
    }

    /// Adds those of the same affiliate at another merchant.
    fn add(&mut self, other: &Self) {
        for (row, other) in self.rows.iter_mut().zip(&other.rows) {
            row.add(other);
        }
        for (row, other) in self
            .changes
            .as_flattened_mut()
            .iter_mut()
            .zip(other.changes.as_flattened())
        {
            row.add(other);
        }
        if let (Some(surfaces), Some(others)) = (&mut self.surfaces, &other.surfaces) {
            for (surface, other) in surfaces.iter_mut().zip(others) {
                surface.add(other);
            }
        }
        // Entropy is averaged by the clicks behind it: histograms of two merchants are not one process.
        let clicks = self.gap_counts + other.gap_counts;
        if clicks > 0.0 {
            self.gaps = (self.gaps * self.gap_counts + other.gaps * other.gap_counts) / clicks;
        }
        self.gap_counts = clicks;
        self.conversions += other.conversions;
        self.clicks += other.clicks;
        self.duplicates += other.duplicates;
    }
}

/// The whole of which a signal is a share has enough in it to say anything.
pub(super) fn is_enough(profile: &Profile) -> bool {
    Whole::Clicks.of(profile) >= Whole::Clicks.least()
        || Whole::Conversions.of(profile) >= Whole::Conversions.least()
        || Whole::Attempts.of(profile) >= Whole::Attempts.least()
}
