//! Decimal text and minor units, exactly: no floats, nothing rounded, nothing cut off.

use hansa_money::Currency;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a decimal text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum AmountError {
    /// Not digits with at most one point.
    #[error("not a decimal number (digits, a point, digits)")]
    NotDecimal,
    /// A digit other than 0 behind the currency's last decimal.
    #[error("more decimals than the currency has")]
    Decimals,
    /// More than 18 digits.
    #[error("too large")]
    TooLarge,
    /// A sign where the direction is stated elsewhere.
    #[error("a negative amount; the direction stands in an element of its own")]
    Negative,
}

/// Digits of the largest amount that ISO 20022 can carry.
pub const MAX_DIGITS: u32 = 18;

/// Reads an unsigned decimal (`xs:decimal`: `3.44`, `3.4`, `3.`, `.44`, `+3.44`) into minor units. Zeros behind the currency's
/// last decimal change nothing and are taken; any other digit there is refused, as is anything above 18 digits.
pub fn minor_units(text: &str, currency: Currency) -> Result<i64, AmountError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return Err(AmountError::Negative);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(AmountError::NotDecimal);
    }
    let places = currency.minor_digits() as usize;
    let (kept, dropped) = fraction.split_at(fraction.len().min(places));
    if dropped.bytes().any(|b| b != b'0') {
        return Err(AmountError::Decimals);
    }
    let padding = places - kept.len();
    let mut minor: i64 = 0;
    for digit in whole
        .bytes()
        .chain(kept.bytes())
        .chain(std::iter::repeat_n(b'0', padding))
    {
        minor = minor
            .checked_mul(10)
            .and_then(|n| n.checked_add(i64::from(digit - b'0')))
            .filter(|n| *n < 10_i64.pow(MAX_DIGITS))
            .ok_or(AmountError::TooLarge)?;
    }
    Ok(minor)
}

/// As [`minor_units`], with a minus in front allowed: amounts of the CSV statement.
pub fn signed_minor_units(text: &str, currency: Currency) -> Result<i64, AmountError> {
    match text.strip_prefix('-') {
        Some(rest) if rest.starts_with(['+', '-']) => Err(AmountError::NotDecimal),
        Some(rest) => Ok(-minor_units(rest, currency)?),
        None => minor_units(text, currency),
    }
}

/// Minor units as decimal text with all decimals of the currency: `344` EUR is `3.44`, `-5` JPY is `-5`.
#[must_use]
pub fn decimal(minor: impl Into<i128>, currency: Currency) -> String {
    let minor: i128 = minor.into();
    let places = currency.minor_digits() as usize;
    let sign = if minor < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = places + 1);
    match digits.split_at(digits.len() - places) {
        (whole, "") => format!("{sign}{whole}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::new(code).unwrap()
    }

    #[test]
    fn decimal_text_is_read_exactly_or_refused() {
        let eur = Currency::EUR;
        for (text, minor) in [
            ("3.44", 344),
            ("3.4", 340),
            ("3", 300),
            ("3.", 300),
            (".44", 44),
            ("+3.44", 344),
            ("3.440", 344),
            ("0.00", 0),
            ("0003.44", 344),
            ("9999999999999999.99", 999_999_999_999_999_999),
        ] {
            assert_eq!(minor_units(text, eur), Ok(minor), "{text}");
        }
        for (text, error) in [
            ("3.445", AmountError::Decimals),
            ("3.4401", AmountError::Decimals),
            ("-3.44", AmountError::Negative),
            ("", AmountError::NotDecimal),
            (".", AmountError::NotDecimal),
            ("3,44", AmountError::NotDecimal),
            ("1 000.00", AmountError::NotDecimal),
            ("3.4.4", AmountError::NotDecimal),
            ("3e2", AmountError::NotDecimal),
            ("++3", AmountError::NotDecimal),
            ("٣", AmountError::NotDecimal),
            ("10000000000000000.00", AmountError::TooLarge),
        ] {
            assert_eq!(minor_units(text, eur), Err(error), "{text}");
        }
        assert_eq!(minor_units("344", currency("JPY")), Ok(344));
        assert_eq!(minor_units("344.00", currency("JPY")), Ok(344));
        assert_eq!(
            minor_units("344.5", currency("JPY")),
            Err(AmountError::Decimals)
        );
        assert_eq!(minor_units("3.445", currency("KWD")), Ok(3_445));
        assert_eq!(signed_minor_units("-3.44", eur), Ok(-344));
        assert_eq!(
            signed_minor_units("--3.44", eur),
            Err(AmountError::NotDecimal)
        );
        assert_eq!(
            signed_minor_units("-+3.44", eur),
            Err(AmountError::NotDecimal)
        );
    }

    #[test]
    fn decimals_are_those_of_the_currency() {
        assert_eq!(decimal(344, Currency::EUR), "3.44");
        assert_eq!(decimal(-5, Currency::EUR), "-0.05");
        assert_eq!(decimal(0, Currency::EUR), "0.00");
        assert_eq!(decimal(-5, currency("JPY")), "-5");
        assert_eq!(decimal(5, currency("KWD")), "0.005");
        assert_eq!(decimal(i64::MIN, Currency::EUR), "-92233720368547758.08");
    }

    proptest! {
        #[test]
        fn written_amounts_read_back_as_themselves(
            minor in -999_999_999_999_999_999_i64..=999_999_999_999_999_999,
            code in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF", "USD"]),
        ) {
            let currency = currency(code);
            prop_assert_eq!(signed_minor_units(&decimal(minor, currency), currency), Ok(minor));
        }

        #[test]
        fn any_text_is_an_amount_or_an_error(text in ".*") {
            if let Ok(minor) = minor_units(&text, Currency::EUR) {
                prop_assert!((0..10_i64.pow(MAX_DIGITS)).contains(&minor));
            }
        }
    }
}
