//! Extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 2006): at every node a few features, one
//! random threshold each, the purest split wins. Few frauds among many rows and heavy-tailed features are where they are
//! hard to beat: a random threshold between a node's extremes cuts the tail off, and nothing is fitted to single rows.

use super::rng::Rng;
use super::tree::{Node, Tree};

/// How a forest grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Share of the features that each node tries.
    pub(super) tried: f64,
}

/// Rows with a target of 0 or 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) rows: &'a [&'a [f32]],
    pub(super) fraud: &'a [bool],
}

impl Sample<'_> {
    pub(super) fn is_fraud(&self, row: u32) -> bool {
        self.fraud.get(row as usize).copied().unwrap_or(false)
    }

    pub(super) fn at(&self, row: u32, feature: usize) -> f32 {
        self.rows
            .get(row as usize)
            .and_then(|r| r.get(feature))
            .copied()
            .unwrap_or(f32::NAN)
    }
}

/// One tree over the rows named; a leaf is worth its share of frauds.
pub(super) fn grow(sample: Sample<'_>, mut rows: Vec<u32>, shape: Shape, rng: &mut Rng) -> Tree {
    let width = sample.rows.first().map_or(0, |r| r.len());
    let tried = ((width as f64 * shape.tried) as usize).clamp(1, width.max(1));
    let mut features: Vec<u32> = (0..width as u32).collect();
    let mut tree = Tree {
        nodes: vec![Node::leaf(0.0)],
    };
    // Node, and its part of `rows`.
    let mut open = vec![(0_usize, 0_usize, rows.len())];
    while let Some((at, from, to)) = open.pop() {
        let Some(part) = rows.get_mut(from..to) else {
            continue;
        };
        let frauds = part.iter().filter(|r| sample.is_fraud(**r)).count();
        let mut node = Node::leaf(frauds as f64 / part.len().max(1) as f64);
        let mut cut = None;
        if frauds > 0 && frauds < part.len() {
            cut = best_cut(sample, part, frauds, &mut features, tried, rng);
        }
        if let Some((feature, threshold, missing_left)) = cut {
            let middle = partition(part, |row| {
                let value = sample.at(row, feature as usize);
                if value.is_nan() {
                    missing_left
                } else {
                    value <= threshold
                }
            });
            let left = tree.nodes.len();
            node.feature = feature;
            node.threshold = threshold;
            node.missing_left = missing_left;
            node.left = left as u32;
            tree.nodes.extend([Node::leaf(0.0), Node::leaf(0.0)]);
            open.push((left, from, from + middle));
            open.push((left + 1, from + middle, to));
        }
        if let Some(slot) = tree.nodes.get_mut(at) {
            *slot = node;
        }
    }
    tree
}

/// The purest of one random cut each of some features, by Gini; `None` where the rows are all alike.
fn best_cut(
    sample: Sample<'_>,
    part: &[u32],
    frauds: usize,
    features: &mut [u32],
    tried: usize,
    rng: &mut Rng,
) -> Option<(u32, f32, bool)> {
    let mut best: Option<(f64, u32, f32, bool)> = None;
    let mut found = 0;
    // Features that are constant here do not count as tried.
    for at in 0..features.len() {
        if found == tried {
            break;
        }
        let other = at + rng.below(features.len() - at);
        features.swap(at, other);
        let feature = *features.get(at)?;
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for row in part {
            let value = sample.at(*row, feature as usize);
            // `NaN` is smaller and larger than nothing.
            low = low.min(value);
            high = high.max(value);
        }
        if low.partial_cmp(&high) != Some(std::cmp::Ordering::Less) {
            continue;
        }
        found += 1;
        let drawn = f64::from(low) + (f64::from(high) - f64::from(low)) * rng.unit();
        let threshold = (drawn as f32).clamp(low, high);
        let threshold = if threshold >= high { low } else { threshold };
        let missing_left = rng.next() & 1 == 0;
        let (mut left, mut left_frauds) = (0_usize, 0_usize);
        for row in part {
            let value = sample.at(*row, feature as usize);
            let goes_left = if value.is_nan() {
                missing_left
            } else {
                value <= threshold
            };
            left += usize::from(goes_left);
            left_frauds += usize::from(goes_left && sample.is_fraud(*row));
        }
        let purity = |n: usize, k: usize| {
            let (n, k) = (n as f64, k as f64);
            if n > 0.0 {
                (k * k + (n - k) * (n - k)) / n
            } else {
                0.0
            }
        };
        let gain = purity(left, left_frauds) + purity(part.len() - left, frauds - left_frauds);
        if best.is_none_or(|(most, ..)| gain > most) {
            best = Some((gain, feature, threshold, missing_left));
        }
    }
    best.map(|(_, feature, threshold, missing_left)| (feature, threshold, missing_left))
}

/// Moves the rows that go left to the front and says how many they are.
pub(super) fn partition(rows: &mut [u32], mut left: impl FnMut(u32) -> bool) -> usize {
    let mut front = 0;
    for at in 0..rows.len() {
        if rows.get(at).is_some_and(|row| left(*row)) {
            rows.swap(front, at);
            front += 1;
        }
    }
    front
}
