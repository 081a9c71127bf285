//! A restart between any two steps gives the same state.

use hansa_proto::v1::{self, CycleState, NettingMethod, action::Action};
use hansa_tests::{
    bank::{Booking, notification, statement, status_report},
    clerk::settlement,
    database::Database,
    for_each_database,
    shop::{DAY, Shop},
};

/// Kills and starts the hub: what finance reads must be what it was.
async fn restarted(shop: &mut Shop) {
    let before = shop.everything().await;
    shop.hub.kill();
    shop.hub.start().await;
    assert_eq!(shop.everything().await, before);
}

async fn a_restart_between_any_two_steps_changes_nothing(database: Database) {
    let mut shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    shop.ana.wait_audited(1).await;
    restarted(&mut shop).await;
    let settle = Action::SettleCycle(settlement(1, NettingMethod::Multilateral));
    let made = shop.ana.propose(settle, "month's end").await.unwrap();
    restarted(&mut shop).await;
    shop.ben
        .decide(made.proposal_number, true, "checked")
        .await
        .unwrap();
    restarted(&mut shop).await;
    shop.ana.submit_all(1).await.unwrap();
    restarted(&mut shop).await;
    let payments = shop.ana.payments(1).await;
    let first = payments
        .iter()
        .find(|p| p.payee_merchant_id == "a")
        .unwrap();
    let rejected = [(first.end_to_end_id.as_str(), "RJCT", Some("AC04"))];
    let report = status_report("STS-1", DAY, "HANSA-1-H", &rejected);
    shop.ana.import("status.xml", report).await.unwrap();
    restarted(&mut shop).await;
    let carry = Action::CarryForwardPayment(v1::CarryForwardPayment {
        payment_number: first.payment_number,
    });
    shop.ana.carry_out(&shop.ben, carry, "no account").await;
    restarted(&mut shop).await;
    let bookings: Vec<Booking> = payments
        .iter()
        .filter(|p| p.payment_number != first.payment_number)
        .map(|p| Booking::of(p, DAY))
        .collect();
    shop.ana
        .import("s.xml", statement("STMT-1", DAY, &bookings))
        .await
        .unwrap();
    restarted(&mut shop).await;
    let post = Action::PostReconciliation(v1::PostReconciliation { report_number: 2 });
    shop.ana
        .carry_out(&shop.ben, post, "as the bank says")
        .await;
    restarted(&mut shop).await;
    let stranger = Booking {
        end_to_end_id: "RENT".into(),
        ..bookings[0].clone()
    };
    let report = notification("NTF-1", DAY, &[stranger]);
    let report = shop
        .ana
        .import("n.xml", report)
        .await
        .unwrap()
        .report
        .unwrap();
    assert_eq!(report.exceptions.len(), 1);
    restarted(&mut shop).await;
    let request = v1::RaiseDisputeRequest {
        original: Some(v1::OriginalReference {
            cycle_number: 1,
            line_kind: "REDEMPTION".into(),
            ..v1::OriginalReference::default()
        }),
        claimed_micros: -10_000,
        text: "more".into(),
        evidence: Vec::new(),
    };
    shop.a.hub.disputes().raise_dispute(request).await.unwrap();
    restarted(&mut shop).await;
    let state = shop.ana.cycle(1).await.state();
    assert_eq!(state, CycleState::PartiallySettled);
    shop.hub.verify().await;
}

for_each_database!(a_restart_between_any_two_steps_changes_nothing);
