//! The projection's other rows: the global state, named blobs, and the position that is covered.

use bytes::Bytes;
use sqlx::Row;

use crate::error::{StoreError, unsigned};
use crate::store::{Backend, Store};

pub(crate) const UPSERT_COVERED: &str = "INSERT INTO projection (only_row, covered_size) VALUES (1, $1) \
     ON CONFLICT (only_row) DO UPDATE SET covered_size = excluded.covered_size";
pub(crate) const UPSERT_GLOBAL: &str = "INSERT INTO global_state (only_row, applied_seq, data) VALUES (1, $1, $2) \
     ON CONFLICT (only_row) DO UPDATE SET applied_seq = excluded.applied_seq, data = excluded.data";
pub(crate) const UPSERT_BLOB: &str = "INSERT INTO projected_blob (key, data) VALUES ($1, $2) \
     ON CONFLICT (key) DO UPDATE SET data = excluded.data";
const GLOBAL: &str = "SELECT applied_seq, data FROM global_state WHERE only_row = 1";
const COVERED: &str = "SELECT covered_size FROM projection WHERE only_row = 1";
const BLOB: &str = "SELECT data FROM projected_blob WHERE key = $1";

impl Store {
    /// The global state and the last entry that it contains.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn global(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        macro_rules! global {
            ($readers:expr) => {
                match sqlx::query(GLOBAL).fetch_optional($readers).await? {
                    Some(row) => Some((
                        unsigned(row.try_get(0)?)?,
                        row.try_get::<Vec<u8>, _>(1)?.into(),
                    )),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => global!(&db.readers),
            Backend::Postgres(db) => global!(&db.readers),
        })
    }

    /// The blob of this key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn blob(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        macro_rules! blob {
            ($readers:expr) => {
                match sqlx::query(BLOB).bind(key).fetch_optional($readers).await? {
                    Some(row) => Some(row.try_get::<Vec<u8>, _>(0)?.into()),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => blob!(&db.readers),
            Backend::Postgres(db) => blob!(&db.readers),
        })
    }

    /// How many entries from the log's start are fully in the projection; 0 before the first projection.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn covered_size(&self) -> Result<u64, StoreError> {
        macro_rules! covered {
            ($readers:expr) => {
                match sqlx::query(COVERED).fetch_optional($readers).await? {
                    Some(row) => unsigned(row.try_get(0)?)?,
                    None => 0,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => covered!(&db.readers),
            Backend::Postgres(db) => covered!(&db.readers),
        })
    }
}
