//! The auditor beside the hub: follows the committed log behind the traffic, and answers whether it agrees with the fold.
//!
//! Three ways to run it (`--audit`): `inline`, on a thread of the process that owns the log (the default); `separate`, as a
//! process of its own (`hansa audit --follow`), whose state the hub only reads; `off`. Its state is its own: in tables that
//! nobody else writes, on PostgreSQL in the same database, on SQLite in a file beside the hub's.
//!
//! - [`certify`] - the word in the log that approvals wait for
//! - [`follow`] - the loop, its pages, its priority
//! - [`effects`] - recorded effects against derived journals
//! - [`ledger`] - the fold that is audited
//! - [`fold`] - the fold's totals in the auditor's form
//! - [`whole`] - a whole log at once, for `hansa audit`

mod certify;
mod effects;
pub mod fold;
mod follow;
mod ledger;
mod source;
pub mod whole;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::Context as _;
use clap::ValueEnum;
use hansa_auditor::{Auditor, Certificate, CycleTotals, Finding, What};
use hansa_client::{
    keys::{VerifyingKey, hex},
    note::LogVerifier,
};
use hansa_store::{Store, StoreOptions};
use serde::Deserialize;
use tokio::{runtime::Runtime, sync::OnceCell};
use tokio_util::sync::CancellationToken;

use crate::{error::HubError, sequencer::Sequencer};

/// Who audits the log of this hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    /// A thread of the process that owns the log.
    #[default]
    Inline,
    /// A process of its own, which writes where this hub reads.
    Separate,
    /// Nobody.
    Off,
}

/// How the log is audited.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// By whom.
    pub mode: AuditMode,
    /// Where the auditor's state is.
    pub database: String,
}

/// Where the auditor of a database keeps its state, where nothing else is said: in the same PostgreSQL database; beside an SQLite
/// file, in a file of its own, so that its writes never take turns with the hub's.
#[must_use]
pub fn default_database(database: &str) -> String {
    match database.strip_prefix("sqlite:") {
        Some(path) => {
            let stem = path.strip_suffix(".db").unwrap_or(path);
            format!("sqlite:{stem}-audit.db")
        }
        None => database.to_owned(),
    }
}

/// How far the auditor of this process has come.
#[derive(Debug, Default)]
pub struct Progress {
    size: AtomicU64,
    finding: Mutex<Option<Finding>>,
}

impl Progress {
    fn set(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    fn found(&self, finding: Finding) {
        let mut first = self.finding.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(finding);
    }

    fn begin(&self) {
        *self.finding.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How far the audit has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditStatus {
    /// Number of leading entries that passed.
    pub size: u64,
    /// The first thing that was found.
    pub finding: Option<Finding>,
}

/// What the auditor says of a cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certification {
    /// It passed the cycle's close and came to the same totals as the fold.
    Certified {
        /// The entry that cut the cycle.
        cut_leaf: u64,
        /// The entry that closed it.
        closed_leaf: u64,
        /// Root of the tree up to and with that entry.
        root: [u8; 32],
        /// Number of leading entries that it has audited by now, at least.
        audited_size: u64,
    },
    /// It has not come to the cycle's close yet, or nobody audits.
    Behind {
        /// Number of leading entries that passed.
        audited_size: u64,
    },
    /// It disagrees.
    Mismatch(Box<Finding>),
}

/// The auditor, as the hub's services ask it. Cheap to share.
#[derive(Debug)]
pub struct Audit {
    options: AuditOptions,
    progress: Arc<Progress>,
    /// The auditor's state, read only; opened when it is asked for first, because its own process may make it later.
    reader: OnceCell<Store>,
}

impl Audit {
    /// Nothing runs yet.
    #[must_use]
    pub fn new(options: AuditOptions) -> Self {
        Self {
            options,
            progress: Arc::default(),
            reader: OnceCell::new(),
        }
    }

    /// By whom the log is audited.
    #[must_use]
    pub const fn mode(&self) -> AuditMode {
        self.options.mode
    }

    /// Begins to follow the log that this process owns, where the auditor is inline. `cancel` ends it.
    pub fn start(
        &self,
        database: &str,
        application_name: &str,
        sequencer: &Sequencer,
        cancel: CancellationToken,
    ) -> Option<JoinHandle<()>> {
        if self.options.mode != AuditMode::Inline {
            return None;
        }
        self.progress.begin();
        let at = follow::Where {
            database: database.to_owned(),
            own: self.options.database.clone(),
            application_name: application_name.to_owned(),
        };
        let (sequencer, progress) = (sequencer.clone(), Arc::clone(&self.progress));
        let thread = std::thread::Builder::new().name("auditor".into());
        let spawned =
            thread.spawn(move || follow::beside_the_hub(&at, &sequencer, &progress, &cancel));
        match spawned {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::error!(%error, "no auditor: the system gives no thread");
                None
            }
        }
    }

    /// Writes into the log which cycles were audited, until `cancel`.
    pub async fn certify(&self, sequencer: &Sequencer, cancel: &CancellationToken) {
        certify::run(self, sequencer, cancel).await;
    }

    /// The auditor's state, where there is one.
    async fn store(&self) -> Option<&Store> {
        let open = || async {
            let options = StoreOptions {
                application_name: "hansa-audit-reader".into(),
                readers: 1,
                read_only: true,
                ..StoreOptions::default()
            };
            Store::open(&self.options.database, &options).await
        };
        match self.reader.get_or_try_init(open).await {
            Ok(store) => Some(store),
            Err(error) => {
                tracing::debug!(%error, "no audit to read yet");
                None
            }
        }
    }

    /// How far the audit has come.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn status(&self) -> Result<AuditStatus, HubError> {
        if self.options.mode == AuditMode::Inline {
            let finding = self.progress.finding.lock();
            return Ok(AuditStatus {
                size: self.progress.size.load(Ordering::Relaxed),
                finding: finding.unwrap_or_else(PoisonError::into_inner).clone(),
            });
        }
        self.stored().await
    }

    async fn stored(&self) -> Result<AuditStatus, HubError> {
        if self.options.mode == AuditMode::Off {
            return Ok(AuditStatus::default());
        }
        let Some(store) = self.store().await else {
            return Ok(AuditStatus::default());
        };
        let findings = store.audit_findings(1).await?;
        let finding = findings.first().map(|bytes| Finding::from_bytes(bytes));
        Ok(AuditStatus {
            size: store.audit_state().await?.map_or(0, |(size, _)| size),
            finding: finding.transpose().map_err(HubError::internal)?,
        })
    }

    /// What the auditor says of a cycle (its running number, from 1).
    ///
    /// # Errors
    /// Those of the store, and that this process does not own the log.
    pub async fn certified(
        &self,
        sequencer: &Sequencer,
        number: u32,
    ) -> Result<Certification, HubError> {
        let stored = self.stored().await?;
        let row = match self.store().await {
            Some(store) if self.options.mode != AuditMode::Off => store.audit_cut(number).await?,
            _ => None,
        };
        let Some(row) = row else {
            let found = self.status().await?.finding.or(stored.finding);
            return Ok(match found {
                Some(finding) => Certification::Mismatch(Box::new(finding)),
                None => Certification::Behind {
                    audited_size: stored.size,
                },
            });
        };
        let ours = CycleTotals::from_bytes(&row.totals).map_err(HubError::internal)?;
        let Some(theirs) = ledger::totals(sequencer, number).await? else {
            return Ok(Certification::Behind {
                audited_size: stored.size,
            });
        };
        Ok(match difference(&ours, &theirs) {
            Some(finding) => Certification::Mismatch(Box::new(finding)),
            None => Certification::Certified {
                cut_leaf: row.cut_seq,
                closed_leaf: row.closed_seq,
                root: row.root,
                audited_size: stored.size,
            },
        })
    }
}

/// Follows a log in a process of its own, until it is told to end or finds something, which is then answered. Told of each cycle
/// that was certified.
///
/// # Errors
/// When a store fails: run it again, it goes on from its last save.
pub fn separately(
    database: &str,
    own: &str,
    cancel: &CancellationToken,
    certified: &mut dyn FnMut(&CycleTotals, Option<&Finding>),
) -> anyhow::Result<Option<Finding>> {
    let runtime = follow::runtime()?;
    let at = follow::Where {
        database: database.to_owned(),
        own: own.to_owned(),
        application_name: "hansa-audit".to_owned(),
    };
    let progress = Progress::default();
    match follow::from_last_save(&runtime, &at, None, &progress, cancel, certified)? {
        follow::Ended::Asked => Ok(None),
        follow::Ended::Found(finding) => Ok(Some(*finding)),
    }
}

/// Forgets what the auditor saved: it begins again from the first entry. No auditor may be at work.
///
/// # Errors
/// Those of the store.
pub fn reset(own: &str) -> anyhow::Result<()> {
    let runtime = follow::runtime()?;
    let store = open_own(&runtime, own, "hansa-audit")?;
    runtime.block_on(async {
        store.reset_audit().await?;
        store.close().await
    })?;
    Ok(())
}

/// What two sides differ in over a closed cycle.
fn difference(ours: &CycleTotals, theirs: &CycleTotals) -> Option<Finding> {
    let (of, expected, found) = ours.difference(theirs)?;
    Some(Finding {
        leaf: ours.closed_leaf.unwrap_or(0),
        position: None,
        merchant: None,
        message_id: None,
        what: What::Totals,
        expected: format!("cycle {}: {of}: {expected}", ours.number),
        found,
    })
}

/// What the signed checkpoint at a cycle's close contradicts.
fn unsealed(auditor: &Auditor, certificate: &Certificate, note: &str) -> Option<Finding> {
    let expected = format!(
        "{} entries with root {}",
        certificate.size,
        hex(&certificate.root)
    );
    let verifier = VerifyingKey::from_bytes(auditor.hub_key()?)
        .ok()
        .and_then(|key| LogVerifier::new(auditor.origin(), key).ok());
    let found = match verifier.map(|verifier| verifier.open(note)) {
        Some(Ok(c)) if (c.size, c.root) == (certificate.size, certificate.root) => return None,
        Some(Ok(c)) => format!("{} entries with root {}", c.size, hex(&c.root)),
        Some(Err(error)) => error.to_string(),
        None => "a key that cannot sign".to_owned(),
    };
    Some(Finding {
        leaf: certificate.size.saturating_sub(1),
        position: None,
        merchant: None,
        message_id: None,
        what: What::Checkpoint,
        expected,
        found,
    })
}

fn options(application_name: &str, read_only: bool) -> StoreOptions {
    StoreOptions {
        application_name: application_name.to_owned(),
        readers: 1,
        read_only,
        sqlite_cache_bytes: 8 << 20,
        sqlite_reader_cache_bytes: 4 << 20,
        ..StoreOptions::default()
    }
}

/// The log, read only.
fn open_log(runtime: &Runtime, database: &str, application_name: &str) -> anyhow::Result<Store> {
    runtime
        .block_on(Store::open(database, &options(application_name, true)))
        .context("cannot open the log's database; name it with --database or --data-dir")
}

/// The auditor's own state.
fn open_own(runtime: &Runtime, database: &str, application_name: &str) -> anyhow::Result<Store> {
    runtime
        .block_on(Store::open(database, &options(application_name, false)))
        .context("cannot open the database of the auditor's own state")
}
