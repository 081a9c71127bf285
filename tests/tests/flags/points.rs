//! Messages of points, scored behind the traffic.

use hansa_client::time::timestamp;
use hansa_proto::v1;
use hansa_tests::{
    body,
    check::answered,
    cli::Cli,
    database::Database,
    for_each_database,
    merchant::{Merchant, next_id},
    shop::Shop,
};

use crate::HOUR;

async fn flags(merchant: &Merchant) -> Vec<v1::PointsFlag> {
    let request = v1::ListPointsFlagsRequest::default();
    answered(merchant.hub.fraud().list_points_flags(request).await).flags
}

/// Purchases at one till, `apart` microseconds from each other.
async fn buy(shop: &Shop, member: &[u8; 16], count: i64, apart: i64) {
    let now = shop.f.clock.now();
    let messages: Vec<v1::Message> = (0..count)
        .map(|number| v1::Message {
            message_id: next_id().to_vec(),
            event_time: Some(timestamp(now - (count - number) * apart)),
            member_reference: member.to_vec(),
            lane: "till-1".into(),
            body: Some(body::accrual("10.00")),
            ..v1::Message::default()
        })
        .collect();
    let answer = shop.f.send_all(&messages).await;
    for outcome in &answer.outcomes {
        assert_eq!(outcome.code(), v1::ResultCode::Accepted, "{outcome:?}");
    }
}

async fn impossible_speed_is_flagged_and_stops_nobody(database: Database) {
    let mut shop = Shop::new(&database).await;
    shop.hub.terminate().await;
    shop.hub.add_arg("--score-points");
    shop.hub.start().await;
    // Before its contract nobody sells.
    shop.hub.advance(8 * HOUR).await;
    let honest = shop.f.enrol("honest").await;
    let farmer = shop.f.enrol("farmer").await;
    buy(&shop, &honest, 3, 2 * HOUR).await;
    buy(&shop, &farmer, 9, 5_000_000).await;
    shop.hub.advance(3 * HOUR).await;
    let cli = Cli::new(&shop.hub);
    for tries in 0.. {
        let status = cli.json("fraud status", 0);
        if status["points_messages"] == 12 {
            break;
        }
        assert!(tries < 100, "{status}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let found = flags(&shop.f).await;
    // The fourth within a minute and those behind it, the newest first.
    assert_eq!(found.len(), 6, "{found:?}");
    assert_eq!(found[0].band(), v1::FraudBand::Hold);
    assert!(
        found[0].evidence[0].contains("within a minute"),
        "{found:?}"
    );
    assert_eq!(
        found[0].member_number, 0,
        "a merchant knows its own reference only"
    );
    assert!(flags(&shop.a).await.is_empty());
    let listed = cli.json("fraud points", 0);
    assert_eq!(listed["flags"].as_array().unwrap().len(), 6);
    // Nobody was held up: all points are there.
    assert_eq!(shop.f.balance(&farmer).await.available_points, 90);
    shop.hub.wait_covered().await;
    shop.hub.verify().await;
    let command = shop
        .hub
        .verify_command()
        .replacen("verify", "fraud replay", 1);
    let made = cli.json(&command, 0);
    let status = cli.json("fraud status", 0);
    assert_eq!(made["state_sha256"], status["state_sha256"]);
}

for_each_database!(impossible_speed_is_flagged_and_stops_nobody);
