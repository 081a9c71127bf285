//! Exact amounts and how they are written. No floats: digits come from integer division alone.

use hansa_money::{Currency, MICROS};
use serde::de::Error as _;
use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use thiserror::Error;

/// A sum that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// More than `i64` micro-units.
    #[error(
        "{0} micro-units are more than a document can carry (9.2e12 currency units); split the cycle or the report"
    )]
    Range(i128),
}

/// Money in micro-units (1e-6 of the document's currency).
///
/// In JSON `{"micros": -3442775, "decimal": "-3.442775"}`: the integer for programs, the text for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From micro-units.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The micro-units.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The exact sum, taken in `i128`.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        let micros: i128 = amounts.into_iter().map(|a| i128::from(a.0)).sum();
        Self::try_from(micros)
    }

    /// The other side's view.
    pub fn negated(self) -> Result<Self, AmountError> {
        Self::try_from(-i128::from(self.0))
    }

    /// Whether it is a whole number of the currency's minor units, as every payment is.
    #[must_use]
    pub fn is_payable_in(self, currency: Currency) -> bool {
        i128::from(self.0) % currency.minor_micros() == 0
    }

    /// All six decimals, a point, no grouping: `-3.442775`. For files that programs read.
    #[must_use]
    pub fn decimal(self) -> String {
        self.digits(6, "", Sign::Minus('-'))
    }

    /// In the currency's minor unit: `3.44`; all six decimals where it is no whole number of them.
    #[must_use]
    pub fn minor_decimal(self, currency: Currency) -> String {
        self.digits(self.decimals(currency), "", Sign::Minus('-'))
    }

    /// For people: thousands apart by a narrow space, `+` or a true minus in front of all but zero.
    #[must_use]
    pub fn signed(self) -> String {
        self.digits(6, NARROW_SPACE, Sign::Both)
    }

    /// For people, without the sign, in the currency's minor unit: `1 234.50`; what is paid.
    #[must_use]
    pub fn unsigned_minor(self, currency: Currency) -> String {
        self.digits(self.decimals(currency), NARROW_SPACE, Sign::None)
    }

    fn decimals(self, currency: Currency) -> u32 {
        if self.is_payable_in(currency) {
            currency.minor_digits()
        } else {
            6
        }
    }

    fn digits(self, decimals: u32, group: &str, sign: Sign) -> String {
        let magnitude = self.0.unsigned_abs();
        let unit = MICROS.unsigned_abs();
        let mut out = String::new();
        match (sign, self.0.signum()) {
            (Sign::Minus(minus), -1) => out.push(minus),
            (Sign::Both, -1) => out.push('\u{2212}'),
            (Sign::Both, 1) => out.push('+'),
            _ => {}
        }
        out.push_str(&grouped(magnitude / unit, group));
        if decimals > 0 {
            let dropped = 10_u64.pow(6 - decimals);
            let fraction = magnitude % unit / dropped;
            let width = decimals as usize;
            out.push_str(&format!(".{fraction:0width$}"));
        }
        out
    }
}

impl TryFrom<i128> for Amount {
    type Error = AmountError;

    fn try_from(micros: i128) -> Result<Self, AmountError> {
        i64::try_from(micros)
            .map(Self)
            .map_err(|_| AmountError::Range(micros))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decimal())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Amount", 2)?;
        out.serialize_field("micros", &self.0)?;
        out.serialize_field("decimal", &self.decimal())?;
        out.end()
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            micros: i64,
            decimal: String,
        }
        let Written { micros, decimal } = Written::deserialize(from)?;
        let amount = Self(micros);
        if amount.decimal() == decimal {
            return Ok(amount);
        }
        Err(D::Error::custom(format!(
            "{micros} micro-units are written as \"{decimal}\""
        )))
    }
}

/// Which signs are written.
#[derive(Clone, Copy)]
enum Sign {
    Minus(char),
    Both,
    None,
}

/// U+202F: keeps a number on one line, and is not read as a decimal mark anywhere.
pub(crate) const NARROW_SPACE: &str = "\u{202f}";

/// A whole number for people, thousands apart by a narrow space, a true minus in front.
pub(crate) fn whole(number: i64) -> String {
    let sign = if number < 0 { "\u{2212}" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs(), NARROW_SPACE))
}

fn grouped(number: u64, group: &str) -> String {
    let digits = number.to_string();
    if group.is_empty() {
        return digits;
    }
    let mut out = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push_str(group);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_exactly() {
        for (micros, decimal, signed, paid) in [
            (0, "0.000000", "0.000000", "0.00"),
            (-1, "-0.000001", "\u{2212}0.000001", "0.000001"),
            (4_080_000, "4.080000", "+4.080000", "4.08"),
            (
                -1_234_567_890_000,
                "-1234567.890000",
                "\u{2212}1\u{202f}234\u{202f}567.890000",
                "1\u{202f}234\u{202f}567.89",
            ),
            (
                i64::MIN,
                "-9223372036854.775808",
                "\u{2212}9\u{202f}223\u{202f}372\u{202f}036\u{202f}854.775808",
                "9\u{202f}223\u{202f}372\u{202f}036\u{202f}854.775808",
            ),
        ] {
            let amount = Amount::from_micros(micros);
            assert_eq!(amount.decimal(), decimal);
            assert_eq!(amount.signed(), signed);
            assert_eq!(amount.unsigned_minor(Currency::EUR), paid);
        }
    }

    #[test]
    fn a_payment_has_its_currency_s_decimals() {
        let yen = Currency::new("JPY").unwrap();
        let dinar = Currency::new("KWD").unwrap();
        let amount = Amount::from_micros(1_234_000_000);
        assert_eq!(amount.minor_decimal(yen), "1234");
        assert_eq!(amount.minor_decimal(dinar), "1234.000");
        assert_eq!(amount.minor_decimal(Currency::EUR), "1234.00");
        assert_eq!(Amount::from_micros(5).minor_decimal(yen), "0.000005");
        assert!(!Amount::from_micros(10_000).is_payable_in(yen));
        assert!(Amount::from_micros(10_000).is_payable_in(Currency::EUR));
    }

    #[test]
    fn a_sum_beyond_the_range_is_refused() {
        let most = Amount::from_micros(i64::MAX);
        assert_eq!(
            Amount::sum([most, most, Amount::from_micros(-i64::MAX)]),
            Ok(most)
        );
        assert_eq!(
            Amount::sum([most, Amount::from_micros(1)]),
            Err(AmountError::Range(i128::from(i64::MAX) + 1))
        );
        assert!(Amount::from_micros(i64::MIN).negated().is_err());
    }

    proptest! {
        #[test]
        fn a_decimal_reads_back_as_its_micro_units(micros: i64) {
            let text = Amount::from_micros(micros).decimal();
            let (whole, fraction) = text.split_once('.').unwrap();
            prop_assert_eq!(fraction.len(), 6);
            let digits = format!("{whole}{fraction}");
            prop_assert_eq!(digits.parse::<i128>().unwrap(), i128::from(micros));
        }

        #[test]
        fn grouping_only_adds_spaces_and_signs(micros: i64) {
            let amount = Amount::from_micros(micros);
            let plain = amount.signed().replace(NARROW_SPACE, "").replace('\u{2212}', "-").replace('+', "");
            prop_assert_eq!(plain, amount.decimal());
            let signed = amount.signed();
            let whole = signed.split_once('.').unwrap().0.trim_start_matches(['+', '\u{2212}']);
            let mut groups = whole.split(NARROW_SPACE);
            let first = groups.next().unwrap();
            prop_assert!((1..=3).contains(&first.len()));
            prop_assert!(groups.all(|group| group.len() == 3));
        }
    }
}
