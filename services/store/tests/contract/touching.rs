//! Affiliates' links and touches: kept as they were given, read by id, by whose they are and in the order of their time.

use hansa_store::{
    InvalidationRow, LinkRow, StoreError, StoredTouch, TouchCount, TouchRow, TouchesOf,
    first_touch_id,
};

use crate::fixture::{Database, both};

both! { a_link_is_made_once_and_ended_once  links_are_paged_in_the_order_in_which_they_were_made
touches_are_read_back_as_they_were  touches_are_kept_all_or_none  touches_are_paged_by_time
the_first_word_on_an_invalid_touch_stays  touches_are_counted_by_day }

const DAY_MS: u64 = 86_400_000;
const NOW_MS: u64 = 20_000 * DAY_MS;
const LAST: [u8; 16] = [0xff; 16];

fn link(link: &str, affiliate: u32, created_at: i64) -> LinkRow {
    LinkRow {
        link: link.into(),
        affiliate,
        site: 3,
        merchant: 9,
        destination: "https://shop.example/?a=\u{fc}#b".into(),
        created_at,
        ended_at: None,
    }
}

/// A touch whose every column tells its place.
fn touch(at_ms: u64, number: u8, affiliate: u32, merchant: u32) -> TouchRow {
    let mut id = first_touch_id(at_ms);
    id[15] = number;
    TouchRow {
        id,
        kind: 1,
        at_ms,
        recorded_ms: at_ms + 1,
        merchant,
        affiliate,
        site: 5,
        link: "Ab3".into(),
        code: "SPRING\u{2013}10".into(),
        sub_id: "blog/7".into(),
        flags: u16::MAX,
        marks: 7,
        refused: 0,
        agent: u64::MAX,
        address: 1 << 63,
        network: 0,
        device: u64::from(number),
        referrer_host: "blog.example".into(),
    }
}

fn rows(stored: Vec<StoredTouch>) -> Vec<TouchRow> {
    stored.into_iter().map(|touch| touch.row).collect()
}

async fn a_link_is_made_once_and_ended_once(database: Database) {
    let store = database.open().await;
    let row = link("Ab3", 4, 1_000);
    store.add_link(&row).await.unwrap();
    let again = store.add_link(&link("Ab3", 5, 2_000)).await;
    assert!(matches!(again, Err(StoreError::DuplicateKey(_))));
    // Capitals count.
    assert_eq!(store.link("ab3").await.unwrap(), None);
    assert_eq!(store.link("Ab3").await.unwrap(), Some(row.clone()));
    assert!(store.end_link("Ab3", 3_000).await.unwrap());
    assert!(!store.end_link("Ab3", 4_000).await.unwrap());
    assert!(!store.end_link("none", 4_000).await.unwrap());
    let ended = LinkRow {
        ended_at: Some(3_000),
        ..row
    };
    assert_eq!(store.link("Ab3").await.unwrap(), Some(ended));
}

async fn links_are_paged_in_the_order_in_which_they_were_made(database: Database) {
    let store = database.open().await;
    let all = [
        link("zz", 4, 1),
        link("B", 5, 2),
        link("a", 4, 2),
        link("aa", 4, 2),
    ];
    for row in all.iter().rev() {
        store.add_link(row).await.unwrap();
    }
    assert_eq!(store.links(None, None, 10).await.unwrap(), all);
    let first = store.links(Some(4), None, 2).await.unwrap();
    assert_eq!(first, [all[0].clone(), all[2].clone()]);
    let rest = store.links(Some(4), Some((2, "a")), 2).await.unwrap();
    assert_eq!(rest, [all[3].clone()]);
    assert_eq!(store.links(Some(6), None, 2).await.unwrap(), []);
}

async fn touches_are_read_back_as_they_were(database: Database) {
    let store = database.open().await;
    // More than one statement has room for.
    let written: Vec<TouchRow> = (0..611_u64)
        .map(|n| touch(NOW_MS + n, n.to_le_bytes()[0], 4, 9))
        .collect();
    store.add_touches(&written).await.unwrap();
    store.add_touches(&[]).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = database.open().await;
    let ids: Vec<_> = written.iter().rev().map(|row| row.id).collect();
    assert_eq!(rows(store.touches_by_id(&ids).await.unwrap()), written);
    let some = [ids[7], [0; 16], ids[7], ids[9]];
    let found = rows(store.touches_by_id(&some).await.unwrap());
    assert_eq!(found, [written[601].clone(), written[603].clone()]);
    assert_eq!(store.touches_by_id(&[]).await.unwrap(), []);
}

async fn touches_are_kept_all_or_none(database: Database) {
    let store = database.open().await;
    let first = touch(NOW_MS, 1, 4, 9);
    store
        .add_touches(std::slice::from_ref(&first))
        .await
        .unwrap();
    let refused = store
        .add_touches(&[touch(NOW_MS, 2, 4, 9), first.clone()])
        .await;
    assert!(matches!(refused, Err(StoreError::DuplicateKey(_))));
    let too_large = touch(NOW_MS, 3, u32::MAX, 9);
    let refused = store
        .add_touches(&[touch(NOW_MS, 2, 4, 9), too_large])
        .await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    let kept = store
        .touches(TouchesOf::All, [0; 16], LAST, 10)
        .await
        .unwrap();
    assert_eq!(rows(kept), [first]);
}

async fn touches_are_paged_by_time(database: Database) {
    let store = database.open().await;
    let all = [
        touch(NOW_MS, 1, 4, 9),
        touch(NOW_MS, 2, 5, 9),
        touch(NOW_MS + 1, 0, 4, 8),
        touch(NOW_MS + 2, 9, 4, 9),
    ];
    store.add_touches(&all).await.unwrap();
    let page =
        async |of, after, until, limit| rows(store.touches(of, after, until, limit).await.unwrap());
    let (from, later) = (first_touch_id(NOW_MS), first_touch_id(NOW_MS + 2));
    assert_eq!(page(TouchesOf::All, from, LAST, 10).await, all);
    assert_eq!(page(TouchesOf::All, from, later, 10).await, all[..3]);
    assert_eq!(page(TouchesOf::All, all[0].id, LAST, 2).await, all[1..3]);
    let own = page(TouchesOf::Affiliate(4), all[0].id, LAST, 10).await;
    assert_eq!(own, all[2..]);
    let to = page(TouchesOf::Merchant(9), from, later, 10).await;
    assert_eq!(to, all[..2]);
    assert_eq!(page(TouchesOf::Merchant(7), from, LAST, 10).await, []);
}

async fn the_first_word_on_an_invalid_touch_stays(database: Database) {
    let store = database.open().await;
    let row = touch(NOW_MS, 1, 4, 9);
    store.add_touches(std::slice::from_ref(&row)).await.unwrap();
    let word = |reason: &str, id| InvalidationRow {
        id,
        at_ms: NOW_MS + 5,
        reason: reason.into(),
        actor: "operator:ab".into(),
    };
    let first = word("stuffing", row.id);
    let added = store
        .invalidate_touches(&[first.clone(), word("unknown", [7; 16])])
        .await;
    assert_eq!(added.unwrap(), 2);
    let again = store.invalidate_touches(&[word("another", row.id)]).await;
    assert_eq!(again.unwrap(), 0);
    let stored = StoredTouch {
        row,
        invalid: Some(first),
    };
    assert_eq!(
        store.touches_by_id(&[stored.row.id]).await.unwrap(),
        [stored]
    );
}

async fn touches_are_counted_by_day(database: Database) {
    let store = database.open().await;
    let refused = TouchRow {
        refused: 4,
        ..touch(NOW_MS, 3, 4, 9)
    };
    store
        .add_touches(&[
            touch(NOW_MS, 1, 4, 9),
            touch(NOW_MS + DAY_MS - 1, 2, 4, 9),
            refused,
            touch(NOW_MS + DAY_MS, 1, 4, 9),
            touch(NOW_MS, 5, 5, 8),
        ])
        .await
        .unwrap();
    let count = |affiliate, merchant, day, refused, touches| TouchCount {
        affiliate,
        merchant,
        day,
        kind: 1,
        refused,
        touches,
    };
    let of_four = [count(4, 9, 20_000, 0, 2), count(4, 9, 20_000, 4, 1)];
    let next_day = count(4, 9, 20_001, 0, 1);
    let five = count(5, 8, 20_000, 0, 1);
    let until = NOW_MS + 2 * DAY_MS;
    let all = store.touch_counts(TouchesOf::All, NOW_MS, until).await;
    assert_eq!(all.unwrap(), [of_four[0], of_four[1], next_day, five]);
    let day = store.touch_counts(TouchesOf::Affiliate(4), NOW_MS, NOW_MS + DAY_MS);
    assert_eq!(day.await.unwrap(), of_four);
    let to = store.touch_counts(TouchesOf::Merchant(8), NOW_MS, until);
    assert_eq!(to.await.unwrap(), [five]);
}
