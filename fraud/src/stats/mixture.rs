//! A histogram that is partly another one: the likelihood ratio of `(1 - e) x reference + e x other` against the reference
//! alone, at the best `e`.
//!
//! Honest affiliates differ from their merchant's reference: they are faster or slower, and their tails are lighter or
//! heavier. So the reference may be moved by bins and tilted, at a price, on both sides of the ratio; only what neither
//! explains counts.

use super::tail::normal_upper;

/// Shares of the other histogram that are tried; the first one is none.
const SHARES: [f64; 12] = [
    0.0, 0.02, 0.04, 0.07, 0.1, 0.15, 0.22, 0.32, 0.45, 0.6, 0.8, 1.0,
];
/// Tilts of the reference: the logarithm changes by so much from one end to the other.
const TILTS: [f64; 5] = [-1.2, -0.6, 0.0, 0.6, 1.2];
/// ln price of a tilt by one step, and of a move by one bin.
const PRICE: f64 = 0.5;

/// Precomputed logarithms of a reference mixed with one other histogram.
#[derive(Debug, Clone)]
pub struct Mixture {
    bins: usize,
    /// ln price of each variant of the reference.
    prices: Vec<f64>,
    /// By share, variant, bin.
    logs: Vec<f64>,
}

/// ln likelihood of counts, by share and variant. Surfaces of independent counts add up.
#[derive(Debug, Clone, PartialEq)]
pub struct Surface {
    variants: usize,
    values: Vec<f64>,
}

impl Mixture {
    /// From a reference, which need not add up to 1, and another histogram. `moves` bins up and down are honest; `ring` when
    /// the last bin is next to the first.
    #[must_use]
    pub fn new(reference: &[f64], other: &[f64], moves: i32, ring: bool) -> Self {
        let bins = reference.len();
        let other = normal(other);
        let mut prices = Vec::new();
        let mut variants = Vec::new();
        let tilts: &[f64] = if ring { &[0.0] } else { &TILTS };
        for shift in -moves..=moves {
            for (step, tilt) in tilts.iter().enumerate() {
                let steps = (step as f64 - (tilts.len() / 2) as f64).abs() + f64::from(shift.abs());
                prices.push(-PRICE * steps);
                variants.push(variant(reference, shift, *tilt, ring));
            }
        }
        let mut logs = Vec::with_capacity(SHARES.len() * variants.len() * bins);
        for share in SHARES {
            for variant in &variants {
                logs.extend(variant.iter().zip(&other).map(|(reference, other)| {
                    libm::log(((1.0 - share) * reference + share * other).max(1e-9))
                }));
            }
        }
        Self { bins, prices, logs }
    }

    /// The likelihood of counts.
    #[must_use]
    pub fn surface(&self, counts: &[u16]) -> Surface {
        let used: Vec<(usize, f64)> = counts
            .iter()
            .enumerate()
            .filter(|(bin, count)| **count > 0 && *bin < self.bins)
            .map(|(bin, count)| (bin, f64::from(*count)))
            .collect();
        let values = self
            .logs
            .chunks_exact(self.bins)
            .map(|logs| used.iter().map(|(bin, count)| logs[*bin] * count).sum())
            .collect();
        Surface {
            variants: self.prices.len(),
            values,
        }
    }

    /// The bins in which, at this share, at least `least` of the counts are the other histogram's: one bit each.
    #[must_use]
    pub fn suspects(reference: &[f64], other: &[f64], share: f64, least: f64) -> u32 {
        let (reference, other) = (normal(reference), normal(other));
        reference
            .iter()
            .zip(&other)
            .enumerate()
            .filter(|(_, (own, other))| {
                let foreign = share * *other;
                foreign > 0.0 && foreign >= least * ((1.0 - share) * *own + foreign)
            })
            .fold(0, |bins, (bin, _)| bins | 1 << bin.min(31))
    }

    /// ln likelihood ratio of the best share, and that share. `weight` is the part of its counts that are independent of each
    /// other.
    #[must_use]
    pub fn ratio(&self, surface: &Surface, weight: f64) -> (f64, f64) {
        let best = |values: &[f64]| {
            values
                .iter()
                .zip(&self.prices)
                .map(|(value, price)| value * weight + price)
                .fold(f64::NEG_INFINITY, f64::max)
        };
        let mut rows = surface.values.chunks_exact(surface.variants);
        let plain = rows.next().map_or(0.0, best);
        let mut ratio = (0.0, 0.0);
        for (row, share) in rows.zip(&SHARES[1..]) {
            let gain = best(row) - plain;
            if gain > ratio.0 {
                ratio = (gain, *share);
            }
        }
        ratio
    }
}

impl Surface {
    /// Adds that of other counts.
    pub fn add(&mut self, other: &Self) {
        for (value, other) in self.values.iter_mut().zip(&other.values) {
            *value += other;
        }
    }

    /// The p-value of a ratio: half of the honest have none, the others' doubled is chi-squared with one degree. (Self and
    /// Liang, 1987: the share lies on its bound.)
    #[must_use]
    pub fn p_value(ratio: f64) -> f64 {
        if ratio <= 0.0 {
            1.0
        } else {
            normal_upper(libm::sqrt(2.0 * ratio))
        }
    }
}

/// The correlation of the counts of one affiliate, from a population: the smallest at which no more than a tenth of `ratios` lies
/// beyond where a tenth of the honest should. A pair is (ratio at full weight, counts).
#[must_use]
pub fn calibrate(population: &[(f64, f64)]) -> f64 {
    // P(ratio > 0.821) = 0.1 by the p-value above.
    const TENTH: f64 = 0.821_187_4;
    let beyond = |rho: f64| {
        let count = population
            .iter()
            .filter(|(ratio, n)| ratio / (1.0 + (n - 1.0).max(0.0) * rho) > TENTH)
            .count();
        count * 10 > population.len()
    };
    let (mut low, mut high) = (1e-5, 0.9);
    if !beyond(low) {
        return low;
    }
    for _ in 0..16 {
        let middle = libm::sqrt(low * high);
        if beyond(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn normal(histogram: &[f64]) -> Vec<f64> {
    let total: f64 = histogram.iter().sum();
    histogram
        .iter()
        .map(|cell| cell / total.max(1e-12))
        .collect()
}

fn variant(reference: &[f64], shift: i32, tilt: f64, ring: bool) -> Vec<f64> {
    let bins = reference.len() as i32;
    let mut moved = vec![0.0; reference.len()];
    for (bin, cell) in reference.iter().enumerate() {
        let to = bin as i32 + shift;
        let to = if ring {
            to.rem_euclid(bins)
        } else {
            to.clamp(0, bins - 1)
        };
        let along = f64::from(to) / f64::from(bins) - 0.5;
        moved[to as usize] += cell * libm::exp(tilt * along);
    }
    normal(&moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bell() -> Vec<f64> {
        (0..32)
            .map(|bin| libm::exp(-libm::pow(f64::from(bin) - 12.0, 2.0) / 30.0) + 1e-4)
            .collect()
    }

    fn counts(of: &[f64], n: f64) -> Vec<u16> {
        normal(of)
            .iter()
            .map(|cell| libm::round(cell * n) as u16)
            .collect()
    }

    #[test]
    fn a_part_of_something_else_is_found_with_its_share() {
        let reference = bell();
        let mut flood = vec![0.0; 32];
        flood[25..].fill(1.0);
        let mixture = Mixture::new(&reference, &flood, 2, false);
        let mixed: Vec<f64> = normal(&reference)
            .iter()
            .zip(normal(&flood))
            .map(|(a, b)| 0.8 * a + 0.2 * b)
            .collect();
        let (ratio, share) = mixture.ratio(&mixture.surface(&counts(&mixed, 60.0)), 1.0);
        assert!(ratio > 5.0, "{ratio}");
        assert!((0.15..=0.22).contains(&share), "{share}");
        assert!(Surface::p_value(ratio) < 1e-3);
    }

    #[test]
    fn one_who_is_slower_or_has_a_heavier_tail_is_honest() {
        let reference = bell();
        let mut flood = vec![0.0; 32];
        flood[25..].fill(1.0);
        let mixture = Mixture::new(&reference, &flood, 2, false);
        for (shift, tilt) in [(0, 0.0), (2, 0.0), (-2, 0.0), (1, 1.2)] {
            let honest = counts(&variant(&reference, shift, tilt, false), 200.0);
            let (ratio, _) = mixture.ratio(&mixture.surface(&honest), 1.0);
            assert!(ratio < 1.5, "{shift} {tilt}: {ratio}");
        }
    }

    #[test]
    fn a_population_that_differs_more_makes_the_test_milder() {
        let tame: Vec<(f64, f64)> = (0..100).map(|i| (f64::from(i) / 130.0, 500.0)).collect();
        let wild: Vec<(f64, f64)> = tame.iter().map(|(ratio, n)| (ratio * 40.0, *n)).collect();
        assert!(calibrate(&tame) < 1e-4);
        assert!(calibrate(&wild) > 0.01);
    }
}
