//! Terms that tests begin with. Change what a test is about.

use hansa_proto::v1;

/// EUR, Europe/Berlin, 0.008 per point, rolling expiry of 36 months, debts, monthly cycles.
#[must_use]
pub fn programme() -> v1::Programme {
    v1::Programme {
        name: "Test alliance".into(),
        currency_code: "EUR".into(),
        time_zone: "Europe/Berlin".into(),
        reserve_per_point: "0.008".into(),
        expiry_rule: v1::ExpiryRule::RollingMonths.into(),
        expiry_months: 36,
        negative_balance: v1::NegativeBalancePolicy::Debt.into(),
        cycle_schedule: v1::CycleSchedule::Monthly.into(),
        ..v1::Programme::default()
    }
}

/// Pays when points are issued; one point per unit; 0.0015 per point; redemption fee 2.5 %; breakage share 33.33 %.
#[must_use]
pub fn contract() -> v1::Contract {
    v1::Contract {
        funding_mode: v1::FundingMode::Issue.into(),
        earn_rate: "1".into(),
        service_fee_per_point: "0.0015".into(),
        redemption_fee_bps: 250,
        breakage_share_bps: 3_333,
        ..v1::Contract::default()
    }
}

/// A merchant where members earn and spend.
#[must_use]
pub fn merchant(id: &str, state: v1::MerchantState, contract: v1::Contract) -> v1::Merchant {
    v1::Merchant {
        merchant_id: id.into(),
        display_name: id.to_uppercase(),
        state: state.into(),
        roles: vec![v1::MerchantRole::Earn.into(), v1::MerchantRole::Burn.into()],
        contract: Some(contract),
    }
}
