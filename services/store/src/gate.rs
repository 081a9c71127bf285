//! The gate: the one row that says who may append, and to which epoch.

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, signed, unsigned};
use crate::sqlite::Durability;
use crate::store::{Backend, Store};

/// Who holds the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Grows with every take-over.
    pub epoch: u64,
    /// The holder's name.
    pub owner: String,
    /// Where the holder takes forwarded calls.
    pub address: String,
    /// Grows with every heartbeat; a watcher compares it, and times it by its own clock.
    pub beat: u64,
}

const READ: &str = "SELECT epoch, owner, address, beat FROM ledger_gate WHERE only_row = 1";
const TAKE_FIRST: &str = "INSERT INTO ledger_gate (only_row, epoch, owner, address, beat) \
     VALUES (1, 1, $1, $2, 0) ON CONFLICT (only_row) DO NOTHING RETURNING epoch";
const TAKE_ANY: &str = "UPDATE ledger_gate SET epoch = epoch + 1, owner = $1, address = $2, beat = 0 \
     WHERE only_row = 1 RETURNING epoch";
const TAKE_EXPECTED: &str = "UPDATE ledger_gate SET epoch = epoch + 1, owner = $1, address = $2, beat = 0 \
     WHERE only_row = 1 AND epoch = $3 RETURNING epoch";
const BEAT: &str =
    "UPDATE ledger_gate SET beat = beat + 1, address = $2 WHERE only_row = 1 AND epoch = $1";
/// Also tells whether an entry is there: the one that the group must follow.
const CHECK_SQLITE: &str = "SELECT EXISTS (SELECT 1 FROM entry WHERE seq = $2) \
     FROM ledger_gate WHERE only_row = 1 AND epoch = $1";
const CHECK_POSTGRES: &str = "SELECT EXISTS (SELECT 1 FROM entry WHERE seq = $2) \
     FROM ledger_gate WHERE only_row = 1 AND epoch = $1 FOR SHARE";

impl Store {
    /// Takes the gate under the next epoch and returns it; what the previous holder has not committed will be refused.
    /// With `expected_epoch` (0: nobody yet) only if the gate is still at it.
    ///
    /// On PostgreSQL this waits for a commit of the previous holder that already stands at the gate; see
    /// [`terminate_backends_of`](Self::terminate_backends_of).
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when somebody else was faster.
    pub async fn take_gate(
        &self,
        owner: &str,
        address: &str,
        expected_epoch: Option<u64>,
    ) -> Result<u64, StoreError> {
        let expected = expected_epoch.map(signed).transpose()?;
        // The same three statements on either database; only the connection's type differs.
        macro_rules! take {
            ($connection:expr) => {{
                let mut row = None;
                if matches!(expected, None | Some(0)) {
                    row = sqlx::query(TAKE_FIRST)
                        .bind(owner)
                        .bind(address)
                        .fetch_optional(&mut *$connection)
                        .await?;
                }
                if row.is_none() {
                    let update = match expected {
                        None => sqlx::query(TAKE_ANY).bind(owner).bind(address),
                        Some(epoch) => sqlx::query(TAKE_EXPECTED)
                            .bind(owner)
                            .bind(address)
                            .bind(epoch),
                    };
                    row = update.fetch_optional(&mut *$connection).await?;
                }
                match row {
                    Some(row) => unsigned::<u64>(row.try_get(0)?)?,
                    None => {
                        return Err(StoreError::Fenced {
                            epoch: expected_epoch.unwrap_or(0),
                        });
                    }
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                let epoch = take!(write.connection());
                write.commit().await?;
                Ok(epoch)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                let epoch = take!(write.connection());
                write.commit().await?;
                Ok(epoch)
            }
        }
    }

    /// Shows that the holder of this epoch lives, and where. False: the gate is somebody else's now.
    ///
    /// # Errors
    /// Those of the database; the gate may or may not be held.
    pub async fn heartbeat(&self, epoch: u64, address: &str) -> Result<bool, StoreError> {
        let epoch = signed(epoch)?;
        let rows = match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Recoverable).await?;
                let done = sqlx::query(BEAT)
                    .bind(epoch)
                    .bind(address)
                    .execute(write.connection())
                    .await?;
                write.commit().await?;
                done.rows_affected()
            }
            Backend::Postgres(db) => sqlx::query(BEAT)
                .bind(epoch)
                .bind(address)
                .execute(&db.readers)
                .await?
                .rows_affected(),
        };
        Ok(rows == 1)
    }

    /// Who holds the gate, if anybody ever did.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn read_gate(&self) -> Result<Option<Gate>, StoreError> {
        macro_rules! gate {
            ($readers:expr) => {
                match sqlx::query(READ).fetch_optional($readers).await? {
                    Some(row) => Some(Gate {
                        epoch: unsigned(row.try_get(0)?)?,
                        owner: row.try_get(1)?,
                        address: row.try_get(2)?,
                        beat: unsigned(row.try_get(3)?)?,
                    }),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => gate!(&db.readers),
            Backend::Postgres(db) => gate!(&db.readers),
        })
    }

    /// Whether this epoch still holds the gate.
    ///
    /// # Errors
    /// Those of the database; the gate may or may not be held.
    pub async fn confirm_gate(&self, epoch: u64) -> Result<bool, StoreError> {
        Ok(self
            .read_gate()
            .await?
            .is_some_and(|gate| gate.epoch == epoch))
    }

    /// Terminates the backends of a previous holder by its application name, and returns how many: a holder that was
    /// stopped inside a transaction keeps its locks whatever the time-outs. A holder of this handle's own name is an earlier
    /// life of it: only its backends that are older than this handle end. On SQLite, where a lock file keeps a second
    /// process away, nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn terminate_backends_of(&self, application_name: &str) -> Result<u64, StoreError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(0),
            Backend::Postgres(db) => {
                let own = application_name == db.application_name;
                let rows = sqlx::query(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                     WHERE application_name = $1 AND datname = current_database() \
                     AND pid <> pg_backend_pid() \
                     AND (NOT $2 OR (extract(epoch FROM backend_start) * 1000000)::bigint < $3)",
                )
                .bind(application_name)
                .bind(own)
                .bind(db.opened_at)
                .fetch_all(&db.readers)
                .await?;
                Ok(rows.len() as u64)
            }
        }
    }
}

/// The end of every transaction of the holder: without the row, nothing of it counts. Behind an entry that does not exist,
/// nothing may follow.
pub(crate) async fn check_sqlite(
    connection: &mut SqliteConnection,
    epoch: u64,
    behind: Option<u64>,
) -> Result<(), StoreError> {
    let row = sqlx::query(CHECK_SQLITE)
        .bind(signed(epoch)?)
        .bind(behind.map(signed).transpose()?)
        .fetch_optional(connection)
        .await?
        .ok_or(StoreError::Fenced { epoch })?;
    follows(behind, row.try_get(0)?)
}

/// As [`check_sqlite`]; a successor waits at the row until the commit is through, or finds it done.
pub(crate) async fn check_postgres(
    connection: &mut PgConnection,
    epoch: u64,
    behind: Option<u64>,
) -> Result<(), StoreError> {
    let row = sqlx::query(CHECK_POSTGRES)
        .bind(signed(epoch)?)
        .bind(behind.map(signed).transpose()?)
        .fetch_optional(connection)
        .await?
        .ok_or(StoreError::Fenced { epoch })?;
    follows(behind, row.try_get(0)?)
}

fn follows(behind: Option<u64>, exists: bool) -> Result<(), StoreError> {
    match behind {
        Some(seq) if !exists => Err(StoreError::Invalid(format!(
            "the log has no entry {seq} to follow"
        ))),
        Some(_) | None => Ok(()),
    }
}
