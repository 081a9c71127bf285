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
        ..v1::Merchant::default()
    }
}

/// Where a merchant is paid; the hub's own account for the empty id. Made up, with check digits that hold.
#[must_use]
pub fn bank_details(id: &str) -> v1::BankDetails {
    let (holder, iban, town, country) = match id {
        "" => ("Hansa Clearing", "DE89370400440532013000", "Hamburg", "DE"),
        "a" => ("Alster Apotheke", "NL91ABNA0417164300", "Amsterdam", "NL"),
        "f" => (
            "Fischmarkt & S\u{f6}hne",
            "BE68539007547034",
            "Brugge",
            "BE",
        ),
        "t" => (
            "Tuchhaus Trave",
            "FR1420041010050500013M02606",
            "Calais",
            "FR",
        ),
        other => (other, "DE02120300000000202051", "Berlin", "DE"),
    };
    v1::BankDetails {
        holder_name: holder.into(),
        iban: iban.into(),
        town_name: town.into(),
        country_code: country.into(),
        ..v1::BankDetails::default()
    }
}
