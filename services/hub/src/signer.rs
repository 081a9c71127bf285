//! The hub's own signature: on facts that it writes into the log, on checkpoints, and on what it certifies.

use std::sync::Arc;

use bytes::Bytes;
use hansa_client::{
    dsse,
    keys::SigningKey,
    touch_id::{SignedTouchId, TouchId},
};
use hansa_proto::{CYCLE_CERTIFICATE_PAYLOAD_TYPE, FACTS_PAYLOAD_TYPE, v1};
use prost::Message as _;

use crate::{
    error::HubError,
    registry::hub_key_id,
    tlog::{
        Frontier,
        note::{CheckpointSigner, LogVerifier},
    },
};

/// Signs for one log.
#[derive(Debug)]
pub struct Signer {
    key: Arc<SigningKey>,
    checkpoints: CheckpointSigner,
}

impl Signer {
    /// Signs for the log `origin`.
    pub fn new(key: SigningKey, origin: &str) -> Result<Self, HubError> {
        let public = *key.verifying_key().as_bytes();
        let key = Arc::new(
            key.with_key_id(hub_key_id(&public))
                .map_err(HubError::internal)?,
        );
        let checkpoints =
            CheckpointSigner::new(origin, Arc::clone(&key)).map_err(HubError::internal)?;
        Ok(Self { key, checkpoints })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.checkpoints.origin()
    }

    /// What verifies checkpoints.
    pub fn verifier(&self) -> &LogVerifier {
        self.checkpoints.verifier()
    }

    /// Identifier of the hub's key.
    pub fn key_id(&self) -> String {
        hub_key_id(&self.public_key())
    }

    /// Public half, 32 bytes.
    pub fn public_key(&self) -> [u8; 32] {
        *self.key.verifying_key().as_bytes()
    }

    /// Facts in a signed envelope.
    pub fn facts(&self, facts: &v1::Facts) -> v1::Envelope {
        dsse::sign(
            FACTS_PAYLOAD_TYPE,
            Bytes::from(facts.encode_to_vec()),
            &self.key,
        )
    }

    /// A cycle's certificate in a signed envelope.
    pub fn cycle_certificate(&self, certificate: Bytes) -> v1::Envelope {
        dsse::sign(CYCLE_CERTIFICATE_PAYLOAD_TYPE, certificate, &self.key)
    }

    /// Any payload in a signed envelope.
    pub fn sign(&self, payload_type: &'static str, payload: Bytes) -> v1::Envelope {
        dsse::sign(payload_type, payload, &self.key)
    }

    /// The click id of a touch.
    pub fn touch(&self, touch: &TouchId) -> SignedTouchId {
        touch.sign(&self.key)
    }

    /// The signed checkpoint of a tree.
    pub fn checkpoint(&self, frontier: &Frontier) -> String {
        self.checkpoints.sign(frontier.size(), &frontier.root())
    }
}
