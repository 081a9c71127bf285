//! What a run shows: how much of what is true was found, when, and what it cost honest affiliates.

use serde::Serialize;

use crate::typology::Typology;

/// One scheme.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemeReport {
    /// Its code.
    pub name: &'static str,
    /// Part of its affiliates that were flagged with this scheme; of an adaptive one, with any.
    pub recall: f64,
    /// Part of those flagged with this scheme that cheat; of an adaptive one there is no flag: none.
    pub precision: Option<f64>,
    /// Days from the onset to the first flag, mean over those found.
    pub days_to_flag: f64,
    /// Part of those flagged with this scheme whose scheme it is.
    pub rightly_named: Option<f64>,
    /// Part of the commission that it made that waited before its lock date; none where clicks alone are its work.
    pub bad_commission_held_before_lock: Option<f64>,
    /// Affiliates that play it.
    pub affiliates: usize,
}

/// All schemes together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// Mean recall of the schemes.
    pub macro_recall: f64,
    /// Part of the flagged affiliates that cheat.
    pub precision: f64,
    /// Part of the honest affiliates of whom anything ever waited.
    pub honest_ever_held: f64,
    /// Part of the commission that schemes made that waited before its lock date.
    pub bad_commission_held_before_lock: f64,
    /// Recall of the scheme that was found worst.
    pub worst_scheme_recall: f64,
    /// Part of the honest commission of affiliates that cheat that waited too.
    pub their_honest_commission_held: f64,
    /// Honest affiliates that were ever flagged.
    pub honest_ever_flagged: usize,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Events that were played.
    pub events: u64,
    /// All schemes together.
    pub all: Totals,
    /// Each scheme.
    pub schemes: Vec<SchemeReport>,
    /// Honest affiliates that were flagged, and why.
    pub wrong: Vec<Wrong>,
    /// Affiliates whose scheme was not flagged by its name.
    pub missed: Vec<Missed>,
    /// Digest of all flags and holds: the same seed gives the same on every machine.
    pub digest: String,
}

/// An honest affiliate that was flagged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wrong {
    /// Who.
    pub affiliate: u32,
    /// At which merchant.
    pub merchant: u32,
    /// As what.
    pub scheme: Typology,
    /// Something of it waited.
    pub held: bool,
    /// The verdict's words.
    pub evidence: Vec<String>,
}

/// One who cheats and was not flagged with the scheme's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Missed {
    /// Who.
    pub affiliate: u32,
    /// What it plays.
    pub scheme: &'static str,
    /// Since which day.
    pub onset_day: u32,
    /// Part of its traffic that is the scheme's.
    pub contamination: f64,
    /// With which other names it was flagged.
    pub flagged_as: Vec<Typology>,
    /// What was odd about it on the last day, at each merchant.
    pub evidence: Vec<String>,
}
