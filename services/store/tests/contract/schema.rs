//! The schema's version.

use hansa_store::{SCHEMA_VERSION, Store, StoreError, StoreOptions};

use crate::fixture::{Database, both, entry, group};

both! { a_database_is_reopened_as_it_was  a_newer_schema_is_refused }

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

async fn a_newer_schema_is_refused(database: Database) {
    let store = database.open().await;
    store.close().await.unwrap();
    drop(store);
    let newer = SCHEMA_VERSION + 1;
    let statement = format!("INSERT INTO schema_version (version) VALUES ({newer})");
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
