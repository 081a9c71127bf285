//! One decision tree, and what each feature adds on the way to a leaf.

use serde::{Deserialize, Serialize};

/// A node; a leaf has no feature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// The feature asked, or `u32::MAX` in a leaf.
    pub(super) feature: u32,
    /// Rows whose value is at most this go left.
    pub(super) threshold: f32,
    /// Whether rows without the value go left.
    pub(super) missing_left: bool,
    /// The left child; the right one is behind it.
    pub(super) left: u32,
    /// What the rows of the node are worth.
    pub(super) value: f64,
}

impl Node {
    pub(super) const fn leaf(value: f64) -> Self {
        Self {
            feature: u32::MAX,
            threshold: 0.0,
            missing_left: true,
            left: 0,
            value,
        }
    }
}

/// A tree; the root is the first node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    fn step(&self, node: &Node, row: &[f32]) -> Option<&Node> {
        let value = row.get(node.feature as usize)?;
        let left = if value.is_nan() {
            node.missing_left
        } else {
            *value <= node.threshold
        };
        self.nodes.get(node.left as usize + usize::from(!left))
    }

    /// The value of the row's leaf.
    pub(super) fn value(&self, row: &[f32]) -> f64 {
        let Some(mut node) = self.nodes.first() else {
            return 0.0;
        };
        while let Some(next) = self.step(node, row) {
            node = next;
        }
        node.value
    }

    /// Adds what each feature changes on the way from the root to the row's leaf (Saabas): the sum is the leaf's value less
    /// the root's. Returns the root's value.
    pub(super) fn explain(&self, row: &[f32], scale: f64, into: &mut [f64]) -> f64 {
        let Some(root) = self.nodes.first() else {
            return 0.0;
        };
        let mut node = root;
        while let Some(next) = self.step(node, row) {
            if let Some(slot) = into.get_mut(node.feature as usize) {
                *slot += (next.value - node.value) * scale;
            }
            node = next;
        }
        root.value
    }
}
