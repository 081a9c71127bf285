//! Rules 4 and 5: redemptions and refunds, with their refusals.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;

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
