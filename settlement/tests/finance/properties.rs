//! Any history of finance, sensible or not, keeps the books: invariants, an independent count of money, restarts, refusals that change nothing.

use super::history::{Model, choices, op, play};
use crate::common::*;
use hansa_settlement::finance::{Action, Party, PaymentState, ProposalState};
use hansa_settlement::*;
use proptest::prelude::*;

/// What a merchant owes, counted anew: all that its cycles say, less all money that moved.
fn counted(world: &World, model: &Model, merchant: MerchantIx) -> i128 {
    let global = &world.global;
    let nets: i128 = global
        .cycles()
        .iter()
        .map(|cycle| cycle.net(merchant))
        .sum();
    let party = Party::Merchant(merchant);
    let paid: i128 = global
        .finance()
        .payments()
        .iter()
        .filter(|p| p.state == PaymentState::Settled)
        .map(|p| p.signed_for(party))
        .sum();
    let prepaid: i128 = global
        .finance()
        .proposals()
        .iter()
        .filter(|p| p.state == ProposalState::Approved)
        .map(|p| match &p.action {
            Action::PrepaidPack {
                merchant: m,
                amount_micros,
                ..
            } if *m == merchant => i128::from(*amount_micros),
            _ => 0,
        })
        .sum();
    let by_hand = model.by_hand.iter().filter(|(m, _)| *m == merchant);
    nets - paid - prepaid + by_hand.map(|(_, micros)| micros).sum::<i128>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_of_finance_keeps_the_books(
        choices in choices(), ops in prop::collection::vec(op(), 1..90), from in any::<usize>()
    ) {
        // The harness checks invariants, restored snapshots, and that refused facts change nothing, after every step.
        let (world, model) = play(&choices, &ops);
        for merchant in [A, F, T] {
            prop_assert_eq!(world.global.clearing(merchant), counted(&world, &model, merchant));
        }
        for cycle in world.global.cycles() {
            prop_assert_eq!(cycle.nets().values().sum::<i128>(), cycle.hub.sum());
            let digest = cycle.digest.unwrap_or_else(|| world.digest(cycle.no));
            prop_assert_eq!(digest, world.digest(cycle.no));
            for payment in payments(&world.global, cycle.no).values() {
                prop_assert_eq!(
                    payment.instruction_micros + payment.carried_forward_micros - payment.held_back_micros,
                    payment.payable_micros()
                );
                prop_assert!(payment.held_back_micros >= 0);
            }
        }
        for payment in world.global.finance().payments() {
            prop_assert!(payment.amount_micros > 0 && payment.amount_micros % 10_000 == 0);
            let found = world.global.finance().payment_by_end_to_end_id(&payment.end_to_end_id());
            prop_assert_eq!(found, Some(payment));
        }
        let (global, _) = world.replayed(from % world.log.len(), |_| 0);
        prop_assert_eq!(global.snapshot(), world.global.snapshot());
    }
}
