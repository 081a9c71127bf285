//! DSSE v1 envelopes: what is signed is `PAE(payload type, payload)`, over the bytes as they were received.
//!
//! Origin: the DSSE specification's `protocol.md` and `envelope.md`. Nothing is ever decoded and encoded again to
//! verify: protobuf is not canonical.

use std::borrow::Cow;

use bytes::Bytes;
use hansa_proto::v1::{Envelope, Signature};

use crate::keys::{SIGNATURE_LEN, SigningKey, VerifyingKey, is_key_id};

/// Why an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// The payload is not of the type that the caller expects.
    #[error("payload type is \"{found}\", expected \"{expected}\"")]
    PayloadType {
        /// What the caller expects.
        expected: Cow<'static, str>,
        /// What the envelope says, cut to 100 characters.
        found: String,
    },
    /// An envelope of Hansa carries exactly one signature.
    #[error("{0} signatures, expected exactly 1")]
    SignatureCount(usize),
    /// A signature is 64 bytes and names its key.
    #[error("a signature is 64 bytes and names its key in 1-64 printable characters")]
    SignatureShape,
    /// The signature is not this key's over these bytes.
    #[error("the signature does not verify")]
    BadSignature,
}

/// `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in ASCII decimal.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = pae_head(payload_type, payload.len());
    out.reserve_exact(payload.len());
    out.extend_from_slice(payload);
    out
}

/// Everything of [`pae`] in front of the payload, for callers that hash and need no copy of the payload.
#[must_use]
pub fn pae_head(payload_type: &str, payload_len: usize) -> Vec<u8> {
    format!(
        "DSSEv1 {} {payload_type} {payload_len} ",
        payload_type.len()
    )
    .into_bytes()
}

/// Signs a payload.
#[must_use]
pub fn sign(payload_type: &str, payload: Bytes, key: &SigningKey) -> Envelope {
    let sig = key.sign(&pae(payload_type, &payload));
    Envelope {
        payload,
        payload_type: payload_type.to_owned(),
        signatures: vec![Signature {
            sig: sig.to_vec(),
            keyid: key.key_id().to_owned(),
        }],
    }
}

/// The one signature of an envelope whose type is `expected_type`; checks its shape, not its truth. The key to look
/// up is `keyid`.
///
/// # Errors
/// [`DsseError::PayloadType`], [`DsseError::SignatureCount`], [`DsseError::SignatureShape`].
pub fn signature<'a>(
    envelope: &'a Envelope,
    expected_type: &'static str,
) -> Result<&'a Signature, DsseError> {
    if envelope.payload_type != expected_type {
        return Err(DsseError::PayloadType {
            expected: Cow::Borrowed(expected_type),
            found: envelope.payload_type.chars().take(100).collect(),
        });
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err(DsseError::SignatureCount(envelope.signatures.len()));
    };
    if signature.sig.len() != SIGNATURE_LEN || !is_key_id(&signature.keyid) {
        return Err(DsseError::SignatureShape);
    }
    Ok(signature)
}

/// Verifies an envelope of one signature with the key that its `keyid` names (the caller looked it up).
///
/// # Errors
/// Those of [`signature`], and [`DsseError::BadSignature`].
pub fn verify(
    envelope: &Envelope,
    expected_type: &'static str,
    key: &VerifyingKey,
) -> Result<(), DsseError> {
    let signature = signature(envelope, expected_type)?;
    let signed = pae(&envelope.payload_type, &envelope.payload);
    if key.verifies(&signed, &signature.sig) {
        Ok(())
    } else {
        Err(DsseError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_proto::BATCH_PAYLOAD_TYPE;

    fn signed() -> (SigningKey, Envelope) {
        let key = SigningKey::generate().unwrap();
        let envelope = sign(BATCH_PAYLOAD_TYPE, Bytes::from_static(b"payload"), &key);
        (key, envelope)
    }

    #[test]
    fn pae_is_that_of_the_specification() {
        // Test vector of protocol.md.
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
        // Lengths count bytes, not characters.
        assert_eq!(pae("\u{e9}", b"x"), "DSSEv1 2 \u{e9} 1 x".as_bytes());
    }

    #[test]
    fn what_is_signed_verifies() {
        let (key, envelope) = signed();
        assert_eq!(
            verify(&envelope, BATCH_PAYLOAD_TYPE, &key.verifying_key()),
            Ok(())
        );
        assert_eq!(envelope.signatures[0].keyid, key.key_id());
    }

    #[test]
    fn any_changed_byte_fails() {
        let (key, envelope) = signed();
        let public = key.verifying_key();
        for i in 0..envelope.payload.len() {
            let mut bytes = envelope.payload.to_vec();
            bytes[i] ^= 1;
            let mut changed = envelope.clone();
            changed.payload = bytes.into();
            assert_eq!(
                verify(&changed, BATCH_PAYLOAD_TYPE, &public),
                Err(DsseError::BadSignature)
            );
        }
        for i in 0..SIGNATURE_LEN {
            let mut changed = envelope.clone();
            changed.signatures[0].sig[i] ^= 1;
            assert_eq!(
                verify(&changed, BATCH_PAYLOAD_TYPE, &public),
                Err(DsseError::BadSignature)
            );
        }
    }

    #[test]
    fn a_foreign_key_fails() {
        let (_, envelope) = signed();
        let other = SigningKey::generate().unwrap().verifying_key();
        assert_eq!(
            verify(&envelope, BATCH_PAYLOAD_TYPE, &other),
            Err(DsseError::BadSignature)
        );
    }

    #[test]
    fn the_payload_type_is_signed_and_checked() {
        let (key, mut envelope) = signed();
        envelope.payload_type = "text/plain".into();
        assert!(matches!(
            verify(&envelope, BATCH_PAYLOAD_TYPE, &key.verifying_key()),
            Err(DsseError::PayloadType { .. })
        ));
        assert_eq!(
            verify(&envelope, "text/plain", &key.verifying_key()),
            Err(DsseError::BadSignature)
        );
    }

    #[test]
    fn shape_is_checked_before_any_key_is_looked_up() {
        let (_, envelope) = signed();
        let check = |change: &dyn Fn(&mut Envelope)| {
            let mut changed = envelope.clone();
            change(&mut changed);
            signature(&changed, BATCH_PAYLOAD_TYPE).map(|_| ())
        };
        assert_eq!(check(&|_| ()), Ok(()));
        assert_eq!(
            check(&|e| e.signatures.clear()),
            Err(DsseError::SignatureCount(0))
        );
        assert_eq!(
            check(&|e| e.signatures.push(e.signatures[0].clone())),
            Err(DsseError::SignatureCount(2))
        );
        assert_eq!(
            check(&|e| e.signatures[0].sig.truncate(63)),
            Err(DsseError::SignatureShape)
        );
        assert_eq!(
            check(&|e| e.signatures[0].keyid.clear()),
            Err(DsseError::SignatureShape)
        );
    }
}
