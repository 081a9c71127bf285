//! Signed checkpoints of the tree.

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, signed, unsigned};
use crate::store::{Backend, Store};

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// How many leaves it covers.
    pub tree_size: u64,
    /// The signed note.
    pub note: String,
}

const INSERT: &str = "INSERT INTO checkpoint (tree_size, note) VALUES ($1, $2)";
const ONE: &str = "SELECT tree_size, note FROM checkpoint WHERE tree_size = $1";
const COVERING: &str =
    "SELECT tree_size, note FROM checkpoint WHERE tree_size >= $1 ORDER BY tree_size LIMIT 1";
const RANGE: &str =
    "SELECT tree_size, note FROM checkpoint WHERE tree_size >= $1 ORDER BY tree_size LIMIT $2";
const NEWEST: &str = "SELECT tree_size, note FROM checkpoint ORDER BY tree_size DESC LIMIT 1";

macro_rules! checkpoint_of {
    ($query:expr, $readers:expr) => {
        match $query.fetch_optional($readers).await? {
            Some(row) => Ok(Some(CheckpointRow {
                tree_size: unsigned(row.try_get(0)?)?,
                note: row.try_get(1)?,
            })),
            None => Ok(None),
        }
    };
}

impl Store {
    /// The checkpoint of exactly this many leaves.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checkpoint(&self, tree_size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        let size = signed(tree_size)?;
        match self.backend() {
            Backend::Sqlite(db) => checkpoint_of!(sqlx::query(ONE).bind(size), &db.readers),
            Backend::Postgres(db) => checkpoint_of!(sqlx::query(ONE).bind(size), &db.readers),
        }
    }

    /// The smallest checkpoint of at least this many leaves: the one that first covered leaf `tree_size - 1`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checkpoint_covering(
        &self,
        tree_size: u64,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        let size = signed(tree_size)?;
        match self.backend() {
            Backend::Sqlite(db) => checkpoint_of!(sqlx::query(COVERING).bind(size), &db.readers),
            Backend::Postgres(db) => checkpoint_of!(sqlx::query(COVERING).bind(size), &db.readers),
        }
    }

    /// The checkpoints of at least this many leaves, at most `max_rows`, smallest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn checkpoints(
        &self,
        from_tree_size: u64,
        max_rows: u32,
    ) -> Result<Vec<CheckpointRow>, StoreError> {
        let from = signed(from_tree_size)?;
        let mut checkpoints = Vec::new();
        macro_rules! range {
            ($readers:expr) => {
                let query = sqlx::query(RANGE).bind(from).bind(i64::from(max_rows));
                for row in query.fetch_all($readers).await? {
                    checkpoints.push(CheckpointRow {
                        tree_size: unsigned(row.try_get(0)?)?,
                        note: row.try_get(1)?,
                    });
                }
            };
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                range!(&db.readers);
            }
            Backend::Postgres(db) => {
                range!(&db.readers);
            }
        }
        Ok(checkpoints)
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn newest_checkpoint(&self) -> Result<Option<CheckpointRow>, StoreError> {
        match self.backend() {
            Backend::Sqlite(db) => checkpoint_of!(sqlx::query(NEWEST), &db.readers),
            Backend::Postgres(db) => checkpoint_of!(sqlx::query(NEWEST), &db.readers),
        }
    }
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    checkpoint: &CheckpointRow,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(signed(checkpoint.tree_size)?)
        .bind(&checkpoint.note)
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    checkpoint: &CheckpointRow,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(signed(checkpoint.tree_size)?)
        .bind(&checkpoint.note)
        .execute(connection)
        .await?;
    Ok(())
}
