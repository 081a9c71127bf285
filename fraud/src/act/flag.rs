//! A flag: one scheme on one affiliate at one merchant.

use serde::{Deserialize, Serialize};

use super::case::Case;
use crate::{features::Pair, typology::Typology, verdict::Verdict};

/// What a flag is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlagKey {
    /// Who, at which merchant.
    pub pair: Pair,
    /// Which scheme.
    pub typology: Typology,
}

/// A flag as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flag {
    /// When it was raised, in milliseconds UTC.
    pub raised_ms: i64,
    /// When conversions began to wait for it, in milliseconds UTC.
    pub holding_since_ms: Option<i64>,
    /// The surest verdict so far.
    pub verdict: Verdict,
    /// Assessments in a row that said HOLD.
    pub(crate) sure: u16,
    /// Version of the rules that raised it.
    pub rules: u32,
    /// Its review.
    pub case: Case,
}

impl Flag {
    /// The same was found again: the surest one is kept, with every bin of times that any of them named.
    pub(crate) fn again(&mut self, verdict: Verdict) {
        let bins = self.verdict.time_bins | verdict.time_bins;
        if verdict.p_value <= self.verdict.p_value {
            self.verdict = verdict;
        }
        self.verdict.time_bins = bins;
    }

    /// Whether conversions wait for it.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.holding_since_ms.is_some() && self.case.may_hold()
    }
}
