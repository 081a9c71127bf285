//! Decimals of the terms as exact fractions, and the floors that the rules ask for. Written a second time on purpose:
//! what the ledger rounds is what an auditor has to round by itself.

use hansa_money::{BPS, MAX_MICROS_PER_POINT, MAX_POINTS, MICROS};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::finding::Mismatch;

/// A decimal that is not negative: `units / 10^places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exact {
    units: i64,
    places: u8,
}

impl Exact {
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Mismatch> {
        let decimal = decimal(field, text)?;
        let units = i64::try_from(decimal.mantissa()).ok();
        let places = u8::try_from(decimal.scale()).ok();
        match (units, places) {
            (Some(units @ 0..), Some(places @ 0..=12)) => Ok(Self { units, places }),
            _ => Err(Mismatch::fact(
                format_args!("{field}: a decimal of at least 0"),
                text,
            )),
        }
    }

    /// `floor(number x self)`; `None`: beyond the ledger's bound on points.
    pub(crate) fn of_points(self, points: i64) -> Option<i64> {
        floor(&[i128::from(points), self.units.into()], self.places.into())
    }

    /// `floor(amount x self)` where the amount is in micro-units and self is points for a currency unit.
    pub(crate) fn of_amount(self, amount_micros: i64) -> Option<i64> {
        floor(
            &[i128::from(amount_micros), self.units.into()],
            6 + u32::from(self.places),
        )
    }

    /// `floor(amount x self x factor)`.
    pub(crate) fn of_amount_times(self, amount_micros: i64, factor: Self) -> Option<i64> {
        floor(
            &[
                i128::from(amount_micros),
                self.units.into(),
                factor.units.into(),
            ],
            6 + u32::from(self.places) + u32::from(factor.places),
        )
    }
}

fn floor(factors: &[i128], places: u32) -> Option<i64> {
    let mut product: i128 = 1;
    for factor in factors {
        product = product.checked_mul(*factor)?;
    }
    let whole = product.div_euclid(10_i128.checked_pow(places)?);
    i64::try_from(whole)
        .ok()
        .filter(|points| (0..=MAX_POINTS).contains(points))
}

fn decimal(field: &str, text: &str) -> Result<Decimal, Mismatch> {
    text.parse::<Decimal>()
        .map(|decimal| decimal.normalize())
        .map_err(|_| Mismatch::fact(format_args!("{field}: a decimal number"), text))
}

/// A price or fee per point in micro-units; empty means 0.
pub(crate) fn per_point(field: &str, text: &str) -> Result<i64, Mismatch> {
    match amount(field, text)? {
        None => Ok(0),
        Some(micros) if micros <= MAX_MICROS_PER_POINT => Ok(micros),
        Some(_) => Err(Mismatch::fact(
            format_args!("{field}: at most {MAX_MICROS_PER_POINT} micro-units"),
            text,
        )),
    }
}

/// An amount in micro-units; empty means none.
pub(crate) fn amount(field: &str, text: &str) -> Result<Option<i64>, Mismatch> {
    if text.is_empty() {
        return Ok(None);
    }
    let scaled = decimal(field, text)?
        .checked_mul(Decimal::from(MICROS))
        .map(|micros| micros.normalize());
    let micros = scaled
        .filter(|micros| micros.scale() == 0)
        .and_then(|micros| i64::try_from(micros.mantissa()).ok())
        .filter(|micros| *micros >= 0);
    micros.map(Some).ok_or_else(|| {
        Mismatch::fact(
            format_args!("{field}: an amount of at least 0 with at most 6 decimals"),
            text,
        )
    })
}

/// `floor(bps of value)`.
pub(crate) fn share(value_micros: i128, bps: u32) -> i128 {
    (value_micros * i128::from(bps)).div_euclid(i128::from(BPS))
}

/// Splits a whole number by weights: everybody gets the whole part of the exact share, and what is left goes, one each, to the
/// largest remainders; equal ones in the given order. Without any weight nobody gets anything.
pub(crate) fn split(total: i64, weights: &[i64]) -> Vec<i64> {
    let all: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if all <= 0 {
        return vec![0; weights.len()];
    }
    let mut ranked: Vec<(i128, usize, i64)> = Vec::with_capacity(weights.len());
    let mut given: i64 = 0;
    for (place, weight) in weights.iter().enumerate() {
        let exact = i128::from(total) * i128::from(*weight);
        // At most `total`, so that it fits.
        let whole = i64::try_from(exact / all).unwrap_or(total);
        given += whole;
        ranked.push((exact % all, place, whole));
    }
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for slot in ranked.iter_mut() {
        if given == total {
            break;
        }
        slot.2 += 1;
        given += 1;
    }
    ranked.sort_by_key(|slot| slot.1);
    ranked.into_iter().map(|slot| slot.2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Exact {
        Exact::parse("rate", text).unwrap()
    }

    #[test]
    fn points_are_floored() {
        assert_eq!(exact("1").of_amount(1_509_050_000), Some(1_509));
        assert_eq!(exact("1.50").of_amount(990_000), Some(1));
        assert_eq!(exact("0.333333").of_points(10), Some(3));
        assert_eq!(
            exact("1").of_amount_times(334_100_000, exact("2")),
            Some(668)
        );
        assert_eq!(
            exact("1000000000000").of_amount(1_000_000_000_000_000),
            None
        );
        assert!(Exact::parse("rate", "-1").is_err());
        assert!(Exact::parse("rate", "many").is_err());
    }

    #[test]
    fn amounts_have_at_most_six_decimals() {
        assert_eq!(per_point("fee", "0.001525").unwrap(), 1_525);
        assert_eq!(per_point("fee", "").unwrap(), 0);
        assert!(per_point("fee", "0.0000001").is_err());
        assert_eq!(amount("cap", "").unwrap(), None);
        assert_eq!(amount("cap", "12.5").unwrap(), Some(12_500_000));
    }

    #[test]
    fn a_split_hands_everything_out() {
        assert_eq!(split(334, &[6_000, 4_000]), [200, 134]);
        assert_eq!(split(1, &[5_000, 5_000]), [1, 0]);
        assert_eq!(split(7, &[1, 1, 1]), [3, 2, 2]);
        assert_eq!(split(3, &[0, 0]), [0, 0]);
        assert_eq!(split(0, &[3, 4]), [0, 0]);
    }
}
