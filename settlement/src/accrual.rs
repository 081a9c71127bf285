//! What a member's record keeps of each accrual, so that returns can be computed.

use crate::ids::{ContractIx, Instant, Pos, PriceId, PromotionIx};
use crate::outcome::MessageState;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// One accrual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accrual {
    /// Its place in the log.
    pub pos: Pos,
    /// The merchant's terms at the event time.
    pub contract: ContractIx,
    /// The event time, also `posted_at` of its lots.
    pub event_time: Instant,
    /// The amount, micro-units; a return while pending lowers it.
    pub amount_micros: i64,
    /// The amount returned after posting, micro-units.
    pub returned_micros: i64,
    /// When it posts, while it is pending.
    pub posts_at: Option<Instant>,
    /// What it was before a return lowered it: points that the merchant said are in proportion to the whole amount, so that
    /// several returns come to the same as one.
    pub whole: Option<Whole>,
    /// The base first, then bonus parts by promotion and funder.
    pub parts: SmallVec<[Part; 1]>,
}

/// A pending accrual as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// The amount, micro-units.
    pub amount_micros: i64,
    /// Base points.
    pub points: i64,
}

/// The base, or one funder's share of one promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Funder, mode, reserve price and fee.
    pub price: PriceId,
    /// The promotion; `None` for the base.
    pub promotion: Option<PromotionIx>,
    /// Points posted, or to be posted.
    pub points: i64,
    /// Points reversed by returns so far, debts and forgiven ones included.
    pub reversed: i64,
    /// Points of its own lots that expired.
    pub expired: i64,
}

impl Accrual {
    /// What it was as it was sent.
    #[must_use]
    pub fn whole(&self) -> Whole {
        self.whole.unwrap_or(Whole {
            amount_micros: self.amount_micros,
            points: self.parts.first().map_or(0, |part| part.points),
        })
    }

    /// Points of all parts.
    #[must_use]
    pub fn points(&self) -> i64 {
        self.parts.iter().map(|part| part.points).sum()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> MessageState {
        if self.posts_at.is_some() {
            MessageState::Pending
        } else if self.returned_micros == 0 && self.parts.iter().all(|part| part.reversed == 0) {
            // A pending accrual that was lowered to nothing never posts.
            if self.parts.is_empty() {
                MessageState::Reversed
            } else {
                MessageState::Posted
            }
        } else if self.returned_micros >= self.amount_micros {
            MessageState::Reversed
        } else {
            MessageState::PartiallyReversed
        }
    }
}
