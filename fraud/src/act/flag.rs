//! A flag: one scheme on one affiliate at one merchant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::case::Case;
use crate::{
    features::Pair,
    rules::Covers,
    typology::Typology,
    verdict::{Band, Named, Verdict},
};

/// What a flag is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FlagKey {
    /// Who, at which merchant.
    pub pair: Pair,
    /// Which scheme.
    pub typology: Typology,
}

/// A rule for which conversions wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleHold {
    /// Which of them.
    pub covers: Covers,
    /// The rule was switched off: what waits stays until a person decides, and nothing new waits for it.
    pub frozen: bool,
}

/// Why conversions wait for a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The statistics, or what matches exactly.
    pub detectors: bool,
    /// Rules, by name.
    pub rules: BTreeMap<String, RuleHold>,
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
    /// Why conversions wait, if they do.
    pub holders: Holders,
    /// Assessments in a row that said HOLD.
    pub(crate) sure: u16,
    /// Version of the rules that raised it.
    pub rules: u32,
    /// Its review.
    pub case: Case,
}

impl Flag {
    /// The same was found again: the surest one is kept, with every bin of times that any of them named.
    pub(crate) fn again(&mut self, mut verdict: Verdict) {
        let bins = self.verdict.time_bins | verdict.time_bins;
        let mut named = std::mem::take(&mut self.verdict.named);
        named.retain(|old| !verdict.named.iter().any(|new| new.is_same(old)));
        named.append(&mut verdict.named);
        if verdict.p_value <= self.verdict.p_value {
            self.verdict = verdict;
        }
        self.verdict.time_bins = bins;
        self.verdict.named = named;
    }

    /// Conversions wait for what says HOLD in this verdict.
    pub(crate) fn hold(&mut self, verdict: &Verdict) {
        self.holders.detectors |= verdict.band == Band::Hold;
        for named in &verdict.named {
            match named {
                Named::Rule(hit) if hit.band == Band::Hold => {
                    let hold = RuleHold {
                        covers: hit.covers,
                        frozen: false,
                    };
                    self.holders.rules.insert(hit.rule.clone(), hold);
                }
                Named::Score(score) => self.holders.detectors |= score.band == Band::Hold,
                Named::Rule(_) => {}
            }
        }
    }

    /// Whether conversions wait for it.
    #[must_use]
    pub const fn is_holding(&self) -> bool {
        self.holding_since_ms.is_some() && self.case.may_hold()
    }
}
