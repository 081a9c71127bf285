//! What a rule would have done in the last 30 days, measured on what was really seen and decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    history::History,
    rule::{Rule, RuleVersion},
};
use crate::{event::Affiliate, features::Pair, verdict::Band};

/// An interval that holds a share with 95 % probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The interval of a share (Wilson, 1927): honest where there are few, and never outside 0 and 1.
#[must_use]
pub fn wilson(hits: u32, of: u32) -> Interval {
    if of == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (n, p) = (f64::from(of), f64::from(hits) / f64::from(of));
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Interval {
        low: ((centre - spread) / whole).max(0.0),
        high: ((centre + spread) / whole).min(1.0),
    }
}

/// What a rule would have done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Of this version of the rule.
    pub version: RuleVersion,
    /// When it was made, in milliseconds UTC.
    pub at_ms: i64,
    /// Days that were looked at.
    pub days: u32,
    /// Rows that were looked at: pairs by days.
    pub rows: u64,
    /// Rows that were not kept, because there were too many.
    pub left_out: u64,
    /// Rows for which it says FLAG or HOLD.
    pub hits: u64,
    /// Of them, a day.
    pub hits_per_day: f64,
    /// Rows for which it says WATCH.
    pub watched: u64,
    /// Different affiliates that it hits.
    pub affiliates: u32,
    /// The same, on the worst day.
    pub affiliates_worst_day: u32,
    /// Affiliates a day that it hits at most as long as nothing changes: the upper end of what was seen.
    pub affiliates_upper: f64,
    /// Pairs hit of which a review confirmed fraud.
    pub confirmed: u32,
    /// Pairs hit in which a review found none.
    pub false_positives: u32,
    /// Pairs hit that no review decided.
    pub unknown: u32,
    /// Confirmed ones of those that were decided; `None`: none was.
    pub precision: Option<f64>,
    /// The interval that holds it with 95 % probability.
    pub precision_interval: Interval,
    /// Commission that would have waited, in micro-units.
    pub would_hold_micros: i64,
    /// Rows for which the expression has no value.
    pub failed: u64,
}

/// Measures a rule on a history. `outcomes` are what reviews said of pairs: true where fraud was confirmed.
pub(super) fn preview(
    rule: &Rule,
    history: &History,
    outcomes: &BTreeMap<Pair, bool>,
    at_ms: i64,
) -> Preview {
    let (mut days, mut rows, mut left_out) = (0_u32, 0, 0);
    let (mut hits, mut watched, mut failed) = (0, 0, 0);
    let mut pairs: BTreeMap<Pair, i64> = BTreeMap::new();
    let mut by_day: Vec<usize> = Vec::new();
    for day in history.until(at_ms) {
        days += 1;
        left_out += day.left_out;
        let mut today: BTreeSet<Affiliate> = BTreeSet::new();
        for row in &day.rows {
            rows += 1;
            match rule.evaluate(row) {
                Ok(Some(hit)) if hit.band >= Band::Flag => {
                    hits += 1;
                    today.insert(row.pair.affiliate);
                    // What waits on one day waits on the next one too.
                    let waits = pairs.entry(row.pair).or_insert(0);
                    *waits = rule.would_hold(row, &hit).max(*waits);
                }
                Ok(Some(_)) => watched += 1,
                Ok(None) => {}
                Err(_) => failed += 1,
            }
        }
        by_day.push(today.len());
    }
    let affiliates: BTreeSet<Affiliate> = pairs.keys().map(|pair| pair.affiliate).collect();
    let count = |wanted: Option<bool>| {
        pairs
            .keys()
            .filter(|pair| outcomes.get(pair).copied() == wanted)
            .count() as u32
    };
    let (confirmed, false_positives) = (count(Some(true)), count(Some(false)));
    let decided = confirmed + false_positives;
    let worst = by_day.iter().copied().max().unwrap_or(0);
    let per_day = |of: f64| of / f64::from(days.max(1));
    let mean = per_day(by_day.iter().sum::<usize>() as f64);
    Preview {
        version: rule.version(),
        at_ms,
        days,
        rows,
        left_out,
        hits,
        hits_per_day: per_day(hits as f64),
        watched,
        affiliates: affiliates.len() as u32,
        affiliates_worst_day: worst as u32,
        // Two standard deviations of a count above its mean, or the worst day.
        affiliates_upper: (mean + 2.0 * mean.sqrt()).max(worst as f64),
        confirmed,
        false_positives,
        unknown: count(None),
        precision: (decided > 0).then(|| f64::from(confirmed) / f64::from(decided)),
        precision_interval: wilson(confirmed, decided),
        would_hold_micros: pairs.values().fold(0, |sum, of| sum.saturating_add(*of)),
        failed,
    }
}
