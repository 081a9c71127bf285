//! The golden example of the design, on both databases and in both funding modes: cycles, statements and payments to the
//! micro-unit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_proto::v1::{self, CycleSchedule, FundingMode};
use hansa_tests::{
    alliance, body, check::answered, database::Database, for_each_database, hub::TestHub,
    march::March,
};

async fn issue_mode(database: Database) {
    let mut march = March::new(&database, FundingMode::Issue, CycleSchedule::Monthly).await;
    march.play().await;
    march.assert_statements().await;
    march
        .assert_hub([3_775_215, 500_000, 2_522_793, -7_784_000])
        .await;
    march.assert_pairs().await;
    march.assert_information().await;
    march.assert_liability(2_400_000).await;
    march.assert_stands().await;
}

async fn burn_mode(database: Database) {
    let mut march = March::new(&database, FundingMode::Burn, CycleSchedule::Monthly).await;
    march.play().await;
    march.assert_statements().await;
    march.assert_hub([3_775_215, 500_000, 0, 0]).await;
    march.assert_pairs().await;
    march.assert_information().await;
    march.assert_liability(0).await;
    march.assert_stands().await;
}

/// Cycles follow one another without a gap, each from midnight to midnight in Berlin.
async fn cycles_close_by_the_calendar(database: Database) {
    let hub = TestHub::on(&database)
        .test_clock("2026-02-27T10:00:00Z")
        .start()
        .await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    hub.set_clock("2026-02-28T22:59:59.999999Z").await;
    let last = shop.accrue(&member, "1.00").await.accepted();
    hub.set_clock("2026-02-28T23:00:00Z").await;
    let first = shop.accrue(&member, "2.00").await.accepted();
    assert_eq!(first.outcome.cycle_number, last.outcome.cycle_number + 1);
    // In February by its event time: it posts to the open cycle.
    let mut late = shop.message(&member, body::accrual("4.00"));
    late.event_time = Some("2026-02-28T20:00:00Z".parse().unwrap());
    let late = shop.send(late).await.accepted();
    assert_eq!(late.outcome.cycle_number, first.outcome.cycle_number);
    assert!(late.outcome.late && !first.outcome.late);

    let request = v1::CloseCycleRequest {
        cycle_number: first.outcome.cycle_number,
        validate_only: false,
    };
    let closed = answered(hub.operator().cycles_client().close_cycle(request).await)
        .cycle
        .unwrap();
    assert_eq!(closed.state(), v1::CycleState::Closed);
    let third = shop.accrue(&member, "8.00").await.accepted();
    assert_eq!(
        third.outcome.cycle_number,
        first.outcome.cycle_number + 1,
        "log order decides, not equal instants"
    );

    let cycles = hub.operator().cycles().await.unwrap();
    let numbers: Vec<u32> = cycles.iter().map(|c| c.cycle_number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    for pair in cycles.windows(2) {
        assert_eq!(pair[0].closes_at, pair[1].opens_at);
        assert!(pair[0].cut_leaf_index < pair[0].closed_leaf_index);
    }
    let accepted: Vec<u64> = cycles.iter().map(|c| c.messages_accepted).collect();
    assert_eq!(accepted, [1, 2, 1]);
    let march = shop.hub.statement(2, None).await.unwrap();
    let lines: Vec<(i64, bool)> = march.lines.iter().map(|l| (l.points, l.late)).collect();
    assert_eq!(lines, [(2, false), (4, true)]);
}

for_each_database!(issue_mode, burn_mode, cycles_close_by_the_calendar);
