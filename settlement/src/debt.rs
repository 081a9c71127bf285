//! What a member owes.

use crate::ids::PriceId;
use serde::{Deserialize, Serialize};

/// Points that a member owes to the funder of reversed points. Debts are repaid oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// Price entry of the reversed points: its funder is the creditor, its fee comes back where the contract says so.
    pub creditor: PriceId,
    /// Points still owed.
    pub points: i64,
}
