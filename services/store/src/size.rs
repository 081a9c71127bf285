//! How much room the database takes.

use sqlx::Row;

use crate::error::{StoreError, unsigned};
use crate::store::{Backend, Store};

/// With what the write-ahead log still holds; free pages included.
const SQLITE: &str = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
/// Tables and indexes; without the server's write-ahead log.
const POSTGRES: &str = "SELECT pg_database_size(current_database())";

impl Store {
    /// Room that the database takes, in bytes: tables, indexes and free pages, without any write-ahead log.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn size_bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = match self.backend() {
            Backend::Sqlite(db) => sqlx::query(SQLITE)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
            Backend::Postgres(db) => sqlx::query(POSTGRES)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
        };
        unsigned(bytes)
    }
}
