//! Where the log proves a closed cycle: signed checkpoints at its cuts and at its closing entry, each extending the one before.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hansa_report::{CheckpointRef, ConsistencyProof, Digest, LineKind, Proof};
use hansa_settlement::{CycleNo, CycleTotals, Global};

use crate::{
    error::HubError,
    registry::{Owner, Registry},
    tlog::Hash,
};

/// The entries that enclose a closed cycle.
#[derive(Debug, Clone)]
pub struct Place {
    opening_cut: Option<u64>,
    cut: u64,
    closed: u64,
    messages: u64,
    digest: [u8; 32],
    key_id: String,
}

impl Place {
    /// Of a cycle that is closed.
    #[must_use]
    pub fn of(global: &Global, registry: &Registry, cycle: &CycleTotals) -> Option<Self> {
        let before = cycle.no.0.checked_sub(1).map(CycleNo);
        let hub = registry
            .keys
            .iter()
            .find(|(_, key)| key.owner == Owner::Hub);
        Some(Self {
            opening_cut: before
                .and_then(|no| global.cycle(no))
                .and_then(|c| c.cut_seq),
            cut: cycle.cut_seq?,
            closed: cycle.closed_seq?,
            messages: cycle.counts.messages(),
            digest: cycle.digest?,
            key_id: hub.map(|(id, _)| id.clone()).unwrap_or_default(),
        })
    }

    /// Leaves of the trees whose checkpoints it needs, smallest first, with what they stand at.
    #[must_use]
    pub fn trees(&self) -> Vec<(&'static str, u64)> {
        let opening = self.opening_cut.map(|leaf| ("OPENING_CUT", leaf + 1));
        let rest = [("CUT", self.cut + 1), ("CLOSED", self.closed + 1)];
        opening.into_iter().chain(rest).collect()
    }

    /// The proof, with a signed note for each tree, and for each but the first that it extends the one before.
    pub fn proof(&self, notes: &[String], extensions: Vec<Vec<Hash>>) -> Result<Proof, HubError> {
        let trees = self.trees();
        let steps = trees.windows(2).zip(extensions);
        let consistency = steps.map(|(pair, hashes)| ConsistencyProof {
            from: pair[0].1,
            to: pair[1].1,
            hashes: hashes.into_iter().map(Digest).collect(),
        });
        let checkpoints = trees.iter().zip(notes).map(|((at, size), note)| {
            let broken = || HubError::internal(format!("the checkpoint of {size} leaves is none"));
            let root = root_of(note, *size).ok_or_else(broken)?;
            Ok(CheckpointRef {
                at: LineKind::new(at),
                size: *size,
                root: Digest(root),
                note: note.clone(),
            })
        });
        Ok(Proof {
            opening_cut_leaf: self.opening_cut,
            cut_leaf: self.cut,
            closed_leaf: self.closed,
            messages: self.messages,
            cycle_digest: Digest(self.digest),
            checkpoints: checkpoints.collect::<Result<_, HubError>>()?,
            consistency: consistency.collect(),
            hub_key_id: self.key_id.clone(),
        })
    }
}

/// The root that a note states for a tree of this size. Its signature is for the reader to verify: a log that went on under
/// another name after a loss has older notes of the older name.
fn root_of(note: &str, size: u64) -> Option<Hash> {
    let mut lines = note.lines().skip(1);
    let stated: u64 = lines.next()?.parse().ok()?;
    let root = STANDARD.decode(lines.next()?).ok()?;
    (stated == size).then(|| root.try_into().ok())?
}
