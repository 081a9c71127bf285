//! The published list of reasons: every line that takes something has one of these.

use serde::Serialize;

/// A reason and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CommissionReasonText {
    /// The stable name.
    pub code: &'static str,
    /// In plain words.
    pub meaning: &'static str,
}

const fn reason(code: &'static str, meaning: &'static str) -> CommissionReasonText {
    CommissionReasonText { code, meaning }
}

/// All reasons: of merchants and reviews, of holds and payments, of finance's adjustments.
pub const COMMISSION_REASONS: &[CommissionReasonText] = &[
    reason("ITEM_RETURNED", "Goods came back"),
    reason("ORDER_CANCELLED", "The order was cancelled"),
    reason("ORDER_UPDATED", "The order was changed"),
    reason("DUPLICATE_ORDER", "The same order was reported twice"),
    reason("OUT_OF_STOCK", "The goods could not be delivered"),
    reason("PAYMENT_FAILED", "The customer's payment failed"),
    reason(
        "TERMS_VIOLATION",
        "The traffic broke the merchant's terms for affiliates",
    ),
    reason("TRACKING_ERROR", "The conversion was reported by mistake"),
    reason(
        "TOUCH_INVALIDATED",
        "The click or view that it was attributed to was declared invalid",
    ),
    reason("FRAUD_CONFIRMED", "A review confirmed fraud"),
    reason(
        "FLAGGED",
        "A flag holds it until a review ends; nothing is taken, and you may appeal",
    ),
    reason("PAYMENT", "Paid to you; the bank confirmed it"),
    reason("PAYMENT_RETURNED", "A payment came back and is owed again"),
    reason("PAYMENT_BY_AFFILIATE", "Paid by you; the bank confirmed it"),
    reason("LATE_MESSAGE", "A message came too late for its cycle"),
    reason("ERRONEOUS_MESSAGE", "A message was wrong"),
    reason("MISSING_MESSAGE", "A message was missing"),
    reason(
        "WRONG_TERMS",
        "A price, rate or fee was not that of the contract",
    ),
    reason("DISPUTE", "A dispute was accepted or ruled"),
    reason(
        "COMMISSION_QUERY",
        "A query of yours was accepted or ruled for you",
    ),
    reason("RECONCILIATION", "What a bank statement showed"),
    reason(
        "COMPROMISED_KEY",
        "Messages were signed with a key that was stolen",
    ),
    reason("GOODWILL", "The operator gave it without having to"),
    reason(
        "DEFAULT_LOSS",
        "A share of what a participant failed to pay",
    ),
];

/// A reason of the list.
pub(crate) fn known(code: &str) -> Option<&'static CommissionReasonText> {
    COMMISSION_REASONS.iter().find(|reason| reason.code == code)
}
