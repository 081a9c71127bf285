//! A group being appended: its rows, its new root and its receipts' proofs, all from memory.

use super::coordinate::{Location, RangeError, RowError, hash_at};
use super::frontier::Frontier;
use super::hash::Hash;
use super::proof::{ProofPlan, consistency_plan, inclusion_plan};

/// The tree before a group, and the rows of the group so far. The proofs for the group's own leaves need only these:
/// a sibling to the left that lies wholly before the group is one of the old frontier's peaks, and all others end in
/// a row of the group. So receipts cost the store nothing.
#[derive(Clone, Debug)]
pub struct Extension {
    before: Frontier,
    after: Frontier,
    rows: Vec<Vec<u8>>,
}

/// A proof of a group's own could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// The leaf is not in the tree.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A hash is not held: the leaf is older than the group.
    #[error(transparent)]
    Row(#[from] RowError),
}

impl Extension {
    /// Begins a group behind the given tree.
    pub fn new(before: Frontier) -> Self {
        Self {
            after: before.clone(),
            before,
            rows: Vec::new(),
        }
    }

    /// Appends a leaf; returns its `seq` and the `tree_hashes` of its row.
    pub fn append(&mut self, leaf_hash: Hash) -> (u64, Vec<u8>) {
        let seq = self.after.size();
        let row = self.after.append(leaf_hash);
        self.rows.push(row.clone());
        (seq, row)
    }

    /// The tree with the group.
    pub fn frontier(&self) -> &Frontier {
        &self.after
    }

    /// The tree with the group, for the next group.
    pub fn into_frontier(self) -> Frontier {
        self.after
    }

    /// Inclusion proof of a leaf of the group in the tree with the group.
    pub fn inclusion(&self, leaf: u64) -> Result<Vec<Hash>, ExtensionError> {
        self.prove(&inclusion_plan(leaf, self.after.size())?)
    }

    /// Consistency proof from the tree before the group to the tree with it.
    pub fn consistency(&self) -> Result<Vec<Hash>, ExtensionError> {
        self.prove(&consistency_plan(self.before.size(), self.after.size())?)
    }

    fn prove(&self, plan: &ProofPlan) -> Result<Vec<Hash>, ExtensionError> {
        let hashes: Result<Vec<Hash>, RowError> =
            plan.needed().iter().map(|&at| self.hash(at)).collect();
        Ok(plan.assemble(&hashes?)?)
    }

    fn hash(&self, at: Location) -> Result<Hash, RowError> {
        let missing = RowError::Missing(at.seq);
        let Some(number) = at.seq.checked_sub(self.before.size()) else {
            return self.before.peak(at).ok_or(missing);
        };
        let row = usize::try_from(number)
            .ok()
            .and_then(|number| self.rows.get(number))
            .ok_or(missing)?;
        hash_at(at, row)
    }
}

#[cfg(test)]
mod tests {
    use super::super::coordinate::pick;
    use super::super::hash::leaf_hash;
    use super::*;

    #[test]
    fn proofs_from_memory_are_those_from_the_store() {
        let mut rows: Vec<Vec<u8>> = Vec::new();
        let mut frontier = Frontier::new();
        let from_store = |rows: &[Vec<u8>], plan: &ProofPlan| {
            let hashes = pick(plan.needed(), |seq| {
                rows.get(seq as usize).map(Vec::as_slice)
            });
            plan.assemble(&hashes.unwrap()).unwrap()
        };
        for length in (0_u64..40).cycle().take(120) {
            let start = frontier.size();
            let mut group = Extension::new(frontier);
            for n in 0..length {
                let (seq, row) = group.append(leaf_hash(&u64::to_be_bytes(start + n)));
                assert_eq!(seq, start + n);
                rows.push(row);
            }
            let size = start + length;
            for leaf in start..size {
                let plan = inclusion_plan(leaf, size).unwrap();
                assert_eq!(group.inclusion(leaf), Ok(from_store(&rows, &plan)));
            }
            let plan = consistency_plan(start, size).unwrap();
            assert_eq!(group.consistency(), Ok(from_store(&rows, &plan)));
            frontier = group.into_frontier();
        }
    }

    #[test]
    fn a_leaf_outside_the_tree_has_no_proof() {
        let mut group = Extension::new(Frontier::new());
        group.append([1; 32]);
        assert_eq!(
            group.inclusion(1),
            Err(RangeError::LeafOutside { leaf: 1, size: 1 }.into())
        );
    }
}
