//! Values of an alliance file, each refused where it stands when it is not one.

use std::fmt;

use hansa_proto::v1;
use hansa_settlement::finance::NettingMethod;
use prost_types::Timestamp;
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};

/// An exact decimal that is not negative: text, or a whole number. A TOML float is not exact, so it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exact(pub(super) String);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Exact;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an exact decimal in quotes, e.g. \"0.008\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Exact, E> {
                let digits = |c: char| c.is_ascii_digit() || c == '.';
                match text.parse::<Decimal>() {
                    Ok(_) if text.chars().all(digits) => Ok(Exact(text.to_owned())),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Exact, E> {
                if value < 0 {
                    return Err(E::invalid_value(
                        serde::de::Unexpected::Signed(value),
                        &self,
                    ));
                }
                Ok(Exact(value.to_string()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Exact, E> {
                let hint = format!(
                    "a number with a point is not exact here; write \"{value}\", in quotes"
                );
                Err(E::custom(hint))
            }
        }
        from.deserialize_any(Text)
    }
}

/// Basis points, 0-10000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bps(pub(super) u32);

impl<'de> Deserialize<'de> for Bps {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(from)?;
        match u32::try_from(value) {
            Ok(bps @ 0..=10_000) => Ok(Self(bps)),
            _ => Err(D::Error::custom(format!(
                "{value} is not 0 to 10000 basis points (100 = 1 %)"
            ))),
        }
    }
}

/// An instant: a TOML date-time with its offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct At(pub(super) Timestamp);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = toml::value::Datetime::deserialize(from)?;
        let at = chrono::DateTime::parse_from_rfc3339(&value.to_string()).map_err(|_| {
            D::Error::custom(format!(
                "{value} is no instant: give date, time and offset, e.g. 2026-03-01T00:00:00Z"
            ))
        })?;
        Ok(Self(crate::convert::timestamp(at.timestamp_micros())))
    }
}

/// Month and day, `MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SweepDate(pub(super) String);

impl<'de> Deserialize<'de> for SweepDate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let year = |text: &str| format!("2000-{text}").parse::<chrono::NaiveDate>().is_ok();
        if text.len() == 5 && year(&text) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!("\"{text}\" is not MM-DD")))
        }
    }
}

/// A day, `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day(pub(super) String);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok() {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!("\"{text}\" is not YYYY-MM-DD")))
        }
    }
}

/// A time of a day, `HH:MM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClockTime(pub(super) String);

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let known = chrono::NaiveTime::parse_from_str(&text, "%H:%M").is_ok();
        if text.len() == 5 && known {
            Ok(Self(text))
        } else {
            Err(D::Error::custom(format!(
                "\"{text}\" is not HH:MM, 00:00 to 23:59"
            )))
        }
    }
}

/// A netting method by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method(pub(super) NettingMethod);

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wanted = text.to_ascii_uppercase().replace('-', "_");
        NettingMethod::from_code(&wanted).map(Self).ok_or_else(|| {
            let names: Vec<&str> = NettingMethod::ALL.iter().map(|m| m.code()).collect();
            D::Error::custom(format!("\"{text}\" is none of {}", names.join(", ")))
        })
    }
}

/// An enum of the protos by its name without the prefix, in capitals or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<E>(pub(super) E);

/// What [`Choice`] needs to know of an enum.
pub(super) trait Named: Sized + Copy {
    const PREFIX: &'static str;
    fn nth(value: i32) -> Option<Self>;
    fn full_name(self) -> &'static str;
}

macro_rules! named {
    ($($name:ty: $prefix:literal;)*) => {
        $(impl Named for $name {
            const PREFIX: &'static str = $prefix;
            fn nth(value: i32) -> Option<Self> {
                Self::try_from(value).ok()
            }
            fn full_name(self) -> &'static str {
                self.as_str_name()
            }
        })*
    };
}

named! {
    v1::ExpiryRule: "EXPIRY_RULE_";
    v1::NegativeBalancePolicy: "NEGATIVE_BALANCE_POLICY_";
    v1::CycleSchedule: "CYCLE_SCHEDULE_";
    v1::MerchantState: "MERCHANT_STATE_";
    v1::MerchantRole: "MERCHANT_ROLE_";
    v1::FundingMode: "FUNDING_MODE_";
    v1::LockingMethod: "LOCKING_METHOD_";
}

impl<'de, E: Named> Deserialize<'de> for Choice<E> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wanted = text.to_ascii_uppercase().replace('-', "_");
        // 0 is "not set", which nobody writes.
        let values: Vec<E> = (1..).map_while(E::nth).collect();
        let short = |value: &E| crate::cli::render::name(value.full_name(), E::PREFIX);
        if let Some(value) = values.iter().find(|value| short(value) == wanted) {
            return Ok(Self(*value));
        }
        let names: Vec<&str> = values.iter().map(short).collect();
        Err(D::Error::custom(format!(
            "\"{text}\" is none of {}",
            names.join(", ")
        )))
    }
}
