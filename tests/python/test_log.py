"""Sigstore's verifier accepts the log's receipts and refuses altered ones. The receipts are those that the hub's own
tests make and compare (services/hub/src/tlog/foreign.rs)."""

from pathlib import Path

import pytest
from sigstore.errors import VerificationError
from verify_log import receipts_of, verify_receipt

RECEIPTS = list(receipts_of(Path(__file__).resolve().parents[1] / "fixtures" / "log-receipts.json"))


def flipped(data):
    return bytes([data[0] ^ 1]) + data[1:]


def test_receipts_hold():
    assert len(RECEIPTS) > 20
    for receipt in RECEIPTS:
        verify_receipt(**receipt)


@pytest.mark.parametrize(
    "alter",
    [
        lambda r: {"leaf_data": flipped(r["leaf_data"])},
        lambda r: {"leaf_index": r["leaf_index"] ^ 1},
        lambda r: {"proof": [flipped(r["proof"][0]), *r["proof"][1:]]},
        lambda r: {"proof": r["proof"][:-1]},
        lambda r: {"proof": [*r["proof"], bytes(32)]},
        lambda r: {"checkpoint": r["checkpoint"].replace("\n", "\n1", 1)},
        lambda r: {"checkpoint": r["checkpoint"].replace("points", "miles")},
        lambda r: {"verifier_key": r["verifier_key"].replace("+", "+f", 1)[:-1]},
    ],
    ids=["leaf", "index", "hash", "short", "long", "size", "origin", "key"],
)
def test_altered_receipts_do_not_hold(alter):
    altered = [receipt | alter(receipt) for receipt in RECEIPTS if receipt["proof"]]
    for receipt in altered:
        with pytest.raises((VerificationError, ValueError)):
            verify_receipt(**receipt)
