//! The commit: all of a group or nothing, in its order.

use hansa_store::{
    AliasRow, CheckpointRow, Group, IdRow, PartyRow, ReferenceRow, Store, StoreError,
};

use crate::fixture::{Database, both, entry, group, id};

both! { a_group_is_read_back_as_it_was_written  a_duplicate_key_of_any_kind_rolls_the_group_back
a_group_with_gaps_is_refused  the_largest_values_are_kept  big_values_are_kept
an_empty_group_is_a_check_of_the_gate  what_does_not_fit_a_column_is_refused }

async fn a_group_is_read_back_as_it_was_written(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut first = group(0, 1234);
    first.entries.extend([entry(1), entry(2), entry(3)]);
    first.references = (0..777)
        .rev()
        .map(|n| ReferenceRow {
            merchant: 3,
            reference: id(n),
            member: 1 + u64::try_from(n).unwrap(),
        })
        .collect();
    first.aliases = vec![AliasRow {
        hash: id(99),
        member: 5,
    }];
    // Twice, as an attribution that goes back to somebody is.
    first.parties = [(3, 5), (4, 5), (3, 9), (3, 5)]
        .map(|(participant, pos)| PartyRow { participant, pos })
        .into();
    first.checkpoint = Some(CheckpointRow {
        tree_size: 4,
        note: "four".into(),
    });
    store.append(epoch, &first).await.unwrap();
    store.append(epoch, &group(4, 1)).await.unwrap();
    let entries = store.entries(0, 100, usize::MAX).await.unwrap();
    assert_eq!(entries[..4], first.entries);
    assert_eq!(entries[4..], [entry(4)]);
    let keys: Vec<_> = first.ids.iter().map(|row| (row.merchant, row.id)).collect();
    let positions: Vec<_> = first.ids.iter().map(|row| Some(row.pos)).collect();
    assert_eq!(store.find_ids(&keys).await.unwrap(), positions);
    let references: Vec<_> = first
        .references
        .iter()
        .map(|r| (r.merchant, r.reference))
        .collect();
    let members: Vec<_> = first.references.iter().map(|r| Some(r.member)).collect();
    assert_eq!(
        store.resolve_references(&references).await.unwrap(),
        members
    );
    assert_eq!(
        store.resolve_aliases(&[id(99), id(98)]).await.unwrap(),
        [Some(5), None]
    );
    assert_eq!(store.conversions_of(3, u64::MAX, 10).await.unwrap(), [9, 5]);
    assert_eq!(store.conversions_of(3, 9, 10).await.unwrap(), [5]);
    assert_eq!(store.conversions_of(3, u64::MAX, 1).await.unwrap(), [9]);
    assert!(
        store
            .conversions_of(5, u64::MAX, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(store.checkpoint(4).await.unwrap(), first.checkpoint);
    let both = store.checkpoints(1, 10).await.unwrap();
    assert_eq!(both.iter().map(|c| c.tree_size).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(Some(&both[0]), first.checkpoint.as_ref());
    assert_eq!(store.checkpoints(1, 1).await.unwrap(), both[..1]);
    assert_eq!(store.checkpoints(5, 10).await.unwrap(), both[1..]);
    assert_eq!(store.checkpoints(6, 10).await.unwrap(), []);
}

async fn a_duplicate_key_of_any_kind_rolls_the_group_back(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut first = group(0, 600);
    first.references.push(ReferenceRow {
        merchant: 1,
        reference: id(1),
        member: 1,
    });
    first.aliases.push(AliasRow {
        hash: id(1),
        member: 1,
    });
    store.append(epoch, &first).await.unwrap();

    let mut same_id = group(1, 600);
    same_id.ids[300] = IdRow {
        pos: 9,
        ..first.ids[17]
    };
    refused(&store, epoch, &same_id).await;
    let mut same_reference = group(1, 10);
    same_reference.references.push(ReferenceRow {
        member: 2,
        ..first.references[0]
    });
    refused(&store, epoch, &same_reference).await;
    let mut same_alias = group(1, 10);
    same_alias.aliases.push(AliasRow {
        member: 2,
        ..first.aliases[0]
    });
    refused(&store, epoch, &same_alias).await;
    let mut same_checkpoint = group(1, 10);
    same_checkpoint.checkpoint.clone_from(&first.checkpoint);
    refused(&store, epoch, &same_checkpoint).await;
    let mut same_entry = group(0, 0);
    same_entry.checkpoint = None;
    refused(&store, epoch, &same_entry).await;
    let mut twice_in_one = group(1, 10);
    twice_in_one.ids.push(twice_in_one.ids[3]);
    refused(&store, epoch, &twice_in_one).await;

    // Another merchant may use the same id, and the place in the log is still free.
    let mut other = group(1, 10);
    other.ids.push(IdRow {
        merchant: 8,
        ..first.ids[17]
    });
    store.append(epoch, &other).await.unwrap();
}

async fn refused(store: &Store, epoch: u64, group: &Group) {
    let outcome = store.append(epoch, group).await;
    assert!(
        matches!(outcome, Err(StoreError::DuplicateKey(_))),
        "{outcome:?}"
    );
    assert_eq!(store.last_entry().await.unwrap().unwrap().seq, 0);
    let fresh: Vec<_> = group
        .ids
        .iter()
        .filter(|row| row.pos >= 1 << 12)
        .map(|row| (row.merchant, row.id))
        .collect();
    assert_eq!(
        store.find_ids(&fresh).await.unwrap(),
        vec![None; fresh.len()]
    );
    assert_eq!(
        store.newest_checkpoint().await.unwrap().unwrap().tree_size,
        1
    );
}

async fn a_group_with_gaps_is_refused(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut inside = group(0, 1);
    inside.entries.push(entry(2));
    assert!(matches!(
        store.append(epoch, &inside).await,
        Err(StoreError::Invalid(_))
    ));
    let before = group(1, 1);
    let outcome = store.append(epoch, &before).await;
    assert!(
        matches!(outcome, Err(StoreError::Invalid(_))),
        "{outcome:?}"
    );
    assert_eq!(store.last_entry().await.unwrap(), None);
    assert_eq!(store.highest_ids(7, 10).await.unwrap(), []);
}

async fn the_largest_values_are_kept(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut largest = group(0, 0);
    let merchant = i32::MAX.unsigned_abs();
    largest.entries[0].merchant = Some(merchant);
    largest.entries[0].kind = u8::MAX;
    largest.entries[0].decided_at = i64::MAX;
    largest.ids.push(IdRow {
        merchant,
        id: [0xff; 16],
        pos: i64::MAX.unsigned_abs(),
    });
    store.append(epoch, &largest).await.unwrap();
    assert_eq!(
        store.entry(0).await.unwrap(),
        Some(largest.entries[0].clone())
    );
    assert_eq!(
        store.highest_ids(merchant, 1).await.unwrap(),
        [([0xff; 16], i64::MAX.unsigned_abs())]
    );
}

async fn what_does_not_fit_a_column_is_refused(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut group = group(0, 2);
    group.ids[1].pos = u64::MAX;
    assert!(matches!(
        store.append(epoch, &group).await,
        Err(StoreError::Invalid(_))
    ));
    group.ids[1].pos = 1;
    group.ids[1].merchant = u32::MAX;
    assert!(matches!(
        store.append(epoch, &group).await,
        Err(StoreError::Invalid(_))
    ));
    assert_eq!(store.last_entry().await.unwrap(), None);
    // The handle is as good as new.
    group.ids[1].merchant = 1;
    store.append(epoch, &group).await.unwrap();
}

async fn big_values_are_kept(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut big = group(0, 1);
    let noise = |seed: u32, bytes: u32| -> bytes::Bytes {
        (0..bytes)
            .map(|n| {
                n.wrapping_add(seed)
                    .wrapping_mul(2_654_435_761)
                    .to_be_bytes()[0]
            })
            .collect::<Vec<u8>>()
            .into()
    };
    big.entries[0].envelope = noise(1, 9_000_000);
    big.entries[0].outcomes = noise(2, 3_000_000);
    big.entries[0].effects = noise(3, 5_000_000);
    store.append(epoch, &big).await.unwrap();
    assert_eq!(store.entry(0).await.unwrap(), Some(big.entries[0].clone()));
    assert_eq!(
        store.leaves(0, 5).await.unwrap()[0].tree_hashes,
        big.entries[0].tree_hashes
    );
}

async fn an_empty_group_is_a_check_of_the_gate(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(epoch, &Group::default()).await.unwrap();
    let outcome = store.append(epoch + 1, &Group::default()).await;
    assert!(
        matches!(outcome, Err(StoreError::Fenced { .. })),
        "{outcome:?}"
    );
}
