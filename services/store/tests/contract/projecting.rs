//! The projection: rows that replace each other, behind the log.

use hansa_store::{MemberRow, Projection};

use crate::fixture::{Database, both, group, member};

both! { a_projection_replaces_what_it_names  members_due_are_found_in_their_order
members_come_in_their_order  a_projection_runs_beside_appends
        any_bytes_of_a_member_come_back }

async fn a_projection_replaces_what_it_names(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut first = Projection {
        // Falling: the store sorts.
        members: (1..=1111).rev().map(|m| member(m, 3, b"first")).collect(),
        global: Some((3, "first".into())),
        blobs: vec![
            ("cycle/1".into(), "one".into()),
            ("cycle/2".into(), "two".into()),
        ],
        covered_size: 4,
    };
    first.members[0].next_due = Some(5);
    store.project(epoch, &first).await.unwrap();
    let second = Projection {
        members: vec![
            MemberRow {
                next_hold: Some(-9),
                ..member(5, 8, b"")
            },
            member(2000, 8, b"new"),
        ],
        global: Some((8, "second".into())),
        blobs: vec![("cycle/2".into(), "2".into())],
        covered_size: 9,
    };
    store.project(epoch, &second).await.unwrap();
    // Neither members nor state: only the position moves on.
    let third = Projection {
        covered_size: 12,
        ..Projection::default()
    };
    store.project(epoch, &third).await.unwrap();
    store.close().await.unwrap();

    let store = database.open().await;
    assert_eq!(store.member_count().await.unwrap(), 1112);
    assert_eq!(store.max_member().await.unwrap(), 2000);
    assert_eq!(
        store
            .load_members(&[2000, 5, 4, 1500, 1111, 5])
            .await
            .unwrap(),
        [
            member(4, 3, b"first"),
            second.members[0].clone(),
            first.members[0].clone(),
            second.members[1].clone(),
        ]
    );
    assert_eq!(store.global().await.unwrap(), Some((8, "second".into())));
    assert_eq!(store.blob("cycle/1").await.unwrap(), Some("one".into()));
    assert_eq!(store.blob("cycle/2").await.unwrap(), Some("2".into()));
    assert_eq!(store.blob("cycle/3").await.unwrap(), None);
    assert_eq!(store.covered_size().await.unwrap(), 12);
}

async fn members_due_are_found_in_their_order(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let due = |number, next_due, next_hold| MemberRow {
        next_due,
        next_hold,
        ..member(number, 1, b"x")
    };
    let projection = Projection {
        members: vec![
            due(1, Some(100), None),
            due(2, Some(101), None),
            due(3, None, Some(100)),
            due(4, None, None),
            due(5, Some(500), Some(99)),
            // Far behind a gap: the scan's statements cover ranges.
            due(200_000, Some(7), None),
            due(300_000, Some(100), Some(100)),
            // And where conversions' accounts lie.
            due(1 << 62, Some(8), None),
            due((1 << 62) + (1 << 50), Some(9), None),
        ],
        covered_size: 2,
        ..Projection::default()
    };
    store.project(epoch, &projection).await.unwrap();
    assert_eq!(
        store.members_due(100, 0, 100).await.unwrap(),
        [1, 3, 5, 200_000, 300_000, 1 << 62, (1 << 62) + (1 << 50)]
    );
    assert_eq!(store.members_due(100, 0, 2).await.unwrap(), [1, 3]);
    assert_eq!(store.members_due(100, 3, 2).await.unwrap(), [5, 200_000]);
    let far = store.members_due(8, 300_000, 2).await.unwrap();
    assert_eq!(far, [1 << 62]);
    assert_eq!(store.members_due(6, 0, 2).await.unwrap(), [0u64; 0]);
}

async fn members_come_in_their_order(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let members: Vec<_> = (1..=2500).map(|m| member(m * 3, 1, b"x")).collect();
    let projection = Projection {
        members: members.clone(),
        covered_size: 2,
        ..Projection::default()
    };
    store.project(epoch, &projection).await.unwrap();
    let all: Vec<u64> = (1..=8000).rev().collect();
    assert_eq!(store.load_members(&all).await.unwrap(), members);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map_or(0, |row: &MemberRow| row.member);
        let page = store.scan_members(after, 400).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, members);
}

async fn a_projection_runs_beside_appends(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let appends = async {
        for seq in 0..30 {
            store.append(epoch, &group(seq, 50)).await.unwrap();
        }
    };
    let projections = async {
        for seq in 0..30 {
            let projection = Projection {
                members: (1..400).map(|m| member(m, seq, b"state")).collect(),
                covered_size: seq,
                ..Projection::default()
            };
            store.project(epoch, &projection).await.unwrap();
        }
    };
    let beats = async {
        for _ in 0..30 {
            assert!(store.heartbeat(epoch, "a:1").await.unwrap());
        }
    };
    tokio::join!(appends, projections, beats);
    assert_eq!(store.last_entry().await.unwrap().unwrap().seq, 29);
    assert_eq!(
        store.load_members(&[399]).await.unwrap(),
        [member(399, 29, b"state")]
    );
    assert_eq!(store.read_gate().await.unwrap().unwrap().beat, 30);
}

async fn any_bytes_of_a_member_come_back(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let with = |number, data: Vec<u8>| MemberRow {
        data: data.into(),
        next_due: Some(i64::MIN),
        next_hold: Some(i64::MAX),
        ..member(number, u64::MAX >> 1, b"")
    };
    let mut members = vec![
        with(1, vec![]),
        with(2, (0..=255).collect()),
        with(3, vec![0; 1000]),
        with(4, vec![]),
        with(5, b"\xff\xfe\x00 , 1 2 3".to_vec()),
        with(
            6,
            (0..1_000_000u32)
                .map(|n| n.wrapping_mul(n).to_le_bytes()[1])
                .collect(),
        ),
        with(u64::MAX >> 1, vec![0xc3]),
    ];
    let empty = (100..110).map(|number| with(number, vec![]));
    members.splice(6..6, empty);
    let projection = Projection {
        members: members.clone(),
        ..Projection::default()
    };
    store.project(epoch, &projection).await.unwrap();
    let keys: Vec<u64> = members.iter().map(|row| row.member).collect();
    assert_eq!(store.load_members(&keys).await.unwrap(), members);
    assert_eq!(
        store.load_members(&keys[6..16]).await.unwrap(),
        members[6..16]
    );
    for row in &members {
        let alone = store.load_members(&[row.member]).await.unwrap();
        assert_eq!(alone, std::slice::from_ref(row));
    }
}
