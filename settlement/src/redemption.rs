//! What a member's record keeps of each redemption, from its authorisation to its last refund.

use crate::ids::{ContractIx, Instant, LotKey, Pos, PriceId};
use crate::outcome::MessageState;
use crate::price::PriceBook;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Points of one lot that a redemption holds or has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The lot.
    pub lot: LotKey,
    /// The accrual and part that the points were earned by.
    pub origin: LotKey,
    /// Funder, mode, reserve price and fee.
    pub price: PriceId,
    /// Points.
    pub points: i64,
    /// The lot's `posted_at`.
    pub posted_at: Instant,
    /// The lot's `expires_at`.
    pub expires_at: Instant,
}

/// Uses in hold order, which is burn order at the authorisation.
pub type Uses = SmallVec<[Use; 2]>;

/// One redemption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    /// The authorisation's place in the log.
    pub authorisation: Pos,
    /// The merchant's terms: at the authorisation, then at the capture.
    pub contract: ContractIx,
    /// Event time of the authorisation, then of the capture.
    pub event_time: Instant,
    /// What became of it.
    pub status: Status,
}

/// What became of an authorisation. All but `Held` are final for the authorisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Points are held.
    Held {
        /// First instant at which it cannot be captured.
        ends_at: Instant,
        /// What it holds.
        uses: Uses,
    },
    /// Points were used.
    Captured {
        /// The capture's place in the log.
        capture: Pos,
        /// The redemption fee, basis points.
        fee_bps: u32,
        /// Points refunded so far; they are the last ones of `uses`.
        refunded: i64,
        /// What it used.
        uses: Uses,
    },
    /// The merchant released the points.
    Voided,
    /// Time released the points.
    Expired,
}

impl Redemption {
    /// The state.
    #[must_use]
    pub fn state(&self) -> MessageState {
        match &self.status {
            Status::Held { .. } => MessageState::Authorised,
            Status::Captured { refunded: 0, .. } => MessageState::Captured,
            Status::Captured { refunded, uses, .. } if *refunded < points(uses) => {
                MessageState::PartiallyRefunded
            }
            Status::Captured { .. } => MessageState::Refunded,
            Status::Voided => MessageState::Voided,
            Status::Expired => MessageState::Expired,
        }
    }

    /// The place of the capture, if there was one.
    #[must_use]
    pub fn capture(&self) -> Option<Pos> {
        match &self.status {
            Status::Captured { capture, .. } => Some(*capture),
            Status::Held { .. } | Status::Voided | Status::Expired => None,
        }
    }

    /// When the hold ends by time alone.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        match &self.status {
            Status::Held { ends_at, .. } => Some(*ends_at),
            Status::Captured { .. } | Status::Voided | Status::Expired => None,
        }
    }
}

/// Points of all uses.
#[must_use]
pub(crate) fn points(uses: &[Use]) -> i64 {
    uses.iter().map(|u| u.points).sum()
}

/// Reserve value of all uses, micro-units.
#[must_use]
pub(crate) fn value(uses: &[Use], book: &PriceBook) -> i128 {
    uses.iter().map(|u| book.get(u.price).value(u.points)).sum()
}

/// The first `points` of the uses.
#[must_use]
pub(crate) fn first(uses: &[Use], points: i64) -> Uses {
    let mut left = points;
    let mut taken = Uses::new();
    for u in uses {
        let n = u.points.min(left);
        if n > 0 {
            taken.push(Use { points: n, ..*u });
            left -= n;
        }
    }
    taken
}

/// The last `points` of the uses, in reverse order.
#[must_use]
pub(crate) fn last_reversed(uses: &[Use], points: i64) -> Uses {
    let reversed: Uses = uses.iter().rev().copied().collect();
    first(&reversed, points)
}
