//! The loop: gathers jobs, decides, commits, answers, projects; and holds the gate while it does.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant as Monotonic},
};

use hansa_proto::v1;
use hansa_store::{Store, StoreError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    BatchReply, Job, Reply,
    due::{self, Step},
    group::{Answer, Decided, Deciding},
    prefetch::{self, Fetched, Wanted},
    projection::{self, Written},
    recovery::{self, LoadError},
    state::State,
};
use crate::{
    anchor::Anchoring,
    clock::Clock,
    convert::{cycle_no, timestamp},
    error::{HubError, Reason},
    registry::SharedRegistry,
    signer::Signer,
};

/// Messages in a group at most, give or take the last batch.
const GROUP_MESSAGES: usize = 4_000;

/// A sweep begins at the latest this long after the one before: bounds what a restart replays.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

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

struct Projecting {
    task: Option<JoinHandle<Result<Written, StoreError>>>,
    settled: Option<Projected>,
    last_sweep: Monotonic,
}

impl Driver<'_> {
    /// Loads the log and serves it until something ends it. Jobs that were not answered stay in `waiting`.
    pub async fn run(&self, jobs: &mut mpsc::Receiver<Job>, epoch: u64) -> Stop {
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
        let mut projecting = Projecting {
            task: None,
            settled: None,
            last_sweep: Monotonic::now(),
        };
        let stop = match self.serve(&mut state, jobs, &mut projecting).await {
            Ok(()) => Stop::Shutdown,
            Err(stop) => stop,
        };
        let _ = self.serving.send(false);
        if let Some(task) = projecting.task.take() {
            let _ = task.await;
        }
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
        jobs: &mut mpsc::Receiver<Job>,
        projecting: &mut Projecting,
    ) -> Result<(), Stop> {
        let mut ahead: Option<Gathered> = None;
        let mut idle = false;
        loop {
            self.project(state, projecting, idle).await?;
            idle = false;
            let gathered = match ahead.take() {
                Some(gathered) => gathered,
                None => match self.gather(state, jobs, projecting).await? {
                    Some(gathered) => gathered,
                    None => {
                        if self.shutdown.is_cancelled() && jobs.is_empty() {
                            self.wait_for_projection(state, projecting).await?;
                            projection::write_all(self.store, state, state.epoch).await?;
                            self.anchoring.flush().await;
                            return Ok(());
                        }
                        // Woken by time or by the projection.
                        idle = !self.one_step(state).await?;
                        self.bound_dirty(state, projecting).await?;
                        state.members.evict();
                        continue;
                    }
                },
            };
            ahead = self.group(state, gathered, jobs, projecting).await?;
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
        jobs: &mut mpsc::Receiver<Job>,
        projecting: &mut Projecting,
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
        let projected = async {
            match &mut projecting.task {
                Some(task) => task.await,
                None => std::future::pending().await,
            }
        };
        let first = tokio::select! {
            biased;
            () = self.fenced.cancelled() => return Err(Stop::Fenced),
            job = jobs.recv() => job,
            result = projected => {
                projecting.task = None;
                projecting.settled = Some(result);
                return Ok(None);
            }
            () = self.shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => return Ok(None),
        };
        let Some(first) = first else { return Ok(None) };
        let mut gathered = Gathered::default();
        gathered.take(first, jobs);
        let wanted = Wanted::of(&gathered.jobs, state);
        gathered.fetched = prefetch::fetch(self.store, state, wanted).await?;
        Ok(Some(gathered))
    }

    /// Decides and commits what was gathered; meanwhile gathers what queues up.
    async fn group(
        &self,
        state: &mut State,
        mut gathered: Gathered,
        jobs: &mut mpsc::Receiver<Job>,
        projecting: &mut Projecting,
    ) -> Result<Option<Gathered>, Stop> {
        self.bound_dirty(state, projecting).await?;
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
            let replayed = prefetch::replayed_entries(state, &gathered.jobs, &gathered.fetched);
            self.fetch_replays(state, replayed).await?;
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
            self.control(state, control, projecting).await?;
        }
        Ok(ahead)
    }

    /// The bound on dirty members: the projection catches up before the next group.
    async fn bound_dirty(
        &self,
        state: &mut State,
        projecting: &mut Projecting,
    ) -> Result<(), Stop> {
        if state.members.dirty() >= state.members.capacity() {
            // First the chunk that is under way: what is written behind it claims to cover it.
            self.wait_for_projection(state, projecting).await?;
            projection::write_all(self.store, state, state.epoch).await?;
        }
        Ok(())
    }

    /// First outcomes of messages that were seen in earlier groups.
    async fn fetch_replays(&self, state: &mut State, entries: BTreeSet<u64>) -> Result<(), Stop> {
        for seq in entries {
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

    async fn commit_and_gather(
        &self,
        state: &mut State,
        decided: Decided,
        jobs: &mut mpsc::Receiver<Job>,
        may_gather: bool,
    ) -> Result<Option<Gathered>, Stop> {
        let mut ahead = Gathered::default();
        if may_gather && let Ok(first) = jobs.try_recv() {
            ahead.take(first, jobs);
        }
        let epoch = state.epoch;
        let append = async {
            if decided.group.entries.is_empty() {
                Ok(())
            } else {
                self.store.append(epoch, &decided.group).await
            }
        };
        // Look-ups for the next group run beside the commit; decisions do not.
        let wanted = Wanted::of(&ahead.jobs, state);
        let (committed, fetched) = tokio::join!(append, prefetch::fetch(self.store, state, wanted));
        self.note_failure(&committed);
        committed?;
        let (new_members, new_references) = decided.enrolled.clone();
        self.answer(state, decided).await?;
        if ahead.jobs.is_empty() && ahead.control.is_none() {
            return Ok(None);
        }
        ahead.fetched = fetched?;
        // The store was asked before these were in it.
        ahead.fetched.aliases.extend(new_members);
        ahead.fetched.enrolled.extend(new_references);
        Ok(Some(ahead))
    }

    async fn commit(&self, state: &mut State, decided: Decided) -> Result<(), Stop> {
        if !decided.group.entries.is_empty() {
            let committed = self.store.append(state.epoch, &decided.group).await;
            self.note_failure(&committed);
            committed?;
        }
        self.answer(state, decided).await
    }

    fn note_failure(&self, committed: &Result<(), StoreError>) {
        if let Err(StoreError::DuplicateKey(_)) = committed {
            self.metrics
                .duplicate_key_restarts
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The group is durable: tell everyone.
    async fn answer(&self, state: &mut State, decided: Decided) -> Result<(), Stop> {
        if state.registry_changed {
            self.registry.set(state.registry.clone());
            state.registry_changed = false;
        }
        let duplicates = self.metrics.duplicate_key_restarts.load(Ordering::Relaxed);
        for answer in decided.answers {
            match answer {
                Answer::Batch {
                    reply,
                    outcomes,
                    leaf,
                } => {
                    let receipt = match leaf {
                        None => None,
                        Some((leaf_index, leaf_data)) => Some(v1::Receipt {
                            leaf_index,
                            decided_at: Some(timestamp(decided.decided_at)),
                            leaf_data: leaf_data.to_vec(),
                            inclusion_proof: decided
                                .extension
                                .inclusion(leaf_index)
                                .map_err(HubError::internal)?
                                .iter()
                                .map(|hash| hash.to_vec())
                                .collect(),
                            checkpoint: decided.checkpoint.clone(),
                        }),
                    };
                    let _ = reply.send(Ok(BatchReply { outcomes, receipt }));
                }
                Answer::Later(answer) => answer(),
                Answer::Facts(reply, leaf) => drop(reply.send(Ok(leaf))),
                Answer::Enrol(reply, references) => drop(reply.send(Ok(references))),
                Answer::Read(read) => read(&state.view(self.clock, duplicates)),
                Answer::Member(reply, view) => drop(reply.send(Ok(*view))),
            }
        }
        state.frontier = decided.extension.into_frontier();
        self.anchoring
            .note(state.frontier.size(), decided.checkpoint);
        Ok(())
    }

    /// One step of what happens by time alone; whether there was one. Evicts nothing: a group may be gathered.
    async fn one_step(&self, state: &mut State) -> Result<bool, Stop> {
        let now = state.now(self.clock);
        let Some(step) = due::next_step(self.store, state, now, self.clock.is_test()).await? else {
            return Ok(false);
        };
        let fetched = self.fetch_members(state, &step).await?;
        let fact = match &step {
            Step::Cut(at) => Some(due::cut_fact(state, *at)),
            Step::Closed(cycle) => {
                state.global.check_invariants().map_err(|violation| {
                    LoadError::Corrupt(format!("refusing to close a cycle: {violation}"))
                })?;
                Some(due::closed_fact(state, *cycle))
            }
            Step::Sweep(..) => None,
        };
        let mut deciding = Deciding::new(state, &fetched, self.signer, now);
        match (&step, fact) {
            (Step::Sweep(until, members), _) => deciding.advance(*until, members)?,
            (_, Some(fact)) => deciding.hub_fact(fact)?,
            (_, None) => {}
        }
        let decided = deciding.finish()?;
        self.commit(state, decided).await?;
        Ok(true)
    }

    async fn fetch_members(&self, state: &mut State, step: &Step) -> Result<Fetched, Stop> {
        let Step::Sweep(_, members) = step else {
            return Ok(Fetched::default());
        };
        let missing: Vec<u64> = members
            .iter()
            .copied()
            .filter(|m| !state.members.contains(*m))
            .collect();
        let rows = prefetch::load(self.store, &missing).await?;
        let mut fetched = Fetched {
            rows,
            ..Fetched::default()
        };
        fetched.admit(state);
        Ok(fetched)
    }

    async fn control(
        &self,
        state: &mut State,
        job: Job,
        projecting: &mut Projecting,
    ) -> Result<(), Stop> {
        match job {
            Job::SetClock { to, reply } => {
                if to < self.clock.now_micros() {
                    let message = "the clock goes forwards only";
                    drop(reply.send(Err(HubError::new(Reason::FailedPrecondition, message))));
                    return Ok(());
                }
                self.clock.advance_to(to);
                while self.one_step(state).await? {
                    // Nothing is gathered ahead of a job that stands alone.
                    self.bound_dirty(state, projecting).await?;
                    state.members.evict();
                }
                let _ = reply.send(Ok(self.clock.now_micros()));
            }
            Job::CloseCycle {
                number,
                validate_only,
                actor,
                reply,
            } => {
                self.close_by_hand(state, number, validate_only, &actor, reply)
                    .await?;
            }
            other => other.refuse(HubError::internal("not a control job")),
        }
        Ok(())
    }

    async fn close_by_hand(
        &self,
        state: &mut State,
        number: u32,
        validate_only: bool,
        actor: &str,
        reply: Reply<u32>,
    ) -> Result<(), Stop> {
        let open = state.global.open_cycle().no;
        if cycle_no(number) != open {
            let message = format!(
                "cycle {number} is not the open one; cycle {} is",
                crate::convert::cycle_number(open)
            );
            drop(reply.send(Err(HubError::new(Reason::FailedPrecondition, message))));
            return Ok(());
        }
        if !validate_only {
            let now = state.now(self.clock);
            let fact = due::cut_fact(state, hansa_settlement::Instant(now));
            tracing::info!(number, actor, "cycle cut by hand");
            let fetched = Fetched::default();
            let mut deciding = Deciding::new(state, &fetched, self.signer, now);
            if let Err(refusal) = deciding.hub_fact_for(fact, actor.to_owned()) {
                drop(reply.send(Err(refusal)));
                return Ok(());
            }
            let decided = deciding.finish()?;
            self.commit(state, decided).await?;
            while state.global.closable_cycle().is_some() && self.one_step(state).await? {}
        }
        let _ = reply.send(Ok(number));
        Ok(())
    }

    // --- projection ---

    async fn project(
        &self,
        state: &mut State,
        projecting: &mut Projecting,
        idle: bool,
    ) -> Result<(), Stop> {
        if projecting
            .task
            .as_ref()
            .is_some_and(JoinHandle::is_finished)
        {
            self.wait_for_projection(state, projecting).await?;
        }
        if let Some(result) = projecting.settled.take() {
            settle(state, result)?;
        }
        if projecting.task.is_some() {
            return Ok(());
        }
        let behind = state.covered() < state.next_seq;
        let many = state.members.dirty() >= (state.members.capacity() / 2).min(200_000);
        let late = projecting.last_sweep.elapsed() >= SWEEP_EVERY;
        if state.members.sweeping() || (behind && (idle || many || late)) {
            if !state.members.sweeping() {
                projecting.last_sweep = Monotonic::now();
            }
            let chunk = projection::take(state, projection::CHUNK);
            let (store, epoch) = (self.store.clone(), state.epoch);
            projecting.task = Some(tokio::spawn(
                async move { chunk.write(&store, epoch).await },
            ));
        } else if idle {
            self.store.tidy().await?;
        }
        Ok(())
    }

    async fn wait_for_projection(
        &self,
        state: &mut State,
        projecting: &mut Projecting,
    ) -> Result<(), Stop> {
        if let Some(task) = projecting.task.take() {
            settle(state, task.await)?;
        }
        if let Some(result) = projecting.settled.take() {
            settle(state, result)?;
        }
        Ok(())
    }
}

type Projected = Result<Result<Written, StoreError>, tokio::task::JoinError>;

fn settle(state: &mut State, result: Projected) -> Result<(), Stop> {
    match result {
        Ok(written) => {
            written?.settle(state);
            Ok(())
        }
        Err(error) => Err(Stop::Failed(LoadError::Corrupt(format!(
            "the projection's task failed: {error}"
        )))),
    }
}

impl Gathered {
    /// Takes a job and what queues behind it, up to a group's size or a job that stands alone.
    fn take(&mut self, first: Job, jobs: &mut mpsc::Receiver<Job>) {
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
                next = jobs.try_recv().ok();
            }
        }
    }
}

/// Refuses all jobs that wait.
pub fn refuse_all(jobs: &mut mpsc::Receiver<Job>, error: &HubError) {
    let mut left = VecDeque::new();
    while let Ok(job) = jobs.try_recv() {
        left.push_back(job);
    }
    for job in left {
        job.refuse(error.clone());
    }
}
