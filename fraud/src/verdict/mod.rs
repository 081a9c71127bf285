//! Verdicts: banded, with their evidence in words, and "insufficient evidence" among them.
//!
//! Every pair of affiliate and merchant is judged, and every affiliate over all its merchants, against what is usual; all
//! these tests of a day are one family under Benjamini-Hochberg control. Holds nothing itself: [`crate::act`] does.

mod context;
mod history;
mod named;
mod reference;
mod scheme;
mod signal;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use context::{Context, Subject};
pub use history::History;
pub use named::{Named, Scored};
pub use signal::{Evidence, Signal};

use crate::{
    event::Affiliate,
    features::{Features, Pair},
    stats::benjamini_hochberg,
    typology::Typology,
};
use scheme::{Finding, explains, findings};

/// How sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Band {
    /// Too little traffic to say anything.
    InsufficientEvidence,
    /// Nothing odd.
    Clear,
    /// Odd, not more.
    Watch,
    /// A person should look.
    Flag,
    /// So sure that the money waits until a person looked.
    Hold,
}

/// Where the bands begin. A part of the rules' version.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Share of false ones among those watched.
    pub watch_q: f64,
    /// Share of false ones among those flagged in one day.
    pub flag_q: f64,
    /// Share of false ones among those held in one day.
    pub hold_q: f64,
    /// An affiliate of whose traffic less than this is a scheme's is not flagged; less than half of it, however sure.
    pub least_share: f64,
    /// Nor is one of whose clicks or conversions fewer than so many are the scheme's.
    pub least_events: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            watch_q: 0.1,
            flag_q: 0.05,
            hold_q: 0.004,
            least_share: 0.06,
            least_events: 8.0,
        }
    }
}

/// What is said of one pair and one scheme.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Who, at which merchant.
    pub pair: Pair,
    /// Which scheme.
    pub typology: Typology,
    /// How sure.
    pub band: Band,
    /// How probable as much or more is with an honest affiliate.
    pub p_value: f64,
    /// Part of the traffic that is the scheme's, about.
    pub share: f64,
    /// The bins of click-to-conversion times in which the scheme's conversions are; none: not told by time.
    pub time_bins: u32,
    /// What the statistics say for it, the strongest first.
    pub evidence: Vec<Evidence>,
    /// What rules and the learned scorer say for it.
    pub named: Vec<Named>,
}

impl Verdict {
    /// How sure, with what rules and the learned scorer say.
    #[must_use]
    pub fn overall(&self) -> Band {
        self.named
            .iter()
            .map(Named::band)
            .fold(self.band, Band::max)
    }
}

/// A day's verdicts: WATCH and above, by p-value; all other pairs are CLEAR, or too small to say.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    /// WATCH, FLAG and HOLD.
    pub verdicts: Vec<Verdict>,
    /// Pairs without a verdict above CLEAR.
    pub clear: usize,
    /// Pairs with too little traffic.
    pub insufficient: usize,
    /// What was usual.
    pub context: Context,
}

/// Judges everybody at an instant, against each other and against their own past, which it adds to. `flagged` affiliates are left
/// out of what is usual.
#[must_use]
pub fn assess(
    features: &Features,
    history: &mut History,
    at_ms: i64,
    thresholds: &Thresholds,
    flagged: &BTreeSet<Affiliate>,
) -> Assessment {
    let pairs = features.pairs(at_ms);
    history.note(&pairs, at_ms);
    let (context, subjects) = Context::take(&pairs, history, flagged, |affiliate| {
        features.identities().vertical(affiliate)
    });
    let mut all: Vec<(Subject, Finding)> = Vec::new();
    for (subject, evidence) in &subjects {
        all.extend(
            findings(evidence)
                .into_iter()
                .map(|finding| (*subject, finding)),
        );
    }
    temper(&mut all, flagged, thresholds);
    let p_values: Vec<f64> = all.iter().map(|(_, finding)| finding.p_value).collect();
    let bound = |q| benjamini_hochberg(&p_values, p_values.len(), q);
    let bounds = [
        (Band::Hold, bound(thresholds.hold_q)),
        (Band::Flag, bound(thresholds.flag_q)),
        (Band::Watch, bound(thresholds.watch_q)),
    ];
    let band = |finding: &Finding| {
        let found = bounds
            .iter()
            .find(|(_, bound)| finding.p_value <= *bound)
            .map_or(Band::Clear, |(band, _)| *band);
        if is_large(finding, thresholds) {
            found
        } else {
            found.min(Band::Watch)
        }
    };
    let mut by_affiliate: BTreeMap<Affiliate, Vec<(Subject, Finding, Band)>> = BTreeMap::new();
    for (subject, finding) in all {
        let band = band(&finding);
        if band > Band::Clear {
            by_affiliate
                .entry(subject.affiliate)
                .or_default()
                .push((subject, finding, band));
        }
    }
    let mut verdicts: BTreeMap<(Pair, Typology), Verdict> = BTreeMap::new();
    for found in by_affiliate.into_values() {
        for (subject, finding, band) in unexplained(found) {
            for pair in members(subject, &pairs, &subjects, &finding) {
                let verdict = Verdict {
                    pair,
                    typology: finding.typology,
                    band,
                    p_value: finding.p_value,
                    share: finding.share,
                    time_bins: time_bins(&context, pair, &finding),
                    evidence: finding.evidence.clone(),
                    named: Vec::new(),
                };
                verdicts
                    .entry((pair, finding.typology))
                    .and_modify(|held| {
                        if verdict.p_value < held.p_value {
                            *held = verdict.clone();
                        }
                    })
                    .or_insert(verdict);
            }
        }
    }
    let odd: BTreeSet<Pair> = verdicts.keys().map(|(pair, _)| *pair).collect();
    let insufficient = pairs
        .iter()
        .filter(|(pair, profile)| !odd.contains(pair) && !context::is_enough(profile))
        .count();
    let mut verdicts: Vec<Verdict> = verdicts.into_values().collect();
    verdicts.sort_by(|a, b| {
        a.p_value
            .total_cmp(&b.p_value)
            .then(a.pair.cmp(&b.pair))
            .then(a.typology.cmp(&b.typology))
    });
    Assessment {
        clear: pairs.len() - odd.len() - insufficient,
        insufficient,
        verdicts,
        context,
    }
}

/// These parts of those who are not flagged may have p-values below themselves; a few percent are not honest.
const PARTS: [f64; 2] = [0.1, 0.05];
/// Among fewer than so many, nothing is said about the tails.
const POPULATION: usize = 50;

/// Raises p-values to a power below 1 where the population's own are smaller than they should be, by scheme and level: honest
/// affiliates whose tails are heavier than any model's, and statistics that go together, must not look like schemes. (An
/// empirical null, after Efron, 2004.)
fn temper(all: &mut [(Subject, Finding)], flagged: &BTreeSet<Affiliate>, thresholds: &Thresholds) {
    let mut populations: BTreeMap<(Typology, bool), Vec<f64>> = BTreeMap::new();
    for (subject, finding) in all.iter() {
        if !flagged.contains(&subject.affiliate) {
            populations
                .entry((finding.typology, subject.merchant.is_some()))
                .or_default()
                // What is too small to be flagged is no tail.
                .push(if is_large(finding, thresholds) {
                    finding.p_value
                } else {
                    1.0
                });
        }
    }
    let powers: BTreeMap<(Typology, bool), f64> = populations
        .into_iter()
        .map(|(key, p_values)| (key, power(p_values)))
        .collect();
    for (subject, finding) in all {
        let key = (finding.typology, subject.merchant.is_some());
        if let Some(power) = powers.get(&key) {
            finding.p_value = libm::pow(finding.p_value, *power);
        }
    }
}

/// So sure that half the least share is enough.
const SURE: f64 = 1e-8;

/// Whether there is enough of it to be flagged.
fn is_large(finding: &Finding, thresholds: &Thresholds) -> bool {
    let least = if finding.p_value < SURE {
        thresholds.least_share / 2.0
    } else {
        thresholds.least_share
    };
    finding.share >= least && finding.events >= thresholds.least_events
}

fn power(mut p_values: Vec<f64>) -> f64 {
    if p_values.len() < POPULATION {
        return 1.0;
    }
    p_values.sort_unstable_by(f64::total_cmp);
    PARTS.iter().fold(1.0, |power, part| {
        let own = p_values[(part * p_values.len() as f64) as usize].max(1e-300);
        if own < *part {
            f64::min(power, libm::log(*part) / libm::log(own))
        } else {
            power
        }
    })
}

/// An affiliate's findings without those that are side effects of a surer one.
fn unexplained(found: Vec<(Subject, Finding, Band)>) -> Vec<(Subject, Finding, Band)> {
    let mut causes: BTreeMap<Typology, f64> = BTreeMap::new();
    for (_, finding, _) in found.iter().filter(|(.., band)| *band >= Band::Flag) {
        let surest = causes.entry(finding.typology).or_insert(1.0);
        *surest = finding.p_value.min(*surest);
    }
    found
        .into_iter()
        .filter(|(_, finding, _)| {
            !causes
                .iter()
                .any(|(cause, p)| *p <= finding.p_value && explains(*cause, finding.typology))
        })
        .collect()
}

/// The pairs that a finding is about: of an affiliate's, those that show the same themselves.
fn members(
    subject: Subject,
    pairs: &[(Pair, crate::features::Profile)],
    subjects: &[(Subject, Vec<Evidence>)],
    finding: &Finding,
) -> Vec<Pair> {
    let affiliate = subject.affiliate;
    if let Some(merchant) = subject.merchant {
        return vec![Pair {
            affiliate,
            merchant,
        }];
    }
    let Some(strongest) = finding.evidence.first() else {
        return Vec::new();
    };
    let start = pairs.partition_point(|(pair, _)| pair.affiliate < affiliate);
    pairs[start..]
        .iter()
        .zip(&subjects[start..])
        .take_while(|((pair, _), _)| pair.affiliate == affiliate)
        .filter(|(_, (_, evidence))| {
            evidence
                .iter()
                .find(|own| own.signal == strongest.signal)
                .is_none_or(|own| own.excess() > 0.0)
        })
        .map(|((pair, _), _)| *pair)
        .collect()
}

fn time_bins(context: &Context, pair: Pair, finding: &Finding) -> u32 {
    finding.evidence.iter().fold(0, |bins, evidence| {
        bins | context.suspect_bins(pair.merchant, evidence.signal, evidence.observed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_population_with_heavy_tails_is_tempered_and_a_uniform_one_is_not() {
        let uniform: Vec<f64> = (1..=1_000).map(|i| f64::from(i) / 1_000.0).collect();
        assert!((power(uniform.clone()) - 1.0).abs() < 0.01);
        let heavy = uniform.iter().map(|p| libm::pow(*p, 3.0)).collect();
        assert!((power(heavy) - 1.0 / 3.0).abs() < 0.01);
        // One in a hundred that is a scheme does not hide itself.
        let mut some = uniform;
        some.extend([1e-12; 10]);
        assert!(power(some) > 0.9);
        assert!(
            (power(vec![1e-9; 10]) - 1.0).abs() < 1e-12,
            "too few to say"
        );
    }
}
