//! What an acknowledged write may not survive, as the database is set up.

use std::fmt;

use sqlx::Row;

use crate::error::StoreError;
use crate::store::{Backend, Store};

/// A way to lose what was acknowledged. [`Display`](fmt::Display) says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// PostgreSQL acknowledges a commit that no other machine has.
    NoSynchronousStandby,
    /// PostgreSQL acknowledges a commit that the disk does not have.
    NoFsync,
    /// PostgreSQL may not recover from a page that a power cut left half written.
    NoFullPageWrites,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSynchronousStandby => {
                "no synchronous standby: what is acknowledged is on one machine only, and lost with its disk; set \
                 PostgreSQL's synchronous_standby_names"
            }
            Self::NoFsync => {
                "fsync is off: a crash of the machine loses what was acknowledged, or the database; set PostgreSQL's \
                 fsync = on"
            }
            Self::NoFullPageWrites => {
                "full_page_writes is off: a crash of the machine may damage the database; set PostgreSQL's \
                 full_page_writes = on unless the file system never writes half a page"
            }
        })
    }
}

const SETTINGS: &str = "SELECT btrim(current_setting('synchronous_standby_names')) <> '', \
     current_setting('fsync')::boolean, current_setting('full_page_writes')::boolean";

impl Store {
    /// What an acknowledged write may not survive; empty when there is nothing to warn of. SQLite's commits wait for the disk
    /// always.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn weaknesses(&self) -> Result<Vec<Weakness>, StoreError> {
        let Backend::Postgres(db) = self.backend() else {
            return Ok(Vec::new());
        };
        let row = sqlx::query(SETTINGS).fetch_one(&db.readers).await?;
        let mut found = Vec::new();
        for (column, weakness) in [
            Weakness::NoSynchronousStandby,
            Weakness::NoFsync,
            Weakness::NoFullPageWrites,
        ]
        .into_iter()
        .enumerate()
        {
            if !row.try_get::<bool, _>(column)? {
                found.push(weakness);
            }
        }
        Ok(found)
    }
}
