//! Verdicts on points messages: banded, with their evidence in words.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    rules::{PointsRules, Steps},
    state::Counted,
};
use crate::verdict::Band;

/// What a hub does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Action {
    /// Nothing.
    Accept,
    /// A person looks at it; it goes on.
    Flag,
    /// It waits until a person looked.
    Quarantine,
}

/// One sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PointsSignal {
    /// Accruals of a member within a minute.
    AccrualsMinute,
    /// Accruals of a member within an hour.
    AccrualsHour,
    /// Merchants at which a member stood within minutes.
    ManyMerchants,
    /// Accruals of a member at one till within a day.
    SameTill,
    /// A member's receipts just under the limit.
    NearLimit,
    /// A till's receipts just under the limit.
    TillNearLimit,
    /// Members of one device.
    DeviceMembers,
    /// Percent of the balance burnt behind linking an account.
    BurnAfterLink,
    /// Returns soon after burning.
    ReturnAfterBurn,
}

impl PointsSignal {
    /// Signs of one kind go together: only different kinds make a verdict surer.
    const fn kind(self) -> u8 {
        match self {
            Self::AccrualsMinute | Self::AccrualsHour | Self::SameTill => 0,
            Self::ManyMerchants => 1,
            Self::NearLimit | Self::TillNearLimit => 2,
            Self::DeviceMembers => 3,
            Self::BurnAfterLink => 4,
            Self::ReturnAfterBurn => 5,
        }
    }
}

/// What a sign shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PointsEvidence {
    /// Which.
    pub signal: PointsSignal,
    /// How much it makes of it.
    pub band: Band,
    /// How many.
    pub observed: u32,
    /// Of how many; 0 where it is no share.
    pub counted: u32,
    /// How many are usual, or from how many on it is odd.
    pub usual: f64,
}

impl fmt::Display for PointsEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, usual) = (self.observed, self.usual);
        match self.signal {
            PointsSignal::NearLimit | PointsSignal::TillNearLimit => {
                let whose = if self.signal == PointsSignal::NearLimit {
                    "the member's"
                } else {
                    "the till's"
                };
                return write!(
                    f,
                    "{n} of {whose} {} receipts are just under the limit; usual at the merchant are {usual:.1}",
                    self.counted
                );
            }
            PointsSignal::AccrualsMinute => write!(f, "{n} accruals within a minute")?,
            PointsSignal::AccrualsHour => write!(f, "{n} accruals within an hour")?,
            PointsSignal::ManyMerchants => {
                write!(f, "the member stood at {n} merchants within minutes")?;
            }
            PointsSignal::SameTill => write!(f, "{n} accruals at one till within a day")?,
            PointsSignal::DeviceMembers => write!(f, "about {n} members on one device")?,
            PointsSignal::BurnAfterLink => {
                write!(
                    f,
                    "{n} % of the balance burnt right behind linking an account"
                )?;
            }
            PointsSignal::ReturnAfterBurn => write!(f, "{n} returns right after burning")?,
        }
        write!(f, "; from {usual:.0} on it is odd")
    }
}

/// What is said of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PointsVerdict {
    /// How sure.
    pub band: Band,
    /// What follows.
    pub action: Action,
    /// What speaks for it, the strongest first.
    pub evidence: Vec<PointsEvidence>,
}

impl PointsVerdict {
    pub(super) const fn accept() -> Self {
        Self {
            band: Band::Clear,
            action: Action::Accept,
            evidence: Vec::new(),
        }
    }
}

/// Signs of one message as they are put together.
#[derive(Debug, Default)]
pub(super) struct Weighing(Vec<PointsEvidence>);

impl Weighing {
    /// A count that is odd from somewhere on.
    pub(super) fn step(&mut self, signal: PointsSignal, observed: u32, steps: &Steps) {
        let band = steps.band(observed);
        if band > Band::Clear {
            self.0.push(PointsEvidence {
                signal,
                band,
                observed,
                counted: 0,
                usual: f64::from(steps.watch),
            });
        }
    }

    /// So many of so many where a share is usual.
    pub(super) fn rare(
        &mut self,
        signal: PointsSignal,
        counted: Counted,
        usual: f64,
        rules: &PointsRules,
    ) {
        if counted.all < rules.least_receipts {
            return;
        }
        let p_value = binomial_upper(counted.some, counted.all, usual);
        let [watch, flag, hold] = rules.near_p;
        let band = if p_value <= hold {
            Band::Hold
        } else if p_value <= flag {
            Band::Flag
        } else if p_value <= watch {
            Band::Watch
        } else {
            return;
        };
        self.0.push(PointsEvidence {
            signal,
            band,
            observed: counted.some,
            counted: counted.all,
            usual: usual * f64::from(counted.all),
        });
    }

    /// The verdict; `most` is what may come of it at most. Signs of different kinds make it a band surer.
    pub(super) fn finish(mut self, most: Action) -> PointsVerdict {
        self.0
            .sort_by(|a, b| b.band.cmp(&a.band).then(a.signal.cmp(&b.signal)));
        let strongest = self.0.first().map_or(Band::Clear, |first| first.band);
        let first = self.0.first().map(|first| first.signal.kind());
        let differ = self.0.iter().any(|sign| Some(sign.signal.kind()) != first);
        let band = match (differ, strongest) {
            (true, Band::Watch) => Band::Flag,
            (true, Band::Flag) => Band::Hold,
            (_, band) => band,
        };
        let action = match band {
            Band::Hold => Action::Quarantine.min(most),
            Band::Flag => Action::Flag,
            Band::InsufficientEvidence | Band::Clear | Band::Watch => Action::Accept,
        };
        PointsVerdict {
            band,
            action,
            evidence: self.0,
        }
    }
}

/// How probable `k` or more of `n` are where each has this probability.
fn binomial_upper(k: u32, n: u32, share: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let (share, whole, first) = (share.clamp(1e-9, 1.0 - 1e-9), f64::from(n), f64::from(k));
    let ln_choose =
        libm::lgamma(whole + 1.0) - libm::lgamma(first + 1.0) - libm::lgamma(whole - first + 1.0);
    let mut term =
        libm::exp(ln_choose + first * libm::log(share) + (whole - first) * libm::log(1.0 - share));
    let (mut sum, mut at) = (term, first);
    while at < whole && term > sum * 1e-12 {
        term *= (whole - at) / (at + 1.0) * share / (1.0 - share);
        sum += term;
        at += 1.0;
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_binomial_is_that_of_its_definition() {
        for (k, n, share, upper) in [
            (0, 10, 0.5, 1.0),
            (5, 10, 0.5, 0.623_046_875),
            (10, 10, 0.5, 0.000_976_562_5),
            (2, 3, 0.1, 0.028),
        ] {
            let found = binomial_upper(k, n, share);
            assert!((found - upper).abs() < 1e-9, "{k} of {n}: {found}");
        }
    }
}
