//! The log as a chain: no gaps, time that never goes back, leaves, the tree, its checkpoints.

use std::collections::VecDeque;

use hansa_client::{
    keys::{VerifyingKey, hex},
    leaf::{LEAF_DATA_LEN, leaf_data, leaf_hash},
    note::LogVerifier,
};
use hansa_proto::v1;
use hansa_store::CheckpointRow;

use super::{
    report::{Loss, Mismatch, micros_text},
    source::Item,
};
use crate::tlog::{Frontier, Hash};

/// The parts of a leaf's data, by their first byte and name.
const PARTS: [(usize, usize, &str); 3] = [
    (0, 32, "leaf data: digest of the envelope"),
    (32, 40, "leaf data: decided_at"),
    (40, LEAF_DATA_LEN, "leaf data: digest of the outcomes"),
];

/// What was seen of the log so far.
#[derive(Debug)]
pub(super) struct Chain {
    frontier: Frontier,
    last_decided_at: i64,
    key: Option<VerifyingKey>,
    verifier: Option<LogVerifier>,
    lost: Vec<Loss>,
    /// Checkpoints that are not reached yet, smallest first.
    waiting: VecDeque<CheckpointRow>,
    verified: u64,
}

impl Chain {
    pub(super) fn new() -> Self {
        Self {
            frontier: Frontier::new(),
            last_decided_at: i64::MIN,
            key: None,
            verifier: None,
            lost: Vec::new(),
            waiting: VecDeque::new(),
            verified: 0,
        }
    }

    /// Number of entries so far.
    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Checkpoints that were verified.
    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    pub(super) fn verifier(&self) -> Option<&LogVerifier> {
        self.verifier.as_ref()
    }

    /// The highest `decided_at` so far, microseconds.
    pub(super) fn last_decided_at(&self) -> i64 {
        self.last_decided_at
    }

    /// The log says who signs it.
    pub(super) fn begin(&mut self, genesis: &v1::Genesis) -> Result<(), Mismatch> {
        let broken = |error: &dyn std::fmt::Display| {
            Mismatch::new("the log's name and key", error, "a key that can sign").at(0)
        };
        let key = VerifyingKey::from_bytes(&genesis.hub_public_key).map_err(|e| broken(&e))?;
        let verifier = LogVerifier::new(genesis.origin.as_str(), key).map_err(|e| broken(&e))?;
        (self.key, self.verifier) = (Some(key), Some(verifier));
        Ok(())
    }

    /// What was signed under an earlier name and is lost.
    pub(super) fn lost(&self) -> &[Loss] {
        &self.lost
    }

    /// The log goes on under another name from this entry on.
    pub(super) fn reopen(&mut self, reopened: &v1::LogReopened) -> Result<(), Mismatch> {
        let seq = self.frontier.size();
        let what = "the log's new name";
        let broken = |recorded: &dyn std::fmt::Display, recomputed: &dyn std::fmt::Display| {
            Mismatch::new(what, recorded, recomputed).at(seq)
        };
        let (Some(key), Some(before)) = (&self.key, &self.verifier) else {
            return Err(broken(&"given", &"no entry names the log's key"));
        };
        let earlier = self.lost.iter().map(|loss| loss.origin.as_str());
        if earlier
            .chain([before.name()])
            .any(|name| name == reopened.origin)
        {
            let name = format!("\"{}\"", reopened.origin);
            return Err(broken(&name, &"a name that the log never had"));
        }
        let lost = before
            .open(&reopened.lost_checkpoint)
            .map_err(|error| broken(&error, before))?;
        let entries = lost
            .size
            .checked_sub(seq)
            .filter(|entries| *entries > 0)
            .ok_or_else(|| {
                broken(
                    &format_args!("{} entries were signed", lost.size),
                    &"more than there are",
                )
            })?;
        let verifier = LogVerifier::new(reopened.origin.as_str(), *key)
            .map_err(|error| broken(&format!("\"{}\"", reopened.origin), &error))?;
        self.lost.push(Loss {
            origin: lost.origin,
            first: seq,
            entries,
        });
        self.verifier = Some(verifier);
        Ok(())
    }

    /// Place and time of an entry.
    pub(super) fn place(&mut self, item: &Item) -> Result<(), Mismatch> {
        let expected = self.frontier.size();
        if item.seq != expected {
            let found = format_args!("entry {} follows", item.seq).to_string();
            return Err(Mismatch::new("the sequence of entries", found, "no gaps").at(expected));
        }
        if item.decided_at < self.last_decided_at {
            let recomputed = format!("{} or later", micros_text(self.last_decided_at));
            let recorded = micros_text(item.decided_at);
            return Err(Mismatch::new("decided_at goes back", recorded, recomputed).at(expected));
        }
        self.last_decided_at = item.decided_at;
        Ok(())
    }

    /// The leaf of an entry.
    pub(super) fn leaf(&self, item: &Item, envelope: &v1::Envelope) -> Result<(), Mismatch> {
        let data = leaf_data(envelope, item.decided_at, &item.outcomes);
        for (from, to, what) in PARTS {
            let recorded = item.leaf_data.get(from..to).unwrap_or_default();
            if recorded != &data[from..to] {
                return Err(Mismatch::new(what, hex(recorded), hex(&data[from..to])).at(item.seq));
            }
        }
        if item.leaf_data.len() == data.len() {
            return Ok(());
        }
        Err(Mismatch::new("leaf data", hex(&item.leaf_data), hex(&data)).at(item.seq))
    }

    /// Appends an entry's leaf to the tree.
    pub(super) fn append(&mut self, item: &Item) -> Result<(), Mismatch> {
        let hashes = self.frontier.append(leaf_hash(&item.leaf_data));
        match &item.stored {
            Some(stored) if *stored.tree_hashes != *hashes => {
                Err(
                    Mismatch::new("hashes of the tree", hex(&stored.tree_hashes), hex(&hashes))
                        .at(item.seq),
                )
            }
            _ => Ok(()),
        }
    }

    /// Checkpoints that come next, ascending.
    pub(super) fn expect(&mut self, checkpoints: Vec<CheckpointRow>) {
        self.waiting.extend(checkpoints);
    }

    /// Whether more checkpoints must be read before the next entry.
    pub(super) fn wants_checkpoints(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Verifies the checkpoints that stand at the tree as it is.
    pub(super) fn checkpoints(&mut self) -> Result<(), Mismatch> {
        while let Some(row) = self.waiting.front() {
            if row.tree_size > self.frontier.size() {
                break;
            }
            self.holds(&row.note, row.tree_size, "the signed checkpoint")?;
            self.verified += 1;
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Whether a note is this log's checkpoint of the tree as it is.
    pub(super) fn holds(&self, note: &str, size: u64, what: &str) -> Result<(), Mismatch> {
        let entry = self.frontier.size().saturating_sub(1);
        let mismatch = |recorded: String, recomputed: String| {
            Mismatch::new(what, recorded, recomputed).at(entry)
        };
        let Some(verifier) = &self.verifier else {
            return Err(mismatch(
                "there".into(),
                "no entry names the log's key".into(),
            ));
        };
        let checkpoint = verifier
            .open(note)
            .map_err(|error| mismatch(error.to_string(), format!("signed by {verifier}")))?;
        let tell = |size: u64, root: &Hash| format!("{size} entries with root {}", hex(root));
        let (found, root) = (self.frontier.size(), self.frontier.root());
        if checkpoint.size != found || checkpoint.size != size || checkpoint.root != root {
            return Err(mismatch(
                tell(checkpoint.size, &checkpoint.root),
                tell(found, &root),
            ));
        }
        Ok(())
    }
}
