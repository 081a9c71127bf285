//! How good a ranking is: average precision, with an interval.

use super::rng::Rng;
use super::table::Label;

/// Average precision of a ranking, and what resampling the rows makes of it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Precision {
    /// Mean of the precision at the rank of each fraud.
    pub average: f64,
    /// Lower end of the interval that holds 95 % of the resamplings.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Average precision of the rows whose label is known; `None` where none is a fraud. Equal scores count as one rank: the
/// order of the file gives nothing away.
#[must_use]
pub fn average_precision(labels: &[Label], scores: &[f64]) -> Option<f64> {
    let ranked = ranked(labels, scores);
    let weights = vec![1; ranked.len()];
    precision_of(&ranked, &weights)
}

/// Average precision with its bootstrap interval from `draws` resamplings of the rows.
#[must_use]
pub fn bootstrap(labels: &[Label], scores: &[f64], draws: usize, seed: u64) -> Option<Precision> {
    let ranked = ranked(labels, scores);
    let average = precision_of(&ranked, &vec![1; ranked.len()])?;
    let mut rng = Rng::new(seed, 0xb007);
    let mut drawn: Vec<f64> = (0..draws)
        .filter_map(|_| {
            let mut weights = vec![0_u32; ranked.len()];
            for _ in 0..ranked.len() {
                if let Some(weight) = weights.get_mut(rng.below(ranked.len())) {
                    *weight += 1;
                }
            }
            precision_of(&ranked, &weights)
        })
        .collect();
    drawn.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (drawn.len() as f64 * share) as usize;
        drawn
            .get(place.min(drawn.len().saturating_sub(1)))
            .copied()
            .unwrap_or(average)
    };
    Some(Precision {
        average,
        low: at(0.025),
        high: at(0.975),
    })
}

/// Known rows, best first: score and whether it is a fraud.
fn ranked(labels: &[Label], scores: &[f64]) -> Vec<(f64, bool)> {
    let mut ranked: Vec<(f64, bool)> = labels
        .iter()
        .zip(scores)
        .filter(|(label, _)| **label != Label::Unknown)
        .map(|(label, score)| (*score, *label == Label::Fraud))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked
}

/// Rows of one score enter together, as in the usual definition: the sum over thresholds of precision times added recall.
fn precision_of(ranked: &[(f64, bool)], weights: &[u32]) -> Option<f64> {
    let (mut seen, mut frauds, mut sum) = (0_u64, 0_u64, 0.0);
    let mut at = 0;
    while let Some((score, _)) = ranked.get(at) {
        let mut added = 0_u64;
        while let Some((same, fraud)) = ranked.get(at).filter(|(s, _)| s.total_cmp(score).is_eq()) {
            let weight = u64::from(weights.get(at).copied().unwrap_or(0));
            debug_assert!(same.total_cmp(score).is_eq());
            seen += weight;
            added += if *fraud { weight } else { 0 };
            at += 1;
        }
        frauds += added;
        if added > 0 {
            sum += added as f64 * frauds as f64 / seen as f64;
        }
    }
    (frauds > 0).then(|| sum / frauds as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Fraud, Honest, Unknown};

    #[test]
    fn average_precision_is_that_of_the_definition() {
        let labels = [Fraud, Honest, Fraud, Unknown, Honest];
        // Ranks 1 and 3 of the four known rows: (1 + 2/3) / 2.
        let found = average_precision(&labels, &[0.9, 0.8, 0.7, 0.99, 0.1]).expect("frauds");
        assert!((found - 5.0 / 6.0).abs() < 1e-12, "{found}");
        // All equal: the share of frauds, whatever the order of the file.
        let equal = average_precision(&labels, &[1.0; 5]).expect("frauds");
        assert!((equal - 0.5).abs() < 1e-12, "{equal}");
        assert_eq!(average_precision(&[Honest, Unknown], &[1.0, 2.0]), None);
    }

    #[test]
    fn the_interval_holds_the_average_and_is_the_same_for_the_same_seed() {
        let labels: Vec<Label> = (0..400)
            .map(|i| if i % 20 == 0 { Fraud } else { Honest })
            .collect();
        let scores: Vec<f64> = (0..400_u32).map(|i| f64::from((i * 37) % 101)).collect();
        let one = bootstrap(&labels, &scores, 200, 1).expect("frauds");
        assert!(one.low < one.average && one.average < one.high, "{one:?}");
        assert_eq!(bootstrap(&labels, &scores, 200, 1), Some(one));
    }
}
