//! Inclusion and consistency proofs, planned first and assembled from one fetch.

use super::coordinate::{Location, RangeError, RowError, check_size, complete_subtrees};
use super::hash::{Hash, fold_peaks};

/// What a proof is made of. Each hash of the proof is the root of a range of leaves; a range that is not complete
/// (the right edge) is folded from the complete subtrees that it consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    needed: Vec<Location>,
    /// For each hash of the proof, how many of `needed` it is folded from.
    folds: Vec<usize>,
}

impl ProofPlan {
    fn empty() -> Self {
        Self {
            needed: Vec::new(),
            folds: Vec::new(),
        }
    }

    /// The stored hashes to fetch, in the order in which [`ProofPlan::assemble`] wants them.
    pub fn needed(&self) -> &[Location] {
        &self.needed
    }

    /// The proof's hashes in the order of RFC 6962, from the hashes at [`ProofPlan::needed`].
    pub fn assemble(&self, hashes: &[Hash]) -> Result<Vec<Hash>, RowError> {
        let miscounted = RowError::Count {
            found: hashes.len(),
            expected: self.needed.len(),
        };
        let mut rest = hashes;
        let mut proof = Vec::with_capacity(self.folds.len());
        for &count in &self.folds {
            let (peaks, behind) = rest.split_at_checked(count).ok_or(miscounted)?;
            proof.push(fold_peaks(peaks).ok_or(miscounted)?);
            rest = behind;
        }
        if rest.is_empty() {
            Ok(proof)
        } else {
            Err(miscounted)
        }
    }

    /// Adds the root of the leaves `from..to` to the proof.
    fn push(&mut self, from: u64, to: u64) {
        let before = self.needed.len();
        self.needed.extend(complete_subtrees(from, to));
        self.folds.push(self.needed.len() - before);
    }

    /// The ranges are found from the root downwards, but a proof lists them upwards.
    fn from_top_down(ranges: &[(u64, u64)]) -> Self {
        let mut plan = Self::empty();
        for &(from, to) in ranges.iter().rev() {
            plan.push(from, to);
        }
        plan
    }
}

/// Where RFC 6962 splits the leaves `from..to` (at least two): behind the largest power of two below their number.
fn split(from: u64, to: u64) -> u64 {
    from + (1 << (to - from - 1).ilog2())
}

/// Plans the proof that leaf `leaf` (from 0) is in the tree of `size` leaves: PATH of RFC 6962 section 2.1.1.
pub fn inclusion_plan(leaf: u64, size: u64) -> Result<ProofPlan, RangeError> {
    check_size(size)?;
    if leaf >= size {
        return Err(RangeError::LeafOutside { leaf, size });
    }
    let (mut from, mut to) = (0, size);
    let mut siblings = Vec::new();
    while to - from > 1 {
        let middle = split(from, to);
        if leaf < middle {
            siblings.push((middle, to));
            to = middle;
        } else {
            siblings.push((from, middle));
            from = middle;
        }
    }
    Ok(ProofPlan::from_top_down(&siblings))
}

/// Plans the proof that the tree of `to` leaves extends that of `from` leaves: PROOF of RFC 6962 section 2.1.2. Empty
/// for equal sizes, and from the empty tree, which every tree extends.
pub fn consistency_plan(from: u64, to: u64) -> Result<ProofPlan, RangeError> {
    check_size(to)?;
    if from > to {
        return Err(RangeError::Shrinks { from, to });
    }
    if from == 0 || from == to {
        return Ok(ProofPlan::empty());
    }
    let (mut left, mut right) = (0, to);
    let mut ranges = Vec::new();
    // The verifier knows the older root; it stands for the range until the walk has once gone to the right.
    let mut is_older_root = true;
    while from != right {
        let middle = split(left, right);
        if from <= middle {
            ranges.push((middle, right));
            right = middle;
        } else {
            ranges.push((left, middle));
            left = middle;
            is_older_root = false;
        }
    }
    if !is_older_root {
        ranges.push((left, right));
    }
    Ok(ProofPlan::from_top_down(&ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(plan: &ProofPlan) -> Vec<(u64, u8)> {
        plan.needed().iter().map(|l| (l.seq, l.position)).collect()
    }

    #[test]
    fn the_example_tree_of_rfc_6962() {
        // Section 2.1.3, seven leaves. "The audit path for d0 is [b, h, l]", l being folded from k and j.
        let path = inclusion_plan(0, 7).unwrap();
        assert_eq!(locations(&path), [(1, 0), (3, 1), (5, 1), (6, 0)]);
        assert_eq!(path.folds, [1, 1, 2]);
        // "The audit path for d6 is [i, k]."
        let path = inclusion_plan(6, 7).unwrap();
        assert_eq!(locations(&path), [(5, 1), (3, 2)]);
        // "The consistency proof between hash0 and hash is [c, d, g, l]."
        let proof = consistency_plan(3, 7).unwrap();
        assert_eq!(locations(&proof), [(2, 0), (3, 0), (1, 1), (5, 1), (6, 0)]);
        assert_eq!(proof.folds, [1, 1, 1, 2]);
        // "Between hash1 and hash is [l]", "between hash2 and hash is [i, j, k]".
        assert_eq!(
            locations(&consistency_plan(4, 7).unwrap()),
            [(5, 1), (6, 0)]
        );
        assert_eq!(
            locations(&consistency_plan(6, 7).unwrap()),
            [(5, 1), (6, 0), (3, 2)]
        );
    }

    #[test]
    fn trivial_consistency_is_empty() {
        assert_eq!(consistency_plan(0, 9).unwrap().assemble(&[]), Ok(vec![]));
        assert_eq!(consistency_plan(9, 9).unwrap().assemble(&[]), Ok(vec![]));
    }

    #[test]
    fn what_is_not_in_the_tree_has_no_proof() {
        assert_eq!(
            inclusion_plan(5, 5),
            Err(RangeError::LeafOutside { leaf: 5, size: 5 })
        );
        assert_eq!(
            consistency_plan(6, 5),
            Err(RangeError::Shrinks { from: 6, to: 5 })
        );
        assert_eq!(
            inclusion_plan(0, u64::MAX),
            Err(RangeError::TooLarge(u64::MAX))
        );
    }

    #[test]
    fn assembling_wants_exactly_the_needed_hashes() {
        let plan = inclusion_plan(0, 7).unwrap();
        for count in [0, 3, 5] {
            assert_eq!(
                plan.assemble(&vec![[0; 32]; count]),
                Err(RowError::Count {
                    found: count,
                    expected: 4
                })
            );
        }
    }
}
