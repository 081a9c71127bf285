//! The handle: which database, opened how.

use std::path::Path;
use std::sync::Arc;

use crate::error::StoreError;
use crate::options::StoreOptions;
use crate::postgres::Postgres;
use crate::schema;
use crate::sqlite::Sqlite;

/// A database of the service. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
}

pub(crate) enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Which database a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Store {
    /// Opens a database and creates or advances its schema.
    ///
    /// `sqlite:PATH` and `sqlite://PATH` name a file, created when missing; its directory must exist.
    /// `postgres://..` and `postgresql://..` are libpq's URLs; `?host=/directory` is a Unix socket, which is faster.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another handle has the SQLite file open, [`StoreError::SchemaNewer`] when a newer release
    /// wrote it, [`StoreError::Invalid`] for an unknown URL.
    pub async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let backend = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') || path.contains('?') {
                return Err(StoreError::Invalid(format!("{url:?} names no file")));
            }
            let sqlite = Sqlite::open(Path::new(path), options).await?;
            schema::prepare_sqlite(&sqlite).await?;
            Backend::Sqlite(sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let postgres = Postgres::open(url, options).await?;
            schema::prepare_postgres(&postgres).await?;
            Backend::Postgres(postgres)
        } else {
            return Err(StoreError::Invalid(
                "a database URL starts with sqlite: or postgres://".into(),
            ));
        };
        Ok(Self {
            backend: Arc::new(backend),
        })
    }

    /// Which database this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.backend() {
            Backend::Sqlite(_) => Kind::Sqlite,
            Backend::Postgres(_) => Kind::Postgres,
        }
    }

    /// Whether [`tidy`](Self::tidy) has something to do. Costs a look at a file's size on SQLite, nothing on PostgreSQL.
    #[must_use]
    pub fn needs_tidying(&self) -> bool {
        match self.backend() {
            Backend::Sqlite(db) => db.needs_tidying(),
            Backend::Postgres(_) => false,
        }
    }

    /// Upkeep beside everything else: past its bound, begins SQLite's write-ahead log anew. True when it did; on PostgreSQL
    /// there is nothing to do. Writers wait only for the last part of it.
    ///
    /// # Errors
    /// Those of the database; the store stays usable.
    pub async fn tidy(&self) -> Result<bool, StoreError> {
        match self.backend() {
            Backend::Sqlite(db) => db.tidy().await,
            Backend::Postgres(_) => Ok(false),
        }
    }

    /// Closes all connections. Other clones of this handle fail afterwards.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Sqlite(db) => db.close().await,
            Backend::Postgres(db) => db.close().await,
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("kind", &self.kind()).finish()
    }
}
