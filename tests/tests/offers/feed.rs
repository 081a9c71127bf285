//! What a reader of changes has in the end is what stands.

use std::time::Duration;

use hansa_proto::v1;
use hansa_tests::{database::Database, for_each_database};
use tokio::task::JoinHandle;

use crate::{Reader, World, names, product, products, put, seen, withdraw};

for_each_database!(
    what_is_put_is_told_listed_and_withdrawn,
    a_reader_follows_merchants_that_go_and_come_back,
    a_reader_beside_merchants_misses_nothing,
);

async fn what_is_put_is_told_listed_and_withdrawn(database: Database) {
    let mut world = World::on(&database).await;
    let mut reader = Reader::with_pages_of(2);
    assert_eq!(reader.read(&world.blog.hub).await, [""; 0]);
    assert!(!reader.cursor.is_empty());
    let three = products(&["b", "a", "c"]);
    assert_eq!(put(&world.shop.hub, three.clone()).await, (3, 0, 0));
    assert_eq!(put(&world.shop.hub, three).await, (0, 0, 3));
    assert_eq!(
        reader.read(&world.blog.hub).await,
        ["+shop/b", "+shop/a", "+shop/c"]
    );
    assert_eq!(seen(&world.blog.hub).await, ["shop/a", "shop/b", "shop/c"]);
    assert_eq!(reader.read(&world.blog.hub).await, [""; 0]);

    let mut changed = product("a");
    changed.title = "Boot".into();
    let offers = vec![changed.clone(), product("b")];
    assert_eq!(put(&world.shop.hub, offers).await, (0, 1, 1));
    assert_eq!(withdraw(&world.shop.hub, &["c", "c"]).await, 1);
    assert_eq!(withdraw(&world.shop.hub, &["c"]).await, 0);
    // A restart changes nothing of where a reader is.
    world.hub.terminate().await;
    world.hub.start().await;
    assert_eq!(reader.read(&world.blog.hub).await, ["+shop/a", "-shop/c"]);
    assert_eq!(reader.offers["shop/a"].offer.as_ref(), Some(&changed));
    reader.assert_up_to_date(&world.blog.hub).await;
    // Put again, it is there again.
    assert_eq!(put(&world.shop.hub, products(&["c"])).await, (1, 0, 0));
    assert_eq!(reader.read(&world.blog.hub).await, ["+shop/c"]);
    // Who begins now is not told of what came and went before.
    withdraw(&world.shop.hub, &["b"]).await;
    let mut other = Reader::with_pages_of(1);
    assert_eq!(other.read(&world.vlog.hub).await, ["+shop/a", "+shop/c"]);
}

async fn a_reader_follows_merchants_that_go_and_come_back(database: Database) {
    let world = World::on(&database).await;
    let blog = &world.blog.hub;
    put(&world.shop.hub, products(&["a", "b", "c"])).await;
    put(&world.bakery.hub, products(&["x"])).await;
    let mut reader = Reader::with_pages_of(2);
    reader.read(blog).await;
    reader.assert_up_to_date(blog).await;

    world.set_state("shop", v1::MerchantState::Suspended).await;
    assert_eq!(seen(blog).await, ["bakery/x"]);
    // What it changes meanwhile nobody is told of.
    put(&world.shop.hub, products(&["d"])).await;
    withdraw(&world.shop.hub, &["a"]).await;
    assert_eq!(reader.read(blog).await, ["-shop"]);
    assert_eq!(reader.read(blog).await, [""; 0]);
    reader.assert_up_to_date(blog).await;
    // Whoever reads as the merchant itself goes on.
    let mut own = Reader::with_pages_of(10);
    own.read(&world.shop.hub).await;
    assert!(own.offers.len() == 3 && own.offers.values().all(|listed| !listed.in_force));

    world.set_state("shop", v1::MerchantState::Active).await;
    assert_eq!(reader.read(blog).await, ["+shop/b", "+shop/c", "+shop/d"]);
    reader.assert_up_to_date(blog).await;

    // In the midst of being told anew, it goes again.
    world.set_state("shop", v1::MerchantState::Suspended).await;
    reader.read(blog).await;
    world.set_state("shop", v1::MerchantState::Active).await;
    assert!(reader.step(blog).await);
    assert_eq!(reader.offers.len(), 3);
    world
        .set_state("shop", v1::MerchantState::WindingDown)
        .await;
    assert_eq!(reader.read(blog).await, ["-shop"]);
    reader.assert_up_to_date(blog).await;

    // An affiliate that is not active sees nothing; active again, everything.
    world.set_state("blog", v1::MerchantState::Suspended).await;
    assert_eq!(seen(blog).await, [""; 0]);
    assert_eq!(reader.read(blog).await, ["-bakery"]);
    put(&world.bakery.hub, products(&["y"])).await;
    world.set_state("blog", v1::MerchantState::Active).await;
    assert_eq!(reader.read(blog).await, ["+bakery/x", "+bakery/y"]);
    reader.assert_up_to_date(blog).await;
}

/// Merchants change offers at once, one of them through another hub process where there may be several; a reader follows.
async fn a_reader_beside_merchants_misses_nothing(database: Database) {
    const ROUNDS: u32 = 25;
    let world = World::on(&database).await;
    let mut replica = match &database {
        Database::Postgres { .. } => Some(world.hub.replica()),
        Database::Sqlite | Database::SqliteFile { .. } => None,
    };
    let bakery = match &mut replica {
        Some(replica) => {
            replica.start().await;
            replica.reached_by(&world.bakery)
        }
        None => world.hub.reached_by(&world.bakery),
    };
    let mut writers: Vec<JoinHandle<()>> = Vec::new();
    for merchant in [world.hub.reached_by(&world.shop), bakery] {
        writers.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let many = 1 + round % 7;
                let mut offers: Vec<_> = (0..many).map(|n| product(&format!("{n}"))).collect();
                offers
                    .iter_mut()
                    .for_each(|offer| offer.title = format!("{round}"));
                put(&merchant.hub, offers).await;
                if round % 5 == 4 {
                    withdraw(&merchant.hub, &["0"]).await;
                }
            }
        }));
    }
    let mut reader = Reader::with_pages_of(3);
    while !writers.iter().all(JoinHandle::is_finished) {
        reader.step(&world.blog.hub).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    reader.read(&world.blog.hub).await;
    reader.assert_up_to_date(&world.blog.hub).await;
    // Each merchant's last put is of four; the first of them was withdrawn in the end.
    let titles: Vec<_> = reader
        .offers
        .values()
        .map(|listed| listed.offer.as_ref().unwrap().title.as_str())
        .collect();
    assert_eq!(titles.iter().filter(|title| **title == "24").count(), 6);
    assert_eq!(reader.offers.len(), 12);
    if let Some(replica) = &replica {
        let blog = replica.reached_by(&world.blog);
        let mut own: Vec<_> = reader.offers.values().cloned().collect();
        own.sort_by_key(|listed| (listed.merchant_id != "shop", crate::name(listed)));
        assert_eq!(seen(&blog.hub).await, names(&own));
        // A cursor is good at any process.
        assert_eq!(reader.read(&blog.hub).await, [""; 0]);
    }
}
