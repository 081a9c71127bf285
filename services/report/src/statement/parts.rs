//! What a statement is made of. On every amount + is what the merchant owes, - what it is owed.

use super::proof::{MessageId, Proof};
use crate::amount::Amount;
use crate::party::{BankAccount, Counterparty, Issuer, MerchantParty, Tax};
use crate::text::label;
use crate::wire;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use hansa_money::Currency;
use serde::{Deserialize, Serialize};

/// Everything that a statement says. [`StatementDocument::new`](crate::StatementDocument::new) checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementParts {
    /// Who issues it.
    pub issuer: Issuer,
    /// The cycle's number.
    pub cycle: u32,
    /// Where the cycle stands; a statement of one that is not closed yet is provisional.
    pub state: CycleState,
    /// From when to when.
    pub period: Period,
    /// Currency of all amounts.
    #[serde(with = "wire::currency")]
    pub currency: Currency,
    /// Whom it is for.
    pub merchant: MerchantParty,
    /// Carried forward by the cycle before.
    pub brought_forward: Amount,
    /// The same by cause. Empty, or all of it.
    pub opening: Vec<OpeningItem>,
    /// Lines, in the order in which they shall stand.
    pub lines: Vec<StatementLine>,
    /// The lines' sum.
    pub net: Amount,
    /// Of the promotion lines, each promotion's part. Empty, or all of them.
    pub promotions: Vec<PromotionShare>,
    /// Fees that the lines contain, with their tax: for the merchant's books, counted in no sum.
    pub fees: Vec<FeeItem>,
    /// Corrections of earlier cycles: what the ADJUSTMENT lines are made of.
    pub adjustments: Vec<Adjustment>,
    /// What is withheld (+) or released (-).
    pub holdbacks: Vec<Holdback>,
    /// The net once more, by counterparty, the hub included.
    pub bilateral: Vec<BilateralNet>,
    /// The net once more, by kind of message or event. Empty, or all of it.
    pub messages: Vec<MessageTotal>,
    /// What is paid; empty where nothing is.
    pub payments: Vec<Payment>,
    /// What the payments leave to the next cycle.
    pub carried_forward: Amount,
    /// Where the log proves it; a closed cycle has one.
    pub proof: Option<Proof>,
    /// Every message and event of the lines, or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_down: Option<Vec<MessageRow>>,
}

/// Where a cycle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CycleState {
    /// Messages post to it.
    Open,
    /// Cut; what was due before the cut is still being posted.
    Closing,
    /// Complete; its figures never change again.
    Closed,
    /// Proposed, waits for a second person.
    PendingApproval,
    /// Approved by two.
    Approved,
    /// Its payments are on the way.
    Settling,
    /// Everything is paid.
    Settled,
    /// Some of it is paid, the rest was returned or is carried forward.
    PartiallySettled,
    /// Given up; nothing of it is paid.
    Aborted,
}

impl CycleState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Closing => "CLOSING",
            Self::Closed => "CLOSED",
            Self::PendingApproval => "PENDING_APPROVAL",
            Self::Approved => "APPROVED",
            Self::Settling => "SETTLING",
            Self::Settled => "SETTLED",
            Self::PartiallySettled => "PARTIALLY_SETTLED",
            Self::Aborted => "ABORTED",
        }
    }

    /// Whether figures may still change.
    #[must_use]
    pub const fn is_provisional(self) -> bool {
        matches!(self, Self::Open | Self::Closing)
    }
}

/// `[opens_at, closes_at)` and the zone that its days are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First instant; `None` for the first cycle, which has no other in front of it.
    #[serde(with = "wire::optional_instant")]
    pub opens_at: Option<DateTime<Utc>>,
    /// First instant after it; `None` while it is not known.
    #[serde(with = "wire::optional_instant")]
    pub closes_at: Option<DateTime<Utc>>,
    /// Zone of business days.
    #[serde(with = "wire::zone")]
    pub zone: Tz,
}

impl Period {
    /// First business day, where the cycle has one.
    #[must_use]
    pub fn first_day(&self) -> Option<NaiveDate> {
        Some(self.opens_at?.with_timezone(&self.zone).date_naive())
    }

    /// The date that documents bear: the end of the period, or as much of it as is known.
    #[must_use]
    pub(crate) fn dated(&self) -> DateTime<Utc> {
        self.closes_at.or(self.opens_at).unwrap_or_default()
    }

    /// Last business day, if it is known: the day of the last microsecond.
    #[must_use]
    pub fn last_day(&self) -> Option<NaiveDate> {
        let last = self.closes_at? - TimeDelta::microseconds(1);
        Some(last.with_timezone(&self.zone).date_naive())
    }
}

/// What a line is about: a code in capitals, e.g. `BASE_ACCRUAL`, `PROMOTION_SHARE`, `REDEMPTION`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineKind(String);

impl LineKind {
    /// The ledger's code of the kind. New ones need no change here: a code is its own label.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self(code.to_owned())
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0
    }

    /// For people: `Base accrual`.
    #[must_use]
    pub fn label(&self) -> String {
        label(&self.0)
    }

    pub(crate) fn is_well_formed(&self) -> bool {
        self.0.starts_with(|c: char| c.is_ascii_uppercase())
            && self.0.len() <= 64
            && self
                .0
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    }

    /// Whether adjustments are accounted on it.
    pub(crate) fn is_adjustment(&self) -> bool {
        self.code() == "ADJUSTMENT"
    }

    /// Whether promotions are accounted on it.
    pub(crate) fn is_promotion(&self) -> bool {
        matches!(self.code(), "PROMOTION_SHARE" | "PROMOTION_FEE")
    }
}

/// A part of what is brought forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningItem {
    /// Why: `RESIDUE` of rounding, `PREPAID`, `PAYMENT` that was returned, `HOLDBACK` that was released, ...
    pub cause: LineKind,
    /// What it comes from, e.g. `cycle 6`, `payment 12`; may be empty.
    pub reference: String,
    /// What it adds.
    pub amount: Amount,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// What it is about.
    pub kind: LineKind,
    /// Whom it is with, where the line says so.
    pub counterparty: Option<Counterparty>,
    /// Its events lie before the cycle: they keep their own line.
    pub late: bool,
    /// Points only; it carries no money and explains other lines.
    pub information: bool,
    /// Messages and events.
    pub count: u64,
    /// Whole points.
    pub points: i64,
    /// What it adds to the net.
    pub amount: Amount,
}

/// A promotion's part of the promotion lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromotionShare {
    /// The promotion's id.
    pub promotion: String,
    /// Its name.
    pub name: String,
    /// Bonus points that the merchant funded.
    pub points: i64,
    /// What they cost it in this cycle.
    pub amount: Amount,
}

/// A fee that some line contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeItem {
    /// Which: `SERVICE_FEE`, `REDEMPTION_FEE`, ...
    pub kind: LineKind,
    /// Points that it was taken on.
    pub points: i64,
    /// The fee.
    pub amount: Amount,
    /// How it is taxed, where the contract says so.
    pub tax: Option<Tax>,
}

/// A correction that links what it corrects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjustment {
    /// Its id.
    pub id: String,
    /// Reason code, e.g. `DISPUTE_ACCEPTED`.
    pub reason: LineKind,
    /// In words; may be empty.
    pub note: String,
    /// What it corrects.
    pub original: OriginalRef,
    /// Whom it is with.
    pub counterparty: Option<Counterparty>,
    /// Whole points; 0 where only money moves.
    pub points: i64,
    /// What it adds.
    pub amount: Amount,
    /// Two different people.
    pub approvals: [Approval; 2],
}

/// What an adjustment corrects: as much of it as is known; cycle 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OriginalRef {
    /// The cycle that it belongs to.
    pub cycle: u32,
    /// The statement line.
    pub line: Option<LineKind>,
    /// The message.
    pub message: Option<MessageId>,
    /// The leaf of the log that holds the message.
    pub leaf: Option<u64>,
}

impl OriginalRef {
    /// `cycle 6, Redemption, message 01a2..., leaf 4711`; empty where nothing is named.
    pub(crate) fn text(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let mut out = format!("cycle {}", self.cycle);
        if let Some(line) = &self.line {
            out.push_str(&format!(", {}", line.label()));
        }
        if let Some(message) = &self.message {
            out.push_str(&format!(", message {}", message.to_hex()));
        }
        if let Some(leaf) = self.leaf {
            out.push_str(&format!(", leaf {leaf}"));
        }
        out
    }
}

/// A person's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who, by the name that the audit log has.
    pub by: String,
    /// When.
    #[serde(with = "wire::instant")]
    pub at: DateTime<Utc>,
}

/// What is withheld or released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdback {
    /// Its id.
    pub id: String,
    /// Reason code, e.g. `FRAUD_RESERVE`.
    pub reason: LineKind,
    /// Withheld from the merchant (+), released to it (-).
    pub amount: Amount,
    /// When it will be released, where that is known.
    pub release_on: Option<NaiveDate>,
}

/// The net with one counterparty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilateralNet {
    /// Whom it is with.
    pub counterparty: Counterparty,
    /// Points that moved between the two, where the net counts points.
    pub points: i64,
    /// The net.
    pub amount: Amount,
    /// Messages behind it. One message may stand behind several nets.
    pub messages: u64,
}

/// What all messages or events of one kind add to the net.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageTotal {
    /// Kind of message, e.g. `ACCRUAL`, `REDEMPTION_CAPTURE`, or of an event by time alone: `EXPIRY`.
    pub kind: LineKind,
    /// How many.
    pub count: u64,
    /// What they add.
    pub amount: Amount,
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// The instruction, once there is one.
    pub instruction: Option<String>,
    /// With whom: the hub, or a merchant where the programme nets bilaterally.
    pub counterparty: Counterparty,
    /// The merchant pays (+) or is paid (-), in whole minor units.
    pub amount: Amount,
    /// State of the instruction, e.g. `PENDING`, `SETTLED`, once there is one.
    pub state: Option<LineKind>,
    /// When it is due.
    pub due_on: Option<NaiveDate>,
    /// What the transfer says: finds it again at the bank.
    pub reference: Option<String>,
    /// The account that is credited.
    pub account: Option<BankAccount>,
}

/// A message's or an event's part of one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRow {
    /// Leaf of the log.
    pub leaf: u64,
    /// Place within the leaf.
    pub position: u32,
    /// The message; `None` for what happens by time alone.
    pub message: Option<MessageId>,
    /// Kind of message or event.
    pub kind: LineKind,
    /// When it happened, by the merchant's word.
    #[serde(with = "wire::instant")]
    pub event_time: DateTime<Utc>,
    /// The line that it belongs to, with the counterparty and whether it is late.
    pub line: LineKind,
    /// Whom it is with, as the line says.
    pub counterparty: Option<Counterparty>,
    /// Whether it is on a late line.
    pub late: bool,
    /// Whole points.
    pub points: i64,
    /// What it adds to the line.
    pub amount: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_s_days_are_those_of_its_zone() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let march = Period {
            opens_at: Some(at("2026-02-28T23:00:00Z")),
            closes_at: Some(at("2026-03-31T22:00:00Z")),
            zone: chrono_tz::Europe::Berlin,
        };
        assert_eq!(march.first_day().unwrap().to_string(), "2026-03-01");
        assert_eq!(march.last_day().unwrap().to_string(), "2026-03-31");
    }

    #[test]
    fn codes_are_capitals() {
        for good in ["BASE_ACCRUAL", "X1"] {
            assert!(LineKind::new(good).is_well_formed());
        }
        for bad in ["", "=A1", "base", "A B", "_A", "1A"] {
            assert!(!LineKind::new(bad).is_well_formed());
        }
    }
}
