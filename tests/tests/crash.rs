//! Power failures and restarts: nothing that was acknowledged is lost or doubled.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, Instant};

use hansa_proto::v1::{self, ResultCode};
use hansa_tests::{
    alliance, body,
    clock::Clock,
    database::Database,
    for_each_database,
    hub::TestHub,
    load::{Load, Way, check_all},
    process::Ended,
};
use prost::Message as _;
use tonic::Code;

async fn start_loads(hub: &TestHub) -> Vec<Load> {
    let mut loads = Vec::new();
    for (id, way) in [
        ("calls", Way::Calls),
        ("stream", Way::Stream),
        ("more", Way::Stream),
    ] {
        let merchant = hub.onboard(id, alliance::contract()).await;
        loads.push(Load::start(hub, &merchant, way).await);
    }
    loads
}

async fn killed_under_load(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let loads = start_loads(&hub).await;
    for round in 0..3_u64 {
        for load in &loads {
            load.wait_for_more(3).await;
        }
        tokio::time::sleep(Duration::from_millis(137 * (round + 1))).await;
        hub.kill();
        if round == 1 {
            // Once more while it loads.
            hub.try_start().await.unwrap();
            hub.kill();
        }
        hub.start().await;
    }
    let mut records = Vec::new();
    for load in loads {
        load.wait_for_more(3).await;
        records.push(load.finish().await);
    }
    check_all(&hub, &records).await;
    hub.kill();
    hub.start().await;
    check_all(&hub, &records).await;
}

async fn terminated_under_load(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let loads = start_loads(&hub).await;
    for _ in 0..2 {
        for load in &loads {
            load.wait_for_more(5).await;
        }
        let began = Instant::now();
        hub.terminate().await;
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        hub.start().await;
    }
    let mut records = Vec::new();
    for load in loads {
        load.wait_for_more(3).await;
        records.push(load.finish().await);
    }
    check_all(&hub, &records).await;
}

/// What a hub has taken it answers before it ends in good order; what it has not taken it says so.
async fn a_graceful_end_answers_what_was_accepted(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let members = shop.enrol_many("m", 50).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let till = if n % 10 == 0 {
            hub.reached_by(&shop)
        } else {
            shop.clone()
        };
        let messages: Vec<v1::Message> = members
            .iter()
            .map(|m| till.message(m, body::accrual("1.00")))
            .collect();
        calls.spawn(async move {
            tokio::time::sleep(Duration::from_millis(n * 5)).await;
            (till.submit_once(till.sign(&messages)).await, messages)
        });
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    hub.terminate().await;
    let results = calls.join_all().await;
    hub.start().await;
    let mut taken = 0;
    for (result, messages) in results {
        let again = shop.send_all(&messages).await;
        match result {
            Ok(answer) => {
                taken += 1;
                let outcomes = v1::Outcomes::decode(answer.outcomes).unwrap().outcomes;
                assert!(outcomes.iter().all(|o| o.code() == ResultCode::Accepted));
                assert!(
                    again.outcomes.iter().all(|o| o.replayed),
                    "acknowledged and lost"
                );
            }
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                assert!(
                    again.outcomes.iter().all(|o| !o.replayed),
                    "taken and not answered: {error}"
                );
            }
        }
    }
    assert!(taken > 0 && taken < 200, "{taken} of 200 were taken");
    for member in &members {
        assert_eq!(shop.balance(member).await.available_points, 200);
    }
}

fn assert_refused_to_start(result: Result<(), Ended>, says: &[&str]) {
    let ended = result.expect_err("the hub must refuse to start");
    assert!(!ended.status.success());
    for text in says {
        assert!(
            ended.log.contains(text),
            "expected \"{text}\" in:\n{}",
            ended.log
        );
    }
    assert!(!ended.log.contains("panicked"), "{}", ended.log);
}

async fn clocks_are_not_exchanged(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    shop.accrue(&member, "1.00").await.ok();
    hub.terminate().await;
    hub.change_clock(Clock::test(shop.clock.now()));
    assert_refused_to_start(hub.try_start().await, &["--test-clock"]);
    hub.change_clock(Clock::default());
    hub.start().await;
    assert_eq!(shop.balance(&member).await.available_points, 1);
}

async fn a_test_clock_stays_one(database: Database) {
    let clock = "2026-03-02T09:00:00Z";
    let mut hub = TestHub::on(&database).test_clock(clock).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    hub.set_clock("2026-03-05T09:00:00Z").await;
    shop.accrue(&member, "1.00").await.ok();
    hub.terminate().await;
    hub.change_clock(Clock::default());
    assert_refused_to_start(hub.try_start().await, &["--test-clock"]);
    // The clock never goes back behind what the log has seen.
    hub.change_clock(Clock::test(hansa_tests::clock::at("2026-03-01T00:00:00Z")));
    hub.try_start().await.unwrap();
    let request = async || {
        hub.connection()
            .test_clock()
            .get_clock(v1::GetClockRequest {})
            .await
    };
    let mut answer = request().await;
    while answer
        .as_ref()
        .is_err_and(|status| status.code() == Code::Unavailable)
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = request().await;
    }
    let now = answer.unwrap().into_inner().now.unwrap();
    assert_eq!(now.to_string(), "2026-03-05T09:00:00Z");
}

/// The last signed checkpoint is kept outside the database: an older copy of the database does not pass for the log.
async fn an_older_copy_of_the_database_is_noticed(database: Database) {
    let mut hub = TestHub::on(&database).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    shop.accrue(&member, "1.00").await.ok();
    hub.terminate().await;
    let older = database.copy(&hub.data_dir()).await;
    hub.start().await;
    let size = hub.status().await.tree_size;
    shop.accrue(&member, "2.00").await.ok();
    hub.terminate().await;

    hub.change_database(older.clone());
    assert_refused_to_start(hub.try_start().await, &["lost"]);
    // Nor does one that was written on without the anchor, however long it became.
    let mut other = hub.replica();
    other.change_database(older);
    other.start().await;
    assert_eq!(other.status().await.tree_size, size);
    let till = other.reached_by(&shop);
    for _ in 0..3 {
        till.accrue(&member, "4.00").await.ok();
    }
    other.terminate().await;
    assert_refused_to_start(hub.try_start().await, &["fork"]);

    hub.change_database(database);
    hub.start().await;
    assert_eq!(shop.balance(&member).await.available_points, 3);
}

for_each_database!(
    killed_under_load,
    terminated_under_load,
    a_graceful_end_answers_what_was_accepted,
    clocks_are_not_exchanged,
    a_test_clock_stays_one,
    an_older_copy_of_the_database_is_noticed,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sqlite_file_has_one_hub() {
    let mut hub = TestHub::on(&Database::sqlite()).start().await;
    let shop = hub.onboard("shop", alliance::contract()).await;
    let member = shop.enrol("u").await;
    let mut second = hub.replica();
    let file = hub.file("hansa.db").display().to_string();
    second.change_database(Database::SqliteFile {
        url: format!("sqlite:{file}"),
    });
    assert_refused_to_start(second.try_start().await, &[&file, "another process"]);
    // The first one did not notice.
    shop.accrue(&member, "1.00").await.ok();
    hub.kill();
    second.start().await;
    let shop = second.reached_by(&shop);
    assert_eq!(shop.balance(&member).await.available_points, 1);
}
