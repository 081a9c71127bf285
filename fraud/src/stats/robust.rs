//! Medians, what is odd among its like, and how spread a histogram is.

use serde::{Deserialize, Serialize};

/// The median; 0 of nothing. Reorders.
#[must_use]
pub fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// What is usual at each volume: median and 1.4826 MAD by tenths of the volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ByVolume {
    tenths: Vec<Tenth>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Tenth {
    up_to: f64,
    center: f64,
    unit: f64,
}

impl ByVolume {
    /// From a population of (volume, value). `floor` is the smallest unit, for populations that hardly differ.
    #[must_use]
    pub fn fit(population: &[(f64, f64)], floor: f64) -> Self {
        let mut sorted = population.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let size = sorted.len().div_ceil(10).max(1);
        let tenths = sorted.chunks(size).map(|tenth| {
            let mut values: Vec<f64> = tenth.iter().map(|(_, value)| *value).collect();
            let center = median(&mut values);
            let mut away: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
            Tenth {
                up_to: tenth.last().map_or(f64::INFINITY, |(volume, _)| *volume),
                center,
                unit: (1.482_6 * median(&mut away)).max(floor),
            }
        });
        Self {
            tenths: tenths.collect(),
        }
    }

    /// Robust z of a value among those of about its volume, and what is usual there; 0 among nobody.
    #[must_use]
    pub fn z(&self, volume: f64, value: f64) -> (f64, f64) {
        let at = self.tenths.partition_point(|tenth| tenth.up_to < volume);
        self.tenths
            .get(at.min(self.tenths.len().saturating_sub(1)))
            .map_or((0.0, 0.0), |tenth| {
                ((value - tenth.center) / tenth.unit, tenth.center)
            })
    }
}

/// Entropy of a histogram in bits, with the correction of Miller and Madow for few counts.
#[must_use]
pub fn entropy(counts: &[u16]) -> f64 {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let used = counts.iter().filter(|count| **count > 0).count() as f64;
    let plain: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * libm::log2(share)
        })
        .sum();
    plain + (used - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_odd_among_its_like_stands_out() {
        let mut population: Vec<(f64, f64)> = (0..100_u8)
            .map(|i| (f64::from(i), f64::from(i) + f64::from(i % 3)))
            .collect();
        population[55].1 += 40.0;
        let usual = ByVolume::fit(&population, 0.1);
        let z: Vec<f64> = population
            .iter()
            .map(|(volume, value)| usual.z(*volume, *value).0)
            .collect();
        let largest = (0..100).max_by(|a, b| z[*a].total_cmp(&z[*b]));
        assert_eq!(largest, Some(55));
        assert!(z[55] > 5.0);
        assert!(usual.z(1e9, 0.0).0 < -5.0, "beyond the largest volume");
        assert!(ByVolume::default().z(1.0, 1.0).0.abs() < 1e-12);
    }

    #[test]
    fn entropy_is_the_logarithm_of_equal_cells() {
        assert!((entropy(&[10_000; 8]) - 3.0).abs() < 1e-3);
        assert!(entropy(&[500, 0, 0]).abs() < 1e-12);
        assert!(entropy(&[]).abs() < 1e-12);
    }
}
