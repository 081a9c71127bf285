"""Tells which settlement cycle each message is in, from receipts and cycle certificates alone. Nothing of Hansa's but the protos."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from google.protobuf.json_format import ParseDict
from hansa.v1 import exchange_pb2, log_pb2, settlement_pb2, types_pb2
from hansa_receipt import check_receipt, open_checkpoint, pae

CERTIFICATE_TYPE = "application/vnd.hansa.cycle-certificate.v1+protobuf"


def open_certificate(text, verifier_key):
    """Number and leaves of the cycle whose certificate (a DSSE envelope) the log signed; raises if it did not."""
    document = json.loads(text)
    payload, (signature,) = base64.b64decode(document["payload"]), document["signatures"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(verifier_key.split("+", 2)[2])[1:])
    key.verify(base64.b64decode(signature["sig"]), pae(document["payloadType"], payload))
    certificate = settlement_pb2.CycleCertificate.FromString(payload)
    end, _ = open_checkpoint(certificate.cut_checkpoint, verifier_key)
    begin = 0
    if certificate.HasField("opening_cut_leaf_index"):
        begin, _ = open_checkpoint(certificate.opening_checkpoint, verifier_key)
    stated = certificate.opening_cut_leaf_index + 1 if begin else 0, certificate.cycle.cut_leaf_index + 1
    if document["payloadType"] != CERTIFICATE_TYPE or stated != (begin, end):
        raise ValueError("the certificate contradicts itself")
    return certificate.cycle.cycle_number, range(begin, end)


def cycle_of_each_message(receipts, certificates, verifier_key):
    """{message id: number of its cycle, None where no certificate encloses it}; raises where one is not in exactly one cycle."""
    cycles = dict(open_certificate(text, verifier_key) for text in certificates)
    found = {}
    for document in map(json.loads, receipts):
        envelope = ParseDict(document["envelope"], types_pb2.Envelope())
        receipt = ParseDict(document["receipt"], log_pb2.Receipt())
        outcomes = base64.b64decode(document["outcomes"])
        check_receipt(receipt, envelope, outcomes, verifier_key)
        elements = exchange_pb2.Batch.FromString(envelope.payload).messages
        for element, outcome in zip(elements, exchange_pb2.Outcomes.FromString(outcomes).outcomes, strict=True):
            if outcome.HasField("leaf_index"):  # sent again: it is in the cycle of its first outcome
                continue
            message_id = exchange_pb2.Message.FromString(element).message_id
            enclosing = [number for number, leaves in cycles.items() if receipt.leaf_index in leaves]
            stated = outcome.cycle_number in cycles
            if message_id in found or enclosing != [outcome.cycle_number] * stated:
                raise ValueError(f"message {message_id.hex()} is not in exactly the cycle that the hub said")
            found[message_id] = outcome.cycle_number if stated else None
    return found
