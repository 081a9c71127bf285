//! Following: what was saved, what the log has behind it, and then the traffic as its hours end.

use std::{
    sync::{MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hansa_fraud::Effect;
use hansa_proto::v1::{self, commission_decision::Decision, fact::Fact as F};
use hansa_settlement::{Commission, MemberId, Pos, commission::CommissionState};
use hansa_store::Store;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use super::{
    Flags,
    decide::Decided,
    desk::{DAY_MS, Desk, Step, Steps},
    points::Seen,
    traffic::{Cursor, HOUR_MS, Taken, Traffic},
};
use crate::{
    commissions::MAX_DECISIONS,
    convert::{micros, timestamp},
    error::{HubError, Reason},
    registry::Registry,
    sequencer::group::kind,
};

/// How long behind the end of an hour its last touch may still come: as late as it may be told, and time to be written.
const LATE_MS: i64 = HOUR_MS + 5 * 60_000;

/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// After a failure.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// For so long nobody tries again to make flags that came out differently.
const DIFFERS_FOR: Duration = Duration::from_secs(60);

/// Entries and bytes of a page of the log.
const ENTRIES: u32 = 256;
const ENTRY_BYTES: usize = 8 << 20;

/// How often decisions are tried that others overtake.
const TRIES: usize = 8;

/// The state, and how far the log was followed.
#[derive(Debug)]
pub struct Followed {
    pub(super) desk: Desk,
    /// Leading entries whose runs and decisions are in it.
    size: u64,
    /// Up to here there was no traffic behind the last run: it need not be looked through again.
    looked: Cursor,
}

/// What was made again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Runs of the log that came to the same.
    pub runs: u64,
    /// Decisions that stood.
    pub decisions: u64,
}

/// The hub's own entries of a page of the log, from a place on, each with its place and its time; and where the next page begins, if there is
/// one.
pub async fn facts_from(
    log: &Store,
    from: u64,
) -> Result<(Vec<(u64, i64, v1::Facts)>, Option<u64>), HubError> {
    let rows = log.entries(from, ENTRIES, ENTRY_BYTES).await?;
    let next = rows.last().map(|row| row.seq + 1);
    let mut facts = Vec::new();
    for row in rows.into_iter().filter(|row| row.kind == kind::FACTS) {
        let envelope = v1::Envelope::decode(row.envelope).map_err(HubError::internal)?;
        let decoded = v1::Facts::decode(envelope.payload).map_err(HubError::internal)?;
        facts.push((row.seq, row.decided_at, decoded));
    }
    Ok((facts, next))
}

/// Follows runs and decisions of the log from a place on, to its end; what the last of them came to for conversions.
async fn follow(
    traffic: &Traffic<'_>,
    registry: &Registry,
    desk: &mut Desk,
    mut size: u64,
) -> Result<(u64, Replayed, Steps), HubError> {
    let mut replayed = Replayed::default();
    let mut last = Steps::new();
    loop {
        let (entries, next) = facts_from(traffic.log, size).await?;
        let Some(next) = next else {
            return Ok((size, replayed, last));
        };
        for (seq, _, facts) in entries {
            for fact in facts.facts {
                match fact.fact {
                    Some(F::FraudRun(recorded)) => {
                        last = again(traffic, registry, desk, seq, &recorded).await?;
                        replayed.runs += 1;
                    }
                    Some(F::FraudDecided(decided)) => {
                        let made = desk.decide(registry, &decided, &facts.actor);
                        last = made
                            .map_err(|why| {
                                let why = format!("a decision does not stand: {}", why.message);
                                differs(seq, why)
                            })?
                            .steps;
                        replayed.decisions += 1;
                    }
                    _ => {}
                }
            }
        }
        size = next;
    }
}

fn differs(seq: u64, why: impl std::fmt::Display) -> HubError {
    let text = format!(
        "flags cannot be made again from log and touches: entry {seq}: {why}; look at it with hansa fraud replay"
    );
    HubError::new(Reason::FailedPrecondition, text)
}

/// Makes a run of the log again.
async fn again(
    traffic: &Traffic<'_>,
    registry: &Registry,
    desk: &mut Desk,
    seq: u64,
    recorded: &v1::FraudRun,
) -> Result<Steps, HubError> {
    let until_ms = recorded.until.as_ref().map_or(0, micros).div_euclid(1_000);
    let traffic = Traffic {
        points: recorded.points_scored,
        ..*traffic
    };
    let (taken, effects) = take(&traffic, registry, desk, desk.cursor(), until_ms).await?;
    let how = (recorded.assessed, recorded.points_scored);
    let (made, steps) = working(|| desk.run(registry, &taken, effects, how))?;
    if made == *recorded {
        return Ok(steps);
    }
    let (found, expected) = (made.touches, recorded.touches);
    Err(differs(
        seq,
        if found != expected {
            format!("it had {expected} touches, and there are {found}")
        } else if made.touches_sha256 != recorded.touches_sha256 {
            "its touches were others".to_owned()
        } else if made.verdicts != recorded.verdicts {
            "its verdicts were others".to_owned()
        } else {
            "its state was another".to_owned()
        },
    ))
}

/// Lets the engine take traffic; what comes of it.
async fn take(
    traffic: &Traffic<'_>,
    registry: &Registry,
    desk: &mut Desk,
    from: Cursor,
    until_ms: i64,
) -> Result<(Taken, Vec<Effect>), HubError> {
    let mut effects = Vec::new();
    let mut engine = |events: &[hansa_fraud::Event], points: &[Seen]| {
        effects.extend(working(|| desk.take(events, points)));
    };
    let taken = traffic.each(from, until_ms, registry, &mut engine).await?;
    Ok((taken, effects))
}

/// Work that takes a while, on a thread that others need not wait for.
fn working<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::current().runtime_flavor();
    if runtime == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Where traffic begins: an hour before the log, as touches may be reported late.
async fn begins_ms(log: &Store) -> Result<Option<i64>, HubError> {
    let first = log.entry(0).await?;
    Ok(first.map(|row| {
        let ms = row.decided_at.div_euclid(1_000) - HOUR_MS;
        ms.div_euclid(HOUR_MS) * HOUR_MS
    }))
}

/// Makes all flags again from the first entry and the first touch, and compares each run with the log's.
pub async fn replay(
    traffic: &Traffic<'_>,
    registry: &Registry,
) -> Result<(Desk, Replayed), HubError> {
    let begins = begins_ms(traffic.log).await?;
    let mut desk = Desk::new(begins.ok_or_else(|| HubError::not_found("a log"))?);
    let (_, replayed, _) = follow(traffic, registry, &mut desk, 0).await?;
    Ok((desk, replayed))
}

impl Flags {
    const fn traffic(&self) -> Traffic<'_> {
        Traffic {
            log: &self.log,
            touches: &self.touches,
            tokens: &self.tokens,
            points: self.score_points,
        }
    }

    /// Reads the state. Where it cannot be made again, nobody tries that with every call.
    async fn load(&self, registry: &Registry) -> Result<Option<Followed>, HubError> {
        let known = self.differs().clone();
        if let Some((_, why)) = known.filter(|(since, _)| since.elapsed() < DIFFERS_FOR) {
            return Err(why);
        }
        let loaded = self.follow_all(registry).await;
        if let Err(why) = &loaded
            && why.reason == Reason::FailedPrecondition
        {
            *self.differs() = Some((Instant::now(), why.clone()));
        }
        loaded
    }

    fn differs(&self) -> MutexGuard<'_, Option<(Instant, HubError)>> {
        self.differs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow_all(&self, registry: &Registry) -> Result<Option<Followed>, HubError> {
        let Some(begins) = begins_ms(&self.log).await? else {
            return Ok(None);
        };
        let saved = self.touches.fraud_state().await?;
        let saved = saved.and_then(|(size, bytes)| Some((size, Desk::restore(&bytes)?)));
        let (size, mut desk) = saved.unwrap_or_else(|| (0, Desk::new(begins)));
        let (size, _, last) = follow(&self.traffic(), registry, &mut desk, size).await?;
        self.settle(last).await?;
        let looked = desk.cursor();
        Ok(Some(Followed { desk, size, looked }))
    }

    /// What the last run or decision came to and the ledger does not have, because the process ended between two of its entries. Where
    /// one entry has all, nothing is missing: what is not as it says was changed by somebody since.
    async fn settle(&self, last: Steps) -> Result<(), HubError> {
        if last.len() > MAX_DECISIONS {
            let note = "goes on after a restart";
            self.append("hub", Vec::new(), last, note).await?;
        }
        Ok(())
    }

    /// Follows until `cancel`.
    pub async fn run(&self, cancel: &CancellationToken) {
        // Another process may have owned the log meanwhile.
        tokio::select! {
            mut followed = self.followed.lock() => *followed = None,
            () = cancel.cancelled() => return,
        }
        let mut next_ms = i64::MIN;
        while !cancel.is_cancelled() {
            let now_ms = self.clock.now_micros().div_euclid(1_000);
            let mut pause = LOOK_EVERY;
            if now_ms - LATE_MS >= next_ms {
                let looked = tokio::select! {
                    looked = self.look(now_ms) => looked,
                    () = cancel.cancelled() => break,
                };
                match looked {
                    Ok(Looked::Waits(until_ms)) => next_ms = until_ms,
                    Ok(Looked::Nobody) => next_ms = now_ms - LATE_MS + 10_000,
                    Ok(Looked::More) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "flags wait");
                        pause = RETRY_AFTER;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancel.cancelled() => {}
            }
        }
        // Who has it now waits for a sequencer that has ended; what it has is followed again from the last save.
        let Ok(mut followed) = self.followed.try_lock() else {
            return;
        };
        if let Some(followed) = followed.take()
            && let Err(error) = self.save(&followed).await
        {
            tracing::warn!(%error, "the state of flags was not saved");
        }
    }

    async fn save(&self, followed: &Followed) -> Result<(), HubError> {
        let bytes = working(|| followed.desk.save())?;
        self.touches.save_fraud_state(followed.size, &bytes).await?;
        Ok(())
    }

    /// Takes the next hours, or the next day, whose traffic is complete.
    async fn look(&self, now_ms: i64) -> Result<Looked, HubError> {
        let affiliates = self
            .sequencer
            .read(|view| Ok(view.global.affiliates().profiles().next().is_some()));
        if !affiliates.await? && !self.score_points {
            return Ok(Looked::Nobody);
        }
        let registry = self.registry.get();
        let mut slot = self.followed.lock().await;
        let Some(mut followed) = self.taken(&mut slot, &registry).await? else {
            return Ok(Looked::Nobody);
        };
        let from = followed.looked;
        let hourly = followed.desk.is_holding() || self.score_points;
        let complete = (now_ms - LATE_MS).div_euclid(HOUR_MS) * HOUR_MS;
        let midnight = (from.ms.div_euclid(DAY_MS) + 1) * DAY_MS;
        let until_ms = if midnight <= complete {
            midnight
        } else if hourly && from.ms < complete {
            complete
        } else {
            *slot = Some(followed);
            let hour = (from.ms.div_euclid(HOUR_MS) + 1) * HOUR_MS;
            return Ok(Looked::Waits(if hourly { hour } else { midnight }));
        };
        self.step(&mut followed, &registry, from, until_ms).await?;
        *slot = Some(followed);
        Ok(Looked::More)
    }

    /// The state, taken out of its place: it goes back when the log has what it has. Whoever fails or is dropped in between leaves
    /// nothing there, and it is read again.
    async fn taken(
        &self,
        slot: &mut Option<Followed>,
        registry: &Registry,
    ) -> Result<Option<Followed>, HubError> {
        match slot.take() {
            Some(followed) => Ok(Some(followed)),
            None => self.load(registry).await,
        }
    }

    async fn step(
        &self,
        followed: &mut Followed,
        registry: &Registry,
        from: Cursor,
        until_ms: i64,
    ) -> Result<(), HubError> {
        let desk = &mut followed.desk;
        let (taken, effects) = take(&self.traffic(), registry, desk, from, until_ms).await?;
        let assess = desk.is_due(until_ms, &taken);
        // Touches that are no events count in a run as well: what is skipped here must be nothing at all.
        if taken.events + taken.points + taken.touches == 0
            && !assess
            && desk.forfeited(until_ms).is_empty()
        {
            followed.looked = taken.end;
            return Ok(());
        }
        let (run, steps) =
            working(|| desk.run(registry, &taken, effects, (assess, self.score_points)))?;
        let raised = run.verdicts.len();
        let fact = v1::Fact {
            fact: Some(F::FraudRun(run)),
        };
        let leaf = self
            .append("hub", vec![fact], steps, "traffic was judged")
            .await?;
        followed.looked = desk.cursor();
        followed.size = leaf.map_or(followed.size, |leaf| leaf + 1);
        if assess {
            let flags = followed.desk.engine().flags().len();
            tracing::info!(flags, raised, "affiliates judged");
            self.save(followed).await?;
        }
        Ok(())
    }

    /// A step of a person, or an affiliate's appeal. Answers the entry.
    pub async fn decide(
        &self,
        actor: String,
        mut decided: v1::FraudDecided,
    ) -> Result<(u64, String), HubError> {
        let registry = self.registry.get();
        let mut slot = self.followed.lock().await;
        let taken = self.taken(&mut slot, &registry).await?;
        let mut followed = taken.ok_or_else(no_log)?;
        let now = self.clock.now_micros();
        decided.time = Some(timestamp(now.div_euclid(1_000).saturating_mul(1_000)));
        let note = decided.note.clone();
        let made = match followed.desk.decide(&registry, &decided, &actor) {
            Ok(made) => made,
            Err(refused) => {
                *slot = Some(followed);
                return Err(refused);
            }
        };
        let Decided {
            steps,
            rule_version,
        } = made;
        let fact = v1::Fact {
            fact: Some(F::FraudDecided(decided)),
        };
        let leaf = self.append(&actor, vec![fact], steps, &note).await?;
        let leaf = leaf.ok_or_else(|| HubError::internal("a decision without an entry"))?;
        followed.size = leaf + 1;
        *slot = Some(followed);
        Ok((leaf, rule_version))
    }

    /// Reads the state.
    pub async fn read<T>(&self, read: impl FnOnce(&Desk, &Registry) -> T) -> Result<T, HubError> {
        let registry = self.registry.get();
        let mut slot = self.followed.lock().await;
        if slot.is_none() {
            *slot = self.load(&registry).await?;
        }
        match slot.as_ref() {
            Some(followed) => Ok(working(|| read(&followed.desk, &registry))),
            None => Err(no_log()),
        }
    }

    /// Appends facts with what they mean for conversions, as far as it still can be done. Answers the last entry with facts.
    async fn append(
        &self,
        actor: &str,
        facts: Vec<v1::Fact>,
        steps: Steps,
        note: &str,
    ) -> Result<Option<u64>, HubError> {
        let mut facts = Some(facts).filter(|facts| !facts.is_empty());
        let mut leaf = None;
        let mut rest = steps;
        loop {
            let more = rest.split_off(rest.len().min(MAX_DECISIONS));
            let mut steps = rest;
            rest = more;
            let mut tries = 0;
            loop {
                steps = self.placeable(steps).await?;
                if steps.is_empty() {
                    break;
                }
                let decided = v1::CommissionsDecided {
                    decisions: steps.iter().map(|step| step.decision.clone()).collect(),
                    note: note.to_owned(),
                };
                let before = facts.clone().unwrap_or_default();
                let done = self
                    .sequencer
                    .commissions(actor.to_owned(), before, decided);
                match done.await {
                    Ok(at) => {
                        facts = None;
                        leaf = Some(at);
                        break;
                    }
                    // Somebody was faster with one of the conversions.
                    Err(error) if error.reason == Reason::FailedPrecondition && tries < TRIES => {
                        tries += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        if let Some(facts) = facts {
            let appended = self.sequencer.facts(actor.to_owned(), move |_| Ok(facts));
            leaf = appended.await?;
        }
        Ok(leaf)
    }

    /// Those steps that the conversions allow as they stand.
    async fn placeable(&self, steps: Steps) -> Result<Steps, HubError> {
        if steps.is_empty() {
            return Ok(steps);
        }
        let place =
            |Step { decision, .. }: &Step| Pos::new(decision.leaf_index, decision.entry_position);
        let accounts = steps
            .iter()
            .map(|step| MemberId::of_conversion(place(step)).0);
        let read = self.sequencer.conversions(accounts.collect()).await?;
        let known = read.accounts.iter().map(|account| account.commission());
        let stand = steps.into_iter().zip(known);
        Ok(stand
            .filter_map(|(step, commission)| as_it_stands(step, commission?))
            .collect())
    }
}

fn no_log() -> HubError {
    HubError::not_found("a flag: the log is empty")
}

/// The step that a conversion allows now.
fn as_it_stands(mut step: Step, commission: &Commission) -> Option<Step> {
    let held = commission.holds.contains(&step.flag);
    // An invalid touch gave it to somebody else meanwhile: that one loses nothing by this flag.
    let moved = commission.attribution.affiliate.0 != step.affiliate;
    let reversed = commission.state == CommissionState::Reversed;
    let open = !reversed && commission.state != CommissionState::Payable;
    let allowed = match step.decision.decision {
        Some(Decision::HoldForFlag(_)) => open && !held && !moved,
        Some(Decision::ReleaseFromFlag(_)) => held,
        Some(Decision::Reverse(_)) if moved => {
            step.decision.decision = Some(Decision::ReleaseFromFlag(step.flag));
            held
        }
        // What was released by hand is not taken back.
        Some(Decision::Reverse(_)) => held && !reversed,
        Some(Decision::InvalidateTouch(_)) | None => false,
    };
    allowed.then_some(step)
}

/// What there is to do.
enum Looked {
    /// Nothing before traffic up to this instant is complete.
    Waits(i64),
    /// There are no affiliates.
    Nobody,
    /// Perhaps the next hours.
    More,
}
