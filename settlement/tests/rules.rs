//! Tables for the rules of the points ledger, their refusals included.

mod common;
use common::*;
use hansa_settlement::*;
use proptest::prelude::Strategy as _;

fn issue(change: impl Fn(&mut ContractTerms)) -> World {
    World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        change,
    )
}

fn funders(world: &World, member: MemberId) -> Vec<(MerchantIx, i64)> {
    world
        .member(member)
        .lots()
        .iter()
        .map(|lot| (world.global.book().get(lot.price).funder, lot.remaining))
        .collect()
}

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

// Rule 2: return.

#[test]
fn partial_returns_are_cumulative_and_bounded_by_the_purchase() {
    let mut world = issue(|_| {});
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10.50"));
    let mut returned = 0;
    for (amount, claim, state) in [
        ("0.40", 0, "PARTIALLY_REVERSED"),
        ("0.40", 1, "PARTIALLY_REVERSED"),
        ("9.70", 9, "REVERSED"),
    ] {
        let (_, outcome) = world.ok("2026-02-03T10:00:00Z", A, U1, give_back(bought, amount));
        assert_eq!(
            (outcome.points, outcome.state.code()),
            (claim, state),
            "{amount}"
        );
        returned += outcome.points;
    }
    assert_eq!(returned, 10);
    world.refused(
        "2026-02-03T10:00:00Z",
        A,
        U1,
        give_back(bought, "0.01"),
        OutcomeCode::ReturnExceedsPurchase,
    );
    assert_eq!(
        world.global.open_cycle().net(A),
        10 * 1_525,
        "the service fee is kept"
    );
}

#[test]
fn a_return_refunds_the_service_fee_where_the_contract_says_so() {
    let mut world = issue(|terms| terms.refunds_service_fee = true);
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    world.ok("2026-02-03T10:00:00Z", A, U1, give_back(bought, "10"));
    assert_eq!(world.global.open_cycle().net(A), 0);
    assert_eq!(
        world.line(0, A, LineKind::ServiceFeeRefund, None),
        (10, -15_250)
    );
    // A debt carries the fee with it.
    let (bought, _) = world.ok("2026-02-04T10:00:00Z", A, U1, buy("10"));
    let (held, _) = world.ok("2026-02-04T10:00:00Z", T, U1, authorise(10));
    world.ok("2026-02-04T10:00:00Z", T, U1, capture(held, 10));
    let (_, outcome) = world.ok("2026-02-04T11:00:00Z", A, U1, give_back(bought, "10"));
    assert_eq!(outcome.owed_points, 10);
    assert_eq!(
        world.line(0, A, LineKind::ServiceFeeRefund, None),
        (10, -15_250)
    );
    world.ok("2026-02-04T12:00:00Z", F, U1, buy("10"));
    assert_eq!(
        world.line(0, A, LineKind::ServiceFeeRefund, None),
        (20, -30_500)
    );
    assert_eq!(world.global.open_cycle().net(A), 0);
}

#[test]
fn returns_take_own_lots_then_others_and_leave_held_points() {
    let mut world = issue(|_| {});
    world.ok("2026-02-01T10:00:00Z", F, U1, buy("50"));
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
    world.ok("2026-02-03T10:00:00Z", T, U1, buy("20"));
    world.ok("2026-02-04T10:00:00Z", A, U1, authorise(60));
    let (_, outcome) = world.ok("2026-02-04T10:00:00Z", A, U1, give_back(bought, "30"));
    assert_eq!((outcome.points, outcome.owed_points), (30, 0));
    assert_eq!(
        funders(&world, U1),
        [(F, 50), (A, 10), (T, 10)],
        "20 own unheld points, then 10 of T"
    );
    assert_eq!(outcome.available_after, 10);
}

#[test]
fn the_policy_says_what_missing_points_become() {
    for (policy, code, owed, forgiven) in [
        (NegativeBalance::Debt, OutcomeCode::Accepted, 10, 0),
        (NegativeBalance::Floor, OutcomeCode::Accepted, 0, 10),
        (
            NegativeBalance::Reject,
            OutcomeCode::InsufficientPoints,
            0,
            0,
        ),
    ] {
        let mut world = World::golden(FundingMode::Issue, ExpiryRule::None, policy, |_| {});
        let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
        let (held, _) = world.ok("2026-02-02T11:00:00Z", T, U1, authorise(10));
        world.ok("2026-02-02T11:00:00Z", T, U1, capture(held, 10));
        let before = world.global.open_cycle().net(A);
        let (_, outcome) = world.play("2026-02-03T10:00:00Z", A, U1, give_back(bought, "30"));
        assert_eq!(
            (outcome.code, outcome.owed_points, outcome.forgiven_points),
            (code, owed, forgiven),
            "{policy:?}"
        );
        let recovered = if code == OutcomeCode::Accepted { 20 } else { 0 };
        assert_eq!(
            world.global.open_cycle().net(A) - before,
            -recovered * 8_000,
            "{policy:?}"
        );
        assert_eq!(world.member(U1).debt(), owed);
    }
}

#[test]
fn expired_points_are_not_claimed_back() {
    let mut world = issue(|_| {});
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
    let (held, _) = world.ok("2026-02-02T11:00:00Z", T, U1, authorise(10));
    world.ok("2026-02-02T11:00:00Z", T, U1, capture(held, 10));
    let (_, outcome) = world.ok("2027-02-02T10:00:00Z", A, U1, give_back(bought, "30"));
    assert_eq!(
        (outcome.points, outcome.owed_points),
        (10, 10),
        "20 of 30 expired"
    );
}

#[test]
fn returns_are_refused_when_the_window_is_over() {
    let mut world = issue(|terms| terms.return_days = Some(14));
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
    let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(10));
    let (captured, _) = world.ok("2026-02-02T10:00:00Z", T, U1, capture(held, 10));
    world.ok("2026-02-16T22:59:59Z", A, U1, give_back(bought, "1"));
    world.ok("2026-02-16T22:59:59Z", T, U1, refund(captured, 1));
    world.refused(
        "2026-02-16T23:00:00Z",
        A,
        U1,
        give_back(bought, "1"),
        OutcomeCode::ReturnWindowClosed,
    );
    world.refused(
        "2026-02-16T23:00:00Z",
        T,
        U1,
        refund(captured, 1),
        OutcomeCode::ReturnWindowClosed,
    );
    // A till that was off line may still send what happened in the window.
    let (_, outcome) = world.send(
        at("2026-02-17T10:00:00Z"),
        at("2026-02-16T22:00:00Z"),
        A,
        U1,
        give_back(bought, "1"),
    );
    assert_eq!(outcome.code, OutcomeCode::Accepted);
    // Records are dropped when nothing can name them any more; the answer stays the same.
    world.ok("2026-02-20T10:00:00Z", A, U1, buy("1"));
    assert!(
        world.member(U1).accrual(bought).is_none() && world.member(U1).redemptions().is_empty()
    );
    world.refused(
        "2026-02-20T10:00:00Z",
        A,
        U1,
        give_back(bought, "1"),
        OutcomeCode::ReturnWindowClosed,
    );
    world.refused(
        "2026-02-20T10:00:00Z",
        T,
        U1,
        refund(captured, 1),
        OutcomeCode::ReturnWindowClosed,
    );
    world.refused(
        "2026-02-20T10:00:00Z",
        T,
        U1,
        capture(held, 1),
        OutcomeCode::HoldExpired,
    );
}

#[test]
fn originals_must_be_known_and_own() {
    let mut world = issue(|_| {});
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
    let (held, _) = world.ok("2026-02-02T10:00:00Z", A, U1, authorise(10));
    let now = "2026-02-02T11:00:00Z";
    let unknown = Body::AccrualReversal {
        original: None,
        currency: Currency::EUR,
        amount_micros: 1,
    };
    for (sender, member, body) in [
        (A, U1, unknown),
        (
            A,
            U1,
            Body::Capture {
                authorisation: None,
                points: 1,
            },
        ),
        (
            A,
            U1,
            Body::Void {
                authorisation: None,
            },
        ),
        (
            A,
            U1,
            Body::Refund {
                capture: None,
                points: 1,
            },
        ),
        (A, U1, give_back(held, "1")),
        (A, U2, give_back(bought, "1")),
        (T, U1, give_back(bought, "1")),
        (T, U1, capture(held, 1)),
        (T, U1, void(held)),
        (A, U2, capture(held, 1)),
        (A, U1, refund(held, 1)),
    ] {
        world.refused(now, sender, member, body, OutcomeCode::OriginalNotFound);
    }
}

// Rule 3: bonus funded by several merchants.

fn promotion(
    slug: &str,
    bonus: Bonus,
    shares: Vec<(MerchantIx, u32)>,
    cap_points: Option<i64>,
) -> Fact {
    let (starts_at, ends_at) = (at("2026-02-01T00:00:00Z"), at("2026-03-01T00:00:00Z"));
    Fact::Promotion(Promotion {
        slug: slug.into(),
        bonus,
        shares,
        cap_points,
        starts_at,
        ends_at,
        merchants: vec![A],
    })
}

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

// Rule 4: burn.

#[test]
fn holds_are_captured_once_in_hold_order_and_the_rest_is_released() {
    let mut world = issue(|_| {});
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    world.ok("2026-02-03T10:00:00Z", F, U1, buy("10"));
    let (held, outcome) = world.ok("2026-02-04T10:00:00Z", T, U1, authorise(15));
    assert_eq!(
        (outcome.state, outcome.available_after),
        (MessageState::Authorised, 5)
    );
    assert_eq!(outcome.due_at, Some(at("2026-02-04T11:00:00Z")));
    world.refused(
        "2026-02-04T10:00:00Z",
        T,
        U1,
        authorise(6),
        OutcomeCode::InsufficientPoints,
    );
    world.refused(
        "2026-02-04T10:00:00Z",
        T,
        U1,
        capture(held, 16),
        OutcomeCode::CaptureExceedsAuthorisation,
    );
    let (_, outcome) = world.ok("2026-02-04T10:30:00Z", T, U1, capture(held, 12));
    assert_eq!(outcome.available_after, 8);
    assert_eq!(funders(&world, U1), [(F, 8)]);
    world.refused(
        "2026-02-04T10:30:00Z",
        T,
        U1,
        capture(held, 1),
        OutcomeCode::AlreadyCaptured,
    );
    world.refused(
        "2026-02-04T10:30:00Z",
        T,
        U1,
        void(held),
        OutcomeCode::AlreadyCaptured,
    );
    let (held, _) = world.ok("2026-02-04T10:30:00Z", T, U1, authorise(8));
    assert_eq!(
        world
            .ok("2026-02-04T10:31:00Z", T, U1, void(held))
            .1
            .available_after,
        8
    );
    world.refused(
        "2026-02-04T10:31:00Z",
        T,
        U1,
        capture(held, 1),
        OutcomeCode::AlreadyVoided,
    );
}

#[test]
fn a_hold_that_ended_and_its_capture_have_one_winner() {
    for (time, code) in [
        ("2026-02-04T10:59:59.999999Z", OutcomeCode::Accepted),
        ("2026-02-04T11:00:00Z", OutcomeCode::HoldExpired),
    ] {
        let mut world = issue(|_| {});
        world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
        let (held, _) = world.ok("2026-02-04T10:00:00Z", T, U1, authorise(10));
        let (_, outcome) = world.play(time, T, U1, capture(held, 10));
        assert_eq!(outcome.code, code, "{time}");
        assert_eq!(
            outcome.available_after,
            if code == OutcomeCode::Accepted { 0 } else { 10 }
        );
        world.sweep(at("2026-02-05T11:00:00Z"));
        let (_, outcome) = world.play("2026-02-05T11:00:00Z", T, U1, capture(held, 10));
        assert_ne!(outcome.code, OutcomeCode::Accepted);
    }
}

#[test]
fn held_points_do_not_expire_and_released_ones_expire_at_their_release() {
    let mut world = issue(|_| {});
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    let almost = "2027-02-01T22:30:00Z"; // the lot expires at 23:00 UTC, the hold ends at 23:30
    let (held, _) = world.ok(almost, T, U1, authorise(6));
    world.sweep(at("2027-02-01T23:10:00Z"));
    assert_eq!(
        world.member(U1).lots()[0].remaining,
        6,
        "4 expired, 6 are held"
    );
    let (captured, outcome) = world.ok("2027-02-01T23:20:00Z", T, U1, capture(held, 5));
    assert_eq!(outcome.available_after, 0);
    assert!(
        world.member(U1).lots().is_empty(),
        "the released point expired at once"
    );
    assert_eq!(world.global.counts().expired_points, 5);
    // Floored per event: 4 points and 1 point.
    assert_eq!(
        world.line(12, A, LineKind::BreakageShare, None),
        (5, -(32_000 * 3_333 / 10_000 + 8_000 * 3_333 / 10_000))
    );
    let (_, outcome) = world.ok("2027-02-05T10:00:00Z", T, U1, refund(captured, 5));
    assert_eq!(outcome.available_after, 5, "to a child lot with grace");
    assert_eq!(
        world.member(U1).lots()[0].expires_at,
        at("2027-03-06T23:00:00Z")
    );
}

#[test]
fn a_minimum_burn_is_asked_for() {
    let mut world = issue(|terms| terms.minimum_burn_points = 5);
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U1,
        authorise(4),
        OutcomeCode::BelowMinimumBurn,
    );
    world.ok("2026-02-02T10:00:00Z", A, U1, authorise(5));
}

// Rule 5: refund of a capture.

#[test]
fn partial_refunds_go_back_in_reverse_and_give_back_the_fee_exactly() {
    let mut world = issue(|terms| terms.redemption_fee_bps = 333);
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("7"));
    world.ok("2026-02-03T10:00:00Z", F, U1, buy("7"));
    let (held, _) = world.ok("2026-02-04T10:00:00Z", T, U1, authorise(14));
    let (captured, _) = world.ok("2026-02-04T10:00:00Z", T, U1, capture(held, 14));
    for (points, expected, state) in [
        (3, vec![(F, 3)], MessageState::PartiallyRefunded),
        (5, vec![(A, 1), (F, 7)], MessageState::PartiallyRefunded),
        (6, vec![(A, 7), (F, 7)], MessageState::Refunded),
    ] {
        let (_, outcome) = world.ok("2026-02-05T10:00:00Z", T, U1, refund(captured, points));
        assert_eq!((funders(&world, U1), outcome.state), (expected, state));
    }
    assert_eq!(world.global.open_cycle().net(T), 0);
    assert_eq!(world.global.open_cycle().hub.redemption_fee_micros, 0);
    world.refused(
        "2026-02-05T10:00:00Z",
        T,
        U1,
        refund(captured, 1),
        OutcomeCode::RefundExceedsCapture,
    );
}

// Rule 6: debt.

#[test]
fn debt_is_repaid_by_every_route_oldest_first() {
    let indebted = || {
        let mut world = issue(|_| {});
        let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
        let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(10));
        (world, bought, held)
    };
    let (mut world, bought, held) = indebted();
    world.ok("2026-02-02T10:10:00Z", A, U1, give_back(bought, "10"));
    assert_eq!(world.member(U1).debt(), 10, "held points are not taken");
    let (_, outcome) = world.ok("2026-02-02T10:20:00Z", T, U1, void(held));
    assert_eq!(
        (outcome.debt_after, outcome.available_after),
        (0, 0),
        "released points repay"
    );
    assert!(world.member(U1).lots().is_empty());

    let (mut world, bought, _) = indebted();
    world.ok("2026-02-02T10:10:00Z", A, U1, give_back(bought, "10"));
    world.sweep(at("2026-02-02T11:00:00Z"));
    assert_eq!(
        world.member(U1).debt(),
        0,
        "so does a hold that ends by time"
    );

    let (mut world, bought, held) = indebted();
    let (captured, _) = world.ok("2026-02-02T10:05:00Z", T, U1, capture(held, 10));
    world.ok("2026-02-02T10:10:00Z", A, U1, give_back(bought, "10"));
    let (other, _) = world.ok("2026-02-02T10:10:00Z", F, U1, buy("0.5"));
    assert_eq!(world.member(U1).debt(), 10);
    let (_, outcome) = world.ok("2026-02-02T10:20:00Z", T, U1, refund(captured, 4));
    assert_eq!(
        (outcome.debt_after, outcome.available_after),
        (6, 0),
        "so does a refund"
    );
    assert_eq!(
        world
            .ok("2026-02-02T10:30:00Z", F, U1, buy("8"))
            .1
            .available_after,
        2
    );
    assert_eq!(
        world.line(0, A, LineKind::ReversalRecovered, None),
        (10, -80_000)
    );
    assert!(world.member(U1).accrual(other).is_some());
}

// Rule 7: exactness is shown by the golden runs and by the properties.

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

// Rule 9: moves between members.

#[test]
fn a_merge_moves_everything_and_repays_debt_at_once() {
    let mut world = issue(|_| {});
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(10));
    world.ok("2026-02-02T10:00:00Z", T, U1, capture(held, 10));
    world.ok("2026-02-02T10:00:00Z", A, U1, give_back(bought, "10"));
    let (other, _) = world.ok("2026-02-02T10:00:00Z", F, U2, buy("25"));
    let lot = world.member(U2).lots()[0];
    assert_eq!(world.merge(U1, U1), Err(MemberFactRefusal::SameMember));
    world.merge(U1, U2).unwrap();
    assert!(world.member(U1).is_empty());
    let member = world.member(U2);
    assert_eq!((member.debt(), member.available(world.now)), (0, 15));
    assert_eq!(
        (member.lots()[0].key, member.lots()[0].expires_at),
        (lot.key, lot.expires_at)
    );
    assert!(member.accrual(bought).is_some() && member.accrual(other).is_some());
    assert_eq!(
        world.line(0, A, LineKind::ReversalRecovered, None),
        (10, -80_000)
    );
}

// Rule 10: reinstatement.

#[test]
fn reinstatement_reverses_the_journal_of_the_expiry() {
    let mut world = issue(|_| {});
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    world.sweep(at("2027-02-02T10:00:00Z"));
    let net = world.global.open_cycle().net(A);
    let origin = LotKey {
        pos: bought,
        part: 0,
    };
    let expired_at = at("2027-02-01T23:00:00Z");
    let fact = |points| MemberFact::Reinstatement {
        origin,
        points,
        expired_at,
    };
    assert_eq!(
        world.member_fact(U1, fact(11)),
        Err(MemberFactRefusal::NothingExpired)
    );
    world.member_fact(U1, fact(10)).unwrap();
    assert_eq!(world.member(U1).available(world.now), 10);
    assert_eq!(
        world.global.open_cycle().net(A) - net,
        80_000 * 3_333 / 10_000
    );
    assert_eq!(world.global.hub_balances().breakage_micros, 0);
    assert_eq!(
        world.member_fact(U1, fact(1)),
        Err(MemberFactRefusal::NothingExpired)
    );
}

// Rule 11: merchant states, closing, caps.

#[test]
fn each_state_accepts_what_its_row_says() {
    use MerchantState::{Active, BurnOnly, Closed, Onboarding, Suspended, WindingDown};
    //              accrual authorise capture void refund return
    let table = [
        (Onboarding, [false; 6]),
        (Active, [true; 6]),
        (BurnOnly, [false, true, true, true, true, true]),
        (WindingDown, [false, false, true, true, true, true]),
        (Suspended, [false, false, false, true, true, true]),
        (Closed, [false; 6]),
    ];
    let now = "2026-02-02T10:10:00Z";
    for (state, row) in table {
        let mut world = issue(|_| {});
        let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("100"));
        let (first, _) = world.ok("2026-02-02T10:00:00Z", A, U1, authorise(10));
        let (captured, _) = world.ok("2026-02-02T10:00:00Z", A, U1, capture(first, 10));
        let (second, _) = world.ok("2026-02-02T10:00:00Z", A, U1, authorise(10));
        let (third, _) = world.ok("2026-02-02T10:00:00Z", A, U1, authorise(10));
        if state == Onboarding {
            let merchant = MerchantIx(3);
            let roles = Roles {
                earn: true,
                burn: true,
                affiliate: false,
            };
            world.fact(Fact::MerchantOnboarded {
                slug: "n".into(),
                name: "N".into(),
                roles,
            });
            world.fact(Fact::Contract {
                merchant,
                effective_at: world.now,
                terms: contract(FundingMode::Issue, 0),
            });
            world.refused(
                now,
                merchant,
                U1,
                buy("1"),
                OutcomeCode::MerchantStateRefuses,
            );
            continue;
        }
        world.fact(Fact::MerchantState { merchant: A, state });
        let bodies = [
            buy("10"),
            authorise(5),
            capture(second, 10),
            void(third),
            refund(captured, 1),
            give_back(bought, "1"),
        ];
        for (body, accepted) in bodies.into_iter().zip(row) {
            let (_, outcome) = world.play(now, A, U1, body);
            let code = if accepted {
                OutcomeCode::Accepted
            } else {
                OutcomeCode::MerchantStateRefuses
            };
            assert_eq!(outcome.code, code, "{state:?} {body:?}");
        }
    }
}

#[test]
fn roles_and_contracts_are_needed() {
    let mut world = issue(|_| {});
    let merchant = MerchantIx(3);
    world.fact(Fact::MerchantOnboarded {
        slug: "n".into(),
        name: "N".into(),
        roles: Roles::default(),
    });
    world.fact(Fact::MerchantState {
        merchant,
        state: MerchantState::Active,
    });
    world.refused(
        "2026-02-02T10:00:00Z",
        merchant,
        U1,
        buy("1"),
        OutcomeCode::ContractNotFound,
    );
    world.fact(Fact::Contract {
        merchant,
        effective_at: at("2026-02-02T00:00:00Z"),
        terms: contract(FundingMode::Issue, 0),
    });
    world.refused(
        "2026-02-02T10:00:00Z",
        merchant,
        U1,
        buy("1"),
        OutcomeCode::RoleMissing,
    );
    world.refused(
        "2026-02-02T10:00:00Z",
        merchant,
        U1,
        authorise(1),
        OutcomeCode::RoleMissing,
    );
}

#[test]
fn a_burn_merchant_closes_only_when_prefunded() {
    let mut world = World::golden(
        FundingMode::Burn,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        |_| {},
    );
    world.ok("2026-02-02T10:00:00Z", F, U1, buy("100"));
    let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(30));
    let (captured, _) = world.ok("2026-02-02T10:00:00Z", T, U1, capture(held, 30));
    let close = Fact::MerchantState {
        merchant: F,
        state: MerchantState::Closed,
    };
    assert_eq!(
        world.try_fact(close.clone()),
        Err(FactRefusal::NotPrefunded)
    );
    world.fact(Fact::Prefunding { merchant: F });
    assert_eq!(world.line(0, F, LineKind::Prefunding, None), (70, 560_000));
    assert_eq!(world.global.hub_balances().reserve_micros, -560_000);
    world.fact(close);
    // Its points live on as ISSUE points, refunded ones included.
    let (held, _) = world.ok("2026-02-02T10:30:00Z", A, U1, authorise(70));
    world.ok("2026-02-02T10:30:00Z", A, U1, capture(held, 70));
    assert_eq!(world.global.hub_balances().reserve_micros, 0);
    world.ok("2026-02-02T10:30:00Z", T, U1, refund(captured, 30));
    assert_eq!(world.global.hub_balances().reserve_micros, -240_000);
    assert_eq!(
        world.try_fact(Fact::MerchantState {
            merchant: F,
            state: MerchantState::Active
        }),
        Err(FactRefusal::StateChange)
    );
    let (global, members) = world.replayed(3, |_| 4);
    assert_eq!(global.snapshot(), world.global.snapshot());
    assert_eq!(members[&U1], world.member(U1));
}

#[test]
fn only_accruals_meet_a_cap_and_a_member_never_does() {
    for (funding, cap) in [
        (FundingMode::Issue, "0.9525"),
        (FundingMode::Burn, "0.9525"),
    ] {
        let mut world = World::golden(
            funding,
            ExpiryRule::RollingMonths(12),
            NegativeBalance::Debt,
            |terms| {
                terms.net_debit_cap_micros = Some(micros(cap) - 100_000);
                terms.collateral_micros = 100_000;
            },
        );
        let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("100"));
        assert_eq!(world.global.exposure(A, world.now), 952_500, "{funding:?}");
        world.refused(
            "2026-02-02T10:00:00Z",
            A,
            U1,
            buy("1"),
            OutcomeCode::LimitExceeded,
        );
        world.ok("2026-02-02T10:00:00Z", A, U1, buy("0.5"));
        world.ok("2026-02-02T10:00:00Z", F, U1, buy("10"));
        let (held, _) = world.ok("2026-02-02T10:00:00Z", A, U1, authorise(50));
        let (captured, _) = world.ok("2026-02-02T10:00:00Z", A, U1, capture(held, 50));
        world.ok("2026-02-02T10:00:00Z", A, U1, refund(captured, 50));
        world.ok("2026-02-02T10:00:00Z", A, U1, give_back(bought, "100"));
        world.ok("2026-02-02T10:00:00Z", A, U1, buy("50"));
        // A bonus that the funder cannot cover refuses the accrual that it would fund.
        world.fact(promotion(
            "bonus",
            Bonus::Rate(rate("1")),
            vec![(F, 10_000)],
            None,
        ));
        world.refused(
            "2026-02-02T10:00:00Z",
            A,
            U1,
            buy("95"),
            OutcomeCode::LimitExceeded,
        );
    }
}

#[test]
fn settling_a_cycle_frees_exposure() {
    let mut world = issue(|terms| terms.net_debit_cap_micros = Some(1_000_000));
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("100"));
    world.sweep(at("2026-03-02T10:00:00Z"));
    world.refused(
        "2026-03-02T10:00:00Z",
        A,
        U1,
        buy("100"),
        OutcomeCode::LimitExceeded,
    );
    world.fact(Fact::CycleSettled { cycle: CycleNo(0) });
    assert_eq!(
        world.global.exposure(A, world.now),
        2_500,
        "what the payment of 0.95 left"
    );
    world.ok("2026-03-02T10:00:00Z", A, U1, buy("100"));
    assert_eq!(
        world.try_fact(Fact::CycleSettled { cycle: CycleNo(1) }),
        Err(FactRefusal::CycleState)
    );
}

#[test]
fn an_earn_cap_bounds_the_base_points_of_a_cycle() {
    let mut world = issue(|terms| terms.earn_cap_points = Some(100));
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("70"));
    world.refused(
        "2026-02-02T10:00:00Z",
        A,
        U2,
        buy("31"),
        OutcomeCode::LimitExceeded,
    );
    world.ok("2026-02-02T10:00:00Z", A, U2, buy("30"));
    world.ok("2026-02-02T10:00:00Z", F, U2, buy("31"));
    world.ok("2026-03-02T10:00:00Z", A, U2, buy("31"));
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

#[test]
fn codes_of_random_members_never_decode_into_a_panic() {
    let mut runner = proptest::test_runner::TestRunner::default();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..200).prop_map(|mut bytes| {
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        bytes
    });
    runner
        .run(&bytes, |bytes| {
            if let Ok(member) = Member::decode(&bytes) {
                proptest::prop_assert_eq!(Member::decode(&member.encode()).unwrap(), member);
            }
            Ok(())
        })
        .unwrap();
}
