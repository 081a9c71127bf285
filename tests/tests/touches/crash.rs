//! `kill -9` under load: a click whose id was answered is there afterwards.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hansa_tests::{database::Database, for_each_database};
use tokio::{net::TcpStream, sync::Mutex};

use crate::{World, click_id, http::click_kept};

for_each_database!(every_acknowledged_click_survives_kill_9);

/// Connections that click without a pause.
const LANES: usize = 8;

/// How often the hub is killed.
fn kills() -> u64 {
    std::env::var("HANSA_TOUCH_KILLS").map_or(4, |kills| kills.parse().unwrap())
}

async fn every_acknowledged_click_survives_kill_9(database: Database) {
    let mut world = World::on(&database).await;
    let link = world.link().await.link_id;
    let acknowledged: Arc<Mutex<BTreeSet<Vec<u8>>>> = Arc::default();
    for round in 0..kills() {
        let endpoint = world.endpoint();
        let before = acknowledged.lock().await.len();
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let (endpoint, path) = (endpoint.clone(), format!("/c/{link}"));
            let acknowledged = Arc::clone(&acknowledged);
            lanes.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(endpoint).await.unwrap();
                while let Some(answer) = click_kept(&mut stream, &path).await {
                    if let Some(id) = click_id(answer.location()) {
                        acknowledged
                            .lock()
                            .await
                            .insert(id.unverified().id.to_vec());
                    }
                }
            }));
        }
        // At another point of the traffic each time.
        tokio::time::sleep(Duration::from_millis(150 + 37 * (round % 7))).await;
        while acknowledged.lock().await.len() < before + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.hub.kill();
        for lane in lanes {
            lane.await.unwrap();
        }
        std::fs::remove_file(&world.ready).unwrap();
        world.hub.start().await;
        let kept: BTreeSet<Vec<u8>> = world
            .touches()
            .await
            .into_iter()
            .map(|touch| touch.touch_id)
            .collect();
        let acknowledged = acknowledged.lock().await;
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(
            lost.is_empty(),
            "{} of {} lost",
            lost.len(),
            acknowledged.len()
        );
    }
}
