"""The client in Python against the real hub, on both databases: what a merchant with another language meets."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import grpc
import hansa_client as client
import hansa_receipt
import pytest
from conftest import STUBS
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.rpc import error_details_pb2, status_pb2
from hansa.v1 import alliance_pb2, alliance_pb2_grpc, exchange_pb2, exchange_pb2_grpc, members_pb2, members_pb2_grpc

AUDIENCE = "test-hub"
ORIGIN = "log.example/python-tests"
MEMBER = "ab" * 32
RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
PEM = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()


def now():
    return time.time_ns() // 1_000


class Hub:
    """A running hub with one merchant, "books & more", and its key "till-key"."""

    def __init__(self, hansa, database, folder):
        self.folder = folder
        command = [hansa, "serve", "--database", database, "--data-dir", folder / "data", "--listen", "127.0.0.1:0"]
        command += ["--audience", AUDIENCE, "--origin", ORIGIN, "--ready-file", folder / "ready"]
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.key = Ed25519PrivateKey.generate()
        (folder / "till.pem").write_bytes(self.key.private_bytes(*PEM))

    def wait_until_ready(self):
        ready = self.folder / "ready"
        deadline = time.monotonic() + 60
        while not (ready.exists() and ready.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the hub did not start:\n" + (self.folder / "log").read_text())
            time.sleep(0.02)
        self.address = ready.read_text().strip()
        self.channel = grpc.insecure_channel(self.address)

    def operator(self):
        pem = (self.folder / "data" / "operator.key.pem").read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        key_id = hashlib.sha256(key.public_key().public_bytes(*RAW)).hexdigest()[:16]
        return self.call(key, key_id, "operator")

    def call(self, key, key_id, issuer, audience=AUDIENCE, at=None):
        bearer = "Bearer " + client.token(key, key_id, issuer, audience, (at or now()) // 1_000_000)
        return {"metadata": [("authorization", bearer)], "timeout": 30}

    def merchant(self):
        return self.call(self.key, "till-key", "books & more")

    def set_up(self):
        stub = alliance_pb2_grpc.AllianceServiceStub(self.channel)
        desired = alliance_pb2.Alliance(
            programme=alliance_pb2.Programme(
                name="Test", currency_code="EUR", time_zone="UTC", reserve_per_point="0.008",
                expiry_rule=alliance_pb2.EXPIRY_RULE_ROLLING_MONTHS, expiry_months=6,
                negative_balance=alliance_pb2.NEGATIVE_BALANCE_POLICY_DEBT, cycle_schedule=alliance_pb2.CYCLE_SCHEDULE_MONTHLY,
            ),
            merchants=[
                alliance_pb2.Merchant(
                    merchant_id="books & more", display_name="Books", state=alliance_pb2.MERCHANT_STATE_ACTIVE,
                    roles=[alliance_pb2.MERCHANT_ROLE_EARN, alliance_pb2.MERCHANT_ROLE_BURN],
                    contract=alliance_pb2.Contract(
                        funding_mode=alliance_pb2.FUNDING_MODE_ISSUE, earn_rate="1.5", service_fee_per_point="0.0015",
                        redemption_fee_bps=200, breakage_share_bps=3333,
                    ),
                )
            ],
        )
        stub.ApplyAlliance(alliance_pb2.ApplyAllianceRequest(desired=desired), **self.operator())
        key = alliance_pb2.Key(key_id="till-key", public_key=self.key.public_key().public_bytes(*RAW), merchant_id="books & more")
        key.valid_from.FromMicroseconds(now() - 3_600_000_000)
        stub.RegisterKey(alliance_pb2.RegisterKeyRequest(key=key), **self.operator())

    def run_client(self, **changes):
        """The client as a process of its own; gives what it printed."""
        options = {"hub": self.address, "audience": AUDIENCE, "merchant": "books & more", "key-id": "till-key"}
        options |= {"key": self.folder / "till.pem", "member": MEMBER, "cents": 1999, "lane": "till-1", "receipt": "4711"} | changes
        command = [sys.executable, client.__file__, *(f"--{name}={value}" for name, value in options.items())]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env=os.environ | {"PYTHONPATH": f"{STUBS}:{Path(client.__file__).parent}"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def submit(self, envelope, call=None):
        request = exchange_pb2.SubmitBatchRequest(envelope=envelope)
        return exchange_pb2_grpc.ExchangeServiceStub(self.channel).SubmitBatch(request, **(call or self.merchant()))

    def reference(self):
        request = members_pb2.EnrolMembersRequest(enrolment_keys=[bytes.fromhex(MEMBER)])
        return members_pb2_grpc.MemberServiceStub(self.channel).EnrolMembers(request, **self.merchant()).member_references[0]

    def stop(self):
        self.channel.close()
        self.process.terminate()
        assert self.process.wait(30) == 0, (self.folder / "log").read_text()


@pytest.fixture
def hub(hansa, database, tmp_path):
    hub = Hub(hansa, database, tmp_path)
    try:
        hub.wait_until_ready()
        hub.set_up()
        yield hub
        hub.stop()
    finally:
        hub.process.kill()
        hub.process.wait()


def leaf_of(line):
    words = line.split()
    assert words[2:] == ["is", "in", "the", "log", "of", ORIGIN + ":", "the", "receipt", "holds"], line
    return int(words[1])


def test_a_purchase_is_posted_proved_and_replayed(hub):
    at = now()
    outcome, proof = hub.run_client(at=at)
    assert outcome == "ACCEPTED: 29 points, 29 available", "floor(19.99 x 1.5)"
    first = leaf_of(proof)
    for number in range(5):  # trees of several sizes
        _, proof = hub.run_client(at=at, receipt=f"other-{number}", cents=100)
        assert leaf_of(proof) == first + 1 + number
    outcome, proof = hub.run_client(at=at)
    assert outcome == "ACCEPTED (replayed): 29 points, 29 available", "the first outcome, word for word"
    assert leaf_of(proof) == first
    request = members_pb2.GetBalanceRequest(member_reference=hub.reference())
    balance = members_pb2_grpc.MemberServiceStub(hub.channel).GetBalance(request, **hub.merchant())
    assert balance.available_points == 29 + 5
    assert balance.as_of_leaf >= first + 5


def refusal(error):
    """Status code, domain and reason of a refused call."""
    (packed,) = [value for name, value in error.value.trailing_metadata() if name == "grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(packed).details:
        if detail.Unpack(info):
            return error.value.code(), info.domain, info.reason
    raise AssertionError("no ErrorInfo")


def test_what_is_not_signed_as_it_should_be_is_refused(hub):
    payload = client.purchase(hub.reference(), now(), 100, "till-1", "1")
    other = Ed25519PrivateKey.generate()
    good = client.sealed(hub.key, "till-key", payload)
    foreign, bare, unknown = (client.sealed(hub.key, "till-key", payload) for _ in range(3))
    foreign.signatures[0].sig = other.sign(hansa_receipt.pae(client.BATCH_TYPE, payload))
    bare.signatures[0].sig = hub.key.sign(payload)  # over the payload, not over its PAE
    unknown.signatures[0].keyid = "nobody's"
    changed = client.sealed(hub.key, "till-key", payload)
    changed.payload += b"\x0a\x00"
    foreign_token = hub.call(other, "till-key", "books & more")
    elsewhere = hub.call(hub.key, "till-key", "books & more", audience="elsewhere")
    someone_else = hub.call(hub.key, "till-key", "someone else")
    last_year = hub.call(hub.key, "till-key", "books & more", at=now() - 31_536_000_000_000)
    cases = [
        (foreign, None, "SIGNATURE_INVALID"),
        (bare, None, "SIGNATURE_INVALID"),
        (changed, None, "SIGNATURE_INVALID"),
        (unknown, None, "KEY_UNKNOWN"),
        (good, foreign_token, "TOKEN_SIGNATURE_INVALID"),
        (good, elsewhere, "AUDIENCE_MISMATCH"),
        (good, someone_else, "ISSUER_MISMATCH"),
        (good, last_year, "TOKEN_EXPIRED"),
        (good, {"timeout": 30}, "TOKEN_MISSING"),
    ]
    for envelope, call, reason in cases:
        with pytest.raises(grpc.RpcError) as error:
            hub.submit(envelope, call)
        assert refusal(error) == (grpc.StatusCode.UNAUTHENTICATED, "hansa.v1", reason)
    # None of it used up the id.
    (outcome,) = exchange_pb2.Outcomes.FromString(hub.submit(good).outcomes).outcomes
    assert not outcome.replayed and outcome.points == 1
