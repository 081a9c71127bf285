"""Checks a receipt without trusting the hub: RFC 6962 hashing, C2SP checkpoint. Needs cryptography, nothing of Hansa's."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def pae(payload_type, payload):
    """What a DSSE v1 signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def check_receipt(receipt, envelope, outcomes, verifier_key):
    """Raises unless the log that `verifier_key` signs for has exactly this envelope with exactly these outcomes."""
    digest = pae(envelope.payload_type, envelope.payload) + b"".join(s.sig + s.keyid.encode() for s in envelope.signatures)
    decided_at = receipt.decided_at.ToMicroseconds().to_bytes(8, "big", signed=True)
    leaf = hashlib.sha256(digest).digest() + decided_at + hashlib.sha256(outcomes).digest()
    if leaf != receipt.leaf_data:
        raise ValueError("the receipt is for something else")
    size, root = open_checkpoint(receipt.checkpoint, verifier_key)
    if root_from_proof(leaf, receipt.leaf_index, size, receipt.inclusion_proof) != root:
        raise ValueError("the proof does not lead to the checkpoint's root")


def open_checkpoint(note, verifier_key):
    """Size and root hash of a signed checkpoint (C2SP signed-note and tlog-checkpoint)."""
    name, key_hash, encoded = verifier_key.split("+", 2)
    body, _, signatures = note.rpartition("\n\n")
    body += "\n"
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        raw = base64.b64decode(blob)
        if dash == "\u2014" and signer == name and raw[:4].hex() == key_hash:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:]).verify(raw[4:], body.encode())
            origin, size, root = body.splitlines()[:3]
            if origin != name:
                raise ValueError(f"a checkpoint of {origin}, not of {name}")
            return int(size), base64.b64decode(root)
    raise ValueError(f"the checkpoint is not signed by {name}")


def root_from_proof(leaf, index, size, proof):
    """RFC 9162, section 2.1.3.2: the root that an inclusion proof of RFC 6962 leads to."""
    if index >= size:
        raise ValueError("the leaf lies beyond the tree")
    number, last, result = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for sibling in proof:
        if last == 0:
            raise ValueError("the proof is too long")
        if number & 1 or number == last:
            result = hashlib.sha256(b"\1" + sibling + result).digest()
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\1" + result + sibling).digest()
        number, last = number >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return result
