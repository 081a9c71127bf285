//! What goes from one settlement to the next: amounts brought forward, each with its cause, and money held back.
//!
//! The brought-forward balance of a merchant is the sum of its moves. A settlement takes the moves that may enter its cycle and leaves one
//! residue. So the number of moves is bounded by what finance did since the last settlement.

use super::Finance;
use crate::ids::{CycleNo, ExceptionNo, MerchantIx, PaymentNo, ProposalNo};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why an amount is brought forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CarryCause {
    /// What a settlement's payments left: rounding, a payment below the minimum, what could not be paid.
    Residue(CycleNo),
    /// The cycle was settled without the merchant.
    LeftOut(CycleNo),
    /// Paid ahead: used up by what the merchant owes, paid back only when it winds down.
    Prepaid,
    /// A payment that was given up.
    Payment(PaymentNo),
    /// A bank entry that was matched by hand with payments of another amount.
    Difference(ExceptionNo),
    /// Held-back money of a cycle that was given free.
    Holdback(CycleNo),
    /// A default: what is shared leaves the debt now, and meets the adjustments in the cycle that carries them.
    Default(ProposalNo),
}

impl CarryCause {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Residue(_) => "RESIDUE",
            Self::LeftOut(_) => "LEFT_OUT",
            Self::Prepaid => "PREPAID",
            Self::Payment(_) => "PAYMENT",
            Self::Difference(_) => "DIFFERENCE",
            Self::Holdback(_) => "HOLDBACK",
            Self::Default(_) => "DEFAULT",
        }
    }
}

/// An amount that is brought forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarryMove {
    /// Why.
    pub cause: CarryCause,
    /// + the merchant owes, - it is owed; micro-units.
    pub micros: i128,
    /// The first cycle into whose settlement it may go.
    pub from_cycle: CycleNo,
}

/// Money that a merchant does not get yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The cycle whose settlement held it back.
    pub cycle: CycleNo,
    /// Micro-units, positive.
    pub micros: i128,
}

impl Finance {
    /// What is brought forward into a merchant's next settlements, micro-units; + it owes.
    #[must_use]
    pub fn carry(&self, merchant: MerchantIx) -> i128 {
        self.carry_moves(merchant).iter().map(|m| m.micros).sum()
    }

    /// The same by cause, in the order in which it came up.
    #[must_use]
    pub fn carry_moves(&self, merchant: MerchantIx) -> &[CarryMove] {
        self.carry.get(&merchant).map_or(&[], Vec::as_slice)
    }

    /// What is held back from a merchant, micro-units.
    #[must_use]
    pub fn held_back(&self, merchant: MerchantIx) -> i128 {
        self.held_back_by_cycle(merchant)
            .iter()
            .map(|held| held.micros)
            .sum()
    }

    /// The same by cycle, oldest first.
    #[must_use]
    pub fn held_back_by_cycle(&self, merchant: MerchantIx) -> &[HeldBack] {
        self.held.get(&merchant).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all_carried(&self) -> &BTreeMap<MerchantIx, Vec<CarryMove>> {
        &self.carry
    }

    pub(crate) fn bring_forward(&mut self, merchant: MerchantIx, cause: CarryCause, micros: i128) {
        self.bring_into(merchant, cause, micros, CycleNo(0));
    }

    pub(crate) fn bring_into(
        &mut self,
        merchant: MerchantIx,
        cause: CarryCause,
        micros: i128,
        from_cycle: CycleNo,
    ) {
        if micros != 0 {
            self.carry.entry(merchant).or_default().push(CarryMove {
                cause,
                micros,
                from_cycle,
            });
        }
    }

    /// Replaces a merchant's moves.
    pub(crate) fn set_carry(&mut self, merchant: MerchantIx, moves: Vec<CarryMove>) {
        if moves.is_empty() {
            self.carry.remove(&merchant);
        } else {
            self.carry.insert(merchant, moves);
        }
    }

    pub(crate) fn hold_back(&mut self, merchant: MerchantIx, cycle: CycleNo, micros: i128) {
        if micros != 0 {
            let held = self.held.entry(merchant).or_default();
            held.push(HeldBack { cycle, micros });
        }
    }

    /// Gives held-back money free, oldest first: it is brought forward as owed to the merchant. At most what is held back.
    pub(crate) fn release(&mut self, merchant: MerchantIx, micros: i128) {
        let mut left = micros;
        self.release_where(merchant, |held| {
            let part = held.micros.min(left);
            left -= part;
            part
        });
    }

    /// Gives free what a cycle held back and still holds.
    pub(crate) fn release_cycle(&mut self, cycle: CycleNo) {
        let merchants: Vec<MerchantIx> = self.held.keys().copied().collect();
        for merchant in merchants {
            self.release_where(
                merchant,
                |held| {
                    if held.cycle == cycle { held.micros } else { 0 }
                },
            );
        }
    }

    fn release_where(&mut self, merchant: MerchantIx, mut part: impl FnMut(&HeldBack) -> i128) {
        let Some(mut held) = self.held.remove(&merchant) else {
            return;
        };
        for held in &mut held {
            let free = part(held);
            held.micros -= free;
            self.bring_forward(merchant, CarryCause::Holdback(held.cycle), -free);
        }
        held.retain(|held| held.micros != 0);
        if !held.is_empty() {
            self.held.insert(merchant, held);
        }
    }
}
