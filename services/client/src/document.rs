//! Documents that a hub signed: statements, reports, the general ledger.
//!
//! What is signed is a manifest, a list of files with their SHA-256. Verifying takes the file, its envelope and the log's key,
//! and asks nobody.

use hansa_proto::{
    DOCUMENT_PAYLOAD_TYPE,
    v1::{Envelope, SignedDocument},
};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

use crate::{
    dsse::{self, DsseError},
    keys::hex,
    note::LogVerifier,
};

/// Why a document is not believed.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The envelope is not signed by the log's key, or is of something else.
    #[error("the signature: {0}")]
    Signature(#[from] DsseError),
    /// The signed bytes are no manifest.
    #[error("the signed bytes are no manifest of documents: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A document of another log.
    #[error("the document is of the log \"{found}\", not of \"{expected}\"")]
    Origin {
        /// What the manifest says.
        found: String,
        /// The log whose key it is.
        expected: String,
    },
    /// Other bytes than those that were signed.
    #[error(
        "this is not the file that was signed: its SHA-256 is {found}, the manifest has {signed}"
    )]
    Differs {
        /// The file's.
        found: String,
        /// Those of the manifest.
        signed: String,
    },
}

/// What the manifest says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// The cycle; 0 for a document of none.
    pub cycle_number: u32,
    /// The merchant; empty for a document of the whole alliance.
    pub merchant_id: String,
}

#[derive(Deserialize)]
struct Manifest {
    origin: String,
    cycle: u32,
    merchant: String,
    files: Vec<ManifestFile>,
}

#[derive(Deserialize)]
struct ManifestFile {
    name: String,
    media_type: String,
    sha256: String,
}

/// Verifies that the log's key signed these bytes. The file may have been renamed since: its hash tells which it is.
///
/// # Errors
/// [`DocumentError`].
pub fn verify_document(
    content: &[u8],
    envelope: &Envelope,
    log: &LogVerifier,
) -> Result<SignedFile, DocumentError> {
    dsse::verify(envelope, DOCUMENT_PAYLOAD_TYPE, log.key())?;
    let manifest: Manifest = serde_json::from_slice(&envelope.payload)?;
    if manifest.origin != log.name() {
        return Err(DocumentError::Origin {
            found: manifest.origin,
            expected: log.name().to_owned(),
        });
    }
    let found = hex(digest(&SHA256, content).as_ref());
    let signed: Vec<&str> = manifest.files.iter().map(|f| f.sha256.as_str()).collect();
    let signed = signed.join(", ");
    let file = manifest.files.into_iter().find(|file| file.sha256 == found);
    let file = file.ok_or(DocumentError::Differs { found, signed })?;
    Ok(SignedFile {
        name: file.name,
        media_type: file.media_type,
        sha256: file.sha256,
        cycle_number: manifest.cycle,
        merchant_id: manifest.merchant,
    })
}

/// Verifies what a hub answered with.
///
/// # Errors
/// [`DocumentError`].
pub fn verify_answer(
    document: &SignedDocument,
    log: &LogVerifier,
) -> Result<SignedFile, DocumentError> {
    let envelope = document.envelope.clone().unwrap_or_default();
    verify_document(&document.content, &envelope, log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;

    const LOG: &str = "hansa.example/log";

    fn signed(content: &[u8], origin: &str, key: &SigningKey) -> Envelope {
        let sha256 = hex(digest(&SHA256, content).as_ref());
        let manifest = format!(
            r#"{{"origin":"{origin}","cycle":2,"merchant":"a","files":[{{"name":"a.pdf","media_type":"application/pdf","sha256":"{sha256}"}}]}}"#
        );
        dsse::sign(DOCUMENT_PAYLOAD_TYPE, manifest.into_bytes().into(), key)
    }

    #[test]
    fn only_the_signed_bytes_of_this_log_are_believed() {
        let key = SigningKey::generate().unwrap();
        let log = LogVerifier::new(LOG, key.verifying_key()).unwrap();
        let envelope = signed(b"figures", LOG, &key);
        let file = verify_document(b"figures", &envelope, &log).unwrap();
        assert_eq!((file.name.as_str(), file.cycle_number), ("a.pdf", 2));
        assert!(matches!(
            verify_document(b"Figures", &envelope, &log),
            Err(DocumentError::Differs { .. })
        ));
        let foreign = signed(b"figures", "other.example/log", &key);
        assert!(matches!(
            verify_document(b"figures", &foreign, &log),
            Err(DocumentError::Origin { .. })
        ));
        let other = SigningKey::generate().unwrap();
        assert!(matches!(
            verify_document(b"figures", &signed(b"figures", LOG, &other), &log),
            Err(DocumentError::Signature(_))
        ));
    }
}
