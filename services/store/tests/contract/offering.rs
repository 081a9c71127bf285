//! Offers: put whole, withdrawn, listed, and told as changes of which a reader misses none.

use std::collections::BTreeSet;
use std::time::Duration;

use hansa_store::{
    NewOffer, OfferFilter, OfferRow, OffersPut, OffersWithdrawn, Store, StoreError, StoreOptions,
};
use sqlx::{Connection, PgConnection};

use crate::fixture::{Database, both};

both! { what_is_put_stands_and_what_is_the_same_makes_no_change  what_is_withdrawn_leaves_only_its_change
offers_are_put_all_or_none  offers_are_listed_by_filter_and_key  changes_are_told_in_their_order
an_abandoned_put_leaves_all_or_nothing  a_reader_beside_writers_misses_no_change }

const SHOP: u32 = 9;
const AT: i64 = 1_790_000_000_000_000;

fn offer(id: &str, content: &str) -> NewOffer {
    NewOffer {
        offer: id.into(),
        kind: 1,
        category: "shoes".into(),
        content: content.to_owned().into(),
    }
}

fn offers(ids: std::ops::Range<u32>, content: &str) -> Vec<NewOffer> {
    ids.map(|n| offer(&format!("{n:05}"), content)).collect()
}

async fn put(store: &Store, merchant: u32, offers: &[NewOffer]) -> OffersPut {
    store.put_offers(merchant, offers, AT).await.unwrap()
}

fn counts(created: u64, replaced: u64, unchanged: u64) -> OffersPut {
    OffersPut {
        created,
        replaced,
        unchanged,
    }
}

/// Every change, as (number, id).
async fn changes(store: &Store) -> Vec<(u64, String)> {
    let rows = store.offer_changes(None, 0, u64::MAX >> 1, 10_000).await;
    let told = |row: OfferRow| (row.change, row.offer);
    rows.unwrap().into_iter().map(told).collect()
}

async fn what_is_put_stands_and_what_is_the_same_makes_no_change(database: Database) {
    let store = database.open().await;
    let feed = store.offer_feed().await.unwrap();
    assert_eq!(feed.last_change, 0);
    // More than one statement has room for.
    let first = offers(0..611, "a");
    assert_eq!(put(&store, SHOP, &first).await, counts(611, 0, 0));
    assert_eq!(put(&store, SHOP, &first).await, counts(0, 0, 611));
    assert_eq!(store.offer_feed().await.unwrap().last_change, 611);
    let mut next = offers(0..612, "a");
    next[7].content = "b\u{fc}".into();
    assert_eq!(put(&store, SHOP, &next).await, counts(1, 1, 610));
    assert_eq!(put(&store, SHOP, &[]).await, counts(0, 0, 0));
    // The same id of another merchant is another offer.
    assert_eq!(put(&store, 4, &next[7..8]).await, counts(1, 0, 0));
    store.close().await.unwrap();
    drop(store);
    let store = database.open().await;
    let again = store.offer_feed().await.unwrap();
    assert_eq!((again.id, again.last_change), (feed.id, 614));
    let behind = store.offer_changes(None, 611, 700, 10).await.unwrap();
    let row = |merchant, offer: &str, change, content: &str| OfferRow {
        merchant,
        offer: offer.into(),
        change,
        changed_at: AT,
        content: Some(content.to_owned().into()),
    };
    let expected = [
        row(SHOP, "00007", 612, "b\u{fc}"),
        row(SHOP, "00611", 613, "a"),
        row(4, "00007", 614, "b\u{fc}"),
    ];
    assert_eq!(behind, expected);
}

async fn what_is_withdrawn_leaves_only_its_change(database: Database) {
    let store = database.open().await;
    put(&store, SHOP, &offers(0..3, "a")).await;
    let withdraw = async |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        store.withdraw_offers(SHOP, &ids, AT + 1).await.unwrap()
    };
    let unknown = withdraw(&["00001", "none"]).await;
    assert_eq!(unknown, OffersWithdrawn::Unknown("none".into()));
    assert_eq!(store.offer_feed().await.unwrap().last_change, 3);
    let twice = withdraw(&["00001", "00001", "00000"]).await;
    assert_eq!(twice, OffersWithdrawn::Withdrawn(2));
    assert_eq!(withdraw(&["00001"]).await, OffersWithdrawn::Withdrawn(0));
    let standing = store.offers(OfferFilter::All, (0, ""), false, 10).await;
    let standing: Vec<String> = standing.unwrap().into_iter().map(|row| row.offer).collect();
    assert_eq!(standing, ["00002"]);
    let gone = store.offer_changes(Some(SHOP), 3, 10, 10).await.unwrap();
    let told: Vec<_> = gone
        .iter()
        .map(|row| (row.offer.as_str(), row.change, &row.content, row.changed_at))
        .collect();
    assert_eq!(
        told,
        [("00000", 4, &None, AT + 1), ("00001", 5, &None, AT + 1)]
    );
    // Put again, it is a new one.
    assert_eq!(put(&store, SHOP, &offers(0..1, "a")).await, counts(1, 0, 0));
    assert_eq!(changes(&store).await.last().unwrap(), &(6, "00000".into()));
}

async fn offers_are_put_all_or_none(database: Database) {
    let store = database.open().await;
    put(&store, SHOP, &offers(0..2, "a")).await;
    let twice = [offer("x", "a"), offer("y", "a"), offer("x", "b")];
    let refused = store.put_offers(SHOP, &twice, AT).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    let refused = store.put_offers(u32::MAX, &offers(2..3, "a"), AT).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
    assert_eq!(changes(&store).await.len(), 2);
}

async fn offers_are_listed_by_filter_and_key(database: Database) {
    let store = database.open().await;
    let with = |id: &str, kind, category: &str| NewOffer {
        kind,
        category: category.into(),
        ..offer(id, "a")
    };
    put(&store, 2, &[with("z", 1, "shoes"), with("B", 3, "hats")]).await;
    put(&store, 1, &[with("b", 1, "hats"), with("a", 2, "shoes")]).await;
    let list = async |filter, after, only_of_it, limit| {
        let rows = store
            .offers(filter, after, only_of_it, limit)
            .await
            .unwrap();
        let key = |row: OfferRow| format!("{}{}", row.merchant, row.offer);
        rows.into_iter().map(key).collect::<Vec<_>>()
    };
    let all = OfferFilter::All;
    assert_eq!(list(all, (0, ""), false, 9).await, ["1a", "1b", "2B", "2z"]);
    assert_eq!(list(all, (1, "a"), false, 2).await, ["1b", "2B"]);
    assert_eq!(list(all, (1, "a"), true, 9).await, ["1b"]);
    let shoes = OfferFilter::Category("shoes");
    assert_eq!(list(shoes, (0, ""), false, 9).await, ["1a", "2z"]);
    assert_eq!(list(shoes, (1, "a"), false, 9).await, ["2z"]);
    assert_eq!(list(shoes, (2, ""), true, 9).await, ["2z"]);
    let first = OfferFilter::Kind(1);
    assert_eq!(list(first, (0, ""), false, 9).await, ["1b", "2z"]);
    assert_eq!(list(first, (1, ""), true, 9).await, ["1b"]);
    assert_eq!(list(OfferFilter::Kind(7), (0, ""), false, 9).await, [""; 0]);
}

async fn changes_are_told_in_their_order(database: Database) {
    let store = database.open().await;
    put(&store, 1, &[offer("b", "1"), offer("a", "1")]).await;
    put(&store, 2, &[offer("c", "1")]).await;
    put(&store, 1, &[offer("b", "2")]).await;
    let numbered = |all: &[(u64, &str)]| -> Vec<(u64, String)> {
        all.iter().map(|(n, id)| (*n, (*id).to_owned())).collect()
    };
    assert_eq!(
        changes(&store).await,
        numbered(&[(2, "a"), (3, "c"), (4, "b")])
    );
    let page = async |merchant, after, through, limit| {
        let rows = store.offer_changes(merchant, after, through, limit).await;
        rows.unwrap()
            .into_iter()
            .map(|row| row.change)
            .collect::<Vec<_>>()
    };
    assert_eq!(page(None, 0, 9, 2).await, [2, 3]);
    assert_eq!(page(None, 2, 3, 9).await, [3]);
    assert_eq!(page(Some(1), 0, 9, 9).await, [2, 4]);
    assert_eq!(page(Some(1), 2, 3, 9).await, [0; 0]);
}

async fn an_abandoned_put_leaves_all_or_nothing(database: Database) {
    let store = database.open().await;
    let (mut abandoned, mut acknowledged) = (0, 0);
    for round in 0..40 {
        let offers = offers(round * 100..round * 100 + 100, "a");
        let patience = Duration::from_micros(u64::from(round) * 300);
        match tokio::time::timeout(patience, store.put_offers(SHOP, &offers, AT)).await {
            Ok(answer) => {
                assert_eq!(answer.unwrap(), counts(100, 0, 0));
                acknowledged += 1;
            }
            Err(_) => abandoned += 1,
        }
    }
    assert!(abandoned > 0);
    // What is still under way ends before this does.
    put(&store, SHOP, &offers(9_000..9_001, "a")).await;
    let last = store.offer_feed().await.unwrap().last_change;
    let told = changes(&store).await;
    assert_eq!(told.len() as u64, last);
    let numbers: Vec<u64> = told.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    assert!(last % 100 == 1 && last >= acknowledged * 100);
}

/// Handles that write at once: on PostgreSQL as many processes would.
const WRITERS: u32 = 4;
const ROUNDS: u32 = 60;

async fn a_reader_beside_writers_misses_no_change(database: Database) {
    let store = database.open().await;
    let shared = database.url.starts_with("sqlite:");
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let store = if shared {
            store.clone()
        } else {
            database.open_as(&format!("hansa-writer-{writer}")).await
        };
        writers.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                // Of different sizes, so that commits take differently long.
                let number = writer * 10_000 + round * 100;
                let size = 1 + (writer * 7 + round * 13) % 60;
                put(&store, writer, &offers(number..number + size, "a")).await;
            }
        }));
    }
    let mut seen = BTreeSet::new();
    let mut after = 0;
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        let through = store.offer_feed().await.unwrap().last_change;
        let rows = store.offer_changes(None, after, through, 50).await.unwrap();
        let full = rows.len() == 50;
        for row in rows {
            // Every number between two that were seen was there to be seen.
            assert_eq!(row.change, after + 1);
            after = row.change;
            seen.insert((row.merchant, row.offer));
        }
        if done && !full {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let expected: u64 = (0..WRITERS)
        .flat_map(|writer| {
            (0..ROUNDS).map(move |round| u64::from(1 + (writer * 7 + round * 13) % 60))
        })
        .sum();
    assert_eq!((seen.len() as u64, after), (expected, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_number_waits_for_the_commit_of_the_one_before() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = database.open().await;
    // Another process, in the middle of its commit.
    let mut other = PgConnection::connect(&database.url).await.unwrap();
    let statement = "BEGIN; SELECT last_change FROM offer_feed FOR UPDATE; \
                     INSERT INTO offer (change, changed_at, merchant, withdrawn, kind, offer, category, content) \
                     VALUES (1, 0, 4, 0, 1, 'first', '', ''); UPDATE offer_feed SET last_change = 1";
    sqlx::raw_sql(statement).execute(&mut other).await.unwrap();
    let later = {
        let store = store.clone();
        tokio::spawn(async move { put(&store, SHOP, &offers(0..1, "a")).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!later.is_finished());
    assert_eq!(changes(&store).await, []);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    assert_eq!(later.await.unwrap(), counts(1, 0, 0));
    let told = [(1, "first".to_owned()), (2, "00000".to_owned())];
    assert_eq!(changes(&store).await, told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_process_that_stands_still_holds_up_offers_alone_and_not_for_ever() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = database.open().await;
    let mut stopped = PgConnection::connect(&database.url).await.unwrap();
    let hold = "BEGIN; SELECT last_change FROM offer_feed FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut stopped).await.unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.put_offers(SHOP, &offers(0..1, "a"), AT).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    // A click does not wait behind it.
    let touched = tokio::time::timeout(Duration::from_secs(2), store.add_touches(&[])).await;
    touched.unwrap().unwrap();
    assert!(!waiting.is_finished());
    let refused = waiting.await.unwrap();
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut stopped)
        .await
        .unwrap();
    assert_eq!(put(&store, SHOP, &offers(0..1, "a")).await, counts(1, 0, 0));
}

#[tokio::test]
async fn feeds_of_two_databases_differ() {
    let (one, other) = (Database::sqlite(), Database::sqlite());
    let feed = async |database: &Database| {
        let store = Store::open(&database.url, &StoreOptions::default()).await;
        store.unwrap().offer_feed().await.unwrap()
    };
    assert_ne!(feed(&one).await.id, feed(&other).await.id);
}
