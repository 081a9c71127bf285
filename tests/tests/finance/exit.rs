//! A merchant leaves: it stops earning before it stops burning, settles what it owes, and its points live on.

use hansa_proto::v1::{self, MerchantState, NettingMethod, ResultCode, action::Action};
use hansa_tests::{
    alliance,
    bank::{Booking, statement},
    check::refused,
    clerk::settlement,
    cli::Cli,
    clock::MINUTE,
    database::Database,
    for_each_database,
    shop::{DAY, Shop, terms},
};
use serde_json::Value;
use tonic::Code;

async fn settle(shop: &Shop, cycle: u32) {
    shop.close(cycle).await;
    let plain = settlement(cycle, NettingMethod::Multilateral);
    shop.ana.settle(&shop.ben, plain).await;
    shop.ana.submit_all(cycle).await;
    let payments = shop.ana.payments(cycle).await;
    let bookings: Vec<Booking> = payments.iter().map(|p| Booking::of(p, DAY)).collect();
    let id = format!("STMT-{cycle}");
    shop.ana
        .reconcile(&shop.ben, statement(&id, DAY, &bookings))
        .await;
    assert_eq!(shop.ana.cycle(cycle).await.state(), v1::CycleState::Settled);
}

/// The statement's lines, counterparties, messages and entries each come to the net.
async fn assert_statement_adds_up(shop: &Shop, cycle_number: u32, merchant: &str, net: i64) {
    let request = v1::GetStatementDocumentRequest {
        cycle_number,
        merchant_id: merchant.into(),
        format: v1::DocumentFormat::Json.into(),
        with_items: true,
    };
    let document = shop.ana.hub.statement_document(request).await.unwrap();
    let document: Value = serde_json::from_slice(&document.content).unwrap();
    let statement = &document["statement"];
    for parts in ["lines", "bilateral", "messages", "drill_down"] {
        let items = statement[parts].as_array().unwrap().iter();
        let sum: i64 = items
            .map(|item| item["amount"]["micros"].as_i64().unwrap())
            .sum();
        assert_eq!(sum, net, "{parts} of {statement}");
    }
}

async fn change_state(
    shop: &Shop,
    id: &str,
    state: MerchantState,
) -> Result<(), hansa_client::hub::CallError> {
    let request = v1::ApplyAllianceRequest {
        desired: Some(v1::Alliance {
            merchants: vec![v1::Merchant {
                merchant_id: id.into(),
                state: state.into(),
                ..v1::Merchant::default()
            }],
            ..v1::Alliance::default()
        }),
        validate_only: false,
    };
    let applied = shop.hub.operator().alliance().apply_alliance(request).await;
    applied.map(drop).map_err(Into::into)
}

async fn a_merchant_that_leaves_pays_for_its_points_and_they_stay_good(database: Database) {
    let shop = Shop::new(&database).await;
    shop.hub.advance(MINUTE).await;
    let burn = v1::Contract {
        funding_mode: v1::FundingMode::Burn.into(),
        ..terms("f")
    };
    shop.hub
        .apply_merchant(alliance::merchant("f", MerchantState::Active, burn))
        .await;
    let [at_f, at_a, at_t] = [
        shop.f.enrol("u").await,
        shop.a.enrol("u").await,
        shop.t.enrol("u").await,
    ];
    // 200 BURN points of F, 200 ISSUE points of T; 30 of F's are spent at A and may come back.
    let bought = shop.f.accrue(&at_f, "200.00").await.accepted();
    shop.t.accrue(&at_t, "200.00").await.ok();
    let held = shop.a.authorise(&at_a, 30).await.accepted();
    let spent = shop.a.capture(&at_a, held.id, 30).await.accepted();

    // Earning ends first; burning goes on.
    let prefund = Action::PrefundPoints(v1::PrefundPoints {
        merchant_id: "f".into(),
    });
    let active = shop.ana.propose(prefund.clone(), "F leaves").await;
    refused(active, Code::FailedPrecondition, "MERCHANT_STATE");
    shop.hub.set_state("f", MerchantState::BurnOnly).await;
    let earned = shop.f.accrue(&at_f, "1.00").await;
    earned.assert_code(ResultCode::MerchantStateRefuses);
    let held = shop.f.authorise(&at_f, 60).await.accepted();
    // Then no new authorisation; the open one, refunds and returns go on.
    shop.hub.set_state("f", MerchantState::WindingDown).await;
    let more = shop.f.authorise(&at_f, 1).await;
    more.assert_code(ResultCode::MerchantStateRefuses);
    shop.f.capture(&at_f, held.id, 50).await.ok();
    shop.f.reverse(&at_f, bought.id, "20.00").await.ok();

    // It closes only when its points are paid for and everything is settled. 100 of them are open.
    let closed = change_state(&shop, "f", MerchantState::Closed).await;
    let refusal = refused(closed, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(refusal.message.contains("NOT_PREFUNDED"), "{refusal}");
    let cli = Cli::new(&shop.hub);
    let dry = cli.run("finance propose prefund-points f --reason leaves --dry-run");
    let dry = dry.expect(0);
    assert!(
        dry.contains("It could be proposed: f pays for its open points."),
        "{dry}"
    );
    let made = shop.ana.propose(prefund.clone(), "F leaves").await.unwrap();
    let alone = shop.ana.decide(made.proposal_number, true, "checked").await;
    refused(alone, Code::PermissionDenied, "SAME_PERSON");
    let reserve = shop.hub.liability().await.reserve_micros;
    shop.ben
        .decide(made.proposal_number, true, "checked")
        .await
        .unwrap();
    assert_eq!(shop.hub.liability().await.reserve_micros - reserve, 800_000);
    let found = shop.hub.operator().statement(1, Some("f")).await.unwrap();
    let line = found
        .lines
        .iter()
        .find(|line| line.kind == "PREFUNDING")
        .unwrap();
    assert_eq!((line.points, line.amount_micros), (100, 800_000));
    let again = shop.ana.propose(prefund, "F leaves").await;
    refused(again, Code::InvalidArgument, "AMOUNT_OUT_OF_RANGE");
    let closed = change_state(&shop, "f", MerchantState::Closed).await;
    let refusal = refused(closed, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert!(refusal.message.contains("UNSETTLED"), "{refusal}");
    // Who has paid for its points does not come back to issue others at the same price.
    let back = change_state(&shop, "f", MerchantState::Active).await;
    refused(back, Code::FailedPrecondition, "FAILED_PRECONDITION");
    settle(&shop, 1).await;
    assert_statement_adds_up(&shop, 1, "f", 1_350_000).await;
    // T leaves, too: its points were paid for when they were issued.
    shop.hub.set_state("t", MerchantState::WindingDown).await;
    for id in ["f", "t"] {
        let carried = shop.hub.operator().statement(2, Some(id)).await.unwrap();
        let carried = carried.position.unwrap().brought_forward_micros;
        assert_eq!(carried, 0, "{id} has paid to the micro-unit");
        change_state(&shop, id, MerchantState::Closed)
            .await
            .unwrap();
    }
    let gone = shop.f.authorise(&at_f, 1).await;
    gone.assert_code(ResultCode::MerchantStateRefuses);

    // The orphans are good at A, out of the reserve; those that come back go back into it.
    let balance = shop.a.balance(&at_a).await;
    assert_eq!(balance.available_points, 300);
    let held = shop.a.authorise(&at_a, 300).await.accepted();
    shop.a.capture(&at_a, held.id, 300).await.ok();
    assert_eq!(shop.hub.liability().await.reserve_micros, 0);
    shop.a.refund(&at_a, spent.id, 30).await.ok();
    assert_eq!(shop.hub.liability().await.reserve_micros, 240_000);
    settle(&shop, 2).await;
    let nothing = shop.hub.operator().statement(2, Some("f")).await.unwrap();
    assert_eq!(nothing.position.unwrap().net_micros, 0);
    let payments = shop.ana.payments(2).await;
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0].payee_merchant_id, "a");
    shop.hub.verify().await;
}

for_each_database!(a_merchant_that_leaves_pays_for_its_points_and_they_stay_good);
