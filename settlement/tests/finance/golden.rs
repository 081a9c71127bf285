//! The golden cycle, settled: proposal, approval, payments, bank, SETTLED, in both funding modes.

use crate::common::*;
use crate::golden_march::{MARCH, play};
use hansa_settlement::finance::{
    Action, CarryCause, NettingMethod, Party, PaymentState, SettleCycle, compare_netting,
};
use hansa_settlement::*;

const FEBRUARY: u32 = 0;

/// March, with an empty February settled before it.
fn march(funding: FundingMode) -> World {
    let mut world = play(funding);
    world.settle_and_pay(FEBRUARY);
    world
}

fn instructed(world: &World) -> Vec<(Party, Party, i64)> {
    let payments = world.global.finance().payments().iter();
    payments
        .map(|p| (p.payer, p.payee, p.amount_micros))
        .collect()
}

#[test]
fn the_golden_cycle_is_paid_and_what_is_left_is_brought_forward() {
    let (a, f, t) = (Party::Merchant(A), Party::Merchant(F), Party::Merchant(T));
    for (funding, f_pays, f_leaves) in [
        (FundingMode::Issue, 4_080_000, -1_207),
        (FundingMode::Burn, 9_340_000, 0),
    ] {
        let mut world = march(funding);
        world.settle(SettleCycle::new(
            CycleNo(MARCH),
            NettingMethod::Multilateral,
        ));
        assert_eq!(
            instructed(&world),
            [
                (Party::Hub, a, 3_440_000),
                (Party::Hub, t, 1_620_000),
                (f, Party::Hub, f_pays)
            ]
        );
        assert_eq!(world.state(MARCH), CycleState::Approved);
        let submitted = world.submit(MARCH);
        assert_eq!(world.state(MARCH), CycleState::Settling);
        let bank = world.global.hub_balances().bank_micros;
        let report = world.import(world.confirming(&submitted));
        assert_eq!(
            world.global.hub_balances().bank_micros,
            bank,
            "import moves nothing"
        );
        world.carry_out(Action::PostReconciliation { report });
        assert_eq!(world.state(MARCH), CycleState::Settled);
        assert_eq!(world.payments_in(MARCH, PaymentState::Settled), submitted);
        assert_eq!(
            world.global.hub_balances().bank_micros - bank,
            i128::from(f_pays) - 3_440_000 - 1_620_000
        );
        for (merchant, left) in [(A, -2_775), (F, f_leaves), (T, -2_010)] {
            assert_eq!(world.global.finance().carry(merchant), left);
            assert_eq!(world.global.clearing(merchant), left, "all else is settled");
            let statement = statement(&world.global, CycleNo(MARCH), merchant).unwrap();
            assert_eq!(statement.payment.carried_forward_micros, left);
        }
        let ids: Vec<_> = submitted
            .iter()
            .map(|no| world.global.finance().payment(*no).unwrap().end_to_end_id())
            .collect();
        assert_eq!(ids, ["HANSA-2-1-92", "HANSA-2-2-89", "HANSA-2-3-86"]);
    }
}

#[test]
fn what_is_brought_forward_meets_the_next_net() {
    let mut world = march(FundingMode::Issue);
    world.settle_and_pay(MARCH);
    world.ok("2026-04-02T10:00:00Z", A, MemberId(3), buy("1"));
    world.sweep(at("2026-04-30T22:00:00Z"));
    world.settle_and_pay(MARCH + 1);
    let april = statement(&world.global, CycleNo(MARCH + 1), A)
        .unwrap()
        .payment;
    assert_eq!(
        april,
        Payment {
            net_micros: 9_525,
            brought_forward_micros: -2_775,
            instruction_micros: 10_000,
            held_back_micros: 0,
            carried_forward_micros: -3_250
        }
    );
    let position = &world
        .global
        .finance()
        .settlement(CycleNo(MARCH + 1))
        .unwrap()
        .positions[&A];
    assert_eq!(
        position
            .brought
            .iter()
            .map(|m| (m.cause, m.micros))
            .collect::<Vec<_>>(),
        [(CarryCause::Residue(CycleNo(MARCH)), -2_775)]
    );
    let quiet = statement(&world.global, CycleNo(MARCH + 1), T)
        .unwrap()
        .payment;
    assert_eq!(
        (quiet.instruction_micros, quiet.carried_forward_micros),
        (0, -2_010)
    );
}

#[test]
fn statements_of_cycles_that_are_not_settled_are_as_if_they_were_settled_now() {
    let mut world = play(FundingMode::Issue);
    let provisional = payments(&world.global, CycleNo(MARCH));
    world.settle_and_pay(FEBRUARY);
    assert_eq!(payments(&world.global, CycleNo(MARCH)), provisional);
    let digest = world.digest(CycleNo(MARCH));
    world.settle_and_pay(MARCH);
    assert_eq!(payments(&world.global, CycleNo(MARCH)), provisional);
    assert_eq!(
        world.digest(CycleNo(MARCH)),
        digest,
        "a closed cycle never changes"
    );
    let (global, _) = world.replayed(world.log.len() / 2, |_| 3);
    assert_eq!(global.snapshot(), world.global.snapshot());
}

#[test]
fn every_method_gives_every_merchant_the_same() {
    let expected = [(A, -3_440_000), (F, 9_340_000), (T, -1_620_000)];
    for method in NettingMethod::ALL {
        let mut world = march(FundingMode::Burn);
        world.settle(SettleCycle::new(CycleNo(MARCH), method));
        for (merchant, paid) in expected {
            let payment = statement(&world.global, CycleNo(MARCH), merchant)
                .unwrap()
                .payment;
            assert_eq!(payment.instruction_micros, paid, "{method:?}");
        }
        let submitted = world.submit(MARCH);
        let with_hub: Vec<_> = submitted
            .iter()
            .copied()
            .filter(|no| {
                let payment = world.global.finance().payment(*no).unwrap();
                payment.payer == Party::Hub || payment.payee == Party::Hub
            })
            .collect();
        world.confirm(&with_hub);
        for no in submitted.iter().filter(|no| !with_hub.contains(no)) {
            world.confirm_between_merchants(*no);
        }
        assert_eq!(world.state(MARCH), CycleState::Settled, "{method:?}");
        assert_eq!(world.global.clearing(F), 0);
    }
}

#[test]
fn the_methods_pay_the_golden_obligations_each_in_its_way() {
    let world = march(FundingMode::Burn);
    let comparison = compare_netting(&world.global, CycleNo(MARCH), false, &[], world.now).unwrap();
    let figures: Vec<_> = comparison
        .methods
        .iter()
        .map(|m| {
            (
                m.method.code(),
                m.payment_value_micros,
                m.payments,
                m.new_relations,
            )
        })
        .collect();
    // F owes A 4.272 and T 4.000, T owes A 1.872, cut off to cents; the hub is owed 2.70 by A, 1.07 by F and 0.51 by T. No cycle is in it.
    assert_eq!(
        figures,
        [
            ("GROSS", 14_420_000, 6, 0),
            ("BILATERAL", 14_420_000, 6, 0),
            ("MULTILATERAL", 9_340_000, 3, 2),
            ("CYCLE_CLEARING", 14_420_000, 6, 0),
            ("MIN_TRANSFERS", 9_340_000, 3, 0),
            ("CLEARING_VECTOR", 14_420_000, 6, 0)
        ]
    );
    assert_eq!(comparison.net_internal_debt_micros, 9_340_000);
    for m in &comparison.methods {
        assert_eq!(
            m.cleared_micros,
            comparison.gross_micros - m.payment_value_micros
        );
        assert_eq!(m.liquidity_micros, 9_340_000, "F's money goes on");
    }
}
