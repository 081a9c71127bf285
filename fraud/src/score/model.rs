//! The scorer: what is learnt from a table, the score of a row, and why.

use super::boost::{self, Boosted, logistic};
use super::forest::{self, Sample};
use super::prior::Prior;
use super::rng::Rng;
use super::table::{Label, Table, TableError};
use super::tree::Tree;

/// How a model is trained. Part of its version.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Parameters {
    /// Independent trainings whose scores are averaged.
    pub seeds: u32,
    /// Randomised trees per training.
    pub trees: usize,
    /// Share of the features that each node of them tries.
    pub tried: f64,
    /// Boosted trees per training.
    pub rounds: usize,
    /// How far each boosted tree goes.
    pub rate: f64,
    /// Leaves of a boosted tree.
    pub leaves: usize,
    /// Share of the rows drawn for each boosted tree.
    pub rows: f64,
    /// Share of the features drawn for each boosted tree.
    pub features: f64,
    /// Fewest rows of a boosted leaf.
    pub least_rows: usize,
    /// Weight of the boosted trees in the score; the randomised ones have the rest.
    pub boosted: f64,
    /// Frauds below which trees see samples of the unlabelled rows, and no tree is boosted.
    pub few: usize,
    /// Unlabelled rows per fraud in such a sample.
    pub sampled: usize,
    /// So many frauds weigh as much as the prior.
    pub prior: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            seeds: 5,
            trees: 200,
            tried: 0.3,
            rounds: 200,
            rate: 0.05,
            leaves: 8,
            rows: 0.7,
            features: 0.15,
            least_rows: 10,
            boosted: 0.5,
            few: 30,
            sampled: 30,
            prior: 3.0,
        }
    }
}

/// What a model learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// No confirmed fraud: general knowledge and how unusual a row is.
    Unsupervised,
    /// A handful: trees over samples of the unlabelled rows, and the prior.
    FewLabels,
    /// Enough.
    Supervised,
}

/// A trained scorer.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Model {
    columns: Vec<String>,
    regime: Regime,
    prior: Prior,
    prior_weight: f64,
    boosted_weight: f64,
    forest: Vec<Tree>,
    boosted: Vec<Boosted>,
}

/// Why a row has its score: log-odds, what every row starts from, and what each feature adds.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The score in log-odds.
    pub log_odds: f64,
    /// Where every row starts.
    pub base: f64,
    /// What each feature adds, strongest first: its name, its value in the row, the log-odds it adds.
    pub parts: Vec<(String, f32, f64)>,
}

impl Model {
    /// Trains. Rows nobody looked at count as honest where frauds are many, and are drawn in samples where they are few
    /// (bagging of positive and unlabelled rows: Mordelet and Vert, Pattern Recognition Letters 37, 2014): the few frauds
    /// hidden among them then mislead few trees.
    ///
    /// # Errors
    /// [`TableError::NoRow`] where there is nothing to learn from.
    pub fn train(table: &Table, parameters: &Parameters, seed: u64) -> Result<Self, TableError> {
        if table.is_empty() {
            return Err(TableError::NoRow);
        }
        let rows: Vec<&[f32]> = table.rows().collect();
        let fraud: Vec<bool> = table.labels().iter().map(|l| *l == Label::Fraud).collect();
        let frauds = table.count(Label::Fraud);
        let unknown = table.count(Label::Unknown);
        let regime = if frauds == 0 || frauds == rows.len() {
            Regime::Unsupervised
        } else if unknown > 0 && frauds < parameters.few {
            Regime::FewLabels
        } else {
            Regime::Supervised
        };
        let mut model = Self {
            columns: table.columns().to_vec(),
            regime,
            prior: Prior::fit(table.columns(), &rows),
            prior_weight: match regime {
                Regime::Unsupervised => 1.0,
                Regime::FewLabels | Regime::Supervised => parameters.prior / frauds as f64,
            },
            boosted_weight: match regime {
                Regime::Supervised => parameters.boosted,
                Regime::Unsupervised | Regime::FewLabels => 0.0,
            },
            forest: Vec::new(),
            boosted: Vec::new(),
        };
        let sample = Sample {
            rows: &rows,
            fraud: &fraud,
        };
        for training in 0..u64::from(parameters.seeds.max(1)) {
            let mut rng = Rng::new(seed, training);
            match regime {
                Regime::Unsupervised => {}
                Regime::FewLabels => model.bag(sample, table.labels(), parameters, &mut rng),
                Regime::Supervised => model.learn(sample, parameters, &mut rng),
            }
        }
        Ok(model)
    }

    fn bag(&mut self, sample: Sample<'_>, labels: &[Label], by: &Parameters, rng: &mut Rng) {
        let with = |label: Label| -> Vec<u32> {
            (0_u32..)
                .zip(labels)
                .filter(|(_, l)| **l == label)
                .map(|(at, _)| at)
                .collect()
        };
        let known: Vec<u32> = [with(Label::Fraud), with(Label::Honest)].concat();
        let frauds = with(Label::Fraud).len();
        let mut unknown = with(Label::Unknown);
        for _ in 0..by.trees {
            let drawn = (frauds * by.sampled).min(unknown.len());
            rng.draw(&mut unknown, drawn);
            let rows = [known.as_slice(), unknown.get(..drawn).unwrap_or(&[])].concat();
            self.forest
                .push(forest::grow(sample, rows, by.forest(), rng));
        }
    }

    fn learn(&mut self, sample: Sample<'_>, by: &Parameters, rng: &mut Rng) {
        let all: Vec<u32> = (0..sample.rows.len() as u32).collect();
        for _ in 0..by.trees {
            self.forest
                .push(forest::grow(sample, all.clone(), by.forest(), rng));
        }
        if by.boosted > 0.0 {
            self.boosted.push(boost::fit(sample, by.boost(), rng));
        }
    }

    /// The columns it was trained on.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What it learnt from.
    #[must_use]
    pub fn regime(&self) -> Regime {
        self.regime
    }

    /// The scores of a table's rows, in order: between 0 and 1, a rank more than a probability.
    ///
    /// # Errors
    /// [`TableError::Missing`] where a column that it was trained on is not there.
    pub fn score(&self, table: &Table) -> Result<Vec<f64>, TableError> {
        let table = table.arranged(&self.columns)?;
        Ok(table
            .rows()
            .map(|row| logistic(self.log_odds(row)))
            .collect())
    }

    fn log_odds(&self, row: &[f32]) -> f64 {
        let learnt = self.forest_share(row).map_or(0.0, log_odds) * (1.0 - self.boosted_weight)
            + self.boosted_log_odds(row) * self.boosted_weight;
        learnt + self.prior_weight * self.prior.value(row)
    }

    fn forest_share(&self, row: &[f32]) -> Option<f64> {
        let sum: f64 = self.forest.iter().map(|tree| tree.value(row)).sum();
        (!self.forest.is_empty()).then(|| sum / self.forest.len() as f64)
    }

    fn boosted_log_odds(&self, row: &[f32]) -> f64 {
        let one = |model: &Boosted| {
            model.base + model.trees.iter().map(|tree| tree.value(row)).sum::<f64>()
        };
        let sum: f64 = self.boosted.iter().map(one).sum();
        sum / self.boosted.len().max(1) as f64
    }

    /// Why the row at this place has its score; `None` where there is no such row.
    ///
    /// # Errors
    /// [`TableError::Missing`] where a column that it was trained on is not there.
    pub fn explain(&self, table: &Table, at: usize) -> Result<Option<Explanation>, TableError> {
        if at >= table.len() {
            return Ok(None);
        }
        let table = table.arranged(&self.columns)?;
        let row = table.row(at);
        let mut added = vec![0.0; self.columns.len()];
        let mut base = self.prior.explain(row, self.prior_weight, &mut added);
        if let Some(share) = self.forest_share(row) {
            // Shares add up along the paths; they are stretched to log-odds, which the score is in.
            let mut shares = vec![0.0; self.columns.len()];
            let each = 1.0 / self.forest.len() as f64;
            let mut root = 0.0;
            for tree in &self.forest {
                root += tree.explain(row, each, &mut shares) * each;
            }
            let weight = 1.0 - self.boosted_weight;
            let moved = share - root;
            let stretch = if moved.abs() > 1e-12 {
                (log_odds(share) - log_odds(root)) / moved * weight
            } else {
                0.0
            };
            base += log_odds(root) * weight;
            for (slot, share) in added.iter_mut().zip(shares) {
                *slot += share * stretch;
            }
        }
        let each = self.boosted_weight / self.boosted.len().max(1) as f64;
        for model in &self.boosted {
            base += model.base * each;
            for tree in &model.trees {
                base += tree.explain(row, each, &mut added) * each;
            }
        }
        let mut parts: Vec<(String, f32, f64)> = self
            .columns
            .iter()
            .zip(row)
            .zip(added)
            .filter(|(_, added)| *added != 0.0)
            .map(|((name, value), added)| (name.clone(), *value, added))
            .collect();
        parts.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
        Ok(Some(Explanation {
            log_odds: self.log_odds(row),
            base,
            parts,
        }))
    }
}

impl Parameters {
    fn forest(&self) -> forest::Shape {
        forest::Shape { tried: self.tried }
    }

    fn boost(&self) -> boost::Shape {
        boost::Shape {
            rounds: self.rounds,
            rate: self.rate,
            leaves: self.leaves,
            rows: self.rows,
            features: self.features,
            least_rows: self.least_rows,
            ridge: 1.0,
        }
    }
}

/// Log-odds of a share of trees; a share of none or all says no more than one in a thousand.
fn log_odds(share: f64) -> f64 {
    let share = share.clamp(0.001, 0.999);
    libm::log(share / (1.0 - share))
}
