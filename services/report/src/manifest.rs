//! The detached signature of documents: one manifest names the files of a cycle with their SHA-256, and the hub signs that.
//!
//! The envelope is DSSE v1 (its `protocol.md` and `envelope.md`), so any library of it verifies: what is signed is
//! `PAE(payload type, payload)`, the payload is the manifest's JSON. There is no cryptography here: hashes come in, and the
//! payload goes out to be signed.

use crate::statement::Digest;
use crate::text::{TextError, required};
use serde::Serialize;
use std::collections::BTreeSet;
use thiserror::Error;

/// Why a manifest is refused.
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
    /// A writer failed.
    #[error("the manifest could not be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// A file that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// The files that are signed together. Fields stand in this order in the signed JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    fn a_manifest_without_files_or_with_one_twice_is_refused() {
        let mut twice = manifest();
        twice.files[1].name = "a.pdf".into();
        assert!(matches!(twice.payload(), Err(ManifestError::Duplicate(_))));
        twice.files.clear();
        assert!(matches!(twice.payload(), Err(ManifestError::Empty)));
    }
}
