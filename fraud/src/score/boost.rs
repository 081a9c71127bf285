//! Gradient boosting of the log-odds (Friedman 2001; second order and regularised as in XGBoost, leaf by leaf on histograms
//! as in LightGBM), with a share of the rows and of the features drawn for each tree.

use super::forest::{Sample, partition};
use super::rng::Rng;
use super::tree::{Node, Tree};

/// How a boosted model grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) rounds: usize,
    pub(super) rate: f64,
    pub(super) leaves: usize,
    pub(super) rows: f64,
    pub(super) features: f64,
    pub(super) least_rows: usize,
    pub(super) ridge: f64,
}

/// Bins of a feature; the last one is for rows without the value.
const BINS: usize = 64;
const MISSING: u8 = BINS as u8;

/// A boosted model: trees that add to a base of log-odds.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Boosted {
    pub(super) base: f64,
    pub(super) trees: Vec<Tree>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    gradient: f64,
    curvature: f64,
    rows: usize,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.gradient += other.gradient;
        self.curvature += other.curvature;
        self.rows += other.rows;
    }

    fn less(self, other: Self) -> Self {
        Self {
            gradient: self.gradient - other.gradient,
            curvature: self.curvature - other.curvature,
            rows: self.rows - other.rows,
        }
    }

    fn gain(self, ridge: f64) -> f64 {
        self.gradient * self.gradient / (self.curvature + ridge)
    }

    fn step(self, ridge: f64) -> f64 {
        -self.gradient / (self.curvature + ridge)
    }
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    gain: f64,
    feature: u32,
    bin: u8,
    missing_left: bool,
}

/// Features as bins, by column.
struct Binned {
    edges: Vec<Vec<f32>>,
    bins: Vec<Vec<u8>>,
}

impl Binned {
    fn new(sample: Sample<'_>) -> Self {
        let width = sample.rows.first().map_or(0, |r| r.len());
        let mut edges = Vec::with_capacity(width);
        let mut bins = Vec::with_capacity(width);
        for feature in 0..width {
            let column: Vec<f32> = sample
                .rows
                .iter()
                .map(|row| row.get(feature).copied().unwrap_or(f32::NAN))
                .collect();
            let cuts = quantiles(&column);
            bins.push(
                column
                    .iter()
                    .map(|value| {
                        if value.is_nan() {
                            MISSING
                        } else {
                            cuts.partition_point(|edge| edge < value) as u8
                        }
                    })
                    .collect(),
            );
            edges.push(cuts);
        }
        Self { edges, bins }
    }

    fn bin(&self, row: u32, feature: u32) -> u8 {
        self.bins
            .get(feature as usize)
            .and_then(|column| column.get(row as usize))
            .copied()
            .unwrap_or(MISSING)
    }
}

/// Upper ends of the bins but the last: midways between neighbours at the quantiles.
fn quantiles(column: &[f32]) -> Vec<f32> {
    let mut sorted: Vec<f32> = column.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let mut edges = Vec::new();
    for at in 1..BINS {
        let place = at * sorted.len() / BINS;
        let Some(low) = sorted.get(place.wrapping_sub(1)) else {
            continue;
        };
        // The next larger value, so that an edge lies between two values that differ.
        let next = sorted.partition_point(|v| v <= low);
        if let Some(high) = sorted.get(next) {
            let edge = low + (high - low) / 2.0;
            let edge = if edge >= *high { *low } else { edge };
            if edges.last().is_none_or(|last| *last < edge) {
                edges.push(edge);
            }
        }
    }
    edges
}

/// The logistic function.
pub(super) fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-log_odds))
}

/// Fits the model.
pub(super) fn fit(sample: Sample<'_>, shape: Shape, rng: &mut Rng) -> Boosted {
    let len = sample.rows.len();
    let frauds = sample.fraud.iter().filter(|f| **f).count();
    let base = libm::log((frauds as f64 + 0.5) / ((len - frauds) as f64 + 0.5));
    let binned = Binned::new(sample);
    let mut scores = vec![base; len];
    let mut all: Vec<u32> = (0..len as u32).collect();
    let mut features: Vec<u32> = (0..binned.edges.len() as u32).collect();
    let drawn_rows = ((len as f64 * shape.rows) as usize).clamp(1, len.max(1));
    let drawn = ((features.len() as f64 * shape.features) as usize).clamp(1, features.len().max(1));
    let mut trees = Vec::with_capacity(shape.rounds);
    let mut slopes = vec![(0.0, 0.0); len];
    for _ in 0..shape.rounds {
        for (at, slope) in slopes.iter_mut().enumerate() {
            let p = logistic(scores.get(at).copied().unwrap_or(base));
            let y = f64::from(u8::from(sample.is_fraud(at as u32)));
            *slope = (p - y, (p * (1.0 - p)).max(1e-9));
        }
        rng.draw(&mut all, drawn_rows);
        rng.draw(&mut features, drawn);
        let rows = all.get(..drawn_rows).unwrap_or(&[]).to_vec();
        let tree = grow(
            &binned,
            rows,
            features.get(..drawn).unwrap_or(&[]),
            &slopes,
            shape,
        );
        for (score, row) in scores.iter_mut().zip(sample.rows) {
            *score += tree.value(row);
        }
        trees.push(tree);
    }
    Boosted { base, trees }
}

struct Leaf {
    at: usize,
    rows: Vec<u32>,
    sums: Sums,
    cut: Option<Cut>,
}

/// One tree: the leaf whose cut gains most is split next.
fn grow(
    binned: &Binned,
    rows: Vec<u32>,
    features: &[u32],
    slopes: &[(f64, f64)],
    shape: Shape,
) -> Tree {
    let leaf = |at: usize, rows: Vec<u32>| {
        let mut sums = Sums::default();
        for row in &rows {
            sums.add(slope(slopes, *row));
        }
        let cut = best_cut(binned, &rows, features, slopes, sums, shape);
        Leaf {
            at,
            rows,
            sums,
            cut,
        }
    };
    let worth = |sums: Sums| Node::leaf(sums.step(shape.ridge) * shape.rate);
    let root = leaf(0, rows);
    let mut tree = Tree {
        nodes: vec![worth(root.sums)],
    };
    let mut leaves = vec![root];
    while leaves.len() < shape.leaves {
        let best = leaves
            .iter()
            .enumerate()
            .filter_map(|(at, leaf)| leaf.cut.map(|cut| (at, cut)))
            .max_by(|a, b| a.1.gain.total_cmp(&b.1.gain).then(b.0.cmp(&a.0)));
        let Some((chosen, cut)) = best else { break };
        let Leaf { at, mut rows, .. } = leaves.swap_remove(chosen);
        let middle = partition(&mut rows, |row| match binned.bin(row, cut.feature) {
            MISSING => cut.missing_left,
            bin => bin <= cut.bin,
        });
        let right_rows = rows.split_off(middle);
        let next = tree.nodes.len();
        if let Some(node) = tree.nodes.get_mut(at) {
            node.feature = cut.feature;
            node.missing_left = cut.missing_left;
            node.left = next as u32;
            node.threshold = binned
                .edges
                .get(cut.feature as usize)
                .and_then(|edges| edges.get(usize::from(cut.bin)))
                .copied()
                .unwrap_or(f32::INFINITY);
        }
        for (offset, rows) in [rows, right_rows].into_iter().enumerate() {
            let grown = leaf(next + offset, rows);
            tree.nodes.push(worth(grown.sums));
            leaves.push(grown);
        }
    }
    tree
}

fn slope(slopes: &[(f64, f64)], row: u32) -> Sums {
    let (gradient, curvature) = slopes.get(row as usize).copied().unwrap_or_default();
    Sums {
        gradient,
        curvature,
        rows: 1,
    }
}

/// The cut of some feature that gains most; `None` where none gains.
fn best_cut(
    binned: &Binned,
    rows: &[u32],
    features: &[u32],
    slopes: &[(f64, f64)],
    total: Sums,
    shape: Shape,
) -> Option<Cut> {
    let mut best: Option<Cut> = None;
    for feature in features {
        let column = binned.bins.get(*feature as usize)?;
        let edges = binned.edges.get(*feature as usize)?.len();
        let mut sums = [Sums::default(); BINS + 1];
        for row in rows {
            let bin = column.get(*row as usize).copied().unwrap_or(MISSING);
            if let Some(slot) = sums.get_mut(usize::from(bin)) {
                slot.add(slope(slopes, *row));
            }
        }
        let missing = sums.get(BINS).copied().unwrap_or_default();
        let mut below = Sums::default();
        for (bin, here) in sums.iter().take(edges).enumerate() {
            below.add(*here);
            for missing_left in [false, true] {
                if missing_left && missing.rows == 0 {
                    continue;
                }
                let mut left = below;
                if missing_left {
                    left.add(missing);
                }
                let right = total.less(left);
                if left.rows < shape.least_rows || right.rows < shape.least_rows {
                    continue;
                }
                let gain =
                    left.gain(shape.ridge) + right.gain(shape.ridge) - total.gain(shape.ridge);
                if gain > 1e-9 && best.is_none_or(|b| gain > b.gain) {
                    best = Some(Cut {
                        gain,
                        feature: *feature,
                        bin: bin as u8,
                        missing_left,
                    });
                }
            }
        }
    }
    best
}
