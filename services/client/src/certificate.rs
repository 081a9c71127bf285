//! Certificates of cycles: what the hub signs about a closed cycle, verified with nothing but the log's key.
//!
//! A cycle is an interval of the log: its messages are those of the leaves behind the cut before it, up to its own cut. Both
//! cuts, and the entry that closed the cycle, are the last leaves of trees whose checkpoints the log signed, and each tree
//! extends the one before.

use std::ops::RangeInclusive;

use hansa_proto::CYCLE_CERTIFICATE_PAYLOAD_TYPE;
use hansa_proto::v1::{self, CycleCertificate, Envelope};
use prost::Message as _;

use crate::dsse::{self, DsseError};
use crate::note::{Checkpoint, LogVerifier, NoteError};
use crate::proof::{ProofError, hashes, verify_consistency};

/// Why a certificate does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The envelope is none of this kind, or the log did not sign it.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// The payload is no certificate.
    #[error("the envelope does not hold a certificate of a cycle")]
    Undecodable,
    /// A part that must be there is missing, or contradicts another one.
    #[error("the certificate contradicts itself: {0}")]
    Contradiction(&'static str),
    /// A checkpoint does not hold.
    #[error("the checkpoint at {at}: {error}")]
    Checkpoint {
        /// Which.
        at: &'static str,
        /// Why.
        error: NoteError,
    },
    /// A tree does not extend the one before.
    #[error("the tree at {at} does not extend the one before: {error}")]
    NotExtended {
        /// Which.
        at: &'static str,
        /// Why.
        error: ProofError,
    },
}

/// A cycle whose certificate holds.
#[derive(Clone, Debug, PartialEq)]
pub struct CertifiedCycle {
    /// Running number from 1.
    pub number: u32,
    /// Leaves whose messages are the cycle's. The last one is its cut.
    pub leaves: RangeInclusive<u64>,
    /// The tree whose last leaf is the cut before; `None` for the first cycle.
    pub opening: Option<Checkpoint>,
    /// The tree whose last leaf is the cycle's cut.
    pub cut: Checkpoint,
    /// The tree whose last leaf closed the cycle.
    pub closed: Checkpoint,
    /// All that it says.
    pub certificate: CycleCertificate,
}

/// Verifies the certificate in an envelope.
///
/// # Errors
/// [`CertificateError`].
pub fn verify_certificate(
    envelope: &Envelope,
    log: &LogVerifier,
) -> Result<CertifiedCycle, CertificateError> {
    dsse::verify(envelope, CYCLE_CERTIFICATE_PAYLOAD_TYPE, log.key())?;
    let certificate = CycleCertificate::decode(envelope.payload.clone())
        .map_err(|_| CertificateError::Undecodable)?;
    let contradiction = CertificateError::Contradiction;
    let cycle = certificate
        .cycle
        .as_ref()
        .ok_or(contradiction("no cycle"))?;
    let number = cycle.cycle_number;
    let (Some(cut), Some(closed)) = (cycle.cut_leaf_index, cycle.closed_leaf_index) else {
        return Err(contradiction("a cycle that is not closed"));
    };
    if number == 0 || cycle.state() != v1::CycleState::Closed || cycle.digest.len() != 64 {
        return Err(contradiction("a cycle that is not closed"));
    }
    if certificate.messages != cycle.messages_accepted + cycle.messages_refused {
        return Err(contradiction(
            "messages that are neither accepted nor refused",
        ));
    }
    let opening = match (certificate.opening_cut_leaf_index, number) {
        (None, 1) => None,
        (Some(before), 2..) if before < cut => {
            let note = &certificate.opening_checkpoint;
            Some(checkpoint(log, note, before, "the cut before")?)
        }
        _ => return Err(contradiction("the cut before")),
    };
    if closed <= cut {
        return Err(contradiction("closed before it was cut"));
    }
    let cut_tree = checkpoint(log, &certificate.cut_checkpoint, cut, "the cut")?;
    let closed_tree = checkpoint(
        log,
        &certificate.closed_checkpoint,
        closed,
        "the closing entry",
    )?;
    let proof = &certificate.opening_to_cut_proof;
    match &opening {
        Some(opening) => extends(opening, &cut_tree, proof, "the cut")?,
        None if proof.is_empty() => {}
        None => return Err(contradiction("a proof from no tree")),
    }
    let proof = &certificate.cut_to_closed_proof;
    extends(&cut_tree, &closed_tree, proof, "the closing entry")?;
    Ok(CertifiedCycle {
        number,
        leaves: opening.as_ref().map_or(0, |opening| opening.size)..=cut,
        opening,
        cut: cut_tree,
        closed: closed_tree,
        certificate,
    })
}

/// The signed checkpoint whose last leaf is `leaf`.
fn checkpoint(
    log: &LogVerifier,
    note: &str,
    leaf: u64,
    at: &'static str,
) -> Result<Checkpoint, CertificateError> {
    let checkpoint = log
        .open(note)
        .map_err(|error| CertificateError::Checkpoint { at, error })?;
    if checkpoint.size.checked_sub(1) == Some(leaf) {
        Ok(checkpoint)
    } else {
        Err(CertificateError::Contradiction(
            "a checkpoint that does not stand at its leaf",
        ))
    }
}

fn extends(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: &[impl AsRef<[u8]>],
    at: &'static str,
) -> Result<(), CertificateError> {
    hashes(proof)
        .and_then(|proof| verify_consistency(old.size, &old.root, new.size, &new.root, &proof))
        .map_err(|error| CertificateError::NotExtended { at, error })
}
