//! What contracts and finance may change about who is paid when: minimum payouts, holdbacks, merchants left out, money paid ahead,
//! a default. Nothing is lost: what is not paid now is held back or brought forward.

use hansa_proto::v1::{self, CycleState, MerchantState, NettingMethod, action::Action};
use hansa_tests::{
    alliance::{self, programme},
    check::refused,
    clerk::settlement,
    clock::MINUTE,
    database::Database,
    for_each_database,
};
use tonic::Code;

use hansa_tests::shop::{Shop, terms};

/// Payer, payee, cents.
type Paid = (String, String, i64);

async fn paid(shop: &Shop, cycle: u32) -> Vec<Paid> {
    let payments = shop.ana.payments(cycle).await.into_iter();
    payments
        .map(|p| {
            (
                p.payer_merchant_id,
                p.payee_merchant_id,
                p.amount_micros / 10_000,
            )
        })
        .collect()
}

fn from_to(payer: &str, payee: &str, cents: i64) -> Paid {
    (payer.into(), payee.into(), cents)
}

async fn change(shop: &Shop, merchant: &str, state: MerchantState, contract: v1::Contract) {
    shop.hub.advance(MINUTE).await;
    let merchant = alliance::merchant(merchant, state, contract);
    shop.hub.apply_merchant(merchant).await;
}

async fn risk(shop: &Shop, merchant: &str) -> v1::RiskLine {
    let lines = shop.everything().await.risk.lines;
    let found = lines.into_iter().find(|line| line.merchant_id == merchant);
    found.unwrap()
}

async fn settle(shop: &Shop, cycle: u32) {
    shop.trade().await;
    shop.close(cycle).await;
    let plain = settlement(cycle, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
}

/// 0.39 a cycle with a minimum of 0.70: paid every second cycle, in full.
async fn a_payout_below_the_minimum_waits_for_the_next_settlement(database: Database) {
    let shop = Shop::new(&database).await;
    let minimum = v1::Contract {
        minimum_payout: "0.70".into(),
        ..terms("a")
    };
    change(&shop, "a", MerchantState::Active, minimum).await;
    settle(&shop, 1).await;
    assert_eq!(
        paid(&shop, 1).await,
        [from_to("", "t", 39), from_to("f", "", 95)]
    );
    let position = shop.a.hub.statement(1, None).await.unwrap().position;
    let position = position.unwrap();
    assert_eq!(
        (position.payment_micros, position.carried_forward_micros),
        (0, -390_000)
    );
    settle(&shop, 2).await;
    let expected = [
        from_to("", "a", 78),
        from_to("", "t", 39),
        from_to("f", "", 95),
    ];
    assert_eq!(paid(&shop, 2).await, expected);
    assert_eq!(risk(&shop, "a").await.brought_forward_micros, 0);
}

/// The contract holds a tenth back, finance more; what is released is paid with the next settlement.
async fn what_is_held_back_is_paid_when_two_people_release_it(database: Database) {
    let shop = Shop::new(&database).await;
    let tenth = v1::Contract {
        holdback_bps: 1_000,
        ..terms("a")
    };
    change(&shop, "a", MerchantState::Active, tenth).await;
    shop.trade().await;
    shop.close(1).await;
    let holding = |merchant: &str, amount_micros| v1::SettleCycle {
        holdbacks: vec![v1::Holdback {
            merchant_id: merchant.into(),
            amount_micros,
            reason: "returns are expected".into(),
        }],
        ..settlement(1, NettingMethod::Multilateral)
    };
    for (merchant, amount, code, reason) in [
        ("t", 400_000, Code::FailedPrecondition, "HOLDBACK_TOO_LARGE"),
        ("f", 10_000, Code::FailedPrecondition, "HOLDBACK_TOO_LARGE"),
        ("t", 5_000, Code::InvalidArgument, "AMOUNT_OUT_OF_RANGE"),
    ] {
        let refusal = shop.ana.preview(holding(merchant, amount)).await;
        refused(refusal, code, reason);
    }
    shop.ana.settle(&shop.ben, holding("t", 90_000)).await;
    // 0.39 less 0.03, whole cents of a tenth; 0.39 less 0.09.
    let expected = [
        from_to("", "a", 36),
        from_to("", "t", 30),
        from_to("f", "", 95),
    ];
    assert_eq!(paid(&shop, 1).await, expected);
    for (merchant, held) in [("a", 30_000), ("t", 90_000)] {
        assert_eq!(risk(&shop, merchant).await.held_back_micros, held);
    }
    let release = |amount_micros| {
        Action::ReleaseHoldback(v1::ReleaseHoldback {
            merchant_id: "t".into(),
            amount_micros,
        })
    };
    let more = shop.ana.propose(release(90_001), "all of it").await;
    refused(more, Code::FailedPrecondition, "NOT_HELD_BACK");
    shop.ana
        .carry_out(&shop.ben, release(90_000), "nothing came back")
        .await;
    shop.close(2).await;
    let plain = settlement(2, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    assert_eq!(paid(&shop, 2).await, [from_to("", "t", 9)]);
}

async fn a_merchant_that_is_left_out_is_settled_with_the_next_cycle(database: Database) {
    let shop = Shop::new(&database).await;
    shop.trade().await;
    shop.close(1).await;
    let without = v1::SettleCycle {
        without_merchant_ids: vec!["f".into()],
        ..settlement(1, NettingMethod::Multilateral)
    };
    shop.ana.settle(&shop.ben, without).await;
    let expected = [from_to("", "a", 39), from_to("", "t", 39)];
    assert_eq!(paid(&shop, 1).await, expected);
    assert_eq!(risk(&shop, "f").await.brought_forward_micros, 950_000);
    settle(&shop, 2).await;
    assert!(paid(&shop, 2).await.contains(&from_to("f", "", 190)));
}

/// What was paid ahead lowers the exposure at once, pays for what comes, and is booked once.
async fn a_prepaid_pack_pays_for_what_comes(database: Database) {
    let shop = Shop::new(&database).await;
    let pack = |reference: &str| {
        Action::PrepaidPack(v1::PrepaidPack {
            merchant_id: "f".into(),
            amount_micros: 1_000_000,
            reference: reference.into(),
        })
    };
    shop.ana
        .carry_out(&shop.ben, pack("INV-7"), "paid by card")
        .await;
    let ahead = risk(&shop, "f").await;
    assert_eq!(
        (ahead.clearing_micros, ahead.exposure_micros),
        (-1_000_000, 0)
    );
    let again = shop.ana.propose(pack("INV-7"), "paid by card").await;
    refused(again, Code::FailedPrecondition, "REFERENCE_TAKEN");
    settle(&shop, 1).await;
    let expected = [from_to("", "a", 39), from_to("", "t", 39)];
    assert_eq!(paid(&shop, 1).await, expected, "F pays nothing");
    settle(&shop, 2).await;
    // 0.05 are left of it.
    assert!(paid(&shop, 2).await.contains(&from_to("f", "", 90)));
}

/// F does not pay: what it owes is shared by the published order, in the open cycle.
async fn a_default_is_shared_by_the_published_order(database: Database) {
    let shop = Shop::new(&database).await;
    let share = |merchant: &str, share_bps, limit: &str| v1::LossShare {
        merchant_id: merchant.into(),
        share_bps,
        limit: limit.into(),
    };
    shop.hub.advance(MINUTE).await;
    shop.hub
        .apply(v1::Alliance {
            programme: Some(v1::Programme {
                cycle_schedule: v1::CycleSchedule::Manual.into(),
                bank_details: Some(alliance::bank_details("")),
                loss_shares: vec![share("a", 5_000, "0.10"), share("", 10_000, "")],
                ..programme()
            }),
            ..v1::Alliance::default()
        })
        .await;
    let secured = v1::Contract {
        collateral: "0.50".into(),
        ..terms("f")
    };
    change(&shop, "f", MerchantState::Active, secured.clone()).await;
    shop.submitted(1).await;
    let default = |amount_micros| {
        Action::DeclareDefault(v1::DeclareDefault {
            merchant_id: "f".into(),
            amount_micros,
        })
    };
    let active = shop.ana.propose(default(950_000), "it does not pay").await;
    refused(active, Code::FailedPrecondition, "MERCHANT_STATE");
    change(&shop, "f", MerchantState::Suspended, secured).await;
    let more = shop.ana.propose(default(950_001), "it does not pay").await;
    refused(more, Code::FailedPrecondition, "NOT_OWED");
    shop.ana
        .carry_out(&shop.ben, default(950_000), "it does not pay")
        .await;
    // 0.95: 0.50 of collateral; of the rest A bears a half, at most 0.10, and the hub what is left.
    let a = shop.a.hub.statement(2, None).await.unwrap();
    let lines: Vec<(&str, &str, i64)> = a
        .lines
        .iter()
        .map(|line| {
            (
                line.kind.as_str(),
                line.counterparty_merchant_id.as_str(),
                line.amount_micros,
            )
        })
        .collect();
    assert_eq!(lines, [("ADJUSTMENT", "f", 100_000)]);
    let open = shop.ana.hub.cycle(2).await.unwrap();
    let nets: i64 = open.net_positions.iter().map(|p| p.net_micros).sum();
    assert_eq!(nets, -850_000);
    assert_eq!(open.hub.unwrap().adjustment_micros, nets);
    // F is quit of it; its payment is not asked for any more.
    let by_f: Vec<v1::PaymentState> = shop
        .ana
        .payments(1)
        .await
        .iter()
        .filter(|p| p.payer_merchant_id == "f")
        .map(v1::Payment::state)
        .collect();
    assert_eq!(by_f, [v1::PaymentState::CarriedForward]);
    assert_eq!(shop.ana.cycle(1).await.state(), CycleState::Settling);
    let f = risk(&shop, "f").await;
    assert_eq!(f.clearing_micros, 0, "{f:?}");
}

for_each_database!(
    a_payout_below_the_minimum_waits_for_the_next_settlement,
    what_is_held_back_is_paid_when_two_people_release_it,
    a_merchant_that_is_left_out_is_settled_with_the_next_cycle,
    a_prepaid_pack_pays_for_what_comes,
    a_default_is_shared_by_the_published_order,
);
