//! Who owns the log: the gate is taken, kept by a heartbeat, lost, and taken over from an owner that fell silent.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hansa_proto::v1;
use hansa_store::{Kind, Store};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{RULES_VERSION, ServerOptions};
use crate::{
    anchor::Anchoring,
    audit::Audit,
    clock::Clock,
    convert::timestamp,
    error::{HubError, Reason},
    fraud::Flags,
    home::CHECKPOINT,
    ownership::{Ownership, Role},
    registry::SharedRegistry,
    sequencer::{
        Jobs, Sequencer,
        driver::{Driver, Metrics, Stop},
        recovery::LoadError,
    },
    signer::Signer,
};

/// A heartbeat that stood still this long belongs to nobody.
const DEAD_AFTER: Duration = Duration::from_secs(5);

/// Between two looks at the gate, and two heartbeats.
const BEAT: Duration = Duration::from_secs(1);

/// Keeps the gate, or watches it.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) signer: Arc<Signer>,
    pub(super) clock: Clock,
    pub(super) registry: SharedRegistry,
    pub(super) ownership: Ownership,
    pub(super) operator_keys: Vec<(String, [u8; 32])>,
    pub(super) options: ServerOptions,
    pub(super) owner: String,
    pub(super) advertise: String,
    pub(super) serving: watch::Sender<bool>,
    pub(super) shutdown: CancellationToken,
    pub(super) metrics: Metrics,
    pub(super) sequencer: Sequencer,
    pub(super) audit: Arc<Audit>,
    pub(super) flags: Arc<Flags>,
}

impl Keeper {
    /// Owns the log whenever the gate is this process's, until shutdown.
    pub(super) async fn run(self, mut jobs: Jobs) -> anyhow::Result<()> {
        let mut failures = 0_u32;
        while let Some(epoch) = self.acquire(&mut jobs).await? {
            let taken_at = Instant::now();
            let stop = self.own(&mut jobs, epoch).await;
            match stop {
                Stop::Shutdown => {
                    jobs.refuse_all(&shutting_down());
                    self.store.close().await?;
                    return Ok(());
                }
                Stop::Fenced => {
                    tracing::warn!(
                        epoch,
                        "another hub owns the log now; this one is a front end"
                    );
                    // What this process had accepted as the owner is not forwarded: its callers send it again.
                    jobs.refuse_all(&HubError::not_owner());
                }
                Stop::Failed(LoadError::Corrupt(cause)) => {
                    jobs.refuse_all(&HubError::not_owner());
                    anyhow::bail!("the log cannot be served: {cause}");
                }
                Stop::Failed(LoadError::Store(error)) => {
                    let restarts = &self.metrics.restarts;
                    restarts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    failures = if taken_at.elapsed() > Duration::from_secs(60) {
                        1
                    } else {
                        failures + 1
                    };
                    tracing::error!(%error, cause = ?std::error::Error::source(&error).map(ToString::to_string), failures, "the sequencer restarts");
                    jobs.refuse_all(&HubError::from(error));
                    let pause = Duration::from_millis(100 << failures.min(6));
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.shutdown.cancelled() => return Ok(()),
                    }
                }
            }
        }
        jobs.refuse_all(&shutting_down());
        Ok(())
    }

    /// Waits until the gate is this process's; `None` on shutdown. Meanwhile this is a front end.
    async fn acquire(&self, jobs: &mut Jobs) -> anyhow::Result<Option<u64>> {
        if self.store.kind() == Kind::Sqlite {
            // The lock file keeps every other process away.
            return Ok(Some(
                self.store
                    .take_gate(&self.owner, &self.advertise, None)
                    .await?,
            ));
        }
        let mut seen: Option<(u64, u64, Instant)> = None;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(None);
            }
            jobs.refuse_all(&HubError::not_owner());
            match self.store.read_gate().await {
                Err(error) => tracing::warn!(%error, "the gate cannot be read"),
                Ok(gate) => {
                    let expected = match gate {
                        None => Some(0),
                        // An earlier epoch of this very process, one that ended in good order, or one that
                        // died and left its address to this one.
                        Some(gate)
                            if gate.owner == self.owner
                                || gate.address.is_empty()
                                || self.inherited(&gate.address) =>
                        {
                            Some(gate.epoch)
                        }
                        Some(gate) => {
                            self.ownership.set(Role::FrontEnd {
                                address: gate.address.clone(),
                            });
                            let same = seen.filter(|(epoch, beat, _)| {
                                (*epoch, *beat) == (gate.epoch, gate.beat)
                            });
                            let since = same.map_or_else(Instant::now, |(_, _, since)| since);
                            seen = Some((gate.epoch, gate.beat, since));
                            let dead = since.elapsed() >= DEAD_AFTER + self.jitter();
                            if dead {
                                tracing::warn!(
                                    epoch = gate.epoch,
                                    owner = gate.owner,
                                    "the owner is silent; taking over"
                                );
                                let name = format!("hansa-{}", gate.owner);
                                let ended = self.store.terminate_backends_of(&name).await;
                                tracing::info!(?ended, "backends of the silent owner terminated");
                            }
                            dead.then_some(gate.epoch)
                        }
                    };
                    if let Some(expected) = expected {
                        match self
                            .store
                            .take_gate(&self.owner, &self.advertise, Some(expected))
                            .await
                        {
                            Ok(epoch) => return Ok(Some(epoch)),
                            Err(error) => {
                                tracing::info!(%error, "somebody else took the gate");
                                seen = None;
                            }
                        }
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = self.shutdown.cancelled() => return Ok(None),
            }
        }
    }

    /// Whether an owner at this address must be gone, because this process listens there now.
    fn inherited(&self, address: &str) -> bool {
        self.options.advertise.is_none() && self.advertise == address
    }

    /// Up to half a second that differs between processes, so that replicas do not race.
    fn jitter(&self) -> Duration {
        let sum: u64 = self.owner.bytes().map(u64::from).sum();
        Duration::from_millis((sum * 37) % 500)
    }

    async fn own(&self, jobs: &mut Jobs, epoch: u64) -> Stop {
        let fenced = CancellationToken::new();
        let beats = self.spawn_heartbeat(epoch, fenced.clone());
        let anchor = self.options.data_dir.join(CHECKPOINT);
        let anchoring = match Anchoring::open(anchor, self.signer.verifier(), self.signer.origin())
        {
            Ok(anchoring) => anchoring,
            Err(error) => return Stop::Failed(LoadError::Corrupt(error.to_string())),
        };
        let genesis = || self.genesis();
        let driver = Driver {
            store: &self.store,
            signer: &self.signer,
            clock: &self.clock,
            registry: &self.registry,
            options: &self.options.sequencer,
            metrics: &self.metrics,
            anchoring: &anchoring,
            genesis: &genesis,
            serving: &self.serving,
            shutdown: &self.shutdown,
            fenced: &fenced,
        };
        match self.store.weaknesses().await {
            Ok(weaknesses) => {
                for weakness in weaknesses {
                    tracing::warn!("{weakness}");
                }
            }
            Err(error) => tracing::warn!(%error, "how durable the database is cannot be asked"),
        }
        let confirmed_at = (self.store.kind() == Kind::Postgres).then(Instant::now);
        self.ownership.set(Role::Owner { confirmed_at });
        let audited = CancellationToken::new();
        let name = format!("hansa-{}", self.owner);
        let auditor = self.audit.start(
            &self.options.database,
            &name,
            &self.sequencer,
            audited.clone(),
        );
        let certifying = {
            let (audit, sequencer) = (Arc::clone(&self.audit), self.sequencer.clone());
            let cancel = audited.clone();
            tokio::spawn(async move { audit.certify(&sequencer, &cancel).await })
        };
        let flagging = {
            let (flags, cancel) = (Arc::clone(&self.flags), audited.clone());
            tokio::spawn(async move { flags.run(&cancel).await })
        };
        let stop = driver.run(jobs, epoch).await;
        audited.cancel();
        // It saves what it has.
        let _ = flagging.await;
        certifying.abort();
        if let Some(auditor) = auditor {
            // It saves what it has; a thread that panicked has told so.
            let _ = tokio::task::spawn_blocking(move || auditor.join()).await;
        }
        beats.abort();
        // Behind its end it cannot set the role any more.
        let _ = beats.await;
        self.ownership.set(Role::Starting);
        if matches!(stop, Stop::Shutdown) {
            // An empty address tells the others that they need not wait.
            let _ = self.store.heartbeat(epoch, "").await;
        }
        stop
    }

    fn spawn_heartbeat(&self, epoch: u64, fenced: CancellationToken) -> JoinHandle<()> {
        let (store, advertise, ownership) = (
            self.store.clone(),
            self.advertise.clone(),
            self.ownership.clone(),
        );
        let replicated = store.kind() == Kind::Postgres;
        tokio::spawn(async move {
            loop {
                // Taken before the question: the answer may be old when it arrives.
                let asked_at = Instant::now();
                let beat = tokio::time::timeout(BEAT * 2, store.heartbeat(epoch, &advertise));
                let Ok(beat) = beat.await else {
                    tracing::warn!("the heartbeat is not answered");
                    continue;
                };
                match beat {
                    Ok(true) if replicated => ownership.set(Role::Owner {
                        confirmed_at: Some(asked_at),
                    }),
                    Ok(true) => {}
                    Ok(false) => {
                        ownership.set(Role::Starting);
                        fenced.cancel();
                        return;
                    }
                    Err(error) => tracing::warn!(%error, "the heartbeat failed"),
                }
                tokio::time::sleep(BEAT).await;
            }
        })
    }

    fn genesis(&self) -> v1::Genesis {
        let now = self.clock.now_micros();
        v1::Genesis {
            origin: self.signer.origin().to_owned(),
            rules_version: RULES_VERSION,
            hub_public_key: self.signer.public_key().to_vec(),
            operator_keys: self
                .operator_keys
                .iter()
                .map(|(key_id, public_key)| v1::Key {
                    key_id: key_id.clone(),
                    public_key: public_key.to_vec(),
                    valid_from: Some(timestamp(now)),
                    ..v1::Key::default()
                })
                .collect(),
            test_clock: self.clock.is_test(),
        }
    }
}

fn shutting_down() -> HubError {
    HubError::new(
        Reason::ShuttingDown,
        "the hub shuts down; send the same bytes again",
    )
}
