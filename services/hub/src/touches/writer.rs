//! Touches on their way to the disk: what queues while a commit runs is committed together by the next one.
//!
//! One task writes. Whoever waits is answered after the commit that has its touches, never before; a commit costs one wait
//! for the disk however many wait for it, so a click waits for two of them at most.

use hansa_store::{Store, StoreError, TouchRow};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::error::{HubError, Reason};

/// Jobs that may queue. Beyond it the disk is far too slow for what comes, and waiting does not help.
const QUEUE: usize = 8_192;

/// Touches of one commit at most.
const GROUP: usize = 2_000;

#[derive(Debug)]
struct Job {
    rows: Vec<TouchRow>,
    written: oneshot::Sender<Result<(), HubError>>,
}

/// Hands touches to the task that writes them.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Job>);

/// An answer that comes with the commit.
#[derive(Debug)]
pub(super) struct Pending(oneshot::Receiver<Result<(), HubError>>);

impl Writer {
    /// Starts the task. It ends when every writer is dropped.
    pub(super) fn start(store: Store) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(run(store, jobs));
        Self(queue)
    }

    /// Queues touches. Nothing is on disk yet.
    pub(super) fn queue(&self, rows: Vec<TouchRow>) -> Result<Pending, HubError> {
        let (written, answer) = oneshot::channel();
        match self.0.try_send(Job { rows, written }) {
            Ok(()) => Ok(Pending(answer)),
            Err(_) => Err(HubError::new(
                Reason::LimitExceeded,
                "too many touches wait for the disk; send them again",
            )),
        }
    }
}

impl Pending {
    /// Waits until the touches are on disk.
    pub(super) async fn written(self) -> Result<(), HubError> {
        self.0.await.unwrap_or_else(|_| Err(not_written()))
    }
}

fn not_written() -> HubError {
    HubError::new(
        Reason::StoreUnavailable,
        "the store did not answer; send the touches again",
    )
}

async fn run(store: Store, mut queue: mpsc::Receiver<Job>) {
    let mut tidying: Option<JoinHandle<Result<bool, StoreError>>> = None;
    let mut jobs: Vec<Job> = Vec::new();
    // As many jobs as have queued; each is a click, or one call's touches.
    while queue.recv_many(&mut jobs, GROUP).await > 0 {
        let mut rest = jobs.drain(..).peekable();
        while rest.peek().is_some() {
            let mut rows: Vec<TouchRow> = Vec::new();
            let mut waiting = Vec::new();
            while let Some(job) =
                rest.next_if(|job| rows.is_empty() || rows.len() + job.rows.len() <= GROUP)
            {
                rows.extend(job.rows);
                waiting.push(job.written);
            }
            // In the order of their ids: neighbours share a page.
            rows.sort_unstable_by_key(|row| row.id);
            let written = store.add_touches(&rows).await;
            if let Err(error) = &written {
                tracing::error!(%error, touches = rows.len(), "touches were not written");
            }
            for caller in waiting {
                // Whoever gave up waiting is not told.
                let _ = caller.send(match written {
                    Ok(()) => Ok(()),
                    Err(_) => Err(not_written()),
                });
            }
        }
        let idle = tidying.as_ref().is_none_or(JoinHandle::is_finished);
        if idle && store.needs_tidying() {
            let store = store.clone();
            tidying = Some(tokio::spawn(async move { store.tidy().await }));
        }
    }
}
