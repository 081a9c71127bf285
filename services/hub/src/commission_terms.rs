//! Affiliates and merchants' terms for them, between the wire's types and the ledger's.

use hansa_client::touch_id::TouchFlags;
use hansa_fraud::lists::Hosts;
use hansa_proto::v1;
use hansa_settlement::{
    Affiliate, AffiliateCode, CommissionTerms, Instant, MerchantIx,
    commission::{CommissionRate, Locking, Pay, Placement, Site},
};

use crate::convert::{Fields, micros};

const SECOND: i64 = 1_000_000;

/// An affiliate's profile; codes are facts of their own, see [`codes`].
pub fn affiliate(fields: &mut Fields, at: &str, profile: &v1::AffiliateProfile) -> Affiliate {
    let sites = profile.sites.iter().enumerate().map(|(place, site)| {
        if site.site_number == 0 {
            let field = format!("{at}.affiliate.sites[{place}].site_number");
            fields.broken(&field, "REQUIRED", "sites are numbered from 1");
        }
        Site {
            number: site.site_number,
            name: site.name.clone(),
            url: site.url.clone(),
            vertical: site.vertical.clone(),
        }
    });
    let affiliate = Affiliate {
        manager: profile.manager.clone(),
        tier: profile.tier.clone(),
        sites: sites.collect(),
    };
    if !affiliate.is_valid() {
        let text = "names are too long, or two sites have one number";
        fields.broken(&format!("{at}.affiliate"), "OUT_OF_RANGE", text);
    }
    affiliate
}

/// The codes that an affiliate hands out, each with its merchant.
pub fn codes(
    fields: &mut Fields,
    at: &str,
    codes: &[v1::AffiliateCode],
    affiliate: MerchantIx,
    decided_at: i64,
    merchant: impl Fn(&str) -> Option<MerchantIx>,
) -> Vec<(MerchantIx, String, AffiliateCode)> {
    let read = |(place, code): (usize, &v1::AffiliateCode)| {
        let field = format!("{at}.affiliate.codes[{place}]");
        let Some(merchant) = merchant(&code.merchant_id) else {
            let text = format!("merchant \"{}\" is not in the alliance", code.merchant_id);
            fields.broken(&field, "MERCHANT", text);
            return None;
        };
        if code.code.is_empty() || code.code.len() > 64 {
            fields.broken(&format!("{field}.code"), "LENGTH", "1-64 bytes");
        }
        let held = AffiliateCode {
            affiliate,
            site: code.site_number,
            from: Instant(code.start_time.as_ref().map_or(decided_at, micros)),
            until: code
                .end_time
                .as_ref()
                .map_or(Instant::NEVER, |end| Instant(micros(end))),
        };
        Some((merchant, code.code.clone(), held))
    };
    codes.iter().enumerate().filter_map(read).collect()
}

/// A merchant's commission terms.
pub fn terms(fields: &mut Fields, at: &str, terms: &v1::CommissionTerms) -> CommissionTerms {
    let path = |name: &str| format!("{at}.commission_terms.{name}");
    let seconds = |seconds: u64| {
        i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(SECOND)
    };
    let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    let locking = match terms.locking_method() {
        v1::LockingMethod::Immediate => Locking::Immediate,
        v1::LockingMethod::FixedDate => Locking::FixedDate {
            day: small(terms.lock_day),
            months: small(terms.lock_months),
        },
        v1::LockingMethod::FixedDuration => Locking::FixedDuration(seconds(terms.lock_seconds)),
        v1::LockingMethod::OpenEnded => Locking::OpenEnded,
        v1::LockingMethod::Unspecified => {
            let text = "say when a commission becomes final: IMMEDIATE, FIXED_DATE, FIXED_DURATION or OPEN_ENDED";
            fields.broken(&path("locking_method"), "REQUIRED", text);
            Locking::Immediate
        }
    };
    if terms.click_window_seconds == 0 {
        let text = "say how old a click may be";
        fields.broken(&path("click_window_seconds"), "REQUIRED", text);
    }
    let rates = terms.rates.iter().enumerate().map(|(place, row)| {
        let row_path = |name: &str| path(&format!("rates[{place}].{name}"));
        CommissionRate {
            country: row.country_code.clone(),
            category: row.category.clone(),
            tier: row.tier.clone(),
            first_sale: pay(fields, &row_path("first_sale"), row.first_sale.as_ref()),
            recurring: pay(fields, &row_path("recurring"), row.recurring.as_ref()),
        }
    });
    let rates = rates.collect();
    let read = CommissionTerms {
        click_window_micros: seconds(terms.click_window_seconds),
        view_window_micros: seconds(terms.view_window_seconds),
        codes_win: terms.codes_win,
        locking,
        recurring_micros: seconds(terms.recurring_seconds),
        placement: placement(fields, &path("placement"), terms.placement.as_ref()),
        rates,
    };
    if !read.is_valid() {
        let text = "no rate, a share above 10 000 basis points, a window beyond the year 9999, a lock day beyond 1-31 or a \
                    lock month beyond 24";
        fields.broken(&format!("{at}.commission_terms"), "OUT_OF_RANGE", text);
    }
    read
}

fn pay(fields: &mut Fields, at: &str, pay: Option<&v1::CommissionPay>) -> Pay {
    let Some(pay) = pay else {
        return Pay::default();
    };
    Pay {
        share_bps: pay.share_bps,
        fixed_micros: fields
            .money(&format!("{at}.fixed"), &pay.fixed)
            .unwrap_or(0),
    }
}

fn placement(fields: &mut Fields, at: &str, placement: Option<&v1::Placement>) -> Placement {
    let Some(placement) = placement else {
        return Placement::default();
    };
    let mut refused_flags = TouchFlags::NONE;
    for name in &placement.refused {
        match TouchFlags::NAMES.iter().find(|(_, known)| known == name) {
            Some((flag, _)) => refused_flags = refused_flags.with(*flag),
            None => {
                let known = TouchFlags::NAMES.map(|(_, name)| name);
                let text = format!("\"{name}\" is none of {}", known.join(", "));
                fields.broken(&format!("{at}.refused"), "PLACEMENT", text);
            }
        }
    }
    let lists = [
        ("banned_referrers", &placement.banned_referrers),
        ("coupon_hosts", &placement.coupon_hosts),
    ];
    for (name, hosts) in lists {
        if let Err(error) = Hosts::parse(&hosts.join("\n"))
            && !hosts.is_empty()
        {
            fields.broken(&format!("{at}.{name}"), "HOST", error.to_string());
        }
    }
    let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect();
    Placement {
        refused_flags: refused_flags.bits(),
        banned_referrers: lower(&placement.banned_referrers),
        brand_terms: lower(&placement.brand_terms),
        coupon_hosts: lower(&placement.coupon_hosts),
    }
}
