//! What the auditor asks for and does not hold: members, conversions and references that it saved itself, and earlier entries.

use bytes::Bytes;
use hansa_proto::v1;

/// One entry of the log as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place, from 0.
    pub leaf: u64,
    /// When it was decided. Unit: microseconds since 1970.
    pub decided_at: i64,
    /// What was signed.
    pub envelope: v1::Envelope,
    /// Serialized `Outcomes`, verbatim; empty for facts.
    pub outcomes: Bytes,
    /// The 72 bytes that the leaf covers.
    pub leaf_data: Vec<u8>,
}

/// A merchant's number in the log: the order of onboarding, from 0.
pub type MerchantNo = u32;

/// A merchant's reference of a member; or, under a number of its own for each merchant, what its conversions used up: click ids, order
/// references, ids of the conversions themselves.
pub type ReferenceKey = (MerchantNo, [u8; 16]);

/// Why a source cannot answer: its own words.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Where what was saved is read again. Answers must be those of the last save: nothing newer, nothing older.
pub trait Source {
    /// Saved members and conversions, packed; unknown ones are left out.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn members(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, SourceError>;

    /// What saved references stand for, members or conversions; unknown ones are left out.
    ///
    /// # Errors
    /// When the place cannot be read.
    fn references(
        &mut self,
        keys: &[ReferenceKey],
    ) -> Result<Vec<(ReferenceKey, u64)>, SourceError>;

    /// An earlier entry of the log; `None`: it is not there.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn entry(&mut self, leaf: u64) -> Result<Option<Entry>, SourceError>;
}
