//! What a message came to: a closed, precedence-ordered list of codes, the state, and the member's balance afterwards.

use crate::ids::{CycleNo, Instant, MerchantIx};
use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// Why a message was accepted or refused. Ordered by precedence: where several apply, the earlier is answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum OutcomeCode { $($(#[$doc])* $name,)* }

        impl OutcomeCode {
            /// Every code, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

codes! {
    /// Accepted.
    Accepted => "ACCEPTED",
    /// The same bytes were decided before; the first outcome stands. Answered by the hub, never by the fold.
    Replayed => "REPLAYED",
    /// The id was used with other bytes; the first outcome stands. Answered by the hub, never by the fold.
    ModifiedRequest => "MODIFIED_REQUEST",
    /// The event is older than the contract's `max_late`.
    EventTimeTooOld => "EVENT_TIME_TOO_OLD",
    /// The event is more than 5 minutes ahead of the hub's clock.
    EventTimeTooFarAhead => "EVENT_TIME_TOO_FAR_AHEAD",
    /// The merchant's state refuses this kind of message.
    MerchantStateRefuses => "MERCHANT_STATE_REFUSES",
    /// The merchant had no contract at the event time.
    ContractNotFound => "CONTRACT_NOT_FOUND",
    /// The merchant lacks the role.
    RoleMissing => "ROLE_MISSING",
    /// The member reference is unknown.
    MemberNotFound => "MEMBER_NOT_FOUND",
    /// Not the programme's currency.
    CurrencyMismatch => "CURRENCY_MISMATCH",
    /// Negative, or beyond the bounds of the ledger.
    AmountOutOfRange => "AMOUNT_OUT_OF_RANGE",
    /// Below 1, or beyond the bounds of the ledger.
    PointsOutOfRange => "POINTS_OUT_OF_RANGE",
    /// The message that this one refers to is unknown.
    OriginalNotFound => "ORIGINAL_NOT_FOUND",
    /// The contract's return days have passed.
    ReturnWindowClosed => "RETURN_WINDOW_CLOSED",
    /// The authorisation has ended.
    HoldExpired => "HOLD_EXPIRED",
    /// The authorisation was captured.
    AlreadyCaptured => "ALREADY_CAPTURED",
    /// The authorisation was voided.
    AlreadyVoided => "ALREADY_VOIDED",
    /// The claimed points are not those of the terms, or are missing where the merchant computes them.
    PointsMismatch => "POINTS_MISMATCH",
    /// Fewer points than the contract's minimum.
    BelowMinimumBurn => "BELOW_MINIMUM_BURN",
    /// More points than authorised.
    CaptureExceedsAuthorisation => "CAPTURE_EXCEEDS_AUTHORISATION",
    /// More points than captured and not yet refunded.
    RefundExceedsCapture => "REFUND_EXCEEDS_CAPTURE",
    /// More than the amount not yet returned.
    ReturnExceedsPurchase => "RETURN_EXCEEDS_PURCHASE",
    /// A funder's cap is reached.
    LimitExceeded => "LIMIT_EXCEEDED",
    /// The member has fewer points.
    InsufficientPoints => "INSUFFICIENT_POINTS",
    /// The merchant has no terms for affiliates at the event time, or no rate fits.
    CommissionTermsNotFound => "COMMISSION_TERMS_NOT_FOUND",
    /// A click id was not made by the hub for this merchant, or was changed.
    ClickForged => "CLICK_FORGED",
    /// The merchant's order reference was used by another conversion.
    DuplicateOrder => "DUPLICATE_ORDER",
    /// The last touch that counts was used by another conversion.
    ClickUsed => "CLICK_USED",
    /// The last touch is older than the merchant's attribution window, or later than the purchase.
    OutsideAttributionWindow => "OUTSIDE_ATTRIBUTION_WINDOW",
    /// The last touch is of a kind that the merchant's placement rules refuse.
    PlacementRefused => "PLACEMENT_REFUSED",
    /// The affiliate is not ACTIVE.
    AffiliateNotActive => "AFFILIATE_NOT_ACTIVE",
    /// No touch and no known code.
    NotAttributed => "NOT_ATTRIBUTED",
    /// The return's reference is in the conversion already.
    DuplicateReturn => "DUPLICATE_RETURN",
    /// The commission is final already.
    AlreadyLocked => "ALREADY_LOCKED",
    /// Nothing is left of the commission.
    CommissionReversed => "COMMISSION_REVERSED",
}

/// The state of the message, or of the original that it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessageState {
    /// Refused.
    Rejected,
    /// Held back by a verdict.
    Quarantined,
    /// Waits for the end of the return window.
    Pending,
    /// Posted.
    Posted,
    /// Posted and returned in part.
    PartiallyReversed,
    /// Returned in full.
    Reversed,
    /// Points are held.
    Authorised,
    /// Points are used.
    Captured,
    /// Released by the merchant.
    Voided,
    /// Released by time.
    Expired,
    /// Used and refunded in part.
    PartiallyRefunded,
    /// Refunded in full.
    Refunded,
    /// A commission that may still change.
    Accrued,
    /// A commission that is final, and held.
    Locked,
    /// A commission in the affiliate's net.
    Payable,
}

impl MessageState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Rejected => "REJECTED",
            Self::Quarantined => "QUARANTINED",
            Self::Pending => "PENDING",
            Self::Posted => "POSTED",
            Self::PartiallyReversed => "PARTIALLY_REVERSED",
            Self::Reversed => "REVERSED",
            Self::Authorised => "AUTHORISED",
            Self::Captured => "CAPTURED",
            Self::Voided => "VOIDED",
            Self::Expired => "EXPIRED",
            Self::PartiallyRefunded => "PARTIALLY_REFUNDED",
            Self::Refunded => "REFUNDED",
            Self::Accrued => "ACCRUED",
            Self::Locked => "LOCKED",
            Self::Payable => "PAYABLE",
        }
    }
}

/// What a message came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Accepted, or why not.
    pub code: OutcomeCode,
    /// The state of the message or of its original.
    pub state: MessageState,
    /// Points of the message: posted or pending (base and bonus), held, captured, released, refunded, or claimed back.
    pub points: i64,
    /// Part of `points` that came from promotions (accruals), whole points.
    pub bonus_points: i64,
    /// Points newly owed by the member through this message.
    pub owed_points: i64,
    /// Points forgiven by the FLOOR policy.
    pub forgiven_points: i64,
    /// When the hold ends, the points expire or the pending accrual posts; `None` where nothing does.
    pub due_at: Option<Instant>,
    /// The cycle that the message belongs to.
    pub cycle: CycleNo,
    /// Whether the event lies before the cycle: its lines stand apart.
    pub late: bool,
    /// The member's spendable points afterwards (0 where the member is unknown).
    pub available_after: i64,
    /// The member's debt afterwards, points.
    pub debt_after: i64,
    /// Of a conversion, its commission; of a return, what was taken back; micro-units.
    pub commission_micros: i64,
    /// Place of the touch that the conversion is attributed to; `None`: none, or its code.
    pub touch: Option<u8>,
    /// To whom the conversion is attributed.
    pub affiliate: Option<MerchantIx>,
}
