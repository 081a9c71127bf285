//! The recommended message id: time-ordered, and made again from what the till already knows.
//!
//! Layout (UUIDv8, RFC 9562), frozen:
//!
//! | bits | what |
//! |---|---|
//! | 0-47 | event time, milliseconds since 1970, big-endian |
//! | 48-51 | version, 8 |
//! | 52-63 | bits 4-15 of H |
//! | 64-65 | variant, binary 10 |
//! | 66-127 | bits 18-79 of H |
//!
//! `H = SHA-256(len(lane) | lane | len(receipt) | receipt | kind | running number)`, lengths and the running number
//! as big-endian unsigned 32-bit integers, `kind` as one byte: the field number of the message's body in
//! `hansa.v1.Message` (10-18). So a sender that lost everything but its own receipts sends the same ids again, and
//! random ids' cost in the hub's indexes is avoided.

use ring::digest::{Context, SHA256};

use crate::leaf::finish;
use crate::time::{END_MICROS, MIN_MICROS};

/// A message id: 16 bytes, unique for ever per merchant.
pub type MessageId = [u8; 16];

/// Kind of a message. The number is the field number of its body in `hansa.v1.Message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// A purchase that earns points.
    Accrual = 10,
    /// A return of a purchase.
    AccrualReversal = 11,
    /// A hold of points.
    RedemptionAuthorisation = 12,
    /// Held points spent.
    RedemptionCapture = 13,
    /// Held points given back.
    RedemptionVoid = 14,
    /// Captured points given back.
    RedemptionRefund = 15,
    /// A purchase that an affiliate brought.
    Conversion = 16,
    /// A return of such a purchase.
    ConversionReturn = 17,
    /// Such a purchase's commission made final.
    ConversionApproval = 18,
}

/// Why no id can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The event time lies outside the years 1970-9999.
    #[error("event time outside the years 1970-9999")]
    EventTime,
    /// The lane or the receipt number has 4 GiB or more.
    #[error("lane or receipt number too long")]
    TooLong,
}

/// The recommended id. `event_time_micros`: microseconds since 1970; `running_number`: counts messages of this kind
/// on this receipt, from 1.
///
/// # Errors
/// [`IdError`].
pub fn message_id(
    event_time_micros: i64,
    lane: &str,
    receipt_number: &str,
    kind: Kind,
    running_number: u32,
) -> Result<MessageId, IdError> {
    if !(MIN_MICROS..END_MICROS).contains(&event_time_micros) {
        return Err(IdError::EventTime);
    }
    let mut context = Context::new(&SHA256);
    for text in [lane, receipt_number] {
        let len = u32::try_from(text.len()).map_err(|_| IdError::TooLong)?;
        context.update(&len.to_be_bytes());
        context.update(text.as_bytes());
    }
    context.update(&[kind as u8]);
    context.update(&running_number.to_be_bytes());
    let hash = finish(context);

    let mut id = [0; 16];
    id[..6].copy_from_slice(&(event_time_micros / 1_000).to_be_bytes()[2..]);
    id[6..].copy_from_slice(&hash[..10]);
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::hex;

    #[test]
    fn ids_are_frozen() {
        // Made by an independent implementation of the layout above (Python's hashlib and struct).
        let vectors = [
            (
                (0, "", "", Kind::Accrual, 0),
                "0000000000008d24889312120e0e0eaa",
            ),
            (
                (
                    1_772_000_000_123_456,
                    "till-7",
                    "R-2026-000123",
                    Kind::Accrual,
                    1,
                ),
                "019c936e387b8525bca2b32abb0aaa32",
            ),
            (
                (
                    1_772_000_000_123_456,
                    "till-7",
                    "R-2026-000123",
                    Kind::RedemptionRefund,
                    2,
                ),
                "019c936e387b89f590a12f2630df6867",
            ),
            (
                (
                    END_MICROS - 1,
                    "\u{17f}hop",
                    "\u{20ac}",
                    Kind::RedemptionVoid,
                    u32::MAX,
                ),
                "e677d21fdbff8fb88d5f5767341ef411",
            ),
        ];
        for ((at, lane, receipt, kind, n), expected) in vectors {
            let id = message_id(at, lane, receipt, kind, n).unwrap();
            assert_eq!(hex(&id), expected);
        }
    }

    #[test]
    fn ids_order_by_time_and_differ_by_every_part() {
        let base = message_id(5_000, "a", "b", Kind::Accrual, 1).unwrap();
        assert!(base < message_id(6_000, "a", "b", Kind::Accrual, 1).unwrap());
        for other in [
            message_id(5_000, "ab", "", Kind::Accrual, 1),
            message_id(5_000, "", "ab", Kind::Accrual, 1),
            message_id(5_000, "a", "b", Kind::AccrualReversal, 1),
            message_id(5_000, "a", "b", Kind::Accrual, 2),
        ] {
            assert_ne!(base, other.unwrap());
        }
    }

    #[test]
    fn instants_outside_the_years_have_no_id() {
        for at in [-1, END_MICROS, i64::MAX] {
            assert_eq!(
                message_id(at, "", "", Kind::Accrual, 1),
                Err(IdError::EventTime)
            );
        }
    }
}
