"""A merchant proves which cycle each of its messages is in, with its own receipts and a page of Python."""

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta

import hansa_cycle
import pytest
from cryptography.exceptions import InvalidSignature
from hansa.v1 import exchange_pb2, log_pb2, log_pb2_grpc
from test_hub import AUDIENCE, hub  # noqa: F401 - a fixture

MEMBER = "4929000000000001"


class Books:
    """The merchant at the command line: what it sends and keeps."""

    def __init__(self, hansa, hub):
        self.hansa, self.hub, self.folder = hansa, hub, hub.folder

    def run(self, *arguments, key, merchant=None):
        common = ["--hub", f"http://{self.hub.address}", "--audience", AUDIENCE, "--key", key]
        common += ["--merchant", merchant, "--key-id", "till-key"] if merchant else []
        done = subprocess.run(
            [self.hansa, *arguments, *common], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def buy(self, name, receipts):
        rows = ["kind,receipt,event_time,card,amount,currency"]
        # The contract began within this second; what is cut off must not lie before it.
        at = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        rows += [f"accrual,{receipt},{at},{MEMBER},19.99,EUR" for receipt in receipts]
        (self.folder / name).write_text("\n".join(rows) + "\n")
        self.send(name)

    def send(self, name):
        self.run("submit", name, "--receipts", "receipts", "--batch", "2", key="till.pem", merchant="books & more")

    def close(self, number):
        self.run("cycle", "close", str(number), "--yes", key="data/operator.key.pem")
        (self.folder / "certificates").mkdir(exist_ok=True)
        arguments = ["cycle", "certificate", str(number), "--out", "certificates", "--receipts", "receipts"]
        self.run(*arguments, key="till.pem", merchant="books & more")

    def receipts(self):
        return [path.read_text() for path in sorted((self.folder / "receipts").glob("receipt-*.json"))]

    def certificates(self):
        return [path.read_text() for path in sorted((self.folder / "certificates").glob("*.certificate.json"))]


def verifier_key(hub):
    request = log_pb2.GetCheckpointRequest()
    return log_pb2_grpc.LogServiceStub(hub.channel).GetCheckpoint(request, **hub.merchant()).verifier_key


def test_each_message_is_in_exactly_one_cycle(hansa, hub):  # noqa: F811
    books = Books(hansa, hub)
    books.buy("one.csv", range(5))
    books.close(1)
    books.buy("two.csv", range(5, 8))
    books.send("one.csv")  # again: no new receipt, and none is lost
    books.close(2)
    books.buy("three.csv", range(8, 10))
    key = verifier_key(hub)
    receipts, certificates = books.receipts(), books.certificates()
    assert (len(receipts), len(certificates)) == (3 + 2 + 1, 2)
    found = hansa_cycle.cycle_of_each_message(receipts, certificates, key)
    assert sorted(map(str, found.values())) == ["1"] * 5 + ["2"] * 3 + ["None"] * 2
    arguments = ["verify", "receipts", "--verifier-key", key, "--json"]
    done = subprocess.run([hansa, *arguments], cwd=hub.folder, capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    assert (done.returncode, told["messages"], told["outside"]) == (0, 10, 2)
    assert [c["messages_accepted"] for c in told["cycles"]] == [5, 3]
    assert all(c["proven_batches"] == c["batches"] for c in told["cycles"]), "every receipt is in the tree of its cycle's cut"

    # A certificate that somebody else signed, one that says more than was signed, and a receipt that says another cycle.
    signed = json.loads(certificates[1])
    payload = bytearray(base64.b64decode(signed["payload"]))
    payload[-1] ^= 1
    for change in ({"payload": base64.b64encode(payload).decode()}, {"payloadType": "application/other"}):
        with pytest.raises(InvalidSignature):
            hansa_cycle.cycle_of_each_message(receipts, [certificates[0], json.dumps(signed | change)], key)
    kept = json.loads(receipts[0])
    outcomes = exchange_pb2.Outcomes.FromString(base64.b64decode(kept["outcomes"]))
    outcomes.outcomes[0].cycle_number = 2
    altered = json.dumps(kept | {"outcomes": base64.b64encode(outcomes.SerializeToString()).decode()})
    with pytest.raises(ValueError, match="something else"):
        hansa_cycle.cycle_of_each_message([altered, *receipts[1:]], certificates, key)
    with pytest.raises(ValueError, match="not in exactly"):
        hansa_cycle.cycle_of_each_message([*receipts, receipts[0]], certificates, key)

    # The command line says no to the same, and names the leaf.
    leaf = json.loads(receipts[0])["receipt"]["leafIndex"]
    sorted((hub.folder / "receipts").glob("receipt-*.json"))[0].write_text(altered)
    red = subprocess.run([hansa, *arguments], cwd=hub.folder, capture_output=True, text=True, timeout=60)
    told = json.loads(red.stdout)
    assert (red.returncode, told["ok"]) == (6, False)
    assert f"leaf {leaf}" in told["mismatch"], told
