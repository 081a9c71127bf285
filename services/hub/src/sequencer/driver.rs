//! The loop: gathers jobs, decides, commits, answers, projects; and holds the gate while it does.

mod commit;
mod control;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use hansa_proto::v1;
use hansa_store::{Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Job, Jobs, due,
    group::Deciding,
    prefetch::{self, Fetched, Wanted},
    projection::{Projector, SWEEP_EVERY},
    recovery::{self, LoadError},
    risk_watch::RiskWatch,
    state::State,
};
use crate::{
    anchor::Anchoring, clock::Clock, error::HubError, registry::SharedRegistry, signer::Signer,
};

/// Messages in a group at most, give or take the last batch.
const GROUP_MESSAGES: usize = 4_000;

/// With nothing to do for this long, the projection catches up. Not at once: between two waves of a sender there is
/// always a moment of nothing to do.
const IDLE_AFTER: Duration = Duration::from_millis(50);

/// Sizes of the sequencer's memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Members in memory.
    pub memory_members: usize,
    /// Message ids in memory for each merchant.
    pub ids_per_merchant: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_members: 500_000,
            ids_per_merchant: 65_536,
        }
    }
}

/// Counters that outlive a restart of the sequencer.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Commits that met a key that was there already; must stay 0.
    pub duplicate_key_restarts: AtomicU64,
    /// Restarts of the sequencer for any reason.
    pub restarts: AtomicU64,
}

/// Why the owner stopped.
#[derive(Debug)]
pub enum Stop {
    /// Asked to; everything is committed and projected.
    Shutdown,
    /// Another process holds the gate.
    Fenced,
    /// A commit failed or its result is unknown: load again.
    Failed(LoadError),
}

impl From<LoadError> for Stop {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(StoreError::Fenced { .. }) => Self::Fenced,
            other => Self::Failed(other),
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::from(LoadError::Store(error))
    }
}

impl From<HubError> for Stop {
    fn from(error: HubError) -> Self {
        Self::from(LoadError::from(error))
    }
}

/// Owns the log while its epoch holds.
pub struct Driver<'a> {
    /// The store.
    pub store: &'a Store,
    /// Signs facts and checkpoints.
    pub signer: &'a Signer,
    /// The hub's clock.
    pub clock: &'a Clock,
    /// Where the registry is published.
    pub registry: &'a SharedRegistry,
    /// Sizes.
    pub options: &'a Options,
    /// Counters.
    pub metrics: &'a Metrics,
    /// The checkpoint kept outside the database.
    pub anchoring: &'a Anchoring,
    /// First fact of a log that does not exist yet.
    pub genesis: &'a (dyn Fn() -> v1::Genesis + Sync),
    /// Set when the log is loaded and jobs are taken.
    pub serving: &'a watch::Sender<bool>,
    /// Asks the driver to end.
    pub shutdown: &'a CancellationToken,
    /// The gate was lost.
    pub fenced: &'a CancellationToken,
}

/// Jobs that were gathered together, and what the store said about them.
#[derive(Default)]
struct Gathered {
    jobs: Vec<Job>,
    fetched: Fetched,
    /// A job that is not decided in a group; handled behind `jobs`.
    control: Option<Job>,
}

impl Driver<'_> {
    /// Loads the log and serves it until something ends it. Jobs that were not answered stay in `waiting`.
    pub async fn run(&self, jobs: &mut Jobs, epoch: u64) -> Stop {
        let mut state = match recovery::load(self.store, self.options, epoch).await {
            Ok(state) => state,
            Err(error) => return error.into(),
        };
        if let Err(error) = self.anchoring.check(self.store, state.next_seq).await {
            return match error.downcast::<StoreError>() {
                Ok(error) => error.into(),
                Err(error) => Stop::Failed(LoadError::Corrupt(error.to_string())),
            };
        }
        if let Err(stop) = self.begin(&mut state).await {
            return stop;
        }
        let mut projector = Projector::new(self.store.clone(), epoch);
        let stop = match self.serve(&mut state, jobs, &mut projector).await {
            Ok(()) => Stop::Shutdown,
            Err(stop) => stop,
        };
        let _ = self.serving.send(false);
        projector.end().await;
        stop
    }

    async fn begin(&self, state: &mut State) -> Result<(), Stop> {
        if state.next_seq == 0 {
            let fetched = Fetched::default();
            let mut deciding = Deciding::new(state, &fetched, self.signer, self.clock.now_micros());
            deciding.hub_fact(v1::fact::Fact::Genesis((self.genesis)()))?;
            let decided = deciding.finish()?;
            self.commit(state, decided).await?;
        }
        if state.registry.test_clock != self.clock.is_test() {
            let text = if state.registry.test_clock {
                "this log runs on a test clock; start the hub with --test-clock"
            } else {
                "this log runs on the system's clock; it cannot be opened with --test-clock"
            };
            return Err(Stop::Failed(LoadError::Corrupt(text.into())));
        }
        if !state.registry.keys.contains_key(&self.signer.key_id())
            || state.registry.origin != self.signer.origin()
        {
            let text = format!(
                "this log is \"{}\" and belongs to another hub key; start the hub with its data directory and --origin",
                state.registry.origin
            );
            return Err(Stop::Failed(LoadError::Corrupt(text)));
        }
        self.clock.advance_to(state.last_decided_at);
        self.registry.set(state.registry.clone());
        state.registry_changed = false;
        let _ = self.serving.send(true);
        Ok(())
    }

    async fn serve(
        &self,
        state: &mut State,
        jobs: &mut Jobs,
        projector: &mut Projector,
    ) -> Result<(), Stop> {
        let mut ahead: Option<Gathered> = None;
        let mut idle = false;
        let mut risk_watch = RiskWatch::default();
        loop {
            risk_watch.look(state, self.clock);
            projector.step(state, idle).await?;
            idle = false;
            let gathered = match ahead.take() {
                Some(gathered) => gathered,
                None => match self.gather(state, jobs, projector).await? {
                    Some(gathered) => gathered,
                    None => {
                        if self.shutdown.is_cancelled() && jobs.is_empty() {
                            projector.write_all(state).await?;
                            self.anchoring.flush().await;
                            return Ok(());
                        }
                        // Woken by time or by the projection.
                        idle = !self.one_step(state).await?;
                        projector.bound_dirty(state).await?;
                        state.members.evict();
                        continue;
                    }
                },
            };
            ahead = self.group(state, gathered, jobs, projector).await?;
            self.one_step(state).await?;
            if ahead.is_none() {
                state.members.evict();
            }
        }
    }

    /// Waits for jobs; `None` when something else is to be done.
    async fn gather(
        &self,
        state: &State,
        jobs: &mut Jobs,
        projector: &mut Projector,
    ) -> Result<Option<Gathered>, Stop> {
        let now = state.now(self.clock);
        if due::is_due(state, now, self.clock.is_test()) && jobs.is_empty() {
            return Ok(None);
        }
        let longest = if state.covered() < state.next_seq {
            IDLE_AFTER
        } else {
            SWEEP_EVERY
        };
        let wait = match due::next_instant(state) {
            Some(at) if !self.clock.is_test() => {
                // What is due and may not be looked for yet waits its turn.
                let micros = u64::try_from(at.saturating_sub(now).max(100_000)).unwrap_or(0);
                Duration::from_micros(micros).min(longest)
            }
            _ => longest,
        };
        let first = tokio::select! {
            biased;
            () = self.fenced.cancelled() => return Err(Stop::Fenced),
            job = jobs.recv() => job,
            () = projector.written() => return Ok(None),
            () = self.shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => return Ok(None),
        };
        let Some(first) = first else { return Ok(None) };
        let mut gathered = Gathered::default();
        gathered.take(first, jobs);
        let wanted = Wanted::of(&mut gathered.jobs, state);
        gathered.fetched = prefetch::fetch(self.store, state, wanted).await?;
        Ok(Some(gathered))
    }

    /// Decides and commits what was gathered; meanwhile gathers what queues up.
    async fn group(
        &self,
        state: &mut State,
        mut gathered: Gathered,
        jobs: &mut Jobs,
        projector: &mut Projector,
    ) -> Result<Option<Gathered>, Stop> {
        projector.bound_dirty(state).await?;
        // The cut of a cycle stands before the first message decided at or past its closing instant. The clock is read
        // once: it may pass the instant while replays are fetched.
        let decided_at = loop {
            let now = state.now(self.clock);
            if state.global.next_close().is_none_or(|close| close.0 > now) {
                break now;
            }
            self.one_step(state).await?;
        };
        let mut ahead = None;
        if !gathered.jobs.is_empty() {
            gathered.fetched.admit(state);
            self.fetch_replays(state, &gathered.fetched.replayed)
                .await?;
            let first_seq = state.next_seq;
            let mut deciding = Deciding::new(state, &gathered.fetched, self.signer, decided_at);
            for job in gathered.jobs {
                deciding.job(job)?;
            }
            let decided = deciding.finish()?;
            state.replays.trim();
            // What leaves memory leaves it here, before the next group looks what it must ask the store for, and nothing
            // leaves between that look and the group's decisions: it would be in neither place.
            state.members.evict();
            state.references.rotate();
            state.ids.trim(first_seq);
            ahead = self
                .commit_and_gather(state, decided, jobs, gathered.control.is_none())
                .await?;
        }
        if let Some(control) = gathered.control {
            self.control(state, control, projector).await?;
        }
        Ok(ahead)
    }

    /// First outcomes of messages that were seen in earlier groups.
    async fn fetch_replays(&self, state: &mut State, entries: &BTreeSet<u64>) -> Result<(), Stop> {
        for &seq in entries {
            if state.replays.get(seq).is_some() {
                continue;
            }
            let row = self.store.entry(seq).await?;
            let row = row.ok_or_else(|| LoadError::Corrupt(format!("entry {seq} is missing")))?;
            state
                .replays
                .insert(seq, Arc::new(super::group::first_entry(&row)?));
        }
        Ok(())
    }
}

impl Gathered {
    /// Takes a job and what queues behind it, up to a group's size or a job that stands alone.
    fn take(&mut self, first: Job, jobs: &mut Jobs) {
        let mut messages = 0;
        let mut next = Some(first);
        while let Some(job) = next.take() {
            if matches!(job, Job::SetClock { .. } | Job::CloseCycle { .. }) {
                self.control = Some(job);
                return;
            }
            messages += job.messages();
            self.jobs.push(job);
            if messages < GROUP_MESSAGES {
                next = jobs.try_recv();
            }
        }
    }
}
