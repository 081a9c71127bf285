//! Effects: what a decision changed, recorded in the log. Each is self-contained for both sides: the global side (journals, lines, pair
//! view, calendar, counters) never needs a member, the member side never needs an aggregate. Restart re-applies them and decides nothing.

use crate::accrual::{Accrual, Part};
use crate::commission::CommissionChange;
use crate::debt::Debt;
use crate::ids::{
    ContractIx, CycleNo, Instant, LotKey, MemberId, MerchantIx, Pos, PriceId, PromotionIx,
};
use crate::lot::Lot;
use crate::message::MessageKind;
use crate::outcome::OutcomeCode;
use crate::redemption::{Redemption, Uses};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use thiserror::Error;

/// A change and the cycle that its journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// The cycle.
    pub cycle: CycleNo,
    /// Whether the message's event lies before that cycle; late lines stand apart.
    pub late: bool,
    /// What changed.
    pub change: Change,
}

/// Points to be posted or posted of one part of an accrual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartPoints {
    /// Funder, mode, reserve price and fee.
    pub price: PriceId,
    /// The promotion; `None` for the base.
    pub promotion: Option<PromotionIx>,
    /// Points.
    pub points: i64,
}

/// Parts of an accrual, the base first.
pub type Parts = SmallVec<[PartPoints; 1]>;

impl PartPoints {
    /// The record that a member keeps of it.
    #[must_use]
    pub fn record(&self) -> Part {
        Part {
            price: self.price,
            promotion: self.promotion,
            points: self.points,
            reversed: 0,
            expired: 0,
        }
    }
}

/// An accepted accrual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAccrual {
    /// The sender.
    pub merchant: MerchantIx,
    /// Its terms at the event time.
    pub contract: ContractIx,
    /// The event time.
    pub event_time: Instant,
    /// Eligible amount, micro-units.
    pub amount_micros: i64,
    /// Points by part; the base is always there, even with 0 points.
    pub parts: Parts,
}

impl NewAccrual {
    /// The record that a member keeps of it.
    #[must_use]
    pub fn record(&self, pos: Pos, posts_at: Option<Instant>) -> Accrual {
        Accrual {
            pos,
            contract: self.contract,
            event_time: self.event_time,
            amount_micros: self.amount_micros,
            returned_micros: 0,
            posts_at,
            whole: None,
            parts: self.parts.iter().map(PartPoints::record).collect(),
        }
    }
}

/// How a hold ended without a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Release {
    /// By a message of the merchant.
    Voided,
    /// By time.
    Expired,
}

/// What changed. The place in the log that it is applied at is that of the message (or fact) that was being decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A message was refused; only counted.
    Refused {
        /// The sender.
        merchant: MerchantIx,
        /// Its kind.
        kind: MessageKind,
        /// Why.
        code: OutcomeCode,
    },
    /// An accrual posted; one lot per part with points.
    Accrued {
        /// The accrual.
        accrual: NewAccrual,
        /// `expires_at` of its lots.
        expires_at: Instant,
    },
    /// An accrual waits for the end of its return window.
    Pended {
        /// The accrual.
        accrual: NewAccrual,
        /// When it posts.
        posts_at: Instant,
    },
    /// A pending accrual posted by time.
    PendingPosted {
        /// The accrual's place.
        original: Pos,
        /// Its sender.
        merchant: MerchantIx,
        /// Its event time.
        event_time: Instant,
        /// When it was due.
        at: Instant,
        /// Points by part, as the record holds them.
        parts: Parts,
        /// `expires_at` of its lots.
        expires_at: Instant,
    },
    /// A return lowered a pending accrual; no journal.
    PendingLowered {
        /// The accrual's place.
        original: Pos,
        /// Its sender.
        merchant: MerchantIx,
        /// The amount that is left, micro-units.
        left_micros: i64,
        /// Points by part before.
        before: Parts,
        /// Points by part on the amount left; empty where it is 0.
        after: Parts,
    },
    /// A return was accepted against a posted accrual; what it takes follows as `Taken`, `Owed` and `Forgiven`.
    Returned {
        /// The accrual's place.
        original: Pos,
        /// Its sender.
        merchant: MerchantIx,
        /// Amount returned now, micro-units.
        amount_micros: i64,
        /// Points claimed now, by part of the accrual, with the part's price entry.
        claimed: SmallVec<[(PriceId, i64); 1]>,
    },
    /// Points of a lot were taken for a reversal.
    Taken {
        /// The lot.
        lot: LotKey,
        /// The lot's price entry.
        price: PriceId,
        /// Price entry of the reversed part: its funder is credited.
        reversed: PriceId,
        /// Points.
        points: i64,
    },
    /// The member owes points.
    Owed {
        /// Price entry of the reversed part: its funder is the creditor.
        creditor: PriceId,
        /// Points.
        points: i64,
    },
    /// Points that nobody gets back.
    Forgiven {
        /// Price entry of the reversed part.
        reversed: PriceId,
        /// Points.
        points: i64,
    },
    /// The oldest debt was repaid from a lot.
    Repaid {
        /// Price entry of the debt.
        creditor: PriceId,
        /// The lot.
        lot: LotKey,
        /// The lot's price entry.
        price: PriceId,
        /// Points.
        points: i64,
    },
    /// Points are held.
    Held {
        /// The sender.
        merchant: MerchantIx,
        /// Its terms.
        contract: ContractIx,
        /// The event time.
        event_time: Instant,
        /// First instant at which the hold cannot be captured.
        ends_at: Instant,
        /// What it holds.
        uses: Uses,
    },
    /// A hold ended without a capture.
    Released {
        /// The authorisation.
        authorisation: Pos,
        /// Its sender.
        merchant: MerchantIx,
        /// How.
        how: Release,
        /// When.
        at: Instant,
        /// Points released.
        points: i64,
    },
    /// A hold was captured; what it held beyond `uses` is released.
    Captured {
        /// The authorisation.
        authorisation: Pos,
        /// The sender.
        merchant: MerchantIx,
        /// Its terms at the capture.
        contract: ContractIx,
        /// The event time.
        event_time: Instant,
        /// Redemption fee, basis points.
        fee_bps: u32,
        /// Redemption fee, micro-units.
        fee_micros: i64,
        /// What was used, in hold order.
        uses: Uses,
    },
    /// Captured points came back.
    Refunded {
        /// The capture.
        capture: Pos,
        /// The sender.
        merchant: MerchantIx,
        /// Redemption fee given back, micro-units.
        fee_micros: i64,
        /// Where points go, in reverse order of consumption. `lot` is the original lot or a child that this refund makes.
        uses: Uses,
    },
    /// Unheld points of a lot expired.
    Expired {
        /// The lot.
        lot: LotKey,
        /// The accrual and part that the points were earned by.
        origin: LotKey,
        /// Its price entry.
        price: PriceId,
        /// Points.
        points: i64,
        /// The funder's share of the breakage, micro-units (0 for a BURN lot).
        share_micros: i64,
        /// When.
        at: Instant,
    },
    /// Activity moved the expiry of every lot that had not expired by then.
    ExpiryMoved {
        /// Lots that expire later than this instant move.
        after: Instant,
        /// Their new `expires_at`.
        to: Instant,
    },
    /// Records that no message can refer to any more were dropped.
    Pruned {
        /// Accruals, by place.
        accruals: Vec<Pos>,
        /// Redemptions, by authorisation.
        redemptions: Vec<Pos>,
    },
    /// The member's due items changed: instants and differences of their counts. The last effect of a decision, if any.
    Calendar {
        /// (when, change of the number of items due then).
        changes: SmallVec<[(Instant, i32); 2]>,
    },
    /// Points that existed before the programme moved here, brought in by a fact. ISSUE points come with their reserve in cash.
    Opened {
        /// The lot.
        lot: Lot,
    },
    /// Everything of this member moved to another one.
    MergedOut {
        /// The other member.
        into: MemberId,
    },
    /// Everything of another member moved here unchanged.
    MergedIn(Box<Holdings>),
    /// Expired points came back; the expiry's journal is reversed.
    Reinstated {
        /// The lot as it stands in the member afterwards: the original one, or a child with a grace period.
        lot: Lot,
        /// Points that came back.
        points: i64,
        /// The funder's share of the breakage that is taken back, micro-units.
        share_micros: i64,
    },
    /// A conversion's account changed.
    Commission(CommissionChange),
}

/// What moves when members merge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// Lots.
    pub lots: Vec<Lot>,
    /// Debts, oldest first.
    pub debts: Vec<Debt>,
    /// Accruals.
    pub accruals: Vec<Accrual>,
    /// Redemptions.
    pub redemptions: Vec<Redemption>,
    /// Last accrual or capture.
    pub last_activity: Option<Instant>,
    /// Highest place of a record that was dropped.
    pub pruned_to: Pos,
}

/// The effects of one message or fact on one member, as an entry records them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Index of the message within the entry.
    pub index: u32,
    /// The member; `MemberId(0)` for none.
    pub member: MemberId,
    /// The effects, in order.
    pub effects: Vec<Effect>,
}

/// Recorded bytes that do not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("corrupt record: {0}")]
pub struct Corrupt(pub &'static str);

/// Encodes a whole entry's effects. The format is part of the log.
#[must_use]
pub fn encode_effects(records: &[Recorded]) -> Vec<u8> {
    // Serialising plain data into a growing vector has no way to fail.
    postcard::to_extend(records, Vec::new()).unwrap_or_default()
}

/// Appends one record to bytes that [`decode_effect_stream`] reads: no count in front, so that entries can be written message by message.
pub fn append_effects(record: &Recorded, bytes: &mut Vec<u8>) {
    if let Ok(longer) = postcard::to_extend(record, std::mem::take(bytes)) {
        *bytes = longer;
    }
}

/// Decodes what [`encode_effects`] wrote.
pub fn decode_effects(bytes: &[u8]) -> Result<Vec<Recorded>, Corrupt> {
    match postcard::take_from_bytes(bytes) {
        Ok((records, [])) => Ok(records),
        Ok((_, _)) => Err(Corrupt("bytes behind the effects")),
        Err(_) => Err(Corrupt("effects")),
    }
}

/// Decodes what repeated [`append_effects`] wrote.
pub fn decode_effect_stream(mut bytes: &[u8]) -> Result<Vec<Recorded>, Corrupt> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = postcard::take_from_bytes(bytes).map_err(|_| Corrupt("effects"))?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}
