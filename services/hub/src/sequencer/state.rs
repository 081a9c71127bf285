//! Everything the sequencer knows, in memory. Dropped whole and loaded again after any failed commit.

use std::{collections::VecDeque, sync::Arc, time::Instant as Monotonic};

use bytes::Bytes;
use hansa_proto::v1;
use hansa_settlement::{
    Context, Corrupt, Decision, Effect, Global, Instant, Member, Message, PackedMember, Pos,
    apply_packed, decide_packed,
};
use serde::{Deserialize, Serialize};

use super::{View, ids::Ids, members::Members, references::References};
use crate::{clock::Clock, error::HubError, registry::Registry, tlog::Frontier};

/// State of the log's owner.
#[derive(Debug)]
pub struct State {
    /// The ledger's global side.
    pub global: Global,
    /// Keys and terms.
    pub registry: Registry,
    /// The registry changed since it was published.
    pub registry_changed: bool,
    /// Packed members.
    pub members: Members,
    /// Used message ids.
    pub ids: Ids,
    /// Merchants' references.
    pub references: References,
    /// Right edge of the tree over all committed entries.
    pub frontier: Frontier,
    /// The entry that is decided next.
    pub next_seq: u64,
    /// The highest `decided_at` so far, microseconds.
    pub last_decided_at: i64,
    /// The number that the next new member gets.
    pub next_member: u64,
    /// Number of leading entries that the stored global snapshot has.
    pub global_covered: u64,
    /// Members with due work that are not swept yet.
    pub overdue: VecDeque<u64>,
    /// Up to which instant `overdue` was collected.
    pub overdue_until: i64,
    /// Not before this is it looked again who has due work, unless there is a hurry.
    pub next_collect: Option<Monotonic>,
    /// Not before this at all: nobody had what the calendar says.
    pub collect_in_vain_until: Option<Monotonic>,
    /// Messages decided since the start.
    pub messages: u64,
    /// Messages of the whole log, each counted once, by what was appended and not by what it came to: what the cycles'
    /// counts are held against.
    pub decided: u64,
    /// The gate's epoch.
    pub epoch: u64,
    /// Replays' first outcomes, by entry.
    pub replays: ReplayCache,
}

/// The global side as the projection stores it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The ledger's.
    pub global: Vec<u8>,
    /// Keys and terms.
    pub registry: Registry,
    /// Highest `decided_at` in it.
    pub last_decided_at: i64,
    /// Next new member's number.
    pub next_member: u64,
    /// Messages of the log so far, each counted once.
    pub decided: u64,
}

/// Messages of the log that no cycle counts, or that more than one does; must be 0. `decided`: messages of the log, each
/// counted once.
pub fn unassigned(global: &Global, decided: u64) -> u64 {
    decided.abs_diff(global.counts().messages())
}

impl State {
    /// What reports see.
    pub fn view<'a>(&'a self, clock: &Clock, duplicate_key_restarts: u64) -> View<'a> {
        View {
            global: &self.global,
            registry: &self.registry,
            size: self.next_seq,
            covered: self.covered(),
            now: self.now(clock),
            messages: self.messages,
            decided: self.decided,
            members_in_memory: self.members.len(),
            duplicate_key_restarts,
            epoch: self.epoch,
        }
    }

    /// The hub's clock, never behind the log.
    pub fn now(&self, clock: &Clock) -> i64 {
        clock.now_micros().max(self.last_decided_at)
    }

    /// Number of leading entries whose every effect is in the projection.
    pub fn covered(&self) -> u64 {
        self.members.covered(self.next_seq).min(self.global_covered)
    }

    /// A member. It must have been looked up: one that is not in memory is a fault, never a new member.
    pub fn member(&mut self, member: u64) -> Result<Member, HubError> {
        let (packed, _) = self
            .members
            .get(member)
            .ok_or_else(|| not_looked_up(member))?;
        packed.decode().map_err(|error| broken(member, error))
    }

    /// Puts a member back after entry `seq`. `scratch` is overwritten.
    pub fn put(
        &mut self,
        number: u64,
        seq: u64,
        member: &Member,
        scratch: &mut Vec<u8>,
    ) -> Result<(), HubError> {
        self.members
            .change(number, seq, |packed| {
                packed.replace(member, scratch);
                Ok(((), member.next_due().map(|Instant(at)| at)))
            })
            .ok_or_else(|| not_looked_up(number))?
            .map_err(|error: Corrupt| broken(number, error))
    }

    /// Decides a message of a member and keeps what becomes of it. `scratch` is overwritten.
    pub fn decide(
        &mut self,
        member: u64,
        context: &Context,
        message: &Message,
        scratch: &mut Vec<u8>,
    ) -> Result<Decision, HubError> {
        let global = &self.global;
        self.members
            .change(member, context.pos.seq(), |packed| {
                let decision = decide_packed(global, packed, context, message, scratch)?;
                Ok((decision, next_due(packed)?))
            })
            .ok_or_else(|| not_looked_up(member))?
            .map_err(|error| broken(member, error))
    }

    /// Applies recorded effects to a member. `scratch` is overwritten.
    pub fn apply(
        &mut self,
        member: u64,
        effects: &[Effect],
        pos: Pos,
        scratch: &mut Vec<u8>,
    ) -> Result<(), HubError> {
        self.members
            .change(member, pos.seq(), |packed| {
                apply_packed(packed, effects, pos, scratch)?;
                Ok(((), next_due(packed)?))
            })
            .ok_or_else(|| not_looked_up(member))?
            .map_err(|error| broken(member, error))
    }
}

fn next_due(packed: &PackedMember) -> Result<Option<i64>, Corrupt> {
    Ok(packed.next_due()?.map(|Instant(at)| at))
}

fn not_looked_up(member: u64) -> HubError {
    HubError::internal(format!("member {member} was not looked up"))
}

fn broken(member: u64, error: Corrupt) -> HubError {
    HubError::internal(format!("member {member} does not decode: {error}"))
}

/// A decoded entry that replayed messages are compared with.
#[derive(Debug)]
pub struct FirstEntry {
    /// Elements of the batch, verbatim.
    pub elements: Vec<Bytes>,
    /// Their recorded outcomes.
    pub outcomes: Vec<v1::Outcome>,
}

/// The entries that replays met last.
#[derive(Debug, Default)]
pub struct ReplayCache(VecDeque<(u64, Arc<FirstEntry>)>);

impl ReplayCache {
    /// An entry, when it was met lately.
    pub fn get(&self, seq: u64) -> Option<Arc<FirstEntry>> {
        self.0
            .iter()
            .find(|(s, _)| *s == seq)
            .map(|(_, entry)| Arc::clone(entry))
    }

    /// Keeps an entry.
    pub fn insert(&mut self, seq: u64, entry: Arc<FirstEntry>) {
        self.0.push_front((seq, entry));
    }

    /// Forgets all but the last few.
    pub fn trim(&mut self) {
        self.0.truncate(64);
    }
}
