//! What each pair counted week by week, and before: an affiliate against its own past. Honest affiliates differ from each other
//! far more than from themselves, so a scheme that begins in somebody's traffic shows here first.
//!
//! 250 bytes for each pair that has enough traffic to be judged; kept by differences of profiles, so an event costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{context::is_enough, signal::SHARES};
use crate::{
    event::{Affiliate, Merchant},
    features::{PERIOD_MS, Pair, Profile, TALLIES, Tally},
    stats::{Row, median},
};

const WEEK_MS: i64 = 7 * 86_400_000;
/// Weeks that are kept apart, the running one included.
const WEEKS: usize = 4;
/// So many weeks up to now are set against all before them.
const SPANS: [usize; WINDOWS] = [1, 2, 4];
/// How many such spans.
pub(super) const WINDOWS: usize = 3;
/// What is older loses an eighth a week.
const FADES: u32 = 8;
/// A merchant's own change leans on none with so many events.
const LEAN: f64 = 30.0;

/// What one pair counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Past {
    /// Tallies at the last assessment.
    last: [u32; TALLIES],
    /// The running week first.
    weeks: [[u16; TALLIES]; WEEKS],
    before: [u32; TALLIES],
}

/// The past of all pairs that have enough traffic to be judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    at_ms: i64,
    pasts: BTreeMap<Pair, Past>,
}

/// Now against before, by signal and window: so many of all happened now, where a part was expected to. Nothing counted: no past.
pub(super) type Changes = [[Row; WINDOWS]; SHARES.len()];

/// How each share changed at each merchant, for everybody: a flash sale is nobody's scheme.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Drifts(BTreeMap<Merchant, [[f64; WINDOWS]; SHARES.len()]>);

impl History {
    /// Takes in what all pairs, in their order, counted since the last assessment.
    pub(super) fn note(&mut self, pairs: &[(Pair, Profile)], at_ms: i64) {
        let turns = |length: i64| {
            let turns = at_ms.div_euclid(length) - self.at_ms.div_euclid(length);
            turns.clamp(0, 31) as u32
        };
        let (halvings, weeks) = (turns(PERIOD_MS), turns(WEEK_MS));
        // What the features forgot is forgotten here.
        self.pasts.retain(|pair, _| {
            pairs
                .binary_search_by_key(pair, |(known, _)| *known)
                .is_ok()
        });
        for past in self.pasts.values_mut() {
            past.turn(halvings, weeks);
        }
        for (pair, profile) in pairs {
            if self.pasts.contains_key(pair) || is_enough(profile) {
                self.pasts.entry(*pair).or_default().add(profile);
            }
        }
        self.at_ms = at_ms;
    }

    /// How everybody but the flagged changed at each merchant.
    pub(super) fn drifts(&self, flagged: &BTreeSet<Affiliate>) -> Drifts {
        let mut of: BTreeMap<Merchant, Vec<&Past>> = BTreeMap::new();
        for (pair, past) in &self.pasts {
            if !flagged.contains(&pair.affiliate) {
                of.entry(pair.merchant).or_default().push(past);
            }
        }
        Drifts(
            of.into_iter()
                .map(|(merchant, pasts)| (merchant, drift(&pasts)))
                .collect(),
        )
    }

    /// How a pair changed, beside how its merchant did.
    pub(super) fn changes(&self, pair: Pair, drifts: &Drifts) -> Changes {
        let mut changes = [[NOTHING; WINDOWS]; SHARES.len()];
        let Some(past) = self.pasts.get(&pair) else {
            return changes;
        };
        let drifts = drifts.0.get(&pair.merchant);
        for (window, weeks) in SPANS.into_iter().enumerate() {
            let [now, before] = past.sides(weeks);
            for (at, (_, part, whole)) in SHARES.iter().enumerate() {
                let (n_now, n_before) = (whole.count(&now), whole.count(&before));
                if n_now <= 0.0 || n_before < whole.least() {
                    continue;
                }
                let (k_now, k_before) = (of(&now, *part), of(&before, *part));
                let drifted = n_now * drifts.map_or(1.0, |drifts| drifts[at][window]);
                changes[at][window] = Row {
                    k: k_now,
                    n: k_now + k_before,
                    expected: drifted / (drifted + n_before),
                };
            }
        }
        changes
    }
}

/// No past.
const NOTHING: Row = Row {
    k: 0.0,
    n: 0.0,
    expected: 0.5,
};

type Sums = [u32; TALLIES];

fn of(sums: &Sums, tally: Tally) -> f64 {
    f64::from(sums[tally as usize])
}

impl Past {
    fn turn(&mut self, halvings: u32, weeks: u32) {
        for cell in &mut self.last {
            *cell >>= halvings;
        }
        for _ in 0..weeks {
            self.cap();
            for (before, oldest) in self.before.iter_mut().zip(self.weeks[WEEKS - 1]) {
                *before = *before - *before / FADES + u32::from(oldest);
            }
            self.weeks.rotate_right(1);
            self.weeks[0] = [0; TALLIES];
        }
    }

    /// A week that ends counts as one of the usual size at most: a site that went viral is not measured by those days later on.
    fn cap(&mut self) {
        let size = |week: &[u16; TALLIES]| u32::from(week[Tally::Clicks as usize]);
        let sizes = || self.weeks[1..].iter().map(size).filter(|size| *size > 0);
        let weeks = sizes().count() as u32;
        let (own, usual) = (size(&self.weeks[0]), sizes().sum::<u32>() / weeks.max(1));
        let most = usual + usual / 2;
        if weeks > 0 && own > most {
            for cell in &mut self.weeks[0] {
                *cell = (u32::from(*cell) * most / own) as u16;
            }
        }
    }

    fn add(&mut self, profile: &Profile) {
        for (tally, now) in profile.tallies().into_iter().enumerate() {
            let more = now.saturating_sub(self.last[tally]);
            let week = &mut self.weeks[0][tally];
            *week = week.saturating_add(more.min(u32::from(u16::MAX)) as u16);
            self.last[tally] = now;
        }
    }

    /// The last weeks, and all before them.
    fn sides(&self, weeks: usize) -> [Sums; 2] {
        let mut sides = [[0; TALLIES], self.before];
        for (week, counts) in self.weeks.iter().enumerate() {
            let side = &mut sides[usize::from(week >= weeks)];
            for (sum, count) in side.iter_mut().zip(counts) {
                *sum += u32::from(*count);
            }
        }
        sides
    }
}

/// How the shares of one merchant changed. Nobody counts more than three times the median.
fn drift(pasts: &[&Past]) -> [[f64; WINDOWS]; SHARES.len()] {
    let mut drifts = [[1.0; WINDOWS]; SHARES.len()];
    for (window, weeks) in SPANS.into_iter().enumerate() {
        let sides: Vec<[Sums; 2]> = pasts.iter().map(|past| past.sides(weeks)).collect();
        for (at, (_, part, whole)) in SHARES.iter().enumerate() {
            let mut sizes: Vec<f64> = sides
                .iter()
                .map(|[now, before]| whole.count(now) + whole.count(before))
                .filter(|n| *n > 0.0)
                .collect();
            let most = 3.0 * median(&mut sizes);
            let mut sums = [[0.0; 2]; 2];
            for pair in &sides {
                let n = whole.count(&pair[0]) + whole.count(&pair[1]);
                let weight = (most / n.max(1.0)).min(1.0);
                for (sum, side) in sums.iter_mut().zip(pair) {
                    sum[0] += weight * of(side, *part);
                    sum[1] += weight * whole.count(side);
                }
            }
            let [now, before] = sums;
            if now[1] > 0.0 && before[1] > 0.0 {
                let usual = (now[0] + before[0]) / (now[1] + before[1]);
                let lean = LEAN / usual.max(1e-6);
                let share = |[k, n]: [f64; 2]| (k + LEAN) / (n + lean);
                if usual > 0.0 {
                    drifts[at][window] = (share(now) / share(before)).clamp(0.1, 10.0);
                }
            }
        }
    }
    drifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::Mark,
        features::{Features, Limits, tests::click},
        verdict::Signal,
    };

    const DAY_MS: i64 = 86_400_000;

    /// Forty affiliates with 40 clicks a day, one of them from a banned source; in the last week four of the first affiliate's, or of
    /// everybody's.
    fn played(everybody: bool) -> History {
        let mut features = Features::new(Limits::default());
        let mut history = History::default();
        for day in 0..35 {
            for affiliate in 1..=40 {
                for number in 0..40 {
                    let at_ms = day * DAY_MS + number * 600_000;
                    let mut touch = click(at_ms, affiliate, at_ms as u64 + u64::from(affiliate));
                    let begun = day >= 28 && (affiliate == 1 || everybody);
                    if number % if begun { 10 } else { 40 } == 0 {
                        touch.marks = touch.marks.with(Mark::PaidClick);
                    }
                    features.touch(&touch);
                }
            }
            let at_ms = (day + 1) * DAY_MS;
            history.note(&features.pairs(at_ms), at_ms);
        }
        history
    }

    fn change(history: &History, affiliate: u32) -> Row {
        let pair = Pair {
            affiliate: Affiliate(affiliate),
            merchant: Merchant(1),
        };
        let changes = history.changes(pair, &history.drifts(&BTreeSet::new()));
        let banned = SHARES
            .iter()
            .position(|(signal, ..)| *signal == Signal::Banned)
            .expect("it is a share");
        // The running week began with the last assessment.
        changes[banned][1]
    }

    #[test]
    fn one_that_changes_stands_out_against_its_own_past() {
        let history = played(false);
        let (changed, other) = (change(&history, 1), change(&history, 2));
        assert!((changed.k - 28.0).abs() < 2.0, "{changed:?}");
        assert!(
            changed.k > 2.0 * changed.n * changed.expected,
            "{changed:?}"
        );
        assert!(
            (other.k - other.n * other.expected).abs() < 2.0,
            "{other:?}"
        );
    }

    #[test]
    fn what_everybody_at_a_merchant_does_is_nobodys_change() {
        let history = played(true);
        let changed = change(&history, 1);
        assert!(
            changed.k < 1.3 * changed.n * changed.expected,
            "{changed:?}"
        );
    }

    #[test]
    fn a_pair_that_the_features_forgot_has_no_past() {
        let mut history = played(false);
        assert!(change(&history, 1).n > 0.0);
        history.note(&[], 35 * DAY_MS);
        assert_eq!(
            history,
            History {
                at_ms: 35 * DAY_MS,
                ..History::default()
            }
        );
        assert!(change(&history, 1).n <= 0.0);
    }
}
