//! OBLGEN-1: obligations from a seed, the same everywhere, for benches and tests. Two families: `sf` is scale-free (a few
//! members take part in most obligations), `tier` has eight tiers, nine tenths of the obligations leading upwards, so that
//! cycles are few.

#![expect(
    clippy::float_arithmetic,
    reason = "the generator is specified in doubles; no money of anyone comes from it"
)]

use std::{fmt, str::FromStr};

use crate::obligation::Obligation;

/// The kind of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Scale-free.
    Sf,
    /// In tiers.
    Tier,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sf => "sf",
            Self::Tier => "tier",
        })
    }
}

/// Text that names no family.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no family is called {0:?}: sf, tier")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(name: &str) -> Result<Self, UnknownFamily> {
        [Self::Sf, Self::Tier]
            .into_iter()
            .find(|family| family.to_string() == name)
            .ok_or_else(|| UnknownFamily(name.to_owned()))
    }
}

/// What is generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oblgen {
    /// The kind of network.
    pub family: Family,
    /// Members; at least 1. With a single one every debt is to oneself.
    pub nodes: u32,
    /// Obligations.
    pub obligations: u32,
    /// Start of the random numbers.
    pub seed: u64,
}

impl Oblgen {
    /// The obligations, in order.
    pub fn generate(&self) -> impl ExactSizeIterator<Item = Obligation> {
        let oblgen = *self;
        (0..self.obligations).map(move |j| oblgen.obligation(j))
    }

    fn obligation(&self, j: u32) -> Obligation {
        let n = u64::from(self.nodes);
        let u = |i: u64| uniform(self.seed, 6 * u64::from(j) + 1 + i);
        let mut debtor = self.rank(u(0));
        let r = self.rank(u(1));
        let mut creditor = if u(2) < 0.5 {
            r
        } else {
            (7_919 * r + 12_345) % n
        };
        let tier = |x: u64| x.wrapping_mul(2_654_435_761) % 8;
        if self.family == Family::Tier && u(5) < 0.9 && tier(debtor) > tier(creditor) {
            std::mem::swap(&mut debtor, &mut creditor);
        }
        if debtor == creditor {
            creditor = (creditor + 1) % n;
        }
        let normal = (-2.0 * (1.0 - u(3)).ln()).sqrt() * (2.0 * std::f64::consts::PI * u(4)).cos();
        let amount = (10_000_f64.ln() + 1.8 * normal).exp().round().max(1.0);
        Obligation {
            debtor: debtor as u32,
            creditor: creditor as u32,
            amount: amount as i64,
        }
    }

    fn rank(&self, x: f64) -> u64 {
        let rank = (f64::from(self.nodes) * x * x * x.sqrt()).floor();
        (rank as u64).min(u64::from(self.nodes) - 1)
    }
}

/// Draw `k` of SplitMix64 in counter form, as a number from 0 to 1.
fn uniform(seed: u64, k: u64) -> f64 {
    let mut z = seed.wrapping_add(k.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

/// What the first 10,000 obligations must add up to: whether two implementations generate the same.
#[must_use]
pub fn check(obligations: &[Obligation]) -> u64 {
    const MODULUS: i128 = (1 << 61) - 1;
    let sum: i128 = (1..=10_000_i128)
        .zip(obligations)
        .map(|(j, o)| {
            j * (31 * i128::from(o.debtor) + 17 * i128::from(o.creditor) + i128::from(o.amount))
        })
        .sum();
    (sum % MODULUS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(family: Family, nodes: u32, obligations: u32, seed: u64) -> u64 {
        let oblgen = Oblgen {
            family,
            nodes,
            obligations,
            seed,
        };
        check(&oblgen.generate().take(10_000).collect::<Vec<_>>())
    }

    #[test]
    fn check_values_are_those_of_the_specification() {
        assert_eq!(first(Family::Sf, 1_000, 10_000, 1), 3_298_853_317_308);
        assert_eq!(first(Family::Sf, 100_000, 1_000_000, 3), 78_652_294_087_893);
        assert_eq!(first(Family::Tier, 1_000, 10_000, 1), 3_314_672_349_306);
    }

    #[test]
    fn families_are_read_back() {
        for family in [Family::Sf, Family::Tier] {
            assert_eq!(family.to_string().parse(), Ok(family));
        }
        assert!("SF".parse::<Family>().is_err());
    }

    #[test]
    fn a_single_member_owes_itself() {
        let oblgen = Oblgen {
            family: Family::Sf,
            nodes: 1,
            obligations: 3,
            seed: 1,
        };
        assert!(oblgen.generate().all(|o| o.debtor == 0 && o.creditor == 0));
    }
}
