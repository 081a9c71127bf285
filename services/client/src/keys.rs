//! Ed25519 keys: what signs batches and tokens, and what verifies them.
//!
//! Private keys live in PKCS#8 PEM files, public ones travel as 32 bytes or as SubjectPublicKeyInfo PEM (RFC 8410),
//! so that OpenSSL and other languages read and write the same files. A private key is never printed, logged or
//! serialized except by [`SigningKey::save`].

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_LEN: usize = 32;

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// Most characters of a key id.
pub const MAX_KEY_ID_LEN: usize = 64;

const PRIVATE_TAG: &str = "PRIVATE KEY";
const PUBLIC_TAG: &str = "PUBLIC KEY";

/// DER in front of the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// DER in front of the 32 secret bytes of an Ed25519 key in PKCS#8 version 1 (RFC 8410 section 7). The version 2 that
/// ring would write is encoded in a way that OpenSSL and Python refuse.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What can go wrong with a key. Never carries key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("key file: {0}")]
    Io(#[from] io::Error),
    /// Not the PEM block that was expected.
    #[error("not a PEM block \"{0}\"")]
    Pem(&'static str),
    /// The PEM block does not hold an Ed25519 key.
    #[error("not an Ed25519 key")]
    NotEd25519,
    /// A key id is 1-64 printable ASCII characters without spaces.
    #[error("a key id is 1-64 printable ASCII characters without spaces")]
    KeyId,
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system")]
    Random,
}

/// A private key with the id that its owner registered it under.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    /// PKCS#8, kept for [`SigningKey::save`] and for tokens.
    pkcs8: Vec<u8>,
    public: VerifyingKey,
    key_id: String,
}

impl SigningKey {
    /// Makes a new key from the operating system's randomness. Its id is [`VerifyingKey::default_key_id`].
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| KeyError::Random)?;
        Self::from_pkcs8(&[&PKCS8_PREFIX[..], &secret[..]].concat())
    }

    /// Reads PKCS#8 DER, version 1 (OpenSSL, Python) or 2 (ring).
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        // Version 1 has no public key to check the private one against; it is derived, so nothing can disagree.
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::NotEd25519)?;
        let public = VerifyingKey::from_bytes(pair.public_key().as_ref())?;
        Ok(Self {
            pair,
            pkcs8: der.to_vec(),
            key_id: public.default_key_id(),
            public,
        })
    }

    /// Reads a PEM block `PRIVATE KEY`.
    ///
    /// # Errors
    /// [`KeyError::Pem`], [`KeyError::NotEd25519`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Self::from_pkcs8(&pem_contents(text, PRIVATE_TAG)?)
    }

    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::Pem`], [`KeyError::NotEd25519`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        Self::from_pem(&fs::read_to_string(path)?)
    }

    /// Writes a new PEM file that only its owner may read (mode 0600 on Unix), synced to disk. Never overwrites.
    ///
    /// # Errors
    /// [`KeyError::Io`], among others where the file exists.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(path)?;
        let text = pem_text(PRIVATE_TAG, self.pkcs8.clone());
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(())
    }

    /// The same key under another id.
    ///
    /// # Errors
    /// [`KeyError::KeyId`].
    pub fn with_key_id(mut self, key_id: impl Into<String>) -> Result<Self, KeyError> {
        let key_id = key_id.into();
        if !is_key_id(&key_id) {
            return Err(KeyError::KeyId);
        }
        self.key_id = key_id;
        Ok(self)
    }

    /// The id under which signatures name this key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public half.
    #[must_use]
    pub const fn verifying_key(&self) -> VerifyingKey {
        self.public
    }

    /// Signs bytes: 64 bytes, deterministic (RFC 8032).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut out = [0; SIGNATURE_LEN];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        out
    }

    /// PKCS#8 for the token module.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; PUBLIC_KEY_LEN]);

impl VerifyingKey {
    /// Takes 32 bytes. Whether they are a point of the curve shows when a signature is verified.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`] for another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::NotEd25519)
    }

    /// Reads a PEM block `PUBLIC KEY` (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`KeyError::Pem`], [`KeyError::NotEd25519`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = pem_contents(text, PUBLIC_TAG)?;
        let key = der.strip_prefix(&SPKI_PREFIX).ok_or(KeyError::NotEd25519)?;
        Self::from_bytes(key)
    }

    /// Reads a PEM file.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::Pem`], [`KeyError::NotEd25519`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        Self::from_pem(&fs::read_to_string(path)?)
    }

    /// The key as a PEM block `PUBLIC KEY`.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let mut der = SPKI_PREFIX.to_vec();
        der.extend_from_slice(&self.0);
        pem_text(PUBLIC_TAG, der)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.0
    }

    /// Whether `signature` over `message` is this key's. False for any other length than 64 bytes.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }

    /// The id of a key that was given none: the first 16 hex digits of SHA-256 over the 32 bytes.
    #[must_use]
    pub fn default_key_id(&self) -> String {
        hex(&digest(&SHA256, &self.0).as_ref()[..8])
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", hex(&self.0))
    }
}

/// Whether a string can be a key id: 1-64 printable ASCII characters without spaces.
#[must_use]
pub fn is_key_id(key_id: &str) -> bool {
    (1..=MAX_KEY_ID_LEN).contains(&key_id.len()) && key_id.bytes().all(|b| b.is_ascii_graphic())
}

/// Lower-case hex, for ids and digests that people read.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

fn pem_contents(text: &str, tag: &'static str) -> Result<Vec<u8>, KeyError> {
    let block = pem::parse(text).map_err(|_| KeyError::Pem(tag))?;
    if block.tag() != tag {
        return Err(KeyError::Pem(tag));
    }
    Ok(block.into_contents())
}

fn pem_text(tag: &str, der: Vec<u8>) -> String {
    pem::encode_config(
        &pem::Pem::new(tag, der),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 section 10.3, as OpenSSL writes it (PKCS#8 version 1).
    const RFC8410_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    /// RFC 8410 section 10.1.
    const RFC8410_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn reads_the_keys_of_rfc_8410() {
        let private = SigningKey::from_pem(RFC8410_PRIVATE).unwrap();
        let public = VerifyingKey::from_pem(RFC8410_PUBLIC).unwrap();
        assert_eq!(private.verifying_key(), public);
        assert_eq!(public.to_pem(), RFC8410_PUBLIC);
    }

    #[test]
    fn a_saved_key_is_private_and_signs_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let key = SigningKey::generate().unwrap();
        key.save(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let loaded = SigningKey::load(&path).unwrap();
        assert_eq!(loaded.verifying_key(), key.verifying_key());
        assert_eq!(loaded.sign(b"x"), key.sign(b"x"));
        assert_eq!(loaded.key_id(), key.key_id());
        assert!(matches!(key.save(&path), Err(KeyError::Io(_))));
    }

    #[test]
    fn a_saved_key_has_the_form_of_rfc_8410_that_others_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        SigningKey::generate().unwrap().save(&path).unwrap();
        let der = pem_contents(&fs::read_to_string(&path).unwrap(), PRIVATE_TAG).unwrap();
        assert_eq!((&der[..16], der.len()), (&PKCS8_PREFIX[..], 48));
    }

    #[test]
    fn debug_shows_no_private_bytes() {
        let key = SigningKey::from_pem(RFC8410_PRIVATE).unwrap();
        let text = format!("{key:?}");
        assert_eq!(
            text,
            format!("SigningKey {{ key_id: \"{}\", .. }}", key.key_id())
        );
    }

    #[test]
    fn signatures_of_other_keys_and_other_bytes_fail() {
        let key = SigningKey::generate().unwrap();
        let sig = key.sign(b"message");
        assert!(key.verifying_key().verifies(b"message", &sig));
        assert!(!key.verifying_key().verifies(b"messagE", &sig));
        assert!(!key.verifying_key().verifies(b"message", &sig[..63]));
        let other = SigningKey::generate().unwrap().verifying_key();
        assert!(!other.verifies(b"message", &sig));
    }

    #[test]
    fn refuses_what_is_not_an_ed25519_key() {
        assert!(matches!(
            SigningKey::from_pem(RFC8410_PUBLIC),
            Err(KeyError::Pem("PRIVATE KEY"))
        ));
        assert!(matches!(
            VerifyingKey::from_pem("nonsense"),
            Err(KeyError::Pem("PUBLIC KEY"))
        ));
        let mut der = SPKI_PREFIX.to_vec();
        der.extend_from_slice(&[0; 31]);
        assert!(matches!(
            VerifyingKey::from_pem(&pem_text(PUBLIC_TAG, der)),
            Err(KeyError::NotEd25519)
        ));
        assert!(matches!(
            VerifyingKey::from_bytes(&[0; 31]),
            Err(KeyError::NotEd25519)
        ));
    }

    #[test]
    fn key_ids_are_short_and_printable() {
        assert!(is_key_id("grocery-2026-01"));
        for bad in ["", "a b", "ü", "a\n", &"x".repeat(65)] {
            assert!(!is_key_id(bad), "{bad:?}");
            let key = SigningKey::generate().unwrap();
            assert!(matches!(key.with_key_id(bad), Err(KeyError::KeyId)));
        }
    }
}
