//! Exact arithmetic: currencies, rates and the one rounding function. No floats; products are taken in `i128`.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Largest amount of one message, in micro-units (1e15 = a thousand million units).
pub const MAX_AMOUNT_MICROS: i64 = 1_000_000_000_000_000;
/// Largest number of points of one message or one part.
pub const MAX_POINTS: i64 = 1_000_000_000_000;
/// Largest price or fee per point, in micro-units (1e9 = a thousand units).
pub const MAX_MICROS_PER_POINT: i64 = 1_000_000_000;
/// Largest value of the points of one part at their price and fee, in micro-units: sums of a member stay far inside `i64`.
pub const MAX_VALUE_MICROS: i128 = 1_000_000_000_000_000_000;
/// Basis points of the whole.
pub const BPS: u32 = 10_000;
/// Micro-units in a currency unit.
pub const MICROS: i64 = 1_000_000;

const MAX_RATE_MANTISSA: i64 = 1_000_000_000_000;
const MAX_FACTOR_MANTISSA: i64 = 1_000_000_000;

/// Why a number of a terms document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Not three capital letters.
    #[error("a currency is three capital letters (ISO 4217)")]
    Currency,
    /// A price or fee with more than 6 decimals.
    #[error("more than 6 decimals")]
    Decimals,
    /// Negative, or above the documented bound.
    #[error("out of range")]
    Range,
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// Parses three capital ASCII letters.
    pub fn new(code: &str) -> Result<Self, NumberError> {
        match code.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|x| x.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(NumberError::Currency),
        }
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Decimal digits of the minor unit (ISO 4217), at most 4.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG"
            | b"RWF" | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }

    /// Micro-units in one minor unit (10,000 for EUR).
    #[must_use]
    pub fn minor_micros(self) -> i128 {
        10_i128.pow(6 - self.minor_digits())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An exact non-negative decimal: `mantissa / 10^scale`. As an earn rate: points per currency unit; as a multiplier: a pure number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    mantissa: i64,
    scale: u8,
}

impl Rate {
    /// The rate 1.
    pub const ONE: Self = Self {
        mantissa: 1,
        scale: 0,
    };

    /// From an exact decimal, at most 12 decimals and 1e12 as a mantissa.
    pub fn new(value: Decimal) -> Result<Self, NumberError> {
        Self::bounded(value, MAX_RATE_MANTISSA, 12)
    }

    /// From an exact decimal that multiplies a rate: at most 9 decimals and 1e9 as a mantissa.
    pub fn factor(value: Decimal) -> Result<Self, NumberError> {
        Self::bounded(value, MAX_FACTOR_MANTISSA, 9)
    }

    fn bounded(value: Decimal, max: i64, max_scale: u32) -> Result<Self, NumberError> {
        let value = value.normalize();
        let mantissa = i64::try_from(value.mantissa()).map_err(|_| NumberError::Range)?;
        if !(0..=max).contains(&mantissa) || value.scale() > max_scale {
            return Err(NumberError::Range);
        }
        Ok(Self {
            mantissa,
            scale: value.scale() as u8,
        })
    }

    /// The rate as a decimal.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.mantissa, u32::from(self.scale))
    }

    /// `floor(amount x rate)` in whole points; `None` where that exceeds [`MAX_POINTS`]. The amount is in micro-units, at least 0.
    #[must_use]
    pub fn points(self, amount_micros: i64) -> Option<i64> {
        self.points_times(amount_micros, Self::ONE)
    }

    /// `floor(amount x rate x factor)` in whole points.
    #[must_use]
    pub fn points_times(self, amount_micros: i64, factor: Self) -> Option<i64> {
        let product = i128::from(amount_micros)
            .checked_mul(i128::from(self.mantissa))?
            .checked_mul(i128::from(factor.mantissa))?;
        let divisor =
            i128::from(MICROS) * 10_i128.pow(u32::from(self.scale) + u32::from(factor.scale));
        in_points(product.div_euclid(divisor))
    }

    /// `floor(points x factor)`.
    #[must_use]
    pub fn of_points(self, points: i64) -> Option<i64> {
        in_points(
            (i128::from(points) * i128::from(self.mantissa))
                .div_euclid(10_i128.pow(u32::from(self.scale))),
        )
    }
}

fn in_points(value: i128) -> Option<i64> {
    i64::try_from(value)
        .ok()
        .filter(|points| (0..=MAX_POINTS).contains(points))
}

/// A price or fee per point, read from a decimal in currency units: whole micro-units per point.
pub fn micros_per_point(value: Decimal) -> Result<i64, NumberError> {
    let micros = value
        .checked_mul(Decimal::from(MICROS))
        .ok_or(NumberError::Range)?
        .normalize();
    if micros.scale() > 0 {
        return Err(NumberError::Decimals);
    }
    let micros = i64::try_from(micros.mantissa()).map_err(|_| NumberError::Range)?;
    if (0..=MAX_MICROS_PER_POINT).contains(&micros) {
        Ok(micros)
    } else {
        Err(NumberError::Range)
    }
}

/// `floor(share of value)`; the share is in basis points, the value in micro-units and at least 0.
#[must_use]
pub fn share_floor(value_micros: i128, bps: u32) -> i128 {
    (value_micros * i128::from(bps)).div_euclid(i128::from(BPS))
}

/// Rounds micro-units half-even to whole minor units of the currency; the answer is in micro-units. The only rounding in the ledger.
#[must_use]
pub fn round_half_even(micros: i128, currency: Currency) -> i128 {
    let unit = currency.minor_micros();
    let (floor, rest) = (micros.div_euclid(unit), micros.rem_euclid(unit));
    let up = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => floor.rem_euclid(2),
        std::cmp::Ordering::Greater => 1,
    };
    (floor + up) * unit
}

/// Splits a whole number over weights by largest remainder; ties go to the earlier weight. With all weights 0 nothing is handed out.
#[must_use]
pub fn largest_remainder(total: i64, weights: &[i64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    if sum <= 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &i64| i128::from(total) * i128::from(*weight);
    let mut parts: Vec<i64> = weights.iter().map(|w| (exact(w) / sum) as i64).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(exact(&weights[*i]) % sum), *i));
    let left = usize::try_from(total - parts.iter().sum::<i64>()).unwrap_or(0);
    for i in order.into_iter().take(left) {
        parts[i] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_even_goes_to_the_even_minor_unit() {
        for (micros, rounded) in [
            (5_000, 0),
            (15_000, 20_000),
            (25_000, 20_000),
            (-5_000, 0),
            (-15_000, -20_000),
            (-3_442_775, -3_440_000),
            (4_078_793, 4_080_000),
            (-1_622_010, -1_620_000),
        ] {
            assert_eq!(round_half_even(micros, Currency::EUR), rounded, "{micros}");
        }
        assert_eq!(round_half_even(500_000, Currency::new("JPY").unwrap()), 0);
        assert_eq!(round_half_even(1_500, Currency::new("KWD").unwrap()), 2_000);
    }

    #[test]
    fn rates_floor_exactly() {
        let rate = |text: &str| Rate::new(text.parse().unwrap()).unwrap();
        assert_eq!(rate("1").points(1_509_050_000), Some(1_509));
        assert_eq!(rate("0.1").points(10_000_000), Some(1));
        assert_eq!(rate("1.5").points(990_000), Some(1));
        assert_eq!(rate("1000000000000").points(MAX_AMOUNT_MICROS), None);
        assert!(Rate::new("-1".parse().unwrap()).is_err());
        assert!(Rate::new("0.0000000000001".parse().unwrap()).is_err());
    }

    #[test]
    fn prices_have_at_most_six_decimals() {
        assert_eq!(micros_per_point("0.008".parse().unwrap()), Ok(8_000));
        assert_eq!(micros_per_point("0.001525".parse().unwrap()), Ok(1_525));
        assert_eq!(
            micros_per_point("0.0015251".parse().unwrap()),
            Err(NumberError::Decimals)
        );
        assert_eq!(
            micros_per_point("-0.1".parse().unwrap()),
            Err(NumberError::Range)
        );
    }

    #[test]
    fn largest_remainder_sums_and_breaks_ties_by_order() {
        assert_eq!(largest_remainder(334, &[6_000, 4_000]), [200, 134]);
        assert_eq!(largest_remainder(1, &[5_000, 5_000]), [1, 0]);
        assert_eq!(largest_remainder(5, &[0, 0]), [0, 0]);
        assert_eq!(largest_remainder(7, &[1, 1, 1]), [3, 2, 2]);
    }
}
