//! Which cycle each of a merchant's messages is in, from its own receipts and the cycles' certificates: each in exactly one.
//!
//! A receipt shows at which leaf of the log a message was decided; a certificate, between which two cuts a cycle's leaves lie.
//! Intervals of different cycles do not overlap, so a leaf is in one of them or in none that is at hand (the open cycle, or a
//! certificate that is missing). A receipt's own checkpoint and the certificate's are two statements that the log signed; where
//! an inclusion proof in the tree of the cycle's cut is given, too, the leaf is shown to be in the very tree that the cut ends.

use std::collections::BTreeMap;

use hansa_proto::v1::{self, Message, Outcomes};
use prost::Message as _;

use crate::batch::{BatchError, SignedBatch};
use crate::certificate::CertifiedCycle;
use crate::ids::MessageId;
use crate::kept::KeptReceipt;
use crate::keys::hex;
use crate::leaf::{Hash, leaf_hash};
use crate::note::LogVerifier;
use crate::proof::{ProofError, verify_inclusion};

/// Why messages are not each in exactly one cycle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// Two certificates of one cycle that say different things.
    #[error("two certificates of cycle {0} contradict each other")]
    TwoCertificates(u32),
    /// A cycle that does not begin where the one before ends.
    #[error("cycle {0} does not begin where cycle {before} ends", before = .0 - 1)]
    Chain(u32),
    /// Intervals of two cycles that overlap.
    #[error("cycles {0} and {1} overlap")]
    Overlap(u32, u32),
    /// A receipt that does not hold.
    #[error("the receipt of leaf {leaf}: {error}")]
    Receipt {
        /// Its leaf.
        leaf: u64,
        /// Why.
        error: ProofError,
    },
    /// A receipt whose envelope holds no batch with as many messages as outcomes.
    #[error("the receipt of leaf {0} is not one of a batch and its outcomes")]
    NotABatch(u64),
    /// Two receipts of one leaf that say different things.
    #[error("two receipts of leaf {0} contradict each other")]
    TwoReceipts(u64),
    /// A message that was decided twice.
    #[error("message {id} was decided at leaf {first} and again at leaf {second}")]
    DecidedTwice {
        /// Its id, hexadecimal.
        id: String,
        /// Where.
        first: u64,
        /// And where.
        second: u64,
    },
    /// A message that the hub said to be in another cycle than the cuts enclose it by.
    #[error(
        "message {id} at leaf {leaf} was said to be in cycle {told}; the cuts put it into {enclosing}"
    )]
    OtherCycle {
        /// Its id, hexadecimal.
        id: String,
        /// Its leaf.
        leaf: u64,
        /// What the outcome says.
        told: u32,
        /// The cycle whose cuts enclose the leaf, in words.
        enclosing: String,
    },
    /// A leaf that is not in the tree of the cut that encloses it.
    #[error("leaf {leaf} is not in the tree of the cut of cycle {cycle}: {error}")]
    NotInCut {
        /// The leaf.
        leaf: u64,
        /// The cycle.
        cycle: u32,
        /// Why.
        error: ProofError,
    },
}

/// A merchant's messages in one cycle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InCycle {
    /// Batches with at least one of them.
    pub batches: u64,
    /// Batches that an inclusion proof shows to be in the tree of the cycle's cut.
    pub proven_batches: u64,
    /// Messages that took effect.
    pub accepted: u64,
    /// Messages that were refused.
    pub refused: u64,
}

/// Where each message is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// By cycle, those whose certificate is at hand.
    pub cycles: BTreeMap<u32, InCycle>,
    /// Messages that none of the certificates encloses: of the open cycle, or of one whose certificate is missing.
    pub outside: u64,
    /// Messages that were sent again and are in a cycle by their first answer.
    pub repeated: u64,
    /// Leaves that hold the first answer of a repeated message and whose receipt is not at hand.
    pub missing_leaves: Vec<u64>,
}

impl Assignment {
    /// Messages, each counted once.
    #[must_use]
    pub fn messages(&self) -> u64 {
        let inside = self
            .cycles
            .values()
            .map(|cycle| cycle.accepted + cycle.refused);
        inside.sum::<u64>() + self.outside
    }
}

/// Inclusion proofs in the tree of a cycle's cut, by cycle and leaf.
pub type CutProofs = BTreeMap<(u32, u64), Vec<Hash>>;

/// Puts each message of the receipts into its cycle. `cycles`: verified certificates, in any order.
///
/// # Errors
/// [`AssignmentError`]: a receipt that does not hold, or a message that is in no cycle where it must be in one, in two, or in
/// another one than the hub said.
pub fn assign(
    receipts: &[KeptReceipt],
    cycles: &[CertifiedCycle],
    proofs: &CutProofs,
    log: &LogVerifier,
) -> Result<Assignment, AssignmentError> {
    let cycles = in_order(cycles)?;
    let mut by_leaf: BTreeMap<u64, &KeptReceipt> = BTreeMap::new();
    for kept in receipts {
        let leaf = kept.receipt.leaf_index;
        if by_leaf
            .insert(leaf, kept)
            .is_some_and(|other| other != kept)
        {
            return Err(AssignmentError::TwoReceipts(leaf));
        }
    }
    let mut assignment = Assignment::default();
    let mut decided: BTreeMap<MessageId, u64> = BTreeMap::new();
    for (&leaf, kept) in &by_leaf {
        kept.verify(log)
            .map_err(|error| AssignmentError::Receipt { leaf, error })?;
        let enclosing = cycles
            .values()
            .find(|cycle| cycle.leaves.contains(&leaf))
            .copied();
        let mut here = InCycle::default();
        for (id, outcome) in messages(kept).map_err(|_| AssignmentError::NotABatch(leaf))? {
            if let Some(first) = outcome.leaf_index {
                assignment.repeated += 1;
                if !by_leaf.contains_key(&first) {
                    assignment.missing_leaves.push(first);
                }
                continue;
            }
            if let Some(first) = decided.insert(id, leaf) {
                let (id, second) = (hex(&id), leaf);
                return Err(AssignmentError::DecidedTwice { id, first, second });
            }
            told_the_same(&id, leaf, outcome.cycle_number, enclosing, &cycles)?;
            match outcome.code() {
                v1::ResultCode::Accepted => here.accepted += 1,
                _ => here.refused += 1,
            }
        }
        let count = here.accepted + here.refused;
        match enclosing {
            None => assignment.outside += count,
            Some(cycle) if count > 0 => {
                let proven = in_cut(kept, cycle, proofs)?;
                let sum = assignment.cycles.entry(cycle.number).or_default();
                sum.batches += 1;
                sum.proven_batches += u64::from(proven);
                sum.accepted += here.accepted;
                sum.refused += here.refused;
            }
            Some(_) => {}
        }
    }
    assignment.missing_leaves.sort_unstable();
    assignment.missing_leaves.dedup();
    Ok(assignment)
}

/// Certificates by number: each cycle begins where the one before ends.
fn in_order(cycles: &[CertifiedCycle]) -> Result<BTreeMap<u32, &CertifiedCycle>, AssignmentError> {
    let mut by_number: BTreeMap<u32, &CertifiedCycle> = BTreeMap::new();
    for cycle in cycles {
        let number = cycle.number;
        if let Some(other) = by_number.insert(number, cycle)
            && (other.leaves != cycle.leaves || other.cut != cycle.cut)
        {
            return Err(AssignmentError::TwoCertificates(number));
        }
    }
    for ((before, earlier), (number, later)) in by_number.iter().zip(by_number.iter().skip(1)) {
        if before + 1 == *number && later.opening.as_ref() != Some(&earlier.cut) {
            return Err(AssignmentError::Chain(*number));
        }
        if later.leaves.start() <= earlier.leaves.end() {
            return Err(AssignmentError::Overlap(*before, *number));
        }
    }
    Ok(by_number)
}

/// Ids of a batch's messages with their outcomes.
fn messages(
    kept: &KeptReceipt,
) -> Result<impl Iterator<Item = (MessageId, v1::Outcome)>, BatchError> {
    let batch = SignedBatch::from_envelope(kept.envelope.clone())?;
    let outcomes = Outcomes::decode(kept.outcomes.clone()).map_err(|_| BatchError::Undecodable)?;
    let id = |bytes: &bytes::Bytes| {
        let message = Message::decode(bytes.clone()).ok()?;
        message.message_id.try_into().ok()
    };
    let ids: Option<Vec<MessageId>> = batch.messages().iter().map(id).collect();
    let ids = ids.filter(|ids| ids.len() == outcomes.outcomes.len());
    Ok(ids
        .ok_or(BatchError::Undecodable)?
        .into_iter()
        .zip(outcomes.outcomes))
}

/// The hub said at once which cycle a message is in; the cuts must agree.
fn told_the_same(
    id: &MessageId,
    leaf: u64,
    told: u32,
    enclosing: Option<&CertifiedCycle>,
    cycles: &BTreeMap<u32, &CertifiedCycle>,
) -> Result<(), AssignmentError> {
    let enclosing = match enclosing {
        Some(cycle) if cycle.number == told => return Ok(()),
        None if !cycles.contains_key(&told) => return Ok(()),
        Some(cycle) => format!("cycle {}", cycle.number),
        None => "none of those at hand".to_owned(),
    };
    Err(AssignmentError::OtherCycle {
        id: hex(id),
        leaf,
        told,
        enclosing,
    })
}

/// Whether the receipt's leaf is shown to be in the tree of the cycle's cut; a proof that leads elsewhere is an error.
fn in_cut(
    kept: &KeptReceipt,
    cycle: &CertifiedCycle,
    proofs: &CutProofs,
) -> Result<bool, AssignmentError> {
    let leaf = kept.receipt.leaf_index;
    let Some(proof) = proofs.get(&(cycle.number, leaf)) else {
        return Ok(false);
    };
    let hash = leaf_hash(&kept.receipt.leaf_data);
    verify_inclusion(&hash, leaf, cycle.cut.size, proof, &cycle.cut.root)
        .map(|()| true)
        .map_err(|error| AssignmentError::NotInCut {
            leaf,
            cycle: cycle.number,
            error,
        })
}

#[cfg(test)]
#[path = "assignment_tests.rs"]
mod tests;
