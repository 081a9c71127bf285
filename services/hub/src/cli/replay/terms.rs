//! The terms of a replay: the keys of `journey-terms.toml`, every other key refused by name.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context as _, bail};
use chrono::{Datelike as _, Days, Months, NaiveDate};
use chrono_tz::Tz;
use hansa_proto::v1;
use serde::Deserialize;

/// Days in which a return would be accepted. A replay sends none; the bound keeps members small.
const RETURN_DAYS: u32 = 30;

/// A number that may stand in quotes or not; kept as it is written, never as a float.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an exact number: \"0.008\" in quotes, or a whole number")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(text.trim().to_owned()))
            }
            /// The shortest text that reads back as the same number is the one that was written, up to 15 digits.
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Number, E> {
                let text = value.to_string();
                if text.len() > 16
                    || !text
                        .bytes()
                        .all(|b| b.is_ascii_digit() || b"-.".contains(&b))
                {
                    return Err(E::custom(format!(
                        "{text} is not exact; write it in quotes"
                    )));
                }
                Ok(Number(text))
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    programme: Programme,
    default: Merchant,
    #[serde(default)]
    merchant: BTreeMap<String, Merchant>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Programme {
    #[serde(default)]
    name: String,
    currency: String,
    time_zone: String,
    reserve_per_point: Number,
    /// Information only: takes no part in settlement.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted, and without effect")]
    face_points_per_unit: Option<Number>,
    expiry_months: u32,
    burn_order: String,
    negative_balance: String,
    cycle: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Merchant {
    funding: Option<String>,
    points_per_unit: Option<Number>,
    service_fee_per_point: Option<Number>,
    redemption_fee_bps: Option<u32>,
    breakage_share_bps: Option<u32>,
}

/// Terms, checked.
#[derive(Debug)]
pub struct Terms {
    file: File,
    /// Zone of business days.
    pub zone: Tz,
    /// Currency of all amounts.
    pub currency: String,
}

impl Terms {
    /// Reads a file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the terms {}", path.display()))?;
        Self::parse(&text)
            .with_context(|| format!("the terms {} cannot be replayed", path.display()))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let file: File = toml::from_str(text)?;
        let p = &file.programme;
        let Ok(zone) = p.time_zone.parse::<Tz>() else {
            bail!(
                "programme.time_zone \"{}\" is not an IANA time zone like Europe/Berlin",
                p.time_zone
            );
        };
        if p.burn_order != "FEFO" {
            bail!(
                "programme.burn_order \"{}\" is not supported; only FEFO (first expiring, first out) is",
                p.burn_order
            );
        }
        negative_balance(&p.negative_balance)?;
        schedule(&p.cycle)?;
        let currency = p.currency.clone();
        Ok(Self {
            zone,
            currency,
            file,
        })
    }

    /// The first day of a cycle behind the one that holds `day`.
    pub fn close_behind(&self, day: NaiveDate) -> NaiveDate {
        let close = match self.file.programme.cycle.as_str() {
            "daily" => day.succ_opt(),
            "weekly" => {
                let left = 7 - u64::from(day.weekday().num_days_from_monday());
                day.checked_add_days(Days::new(left))
            }
            _ => day
                .with_day(1)
                .and_then(|first| first.checked_add_months(Months::new(1))),
        };
        close.unwrap_or(day)
    }

    /// The alliance of these merchants.
    pub fn alliance<'a>(
        &self,
        merchants: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<v1::Alliance> {
        let p = &self.file.programme;
        let programme = v1::Programme {
            name: p.name.clone(),
            currency_code: p.currency.clone(),
            time_zone: p.time_zone.clone(),
            reserve_per_point: p.reserve_per_point.0.clone(),
            expiry_rule: v1::ExpiryRule::RollingMonths.into(),
            expiry_months: p.expiry_months,
            negative_balance: negative_balance(&p.negative_balance)?.into(),
            cycle_schedule: schedule(&p.cycle)?.into(),
            ..v1::Programme::default()
        };
        let merchants = merchants
            .map(|id| self.merchant(id))
            .collect::<anyhow::Result<_>>()?;
        Ok(v1::Alliance {
            programme: Some(programme),
            merchants,
            promotions: Vec::new(),
        })
    }

    fn merchant(&self, id: &str) -> anyhow::Result<v1::Merchant> {
        let none = Merchant::default();
        let own = self.file.merchant.get(id).unwrap_or(&none);
        let base = &self.file.default;
        let missing =
            |key: &str| format!("merchant {id}: neither [default] nor [merchant.{id}] says {key}");
        let funding = own
            .funding
            .as_ref()
            .or(base.funding.as_ref())
            .with_context(|| missing("funding"))?;
        let funding_mode = match funding.as_str() {
            "ISSUE" => v1::FundingMode::Issue,
            "BURN" => v1::FundingMode::Burn,
            other => bail!("merchant {id}: funding \"{other}\" is neither ISSUE nor BURN"),
        };
        let number = |own: &Option<Number>, base: &Option<Number>, key: &str| {
            own.as_ref()
                .or(base.as_ref())
                .map(|n| n.0.clone())
                .with_context(|| missing(key))
        };
        let bps = |own: Option<u32>, base: Option<u32>, key: &str| {
            own.or(base).with_context(|| missing(key))
        };
        let contract = v1::Contract {
            funding_mode: funding_mode.into(),
            earn_rate: number(
                &own.points_per_unit,
                &base.points_per_unit,
                "points_per_unit",
            )?,
            service_fee_per_point: number(
                &own.service_fee_per_point,
                &base.service_fee_per_point,
                "service_fee_per_point",
            )?,
            redemption_fee_bps: bps(
                own.redemption_fee_bps,
                base.redemption_fee_bps,
                "redemption_fee_bps",
            )?,
            breakage_share_bps: bps(
                own.breakage_share_bps,
                base.breakage_share_bps,
                "breakage_share_bps",
            )?,
            // The test clock stands at the end of the day while the day's rows are sent.
            max_late_seconds: 2 * 86_400,
            return_days: RETURN_DAYS,
            ..v1::Contract::default()
        };
        Ok(v1::Merchant {
            merchant_id: id.to_owned(),
            display_name: id.to_owned(),
            contract: Some(contract),
            ..v1::Merchant::default()
        })
    }
}

fn negative_balance(text: &str) -> anyhow::Result<v1::NegativeBalancePolicy> {
    Ok(match text {
        "DEBT" => v1::NegativeBalancePolicy::Debt,
        "FLOOR" => v1::NegativeBalancePolicy::Floor,
        "REJECT" => v1::NegativeBalancePolicy::Reject,
        other => bail!(
            "programme.negative_balance \"{other}\" is not supported; DEBT, FLOOR and REJECT are"
        ),
    })
}

fn schedule(text: &str) -> anyhow::Result<v1::CycleSchedule> {
    Ok(match text {
        "monthly" => v1::CycleSchedule::Monthly,
        "weekly" => v1::CycleSchedule::Weekly,
        "daily" => v1::CycleSchedule::Daily,
        other => {
            bail!("programme.cycle \"{other}\" is not supported; monthly, weekly and daily are")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: &str =
        include_str!("../../../../../tests/fixtures/complete-journey/journey-terms.toml");

    fn refusal(from: &str, to: &str) -> String {
        let text = TERMS.replace(from, to);
        assert_ne!(text, TERMS, "the test changes nothing");
        Terms::parse(&text)
            .err()
            .map(|e| format!("{e:#}"))
            .unwrap_or_default()
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        assert!(Terms::parse(TERMS).is_ok());
        assert!(refusal("FEFO", "FIFO").contains("burn_order"));
        assert!(refusal("\"DEBT\"", "\"FORGET\"").contains("negative_balance"));
        assert!(refusal("\"monthly\"", "\"hourly\"").contains("cycle"));
        assert!(refusal("\"UTC\"", "\"Mars\"").contains("time_zone"));
        assert!(refusal("funding = \"ISSUE\"", "founding = \"ISSUE\"").contains("founding"));
    }

    #[test]
    fn a_merchants_own_terms_come_before_the_defaults() -> anyhow::Result<()> {
        let terms = Terms::parse(TERMS)?;
        let alliance = terms.alliance(["fuel", "produce"].into_iter())?;
        let contract = |at: usize| alliance.merchants[at].contract.clone().unwrap_or_default();
        assert_eq!(contract(0).funding_mode(), v1::FundingMode::Burn);
        assert_eq!(contract(0).earn_rate, "0.5");
        assert_eq!(contract(0).redemption_fee_bps, 200, "from the defaults");
        assert_eq!(contract(1).service_fee_per_point, "0.0015");
        Ok(())
    }
}
