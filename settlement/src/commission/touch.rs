//! Touches as a conversion names them: what the hub signed into each one's id when it was taken.

use crate::ids::{Instant, MerchantIx, Pos};
use crate::money::Currency;
use serde::{Deserialize, Serialize};

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TouchKind {
    /// Clicked.
    Click,
    /// Saw.
    View,
}

/// A touch that a conversion names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedTouch {
    /// Its id.
    pub id: [u8; 16],
    /// What it was.
    pub kind: TouchKind,
    /// What is known of it, as the bits of its id.
    pub flags: u16,
    /// Who brought it.
    pub affiliate: MerchantIx,
    /// By which site.
    pub site: u32,
    /// When.
    pub at: Instant,
}

/// What a merchant says of a purchase that affiliates brought, with every reference looked up by the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Currency of the amount.
    pub currency: Currency,
    /// Amount that earns commission, micro-units.
    pub amount_micros: i64,
    /// Country; empty: none named.
    pub country: String,
    /// Category; empty: none named.
    pub category: String,
    /// Touches whose ids the hub signed for this merchant, in the merchant's order, each with the conversion that used it.
    pub touches: Vec<(ClaimedTouch, Option<Pos>)>,
    /// Whether it names an id that the hub did not sign for this merchant.
    pub forged: bool,
    /// A code; empty: none.
    pub code: String,
    /// Whether another conversion has the merchant's order reference.
    pub order_known: bool,
    /// Whether it says to recur, and which conversion that is of, where there is one.
    pub recurs: Option<Option<Pos>>,
}
