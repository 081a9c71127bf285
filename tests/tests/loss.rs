//! After a loss that nothing brings back: the log goes on under another name, and says what it lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use hansa_proto::v1::ResultCode;
use hansa_tests::{
    alliance, body,
    check::{codes, verifier},
    cli::{Cli, Output},
    database::Database,
    for_each_database,
    hub::TestHub,
};
use serde_json::{Value, json};

const OLD: &str = "hansa.example/log";
const NEW: &str = "hansa.example/log-2";

fn reopen(hub: &TestHub, database: &Database, origin: &str, more: &str) -> Output {
    Cli::new(hub).run(&format!(
        "reopen --origin {origin} {} {more}",
        place(hub, database)
    ))
}

fn place(hub: &TestHub, database: &Database) -> String {
    format!(
        "--data-dir \"{}\" --database \"{}\"",
        hub.data_dir().display(),
        database.url().unwrap()
    )
}

async fn a_log_goes_on_after_a_loss_under_another_name(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    shop.accrue(&member, "1.00").await.ok();
    hub.terminate().await;
    let older = database.copy(&hub.data_dir()).await;
    hub.start().await;
    let kept = hub.status().await.tree_size;
    let lost = shop.batch(&[shop.message(&member, body::accrual("2.00"))]);
    let receipt = shop.hub.submit(&lost).await.unwrap();
    let old_key = verifier(&shop.hub.checkpoint().await.unwrap().verifier_key);
    receipt.verify(&lost, &old_key).unwrap().unwrap();
    hub.terminate().await;
    hub.change_database(older.clone());
    assert!(hub.try_start().await.unwrap_err().log.contains("lost"));

    // Not by mistake: nobody was asked, and the old name would fork the log.
    let nobody = reopen(&hub, &older, NEW, "");
    assert_eq!(nobody.code, 2, "{}", nobody.err);
    let forked = reopen(&hub, &older, OLD, "--yes");
    assert!(
        forked.code == 1 && forked.err.contains("already"),
        "{}",
        forked.err
    );
    assert!(hub.try_start().await.unwrap_err().log.contains("lost"));

    let checkpoint = hub.file("checkpoint.note");
    let before = std::fs::read(&checkpoint).unwrap();
    let told = reopen(&hub, &older, NEW, "--yes --json").expect(0);
    let told: Value = serde_json::from_str(&told).unwrap();
    let loss = json!({ "origin": OLD, "first": kept, "entries": 1 });
    assert_eq!((&told["lost"], &told["size"]), (&loss, &json!(kept + 1)));
    // As after a crash between the entry and the file; what was begun is not asked for again.
    std::fs::write(&checkpoint, before).unwrap();
    let ended = reopen(&hub, &older, NEW, "--json").expect(0);
    assert_eq!(serde_json::from_str::<Value>(&ended).unwrap(), told);

    let old_name = hub.try_start().await.unwrap_err();
    assert!(old_name.log.contains(NEW), "{}", old_name.log);
    hub.change_origin(NEW);
    hub.start().await;
    let key = shop.hub.checkpoint().await.unwrap().verifier_key;
    assert_eq!(told["verifier_key"], json!(key));
    let key = verifier(&key);
    assert!(
        receipt.verify(&lost, &key).is_err(),
        "signed under the old name"
    );
    // What is lost may be sent again, as it was.
    let again = shop.hub.submit(&lost).await.unwrap();
    assert_eq!(codes(&again.outcomes), [ResultCode::Accepted]);
    assert!(!again.outcomes[0].replayed);
    again.verify(&lost, &key).unwrap().unwrap();
    assert_eq!(shop.balance(&member).await.available_points, 3);
    hub.terminate().await;

    let whole = reopen(&hub, &older, "hansa.example/log-3", "--yes");
    assert!(
        whole.code == 1 && whole.err.contains("nothing is lost"),
        "{}",
        whole.err
    );
    let verified = Cli::new(&hub).run(&format!("verify --json {}", place(&hub, &older)));
    let verified: Value = serde_json::from_str(&verified.expect(0)).unwrap();
    assert_eq!(verified["origin"], json!(NEW));
    assert_eq!(verified["lost"], json!([loss]));
}

for_each_database!(a_log_goes_on_after_a_loss_under_another_name);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_a_hub_owns_is_not_reopened() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = TestHub::on(&database).start().await;
    hub.onboard("shop", alliance::contract()).await;
    let refused = reopen(&hub, &database, NEW, "--yes");
    assert!(
        refused.code == 1 && refused.err.contains("a hub owns the log"),
        "{}",
        refused.err
    );
    assert_eq!(hub.status().await.epoch, 1, "it did not notice");
}
