//! Exact money: micro-units of a currency, read from decimal text. Never a float.

use std::fmt;
use std::str::FromStr as _;

use hansa_proto::v1;

/// Largest magnitude of an amount. Unit: micro-units; a thousand million currency units.
pub const MAX_MICROS: i64 = 1_000_000_000_000_000;

/// Micro-units of one currency unit.
pub const MICROS_PER_UNIT: i64 = 1_000_000;

const DECIMALS: usize = 6;

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not three upper-case ASCII letters.
    #[error("a currency code is three upper-case letters")]
    Currency,
    /// Not `[-]digits[.digits]`.
    #[error("an amount is digits with at most one decimal point, e.g. 12.34")]
    Format,
    /// More than 6 decimals that are not zero.
    #[error("an amount has at most 6 decimals")]
    Decimals,
    /// Beyond [`MAX_MICROS`].
    #[error("an amount is at most 1 000 000 000 currency units")]
    Range,
}

/// An amount in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    currency: [u8; 3],
    micros: i64,
}

impl Money {
    /// An amount in micro-units of a currency (ISO 4217 code).
    ///
    /// # Errors
    /// [`MoneyError::Currency`], [`MoneyError::Range`].
    pub fn from_micros(micros: i64, currency: &str) -> Result<Self, MoneyError> {
        if !is_currency(currency) {
            return Err(MoneyError::Currency);
        }
        let currency = currency
            .as_bytes()
            .try_into()
            .map_err(|_| MoneyError::Currency)?;
        if micros.unsigned_abs() > MAX_MICROS.unsigned_abs() {
            return Err(MoneyError::Range);
        }
        Ok(Self { currency, micros })
    }

    /// Reads an exact decimal, e.g. `Money::parse("12.34", "EUR")`.
    ///
    /// # Errors
    /// [`MoneyError`].
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        Self::from_micros(micros(amount)?, currency)
    }

    /// Unit: micro-units.
    #[must_use]
    pub const fn micros(&self) -> i64 {
        self.micros
    }

    /// ISO 4217 code.
    #[must_use]
    pub fn currency(&self) -> &str {
        // Three ASCII letters, checked where it was made.
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }
}

impl From<Money> for v1::Money {
    fn from(money: Money) -> Self {
        Self {
            currency_code: money.currency().to_owned(),
            micros: money.micros,
        }
    }
}

/// `-12.34 EUR`: at least two decimals, no more than needed.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.micros.unsigned_abs();
        let per_unit = MICROS_PER_UNIT.unsigned_abs();
        let sign = if self.micros < 0 { "-" } else { "" };
        let decimals = format!("{:06}", magnitude % per_unit);
        let kept = decimals.trim_end_matches('0').len().max(2);
        let units = magnitude / per_unit;
        write!(f, "{sign}{units}.{} {}", &decimals[..kept], self.currency())
    }
}

/// Whether a text is three upper-case ASCII letters.
#[must_use]
pub fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase())
}

/// Micro-units of an exact decimal.
fn micros(text: &str) -> Result<i64, MoneyError> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (units, decimals) = match digits.split_once('.') {
        Some((units, decimals)) if !decimals.is_empty() => (units, decimals),
        Some(_) => return Err(MoneyError::Format),
        None => (digits, ""),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if units.is_empty() || !all_digits(units) || !all_digits(decimals) {
        return Err(MoneyError::Format);
    }
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > DECIMALS {
        return Err(MoneyError::Decimals);
    }
    let units = i64::from_str(units).map_err(|_| MoneyError::Range)?;
    let fraction = i64::from_str(&format!("{decimals:0<6}")).map_err(|_| MoneyError::Format)?;
    units
        .checked_mul(MICROS_PER_UNIT)
        .and_then(|micros| micros.checked_add(fraction))
        .map(|micros| micros * sign)
        .ok_or(MoneyError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_exact_decimals() {
        for (text, micros) in [
            ("0", 0),
            ("12.34", 12_340_000),
            ("0.000001", 1),
            ("1.50000000", 1_500_000),
            ("-3.1", -3_100_000),
            ("1000000000", MAX_MICROS),
            ("007", 7_000_000),
        ] {
            assert_eq!(
                Money::parse(text, "EUR").unwrap().micros(),
                micros,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_exact() {
        for (text, error) in [
            ("", MoneyError::Format),
            (".5", MoneyError::Format),
            ("5.", MoneyError::Format),
            ("1e3", MoneyError::Format),
            ("+1", MoneyError::Format),
            ("--1", MoneyError::Format),
            ("1,5", MoneyError::Format),
            (" 1", MoneyError::Format),
            ("1.2.3", MoneyError::Format),
            ("\u{661}", MoneyError::Format),
            ("0.0000001", MoneyError::Decimals),
            ("1000000000.000001", MoneyError::Range),
            ("-1000000000.000001", MoneyError::Range),
            ("99999999999999999999", MoneyError::Range),
            ("9223372036854775807", MoneyError::Range),
        ] {
            assert_eq!(Money::parse(text, "EUR"), Err(error), "{text}");
        }
        for currency in ["", "eur", "EU", "EURO", "\u{20ac}"] {
            assert_eq!(Money::parse("1", currency), Err(MoneyError::Currency));
        }
        assert_eq!(Money::from_micros(i64::MIN, "EUR"), Err(MoneyError::Range));
    }

    #[test]
    fn shows_at_least_two_decimals() {
        for (micros, text) in [
            (0, "0.00 EUR"),
            (-12_340_000, "-12.34 EUR"),
            (1, "0.000001 EUR"),
            (1_500_000, "1.50 EUR"),
        ] {
            assert_eq!(Money::from_micros(micros, "EUR").unwrap().to_string(), text);
        }
    }
}
