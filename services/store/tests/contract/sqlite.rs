//! What only SQLite has: the lock file, and a write-ahead log that must not grow for ever.

use hansa_store::{Projection, Store, StoreError, StoreOptions};

use crate::fixture::{Database, entry, group, member};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_handle_is_told_that_the_database_is_in_use() {
    let database = Database::sqlite();
    let store = database.open().await;
    let second = Store::open(&database.url, &StoreOptions::default()).await;
    let error = second.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .ends_with("is locked: another process uses this database")
    );
    drop(store);
    database.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_handle_opens_beside_the_writer_and_writes_nothing() {
    let database = Database::sqlite();
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let options = StoreOptions {
        read_only: true,
        ..StoreOptions::default()
    };
    let reader = Store::open(&database.url, &options).await.unwrap();
    store.append(epoch, &group(0, 1)).await.unwrap();
    assert_eq!(reader.entry(0).await.unwrap(), Some(entry(0)));
    assert!(matches!(
        reader.append(epoch, &group(1, 1)).await,
        Err(StoreError::Invalid(_))
    ));
    assert!(matches!(
        reader.take_gate("b", "b", None).await,
        Err(StoreError::Invalid(_))
    ));
    assert!(matches!(
        reader.heartbeat(epoch, "b").await,
        Err(StoreError::Invalid(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_ahead_log_begins_anew_past_its_bound_and_not_before() {
    let database = Database::sqlite();
    let options = StoreOptions {
        sqlite_wal_bytes: 4 << 20,
        ..StoreOptions::default()
    };
    let store = Store::open(&database.url, &options).await.unwrap();
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let wal = format!("{}-wal", database.url.strip_prefix("sqlite:").unwrap());
    let bytes = || std::fs::metadata(&wal).unwrap().len();
    assert!(!store.tidy().await.unwrap());
    let mut tidied = 0;
    for seq in 0..100 {
        let mut group = group(seq, 10);
        group.entries[0].envelope = vec![1; 200_000].into();
        store.append(epoch, &group).await.unwrap();
        let projection = Projection {
            members: (1..50).map(|m| member(m, seq, b"state")).collect(),
            covered_size: seq,
            ..Projection::default()
        };
        store.project(epoch, &projection).await.unwrap();
        let before = bytes();
        if store.tidy().await.unwrap() {
            assert!(before > 4 << 20);
            tidied += 1;
        }
        // Written over from its beginning: no longer than the bound and the group that went past it.
        assert!(bytes() < 5 << 20, "{}", bytes());
    }
    assert!((3..=8).contains(&tidied), "{tidied}");
    assert_eq!(store.entries(0, 200, usize::MAX).await.unwrap().len(), 100);
}
