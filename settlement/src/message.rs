//! What a merchant sends, with every reference already resolved by the hub.

use crate::commission::{Claim, CommissionReason};
use crate::ids::{Instant, MemberId, MerchantIx, Pos};
use crate::money::Currency;
use serde::{Deserialize, Serialize};

/// A message whose signature, id, member reference and original have been looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who signed it.
    pub sender: MerchantIx,
    /// The sender's id for it.
    pub message_id: [u8; 16],
    /// The sender's word on when it happened.
    pub event_time: Instant,
    /// Whose points; `None` where the reference is unknown.
    pub member: Option<MemberId>,
    /// What happened.
    pub body: Body,
    /// Of a conversion, what the merchant says of it.
    pub claim: Option<Box<Claim>>,
}

/// What happened. `original`, `authorisation` and `capture` are places of ACCEPTED messages of the same sender, member and right kind;
/// `None` where the id resolves to no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A purchase earns points.
    Accrual {
        /// Currency of the amount.
        currency: Currency,
        /// Eligible amount, micro-units, at least 0.
        amount_micros: i64,
        /// Base points as the merchant computed them: required where its contract says so, otherwise compared.
        points: Option<i64>,
    },
    /// Part of a purchase comes back.
    AccrualReversal {
        /// The accrual.
        original: Option<Pos>,
        /// Currency of the amount.
        currency: Currency,
        /// Amount returned now, micro-units.
        amount_micros: i64,
    },
    /// Points are held for a redemption.
    Authorisation {
        /// Whole points, at least 1.
        points: i64,
    },
    /// Held points are used.
    Capture {
        /// The authorisation.
        authorisation: Option<Pos>,
        /// Whole points, at least 1 and at most the authorised ones; the rest is released.
        points: i64,
    },
    /// Held points are released.
    Void {
        /// The authorisation.
        authorisation: Option<Pos>,
    },
    /// Used points come back.
    Refund {
        /// The capture.
        capture: Option<Pos>,
        /// Whole points refunded now, at least 1.
        points: i64,
    },
    /// An affiliate brought a purchase; [`Message::claim`] says which.
    Conversion,
    /// Such a purchase, or part of it, comes back. `member` is its account; `None` where the id resolves to no conversion.
    ConversionReturn {
        /// Currency of the amount.
        currency: Currency,
        /// Amount returned now, micro-units.
        amount_micros: i64,
        /// Why.
        reason: CommissionReason,
        /// The merchant's own reference of the return, hashed: known ones are refused.
        reference: Option<[u8; 16]>,
    },
    /// The merchant makes the commission of such a purchase final. `member` is its account.
    ConversionApproval,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessageKind {
    /// Accrual.
    Accrual,
    /// Accrual reversal.
    AccrualReversal,
    /// Authorisation.
    Authorisation,
    /// Capture.
    Capture,
    /// Void.
    Void,
    /// Refund.
    Refund,
    /// Conversion.
    Conversion,
    /// Return of a conversion.
    ConversionReturn,
    /// Approval of a conversion.
    ConversionApproval,
}

impl Body {
    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Accrual { .. } => MessageKind::Accrual,
            Self::AccrualReversal { .. } => MessageKind::AccrualReversal,
            Self::Authorisation { .. } => MessageKind::Authorisation,
            Self::Capture { .. } => MessageKind::Capture,
            Self::Void { .. } => MessageKind::Void,
            Self::Refund { .. } => MessageKind::Refund,
            Self::Conversion => MessageKind::Conversion,
            Self::ConversionReturn { .. } => MessageKind::ConversionReturn,
            Self::ConversionApproval => MessageKind::ConversionApproval,
        }
    }
}

/// When and where a message is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The hub's clock; never goes back along the log.
    pub decided_at: Instant,
    /// The message's place in the log.
    pub pos: Pos,
}
