//! The detached signature of documents: one manifest names the files of a cycle with their SHA-256, and the hub signs that.
//!
//! The envelope is DSSE v1 (its `protocol.md` and `envelope.md`), so any library of it verifies: what is signed is
//! `PAE(payload type, payload)`, the payload is the manifest's JSON. There is no cryptography here: hashes come in,
//! signing and verifying are the caller's functions.

use crate::statement::Digest;
use crate::text::{TextError, required};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// Payload type of a [`DocumentsManifest`].
pub const DOCUMENT_PAYLOAD_TYPE: &str = "application/vnd.hansa.document.v1+json";

/// Why a manifest or its envelope is refused.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// A text that cannot stand in a manifest.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Two files of one name.
    #[error("file \"{0}\" stands twice")]
    Duplicate(String),
    /// No file at all.
    #[error("a manifest without a file; give at least one")]
    Empty,
    /// No JSON, or not that of an envelope or a manifest.
    #[error("not a signed manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// No base64.
    #[error("not a signed manifest: {0}")]
    Base64(#[from] base64::DecodeError),
    /// An envelope of something else.
    #[error("the envelope carries \"{0}\", expected \"{DOCUMENT_PAYLOAD_TYPE}\"")]
    PayloadType(String),
    /// No signature of the envelope verifies.
    #[error("no signature verifies; get the hub's keys of that time and check again")]
    Signature,
    /// A file that the manifest does not name.
    #[error("the manifest does not name \"{0}\"")]
    Unknown(String),
    /// Other bytes than those that were signed.
    #[error(
        "\"{name}\" is not the file that was signed: its SHA-256 is {found}, the manifest says {signed}"
    )]
    Differs {
        /// The file.
        name: String,
        /// The hash in the manifest.
        signed: String,
        /// The hash of the file at hand.
        found: String,
    },
}

/// A file that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The files that are signed together. Fields stand in this order in the signed JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentsManifest {
    /// Origin of the hub's log.
    pub origin: String,
    /// The cycle.
    pub cycle: u32,
    /// The merchant; empty for documents of the whole alliance.
    pub merchant: String,
    /// The files.
    pub files: Vec<DocumentFile>,
}

impl DocumentsManifest {
    /// The bytes to be signed over, as an envelope carries them: JSON without spaces.
    pub fn payload(&self) -> Result<Vec<u8>, ManifestError> {
        required("origin", &self.origin)?;
        let mut names = BTreeSet::new();
        for file in &self.files {
            required("name of the file", &file.name)?;
            required("media type", &file.media_type)?;
            if !names.insert(&file.name) {
                return Err(ManifestError::Duplicate(file.name.clone()));
            }
        }
        if names.is_empty() {
            return Err(ManifestError::Empty);
        }
        Ok(serde_json::to_vec(self)?)
    }

    /// Signs with the caller's function, which gets `PAE(payload type, payload)`.
    pub fn sign<E: From<ManifestError>>(
        &self,
        key_id: &str,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<SignedManifest, E> {
        let payload = self.payload()?;
        let signature = sign(&pae(DOCUMENT_PAYLOAD_TYPE, &payload))?;
        Ok(SignedManifest {
            payload,
            signatures: vec![(key_id.to_owned(), signature)],
        })
    }

    /// That a file is the one that was signed.
    pub fn check(&self, name: &str, sha256: Digest) -> Result<(), ManifestError> {
        let file = self.files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| ManifestError::Unknown(name.chars().take(100).collect()))?;
        if file.sha256 == sha256 {
            return Ok(());
        }
        Err(ManifestError::Differs {
            name: file.name.clone(),
            signed: file.sha256.to_hex(),
            found: sha256.to_hex(),
        })
    }
}

/// A manifest in its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    payload: Vec<u8>,
    /// Key id and signature.
    signatures: Vec<(String, Vec<u8>)>,
}

/// The envelope as DSSE writes it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeJson {
    payload_type: String,
    payload: String,
    signatures: Vec<SignatureJson>,
}

#[derive(Serialize, Deserialize)]
struct SignatureJson {
    #[serde(default)]
    keyid: String,
    sig: String,
}

impl SignedManifest {
    /// The envelope as JSON: the file that lies beside the documents.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let signature = |(keyid, sig): &(String, Vec<u8>)| SignatureJson {
            keyid: keyid.clone(),
            sig: STANDARD.encode(sig),
        };
        let mut out = serde_json::to_vec_pretty(&EnvelopeJson {
            payload_type: DOCUMENT_PAYLOAD_TYPE.into(),
            payload: STANDARD.encode(&self.payload),
            signatures: self.signatures.iter().map(signature).collect(),
        })?;
        out.push(b'\n');
        Ok(out)
    }

    /// Reads an envelope. Nothing in it is believed before [`verify`](Self::verify).
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let json: EnvelopeJson = serde_json::from_slice(bytes)?;
        if json.payload_type != DOCUMENT_PAYLOAD_TYPE {
            let found = json.payload_type.chars().take(100).collect();
            return Err(ManifestError::PayloadType(found));
        }
        let signatures = json.signatures.into_iter();
        Ok(Self {
            payload: STANDARD.decode(json.payload)?,
            signatures: signatures
                .map(|signature| Ok((signature.keyid, STANDARD.decode(signature.sig)?)))
                .collect::<Result<_, ManifestError>>()?,
        })
    }

    /// The manifest, once the caller's function accepts a signature: it gets key id, `PAE(payload type, payload)` and
    /// signature. The bytes as they were received are what is verified.
    pub fn verify(
        &self,
        verifies: impl Fn(&str, &[u8], &[u8]) -> bool,
    ) -> Result<DocumentsManifest, ManifestError> {
        let signed = pae(DOCUMENT_PAYLOAD_TYPE, &self.payload);
        let mut signatures = self.signatures.iter();
        if !signatures.any(|(key_id, signature)| verifies(key_id, &signed, signature)) {
            return Err(ManifestError::Signature);
        }
        Ok(serde_json::from_slice(&self.payload)?)
    }
}

/// `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in ASCII decimal.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> DocumentsManifest {
        let file = |name: &str, byte| DocumentFile {
            name: name.into(),
            media_type: "application/pdf".into(),
            sha256: Digest([byte; 32]),
        };
        DocumentsManifest {
            origin: "hansa.example/log".into(),
            cycle: 1,
            merchant: "A".into(),
            files: vec![file("a.pdf", 1), file("b.pdf", 2)],
        }
    }

    /// Not a signature, but one byte that depends on every byte.
    fn mark(bytes: &[u8]) -> Vec<u8> {
        vec![
            bytes
                .iter()
                .fold(0, |sum: u8, byte| sum.wrapping_mul(31) ^ byte),
        ]
    }

    fn signed() -> SignedManifest {
        let sign = |bytes: &[u8]| Ok::<_, ManifestError>(mark(bytes));
        manifest().sign("key-1", sign).unwrap()
    }

    #[test]
    fn pae_is_that_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn the_signed_bytes_are_canonical() {
        let payload = String::from_utf8(manifest().payload().unwrap()).unwrap();
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        let expected = format!(
            "{{\"origin\":\"hansa.example/log\",\"cycle\":1,\"merchant\":\"A\",\"files\":[\
             {{\"name\":\"a.pdf\",\"media_type\":\"application/pdf\",\"sha256\":\"{one}\"}},\
             {{\"name\":\"b.pdf\",\"media_type\":\"application/pdf\",\"sha256\":\"{two}\"}}]}}"
        );
        assert_eq!(payload, expected);
    }

    #[test]
    fn what_was_signed_comes_back_and_names_a_changed_file() {
        let json = signed().to_json().unwrap();
        let read = SignedManifest::from_json(&json).unwrap();
        let verifies = |key: &str, bytes: &[u8], sig: &[u8]| key == "key-1" && sig == mark(bytes);
        let manifest = read.verify(verifies).unwrap();
        assert_eq!(manifest, self::manifest());
        assert!(manifest.check("b.pdf", Digest([2; 32])).is_ok());
        let differs = manifest.check("b.pdf", Digest([1; 32])).unwrap_err();
        assert!(
            differs
                .to_string()
                .contains("is not the file that was signed")
        );
        let unknown = manifest.check("c.pdf", Digest([1; 32])).unwrap_err();
        assert!(matches!(unknown, ManifestError::Unknown(_)));
    }

    #[test]
    fn a_changed_payload_or_another_key_does_not_verify() {
        let verifies = |key: &str, bytes: &[u8], sig: &[u8]| key == "key-1" && sig == mark(bytes);
        let mut changed = signed();
        changed.payload[12] ^= 1;
        assert!(matches!(
            changed.verify(verifies),
            Err(ManifestError::Signature)
        ));
        let other = manifest()
            .sign("key-2", |bytes| Ok::<_, ManifestError>(mark(bytes)))
            .unwrap();
        assert!(matches!(
            other.verify(verifies),
            Err(ManifestError::Signature)
        ));
    }

    #[test]
    fn foreign_and_broken_envelopes_are_refused() {
        let foreign = br#"{"payloadType":"text/plain","payload":"","signatures":[]}"#;
        let error = SignedManifest::from_json(foreign).unwrap_err();
        assert!(error.to_string().contains("text/plain"));
        for broken in [&b"{"[..], b"{}", b"null"] {
            assert!(SignedManifest::from_json(broken).is_err());
        }
        let mut twice = manifest();
        twice.files[1].name = "a.pdf".into();
        assert!(matches!(twice.payload(), Err(ManifestError::Duplicate(_))));
        twice.files.clear();
        assert!(matches!(twice.payload(), Err(ManifestError::Empty)));
    }
}
