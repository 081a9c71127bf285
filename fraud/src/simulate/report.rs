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
    /// Days from the onset to the first flag, mean over those found; none where none was.
    pub days_to_flag: Option<f64>,
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

/// Several runs together: means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// All schemes together; the worst scheme is the one whose mean recall is the lowest.
    pub all: Totals,
    /// Each scheme.
    pub schemes: Vec<SchemeReport>,
}

impl Summary {
    /// Of some runs of one scale.
    #[must_use]
    pub fn new(runs: &[Report]) -> Self {
        let total = |part: fn(&Totals) -> f64| {
            runs.iter().map(|run| part(&run.all)).sum::<f64>() / runs.len().max(1) as f64
        };
        let schemes: Vec<SchemeReport> = runs.first().map_or_else(Vec::new, |first| {
            (0..first.schemes.len())
                .map(|at| {
                    let each: Vec<&SchemeReport> =
                        runs.iter().filter_map(|run| run.schemes.get(at)).collect();
                    SchemeReport::mean(first.schemes[at].name, &each)
                })
                .collect()
        });
        let recalls = schemes.iter().map(|scheme| scheme.recall);
        Self {
            seeds: runs.iter().map(|run| run.seed).collect(),
            all: Totals {
                macro_recall: total(|all| all.macro_recall),
                precision: total(|all| all.precision),
                honest_ever_held: total(|all| all.honest_ever_held),
                bad_commission_held_before_lock: total(|all| all.bad_commission_held_before_lock),
                worst_scheme_recall: recalls.fold(1.0, f64::min),
                their_honest_commission_held: total(|all| all.their_honest_commission_held),
                honest_ever_flagged: runs.iter().map(|run| run.all.honest_ever_flagged).sum(),
            },
            schemes,
        }
    }
}

impl SchemeReport {
    fn mean(name: &'static str, each: &[&Self]) -> Self {
        let mean = |part: fn(&Self) -> Option<f64>| {
            let known: Vec<f64> = each.iter().filter_map(|scheme| part(scheme)).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        Self {
            name,
            recall: mean(|scheme| Some(scheme.recall)).unwrap_or_default(),
            precision: mean(|scheme| scheme.precision),
            days_to_flag: mean(|scheme| scheme.days_to_flag),
            rightly_named: mean(|scheme| scheme.rightly_named),
            bad_commission_held_before_lock: mean(|scheme| scheme.bad_commission_held_before_lock),
            affiliates: each.iter().map(|scheme| scheme.affiliates).sum(),
        }
    }
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
