//! Rules that people write: an expression in CEL over a typed feature set, what it means, and what may come of it.
//!
//! A rule is checked before it is saved (types, names, cost), measured on the last 30 days before it is switched on, and
//! switched to SHADOW by itself when it suddenly finds far more than it was measured to. Evaluation has a bound: without
//! comprehensions every node of an expression is looked at once at most, so the cost at saving is the cost at running. Raises
//! and holds nothing itself: the engine does, with the rule's name, version and reason as evidence.

mod book;
mod check;
mod expression;
mod feature;
mod history;
mod preview;
mod rule;

pub use book::{Counters, RuleState, Rulebook, SwitchError, SwitchedOff};
pub use check::{Cost, MOST_DEPTH, MOST_NODES, MOST_TEXT, Place};
pub use expression::Failed;
pub use feature::{FEATURES, Feature, Kind, Row, Subject, feature};
pub use history::{HISTORY_DAYS, History};
pub use preview::{Interval, Preview, wilson};
pub use rule::{Banded, Covers, Draft, Hit, Rule, RuleError, RuleVersion};

#[cfg(test)]
mod tests;
