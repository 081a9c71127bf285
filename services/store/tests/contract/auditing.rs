//! The auditor's own state: saved at once, moved on from where it was, and never mixed.

use hansa_store::{AuditCutRow, AuditSave, ReferenceRow, StoreError};

use crate::fixture::{Database, both};

both! { a_save_is_found_again  only_the_state_that_was_read_is_moved_on
a_finding_stays_until_its_entry_passes  a_reset_leaves_nothing }

fn reference(merchant: u32, mark: u8, member: u64) -> ReferenceRow {
    ReferenceRow {
        merchant,
        reference: [mark; 16],
        member,
    }
}

fn cut(cycle: u32, closed_seq: u64) -> AuditCutRow {
    AuditCutRow {
        cycle,
        cut_seq: closed_seq - 2,
        closed_seq,
        root: [cycle.to_le_bytes()[0]; 32],
        totals: vec![9; 3].into(),
    }
}

fn first() -> AuditSave {
    AuditSave {
        from_size: 0,
        size: 10,
        state: "ten".into(),
        // Falling: the store sorts.
        members: (1..=1_111).rev().map(|m| (m, "first".into())).collect(),
        references: (0..=255)
            .rev()
            .map(|mark| reference(3, mark, u64::from(mark) + 1))
            .collect(),
        cuts: vec![cut(1, 7)],
    }
}

async fn a_save_is_found_again(database: Database) {
    let store = database.open().await;
    assert_eq!(store.audit_state().await.unwrap(), None);
    assert_eq!(store.last_audit_cut().await.unwrap(), 0);
    store.audit_save(&first()).await.unwrap();
    let second = AuditSave {
        from_size: 10,
        size: 25,
        state: "twenty-five".into(),
        members: vec![(5, "".into()), (2_000, "new".into())],
        references: vec![reference(4, 7, 2_000)],
        cuts: vec![cut(2, 12), cut(3, 24)],
    };
    store.audit_save(&second).await.unwrap();
    store.close().await.unwrap();

    let store = database.open().await;
    let state = store.audit_state().await.unwrap();
    assert_eq!(state, Some((25, "twenty-five".into())));
    let members = store.audit_members(&[2_000, 5, 4, 1_500, 4]).await.unwrap();
    let expected = [(4, "first".into()), (5, "".into()), (2_000, "new".into())];
    assert_eq!(members, expected);
    assert_eq!(store.audit_members(&[]).await.unwrap(), []);
    let keys = [(4, [7; 16]), (3, [255; 16]), (4, [8; 16]), (3, [0; 16])];
    let found = store.audit_references(&keys).await.unwrap();
    assert_eq!(found, [Some(2_000), Some(256), None, Some(1)]);
    assert_eq!(store.audit_cut(3).await.unwrap(), Some(cut(3, 24)));
    assert_eq!(store.audit_cut(4).await.unwrap(), None);
    assert_eq!(store.last_audit_cut().await.unwrap(), 3);
}

async fn only_the_state_that_was_read_is_moved_on(database: Database) {
    let store = database.open().await;
    store.audit_save(&first()).await.unwrap();
    let late = |from_size| AuditSave {
        from_size,
        size: 30,
        state: "late".into(),
        members: vec![(1, "late".into())],
        ..AuditSave::default()
    };
    for from_size in [0, 9, 11] {
        let refused = store.audit_save(&late(from_size)).await;
        assert!(
            matches!(refused, Err(StoreError::Invalid(_))),
            "{refused:?}"
        );
    }
    assert_eq!(store.audit_state().await.unwrap(), Some((10, "ten".into())));
    let members = store.audit_members(&[1]).await.unwrap();
    assert_eq!(members, [(1, "first".into())], "nothing was kept");
    store.audit_save(&late(10)).await.unwrap();
    assert_eq!(
        store.audit_members(&[1]).await.unwrap(),
        [(1, "late".into())]
    );
}

async fn a_finding_stays_until_its_entry_passes(database: Database) {
    let store = database.open().await;
    assert!(store.audit_findings(10).await.unwrap().is_empty());
    store.audit_save(&first()).await.unwrap();
    store.note_audit_finding(40, b"far").await.unwrap();
    store.note_audit_finding(12, b"something").await.unwrap();
    store.note_audit_finding(12, b"closer").await.unwrap();
    store.note_audit_finding(7, b"at the close").await.unwrap();
    store.close().await.unwrap();
    let store = database.open().await;
    let found = store.audit_findings(10).await.unwrap();
    assert_eq!(found, ["at the close", "closer", "far"]);
    assert_eq!(store.audit_findings(1).await.unwrap(), ["at the close"]);
    let passed = AuditSave {
        from_size: 10,
        size: 40,
        state: "forty".into(),
        ..AuditSave::default()
    };
    store.audit_save(&passed).await.unwrap();
    let found = store.audit_findings(10).await.unwrap();
    assert_eq!(found, ["at the close", "far"]);
}

async fn a_reset_leaves_nothing(database: Database) {
    let store = database.open().await;
    store.audit_save(&first()).await.unwrap();
    store.note_audit_finding(4, b"something").await.unwrap();
    store.reset_audit().await.unwrap();
    assert_eq!(store.audit_state().await.unwrap(), None);
    assert!(store.audit_findings(10).await.unwrap().is_empty());
    assert_eq!(store.audit_members(&[1, 2]).await.unwrap(), []);
    assert_eq!(
        store.audit_references(&[(3, [1; 16])]).await.unwrap(),
        [None]
    );
    assert_eq!(store.last_audit_cut().await.unwrap(), 0);
    // It begins again.
    store.audit_save(&first()).await.unwrap();
}
