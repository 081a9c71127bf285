//! Tests of the message module.

use super::*;

const AT: i64 = 1_772_000_000_123_456;

fn draft() -> Draft {
    Draft::with_id([1; 16], AT, [2; 16])
}

fn eur(text: &str) -> Money {
    Money::parse(text, "EUR").unwrap()
}

fn all_kinds() -> Vec<v1::Message> {
    vec![
        draft().accrual(eur("12.34")).unwrap(),
        draft().accrual_with_points(eur("0"), 0).unwrap(),
        draft().accrual_reversal([3; 16], eur("0.000001")).unwrap(),
        draft().redemption_authorisation(1).unwrap(),
        draft().redemption_capture([3; 16], MAX_POINTS).unwrap(),
        draft().redemption_void([3; 16]).unwrap(),
        draft().redemption_refund([3; 16], 7).unwrap(),
    ]
}

/// What a changed message breaks: (field, reason) of each violation.
fn broken(
    mut message: v1::Message,
    change: impl FnOnce(&mut v1::Message),
) -> Vec<(&'static str, &'static str)> {
    change(&mut message);
    validate(&message)
        .into_iter()
        .map(|v| (v.field, v.reason))
        .collect()
}

#[test]
fn every_kind_can_be_built() {
    for message in all_kinds() {
        assert_eq!(validate(&message), []);
        assert_eq!(message.event_time, Some(time::timestamp(AT)));
    }
}

#[test]
fn a_receipt_gives_the_recommended_id_of_its_kind() {
    let draft = Draft::with_receipt("R-1", 2, AT, [2; 16])
        .lane("till-7")
        .sequence_number(9);
    let message = draft.clone().redemption_void([3; 16]).unwrap();
    let id = message_id(AT, "till-7", "R-1", Kind::RedemptionVoid, 2).unwrap();
    assert_eq!(message.message_id, id);
    assert_eq!(message.sequence_number, 9);
    assert_ne!(draft.accrual(eur("1")).unwrap().message_id, id);
    let too_early = Draft::with_receipt("R-1", 1, -1, [2; 16]);
    assert_eq!(
        too_early.accrual(eur("1")),
        Err(MessageError::Id(IdError::EventTime))
    );
}

#[test]
fn builders_refuse_what_the_hub_would_refuse() {
    let Err(MessageError::Invalid(violations)) =
        draft().lane("x".repeat(65)).redemption_authorisation(0)
    else {
        unreachable!("must be refused")
    };
    let fields: Vec<_> = violations.iter().map(|v| v.field).collect();
    assert_eq!(fields, ["lane", "redemption_authorisation.points"]);
    assert!(draft().accrual(eur("-0.01")).is_err());
    assert!(draft().accrual_reversal([3; 16], eur("0")).is_err());
    assert!(draft().accrual_with_points(eur("1"), -1).is_err());
    assert!(draft().redemption_capture([3; 16], -1).is_err());
    assert!(draft().redemption_refund([3; 16], MAX_POINTS + 1).is_err());
}

#[test]
fn an_empty_message_names_every_required_field() {
    assert_eq!(
        broken(v1::Message::default(), |_| ()),
        [
            ("message_id", "LENGTH"),
            ("event_time", "REQUIRED"),
            ("member_reference", "LENGTH"),
            ("body", "REQUIRED"),
        ]
    );
}

#[test]
fn ids_are_exactly_16_bytes() {
    for len in [0, 15, 17] {
        for message in all_kinds() {
            assert_eq!(
                broken(message.clone(), |m| m.message_id = vec![1; len]),
                [("message_id", "LENGTH")]
            );
            assert_eq!(
                broken(message, |m| m.member_reference = vec![1; len]),
                [("member_reference", "LENGTH")]
            );
        }
        let original = vec![1; len];
        let bodies = [
            (
                Body::AccrualReversal(AccrualReversal {
                    accrual_message_id: original.clone(),
                    returned_amount: Some(eur("1").into()),
                }),
                "accrual_reversal.accrual_message_id",
            ),
            (
                Body::RedemptionCapture(RedemptionCapture {
                    authorisation_message_id: original.clone(),
                    points: 1,
                }),
                "redemption_capture.authorisation_message_id",
            ),
            (
                Body::RedemptionVoid(RedemptionVoid {
                    authorisation_message_id: original.clone(),
                }),
                "redemption_void.authorisation_message_id",
            ),
            (
                Body::RedemptionRefund(RedemptionRefund {
                    capture_message_id: original,
                    points: 1,
                }),
                "redemption_refund.capture_message_id",
            ),
        ];
        for (body, field) in bodies {
            let message = draft().redemption_authorisation(1).unwrap();
            assert_eq!(
                broken(message, |m| m.body = Some(body)),
                [(field, "LENGTH")]
            );
        }
    }
}

#[test]
fn event_times_lie_in_the_years_1970_to_9999() {
    let message = draft().redemption_authorisation(1).unwrap();
    for (seconds, nanos, good) in [
        (0, 0, true),
        (253_402_300_799, 999_999_999, true),
        (-1, 0, false),
        (253_402_300_800, 0, false),
        (0, -1, false),
        (0, 1_000_000_000, false),
        (i64::MAX, i32::MAX, false),
    ] {
        let found = broken(message.clone(), |m| {
            m.event_time = Some(prost_types::Timestamp { seconds, nanos });
        });
        let expected: &[_] = if good {
            &[]
        } else {
            &[("event_time", "EVENT_TIME_OUT_OF_RANGE")]
        };
        assert_eq!(found, expected, "{seconds}.{nanos}");
    }
}

#[test]
fn amounts_and_currencies_are_bounded() {
    let accrual = |micros, currency: &str| v1::Message {
        body: Some(Body::Accrual(Accrual {
            eligible_amount: Some(v1::Money {
                currency_code: currency.into(),
                micros,
            }),
            points: None,
        })),
        ..draft().redemption_authorisation(1).unwrap()
    };
    let amount = ("accrual.eligible_amount.micros", "AMOUNT_OUT_OF_RANGE");
    let currency = ("accrual.eligible_amount.currency_code", "CURRENCY_FORMAT");
    assert_eq!(broken(accrual(0, "EUR"), |_| ()), []);
    assert_eq!(broken(accrual(MAX_MICROS, "EUR"), |_| ()), []);
    for micros in [-1, i64::MIN, MAX_MICROS + 1, i64::MAX] {
        assert_eq!(broken(accrual(micros, "EUR"), |_| ()), [amount]);
    }
    for code in ["", "eur", "EURO", "E1R"] {
        assert_eq!(broken(accrual(1, code), |_| ()), [currency]);
    }
    assert_eq!(broken(accrual(-1, "x"), |_| ()), [currency, amount]);
    let absent = v1::Message {
        body: Some(Body::Accrual(Accrual::default())),
        ..accrual(0, "EUR")
    };
    assert_eq!(
        broken(absent, |_| ()),
        [("accrual.eligible_amount", "REQUIRED")]
    );

    let reversal = |micros| v1::Message {
        body: Some(Body::AccrualReversal(AccrualReversal {
            accrual_message_id: vec![3; 16],
            returned_amount: Some(v1::Money {
                currency_code: "EUR".into(),
                micros,
            }),
        })),
        ..accrual(0, "EUR")
    };
    assert_eq!(broken(reversal(1), |_| ()), []);
    for micros in [0, -1, MAX_MICROS + 1] {
        assert_eq!(
            broken(reversal(micros), |_| ()),
            [(
                "accrual_reversal.returned_amount.micros",
                "AMOUNT_OUT_OF_RANGE"
            )]
        );
    }
}

#[test]
fn points_are_bounded() {
    for points in [0, -1, i64::MIN, MAX_POINTS + 1, i64::MAX] {
        let message = draft().redemption_authorisation(1).unwrap();
        let body = Body::RedemptionAuthorisation(RedemptionAuthorisation { points });
        assert_eq!(
            broken(message, |m| m.body = Some(body)),
            [("redemption_authorisation.points", "POINTS_OUT_OF_RANGE")]
        );
    }
}
