//! The learned scorer: which publishers look like those that reviews confirmed as frauds.
//!
//! Owns training, scores, their explanation and their measure. Knows a table of numbers and what reviews said; no column's
//! meaning but what [`Model::train`] says of general knowledge. Reads no file; the same table, parameters and seed give the
//! same scores bit for bit on every platform. It is off until it has labels where a hub uses it; here it still ranks.
//!
//! Two learners, because they err differently: extremely randomised trees and gradient boosting. Both are a few hundred lines
//! here rather than a crate: those of the registry draw from generators that a release may change, take `exp` from the
//! platform, sum in parallel in the order of the moment, or explain nothing.
//!
//! Costs: training 3,000 rows of 118 features takes a few seconds of one core a seed; a score about 0.1 ms a seed.

#![expect(
    clippy::float_arithmetic,
    reason = "statistics of traffic; no money is decided here"
)]

mod boost;
mod forest;
mod metric;
mod model;
mod prior;
mod rng;
mod table;
mod tree;

pub use metric::{Precision, average_precision, bootstrap};
pub use model::{Explanation, Model, Parameters, Regime};
pub use table::{Label, Table, TableError};

#[cfg(test)]
mod tests;
