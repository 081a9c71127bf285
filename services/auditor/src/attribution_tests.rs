use std::collections::BTreeSet;

use hansa_proto::v1;

use super::*;

const HOUR: i64 = 3_600_000_000;
/// 2026-01-31T12:00:00Z.
const NOW: i64 = 1_769_860_800_000_000;
/// Affiliates; the merchant is 0.
const P: MerchantNo = 1;
const Q: MerchantNo = 2;

fn terms(own: v1::CommissionTerms) -> Terms {
    let pay = Some(v1::CommissionPay {
        share_bps: 500,
        ..v1::CommissionPay::default()
    });
    let own = v1::CommissionTerms {
        click_window_seconds: 86_400,
        locking_method: v1::LockingMethod::OpenEnded.into(),
        rates: vec![v1::CommissionRate {
            first_sale: pay,
            ..v1::CommissionRate::default()
        }],
        ..own
    };
    let mut terms = Terms::default();
    let shop = v1::Merchant {
        merchant_id: "shop".into(),
        commission_terms: Some(own),
        ..v1::Merchant::default()
    };
    terms.take_merchant(&shop, NOW - HOUR).unwrap();
    for slug in ["p", "q"] {
        let affiliate = v1::Merchant {
            merchant_id: slug.into(),
            affiliate: Some(v1::AffiliateProfile::default()),
            ..v1::Merchant::default()
        };
        terms.take_merchant(&affiliate, NOW - HOUR).unwrap();
    }
    terms
}

fn touch(id: u8, affiliate: MerchantNo, at: i64) -> Touch {
    Touch {
        id: [id; 16],
        kind: Kind::Click,
        flags: 0,
        affiliate,
        at,
    }
}

fn view(id: u8, affiliate: MerchantNo, at: i64) -> Touch {
    Touch {
        kind: Kind::View,
        ..touch(id, affiliate, at)
    }
}

fn claim(touches: &[Touch]) -> Claim {
    Claim {
        merchant: 0,
        version: 0,
        event_time: NOW,
        amount: 1_000_000,
        recurring: false,
        country: String::new(),
        category: String::new(),
        touches: touches.to_vec(),
        invalid: BTreeSet::new(),
        code: None,
        locks: i64::MAX,
    }
}

fn wins(terms: &Terms, claim: &Claim) -> Result<Winner, ResultCode> {
    winner(terms, &terms.merchant(0).unwrap().traffic.terms[0], claim)
}

fn views() -> v1::CommissionTerms {
    v1::CommissionTerms {
        view_window_seconds: 3_600,
        ..v1::CommissionTerms::default()
    }
}

#[test]
fn the_latest_click_wins_and_of_two_at_one_instant_the_one_named_later() {
    let terms = terms(views());
    let early = touch(1, P, NOW - 3 * HOUR);
    let late = touch(2, Q, NOW - 2 * HOUR);
    let seen = view(3, P, NOW - HOUR / 2);
    assert_eq!(wins(&terms, &claim(&[late, early, seen])), Ok((Q, Some(0))));
    let same = touch(4, P, late.at);
    assert_eq!(wins(&terms, &claim(&[late, same])), Ok((P, Some(1))));
    assert_eq!(wins(&terms, &claim(&[seen])), Ok((P, Some(0))));
    let mut invalid = claim(&[late, early, late]);
    invalid.invalid.insert(late.id);
    assert_eq!(wins(&terms, &invalid), Ok((P, Some(1))), "named twice");
}

#[test]
fn windows_reach_back_from_the_event_and_a_little_ahead() {
    let terms = terms(views());
    let ends = [
        (touch(1, P, NOW - 24 * HOUR), true),
        (touch(1, P, NOW - 24 * HOUR - 1), false),
        (touch(1, P, NOW + AHEAD), true),
        (touch(1, P, NOW + AHEAD + 1), false),
        (view(1, P, NOW - HOUR), true),
        (view(1, P, NOW - HOUR - 1), false),
    ];
    for (touch, counts) in ends {
        let won = wins(&terms, &claim(&[touch]));
        let outside = Err(ResultCode::OutsideAttributionWindow);
        assert_eq!(won == outside, !counts, "{touch:?}");
    }
    // Nothing recurs here, not even at the instant of the click.
    let again = Claim {
        recurring: true,
        ..claim(&[touch(1, P, NOW)])
    };
    let outside = Err(ResultCode::OutsideAttributionWindow);
    assert_eq!(wins(&terms, &again), outside);
}

#[test]
fn the_reason_of_a_refusal_is_the_last_clicks() {
    let refused = v1::Placement {
        refused: vec!["COUPON_SITE".into()],
        ..v1::Placement::default()
    };
    let terms = terms(v1::CommissionTerms {
        placement: Some(refused),
        ..views()
    });
    let coupon = Touch {
        flags: 4,
        ..touch(1, P, NOW - HOUR)
    };
    let old = touch(2, P, NOW - 48 * HOUR);
    let stranger = touch(3, 9, NOW - 2 * HOUR);
    let seen = view(4, 9, NOW);
    let why = |touches: &[Touch]| wins(&terms, &claim(touches)).unwrap_err();
    assert_eq!(why(&[old, coupon, stranger]), ResultCode::PlacementRefused);
    assert_eq!(why(&[old, stranger]), ResultCode::AffiliateNotActive);
    assert_eq!(why(&[seen, old]), ResultCode::OutsideAttributionWindow);
    assert_eq!(why(&[]), ResultCode::NotAttributed);
}

#[test]
fn a_code_counts_where_no_touch_does_or_where_codes_win() {
    let click = touch(1, P, NOW - HOUR);
    let with_code = |touches: &[Touch], holder| Claim {
        code: Some(holder),
        ..claim(touches)
    };
    let plain = terms(views());
    assert_eq!(wins(&plain, &with_code(&[click], Q)), Ok((P, Some(0))));
    assert_eq!(wins(&plain, &with_code(&[], Q)), Ok((Q, None)));
    let nobody = Err(ResultCode::AffiliateNotActive);
    assert_eq!(wins(&plain, &with_code(&[], 9)), nobody);
    let codes = terms(v1::CommissionTerms {
        codes_win: true,
        ..views()
    });
    assert_eq!(wins(&codes, &with_code(&[click], Q)), Ok((Q, None)));
    assert_eq!(wins(&codes, &with_code(&[click], 9)), Ok((P, Some(0))));
}
