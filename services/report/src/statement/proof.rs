//! Where the log proves a statement: cuts, digest, signed checkpoints, and the hashes that lead from each to the next.

use super::parts::LineKind;
use crate::text::{hex, unhex};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the log proves the statement. Needs nothing else: the notes are signed, and the proofs lead from each to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The leaf of the cut before; `None` for the first cycle.
    pub opening_cut_leaf: Option<u64>,
    /// The leaf of the cycle's cut: what is in front of it, back to the cut before, is the cycle.
    pub cut_leaf: u64,
    /// The leaf of the entry that says that the last of the cycle was in.
    pub closed_leaf: u64,
    /// Messages that the cuts enclose, accepted and refused.
    pub messages: u64,
    /// SHA-256 of the closed cycle's canonical figures.
    pub cycle_digest: Digest,
    /// Signed checkpoints at the cuts and at the closing entry.
    pub checkpoints: Vec<CheckpointRef>,
    /// That each tree extends the one before.
    pub consistency: Vec<ConsistencyProof>,
    /// The hub's key that signed them.
    pub hub_key_id: String,
}

/// That one tree of the log extends another, after RFC 6962.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// Leaves of the smaller tree.
    pub from: u64,
    /// Leaves of the larger tree.
    pub to: u64,
    /// Hashes, in the order of the RFC.
    pub hashes: Vec<Digest>,
}

/// A checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRef {
    /// What it stands at: `OPENING_CUT`, `CUT`, `CLOSED`.
    pub at: LineKind,
    /// Leaves under it.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
    /// The checkpoint as the log signed it: a C2SP note.
    pub note: String,
}

/// A SHA-256 hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

/// A message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// 32 hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("a message's id is 32 hexadecimal digits"))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom("a SHA-256 is 64 hexadecimal digits"))
    }
}
