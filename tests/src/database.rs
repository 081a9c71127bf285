//! A new, empty database for each test.

use hansa_store::testing::{PostgresServer, shared_postgres};

/// Where a hub keeps its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file in the hub's data directory, which is the hub's default.
    Sqlite,
    /// A database of the server that the tests of this process share.
    Postgres {
        /// `postgres://...`
        url: String,
        /// Its name on the server.
        name: String,
    },
}

impl Database {
    /// SQLite.
    #[must_use]
    pub const fn sqlite() -> Self {
        Self::Sqlite
    }

    /// A new database on PostgreSQL. `None`, and a loud line, where there is no server on this machine.
    ///
    /// # Panics
    /// When the server does not start, or is required and missing.
    pub async fn postgres() -> Option<Self> {
        let server = server().await?;
        let name = server.create_database().await.unwrap();
        Some(Self::Postgres {
            url: server.database_url(&name),
            name,
        })
    }

    /// What `--database` gets; `None`: the hub's default.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres { url, .. } => Some(url),
        }
    }
}

/// The server that the tests of this process share; starting it blocks for a second or two.
pub async fn server() -> Option<&'static PostgresServer> {
    tokio::task::spawn_blocking(shared_postgres).await.unwrap()
}
