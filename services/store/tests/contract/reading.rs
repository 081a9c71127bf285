//! Reads of the log: by place, by page, by key.

use hansa_store::{EntryHead, Group, IdRow, LeafRow, ReferenceRow, Store};

use crate::fixture::{Database, both, entry, group, id};

both! { entries_come_by_rows_and_by_bytes  leaves_and_tree_hashes_come_without_the_rest
the_highest_ids_come_first  the_newest_checkpoint_is_the_largest
references_lead_both_ways  reads_of_nothing_answer_nothing  the_size_grows_with_the_log }

async fn ten(database: &Database) -> Store {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    for seq in 0..10 {
        store.append(epoch, &group(seq, 3)).await.unwrap();
    }
    store
}

async fn entries_come_by_rows_and_by_bytes(database: Database) {
    let store = ten(&database).await;
    let bytes = entry(0).bytes();
    let seqs = |from, rows, bytes| {
        let store = store.clone();
        async move {
            let entries = store.entries(from, rows, bytes).await.unwrap();
            entries.iter().map(|e| e.seq).collect::<Vec<_>>()
        }
    };
    assert_eq!(seqs(3, 4, usize::MAX).await, [3, 4, 5, 6]);
    assert_eq!(seqs(8, 40, usize::MAX).await, [8, 9]);
    assert_eq!(seqs(2, 40, 3 * bytes).await, [2, 3, 4]);
    assert_eq!(seqs(2, 40, 3 * bytes - 1).await, [2, 3]);
    assert_eq!(seqs(2, 40, 0).await, [2]);
    assert_eq!(seqs(10, 40, usize::MAX).await, [0u64; 0]);
    assert_eq!(seqs(0, 0, usize::MAX).await, [0u64; 0]);
    let last = EntryHead {
        seq: 9,
        decided_at: entry(9).decided_at,
    };
    assert_eq!(store.last_entry().await.unwrap(), Some(last));
    assert_eq!(store.entry(4).await.unwrap(), Some(entry(4)));
    assert_eq!(store.entry(10).await.unwrap(), None);
}

async fn leaves_and_tree_hashes_come_without_the_rest(database: Database) {
    let store = ten(&database).await;
    let leaves: Vec<LeafRow> = (7..10)
        .map(|seq| LeafRow {
            seq,
            leaf_data: entry(seq).leaf_data,
            tree_hashes: entry(seq).tree_hashes,
        })
        .collect();
    assert_eq!(store.leaves(7, 100).await.unwrap(), leaves);
    assert_eq!(store.leaves(7, 2).await.unwrap(), leaves[..2]);
    let hashes: Vec<_> = [1, 7, 9].map(|seq| (seq, entry(seq).tree_hashes)).into();
    assert_eq!(store.tree_hashes(&[9, 1, 77, 7, 9]).await.unwrap(), hashes);
}

async fn the_highest_ids_come_first(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    // Bytes that a signed or textual comparison would put elsewhere.
    let numbers = [0, 1, 0x7f << 120, 0x80 << 120, 0xff << 120, u128::MAX];
    let ids = |merchant| {
        numbers
            .into_iter()
            .enumerate()
            .map(move |(pos, number)| IdRow {
                merchant,
                id: id(number),
                pos: pos as u64,
            })
    };
    let group = Group {
        ids: ids(2).chain(ids(1)).collect(),
        ..group(0, 0)
    };
    store.append(epoch, &group).await.unwrap();
    let mut highest: Vec<_> = numbers.into_iter().map(id).zip(0u64..).collect();
    highest.reverse();
    assert_eq!(store.highest_ids(1, 100).await.unwrap(), highest);
    assert_eq!(store.highest_ids(2, 2).await.unwrap(), highest[..2]);
    assert_eq!(store.highest_ids(3, 2).await.unwrap(), []);
}

async fn the_newest_checkpoint_is_the_largest(database: Database) {
    let store = ten(&database).await;
    assert_eq!(
        store.newest_checkpoint().await.unwrap(),
        group(9, 0).checkpoint
    );
    assert_eq!(store.checkpoint(3).await.unwrap(), group(2, 0).checkpoint);
    assert_eq!(
        store.checkpoint_covering(4).await.unwrap(),
        group(3, 0).checkpoint
    );
    assert_eq!(store.checkpoint_covering(11).await.unwrap(), None);
    assert_eq!(store.checkpoint(0).await.unwrap(), None);
    assert_eq!(
        store.checkpoint_covering(0).await.unwrap(),
        group(0, 0).checkpoint
    );
}

async fn references_lead_both_ways(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let row = |merchant, number, member| ReferenceRow {
        merchant,
        reference: id(number),
        member,
    };
    let group = Group {
        references: vec![row(1, 10, 5), row(1, 9, 5), row(1, 8, 6), row(2, 10, 6)],
        ..group(0, 0)
    };
    store.append(epoch, &group).await.unwrap();
    let keys = [
        (2, id(10)),
        (1, id(10)),
        (3, id(10)),
        (1, id(8)),
        (1, id(10)),
    ];
    assert_eq!(
        store.resolve_references(&keys).await.unwrap(),
        [Some(6), Some(5), None, Some(6), Some(5)]
    );
    assert_eq!(
        store.references_of_members(1, &[6, 5, 4]).await.unwrap(),
        [(5, id(9)), (5, id(10)), (6, id(8))]
    );
    assert_eq!(store.references_of_members(2, &[5]).await.unwrap(), []);
}

async fn reads_of_nothing_answer_nothing(database: Database) {
    let store = database.open().await;
    assert_eq!(store.last_entry().await.unwrap(), None);
    assert_eq!(store.newest_checkpoint().await.unwrap(), None);
    assert_eq!(store.find_ids(&[]).await.unwrap(), []);
    assert_eq!(store.find_ids(&[(1, id(1))]).await.unwrap(), [None]);
    assert_eq!(store.resolve_references(&[]).await.unwrap(), []);
    assert_eq!(store.resolve_aliases(&[]).await.unwrap(), []);
    assert_eq!(store.load_members(&[]).await.unwrap(), []);
    assert_eq!(store.tree_hashes(&[]).await.unwrap(), []);
    assert_eq!(store.references_of_members(1, &[]).await.unwrap(), []);
    assert_eq!(store.members_due(i64::MAX, 0, 10).await.unwrap(), [0u64; 0]);
    assert_eq!(store.global().await.unwrap(), None);
    assert_eq!(store.covered_size().await.unwrap(), 0);
    assert_eq!(store.member_count().await.unwrap(), 0);
}

async fn the_size_grows_with_the_log(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let empty = store.size_bytes().await.unwrap();
    let mut large = group(0, 1);
    // Random-looking: PostgreSQL compresses what it can.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    large.entries[0].envelope = noise.take(1 << 20).collect::<Vec<_>>().into();
    store.append(epoch, &large).await.unwrap();
    let grown = store.size_bytes().await.unwrap();
    assert!(grown >= empty + (1 << 20), "{empty} -> {grown}");
}
