//! Following the log: entries in bounded pages, each audited, each compared with its recorded effects; what changed is saved;
//! each certified cycle is compared with the fold's.
//!
//! Runs on a thread of its own, with a runtime of its own, at a low priority: where traffic needs the processors, the
//! auditor gets a tenth of one, and catches up when there is room. It takes no lock, no connection and no queue that
//! the sequencer waits for: it reads the log through connections of its own, and on SQLite it writes to a file of its own. What
//! it holds is bounded: a page of entries, [`Bounds`] of clean members, and [`SAVE_AT`] dirty ones, which are then saved.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use hansa_auditor::{Auditor, Bounds, Certificate, CycleTotals, Finding, Stop};
use hansa_store::{AuditCutRow, AuditSave, EntryRow, ReferenceRow, Store};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    Progress, effects,
    ledger::{Ledger, Prices},
    source::{self, Stores},
};
use crate::sequencer::Sequencer;

/// Entries of a page at most.
const PAGE_ROWS: u32 = 128;

/// Bytes of a page.
const PAGE_BYTES: usize = 4 << 20;

/// Dirty members and references at which they are saved: some 10 MB in one transaction.
const SAVE_AT: usize = 20_000;

/// With nothing to read, what changed is saved at the latest this long after the last save: bounds what a restart audits again.
const SAVE_AFTER: Duration = Duration::from_secs(5);

/// Between two looks at a log that did not grow.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After a failed read or write.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why following ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was asked to.
    Asked,
    /// The auditor found something.
    Found(Box<Finding>),
}

/// What is followed, and where to.
struct Follower<'a> {
    runtime: &'a Runtime,
    /// The log.
    log: &'a Store,
    /// The auditor's own state.
    own: &'a Store,
    /// The fold.
    ledger: Ledger,
    progress: &'a Progress,
    cancel: &'a CancellationToken,
    /// Told of each cycle that was certified, and of what it differs in from the fold's.
    certified: &'a mut dyn FnMut(&CycleTotals, Option<&Finding>),
}

/// What waits for the next save.
struct Unsaved {
    from_size: u64,
    cuts: Vec<AuditCutRow>,
    last: Instant,
}

impl Follower<'_> {
    /// Follows until it is told to end, or finds something.
    fn run(mut self) -> anyhow::Result<Ended> {
        let saved = self.runtime.block_on(self.own.audit_state())?;
        let mut auditor = match &saved {
            Some((_, state)) => Auditor::resume(state, Bounds::default())?,
            None => Auditor::new(Bounds::default()),
        };
        let from_size = saved.map_or(0, |(size, _)| size);
        anyhow::ensure!(
            auditor.size() == from_size,
            "the audit's saved state is at entry {}, and its row says {from_size}",
            auditor.size()
        );
        self.progress.set(auditor.size());
        let mut unsaved = Unsaved {
            from_size,
            cuts: Vec::new(),
            last: Instant::now(),
        };
        let mut prices = Prices::default();
        while !self.cancel.is_cancelled() {
            let from = auditor.size();
            let rows = self.log.entries(from, PAGE_ROWS, PAGE_BYTES);
            let mut rows = self.runtime.block_on(rows)?;
            if rows.last().is_some_and(|row| row.seq >= prices.size) {
                let Some(found) = self.ledger.prices(self.runtime, self.cancel)? else {
                    break;
                };
                prices = found;
            }
            // What the fold itself has not come to yet waits: its effects could not be compared.
            let ahead = rows.iter().take_while(|row| row.seq < prices.size).count();
            rows.truncate(ahead);
            for row in rows.iter().take_while(|_| !self.cancel.is_cancelled()) {
                match self.entry(&mut auditor, row, &prices)? {
                    Ok(None) => {}
                    Ok(Some(certificate)) => {
                        unsaved.cuts.push(cut(&certificate));
                        // Before anybody can read the certificate and ask how far it has come.
                        self.progress.set(auditor.size());
                        self.save(&mut auditor, &mut unsaved)?;
                        if let Some(finding) = self.compare(&auditor, &certificate)? {
                            self.note(&finding)?;
                        }
                    }
                    Err(finding) => {
                        self.note(&finding)?;
                        return Ok(Ended::Found(finding));
                    }
                }
                self.progress.set(auditor.size());
            }
            let behind = auditor.size() > unsaved.from_size;
            let idle = rows.is_empty();
            if auditor.dirty() >= SAVE_AT
                || (behind && idle && unsaved.last.elapsed() >= SAVE_AFTER)
            {
                self.save(&mut auditor, &mut unsaved)?;
            }
            if idle {
                self.pause(LOOK_EVERY);
            }
        }
        self.save(&mut auditor, &mut unsaved)?;
        Ok(Ended::Asked)
    }

    /// Audits an entry and compares its effects.
    fn entry(
        &self,
        auditor: &mut Auditor,
        row: &EntryRow,
        prices: &Prices,
    ) -> anyhow::Result<Result<Option<Certificate>, Box<Finding>>> {
        let Some(entry) = source::entry(row) else {
            return Ok(Err(Box::new(source::broken(row.seq))));
        };
        let mut stores = Stores {
            runtime: self.runtime,
            log: self.log,
            own: self.own,
        };
        let certificate = loop {
            match auditor.audit(&entry, &mut stores) {
                Ok(certificate) => break certificate,
                Err(Stop::Finding(finding)) => return Ok(Err(finding)),
                Err(Stop::Source(error)) if !self.cancel.is_cancelled() => {
                    tracing::warn!(%error, leaf = entry.leaf, "the auditor cannot read; it tries again");
                    self.pause(RETRY_AFTER);
                }
                Err(other) => return Err(other.into()),
            }
        };
        match effects::difference(auditor, &entry, row, prices) {
            Some(finding) => Ok(Err(Box::new(finding))),
            None => Ok(Ok(certificate)),
        }
    }

    /// Compares a certified cycle with the signed checkpoint at its close, and with the fold's; waits for the fold to have closed
    /// it, too.
    fn compare(
        &mut self,
        auditor: &Auditor,
        certificate: &Certificate,
    ) -> anyhow::Result<Option<Finding>> {
        let ours = &certificate.totals;
        let theirs = loop {
            match self.ledger.totals(self.runtime, self.cancel, ours.number)? {
                Some(theirs) => break theirs,
                None if self.cancel.is_cancelled() => return Ok(None),
                None => self.pause(LOOK_EVERY),
            }
        };
        let checkpoint = self.log.checkpoint(certificate.size);
        let checkpoint = self.runtime.block_on(checkpoint)?;
        let finding = checkpoint
            .and_then(|row| super::unsealed(auditor, certificate, &row.note))
            .or_else(|| super::difference(ours, &theirs));
        (self.certified)(ours, finding.as_ref());
        Ok(finding)
    }

    fn save(&self, auditor: &mut Auditor, unsaved: &mut Unsaved) -> anyhow::Result<()> {
        if auditor.size() == unsaved.from_size {
            return Ok(());
        }
        let save = auditor.save();
        let members = save.members.into_iter();
        let references = save.references.into_iter();
        let row = AuditSave {
            from_size: unsaved.from_size,
            size: save.size,
            state: save.state.into(),
            members: members
                .map(|(number, data)| (number, Bytes::from(data)))
                .collect(),
            references: references
                .map(|((merchant, reference), member)| ReferenceRow {
                    merchant,
                    reference,
                    member,
                })
                .collect(),
            cuts: std::mem::take(&mut unsaved.cuts),
        };
        self.runtime
            .block_on(async {
                self.own.audit_save(&row).await?;
                self.own.tidy().await
            })
            .context("the audit cannot be saved")?;
        unsaved.from_size = row.size;
        unsaved.last = Instant::now();
        Ok(())
    }

    fn note(&self, finding: &Finding) -> anyhow::Result<()> {
        tracing::error!(%finding, "the auditor disagrees");
        let bytes = finding.to_bytes();
        self.runtime
            .block_on(self.own.note_audit_finding(finding.leaf, &bytes))
            .context("what the auditor found cannot be written down")?;
        self.progress.found(finding.clone());
        Ok(())
    }

    fn pause(&self, time: Duration) {
        pause(self.runtime, self.cancel, time);
    }
}

fn cut(certificate: &Certificate) -> AuditCutRow {
    let totals = &certificate.totals;
    AuditCutRow {
        cycle: totals.number,
        cut_seq: totals.cut_leaf.unwrap_or(0),
        closed_seq: totals.closed_leaf.unwrap_or(0),
        root: certificate.root,
        totals: totals.to_bytes().into(),
    }
}

/// Which log is followed, and where the state is.
#[derive(Debug, Clone)]
pub(super) struct Where {
    /// The log's database.
    pub(super) database: String,
    /// The database of the auditor's own state.
    pub(super) own: String,
    /// Name of the connections at PostgreSQL.
    pub(super) application_name: String,
}

/// Follows from the last save until it is told to end or finds something. Without a sequencer the fold is the stored one.
pub(super) fn from_last_save(
    runtime: &Runtime,
    at: &Where,
    sequencer: Option<&Sequencer>,
    progress: &Progress,
    cancel: &CancellationToken,
    certified: &mut dyn FnMut(&CycleTotals, Option<&Finding>),
) -> anyhow::Result<Ended> {
    let log = super::open_log(runtime, &at.database, &at.application_name)?;
    let own = super::open_own(runtime, &at.own, &at.application_name)?;
    let follower = Follower {
        runtime,
        log: &log,
        own: &own,
        ledger: match sequencer {
            Some(sequencer) => Ledger::Sequencer(sequencer.clone()),
            None => Ledger::Store(log.clone()),
        },
        progress,
        cancel,
        certified,
    };
    let ended = follower.run();
    // What was saved is saved, whatever the close says.
    if let Err(error) = runtime.block_on(async { own.close().await.and(log.close().await) }) {
        tracing::debug!(%error, "closing the audit's databases");
    }
    ended
}

/// A runtime for the auditor's own reads and writes, on the calling thread.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the auditor cannot start")
}

/// How far the auditor steps back, in Linux's niceness (0-19). Beside a thread that never rests it gets a tenth of a processor: traffic
/// hardly feels it, and a cycle that waits for its approval is audited all the same. At 19 it would be a seventieth: on a machine that
/// something else keeps busy for hours, nobody could approve anything.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Gives everybody else the processors first. On Linux this is the calling thread's priority, and that of the threads that it
/// starts, SQLite's among them; elsewhere it would be the whole process's, and is left alone.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::warn!(%error, "the auditor runs at the usual priority");
    }
}

/// Follows the log of the hub that this process owns, on the calling thread, until it is told to end. After a failure of a store it
/// begins again from its last save.
pub(super) fn beside_the_hub(
    at: &Where,
    sequencer: &Sequencer,
    progress: &Progress,
    cancel: &CancellationToken,
) {
    step_back();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no auditor");
            return;
        }
    };
    let mut certified = |totals: &CycleTotals, finding: Option<&Finding>| {
        let agrees = finding.is_none();
        tracing::info!(cycle = totals.number, agrees, "cycle audited");
    };
    while !cancel.is_cancelled() {
        let followed = from_last_save(
            &runtime,
            at,
            Some(sequencer),
            progress,
            cancel,
            &mut certified,
        );
        match followed {
            Ok(Ended::Asked | Ended::Found(_)) => return,
            // The owner that it reads from has ended.
            Err(error) if cancel.is_cancelled() => tracing::debug!(%error, "the auditor ended"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the auditor begins again"),
        }
        pause(&runtime, cancel, RETRY_AFTER);
    }
}

fn pause(runtime: &Runtime, cancel: &CancellationToken, time: Duration) {
    runtime.block_on(async {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = cancel.cancelled() => {}
        }
    });
}
