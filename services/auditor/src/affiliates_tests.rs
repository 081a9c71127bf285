use super::*;

const DAY: i64 = 86_400_000_000;
/// 2026-01-31T12:00:00Z.
const NOW: i64 = 1_769_860_800_000_000;

fn pay(share_bps: u32, fixed: &str) -> Option<v1::CommissionPay> {
    Some(v1::CommissionPay {
        share_bps,
        fixed: fixed.into(),
    })
}

fn row(country: &str, category: &str, tier: &str, share_bps: u32) -> v1::CommissionRate {
    v1::CommissionRate {
        country_code: country.into(),
        category: category.into(),
        tier: tier.into(),
        first_sale: pay(share_bps, ""),
        recurring: None,
    }
}

fn written() -> v1::CommissionTerms {
    v1::CommissionTerms {
        click_window_seconds: 86_400,
        locking_method: v1::LockingMethod::OpenEnded.into(),
        rates: vec![row("", "", "", 500)],
        ..v1::CommissionTerms::default()
    }
}

fn read(terms: &v1::CommissionTerms) -> CommissionTerms {
    CommissionTerms::read(terms, NOW).unwrap()
}

fn shop(terms: Option<v1::CommissionTerms>) -> v1::Merchant {
    v1::Merchant {
        merchant_id: "shop".into(),
        state: v1::MerchantState::Active.into(),
        roles: vec![v1::MerchantRole::Affiliate.into()],
        commission_terms: terms,
        ..v1::Merchant::default()
    }
}

fn affiliate(slug: &str, codes: &[v1::AffiliateCode]) -> v1::Merchant {
    v1::Merchant {
        merchant_id: slug.into(),
        state: v1::MerchantState::Active.into(),
        affiliate: Some(v1::AffiliateProfile {
            sites: vec![v1::AffiliateSite {
                site_number: 1,
                ..v1::AffiliateSite::default()
            }],
            codes: codes.to_vec(),
            ..v1::AffiliateProfile::default()
        }),
        ..v1::Merchant::default()
    }
}

fn code(text: &str) -> v1::AffiliateCode {
    v1::AffiliateCode {
        merchant_id: "shop".into(),
        code: text.into(),
        site_number: 1,
        ..v1::AffiliateCode::default()
    }
}

#[test]
fn a_commission_is_floored_and_nothing_is_paid_on_nothing() {
    let pay = Pay::read(pay(333, "0.25").as_ref()).unwrap();
    // 3.33 % of 0.000100 are 3.33 micro-units.
    assert_eq!(pay.on(100), 250_003);
    assert_eq!(pay.on(0), 0);
    assert_eq!(Pay::read(None).unwrap().on(1_000_000), 0);
}

#[test]
fn pays_out_of_range_are_found() {
    for (share_bps, fixed) in [(10_001, ""), (1, "-1"), (1, "0.0000001"), (1, "1000000001")] {
        assert!(
            Pay::read(pay(share_bps, fixed).as_ref()).is_err(),
            "{fixed}"
        );
    }
}

#[test]
fn the_first_row_that_fits_gives_the_rate() {
    let terms = read(&v1::CommissionTerms {
        rates: vec![
            row("DE", "shoes", "", 900),
            row("", "", "gold", 800),
            row("DE", "", "", 700),
        ],
        ..written()
    });
    let of = |country, category, tier, recurring| {
        let sale = Sale {
            country,
            category,
            tier,
            recurring,
        };
        terms.pay(sale).map(|pay| pay.on(10_000))
    };
    assert_eq!(of("DE", "shoes", "gold", false), Some(900));
    assert_eq!(of("DE", "hats", "gold", false), Some(800));
    assert_eq!(of("DE", "hats", "", false), Some(700));
    assert_eq!(of("DE", "hats", "", true), Some(0), "no recurring pay");
    assert_eq!(of("FR", "shoes", "", false), None);
}

#[test]
fn each_locking_method_has_its_own_date() {
    use v1::LockingMethod as L;
    let berlin = chrono_tz::Europe::Berlin;
    let locks = |method: L, day, months| {
        let terms = v1::CommissionTerms {
            locking_method: method.into(),
            lock_day: day,
            lock_months: months,
            lock_seconds: 86_400,
            ..written()
        };
        read(&terms).locks(NOW, berlin)
    };
    assert_eq!(locks(L::Immediate, 0, 0), NOW);
    assert_eq!(locks(L::FixedDuration, 0, 0), NOW + DAY);
    assert_eq!(locks(L::OpenEnded, 0, 0), NEVER);
    // 2026-02-27T23:00:00Z: the 31st of February is its last day, in Berlin.
    assert_eq!(locks(L::FixedDate, 31, 1), 1_772_233_200_000_000);
    // The day was over before the purchase.
    assert_eq!(locks(L::FixedDate, 15, 0), NOW);
}

#[test]
fn terms_that_no_hub_takes_are_found() {
    let broken = [
        v1::CommissionTerms {
            click_window_seconds: 0,
            ..written()
        },
        v1::CommissionTerms {
            rates: Vec::new(),
            ..written()
        },
        v1::CommissionTerms {
            locking_method: 0,
            ..written()
        },
        v1::CommissionTerms {
            locking_method: v1::LockingMethod::FixedDate.into(),
            lock_day: 32,
            ..written()
        },
        v1::CommissionTerms {
            placement: Some(v1::Placement {
                refused: vec!["NICE".into()],
                ..v1::Placement::default()
            }),
            ..written()
        },
    ];
    for terms in broken {
        assert!(CommissionTerms::read(&terms, NOW).is_err(), "{terms:?}");
    }
}

#[test]
fn placements_are_the_bits_that_the_hub_signs() {
    let terms = read(&v1::CommissionTerms {
        placement: Some(v1::Placement {
            refused: vec!["DATA_CENTRE".into(), "BANNED_REFERRER".into()],
            ..v1::Placement::default()
        }),
        ..written()
    });
    assert_eq!(terms.refused, 34);
}

#[test]
fn versions_go_forwards_and_hold_for_their_event_times() {
    let mut terms = Terms::default();
    let from = |from: i64, share| v1::CommissionTerms {
        effective_time: Some(crate::terms::timestamp(from)),
        rates: vec![row("", "", "", share)],
        ..written()
    };
    // The first may lie in the past.
    let number = terms
        .take_merchant(&shop(Some(from(NOW - DAY, 1))), NOW)
        .unwrap();
    terms
        .take_merchant(&shop(Some(from(NOW + DAY, 2))), NOW)
        .unwrap();
    // Written once more it is none.
    terms
        .take_merchant(&shop(Some(from(NOW + DAY, 2))), NOW)
        .unwrap();
    let traffic = &terms.merchant(number).unwrap().traffic;
    assert!(traffic.welcomes);
    assert_eq!(traffic.terms.len(), 2);
    assert_eq!(traffic.version(NOW - DAY - 1), None);
    assert_eq!(traffic.version(NOW + DAY - 1), Some(0));
    assert_eq!(traffic.version(NOW + DAY), Some(1));
    for at in [NOW - DAY, NOW + DAY] {
        let again = shop(Some(from(at, 3)));
        assert!(terms.clone().take_merchant(&again, NOW).is_err());
    }
}

#[test]
fn a_code_is_that_of_whom_it_was_given_last_while_it_holds() {
    let mut terms = Terms::default();
    let number = terms.take_merchant(&shop(None), NOW).unwrap();
    let ends = v1::AffiliateCode {
        end_time: Some(crate::terms::timestamp(NOW + DAY)),
        ..code("Spring")
    };
    let p = terms.take_merchant(&affiliate("p", &[ends]), NOW).unwrap();
    assert!(terms.earns_commission(p) && !terms.earns_commission(number));
    assert_eq!(terms.code(number, "sPRING", NOW - 1), None);
    assert_eq!(terms.code(number, "sPRING", NOW), Some(p));
    assert_eq!(terms.code(number, "sPRING", NOW + DAY), None);
    let codes = [code("SPRING")];
    let q = terms
        .take_merchant(&affiliate("q", &codes), NOW + 5)
        .unwrap();
    assert_eq!(terms.code(number, "spring", NOW + 5), Some(q));
    // What was given before is not given again.
    terms
        .take_merchant(&affiliate("q", &codes), NOW + 9)
        .unwrap();
    assert_eq!(terms.code(number, "spring", NOW + 5), Some(q));
    let elsewhere = v1::AffiliateCode {
        site_number: 2,
        ..code("autumn")
    };
    let early = v1::AffiliateCode {
        start_time: Some(crate::terms::timestamp(NOW)),
        ..code("autumn")
    };
    for broken in [elsewhere, early] {
        let q = affiliate("q", &[broken]);
        assert!(terms.clone().take_merchant(&q, NOW + 9).is_err());
    }
}

#[test]
fn an_affiliate_has_no_roles_and_stays_one() {
    let mut terms = Terms::default();
    let number = terms.take_merchant(&affiliate("p", &[]), NOW).unwrap();
    let plain = v1::Merchant {
        affiliate: None,
        ..affiliate("p", &[])
    };
    terms.take_merchant(&plain, NOW).unwrap();
    let merchant = terms.merchant(number).unwrap();
    assert!(!merchant.earns && !merchant.burns && terms.earns_commission(number));
    let roles = v1::Merchant {
        roles: vec![v1::MerchantRole::Earn.into()],
        ..plain
    };
    assert!(terms.take_merchant(&roles, NOW).is_err());
}
