//! Where a bench's hub has its data.

use std::path::PathBuf;

use anyhow::Context as _;
use hansa_store::{Kind, Store, StoreOptions};

use crate::cli::exit;

/// A directory, removed when dropped unless it is to be kept.
pub(super) struct Directory {
    /// Where it is.
    pub(super) path: PathBuf,
    keep: bool,
}

impl Directory {
    /// The wanted one, kept afterwards; or a new one among the system's temporary files.
    pub(super) fn open(wanted: Option<PathBuf>) -> anyhow::Result<Self> {
        let keep = wanted.is_some();
        let path = wanted.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("hansa-bench-{}", std::process::id()))
        });
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Self { path, keep })
    }

    /// The wanted database, or a file in here.
    pub(super) fn database(&self, wanted: Option<&str>) -> String {
        wanted.map_or_else(
            || format!("sqlite:{}", self.path.join("hansa.db").display()),
            str::to_owned,
        )
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes the database, and refuses one that holds a log unless it is to be gone on with.
pub(super) async fn prepare_database(url: &str, reuse: bool) -> anyhow::Result<Kind> {
    let store = Store::open(url, &StoreOptions::default())
        .await
        .context("cannot open the database")?;
    let log = store.last_entry().await?;
    let kind = store.kind();
    store.close().await?;
    if log.is_some() && !reuse {
        return Err(exit::coded(
            exit::USAGE,
            "the database holds a log; name an empty one, or go on with it by --reuse where the bench has that",
        ));
    }
    Ok(kind)
}

/// The database's name in a report.
pub(super) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    }
}
