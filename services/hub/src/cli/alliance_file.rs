//! An alliance as a TOML file: what `hansa apply` reads, and the terms of a replay.
//!
//! The file says what shall be, in the words of the protos; [`AllianceFile::alliance`] makes a `v1::Alliance` of it.
//! Unknown keys, numbers that are not exact and words that are not known are refused with their line. Nothing here
//! fills in the hub's defaults: what the file leaves out stays as it is in the alliance, or gets the default when
//! it is new. `deploy/alliance.example.toml` shows every key.

mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
};

use hansa_proto::v1::{self, promotion::Bonus};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use values::{At, Bps, Choice, Exact, SweepDate};

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllianceFileError {
    /// A key, a value or the form; the text names the line.
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
    /// Values that contradict each other; the text names the table.
    #[error("{table}: {text}")]
    Contradiction {
        /// Table, as the file names it.
        table: String,
        /// What to do.
        text: String,
    },
}

fn contradiction(table: impl Into<String>, text: impl Into<String>) -> AllianceFileError {
    AllianceFileError::Contradiction {
        table: table.into(),
        text: text.into(),
    }
}

/// Every table has an id, and none has that of another.
fn check_ids(
    kind: &str,
    ids: impl Iterator<Item = Result<String, String>>,
) -> Result<(), AllianceFileError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        let id = id.map_err(|text| contradiction(kind, text))?;
        let table = format!("{kind} \"{id}\"");
        if !seen.insert(id) {
            return Err(contradiction(table, "stands there twice"));
        }
    }
    Ok(())
}

/// The file, read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllianceFile {
    programme: Option<ProgrammeTable>,
    #[serde(default)]
    default: TermsTable,
    #[serde(default)]
    merchant: Tables<TermsTable>,
    #[serde(default)]
    promotion: Tables<PromotionTable>,
}

impl AllianceFile {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`AllianceFileError`], with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, AllianceFileError> {
        let file: Self = toml::from_str(text).map_err(Box::new)?;
        if file.default.id.is_some() || file.default.display_name.is_some() {
            let text = "id and display_name are one merchant's, not a default";
            return Err(contradiction("default", text));
        }
        let merchants = file.merchant.ids(|table| table.id.as_deref());
        check_ids("merchant", merchants)?;
        let promotions = file.promotion.ids(|table| table.id.as_deref());
        check_ids("promotion", promotions)?;
        Ok(file)
    }

    /// Everything that the file says.
    ///
    /// # Errors
    /// [`AllianceFileError::Contradiction`].
    pub fn alliance(&self) -> Result<v1::Alliance, AllianceFileError> {
        let programme = self
            .programme
            .as_ref()
            .map(ProgrammeTable::programme)
            .transpose()?;
        let merchants = self
            .merchant_ids()
            .map(|id| self.merchant(&id))
            .collect::<Result<_, _>>()?;
        let promotions = self
            .promotion
            .0
            .iter()
            .map(|(key, table)| table.promotion(key.as_deref()))
            .collect::<Result<_, _>>()?;
        Ok(v1::Alliance {
            programme,
            merchants,
            promotions,
        })
    }

    /// Ids of the merchants that have a table.
    pub fn merchant_ids(&self) -> impl Iterator<Item = String> + '_ {
        self.merchant
            .ids(|table| table.id.as_deref())
            .filter_map(Result::ok)
    }

    /// A merchant by its table over `[default]`; by `[default]` alone where it has no table.
    ///
    /// # Errors
    /// [`AllianceFileError::Contradiction`].
    pub fn merchant(&self, id: &str) -> Result<v1::Merchant, AllianceFileError> {
        let own = self
            .merchant
            .0
            .iter()
            .find(|(key, table)| key.as_deref().or(table.id.as_deref()) == Some(id))
            .map(|(_, table)| table.clone())
            .unwrap_or_default();
        own.over(&self.default).merchant(id)
    }
}

/// `[kind.ID]` tables or `[[kind]]` tables with a key `id`, in the file's order as far as TOML keeps it.
#[derive(Debug, Clone)]
struct Tables<T>(Vec<(Option<String>, T)>);

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Tables<T> {
    fn ids<'a>(
        &'a self,
        id: impl Fn(&'a T) -> Option<&'a str> + 'a,
    ) -> impl Iterator<Item = Result<String, String>> + 'a {
        self.0.iter().enumerate().map(move |(index, (key, table))| {
            match (key.as_deref(), id(table)) {
                (Some(key), Some(id)) if key != id => Err(format!(
                    "the table \"{key}\" has the id \"{id}\"; leave the id out"
                )),
                (Some(id), _) | (None, Some(id)) => Ok(id.to_owned()),
                (None, None) => Err(format!("number {} has no id", index + 1)),
            }
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tables<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = Tables<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tables: [merchant.ID], or [[merchant]] with an id")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some((key, table)) = map.next_entry::<String, T>()? {
                    tables.push((Some(key), table));
                }
                Ok(Tables(tables))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut tables = Vec::new();
                while let Some(table) = seq.next_element::<T>()? {
                    tables.push((None, table));
                }
                Ok(Tables(tables))
            }
        }
        from.deserialize_any(Either(PhantomData))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgrammeTable {
    #[serde(default)]
    name: String,
    #[serde(alias = "currency_code")]
    currency: String,
    time_zone: String,
    reserve_per_point: Exact,
    expiry_months: Option<u32>,
    expiry: Option<ExpiryTable>,
    negative_balance: Option<Choice<v1::NegativeBalancePolicy>>,
    #[serde(alias = "cycle_schedule")]
    cycle: Option<Choice<v1::CycleSchedule>>,
    /// The one order that there is; another is refused where it stands.
    #[serde(rename = "burn_order")]
    _burn_order: Option<BurnOrder>,
    /// For people only.
    #[serde(rename = "face_points_per_unit")]
    _face_points_per_unit: Option<u64>,
    effective_time: Option<At>,
}

impl ProgrammeTable {
    fn programme(&self) -> Result<v1::Programme, AllianceFileError> {
        let (rule, months, dates) = match (self.expiry_months, &self.expiry) {
            (Some(months), None) => (v1::ExpiryRule::RollingMonths, months, Vec::new()),
            (None, Some(expiry)) => expiry.rule()?,
            _ => {
                let text = "give expiry_months (that many months after posting) or expiry = { rule = ... }, one of \
                            them";
                return Err(contradiction("programme", text));
            }
        };
        let mut programme = v1::Programme {
            name: self.name.clone(),
            currency_code: self.currency.clone(),
            time_zone: self.time_zone.clone(),
            reserve_per_point: self.reserve_per_point.0.clone(),
            expiry_months: months,
            sweep_dates: dates,
            effective_time: self.effective_time.as_ref().map(|at| at.0),
            ..v1::Programme::default()
        };
        programme.set_expiry_rule(rule);
        if let Some(policy) = self.negative_balance {
            programme.set_negative_balance(policy.0);
        }
        if let Some(schedule) = self.cycle {
            programme.set_cycle_schedule(schedule.0);
        }
        Ok(programme)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum BurnOrder {
    /// First expiring, first out.
    #[serde(rename = "FEFO", alias = "fefo")]
    Fefo,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpiryTable {
    rule: Choice<v1::ExpiryRule>,
    months: Option<u32>,
    dates: Option<Vec<SweepDate>>,
}

impl ExpiryTable {
    fn rule(&self) -> Result<(v1::ExpiryRule, u32, Vec<String>), AllianceFileError> {
        use v1::ExpiryRule as Rule;
        let wrong = |text: &str| Err(contradiction("programme.expiry", text));
        match (self.rule.0, self.months, &self.dates) {
            (rule @ (Rule::RollingMonths | Rule::Inactivity), Some(months), None) => {
                Ok((rule, months, Vec::new()))
            }
            (Rule::RollingMonths | Rule::Inactivity, _, _) => {
                wrong("this rule takes months, and nothing else")
            }
            (Rule::FixedSweep, None, Some(dates)) => {
                let dates = dates.iter().map(|date| date.0.clone()).collect();
                Ok((Rule::FixedSweep, 0, dates))
            }
            (Rule::FixedSweep, _, _) => wrong("this rule takes dates, and nothing else"),
            (rule @ (Rule::None | Rule::Unspecified), None, None) => Ok((rule, 0, Vec::new())),
            (Rule::None | Rule::Unspecified, _, _) => wrong("this rule takes nothing else"),
        }
    }
}

/// Keys of a merchant and of its contract; also of `[default]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TermsTable {
    id: Option<String>,
    display_name: Option<String>,
    state: Option<Choice<v1::MerchantState>>,
    roles: Option<Vec<Choice<v1::MerchantRole>>>,
    effective_time: Option<At>,
    #[serde(alias = "funding")]
    funding_mode: Option<Choice<v1::FundingMode>>,
    #[serde(alias = "points_per_unit")]
    earn_rate: Option<Exact>,
    service_fee_per_point: Option<Exact>,
    redemption_fee_bps: Option<Bps>,
    breakage_share_bps: Option<Bps>,
    merchant_computes_points: Option<bool>,
    max_late_seconds: Option<u64>,
    pending_until_return_window_ends: Option<bool>,
    return_days: Option<u32>,
    authorisation_ttl_seconds: Option<u64>,
    refund_service_fee: Option<bool>,
    minimum_burn_points: Option<i64>,
    earn_cap_points: Option<i64>,
    net_debit_cap: Option<Exact>,
    collateral: Option<Exact>,
    exposure_redemption_bps: Option<Bps>,
    dispute_days: Option<u32>,
    tax_category: Option<String>,
    settlement_account: Option<String>,
}

impl TermsTable {
    /// What this table leaves out is taken from `default`.
    fn over(mut self, default: &Self) -> Self {
        macro_rules! fill {
            ($($field:ident),* $(,)?) => {
                $( self.$field = self.$field.or_else(|| default.$field.clone()); )*
            };
        }
        fill!(
            state,
            roles,
            effective_time,
            funding_mode,
            earn_rate,
            service_fee_per_point,
            redemption_fee_bps,
            breakage_share_bps,
            merchant_computes_points,
            max_late_seconds,
            pending_until_return_window_ends,
            return_days,
            authorisation_ttl_seconds,
            refund_service_fee,
            minimum_burn_points,
            earn_cap_points,
            net_debit_cap,
            collateral,
            exposure_redemption_bps,
            dispute_days,
            tax_category,
            settlement_account,
        );
        self
    }

    fn merchant(self, id: &str) -> Result<v1::Merchant, AllianceFileError> {
        let (Some(funding), Some(earn_rate)) = (self.funding_mode, self.earn_rate) else {
            let text = "a contract needs funding_mode and earn_rate, here or in [default]";
            return Err(contradiction(format!("merchant \"{id}\""), text));
        };
        let exact = |value: Option<Exact>| value.map(|v| v.0).unwrap_or_default();
        let bps = |value: Option<Bps>| value.map_or(0, |v| v.0);
        let mut contract = v1::Contract {
            effective_time: self.effective_time.map(|at| at.0),
            earn_rate: earn_rate.0,
            service_fee_per_point: exact(self.service_fee_per_point),
            redemption_fee_bps: bps(self.redemption_fee_bps),
            breakage_share_bps: bps(self.breakage_share_bps),
            merchant_computes_points: self.merchant_computes_points.unwrap_or_default(),
            max_late_seconds: self.max_late_seconds.unwrap_or_default(),
            pending_until_return_window_ends: self
                .pending_until_return_window_ends
                .unwrap_or_default(),
            return_days: self.return_days.unwrap_or_default(),
            authorisation_ttl_seconds: self.authorisation_ttl_seconds.unwrap_or_default(),
            refund_service_fee: self.refund_service_fee.unwrap_or_default(),
            minimum_burn_points: self.minimum_burn_points.unwrap_or_default(),
            earn_cap_points: self.earn_cap_points.unwrap_or_default(),
            net_debit_cap: exact(self.net_debit_cap),
            collateral: exact(self.collateral),
            exposure_redemption_bps: self.exposure_redemption_bps.map(|v| v.0),
            dispute_days: self.dispute_days.unwrap_or_default(),
            tax_category: self.tax_category.unwrap_or_default(),
            settlement_account: self.settlement_account.unwrap_or_default(),
            ..v1::Contract::default()
        };
        contract.set_funding_mode(funding.0);
        let mut merchant = v1::Merchant {
            merchant_id: id.to_owned(),
            display_name: self.display_name.unwrap_or_default(),
            contract: Some(contract),
            ..v1::Merchant::default()
        };
        for role in self.roles.unwrap_or_default() {
            merchant.push_roles(role.0);
        }
        if let Some(state) = self.state {
            merchant.set_state(state.0);
        }
        Ok(merchant)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromotionTable {
    id: Option<String>,
    merchant_ids: Vec<String>,
    start_time: At,
    end_time: At,
    multiplier: Option<Exact>,
    rate: Option<Exact>,
    shares: BTreeMap<String, Bps>,
    #[serde(default)]
    cap_points: i64,
}

impl PromotionTable {
    fn promotion(&self, key: Option<&str>) -> Result<v1::Promotion, AllianceFileError> {
        let id = key.or(self.id.as_deref()).unwrap_or_default();
        let table = || format!("promotion \"{id}\"");
        let bonus = match (&self.multiplier, &self.rate) {
            (Some(multiplier), None) => Bonus::Multiplier(multiplier.0.clone()),
            (None, Some(rate)) => Bonus::Rate(rate.0.clone()),
            _ => {
                return Err(contradiction(
                    table(),
                    "give multiplier or rate, one of them",
                ));
            }
        };
        let total: u32 = self.shares.values().map(|share| share.0).sum();
        if total != 10_000 {
            let text = format!("the shares add up to {total} basis points, not 10000");
            return Err(contradiction(table(), text));
        }
        let share = |(merchant, share): (&String, &Bps)| v1::FundingShare {
            merchant_id: merchant.clone(),
            share_bps: share.0,
        };
        Ok(v1::Promotion {
            promotion_id: id.to_owned(),
            merchant_ids: self.merchant_ids.clone(),
            start_time: Some(self.start_time.0),
            end_time: Some(self.end_time.0),
            bonus: Some(bonus),
            shares: self.shares.iter().map(share).collect(),
            cap_points: self.cap_points,
        })
    }
}

#[cfg(test)]
mod tests;
