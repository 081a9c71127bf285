//! The gate: one holder, and nothing of a former one.

use hansa_store::{Gate, Projection, StoreError};

use crate::fixture::{Database, both, entry, group, member};

both! { nobody_holds_a_new_gate  an_expected_epoch_is_taken_once  the_heartbeat_shows_only_the_holder
a_fenced_append_leaves_nothing  a_fenced_projection_leaves_nothing }

async fn nobody_holds_a_new_gate(database: Database) {
    let store = database.open().await;
    assert_eq!(store.read_gate().await.unwrap(), None);
    assert!(!store.confirm_gate(0).await.unwrap());
    assert!(!store.heartbeat(1, "a:1").await.unwrap());
    let refused = store.append(0, &group(0, 1)).await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { epoch: 0 })),
        "{refused:?}"
    );
    assert_eq!(store.last_entry().await.unwrap(), None);
}

async fn an_expected_epoch_is_taken_once(database: Database) {
    let store = database.open().await;
    assert!(matches!(
        store.take_gate("a", "a:1", Some(4)).await,
        Err(StoreError::Fenced { epoch: 4 })
    ));
    assert_eq!(store.take_gate("a", "a:1", Some(0)).await.unwrap(), 1);
    assert!(matches!(
        store.take_gate("b", "b:1", Some(0)).await,
        Err(StoreError::Fenced { epoch: 0 })
    ));
    assert_eq!(store.take_gate("b", "b:1", Some(1)).await.unwrap(), 2);
    assert_eq!(store.take_gate("c", "c:1", None).await.unwrap(), 3);
    let gate = Gate {
        epoch: 3,
        owner: "c".into(),
        address: "c:1".into(),
        beat: 0,
    };
    assert_eq!(store.read_gate().await.unwrap(), Some(gate));
}

async fn the_heartbeat_shows_only_the_holder(database: Database) {
    let store = database.open().await;
    let first = store.take_gate("a", "a:1", None).await.unwrap();
    assert!(store.heartbeat(first, "a:2").await.unwrap());
    assert!(store.heartbeat(first, "a:2").await.unwrap());
    let gate = store.read_gate().await.unwrap().unwrap();
    assert_eq!((gate.beat, gate.address.as_str()), (2, "a:2"));
    let second = store.take_gate("b", "b:1", Some(first)).await.unwrap();
    assert!(!store.heartbeat(first, "a:3").await.unwrap());
    assert!(!store.confirm_gate(first).await.unwrap());
    assert!(store.confirm_gate(second).await.unwrap());
    assert_eq!(store.read_gate().await.unwrap().unwrap().address, "b:1");
}

async fn a_fenced_append_leaves_nothing(database: Database) {
    let store = database.open().await;
    let old = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(old, &group(0, 5)).await.unwrap();
    let new = store.take_gate("b", "b:1", Some(old)).await.unwrap();
    let late = group(1, 5);
    let refused = store.append(old, &late).await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { epoch }) if epoch == old),
        "{refused:?}"
    );
    assert_eq!(store.last_entry().await.unwrap().unwrap().seq, 0);
    assert_eq!(store.entry(1).await.unwrap(), None);
    assert_eq!(store.checkpoint(2).await.unwrap(), None);
    let keys: Vec<_> = late.ids.iter().map(|row| (row.merchant, row.id)).collect();
    assert_eq!(store.find_ids(&keys).await.unwrap(), [None; 5]);
    // The same group of the new holder finds its place free.
    store.append(new, &late).await.unwrap();
    assert_eq!(store.entry(1).await.unwrap(), Some(entry(1)));
}

async fn a_fenced_projection_leaves_nothing(database: Database) {
    let store = database.open().await;
    let old = store.take_gate("a", "a:1", None).await.unwrap();
    store.take_gate("b", "b:1", None).await.unwrap();
    let projection = Projection {
        members: vec![member(1, 3, b"old")],
        global: Some((3, "old".into())),
        blobs: vec![("cycle/1".into(), "old".into())],
        covered_size: 4,
    };
    let refused = store.project(old, &projection).await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { .. })),
        "{refused:?}"
    );
    assert_eq!(store.max_member().await.unwrap(), 0);
    assert_eq!(store.global().await.unwrap(), None);
    assert_eq!(store.blob("cycle/1").await.unwrap(), None);
    assert_eq!(store.covered_size().await.unwrap(), 0);
}
