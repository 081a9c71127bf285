//! Lots: points of one funder at one frozen price.

use crate::ids::{Instant, LotKey, PriceId};
use serde::{Deserialize, Serialize};

/// Points of one part of one accrual, or a child of such a lot. Lots without remaining points are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Id.
    pub key: LotKey,
    /// The accrual and part that the points were earned by; equals `key` except for child lots.
    pub origin: LotKey,
    /// Funder, mode, reserve price and fee.
    pub price: PriceId,
    /// Points not yet used, held ones included.
    pub remaining: i64,
    /// Points held by authorisations.
    pub held: i64,
    /// Event time of the message that posted it.
    pub posted_at: Instant,
    /// First instant at which unheld points cannot be used; [`Instant::NEVER`] without expiry.
    pub expires_at: Instant,
}

impl Lot {
    /// Points that no authorisation holds.
    #[must_use]
    pub const fn unheld(&self) -> i64 {
        self.remaining - self.held
    }

    /// The order in which lots burn.
    #[must_use]
    pub const fn burn_order(&self) -> (Instant, Instant, LotKey) {
        (self.expires_at, self.posted_at, self.key)
    }

    /// When time alone takes points from it.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        (self.unheld() > 0 && self.expires_at != Instant::NEVER).then_some(self.expires_at)
    }
}
