//! The projection: one transaction behind the commits, which the log can always restore.

use bytes::Bytes;

use crate::error::{StoreError, signed};
use crate::gate;
use crate::global::{UPSERT_BLOB, UPSERT_COVERED, UPSERT_GLOBAL};
use crate::member::{self, MemberRow};
use crate::sqlite::Durability;
use crate::store::{Backend, Store};

/// What one projection writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Members, each at most once, in any order.
    pub members: Vec<MemberRow>,
    /// The global state, and the last entry that it contains.
    pub global: Option<(u64, Bytes)>,
    /// Named blobs, each key at most once.
    pub blobs: Vec<(String, Bytes)>,
    /// How many entries from the log's start are fully projected once this is written.
    pub covered_size: u64,
}

impl Store {
    /// Writes a projection, all of it or nothing. Does not wait for the disk; a crash of the machine may lose it, never
    /// half of it. The transaction ends with the gate.
    ///
    /// May run beside [`append`](Self::append); on SQLite the two take turns, appends first.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when `epoch` no longer holds the gate: nothing was kept. After any error the caller restarts.
    pub async fn project(&self, epoch: u64, projection: &Projection) -> Result<(), StoreError> {
        let covered = signed(projection.covered_size)?;
        // The same statements on either database; only the connection's type differs.
        macro_rules! rest {
            ($connection:expr) => {
                if let Some((applied_seq, data)) = &projection.global {
                    sqlx::query(UPSERT_GLOBAL)
                        .bind(signed(*applied_seq)?)
                        .bind(&data[..])
                        .execute(&mut *$connection)
                        .await?;
                }
                for (key, data) in &projection.blobs {
                    sqlx::query(UPSERT_BLOB)
                        .bind(key)
                        .bind(&data[..])
                        .execute(&mut *$connection)
                        .await?;
                }
                sqlx::query(UPSERT_COVERED)
                    .bind(covered)
                    .execute(&mut *$connection)
                    .await?;
            };
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Recoverable).await?;
                let connection = write.connection();
                member::upsert_sqlite(connection, &projection.members).await?;
                rest!(connection);
                gate::check_sqlite(connection, epoch, None).await?;
                write.commit().await
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_recoverable().await?;
                let connection = write.connection();
                member::upsert_postgres(connection, &projection.members).await?;
                rest!(connection);
                gate::check_postgres(connection, epoch, None).await?;
                write.commit().await
            }
        }
    }
}
