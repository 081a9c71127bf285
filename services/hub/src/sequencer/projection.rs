//! Writing behind the commit: packed members, a chunk at a time, and the global side once a sweep.

use bytes::Bytes;
use hansa_store::{MemberRow, Projection, Store, StoreError};

use super::{
    members::Packed,
    state::{Snapshot, State},
};

/// Members in one transaction.
pub const CHUNK: usize = 4_000;

/// A chunk on its way to the store.
#[derive(Debug)]
pub struct Chunk {
    projection: Projection,
    members: Vec<u64>,
    global_covered: Option<u64>,
}

/// Takes the next chunk of the running sweep, or of a new one. The last chunk carries the global side.
///
/// Call it only between groups: what it takes must be committed.
pub fn take(state: &mut State, size: usize) -> Chunk {
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
    pub async fn write(self, store: &Store, epoch: u64) -> Result<Written, StoreError> {
        store.project(epoch, &self.projection).await?;
        Ok(Written {
            members: self.members,
            global_covered: self.global_covered,
        })
    }
}

/// A chunk that is in the store.
#[derive(Debug)]
pub struct Written {
    members: Vec<u64>,
    global_covered: Option<u64>,
}

impl Written {
    /// Takes note of it.
    pub fn settle(self, state: &mut State) {
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
        data: Bytes::from(packed.data),
    }
}

fn snapshot(state: &State) -> Vec<u8> {
    let snapshot = Snapshot {
        global: state.global.snapshot(),
        registry: state.registry.clone(),
        last_decided_at: state.last_decided_at,
        next_member: state.next_member,
    };
    // Serialising plain data into a growing vector has no way to fail.
    postcard::to_allocvec(&snapshot).unwrap_or_default()
}
