//! What messages say, without the client's checks: tests send what no client of ours would.

use hansa_client::{ids::MessageId, message::Money};
use hansa_proto::v1::{
    self, Accrual, AccrualReversal, RedemptionAuthorisation, RedemptionCapture, RedemptionRefund,
    RedemptionVoid, message::Body,
};

/// An amount of EUR, e.g. `12.34`.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn euros(amount: &str) -> v1::Money {
    Money::parse(amount, "EUR").unwrap().into()
}

/// A purchase.
#[must_use]
pub fn accrual(amount: &str) -> Body {
    accrual_of(euros(amount))
}

/// A purchase of any amount of anything.
#[must_use]
pub const fn accrual_of(amount: v1::Money) -> Body {
    Body::Accrual(Accrual {
        eligible_amount: Some(amount),
        points: None,
    })
}

/// A purchase with the points that the merchant computed.
#[must_use]
pub fn accrual_with_points(amount: &str, points: i64) -> Body {
    Body::Accrual(Accrual {
        eligible_amount: Some(euros(amount)),
        points: Some(points),
    })
}

/// A return of a purchase.
#[must_use]
pub fn reversal(of: MessageId, amount: &str) -> Body {
    Body::AccrualReversal(AccrualReversal {
        accrual_message_id: of.to_vec(),
        returned_amount: Some(euros(amount)),
    })
}

/// A hold.
#[must_use]
pub const fn authorisation(points: i64) -> Body {
    Body::RedemptionAuthorisation(RedemptionAuthorisation { points })
}

/// Held points spent.
#[must_use]
pub fn capture(of: MessageId, points: i64) -> Body {
    Body::RedemptionCapture(RedemptionCapture {
        authorisation_message_id: of.to_vec(),
        points,
    })
}

/// A hold given back.
#[must_use]
pub fn void(of: MessageId) -> Body {
    Body::RedemptionVoid(RedemptionVoid {
        authorisation_message_id: of.to_vec(),
    })
}

/// Spent points given back.
#[must_use]
pub fn refund(of: MessageId, points: i64) -> Body {
    Body::RedemptionRefund(RedemptionRefund {
        capture_message_id: of.to_vec(),
        points,
    })
}
