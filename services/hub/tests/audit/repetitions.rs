//! Ids that are sent again, and what a lying log would say of them. A log's outcomes are changed here, with leaves that fit: the
//! signature of the batch says nothing about them.

use bytes::Bytes;
use hansa_auditor::{Entry, What};
use hansa_client::{leaf::leaf_data, time::timestamp};
use hansa_proto::v1::{self, message::Body as B};
use prost::Message as _;

use super::forge::{Forge, audit, reference};

const NOW: i64 = 1_770_000_000_000_000;

fn purchase(id: u8, micros: i64) -> v1::Message {
    v1::Message {
        message_id: vec![id; 16],
        event_time: Some(timestamp(NOW)),
        member_reference: reference(0, 1).to_vec(),
        body: Some(B::Accrual(v1::Accrual {
            eligible_amount: Some(v1::Money {
                currency_code: "EUR".into(),
                micros,
            }),
            points: None,
        })),
        ..v1::Message::default()
    }
}

/// A shop, a member, and two batches: the second repeats messages of the first, with their bytes and with others.
fn log() -> Forge {
    let mut forge = Forge::new(NOW);
    let programme = v1::Programme {
        currency_code: "EUR".into(),
        time_zone: "UTC".into(),
        reserve_per_point: "0.01".into(),
        expiry_rule: v1::ExpiryRule::None.into(),
        ..v1::Programme::default()
    };
    forge.fact(v1::fact::Fact::Programme(programme)).unwrap();
    let contract = v1::Contract {
        funding_mode: v1::FundingMode::Issue.into(),
        earn_rate: "1".into(),
        ..v1::Contract::default()
    };
    let shop = v1::Merchant {
        merchant_id: "shop".into(),
        state: v1::MerchantState::Active.into(),
        contract: Some(contract),
        ..v1::Merchant::default()
    };
    forge.merchant(shop).unwrap();
    forge.enrol(&["shop"], 1);
    forge.batch("shop", &[purchase(1, 5_000_000), purchase(2, 7_000_000)]);
    let again = [
        purchase(1, 5_000_000),
        purchase(2, 8_000_000),
        purchase(3, 1_000_000),
        purchase(3, 1_000_000),
    ];
    let outcomes = forge.batch("shop", &again);
    assert!(outcomes[0].replayed && outcomes[3].replayed);
    assert_eq!(outcomes[1].code(), v1::ResultCode::ModifiedRequest);
    forge
}

/// Changes the outcomes of an entry.
fn lie(entry: &mut Entry, change: impl FnOnce(&mut Vec<v1::Outcome>)) {
    let mut outcomes = v1::Outcomes::decode(entry.outcomes.clone()).unwrap();
    change(&mut outcomes.outcomes);
    entry.outcomes = Bytes::from(outcomes.encode_to_vec());
    entry.leaf_data = leaf_data(&entry.envelope, entry.decided_at, &entry.outcomes).to_vec();
}

fn found(change: impl FnOnce(&mut Vec<v1::Outcome>)) -> (What, Option<u32>, Option<[u8; 16]>) {
    let mut forge = log();
    lie(forge.entries.last_mut().unwrap(), change);
    let finding = audit(&forge.entries, 1_000).unwrap_err();
    assert_eq!(finding.leaf, forge.entries.len() as u64 - 1);
    assert_eq!(finding.merchant.as_deref(), Some("shop"));
    (finding.what, finding.position, finding.message_id)
}

#[test]
fn an_honest_log_passes() {
    let forge = log();
    let (auditor, _) = audit(&forge.entries, 1_000).unwrap();
    assert_eq!(auditor.size(), forge.entries.len() as u64);
}

#[test]
fn a_repetition_that_is_none_is_found() {
    // The first of the id is said to be another message.
    let other = found(|outcomes| outcomes[0].entry_position = 1);
    assert_eq!(other, (What::Repetition, Some(0), Some([1; 16])));
    let future = found(|outcomes| outcomes[0].leaf_index = Some(1_000));
    assert_eq!(future, (What::Repetition, Some(0), Some([1; 16])));
    // Other bytes under the same id are no replay.
    let replayed = found(|outcomes| {
        outcomes[1].code = v1::ResultCode::Accepted.into();
        outcomes[1].replayed = true;
    });
    assert_eq!(replayed, (What::Repetition, Some(1), Some([2; 16])));
    let richer = found(|outcomes| outcomes[0].points += 1);
    assert_eq!(richer, (What::Repetition, Some(0), Some([1; 16])));
    // Facts hold no message.
    let facts = found(|outcomes| outcomes[0].leaf_index = Some(0));
    assert_eq!(facts.0, What::Repetition);
}

#[test]
fn an_id_that_is_decided_twice_is_found() {
    // As if the hub had forgotten the first: a purchase that would count twice.
    let twice = found(|outcomes| {
        outcomes[0] = v1::Outcome {
            replayed: false,
            leaf_index: None,
            entry_position: 0,
            available_points: 17,
            ..outcomes[0]
        };
    });
    assert_eq!(twice, (What::Repetition, Some(0), Some([1; 16])));
}

#[test]
fn what_a_message_came_to_is_found_when_it_differs() {
    for change in [
        |outcome: &mut v1::Outcome| outcome.points += 1,
        |outcome: &mut v1::Outcome| outcome.available_points += 1,
        |outcome: &mut v1::Outcome| outcome.cycle_number += 1,
        |outcome: &mut v1::Outcome| outcome.late = true,
        |outcome: &mut v1::Outcome| outcome.state = v1::MessageState::Pending.into(),
        |outcome: &mut v1::Outcome| outcome.code = v1::ResultCode::LimitExceeded.into(),
    ] {
        let place = found(|outcomes| change(&mut outcomes[2]));
        assert_eq!(place, (What::Outcome, Some(2), Some([3; 16])));
    }
}

#[test]
fn bytes_that_do_not_fit_are_found_with_their_entry() {
    let first = |change: fn(&mut Entry)| {
        let mut forge = log();
        change(forge.entries.last_mut().unwrap());
        audit(&forge.entries, 1_000).unwrap_err().what
    };
    assert_eq!(first(|entry| entry.leaf_data[0] ^= 1), What::Leaf);
    assert_eq!(first(|entry| entry.decided_at -= 1), What::Time);
    assert_eq!(first(|entry| entry.leaf += 1), What::Sequence);
    let forged = first(|entry| {
        let mut payload = entry.envelope.payload.to_vec();
        let last = payload.len() - 1;
        payload[last] ^= 1;
        entry.envelope.payload = payload.into();
    });
    assert_eq!(forged, What::Signature);
    let unsigned = first(|entry| entry.envelope.signatures.clear());
    assert_eq!(unsigned, What::Envelope);
    let stranger = first(|entry| entry.envelope.signatures[0].keyid = "nobody".into());
    assert_eq!(stranger, What::SigningKey);
    let kind = first(|entry| entry.envelope.payload_type = "text/plain".into());
    assert_eq!(kind, What::Payload);
}
