//! Proofs that the hub kept its word: RFC 6962 Merkle proofs under signed checkpoints, and whole receipts.
//!
//! Small on purpose, over ring: the crates of this field bring a second crypto backend. Tests compare it with two
//! of them on every tree up to a bound.

use hansa_proto::v1::{Envelope, Receipt};
use ring::digest::{Context, SHA256, digest};

use crate::leaf::{Hash, LEAF_DATA_LEN, finish, leaf_data, leaf_hash};
use crate::note::{Checkpoint, LogVerifier, NoteError};
use crate::time;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not below the tree's size, or the older tree is larger than the newer one.
    #[error("sizes do not fit: a leaf lies in its tree, an older tree is not larger")]
    Range,
    /// The proof has more or fewer hashes than these sizes need, or one of another length.
    #[error("the proof has the wrong number of hashes")]
    Shape,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
    /// The receipt's leaf data is not that of this envelope, time and outcomes.
    #[error("the receipt is of another envelope, time or outcomes")]
    LeafData,
    /// The receipt has no valid time.
    #[error("the receipt has no valid time of decision")]
    DecidedAt,
    /// The checkpoint does not hold.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
}

/// `SHA-256(0x01 | left | right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[1]);
    context.update(left);
    context.update(right);
    finish(context)
}

/// Root of the tree without leaves: `SHA-256()`.
#[must_use]
pub fn empty_root() -> Hash {
    finish(Context::new(&SHA256))
}

/// Verifies that the leaf `index` (from 0) with hash `leaf` is in the tree of `size` leaves and root `root`.
/// Origin: RFC 6962 section 2.1.1, verified as RFC 9162 section 2.1.3.2 says.
///
/// # Errors
/// [`ProofError::Range`], [`ProofError::Shape`], [`ProofError::Root`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range);
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Shape);
        }
        if at % 2 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            skip_lone_levels(&mut at, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Shape);
    }
    same_root(&hash, root)
}

/// Verifies that the tree of `new_size` leaves extends the tree of `old_size` leaves.
/// Origin: RFC 6962 section 2.1.2, verified as RFC 9162 section 2.1.4.2 says. The empty tree is extended by every
/// tree, with an empty proof.
///
/// # Errors
/// [`ProofError::Range`], [`ProofError::Shape`], [`ProofError::Root`].
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Range);
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::Shape);
        }
        let expected = if old_size == 0 {
            empty_root()
        } else {
            *new_root
        };
        return same_root(old_root, &expected);
    }
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at % 2 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // An old tree of a power of two is a node of the new one; its root is not repeated in the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        proof.split_first().ok_or(ProofError::Shape)?
    };
    let (mut old, mut new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Shape);
        }
        if at % 2 == 1 || at == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            skip_lone_levels(&mut at, &mut last);
        } else {
            new = node_hash(&new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Shape);
    }
    same_root(&old, old_root)?;
    same_root(&new, new_root)
}

/// A node that is the last of its level and has no sibling moves up unhashed, until it is a right child.
fn skip_lone_levels(at: &mut u64, last: &mut u64) {
    while at.is_multiple_of(2) && *at != 0 {
        *at >>= 1;
        *last >>= 1;
    }
}

fn same_root(found: &Hash, expected: &Hash) -> Result<(), ProofError> {
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Hashes of a proof as they come over the wire.
///
/// # Errors
/// [`ProofError::Shape`] where one is not 32 bytes long.
pub fn hashes<B: AsRef<[u8]>>(proof: &[B]) -> Result<Vec<Hash>, ProofError> {
    proof
        .iter()
        .map(|hash| hash.as_ref().try_into().map_err(|_| ProofError::Shape))
        .collect()
}

/// Verifies a receipt from the sender's own bytes: the envelope as sent and the outcomes as answered are what the
/// log holds at `receipt.leaf_index`, under a checkpoint that the log signed. Returns that checkpoint: keep the
/// newest, and have [`verify_consistency`] check that later ones extend it.
///
/// # Errors
/// All of [`ProofError`] but `Range` of a consistency proof.
pub fn verify_receipt(
    receipt: &Receipt,
    envelope: &Envelope,
    outcomes: &[u8],
    log: &LogVerifier,
) -> Result<Checkpoint, ProofError> {
    let decided_at = receipt
        .decided_at
        .as_ref()
        .and_then(time::micros)
        .ok_or(ProofError::DecidedAt)?;
    let data = leaf_data(envelope, decided_at, outcomes);
    if receipt.leaf_data != data {
        return Err(ProofError::LeafData);
    }
    verify_leaf(receipt, &data, log)
}

/// As [`verify_receipt`], for those who have no envelope: the receipt's own leaf data is in the log, and its
/// outcomes are these.
///
/// # Errors
/// All of [`ProofError`] but `Range` of a consistency proof.
pub fn verify_receipt_outcomes(
    receipt: &Receipt,
    outcomes: &[u8],
    log: &LogVerifier,
) -> Result<Checkpoint, ProofError> {
    let data: [u8; LEAF_DATA_LEN] = receipt
        .leaf_data
        .as_slice()
        .try_into()
        .map_err(|_| ProofError::LeafData)?;
    if data[40..] != *digest(&SHA256, outcomes).as_ref() {
        return Err(ProofError::LeafData);
    }
    verify_leaf(receipt, &data, log)
}

fn verify_leaf(
    receipt: &Receipt,
    data: &[u8; LEAF_DATA_LEN],
    log: &LogVerifier,
) -> Result<Checkpoint, ProofError> {
    let checkpoint = log.open(&receipt.checkpoint)?;
    let proof = hashes(&receipt.inclusion_proof)?;
    verify_inclusion(
        &leaf_hash(data),
        receipt.leaf_index,
        checkpoint.size,
        &proof,
        &checkpoint.root,
    )?;
    Ok(checkpoint)
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
