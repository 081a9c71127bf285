//! The schema and its version. Plain DDL in one transaction: no advisory locks, so that poolers and distributed variants
//! stay within reach.

use sqlx::Row;

use crate::error::{StoreError, unsigned};
use crate::postgres::Postgres;
use crate::sqlite::{Durability, Sqlite};

/// The schema that this release reads and writes.
pub const SCHEMA_VERSION: u32 = 5;

/// The steps from nothing to [`SCHEMA_VERSION`], one each.
const SQLITE: [&str; SCHEMA_VERSION as usize] = [
    include_str!("schema/sqlite_1.sql"),
    include_str!("schema/sqlite_2.sql"),
    include_str!("schema/sqlite_3.sql"),
    include_str!("schema/sqlite_4.sql"),
    include_str!("schema/sqlite_5.sql"),
];
const POSTGRES: [&str; SCHEMA_VERSION as usize] = [
    include_str!("schema/postgres_1.sql"),
    include_str!("schema/postgres_2.sql"),
    include_str!("schema/postgres_3.sql"),
    include_str!("schema/postgres_4.sql"),
    include_str!("schema/postgres_5.sql"),
];

const CREATE_VERSION: &str =
    "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL PRIMARY KEY)";
const READ_VERSION: &str = "SELECT max(version) FROM schema_version";
const ADD_VERSION: &str = "INSERT INTO schema_version (version) VALUES ($1)";

/// The steps that a database of this version still needs.
fn missing(
    steps: &'static [&'static str],
    found: u32,
) -> Result<&'static [&'static str], StoreError> {
    usize::try_from(found)
        .ok()
        .and_then(|found| steps.get(found..))
        .ok_or(StoreError::SchemaNewer {
            found,
            known: SCHEMA_VERSION,
        })
}

pub(crate) async fn prepare_sqlite(store: &Sqlite) -> Result<(), StoreError> {
    let known = sqlx::query("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'")
        .fetch_optional(&store.readers)
        .await?;
    let mut found = 0;
    if known.is_some() {
        let row = sqlx::query(READ_VERSION).fetch_one(&store.readers).await?;
        found = unsigned(row.try_get::<Option<i64>, _>(0)?.unwrap_or(0))?;
    }
    let steps = missing(&SQLITE, found)?;
    if steps.is_empty() {
        return Ok(());
    }
    let mut write = store.begin(Durability::Disk).await?;
    let connection = write.connection();
    sqlx::raw_sql(CREATE_VERSION)
        .execute(&mut *connection)
        .await?;
    for (version, step) in (found + 1..).zip(steps) {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
        sqlx::query(ADD_VERSION)
            .bind(i64::from(version))
            .execute(&mut *connection)
            .await?;
    }
    write.commit().await
}

/// How often a schema change that met another one is looked at again.
const ATTEMPTS: u32 = 20;

pub(crate) async fn prepare_postgres(store: &Postgres) -> Result<(), StoreError> {
    let mut attempt = 1;
    loop {
        match try_postgres(store).await {
            // Two processes that create the same table at once: the later one gets a duplicate key in the catalogue.
            Err(StoreError::DuplicateKey(_) | StoreError::Database(_)) if attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            outcome => return outcome,
        }
    }
}

async fn try_postgres(store: &Postgres) -> Result<(), StoreError> {
    let known: bool = sqlx::query("SELECT to_regclass('schema_version') IS NOT NULL")
        .fetch_one(&store.readers)
        .await?
        .try_get(0)?;
    let mut found = 0;
    if known {
        let row = sqlx::query(READ_VERSION).fetch_one(&store.readers).await?;
        found = unsigned(row.try_get::<Option<i64>, _>(0)?.unwrap_or(0))?;
    }
    let steps = missing(&POSTGRES, found)?;
    if steps.is_empty() {
        return Ok(());
    }
    let mut write = store.begin_durable().await?;
    let connection = write.connection();
    sqlx::raw_sql(CREATE_VERSION)
        .execute(&mut *connection)
        .await?;
    for (version, step) in (found + 1..).zip(steps) {
        sqlx::raw_sql(*step).execute(&mut *connection).await?;
        sqlx::query(ADD_VERSION)
            .bind(i64::from(version))
            .execute(&mut *connection)
            .await?;
    }
    write.commit().await
}
