//! Limits per merchant: refused with RESOURCE_EXHAUSTED and when to try again; other merchants notice nothing.

use std::time::Duration;

use hansa_client::hub::{CallError, RetryPolicy};
use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    body, check::refused, database::Database, for_each_database, merchant::Merchant,
};
use tonic::Code;

use crate::world::World;

fn purchases(till: &Merchant, member: &[u8; 16], count: usize) -> Vec<v1::Message> {
    (0..count)
        .map(|_| till.message(member, body::accrual("1.00")))
        .collect()
}

async fn messages_per_second(database: Database) {
    let limits = ["--messages-per-second=50", "--burst-messages=100"];
    let world = World::with(&database, &limits).await;
    let shop = &world.shop;
    let first = purchases(shop, &world.member, 90);
    shop.send_all(&first).await;
    let next = shop.sign(&purchases(shop, &world.member, 80));
    let error = refused(
        shop.submit_once(next.clone()).await,
        Code::ResourceExhausted,
        "LIMIT_EXCEEDED",
    );
    let wait = error.retry_after.unwrap();
    assert!(
        wait > Duration::from_millis(100) && wait < Duration::from_secs(3),
        "{wait:?}"
    );
    assert!(error.is_transient());
    // Another merchant is not meant.
    world
        .other
        .send_all(&purchases(&world.other, &world.there, 90))
        .await;
    // The same bytes are taken after the wait: no id was used up.
    tokio::time::sleep(wait + Duration::from_millis(100)).await;
    let answer = shop.submit_once(next).await.unwrap();
    assert!(answer.receipt.is_some());
    assert_eq!(
        shop.balance(&world.member).await.available_points,
        1_000 + 90 + 80 + 90
    );
    // What can never be taken is no matter of waiting.
    let never = shop.sign(&purchases(shop, &world.member, 101));
    refused(
        shop.submit_once(never).await,
        Code::InvalidArgument,
        "BATCH_TOO_LARGE",
    );
}

async fn batches_under_way(database: Database) {
    let world = World::with(&database, &["--concurrent-batches=2"]).await;
    let shop = &world.shop;
    let mut calls = tokio::task::JoinSet::new();
    let members = shop.enrol_many("m", 40).await;
    for member in &members {
        let till = shop.clone();
        let envelope = shop.sign(&purchases(shop, member, 500));
        calls.spawn(async move { (till.submit_once(envelope.clone()).await, envelope) });
    }
    // Meanwhile somebody else gets in.
    world.other.accrue(&world.there, "1.00").await.ok();
    let (mut taken, mut refusals) = (0, Vec::new());
    for (result, envelope) in calls.join_all().await {
        match result {
            Ok(answer) => {
                assert!(answer.receipt.is_some());
                taken += 1;
            }
            Err(error) => {
                let error = refused::<()>(Err(error), Code::ResourceExhausted, "LIMIT_EXCEEDED");
                assert!(error.retry_after.is_some_and(|wait| !wait.is_zero()));
                refusals.push(envelope);
            }
        }
    }
    assert!(taken > 0 && !refusals.is_empty(), "{taken} taken");
    // Sent again one by one, each is taken for the first time.
    for envelope in refusals {
        let answer = shop.submit_once(envelope).await.unwrap();
        assert!(answer.receipt.is_some());
    }
    for member in &members {
        assert_eq!(shop.balance(member).await.available_points, 500);
    }
}

/// The client does what the refusal says, so that its caller notices nothing but time.
async fn the_client_waits_as_it_is_told(database: Database) {
    let limits = ["--messages-per-second=200", "--burst-messages=200"];
    let world = World::with(&database, &limits).await;
    let shop = &world.shop;
    for _ in 0..4 {
        let answer: Result<_, CallError> =
            shop.try_send(&purchases(shop, &world.member, 150)).await;
        let outcomes = answer.unwrap().outcomes;
        assert!(
            outcomes
                .iter()
                .all(|o| o.code() == ResultCode::Accepted && !o.replayed)
        );
    }
    let hasty = shop
        .hub
        .clone()
        .with_retry(RetryPolicy::never(Duration::from_secs(10)));
    let batches = [0, 1].map(|_| shop.batch(&purchases(shop, &world.member, 180)));
    let mut results = Vec::new();
    for batch in &batches {
        results.push(hasty.submit(batch).await.map(|_| ()));
    }
    assert!(results.iter().any(Result::is_err));
}

/// Batches of a stream are decided in their order, also when the limit refuses some of them for a while.
async fn a_limited_stream_keeps_its_order(database: Database) {
    let limits = ["--messages-per-second=200", "--burst-messages=100"];
    let world = World::with(&database, &limits).await;
    let shop = &world.shop;
    let member = shop.enrol("streaming").await;
    shop.accrue(&member, "49.00").await.ok();
    let (sender, mut answers) = shop.hub.stream(8);
    // Each batch holds what the one before has earned.
    let batches: Vec<_> = (0..10)
        .map(|_| {
            let mut messages = vec![shop.message(&member, body::authorisation(49))];
            messages.extend(purchases(shop, &member, 49));
            shop.batch(&messages)
        })
        .collect();
    let sending = async {
        for batch in batches {
            assert!(sender.send(batch).await.is_ok());
        }
    };
    let receiving = async {
        for _ in 0..10 {
            let answer = answers.next().await.unwrap().result.unwrap();
            let accepted = answer
                .outcomes
                .iter()
                .all(|o| o.code() == ResultCode::Accepted);
            assert!(accepted, "{:?}", answer.outcomes[0]);
        }
    };
    tokio::join!(sending, receiving);
    let balance = shop.balance(&member).await;
    assert_eq!((balance.available_points, balance.held_points), (49, 490));
}

for_each_database!(
    a_limited_stream_keeps_its_order,
    messages_per_second,
    batches_under_way,
    the_client_waits_as_it_is_told
);
