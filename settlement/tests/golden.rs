//! The golden example, event by event, in both funding modes, to the micro-unit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;
mod golden_march;
use common::*;
use golden_march::{MARCH, play};
use hansa_settlement::*;

fn hub(world: &World) -> HubTotals {
    world.global.cycle(CycleNo(MARCH)).unwrap().hub
}

fn payment(world: &World, merchant: MerchantIx) -> (i128, i128, i128) {
    let payment = statement(&world.global, CycleNo(MARCH), merchant)
        .unwrap()
        .payment;
    assert_eq!(
        payment.instruction_micros + payment.carried_forward_micros,
        payment.payable_micros()
    );
    (
        payment.net_micros,
        payment.instruction_micros,
        payment.carried_forward_micros,
    )
}

/// The whole statement of a merchant without lines for information.
fn lines(
    world: &World,
    merchant: MerchantIx,
) -> Vec<(&'static str, Option<MerchantIx>, i64, i128)> {
    let statement = statement(&world.global, CycleNo(MARCH), merchant).unwrap();
    assert!(statement.lines.iter().all(|(key, _)| !key.late));
    let money = statement
        .lines
        .iter()
        .filter(|(key, _)| !key.kind.is_information());
    money
        .map(|(key, total)| {
            (
                key.kind.code(),
                key.counterparty,
                total.points,
                total.micros,
            )
        })
        .collect()
}

#[test]
fn issue_mode_reproduces_the_golden_statement() {
    let world = play(FundingMode::Issue);
    assert_eq!(
        lines(&world, A),
        [
            ("BASE_ACCRUAL", None, 1_509, 14_373_225),
            ("REDEMPTION", None, 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", None, 277, -2_216_000)
        ]
    );
    assert_eq!(
        lines(&world, F),
        [
            ("BASE_ACCRUAL", None, 334, 3_340_000),
            ("PROMOTION_SHARE", None, 200, 2_000_000),
            ("BREAKAGE_SHARE", None, 473, -1_261_207)
        ]
    );
    assert_eq!(
        lines(&world, T),
        [
            ("BASE_ACCRUAL", None, 100, 973_500),
            ("PROMOTION_SHARE", None, 134, 1_304_490),
            ("REDEMPTION", None, 800, -6_240_000),
            ("REDEMPTION_REFUND", None, 300, 2_340_000)
        ]
    );
    assert_eq!(
        world.line(MARCH, A, LineKind::ReversalClaimed, None),
        (340, 0)
    );
    assert_eq!(
        world.line(MARCH, A, LineKind::DebtOpened, None).0
            - world.line(MARCH, A, LineKind::DebtSettled, None).0,
        63
    );
    assert_eq!(payment(&world, A), (-3_442_775, -3_440_000, -2_775));
    assert_eq!(payment(&world, F), (4_078_793, 4_080_000, -1_207));
    assert_eq!(payment(&world, T), (-1_622_010, -1_620_000, -2_010));
    let hub = hub(&world);
    assert_eq!(
        (
            hub.service_fee_micros,
            hub.redemption_fee_micros,
            hub.breakage_micros
        ),
        (3_775_215, 500_000, 2_522_793)
    );
    assert_eq!(hub.reserve_micros, -7_784_000);
    assert_eq!(hub.sum(), -985_992);
    assert_eq!(world.global.hub_balances().reserve_micros, -2_400_000);
    assert_eq!(world.member(U1).debt(), 63);
}

#[test]
fn burn_mode_reproduces_the_golden_statement() {
    let world = play(FundingMode::Burn);
    assert_eq!(
        lines(&world, A),
        [
            ("BASE_FEE", None, 1_509, 2_301_225),
            ("POINTS_CONSUMED", Some(A), 1_509, 12_072_000),
            ("REDEMPTION", None, 2_000, -15_600_000),
            ("REVERSAL_RECOVERED", None, 277, -2_216_000)
        ]
    );
    assert_eq!(
        lines(&world, F),
        [
            ("BASE_FEE", None, 334, 668_000),
            ("PROMOTION_FEE", None, 200, 400_000),
            ("POINTS_CONSUMED", Some(A), 491, 3_928_000),
            ("POINTS_CONSUMED", Some(T), 800, 6_400_000),
            ("POINTS_CONSUMED_REFUNDED", Some(T), 300, -2_400_000),
            ("POINTS_TAKEN", Some(A), 43, 344_000)
        ]
    );
    assert_eq!(
        lines(&world, T),
        [
            ("BASE_FEE", None, 100, 173_500),
            ("PROMOTION_FEE", None, 134, 232_490),
            ("POINTS_TAKEN", Some(A), 134, 1_072_000),
            ("DEBT_REPAID", Some(A), 100, 800_000),
            ("REDEMPTION", None, 800, -6_240_000),
            ("REDEMPTION_REFUND", None, 300, 2_340_000)
        ]
    );
    assert_eq!(payment(&world, A), (-3_442_775, -3_440_000, -2_775));
    assert_eq!(payment(&world, F), (9_340_000, 9_340_000, 0));
    assert_eq!(payment(&world, T), (-1_622_010, -1_620_000, -2_010));
    let hub = hub(&world);
    assert_eq!(
        (hub.sum(), hub.service_fee_micros, hub.redemption_fee_micros),
        (4_275_215, 3_775_215, 500_000)
    );
    assert_eq!((hub.reserve_micros, hub.breakage_micros), (0, 0));
}

#[test]
fn the_pair_view_counts_refunds_returns_and_repaid_debts() {
    for funding in [FundingMode::Issue, FundingMode::Burn] {
        let world = play(funding);
        let pairs = &world.global.cycle(CycleNo(MARCH)).unwrap().pairs;
        let points: Vec<_> = pairs
            .iter()
            .map(|((funder, merchant), total)| (*funder, *merchant, total.points, total.micros))
            .collect();
        let expected = [
            (A, A, 1_509, 12_072_000),
            (F, A, 491 + 43, 4_272_000),
            (F, T, 500, 4_000_000),
            (T, A, 134 + 100, 1_872_000),
        ];
        assert_eq!(points, expected);
        assert_eq!(
            pairs.values().map(|pair| pair.owed_micros).sum::<i128>(),
            if funding == FundingMode::Burn {
                22_216_000
            } else {
                0
            }
        );
    }
}

#[test]
fn what_is_carried_forward_reaches_the_next_payment() {
    let mut world = play(FundingMode::Issue);
    world.ok("2026-04-02T10:00:00Z", A, MemberId(3), buy("1"));
    world.sweep(at("2026-04-30T22:00:00Z"));
    let april = statement(&world.global, CycleNo(2), A).unwrap().payment;
    assert_eq!(
        (april.net_micros, april.brought_forward_micros),
        (9_525, -2_775)
    );
    assert_eq!(
        (april.instruction_micros, april.carried_forward_micros),
        (10_000, -3_250)
    );
    let quiet = statement(&world.global, CycleNo(2), T).unwrap();
    assert!(quiet.lines.is_empty());
    assert_eq!(
        (
            quiet.payment.brought_forward_micros,
            quiet.payment.instruction_micros,
            quiet.payment.carried_forward_micros
        ),
        (-2_010, 0, -2_010)
    );
}

#[test]
fn replaying_the_record_gives_the_same_closed_cycle() {
    let world = play(FundingMode::Issue);
    let digest = world
        .global
        .cycle(CycleNo(MARCH))
        .unwrap()
        .canonical_bytes();
    let (global, members) = world.replayed(7, |member| member.0 as usize * 5);
    assert_eq!(
        global.cycle(CycleNo(MARCH)).unwrap().canonical_bytes(),
        digest
    );
    assert_eq!(global.snapshot(), world.global.snapshot());
    for (id, member) in members {
        assert_eq!(member.encode(), world.members[&id]);
    }
}
