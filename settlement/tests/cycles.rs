//! Time, pending accruals, cycles and facts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::*;

fn world(change: impl Fn(&mut ContractTerms)) -> World {
    World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(1),
        NegativeBalance::Debt,
        change,
    )
}

fn closed(cycle: u32) -> Fact {
    Fact::CycleClosed {
        cycle: CycleNo(cycle),
        digest: [0; 32],
    }
}

#[test]
fn due_work_behind_the_cut_belongs_to_the_closing_cycle_by_its_instant() {
    let mut world = world(|_| {});
    // Expires at the closing instant of February, 1 March 00:00 in Berlin.
    world.ok("2026-02-01T10:00:00Z", A, U1, buy("100"));
    world.ok("2026-02-03T10:00:00Z", A, U2, buy("100"));
    let (_, outcome) = world.ok("2026-03-05T10:00:00Z", T, U2, buy("1"));
    assert_eq!(outcome.cycle, CycleNo(1));
    assert_eq!(
        world.line(1, A, LineKind::BreakageShare, None).0,
        100,
        "U2's lot expired in March"
    );
    let closing = world.global.cycle(CycleNo(0)).unwrap();
    assert_eq!(closing.state, CycleState::Closing);
    assert_eq!(world.try_fact(closed(0)), Err(FactRefusal::DueWorkLeft));
    assert_eq!(world.global.closable_cycle(), None);
    world.sweep(at("2026-03-05T10:00:00Z"));
    assert_eq!(
        world.line(0, A, LineKind::BreakageShare, None).0,
        100,
        "U1's lot expired at February's close"
    );
    assert_eq!(
        world.global.cycle(CycleNo(0)).unwrap().state,
        CycleState::Closed
    );
}

#[test]
fn a_closed_cycle_never_changes() {
    let mut world = world(|terms| terms.max_late_micros = 60 * 86_400_000_000);
    let (bought, _) = world.ok("2026-02-10T10:00:00Z", A, U1, buy("100"));
    world.sweep(at("2026-03-02T10:00:00Z"));
    let digest = world.global.cycle(CycleNo(0)).unwrap().canonical_bytes();
    world.send(
        at("2026-03-03T10:00:00Z"),
        at("2026-02-20T10:00:00Z"),
        A,
        U1,
        buy("7"),
    );
    world.ok("2026-03-03T10:00:00Z", A, U1, give_back(bought, "50"));
    world.sweep(at("2026-05-02T10:00:00Z"));
    world.settle_and_pay(0);
    assert_eq!(
        world.global.cycle(CycleNo(0)).unwrap().canonical_bytes(),
        digest
    );
}

#[test]
fn a_cut_by_hand_divides_by_log_order_not_by_instants() {
    let mut world = World::new(
        programme(ExpiryRule::None, NegativeBalance::Debt),
        "2026-02-01T00:00:00Z",
        CycleSchedule::Manual,
    );
    world.merchant("a", contract(FundingMode::Issue, 0));
    let noon = "2026-02-10T12:00:00Z";
    assert_eq!(world.ok(noon, A, U1, buy("1")).1.cycle, CycleNo(0));
    let late = Fact::CycleCut {
        closes_at: at("2026-02-10T12:00:01Z"),
    };
    assert_eq!(world.try_fact(late), Err(FactRefusal::CutOutOfPlace));
    world.fact(Fact::CycleCut {
        closes_at: at(noon),
    });
    assert_eq!(world.ok(noon, A, U1, buy("1")).1.cycle, CycleNo(1));
    assert_eq!(world.global.next_close(), None);
    for no in 0..2 {
        assert_eq!(
            world.global.cycle(CycleNo(no)).unwrap().counts.messages(),
            1
        );
    }
    assert_eq!(world.try_fact(closed(1)), Err(FactRefusal::CycleState));
    world.fact(closed(0));
    assert_eq!(world.try_fact(closed(0)), Err(FactRefusal::CycleState));
}

#[test]
fn a_pending_accrual_posts_by_time_in_the_cycle_of_its_posting() {
    let mut world = World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        |terms| {
            terms.pending = true;
            terms.return_days = Some(14);
        },
    );
    let (bought, outcome) = world.ok("2026-02-20T10:00:00Z", A, U1, buy("100.90"));
    assert_eq!(
        (outcome.state, outcome.points, outcome.available_after),
        (MessageState::Pending, 100, 0)
    );
    assert_eq!(outcome.due_at, Some(at("2026-03-06T23:00:00Z")));
    assert_eq!(world.global.exposure(A, world.now), 100 * 9_525);
    world.refused(
        "2026-02-20T11:00:00Z",
        A,
        U1,
        authorise(1),
        OutcomeCode::InsufficientPoints,
    );
    let (_, outcome) = world.ok("2026-02-21T10:00:00Z", A, U1, give_back(bought, "50"));
    assert_eq!((outcome.state, outcome.points), (MessageState::Pending, 50));
    world.refused(
        "2026-02-21T10:00:00Z",
        A,
        U1,
        give_back(bought, "50.91"),
        OutcomeCode::ReturnExceedsPurchase,
    );
    assert_eq!(world.member(U1).pending(), 50);
    world.sweep(at("2026-03-06T22:59:59Z"));
    assert!(world.global.cycle(CycleNo(0)).unwrap().lines.is_empty());
    world.sweep(at("2026-03-06T23:00:00Z"));
    assert_eq!(
        world.line(1, A, LineKind::BaseAccrual, None),
        (50, 50 * 9_525)
    );
    let lot = world.member(U1).lots()[0];
    assert_eq!(
        (lot.posted_at, lot.expires_at),
        (at("2026-02-20T10:00:00Z"), at("2027-02-19T23:00:00Z"))
    );
    assert_eq!(world.global.exposure(A, world.now), 50 * 9_525);
    // A return of the window that arrives behind it is a journal.
    let (_, outcome) = world.send(
        world.now,
        at("2026-03-06T22:00:00Z"),
        A,
        U1,
        give_back(bought, "50.90"),
    );
    assert_eq!(
        (outcome.state, outcome.points),
        (MessageState::Reversed, 50)
    );
}

#[test]
fn a_pending_bonus_is_lowered_with_its_shares_and_posts_them() {
    let mut world = World::golden(
        FundingMode::Burn,
        ExpiryRule::RollingMonths(12),
        NegativeBalance::Debt,
        |terms| {
            terms.pending = true;
            terms.return_days = Some(1);
        },
    );
    world.fact(Fact::Promotion(Promotion {
        slug: "double".into(),
        bonus: Bonus::Multiplier(rate("2")),
        shares: vec![(F, 6_000), (T, 4_000)],
        cap_points: Some(334),
        starts_at: at("2026-02-01T00:00:00Z"),
        ends_at: at("2026-03-01T00:00:00Z"),
        merchants: vec![],
    }));
    let (bought, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("334"));
    assert_eq!((outcome.points, outcome.bonus_points), (668, 334));
    world.ok("2026-02-02T11:00:00Z", A, U1, give_back(bought, "324"));
    assert_eq!(
        world
            .ok("2026-02-02T11:00:00Z", A, U2, buy("1"))
            .1
            .bonus_points,
        0,
        "the cap is not refilled"
    );
    world.sweep(at("2026-02-10T10:00:00Z"));
    assert_eq!(world.line(0, A, LineKind::BaseFee, None).0, 10 + 1);
    assert_eq!(world.line(0, F, LineKind::PromotionFee, None).0, 6);
    assert_eq!(world.line(0, T, LineKind::PromotionFee, None).0, 4);
}

/// The golden alliance where purchases wait for the end of a window of a day.
fn waiting(change: impl Fn(&mut ContractTerms)) -> World {
    issue(|terms| {
        terms.pending = true;
        terms.return_days = Some(1);
        change(terms);
    })
}

#[test]
fn a_smaller_pending_bonus_may_give_a_point_to_a_funder_that_had_none() {
    let mut world = waiting(|_| {});
    // Of 10 points 4.7, 4.7 and 0.6: the remainders are the others'. Of 9 points 4.23, 4.23 and 0.54: the last point is T's.
    world.fact(promotion(
        "thirds",
        Bonus::Rate(rate("1")),
        vec![(A, 4_700), (F, 4_700), (T, 600)],
        None,
    ));
    let (bought, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    assert_eq!((outcome.points, outcome.bonus_points), (20, 10));
    let (_, outcome) = world.ok("2026-02-02T11:00:00Z", A, U1, give_back(bought, "1"));
    assert_eq!(
        outcome.points, 2,
        "a point of the base and one of the bonus"
    );
    assert_eq!(world.member(U1).pending(), 18);
    world.sweep(at("2026-02-10T10:00:00Z"));
    let share = |world: &World, funder| world.line(0, funder, LineKind::PromotionShare, None).0;
    assert_eq!([A, F, T].map(|funder| share(&world, funder)), [4, 4, 1]);
}

#[test]
fn several_returns_of_points_that_a_merchant_said_come_to_the_same_as_one() {
    let buy = |points| Body::Accrual {
        currency: Currency::EUR,
        amount_micros: micros("100"),
        points: Some(points),
    };
    let mut world = waiting(|terms| terms.computed_by = PointsComputedBy::Merchant);
    let (once, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy(10));
    let (twice, _) = world.ok("2026-02-02T10:00:00Z", A, U2, buy(10));
    world.ok("2026-02-02T11:00:00Z", A, U1, give_back(once, "46"));
    world.ok("2026-02-02T11:00:00Z", A, U2, give_back(twice, "45"));
    assert_eq!(world.member(U2).pending(), 5, "of 5.5");
    world.ok("2026-02-02T12:00:00Z", A, U2, give_back(twice, "1"));
    assert_eq!(world.member(U1).pending(), 5, "of 5.4");
    assert_eq!(world.member(U2).pending(), 5);
    // Told late, behind the posting: still in proportion to the whole.
    world.sweep(at("2026-02-03T23:00:00Z"));
    for (member, bought) in [(U1, once), (U2, twice)] {
        let back = give_back(bought, "4");
        let (_, outcome) = world.send(
            at("2026-02-04T10:00:00Z"),
            at("2026-02-03T22:00:00Z"),
            A,
            member,
            back,
        );
        assert_eq!((outcome.code, outcome.points), (OutcomeCode::Accepted, 0));
    }
}

#[test]
fn posted_pending_points_repay_a_debt() {
    let mut world = World::golden(
        FundingMode::Issue,
        ExpiryRule::None,
        NegativeBalance::Debt,
        |terms| terms.return_days = Some(3),
    );
    let (bought, _) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    let (held, _) = world.ok("2026-02-02T10:00:00Z", T, U1, authorise(10));
    world.ok("2026-02-02T10:00:00Z", T, U1, capture(held, 10));
    world.ok("2026-02-02T10:00:00Z", A, U1, give_back(bought, "10"));
    let (_, terms) = world.global.contract(F, world.now).unwrap();
    let pending = ContractTerms {
        pending: true,
        ..terms.clone()
    };
    world.fact(Fact::Contract {
        merchant: F,
        effective_at: at("2026-02-03T00:00:00Z"),
        terms: pending,
    });
    assert_eq!(
        world
            .ok("2026-02-03T10:00:00Z", F, U1, buy("25"))
            .1
            .debt_after,
        10
    );
    world.sweep(at("2026-02-10T10:00:00Z"));
    assert_eq!(
        (
            world.member(U1).debt(),
            world.member(U1).available(world.now)
        ),
        (0, 15)
    );
}

#[test]
fn activity_moves_the_expiry_of_all_lots() {
    let mut world = World::golden(
        FundingMode::Issue,
        ExpiryRule::InactivityMonths(2),
        NegativeBalance::Debt,
        |_| {},
    );
    let expiries = |world: &World| {
        world
            .member(U1)
            .lots()
            .iter()
            .map(|lot| lot.expires_at)
            .collect::<Vec<_>>()
    };
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    world.ok("2026-03-10T10:00:00Z", F, U1, buy("10"));
    assert_eq!(expiries(&world), [at("2026-05-09T22:00:00Z"); 2]);
    let (held, _) = world.ok("2026-04-10T10:00:00Z", T, U1, authorise(5));
    assert_eq!(
        expiries(&world),
        [at("2026-05-09T22:00:00Z"); 2],
        "an authorisation is no activity"
    );
    world.ok("2026-04-10T10:00:00Z", T, U1, capture(held, 5));
    assert_eq!(expiries(&world), [at("2026-06-09T22:00:00Z"); 2]);
    // A late event does not move it back.
    world.send(
        at("2026-04-10T12:00:00Z"),
        at("2026-04-09T13:00:00Z"),
        A,
        U1,
        buy("10"),
    );
    assert_eq!(expiries(&world), [at("2026-06-09T22:00:00Z"); 3]);
    world.sweep(at("2026-06-09T22:00:00Z"));
    assert!(world.member(U1).lots().is_empty());
}

#[test]
fn fixed_sweeps_and_no_expiry() {
    let sweep = ExpiryRule::FixedSweep(vec![(3, 31)]);
    let mut world = World::golden(FundingMode::Burn, sweep, NegativeBalance::Debt, |_| {});
    world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    assert_eq!(
        world.member(U1).next_due(),
        Some(at("2026-03-30T22:00:00Z"))
    );
    world.sweep(at("2026-03-30T22:00:00Z"));
    assert_eq!(
        world.line(1, A, LineKind::BurnExpired, None),
        (10, 0),
        "a BURN lot expires without a journal"
    );
    let mut world = World::golden(
        FundingMode::Burn,
        ExpiryRule::None,
        NegativeBalance::Debt,
        |_| {},
    );
    let (_, outcome) = world.ok("2026-02-02T10:00:00Z", A, U1, buy("10"));
    assert_eq!((outcome.due_at, world.member(U1).next_due()), (None, None));
    world.sweep(at("2030-02-02T10:00:00Z"));
    assert_eq!(world.member(U1).available(world.now), 10);
}

#[test]
fn lots_burn_by_expiry_then_posting_then_place() {
    let mut world = World::golden(
        FundingMode::Issue,
        ExpiryRule::RollingMonths(1),
        NegativeBalance::Debt,
        |_| {},
    );
    world.ok("2026-02-20T10:00:00Z", A, U1, buy("1"));
    world.ok("2026-02-20T10:00:00Z", F, U1, buy("2"));
    // Posted later in the log, but earlier in time.
    world.send(
        at("2026-02-20T11:00:00Z"),
        at("2026-02-20T09:00:00Z"),
        T,
        U1,
        buy("3"),
    );
    world.send(
        at("2026-02-20T11:00:00Z"),
        at("2026-02-19T12:00:00Z"),
        A,
        U1,
        buy("4"),
    );
    let order: Vec<i64> = world
        .member(U1)
        .lots()
        .iter()
        .map(|lot| lot.remaining)
        .collect();
    assert_eq!(order, [4, 3, 1, 2]);
}

#[test]
fn a_balance_read_sees_what_is_overdue() {
    let mut world = world(|_| {});
    world.ok("2026-02-10T10:00:00Z", A, U1, buy("10"));
    let (_, outcome) = world.ok("2026-02-20T10:00:00Z", F, U1, buy("5"));
    assert_eq!(outcome.available_after, 15);
    let (_, outcome) = world.ok("2026-02-20T10:00:00Z", F, U1, authorise(12));
    assert_eq!(outcome.available_after, 3);
    let member = world.member(U1);
    for (time, available) in [
        ("2026-02-20T10:59:59Z", 3),
        ("2026-02-20T11:00:00Z", 15),
        ("2026-03-09T23:00:00Z", 5),
        ("2026-03-19T23:00:00Z", 0),
    ] {
        assert_eq!(member.available(at(time)), available, "{time}");
        let mut swept = member.clone();
        due_mut(
            &world.global,
            &mut swept,
            at(time).min(world.global.next_close().unwrap()),
            Pos::new(99, 0),
        );
        assert_eq!(swept.available(at(time)), available, "{time}");
    }
}

#[test]
fn facts_are_refused_by_name_and_change_nothing() {
    let mut world = world(|_| {});
    world.now = at("2026-02-10T10:00:00Z");
    let before = world.global.snapshot();
    let now = world.now;
    let terms = world.global.programme(now).clone();
    let plain = ContractTerms::plain(FundingMode::Issue, Rate::ONE);
    let roles = Roles::default();
    let promotion = Promotion {
        slug: "p".into(),
        bonus: Bonus::Rate(Rate::ONE),
        shares: vec![(A, 5_000)],
        cap_points: None,
        starts_at: now,
        ends_at: now.plus_seconds(1),
        merchants: vec![],
    };
    let nobody = MerchantIx(9);
    let effective_at = now.plus_seconds(-1);
    let currency = Currency::new("USD").unwrap();
    let table = [
        (
            Fact::Programme {
                effective_at,
                terms: terms.clone(),
            },
            FactRefusal::EffectiveTooEarly,
        ),
        (
            Fact::Programme {
                effective_at: now,
                terms: ProgrammeTerms {
                    currency,
                    ..terms.clone()
                },
            },
            FactRefusal::CurrencyChange,
        ),
        (
            Fact::Programme {
                effective_at: now,
                terms: ProgrammeTerms {
                    reserve_micros: -1,
                    ..terms
                },
            },
            FactRefusal::InvalidTerms,
        ),
        (
            Fact::MerchantOnboarded {
                slug: "a".into(),
                name: String::new(),
                roles,
            },
            FactRefusal::SlugTaken,
        ),
        (
            Fact::MerchantOnboarded {
                slug: String::new(),
                name: String::new(),
                roles,
            },
            FactRefusal::InvalidTerms,
        ),
        (
            Fact::Contract {
                merchant: nobody,
                effective_at: now,
                terms: plain.clone(),
            },
            FactRefusal::MerchantNotFound,
        ),
        (
            Fact::Contract {
                merchant: A,
                effective_at,
                terms: plain.clone(),
            },
            FactRefusal::EffectiveTooEarly,
        ),
        (
            Fact::Contract {
                merchant: A,
                effective_at: now,
                terms: ContractTerms {
                    pending: true,
                    ..plain.clone()
                },
            },
            FactRefusal::InvalidTerms,
        ),
        (
            Fact::Contract {
                merchant: A,
                effective_at: now,
                terms: ContractTerms {
                    redemption_fee_bps: 10_001,
                    ..plain
                },
            },
            FactRefusal::InvalidTerms,
        ),
        (
            Fact::MerchantState {
                merchant: A,
                state: MerchantState::Onboarding,
            },
            FactRefusal::StateChange,
        ),
        (
            Fact::Promotion(promotion.clone()),
            FactRefusal::InvalidTerms,
        ),
        (
            Fact::Promotion(Promotion {
                shares: vec![(nobody, 10_000)],
                ..promotion
            }),
            FactRefusal::MerchantNotFound,
        ),
        (
            Fact::PromotionEnded {
                slug: "q".into(),
                ends_at: now,
            },
            FactRefusal::PromotionNotFound,
        ),
        (closed(0), FactRefusal::CycleState),
    ];
    for (fact, refusal) in table {
        assert_eq!(world.try_fact(fact.clone()), Err(refusal), "{fact:?}");
    }
    assert_eq!(world.global.snapshot(), before);
    let fact = MemberFact::OpeningLot {
        funder: A,
        points: 0,
        posted_at: now,
        expires_at: Instant::NEVER,
    };
    assert_eq!(
        world.member_fact(U1, fact),
        Err(MemberFactRefusal::PointsOutOfRange)
    );
    let fact = MemberFact::OpeningLot {
        funder: A,
        points: 1,
        posted_at: now,
        expires_at: now,
    };
    assert_eq!(world.member_fact(U1, fact), Err(MemberFactRefusal::Expired));
}
