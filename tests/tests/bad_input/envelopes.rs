//! Envelopes that are refused whole: nothing of them is taken, and no id is used up.

use hansa_proto::{MAX_BATCH_BYTES, v1};
use hansa_tests::{
    body,
    check::{codes, refused},
    database::Database,
    for_each_database,
};
use prost::Message as _;
use tonic::Code;

use crate::world::World;

async fn envelopes_that_are_not_what_they_should_be(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let purchase = shop.message(&world.member, body::accrual("5.00"));
    let good = shop.sign(std::slice::from_ref(&purchase));
    let before = world.snapshot().await;
    let changed = |change: &dyn Fn(&mut v1::Envelope)| {
        let mut envelope = good.clone();
        change(&mut envelope);
        envelope
    };
    let other_signature = world.other.sign(std::slice::from_ref(&purchase)).signatures[0].clone();
    let invalid = [
        // Signed, but of another type.
        changed(&|e| e.payload_type = "text/plain".into()),
        changed(&|e| e.payload_type.clear()),
        changed(&|e| e.signatures.clear()),
        changed(&|e| e.signatures.push(e.signatures[0].clone())),
        changed(&|e| e.signatures.push(other_signature.clone())),
        changed(&|e| e.signatures[0].sig.truncate(63)),
        changed(&|e| e.signatures[0].sig.clear()),
        changed(&|e| e.signatures[0].keyid.clear()),
        changed(&|e| e.signatures[0].keyid = "x".repeat(65)),
    ];
    for envelope in invalid {
        refused(
            shop.submit_once(envelope).await,
            Code::InvalidArgument,
            "ENVELOPE_INVALID",
        );
    }
    let last = good.payload.len() - 1;
    let bad_signatures = [
        changed(&|e| e.signatures[0].sig[0] ^= 1),
        changed(&|e| e.signatures[0].sig = vec![0; 64]),
        changed(&|e| {
            let mut bytes = e.payload.to_vec();
            bytes[last] ^= 1;
            e.payload = bytes.into();
        }),
        // Somebody else's signature under the caller's key id.
        changed(&|e| e.signatures[0].sig.clone_from(&other_signature.sig)),
    ];
    for envelope in bad_signatures {
        refused(
            shop.submit_once(envelope).await,
            Code::Unauthenticated,
            "SIGNATURE_INVALID",
        );
    }
    let request = v1::SubmitBatchRequest::default();
    let nothing = shop.hub.exchange().submit_batch(request).await;
    let error = refused(nothing, Code::InvalidArgument, "FIELD_VIOLATIONS");
    assert_eq!(error.violations[0].field, "envelope");
    assert_eq!(world.snapshot().await, before);
    shop.submit_once(good).await.unwrap();
}

async fn payloads_that_do_not_decode(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let purchase = shop.message(&world.member, body::accrual("5.00"));
    let before = world.snapshot().await;
    let batch_of = |elements: &[&[u8]]| {
        let batch = v1::Batch {
            messages: elements.iter().map(|e| e.to_vec().into()).collect(),
        };
        shop.sign_payload(batch.encode_to_vec())
    };
    let good = purchase.encode_to_vec();
    let truncated = &good[..good.len() - 1];
    let no_text = [&good[..], &[0x22, 0x01, 0xff]].concat();
    let undecodable = [
        (shop.sign_payload(&b"nonsense"[..]), None),
        (shop.sign_payload(vec![0xff; 100]), None),
        // A length that reaches beyond the end.
        (shop.sign_payload(vec![0x0a, 0x7f, 0x01]), None),
        (batch_of(&[&[0xff, 0xff]]), Some("messages[0]")),
        (batch_of(&[&good, truncated]), Some("messages[1]")),
        // A lane that is not UTF-8.
        (batch_of(&[&good, &good, &no_text]), Some("messages[2]")),
    ];
    for (envelope, named) in undecodable {
        let error = refused(
            shop.submit_once(envelope).await,
            Code::InvalidArgument,
            "PAYLOAD_UNDECODABLE",
        );
        if let Some(name) = named {
            assert!(error.message.contains(name), "{error}");
        }
    }
    // Nothing at all is a batch without messages.
    for payload in [Vec::new(), v1::Batch::default().encode_to_vec()] {
        let error = refused(
            shop.submit_once(shop.sign_payload(payload)).await,
            Code::InvalidArgument,
            "FIELD_VIOLATIONS",
        );
        assert_eq!(error.violations[0].field, "messages");
    }
    assert_eq!(world.snapshot().await, before);
    // Fields that this release does not know are not an error, and are part of the message's identity.
    let newer = [&good[..], &[0xa2, 0x06, 0x01, 0x07]].concat();
    let answer = shop.submit_once(batch_of(&[&newer, &good])).await.unwrap();
    let outcomes = v1::Outcomes::decode(answer.outcomes).unwrap().outcomes;
    assert_eq!(
        codes(&outcomes),
        [v1::ResultCode::Accepted, v1::ResultCode::ModifiedRequest]
    );
}

async fn batches_that_are_too_large(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let before = world.snapshot().await;
    let messages: Vec<v1::Message> = (0..4_001)
        .map(|_| shop.message(&world.member, body::accrual("1.00")))
        .collect();
    refused(
        shop.submit_once(shop.sign(&messages)).await,
        Code::InvalidArgument,
        "BATCH_TOO_LARGE",
    );

    // One byte more than 1 MiB, a good deal more, and more than any call may have.
    let purchase = shop.message(&world.member, body::accrual("5.00"));
    for beyond in [1, 60 << 10, 4 << 20] {
        let envelope = shop.sign_payload(padded(&purchase, MAX_BATCH_BYTES + beyond));
        refused(
            shop.submit_once(envelope).await,
            Code::InvalidArgument,
            "BATCH_TOO_LARGE",
        );
    }
    assert_eq!(world.snapshot().await, before);

    // The very limits are fine, and no id was used up.
    let most = shop.send_all(&messages[..4_000]).await;
    assert!(
        most.outcomes
            .iter()
            .all(|o| o.code() == v1::ResultCode::Accepted && !o.replayed)
    );
    let largest = shop.sign_payload(padded(&purchase, MAX_BATCH_BYTES));
    let answer = shop.submit_once(largest).await.unwrap();
    let outcomes = v1::Outcomes::decode(answer.outcomes).unwrap().outcomes;
    assert_eq!(codes(&outcomes), [v1::ResultCode::Accepted]);
    assert_eq!(
        shop.balance(&world.member).await.available_points,
        1_000 + 4_000 + 5
    );
}

/// A batch of one message that an unknown field makes this long. Unit: bytes.
fn padded(message: &v1::Message, payload_len: usize) -> Vec<u8> {
    // Field 100, length-delimited; every length here takes three or four bytes.
    let mut element = message.encode_to_vec();
    let frame = |len: usize| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(len as u64, &mut bytes);
        bytes
    };
    let inner = payload_len - 1 - frame(payload_len - 8).len();
    let filler = inner - element.len() - 2 - frame(inner - element.len() - 8).len();
    element.extend([0xa2, 0x06]);
    element.extend(frame(filler));
    element.extend(std::iter::repeat_n(0, filler));
    let mut payload = vec![0x0a];
    payload.extend(frame(element.len()));
    payload.extend(element);
    assert_eq!(payload.len(), payload_len);
    payload
}

/// A stream goes on behind a batch that was refused.
async fn a_refused_batch_on_a_stream(database: Database) {
    let world = World::new(&database).await;
    let shop = &world.shop;
    let message = || shop.message(&world.member, body::accrual("1.00"));
    let (good, last) = (message(), message());
    let mut negative = message();
    negative.body = Some(body::authorisation(-1));
    let mut forged = shop.sign(&[message()]);
    forged.signatures[0].sig[0] ^= 1;
    let envelopes = [
        shop.sign(std::slice::from_ref(&good)),
        forged,
        shop.sign(&[message(), negative]),
        v1::Envelope::default(),
        shop.sign(std::slice::from_ref(&last)),
    ];
    let requests = envelopes.map(|envelope| v1::StreamBatchesRequest {
        envelope: Some(envelope),
    });
    let mut exchange = shop.hub.exchange();
    let stream = exchange.stream_batches(tokio_stream::iter(requests)).await;
    let mut stream = stream.unwrap().into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        answers.push(match answer.batch {
            Some(batch) => {
                let outcomes = v1::Outcomes::decode(batch.outcomes).unwrap().outcomes;
                assert_eq!(codes(&outcomes), [v1::ResultCode::Accepted]);
                assert!(batch.receipt.is_some());
                "ACCEPTED".to_owned()
            }
            None => reason(&answer.refusal_status),
        });
    }
    let expected = [
        "ACCEPTED",
        "SIGNATURE_INVALID",
        "FIELD_VIOLATIONS",
        "ENVELOPE_INVALID",
        "ACCEPTED",
    ];
    assert_eq!(answers, expected, "in the order of the batches");
    assert_eq!(shop.balance(&world.member).await.available_points, 1_002);

    // What is too long to be read at all is refused as well; nothing behind it can be read.
    let huge = shop.sign_payload(vec![0; 5 << 20]);
    let good = shop.sign(&[message()]);
    let requests = [good.clone(), huge, good].map(|envelope| v1::StreamBatchesRequest {
        envelope: Some(envelope),
    });
    let stream = exchange.stream_batches(tokio_stream::iter(requests)).await;
    let mut stream = stream.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().batch.is_some());
    let refusal = stream.message().await.unwrap().unwrap().refusal_status;
    assert_eq!(reason(&refusal), "BATCH_TOO_LARGE");
    assert_eq!(stream.message().await.unwrap(), None);
}

fn reason(status: &[u8]) -> String {
    use tonic_types::StatusExt as _;
    let status = tonic_types::Status::decode(status).unwrap();
    let code = Code::from_i32(status.code);
    let details =
        tonic::Status::with_details(code, status.message.clone(), status.encode_to_vec().into());
    details
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone()
}

for_each_database!(
    envelopes_that_are_not_what_they_should_be,
    payloads_that_do_not_decode,
    batches_that_are_too_large,
    a_refused_batch_on_a_stream,
);
