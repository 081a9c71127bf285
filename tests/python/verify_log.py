"""Verifies receipts with Sigstore's own verifier of transparency logs (RFC 6962 proofs, C2SP checkpoints).

Nothing here hashes a tree or takes a note apart: that is `sigstore`, which knows nothing of Hansa. Its functions expect an
entry of Rekor and Rekor's keys, so two small stand-ins carry ours. From a shell: `verify_log.py RECEIPTS.json`.
"""

import base64
import json
import sys
from types import SimpleNamespace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint, verify_checkpoint
from sigstore.errors import VerificationError


class Keyring:
    """The log's key in place of Rekor's."""

    def __init__(self, public_key):
        self.key = Ed25519PublicKey.from_public_bytes(public_key)

    def verify(self, *, key_id, signature, data):
        try:
            self.key.verify(signature, data)
        except InvalidSignature as error:
            raise VerificationError("signature") from error


def verify_receipt(leaf_data, leaf_index, proof, checkpoint, verifier_key):
    """Raises sigstore's VerificationError unless the log of `verifier_key` signed a tree that has the leaf there."""
    origin, key_hash, encoded = verifier_key.split("+", 2)
    algorithm_and_key = base64.b64decode(encoded, validate=True)
    if algorithm_and_key[0] != 1:
        raise VerificationError("not an Ed25519 key")
    signed = SignedCheckpoint.from_text(checkpoint).checkpoint
    if signed.origin != origin:
        raise VerificationError(f"a checkpoint of {signed.origin}, not of {origin}")
    if not 0 <= leaf_index < signed.log_size:
        raise VerificationError("the leaf lies beyond the tree")
    entry = SimpleNamespace(
        _inner=SimpleNamespace(
            canonicalized_body=leaf_data,
            log_id=SimpleNamespace(key_id=bytes.fromhex(key_hash)),
            inclusion_proof=SimpleNamespace(
                log_index=leaf_index,
                tree_size=signed.log_size,
                root_hash=bytes.fromhex(signed.log_hash),
                hashes=proof,
                checkpoint=SimpleNamespace(envelope=checkpoint),
            ),
        )
    )
    verify_checkpoint(Keyring(algorithm_and_key[1:]), entry)
    verify_merkle_inclusion(entry)


def receipts_of(path):
    """The receipts of a JSON file, each as arguments for `verify_receipt`."""
    with open(path, encoding="utf-8") as file:
        log = json.load(file)
    for receipt in log["receipts"]:
        yield {
            "leaf_data": base64.b64decode(receipt["leaf_data"]),
            "leaf_index": receipt["leaf_index"],
            "proof": [base64.b64decode(node) for node in receipt["inclusion_proof"]],
            "checkpoint": receipt["checkpoint"],
            "verifier_key": log["verifier_key"],
        }


def main():
    receipts = list(receipts_of(sys.argv[1]))
    for receipt in receipts:
        verify_receipt(**receipt)
    print(f"{len(receipts)} receipts hold")


if __name__ == "__main__":
    main()
