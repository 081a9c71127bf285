//! Plans: rounding, holdbacks, minimum payouts, merchants left out, prepaid packs, and the methods on obligations between merchants.

use crate::common::*;
use hansa_settlement::finance::{
    Action, CarryCause, FinanceRefusal, Holdback, NettingMethod, Party, SettleCycle,
    compare_netting,
};
use hansa_settlement::*;

fn settle(cycle: u32, method: NettingMethod) -> SettleCycle {
    SettleCycle::new(CycleNo(cycle), method)
}

fn plain(cycle: u32) -> SettleCycle {
    settle(cycle, NettingMethod::Multilateral)
}

fn holdback(merchant: MerchantIx, amount_micros: i64) -> Holdback {
    Holdback {
        merchant,
        amount_micros,
        reason: "chargebacks".into(),
    }
}

#[test]
fn payments_round_half_even_and_the_residue_is_carried() {
    for (net, paid, left) in [
        (5_000, 0, 5_000),
        (15_000, 20_000, -5_000),
        (25_000, 20_000, 5_000),
        (25_001, 30_000, -4_999),
        (-15_000, -20_000, 5_000),
        (-25_000, -20_000, -5_000),
    ] {
        let mut world = World::by_hand(|_| {});
        let cycle = world.cycle_of(&[(A, net)]);
        world.approved(plain(cycle));
        let position = world.position(cycle, A);
        assert_eq!(position.instruction_micros, paid, "{net}");
        assert_eq!(position.carried_forward_micros, left, "{net}");
        assert_eq!(world.carried(A), left, "{net}");
    }
}

#[test]
fn money_is_held_back_as_the_contract_and_finance_say_and_is_released_later() {
    let mut world = World::by_hand(|terms| terms.holdback_bps = 1_000);
    let cycle = world.cycle_of(&[(A, -10_055_000), (F, 3_000_000)]);
    world.approved(SettleCycle {
        holdbacks: vec![holdback(A, 2_000_000)],
        ..plain(cycle)
    });
    // 10.06 rounded (half to even: 10.055 -> 10.06); 2.00 by finance; 10 % of 8.06, floored to cents, by contract.
    let position = world.position(cycle, A);
    assert_eq!(position.held_back_micros, 2_800_000);
    assert_eq!(position.instruction_micros, -7_260_000);
    assert_eq!(position.carried_forward_micros, 5_000);
    assert_eq!(world.position(cycle, F).held_back_micros, 0, "it pays");
    let next = world.cycle_of(&[]);
    world.approved(plain(next));
    assert_eq!(world.global.finance().held_back(A), 2_800_000);

    let more = Action::ReleaseHoldback {
        merchant: A,
        amount_micros: 2_800_001,
    };
    assert_eq!(world.try_propose(more).unwrap_err().code(), "NOT_HELD_BACK");
    world.carry_out(Action::ReleaseHoldback {
        merchant: A,
        amount_micros: 800_000,
    });
    assert_eq!(world.global.finance().held_back(A), 2_000_000);
    assert_eq!(world.carried(A), 5_000 - 800_000);
    let third = world.cycle_of(&[]);
    world.approved(plain(third));
    assert_eq!(
        world.position(third, A).instruction_micros,
        -720_000,
        "0.80 less the contract's share"
    );
}

#[test]
fn more_than_the_payout_is_not_held_back() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -1_000_000), (F, 1_000_000)]);
    for (holdbacks, code) in [
        (vec![holdback(A, 1_010_000)], "HOLDBACK_TOO_LARGE"),
        (vec![holdback(F, 10_000)], "HOLDBACK_TOO_LARGE"),
        (vec![holdback(T, 10_000)], "HOLDBACK_TOO_LARGE"),
        (vec![holdback(A, 5_000)], "AMOUNT_OUT_OF_RANGE"),
        (vec![holdback(A, 0)], "AMOUNT_OUT_OF_RANGE"),
        (vec![holdback(A, -10_000)], "AMOUNT_OUT_OF_RANGE"),
        (
            vec![holdback(A, 10_000), holdback(A, 10_000)],
            "LISTED_TWICE",
        ),
        (vec![holdback(MerchantIx(9), 10_000)], "MERCHANT_NOT_FOUND"),
    ] {
        let refusal = world.try_propose(Action::SettleCycle(SettleCycle {
            holdbacks: holdbacks.clone(),
            ..plain(cycle)
        }));
        assert_eq!(refusal.unwrap_err().code(), code, "{holdbacks:?}");
    }
    world.approved(SettleCycle {
        holdbacks: vec![holdback(A, 1_000_000)],
        ..plain(cycle)
    });
    assert_eq!(world.global.finance().payments().len(), 1, "only F's");
    assert_eq!(world.global.finance().held_back(A), 1_000_000);
}

#[test]
fn payouts_below_the_minimum_are_carried_forward_until_they_reach_it() {
    let mut world = World::by_hand(|terms| {
        terms.minimum_payout_micros = 20_000_000;
        terms.holdback_bps = 500;
    });
    let cycle = world.cycle_of(&[(A, -20_999_999), (F, 1_000_000)]);
    world.approved(plain(cycle));
    // 21.00 reaches the minimum only without the contract's share, which is then not taken.
    assert_eq!(world.position(cycle, A).instruction_micros, -21_000_000);
    assert_eq!(world.position(cycle, F).instruction_micros, 1_000_000);
    let next = world.cycle_of(&[(A, -12_000_000)]);
    world.approved(plain(next));
    let position = world.position(next, A);
    assert_eq!(
        (position.instruction_micros, position.held_back_micros),
        (0, 0)
    );
    assert_eq!(world.carried(A), 1 - 12_000_000);
    assert_eq!(world.state(next), CycleState::Settled, "nothing to pay");
    let third = world.cycle_of(&[(A, -12_000_000)]);
    world.approved(plain(third));
    let position = world.position(third, A);
    assert_eq!(position.held_back_micros, 1_200_000);
    assert_eq!(position.instruction_micros, -22_800_000);
}

#[test]
fn a_merchant_that_is_left_out_keeps_its_net_for_the_next_settlement() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_000_000), (T, -1_000_000)]);
    world.approved(SettleCycle {
        without: vec![F],
        ..plain(cycle)
    });
    assert_eq!(
        world
            .payments_in(cycle, finance::PaymentState::Pending)
            .len(),
        2
    );
    assert_eq!(world.position(cycle, F).carried_forward_micros, 7_000_000);
    let moves = world.global.finance().carry_moves(F);
    assert_eq!(
        (moves[0].cause, moves[0].micros),
        (CarryCause::LeftOut(CycleNo(cycle)), 7_000_000)
    );
    let next = world.cycle_of(&[(F, 500_000)]);
    world.approved(plain(next));
    assert_eq!(world.position(next, F).instruction_micros, 7_500_000);
    for (without, code) in [
        (vec![MerchantIx(9)], "MERCHANT_NOT_FOUND"),
        (vec![A, A], "LISTED_TWICE"),
    ] {
        let third = SettleCycle {
            without,
            ..plain(next)
        };
        assert_eq!(
            world.global.plan(&third, world.now).unwrap_err().code(),
            code
        );
    }
}

#[test]
fn a_prepaid_pack_pays_for_what_comes_and_is_paid_back_when_the_merchant_winds_down() {
    let mut world = World::by_hand(|_| {});
    let pack = |reference: &str| Action::PrepaidPack {
        merchant: A,
        amount_micros: 10_000_000,
        reference: reference.into(),
    };
    world.carry_out(pack("INV-1"));
    assert_eq!(world.global.hub_balances().bank_micros, 10_000_000);
    assert_eq!(world.global.clearing(A), -10_000_000);
    assert_eq!(
        world.try_propose(pack("INV-1")),
        Err(FinanceRefusal::ReferenceTaken("INV-1".into()))
    );
    let cycle = world.cycle_of(&[(A, 4_004_000)]);
    world.approved(plain(cycle));
    let position = world.position(cycle, A);
    assert_eq!(position.instruction_micros, 0);
    assert_eq!(position.carried_forward_micros, -5_996_000);
    let next = world.cycle_of(&[(A, -3_000_000)]);
    world.approved(plain(next));
    assert_eq!(
        world.position(next, A).instruction_micros,
        -3_000_000,
        "what it is owed is paid, the pack stays"
    );
    assert_eq!(world.carried(A), -5_996_000);
    let third = world.cycle_of(&[(A, 7_000_000)]);
    world.approved(plain(third));
    assert_eq!(world.position(third, A).instruction_micros, 1_000_000);
    assert_eq!(world.carried(A), 4_000);

    world.carry_out(pack("INV-2"));
    world.fact(Fact::MerchantState {
        merchant: A,
        state: MerchantState::WindingDown,
    });
    let last = world.cycle_of(&[(A, 6_000)]);
    world.approved(plain(last));
    assert_eq!(world.position(last, A).instruction_micros, -9_990_000);
}

#[test]
fn accounts_of_payees_are_needed_and_named() {
    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, -5_000_000), (F, 7_000_000)]);
    let (_, terms) = world.global.contract(A, world.now).unwrap();
    let mut terms = terms.clone();
    terms.settlement_account.clear();
    world.fact(Fact::Contract {
        merchant: A,
        effective_at: world.now,
        terms: terms.clone(),
    });
    let proposal = world.propose(Action::SettleCycle(plain(cycle)));
    assert_eq!(
        world.try_approve(proposal),
        Err(FinanceRefusal::AccountMissing("a".into()))
    );
    // An account that is named after the proposal is another proposal: nobody approves a payee that the maker did not see.
    world.now = world.now.plus_seconds(1);
    terms.bank_details = Some(Box::new(bank("Mallory", "DE75512108001245126199")));
    world.fact(Fact::Contract {
        merchant: A,
        effective_at: world.now,
        terms,
    });
    assert_eq!(
        world.try_approve(proposal),
        Err(FinanceRefusal::PlanChanged(proposal))
    );
    let blockers = |settle: SettleCycle| {
        let preview = finance::preview_settlement(&world.global, &settle, world.now);
        preview.unwrap().blockers
    };
    assert_eq!(
        blockers(plain(cycle)),
        [FinanceRefusal::PlanChanged(proposal)]
    );
    let another = SettleCycle {
        without: vec![F],
        ..plain(cycle)
    };
    assert_eq!(
        blockers(another),
        [FinanceRefusal::AlreadyProposed(proposal)]
    );
}

/// F's points spent at A and T, T's at F: obligations F -> A 12.00, F -> T 3.00, T -> F 5.00, A -> T 2.00, and fees with the hub.
fn pairs() -> World {
    let mut world = World::by_hand(|terms| {
        terms.service_fee_micros = 0;
        terms.redemption_fee_bps = 0;
    });
    let start = world.now;
    let mut spend = |funder, member: u64, spends: &[(MerchantIx, i64)]| {
        let member = MemberId(member);
        world.send(start, start, funder, member, buy("2000"));
        for (merchant, points) in spends {
            let (held, outcome) = world.send(start, start, *merchant, member, authorise(*points));
            assert_eq!(outcome.code, OutcomeCode::Accepted);
            world.send(start, start, *merchant, member, capture(held, *points));
        }
    };
    spend(F, 1, &[(A, 1_500), (T, 375)]);
    spend(T, 2, &[(F, 625)]);
    spend(A, 3, &[(T, 250)]);
    world
}

fn flows(world: &World, cycle: u32) -> Vec<(Party, Party, i64)> {
    let payments = world.global.finance().payments().iter();
    payments
        .filter(|p| p.cycle == CycleNo(cycle))
        .map(|p| (p.payer, p.payee, p.amount_micros))
        .collect()
}

/// Who pays, who is paid, micro-units.
type Paid = (Party, Party, i64);

#[test]
fn each_method_pays_who_it_says() {
    let (a, f, t) = (Party::Merchant(A), Party::Merchant(F), Party::Merchant(T));
    let hub = Party::Hub;
    let expected: [(NettingMethod, &[Paid]); 5] = [
        (
            NettingMethod::Gross,
            &[
                (a, t, 2_000_000),
                (f, a, 12_000_000),
                (f, t, 3_000_000),
                (t, f, 5_000_000),
            ],
        ),
        (
            NettingMethod::Bilateral,
            &[(a, t, 2_000_000), (f, a, 12_000_000), (t, f, 2_000_000)],
        ),
        (
            NettingMethod::CycleClearing,
            // The pair F-T 3.00 and the cycle F -> A -> T -> F 2.00.
            &[(f, a, 10_000_000)],
        ),
        (
            NettingMethod::Multilateral,
            &[(hub, a, 10_000_000), (f, hub, 10_000_000)],
        ),
        (NettingMethod::MinTransfers, &[(f, a, 10_000_000)]),
    ];
    for (method, expected) in expected {
        let mut world = pairs();
        let cycle = world.close_cycle();
        world.settle(settle(cycle, method));
        assert_eq!(flows(&world, cycle), expected, "{method:?}");
        let positions = [(A, -10_000_000), (F, 10_000_000), (T, 0)];
        for (merchant, paid) in positions {
            assert_eq!(world.position(cycle, merchant).instruction_micros, paid);
        }
    }
    let mut world = pairs();
    let cycle = world.close_cycle();
    let comparison = compare_netting(&world.global, CycleNo(cycle), false, &[], world.now).unwrap();
    assert_eq!(comparison.gross_micros, 22_000_000);
    assert_eq!(comparison.net_internal_debt_micros, 10_000_000);
    let figures: Vec<_> = comparison
        .methods
        .iter()
        .map(|m| (m.payment_value_micros, m.payments, m.cleared_micros))
        .collect();
    assert_eq!(
        figures,
        [
            (22_000_000, 4, 0),
            (16_000_000, 3, 6_000_000),
            (10_000_000, 2, 12_000_000),
            (10_000_000, 1, 12_000_000),
            (10_000_000, 1, 12_000_000),
            (16_000_000, 3, 6_000_000)
        ]
    );
}

#[test]
fn the_hub_stands_in_for_a_merchant_that_is_left_out_of_pairs() {
    let (a, t) = (Party::Merchant(A), Party::Merchant(T));
    let mut world = pairs();
    let cycle = world.close_cycle();
    world.settle(SettleCycle {
        without: vec![F],
        ..settle(cycle, NettingMethod::Gross)
    });
    // A is owed 12.00 by F and owes T 2.00; T owes F 2.00 on balance.
    assert_eq!(
        flows(&world, cycle),
        [
            (Party::Hub, a, 12_000_000),
            (a, t, 2_000_000),
            (t, Party::Hub, 2_000_000)
        ]
    );
    assert_eq!(world.carried(F), 10_000_000);
}

#[test]
fn held_back_money_stays_with_the_hub_under_every_method() {
    for method in NettingMethod::ALL {
        let mut world = pairs();
        let cycle = world.close_cycle();
        world.settle(SettleCycle {
            holdbacks: vec![holdback(A, 4_000_000)],
            ..settle(cycle, method)
        });
        let position = world.position(cycle, A);
        assert_eq!(position.instruction_micros, -6_000_000, "{method:?}");
        assert_eq!(position.held_back_micros, 4_000_000, "{method:?}");
        let to_hub: i64 = flows(&world, cycle)
            .iter()
            .map(|(payer, payee, micros)| match (payer, payee) {
                (_, Party::Hub) => *micros,
                (Party::Hub, _) => -*micros,
                _ => 0,
            })
            .sum();
        assert_eq!(to_hub, 4_000_000, "{method:?}");
    }
}

#[test]
fn a_suspended_merchant_pays_what_it_is_paid_and_no_more_under_a_clearing_vector() {
    let (a, f, t) = (Party::Merchant(A), Party::Merchant(F), Party::Merchant(T));
    let mut world = pairs();
    let cycle = world.close_cycle();
    world.fact(Fact::MerchantState {
        merchant: F,
        state: MerchantState::Suspended,
    });
    world.settle(settle(cycle, NettingMethod::ClearingVector));
    // F is paid 2.00 by T and owes A 12.00.
    assert_eq!(
        flows(&world, cycle),
        [(a, t, 2_000_000), (f, a, 2_000_000), (t, f, 2_000_000)]
    );
    assert_eq!(
        (world.carried(A), world.carried(F)),
        (-10_000_000, 10_000_000)
    );
}

#[test]
fn fractions_of_a_pair_are_settled_with_the_hub() {
    let mut world = World::by_hand(|terms| {
        terms.service_fee_micros = 0;
        terms.redemption_fee_bps = 0;
    });
    let now = world.now;
    // 0.008 a point: 7 points are 0.056.
    for (funder, merchant, member) in [(F, A, 1), (T, A, 2)] {
        world.send(now, now, funder, MemberId(member), buy("7"));
        let (held, _) = world.send(now, now, merchant, MemberId(member), authorise(7));
        world.send(now, now, merchant, MemberId(member), capture(held, 7));
    }
    let cycle = world.close_cycle();
    world.settle(settle(cycle, NettingMethod::Gross));
    let (a, f, t) = (Party::Merchant(A), Party::Merchant(F), Party::Merchant(T));
    assert_eq!(
        flows(&world, cycle),
        [
            (Party::Hub, a, 10_000),
            (f, Party::Hub, 10_000),
            (f, a, 50_000),
            (t, Party::Hub, 10_000),
            (t, a, 50_000)
        ]
    );
    let left = [world.carried(A), world.carried(F), world.carried(T)];
    assert_eq!(left, [-2_000, -4_000, -4_000]);
}
