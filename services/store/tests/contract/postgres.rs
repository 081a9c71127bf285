//! What only PostgreSQL has: other backends, TCP, and locks that outlive a stopped process.

use std::time::{Duration, Instant};

use hansa_store::testing::shared_postgres;
use hansa_store::{ReferenceRow, Store, StoreError, StoreOptions};
use sqlx::{Connection, PgConnection};

use crate::fixture::{Database, entry, group, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_ends_the_backends_of_a_stopped_holder() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let successor = database.open_as("hansa-b").await;
    let old = successor.take_gate("a", "a:1", None).await.unwrap();
    // A holder that stopped between the gate's check and its commit: it keeps the row.
    let stopped_url = format!("{}&application_name=hansa-a", database.url);
    let mut stopped = PgConnection::connect(&stopped_url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT epoch FROM ledger_gate FOR SHARE")
        .execute(&mut stopped)
        .await
        .unwrap();
    let waiting = {
        let successor = successor.clone();
        tokio::spawn(async move { successor.take_gate("b", "b:1", Some(old)).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(successor.terminate_backends_of("hansa-a").await.unwrap(), 1);
    assert_eq!(waiting.await.unwrap().unwrap(), old + 1);
    assert!(sqlx::raw_sql("COMMIT").execute(&mut stopped).await.is_err());
    assert_eq!(successor.terminate_backends_of("hansa-a").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_ends_only_the_backends_of_its_earlier_life() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let earlier = database.open_as("hansa-a").await;
    let epoch = earlier.take_gate("a", "a:1", None).await.unwrap();
    let later = database.open_as("hansa-a").await;
    assert!(later.terminate_backends_of("hansa-a").await.unwrap() >= 1);
    // Its own connections live.
    later.append(epoch, &group(0, 1)).await.unwrap();
    assert_eq!(later.terminate_backends_of("hansa-a").await.unwrap(), 0);
    // The handle that lost its idle connections finds new ones, and the gate is still its own.
    earlier.append(epoch, &group(1, 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_application_name_is_refused() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let options = StoreOptions {
        application_name: "h".repeat(64),
        ..StoreOptions::default()
    };
    let refused = Store::open(&database.url, &options).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_create_the_schema_at_once() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let stores = tokio::join!(database.open(), database.open(), database.open());
    let epoch = stores.0.take_gate("a", "a:1", None).await.unwrap();
    assert!(stores.1.confirm_gate(epoch).await.unwrap());
    assert!(stores.2.confirm_gate(epoch).await.unwrap());
}

/// A driver without `TCP_NODELAY` stalls some 40 ms where it sends two messages in a row: on COPY, not on UNNEST, and only
/// when the rows leave a partial segment behind, hence several sizes. The median of each, so that one slow commit does not
/// count.
#[tokio::test(flavor = "multi_thread")]
async fn appends_over_tcp_do_not_stall() {
    let Some(server) = tokio::task::spawn_blocking(shared_postgres).await.unwrap() else {
        return;
    };
    let name = server.create_database().await.unwrap();
    let store = Store::open(&server.tcp_url(&name), &StoreOptions::default())
        .await
        .unwrap();
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut seq = 0;
    for ids in [1, 100, 2000] {
        let mut took = Vec::new();
        for _ in 0..11 {
            let mut group = group(seq, ids);
            group.references.push(ReferenceRow {
                merchant: 1,
                reference: id(u128::from(seq)),
                member: 1,
            });
            let started = Instant::now();
            store.append(epoch, &group).await.unwrap();
            took.push(started.elapsed());
            seq += 1;
        }
        took.sort();
        assert!(took[5] < Duration::from_millis(35), "{ids}: {took:?}");
    }
    assert_eq!(store.entry(32).await.unwrap(), Some(entry(32)));
    let last = (7, id(32 << 12 | 7));
    assert_eq!(store.find_ids(&[last]).await.unwrap(), [Some(32 << 12 | 7)]);
    let mut duplicate = group(33, 1);
    duplicate.ids[0].id = id(32 << 12 | 7);
    let refused = store.append(epoch, &duplicate).await;
    assert!(
        matches!(refused, Err(StoreError::DuplicateKey(_))),
        "{refused:?}"
    );
}
