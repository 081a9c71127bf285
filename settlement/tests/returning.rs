//! Rules 2 and 6: returns and debts, with their refusals.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;

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
    for dropped in [false, true] {
        assert_eq!(world.member(U1).accrual(bought).is_none(), dropped);
        assert_eq!(world.member(U1).redemptions().is_empty(), dropped);
        world.refused(
            "2026-02-20T10:00:00Z",
            A,
            U1,
            give_back(bought, "1"),
            OutcomeCode::ReturnWindowClosed,
        );
    }
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
fn what_is_over_stays_over_when_a_later_contract_lets_events_be_later() {
    let mut world = issue(|terms| terms.return_days = Some(1));
    // One of them is dropped before the contract changes, the other one not.
    let (seen, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("30"));
    let (unseen, _) = world.ok("2026-02-02T10:00:00Z", A, U2, buy("30"));
    world.ok("2026-02-10T10:00:00Z", A, U1, authorise(1));
    assert!(world.member(U1).accrual(seen).is_none());
    assert!(world.member(U2).accrual(unseen).is_some());
    let terms = world.global.contract(A, world.now).unwrap().1.clone();
    let patient = ContractTerms {
        max_late_micros: 40 * 86_400_000_000,
        ..terms
    };
    world.fact(Fact::Contract {
        merchant: A,
        effective_at: at("2026-02-11T10:00:00Z"),
        terms: patient,
    });
    let told = |world: &mut World, member, bought| {
        let (decided_at, event) = (at("2026-02-12T10:00:00Z"), at("2026-02-02T12:00:00Z"));
        let back = give_back(bought, "1");
        world.send(decided_at, event, A, member, back).1.code
    };
    for (member, bought) in [(U1, seen), (U2, unseen)] {
        assert_eq!(
            told(&mut world, member, bought),
            OutcomeCode::ReturnWindowClosed
        );
    }
    // What was not over when the contract changed has the longer time.
    let (young, _) = world.ok("2026-02-12T11:00:00Z", A, U1, buy("30"));
    let (_, outcome) = world.send(
        at("2026-03-10T10:00:00Z"),
        at("2026-02-13T10:00:00Z"),
        A,
        U1,
        give_back(young, "1"),
    );
    assert_eq!(outcome.code, OutcomeCode::Accepted);
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
