//! What only PostgreSQL has: other backends, TCP, and locks that outlive a stopped process.

use std::time::{Duration, Instant};

use hansa_store::testing::{URL_VARIABLE, shared_postgres, start_postgres};
use hansa_store::{Projection, ReferenceRow, Store, StoreError, StoreOptions, Weakness};
use sqlx::{Connection, PgConnection};

use crate::fixture::{Database, entry, group, id, member};

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_ends_the_backends_of_a_stopped_holder() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let successor = database.open_as("hansa-b").await;
    let old = successor.take_gate("a", "a:1", None).await.unwrap();
    // A holder that stopped between the gate's check and its commit: it keeps the row.
    let stopped_url = format!("{}&application_name=hansa-a", database.url);
    let mut stopped = PgConnection::connect(&stopped_url).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT epoch FROM ledger_gate FOR SHARE")
        .execute(&mut stopped)
        .await
        .unwrap();
    let waiting = {
        let successor = successor.clone();
        tokio::spawn(async move { successor.take_gate("b", "b:1", Some(old)).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(successor.terminate_backends_of("hansa-a").await.unwrap(), 1);
    assert_eq!(waiting.await.unwrap().unwrap(), old + 1);
    assert!(sqlx::raw_sql("COMMIT").execute(&mut stopped).await.is_err());
    assert_eq!(successor.terminate_backends_of("hansa-a").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_ends_only_the_backends_of_its_earlier_life() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let earlier = database.open_as("hansa-a").await;
    let epoch = earlier.take_gate("a", "a:1", None).await.unwrap();
    let later = database.open_as("hansa-a").await;
    assert!(later.terminate_backends_of("hansa-a").await.unwrap() >= 1);
    // Its own connections live.
    later.append(epoch, &group(0, 1)).await.unwrap();
    assert_eq!(later.terminate_backends_of("hansa-a").await.unwrap(), 0);
    // The handle that lost its idle connections finds new ones, and the gate is still its own.
    earlier.append(epoch, &group(1, 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_application_name_is_refused() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let options = StoreOptions {
        application_name: "h".repeat(64),
        ..StoreOptions::default()
    };
    let refused = Store::open(&database.url, &options).await;
    assert!(
        matches!(refused, Err(StoreError::Invalid(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_create_the_schema_at_once() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let stores = tokio::join!(database.open(), database.open(), database.open());
    let epoch = stores.0.take_gate("a", "a:1", None).await.unwrap();
    assert!(stores.1.confirm_gate(epoch).await.unwrap());
    assert!(stores.2.confirm_gate(epoch).await.unwrap());
}

/// A driver without `TCP_NODELAY` stalls some 40 ms where it sends two messages in a row: on COPY, not on UNNEST, and only
/// when the rows leave a partial segment behind, hence several sizes. The fastest of each: a stall of the driver is in every
/// one, and a busy machine is not.
#[tokio::test(flavor = "multi_thread")]
async fn appends_over_tcp_do_not_stall() {
    let Some(server) = tokio::task::spawn_blocking(shared_postgres).await.unwrap() else {
        return;
    };
    let name = server.create_database().await.unwrap();
    let store = Store::open(&server.tcp_url(&name), &StoreOptions::default())
        .await
        .unwrap();
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    let mut seq = 0;
    for ids in [1, 100, 2000] {
        let mut took = Vec::new();
        for _ in 0..11 {
            let mut group = group(seq, ids);
            group.references.push(ReferenceRow {
                merchant: 1,
                reference: id(u128::from(seq)),
                member: 1,
            });
            let started = Instant::now();
            store.append(epoch, &group).await.unwrap();
            took.push(started.elapsed());
            seq += 1;
        }
        let fastest = took.iter().min();
        assert!(
            fastest < Some(&Duration::from_millis(35)),
            "{ids}: {took:?}"
        );
    }
    assert_eq!(store.entry(32).await.unwrap(), Some(entry(32)));
    let last = (7, id(32 << 12 | 7));
    assert_eq!(store.find_ids(&[last]).await.unwrap(), [Some(32 << 12 | 7)]);
    let mut duplicate = group(33, 1);
    duplicate.ids[0].id = id(32 << 12 | 7);
    let refused = store.append(epoch, &duplicate).await;
    assert!(
        matches!(refused, Err(StoreError::DuplicateKey(_))),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_synchronous_standby_is_told_until_there_is_one() {
    // Its settings are changed: a server that the environment gives is others', too.
    if shared_postgres().is_none() || std::env::var_os(URL_VARIABLE).is_some() {
        return;
    }
    let server = tokio::task::spawn_blocking(start_postgres)
        .await
        .unwrap()
        .unwrap();
    let name = server.create_database().await.unwrap();
    let url = server.database_url(&name);
    let store = Store::open(&url, &StoreOptions::default()).await.unwrap();
    assert_eq!(
        store.weaknesses().await.unwrap(),
        [Weakness::NoSynchronousStandby]
    );
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    for statement in [
        "ALTER SYSTEM SET synchronous_standby_names = 'other'",
        "ALTER SYSTEM SET full_page_writes = off",
        "SELECT pg_reload_conf()",
    ] {
        sqlx::raw_sql(statement).execute(&mut admin).await.unwrap();
    }
    let started = Instant::now();
    while store.weaknesses().await.unwrap() != [Weakness::NoFullPageWrites] {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_of_the_role_does_not_make_commits_less_durable() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let mut admin = PgConnection::connect(&database.url).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let weaker = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    let store = database.open_as("hansa-durable").await;
    for statement in [
        weaker.as_str(),
        "CREATE TABLE seen (setting text)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO seen VALUES (TG_TABLE_NAME || ' ' || current_setting('synchronous_commit')); RETURN NULL; END $$",
        "CREATE TRIGGER see AFTER INSERT ON entry EXECUTE FUNCTION see()",
        "CREATE TRIGGER see AFTER INSERT ON member EXECUTE FUNCTION see()",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut admin)
            .await
            .unwrap();
    }
    drop(store);
    let store = database.open_as("hansa-durable").await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(epoch, &group(0, 1)).await.unwrap();
    let projection = Projection {
        members: vec![member(1, 0, b"state")],
        ..Projection::default()
    };
    store.project(epoch, &projection).await.unwrap();
    let seen: Vec<String> = sqlx::query_scalar("SELECT DISTINCT setting FROM seen ORDER BY 1")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert_eq!(seen, ["entry on", "member off"]);
}
