//! `[programme]`: the alliance's own terms.

use hansa_proto::v1;
use serde::Deserialize;

use super::{
    AllianceFileError,
    bank::BankTable,
    contradiction,
    values::{At, Bps, Choice, ClockTime, Day, Exact, Method, SweepDate},
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeTable {
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
    cut_off: Option<CutOffTable>,
    netting_method: Option<Method>,
    loss_shares: Option<Vec<LossShareTable>>,
    bank_details: Option<BankTable>,
    warning_thresholds_bps: Option<Vec<u32>>,
}

impl ProgrammeTable {
    pub(super) fn programme(&self) -> Result<v1::Programme, AllianceFileError> {
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
            cut_off: self.cut_off.as_ref().map(CutOffTable::cut_off),
            netting_method: self
                .netting_method
                .map(|m| m.0.code().to_owned())
                .unwrap_or_default(),
            loss_shares: self
                .loss_shares
                .iter()
                .flatten()
                .map(LossShareTable::share)
                .collect(),
            bank_details: self.bank_details.clone().map(BankTable::details),
            warning_thresholds_bps: self.warning_thresholds_bps.clone().unwrap_or_default(),
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

/// When on a closing day the cycle closes, and which days are none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CutOffTable {
    time_zone: String,
    local_time: Option<ClockTime>,
    business_days_only: bool,
    holidays: Vec<Day>,
}

impl CutOffTable {
    fn cut_off(&self) -> v1::CutOff {
        v1::CutOff {
            time_zone: self.time_zone.clone(),
            local_time: self
                .local_time
                .as_ref()
                .map(|t| t.0.clone())
                .unwrap_or_default(),
            business_days_only: self.business_days_only,
            holidays: self.holidays.iter().map(|day| day.0.clone()).collect(),
        }
    }
}

/// One step of the order in which a loss is shared; the hub's where it names no merchant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LossShareTable {
    #[serde(default)]
    merchant_id: String,
    share_bps: Bps,
    limit: Option<Exact>,
}

impl LossShareTable {
    fn share(&self) -> v1::LossShare {
        v1::LossShare {
            merchant_id: self.merchant_id.clone(),
            share_bps: self.share_bps.0,
            limit: self
                .limit
                .as_ref()
                .map(|limit| limit.0.clone())
                .unwrap_or_default(),
        }
    }
}
