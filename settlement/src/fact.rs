//! Facts: entries of the hub that change terms, merchants and cycles. They touch the global side only. A fact is validated against the state,
//! applied when it takes its place in the log, and applied again on restart.

use crate::commission::{Affiliate, AffiliateCode, CommissionTerms};
use crate::ids::{CycleNo, Instant, MerchantIx};
use crate::promotion::Promotion;
use crate::terms::{ContractTerms, MerchantState, ProgrammeTerms, Roles};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A fact of the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// New terms of the programme from an event time on.
    Programme {
        /// First event time; not before the fact and later than the version before.
        effective_at: Instant,
        /// The terms.
        terms: ProgrammeTerms,
    },
    /// A merchant joins, in state ONBOARDING. Its index is the number of merchants before it.
    MerchantOnboarded {
        /// The id that the outside uses.
        slug: String,
        /// Display name.
        name: String,
        /// Roles.
        roles: Roles,
    },
    /// New name or roles of a merchant.
    MerchantChanged {
        /// The merchant.
        merchant: MerchantIx,
        /// Display name.
        name: String,
        /// Roles.
        roles: Roles,
    },
    /// New terms of a merchant from an event time on.
    Contract {
        /// The merchant.
        merchant: MerchantIx,
        /// First event time; any for the first version, afterwards not before the fact and later than the version before.
        effective_at: Instant,
        /// The terms.
        terms: ContractTerms,
    },
    /// A merchant's state changes.
    MerchantState {
        /// The merchant.
        merchant: MerchantIx,
        /// The new state.
        state: MerchantState,
    },
    /// A new promotion.
    Promotion(Promotion),
    /// A promotion ends early.
    PromotionEnded {
        /// Its slug.
        slug: String,
        /// First event time after it.
        ends_at: Instant,
    },
    /// An affiliate's profile, new or changed: whole.
    Affiliate {
        /// The participant.
        affiliate: MerchantIx,
        /// The profile.
        profile: Affiliate,
    },
    /// An affiliate hands out a code at a merchant; replaces who had it.
    AffiliateCode {
        /// The merchant.
        merchant: MerchantIx,
        /// The code.
        code: String,
        /// Who has it, and when.
        held: AffiliateCode,
    },
    /// New terms of a merchant for affiliates from an event time on.
    CommissionTerms {
        /// The merchant.
        merchant: MerchantIx,
        /// First event time; any for the first version, afterwards not before the fact and later than the version before.
        effective_at: Instant,
        /// The terms.
        terms: CommissionTerms,
    },
    /// The open cycle is cut: it becomes CLOSING and the next one opens.
    CycleCut {
        /// The closing instant: the scheduled one, or by hand the fact's own.
        closes_at: Instant,
    },
    /// The last of a CLOSING cycle's due work is in.
    CycleClosed {
        /// The cycle.
        cycle: CycleNo,
        /// SHA-256 of its canonical bytes.
        digest: [u8; 32],
    },
}

/// Why a fact is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum FactRefusal {
    /// A number, a name, a share or a window is out of range.
    #[error("a term is out of range")]
    InvalidTerms,
    /// Terms would change backwards.
    #[error("terms take effect before the entry, or not after the version before")]
    EffectiveTooEarly,
    /// The programme's currency never changes.
    #[error("the programme's currency cannot change")]
    CurrencyChange,
    /// The slug is taken.
    #[error("the slug is taken")]
    SlugTaken,
    /// No such merchant.
    #[error("no such merchant")]
    MerchantNotFound,
    /// No such promotion.
    #[error("no such promotion")]
    PromotionNotFound,
    /// CLOSED is final, and nothing goes back to ONBOARDING.
    #[error("the merchant's state does not allow the change")]
    StateChange,
    /// A merchant cannot be CLOSED with open BURN points.
    #[error("the merchant's open points are not prefunded")]
    NotPrefunded,
    /// A merchant cannot be CLOSED with money that is not settled.
    #[error(
        "the merchant has money under way: settle its cycles first, until its clearing account, what is brought forward and what is held \
         back are 0 (a rest below the minor unit is adjusted against the hub)"
    )]
    Unsettled,
    /// An affiliate is a participant without roles, so that none of its money comes from points.
    #[error("an affiliate is a participant without the roles EARN, BURN and AFFILIATE")]
    AffiliateHasRoles,
    /// The participant has no affiliate's profile, or not this site.
    #[error("no such affiliate, or it has no such site")]
    AffiliateNotFound,
    /// The closing instant is not the cycle's, or not yet reached.
    #[error("the closing instant is not due or not in the cycle")]
    CutOutOfPlace,
    /// No such cycle, or it is not the next in its state.
    #[error("the cycle is not the next one in the state needed")]
    CycleState,
    /// Due work of the cycle is still outstanding.
    #[error("due work of the cycle is outstanding")]
    DueWorkLeft,
}

impl FactRefusal {
    /// The stable name.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidTerms => "INVALID_TERMS",
            Self::EffectiveTooEarly => "EFFECTIVE_TOO_EARLY",
            Self::CurrencyChange => "CURRENCY_CHANGE",
            Self::SlugTaken => "SLUG_TAKEN",
            Self::MerchantNotFound => "MERCHANT_NOT_FOUND",
            Self::PromotionNotFound => "PROMOTION_NOT_FOUND",
            Self::StateChange => "STATE_CHANGE",
            Self::NotPrefunded => "NOT_PREFUNDED",
            Self::Unsettled => "UNSETTLED",
            Self::AffiliateHasRoles => "AFFILIATE_HAS_ROLES",
            Self::AffiliateNotFound => "AFFILIATE_NOT_FOUND",
            Self::CutOutOfPlace => "CUT_OUT_OF_PLACE",
            Self::CycleState => "CYCLE_STATE",
            Self::DueWorkLeft => "DUE_WORK_LEFT",
        }
    }
}
