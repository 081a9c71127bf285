//! Deferred revenue of points after IFRS 15 (B39 to B47) and ASC 606-10-55-41 to 55-49.
//!
//! Points are a material right: part of the price of the sale is allocated to them and deferred. It becomes revenue in
//! proportion to the rights that are exercised, expected breakage included:
//!
//! ```text
//! recognised so far = allocated x points redeemed so far / points expected to be redeemed in all
//! revenue of the period = recognised so far - recognised before
//! contract liability = allocated - recognised so far
//! ```
//!
//! The product is exact; the quotient is rounded once, half to even, to the unit that is reported. Because what is rounded
//! is the cumulative figure and a period is a difference of two, nothing is lost or counted twice over the years, and a new
//! estimate is caught up with in the period in which it is made; a period's revenue can then be negative. When as many
//! points are redeemed as will ever be, all of it is revenue.

use crate::amount::{Amount, AmountError};
use hansa_money::{Currency, MICROS};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a computation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RevenueError {
    /// A sum that does not fit.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// A price or a number of points below 0.
    #[error("an allocated price or a number of points is below 0")]
    Negative,
    /// More points are redeemed than are expected to be.
    #[error("{redeemed} points are redeemed, {expected} expected in all; estimate anew")]
    Estimate {
        /// Redeemed so far.
        redeemed: i64,
        /// Expected in all.
        expected: i64,
    },
}

/// What is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RevenueUnit {
    /// The currency's minor unit, as books are kept.
    MinorUnit,
    /// Whole currency units, as the standards' examples are printed.
    WholeUnit,
}

impl RevenueUnit {
    fn micros(self, currency: Currency) -> i128 {
        match self {
            Self::MinorUnit => currency.minor_micros(),
            Self::WholeUnit => i128::from(MICROS),
        }
    }
}

/// What revenue is computed from: figures of one pool of points since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RevenueBasis {
    /// Part of the transaction prices that was allocated to the points, at their relative stand-alone selling prices.
    pub allocated: Amount,
    /// Points redeemed so far.
    pub redeemed: i64,
    /// Points that will have been redeemed in the end, those so far included.
    pub expected: i64,
    /// Revenue that earlier periods recognised.
    pub recognised_before: Amount,
}

/// What the books say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Revenue {
    /// Recognised so far.
    pub recognised: Amount,
    /// Of that, in this period.
    pub of_period: Amount,
    /// Contract liability: what is still deferred.
    pub deferred: Amount,
}

impl RevenueBasis {
    /// The revenue, rounded to a unit of the currency.
    pub fn revenue(&self, unit: RevenueUnit, currency: Currency) -> Result<Revenue, RevenueError> {
        if self.allocated < Amount::ZERO || self.redeemed < 0 || self.expected < 0 {
            return Err(RevenueError::Negative);
        }
        if self.redeemed > self.expected {
            return Err(RevenueError::Estimate {
                redeemed: self.redeemed,
                expected: self.expected,
            });
        }
        let recognised = if self.redeemed == self.expected {
            self.allocated
        } else {
            let product = i128::from(self.allocated.micros()) * i128::from(self.redeemed);
            let unit = unit.micros(currency);
            let rounded = unit * div_half_even(product, i128::from(self.expected) * unit);
            Amount::try_from(rounded.min(i128::from(self.allocated.micros())))?
        };
        Ok(Revenue {
            recognised,
            of_period: Amount::sum([recognised, self.recognised_before.negated()?])?,
            deferred: Amount::sum([self.allocated, recognised.negated()?])?,
        })
    }
}

/// A quotient of numbers that are not negative, rounded half to even.
fn div_half_even(dividend: i128, divisor: i128) -> i128 {
    let (floor, rest) = (dividend / divisor, dividend % divisor);
    let up = match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => floor % 2,
        std::cmp::Ordering::Greater => 1,
    };
    floor + up
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(units: i64) -> Amount {
        Amount::from_micros(units * MICROS)
    }

    fn revenue(allocated: i64, redeemed: i64, expected: i64, before: i64) -> (i64, i64) {
        let basis = RevenueBasis {
            allocated: units(allocated),
            redeemed,
            expected,
            recognised_before: units(before),
        };
        let revenue = basis
            .revenue(RevenueUnit::WholeUnit, Currency::EUR)
            .unwrap();
        let whole = |amount: Amount| amount.micros() / MICROS;
        (whole(revenue.of_period), whole(revenue.deferred))
    }

    /// KPMG's published example: a price of 9 000 allocated to 10 000 points.
    #[test]
    fn kpmg_s_example_comes_out() {
        assert_eq!(revenue(9_000, 4_500, 9_700, 0), (4_175, 4_825));
        assert_eq!(revenue(9_000, 8_500, 9_900, 4_175), (3_552, 1_273));
        assert_eq!(revenue(9_000, 8_500, 9_200, 4_175), (4_140, 685));
    }

    /// IFRS 15, example 52 (IE267 to IE270): 8 676 allocated to 10 000 points.
    #[test]
    fn the_standard_s_own_example_comes_out() {
        assert_eq!(revenue(8_676, 4_500, 9_500, 0), (4_110, 4_566));
        assert_eq!(revenue(8_676, 8_500, 9_700, 4_110), (3_493, 1_073));
    }

    #[test]
    fn all_is_revenue_when_no_more_will_be_redeemed() {
        assert_eq!(revenue(9_000, 9_200, 9_200, 8_315), (685, 0));
        assert_eq!(revenue(9_000, 0, 0, 0), (9_000, 0));
        assert_eq!(revenue(9_000, 0, 9_700, 0), (0, 9_000));
    }

    #[test]
    fn a_higher_estimate_takes_revenue_back() {
        assert_eq!(revenue(9_000, 4_500, 9_999, 4_175), (-125, 4_950));
    }

    #[test]
    fn impossible_figures_are_refused() {
        let basis = |allocated, redeemed, expected| RevenueBasis {
            allocated: units(allocated),
            redeemed,
            expected,
            recognised_before: Amount::ZERO,
        };
        let refused = |basis: RevenueBasis| {
            basis
                .revenue(RevenueUnit::MinorUnit, Currency::EUR)
                .unwrap_err()
        };
        assert_eq!(
            refused(basis(1, 11, 10)),
            RevenueError::Estimate {
                redeemed: 11,
                expected: 10
            }
        );
        assert_eq!(refused(basis(-1, 1, 10)), RevenueError::Negative);
        assert_eq!(refused(basis(1, -1, 10)), RevenueError::Negative);
    }

    #[test]
    fn half_a_unit_goes_to_the_even_one() {
        for (dividend, divisor, quotient) in [(1, 2, 0), (3, 2, 2), (5, 2, 2), (7, 4, 2), (5, 4, 1)]
        {
            assert_eq!(
                div_half_even(dividend, divisor),
                quotient,
                "{dividend}/{divisor}"
            );
        }
    }

    proptest! {
        /// Revenue lies between nothing and all, grows with what is redeemed, and periods add up to the cumulative figure.
        #[test]
        fn revenue_is_bounded_monotonous_and_adds_up(
            allocated in 0..=i64::MAX,
            expected in 1..=i64::MAX,
            shares in proptest::collection::vec(0_u64..=10_000, 1..6),
        ) {
            let mut shares = shares;
            shares.sort_unstable();
            let (mut before, mut total) = (Amount::ZERO, 0_i128);
            for share in shares {
                let redeemed = i128::from(expected) * i128::from(share) / 10_000;
                let basis = RevenueBasis {
                    allocated: Amount::from_micros(allocated),
                    redeemed: i64::try_from(redeemed).unwrap(),
                    expected,
                    recognised_before: before,
                };
                let revenue = basis.revenue(RevenueUnit::MinorUnit, Currency::EUR).unwrap();
                prop_assert!(revenue.recognised >= before);
                prop_assert!(revenue.recognised.micros() <= allocated);
                prop_assert_eq!(revenue.recognised.micros() + revenue.deferred.micros(), allocated);
                total += i128::from(revenue.of_period.micros());
                before = revenue.recognised;
            }
            prop_assert_eq!(total, i128::from(before.micros()));
        }
    }
}
