//! What can go wrong in the store, as a closed enum. After any error of a write the caller restarts: it drops its state,
//! takes the gate and loads.

use std::path::PathBuf;

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or the outcome of a commit is unknown.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The gate belongs to another epoch; nothing of the transaction was kept.
    #[error("epoch {epoch} no longer holds the gate")]
    Fenced {
        /// The epoch of the caller.
        epoch: u64,
    },
    /// A key exists already; nothing of the transaction was kept.
    #[error("a key exists already")]
    DuplicateKey(#[source] sqlx::Error),
    /// Another process, or another handle of this one, has the SQLite database open.
    #[error("{} is locked: another process uses this database", lock.display())]
    InUse {
        /// The lock file.
        lock: PathBuf,
    },
    /// The database was written by a newer release.
    #[error("the database has schema {found}; this release knows schemas up to {known}")]
    SchemaNewer {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this release knows.
        known: u32,
    },
    /// The caller's input cannot be stored.
    #[error("invalid input: {0}")]
    Invalid(String),
    /// What the database holds contradicts the schema.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// The operating system refused a file.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The database refused a statement for any other reason.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Fenced { .. } => "FENCED",
            Self::DuplicateKey(_) => "DUPLICATE_KEY",
            Self::InUse { .. } => "IN_USE",
            Self::SchemaNewer { .. } => "SCHEMA_NEWER",
            Self::Invalid(_) => "INVALID",
            Self::Corrupt(_) => "CORRUPT",
            Self::File { .. } => "FILE",
            Self::Database(_) => "DATABASE",
        }
    }

    /// Whether the same call may succeed later without anybody's intervention.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Fenced { .. }
            | Self::DuplicateKey(_)
            | Self::InUse { .. }
            | Self::SchemaNewer { .. }
            | Self::Invalid(_)
            | Self::Corrupt(_)
            | Self::File { .. }
            | Self::Database(_) => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(database) => match class_of(database.as_ref()) {
                Class::Duplicate => Self::DuplicateKey(error),
                Class::Unavailable => Self::Unavailable(error),
                Class::Corrupt => Self::Corrupt(error.to_string()),
                Class::Other => Self::Database(error),
            },
            E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Unavailable(error),
            E::ColumnDecode { .. } | E::Decode(_) | E::RowNotFound => {
                Self::Corrupt(error.to_string())
            }
            E::Configuration(_) => Self::Invalid(error.to_string()),
            // sqlx's enum is open.
            _ => Self::Database(error),
        }
    }
}

enum Class {
    Duplicate,
    Unavailable,
    Corrupt,
    Other,
}

/// Classifies by SQLSTATE or by SQLite's extended result code, never by the message's text.
fn class_of(error: &dyn sqlx::error::DatabaseError) -> Class {
    let Some(code) = error.code() else {
        return Class::Other;
    };
    if error
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        return match code.parse::<u32>() {
            // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE, _ROWID
            Ok(1555 | 2067 | 2579) => Class::Duplicate,
            Ok(extended) => match extended & 0xff {
                // BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN
                5 | 6 | 7 | 10 | 13 | 14 => Class::Unavailable,
                // CORRUPT, NOTADB
                11 | 26 => Class::Corrupt,
                _ => Class::Other,
            },
            Err(_) => Class::Other,
        };
    }
    match code.as_ref() {
        "23505" => Class::Duplicate,
        // Serialisation, deadlock, lock not available, read-only (a standby), data or index corrupted.
        "40001" | "40P01" | "55P03" | "25006" => Class::Unavailable,
        "XX001" | "XX002" => Class::Corrupt,
        // Connection exceptions, insufficient resources, operator intervention, system errors.
        c if ["08", "53", "57", "58"]
            .iter()
            .any(|class| c.starts_with(class)) =>
        {
            Class::Unavailable
        }
        _ => Class::Other,
    }
}

/// A number for a signed 64-bit column.
pub(crate) fn signed(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value)
        .map_err(|_| StoreError::Invalid(format!("{value} does not fit a 64-bit column")))
}

/// A number for a signed 32-bit column.
pub(crate) fn signed32(value: u32) -> Result<i32, StoreError> {
    i32::try_from(value)
        .map_err(|_| StoreError::Invalid(format!("{value} does not fit a 32-bit column")))
}

/// A number out of a signed column, which never holds a negative one.
pub(crate) fn unsigned<T>(value: i64) -> Result<T, StoreError>
where
    T: TryFrom<i64>,
{
    T::try_from(value)
        .map_err(|_| StoreError::Corrupt(format!("{value} in a column of unsigned numbers")))
}

/// A fixed number of bytes out of a column.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(bytes)
        .map_err(|_| StoreError::Corrupt(format!("{} bytes in a column of {N}", bytes.len())))
}
