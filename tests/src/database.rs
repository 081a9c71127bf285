//! A new, empty database for each test.

use std::path::Path;

use hansa_store::testing::{PostgresServer, shared_postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Where a hub keeps its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file in the hub's data directory, which is the hub's default.
    Sqlite,
    /// A file anywhere.
    SqliteFile {
        /// `sqlite:...`
        url: String,
    },
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
            Self::SqliteFile { url } | Self::Postgres { url, .. } => Some(url),
        }
    }

    /// A copy as it stands. No hub may run on it meanwhile. `data_dir`: where the hub has its file, if it has one.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub async fn copy(&self, data_dir: &Path) -> Self {
        match self {
            Self::Sqlite | Self::SqliteFile { .. } => {
                let copy = data_dir.join("copy.db");
                std::fs::copy(data_dir.join("hansa.db"), &copy).unwrap();
                Self::SqliteFile {
                    url: format!("sqlite:{}", copy.display()),
                }
            }
            Self::Postgres { name, .. } => {
                let server = server().await.expect("the server that made the original");
                let copy = format!("{name}_copy");
                let statement = format!("CREATE DATABASE {copy} TEMPLATE {name}");
                let mut connection = PgConnection::connect(&server.url()).await.unwrap();
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                Self::Postgres {
                    url: server.database_url(&copy),
                    name: copy,
                }
            }
        }
    }
}

/// The server that the tests of this process share; starting it blocks for a second or two.
pub async fn server() -> Option<&'static PostgresServer> {
    tokio::task::spawn_blocking(shared_postgres).await.unwrap()
}
