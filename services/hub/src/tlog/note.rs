//! Checkpoints: C2SP tlog-checkpoint inside a C2SP signed-note, Ed25519.
//!
//! A checkpoint is the text "origin\nsize\nbase64(root)\n", an empty line, and a line
//! "— name base64(key id | signature)" per signature. The log's key carries the origin as its name.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::hash::{Hash, sha256};

/// The signature type of Ed25519 in verifier keys.
const ED25519_TYPE: u8 = 1;

/// Why a note or a verifier key was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Names are not empty and hold no white space, no control character and no `+`.
    #[error("a log's name must not be empty nor hold white space, control characters or '+'")]
    Name,
    /// Not `name+hash+base64(0x01 | public key)` with the hash that belongs to it.
    #[error("the verifier key is malformed")]
    Key,
    /// Not a signed note with a checkpoint in it.
    #[error("the checkpoint is malformed")]
    Malformed,
    /// No signature by the key.
    #[error("the checkpoint is not signed by this key")]
    Unsigned,
    /// The key's signature does not verify.
    #[error("the checkpoint's signature is wrong")]
    Signature,
}

/// A log's public key with its name. Written as C2SP verifier key: `name+hash+base64(0x01 | public key)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public_key: [u8; 32],
}

impl VerifierKey {
    /// The key of the log `name` (its origin).
    pub fn new(name: &str, public_key: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            public_key,
        })
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id: the first 4 bytes of SHA-256(name | newline | 0x01 | public key).
    pub fn id(&self) -> [u8; 4] {
        let hash = sha256(&[
            self.name.as_bytes(),
            &[b'\n', ED25519_TYPE],
            &self.public_key,
        ]);
        [hash[0], hash[1], hash[2], hash[3]]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_TYPE];
        key.extend_from_slice(&self.public_key);
        let id = u32::from_be_bytes(self.id());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base64 holds '+' too, so the name and the hash are cut off from the left.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519_TYPE, public_key)) = key.split_first() else {
            return Err(NoteError::Key);
        };
        let public_key = public_key.try_into().map_err(|_| NoteError::Key)?;
        let key = Self::new(name, public_key)?;
        if id != format!("{:08x}", u32::from_be_bytes(key.id())) {
            return Err(NoteError::Key);
        }
        Ok(key)
    }
}

/// What a checkpoint says: the log `origin` had `size` leaves and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed, with its last newline.
    pub fn body(&self) -> String {
        let root = STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// The signed note. `sign` makes the Ed25519 signature, with the private half of `key`, over the bytes given.
    /// Ed25519 is deterministic: the same checkpoint signed again is the same note.
    pub fn sign(
        &self,
        key: &VerifierKey,
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Result<String, NoteError> {
        check_name(&self.origin)?;
        let body = self.body();
        let mut signature = key.id().to_vec();
        signature.extend_from_slice(&sign(body.as_bytes()));
        let signature = STANDARD.encode(signature);
        Ok(format!("{body}\n\u{2014} {} {signature}\n", key.name))
    }

    /// Reads a signed note and verifies the signature by `key`; signatures by other keys (witnesses) are passed over.
    /// Extension lines are not accepted: this log writes none.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Malformed);
        }
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
        let (body, signatures) = (&note[..end], &note[end + 1..]);
        verify(body, signatures, key)?;
        Self::parse(body)
    }

    fn parse(body: &str) -> Result<Self, NoteError> {
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(NoteError::Malformed);
        };
        let malformed = |_| NoteError::Malformed;
        let root = STANDARD.decode(root).map_err(|_| NoteError::Malformed)?;
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| NoteError::Malformed)?,
            root: root.try_into().map_err(|_| NoteError::Malformed)?,
        };
        check_name(origin).map_err(malformed)?;
        // One spelling only: no sign, no leading zero, no other base64.
        if checkpoint.body() != body {
            return Err(NoteError::Malformed);
        }
        Ok(checkpoint)
    }
}

fn verify(body: &str, signatures: &str, key: &VerifierKey) -> Result<(), NoteError> {
    let lines = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let mut signed = false;
    for line in lines.split('\n') {
        let (name, signature) = line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or(NoteError::Malformed)?;
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| NoteError::Malformed)?;
        let (id, signature) = signature
            .split_first_chunk::<4>()
            .ok_or(NoteError::Malformed)?;
        if name == key.name && *id == key.id() {
            UnparsedPublicKey::new(&ED25519, &key.public_key)
                .verify(body.as_bytes(), signature)
                .map_err(|_| NoteError::Signature)?;
            signed = true;
        }
    }
    if signed {
        Ok(())
    } else {
        Err(NoteError::Unsigned)
    }
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.chars().any(forbidden) {
        return Err(NoteError::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn key(name: &str, seed: u8) -> VerifierKey {
        let public_key = pair(seed).public_key().as_ref().try_into().unwrap();
        VerifierKey::new(name, public_key).unwrap()
    }

    fn signed(checkpoint: &Checkpoint, key: &VerifierKey, seed: u8) -> String {
        checkpoint
            .sign(key, |body| {
                pair(seed).sign(body).as_ref().try_into().unwrap()
            })
            .unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "hansa.example/points".to_owned(),
            size: 20_852_163,
            root: [0xa5; 32],
        }
    }

    #[test]
    fn a_signed_checkpoint_is_frozen_to_the_byte() {
        let key = key("hansa.example/points", 7);
        // Computed by Python's `cryptography` after the text of C2SP's specifications.
        assert_eq!(
            key.to_string(),
            "hansa.example/points+a414503d+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs"
        );
        assert_eq!(
            signed(&checkpoint(), &key, 7),
            "hansa.example/points\n\
             20852163\n\
             paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\
             \n\
             \u{2014} hansa.example/points \
             pBRQPcLKCTfcvsfqhJ/LaMet1YFj0GQSkAbzit6WshS//pH4h9dn3/3DZQ07Lac/rlh+95zo53M68oFVNrE180ItyAI=\n"
        );
    }

    #[test]
    fn signed_checkpoints_open_with_their_key_only() {
        let key_a = key("hansa.example/points", 7);
        let note = signed(&checkpoint(), &key_a, 7);
        assert_eq!(Checkpoint::open(&note, &key_a), Ok(checkpoint()));
        for other in [
            key("hansa.example/points", 8),
            key("hansa.example/miles", 7),
        ] {
            assert_eq!(Checkpoint::open(&note, &other), Err(NoteError::Unsigned));
        }
        // The right name and id over a signature by another key.
        let forged = signed(&checkpoint(), &key_a, 8);
        assert_eq!(Checkpoint::open(&forged, &key_a), Err(NoteError::Signature));
        let changed = note.replacen("20852163", "20852164", 1);
        assert_eq!(
            Checkpoint::open(&changed, &key_a),
            Err(NoteError::Signature)
        );
    }

    #[test]
    fn a_witness_may_sign_too() {
        let key_a = key("hansa.example/points", 7);
        let witness = key("witness.example", 9);
        let mut note = signed(&checkpoint(), &key_a, 7);
        let cosigned = signed(&checkpoint(), &witness, 9);
        note.push_str(cosigned.split_once("\n\n").unwrap().1);
        assert_eq!(Checkpoint::open(&note, &key_a), Ok(checkpoint()));
        assert_eq!(Checkpoint::open(&note, &witness), Ok(checkpoint()));
    }

    #[test]
    fn a_checkpoint_has_one_spelling() {
        let key = key("hansa.example/points", 7);
        let root = STANDARD.encode([0xa5; 32]);
        let bodies = [
            format!("hansa.example/points\n+5\n{root}\n"),
            format!("hansa.example/points\n05\n{root}\n"),
            format!("hansa.example/points\n5\n{root}\nextension\n"),
            format!("hansa.example/points\n5\n{}\n", &root[..40]),
            "hansa.example/points\n5\n\n".to_owned(),
            format!("\n5\n{root}\n"),
            format!("hansa.example/points\r\n5\n{root}\n"),
        ];
        for body in bodies {
            let signature = [&key.id()[..], pair(7).sign(body.as_bytes()).as_ref()].concat();
            let note = format!(
                "{body}\n\u{2014} {} {}\n",
                key.name,
                STANDARD.encode(signature)
            );
            assert_eq!(
                Checkpoint::open(&note, &key),
                Err(NoteError::Malformed),
                "{body}"
            );
        }
        for text in ["", "\n\n", "a\n1\nb\n", "a\n1\nb\n\nx"] {
            assert_eq!(
                Checkpoint::open(text, &key),
                Err(NoteError::Malformed),
                "{text}"
            );
        }
    }

    #[test]
    fn verifier_keys_are_read_as_written() {
        let key = key("hansa.example/points", 7);
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        let other_name = text.replacen("points", "miles", 1);
        assert_eq!(other_name.parse::<VerifierKey>(), Err(NoteError::Key));
        for text in ["", "name", "name+00000000", "name+00000000+AAAA"] {
            assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::Key), "{text}");
        }
        for name in ["", "two words", "a+b", "line\nbreak", "no\u{a0}break"] {
            assert_eq!(VerifierKey::new(name, [0; 32]), Err(NoteError::Name));
        }
    }
}
