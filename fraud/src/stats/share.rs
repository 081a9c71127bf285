//! Shares that differ between honest affiliates: a beta-binomial whose correlation is taken from the population itself.
//!
//! The correlation is the one at which the squared deviations of the population's upper (or lower) half are as large as they
//! should be; each row weighs as much as it says about the correlation, and none counts for more than two deviations (Huber's
//! proposal 2). So honest differences are no surprise, and a few percent of bad ones do not hide themselves.

use serde::{Deserialize, Serialize};

use super::tail::{beta_binomial_lower, beta_binomial_upper, normal_upper};

/// What counts of a row's squared z is no more than this squared: a few percent that are not of the population do not hide themselves.
const BOUND: f64 = 2.0;
/// The mean of a squared standard normal variable that is bounded so.
const BOUNDED_MEAN: f64 = 0.920_5;
/// Below this many expected, a row says nothing about the spread.
const LEAST_EXPECTED: f64 = 0.5;
/// A difference of fewer events is nobody's spread: it is too small to act on.
pub const LEAST_EVENTS: f64 = 4.0;
/// The correlation never gets lower: affiliates always differ a little.
const LEAST_RHO: f64 = 2e-4;

/// Fewer rows than this say nothing about the spread, and then this much is taken for it.
const POPULATION: usize = 100;
const UNKNOWN_RHO: f64 = 0.003;
/// Something counted among something, and the share that is expected of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// So many.
    pub k: f64,
    /// Of so many.
    pub n: f64,
    /// Expected share.
    pub expected: f64,
}

impl Row {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        let n = self.n + other.n;
        if n > 0.0 {
            self.expected = (self.n * self.expected + other.n * other.expected) / n;
        }
        self.k += other.k;
        self.n = n;
    }

    /// How much it says about the correlation: nothing where chance is all of its spread.
    fn information(&self, rho: f64) -> f64 {
        let more = (self.n - 1.0).max(0.0) * rho;
        let part = more / (1.0 + more);
        part * part
    }

    fn z(&self, rho: f64) -> f64 {
        let variance =
            self.n * self.expected * (1.0 - self.expected) * (1.0 + (self.n - 1.0).max(0.0) * rho);
        if variance > 0.0 {
            (self.k - self.n * self.expected) / libm::sqrt(variance)
        } else {
            0.0
        }
    }
}

/// How much shares differ in a population.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shares {
    rho: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { rho: LEAST_RHO }
    }
}

impl Shares {
    /// Takes the spread from a population, by its upper tail, or by its lower one.
    #[must_use]
    pub fn fit(rows: &[Row], upper: bool) -> Self {
        let sign = if upper { 1.0 } else { -1.0 };
        let usable = || {
            rows.iter()
                .filter(|row| row.n * row.expected >= LEAST_EXPECTED)
        };
        if usable().count() < POPULATION {
            return Self { rho: UNKNOWN_RHO };
        }
        let side: Vec<&Row> = usable()
            .filter(|row| sign * (row.k - row.n * row.expected) > 0.0)
            .collect();
        let rho = smallest(LEAST_RHO, |rho| {
            let sum: f64 = side
                .iter()
                .map(|row| {
                    let z = row.z(rho).abs().min(BOUND);
                    row.information(rho) * (z * z - BOUNDED_MEAN)
                })
                .sum();
            sum > 0.0
        });
        Self { rho }
    }

    /// The correlation between two events of one affiliate.
    #[must_use]
    pub const fn rho(self) -> f64 {
        self.rho
    }

    /// The probability that an honest affiliate has so many or more; or so few or fewer.
    #[must_use]
    pub fn tail(self, row: &Row, is_low: bool) -> f64 {
        if is_low {
            self.lower(row)
        } else {
            self.upper(row)
        }
    }

    /// The probability that an honest affiliate has so many or more.
    #[must_use]
    pub fn upper(self, row: &Row) -> f64 {
        let z = row.z(self.rho);
        if z < 1.5 {
            normal_upper(z)
        } else {
            beta_binomial_upper(row.k, row.n, clamp(row.expected), self.rho)
        }
    }

    /// The probability that an honest affiliate has so few or fewer.
    #[must_use]
    pub fn lower(self, row: &Row) -> f64 {
        let z = row.z(self.rho);
        if z > -1.5 {
            normal_upper(-z)
        } else {
            beta_binomial_lower(row.k, row.n, clamp(row.expected), self.rho)
        }
    }
}

/// The smallest correlation from `low` on that is not too small.
fn smallest(low: f64, is_too_small: impl Fn(f64) -> bool) -> f64 {
    if !is_too_small(low) {
        return low;
    }
    let (mut low, mut high) = (low, 0.9);
    for _ in 0..16 {
        let middle = libm::sqrt(low * high);
        if is_too_small(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn clamp(share: f64) -> f64 {
    share.clamp(1e-6, 1.0 - 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose shares differ by half up and down.
    fn spread(count: usize) -> Vec<Row> {
        (0..count)
            .map(|i| {
                let own = 0.02 + 0.02 * (i % 21) as f64 / 20.0;
                Row {
                    k: libm::round(1_000.0 * own),
                    n: 1_000.0,
                    expected: 0.03,
                }
            })
            .collect()
    }

    #[test]
    fn honest_differences_are_no_surprise_and_a_multiple_is_one() {
        let rows = spread(210);
        let shares = Shares::fit(&rows, true);
        assert!(shares.rho() > LEAST_RHO);
        let smallest = rows.iter().map(|row| shares.upper(row)).fold(1.0, f64::min);
        assert!(smallest > 0.01, "{smallest}");
        let odd = Row {
            k: 150.0,
            n: 1_000.0,
            expected: 0.03,
        };
        assert!(shares.upper(&odd) < 1e-6, "{}", shares.upper(&odd));
        let none = Row { k: 0.0, ..odd };
        assert!(Shares::fit(&rows, false).lower(&none) < 1e-3);
    }

    #[test]
    fn a_few_bad_ones_do_not_hide_themselves() {
        let mut rows = spread(200);
        rows.extend((0..4).map(|_| Row {
            k: 300.0,
            n: 1_000.0,
            expected: 0.03,
        }));
        let shares = Shares::fit(&rows, true);
        assert!(shares.upper(&rows[201]) < 1e-6);
    }
}
