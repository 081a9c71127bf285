//! The learned scorer at work: outcomes of cases are its labels, rows of features its table.
//!
//! Off until enough cases were confirmed. Trained at an assessment whose labels are others than the last time, from the labelled
//! rows and a bounded sample of others of the same days, with a seed that is the labels' digest: the same outcomes give the same model, bit
//! for bit. What it says is evidence with a name and the strongest features; alone it raises flags in mode FLAG only, and holds
//! in mode HOLD only. Costs at most [`Learning::rows`] rows a training, which is below a second.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::Hasher as _,
};

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::{
    act::{Mode, Outcome},
    features::{Pair, mix},
    rules::Row,
    score::{Label, Model, Parameters, Table, TableError},
    typology::Typology,
    verdict::{Band, Scored},
};

/// How the scorer takes part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learning {
    /// SHADOW: its score is evidence of flags that others raise, and a feature of rules. FLAG: it raises flags. HOLD: it lets
    /// conversions wait.
    pub mode: Mode,
    /// It is off below so many pairs that were confirmed.
    pub least_confirmed: u32,
    /// From this score on it says FLAG, or HOLD in mode HOLD.
    pub flag_from: f64,
    /// Rows that it is trained on at most; labelled ones first.
    pub rows: u32,
    /// Trees per training.
    pub trees: u32,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            mode: Mode::Shadow,
            least_confirmed: 5,
            flag_from: 0.5,
            rows: 2_000,
            trees: 100,
        }
    }
}

/// A pair that a review decided, with its features as they were when it was flagged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Decided {
    fraud: bool,
    typology: Typology,
    measures: Vec<f32>,
    at_ms: i64,
}

/// A model with what it was made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trained {
    model: Model,
    /// Digest of labels, rows and parameters (SipHash-2-4-128).
    pub version: u128,
    /// When, in milliseconds UTC.
    pub at_ms: i64,
    /// Pairs that were confirmed.
    pub confirmed: u32,
    /// Pairs in which a review found none.
    pub cleared: u32,
    labels: u128,
}

/// The scorer's state: labels, and the model that they gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Learner {
    settings: Option<Learning>,
    decided: BTreeMap<Pair, Decided>,
    /// Flagged pairs that nobody decided yet.
    open: BTreeMap<Pair, Vec<f32>>,
    /// Others as they were when pairs were flagged, by instant: what the labelled ones are told from. Rows of another day would
    /// differ by the day as well.
    others: BTreeMap<i64, Vec<(Pair, Vec<f32>)>>,
    trained: Option<Trained>,
}

/// Strongest features that an explanation names.
const NAMED: usize = 3;
/// Others that are kept for each pair that is flagged, and for all that are flagged at one assessment.
const OTHERS: usize = 30;
const MOST_OTHERS: usize = 300;

impl Learner {
    /// Sets how it takes part; `None`: not at all, and nothing is kept.
    pub fn set(&mut self, settings: Option<Learning>) {
        if settings.is_none() {
            *self = Self::default();
        }
        self.settings = settings;
    }

    /// How it takes part.
    #[must_use]
    pub const fn settings(&self) -> Option<&Learning> {
        self.settings.as_ref()
    }

    /// The model, when there is one.
    #[must_use]
    pub const fn trained(&self) -> Option<&Trained> {
        self.trained.as_ref()
    }

    /// Keeps the features of pairs that were flagged for the first time, and of a sample of the others at that instant, which
    /// depends on nothing but who they are. `rows` are in the order of pairs.
    pub(crate) fn flagged(&mut self, pairs: &BTreeSet<Pair>, rows: &[Row], at_ms: i64) {
        let Some(settings) = &self.settings else {
            return;
        };
        let mut new = 0;
        for pair in pairs {
            let known = self.open.contains_key(pair) || self.decided.contains_key(pair);
            if let (false, Ok(at)) = (known, rows.binary_search_by_key(pair, |row| row.pair)) {
                self.open.insert(*pair, rows[at].measures().to_vec());
                new += 1;
            }
        }
        if new == 0 {
            return;
        }
        let mut others: Vec<(u64, &Row)> = rows
            .iter()
            .filter(|row| !pairs.contains(&row.pair))
            .map(|row| (mix(row.pair.key() ^ mix(at_ms as u64)), row))
            .collect();
        others.sort_unstable_by_key(|(place, row)| (*place, row.pair));
        others.truncate(usize::min(new * OTHERS, MOST_OTHERS));
        let others = others.into_iter();
        self.others.insert(
            at_ms,
            others
                .map(|(_, row)| (row.pair, row.measures().to_vec()))
                .collect(),
        );
        let most = settings.rows as usize;
        while self.others.len() > 1 && self.others.values().map(Vec::len).sum::<usize>() > most {
            self.others.pop_first();
        }
    }

    /// A review decided a pair. A pair with a confirmed case is fraud, whatever its other cases were.
    pub(crate) fn decide(&mut self, pair: Pair, typology: Typology, outcome: Outcome, at_ms: i64) {
        let fraud = match outcome {
            Outcome::Confirmed => true,
            Outcome::Valuable | Outcome::FalsePositive => false,
            Outcome::InsufficientEvidence => return,
        };
        let Some(settings) = &self.settings else {
            return;
        };
        match self.decided.get_mut(&pair) {
            Some(decided) if fraud => {
                decided.fraud = true;
                decided.typology = typology;
            }
            Some(_) => {}
            None => {
                let Some(measures) = self.open.remove(&pair) else {
                    return;
                };
                let decided = Decided {
                    fraud,
                    typology,
                    measures,
                    at_ms,
                };
                self.decided.insert(pair, decided);
            }
        }
        while self.decided.len() > settings.rows as usize {
            let oldest = self
                .decided
                .iter()
                .min_by_key(|(pair, decided)| (decided.at_ms, **pair))
                .map(|(pair, _)| *pair);
            match oldest {
                Some(pair) => self.decided.remove(&pair),
                None => break,
            };
        }
    }

    /// An appeal opened a confirmed case again: it is no label until it is decided again.
    pub(crate) fn reopen(&mut self, pair: Pair) {
        if let Some(decided) = self.decided.remove(&pair) {
            self.open.insert(pair, decided.measures);
        }
    }

    fn labels(&self) -> u128 {
        let mut hasher = SipHasher24::new();
        for (pair, decided) in &self.decided {
            hasher.write_u64(pair.key());
            hasher.write_u8(u8::from(decided.fraud));
            hasher.write(decided.typology.code().as_bytes());
        }
        hasher.finish128().as_u128()
    }

    /// Trains where labels changed; true where there is a model to score with.
    pub(crate) fn learn(&mut self, at_ms: i64) -> bool {
        let Some(settings) = self.settings.clone() else {
            return false;
        };
        let confirmed = self.decided.values().filter(|pair| pair.fraud).count() as u32;
        if confirmed < settings.least_confirmed.max(1) {
            self.trained = None;
            return false;
        }
        let labels = self.labels();
        if self
            .trained
            .as_ref()
            .is_some_and(|last| last.labels == labels)
        {
            return true;
        }
        self.trained = self.train(&settings, labels, at_ms).ok();
        self.trained.is_some()
    }

    fn train(&self, settings: &Learning, labels: u128, at_ms: i64) -> Result<Trained, TableError> {
        let most = (settings.rows as usize).saturating_sub(self.decided.len());
        let others: Vec<&Vec<f32>> = self
            .others
            .values()
            .rev()
            .flatten()
            .filter(|(pair, _)| !self.decided.contains_key(pair))
            .map(|(_, measures)| measures)
            .take(most)
            .collect();
        let confirmed = self.decided.values().filter(|pair| pair.fraud).count();
        let defaults = Parameters::default();
        let parameters = Parameters {
            seeds: 1,
            trees: settings.trees as usize,
            rounds: settings.trees as usize,
            // Frauds that nobody found yet are among the others: most trees must not see one of them.
            sampled: (others.len() / (3 * confirmed.max(1))).clamp(1, defaults.sampled),
            ..defaults
        };
        let mut table = Table::new(Row::measure_names())?;
        let mut hasher = SipHasher24::new();
        hasher.write_u128(labels);
        hasher.write(format!("{parameters:?}").as_bytes());
        hasher.write(env!("CARGO_PKG_VERSION").as_bytes());
        let mut put = |label, measures: &[f32]| {
            for measure in measures {
                hasher.write_u32(measure.to_bits());
            }
            table.push(label, measures)
        };
        for decided in self.decided.values() {
            let label = if decided.fraud {
                Label::Fraud
            } else {
                Label::Honest
            };
            put(label, &decided.measures)?;
        }
        for measures in others {
            put(Label::Unknown, measures)?;
        }
        let seed = labels as u64;
        Ok(Trained {
            model: Model::train(&table, &parameters, seed)?,
            version: hasher.finish128().as_u128(),
            at_ms,
            confirmed: confirmed as u32,
            cleared: (self.decided.len() - confirmed) as u32,
            labels,
        })
    }

    /// The score of each row, in order; empty without a model.
    pub(crate) fn scores(&self, rows: &[Row]) -> Vec<f64> {
        let Some(trained) = &self.trained else {
            return Vec::new();
        };
        table_of(rows)
            .and_then(|table| trained.model.score(&table))
            .unwrap_or_default()
    }

    /// What it says of a row, where that is enough to be said; and the scheme of the confirmed case that is most like it, by the
    /// features that made the score.
    pub(crate) fn say(&self, row: &Row, score: f64) -> Option<(Scored, Typology)> {
        let (settings, trained) = (self.settings.as_ref()?, self.trained.as_ref()?);
        if score < settings.flag_from {
            return None;
        }
        let table = table_of(std::slice::from_ref(row)).ok()?;
        let why = trained.model.explain(&table, 0).ok()??;
        let strongest: Vec<(String, f32, f64)> = why.parts.into_iter().take(NAMED).collect();
        let names = Row::measure_names();
        let places: Vec<usize> = strongest
            .iter()
            .filter_map(|(name, ..)| names.iter().position(|known| known == name))
            .collect();
        let distance = |decided: &Decided| -> f64 {
            places
                .iter()
                .map(|at| {
                    let own = row.measures().get(*at).copied().map_or(0.0, f64::from);
                    let other = decided.measures.get(*at).copied().map_or(0.0, f64::from);
                    (own - other).abs() / (own.abs() + other.abs()).max(1e-9)
                })
                .sum()
        };
        let typology = self
            .decided
            .values()
            .filter(|decided| decided.fraud)
            .min_by(|a, b| {
                distance(a)
                    .total_cmp(&distance(b))
                    .then(a.typology.cmp(&b.typology))
            })?
            .typology;
        let band = match settings.mode {
            Mode::Shadow => Band::Watch,
            Mode::Flag => Band::Flag,
            Mode::Hold => Band::Hold,
        };
        let scored = Scored {
            score,
            band,
            model: trained.version,
            strongest,
        };
        Some((scored, typology))
    }
}

fn table_of(rows: &[Row]) -> Result<Table, TableError> {
    let mut table = Table::new(Row::measure_names())?;
    for row in rows {
        table.push(Label::Unknown, row.measures())?;
    }
    Ok(table)
}
