//! Queries over commissions: an affiliate says that a merchant owes it more. RAISED -> ACCEPTED | REJECTED -> ESCALATED -> RULED; silence
//! lapses, as with disputes, whose time limits and attachments they share.
//!
//! The merchant answers, finance rules. A query holds no cycle up and moves no money: what is granted is an adjustment that finance approves,
//! or the conversion that the merchant sends itself. May not: read conversions. What a fact says of one was compared with its account by who
//! wrote the fact ([`QuerySubject::since`]), and is compared again by who verifies the log.

mod refusal;
mod steps;

pub use refusal::QueryRefusal;

use super::Finance;
use super::action::{Adjustment, AdjustmentReason, OriginalReference, Party};
use super::case::{Evidence, may_escalate};
use super::fact::Actor;
use crate::commission::{Commission, CommissionState};
use crate::ids::{Instant, MerchantIx, Pos, ProposalNo, QueryNo};
use serde::{Deserialize, Serialize};

pub use super::dispute::DisputeState as QueryState;

/// Longest reference of an order and longest code, bytes: those of conversions.
pub(crate) const MAX_NAME: usize = 64;

/// How far ahead of the hub's clock an order may be, microseconds: as far as a message.
pub(crate) const MAX_AHEAD_MICROS: i64 = 300_000_000;

/// What a query is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuerySubject {
    /// An order that was never reported.
    Untracked {
        /// The merchant's reference of the order.
        order: String,
        /// The click id that the shopper came with; empty: none is known.
        click_id: String,
        /// The code that the shopper used; empty: none.
        code: String,
    },
    /// A conversion with a wrong amount, rate or category.
    Incorrect(Pos),
    /// A conversion that was taken back, or a message that was refused.
    Declined(Pos),
}

impl QuerySubject {
    /// The stable name of its kind.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Untracked { .. } => "UNTRACKED",
            Self::Incorrect(_) => "INCORRECT",
            Self::Declined(_) => "DECLINED",
        }
    }

    /// The place of the conversion or of the refused message.
    #[must_use]
    pub const fn place(&self) -> Option<Pos> {
        match self {
            Self::Untracked { .. } => None,
            Self::Incorrect(pos) | Self::Declined(pos) => Some(*pos),
        }
    }

    /// Whether two are over the same conversion, message or order, whatever is said to be wrong with it.
    #[must_use]
    pub fn is_over_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Untracked { order: a, .. }, Self::Untracked { order: b, .. }) => a == b,
            _ => self.place().is_some() && self.place() == other.place(),
        }
    }

    /// From when the time to raise counts, where the affiliate may query this accepted conversion so: its event time, or the last reduction. A
    /// conversion is the affiliate's while it is attributed to it, and where one of its touches was declared invalid.
    #[must_use]
    pub fn since(&self, conversion: &Commission, affiliate: MerchantIx) -> Option<Instant> {
        let own = conversion.attribution.affiliate == affiliate;
        let reversed = conversion.state == CommissionState::Reversed;
        let touches = conversion.conversion.touches.iter();
        let lost = touches.zip(0_u8..).any(|(touch, place)| {
            touch.affiliate == affiliate && conversion.invalid.contains(&place)
        });
        let may = match self {
            Self::Untracked { .. } => false,
            Self::Incorrect(_) => own && !reversed,
            Self::Declined(_) => (own && reversed) || lost,
        };
        let event_time = conversion.conversion.event_time;
        let since = conversion
            .reduced_at
            .map_or(event_time, |at| at.max(event_time));
        may.then_some(since)
    }
}

/// What is granted: an amount, or the conversion that the merchant sends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryRemedy {
    /// What the merchant owes the affiliate more, micro-units; 0 = it sends the conversion.
    pub amount_micros: i64,
    /// The conversion, where it was sent already.
    pub conversion: Option<Pos>,
}

/// Who acts next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryParty {
    /// The merchant answers.
    Merchant,
    /// The affiliate may escalate.
    Affiliate,
    /// Finance rules, or decides about the adjustment.
    Operator,
}

/// A query as it is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewQuery {
    /// The next number.
    pub number: QueryNo,
    /// Who raises it.
    pub affiliate: MerchantIx,
    /// To whom.
    pub merchant: MerchantIx,
    /// What it is over.
    pub subject: QuerySubject,
    /// From when the time to raise counts: the order's time, the conversion's event time or last reduction, the refusal.
    pub since: Instant,
    /// What the affiliate says that the merchant owes it more, micro-units.
    pub claimed_micros: i64,
    /// In words.
    pub text: String,
    /// Attachments, without content.
    pub evidence: Vec<Evidence>,
}

/// A step of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryFact {
    /// Raised by an affiliate.
    Raised(Box<NewQuery>),
    /// Answered by the merchant.
    Answered {
        /// The query.
        query: QueryNo,
        /// What is granted; `None` = rejected.
        remedy: Option<QueryRemedy>,
        /// In words.
        answer: String,
    },
    /// Taken to a ruling by the affiliate.
    Escalated {
        /// The query.
        query: QueryNo,
        /// In words.
        text: String,
        /// More attachments, without content.
        evidence: Vec<Evidence>,
    },
    /// Ruled by finance.
    Ruled {
        /// The query.
        query: QueryNo,
        /// What is granted; `None` = dismissed.
        remedy: Option<QueryRemedy>,
        /// In words.
        ruling: String,
        /// Who rules.
        actor: Actor,
    },
}

/// A query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// As it was raised; on escalation words and attachments come to it.
    pub raised: NewQuery,
    /// When.
    pub raised_at: Instant,
    /// The last step that was taken; [`Query::state_at`] knows about silence.
    pub state: QueryState,
    /// Until when the next step must be taken; `None` when there is no limit.
    pub deadline: Option<Instant>,
    /// The merchant's answer; empty: none yet.
    pub answer: String,
    /// The ruling; empty: none yet.
    pub ruling: String,
    /// Who ruled.
    pub ruled_by: String,
    /// What was granted; `None` = nothing, or not yet.
    pub remedy: Option<QueryRemedy>,
    /// The adjustment's proposal.
    pub proposal: Option<ProposalNo>,
    /// The approved proposal that adjusted it.
    pub adjusted_by: Option<ProposalNo>,
}

impl Query {
    /// Where it stands at an instant.
    #[must_use]
    pub fn state_at(&self, at: Instant) -> QueryState {
        self.state.told(self.deadline, at)
    }

    /// Whether a step may still follow at an instant, so that no other is raised over the same.
    #[must_use]
    pub fn is_open_at(&self, at: Instant) -> bool {
        matches!(self.state, QueryState::Raised | QueryState::Escalated)
            || may_escalate(self.state, self.deadline, at)
    }

    /// Who acts next at an instant; `None`: nobody need.
    #[must_use]
    pub fn awaits(&self, at: Instant) -> Option<QueryParty> {
        match self.state_at(at) {
            QueryState::Raised => Some(QueryParty::Merchant),
            QueryState::Escalated => Some(QueryParty::Operator),
            QueryState::Rejected | QueryState::Lapsed => {
                may_escalate(self.state, self.deadline, at).then_some(QueryParty::Affiliate)
            }
            QueryState::Accepted | QueryState::Ruled => {
                let waits = self.adjustment().is_some() && self.adjusted_by.is_none();
                waits.then_some(QueryParty::Operator)
            }
        }
    }

    /// The adjustment of what was granted; `None` where nothing is to be paid.
    #[must_use]
    pub fn adjustment(&self) -> Option<Adjustment> {
        self.adjustment_of(self.remedy?)
    }

    fn adjustment_of(&self, remedy: QueryRemedy) -> Option<Adjustment> {
        (remedy.amount_micros != 0).then_some(Adjustment {
            merchant: self.raised.merchant,
            counterparty: Party::Merchant(self.raised.affiliate),
            amount_micros: remedy.amount_micros,
            reason: AdjustmentReason::CommissionQuery,
            original: OriginalReference::default(),
            dispute: None,
            exception: None,
            query: Some(self.raised.number),
        })
    }
}

impl Finance {
    /// Queries, by number.
    #[must_use]
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// A query.
    #[must_use]
    pub fn query(&self, number: QueryNo) -> Option<&Query> {
        self.queries.get((number.0 as usize).checked_sub(1)?)
    }

    /// The next query's number.
    #[must_use]
    pub fn next_query(&self) -> QueryNo {
        QueryNo(self.queries.len() as u32 + 1)
    }
}
