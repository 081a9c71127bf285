//! The golden cycle, settled: proposal, approval, payments, bank, SETTLED, in both funding modes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod golden_march;
use common::*;
use golden_march::{MARCH, play};
use hansa_settlement::finance::{NettingMethod, Party, PaymentState, SettleCycle};
use hansa_settlement::*;

const FEBRUARY: u32 = 0;

/// March, with an empty February settled before it.
fn march(funding: FundingMode) -> World {
    let mut world = play(funding);
    world.settle_and_pay(FEBRUARY);
    world
}

fn payments(world: &World) -> Vec<(Party, Party, i64)> {
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
            payments(&world),
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
        world.carry_out(finance::Action::PostReconciliation { report });
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
