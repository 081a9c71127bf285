//! Field rules that need no state: all violations at once, each with its index, and nothing is taken.

use hansa_proto::v1::{self, message::Body};
use hansa_tests::{body, check::refused, database::Database, for_each_database, merchant::next_id};
use prost_types::Timestamp;
use tonic::Code;

use crate::world::World;

fn money(currency: &str, micros: i64) -> v1::Money {
    v1::Money {
        currency_code: currency.into(),
        micros,
    }
}

fn reversal(micros: i64) -> Body {
    Body::AccrualReversal(v1::AccrualReversal {
        accrual_message_id: next_id().to_vec(),
        returned_amount: Some(money("EUR", micros)),
    })
}

/// Bodies that break a rule, with the field.
fn broken_bodies() -> Vec<(Body, &'static str)> {
    let short = v1::RedemptionVoid {
        authorisation_message_id: vec![1; 15],
    };
    let nothing = Body::Accrual(v1::Accrual::default());
    vec![
        (
            body::accrual_of(money("EUR", -1)),
            "accrual.eligible_amount.micros",
        ),
        (
            body::accrual_of(money("EUR", i64::MIN)),
            "accrual.eligible_amount.micros",
        ),
        (
            body::accrual_of(money("EUR", i64::MAX)),
            "accrual.eligible_amount.micros",
        ),
        (
            body::accrual_of(money("EUR", 1_000_000_000_000_001)),
            "accrual.eligible_amount.micros",
        ),
        (
            body::accrual_of(money("eur", 1)),
            "accrual.eligible_amount.currency_code",
        ),
        (
            body::accrual_of(money("", 1)),
            "accrual.eligible_amount.currency_code",
        ),
        (
            body::accrual_of(money("EURO", 1)),
            "accrual.eligible_amount.currency_code",
        ),
        (nothing, "accrual.eligible_amount"),
        (body::accrual_with_points("1.00", -1), "accrual.points"),
        (
            body::accrual_with_points("1.00", i64::MAX),
            "accrual.points",
        ),
        (reversal(0), "accrual_reversal.returned_amount.micros"),
        (reversal(-5), "accrual_reversal.returned_amount.micros"),
        (
            reversal(i64::MAX),
            "accrual_reversal.returned_amount.micros",
        ),
        (body::authorisation(0), "redemption_authorisation.points"),
        (body::authorisation(-1), "redemption_authorisation.points"),
        (
            body::authorisation(i64::MAX),
            "redemption_authorisation.points",
        ),
        (body::capture(next_id(), 0), "redemption_capture.points"),
        (
            body::capture(next_id(), i64::MIN),
            "redemption_capture.points",
        ),
        (body::refund(next_id(), -3), "redemption_refund.points"),
        (
            Body::RedemptionVoid(short),
            "redemption_void.authorisation_message_id",
        ),
    ]
}

async fn every_broken_field_is_named(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let good = shop.message(&world.member, body::accrual("5.00"));
    let before = world.snapshot().await;
    let mut all = vec![good.clone()];
    let mut fields = Vec::new();
    for (body, field) in broken_bodies() {
        let message = shop.message(&world.member, body);
        let answer = shop
            .submit_once(shop.sign(&[good.clone(), message.clone()]))
            .await;
        let error = refused(answer, Code::InvalidArgument, "FIELD_VIOLATIONS");
        let named: Vec<String> = error.violations.iter().map(|v| v.field.clone()).collect();
        assert_eq!(named, [format!("messages[1].{field}")]);
        assert!(!error.violations[0].description.is_empty());
        fields.push(format!("messages[{}].{field}", all.len()));
        all.push(message);
    }
    let error = refused(
        shop.submit_once(shop.sign(&all)).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    let named: Vec<String> = error.violations.iter().map(|v| v.field.clone()).collect();
    assert_eq!(named, fields, "all of them in one answer");
    assert_eq!(world.snapshot().await, before);
    // The message that was in order is not used up, and neither are the others' ids.
    shop.send(good).await.ok();
    for mut message in all.into_iter().skip(1) {
        message.body = Some(body::accrual("1.00"));
        let sent = shop.send(message).await.accepted();
        assert!(!sent.outcome.replayed);
    }
}

async fn broken_heads_of_messages(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let good = shop.message(&world.member, body::accrual("5.00"));
    let before = world.snapshot().await;
    let with = |change: &dyn Fn(&mut v1::Message)| {
        let mut message = good.clone();
        change(&mut message);
        message
    };
    let broken = [
        (with(&|m| m.message_id.clear()), "message_id"),
        (with(&|m| m.message_id.push(0)), "message_id"),
        (with(&|m| m.message_id.truncate(15)), "message_id"),
        (with(&|m| m.member_reference.clear()), "member_reference"),
        (
            with(&|m| m.member_reference.truncate(8)),
            "member_reference",
        ),
        (with(&|m| m.event_time = None), "event_time"),
        (
            with(&|m| {
                m.event_time = Some(Timestamp {
                    seconds: -1,
                    nanos: 0,
                })
            }),
            "event_time",
        ),
        (
            with(&|m| {
                m.event_time = Some(Timestamp {
                    seconds: i64::MAX,
                    nanos: 0,
                })
            }),
            "event_time",
        ),
        (
            with(&|m| {
                m.event_time = Some(Timestamp {
                    seconds: 1,
                    nanos: -1,
                })
            }),
            "event_time",
        ),
        (
            with(&|m| {
                m.event_time = Some(Timestamp {
                    seconds: 1,
                    nanos: 1_000_000_000,
                })
            }),
            "event_time",
        ),
        (with(&|m| m.lane = "x".repeat(65)), "lane"),
        (with(&|m| m.body = None), "body"),
    ];
    for (message, field) in broken {
        let error = refused(
            shop.submit_once(shop.sign(&[message])).await,
            Code::InvalidArgument,
            "FIELD_VIOLATIONS",
        );
        assert_eq!(error.violations[0].field, format!("messages[0].{field}"));
    }
    assert_eq!(world.snapshot().await, before);
    shop.send(good).await.ok();
}

/// A refusal stays within what peers accept as headers, however much is wrong.
async fn a_full_batch_of_broken_messages(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let before = world.snapshot().await;
    let broken: Vec<v1::Message> = (0..4_000)
        .map(|_| {
            let mut message = shop.message(&world.member, reversal(-1));
            message.member_reference.clear();
            message.event_time = None;
            message
        })
        .collect();
    let error = refused(
        shop.submit_once(shop.sign(&broken)).await,
        Code::InvalidArgument,
        "FIELD_VIOLATIONS",
    );
    assert!(error.violations.len() >= 20, "{}", error.violations.len());
    assert_eq!(world.snapshot().await, before);
}

/// The largest numbers that the rules allow neither overflow nor panic.
async fn the_largest_amounts(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let largest = body::accrual_of(money("EUR", 1_000_000_000_000_000));
    let sent = shop.say(&world.member, largest).await.accepted();
    assert_eq!(sent.outcome.points, 1_000_000_000);
    assert_eq!(
        shop.authorise(&world.member, 1_000_001_000)
            .await
            .accepted()
            .outcome
            .available_points,
        0
    );
    shop.authorise(&world.member, 1_000_000_000_000)
        .await
        .assert_code(v1::ResultCode::InsufficientPoints);
    let position = shop.hub.statement(0, None).await.unwrap().position.unwrap();
    assert_eq!(position.net_micros, 1_000_001_000 * 9_500);
    // Zero is accepted and posts nothing.
    let zero = shop.accrue(&world.member, "0.00").await.accepted();
    assert_eq!(
        (zero.outcome.points, zero.outcome.state()),
        (0, v1::MessageState::Posted)
    );
}

for_each_database!(
    every_broken_field_is_named,
    broken_heads_of_messages,
    a_full_batch_of_broken_messages,
    the_largest_amounts,
);
