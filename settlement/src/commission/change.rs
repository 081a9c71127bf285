//! What changes of a conversion's account, and the journal of it.

use super::{Attribution, CommissionReason, Conversion};
use crate::ids::{Instant, MerchantIx};
use crate::journal::{Account, Leg, Legs, LineKind};
use serde::{Deserialize, Serialize};

/// An accepted conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accrued {
    /// The conversion.
    pub conversion: Conversion,
    /// To whom it is attributed.
    pub attribution: Attribution,
    /// The commission, micro-units.
    pub micros: i64,
}

/// What changed. Each is self-contained for both sides, as [`crate::Change`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommissionChange {
    /// A conversion was accepted.
    Accrued(Box<Accrued>),
    /// It is attributed to somebody else now; what it came to before was taken back.
    Reattributed {
        /// The merchant.
        merchant: MerchantIx,
        /// To whom.
        attribution: Attribution,
        /// The commission, micro-units.
        micros: i64,
        /// Whether it is held: holds stay with a conversion, whoever it is attributed to.
        held: bool,
    },
    /// Its lock date is over, or the merchant approved it.
    Locked {
        /// The merchant.
        merchant: MerchantIx,
        /// The affiliate.
        affiliate: MerchantIx,
        /// When.
        at: Instant,
        /// Whether a message of the merchant approved it.
        approved: bool,
    },
    /// It goes into the affiliate's net.
    Payable {
        /// The merchant.
        merchant: MerchantIx,
        /// The affiliate.
        affiliate: MerchantIx,
        /// How much, micro-units.
        micros: i64,
        /// When.
        at: Instant,
    },
    /// It became less.
    Reduced {
        /// The merchant.
        merchant: MerchantIx,
        /// The affiliate.
        affiliate: MerchantIx,
        /// Amount of the purchase that came back, micro-units.
        returned_micros: i64,
        /// The merchant's reference of the return.
        reference: Option<[u8; 16]>,
        /// By how much, micro-units.
        micros: i64,
        /// Why.
        reason: CommissionReason,
        /// Whether a message of the merchant returned it.
        returned: bool,
        /// Whether it was in the affiliate's net already.
        claws_back: bool,
        /// Whether it is held.
        held: bool,
        /// Whether nothing is left of it.
        ends: bool,
        /// When.
        at: Instant,
    },
    /// One of its touches does not count any more.
    Invalidated {
        /// The merchant.
        merchant: MerchantIx,
        /// Place of the touch.
        touch: u8,
    },
    /// A flag holds it.
    Held {
        /// The merchant.
        merchant: MerchantIx,
        /// The affiliate.
        affiliate: MerchantIx,
        /// The flag.
        flag: u64,
        /// What was free and is held now, micro-units: 0 where another flag held it already.
        micros: i64,
    },
    /// A flag no longer holds it.
    Released {
        /// The merchant.
        merchant: MerchantIx,
        /// The affiliate.
        affiliate: MerchantIx,
        /// The flag.
        flag: u64,
        /// What was held and is free now, micro-units: 0 where another flag still holds it.
        micros: i64,
    },
}

impl CommissionChange {
    /// The affiliate and the merchant whose figures change; `None` where none do.
    #[must_use]
    pub fn parties(&self) -> Option<(MerchantIx, MerchantIx)> {
        match self {
            Self::Accrued(accrued) => {
                Some((accrued.attribution.affiliate, accrued.conversion.merchant))
            }
            Self::Reattributed {
                merchant,
                attribution,
                ..
            } => Some((attribution.affiliate, *merchant)),
            Self::Payable {
                merchant,
                affiliate,
                ..
            }
            | Self::Reduced {
                merchant,
                affiliate,
                ..
            }
            | Self::Held {
                merchant,
                affiliate,
                ..
            }
            | Self::Released {
                merchant,
                affiliate,
                ..
            } => Some((*affiliate, *merchant)),
            Self::Locked { .. } | Self::Invalidated { .. } => None,
        }
    }

    /// Its journal, see [`crate::commission`].
    #[must_use]
    pub fn journal(&self) -> Legs {
        use Account::{Clearing, CommissionReserve};
        let line = |kind, other| Some((kind, Some(other)));
        match self {
            Self::Accrued(accrued) => funding(
                accrued.conversion.merchant,
                accrued.attribution.affiliate,
                accrued.micros,
            ),
            Self::Reattributed {
                merchant,
                attribution,
                micros,
                ..
            } => funding(*merchant, attribution.affiliate, *micros),
            Self::Payable {
                merchant,
                affiliate,
                micros,
                ..
            } => legs(
                *micros,
                (CommissionReserve(*merchant), None),
                (Clearing(*affiliate), line(LineKind::Commission, *merchant)),
            ),
            Self::Reduced {
                merchant,
                affiliate,
                micros,
                claws_back,
                ..
            } => {
                let debit = if *claws_back {
                    let kind = LineKind::CommissionClawback;
                    (Clearing(*affiliate), line(kind, *merchant))
                } else {
                    (CommissionReserve(*merchant), None)
                };
                let kind = LineKind::CommissionReversed;
                legs(
                    *micros,
                    debit,
                    (Clearing(*merchant), line(kind, *affiliate)),
                )
            }
            Self::Locked { .. }
            | Self::Invalidated { .. }
            | Self::Held { .. }
            | Self::Released { .. } => Legs::new(),
        }
    }
}

fn funding(merchant: MerchantIx, affiliate: MerchantIx, micros: i64) -> Legs {
    legs(
        micros,
        (
            Account::Clearing(merchant),
            Some((LineKind::CommissionFunded, Some(affiliate))),
        ),
        (Account::CommissionReserve(merchant), None),
    )
}

type Side = (Account, Option<(LineKind, Option<MerchantIx>)>);

/// Debits and credits an amount; nothing where it is 0.
fn legs(micros: i64, debit: Side, credit: Side) -> Legs {
    let leg = |(account, line): Side, micros| Leg {
        account,
        micros,
        points: 0,
        line,
    };
    if micros == 0 {
        return Legs::new();
    }
    let micros = i128::from(micros);
    [leg(debit, micros), leg(credit, -micros)]
        .into_iter()
        .collect()
}
