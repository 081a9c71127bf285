//! A rule: what its author writes, what it becomes when it is saved, and what it says of a row.

use std::{fmt, hash::Hasher as _, sync::Arc};

use cel::IdedExpr;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher24};
use thiserror::Error;

use super::{
    check::{Checked, Cost, MOST_DEPTH, MOST_NODES, MOST_TEXT, Place, check},
    expression::{Answer, Failed, evaluate},
    feature::{Kind, Row},
};
use crate::{act::Mode, typology::Typology, verdict::Band};

/// Which conversions wait for a rule that holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Covers {
    /// Those of which each shows that the scheme made it.
    #[default]
    Scheme,
    /// All of the pair that have not locked.
    All,
}

/// From a number on, a band and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Banded {
    /// The least number of the band.
    pub from: f64,
    /// WATCH, FLAG or HOLD.
    pub band: Band,
    /// What it means, in words that a person can judge.
    pub reason: String,
}

/// A rule as its author writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Its name: lower case letters, digits and `-`.
    pub name: String,
    /// The scheme that it speaks for.
    pub typology: Typology,
    /// What may come of it.
    pub mode: Mode,
    /// The expression: true or false, or a number that falls into bands.
    pub when: String,
    /// What true means, in words that a person can judge. Only of an expression that is true or false.
    #[serde(default)]
    pub reason: String,
    /// What numbers mean. Only of an expression that is a number.
    #[serde(default)]
    pub bands: Vec<Banded>,
    /// Which conversions wait.
    #[serde(default)]
    pub covers: Covers,
    /// Who wrote it.
    pub author: String,
}

/// Which version of a rule: a running number, and a digest of its text to compare at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleVersion {
    /// The how manieth under its name.
    pub number: u32,
    /// Of everything that its author wrote (SipHash-2-4-128). No proof against somebody who looks for another text with the
    /// same one: the number decides.
    pub digest: u128,
}

impl fmt::Display for RuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:032x}", self.number, self.digest)
    }
}

/// Why a rule is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// It is no expression.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser expected.
        reason: String,
    },
    /// A part has the wrong type.
    #[error("{place}: {reason}")]
    Type {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A name that is no feature.
    #[error("{place}: there is no feature `{name}`; the nearest name is `{nearest}`")]
    UnknownFeature {
        /// Where.
        place: Place,
        /// The name.
        name: String,
        /// A feature with a name like it.
        nearest: &'static str,
    },
    /// A name that is no function.
    #[error(
        "{place}: there is no function `{name}` of {arguments}; there are operators, `? :`, `in`, double(x) and int(x)"
    )]
    UnknownFunction {
        /// Where.
        place: Place,
        /// The name.
        name: String,
        /// With how many arguments.
        arguments: usize,
    },
    /// Too long to be read.
    #[error("the expression has {bytes} bytes, {MOST_TEXT} are allowed; split the rule in two")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Too much to evaluate.
    #[error(
        "the expression has more than {MOST_NODES} parts or is nested deeper than {MOST_DEPTH}; split the rule in two"
    )]
    TooCostly,
    /// The rest of the draft is wrong.
    #[error("{0}")]
    Draft(&'static str),
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The rule's name.
    pub rule: String,
    /// Its version.
    pub version: RuleVersion,
    /// How much it makes of it.
    pub band: Band,
    /// Which conversions wait, if any do.
    pub covers: Covers,
    /// In words.
    pub reason: String,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule {} (version {}): {}",
            self.rule, self.version.number, self.reason
        )
    }
}

/// A rule that passed the checker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Rule {
    draft: Draft,
    version: RuleVersion,
    cost: Cost,
    expression: Arc<IdedExpr>,
}

/// A rule without what is made of it.
#[derive(Serialize, Deserialize)]
struct Saved(Draft, u32);

impl TryFrom<Saved> for Rule {
    type Error = RuleError;

    fn try_from(saved: Saved) -> Result<Self, RuleError> {
        Self::check(saved.0, saved.1)
    }
}

impl From<Rule> for Saved {
    fn from(rule: Rule) -> Self {
        Self(rule.draft, rule.version.number)
    }
}

impl Rule {
    /// Checks a draft; `number` is the how manieth version it is.
    ///
    /// # Errors
    /// [`RuleError`]: what is wrong, and where.
    pub fn check(draft: Draft, number: u32) -> Result<Self, RuleError> {
        let Checked {
            expression,
            kind,
            cost,
        } = check(&draft.when)?;
        about(&draft, kind)?;
        let version = RuleVersion {
            number,
            digest: digest(&draft),
        };
        Ok(Self {
            draft,
            version,
            cost,
            expression: Arc::new(expression),
        })
    }

    /// What its author wrote.
    #[must_use]
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    /// Which version it is.
    #[must_use]
    pub const fn version(&self) -> RuleVersion {
        self.version
    }

    /// What evaluating it costs at most.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// What it says of a row; `None`: nothing.
    ///
    /// # Errors
    /// [`Failed`] where the expression has no value: 0.0 by 0.0, a whole number by 0.
    pub fn evaluate(&self, row: &Row) -> Result<Option<Hit>, Failed> {
        let (band, reason) = match evaluate(&self.expression, row)? {
            Answer::Bool(false) => return Ok(None),
            Answer::Bool(true) => {
                let band = match self.draft.mode {
                    Mode::Hold => Band::Hold,
                    Mode::Shadow | Mode::Flag => Band::Flag,
                };
                (band, &self.draft.reason)
            }
            Answer::Number(number) => {
                match self
                    .draft
                    .bands
                    .iter()
                    .rev()
                    .find(|band| number >= band.from)
                {
                    Some(found) => (found.band, &found.reason),
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(Hit {
            rule: self.draft.name.clone(),
            version: self.version,
            band,
            covers: self.draft.covers,
            reason: reason.clone(),
        }))
    }

    /// Commission of a row that would wait for a hit.
    pub(super) fn would_hold(&self, row: &Row, hit: &Hit) -> i64 {
        if hit.band < Band::Hold {
            return 0;
        }
        match self.draft.covers {
            Covers::All => row.open_micros,
            Covers::Scheme => row
                .open_by_scheme
                .iter()
                .find(|(typology, _)| *typology == self.draft.typology)
                .map_or(0, |(_, micros)| *micros),
        }
    }
}

/// Schemes of which no single conversion shows that they made it.
pub(super) const TOLD_BY_NONE: [Typology; 5] = [
    Typology::ClickFlood,
    Typology::MasqueradingBot,
    Typology::ClickDuplicate,
    Typology::ForgedPostback,
    Typology::LowQuality,
];

/// Checks what is not the expression.
fn about(draft: &Draft, kind: Kind) -> Result<(), RuleError> {
    let wrong = |what| Err(RuleError::Draft(what));
    let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=60).contains(&draft.name.len()) || !draft.name.chars().all(in_name) {
        return wrong("a rule's name has 1 to 60 lower case letters, digits and `-`");
    }
    if draft.author.trim().is_empty() {
        return wrong("a rule names its author");
    }
    if draft.mode == Mode::Hold
        && draft.covers == Covers::Scheme
        && TOLD_BY_NONE.contains(&draft.typology)
    {
        return wrong(
            "no single conversion shows that this scheme made it, so nothing would wait; say covers = \"ALL\", or mode = \"FLAG\"",
        );
    }
    match kind {
        Kind::Bool => {
            if draft.reason.trim().is_empty() {
                return wrong("the expression is true or false: say in `reason` what true means");
            }
            if !draft.bands.is_empty() {
                return wrong("the expression is true or false: it has a `reason` and no `bands`");
            }
        }
        Kind::Int | Kind::Double | Kind::String => {
            if draft.bands.is_empty() || !draft.reason.is_empty() {
                return wrong(
                    "the expression is a number: it has `bands`, each with a reason, and no `reason` of its own",
                );
            }
            if draft.bands.len() > 8 {
                return wrong("a rule has at most 8 bands");
            }
            let known = |band: &Banded| {
                band.band >= Band::Watch && band.from.is_finite() && !band.reason.trim().is_empty()
            };
            if !draft.bands.iter().all(known) {
                return wrong(
                    "each band is WATCH, FLAG or HOLD, begins at a number and has a reason",
                );
            }
            if !draft
                .bands
                .is_sorted_by(|a, b| a.from < b.from && a.band <= b.band)
            {
                return wrong("bands are in rising order, of numbers and of what they lead to");
            }
        }
    }
    Ok(())
}

/// A digest of everything that the author wrote.
fn digest(draft: &Draft) -> u128 {
    let mut hasher = SipHasher24::new();
    let mut put = |part: &str| {
        hasher.write_u64(part.len() as u64);
        hasher.write(part.as_bytes());
    };
    put(&draft.name);
    put(draft.typology.code());
    put(&format!("{:?} {:?}", draft.mode, draft.covers));
    put(&draft.when);
    put(&draft.reason);
    put(&draft.author);
    for band in &draft.bands {
        put(&format!("{:x} {:?}", band.from.to_bits(), band.band));
        put(&band.reason);
    }
    hasher.finish128().as_u128()
}
