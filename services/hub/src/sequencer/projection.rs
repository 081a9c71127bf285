//! Writing behind the commit: packed members, a chunk at a time, and the global side once a sweep; and the store's upkeep.
//!
//! A sweep costs a pass over every page that has a changed member, however few of its members changed: where traffic is
//! spread evenly, that is all of them. So a sweep waits until most of what memory holds has changed, or for its time.

use std::time::{Duration, Instant as Monotonic};

use bytes::Bytes;
use hansa_store::{MemberRow, Projection, Store, StoreError};
use tokio::task::{JoinError, JoinHandle};

use super::{
    members::Packed,
    recovery::LoadError,
    state::{Snapshot, State},
};

/// Members in one transaction.
const CHUNK: usize = 4_000;

/// A sweep begins at the latest this long after the one before, or twice as long where many members changed: bounds what a
/// restart replays.
pub const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// So many changed members are worth a longer wait; fewer are written soon, and a restart is short.
const MANY_DIRTY: usize = 50_000;

/// Writes beside the commits.
#[derive(Debug)]
pub struct Projector {
    store: Store,
    epoch: u64,
    /// The chunk under way.
    writing: Option<JoinHandle<Result<Written, StoreError>>>,
    /// A chunk that is written and not taken note of.
    finished: Option<Finished>,
    last_sweep: Monotonic,
    tidying: Option<JoinHandle<Result<bool, StoreError>>>,
}

type Finished = Result<Result<Written, StoreError>, JoinError>;

impl Projector {
    /// Writes to `store` under `epoch`.
    pub fn new(store: Store, epoch: u64) -> Self {
        Self {
            store,
            epoch,
            writing: None,
            finished: None,
            last_sweep: Monotonic::now(),
            tidying: None,
        }
    }

    /// Takes note of what is written, and begins what is next. With `idle`, the projection is to catch up. Call it only
    /// between groups.
    pub async fn step(&mut self, state: &mut State, idle: bool) -> Result<(), LoadError> {
        self.tidy().await?;
        if self.writing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.written().await;
        }
        self.settle(state)?;
        if self.writing.is_some() {
            return Ok(());
        }
        let behind = state.covered() < state.next_seq;
        let many = state.members.dirty() >= state.members.capacity() / 4 * 3;
        let every = if state.members.dirty() < MANY_DIRTY {
            SWEEP_EVERY
        } else {
            2 * SWEEP_EVERY
        };
        let late = self.last_sweep.elapsed() >= every;
        if state.members.sweeping() || (behind && (idle || many || late)) {
            if !state.members.sweeping() {
                self.last_sweep = Monotonic::now();
            }
            let chunk = take(state, CHUNK);
            let (store, epoch) = (self.store.clone(), self.epoch);
            self.writing = Some(tokio::spawn(
                async move { chunk.write(&store, epoch).await },
            ));
        }
        Ok(())
    }

    /// Waits until the chunk under way is written; for ever when there is none. May be given up at any time.
    pub async fn written(&mut self) {
        match &mut self.writing {
            Some(writing) => {
                self.finished = Some(writing.await);
                self.writing = None;
            }
            None => std::future::pending().await,
        }
    }

    /// The bound on dirty members: the projection catches up before the next group.
    pub async fn bound_dirty(&mut self, state: &mut State) -> Result<(), LoadError> {
        if state.members.dirty() >= state.members.capacity() {
            self.write_all(state).await?;
        }
        Ok(())
    }

    /// Writes everything that is dirty.
    pub async fn write_all(&mut self, state: &mut State) -> Result<(), LoadError> {
        // First the chunk that is under way: what is written behind it claims to cover it.
        if self.writing.is_some() {
            self.written().await;
        }
        self.settle(state)?;
        write_all(&self.store, state, self.epoch).await?;
        Ok(())
    }

    /// Waits for what is under way, whatever becomes of it.
    pub async fn end(mut self) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
        if let Some(tidying) = self.tidying.take() {
            let _ = tidying.await;
        }
    }

    fn settle(&mut self, state: &mut State) -> Result<(), LoadError> {
        if let Some(finished) = self.finished.take() {
            finished.map_err(failed)??.settle(state);
        }
        Ok(())
    }

    /// Keeps the store tidy, beside everything else: under steady load no moment of idleness comes.
    async fn tidy(&mut self) -> Result<(), LoadError> {
        match &mut self.tidying {
            Some(tidying) if tidying.is_finished() => {
                let tidied = tidying.await;
                self.tidying = None;
                tidied.map_err(failed)??;
            }
            Some(_) => {}
            None if self.store.needs_tidying() => {
                let store = self.store.clone();
                self.tidying = Some(tokio::spawn(async move { store.tidy().await }));
            }
            None => {}
        }
        Ok(())
    }
}

fn failed(error: JoinError) -> LoadError {
    LoadError::Corrupt(format!("a task of the projection failed: {error}"))
}

/// A chunk on its way to the store.
#[derive(Debug)]
struct Chunk {
    projection: Projection,
    members: Vec<u64>,
    global_covered: Option<u64>,
}

/// Takes the next chunk of the running sweep, or of a new one. The last chunk carries the global side.
///
/// Call it only between groups: what it takes must be committed.
fn take(state: &mut State, size: usize) -> Chunk {
    if !state.members.sweeping() {
        state.members.begin_sweep(state.next_seq);
    }
    let packed = state.members.next_chunk(size);
    let last = state.members.sweep_is_drained();
    // While a log is loaded, the global side is ahead of the entry that members are at.
    let at = state.next_seq.max(state.global_covered);
    let global = last.then(|| (at, Bytes::from(snapshot(state))));
    let global_covered = global.as_ref().map(|(covered, _)| *covered);
    let covered_size = state
        .members
        .covered_after_chunk()
        .min(global_covered.unwrap_or(state.global_covered));
    let members = packed.iter().map(|p| p.member).collect();
    let projection = Projection {
        members: packed.into_iter().map(row).collect(),
        global,
        blobs: Vec::new(),
        covered_size,
    };
    Chunk {
        projection,
        members,
        global_covered,
    }
}

impl Chunk {
    /// Writes it.
    async fn write(self, store: &Store, epoch: u64) -> Result<Written, StoreError> {
        store.project(epoch, &self.projection).await?;
        Ok(Written {
            members: self.members,
            global_covered: self.global_covered,
        })
    }
}

/// A chunk that is in the store.
#[derive(Debug)]
struct Written {
    members: Vec<u64>,
    global_covered: Option<u64>,
}

impl Written {
    /// Takes note of it.
    fn settle(self, state: &mut State) {
        state.members.written(self.members);
        if let Some(covered) = self.global_covered {
            state.global_covered = covered;
        }
    }
}

/// Writes everything that is dirty.
pub async fn write_all(store: &Store, state: &mut State, epoch: u64) -> Result<(), StoreError> {
    while state.covered() < state.next_seq {
        take(state, CHUNK).write(store, epoch).await?.settle(state);
    }
    Ok(())
}

fn row(packed: Packed) -> MemberRow {
    MemberRow {
        member: packed.member,
        applied_seq: packed.applied_seq,
        next_due: packed.next_due,
        next_hold: None,
        data: Bytes::from(packed.data.into_bytes()),
    }
}

fn snapshot(state: &State) -> Vec<u8> {
    let snapshot = Snapshot {
        global: state.global.snapshot(),
        registry: state.registry.clone(),
        last_decided_at: state.last_decided_at,
        next_member: state.next_member,
        decided: state.decided,
    };
    // Serialising plain data into a growing vector has no way to fail.
    postcard::to_allocvec(&snapshot).unwrap_or_default()
}
