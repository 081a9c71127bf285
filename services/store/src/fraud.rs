//! What the keeper of flags saved: its state as of a place in the log, cut into parts that any database takes.
//!
//! It can be derived again from the log and the touches; saved, a restart need not. One save replaces the one before.

use bytes::Bytes;
use sqlx::Row;

use crate::error::{StoreError, signed, unsigned};
use crate::sqlite::Durability;
use crate::store::{Backend, Store};

/// Bytes of a part.
const PART: usize = 1 << 20;

const PARTS: &str = "SELECT size, data FROM fraud_state ORDER BY part";
const CLEAR: &str = "DELETE FROM fraud_state";
const ADD: &str = "INSERT INTO fraud_state (part, size, data) VALUES ($1, $2, $3)";

impl Store {
    /// The state that was saved last, and the number of leading entries of the log that are in it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fraud_state(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let mut size = None;
        let mut state = Vec::new();
        macro_rules! parts {
            ($readers:expr) => {
                for row in sqlx::query(PARTS).fetch_all($readers).await? {
                    size = Some(unsigned(row.try_get(0)?)?);
                    state.extend(row.try_get::<Vec<u8>, _>(1)?);
                }
            };
        }
        match self.backend() {
            Backend::Sqlite(db) => parts!(&db.readers),
            Backend::Postgres(db) => parts!(&db.readers),
        }
        Ok(size.map(|size| (size, state.into())))
    }

    /// Saves the state as of so many leading entries, all of it or nothing. Does not wait for the disk: what a crash of the machine loses
    /// is derived again.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_fraud_state(&self, size: u64, state: &[u8]) -> Result<(), StoreError> {
        let size = signed(size)?;
        macro_rules! save {
            ($write:expr) => {{
                let mut write = $write;
                sqlx::query(CLEAR).execute(write.connection()).await?;
                for (part, data) in (0_i64..).zip(state.chunks(PART)) {
                    sqlx::query(ADD)
                        .bind(part)
                        .bind(size)
                        .bind(data)
                        .execute(write.connection())
                        .await?;
                }
                write.commit().await
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => save!(db.begin(Durability::Recoverable).await?),
            Backend::Postgres(db) => save!(db.begin_recoverable().await?),
        }
    }
}
