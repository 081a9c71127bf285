//! `hansa verify`: decides the whole log again from entry 0 and compares.
//!
//! It trusts nothing that it can recompute. From the entries alone it rebuilds the tree, the keys, the terms and every
//! member, decides each message with the ledger's own rules and its own complete maps of ids and references, and
//! compares leaf, tree, checkpoints, outcomes, effects, cycles' digests and the stored projection, to the byte. The
//! first difference ends it.
//!
//! - [`Source`]: entries by pages, of a store or of a hub
//! - `chain`: places, leaves, the tree, checkpoints
//! - `fold`, `facts`: signatures, decisions, facts
//! - `placed`: which cycle each message is in, by the cuts alone
//! - `finance`: payment files and attachments
//! - `queries`: what queries say of conversions
//! - `derive`: the documents of a cycle, byte for byte
//! - `members`: all members, and the stored projection beside them
//! - [`receipt`]: one receipt, without the log
//!
//! Memory: about 60 bytes a message id, 60 a reference, and 200 a member; entries are read by pages. What it does not
//! show: that the log is the one that everybody sees. Compare the verifier key and the root with other parties'.

mod chain;
mod derive;
mod facts;
mod finance;
mod fold;
mod members;
mod placed;
mod queries;
pub mod receipt;
mod report;
mod source;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use hansa_client::{
    keys::hex,
    note::{Checkpoint, LogVerifier},
};

pub use derive::{Document, compare};
pub use members::Projection;
pub use report::{
    Counts, CycleReport, Failure, HubMicros, Loss, Mismatch, ProjectionReport, Report,
};
pub use source::Source;

use crate::sequencer::state::ReplayCache;
use chain::Chain;
use derive::Derivation;
use fold::{Fold, Opened};
use members::Members;
use source::Item;

/// What the log is held against besides itself. Read it before [`run`] asks for the size of the log: what was signed
/// or projected by then must be in it.
#[derive(Debug, Default)]
pub struct Against {
    /// The checkpoint that is kept outside the database: its file and its text.
    pub anchor: Option<(PathBuf, String)>,
    /// The log's key as it is known from elsewhere.
    pub verifier_key: Option<LogVerifier>,
    /// The stored projection.
    pub projection: Option<Projection>,
    /// The number of a closed cycle whose documents are to be made again.
    pub cycle: Option<u32>,
}

/// Verifies a log. `progress` is told the number of verified entries and that of all, every page.
pub async fn run(
    source: Source,
    against: Against,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, Failure> {
    let size = source.size().await?;
    if size == 0 {
        return Err(Failure::Other(anyhow::anyhow!(
            "there is no log: it has no entry"
        )));
    }
    let mut verification = Verification {
        chain: Chain::new(),
        fold: Fold::new(
            Members::new(against.projection),
            against.cycle.map(Derivation::new),
        ),
        firsts: ReplayCache::default(),
        anchor: against.anchor,
        anchored: None,
        verifier_key: against.verifier_key,
        source: source.clone(),
        size,
    };
    let fetch = |from: u64| {
        let source = source.clone();
        tokio::spawn(async move { source.page(from).await })
    };
    // The next page is read while this one is decided.
    let mut next = fetch(0);
    while verification.chain.size() < size {
        let page = next.await.context("reading a page")??;
        let Some(last) = page.last() else {
            let missing = verification.chain.size();
            return Err(source::missing(missing, size, "the newest checkpoint"));
        };
        next = fetch(last.seq.saturating_add(1));
        for item in page.iter().take_while(|item| item.seq < size) {
            verification.entry(item).await?;
        }
        progress(verification.chain.size(), size);
    }
    next.abort();
    verification.compare_global()?;
    let documents = verification.derived().await?;
    let mut report = verification.finish()?;
    report.documents = documents;
    Ok(report)
}

struct Verification {
    chain: Chain,
    fold: Fold,
    firsts: ReplayCache,
    anchor: Option<(PathBuf, String)>,
    anchored: Option<Checkpoint>,
    verifier_key: Option<LogVerifier>,
    source: Source,
    size: u64,
}

impl Verification {
    async fn entry(&mut self, item: &Item) -> Result<(), Failure> {
        self.compare_global()?;
        self.chain.place(item)?;
        let Some(envelope) = &item.envelope else {
            let what = "the stored envelope";
            let mismatch = Mismatch::new(what, "other bytes", "an envelope, and nothing behind it");
            return Err(mismatch.at(item.seq).into());
        };
        let leaf = self.chain.leaf(item, envelope);
        let decided = match self.fold.open(item, envelope) {
            Ok(opened) => self.decide(item, &opened).await,
            Err(mismatch) => Err(mismatch.into()),
        };
        match (leaf, decided) {
            (Ok(()), decided) => decided?,
            // That the leaf does not fit is the wider statement; a message that differs is the closer one.
            (Err(_), Err(Failure::Mismatch(closer))) if closer.message.is_some() => {
                return Err(Failure::Mismatch(closer));
            }
            (Err(leaf), _) => return Err(leaf.into()),
        }
        self.chain.append(item)?;
        if self.chain.wants_checkpoints() {
            let from = self.chain.size();
            let page = self.source.checkpoints(from, self.size).await?;
            self.chain.expect(page);
        }
        self.chain.checkpoints()?;
        self.compare_anchor()?;
        Ok(())
    }

    async fn decide(&mut self, item: &Item, opened: &Opened) -> Result<(), Failure> {
        if let (0, Opened::Facts(written)) = (item.seq, opened) {
            self.begin(written)?;
        } else if let Opened::Facts(written) = opened
            && let Some(reopened) = fold::reopened(written)
        {
            self.chain.reopen(reopened)?;
            self.named()?;
        }
        for seq in self.fold.repeats(item, opened) {
            if self.firsts.get(seq).is_none() {
                let entry = self.source.first_entry(seq).await?;
                self.firsts.insert(seq, Arc::new(entry));
            }
        }
        if let Opened::Facts(written) = opened {
            self.compare_queries(item, written).await?;
        }
        self.fold.decide(item, opened, &self.firsts)?;
        self.firsts.trim();
        if let Opened::Facts(written) = opened {
            for attachment in finance::attachments(written) {
                self.source.check_attachment(attachment, item.seq).await?;
            }
        }
        Ok(())
    }

    /// The first entry says whose log this is; from here on what was said elsewhere can be compared.
    fn begin(&mut self, written: &hansa_proto::v1::Facts) -> Result<(), Failure> {
        let Some(genesis) = fold::genesis(written) else {
            return Err(Mismatch::new("the first entry", "other facts", "genesis")
                .at(0)
                .into());
        };
        self.chain.begin(genesis)?;
        self.named()
    }

    /// The log has this name from here on: what was said elsewhere under it can be compared.
    fn named(&mut self) -> Result<(), Failure> {
        let Some(verifier) = self.chain.verifier() else {
            return Ok(());
        };
        let size = self.chain.size();
        if let Some(known) = &self.verifier_key
            && known.name() == verifier.name()
            && known != verifier
        {
            return Err(Mismatch::new("the log's key", verifier, known)
                .at(size)
                .into());
        }
        let Some((path, note)) = &self.anchor else {
            return Ok(());
        };
        if note.lines().next() != Some(verifier.name()) {
            return Ok(());
        }
        let what = format!("the checkpoint kept in {}", path.display());
        let anchored = verifier
            .open(note)
            .map_err(|error| Mismatch::new(what, error, verifier))?;
        if anchored.size > self.size {
            return Err(source::missing(
                self.size,
                anchored.size,
                "the checkpoint kept outside the database",
            ));
        }
        self.anchored = Some(anchored);
        Ok(())
    }

    /// What was said elsewhere under names that the log does not have.
    fn compare_names(&self) -> Result<(), Mismatch> {
        let Some(verifier) = self.chain.verifier() else {
            return Ok(());
        };
        if let Some(known) = self
            .verifier_key
            .as_ref()
            .filter(|known| *known != verifier)
        {
            return Err(Mismatch::new("the log's key", verifier, known).at(0));
        }
        match &self.anchor {
            Some((path, note)) if self.anchored.is_none() => {
                let what = format!("the checkpoint kept in {}", path.display());
                let error = verifier.open(note).err();
                let recorded = error.map_or_else(|| "not compared".to_owned(), |e| e.to_string());
                Err(Mismatch::new(what, recorded, verifier))
            }
            _ => Ok(()),
        }
    }

    fn compare_anchor(&self) -> Result<(), Mismatch> {
        match (&self.anchored, &self.anchor) {
            (Some(anchored), Some((_, note))) if anchored.size == self.chain.size() => {
                let what = "the checkpoint kept outside the database";
                self.chain.holds(note, anchored.size, what)
            }
            _ => Ok(()),
        }
    }

    fn compare_global(&mut self) -> Result<(), Mismatch> {
        let (size, last) = (self.chain.size(), self.chain.last_decided_at());
        let Fold {
            members,
            global,
            registry,
            placed,
            ..
        } = &mut self.fold;
        members.compare_global(size, global, registry, placed.messages(), last)
    }

    fn finish(mut self) -> Result<Report, Failure> {
        self.compare_global()?;
        self.compare_names()?;
        let global = &self.fold.global;
        let what = "the sums of the alliance at the end";
        global
            .check_invariants()
            .map_err(|violation| Mismatch::new(what, "the log", violation))?;
        self.fold.members.add_up(global)?;
        global
            .cycles()
            .iter()
            .try_for_each(|cycle| self.fold.placed.check(cycle))?;
        let projection = self.fold.members.finish(self.size)?;
        let (registry, digests) = (&self.fold.registry, &self.fold.digests);
        let cycles = global.cycles().iter().map(|cycle| {
            let digest = digests.get(&crate::convert::cycle_number(cycle.no));
            CycleReport::new(cycle, registry, digest.map(Vec::as_slice))
        });
        let cycles = cycles.collect();
        let mut counts = self.fold.counts;
        counts.members = self.fold.members.len();
        counts.merchants = registry.slugs.len() as u64;
        counts.references = self.fold.references.len() as u64;
        counts.outstanding_points = global.counts().outstanding_points();
        Ok(Report {
            origin: registry.origin.clone(),
            verifier_key: self
                .chain
                .verifier()
                .map(ToString::to_string)
                .unwrap_or_default(),
            lost: self.chain.lost().to_vec(),
            size: self.size,
            root: hex(&self.chain.root()),
            currency: global.currency().to_string(),
            counts,
            checkpoints: self.chain.verified(),
            anchored_size: self.anchored.map(|checkpoint| checkpoint.size),
            effects_compared: matches!(self.source, Source::Store(_)),
            projection,
            cycles,
            documents: Vec::new(),
        })
    }
}
