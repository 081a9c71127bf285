//! Seeded randomness that is the same everywhere: SplitMix64, and distributions through `libm`.

use crate::features::mix;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each seed and purpose.
    pub(super) const fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(mix(seed) ^ purpose))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to, not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Below `n`, which is at least 1.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    pub(super) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * libm::exp(sigma * self.normal())
    }

    /// Poisson: by multiplication when small, rounded normal when large.
    pub(super) fn poisson(&mut self, mean: f64) -> u32 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 60.0 {
            let drawn = mean + libm::sqrt(mean) * self.normal();
            return libm::round(drawn).max(0.0) as u32;
        }
        let end = libm::exp(-mean);
        let mut product = self.unit();
        let mut count = 0;
        while product > end {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// One of few, the first ones far more often: the place of the k-th weighs 1/(k+1).
    pub(super) fn zipf(&mut self, n: u64) -> u64 {
        let top = libm::log(n as f64 + 1.0);
        ((libm::exp(top * self.unit()) - 1.0) as u64).min(n - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_have_their_means() {
        let mut rng = Rng::new(1, 2);
        for mean in [0.3, 7.0, 400.0] {
            let sum: f64 = (0..4_000).map(|_| f64::from(rng.poisson(mean))).sum();
            assert!((sum / 4_000.0 / mean - 1.0).abs() < 0.1, "{mean}");
        }
        let sum: f64 = (0..10_000).map(|_| rng.normal()).sum();
        assert!((sum / 10_000.0).abs() < 0.05);
        let first = (0..1_000).filter(|_| rng.zipf(100) == 0).count();
        assert!((80..250).contains(&first), "{first}");
        assert!((0..1_000).all(|_| rng.below(7) < 7 && rng.zipf(5) < 5));
    }
}
