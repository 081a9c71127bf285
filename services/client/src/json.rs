//! Signed things as JSON in files: bytes as base64, envelopes as DSSE's `envelope.md` writes them.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hansa_proto::v1;
use serde::{Deserialize, Serialize};

/// Bytes as base64 text, for serde's `with`: written in the standard alphabet with padding; both alphabets are read, with
/// padding or without, as protobuf's JSON and DSSE's allow.
pub mod bytes {
    use super::engine;
    use base64::Engine as _;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes them.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer, B: AsRef<[u8]>>(bytes: &B, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&engine("").encode(bytes))
    }

    /// Reads them.
    ///
    /// # Errors
    /// Those of the deserializer: not text, or not base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        engine(&text).decode(&text).map_err(D::Error::custom)
    }
}

/// Bytes, as an element of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Base64(#[serde(with = "bytes")] pub Vec<u8>);

/// An envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    #[serde(with = "bytes")]
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signature {
    #[serde(default)]
    keyid: String,
    #[serde(with = "bytes")]
    sig: Vec<u8>,
}

fn engine(text: &str) -> GeneralPurpose {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    GeneralPurpose::new(&alphabet, config)
}

/// Base64 in the standard alphabet, with padding.
#[must_use]
pub fn base64_text(bytes: &[u8]) -> String {
    engine("").encode(bytes)
}

impl From<&v1::Envelope> for Envelope {
    fn from(envelope: &v1::Envelope) -> Self {
        let signatures = envelope.signatures.iter().map(|signature| Signature {
            keyid: signature.keyid.clone(),
            sig: signature.sig.clone(),
        });
        Self {
            payload_type: envelope.payload_type.clone(),
            payload: envelope.payload.to_vec(),
            signatures: signatures.collect(),
        }
    }
}

impl From<Envelope> for v1::Envelope {
    fn from(envelope: Envelope) -> Self {
        let signatures = envelope.signatures.into_iter().map(|signed| v1::Signature {
            sig: signed.sig,
            keyid: signed.keyid,
        });
        Self {
            payload: envelope.payload.into(),
            payload_type: envelope.payload_type,
            signatures: signatures.collect(),
        }
    }
}

/// The text of an envelope's file.
///
/// # Errors
/// Those of `serde_json`; plain data has none.
pub fn envelope_text(envelope: &v1::Envelope) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&Envelope::from(envelope))? + "\n")
}

/// Reads the text of an envelope's file; verifies nothing.
///
/// # Errors
/// Those of `serde_json`: not JSON, or not an envelope.
pub fn envelope(text: &str) -> Result<v1::Envelope, serde_json::Error> {
    serde_json::from_str::<Envelope>(text).map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_the_same_behind_its_text() {
        let signed = v1::Envelope {
            payload: vec![0, 255, 17].into(),
            payload_type: "application/x".into(),
            signatures: vec![v1::Signature {
                sig: vec![250; 64],
                keyid: "k".into(),
            }],
        };
        let text = envelope_text(&signed).unwrap();
        assert_eq!(envelope(&text).unwrap(), signed);
        // As others write it: the other alphabet, no padding, no key id.
        let other =
            r#"{"payload":"AP8R","payloadType":"application/x","signatures":[{"sig":"-vo"}]}"#;
        let read = envelope(other).unwrap();
        assert_eq!(read.payload, signed.payload);
        assert_eq!(read.signatures[0].sig, [250, 250]);
        assert!(envelope("{}").is_err() && envelope("no JSON").is_err());
        assert!(envelope(&text.replace("AP8R", "A!8R")).is_err());
    }
}
