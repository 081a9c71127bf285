//! Checkpoints of the log: C2SP signed notes (c2sp.org/signed-note) that carry a tree head
//! (c2sp.org/tlog-checkpoint), verified with Ed25519.
//!
//! Signatures by others than the log (witnesses) may stand beside the log's; extension lines may follow the root.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};

use crate::keys::{PUBLIC_KEY_LEN, VerifyingKey};
use crate::leaf::{Hash, finish};

/// Longest note that is looked at. Unit: bytes.
pub const MAX_NOTE_LEN: usize = 64 * 1024;

/// Most signatures of a note that are looked at.
pub const MAX_NOTE_SIGNATURES: usize = 100;

/// Algorithm byte of Ed25519 in keys of signed notes.
const ED25519_ALGORITHM: u8 = 1;

/// Why a note or a verifier key does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not `name+hash+base64(0x01 | 32 bytes)`, or the hash is another key's.
    #[error("not a verifier key \"name+hash+key\" of Ed25519")]
    VerifierKey,
    /// Not text, blank line, signature lines.
    #[error("not a signed note")]
    Malformed,
    /// No signature of this log.
    #[error("the note is not signed by {0}")]
    Unsigned(String),
    /// A signature of this log does not verify.
    #[error("the note's signature does not verify")]
    BadSignature,
    /// The text is not a checkpoint.
    #[error("the note is not a checkpoint")]
    NotACheckpoint,
    /// A checkpoint of another log.
    #[error("the checkpoint is of log \"{0}\"")]
    Origin(String),
}

/// A tree head that the log signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root hash.
    pub root: Hash,
}

/// The public key of a log with its name; what notes are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogVerifier {
    name: String,
    key: VerifyingKey,
    key_hash: u32,
}

impl LogVerifier {
    /// The verifier of a log by name and key. The origin of its checkpoints is its name.
    ///
    /// # Errors
    /// [`NoteError::VerifierKey`] for a name that is empty or has white space, control characters or `+`.
    pub fn new(name: impl Into<String>, key: VerifyingKey) -> Result<Self, NoteError> {
        let name = name.into();
        if !is_name(&name) {
            return Err(NoteError::VerifierKey);
        }
        let key_hash = key_hash(&name, &key);
        Ok(Self {
            name,
            key,
            key_hash,
        })
    }

    /// Name of the log, and origin of its checkpoints.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The key hash that stands in front of each of this key's signatures.
    #[must_use]
    pub const fn key_hash(&self) -> u32 {
        self.key_hash
    }

    /// Verifies a checkpoint: signed by this log, and of this log.
    ///
    /// # Errors
    /// All of [`NoteError`] but `VerifierKey`.
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let checkpoint = parse_checkpoint(self.verified_text(note)?)?;
        if checkpoint.origin != self.name {
            return Err(NoteError::Origin(checkpoint.origin));
        }
        Ok(checkpoint)
    }

    /// The text of a note (its last newline included) that this log signed.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::Unsigned`], [`NoteError::BadSignature`].
    pub fn verified_text<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let mut verified = false;
        for (count, line) in signatures.split_terminator('\n').enumerate() {
            let signature = parse_signature(line)?;
            if count >= MAX_NOTE_SIGNATURES {
                return Err(NoteError::Malformed);
            }
            if signature.name != self.name || signature.key_hash != self.key_hash {
                continue;
            }
            if !self.key.verifies(text.as_bytes(), &signature.bytes) {
                return Err(NoteError::BadSignature);
            }
            verified = true;
        }
        if verified {
            Ok(text)
        } else {
            Err(NoteError::Unsigned(self.name.clone()))
        }
    }
}

/// `name+hash+key`, e.g. `PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW`.
impl FromStr for LogVerifier {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::VerifierKey)?;
        let key = match key.split_first() {
            Some((&ED25519_ALGORITHM, key)) if key.len() == PUBLIC_KEY_LEN => key,
            _ => return Err(NoteError::VerifierKey),
        };
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteError::VerifierKey)?;
        let verifier = Self::new(name, key)?;
        if format!("{:08x}", verifier.key_hash) != hash {
            return Err(NoteError::VerifierKey);
        }
        Ok(verifier)
    }
}

impl fmt::Display for LogVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_ALGORITHM];
        key.extend_from_slice(self.key.as_bytes());
        write!(
            f,
            "{}+{:08x}+{}",
            self.name,
            self.key_hash,
            STANDARD.encode(key)
        )
    }
}

/// First 4 bytes of `SHA-256(name | "\n" | 0x01 | key)`, big-endian.
fn key_hash(name: &str, key: &VerifyingKey) -> u32 {
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    context.update(b"\n");
    context.update(&[ED25519_ALGORITHM]);
    context.update(key.as_bytes());
    let [a, b, c, d, ..] = finish(context);
    u32::from_be_bytes([a, b, c, d])
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// Text with its last newline, and the signature lines behind the last blank line.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    let clean = note.len() <= MAX_NOTE_LEN && !note.bytes().any(|b| b < b' ' && b != b'\n');
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    if !clean || signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Malformed);
    }
    Ok((text, signatures))
}

struct NoteSignature<'a> {
    name: &'a str,
    key_hash: u32,
    bytes: Vec<u8>,
}

/// `— name base64(key hash | signature)`.
fn parse_signature(line: &str) -> Result<NoteSignature<'_>, NoteError> {
    let (name, blob) = line
        .strip_prefix("\u{2014} ")
        .and_then(|rest| rest.split_once(' '))
        .ok_or(NoteError::Malformed)?;
    let blob = STANDARD.decode(blob).map_err(|_| NoteError::Malformed)?;
    let (hash, bytes) = blob.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
    if !is_name(name) || bytes.is_empty() {
        return Err(NoteError::Malformed);
    }
    Ok(NoteSignature {
        name,
        key_hash: u32::from_be_bytes(*hash),
        bytes: bytes.to_vec(),
    })
}

/// Origin, size, root, then extension lines that are not empty.
fn parse_checkpoint(text: &str) -> Result<Checkpoint, NoteError> {
    let mut lines = text
        .strip_suffix('\n')
        .ok_or(NoteError::NotACheckpoint)?
        .split('\n');
    let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(NoteError::NotACheckpoint);
    };
    let number: u64 = size.parse().map_err(|_| NoteError::NotACheckpoint)?;
    let root = STANDARD
        .decode(root)
        .ok()
        .and_then(|bytes| Hash::try_from(bytes).ok())
        .ok_or(NoteError::NotACheckpoint)?;
    // One spelling of a number: no sign, no leading zeros.
    if origin.is_empty() || number.to_string() != size || lines.any(str::is_empty) {
        return Err(NoteError::NotACheckpoint);
    }
    Ok(Checkpoint {
        origin: origin.to_owned(),
        size: number,
        root,
    })
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
