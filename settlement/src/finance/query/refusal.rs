//! Why a step of a query is refused.

use super::QueryState;
use crate::ids::{Instant, QueryNo};
use thiserror::Error;

/// Why a step of a query is refused: closed, with a stable [`QueryRefusal::code`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum QueryRefusal {
    /// No such query.
    #[error("there is no query {0}")]
    NotFound(QueryNo),
    /// It is not in the state that the step needs.
    #[error("query {query} is {}: this needs {needed}", .state.code())]
    State {
        /// The query.
        query: QueryNo,
        /// Its state at this instant.
        state: QueryState,
        /// What the step needs.
        needed: &'static str,
    },
    /// The merchant's contract allows no queries.
    #[error(
        "merchant {0} takes no queries: its contract has no dispute days; write to the merchant"
    )]
    Excluded(String),
    /// The time limit has passed.
    #[error("the time limit has passed: it was {deadline_micros} microseconds since 1970")]
    TooLate {
        /// First instant behind the limit, microseconds since 1970.
        deadline_micros: i64,
    },
    /// One over the same is open.
    #[error("query {0} over the same is open: wait for its end, or escalate it")]
    Open(QueryNo),
    /// It lacks what its kind needs, or names what it may not.
    #[error("the query is incomplete: {0}")]
    Unfit(&'static str),
}

impl QueryRefusal {
    /// The stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "QUERY_NOT_FOUND",
            Self::State { .. } => "QUERY_STATE",
            Self::Excluded(_) => "QUERIES_EXCLUDED",
            Self::TooLate { .. } => "QUERY_TOO_LATE",
            Self::Open(_) => "QUERY_OPEN",
            Self::Unfit(_) => "QUERY_UNFIT",
        }
    }

    pub(super) const fn too_late(deadline: Instant) -> Self {
        Self::TooLate {
            deadline_micros: deadline.0,
        }
    }
}
