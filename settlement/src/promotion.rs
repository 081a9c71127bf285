//! Promotions: how many bonus points an event earns on top of the base, and who funds them.

use crate::ids::{Instant, MerchantIx};
use crate::money::{BPS, Rate, largest_remainder};
use serde::{Deserialize, Serialize};

/// How a bonus is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bonus {
    /// `floor(amount x rate)` more points; points per currency unit.
    Rate(Rate),
    /// `floor(amount x earn rate x k) - base` more points, at least 0.
    Multiplier(Rate),
}

/// A promotion. It applies to every accrual of its merchants whose event time lies in its window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// The id that the outside uses; bonus parts are ordered by it.
    pub slug: String,
    /// How the bonus is computed.
    pub bonus: Bonus,
    /// Funders and their shares in basis points, summing to 10,000. Kept in order of the funders' slugs.
    pub shares: Vec<(MerchantIx, u32)>,
    /// Most points that the promotion may ever grant; a bonus larger than the rest is not applied.
    pub cap_points: Option<i64>,
    /// First event time.
    pub starts_at: Instant,
    /// First event time after it.
    pub ends_at: Instant,
    /// Merchants at which it applies; empty = all.
    pub merchants: Vec<MerchantIx>,
}

impl Promotion {
    /// Whether the promotion applies to an event of a merchant.
    #[must_use]
    pub fn applies(&self, merchant: MerchantIx, event_time: Instant) -> bool {
        self.starts_at <= event_time
            && event_time < self.ends_at
            && (self.merchants.is_empty() || self.merchants.contains(&merchant))
    }

    /// The bonus for an amount (micro-units) that earned `base` points at `earn_rate`; `None` where it exceeds the bounds.
    /// `base_of_merchant` is set where the merchant computed the base itself: a multiplier then multiplies those points.
    #[must_use]
    pub fn points(
        &self,
        amount_micros: i64,
        earn_rate: Rate,
        base: i64,
        base_of_merchant: bool,
    ) -> Option<i64> {
        match self.bonus {
            Bonus::Rate(rate) => rate.points(amount_micros),
            Bonus::Multiplier(factor) => {
                let total = if base_of_merchant {
                    factor.of_points(base)?
                } else {
                    earn_rate.points_times(amount_micros, factor)?
                };
                Some((total - base).max(0))
            }
        }
    }

    /// Splits a bonus over the funders by largest remainder, ties by slug.
    #[must_use]
    pub fn split(&self, points: i64) -> Vec<i64> {
        let weights: Vec<i64> = self.shares.iter().map(|(_, bps)| i64::from(*bps)).collect();
        largest_remainder(points, &weights)
    }

    /// Whether shares are positive, of distinct funders and sum to 10,000, and the window is not empty.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let mut funders: Vec<_> = self.shares.iter().map(|(funder, _)| *funder).collect();
        funders.sort_unstable();
        funders.dedup();
        funders.len() == self.shares.len()
            && self.shares.len() <= 64
            && self.shares.iter().all(|(_, bps)| *bps > 0 && *bps <= BPS)
            && self.shares.iter().map(|(_, bps)| *bps).sum::<u32>() == BPS
            && self.starts_at < self.ends_at
            && self.cap_points.is_none_or(|cap| cap >= 0)
    }
}
