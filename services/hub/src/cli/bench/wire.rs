//! Messages written and outcomes read by hand, without a value in between: what the client spends, the hub does not
//! get on a machine that both share. Tests hold both against prost.

use hansa_client::ids::MessageId;
use hansa_proto::v1;

/// Currency of all amounts.
pub(super) const CURRENCY: &str = "EUR";

/// What a message does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Accrual {
        /// Unit: micro-units.
        amount: i64,
    },
    Reversal {
        original: MessageId,
        /// Unit: micro-units.
        amount: i64,
    },
    Authorisation {
        points: i64,
    },
    Capture {
        original: MessageId,
        points: i64,
    },
}

/// Appends a message as an element of a `Batch`. `event_time`: microseconds since 1970.
pub(super) fn push_message(
    batch: &mut Vec<u8>,
    id: &MessageId,
    event_time: i64,
    reference: &[u8; 16],
    body: &Body,
) {
    nested(batch, 1, |message| {
        bytes(message, 1, id);
        nested(message, 2, |time| {
            integer(time, 1, event_time.div_euclid(1_000_000));
            integer(time, 2, event_time.rem_euclid(1_000_000) * 1_000);
        });
        bytes(message, 3, reference);
        match body {
            Body::Accrual { amount } => nested(message, 10, |accrual| money(accrual, 1, *amount)),
            Body::Reversal { original, amount } => nested(message, 11, |reversal| {
                bytes(reversal, 1, original);
                money(reversal, 2, *amount);
            }),
            Body::Authorisation { points } => nested(message, 12, |auth| integer(auth, 1, *points)),
            Body::Capture { original, points } => nested(message, 13, |capture| {
                bytes(capture, 1, original);
                integer(capture, 2, *points);
            }),
        }
    });
}

fn money(out: &mut Vec<u8>, field: u8, micros: i64) {
    nested(out, field, |money| {
        bytes(money, 1, CURRENCY.as_bytes());
        integer(money, 2, micros);
    });
}

/// A field of at most 127 bytes, which is all that there is in these messages: its length is one byte.
fn nested(out: &mut Vec<u8>, field: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(field << 3 | 2);
    let at = out.len();
    out.push(0);
    write(out);
    let len = out.len() - at - 1;
    debug_assert!(len < 128, "a length of one byte");
    out[at] = len as u8;
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    nested(out, field, |out| out.extend_from_slice(value));
}

/// Zero is left out, as proto3 has it.
fn integer(out: &mut Vec<u8>, field: u8, value: i64) {
    if value == 0 {
        return;
    }
    out.push(field << 3);
    let mut rest = value.cast_unsigned();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// What the bench looks at in an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen<'a> {
    /// `code`.
    pub(super) code: i32,
    /// `available_points`.
    pub(super) available: i64,
    /// All of it.
    pub(super) bytes: &'a [u8],
}

impl Seen<'_> {
    pub(super) fn is_accepted(&self) -> bool {
        self.code == v1::ResultCode::Accepted as i32
    }
}

/// Reads serialized `Outcomes`; ends early where they are broken.
pub(super) fn outcomes(mut input: &[u8]) -> impl Iterator<Item = Seen<'_>> {
    std::iter::from_fn(move || {
        if varint(&mut input)? != 0x0a {
            return None;
        }
        outcome(take(&mut input)?)
    })
}

fn outcome(bytes: &[u8]) -> Option<Seen<'_>> {
    let mut seen = Seen {
        code: 0,
        available: 0,
        bytes,
    };
    let mut input = bytes;
    while !input.is_empty() {
        let tag = varint(&mut input)?;
        match tag {
            0x08 => seen.code = i32::try_from(varint(&mut input)?).ok()?,
            0x30 => seen.available = varint(&mut input)?.cast_signed(),
            _ if tag & 7 == 0 => drop(varint(&mut input)?),
            _ if tag & 7 == 2 => drop(take(&mut input)?),
            _ => return None,
        }
    }
    Some(seen)
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(input)?).ok()?;
    let (taken, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use hansa_client::message::{Draft, Money};
    use prost::Message as _;

    use super::*;

    const AT: i64 = 1_795_000_000_123_456;

    #[test]
    fn messages_are_what_the_sdk_writes() {
        let (id, original, reference) = ([1; 16], [2; 16], [3; 16]);
        let draft = || Draft::with_id(id, AT, reference);
        let money = |micros| Money::from_micros(micros, CURRENCY).unwrap();
        let cases = [
            (
                Body::Accrual {
                    amount: 199_990_000,
                },
                draft().accrual(money(199_990_000)).unwrap(),
            ),
            (
                Body::Reversal {
                    original,
                    amount: 5_000_000,
                },
                draft()
                    .accrual_reversal(original, money(5_000_000))
                    .unwrap(),
            ),
            (
                Body::Authorisation { points: 300 },
                draft().redemption_authorisation(300).unwrap(),
            ),
            (
                Body::Capture {
                    original,
                    points: 1,
                },
                draft().redemption_capture(original, 1).unwrap(),
            ),
        ];
        let mut batch = Vec::new();
        for (body, _) in &cases {
            push_message(&mut batch, &id, AT, &reference, body);
        }
        let elements = v1::Batch::decode(batch.as_slice()).unwrap().messages;
        assert_eq!(elements.len(), cases.len());
        for (element, (_, expected)) in elements.iter().zip(cases) {
            assert_eq!(element.as_ref(), expected.encode_to_vec());
        }
    }

    #[test]
    fn outcomes_are_what_prost_reads() {
        let expected = v1::Outcomes {
            outcomes: vec![
                v1::Outcome {
                    code: v1::ResultCode::Accepted.into(),
                    points: 300,
                    available_points: 70_000,
                    due_time: Some(crate::convert::timestamp(AT)),
                    leaf_index: Some(1 << 40),
                    late: true,
                    ..v1::Outcome::default()
                },
                v1::Outcome::default(),
                v1::Outcome {
                    code: v1::ResultCode::InsufficientPoints.into(),
                    available_points: -5,
                    ..v1::Outcome::default()
                },
            ],
        };
        let encoded = expected.encode_to_vec();
        let read: Vec<_> = outcomes(&encoded).collect();
        assert_eq!(read.len(), 3);
        for (seen, outcome) in read.iter().zip(&expected.outcomes) {
            assert_eq!(v1::Outcome::decode(seen.bytes).as_ref(), Ok(outcome));
            assert_eq!(
                (seen.code, seen.available),
                (outcome.code, outcome.available_points)
            );
        }
        assert!(read[0].is_accepted() && !read[1].is_accepted());
        assert_eq!(
            outcomes(&encoded[..encoded.len() - 1]).count(),
            2,
            "a broken end ends it"
        );
    }
}
