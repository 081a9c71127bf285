//! Rules 1, 3, 8 and 12: earning, with its refusals.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;

// Rule 1: earn.

#[test]
fn earned_points_are_floored_and_zero_posts_nothing() {
    let mut world = issue(|_| {});
    for (amount, points) in [
        ("0", 0),
        ("0.99", 0),
        ("1", 1),
        ("1509.05", 1_509),
        ("12.999999", 12),
    ] {
        let (_, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy(amount));
        assert_eq!(outcome.points, points, "{amount}");
    }
    assert_eq!(world.member(U1).lots().len(), 3);
    assert_eq!(world.global.counts().accepted(MessageKind::Accrual), 5);
}

#[test]
fn amounts_outside_the_ledger_are_refused_without_a_panic() {
    let mut world = issue(|_| {});
    for amount_micros in [-1, i64::MIN, i64::MAX, 1_000_000_000_000_001] {
        let body = Body::Accrual {
            currency: Currency::EUR,
            amount_micros,
            points: None,
        };
        world.refused(
            "2026-02-02T10:00:00Z",
            A,
            U1,
            body,
            OutcomeCode::AmountOutOfRange,
        );
    }
    for points in [0, -5, i64::MIN, i64::MAX] {
        world.refused(
            "2026-02-02T10:00:00Z",
            A,
            U1,
            authorise(points),
            OutcomeCode::PointsOutOfRange,
        );
    }
    let largest = Body::Accrual {
        currency: Currency::EUR,
        amount_micros: 1_000_000_000_000_000,
        points: None,
    };
    world.ok("2026-02-02T10:00:00Z", A, U1, largest);
}

#[test]
fn foreign_currency_is_refused() {
    let mut world = issue(|_| {});
    let currency = Currency::new("SEK").unwrap();
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    let body = Body::Accrual {
        currency,
        amount_micros: 1_000_000,
        points: None,
    };
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        body,
        OutcomeCode::CurrencyMismatch,
    );
    let body = Body::AccrualReversal {
        original: Some(bought),
        currency,
        amount_micros: 1_000_000,
    };
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        body,
        OutcomeCode::CurrencyMismatch,
    );
}

#[test]
fn precedence_answers_the_earlier_code() {
    let mut world = issue(|_| {});
    let sek = Body::Accrual {
        currency: Currency::new("SEK").unwrap(),
        amount_micros: -1,
        points: None,
    };
    let noon = at("2026-02-02T12:00:00Z");
    let (_, outcome) = world.send(
        noon,
        at("2026-01-01T12:00:00Z"),
        MerchantIx(9),
        MemberId(0),
        sek,
    );
    assert_eq!(
        outcome.code,
        OutcomeCode::MerchantStateRefuses,
        "an unknown merchant has no window"
    );
    let (_, outcome) = world.send(noon, at("2026-02-01T11:59:59Z"), A, MemberId(0), sek);
    assert_eq!(outcome.code, OutcomeCode::EventTimeTooOld);
    let (_, outcome) = world.send(noon, noon, A, MemberId(0), sek);
    assert_eq!(outcome.code, OutcomeCode::MemberNotFound);
    let (_, outcome) = world.send(noon, noon, A, U1, sek);
    assert_eq!(outcome.code, OutcomeCode::CurrencyMismatch);
    assert!(OutcomeCode::ALL.is_sorted());
    let codes: std::collections::BTreeSet<_> =
        OutcomeCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes.len(), OutcomeCode::ALL.len());
}

// Rule 3: bonus funded by several merchants.

#[test]
fn bonuses_split_by_largest_remainder_in_order_of_promotion_and_funder() {
    let mut world = issue(|_| {});
    world.fact(promotion(
        "late",
        Bonus::Rate(rate("0.5")),
        vec![(T, 10_000)],
        None,
    ));
    world.fact(promotion(
        "early",
        Bonus::Multiplier(rate("2")),
        vec![(T, 3_333), (F, 3_333), (A, 3_334)],
        None,
    ));
    let (bought, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    assert_eq!((outcome.points, outcome.bonus_points), (25, 15));
    assert_eq!(
        funders(&world, U1),
        [(A, 10), (A, 4), (F, 3), (T, 3), (T, 5)]
    );
    // Half of it comes back: each part from its own lot.
    let (_, outcome) = world.ok("2026-02-03T10:00:00Z", A, U1, give_back(bought, "5"));
    assert_eq!(outcome.points, 5 + 5 + 3);
    assert_eq!(
        funders(&world, U1),
        [(A, 5), (A, 2), (F, 1), (T, 2), (T, 2)]
    );
    world.ok("2026-02-03T10:00:00Z", A, U1, give_back(bought, "5"));
    assert!(world.member(U1).lots().is_empty());
    for merchant in [A, F, T] {
        let fee = world
            .global
            .book()
            .iter()
            .find(|(_, price)| price.funder == merchant)
            .unwrap()
            .1
            .fee_micros;
        let points = [14, 3, 8][merchant.0 as usize];
        assert_eq!(
            world.global.open_cycle().net(merchant),
            i128::from(fee * points),
            "only the service fee stays"
        );
    }
}

#[test]
fn a_bonus_larger_than_the_rest_of_its_cap_is_not_applied_and_returns_do_not_refill() {
    let mut world = issue(|_| {});
    world.fact(promotion(
        "double",
        Bonus::Multiplier(rate("2")),
        vec![(F, 10_000)],
        Some(100),
    ));
    let (bought, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("60"));
    assert_eq!(outcome.bonus_points, 60);
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", A, U2, buy("41"))
            .1
            .bonus_points,
        0
    );
    world.ok("2026-02-02T10:00:00Z", A, U1, give_back(bought, "60"));
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", A, U2, buy("41"))
            .1
            .bonus_points,
        0
    );
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", A, U2, buy("40"))
            .1
            .bonus_points,
        40
    );
    assert_eq!(world.global.granted(PromotionIx(0)), 100);
}

#[test]
fn a_bonus_of_a_funder_that_is_not_active_or_elsewhere_is_not_applied() {
    let mut world = issue(|_| {});
    world.fact(promotion(
        "double",
        Bonus::Multiplier(rate("2")),
        vec![(F, 5_000), (A, 5_000)],
        None,
    ));
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", T, U1, buy("10"))
            .1
            .bonus_points,
        0,
        "only at A"
    );
    world.fact(Fact::MerchantState {
        merchant: F,
        state: MerchantState::Suspended,
    });
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", A, U1, buy("10"))
            .1
            .bonus_points,
        0
    );
    world.fact(Fact::MerchantState {
        merchant: F,
        state: MerchantState::Active,
    });
    assert_eq!(
        world
            .ok("2026-02-02T10:00:00Z", A, U1, buy("10"))
            .1
            .bonus_points,
        10
    );
    world.fact(Fact::PromotionEnded {
        slug: "double".into(),
        ends_at: at("2026-02-02T12:00:00Z"),
    });
    assert_eq!(
        world
            .ok("2026-02-02T12:00:00Z", A, U1, buy("10"))
            .1
            .bonus_points,
        0
    );
}

// Rule 8: late messages.

#[test]
fn late_messages_have_their_own_lines_prices_of_their_time_and_may_be_born_expired() {
    let mut world = issue(|terms| terms.max_late_micros = 400 * 86_400_000_000);
    world.now = at("2026-02-10T10:00:00Z");
    let cheaper = ProgrammeTerms {
        reserve_micros: 5_000,
        ..world.global.programme(world.now).clone()
    };
    world.fact(Fact::Programme {
        effective_at: at("2026-03-01T00:00:00Z"),
        terms: cheaper,
    });
    world.sweep(at("2026-03-10T10:00:00Z"));
    let (_, outcome) = world.send(
        at("2026-03-10T10:00:00Z"),
        at("2026-02-20T10:00:00Z"),
        A,
        U1,
        buy("10"),
    );
    assert!(outcome.late);
    assert_eq!(outcome.due_at, Some(at("2027-02-19T23:00:00Z")));
    let totals = world.global.open_cycle();
    let (key, total) = totals.lines_of(A).next().unwrap();
    assert!(key.late);
    assert_eq!(
        total.micros,
        10 * (8_000 + 1_525),
        "the reserve price of the event time"
    );
    let (_, outcome) = world.send(
        at("2026-03-10T10:00:00Z"),
        at("2026-03-09T10:00:00Z"),
        A,
        U2,
        buy("10"),
    );
    assert!(!outcome.late);
    // Born expired: posted and expired in the open cycle, never spendable.
    let (_, outcome) = world.send(
        at("2026-03-10T10:00:00Z"),
        at("2025-03-09T10:00:00Z"),
        A,
        MemberId(3),
        buy("10"),
    );
    assert_eq!((outcome.points, outcome.available_after), (10, 0));
    assert_eq!(world.global.open_cycle().counts.expired_points, 10);
    assert!(world.member(MemberId(3)).lots().is_empty());
}

#[test]
fn the_event_time_window_has_two_ends() {
    let mut world = issue(|_| {});
    let now = at("2026-02-10T10:00:00Z");
    for (seconds, code) in [
        (-86_401, OutcomeCode::EventTimeTooOld),
        (-86_400, OutcomeCode::Accepted),
        (300, OutcomeCode::Accepted),
        (301, OutcomeCode::EventTimeTooFarAhead),
    ] {
        let (_, outcome) = world.send(now, now.plus_seconds(seconds), A, U1, buy("1"));
        assert_eq!(outcome.code, code, "{seconds}");
    }
    for extreme in [Instant::MIN, Instant::NEVER] {
        let (_, outcome) = world.send(now, extreme, A, U1, buy("1"));
        assert!(matches!(
            outcome.code,
            OutcomeCode::EventTimeTooOld | OutcomeCode::EventTimeTooFarAhead
        ));
    }
}

// Rule 12: who computes.

#[test]
fn claimed_points_are_compared_or_taken_by_contract() {
    let claim = |points| Body::Accrual {
        currency: Currency::EUR,
        amount_micros: micros("10.50"),
        points,
    };
    let mut world = issue(|_| {});
    world.ok("2026-02-02T10:00:00Z", A, U1, claim(Some(10)));
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        claim(Some(11)),
        OutcomeCode::PointsMismatch,
    );

    let mut world = issue(|terms| terms.computed_by = PointsComputedBy::Merchant);
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        claim(None),
        OutcomeCode::PointsMismatch,
    );
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        claim(Some(-1)),
        OutcomeCode::PointsOutOfRange,
    );
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, claim(Some(77)));
    // floor(77 x 7 / 10.5) = 51 stay; then all goes.
    assert_eq!(
        world
            .ok("2026-02-02T11:00:00Z", A, U1, give_back(bought, "3.50"))
            .1
            .points,
        26
    );
    assert_eq!(
        world
            .ok("2026-02-02T11:00:00Z", A, U1, give_back(bought, "7"))
            .1
            .points,
        51
    );
}
