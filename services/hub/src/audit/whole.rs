//! A whole log at once: from its first entry, with nothing saved, for `hansa audit`.
//!
//! Costs about 250 bytes a member, 60 a reference, and 500 a conversion with what it used up, beside the pages; entries are read as they
//! come.

use std::collections::HashMap;

use anyhow::Context as _;
use hansa_auditor::{
    Auditor, Bounds, CycleTotals, Entry, Finding, ReferenceKey, Save, Source, SourceError, Stop,
};
use hansa_store::{EntryRow, Store};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{
    effects,
    ledger::{Ledger, Prices},
    source,
};

/// Entries of a page at most.
const PAGE_ROWS: u32 = 500;

/// Bytes of a page.
const PAGE_BYTES: usize = 16 << 20;

/// Changed members and references at which they are packed.
const PACK_AT: usize = 100_000;

/// A closed cycle, and whether the fold says the same.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleReport {
    /// The auditor's totals.
    pub totals: CycleTotals,
    /// Root of the tree up to its close.
    pub root: [u8; 32],
    /// Whether the hub's stored totals are the same; `None`: it has stored none yet.
    pub agrees: Option<bool>,
}

/// What came of an audit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Name of the log.
    pub origin: String,
    /// Entries that passed.
    pub size: u64,
    /// Leading entries whose recorded effects were compared: those that the stored projection covers.
    pub effects_size: u64,
    /// Root of the tree over the entries that passed.
    pub root: [u8; 32],
    /// Closed cycles, oldest first.
    pub cycles: Vec<CycleReport>,
    /// Cycles that are not closed, oldest first.
    pub open: Vec<CycleTotals>,
    /// What was found: the first contradiction of the log, and cycles on which the fold disagrees.
    pub findings: Vec<Finding>,
}

/// What changed, packed, and the log.
struct Packed<'a> {
    runtime: &'a Runtime,
    log: &'a Store,
    members: HashMap<u64, Vec<u8>>,
    references: HashMap<ReferenceKey, u64>,
}

impl Packed<'_> {
    fn keep(&mut self, save: Save) {
        self.members.extend(save.members);
        self.references.extend(save.references);
    }
}

impl Source for Packed<'_> {
    fn members(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, SourceError> {
        let found = numbers
            .iter()
            .filter_map(|number| Some((*number, self.members.get(number)?.clone())));
        Ok(found.collect())
    }

    fn references(
        &mut self,
        keys: &[ReferenceKey],
    ) -> Result<Vec<(ReferenceKey, u64)>, SourceError> {
        let found = keys
            .iter()
            .filter_map(|key| Some((*key, *self.references.get(key)?)));
        Ok(found.collect())
    }

    fn entry(&mut self, leaf: u64) -> Result<Option<Entry>, SourceError> {
        let row = self.runtime.block_on(self.log.entry(leaf))?;
        Ok(row.as_ref().and_then(source::entry))
    }
}

/// Audits the log of a store, beside its hub or without it. Blocks; `progress` is told the number of entries that passed and of all,
/// every page.
///
/// # Errors
/// When the store cannot be read. What is wrong with the log is in the report.
pub fn run(
    database: &str,
    application_name: &str,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Report> {
    let runtime = super::follow::runtime()?;
    let log = super::open_log(&runtime, database, application_name)?;
    let last = runtime.block_on(log.last_entry())?;
    let size = last.map_or(0, |head| head.seq + 1);
    anyhow::ensure!(size > 0, "there is no log: it has no entry");
    let ledger = Ledger::Store(log.clone());
    // Nobody ends it early.
    let never = CancellationToken::new();
    let prices = ledger.prices(&runtime, &never)?.unwrap_or_default();
    // Every id of the log is remembered.
    let bounds = Bounds {
        ids: usize::MAX,
        ..Bounds::default()
    };
    let mut auditor = Auditor::new(bounds);
    let mut packed = Packed {
        runtime: &runtime,
        log: &log,
        members: HashMap::new(),
        references: HashMap::new(),
    };
    let mut report = Report::default();
    'log: while auditor.size() < size {
        let page = runtime.block_on(log.entries(auditor.size(), PAGE_ROWS, PAGE_BYTES))?;
        anyhow::ensure!(!page.is_empty(), "entry {} is missing", auditor.size());
        for row in page.iter().take_while(|row| row.seq < size) {
            match pass(&mut auditor, &mut packed, row, &prices)? {
                Ok(None) => {}
                Ok(Some(cycle)) => report.cycles.push(cycle),
                Err(finding) => {
                    report.findings.push(*finding);
                    break 'log;
                }
            }
        }
        if auditor.dirty() >= PACK_AT {
            packed.keep(auditor.save());
        }
        progress(auditor.size(), size);
    }
    for cycle in &mut report.cycles {
        let ours = &cycle.totals;
        if let Some(theirs) = ledger.totals(&runtime, &never, ours.number)? {
            let finding = super::difference(ours, &theirs);
            cycle.agrees = Some(finding.is_none());
            report.findings.extend(finding);
        }
    }
    report.origin = auditor.origin().to_owned();
    report.size = auditor.size();
    report.effects_size = prices.size.min(auditor.size());
    report.root = auditor.root();
    report.open = auditor.open_cycles();
    runtime
        .block_on(log.close())
        .context("closing the database")?;
    Ok(report)
}

fn pass(
    auditor: &mut Auditor,
    packed: &mut Packed<'_>,
    row: &EntryRow,
    prices: &Prices,
) -> anyhow::Result<Result<Option<CycleReport>, Box<Finding>>> {
    let Some(entry) = source::entry(row) else {
        return Ok(Err(Box::new(source::broken(row.seq))));
    };
    let certificate = match auditor.audit(&entry, packed) {
        Ok(certificate) => certificate,
        Err(Stop::Finding(finding)) => return Ok(Err(finding)),
        Err(other) => return Err(other.into()),
    };
    if row.seq < prices.size
        && let Some(finding) = effects::difference(auditor, &entry, row, prices)
    {
        return Ok(Err(Box::new(finding)));
    }
    Ok(Ok(certificate.map(|certificate| CycleReport {
        totals: certificate.totals,
        root: certificate.root,
        agrees: None,
    })))
}
