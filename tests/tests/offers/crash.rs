//! `kill -9` under load: what was answered is there afterwards, each call whole.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hansa_proto::v1;
use hansa_tests::{database::Database, for_each_database};
use tokio::sync::Mutex;

use crate::{Reader, World, product};

for_each_database!(every_acknowledged_put_survives_kill_9);

const LANES: usize = 4;
const ROUNDS: u64 = 3;
/// Offers of a call.
const MANY: usize = 20;

async fn every_acknowledged_put_survives_kill_9(database: Database) {
    let mut world = World::on(&database).await;
    // By lane: the number of the last call that was answered.
    let acknowledged: Arc<Mutex<BTreeMap<usize, u64>>> = Arc::default();
    let mut reader = Reader::with_pages_of(1_000);
    for round in 0..ROUNDS {
        let mut lanes = Vec::new();
        for lane in 0..LANES {
            let shop = world.hub.reached_by(&world.shop);
            let acknowledged = Arc::clone(&acknowledged);
            lanes.push(tokio::spawn(async move {
                for call in round * 1_000_000 + 1.. {
                    let offer = |n: usize| v1::Offer {
                        title: call.to_string(),
                        ..product(&format!("{lane}-{n:02}"))
                    };
                    let request = v1::PutOffersRequest {
                        offers: (0..MANY).map(offer).collect(),
                        ..v1::PutOffersRequest::default()
                    };
                    if shop.hub.offers().put_offers(request).await.is_err() {
                        return;
                    }
                    acknowledged.lock().await.insert(lane, call);
                }
            }));
        }
        tokio::time::sleep(Duration::from_millis(300 + 53 * round)).await;
        while acknowledged
            .lock()
            .await
            .values()
            .filter(|call| **call > round * 1_000_000 + 2)
            .count()
            < LANES
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.hub.kill();
        for lane in lanes {
            lane.await.unwrap();
        }
        world.hub.start().await;
        // The reader goes on from where it was before the kill.
        reader.read(&world.blog.hub).await;
        reader.assert_up_to_date(&world.blog.hub).await;
        assert_eq!(reader.offers.len(), LANES * MANY);
        for (lane, acknowledged) in acknowledged.lock().await.iter() {
            let first = format!("shop/{lane}-00");
            let title = |name: &str| {
                let offer = reader.offers[name].offer.as_ref().unwrap();
                offer.title.parse::<u64>().unwrap()
            };
            // The call behind the last one that was answered may be in, too; each is in whole.
            let found = title(&first);
            assert!(
                found == *acknowledged
                    || found == acknowledged + 1
                    || found == round * 1_000_000 + 1,
                "lane {lane}: {found}, acknowledged {acknowledged}"
            );
            assert!(found >= *acknowledged);
            for n in 0..MANY {
                assert_eq!(title(&format!("shop/{lane}-{n:02}")), found);
            }
        }
    }
}
