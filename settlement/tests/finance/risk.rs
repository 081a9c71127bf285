//! Risk: exposure falls when payments settle, caps after a settlement, early warnings, previews.

use crate::common::*;
use hansa_settlement::finance::{
    Action, FinanceRefusal, NettingMethod, Party, SettleCycle, Warning, preview_settlement, risk,
};
use hansa_settlement::*;

fn plain(cycle: u32) -> SettleCycle {
    SettleCycle::new(CycleNo(cycle), NettingMethod::Multilateral)
}

fn capped() -> World {
    World::by_hand(|terms| {
        terms.net_debit_cap_micros = Some(8_000_000);
        terms.collateral_micros = 2_000_000;
    })
}

#[test]
fn exposure_falls_when_a_payment_settles_and_not_before() {
    let mut world = capped();
    let cycle = world.cycle_of(&[(A, 6_000_000)]);
    let exposure = |world: &World| world.global.exposure(A, world.now);
    world.approved(plain(cycle));
    assert_eq!(exposure(&world), 6_000_000);
    let payments = world.submit(cycle);
    let report = world.import(world.confirming(&payments));
    assert_eq!(exposure(&world), 6_000_000);
    world.carry_out(Action::PostReconciliation { report });
    assert_eq!(exposure(&world), 0);
    let report = world.import(world.returning(&payments));
    world.carry_out(Action::PostReconciliation { report });
    assert_eq!(exposure(&world), 6_000_000);
    world.carry_out(Action::PrepaidPack {
        merchant: A,
        amount_micros: 5_000_000,
        reference: "INV-1".into(),
    });
    assert_eq!(exposure(&world), 1_000_000);
}

#[test]
fn a_settlement_that_leaves_a_merchant_beyond_its_cap_is_refused_or_accepted_with_a_reason() {
    // A is owed 12.00 by the closed cycle and owes 15.00 in the open one: paying the 12.00 leaves it 15.00 in debt, above 10.00.
    let mut world = capped();
    let cycle = world.cycle_of(&[(A, -12_000_000)]);
    world.owe(A, 15_000_000);
    let preview = preview_settlement(&world.global, &plain(cycle), world.now).unwrap();
    let position = preview.positions[0];
    assert_eq!(position.exposure_before_micros, 3_000_000);
    assert_eq!(position.exposure_after_micros, 15_000_000);
    assert_eq!(position.limit_micros, Some(10_000_000));
    let breach = FinanceRefusal::CapExceeded {
        merchant: "a".into(),
        exposure_micros: 15_000_000,
        limit_micros: 10_000_000,
    };
    assert_eq!(preview.blockers, std::slice::from_ref(&breach));
    let proposal = world.propose(Action::SettleCycle(plain(cycle)));
    assert_eq!(world.try_approve(proposal), Err(breach.clone()));
    world.finance(finance::FinanceFact::ProposalDecided {
        proposal,
        approved: false,
        reason: "not like this".into(),
        actor: finance::Actor::new(MAKER),
    });

    let accepted = SettleCycle {
        accept_cap_breach: true,
        ..plain(cycle)
    };
    let preview = preview_settlement(&world.global, &accepted, world.now).unwrap();
    assert_eq!(preview.blockers, []);
    assert_eq!(preview.warnings, [Warning::CapExceeded(breach)]);
    let held = SettleCycle {
        holdbacks: vec![finance::Holdback {
            merchant: A,
            amount_micros: 5_000_000,
            reason: "its cap".into(),
        }],
        ..plain(cycle)
    };
    let preview = preview_settlement(&world.global, &held, world.now).unwrap();
    assert_eq!(preview.blockers, []);
    assert_eq!(preview.positions[0].exposure_after_micros, 10_000_000);
    world.approved(accepted);
}

#[test]
fn a_settlement_that_brings_a_merchant_nearer_to_its_cap_is_no_breach() {
    let mut world = capped();
    let cycle = world.cycle_of(&[(A, 12_000_000)]);
    world.owe(A, 15_000_000);
    let preview = preview_settlement(&world.global, &plain(cycle), world.now).unwrap();
    assert_eq!(preview.positions[0].exposure_after_micros, 15_000_000);
    assert_eq!(preview.blockers, []);
    world.approved(plain(cycle));
}

#[test]
fn previews_say_what_blocks_and_what_a_checker_should_know() {
    let mut world = World::by_hand(|terms| terms.settlement_account.clear());
    world.owe(A, -5_000_000);
    let open = preview_settlement(&world.global, &plain(0), world.now).unwrap();
    assert_eq!(
        open.blockers
            .iter()
            .map(FinanceRefusal::code)
            .collect::<Vec<_>>(),
        ["CYCLE_STATE", "NOT_AUDITED", "ACCOUNT_MISSING"]
    );
    assert_eq!(open.payments.len(), 1);
    assert_eq!(open.payments[0].payee, Party::Merchant(A));
    let nowhere = preview_settlement(&world.global, &plain(9), world.now);
    assert_eq!(nowhere, Err(FinanceRefusal::CycleNotFound(CycleNo(9))));

    let mut world = World::by_hand(|_| {});
    let cycle = world.cycle_of(&[(A, 5_000_000)]);
    world.approved(plain(cycle));
    let next = world.cycle_of(&[(A, -3_000_000)]);
    let preview = preview_settlement(&world.global, &plain(next), world.now).unwrap();
    assert_eq!(
        preview.warnings[0].to_string(),
        "merchant a is paid 3000000 micro-units and has not paid 5000000 of earlier settlements: carry them forward or hold back"
    );
    let snapshot = world.global.snapshot();
    drop(preview);
    assert_eq!(
        world.global.snapshot(),
        snapshot,
        "a preview changes nothing"
    );
}

#[test]
fn early_warnings_come_at_the_thresholds_of_the_programme() {
    let mut world = capped();
    let mut terms = world.global.programme(world.now).clone();
    terms.settlement.warning_thresholds_bps = vec![5_000, 8_000, 10_000];
    world.fact(Fact::Programme {
        effective_at: world.now,
        terms: terms.clone(),
    });
    for (owed, used, warning) in [
        (4_999_999, 4_999, 0),
        (1, 5_000, 5_000),
        (4_000_000, 9_000, 8_000),
        (3_000_000, 12_000, 10_000),
    ] {
        world.owe(A, owed);
        let line = risk(&world.global, world.now)[A.0 as usize];
        assert_eq!((line.used_bps, line.warning_bps), (used, warning));
        assert_eq!(line.exposure_micros, line.clearing_micros);
        assert_eq!(line.cap_micros, Some(8_000_000));
        assert_eq!(line.collateral_micros, 2_000_000);
    }
    for thresholds in [vec![0, 1], vec![2, 1], vec![1, 1]] {
        terms.settlement.warning_thresholds_bps = thresholds;
        let refused = world.try_fact(Fact::Programme {
            effective_at: world.now.plus_seconds(1),
            terms: terms.clone(),
        });
        assert_eq!(refused, Err(FactRefusal::InvalidTerms));
    }
}

#[test]
fn risk_lists_what_is_pending_open_held_back_and_brought_forward() {
    let mut world = World::by_hand(|terms| {
        terms.exposure_redemption_bps = 2_500;
        terms.net_debit_cap_micros = Some(0);
    });
    let cycle = world.cycle_of(&[(F, -5_002_000)]);
    world.approved(SettleCycle {
        holdbacks: vec![finance::Holdback {
            merchant: F,
            amount_micros: 1_000_000,
            reason: String::new(),
        }],
        ..plain(cycle)
    });
    let lines = risk(&world.global, world.now);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[F.0 as usize].held_back_micros, 1_000_000);
    assert_eq!(lines[F.0 as usize].brought_forward_micros, -2_000);
    assert_eq!(lines[F.0 as usize].exposure_micros, 0, "a credit is none");
    assert_eq!(lines[F.0 as usize].used_bps, 0);
    world.owe(F, 6_000_000);
    let line = risk(&world.global, world.now)[F.0 as usize];
    assert_eq!(line.used_bps, u32::MAX, "a limit of 0 is exceeded");

    let mut world = World::by_hand(|terms| terms.exposure_redemption_bps = 2_500);
    let now = world.now;
    world.send(now, now, F, U1, buy("100"));
    let line = risk(&world.global, world.now)[F.0 as usize];
    assert_eq!(line.burn_micros, 200_000, "a quarter of 0.80");
    assert_eq!(line.clearing_micros, 150_000, "fees");
    assert_eq!(line.exposure_micros, 350_000);
    assert_eq!((line.cap_micros, line.used_bps), (None, 0));
}

#[test]
fn points_that_repay_a_debt_count_in_full_whatever_the_rate_of_open_ones() {
    // Open BURN points count nothing here; a member without a debt may earn what a member in debt may not: its points are paid for
    // at once. The harness decides every message on the packed member, too, and compares.
    let mut world = World::by_hand(|terms| {
        terms.exposure_redemption_bps = 0;
        terms.net_debit_cap_micros = Some(1_000_000);
    });
    let day = "2026-02-03T10:00:00Z";
    let (bought, _) = world.ok(day, F, U1, buy("100"));
    let (held, _) = world.ok(day, A, U1, authorise(100));
    world.ok(day, A, U1, capture(held, 100));
    let (_, returned) = world.ok(day, F, U1, give_back(bought, "100"));
    assert_eq!(returned.debt_after, 100);
    // 200 points: 0.30 fees, and 0.80 for the debt.
    assert_eq!(
        world.ok(day, T, U2, buy("200")).1.code,
        OutcomeCode::Accepted
    );
    world.owe(T, -300_000);
    world.refused(day, T, U1, buy("200"), OutcomeCode::LimitExceeded);
    assert_eq!(world.member(U1).debts().len(), 1);
    // 100 points: 0.15 and 0.80.
    let (_, repaid) = world.ok(day, T, U1, buy("100"));
    assert_eq!((repaid.debt_after, repaid.available_after), (0, 0));
    assert_eq!(world.global.exposure(T, world.now), 950_000);
    // Free of debt it earns like the other one.
    world.owe(T, -800_000);
    assert_eq!(world.ok(day, T, U1, buy("200")).1.available_after, 200);
}
