//! The last signed checkpoint, kept outside the database: a hub whose log does not extend it refuses to start.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hansa_store::Store;

use crate::tlog::{
    self,
    anchor::{Anchor, AnchorError},
    note::{Checkpoint, LogVerifier},
};

/// The file is written at most this often.
const EVERY: Duration = Duration::from_secs(1);

/// Writes and checks the anchor file. Does nothing without one.
#[derive(Debug)]
pub struct Anchoring {
    inner: Option<Inner>,
}

#[derive(Debug)]
struct Inner {
    anchor: Arc<Mutex<Anchor>>,
    found: Option<Checkpoint>,
    origin: String,
    pending: Mutex<Pending>,
}

#[derive(Debug)]
struct Pending {
    newest: Option<(u64, String)>,
    written_at: Instant,
}

impl Anchoring {
    /// Anchors in a file.
    pub fn open(path: PathBuf, key: &LogVerifier, origin: &str) -> Result<Self, AnchorError> {
        let (anchor, found) = Anchor::open(path, key)?;
        let pending = Pending {
            newest: None,
            written_at: Instant::now(),
        };
        let inner = Inner {
            anchor: Arc::new(Mutex::new(anchor)),
            found,
            origin: origin.to_owned(),
            pending: Mutex::new(pending),
        };
        Ok(Self { inner: Some(inner) })
    }

    /// Whether a log of `size` entries extends the anchored checkpoint.
    pub async fn check(&self, store: &Store, size: u64) -> anyhow::Result<()> {
        let Some((inner, found)) = self
            .inner
            .as_ref()
            .and_then(|i| Some((i, i.found.clone()?)))
        else {
            return Ok(());
        };
        let comparison = tlog::anchor::check(found, &inner.origin, size)?;
        let rows = store.tree_hashes(&tlog::seqs(comparison.needed())).await?;
        let row_of = |seq: u64| {
            rows.iter()
                .find(|(s, _)| *s == seq)
                .map(|(_, hashes)| hashes.as_ref())
        };
        let hashes = tlog::pick(comparison.needed(), row_of)?;
        comparison.finish(hashes)?;
        Ok(())
    }

    /// Takes note of a checkpoint; the file follows within a second.
    pub fn note(&self, size: u64, checkpoint: String) {
        let Some(inner) = &self.inner else { return };
        if checkpoint.is_empty() {
            return;
        }
        let mut pending = inner.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.newest = Some((size, checkpoint));
        if pending.written_at.elapsed() >= EVERY {
            pending.written_at = Instant::now();
            if let Some(newest) = pending.newest.take() {
                let anchor = Arc::clone(&inner.anchor);
                tokio::task::spawn_blocking(move || write(&anchor, &newest));
            }
        }
    }

    /// Writes what is noted.
    pub async fn flush(&self) {
        let Some(inner) = &self.inner else { return };
        let newest = inner
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .newest
            .take();
        if let Some(newest) = newest {
            let anchor = Arc::clone(&inner.anchor);
            let _ = tokio::task::spawn_blocking(move || write(&anchor, &newest)).await;
        }
    }
}

fn write(anchor: &Mutex<Anchor>, (size, note): &(u64, String)) {
    if let Err(error) = anchor
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write(*size, note)
    {
        tracing::error!(%error, "the checkpoint could not be anchored outside the database");
    }
}
