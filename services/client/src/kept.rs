//! What a merchant keeps of a batch: the envelope as it was sent, the outcomes as they were answered, and the receipt. It is
//! complete in itself: with the log's key it proves what was decided, and where the log has it.
//!
//! A file holds one, as JSON: `envelope` as DSSE writes it, `outcomes` as base64, `receipt` as protobuf's JSON has it.

use bytes::Bytes;
use hansa_proto::v1::{Envelope, Receipt};
use prost_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json::{self, Base64};
use crate::note::{Checkpoint, LogVerifier};
use crate::proof::{ProofError, verify_receipt};

/// A batch with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptReceipt {
    /// As it was sent.
    pub envelope: Envelope,
    /// Serialized `Outcomes`, as they were answered.
    pub outcomes: Bytes,
    /// As it was answered.
    pub receipt: Receipt,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Document {
    envelope: json::Envelope,
    #[serde(with = "json::bytes", default)]
    outcomes: Vec<u8>,
    receipt: ReceiptDocument,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptDocument {
    /// Protobuf's JSON writes 64 bits as text, and leaves zeros out.
    #[serde(with = "number", default)]
    leaf_index: u64,
    #[serde(with = "instant")]
    decided_at: Timestamp,
    #[serde(with = "json::bytes")]
    leaf_data: Vec<u8>,
    #[serde(default)]
    inclusion_proof: Vec<Base64>,
    checkpoint: String,
}

mod number {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u64),
    }

    pub(super) fn serialize<S: Serializer>(value: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        match Either::deserialize(from)? {
            Either::Text(text) => text.parse().map_err(D::Error::custom),
            Either::Number(number) => Ok(number),
        }
    }
}

mod instant {
    use super::{Deserialize, Deserializer, Serializer, Timestamp};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl KeptReceipt {
    /// The text of a file.
    ///
    /// # Errors
    /// Those of `serde_json`; plain data has none.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let receipt = &self.receipt;
        let hashes = receipt.inclusion_proof.iter().cloned().map(Base64);
        let document = Document {
            envelope: (&self.envelope).into(),
            outcomes: self.outcomes.to_vec(),
            receipt: ReceiptDocument {
                leaf_index: receipt.leaf_index,
                decided_at: receipt.decided_at.unwrap_or_default(),
                leaf_data: receipt.leaf_data.clone(),
                inclusion_proof: hashes.collect(),
                checkpoint: receipt.checkpoint.clone(),
            },
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// Reads the text of a file; verifies nothing.
    ///
    /// # Errors
    /// Those of `serde_json`: not JSON, or not of this form.
    pub fn from_text(text: &str) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_str(text)?;
        let receipt = document.receipt;
        Ok(Self {
            envelope: document.envelope.into(),
            outcomes: document.outcomes.into(),
            receipt: Receipt {
                leaf_index: receipt.leaf_index,
                decided_at: Some(receipt.decided_at),
                leaf_data: receipt.leaf_data,
                inclusion_proof: receipt.inclusion_proof.into_iter().map(|b| b.0).collect(),
                checkpoint: receipt.checkpoint,
            },
        })
    }

    /// Name of the file of a leaf's receipt: sorts by the place in the log.
    #[must_use]
    pub fn file_name_of(leaf_index: u64) -> String {
        format!("receipt-{leaf_index:012}.json")
    }

    /// Verifies that the log has this envelope with these outcomes, under a checkpoint that it signed. The merchant's own
    /// signature is not looked at: the bytes are the merchant's.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(&self, log: &LogVerifier) -> Result<Checkpoint, ProofError> {
        verify_receipt(&self.receipt, &self.envelope, &self.outcomes, log)
    }
}
