//! x
use bytes::Bytes;
use hansa_store::*;
#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("a.db").display());
    let s = Store::open(&url, &StoreOptions::default()).await.unwrap();
    let e = s.take_gate("a", "b", Some(0)).await.unwrap();
    let entry = |seq| EntryRow {
        seq,
        decided_at: 5,
        merchant: Some(1),
        kind: 2,
        messages: 3,
        leaf_data: [7; 72],
        tree_hashes: Bytes::from(vec![1; 64]),
        outcomes: Bytes::from(vec![2; 90_000]),
        effects: Bytes::new(),
        envelope: Bytes::from(vec![3; 90_000]),
    };
    let g = Group {
        entries: vec![entry(0), entry(1)],
        ids: (0..777u128)
            .map(|i| IdRow {
                merchant: 1,
                id: i.to_be_bytes(),
                pos: i as u64,
            })
            .collect(),
        references: vec![ReferenceRow {
            merchant: 1,
            reference: [4; 16],
            member: 9,
        }],
        aliases: vec![AliasRow {
            hash: [5; 16],
            member: 9,
        }],
        checkpoint: Some(CheckpointRow {
            tree_size: 2,
            note: "n".into(),
        }),
    };
    s.append(e, &g).await.unwrap();
    assert!(matches!(
        s.append(e, &g).await,
        Err(StoreError::DuplicateKey(_))
    ));
    assert_eq!(s.entries(0, 10, 1_000_000).await.unwrap(), g.entries);
    assert_eq!(
        s.find_ids(&[(1, 5u128.to_be_bytes()), (2, [0; 16])])
            .await
            .unwrap(),
        [Some(5), None]
    );
    s.project(
        e,
        &Projection {
            members: vec![MemberRow {
                member: 9,
                applied_seq: 1,
                next_due: Some(4),
                next_hold: None,
                data: Bytes::from_static(b"x"),
            }],
            covered_size: 2,
            ..Default::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(s.load_members(&[9, 10]).await.unwrap().len(), 1);
    assert_eq!(s.members_due(4, 0, 10).await.unwrap(), [9]);
    assert_eq!(
        s.resolve_references(&[(1, [4; 16])]).await.unwrap(),
        [Some(9)]
    );
    assert_eq!(
        s.resolve_aliases(&[[4; 16], [5; 16]]).await.unwrap(),
        [None, Some(9)]
    );
    assert_eq!(s.covered_size().await.unwrap(), 2);
}
