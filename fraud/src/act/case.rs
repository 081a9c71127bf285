//! The review of a flag: PENDING -> INVESTIGATING -> CLOSED with an outcome, which is a label. An appeal opens it again and
//! pauses the forfeiture, not the hold.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a person found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// It is the scheme: what is held is forfeited.
    Confirmed,
    /// Right to look at, and no fraud: what is held goes on.
    Valuable,
    /// Wrong: what is held goes on.
    FalsePositive,
    /// It cannot be decided: what is held goes on.
    InsufficientEvidence,
}

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaseStatus {
    /// Nobody took it yet.
    Pending,
    /// Somebody looks at it.
    Investigating,
    /// It ended at an instant, in milliseconds UTC.
    Closed(Outcome, i64),
}

/// A step that the case does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CaseError {
    /// There is no such flag.
    #[error(
        "there is no flag of this scheme on this affiliate at this merchant; list the flags and name one of them"
    )]
    NoSuchFlag,
    /// Somebody has it already.
    #[error("the case is under investigation already; close it with an outcome")]
    AlreadyInvestigating,
    /// It must be taken first.
    #[error("the case is not under investigation; take it before closing it")]
    NotInvestigating,
    /// It ended.
    #[error("the case is closed; only an appeal of the affiliate opens it again")]
    AlreadyClosed,
    /// An appeal needs a confirmed case.
    #[error("only a confirmed case can be appealed against; this one was not confirmed")]
    NothingToAppeal,
    /// One appeal per case.
    #[error("the case was appealed against before; its outcome is final")]
    AppealedBefore,
    /// The time for it ended.
    #[error("the deadline for an appeal has passed")]
    AppealTooLate,
}

/// The review of one flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    status: CaseStatus,
    appealed_ms: Option<i64>,
    snoozed_until_ms: Option<i64>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            status: CaseStatus::Pending,
            appealed_ms: None,
            snoozed_until_ms: None,
        }
    }
}

/// An affiliate may appeal for so long behind the outcome. Unit: milliseconds.
pub const APPEAL_MS: i64 = 30 * 86_400_000;

impl Case {
    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> CaseStatus {
        self.status
    }

    /// When the affiliate appealed.
    #[must_use]
    pub const fn appealed_ms(&self) -> Option<i64> {
        self.appealed_ms
    }

    /// Until when the flag is not raised again, in milliseconds UTC.
    #[must_use]
    pub const fn snoozed_until_ms(&self) -> Option<i64> {
        self.snoozed_until_ms
    }

    /// First instant at which an appeal is too late, in milliseconds UTC; `None` where there is nothing to appeal against.
    #[must_use]
    pub const fn appeal_until_ms(&self) -> Option<i64> {
        match (self.status, self.appealed_ms) {
            (CaseStatus::Closed(Outcome::Confirmed, closed_ms), None) => {
                Some(closed_ms + APPEAL_MS)
            }
            _ => None,
        }
    }

    /// From when on what it holds is forfeited, in milliseconds UTC: see [`Self::forfeits`].
    #[must_use]
    pub const fn forfeits_ms(&self) -> Option<i64> {
        match (self.status, self.appealed_ms) {
            (CaseStatus::Closed(Outcome::Confirmed, closed_ms), Some(_)) => Some(closed_ms),
            (CaseStatus::Closed(Outcome::Confirmed, closed_ms), None) => {
                Some(closed_ms + APPEAL_MS)
            }
            _ => None,
        }
    }

    /// Somebody takes it.
    ///
    /// # Errors
    /// When it was taken or has ended.
    pub const fn take(&mut self) -> Result<(), CaseError> {
        match self.status {
            CaseStatus::Pending => {
                self.status = CaseStatus::Investigating;
                Ok(())
            }
            CaseStatus::Investigating => Err(CaseError::AlreadyInvestigating),
            CaseStatus::Closed(..) => Err(CaseError::AlreadyClosed),
        }
    }

    /// It ends.
    ///
    /// # Errors
    /// When nobody took it, or it has ended.
    pub const fn close(&mut self, outcome: Outcome, at_ms: i64) -> Result<(), CaseError> {
        match self.status {
            CaseStatus::Pending => Err(CaseError::NotInvestigating),
            CaseStatus::Investigating => {
                self.status = CaseStatus::Closed(outcome, at_ms);
                Ok(())
            }
            CaseStatus::Closed(..) => Err(CaseError::AlreadyClosed),
        }
    }

    /// The affiliate appeals: the case is pending again.
    ///
    /// # Errors
    /// When it was not confirmed, was appealed against before, or it is too late.
    pub const fn appeal(&mut self, at_ms: i64) -> Result<(), CaseError> {
        match self.status {
            CaseStatus::Closed(Outcome::Confirmed, closed_ms) => {
                if self.appealed_ms.is_some() {
                    return Err(CaseError::AppealedBefore);
                }
                if at_ms - closed_ms >= APPEAL_MS {
                    return Err(CaseError::AppealTooLate);
                }
                self.appealed_ms = Some(at_ms);
                self.status = CaseStatus::Pending;
                Ok(())
            }
            CaseStatus::Pending | CaseStatus::Investigating | CaseStatus::Closed(..) => {
                Err(CaseError::NothingToAppeal)
            }
        }
    }

    /// The same flag is not raised again before an instant, in milliseconds UTC.
    pub const fn snooze(&mut self, until_ms: i64) {
        self.snoozed_until_ms = Some(until_ms);
    }

    /// Whether the flag may be raised at an instant.
    #[must_use]
    pub fn is_awake(&self, at_ms: i64) -> bool {
        self.snoozed_until_ms.is_none_or(|until| at_ms >= until)
    }

    /// Whether money may wait for it: it was not found wrong.
    #[must_use]
    pub const fn may_hold(&self) -> bool {
        match self.status {
            CaseStatus::Pending
            | CaseStatus::Investigating
            | CaseStatus::Closed(Outcome::Confirmed, _) => true,
            CaseStatus::Closed(
                Outcome::Valuable | Outcome::FalsePositive | Outcome::InsufficientEvidence,
                _,
            ) => false,
        }
    }

    /// Whether what it holds is forfeited at an instant: confirmed, and the time for an appeal has passed or the appeal failed.
    #[must_use]
    pub const fn forfeits(&self, at_ms: i64) -> bool {
        match self.forfeits_ms() {
            Some(from_ms) => at_ms >= from_ms,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_taken_before_it_is_closed_and_closed_once() {
        let mut case = Case::default();
        assert_eq!(
            case.close(Outcome::Confirmed, 1),
            Err(CaseError::NotInvestigating)
        );
        assert_eq!(case.take(), Ok(()));
        assert_eq!(case.take(), Err(CaseError::AlreadyInvestigating));
        assert_eq!(case.close(Outcome::FalsePositive, 1), Ok(()));
        assert_eq!(
            case.close(Outcome::Confirmed, 2),
            Err(CaseError::AlreadyClosed)
        );
        assert_eq!(case.take(), Err(CaseError::AlreadyClosed));
        assert_eq!(case.appeal(2), Err(CaseError::NothingToAppeal));
        assert!(!case.may_hold());
    }

    #[test]
    fn an_appeal_pauses_the_forfeiture_and_not_the_hold() {
        let confirmed = |case: &mut Case, at_ms| {
            case.take().expect("pending");
            case.close(Outcome::Confirmed, at_ms).expect("taken");
        };
        let mut case = Case::default();
        confirmed(&mut case, 0);
        assert!(!case.forfeits(APPEAL_MS - 1) && case.forfeits(APPEAL_MS));
        let mut late = case;
        assert_eq!(late.appeal(APPEAL_MS), Err(CaseError::AppealTooLate));
        assert_eq!(case.appeal(5), Ok(()));
        assert!(case.may_hold() && !case.forfeits(APPEAL_MS * 2));
        confirmed(&mut case, 10);
        assert!(case.forfeits(11));
        assert_eq!(case.appeal(12), Err(CaseError::AppealedBefore));
    }
}
