//! What each state of a merchant accepts: the table of rule 11.

use hansa_proto::v1::{self, MerchantState, ResultCode};
use hansa_tests::{alliance, body, check::refused, database::Database, for_each_database};
use tonic::Code;

use crate::world::World;

/// Accrual, return, authorisation, capture, void, refund.
const TABLE: [(MerchantState, [bool; 6]); 4] = [
    (MerchantState::Active, [true, true, true, true, true, true]),
    (
        MerchantState::BurnOnly,
        [false, true, true, true, true, true],
    ),
    (
        MerchantState::WindingDown,
        [false, true, false, true, true, true],
    ),
    (
        MerchantState::Suspended,
        [false, true, false, false, true, true],
    ),
];

async fn what_each_state_accepts(database: Database) {
    let world = World::new(&database).await;
    for (number, (state, accepts)) in TABLE.into_iter().enumerate() {
        let id = format!("merchant-{number}");
        let merchant = world.hub.onboard(&id, alliance::contract()).await;
        let member = merchant.enrol(&id).await;
        let bought = merchant.accrue(&member, "100.00").await.accepted();
        let open = merchant.authorise(&member, 10).await.accepted();
        let to_void = merchant.authorise(&member, 10).await.accepted();
        let spent = merchant.authorise(&member, 10).await.accepted();
        let spent = merchant.capture(&member, spent.id, 10).await.accepted();
        let before = merchant.balance(&member).await.available_points;
        world.hub.set_state(&id, state).await;
        let messages = [
            body::accrual("1.00"),
            body::reversal(bought.id, "1.00"),
            body::authorisation(1),
            body::capture(open.id, 10),
            body::void(to_void.id),
            body::refund(spent.id, 10),
        ]
        .map(|body| merchant.message(&member, body));
        let answer = merchant.send_all(&messages).await;
        for ((outcome, accepts), message) in answer.outcomes.iter().zip(accepts).zip(&messages) {
            let expected = if accepts {
                ResultCode::Accepted
            } else {
                ResultCode::MerchantStateRefuses
            };
            assert_eq!(outcome.code(), expected, "{state:?} {message:?}");
        }
        // Reading goes on, and a member's points are worth the same elsewhere.
        let change: i64 = [1, -1, -1, 0, 10, 10]
            .iter()
            .zip(accepts)
            .filter(|(_, a)| *a)
            .map(|(c, _)| c)
            .sum();
        assert_eq!(
            merchant.balance(&member).await.available_points,
            before + change,
            "{state:?}"
        );
        let elsewhere = world.other.enrol(&id).await;
        let held = world.other.authorise(&elsewhere, 5).await.accepted();
        world.other.capture(&elsewhere, held.id, 5).await.ok();
    }
}

async fn a_merchant_that_is_not_live_yet(database: Database) {
    let world = World::new(&database).await;
    let state = MerchantState::Onboarding;
    world
        .hub
        .apply_merchant(alliance::merchant("new", state, alliance::contract()))
        .await;
    let merchant = world.hub.with_new_key("new").await;
    let member = merchant.enrol("u").await;
    for body in [
        body::accrual("1.00"),
        body::authorisation(1),
        body::void([1; 16]),
    ] {
        merchant
            .say(&member, body)
            .await
            .assert_code(ResultCode::MerchantStateRefuses);
    }
    assert_eq!(merchant.balance(&member).await.available_points, 1_000);
    world.hub.set_state("new", MerchantState::Active).await;
    merchant.accrue(&member, "1.00").await.ok();
}

/// A merchant closes before it has earned anything; with money under way it could not.
async fn a_closed_merchant(database: Database) {
    let world = World::new(&database).await;
    let merchant = world.hub.onboard("gone", alliance::contract()).await;
    let member = merchant.enrol("u").await;
    world.hub.set_state("gone", MerchantState::Closed).await;
    for body in [
        body::accrual("1.00"),
        body::reversal([1; 16], "1.00"),
        body::authorisation(1),
        body::capture([1; 16], 10),
        body::void([1; 16]),
        body::refund([1; 16], 10),
    ] {
        merchant
            .say(&member, body)
            .await
            .assert_code(ResultCode::MerchantStateRefuses);
    }
}

/// A merchant winds down: returns and refunds go on, and what its members have is worth the same.
async fn a_wound_down_merchant(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let held = shop.authorise(&world.member, 100).await.accepted();
    world
        .hub
        .set_state("shop", MerchantState::WindingDown)
        .await;
    let purchase = shop.message(&world.member, body::accrual("1.00"));
    world
        .assert_message_refused(purchase.clone(), ResultCode::MerchantStateRefuses)
        .await;
    let hold = shop.message(&world.member, body::authorisation(1));
    world
        .assert_message_refused(hold, ResultCode::MerchantStateRefuses)
        .await;
    shop.capture(&world.member, held.id, 100).await.ok();
    // Back in business: what was refused stays refused, what is new is accepted.
    world.hub.set_state("shop", MerchantState::Active).await;
    shop.send(purchase)
        .await
        .assert_code(ResultCode::MerchantStateRefuses);
    shop.accrue(&world.member, "1.00").await.ok();
}

async fn closing_needs_the_open_points_to_be_paid(database: Database) {
    let world = World::new(&database).await;
    let burn = v1::Contract {
        funding_mode: v1::FundingMode::Burn.into(),
        ..alliance::contract()
    };
    let merchant = world.hub.onboard("burner", burn).await;
    let member = merchant.enrol("u").await;
    merchant.accrue(&member, "10.00").await.ok();
    let before = world.snapshot().await;
    let request = v1::ApplyAllianceRequest {
        desired: Some(v1::Alliance {
            merchants: vec![v1::Merchant {
                merchant_id: "burner".into(),
                state: MerchantState::Closed.into(),
                ..v1::Merchant::default()
            }],
            ..v1::Alliance::default()
        }),
        validate_only: false,
    };
    let answer = world
        .hub
        .operator()
        .alliance()
        .apply_alliance(request)
        .await;
    refused(answer, Code::FailedPrecondition, "FAILED_PRECONDITION");
    assert_eq!(world.snapshot().await, before);
    merchant.accrue(&member, "1.00").await.ok();
}

for_each_database!(
    what_each_state_accepts,
    a_merchant_that_is_not_live_yet,
    a_closed_merchant,
    a_wound_down_merchant,
    closing_needs_the_open_points_to_be_paid,
);
