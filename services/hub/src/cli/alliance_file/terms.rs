//! `[merchant.ID]` and `[default]`: a participant and its contract.

use hansa_proto::v1;
use serde::Deserialize;

use super::{
    AllianceFileError,
    affiliate::CommissionTable,
    bank::BankTable,
    contradiction,
    values::{At, Bps, Choice, Exact},
};

/// Keys of a merchant and of its contract; also of `[default]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TermsTable {
    pub(super) id: Option<String>,
    pub(super) display_name: Option<String>,
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
    tax_rate_percent: Option<Exact>,
    minimum_payout: Option<Exact>,
    holdback_bps: Option<Bps>,
    bank_details: Option<BankTable>,
    commission: Option<CommissionTable>,
}

impl TermsTable {
    /// What this table leaves out is taken from `default`.
    pub(super) fn over(mut self, default: &Self) -> Self {
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
            tax_rate_percent,
            minimum_payout,
            holdback_bps,
            bank_details,
            commission,
        );
        self
    }

    pub(super) fn merchant(self, id: &str) -> Result<v1::Merchant, AllianceFileError> {
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
            tax_rate_percent: exact(self.tax_rate_percent),
            minimum_payout: exact(self.minimum_payout),
            holdback_bps: bps(self.holdback_bps),
            bank_details: self.bank_details.map(BankTable::details),
            ..v1::Contract::default()
        };
        contract.set_funding_mode(funding.0);
        let mut merchant = v1::Merchant {
            merchant_id: id.to_owned(),
            display_name: self.display_name.unwrap_or_default(),
            contract: Some(contract),
            commission_terms: self.commission.map(|table| table.terms()),
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
