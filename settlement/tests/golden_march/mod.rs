//! The events of the golden example, as both funding modes play them.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test harness: each binary uses its own part, and a failure panics"
)]

use crate::common::*;
use hansa_settlement::*;

/// The cycle of the example.
pub const MARCH: u32 = 1;

/// Plays E1 to E9. Cycle 0 is February, where L0 is brought in; cycle 1 is March.
pub fn play(funding: FundingMode) -> World {
    let mut world = World::golden(
        funding,
        ExpiryRule::RollingMonths(36),
        NegativeBalance::Debt,
        |_| {},
    );
    world.now = at("2026-02-20T10:00:00Z");
    let opening = MemberFact::OpeningLot {
        funder: F,
        points: 1_273,
        posted_at: at("2023-03-21T11:00:00Z"),
        expires_at: at("2026-03-20T23:00:00Z"),
    };
    world.member_fact(U2, opening).unwrap();
    world.sweep(at("2026-03-01T09:00:00Z"));

    let (e1, outcome) = world.ok("2026-03-02T09:00:00Z", A, U1, buy("1509.05"));
    assert_eq!(
        (outcome.state, outcome.points, outcome.available_after),
        (MessageState::Posted, 1_509, 1_509)
    );

    world.fact(Fact::Promotion(Promotion {
        slug: "double".into(),
        bonus: Bonus::Multiplier(Rate::factor(2.into()).unwrap()),
        shares: vec![(T, 4_000), (F, 6_000)],
        cap_points: None,
        starts_at: at("2026-03-02T23:00:00Z"),
        ends_at: at("2026-03-03T23:00:00Z"),
        merchants: vec![F],
    }));
    let (_, outcome) = world.ok("2026-03-03T09:00:00Z", F, U1, buy("334.10"));
    assert_eq!(
        (
            outcome.points,
            outcome.bonus_points,
            outcome.available_after
        ),
        (668, 334, 2_177)
    );
    let member = world.member(U1);
    let parts: Vec<_> = member
        .lots()
        .iter()
        .map(|lot| (lot.remaining, world.global.book().get(lot.price).funder))
        .collect();
    assert_eq!(parts, [(1_509, A), (334, F), (200, F), (134, T)]);

    e3(&mut world);

    let (authorised, outcome) = world.ok("2026-03-05T09:00:00Z", T, U2, authorise(1_000));
    assert_eq!(outcome.available_after, 273);
    let (captured, outcome) = world.ok("2026-03-05T09:10:00Z", T, U2, capture(authorised, 800));
    assert_eq!(
        (outcome.state, outcome.available_after),
        (MessageState::Captured, 473)
    );

    let (authorised, _) = world.ok("2026-03-09T09:00:00Z", A, U1, authorise(2_000));
    world.ok("2026-03-09T09:01:00Z", A, U1, capture(authorised, 2_000));
    let left: Vec<i64> = world
        .member(U1)
        .lots()
        .iter()
        .map(|lot| lot.remaining)
        .collect();
    assert_eq!(left, [43, 134], "F's bonus before T's");

    world.sweep(at("2026-03-20T23:00:00Z"));
    assert!(world.member(U2).lots().is_empty());

    let (_, outcome) = world.ok("2026-03-25T10:00:00Z", T, U2, refund(captured, 300));
    assert_eq!(outcome.state, MessageState::PartiallyRefunded);
    let member = world.member(U2);
    assert_eq!(member.lots().len(), 1);
    let child = member.lots()[0];
    assert_eq!(
        (child.remaining, child.expires_at),
        (300, at("2026-04-23T22:00:00Z"))
    );
    assert_eq!(world.global.book().get(child.price).funder, F);

    let (_, outcome) = world.ok("2026-03-26T10:00:00Z", A, U1, give_back(e1, "339.46"));
    assert_eq!(
        (outcome.state, outcome.points, outcome.owed_points),
        (MessageState::PartiallyReversed, 340, 163)
    );

    let (_, outcome) = world.ok("2026-03-27T10:00:00Z", T, U1, buy("100.50"));
    assert_eq!(
        (outcome.points, outcome.available_after, outcome.debt_after),
        (100, 0, 63)
    );
    assert!(
        world.member(U1).lots().is_empty(),
        "no lot for points that repay a debt"
    );

    world.sweep(at("2026-03-31T22:00:00Z"));
    assert_eq!(
        world.global.cycle(CycleNo(MARCH)).unwrap().state,
        CycleState::Closed
    );
    world
}

/// E3: T's accruals wait for the return window, and this one is cancelled in it.
fn e3(world: &mut World) {
    let (_, standing) = world.global.contract(T, world.now).unwrap();
    let terms = standing.clone();
    let waiting = ContractTerms {
        pending: true,
        return_days: Some(14),
        ..terms.clone()
    };
    world.now = at("2026-03-03T20:00:00Z");
    world.fact(Fact::Contract {
        merchant: T,
        effective_at: at("2026-03-04T06:00:00Z"),
        terms: waiting,
    });
    let before = world.global.open_cycle().lines.clone();
    let (e3, outcome) = world.ok("2026-03-04T09:00:00Z", T, U2, buy("2500.00"));
    assert_eq!(
        (outcome.state, outcome.points),
        (MessageState::Pending, 2_500)
    );
    let (_, outcome) = world.ok("2026-03-04T10:00:00Z", T, U2, give_back(e3, "2500.00"));
    assert_eq!(outcome.state, MessageState::Reversed);
    assert_eq!(world.global.open_cycle().lines, before, "no journal");
    world.fact(Fact::Contract {
        merchant: T,
        effective_at: at("2026-03-04T18:00:00Z"),
        terms,
    });
}
