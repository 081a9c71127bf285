//! Evidence beside the statistics: rules that people wrote, and the learned scorer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Band;
use crate::rules::Hit;

/// What the learned scorer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// How much the traffic is like that of confirmed cases: 0 to 1, a rank more than a probability.
    pub score: f64,
    /// How much it makes of it.
    pub band: Band,
    /// Version of the model.
    pub model: u128,
    /// The features that add most: name, value, log-odds that it adds.
    pub strongest: Vec<(String, f32, f64)>,
}

/// One piece of evidence that has a name of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Named {
    /// A rule.
    Rule(Hit),
    /// The learned scorer.
    Score(Scored),
}

impl Named {
    /// How much it makes of it.
    #[must_use]
    pub const fn band(&self) -> Band {
        match self {
            Self::Rule(hit) => hit.band,
            Self::Score(score) => score.band,
        }
    }

    /// Whether it is of the same rule, or both are the scorer's.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rule(one), Self::Rule(other)) => one.rule == other.rule,
            (Self::Score(_), Self::Score(_)) => true,
            (Self::Rule(_), Self::Score(_)) | (Self::Score(_), Self::Rule(_)) => false,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(hit) => hit.fmt(f),
            Self::Score(scored) => {
                write!(
                    f,
                    "traffic like that of confirmed cases: {:.2} of 1 by model {:032x}, most of all by",
                    scored.score, scored.model
                )?;
                for (at, (name, value, added)) in scored.strongest.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma} {name} = {value:.3} ({added:+.2})")?;
                }
                Ok(())
            }
        }
    }
}
