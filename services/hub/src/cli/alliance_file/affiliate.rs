//! `[affiliate.ID]`: somebody who is paid for traffic; `[merchant.ID.commission]`: what a merchant pays for it.

use hansa_proto::v1;
use serde::Deserialize;

use super::{
    AllianceFileError,
    bank::BankTable,
    contradiction,
    values::{At, Bps, Choice, Exact},
};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteTable {
    number: u32,
    name: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    vertical: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeTable {
    merchant: String,
    code: String,
    site: u32,
    start_time: Option<At>,
    end_time: Option<At>,
}

/// Keys of an affiliate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AffiliateTable {
    pub(super) id: Option<String>,
    display_name: Option<String>,
    state: Option<Choice<v1::MerchantState>>,
    manager: String,
    tier: String,
    site: Vec<SiteTable>,
    code: Vec<CodeTable>,
    dispute_days: u32,
    minimum_payout: Option<Exact>,
    settlement_account: String,
    bank_details: Option<BankTable>,
}

impl AffiliateTable {
    pub(super) fn merchant(&self, id: &str) -> Result<v1::Merchant, AllianceFileError> {
        if self.site.is_empty() {
            let text =
                "an affiliate has at least one site: [[affiliate.ID.site]] with number and name";
            return Err(contradiction(format!("affiliate \"{id}\""), text));
        }
        let sites = self.site.iter().map(|site| v1::AffiliateSite {
            site_number: site.number,
            name: site.name.clone(),
            url: site.url.clone(),
            vertical: site.vertical.clone(),
        });
        let codes = self.code.iter().map(|code| v1::AffiliateCode {
            merchant_id: code.merchant.clone(),
            code: code.code.clone(),
            site_number: code.site,
            start_time: code.start_time.map(|at| at.0),
            end_time: code.end_time.map(|at| at.0),
        });
        // Its contract names where it is paid; it earns and spends no points, so the rest has no meaning.
        let contract = v1::Contract {
            funding_mode: v1::FundingMode::Issue.into(),
            earn_rate: "1".into(),
            dispute_days: self.dispute_days,
            minimum_payout: exact(self.minimum_payout.as_ref()),
            settlement_account: self.settlement_account.clone(),
            bank_details: self.bank_details.clone().map(BankTable::details),
            ..v1::Contract::default()
        };
        let mut merchant = v1::Merchant {
            merchant_id: id.to_owned(),
            display_name: self.display_name.clone().unwrap_or_default(),
            contract: Some(contract),
            affiliate: Some(v1::AffiliateProfile {
                manager: self.manager.clone(),
                tier: self.tier.clone(),
                sites: sites.collect(),
                codes: codes.collect(),
            }),
            ..v1::Merchant::default()
        };
        if let Some(state) = self.state {
            merchant.set_state(state.0);
        }
        Ok(merchant)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PayTable {
    share_bps: Option<Bps>,
    fixed: Option<Exact>,
}

impl PayTable {
    fn pay(&self) -> v1::CommissionPay {
        v1::CommissionPay {
            share_bps: self.share_bps.map_or(0, |bps| bps.0),
            fixed: exact(self.fixed.as_ref()),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateTable {
    #[serde(default)]
    country: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    tier: String,
    first_sale: PayTable,
    recurring: Option<PayTable>,
}

/// Keys of a merchant's terms for affiliates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommissionTable {
    effective_time: Option<At>,
    click_window_days: u64,
    #[serde(default)]
    view_window_hours: u64,
    #[serde(default)]
    codes_win: bool,
    locking_method: Choice<v1::LockingMethod>,
    #[serde(default)]
    lock_day: u32,
    #[serde(default)]
    lock_months: u32,
    #[serde(default)]
    lock_days: u64,
    #[serde(default)]
    recurring_days: u64,
    #[serde(default)]
    refused: Vec<String>,
    #[serde(default)]
    banned_referrers: Vec<String>,
    #[serde(default)]
    brand_terms: Vec<String>,
    #[serde(default)]
    coupon_hosts: Vec<String>,
    rate: Vec<RateTable>,
}

impl CommissionTable {
    pub(super) fn terms(&self) -> v1::CommissionTerms {
        let days = |days: u64| days.saturating_mul(86_400);
        let rates = self.rate.iter().map(|row| v1::CommissionRate {
            country_code: row.country.clone(),
            category: row.category.clone(),
            tier: row.tier.clone(),
            first_sale: Some(row.first_sale.pay()),
            recurring: row.recurring.as_ref().map(PayTable::pay),
        });
        v1::CommissionTerms {
            effective_time: self.effective_time.map(|at| at.0),
            click_window_seconds: days(self.click_window_days),
            view_window_seconds: self.view_window_hours.saturating_mul(3_600),
            codes_win: self.codes_win,
            locking_method: self.locking_method.0.into(),
            lock_day: self.lock_day,
            lock_months: self.lock_months,
            lock_seconds: days(self.lock_days),
            recurring_seconds: days(self.recurring_days),
            placement: Some(v1::Placement {
                refused: self.refused.clone(),
                banned_referrers: self.banned_referrers.clone(),
                brand_terms: self.brand_terms.clone(),
                coupon_hosts: self.coupon_hosts.clone(),
            }),
            rates: rates.collect(),
        }
    }
}

fn exact(value: Option<&Exact>) -> String {
    value.map(|value| value.0.clone()).unwrap_or_default()
}
