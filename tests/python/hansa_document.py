"""Checks a statement that a hub signed, and its figures, with the log's public key alone. Needs cryptography, nothing of Hansa's."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hansa_receipt import open_checkpoint, pae

DOCUMENT_TYPE = "application/vnd.hansa.document.v1+json"


def open_document(content, signature, verifier_key):
    """What the manifest says of these bytes; raises unless the log of `verifier_key` signed it, for exactly these bytes."""
    name, _, encoded = verifier_key.split("+", 2)
    envelope = json.loads(signature)
    payload, (signed,) = base64.b64decode(envelope["payload"]), envelope["signatures"]
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(encoded)[1:])
    key.verify(base64.b64decode(signed["sig"]), pae(envelope["payloadType"], payload))
    manifest = json.loads(payload)
    if envelope["payloadType"] != DOCUMENT_TYPE or manifest["origin"] != name:
        raise ValueError("signed, but not a document of this log")
    digest = hashlib.sha256(content).hexdigest()
    for file in manifest["files"]:
        if file["sha256"] == digest:
            return {"cycle": manifest["cycle"], "merchant": manifest["merchant"], **file}
    raise ValueError("these are not the bytes that were signed")


def micros(amount):
    """An amount's micro-units; its decimal text must say the same."""
    whole, _, fraction = amount["decimal"].lstrip("-").partition(".")
    value = int(whole) * 1_000_000 + int(fraction)
    if (-value if amount["decimal"].startswith("-") else value) != amount["micros"] or len(fraction) != 6:
        raise ValueError(f"{amount['decimal']} is not {amount['micros']} micro-units")
    return amount["micros"]


def check_statement(content, verifier_key):
    """The statement in these bytes of JSON, where all of its sums hold and its checkpoints are the log's; raises otherwise."""
    document = json.loads(content)
    if document["schema"] != "hansa.statement.v1":
        raise ValueError("not a statement")
    statement = document["statement"]

    def total(part):
        return sum(micros(row["amount"]) for row in statement[part])

    def same(what, left, right):
        if left != right:
            raise ValueError(f"{what}: {left} is not {right}")

    net, brought = micros(statement["net"]), micros(statement["brought_forward"])
    for part in ("lines", "bilateral", "messages", "drill_down"):
        if part in statement and (part != "messages" or statement[part]):
            same(f"the {part} against the net", total(part), net)
    same("what is brought forward, by cause", total("opening"), brought)
    left = brought + net + total("holdbacks") - total("payments")
    same("what is carried forward", left, micros(statement["carried_forward"]))
    for row in statement.get("drill_down", []):
        row["of"] = row["line"], json.dumps(row["counterparty"]), row["late"]
    for line in statement["lines"]:
        of = line["kind"], json.dumps(line["counterparty"]), line["late"]
        rows = [row for row in statement.get("drill_down", []) if row["of"] == of]
        if "drill_down" in statement:
            same(f"the points of {of}", sum(row["points"] for row in rows), line["points"])
            same(f"the items of {of}", sum(micros(row["amount"]) for row in rows), micros(line["amount"]))
    for checkpoint in statement["proof"]["checkpoints"]:
        stated = checkpoint["size"], bytes.fromhex(checkpoint["root"])
        same("a checkpoint", open_checkpoint(checkpoint["note"], verifier_key), stated)
    return statement
