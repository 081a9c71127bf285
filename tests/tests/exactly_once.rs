//! One outcome per message id for ever, however often, in whatever company and in whatever order it is sent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    alliance, body,
    check::{as_replayed, codes},
    database::Database,
    for_each_database,
    hub::TestHub,
    merchant::{id_of, next_id},
};
use prost::Message as _;

/// A shop and a member of it.
async fn shop(database: &Database) -> (TestHub, hansa_tests::merchant::Merchant, [u8; 16]) {
    let hub = TestHub::on(database).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    (hub, shop, member)
}

async fn a_repeated_message_is_answered_with_its_first_outcome(database: Database) {
    let (mut hub, shop, member) = shop(&database).await;
    let purchase = shop.message(&member, body::accrual("10.00"));
    let refused = shop.message(&member, body::authorisation(1_000));
    let other = shop.message(&member, body::accrual("5.00"));

    // Twice in one batch.
    let first = shop.batch(&[purchase.clone(), purchase.clone(), refused.clone()]);
    let answer = shop.hub.submit(&first).await.unwrap();
    assert_eq!(
        codes(&answer.outcomes),
        [
            ResultCode::Accepted,
            ResultCode::Accepted,
            ResultCode::InsufficientPoints
        ]
    );
    let receipt = answer.receipt.clone().unwrap();
    let leaf = receipt.leaf_index;
    assert!(!answer.outcomes[0].replayed && !answer.outcomes[2].replayed);
    let repeated = as_replayed(&answer.outcomes[0], leaf, 0);
    assert_eq!(answer.outcomes[1], repeated);

    let expected = [
        repeated,
        repeated,
        as_replayed(&answer.outcomes[2], leaf, 2),
    ];
    let size = hub.status().await.tree_size;
    for restart in [false, true] {
        if restart {
            hub.kill();
            hub.start().await;
        }
        // The same batch: nothing is appended, so there is no new receipt; the stored one is the same bytes.
        let again = shop.hub.submit(&first).await.unwrap();
        assert_eq!(again.outcomes, expected);
        assert_eq!(again.receipt, None);
        let stored = shop.hub.receipt(leaf).await.unwrap();
        assert_eq!(
            stored.receipt.unwrap().encode_to_vec(),
            receipt.encode_to_vec()
        );
        assert_eq!(stored.outcomes, answer.outcomes_bytes);
        assert_eq!(hub.status().await.tree_size, size);
    }

    // In another batch, behind something new, and signed with another key.
    let rotated = hub.with_new_key("shop").await;
    let mixed = rotated
        .send_all(&[other.clone(), purchase.clone(), refused])
        .await;
    assert_eq!(codes(&mixed.outcomes), codes(&answer.outcomes));
    assert_eq!(mixed.outcomes[1..], [repeated, expected[2]]);
    assert!(!mixed.outcomes[0].replayed);
    let new_leaf = mixed.receipt.unwrap().leaf_index;

    // A batch of replays of two entries names the leaf of each.
    let both = shop.send_all(&[other, purchase]).await;
    let leaves: Vec<Option<u64>> = both.outcomes.iter().map(|o| o.leaf_index).collect();
    assert_eq!(leaves, [Some(new_leaf), Some(leaf)]);
    assert_eq!(shop.balance(&member).await.available_points, 15);
    let counts = hub.liability().await.counts.unwrap();
    assert_eq!((counts.accruals, counts.authorisations_refused), (2, 1));
}

async fn small_ids_after_many_large_ones(database: Database) {
    let (mut hub, shop, member) = shop(&database).await;
    // Many members, as many purchases have.
    let many = shop.enrol_many("m", 1_000).await;
    let with_id = |high: u8, n: u32| {
        let buyer = if high == 0xf0 {
            &many[n as usize % many.len()]
        } else {
            &member
        };
        let mut message = shop.message(buyer, body::accrual("1.00"));
        message.message_id = [&[high; 12][..], &n.to_be_bytes()[..]].concat();
        message
    };
    let early: Vec<v1::Message> = (0..3).map(|n| with_id(0x10, n * 10)).collect();
    let first = shop.send_all(&early).await;
    let leaf = first.receipt.unwrap().leaf_index;

    // More than the hub keeps in memory after a start.
    let (sender, mut answers) = shop.hub.stream(4);
    let batches: Vec<_> = (0..17_u32)
        .map(|b| {
            let many: Vec<v1::Message> = (0..4_000).map(|n| with_id(0xf0, b * 4_000 + n)).collect();
            shop.batch(&many)
        })
        .collect();
    let feeding = tokio::spawn(async move {
        for batch in batches {
            assert!(sender.send(batch).await.is_ok(), "the stream ended");
        }
    });
    let mut accepted = 0;
    while let Some(item) = answers.next().await {
        let answer = item.result.unwrap();
        accepted += answer
            .outcomes
            .iter()
            .filter(|o| o.code() == ResultCode::Accepted && !o.replayed)
            .count();
    }
    feeding.await.unwrap();
    assert_eq!(accepted, 68_000);
    hub.terminate().await;
    hub.start().await;

    let again = shop.send_all(&early).await;
    for (at, (first, again)) in first.outcomes.iter().zip(&again.outcomes).enumerate() {
        assert_eq!(*again, as_replayed(first, leaf, u32::try_from(at).unwrap()));
    }
    // Small ids that were never used are new, once.
    let between: Vec<v1::Message> = (0..3).map(|n| with_id(0x10, n * 10 + 5)).collect();
    let new = shop.send_all(&between).await;
    assert!(
        new.outcomes
            .iter()
            .all(|o| o.code() == ResultCode::Accepted && !o.replayed)
    );
    let again = shop.send_all(&between).await;
    assert!(
        again
            .outcomes
            .iter()
            .all(|o| o.code() == ResultCode::Accepted && o.replayed)
    );
    assert_eq!(shop.balance(&member).await.available_points, 6);
    assert_eq!(shop.balance(&many[7]).await.available_points, 68);
}

async fn random_ids_in_any_order(database: Database) {
    let (mut hub, shop, member) = shop(&database).await;
    // A fixed order without any order in it: multiplication by an odd number permutes.
    let messages: Vec<v1::Message> = (0..600_u128)
        .map(|n| {
            let id = n
                .wrapping_add(1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let mut message = shop.message(&member, body::accrual("1.00"));
            message.message_id = id.to_be_bytes().to_vec();
            message
        })
        .collect();
    let mut first = BTreeMap::new();
    for chunk in messages.chunks(60) {
        let answer = shop.send_all(chunk).await;
        let leaf = answer.receipt.unwrap().leaf_index;
        for (at, (message, outcome)) in chunk.iter().zip(&answer.outcomes).enumerate() {
            assert_eq!(outcome.code(), ResultCode::Accepted);
            first.insert(
                id_of(message),
                as_replayed(outcome, leaf, u32::try_from(at).unwrap()),
            );
        }
    }
    hub.kill();
    hub.start().await;
    // In the order of ids, and the other way round, each batch of replays of many entries.
    let mut sorted = messages;
    sorted.sort_by_key(id_of);
    for _ in 0..2 {
        for chunk in sorted.chunks(100) {
            let answer = shop.send_all(chunk).await;
            let expected: Vec<v1::Outcome> = chunk.iter().map(|m| first[&id_of(m)]).collect();
            assert_eq!(answer.outcomes, expected);
        }
        sorted.reverse();
    }
    assert_eq!(shop.balance(&member).await.available_points, 600);
    assert_eq!(hub.liability().await.counts.unwrap().accruals, 600);
}

async fn the_same_id_with_other_bytes_is_refused_and_the_first_outcome_stays(database: Database) {
    let (mut hub, shop, member) = shop(&database).await;
    let purchase = shop.message(&member, body::accrual("10.00"));
    let mut changed = purchase.clone();
    changed.body = Some(body::accrual("10.01"));
    // In one batch, in another batch, after a restart, and when the first was refused.
    let answer = shop.send_all(&[purchase.clone(), changed.clone()]).await;
    assert_eq!(
        codes(&answer.outcomes),
        [ResultCode::Accepted, ResultCode::ModifiedRequest]
    );
    let leaf = answer.receipt.unwrap().leaf_index;
    for _ in 0..2 {
        let again = shop.send_all(&[changed.clone()]).await;
        assert_eq!(codes(&again.outcomes), [ResultCode::ModifiedRequest]);
        assert_eq!(
            again.outcomes[0].leaf_index,
            Some(leaf),
            "where the first outcome is"
        );
        let replay = shop.send(purchase.clone()).await;
        assert_eq!(replay.outcome, as_replayed(&answer.outcomes[0], leaf, 0));
        let stored = shop.hub.outcomes(&[id_of(&purchase)]).await.unwrap();
        let first = v1::Outcome {
            leaf_index: Some(leaf),
            ..answer.outcomes[0]
        };
        assert_eq!(stored[0].outcome.unwrap(), first);
        hub.kill();
        hub.start().await;
    }
    let refused = shop.message(&member, body::authorisation(11));
    shop.send(refused.clone())
        .await
        .assert_code(ResultCode::InsufficientPoints);
    let mut smaller = refused.clone();
    smaller.body = Some(body::authorisation(10));
    shop.send(smaller)
        .await
        .assert_code(ResultCode::ModifiedRequest);
    // An id that was refused stays refused, though the points are there now.
    shop.accrue(&member, "100.00").await.ok();
    let again = shop.send(refused).await;
    again.assert_code(ResultCode::InsufficientPoints);
    assert!(again.outcome.replayed);
    assert_eq!(shop.balance(&member).await.available_points, 110);
}

async fn the_same_id_of_two_merchants_is_two_messages(database: Database) {
    let (hub, shop, member) = shop(&database).await;
    let other = hub.onboard("other", alliance::contract()).await;
    let there = other.enrol("u").await;
    let id = next_id();
    let mut here = shop.message(&member, body::accrual("1.00"));
    here.message_id = id.to_vec();
    let mut elsewhere = other.message(&there, body::accrual("2.00"));
    elsewhere.message_id = id.to_vec();
    shop.send(here).await.ok();
    let second = other.send(elsewhere).await.accepted();
    assert!(!second.outcome.replayed);
    assert_eq!(
        shop.balance(&member).await.available_points,
        3,
        "one member, two references"
    );
}

async fn fifty_concurrent_redemptions_of_a_balance_that_covers_one(database: Database) {
    let (hub, shop, member) = shop(&database).await;
    let other = hub.onboard("other", alliance::contract()).await;
    let there = other.enrol("u").await;
    for round in 1..=3_i64 {
        shop.accrue(&member, "100.00").await.ok();
        let mut calls = tokio::task::JoinSet::new();
        for n in 0..50 {
            // Half of them at another merchant, each on a connection of its own.
            let (till, member) = if n % 2 == 0 {
                (&shop, member)
            } else {
                (&other, there)
            };
            let till = hub.reached_by(till);
            calls.spawn(async move {
                let held = till.authorise(&member, 100).await;
                if held.outcome.code() == ResultCode::Accepted {
                    till.capture(&member, held.id, 100).await.ok();
                }
                held.outcome.code()
            });
        }
        let mut codes = calls.join_all().await;
        codes.sort();
        let mut expected = vec![ResultCode::Accepted];
        expected.extend([ResultCode::InsufficientPoints; 49]);
        assert_eq!(codes, expected);
        let balance = shop.balance(&member).await;
        assert_eq!((balance.available_points, balance.held_points), (0, 0));
        let counts = hub.liability().await.counts.unwrap();
        assert_eq!(counts.captures, u64::try_from(round).unwrap());
        assert_eq!(counts.redeemed_points, 100 * round);
    }
}

async fn fifty_concurrent_copies_of_one_message_are_one(database: Database) {
    let (hub, shop, member) = shop(&database).await;
    let purchase = shop.message(&member, body::accrual("7.00"));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let till = hub.reached_by(&shop);
        let purchase = purchase.clone();
        calls.spawn(async move { till.send(purchase).await.accepted().outcome });
    }
    let outcomes = calls.join_all().await;
    assert_eq!(outcomes.iter().filter(|o| !o.replayed).count(), 1);
    assert_eq!(shop.balance(&member).await.available_points, 7);
    let status = hub.status().await;
    assert_eq!(status.duplicate_key_restarts, 0);
}

for_each_database!(
    a_repeated_message_is_answered_with_its_first_outcome,
    small_ids_after_many_large_ones,
    random_ids_in_any_order,
    the_same_id_with_other_bytes_is_refused_and_the_first_outcome_stays,
    the_same_id_of_two_merchants_is_two_messages,
    fifty_concurrent_redemptions_of_a_balance_that_covers_one,
    fifty_concurrent_copies_of_one_message_are_one,
);
