"""The client in Python: its bytes against the standards' own examples, and the whole of it against a small hub.

The hub here is a stand-in that takes nothing from the client: it verifies token and envelope with its own code and
builds its tree by RFC 6962's recursive definitions. The real hub is met in test_hub.py.
"""

import base64
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import hansa_client as client
import hansa_receipt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hansa.v1 import exchange_pb2, exchange_pb2_grpc, log_pb2, log_pb2_grpc, members_pb2, members_pb2_grpc, types_pb2

NOW = 1_700_000_000
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
ORIGIN = "log.example/alliance"


def sha256(data):
    return hashlib.sha256(data).digest()


# --- Bytes of the standards ---------------------------------------------------------------------------------------


def test_pae_is_that_of_the_dsse_specification():
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert hansa_receipt.pae("http://example.com/HelloWorld", b"hello world") == expected
    assert hansa_receipt.pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 ", "lengths count bytes"


def test_token_is_that_of_rfc_8037():
    # RFC 8037, appendix A.1 and A.4: the key, and its signature over a JWS with the header {"alg":"EdDSA"}.
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signing_input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert client.unpadded(b"Example of Ed25519 signing") == signing_input.split(b".")[1]
    assert client.unpadded(key.sign(signing_input)).decode() == signature

    parts = client.token(key, "key-1", "grocery", "hub", NOW).split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in parts[:2])
    assert header == {"alg": "EdDSA", "kid": "key-1"}
    assert claims == {"iss": "grocery", "aud": "hub", "iat": NOW, "exp": NOW + 300}
    assert "=" not in "".join(parts)
    key.public_key().verify(base64.urlsafe_b64decode(parts[2] + "=="), f"{parts[0]}.{parts[1]}".encode())


def test_message_ids_are_uuids_of_version_8_in_order_of_time():
    first, second = (client.message_id(at * 1_000, "till-1", "4711", "accrual", "1") for at in (1, 2))
    assert first < second and len(first) == 16
    assert first == client.message_id(1_999, "till-1", "4711", "accrual", "1")
    assert first != client.message_id(1_999, "till-1", "4712", "accrual", "1")
    assert first[:6] == (1).to_bytes(6, "big") and first[6] >> 4 == 8 and first[8] >> 6 == 2


# --- Trees by RFC 6962's definitions ------------------------------------------------------------------------------


def split(size):
    half = 1
    while half * 2 < size:
        half *= 2
    return half


def tree_hash(leaves):
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    half = split(len(leaves))
    return sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:]))


def audit_path(index, leaves):
    if len(leaves) == 1:
        return []
    half = split(len(leaves))
    if index < half:
        return [*audit_path(index, leaves[:half]), tree_hash(leaves[half:])]
    return [*audit_path(index - half, leaves[half:]), tree_hash(leaves[:half])]


def test_proofs_hold_for_every_leaf_of_every_small_tree():
    leaves = [bytes([number]) * 72 for number in range(40)]
    for size in range(1, len(leaves) + 1):
        root = tree_hash(leaves[:size])
        for index in range(size):
            path = audit_path(index, leaves[:size])
            assert hansa_receipt.root_from_proof(leaves[index], index, size, path) == root
            if size > 1:
                assert hansa_receipt.root_from_proof(leaves[index - 1], index, size, path) != root
                with pytest.raises(ValueError, match="too short"):
                    hansa_receipt.root_from_proof(leaves[index], index, size, path[:-1])
            with pytest.raises(ValueError, match="too long"):
                hansa_receipt.root_from_proof(leaves[index], index, size, [*path, bytes(32)])
    with pytest.raises(ValueError, match="beyond"):
        hansa_receipt.root_from_proof(leaves[3], 3, 3, [])


# --- The whole client against a small hub -------------------------------------------------------------------------


class SmallHub(exchange_pb2_grpc.ExchangeServiceServicer, members_pb2_grpc.MemberServiceServicer, log_pb2_grpc.LogServiceServicer):
    def __init__(self, merchant_key):
        self.merchant_key = merchant_key.public_key()
        self.log_key = Ed25519PrivateKey.generate()
        self.leaves = [bytes([number]) * 72 for number in range(5)]
        self.batches = []
        self.answers = {}
        self.spoil = lambda answer: None

    def caller(self, context):
        bearer = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        signed, _, signature = bearer.rpartition(".")
        self.merchant_key.verify(base64.urlsafe_b64decode(signature + "=="), signed.encode())
        return json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))

    def note_key(self):
        public = b"\1" + self.log_key.public_key().public_bytes(*RAW)
        return sha256(ORIGIN.encode() + b"\n" + public)[:4], public

    def EnrolMembers(self, request, context):
        assert self.caller(context)["iss"] == "grocery"
        return members_pb2.EnrolMembersResponse(member_references=[sha256(key)[:16] for key in request.enrolment_keys])

    def GetCheckpoint(self, request, context):
        key_hash, public = self.note_key()
        verifier_key = f"{ORIGIN}+{key_hash.hex()}+{base64.b64encode(public).decode()}"
        return log_pb2.GetCheckpointResponse(verifier_key=verifier_key)

    def SubmitBatch(self, request, context):
        assert self.caller(context)["aud"] == "hub"
        envelope = request.envelope
        kind, payload, (signature,) = envelope.payload_type, envelope.payload, envelope.signatures
        covered = b" ".join([b"DSSEv1", b"%d" % len(kind), kind.encode(), b"%d" % len(payload), payload])
        self.merchant_key.verify(signature.sig, covered)
        assert kind == "application/vnd.hansa.batch.v1+protobuf" and signature.keyid == "key-1"
        messages = [exchange_pb2.Message.FromString(raw) for raw in exchange_pb2.Batch.FromString(payload).messages]
        self.batches.append(messages)
        if payload in self.answers:
            return self.replayed(self.answers[payload])
        points = messages[0].accrual.eligible_amount.micros // 1_000_000
        accepted = types_pb2.RESULT_CODE_ACCEPTED
        outcome = exchange_pb2.Outcome(code=accepted, points=points, available_points=points)
        answer = exchange_pb2.SubmitBatchResponse(outcomes=exchange_pb2.Outcomes(outcomes=[outcome]).SerializeToString())
        decided_at = messages[0].event_time.ToMicroseconds() + 17
        digest = sha256(covered + signature.sig + signature.keyid.encode())
        self.leaves.append(digest + decided_at.to_bytes(8, "big", signed=True) + sha256(answer.outcomes))
        self.leaves.append(bytes(72))
        index = len(self.leaves) - 2
        receipt = answer.receipt
        receipt.leaf_index, receipt.leaf_data = index, self.leaves[index]
        receipt.decided_at.FromMicroseconds(decided_at)
        receipt.inclusion_proof.extend(audit_path(index, self.leaves))
        receipt.checkpoint = self.checkpoint(len(self.leaves), tree_hash(self.leaves))
        self.answers[payload] = answer
        self.spoil(answer)
        return answer

    def replayed(self, answer):
        outcomes = exchange_pb2.Outcomes.FromString(answer.outcomes)
        outcomes.outcomes[0].replayed, outcomes.outcomes[0].leaf_index = True, answer.receipt.leaf_index
        return exchange_pb2.SubmitBatchResponse(outcomes=outcomes.SerializeToString())

    def GetReceipt(self, request, context):
        assert self.caller(context)["iss"] == "grocery"
        (answer,) = (a for a in self.answers.values() if a.receipt.leaf_index == request.leaf_index)
        return log_pb2.GetReceiptResponse(receipt=answer.receipt, outcomes=answer.outcomes)

    def checkpoint(self, size, root):
        body = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
        signature = base64.b64encode(self.note_key()[0] + self.log_key.sign(body.encode())).decode()
        return f"{body}\n— {ORIGIN} {signature}\n"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the client as its user does, against a small hub; returns what it printed. `run.hub` is the hub."""
    key = Ed25519PrivateKey.generate()
    pem = tmp_path / "key.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    hub = SmallHub(key)
    server = grpc.server(ThreadPoolExecutor(2))
    exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(hub, server)
    members_pb2_grpc.add_MemberServiceServicer_to_server(hub, server)
    log_pb2_grpc.add_LogServiceServicer_to_server(hub, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def go():
        line = f"--hub 127.0.0.1:{port} --audience hub --merchant grocery --key-id key-1 --key {pem} --member {'ab' * 32}"
        line += f" --cents 1999 --lane till-1 --receipt 4711 --at {NOW * 1_000_000 + 123}"
        monkeypatch.setattr(sys, "argv", ["hansa_client.py", *line.split()])
        client.main()
        return capsys.readouterr().out

    go.hub = hub
    yield go
    server.stop(None)


def test_the_client_sends_a_purchase_and_believes_the_receipt(run):
    printed = run()
    assert printed == f"ACCEPTED: 19 points, 19 available\nleaf 5 is in the log of {ORIGIN}: the receipt holds\n"
    message = run.hub.batches[0][0]
    assert message.member_reference == sha256(bytes.fromhex("ab" * 32))[:16]
    assert message.accrual.eligible_amount == types_pb2.Money(currency_code="EUR", micros=19_990_000)
    assert message.event_time.ToMicroseconds() == NOW * 1_000_000 + 123
    assert message.lane == "till-1" and len(message.message_id) == 16


def test_the_same_purchase_again_has_the_same_bytes_and_the_first_receipt(run):
    printed = [run(), run()]
    first, again = ([message.SerializeToString() for message in batch] for batch in run.hub.batches)
    assert first == again
    assert printed[1] == printed[0].replace("ACCEPTED:", "ACCEPTED (replayed):")


def forged_checkpoint(answer):
    answer.receipt.checkpoint = answer.receipt.checkpoint.replace("\n7\n", "\n8\n")


def foreign_leaf(answer):
    answer.receipt.leaf_data = bytes(72)


def other_outcomes(answer):
    outcomes = exchange_pb2.Outcomes.FromString(answer.outcomes)
    outcomes.outcomes[0].points += 1
    answer.outcomes = outcomes.SerializeToString()


def other_time(answer):
    answer.receipt.decided_at.nanos += 1_000


def broken_proof(answer):
    answer.receipt.inclusion_proof[0] = bytes(32)


def unsigned_checkpoint(answer):
    answer.receipt.checkpoint = answer.receipt.checkpoint.replace(f"— {ORIGIN}", "— another.example/log")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (forged_checkpoint, InvalidSignature),
        (foreign_leaf, ValueError),
        (other_outcomes, ValueError),
        (other_time, ValueError),
        (broken_proof, ValueError),
        (unsigned_checkpoint, ValueError),
    ],
)
def test_a_receipt_that_does_not_hold_is_not_believed(run, spoil, error):
    run.hub.spoil = spoil
    with pytest.raises(error):
        run()
