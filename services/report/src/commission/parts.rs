//! What a commission statement is made of. Amounts are the affiliate's: + is earned, - is taken from it or paid to it.

use crate::amount::Amount;
use crate::party::{Counterparty, Issuer, MerchantParty};
use crate::statement::{LineKind, Period, Proof};
use crate::wire;
use chrono::{DateTime, Utc};
use hansa_money::Currency;
use serde::{Deserialize, Serialize};

/// Everything that a commission statement says. [`CommissionStatement::new`](crate::CommissionStatement::new) checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommissionParts {
    /// Who issues it.
    pub issuer: Issuer,
    /// The cycle's number; it is closed.
    pub cycle: u32,
    /// From when to when.
    pub period: Period,
    /// Currency of all amounts.
    #[serde(with = "wire::currency")]
    pub currency: Currency,
    /// Whom it is for.
    pub affiliate: MerchantParty,
    /// From opening to closing.
    pub figures: CommissionFigures,
    /// What the cycle did, by merchant. A payment is of a whole net and an adjustment of no conversion: neither is here.
    pub merchants: Vec<MerchantCommissions>,
    /// Every change, in the order of the log; then adjustments, then payments.
    pub lines: Vec<CommissionLine>,
    /// Where the log proves the cycle.
    pub proof: Proof,
}

/// Opening + accrued - reversed - clawed back - held + adjusted - paid = closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommissionFigures {
    /// Closing of the cycle before.
    pub opening: Amount,
    /// Accrued, or attributed to this affiliate afterwards.
    pub accrued: Amount,
    /// Taken back before it was payable.
    pub reversed: Amount,
    /// Taken back after it was payable.
    pub clawed_back: Amount,
    /// Came under a hold, less what was released or taken back under one.
    pub held: Amount,
    /// Finance's adjustments in the affiliate's favour, less those against it.
    pub adjusted: Amount,
    /// Paid to the affiliate, less what it paid and what came back.
    pub paid: Amount,
    /// Accrued, and neither reversed nor held nor paid.
    pub closing: Amount,
    /// For information: went into the affiliate's net in this cycle. It changes no balance.
    pub payable: Amount,
}

/// What commissions at one merchant did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantCommissions {
    /// The merchant.
    pub merchant: Counterparty,
    /// Conversions that accrued, or were attributed to this affiliate afterwards.
    pub conversions: u64,
    /// See [`CommissionFigures`].
    pub accrued: Amount,
    /// See [`CommissionFigures`].
    pub reversed: Amount,
    /// See [`CommissionFigures`].
    pub clawed_back: Amount,
    /// See [`CommissionFigures`].
    pub held: Amount,
    /// See [`CommissionFigures`].
    pub payable: Amount,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommissionLineKind {
    /// A conversion was accepted.
    Accrued,
    /// A conversion is attributed to this affiliate now.
    Reattributed,
    /// It became less before it was payable.
    Reversed,
    /// It became less after it was payable.
    ClawedBack,
    /// A flag holds it.
    Held,
    /// A flag no longer holds it.
    Released,
    /// It is final. Changes no balance.
    Locked,
    /// It went into the affiliate's net. Changes no balance.
    Payable,
    /// An adjustment of finance.
    Adjusted,
    /// A payment that the bank confirmed, or one that came back.
    Paid,
}

impl CommissionLineKind {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accrued => "ACCRUED",
            Self::Reattributed => "REATTRIBUTED",
            Self::Reversed => "REVERSED",
            Self::ClawedBack => "CLAWED_BACK",
            Self::Held => "HELD",
            Self::Released => "RELEASED",
            Self::Locked => "LOCKED",
            Self::Payable => "PAYABLE",
            Self::Adjusted => "ADJUSTED",
            Self::Paid => "PAID",
        }
    }

    /// Whether its amount is for information.
    #[must_use]
    pub const fn is_information(self) -> bool {
        matches!(self, Self::Locked | Self::Payable)
    }

    /// Whether it is about a conversion.
    #[must_use]
    pub const fn is_of_conversion(self) -> bool {
        !matches!(self, Self::Adjusted | Self::Paid)
    }
}

/// Where a commission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommissionStanding {
    /// The merchant may still change it.
    Accrued,
    /// A flag holds it, whether it is final or not.
    Held,
    /// It is final. Where no PAYABLE line follows, a flag holds it.
    Locked,
    /// It is in the affiliate's net.
    Payable,
    /// Nothing is left of it.
    Reversed,
}

impl CommissionStanding {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accrued => "ACCRUED",
            Self::Held => "HELD",
            Self::Locked => "LOCKED",
            Self::Payable => "PAYABLE",
            Self::Reversed => "REVERSED",
        }
    }
}

/// The conversion that a line is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversionRef {
    /// The leaf of the log that holds it.
    pub leaf: u64,
    /// Place within the leaf. With the leaf, its identity.
    pub position: u32,
    /// The merchant's reference of the order.
    pub order: String,
    /// When it happened, by the merchant's word.
    #[serde(with = "wire::instant")]
    pub event_time: DateTime<Utc>,
    /// Amount of the purchase that earns commission.
    pub purchase: Amount,
    /// Version of the merchant's commission terms that it is paid by, from 1.
    pub terms_version: u32,
    /// When it becomes final by time; `None`: when the merchant approves it.
    #[serde(with = "wire::optional_instant")]
    pub locks_at: Option<DateTime<Utc>>,
}

/// What an affiliate gets for a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedRate {
    /// Row of the rate card, from 1.
    pub row: u32,
    /// Share of the purchase, basis points.
    pub share_bps: u32,
    /// Besides.
    pub fixed: Amount,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommissionLine {
    /// What it is about.
    pub kind: CommissionLineKind,
    /// When, by the hub's clock.
    #[serde(with = "wire::instant")]
    pub at: DateTime<Utc>,
    /// The leaf of the log that holds the change; of a payment, which a bank's report confirms, none is named.
    pub leaf: Option<u64>,
    /// The merchant; of an adjustment and of a payment, whom it is with.
    pub with: Counterparty,
    /// Reference of an adjustment or a payment; empty for others, whose conversion has one.
    pub reference: String,
    /// The conversion.
    pub conversion: Option<ConversionRef>,
    /// The rate, on the line that set it.
    pub rate: Option<AppliedRate>,
    /// What changed. Of LOCKED and PAYABLE it is for information.
    pub amount: Amount,
    /// The change is under a hold: what it adds or takes is part of what is held, and leaves the balance alone.
    pub under_hold: bool,
    /// Where the commission stands afterwards; `None` where the line leaves that as it was, or there is no commission.
    pub state: Option<CommissionStanding>,
    /// Why, from the published list; on every negative line.
    pub reason: Option<LineKind>,
    /// The flag that holds or held it.
    pub flag: Option<u64>,
}

impl CommissionLine {
    /// The reference that people know: of the order, the adjustment or the payment.
    #[must_use]
    pub fn shown_reference(&self) -> &str {
        self.conversion
            .as_ref()
            .map_or(&self.reference, |conversion| &conversion.order)
    }
}
