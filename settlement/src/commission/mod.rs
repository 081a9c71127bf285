//! Commissions: what a merchant owes an affiliate for a purchase that it brought.
//!
//! A conversion is an account of its own beside the members ([`MemberId::of_conversion`]): it is decided, packed, evicted, swept and replayed as a
//! member is, but holds one [`Commission`] and no points. So memory stays bounded however many conversions there are, and nothing
//! that is decided for a member ever reads one.
//!
//! # States and journals
//!
//! ACCRUED -> LOCKED -> PAYABLE -> (PAID, which the payment of its cycle tells), or REVERSED. Micro-units; `m` the merchant, `a` the affiliate:
//!
//! | event | debit | credit |
//! |---|---|---|
//! | accrual | 1100.m | 2200.m |
//! | reversal or reduction before it is payable | 2200.m | 1100.m |
//! | locked, held, released | none | |
//! | payable | 2200.m | 1100.a |
//! | reversal or reduction afterwards (claw-back) | 1100.a | 1100.m |
//!
//! So the merchant owes a commission in the cycle in which it accrues, in the same settlement and payment file as everything else; until it is payable
//! the money is in the merchant's commission reserve, 2200.m, and out of the affiliate's net. A **hold** is orthogonal to the lock: it
//! ends by a fact only, never by time, and what is locked becomes payable when the last hold ends.
//!
//! # Where the domain text leaves a choice
//!
//! - **Last click** means the touch with the latest instant of its own id, not the order in which a merchant lists them; of two at one instant, the later in
//!   the list. A code counts as a touch at the event time where the merchant's terms let codes win, and otherwise only where no click counts.
//! - **One click, one conversion.** Where the last touch that counts was used by another conversion, the conversion is refused, unless it
//!   says to be a recurring one of that very conversion.
//! - **Terms** are those of the event time; an affiliate's state and tier are those of the decision.
//! - **The rate** is the first row of the card that fits; a row without a country, category or tier fits any.
//! - **Returns** recompute the commission on what is left of the amount, so partial returns add up to the full one; a fixed amount stays until nothing is left.

mod account;
mod change;
mod terms;
mod touch;

pub(crate) use account::PACKED;
pub use change::{Accrued, CommissionChange};
pub use terms::{
    Affiliate, AffiliateCode, CommissionRate, CommissionTerms, CommissionVersion, Locking, Pay,
    Placement, Site,
};
pub use touch::{Claim, ClaimedTouch, TouchKind};

use crate::ids::{CycleNo, Instant, MemberId, MerchantIx, Pos};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The bit that tells a conversion's account from a member.
const CONVERSION: u64 = 1 << 62;

impl MemberId {
    /// The account of the conversion at a place in the log.
    #[must_use]
    pub const fn of_conversion(pos: Pos) -> Self {
        Self(CONVERSION | pos.0)
    }

    /// The place of the conversion whose account this is; `None` for a member.
    #[must_use]
    pub const fn conversion(self) -> Option<Pos> {
        if self.0 & CONVERSION != 0 {
            Some(Pos(self.0 & !CONVERSION))
        } else {
            None
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// Why a commission is less than it was: every negative line has one of these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum CommissionReason { $($(#[$doc])* $name,)* }

        impl CommissionReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// Goods came back.
    ItemReturned => "ITEM_RETURNED",
    /// The order was cancelled.
    OrderCancelled => "ORDER_CANCELLED",
    /// The order was changed.
    OrderUpdated => "ORDER_UPDATED",
    /// The same order was reported twice.
    DuplicateOrder => "DUPLICATE_ORDER",
    /// The goods could not be delivered.
    OutOfStock => "OUT_OF_STOCK",
    /// The customer's payment failed.
    PaymentFailed => "PAYMENT_FAILED",
    /// The traffic broke the merchant's terms.
    TermsViolation => "TERMS_VIOLATION",
    /// The conversion was reported by mistake.
    TrackingError => "TRACKING_ERROR",
    /// The touch that it was attributed to was declared invalid.
    TouchInvalidated => "TOUCH_INVALIDATED",
    /// A review confirmed fraud.
    FraudConfirmed => "FRAUD_CONFIRMED",
}

/// Where a commission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CommissionState {
    /// The merchant may still change it.
    Accrued,
    /// Its lock date is over; it waits for its holds to end.
    Locked,
    /// It is in the affiliate's net.
    Payable,
    /// Nothing is left of it.
    Reversed,
}

impl CommissionState {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accrued => "ACCRUED",
            Self::Locked => "LOCKED",
            Self::Payable => "PAYABLE",
            Self::Reversed => "REVERSED",
        }
    }
}

/// To whom a conversion is attributed, and what that comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The affiliate.
    pub affiliate: MerchantIx,
    /// The affiliate's site, by its number.
    pub site: u32,
    /// Place of the touch in the conversion's list; `None`: its code.
    pub touch: Option<u8>,
    /// The rate.
    pub pay: Pay,
    /// Row of the card, from 0.
    pub row: u32,
}

/// A conversion as it was accepted: all touches are kept, counted or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    /// Who sent it.
    pub merchant: MerchantIx,
    /// Version of the merchant's commission terms, over all merchants, from 0.
    pub version: u32,
    /// The event time.
    pub event_time: Instant,
    /// Amount that earns commission, micro-units.
    pub amount_micros: i64,
    /// Whether it recurs.
    pub recurring: bool,
    /// Country, ISO 3166-1 alpha-2; empty where the merchant named none.
    pub country: String,
    /// Category; empty where the merchant named none.
    pub category: String,
    /// Touches, as the merchant listed them.
    pub touches: Vec<ClaimedTouch>,
    /// Who holds the code that the merchant named, and by which site.
    pub code: Option<(MerchantIx, u32)>,
    /// When it locks; `Instant::NEVER`: by approval.
    pub locks_at: Instant,
}

/// A conversion's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commission {
    /// Its place in the log.
    pub pos: Pos,
    /// As it was accepted.
    pub conversion: Conversion,
    /// To whom it is attributed now.
    pub attribution: Attribution,
    /// Amount returned so far, micro-units.
    pub returned_micros: i64,
    /// The merchant's references of returns that are in it.
    pub returns: Vec<[u8; 16]>,
    /// Places of touches that were declared invalid.
    pub invalid: Vec<u8>,
    /// The commission as it stands, micro-units.
    pub micros: i64,
    /// Where it stands.
    pub state: CommissionState,
    /// Flags that hold it.
    pub holds: Vec<u64>,
    /// Why it last became less.
    pub reason: Option<CommissionReason>,
    /// When it last became less, to whomever it was attributed then.
    pub reduced_at: Option<Instant>,
    /// The cycle in which it last became payable.
    pub payable_in: Option<CycleNo>,
}

impl Commission {
    /// When it locks by time; `None` where it does not, or did.
    #[must_use]
    pub fn locks_at(&self) -> Option<Instant> {
        (self.state == CommissionState::Accrued && self.conversion.locks_at != Instant::NEVER)
            .then_some(self.conversion.locks_at)
    }

    /// What is left of the amount, micro-units.
    #[must_use]
    pub const fn amount_left(&self) -> i64 {
        self.conversion.amount_micros - self.returned_micros
    }
}

/// What the alliance's side knows of affiliates. Grows with profiles, codes and terms, not with traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affiliates {
    pub(crate) profiles: BTreeMap<MerchantIx, Affiliate>,
    /// Versions of all merchants' commission terms, in log order.
    pub(crate) versions: Vec<CommissionVersion>,
    /// By merchant and code, in upper case.
    pub(crate) codes: BTreeMap<(MerchantIx, String), AffiliateCode>,
}

impl Affiliates {
    /// An affiliate's profile.
    #[must_use]
    pub fn profile(&self, affiliate: MerchantIx) -> Option<&Affiliate> {
        self.profiles.get(&affiliate)
    }

    /// All profiles, by participant.
    pub fn profiles(&self) -> impl Iterator<Item = (MerchantIx, &Affiliate)> {
        self.profiles.iter().map(|(ix, profile)| (*ix, profile))
    }

    /// A merchant's terms for an event time, with the number of their version.
    #[must_use]
    pub fn terms(&self, merchant: MerchantIx, at: Instant) -> Option<(u32, &CommissionTerms)> {
        self.versions
            .iter()
            .enumerate()
            .rev()
            .find(|(_, version)| version.merchant == merchant && version.effective_at <= at)
            .map(|(number, version)| (number as u32, &version.terms))
    }

    /// A version by its number.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&CommissionVersion> {
        self.versions.get(number as usize)
    }

    /// All versions, in log order.
    #[must_use]
    pub fn versions(&self) -> &[CommissionVersion] {
        &self.versions
    }

    /// Who holds a code at a merchant at an instant, and by which site. Codes do not mind case.
    #[must_use]
    pub fn code(&self, merchant: MerchantIx, code: &str, at: Instant) -> Option<(MerchantIx, u32)> {
        let held = self.codes.get(&(merchant, code.to_uppercase()))?;
        (held.from <= at && at < held.until).then_some((held.affiliate, held.site))
    }

    /// All codes, by merchant and code.
    pub fn codes(&self) -> impl Iterator<Item = (MerchantIx, &str, &AffiliateCode)> {
        self.codes
            .iter()
            .map(|((merchant, code), held)| (*merchant, code.as_str(), held))
    }
}
