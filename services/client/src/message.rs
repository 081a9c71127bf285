//! Messages: typed builders for the nine kinds, and the field rules that need no state.
//!
//! [`validate`] is the one place of the field rules: merchants call it before they sign, the hub after it verified.
//! It costs no allocation for a message that is in order.

use hansa_proto::v1::message::Body;
use hansa_proto::v1::{
    self, Accrual, AccrualReversal, CommissionReason, Conversion, ConversionApproval,
    ConversionReturn, RedemptionAuthorisation, RedemptionCapture, RedemptionRefund, RedemptionVoid,
};

use crate::ids::{IdError, message_id};
pub use crate::ids::{Kind, MessageId};
use crate::money::{MAX_MICROS, is_currency};
pub use crate::money::{Money, MoneyError};
use crate::time;

/// Bytes of a message id and of a member reference.
pub const ID_LEN: usize = 16;

/// Most points of one message. Unit: whole points.
pub const MAX_POINTS: i64 = 1_000_000_000_000;

/// Longest lane. Unit: bytes.
pub const MAX_LANE_LEN: usize = 64;

/// Click ids that one conversion may name.
pub const MAX_CLICK_IDS: usize = 16;

/// Longest order reference, return reference, code and category. Unit: bytes.
pub const MAX_NAME_LEN: usize = 64;

/// A merchant's own pseudonymous reference of a member.
pub type MemberReference = [u8; 16];

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {description}")]
pub struct Violation {
    /// Path of the field in `Message`, e.g. `accrual.eligible_amount.micros`.
    pub field: &'static str,
    /// Stable name of the rule: `REQUIRED`, `LENGTH`, `EVENT_TIME_OUT_OF_RANGE`, `CURRENCY_FORMAT`,
    /// `AMOUNT_OUT_OF_RANGE` or `POINTS_OUT_OF_RANGE`.
    pub reason: &'static str,
    /// What to send instead, for people.
    pub description: String,
}

/// All violations of a message, in the order of its fields; empty when it is in order.
#[must_use]
pub fn validate(message: &v1::Message) -> Vec<Violation> {
    let mut check = Check(Vec::new());
    check.id("message_id", &message.message_id);
    match &message.event_time {
        None => check.broken("event_time", "REQUIRED", "say when it happened"),
        Some(at) if time::micros(at).is_none() => check.broken(
            "event_time",
            "EVENT_TIME_OUT_OF_RANGE",
            "an instant of the years 1970-9999 with nanos 0-999999999",
        ),
        Some(_) => {}
    }
    check.member(message);
    if message.lane.len() > MAX_LANE_LEN {
        check.broken("lane", "LENGTH", "at most 64 bytes");
    }
    match &message.body {
        None => check.broken(
            "body",
            "REQUIRED",
            "say what happened: one of the nine kinds",
        ),
        Some(body) => check.body(body),
    }
    check.0
}

struct Check(Vec<Violation>);

impl Check {
    #[cold]
    fn broken(&mut self, field: &'static str, reason: &'static str, description: &str) {
        self.0.push(Violation {
            field,
            reason,
            description: description.to_owned(),
        });
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Accrual(accrual) => {
                self.money(&ELIGIBLE_AMOUNT, accrual.eligible_amount.as_ref(), 0);
                // Zero points are what an accrual of a small amount earns.
                if let Some(points) = accrual.points
                    && !(0..=MAX_POINTS).contains(&points)
                {
                    self.broken(
                        "accrual.points",
                        "POINTS_OUT_OF_RANGE",
                        "0 to 1000000000000 whole points, or absent",
                    );
                }
            }
            Body::AccrualReversal(reversal) => {
                self.id(
                    "accrual_reversal.accrual_message_id",
                    &reversal.accrual_message_id,
                );
                self.money(&RETURNED_AMOUNT, reversal.returned_amount.as_ref(), 1);
            }
            Body::RedemptionAuthorisation(authorisation) => {
                self.points("redemption_authorisation.points", authorisation.points);
            }
            Body::RedemptionCapture(capture) => {
                self.id(
                    "redemption_capture.authorisation_message_id",
                    &capture.authorisation_message_id,
                );
                self.points("redemption_capture.points", capture.points);
            }
            Body::RedemptionVoid(void) => self.id(
                "redemption_void.authorisation_message_id",
                &void.authorisation_message_id,
            ),
            Body::RedemptionRefund(refund) => {
                self.id(
                    "redemption_refund.capture_message_id",
                    &refund.capture_message_id,
                );
                self.points("redemption_refund.points", refund.points);
            }
            Body::Conversion(conversion) => self.conversion(conversion),
            Body::ConversionReturn(returned) => self.conversion_return(returned),
            Body::ConversionApproval(approval) => self.id(
                "conversion_approval.conversion_message_id",
                &approval.conversion_message_id,
            ),
        }
    }

    /// Conversions name no member; everything else does.
    fn member(&mut self, message: &v1::Message) {
        let names_none = matches!(
            message.body,
            Some(Body::Conversion(_) | Body::ConversionReturn(_) | Body::ConversionApproval(_))
        );
        if !names_none {
            self.id("member_reference", &message.member_reference);
        } else if !message.member_reference.is_empty() {
            self.broken(
                "member_reference",
                "LENGTH",
                "empty: a conversion names no member",
            );
        }
    }

    fn conversion(&mut self, conversion: &Conversion) {
        self.money(&CONVERSION_AMOUNT, conversion.amount.as_ref(), 0);
        if conversion.order_reference.is_empty() {
            self.broken(
                "conversion.order_reference",
                "REQUIRED",
                "the merchant's own reference of the order",
            );
        }
        self.name("conversion.order_reference", &conversion.order_reference);
        if conversion.click_ids.len() > MAX_CLICK_IDS {
            self.broken(
                "conversion.click_ids",
                "LENGTH",
                "at most 16 click ids: the last ones that the shopper came with",
            );
        }
        self.name("conversion.code", &conversion.code);
        let country = &conversion.country_code;
        let two_letters = country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        if !(country.is_empty() || two_letters) {
            self.broken(
                "conversion.country_code",
                "COUNTRY_FORMAT",
                "two upper-case letters of ISO 3166-1, or empty",
            );
        }
        self.name("conversion.category", &conversion.category);
        let optional = [
            ("conversion.recurring_of", &conversion.recurring_of),
            ("conversion.customer_hash", &conversion.customer_hash),
            ("conversion.device_hash", &conversion.device_hash),
            ("conversion.payment_hash", &conversion.payment_hash),
        ];
        for (field, bytes) in optional {
            if !bytes.is_empty() {
                self.id(field, bytes);
            }
        }
    }

    fn conversion_return(&mut self, returned: &ConversionReturn) {
        self.id(
            "conversion_return.conversion_message_id",
            &returned.conversion_message_id,
        );
        self.money(&CONVERSION_RETURNED, returned.returned_amount.as_ref(), 1);
        match returned.reason() {
            CommissionReason::Unspecified
            | CommissionReason::TouchInvalidated
            | CommissionReason::FraudConfirmed => self.broken(
                "conversion_return.reason",
                "REASON",
                "one of the reasons that a merchant may give, e.g. COMMISSION_REASON_ITEM_RETURNED",
            ),
            CommissionReason::ItemReturned
            | CommissionReason::OrderCancelled
            | CommissionReason::OrderUpdated
            | CommissionReason::DuplicateOrder
            | CommissionReason::OutOfStock
            | CommissionReason::PaymentFailed
            | CommissionReason::TermsViolation
            | CommissionReason::TrackingError => {}
        }
        self.name(
            "conversion_return.return_reference",
            &returned.return_reference,
        );
    }

    fn name(&mut self, field: &'static str, text: &str) {
        if text.len() > MAX_NAME_LEN {
            self.broken(field, "LENGTH", "at most 64 bytes");
        }
    }

    fn id(&mut self, field: &'static str, id: &[u8]) {
        if id.len() != ID_LEN {
            self.broken(field, "LENGTH", "exactly 16 bytes");
        }
    }

    fn points(&mut self, field: &'static str, points: i64) {
        if !(1..=MAX_POINTS).contains(&points) {
            self.broken(
                field,
                "POINTS_OUT_OF_RANGE",
                "1 to 1000000000000 whole points",
            );
        }
    }

    fn money(&mut self, fields: &MoneyFields, money: Option<&v1::Money>, min_micros: i64) {
        let Some(money) = money else {
            return self.broken(fields.whole, "REQUIRED", "an amount with its currency");
        };
        if !is_currency(&money.currency_code) {
            self.broken(
                fields.currency,
                "CURRENCY_FORMAT",
                "three upper-case letters of ISO 4217, e.g. EUR",
            );
        }
        if !(min_micros..=MAX_MICROS).contains(&money.micros) {
            self.broken(fields.micros, "AMOUNT_OUT_OF_RANGE", fields.range);
        }
    }
}

struct MoneyFields {
    whole: &'static str,
    currency: &'static str,
    micros: &'static str,
    range: &'static str,
}

const ELIGIBLE_AMOUNT: MoneyFields = MoneyFields {
    whole: "accrual.eligible_amount",
    currency: "accrual.eligible_amount.currency_code",
    micros: "accrual.eligible_amount.micros",
    range: "0 to 1000000000000000 micro-units",
};

const RETURNED_AMOUNT: MoneyFields = MoneyFields {
    whole: "accrual_reversal.returned_amount",
    currency: "accrual_reversal.returned_amount.currency_code",
    micros: "accrual_reversal.returned_amount.micros",
    range: "1 to 1000000000000000 micro-units",
};

const CONVERSION_AMOUNT: MoneyFields = MoneyFields {
    whole: "conversion.amount",
    currency: "conversion.amount.currency_code",
    micros: "conversion.amount.micros",
    range: "0 to 1000000000000000 micro-units",
};

const CONVERSION_RETURNED: MoneyFields = MoneyFields {
    whole: "conversion_return.returned_amount",
    currency: "conversion_return.returned_amount.currency_code",
    micros: "conversion_return.returned_amount.micros",
    range: "1 to 1000000000000000 micro-units",
};

/// Why no message was built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The recommended id cannot be made.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Fields break rules.
    #[error("{}", describe(.0))]
    Invalid(Vec<Violation>),
}

fn describe(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// What all kinds of messages have. Finish it with one of the kinds.
#[derive(Clone, Debug)]
pub struct Draft {
    id: IdSource,
    event_time_micros: i64,
    member_reference: Option<MemberReference>,
    lane: String,
    sequence_number: u64,
}

#[derive(Clone, Debug)]
enum IdSource {
    Given(MessageId),
    Receipt { number: String, running: u32 },
}

impl Draft {
    /// A message with an id of the sender's own. `event_time_micros`: microseconds since 1970.
    #[must_use]
    pub const fn with_id(
        id: MessageId,
        event_time_micros: i64,
        member_reference: MemberReference,
    ) -> Self {
        Self::new(
            IdSource::Given(id),
            event_time_micros,
            Some(member_reference),
        )
    }

    /// A conversion, its return or its approval, with an id of the sender's own: it names no member.
    #[must_use]
    pub const fn of_conversion(id: MessageId, event_time_micros: i64) -> Self {
        Self::new(IdSource::Given(id), event_time_micros, None)
    }

    /// The same with the recommended id, see [`Draft::with_receipt`].
    #[must_use]
    pub fn of_conversion_receipt(
        receipt_number: impl Into<String>,
        running_number: u32,
        event_time_micros: i64,
    ) -> Self {
        let id = IdSource::Receipt {
            number: receipt_number.into(),
            running: running_number,
        };
        Self::new(id, event_time_micros, None)
    }

    /// A message with the recommended id (see [`crate::ids`]), made from the sender's receipt: the same receipt
    /// gives the same id again. `running_number`: counts messages of the same kind on the receipt, from 1. Set the
    /// lane, if there is one: it is part of the id.
    #[must_use]
    pub fn with_receipt(
        receipt_number: impl Into<String>,
        running_number: u32,
        event_time_micros: i64,
        member_reference: MemberReference,
    ) -> Self {
        let id = IdSource::Receipt {
            number: receipt_number.into(),
            running: running_number,
        };
        Self::new(id, event_time_micros, Some(member_reference))
    }

    const fn new(
        id: IdSource,
        event_time_micros: i64,
        member_reference: Option<MemberReference>,
    ) -> Self {
        Self {
            id,
            event_time_micros,
            member_reference,
            lane: String::new(),
            sequence_number: 0,
        }
    }

    /// The sender's own sending unit: a till, a shop, a server. At most 64 bytes.
    #[must_use]
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// Running number within the lane, from 1.
    #[must_use]
    pub const fn sequence_number(mut self, number: u64) -> Self {
        self.sequence_number = number;
        self
    }

    /// A purchase; the hub computes the points.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn accrual(self, eligible: Money) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::Accrual,
            Body::Accrual(Accrual {
                eligible_amount: Some(eligible.into()),
                points: None,
            }),
        )
    }

    /// A purchase with the points that the merchant computed.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn accrual_with_points(
        self,
        eligible: Money,
        points: i64,
    ) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::Accrual,
            Body::Accrual(Accrual {
                eligible_amount: Some(eligible.into()),
                points: Some(points),
            }),
        )
    }

    /// A purchase, or part of it, came back.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn accrual_reversal(
        self,
        accrual: MessageId,
        returned: Money,
    ) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::AccrualReversal,
            Body::AccrualReversal(AccrualReversal {
                accrual_message_id: accrual.to_vec(),
                returned_amount: Some(returned.into()),
            }),
        )
    }

    /// Holds points.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn redemption_authorisation(self, points: i64) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::RedemptionAuthorisation,
            Body::RedemptionAuthorisation(RedemptionAuthorisation { points }),
        )
    }

    /// Spends points of an authorisation.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn redemption_capture(
        self,
        authorisation: MessageId,
        points: i64,
    ) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::RedemptionCapture,
            Body::RedemptionCapture(RedemptionCapture {
                authorisation_message_id: authorisation.to_vec(),
                points,
            }),
        )
    }

    /// Releases an authorisation.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn redemption_void(self, authorisation: MessageId) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::RedemptionVoid,
            Body::RedemptionVoid(RedemptionVoid {
                authorisation_message_id: authorisation.to_vec(),
            }),
        )
    }

    /// Gives captured points back to the member.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn redemption_refund(
        self,
        capture: MessageId,
        points: i64,
    ) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::RedemptionRefund,
            Body::RedemptionRefund(RedemptionRefund {
                capture_message_id: capture.to_vec(),
                points,
            }),
        )
    }

    /// A purchase that an affiliate brought.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn conversion(self, conversion: Conversion) -> Result<v1::Message, MessageError> {
        self.finish(Kind::Conversion, Body::Conversion(conversion))
    }

    /// Such a purchase, or part of it, came back or is taken back. `return_reference`: the merchant's own, may be empty.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn conversion_return(
        self,
        conversion: MessageId,
        returned: Money,
        reason: CommissionReason,
        return_reference: impl Into<String>,
    ) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::ConversionReturn,
            Body::ConversionReturn(ConversionReturn {
                conversion_message_id: conversion.to_vec(),
                returned_amount: Some(returned.into()),
                reason: reason.into(),
                return_reference: return_reference.into(),
            }),
        )
    }

    /// Makes the commission of such a purchase final.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn conversion_approval(self, conversion: MessageId) -> Result<v1::Message, MessageError> {
        self.finish(
            Kind::ConversionApproval,
            Body::ConversionApproval(ConversionApproval {
                conversion_message_id: conversion.to_vec(),
            }),
        )
    }

    fn finish(self, kind: Kind, body: Body) -> Result<v1::Message, MessageError> {
        let id = match &self.id {
            IdSource::Given(id) => *id,
            IdSource::Receipt { number, running } => {
                message_id(self.event_time_micros, &self.lane, number, kind, *running)?
            }
        };
        let message = v1::Message {
            message_id: id.to_vec(),
            event_time: Some(time::timestamp(self.event_time_micros)),
            member_reference: self.member_reference.map(Vec::from).unwrap_or_default(),
            lane: self.lane,
            sequence_number: self.sequence_number,
            body: Some(body),
        };
        let violations = validate(&message);
        if violations.is_empty() {
            Ok(message)
        } else {
            Err(MessageError::Invalid(violations))
        }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
