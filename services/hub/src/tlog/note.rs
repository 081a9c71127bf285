//! Signs checkpoints: C2SP tlog-checkpoint inside a C2SP signed-note, Ed25519.
//!
//! A checkpoint is the text "origin\nsize\nbase64(root)\n", an empty line, and the line
//! "— name base64(key hash | signature)". The log's key carries the origin as its name. They are read and verified by
//! `hansa_client::note`, so that the hub and its merchants agree on what holds.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hansa_client::keys::SigningKey;

pub use hansa_client::note::{Checkpoint, LogVerifier, NoteError};

use super::hash::Hash;

/// The log's signing key with its origin.
#[derive(Clone, Debug)]
pub struct CheckpointSigner {
    key: Arc<SigningKey>,
    verifier: LogVerifier,
}

impl CheckpointSigner {
    /// Signs for the log `origin`.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`] for an origin that is empty or has white space, control characters or `+`.
    pub fn new(origin: &str, key: Arc<SigningKey>) -> Result<Self, NoteError> {
        let verifier = LogVerifier::new(origin, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.verifier.name()
    }

    /// What verifies the checkpoints. Written (`to_string`) it is the log's verifier key in C2SP form.
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// The signed note over a tree of `size` leaves. The same tree signed again is the same note: Ed25519 is
    /// deterministic.
    pub fn sign(&self, size: u64, root: &Hash) -> String {
        let origin = self.origin();
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        let mut signature = self.verifier.key_hash().to_be_bytes().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()));
        let signature = STANDARD.encode(signature);
        format!("{text}\n\u{2014} {origin} {signature}\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// PKCS#8 version 1 in front of an Ed25519 seed (RFC 8410).
    const PKCS8_PREFIX: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];

    /// The signer of `origin` whose key's seed is this byte, 32 times.
    pub(in super::super) fn signer(origin: &str, seed: u8) -> CheckpointSigner {
        let key = SigningKey::from_pkcs8(&[&PKCS8_PREFIX[..], &[seed; 32]].concat()).unwrap();
        CheckpointSigner::new(origin, Arc::new(key)).unwrap()
    }

    #[test]
    fn a_signed_checkpoint_is_frozen_to_the_byte() {
        let signer = signer("hansa.example/points", 7);
        // Computed by Python's `cryptography` after the text of C2SP's specifications.
        assert_eq!(
            signer.verifier().to_string(),
            "hansa.example/points+a414503d+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
        );
        assert_eq!(
            signer.sign(20_852_163, &[0xa5; 32]),
            "hansa.example/points\n\
             20852163\n\
             paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\
             \n\
             \u{2014} hansa.example/points \
             pBRQPcLKCTfcvsfqhJ/LaMet1YFj0GQSkAbzit6WshS//pH4h9dn3/3DZQ07Lac/rlh+95zo53M68oFVNrE180ItyAI=\n"
        );
    }

    #[test]
    fn signed_checkpoints_open_with_their_key_only() {
        let log = signer("hansa.example/points", 7);
        let note = log.sign(5, &[0xa5; 32]);
        let checkpoint = Checkpoint {
            origin: "hansa.example/points".to_owned(),
            size: 5,
            root: [0xa5; 32],
        };
        assert_eq!(log.verifier().open(&note), Ok(checkpoint));
        for other in [
            signer("hansa.example/points", 8),
            signer("hansa.example/miles", 7),
        ] {
            let unsigned = NoteError::Unsigned(other.origin().to_owned());
            assert_eq!(other.verifier().open(&note), Err(unsigned));
        }
    }

    #[test]
    fn an_origin_that_no_note_can_carry_is_refused() {
        let key = Arc::new(SigningKey::generate().unwrap());
        for origin in ["", "two words", "a+b", "line\nbreak", "no\u{a0}break"] {
            let refused = CheckpointSigner::new(origin, Arc::clone(&key)).unwrap_err();
            assert_eq!(refused, NoteError::VerifierKey, "{origin:?}");
        }
    }
}
