//! The schema's version.

use hansa_store::{EvidenceRow, SCHEMA_VERSION, Store, StoreError, StoreOptions};

use crate::fixture::{Database, both, entry, group};

both! { a_database_is_reopened_as_it_was  an_older_database_is_advanced  a_newer_schema_is_refused }

async fn a_database_is_reopened_as_it_was(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(epoch, &group(0, 3)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let store = database.open().await;
    assert!(store.confirm_gate(epoch).await.unwrap());
    assert_eq!(store.entry(0).await.unwrap(), Some(entry(0)));
    store.append(epoch, &group(1, 3)).await.unwrap();
}

/// Behind the store's back.
async fn execute(database: &Database, statement: String) {
    let statement = sqlx::AssertSqlSafe(statement);
    if let Some(path) = database.url.strip_prefix("sqlite:") {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

async fn an_older_database_is_advanced(database: Database) {
    let store = database.open().await;
    let epoch = store.take_gate("a", "a:1", None).await.unwrap();
    store.append(epoch, &group(0, 3)).await.unwrap();
    store.close().await.unwrap();
    drop(store);
    // As the release before left it.
    let statement = "DROP TABLE evidence; DROP TABLE audit_state; DROP TABLE audit_member; DROP TABLE audit_reference; \
                     DROP TABLE audit_cut; DROP TABLE audit_finding; DROP TABLE conversion_party; DROP TABLE tracking_link; DROP TABLE touch; \
                     DROP TABLE touch_invalidation; DROP TABLE offer; DROP TABLE offer_feed; DROP TABLE fraud_state; DELETE FROM schema_version WHERE version > 1";
    execute(&database, statement.into()).await;

    let store = database.open().await;
    assert_eq!(store.entry(0).await.unwrap(), Some(entry(0)));
    let mut next = group(1, 3);
    next.evidence = vec![EvidenceRow {
        sha256: [1; 32],
        content: "photo".into(),
    }];
    store.append(epoch, &next).await.unwrap();
    assert_eq!(
        store.evidence(&[1; 32]).await.unwrap(),
        Some("photo".into())
    );
}

async fn a_newer_schema_is_refused(database: Database) {
    let store = database.open().await;
    store.close().await.unwrap();
    drop(store);
    let newer = SCHEMA_VERSION + 1;
    let statement = format!("INSERT INTO schema_version (version) VALUES ({newer})");
    execute(&database, statement).await;
    let refused = Store::open(&database.url, &StoreOptions::default()).await;
    assert!(
        matches!(refused, Err(StoreError::SchemaNewer { found, known: SCHEMA_VERSION }) if found == newer),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_unknown_url_is_refused() {
    for url in [
        "mysql://x",
        "sqlite:",
        "sqlite::memory:",
        "sqlite://a.db?mode=ro",
        "",
    ] {
        let refused = Store::open(url, &StoreOptions::default()).await;
        assert!(
            matches!(refused, Err(StoreError::Invalid(_))),
            "{url}: {refused:?}"
        );
    }
}
