//! What is owed, and what is paid for it. One call is one currency: amounts of different currencies never meet here.

use std::fmt;

/// One obligation. Its place in the caller's list is its age: of obligations between the same two, earlier ones are
/// cleared first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Obligation {
    /// Who owes.
    pub debtor: u32,
    /// Who is owed; the same as `debtor` is a debt to oneself, which no method but GROSS pays.
    pub creditor: u32,
    /// How much, in minor units; at least 0.
    pub amount: i64,
}

/// Who takes part in a payment. The hub comes behind all members, so that what is paid to it is listed before what it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A member.
    Member(u32),
    /// The hub, as counterparty of everyone (MULTILATERAL).
    Hub,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub => f.write_str("hub"),
            Self::Member(id) => write!(f, "{id}"),
        }
    }
}

/// A payment that remains to be made. Ordered by payer, then payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Payment {
    /// Who pays.
    pub payer: Party,
    /// Who is paid.
    pub payee: Party,
    /// How much, in minor units; more than 0.
    pub amount: i128,
}

/// What a member is owed less what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The member.
    pub member: u32,
    /// Minor units: above 0 it is to be paid, below 0 it is to pay.
    pub net: i128,
}

/// Why a run is refused. Nothing was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NettingError {
    /// An amount below 0.
    #[error(
        "obligation {index} has the negative amount {amount}: swap debtor and creditor, or leave it out"
    )]
    NegativeAmount {
        /// Its place in the list.
        index: usize,
        /// Minor units.
        amount: i64,
    },
    /// More obligations than a run can number.
    #[error(
        "{count} obligations are more than a run takes ({max}): split them by currency or cycle"
    )]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// CLEARING_VECTOR as a method of set-off.
    #[error(
        "CLEARING_VECTOR needs what each member has to pay with: run it as a clearing vector, on what another method leaves"
    )]
    NeedsEndowments,
    /// A member that is listed twice.
    #[error("member {member} has two endowments: add them up")]
    TwoEndowments {
        /// The member.
        member: u32,
    },
    /// An endowment below 0.
    #[error("member {member} has the negative endowment {amount}: what it owes is an obligation")]
    NegativeEndowment {
        /// The member.
        member: u32,
        /// Minor units.
        amount: i64,
    },
    /// A member that owes more than pro-rata shares can be taken of.
    #[error("member {member} owes or has more than {max} in all: run the clearing vector on what another method leaves", max = i64::MAX)]
    TooLarge {
        /// The member.
        member: u32,
    },
    /// A clearing vector that has not settled.
    #[error("defaults went around {steps} payments and have not settled: clear cycles first")]
    Unsettled {
        /// How many payments were recomputed.
        steps: u64,
    },
}
