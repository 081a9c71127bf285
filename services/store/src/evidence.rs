//! Evidence: bytes that a fact of the log names by their SHA-256 and does not hold itself.
//!
//! Kept by content: the same bytes are one row, whoever hands them in. What is here was named by an entry of the same commit
//! or an earlier one; nothing is ever changed or removed.

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::StoreError;
use crate::store::{Backend, Store};

/// Bytes under their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRow {
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The content.
    pub content: Bytes,
}

const INSERT: &str =
    "INSERT INTO evidence (sha256, content) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING";
const ONE: &str = "SELECT content FROM evidence WHERE sha256 = $1";

impl Store {
    /// The content of this digest, as it was handed in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn evidence(&self, sha256: &[u8; 32]) -> Result<Option<Bytes>, StoreError> {
        macro_rules! content {
            ($readers:expr) => {
                match sqlx::query(ONE)
                    .bind(&sha256[..])
                    .fetch_optional($readers)
                    .await?
                {
                    Some(row) => Some(row.try_get::<Vec<u8>, _>(0)?.into()),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => content!(&db.readers),
            Backend::Postgres(db) => content!(&db.readers),
        })
    }
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    evidence: &[EvidenceRow],
) -> Result<(), StoreError> {
    for row in evidence {
        let query = sqlx::query(INSERT).bind(&row.sha256[..]);
        query
            .bind(&row.content[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    evidence: &[EvidenceRow],
) -> Result<(), StoreError> {
    for row in evidence {
        let query = sqlx::query(INSERT).bind(&row.sha256[..]);
        query
            .bind(&row.content[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
