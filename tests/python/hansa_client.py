#!/usr/bin/env python3
"""A merchant's client that uses nothing of Hansa's but the protos: grpcio, cryptography and generated code.

    pip install grpcio grpcio-tools cryptography && mkdir -p stubs
    python3 -m grpc_tools.protoc -Iproto --python_out=stubs --grpc_python_out=stubs proto/hansa/v1/*.proto
    PYTHONPATH=stubs python3 hansa_client.py --hub localhost:7443 --audience HUB --merchant ID --key-id KID --key KEY.pem \
        --member 64_HEX_DIGITS --cents 1999 --lane till-1 --receipt 4711

Enrols a member, sends one signed purchase, prints what came of it, and believes it only when the receipt proves that
the hub's public log has it. Running it again with the same --lane, --receipt and --at gets the first outcome.
"""

import argparse
import base64
import hashlib
import json
import time

import grpc
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hansa.v1 import exchange_pb2, exchange_pb2_grpc, log_pb2, log_pb2_grpc, members_pb2, members_pb2_grpc, types_pb2
from hansa_receipt import check_receipt, pae

BATCH_TYPE = "application/vnd.hansa.batch.v1+protobuf"


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(key, key_id, merchant, audience, now):
    """The call's JWT (RFC 7519, signed as RFC 8037 says); holds for five minutes."""
    header, claims = {"alg": "EdDSA", "kid": key_id}, {"iss": merchant, "aud": audience, "iat": now, "exp": now + 300}
    signed = b".".join(unpadded(json.dumps(part).encode()) for part in (header, claims))
    return (signed + b"." + unpadded(key.sign(signed))).decode()


def message_id(at_micros, *parts):
    """UUIDv8: 48 bits of milliseconds, then a hash of what identifies the purchase: ordered, and the same next time."""
    raw = bytearray((at_micros // 1000).to_bytes(6, "big") + hashlib.sha256("\0".join(parts).encode()).digest()[:10])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    return bytes(raw)


def purchase(reference, at_micros, cents, lane, receipt):
    """A batch of one accrual."""
    identity = message_id(at_micros, lane, receipt, "accrual", "1")
    message = exchange_pb2.Message(message_id=identity, member_reference=reference, lane=lane)
    message.event_time.FromMicroseconds(at_micros)
    message.accrual.eligible_amount.CopyFrom(types_pb2.Money(currency_code="EUR", micros=cents * 10_000))
    return exchange_pb2.Batch(messages=[message.SerializeToString()]).SerializeToString()


def sealed(key, key_id, payload):
    """The batch in a signed DSSE envelope."""
    signature = types_pb2.Signature(sig=key.sign(pae(BATCH_TYPE, payload)), keyid=key_id)
    return types_pb2.Envelope(payload=payload, payload_type=BATCH_TYPE, signatures=[signature])


def send(channel, options):
    key = load_pem_private_key(open(options.key, "rb").read(), password=None)
    bearer = "Bearer " + token(key, options.key_id, options.merchant, options.audience, options.at // 1_000_000)
    call = {"metadata": [("authorization", bearer)], "timeout": 30}
    enrolment = members_pb2.EnrolMembersRequest(enrolment_keys=[bytes.fromhex(options.member)])
    reference = members_pb2_grpc.MemberServiceStub(channel).EnrolMembers(enrolment, **call).member_references[0]

    payload = purchase(reference, options.at, options.cents, options.lane, options.receipt)
    request = exchange_pb2.SubmitBatchRequest(envelope=sealed(key, options.key_id, payload))
    answer = exchange_pb2_grpc.ExchangeServiceStub(channel).SubmitBatch(request, **call)
    outcome = exchange_pb2.Outcomes.FromString(answer.outcomes).outcomes[0]
    code = types_pb2.ResultCode.Name(outcome.code).removeprefix("RESULT_CODE_") + " (replayed)" * outcome.replayed
    print(f"{code}: {outcome.points} points, {outcome.available_points} available")

    log = log_pb2_grpc.LogServiceStub(channel)
    if not answer.HasField("receipt"):  # the hub had it already: the first receipt is the only one
        answer = log.GetReceipt(log_pb2.GetReceiptRequest(leaf_index=outcome.leaf_index), **call)
    log_key = options.log_key or log.GetCheckpoint(log_pb2.GetCheckpointRequest(), **call).verifier_key
    check_receipt(answer.receipt, request.envelope, answer.outcomes, log_key)
    print(f"leaf {answer.receipt.leaf_index} is in the log of {log_key.split('+')[0]}: the receipt holds")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, text in {
        "hub": "host:port",
        "audience": "the hub's audience",
        "merchant": "merchant id",
        "key-id": "as registered",
        "key": "file of the Ed25519 private key, PKCS #8 PEM",
        "member": "enrolment key, hexadecimal, 16 to 64 bytes",
        "lane": "till or server",
        "receipt": "receipt number",
    }.items():
        parser.add_argument(f"--{name}", required=True, help=text)
    parser.add_argument("--cents", required=True, type=int, help="amount of the purchase in cents")
    parser.add_argument("--at", type=int, default=time.time_ns() // 1000, help="microseconds since 1970; default: now")
    parser.add_argument("--log-key", help="the log's verifier key; default: the one that the hub names")
    parser.add_argument("--ca", help="PEM file of the authority behind the hub's certificate; default: no TLS")
    options = parser.parse_args()
    if options.ca:
        credentials = grpc.ssl_channel_credentials(open(options.ca, "rb").read())
        channel = grpc.secure_channel(options.hub, credentials)
    else:
        channel = grpc.insecure_channel(options.hub)
    with channel:
        send(channel, options)


if __name__ == "__main__":
    main()
