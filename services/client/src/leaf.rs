//! The leaf of a log entry: the 72 bytes that the tree's hash covers, and their hash.
//!
//! Origin: `Entry` in `hansa/v1/log.proto`; hashing by RFC 6962 section 2.1.

use hansa_proto::v1::Envelope;
use ring::digest::{Context, SHA256, digest};

use crate::dsse::pae_head;

/// Bytes of leaf data: envelope digest, `decided_at`, outcomes digest.
pub const LEAF_DATA_LEN: usize = 72;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// SHA-256 over `PAE(payload type, payload)`, then for each signature its bytes and its keyid in UTF-8.
#[must_use]
pub fn envelope_digest(envelope: &Envelope) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&pae_head(&envelope.payload_type, envelope.payload.len()));
    context.update(&envelope.payload);
    for signature in &envelope.signatures {
        context.update(&signature.sig);
        context.update(signature.keyid.as_bytes());
    }
    finish(context)
}

/// `SHA-256(envelope) | decided_at | SHA-256(outcomes)`. `decided_at_micros`: microseconds since 1970, written as a
/// big-endian signed 64-bit integer; `outcomes`: the recorded bytes of `Outcomes`, verbatim.
#[must_use]
pub fn leaf_data(
    envelope: &Envelope,
    decided_at_micros: i64,
    outcomes: &[u8],
) -> [u8; LEAF_DATA_LEN] {
    let mut out = [0; LEAF_DATA_LEN];
    out[..32].copy_from_slice(&envelope_digest(envelope));
    out[32..40].copy_from_slice(&decided_at_micros.to_be_bytes());
    out[40..].copy_from_slice(digest(&SHA256, outcomes).as_ref());
    out
}

/// `SHA-256(0x00 | leaf data)`.
#[must_use]
pub fn leaf_hash(leaf_data: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(leaf_data);
    finish(context)
}

/// A finished SHA-256 as an array.
pub(crate) fn finish(context: Context) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::hex;
    use bytes::Bytes;
    use hansa_proto::v1::Signature;

    fn envelope() -> Envelope {
        Envelope {
            payload: Bytes::from_static(b"hello world"),
            payload_type: "http://example.com/HelloWorld".into(),
            signatures: vec![Signature {
                sig: vec![7; 64],
                keyid: "k1".into(),
            }],
        }
    }

    #[test]
    fn leaf_data_is_frozen() {
        let data = leaf_data(&envelope(), 1_772_000_000_123_456, b"outcomes");
        let mut signed = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world".to_vec();
        signed.extend_from_slice(&[7; 64]);
        signed.extend_from_slice(b"k1");
        assert_eq!(data[..32], *digest(&SHA256, &signed).as_ref());
        assert_eq!(hex(&data[32..40]), "00064b9fe68ca240");
        assert_eq!(data[40..], *digest(&SHA256, b"outcomes").as_ref());
    }

    #[test]
    fn every_part_is_covered() {
        let base = leaf_data(&envelope(), 5, b"o");
        assert_ne!(base, leaf_data(&envelope(), 6, b"o"));
        assert_ne!(base, leaf_data(&envelope(), 5, b"p"));
        let mut other = envelope();
        other.signatures[0].keyid.push('x');
        assert_ne!(base, leaf_data(&other, 5, b"o"));
        let mut other = envelope();
        other.payload_type.push('x');
        assert_ne!(base, leaf_data(&other, 5, b"o"));
    }

    #[test]
    fn leaf_hash_of_nothing_is_the_known_one() {
        // RFC 6962: the hash of an empty leaf.
        assert_eq!(
            hex(&leaf_hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }
}
