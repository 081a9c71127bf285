//! Loading: the projection, then the recorded effects behind it. Decides nothing.

use std::collections::{BTreeSet, VecDeque};

use hansa_proto::v1;
use hansa_settlement::{Global, Pos, apply_global, decode_effect_stream};
use hansa_store::{EntryRow, Store, StoreError};
use prost::Message as _;

use super::{
    driver::Options,
    group::kind,
    ids::Ids,
    members::Members,
    prefetch, projection,
    references::References,
    state::{ReplayCache, Snapshot, State},
};
use crate::{
    error::HubError,
    facts,
    registry::Registry,
    tlog::{self, Frontier},
};

/// Entries read at once.
const PAGE_BYTES: usize = 16 << 20;

/// Why a log cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored contradicts itself.
    #[error("the log cannot be loaded: {0}")]
    Corrupt(String),
}

fn corrupt(error: impl std::fmt::Display) -> LoadError {
    LoadError::Corrupt(error.to_string())
}

impl From<HubError> for LoadError {
    fn from(error: HubError) -> Self {
        corrupt(error)
    }
}

/// Loads the state of the log under `epoch`.
pub async fn load(store: &Store, options: &Options, epoch: u64) -> Result<State, LoadError> {
    let (global_covered, snapshot) = match store.global().await? {
        Some((covered, bytes)) => (
            covered,
            Some(
                postcard::from_bytes::<Snapshot>(&bytes)
                    .map_err(|_| corrupt("the snapshot does not decode"))?,
            ),
        ),
        None => (0, None),
    };
    let covered = store.covered_size().await?.min(global_covered);
    let size = store.last_entry().await?.map_or(0, |head| head.seq + 1);
    let (global, registry, last_decided_at, next_member, decided) = match snapshot {
        Some(s) => (
            Global::restore(&s.global).map_err(corrupt)?,
            s.registry,
            s.last_decided_at,
            s.next_member,
            s.decided,
        ),
        None => (facts::blank(), Registry::default(), i64::MIN, 1, 0),
    };
    let mut state = State {
        global,
        registry,
        registry_changed: true,
        members: Members::new(options.memory_members),
        ids: Ids::new(options.ids_per_merchant),
        references: References::new(options.memory_members),
        frontier: frontier(store, size).await?,
        next_seq: covered,
        last_decided_at,
        next_member,
        global_covered,
        overdue: VecDeque::new(),
        overdue_until: i64::MIN,
        next_collect: None,
        collect_in_vain_until: None,
        messages: 0,
        decided,
        epoch,
        replays: ReplayCache::default(),
    };
    state.members.set_covered(covered);
    while state.next_seq < size {
        let page = store.entries(state.next_seq, 1_000, PAGE_BYTES).await?;
        if page.is_empty() {
            return Err(corrupt(format!("entry {} is missing", state.next_seq)));
        }
        for row in &page {
            if row.seq != state.next_seq {
                return Err(corrupt(format!("entry {} is missing", state.next_seq)));
            }
            replay(store, &mut state, row).await?;
            state.next_seq += 1;
        }
        if state.members.dirty() >= state.members.capacity() {
            projection::write_all(store, &mut state, epoch).await?;
        }
        state.members.evict();
    }
    tracing::info!(
        entries = size,
        replayed = size - covered,
        members = state.members.len(),
        "log loaded"
    );
    Ok(state)
}

/// The right edge of the tree.
pub async fn frontier(store: &Store, size: u64) -> Result<Frontier, LoadError> {
    let needed = Frontier::needed(size).map_err(corrupt)?;
    let rows = store.tree_hashes(&tlog::seqs(&needed)).await?;
    let row_of = |seq: u64| {
        rows.iter()
            .find(|(s, _)| *s == seq)
            .map(|(_, hashes)| hashes.as_ref())
    };
    let hashes = tlog::pick(&needed, row_of).map_err(corrupt)?;
    Frontier::restore(size, hashes).map_err(corrupt)
}

async fn replay(store: &Store, state: &mut State, row: &EntryRow) -> Result<(), LoadError> {
    let global_too = row.seq >= state.global_covered;
    if global_too && row.kind == kind::FACTS {
        let envelope = v1::Envelope::decode(row.envelope.clone()).map_err(corrupt)?;
        let written = v1::Facts::decode(envelope.payload).map_err(corrupt)?;
        let place = facts::Place {
            seq: row.seq,
            decided_at: row.decided_at,
            actor: &written.actor,
        };
        for fact in &written.facts {
            facts::apply(&mut state.global, &mut state.registry, fact, &place)?;
            if let Some(v1::fact::Fact::MembersEnrolled(enrolled)) = &fact.fact {
                let highest = enrolled
                    .enrolments
                    .iter()
                    .map(|e| e.member_number + 1)
                    .max();
                state.next_member = state.next_member.max(highest.unwrap_or(0));
            }
        }
    }
    let records = decode_effect_stream(&row.effects).map_err(corrupt)?;
    if global_too && row.kind == kind::BATCH {
        // A message that was decided before has no record in this entry.
        state.decided += records.len() as u64;
    }
    let mut missing: Vec<u64> = records
        .iter()
        .map(|r| r.member.0)
        .filter(|m| *m != 0 && !state.members.contains(*m))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    for loaded in prefetch::load(store, &missing).await? {
        state.members.admit(loaded);
    }
    // Several messages of one entry may touch a member: it is behind for all of them or for none.
    let touched: BTreeSet<u64> = records
        .iter()
        .map(|r| r.member.0)
        .filter(|m| *m != 0)
        .collect();
    let mut is_behind = |member: &u64| {
        state
            .members
            .get(*member)
            .is_none_or(|(_, applied)| applied < row.seq)
    };
    let behind: BTreeSet<u64> = touched
        .into_iter()
        .filter(|member| is_behind(member))
        .collect();
    let mut scratch = Vec::new();
    for record in &records {
        let pos = Pos::new(row.seq, record.index);
        if global_too {
            for effect in &record.effects {
                apply_global(&mut state.global, effect, pos);
            }
        }
        let number = record.member.0;
        if record.effects.is_empty() || !behind.contains(&number) {
            continue;
        }
        state.apply(number, &record.effects, pos, &mut scratch)?;
    }
    state.last_decided_at = state.last_decided_at.max(row.decided_at);
    Ok(())
}
