use super::*;

const PROGRAMME: &str = r#"
[programme]
currency = "EUR"
time_zone = "Europe/Berlin"
reserve_per_point = "0.008"
expiry_months = 36
"#;

fn parse(text: &str) -> Result<v1::Alliance, String> {
    AllianceFile::parse(text)
        .and_then(|file| file.alliance())
        .map_err(|error| error.to_string())
}

/// With the programme's seven lines in front.
fn with_programme(text: &str) -> Result<v1::Alliance, String> {
    parse(&format!("{PROGRAMME}{text}"))
}

fn refused(text: &str, parts: &[&str]) {
    let error = parse(text).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn the_example_is_in_order_and_has_every_key() {
    let text = include_str!("../../../../../deploy/alliance.example.toml");
    let alliance = parse(text).unwrap();
    assert_eq!(alliance.programme.unwrap().currency_code, "EUR");
    // Two merchants and an affiliate.
    assert_eq!(alliance.merchants.len(), 3);
    assert_eq!(alliance.promotions.len(), 1);
    // What the file shows only as a comment must be a key, too.
    let mut uncommented = String::new();
    for line in text.lines() {
        let key = line.strip_prefix("# ").filter(|line| {
            let name = line.split(" = ").next().unwrap_or_default();
            line.contains(" = ")
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
        });
        match key {
            // The one other way to say when points expire.
            Some(line) if line.starts_with("expiry = ") => {}
            other => uncommented.push_str(other.unwrap_or(line)),
        }
        uncommented.push('\n');
    }
    parse(&uncommented).unwrap();
    for key in [
        "name",
        "negative_balance",
        "cycle",
        "effective_time",
        "display_name",
        "state",
        "roles",
        "funding_mode",
        "earn_rate",
        "service_fee_per_point",
        "redemption_fee_bps",
        "breakage_share_bps",
        "merchant_computes_points",
        "max_late_seconds",
        "pending_until_return_window_ends",
        "return_days",
        "authorisation_ttl_seconds",
        "refund_service_fee",
        "minimum_burn_points",
        "earn_cap_points",
        "net_debit_cap",
        "collateral",
        "exposure_redemption_bps",
        "dispute_days",
        "tax_category",
        "settlement_account",
        "tax_rate_percent",
        "minimum_payout",
        "holdback_bps",
        "bank_details.holder_name",
        "bank_details.iban",
        "bank_details.bic",
        "bank_details.street_name",
        "bank_details.building_number",
        "bank_details.post_code",
        "bank_details.town_name",
        "bank_details.country_code",
        "cut_off.time_zone",
        "cut_off.local_time",
        "cut_off.business_days_only",
        "cut_off.holidays",
        "netting_method",
        "loss_shares",
        "warning_thresholds_bps",
        "click_window_days",
        "locking_method",
        "lock_days",
        "lock_day",
        "lock_months",
        "view_window_hours",
        "codes_win",
        "recurring_days",
        "refused",
        "banned_referrers",
        "brand_terms",
        "coupon_hosts",
        "country",
        "category",
        "tier",
        "first_sale",
        "recurring",
        "manager",
        "number",
        "url",
        "vertical",
        "merchant",
        "code",
        "site",
        "merchant_ids",
        "start_time",
        "end_time",
        "multiplier",
        "rate",
        "shares",
        "cap_points",
    ] {
        assert!(text.contains(&format!("{key} = ")), "{key} is not shown");
    }
}

#[test]
fn a_merchant_is_its_table_over_the_default() {
    let alliance = with_programme(
        r#"
[default]
funding_mode = "issue"
earn_rate = "1"
redemption_fee_bps = 200
roles = ["earn", "burn"]

[merchant.grocery]
display_name = "Grocery"
service_fee_per_point = "0.0012"
state = "winding_down"

[merchant."drug & gm"]
funding_mode = "BURN"
earn_rate = 2
roles = ["earn"]
exposure_redemption_bps = 0
effective_time = 2026-01-01T00:00:00+01:00
"#,
    )
    .unwrap();
    let [drug, grocery] = alliance.merchants.as_slice() else {
        panic!("two merchants");
    };
    assert_eq!(grocery.merchant_id, "grocery");
    assert_eq!(grocery.display_name, "Grocery");
    assert_eq!(grocery.state(), v1::MerchantState::WindingDown);
    assert_eq!(grocery.roles().count(), 2);
    let contract = grocery.contract.as_ref().unwrap();
    assert_eq!(contract.funding_mode(), v1::FundingMode::Issue);
    assert_eq!(contract.service_fee_per_point, "0.0012");
    assert_eq!(contract.redemption_fee_bps, 200);
    assert_eq!(contract.exposure_redemption_bps, None);
    assert_eq!(contract.effective_time, None);

    assert_eq!(drug.merchant_id, "drug & gm");
    assert_eq!(drug.state(), v1::MerchantState::Unspecified);
    assert_eq!(drug.roles().count(), 1);
    let contract = drug.contract.as_ref().unwrap();
    assert_eq!(contract.funding_mode(), v1::FundingMode::Burn);
    assert_eq!(contract.earn_rate, "2");
    assert_eq!(contract.exposure_redemption_bps, Some(0));
    assert_eq!(
        contract.effective_time.unwrap().to_string(),
        "2025-12-31T23:00:00Z"
    );
}

#[test]
fn terms_of_settlement_are_read() {
    let alliance = with_programme(
        r#"
cycle = "daily"
netting_method = "cycle-clearing"
warning_thresholds_bps = [8000, 9500]
loss_shares = [{ merchant_id = "a", share_bps = 2500, limit = "1000.00" }, { share_bps = 10000 }]
bank_details = { holder_name = "Hub", iban = "DE02120300000000202051", town_name = "Lübeck", country_code = "DE" }
[programme.cut_off]
time_zone = "Europe/Paris"
local_time = "17:30"
business_days_only = true
holidays = ["2026-12-25", "2027-01-01"]

[default]
funding_mode = "BURN"
earn_rate = 1
minimum_payout = "5.00"
bank_details.holder_name = "All"
bank_details.iban = "DE89370400440532013000"
bank_details.town_name = "Kiel"
bank_details.country_code = "DE"

[merchant.a]
tax_rate_percent = "19"
holdback_bps = 500
[merchant.a.bank_details]
holder_name = "A"
iban = "NL91ABNA0417164300"
bic = "ABNANL2A"
street_name = "Herengracht"
building_number = "12b"
post_code = "1015 BK"
town_name = "Amsterdam"
country_code = "NL"

[merchant.b]
minimum_payout = "0"
"#,
    )
    .unwrap();
    let programme = alliance.programme.unwrap();
    assert_eq!(programme.netting_method, "CYCLE_CLEARING");
    assert_eq!(programme.warning_thresholds_bps, [8_000, 9_500]);
    let bank = programme.bank_details.unwrap();
    assert_eq!(
        (&*bank.iban, &*bank.town_name),
        ("DE02120300000000202051", "Lübeck")
    );
    let share = |merchant: &str, share_bps, limit: &str| v1::LossShare {
        merchant_id: merchant.into(),
        share_bps,
        limit: limit.into(),
    };
    assert_eq!(
        programme.loss_shares,
        [share("a", 2_500, "1000.00"), share("", 10_000, "")]
    );
    let cut_off = programme.cut_off.unwrap();
    assert_eq!(cut_off.time_zone, "Europe/Paris");
    assert_eq!(cut_off.local_time, "17:30");
    assert!(cut_off.business_days_only);
    assert_eq!(cut_off.holidays, ["2026-12-25", "2027-01-01"]);

    let contract = |at: usize| alliance.merchants[at].contract.clone().unwrap();
    let (a, b) = (contract(0), contract(1));
    assert_eq!(
        (&*a.tax_rate_percent, &*a.minimum_payout, a.holdback_bps),
        ("19", "5.00", 500)
    );
    assert_eq!(
        (&*b.tax_rate_percent, &*b.minimum_payout, b.holdback_bps),
        ("", "0", 0)
    );
    assert_eq!(
        a.bank_details.unwrap(),
        v1::BankDetails {
            holder_name: "A".into(),
            iban: "NL91ABNA0417164300".into(),
            bic: "ABNANL2A".into(),
            street_name: "Herengracht".into(),
            building_number: "12b".into(),
            post_code: "1015 BK".into(),
            town_name: "Amsterdam".into(),
            country_code: "NL".into(),
        }
    );
    assert_eq!(b.bank_details.unwrap().holder_name, "All");
}

#[test]
fn merchants_may_be_a_list_and_keep_its_order() {
    let alliance = with_programme(
        r#"
[default]
funding_mode = "ISSUE"
earn_rate = "1"
[[merchant]]
id = "z"
[[merchant]]
id = "a"
"#,
    )
    .unwrap();
    let ids: Vec<&str> = alliance
        .merchants
        .iter()
        .map(|m| m.merchant_id.as_str())
        .collect();
    assert_eq!(ids, ["z", "a"]);
}

#[test]
fn terms_of_a_replay_are_an_alliance_file_without_its_merchants() {
    let file = AllianceFile::parse(
        r#"
[programme]
name = "Complete Journey alliance"
currency = "EUR"
time_zone = "UTC"
reserve_per_point = "0.008"
face_points_per_unit = 100
expiry_months = 6
burn_order = "FEFO"
negative_balance = "DEBT"
cycle = "monthly"
[default]
funding = "ISSUE"
points_per_unit = "1"
[merchant.fuel]
funding = "BURN"
"#,
    )
    .unwrap();
    let programme = file.alliance().unwrap().programme.unwrap();
    assert_eq!(programme.expiry_rule(), v1::ExpiryRule::RollingMonths);
    assert_eq!(programme.expiry_months, 6);
    assert_eq!(
        programme.negative_balance(),
        v1::NegativeBalancePolicy::Debt
    );
    assert_eq!(programme.cycle_schedule(), v1::CycleSchedule::Monthly);
    let contract = |id: &str| file.merchant(id).unwrap().contract.unwrap();
    assert_eq!(contract("fuel").funding_mode(), v1::FundingMode::Burn);
    assert_eq!(contract("anything").funding_mode(), v1::FundingMode::Issue);
    assert_eq!(contract("anything").earn_rate, "1");
}

#[test]
fn every_rule_of_expiry_can_be_said() {
    let with = |expiry: &str| {
        parse(&PROGRAMME.replace("expiry_months = 36", expiry)).map(|a| a.programme.unwrap())
    };
    let rolling = with(r#"expiry = { rule = "rolling_months", months = 12 }"#).unwrap();
    assert_eq!(
        (rolling.expiry_rule(), rolling.expiry_months),
        (v1::ExpiryRule::RollingMonths, 12)
    );
    let inactivity = with(r#"expiry = { rule = "INACTIVITY", months = 18 }"#).unwrap();
    assert_eq!(
        (inactivity.expiry_rule(), inactivity.expiry_months),
        (v1::ExpiryRule::Inactivity, 18)
    );
    let sweep = with(r#"expiry = { rule = "fixed-sweep", dates = ["06-30", "12-31"] }"#).unwrap();
    assert_eq!(sweep.expiry_rule(), v1::ExpiryRule::FixedSweep);
    assert_eq!(sweep.sweep_dates, ["06-30", "12-31"]);
    assert_eq!(
        with(r#"expiry = { rule = "none" }"#).unwrap().expiry_rule(),
        v1::ExpiryRule::None
    );
    for bad in [
        "",
        "expiry_months = 36\nexpiry = { rule = \"none\" }",
        r#"expiry = { rule = "none", months = 1 }"#,
        r#"expiry = { rule = "inactivity" }"#,
        r#"expiry = { rule = "fixed_sweep", dates = ["31-12"] }"#,
        r#"expiry = { rule = "fixed_sweep", months = 3 }"#,
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn unknown_keys_are_refused_by_name_and_line() {
    refused(
        &format!("{PROGRAMME}expiry_month = 3\n"),
        &["line 7", "expiry_month"],
    );
    refused(
        &format!("{PROGRAMME}[merchant.a]\nfee = 3\n"),
        &["line 8", "unknown field `fee`"],
    );
    refused(
        &format!("{PROGRAMME}[[merchant]]\nid = \"a\"\nfee = 3\n"),
        &["line 9", "unknown field `fee`"],
    );
    refused(
        &format!("{PROGRAMME}[merchants.a]\nearn_rate = 3\n"),
        &["line 7", "merchants"],
    );
}

#[test]
fn values_that_are_not_exact_or_not_known_are_refused_where_they_stand() {
    for (line, part) in [
        ("reserve_per_point = 0.008", "write \"0.008\", in quotes"),
        ("reserve_per_point = \"1e-3\"", "exact decimal"),
        ("reserve_per_point = \"-1\"", "exact decimal"),
        ("reserve_per_point = -1", "exact decimal"),
        (
            "negative_balance = \"forgive\"",
            "\"forgive\" is none of DEBT, FLOOR, REJECT",
        ),
        ("burn_order = \"LIFO\"", "FEFO"),
        (
            "cycle = \"yearly\"",
            "none of MONTHLY, WEEKLY, DAILY, MANUAL",
        ),
        ("effective_time = 2026-01-01", "no instant"),
        ("effective_time = 2026-01-01T00:00:00", "no instant"),
        ("expiry_months = -1", "u32"),
        (
            "netting_method = \"novation\"",
            "none of GROSS, BILATERAL, MULTILATERAL",
        ),
        ("cut_off.local_time = \"24:00\"", "not HH:MM"),
        ("cut_off.local_time = \"7:30\"", "not HH:MM"),
        ("cut_off.holidays = [\"2026-02-29\"]", "not YYYY-MM-DD"),
        ("cut_off.holiday = []", "unknown field `holiday`"),
        (
            "bank_details.iban = \"DE02120300000000202051\"",
            "missing field",
        ),
        ("loss_shares = [{ share_bps = 10001 }]", "basis points"),
        (
            "loss_shares = [{ merchant = \"a\" }]",
            "unknown field `merchant`",
        ),
    ] {
        let key = line.split(' ').next().unwrap();
        let others: Vec<&str> = PROGRAMME.lines().filter(|l| !l.starts_with(key)).collect();
        let at = format!("line {}", others.len() + 1);
        refused(&format!("{}\n{line}\n", others.join("\n")), &[&at, part]);
    }
    refused(
        &format!("{PROGRAMME}[default]\nredemption_fee_bps = 10001\n"),
        &["line 8", "basis points"],
    );
}

#[test]
fn contradictions_name_their_table() {
    for (text, parts) in [
        (
            "[merchant.a]\nearn_rate = 1\n",
            ["merchant \"a\"", "funding_mode"],
        ),
        ("[default]\nid = \"a\"\n", ["default", "one merchant's"]),
        (
            "[[merchant]]\nearn_rate = 1\n",
            ["merchant", "number 1 has no id"],
        ),
        (
            "[[merchant]]\nid = \"a\"\n[[merchant]]\nid = \"a\"\n",
            ["\"a\"", "twice"],
        ),
        ("[merchant.a]\nid = \"b\"\n", ["\"a\"", "\"b\""]),
    ] {
        refused(&format!("{PROGRAMME}{text}"), &parts);
    }
}

#[test]
fn promotions_are_read() {
    let promotion = |bonus: &str, shares: &str| {
        with_programme(&format!(
            "[promotion.spring]\nmerchant_ids = [\"a\"]\nstart_time = 2026-03-01T00:00:00Z\n\
             end_time = 2026-04-01T00:00:00Z\n{bonus}\nshares = {shares}\ncap_points = 1000\n"
        ))
    };
    let alliance = promotion("multiplier = 2", "{ a = 6000, \"b & c\" = 4000 }").unwrap();
    let spring = &alliance.promotions[0];
    assert_eq!(spring.promotion_id, "spring");
    assert_eq!(spring.bonus, Some(Bonus::Multiplier("2".into())));
    assert_eq!(spring.shares.len(), 2);
    assert_eq!(spring.shares[1].merchant_id, "b & c");
    assert_eq!(spring.cap_points, 1000);
    assert!(promotion("rate = \"0.5\"", "{ a = 10000 }").is_ok());
    for (bonus, shares, part) in [
        ("multiplier = 2", "{ a = 6000 }", "6000 basis points"),
        ("multiplier = 2\nrate = 1", "{ a = 10000 }", "one of them"),
        ("", "{ a = 10000 }", "one of them"),
    ] {
        let error = promotion(bonus, shares).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
