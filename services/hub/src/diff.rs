//! What is between the alliance as it stands and as it shall be: facts to append, and lines for people.

use hansa_proto::v1::{self, fact::Fact as F};

use crate::{error::HubError, registry::Registry};

/// Facts and lines that lead from what the registry has to `desired`. Nothing is removed.
pub fn plan(
    registry: &Registry,
    desired: &v1::Alliance,
) -> Result<(Vec<v1::Fact>, Vec<String>), HubError> {
    let mut facts = Vec::new();
    let mut changes = Vec::new();
    let mut programme = None;
    if let Some(wanted) = &desired.programme {
        let old = registry.programme();
        let wanted = with_programme_defaults(old.as_ref(), wanted.clone());
        let lines = differences(
            old.as_ref().map(programme_fields),
            programme_fields(&wanted),
        );
        if !lines.is_empty() {
            changes.extend(lines.iter().map(|line| format!("programme: {line}")));
            programme = Some(wanted);
        }
    } else if registry.programme().is_none() && !desired.merchants.is_empty() {
        return Err(HubError::field(
            "desired.programme",
            "REQUIRED",
            "the first thing an alliance needs is a programme",
        ));
    }
    // A merchant joins a programme, and the programme may name the merchant in its order of losses.
    let programme = match programme {
        Some(first) if registry.programme().is_none() => {
            let names_merchants = first.loss_shares.iter().any(|s| !s.merchant_id.is_empty());
            let loss_shares = if names_merchants {
                Vec::new()
            } else {
                first.loss_shares.clone()
            };
            facts.push(v1::Fact {
                fact: Some(F::Programme(v1::Programme {
                    loss_shares,
                    ..first.clone()
                })),
            });
            names_merchants.then_some(first)
        }
        other => other,
    };
    for wanted in &desired.merchants {
        check_slug("merchant_id", &wanted.merchant_id)?;
        let old = registry.merchant_terms(&wanted.merchant_id);
        let wanted = with_merchant_defaults(old.as_ref(), wanted.clone());
        let lines = differences(old.as_ref().map(merchant_fields), merchant_fields(&wanted));
        if !lines.is_empty() {
            changes.extend(
                lines
                    .iter()
                    .map(|line| format!("merchant {}: {line}", wanted.merchant_id)),
            );
            facts.push(v1::Fact {
                fact: Some(F::Merchant(wanted)),
            });
        }
    }
    facts.extend(programme.map(|programme| v1::Fact {
        fact: Some(F::Programme(programme)),
    }));
    for wanted in &desired.promotions {
        check_slug("promotion_id", &wanted.promotion_id)?;
        let old = registry.promotion(&wanted.promotion_id);
        let lines = differences(old.as_ref().map(promotion_fields), promotion_fields(wanted));
        if !lines.is_empty() {
            changes.extend(
                lines
                    .iter()
                    .map(|line| format!("promotion {}: {line}", wanted.promotion_id)),
            );
            facts.push(v1::Fact {
                fact: Some(F::Promotion(wanted.clone())),
            });
        }
    }
    Ok((facts, changes))
}

fn check_slug(field: &str, slug: &str) -> Result<(), HubError> {
    // '>' stands between two merchants where pairs are written as text.
    let ok = |c: char| !c.is_control() && c != '>';
    if slug.is_empty() || slug.len() > 128 || !slug.chars().all(ok) || slug.trim() != slug {
        let shown: String = slug.chars().take(128).collect();
        let text = format!(
            "{shown:?}: 1-128 bytes of UTF-8 without control characters and '>', no space at either end"
        );
        return Err(HubError::field(field, "ID", text));
    }
    Ok(())
}

/// What is not given stays as it is.
fn with_programme_defaults(
    old: Option<&v1::Programme>,
    mut wanted: v1::Programme,
) -> v1::Programme {
    if let Some(old) = old {
        if wanted.name.is_empty() {
            wanted.name.clone_from(&old.name);
        }
        if wanted.cycle_schedule() == v1::CycleSchedule::Unspecified {
            wanted.cycle_schedule = old.cycle_schedule;
        }
        if wanted.cut_off.is_none() {
            wanted.cut_off.clone_from(&old.cut_off);
        }
        if wanted.negative_balance() == v1::NegativeBalancePolicy::Unspecified {
            wanted.negative_balance = old.negative_balance;
        }
        if wanted.netting_method.is_empty() {
            wanted.netting_method.clone_from(&old.netting_method);
        }
        if wanted.loss_shares.is_empty() {
            wanted.loss_shares.clone_from(&old.loss_shares);
        }
        if wanted.bank_details.is_none() {
            wanted.bank_details.clone_from(&old.bank_details);
        }
        if wanted.warning_thresholds_bps.is_empty() {
            let old = &old.warning_thresholds_bps;
            wanted.warning_thresholds_bps.clone_from(old);
        }
    } else {
        if wanted.cycle_schedule() == v1::CycleSchedule::Unspecified {
            wanted.cycle_schedule = v1::CycleSchedule::Monthly.into();
        }
        if wanted.negative_balance() == v1::NegativeBalancePolicy::Unspecified {
            wanted.negative_balance = v1::NegativeBalancePolicy::Debt.into();
        }
    }
    wanted
}

fn with_merchant_defaults(old: Option<&v1::Merchant>, mut wanted: v1::Merchant) -> v1::Merchant {
    if wanted.state() == v1::MerchantState::Unspecified {
        wanted.state = old.map_or(v1::MerchantState::Active.into(), |old| old.state);
    }
    if let Some(old) = old {
        if wanted.display_name.is_empty() {
            wanted.display_name.clone_from(&old.display_name);
        }
        if wanted.roles.is_empty() {
            wanted.roles.clone_from(&old.roles);
        }
        if wanted.contract.is_none() {
            wanted.contract.clone_from(&old.contract);
        }
        if wanted.affiliate.is_none() {
            wanted.affiliate.clone_from(&old.affiliate);
        }
        if wanted.commission_terms.is_none() {
            let old = &old.commission_terms;
            wanted.commission_terms.clone_from(old);
        }
    } else if wanted.roles.is_empty() && wanted.affiliate.is_none() {
        wanted.roles = vec![v1::MerchantRole::Earn.into(), v1::MerchantRole::Burn.into()];
    }
    wanted
}

type Fields = Vec<(&'static str, String)>;

fn differences(old: Option<Fields>, new: Fields) -> Vec<String> {
    let Some(old) = old else {
        let set = |(name, value): (&str, String)| {
            (!value.is_empty()).then(|| format!("{name} = {value}"))
        };
        let all: Vec<String> = new.into_iter().filter_map(set).collect();
        return vec![format!("new ({})", all.join(", "))];
    };
    let shown = |text: &str| {
        if text.is_empty() {
            "(none)".to_owned()
        } else {
            text.to_owned()
        }
    };
    old.into_iter()
        .zip(new)
        .filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| {
            format!("{name} {} -> {}", shown(&before), shown(&after))
        })
        .collect()
}

fn instant(at: Option<&prost_types::Timestamp>) -> String {
    at.map(ToString::to_string).unwrap_or_default()
}

fn number(value: impl Into<i128>) -> String {
    let value: i128 = value.into();
    if value == 0 {
        String::new()
    } else {
        value.to_string()
    }
}

fn flag(value: bool) -> String {
    if value { "yes".into() } else { String::new() }
}

fn programme_fields(p: &v1::Programme) -> Fields {
    vec![
        ("name", p.name.clone()),
        ("currency_code", p.currency_code.clone()),
        ("time_zone", p.time_zone.clone()),
        ("reserve_per_point", p.reserve_per_point.clone()),
        (
            "expiry_rule",
            p.expiry_rule()
                .as_str_name()
                .trim_start_matches("EXPIRY_RULE_")
                .into(),
        ),
        ("expiry_months", number(p.expiry_months)),
        ("sweep_dates", p.sweep_dates.join(" ")),
        (
            "negative_balance",
            p.negative_balance()
                .as_str_name()
                .trim_start_matches("NEGATIVE_BALANCE_POLICY_")
                .into(),
        ),
        (
            "cycle_schedule",
            p.cycle_schedule()
                .as_str_name()
                .trim_start_matches("CYCLE_SCHEDULE_")
                .into(),
        ),
        ("cut_off", cut_off(p.cut_off.as_ref())),
        (
            "cut_off.holidays",
            p.cut_off
                .as_ref()
                .map_or_else(String::new, |c| c.holidays.join(" ")),
        ),
        ("netting_method", p.netting_method.clone()),
        ("loss_shares", loss_shares(&p.loss_shares)),
        ("bank_details", bank_details(p.bank_details.as_ref())),
        ("warning_thresholds_bps", numbers(&p.warning_thresholds_bps)),
        ("effective_time", instant(p.effective_time.as_ref())),
    ]
}

/// Time, zone, kind of days: `17:30 Europe/Berlin business days`. Nothing where it is the default.
fn cut_off(cut_off: Option<&v1::CutOff>) -> String {
    let Some(c) = cut_off else {
        return String::new();
    };
    let time = match (c.local_time.as_str(), c.time_zone.as_str()) {
        ("", "") | ("00:00", "") => "",
        ("", _) => "00:00",
        (time, _) => time,
    };
    let days = if c.business_days_only {
        "business days"
    } else {
        ""
    };
    let parts = [time, &c.time_zone, days];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// Who, share, limit: `grocery:2500 up to 1000.00 hub:10000`.
fn loss_shares(shares: &[v1::LossShare]) -> String {
    let shown = |share: &v1::LossShare| {
        let who = if share.merchant_id.is_empty() {
            "hub"
        } else {
            &share.merchant_id
        };
        let limit = if share.limit.is_empty() {
            String::new()
        } else {
            format!(" up to {}", share.limit)
        };
        format!("{who}:{}{limit}", share.share_bps)
    };
    let shares: Vec<String> = shares.iter().map(shown).collect();
    shares.join(" ")
}

fn numbers(numbers: &[u32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
    numbers.join(" ")
}

/// Account, holder and address, what there is of them.
fn bank_details(bank: Option<&v1::BankDetails>) -> String {
    let Some(bank) = bank else {
        return String::new();
    };
    let parts = [
        &bank.iban,
        &bank.bic,
        &bank.holder_name,
        &bank.street_name,
        &bank.building_number,
        &bank.post_code,
        &bank.town_name,
        &bank.country_code,
    ];
    let parts: Vec<&str> = parts
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" / ")
}

fn merchant_fields(m: &v1::Merchant) -> Fields {
    let none = v1::Contract::default();
    let c = m.contract.as_ref().unwrap_or(&none);
    let roles: Vec<&str> = m
        .roles()
        .map(|r| r.as_str_name().trim_start_matches("MERCHANT_ROLE_"))
        .collect();
    let exposure = c
        .exposure_redemption_bps
        .map(|bps| bps.to_string())
        .unwrap_or_default();
    vec![
        ("display_name", m.display_name.clone()),
        (
            "state",
            m.state()
                .as_str_name()
                .trim_start_matches("MERCHANT_STATE_")
                .into(),
        ),
        ("roles", roles.join(" ")),
        (
            "contract.funding_mode",
            c.funding_mode()
                .as_str_name()
                .trim_start_matches("FUNDING_MODE_")
                .into(),
        ),
        ("contract.earn_rate", c.earn_rate.clone()),
        (
            "contract.service_fee_per_point",
            c.service_fee_per_point.clone(),
        ),
        ("contract.redemption_fee_bps", number(c.redemption_fee_bps)),
        ("contract.breakage_share_bps", number(c.breakage_share_bps)),
        (
            "contract.merchant_computes_points",
            flag(c.merchant_computes_points),
        ),
        ("contract.max_late_seconds", number(c.max_late_seconds)),
        (
            "contract.pending_until_return_window_ends",
            flag(c.pending_until_return_window_ends),
        ),
        ("contract.return_days", number(c.return_days)),
        (
            "contract.authorisation_ttl_seconds",
            number(c.authorisation_ttl_seconds),
        ),
        ("contract.refund_service_fee", flag(c.refund_service_fee)),
        (
            "contract.minimum_burn_points",
            number(c.minimum_burn_points),
        ),
        ("contract.earn_cap_points", number(c.earn_cap_points)),
        ("contract.net_debit_cap", c.net_debit_cap.clone()),
        ("contract.collateral", c.collateral.clone()),
        ("contract.exposure_redemption_bps", exposure),
        ("contract.dispute_days", number(c.dispute_days)),
        ("contract.tax_category", c.tax_category.clone()),
        ("contract.tax_rate_percent", c.tax_rate_percent.clone()),
        ("contract.minimum_payout", c.minimum_payout.clone()),
        ("contract.holdback_bps", number(c.holdback_bps)),
        (
            "contract.bank_details",
            bank_details(c.bank_details.as_ref()),
        ),
        ("contract.settlement_account", c.settlement_account.clone()),
        (
            "contract.effective_time",
            instant(c.effective_time.as_ref()),
        ),
        ("affiliate", profile(m.affiliate.as_ref())),
        ("affiliate.sites", sites(m.affiliate.as_ref())),
        ("affiliate.codes", codes(m.affiliate.as_ref())),
        ("commission_terms", windows(m.commission_terms.as_ref())),
        (
            "commission_terms.placement",
            placement(m.commission_terms.as_ref()),
        ),
        ("commission_terms.rates", rates(m.commission_terms.as_ref())),
    ]
}

/// Manager and tier: `manager ana, tier gold`; `yes` for an affiliate with neither.
fn profile(affiliate: Option<&v1::AffiliateProfile>) -> String {
    let Some(profile) = affiliate else {
        return String::new();
    };
    let manager = format!("manager {}", profile.manager);
    let tier = format!("tier {}", profile.tier);
    let parts = [(&profile.manager, manager), (&profile.tier, tier)];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(text, _)| !text.is_empty())
        .map(|(_, part)| part)
        .collect();
    if parts.is_empty() {
        "yes".into()
    } else {
        parts.join(", ")
    }
}

/// `1 blog CONTENT https://blog.example`.
fn sites(affiliate: Option<&v1::AffiliateProfile>) -> String {
    let sites = affiliate.map_or(&[][..], |profile| &profile.sites);
    let shown =
        |s: &v1::AffiliateSite| format!("{} {} {} {}", s.site_number, s.name, s.vertical, s.url);
    let sites: Vec<String> = sites.iter().map(shown).collect();
    sites.join("; ")
}

/// `SPRING at grocery for site 1 from .. until ..`.
fn codes(affiliate: Option<&v1::AffiliateProfile>) -> String {
    let codes = affiliate.map_or(&[][..], |profile| &profile.codes);
    let shown = |c: &v1::AffiliateCode| {
        let time = |word: &str, at: Option<&prost_types::Timestamp>| {
            at.map_or_else(String::new, |at| format!(" {word} {at}"))
        };
        format!(
            "{} at {} for site {}{}{}",
            c.code,
            c.merchant_id,
            c.site_number,
            time("from", c.start_time.as_ref()),
            time("until", c.end_time.as_ref())
        )
    };
    let codes: Vec<String> = codes.iter().map(shown).collect();
    codes.join("; ")
}

/// Windows and locking, what there is of them.
fn windows(terms: Option<&v1::CommissionTerms>) -> String {
    let Some(t) = terms else {
        return String::new();
    };
    let locking = t
        .locking_method()
        .as_str_name()
        .trim_start_matches("LOCKING_METHOD_");
    let parts = [
        (true, format!("clicks {} s", t.click_window_seconds)),
        (
            t.view_window_seconds != 0,
            format!("views {} s", t.view_window_seconds),
        ),
        (t.codes_win, "codes win".to_owned()),
        (true, locking.to_owned()),
        (t.lock_day != 0, format!("day {}", t.lock_day)),
        (t.lock_months != 0, format!("month +{}", t.lock_months)),
        (t.lock_seconds != 0, format!("after {} s", t.lock_seconds)),
        (
            t.recurring_seconds != 0,
            format!("recurring {} s", t.recurring_seconds),
        ),
        (
            t.effective_time.is_some(),
            format!("from {}", instant(t.effective_time.as_ref())),
        ),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(shown, _)| *shown)
        .map(|(_, part)| part)
        .collect();
    parts.join(", ")
}

fn placement(terms: Option<&v1::CommissionTerms>) -> String {
    let Some(placement) = terms.and_then(|terms| terms.placement.as_ref()) else {
        return String::new();
    };
    let lists = [
        ("refused", &placement.refused),
        ("banned", &placement.banned_referrers),
        ("brand", &placement.brand_terms),
        ("coupon", &placement.coupon_hosts),
    ];
    let lists: Vec<String> = lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name} {}", list.join(" ")))
        .collect();
    lists.join("; ")
}

/// `DE/shoes/gold 500 bps + 1.00, recurring 100 bps`.
fn rates(terms: Option<&v1::CommissionTerms>) -> String {
    let rates = terms.map_or(&[][..], |terms| &terms.rates);
    let pay = |pay: Option<&v1::CommissionPay>| {
        let Some(pay) = pay else {
            return "nothing".to_owned();
        };
        if pay.fixed.is_empty() {
            format!("{} bps", pay.share_bps)
        } else {
            format!("{} bps + {}", pay.share_bps, pay.fixed)
        }
    };
    let shown = |row: &v1::CommissionRate| {
        let any = |text: &str| if text.is_empty() { "any" } else { text }.to_owned();
        format!(
            "{}/{}/{} {}, recurring {}",
            any(&row.country_code),
            any(&row.category),
            any(&row.tier),
            pay(row.first_sale.as_ref()),
            pay(row.recurring.as_ref())
        )
    };
    let rates: Vec<String> = rates.iter().map(shown).collect();
    rates.join("; ")
}

fn promotion_fields(p: &v1::Promotion) -> Fields {
    let bonus = match &p.bonus {
        Some(v1::promotion::Bonus::Multiplier(k)) => format!("x{k}"),
        Some(v1::promotion::Bonus::Rate(rate)) => format!("+{rate} points per unit"),
        None => String::new(),
    };
    let shares: Vec<String> = p
        .shares
        .iter()
        .map(|s| format!("{}:{}", s.merchant_id, s.share_bps))
        .collect();
    vec![
        ("merchants", p.merchant_ids.join(" ")),
        ("start_time", instant(p.start_time.as_ref())),
        ("end_time", instant(p.end_time.as_ref())),
        ("bonus", bonus),
        ("shares", shares.join(" ")),
        ("cap_points", number(p.cap_points)),
    ]
}
