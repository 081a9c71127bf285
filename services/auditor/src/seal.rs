//! What the log's form promises: signatures over DSSE's PAE, leaf data, the RFC 6962 tree, the signed checkpoint.
//! Written from docs/log.md and the specifications, with nothing of the hub's.

use hansa_proto::v1;
use ring::{
    digest::{Context, SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};

use crate::finding::{Mismatch, What};

/// A node or leaf hash.
pub type Hash = [u8; 32];

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Identifier of the hub's own key: `hub-` and the first 8 bytes of its SHA-256.
pub(crate) fn hub_key_id(public_key: &[u8]) -> String {
    format!("hub-{}", hex(&digest(&SHA256, public_key).as_ref()[..8]))
}

/// DSSE: `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`.
fn pae(envelope: &v1::Envelope) -> Vec<u8> {
    let (kind, payload) = (&envelope.payload_type, &envelope.payload);
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The one signature of an envelope.
pub(crate) fn signature(envelope: &v1::Envelope) -> Result<&v1::Signature, Mismatch> {
    match envelope.signatures.as_slice() {
        [signature] if signature.sig.len() == 64 => Ok(signature),
        [signature] => Err(Mismatch::new(
            What::Envelope,
            "a signature of 64 bytes",
            format_args!("{} bytes", signature.sig.len()),
        )),
        others => Err(Mismatch::new(
            What::Envelope,
            "one signature",
            format_args!("{} signatures", others.len()),
        )),
    }
}

/// Verifies the envelope's one signature with a public key.
pub(crate) fn verify(envelope: &v1::Envelope, public_key: &[u8; 32]) -> Result<(), Mismatch> {
    let signature = signature(envelope)?;
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(&pae(envelope), &signature.sig)
        .map_err(|_| {
            Mismatch::new(
                What::Signature,
                format_args!("a signature of the key {}", hex(public_key)),
                "one that does not verify",
            )
        })
}

/// The 72 bytes that the leaf of an entry covers.
pub(crate) fn leaf_data(envelope: &v1::Envelope, decided_at: i64, outcomes: &[u8]) -> [u8; 72] {
    let mut covered = pae(envelope);
    for signature in &envelope.signatures {
        covered.extend_from_slice(&signature.sig);
        covered.extend_from_slice(signature.keyid.as_bytes());
    }
    let mut out = [0; 72];
    out[..32].copy_from_slice(&sha256(&[&covered]));
    out[32..40].copy_from_slice(&decided_at.to_be_bytes());
    out[40..].copy_from_slice(&sha256(&[outcomes]));
    out
}

/// The right edge of an RFC 6962 tree: roots of its full subtrees, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    size: u64,
    edge: Vec<Hash>,
}

impl Tree {
    /// Appends the leaf of these data.
    pub(crate) fn push(&mut self, leaf_data: &[u8]) {
        let mut node = sha256(&[&[0], leaf_data]);
        let mut below = self.size;
        while below & 1 == 1 {
            let Some(left) = self.edge.pop() else { break };
            node = sha256(&[&[1], &left, &node]);
            below >>= 1;
        }
        self.edge.push(node);
        self.size += 1;
    }

    /// The root over all leaves so far.
    pub(crate) fn root(&self) -> Hash {
        let mut subtrees = self.edge.iter().rev();
        let Some(last) = subtrees.next() else {
            return sha256(&[]);
        };
        subtrees.fold(*last, |right, left| sha256(&[&[1], left, &right]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_that_of_rfc_6962() {
        // Roots of the reference implementation's eight test leaves.
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut tree = Tree::default();
        assert_eq!(
            hex(&tree.root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut roots = Vec::new();
        for leaf in leaves {
            tree.push(leaf);
            roots.push(hex(&tree.root()));
        }
        assert_eq!(
            roots[0],
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            roots[6],
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"
        );
        assert_eq!(
            roots[7],
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    #[test]
    fn pae_counts_bytes() {
        let envelope = v1::Envelope {
            payload: bytes::Bytes::from_static(b"hello world"),
            payload_type: "http://example.com/HelloWorld".into(),
            signatures: Vec::new(),
        };
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pae(&envelope), expected);
    }
}
