//! Seeded randomness that is the same everywhere: SplitMix64.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each seed and purpose.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut seeded = Self(seed ^ purpose.wrapping_mul(0xd134_2543_de82_ef95));
        seeded.next();
        seeded
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `n`; 0 where `n` is 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Moves `count` random items to the front.
    pub(super) fn draw<T>(&mut self, items: &mut [T], count: usize) {
        let len = items.len();
        for at in 0..count.min(len) {
            let other = at + self.below(len - at);
            items.swap(at, other);
        }
    }
}
