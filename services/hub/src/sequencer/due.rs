//! What happens by time alone: cuts, sweeps of due work, the end of a closing cycle.
//!
//! Decisions never wait for it: what is due at `decided_at` is unavailable, whether it was swept or not.

use std::time::{Duration, Instant as Monotonic};

use hansa_proto::v1;
use hansa_settlement::{CycleNo, Instant};
use hansa_store::{Store, StoreError};
use ring::digest::{SHA256, digest};

use super::state::State;
use crate::convert::{cycle_number, timestamp};

/// Members in one `AdvanceTo` entry at most.
pub const SWEEP_CHUNK: usize = 2_000;

/// One step of time-driven work; each is a commit of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Cut the open cycle at its closing instant.
    Cut(Instant),
    /// Do the due work of some members up to an instant.
    Sweep(i64, Vec<u64>),
    /// The last of a cycle is in.
    Closed(CycleNo),
}

/// The next step at `now`, if there is one. May ask the store which members have due work;
/// `eager` asks without a pause in between.
pub async fn next_step(
    store: &Store,
    state: &mut State,
    now: i64,
    eager: bool,
) -> Result<Option<Step>, StoreError> {
    if let Some(close) = state.global.next_close().filter(|close| close.0 <= now) {
        return Ok(Some(Step::Cut(close)));
    }
    if let Some(cycle) = state.global.closable_cycle() {
        return Ok(Some(Step::Closed(cycle)));
    }
    if state.overdue.is_empty() {
        let due = state.global.next_due().filter(|due| due.0 <= now);
        let Some(due) = due.filter(|_| may_collect(state, eager)) else {
            return Ok(None);
        };
        let began = Monotonic::now();
        collect(store, state, now).await?;
        state.next_collect = Some(Monotonic::now() + COLLECT_EVERY.max(began.elapsed() * 20));
        if state.overdue.is_empty() {
            // The calendar says that something is due, and nobody has it: a fault that must be seen, not retried for ever.
            tracing::error!(
                due = due.0,
                now,
                "due work in the calendar that no member has"
            );
            state.collect_in_vain_until = Some(Monotonic::now() + Duration::from_secs(60));
            return Ok(None);
        }
    }
    let chunk = state.overdue.len().min(SWEEP_CHUNK);
    Ok(Some(Step::Sweep(
        state.overdue_until,
        state.overdue.drain(..chunk).collect(),
    )))
}

/// Looking who has due work is a pass over the members; it waits at least this long after the one before, and
/// twenty times as long as that took. Decisions do not wait for it.
const COLLECT_EVERY: Duration = Duration::from_secs(1);

/// Whether to look who has due work: at once where a cycle waits for it, or when `eager` (a test clock).
fn may_collect(state: &State, eager: bool) -> bool {
    let now = Monotonic::now();
    let hurry = eager || state.global.closing_cycles().next().is_some();
    state.collect_in_vain_until.is_none_or(|at| now >= at)
        && (hurry || state.next_collect.is_none_or(|at| now >= at))
}

/// Whether [`next_step`] would find something at `now`.
pub fn is_due(state: &State, now: i64, eager: bool) -> bool {
    !state.overdue.is_empty()
        || state.global.next_close().is_some_and(|at| at.0 <= now)
        || state.global.closable_cycle().is_some()
        || (state.global.next_due().is_some_and(|at| at.0 <= now) && may_collect(state, eager))
}

/// The next instant at which something happens by time alone, microseconds.
pub fn next_instant(state: &State) -> Option<i64> {
    let close = state.global.next_close();
    let due = state.global.next_due();
    close.into_iter().chain(due).min().map(|Instant(at)| at)
}

async fn collect(store: &Store, state: &mut State, until: i64) -> Result<(), StoreError> {
    let mut members: Vec<u64> = state.members.due(until).collect();
    let mut after = 0;
    loop {
        let page = store.members_due(until, after, 10_000).await?;
        let Some(&last) = page.last() else { break };
        after = last;
        // A member in memory may be ahead of its row, and was looked at above.
        members.extend(
            page.into_iter()
                .filter(|member| !state.members.contains(*member)),
        );
    }
    members.sort_unstable();
    state.overdue = members.into();
    state.overdue_until = until;
    Ok(())
}

/// The fact that cuts the open cycle.
pub fn cut_fact(state: &State, closes_at: Instant) -> v1::fact::Fact {
    v1::fact::Fact::CycleCut(v1::CycleCut {
        cycle_number: cycle_number(state.global.open_cycle().no),
        closes_at: Some(timestamp(closes_at.0)),
    })
}

/// The fact that closes a cycle.
pub fn closed_fact(state: &State, cycle: CycleNo) -> v1::fact::Fact {
    let bytes = state
        .global
        .cycle(cycle)
        .map(hansa_settlement::CycleTotals::canonical_bytes)
        .unwrap_or_default();
    v1::fact::Fact::CycleClosed(v1::CycleClosed {
        cycle_number: cycle_number(cycle),
        digest: digest(&SHA256, &bytes).as_ref().to_vec(),
    })
}
