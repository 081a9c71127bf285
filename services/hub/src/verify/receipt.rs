//! One receipt, verified with nothing but the log's key.

use anyhow::{Context as _, bail};
use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hansa_client::{
    leaf::LEAF_DATA_LEN,
    note::{Checkpoint, LogVerifier},
    proof::verify_receipt_outcomes,
};
use hansa_proto::v1;
use prost::Message as _;
use serde_json::Value;

use super::report::{Failure, Mismatch, micros_text};
use crate::convert::{micros, timestamp};

/// A receipt with the outcomes that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The receipt.
    pub receipt: v1::Receipt,
    /// Serialized `Outcomes`.
    pub outcomes: Vec<u8>,
}

impl Answer {
    /// Reads an answer of `SubmitBatch` or `GetReceipt`: its binary form, or protobuf's JSON of it.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        if let Some(Ok(json)) = std::str::from_utf8(bytes).ok().map(serde_json::from_str) {
            return from_json(&json);
        }
        // The two answers have the same fields under swapped numbers; only one of them makes sense.
        let submitted = v1::SubmitBatchResponse::decode(bytes)
            .ok()
            .and_then(|answer| Some((answer.receipt?, answer.outcomes.to_vec())));
        let stored = v1::GetReceiptResponse::decode(bytes)
            .ok()
            .and_then(|answer| Some((answer.receipt?, answer.outcomes)));
        [submitted, stored]
            .into_iter()
            .flatten()
            .find(|(receipt, _)| receipt.leaf_data.len() == LEAF_DATA_LEN)
            .map(|(receipt, outcomes)| Self { receipt, outcomes })
            .context("neither JSON nor an answer of SubmitBatch or GetReceipt with a receipt in it")
    }

    /// The decoded outcomes.
    pub fn outcomes(&self) -> anyhow::Result<Vec<v1::Outcome>> {
        Ok(v1::Outcomes::decode(self.outcomes.as_slice())?.outcomes)
    }

    /// Verifies that the log holds these outcomes at the receipt's leaf, under a checkpoint that it signed.
    pub fn verify(&self, log: &LogVerifier) -> Result<Checkpoint, Failure> {
        let at = |mismatch: Mismatch| Failure::from(mismatch.at(self.receipt.leaf_index));
        let checkpoint = verify_receipt_outcomes(&self.receipt, &self.outcomes, log)
            .map_err(|error| at(Mismatch::new("the receipt", error, log)))?;
        let told = self.receipt.decided_at.as_ref().map(micros);
        let mut signed = [0; 8];
        signed.copy_from_slice(self.receipt.leaf_data.get(32..40).unwrap_or(&[0; 8]));
        let signed = i64::from_be_bytes(signed);
        if told.is_some_and(|told| told != signed) {
            let told = told.map(micros_text).unwrap_or_default();
            let signed = micros_text(signed);
            return Err(at(Mismatch::new("the receipt's time", told, signed)));
        }
        Ok(checkpoint)
    }
}

fn from_json(json: &Value) -> anyhow::Result<Answer> {
    let receipt = field(json, "receipt").context("no \"receipt\"")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let hashes = match field(receipt, "inclusion_proof") {
        None => Vec::new(),
        Some(Value::Array(hashes)) => hashes.iter().map(base64).collect::<Result<_, _>>()?,
        Some(_) => bail!("\"inclusionProof\" is not a list"),
    };
    // The JSON of protobuf writes 64-bit numbers as text and leaves zeros out.
    let leaf_index = match field(receipt, "leaf_index") {
        None => 0,
        Some(Value::String(number)) => number.parse().context("\"leafIndex\"")?,
        Some(number) => number.as_u64().context("\"leafIndex\" is not a number")?,
    };
    let decided_at = match field(receipt, "decided_at") {
        None => None,
        Some(at) => {
            let at = at.as_str().context("\"decidedAt\" is not text")?;
            let at = chrono::DateTime::parse_from_rfc3339(at).context("\"decidedAt\"")?;
            Some(timestamp(at.timestamp_micros()))
        }
    };
    Ok(Answer {
        receipt: v1::Receipt {
            leaf_index,
            decided_at,
            leaf_data: base64(field(receipt, "leaf_data").context("no \"leafData\"")?)?,
            inclusion_proof: hashes,
            checkpoint: field(receipt, "checkpoint")
                .and_then(text)
                .context("no \"checkpoint\"")?,
        },
        outcomes: field(json, "outcomes").map_or(Ok(Vec::new()), base64)?,
    })
}

/// A field by its name in the contract, or in the JSON of protobuf.
fn field<'a>(json: &'a Value, name: &str) -> Option<&'a Value> {
    let mut camel = String::new();
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if std::mem::take(&mut upper) => camel.extend(c.to_uppercase()),
            c => camel.push(c),
        }
    }
    json.get(name).or_else(|| json.get(camel))
}

fn base64(value: &Value) -> anyhow::Result<Vec<u8>> {
    let text = value.as_str().context("bytes are base64 text")?;
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    let engine = GeneralPurpose::new(&alphabet, config);
    engine.decode(text).context("bytes that are not base64")
}
