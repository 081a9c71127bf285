//! A merchant's default, and its exit: who bears what, and what must be settled before it may go.

use crate::common::*;
use hansa_settlement::finance::{
    Action, FinanceRefusal, NettingMethod, Party, PaymentState, SettleCycle,
};
use hansa_settlement::*;

fn plain(cycle: u32) -> SettleCycle {
    SettleCycle::new(CycleNo(cycle), NettingMethod::Multilateral)
}

fn state(world: &mut World, merchant: MerchantIx, state: MerchantState) {
    world.fact(Fact::MerchantState { merchant, state });
}

fn share(bearer: Party, share_bps: u32, limit_micros: Option<i64>) -> LossShare {
    LossShare {
        bearer,
        share_bps,
        limit_micros,
    }
}

/// A world whose programme shares losses: A half, at most 10.00; T a quarter of what is left; the hub the rest.
fn sharing() -> World {
    let mut world = World::by_hand(|terms| terms.collateral_micros = 20_000_000);
    let mut terms = world.global.programme(world.now).clone();
    terms.settlement.loss_shares = vec![
        share(Party::Merchant(A), 5_000, Some(10_000_000)),
        share(Party::Merchant(F), 5_000, None),
        share(Party::Merchant(T), 2_500, None),
        share(Party::Hub, 10_000, None),
    ];
    world.fact(Fact::Programme {
        effective_at: world.now,
        terms,
    });
    world
}

#[test]
fn a_default_takes_what_is_held_back_then_collateral_then_the_published_shares() {
    let mut world = sharing();
    // 5.00 of F's are held back in a first cycle; then it owes 100.00 and does not pay.
    let cycle = world.cycle_of(&[(F, -5_000_000)]);
    world.approved(SettleCycle {
        holdbacks: vec![finance::Holdback {
            merchant: F,
            amount_micros: 5_000_000,
            reason: "it is late with everything".into(),
        }],
        ..plain(cycle)
    });
    let cycle = world.cycle_of(&[(F, 100_000_000)]);
    world.approved(plain(cycle));
    world.submit(cycle);
    let declare = |amount_micros| Action::DeclareDefault {
        merchant: F,
        amount_micros,
    };
    assert_eq!(
        world.try_propose(declare(100_000_000)).unwrap_err(),
        FinanceRefusal::MerchantState {
            merchant: "f".into(),
            needed: "SUSPENDED"
        }
    );
    state(&mut world, F, MerchantState::Suspended);
    assert_eq!(
        world.try_propose(declare(100_000_001)).unwrap_err(),
        FinanceRefusal::NotOwed {
            merchant: "f".into(),
            owed_micros: 100_000_000
        }
    );
    let proposal = world.carry_out(declare(100_000_000));

    let [record] = world.global.finance().defaults() else {
        panic!("one default")
    };
    assert_eq!((record.proposal, record.merchant), (proposal, F));
    let waterfall = &record.waterfall;
    assert_eq!(waterfall.held_back_micros, 5_000_000);
    assert_eq!(waterfall.collateral_micros, 20_000_000);
    // 75.00 are left: A bears 10.00 of its 37.50; F none of its own; T a quarter of 65.00; the hub 48.75.
    assert_eq!(
        waterfall.shares,
        [
            (Party::Merchant(A), 10_000_000),
            (Party::Merchant(T), 16_250_000),
            (Party::Hub, 48_750_000)
        ]
    );
    assert_eq!(world.payment(1).state, PaymentState::CarriedForward);
    assert_eq!(world.state(cycle), CycleState::PartiallySettled);
    assert_eq!(world.global.finance().held_back(F), 0);

    let open = world.global.open_cycle();
    assert_eq!(open.net(F), -95_000_000);
    assert_eq!((open.net(A), open.net(T)), (10_000_000, 16_250_000));
    assert_eq!(open.hub.adjustment_micros, -68_750_000);
    let lines: Vec<_> = open
        .lines_of(F)
        .map(|(key, total)| (key.kind.code(), key.counterparty, total.micros))
        .collect();
    assert_eq!(
        lines,
        [
            ("ADJUSTMENT", None, -68_750_000),
            ("ADJUSTMENT", Some(A), -10_000_000),
            ("ADJUSTMENT", Some(T), -16_250_000)
        ]
    );
    // The credit meets the debt in the cycle that carries it: F is neither paid nor asked.
    let next = world.close_cycle();
    world.settle_plainly(next);
    assert_eq!(world.position(next, F).instruction_micros, 0);
    assert_eq!(world.position(next, A).instruction_micros, 10_000_000);
    assert_eq!(world.global.clearing(F), 0);
    // Its collateral is used up: it no longer raises its cap.
    let line = finance::risk(&world.global, world.now)[F.0 as usize];
    assert_eq!(line.collateral_micros, 0);
}

#[test]
fn a_default_that_is_shared_in_part_leaves_the_rest_to_be_asked_for() {
    let mut world = sharing();
    let cycle = world.cycle_of(&[(F, 100_000_000)]);
    world.approved(plain(cycle));
    // A cycle that is closed and not settled yet does not ask for the shared part again.
    let waiting = world.cycle_of(&[(F, 1_000_000)]);
    state(&mut world, F, MerchantState::Suspended);
    world.carry_out(Action::DeclareDefault {
        merchant: F,
        amount_micros: 30_000_000,
    });
    assert_eq!(world.state(cycle), CycleState::PartiallySettled);
    world.approved(plain(waiting));
    assert_eq!(world.position(waiting, F).instruction_micros, 71_000_000);
    let open = world.close_cycle();
    world.settle_plainly(open);
    assert_eq!(world.position(open, F).instruction_micros, 0);
    assert_eq!(world.global.clearing(F), 71_000_000);
}

#[test]
fn without_a_published_order_the_hub_bears_a_loss() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(F, 3_000_000)]);
    world.approved(plain(cycle));
    state(&mut world, F, MerchantState::Suspended);
    let waterfall = world.global.waterfall(F, 3_000_000, world.now);
    assert_eq!(waterfall.shares, [(Party::Hub, 3_000_000)]);
    // What a bank is executing is waited for.
    world.submit(cycle);
    world.import(world.status(PaymentNo(1), PaymentState::Accepted));
    let early = world.try_propose(Action::DeclareDefault {
        merchant: F,
        amount_micros: 3_000_000,
    });
    assert_eq!(early.unwrap_err().code(), "PAYMENT_STATE");
}

#[test]
fn the_published_order_of_losses_ends_with_the_hub() {
    let mut world = World::by_hand(|_| {});
    let hub = share(Party::Hub, 10_000, None);
    for (loss_shares, refusal) in [
        (
            vec![share(Party::Merchant(A), 10_000, None)],
            FactRefusal::InvalidTerms,
        ),
        (
            vec![share(Party::Hub, 9_999, None)],
            FactRefusal::InvalidTerms,
        ),
        (
            vec![share(Party::Hub, 10_000, Some(1))],
            FactRefusal::InvalidTerms,
        ),
        (
            vec![share(Party::Merchant(A), 10_001, None), hub],
            FactRefusal::InvalidTerms,
        ),
        (
            vec![share(Party::Merchant(A), 1, Some(-1)), hub],
            FactRefusal::InvalidTerms,
        ),
        (
            vec![share(Party::Merchant(MerchantIx(9)), 1, None), hub],
            FactRefusal::MerchantNotFound,
        ),
    ] {
        let mut terms = world.global.programme(world.now).clone();
        terms.settlement.loss_shares = loss_shares.clone();
        let fact = Fact::Programme {
            effective_at: world.now,
            terms,
        };
        assert_eq!(world.try_fact(fact), Err(refusal), "{loss_shares:?}");
    }
}

#[test]
fn a_merchant_leaves_only_when_nothing_of_it_is_under_way() {
    let mut world = World::by_hand(|_| {});
    let close = Fact::MerchantState {
        merchant: A,
        state: MerchantState::Closed,
    };
    let blocked = |world: &mut World| {
        assert_eq!(world.try_fact(close.clone()), Err(FactRefusal::Unsettled));
    };
    // A net in the open cycle, in a closed one, payments, held-back money, a residue, a pack.
    world.owe(A, -5_002_000);
    blocked(&mut world);
    let cycle = world.cycle_of(&[]);
    blocked(&mut world);
    world.approved(SettleCycle {
        holdbacks: vec![finance::Holdback {
            merchant: A,
            amount_micros: 1_000_000,
            reason: String::new(),
        }],
        ..plain(cycle)
    });
    blocked(&mut world);
    let payments = world.submit(cycle);
    world.confirm(&payments);
    blocked(&mut world);
    world.carry_out(Action::ReleaseHoldback {
        merchant: A,
        amount_micros: 1_000_000,
    });
    let cycle = world.cycle_of(&[]);
    world.approved(plain(cycle));
    let payments = world.submit(cycle);
    world.confirm(&payments);
    assert_eq!(world.carried(A), -2_000, "below the minor unit");
    blocked(&mut world);
    world.owe(A, 2_000);
    blocked(&mut world);
    let cycle = world.cycle_of(&[]);
    world.approved(plain(cycle));
    assert_eq!(world.carried(A), 0);
    world.fact(close.clone());
    // Nothing is adjusted or paid ahead for a merchant that is gone.
    for action in [
        Action::Adjustment(World::adjustment(A, 1)),
        Action::Adjustment(finance::Adjustment {
            counterparty: Party::Merchant(A),
            ..World::adjustment(F, 1)
        }),
        Action::PrepaidPack {
            merchant: A,
            amount_micros: 1,
            reference: "X".into(),
        },
    ] {
        let refused = world.try_propose(action).unwrap_err();
        assert_eq!(refused.code(), "MERCHANT_STATE");
    }
}
