//! What the auditor says when the log and the rules disagree: one place, one contradiction, both sides of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum What {
    /// The entry does not follow the last one.
    Sequence,
    /// `decided_at` goes back.
    Time,
    /// The 72 bytes that the leaf covers are not those of envelope, time and outcomes.
    Leaf,
    /// The signed checkpoint is not over the tree of the entries.
    Checkpoint,
    /// Not one signature, or one of another length.
    Envelope,
    /// The signing key is unknown, somebody else's, revoked or outside its validity.
    SigningKey,
    /// The signature does not verify.
    Signature,
    /// The payload does not decode, or breaks a rule that needs no state.
    Payload,
    /// A fact that cannot stand where it stands.
    Fact,
    /// A cycle was cut too late, too early or twice.
    Cut,
    /// A cycle was closed with something of it left to do.
    Close,
    /// Due work that was not due, or not of a member that is named.
    DueWork,
    /// An enrolment that contradicts an earlier one.
    Enrolment,
    /// An id that was decided before was decided again, or the first outcome is another one.
    Repetition,
    /// The outcome of a message.
    Outcome,
    /// A journal does not sum to zero, or its lines are not its legs.
    Journal,
    /// The recorded effects of a message have other journals.
    Effects,
    /// A cycle's totals.
    Totals,
}

impl What {
    /// Stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Sequence => "SEQUENCE",
            Self::Time => "TIME",
            Self::Leaf => "LEAF",
            Self::Checkpoint => "CHECKPOINT",
            Self::Envelope => "ENVELOPE",
            Self::SigningKey => "SIGNING_KEY",
            Self::Signature => "SIGNATURE",
            Self::Payload => "PAYLOAD",
            Self::Fact => "FACT",
            Self::Cut => "CUT",
            Self::Close => "CLOSE",
            Self::DueWork => "DUE_WORK",
            Self::Enrolment => "ENROLMENT",
            Self::Repetition => "REPETITION",
            Self::Outcome => "OUTCOME",
            Self::Journal => "JOURNAL",
            Self::Effects => "EFFECTS",
            Self::Totals => "TOTALS",
        }
    }
}

/// A contradiction, with its place. The auditor stops at the first: behind it, its own state is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The entry's leaf, from 0.
    pub leaf: u64,
    /// The message's or the fact's position in the entry, from 0; absent where the entry as a whole is concerned.
    pub position: Option<u32>,
    /// The merchant that sent it; absent for the hub's own facts.
    pub merchant: Option<String>,
    /// The message's id; absent where no message is concerned.
    pub message_id: Option<[u8; 16]>,
    /// What was compared.
    pub what: What,
    /// What follows from the log and the rules.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Finding {
    /// Its bytes, with a version in front.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::state::pack(self)
    }

    /// From its bytes.
    ///
    /// # Errors
    /// When they are those of another release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, crate::Unreadable> {
        crate::state::unpack(bytes)
    }

    /// The message's id in hexadecimal.
    #[must_use]
    pub fn message_hex(&self) -> Option<String> {
        self.message_id.map(|id| crate::seal::hex(&id))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}", self.leaf)?;
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        if let Some(id) = self.message_hex() {
            write!(f, ", message {id}")?;
        }
        if let Some(merchant) = &self.merchant {
            write!(f, " of {merchant}")?;
        }
        write!(
            f,
            ": {}: expected {}, found {}",
            self.what.code(),
            self.expected,
            self.found
        )
    }
}

/// A contradiction whose place is known further up.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) what: What,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Mismatch {
    pub(crate) fn new(what: What, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(crate) fn fact(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::new(What::Fact, expected, found)
    }
}
