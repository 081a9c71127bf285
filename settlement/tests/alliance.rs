//! Rules 9, 10 and 11: merges, reinstatement, merchant states and caps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use hansa_settlement::finance::{Action, Adjustment, AdjustmentReason, OriginalReference, Party};
use hansa_settlement::*;

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
        if state == Closed {
            // What it owes is settled; here an adjustment stands for all of that.
            let owed = world.global.open_cycle().net(A);
            world.carry_out(Action::Adjustment(Adjustment {
                merchant: A,
                counterparty: Party::Hub,
                amount_micros: -i64::try_from(owed).unwrap(),
                reason: AdjustmentReason::Goodwill,
                original: OriginalReference::default(),
                dispute: None,
                exception: None,
                query: None,
            }));
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
    let prefund = finance::Action::PrefundPoints { merchant: F };
    assert_eq!(
        world.try_propose(prefund.clone()),
        Err(finance::FinanceRefusal::MerchantState {
            merchant: "f".into(),
            needed: "BURN_ONLY, WINDING_DOWN or SUSPENDED",
        })
    );
    let leave = |state| Fact::MerchantState { merchant: F, state };
    world.fact(leave(MerchantState::WindingDown));
    world.carry_out(prefund.clone());
    assert!(
        world.try_propose(prefund).is_err(),
        "nothing is left to pay for"
    );
    assert_eq!(
        world.try_fact(leave(MerchantState::Active)),
        Err(FactRefusal::StateChange)
    );
    assert_eq!(world.line(0, F, LineKind::Prefunding, None), (70, 560_000));
    assert_eq!(world.global.hub_balances().reserve_micros, -560_000);
    assert_eq!(world.try_fact(close.clone()), Err(FactRefusal::Unsettled));
    world.sweep(at("2026-02-28T23:00:00Z"));
    world.settle_and_pay(0);
    world.fact(close);
    // Its points live on as ISSUE points, refunded ones included.
    let (held, _) = world.ok("2026-03-02T10:30:00Z", A, U1, authorise(70));
    world.ok("2026-03-02T10:30:00Z", A, U1, capture(held, 70));
    assert_eq!(world.global.hub_balances().reserve_micros, 0);
    world.ok("2026-03-02T10:30:00Z", T, U1, refund(captured, 30));
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
    world.settle_and_pay(0);
    assert_eq!(
        world.global.exposure(A, world.now),
        2_500,
        "what the payment of 0.95 left"
    );
    world.ok("2026-03-02T10:00:00Z", A, U1, buy("100"));
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
