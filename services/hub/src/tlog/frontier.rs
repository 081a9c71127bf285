//! The right edge of the tree: all that appending needs.

use super::coordinate::{Location, RangeError, RowError, check_size, complete_subtrees};
use super::hash::{Hash, empty_root, fold_peaks, node_hash};

/// The roots of the complete subtrees that a tree of `size` leaves consists of, one for each bit set in `size`.
/// Costs at most 52 hashes of memory; appending a leaf costs two node hashes on average.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// From left to right, so largest first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stored hashes that [`Frontier::restore`] needs for a tree of `size` leaves.
    pub fn needed(size: u64) -> Result<Vec<Location>, RangeError> {
        check_size(size)?;
        Ok(complete_subtrees(0, size).collect())
    }

    /// The frontier of a tree of `size` leaves, from the hashes at [`Frontier::needed`], in that order. Compare
    /// [`Frontier::root`] with a signed checkpoint before trusting it.
    pub fn restore(size: u64, hashes: Vec<Hash>) -> Result<Self, RowError> {
        let expected = size.count_ones() as usize;
        if hashes.len() != expected {
            return Err(RowError::Count {
                found: hashes.len(),
                expected,
            });
        }
        Ok(Self {
            size,
            peaks: hashes,
        })
    }

    /// Number of leaves; also the `seq` of the next one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        fold_peaks(&self.peaks).unwrap_or_else(empty_root)
    }

    /// Appends a leaf and returns the `tree_hashes` of its row: its own hash, then the roots of the subtrees that it
    /// completes, bottom-up.
    pub fn append(&mut self, leaf_hash: Hash) -> Vec<u8> {
        // A complete subtree ends here for each trailing one of the leaf's number: its left half is a peak.
        let completed = self.size.trailing_ones() as usize;
        let mut tree_hashes = Vec::with_capacity(32 * (1 + completed));
        tree_hashes.extend_from_slice(&leaf_hash);
        let mut top = leaf_hash;
        let kept = self.peaks.len() - completed;
        for left in self.peaks.drain(kept..).rev() {
            top = node_hash(&left, &top);
            tree_hashes.extend_from_slice(&top);
        }
        self.peaks.push(top);
        self.size += 1;
        tree_hashes
    }

    /// The hash at a location if it is one of the frontier's own.
    pub(super) fn peak(&self, location: Location) -> Option<Hash> {
        let number = complete_subtrees(0, self.size).position(|peak| peak == location)?;
        self.peaks.get(number).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::coordinate::pick;
    use super::super::hash::leaf_hash;
    use super::*;

    #[test]
    fn the_empty_tree_has_the_root_of_rfc_6962() {
        let root: String = Frontier::new()
            .root()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            root,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_row_holds_one_hash_per_completed_subtree() {
        let mut frontier = Frontier::new();
        for n in 0_u64..1_000 {
            let row = frontier.append(leaf_hash(&n.to_be_bytes()));
            assert_eq!(row.len(), 32 * (1 + n.trailing_ones() as usize));
            assert_eq!(row[..32], leaf_hash(&n.to_be_bytes()));
            assert_eq!(frontier.size(), n + 1);
        }
    }

    #[test]
    fn restoring_at_any_size_goes_on_as_if_never_stopped() {
        let mut frontier = Frontier::new();
        let mut rows: Vec<Vec<u8>> = Vec::new();
        for n in 0_u64..600 {
            let needed = Frontier::needed(n).unwrap();
            let hashes = pick(&needed, |seq| rows.get(seq as usize).map(Vec::as_slice)).unwrap();
            assert_eq!(Frontier::restore(n, hashes).unwrap(), frontier);
            rows.push(frontier.append(leaf_hash(&n.to_be_bytes())));
        }
    }

    #[test]
    fn restoring_wants_exactly_the_needed_hashes() {
        assert_eq!(
            Frontier::restore(3, vec![[0; 32]]),
            Err(RowError::Count {
                found: 1,
                expected: 2
            })
        );
        assert_eq!(
            Frontier::needed(u64::MAX),
            Err(RangeError::TooLarge(u64::MAX))
        );
    }
}
