//! What outlives the process: packed members and conversions, and the small state beside them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{books::Books, finance::Finance, keys::Keys, seal::Tree, terms::Terms};

/// Version of the packed bytes; another one is refused, and the audit begins again.
const VERSION: u8 = 3;

/// Packed bytes that this release cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the auditor's saved state cannot be read ({0}); empty its tables, and it begins again from entry 0"
)]
pub struct Unreadable(String);

/// Everything but members, conversions and references.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Small {
    /// Leaves that were audited.
    pub(crate) size: u64,
    pub(crate) last_decided_at: i64,
    pub(crate) origin: String,
    /// Names that it had before.
    pub(crate) earlier_origins: Vec<String>,
    pub(crate) tree: Tree,
    pub(crate) keys: Keys,
    pub(crate) terms: Terms,
    pub(crate) books: Books,
    pub(crate) finance: Finance,
    /// Members are numbered from 1 to this.
    pub(crate) members: u64,
}

pub(crate) fn pack<T: Serialize>(value: &T) -> Vec<u8> {
    // Serialising plain data into a growing vector has no way to fail.
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => {
            postcard::from_bytes(rest).map_err(|error| Unreadable(error.to_string()))
        }
        Some((version, _)) => Err(Unreadable(format!(
            "version {version}, this release knows {VERSION}"
        ))),
        None => Err(Unreadable("no bytes".to_owned())),
    }
}
