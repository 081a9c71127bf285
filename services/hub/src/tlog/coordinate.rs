//! Where a tree hash is kept, and how it is taken out of the row of its entry.

use super::hash::Hash;

/// The largest number of leaves: a position in the log packs `seq << 12` into 64 bits.
pub const MAX_SIZE: u64 = 1 << 52;

/// Length of a hash. Unit: bytes.
const HASH_LEN: usize = 32;

/// Where one stored hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The entry whose row holds the hash: its leaf index, from 0.
    pub seq: u64,
    /// Which of the row's hashes it is, from 0; also the level of the subtree whose root it is.
    pub position: u8,
}

/// The caller asked for what does not exist in a tree of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The leaf is not in the tree.
    #[error("leaf {leaf} is not in a tree of {size} leaves")]
    LeafOutside {
        /// The leaf asked for, from 0.
        leaf: u64,
        /// Leaves in the tree.
        size: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {to} leaves does not extend one of {from} leaves")]
    Shrinks {
        /// Leaves in the older tree.
        from: u64,
        /// Leaves in the newer tree.
        to: u64,
    },
    /// No tree has this many leaves.
    #[error("{0} leaves are more than a tree can have")]
    TooLarge(u64),
    /// A tile level that is not -1 to 6, or a tree level that is not 0 to 52.
    #[error("level {0} does not exist")]
    Level(i64),
    /// A tile's width is 1 to 255 for a partial tile or 0 for a full one.
    #[error("a tile cannot be {0} hashes wide")]
    Width(u32),
    /// The tree does not fill the tile as far as asked.
    #[error("tile {index} of level {level} holds {available} hashes in this tree, not {wanted}")]
    TileOutside {
        /// Level of the tile; -1 is an entry bundle.
        level: i32,
        /// Number of the tile within its level, from 0.
        index: u64,
        /// Hashes that the tile holds at this tree size.
        available: u64,
        /// Hashes asked for.
        wanted: u64,
    },
}

/// The store's rows are not those of the tree: the data is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// An entry below the tree's size has no row.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// A row holds another number of bytes than its position demands.
    #[error("entry {seq} holds {found} bytes of tree hashes instead of {expected}")]
    Length {
        /// The entry.
        seq: u64,
        /// Bytes found.
        found: usize,
        /// Bytes that its position demands.
        expected: usize,
    },
    /// Another number of hashes was handed in than the plan names.
    #[error("{found} hashes were fetched for a plan of {expected}")]
    Count {
        /// Hashes handed in.
        found: usize,
        /// Hashes that the plan names.
        expected: usize,
    },
}

/// Where the root of the complete subtree number `index` of `level` is kept. It covers the leaves
/// `index << level` to `((index + 1) << level) - 1`; level 0 holds the leaf hashes.
pub fn locate(level: u8, index: u64) -> Result<Location, RangeError> {
    if level > 52 {
        return Err(RangeError::Level(i64::from(level)));
    }
    if index >= MAX_SIZE >> level {
        return Err(RangeError::TooLarge(index));
    }
    Ok(last_leaf(level, index))
}

/// `locate` for coordinates that lie in a tree by construction.
pub(super) fn last_leaf(level: u8, index: u64) -> Location {
    Location {
        seq: ((index + 1) << level) - 1,
        position: level,
    }
}

/// Refuses sizes that no tree has.
pub(super) fn check_size(size: u64) -> Result<(), RangeError> {
    if size > MAX_SIZE {
        return Err(RangeError::TooLarge(size));
    }
    Ok(())
}

/// The complete subtrees that cover the leaves `from..to`, from left to right, largest first. `from` must be a
/// multiple of the smallest power of two that is at least `to - from`, as in every range of RFC 6962.
pub(super) fn complete_subtrees(from: u64, to: u64) -> impl Iterator<Item = Location> {
    let mut at = from;
    std::iter::from_fn(move || {
        let level = (to - at).checked_ilog2()? as u8;
        let location = last_leaf(level, at >> level);
        at = location.seq + 1;
        Some(location)
    })
}

/// The rows to fetch for these locations: each once, ascending.
pub fn seqs(locations: &[Location]) -> Vec<u64> {
    let mut seqs: Vec<u64> = locations.iter().map(|location| location.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    seqs
}

/// Takes the hash at a location out of its row's `tree_hashes`.
pub fn hash_at(location: Location, row: &[u8]) -> Result<Hash, RowError> {
    let levels = 1 + location.seq.trailing_ones() as usize;
    let damaged = RowError::Length {
        seq: location.seq,
        found: row.len(),
        expected: HASH_LEN * levels,
    };
    if row.len() != HASH_LEN * levels {
        return Err(damaged);
    }
    let (hashes, _) = row.as_chunks::<HASH_LEN>();
    hashes
        .get(usize::from(location.position))
        .copied()
        .ok_or(damaged)
}

/// Takes the hashes at all locations, in their order, out of fetched rows.
pub fn pick<'a>(
    locations: &[Location],
    row_of: impl Fn(u64) -> Option<&'a [u8]>,
) -> Result<Vec<Hash>, RowError> {
    locations
        .iter()
        .map(|&location| {
            let row = row_of(location.seq).ok_or(RowError::Missing(location.seq))?;
            hash_at(location, row)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_coordinates() {
        let frozen = [
            (0, 0, 0),
            (0, 7, 7),
            (1, 0, 1),
            (1, 2, 5),
            (2, 0, 3),
            (3, 1, 15),
            (8, 0, 255),
            (8, 3, 1023),
            (16, 1, 131_071),
            (52, 0, MAX_SIZE - 1),
        ];
        for (level, index, seq) in frozen {
            let expected = Location {
                seq,
                position: level,
            };
            assert_eq!(locate(level, index), Ok(expected), "({level}, {index})");
            assert!(seq.trailing_ones() >= u32::from(level));
        }
    }

    #[test]
    fn coordinates_outside_every_tree_are_refused() {
        assert_eq!(locate(53, 0), Err(RangeError::Level(53)));
        assert_eq!(locate(52, 1), Err(RangeError::TooLarge(1)));
        assert_eq!(locate(0, MAX_SIZE), Err(RangeError::TooLarge(MAX_SIZE)));
    }

    #[test]
    fn a_row_of_another_length_is_damage() {
        let row = [7; 64];
        let at = |seq, position| Location { seq, position };
        assert_eq!(hash_at(at(1, 1), &row), Ok([7; 32]));
        assert_eq!(
            hash_at(at(0, 0), &row),
            Err(RowError::Length {
                seq: 0,
                found: 64,
                expected: 32
            })
        );
        assert_eq!(pick(&[at(3, 0)], |_| None), Err(RowError::Missing(3)));
    }

    #[test]
    fn rows_are_fetched_once_and_ascending() {
        let at = |seq, position| Location { seq, position };
        assert_eq!(seqs(&[at(7, 3), at(3, 0), at(7, 0)]), [3, 7]);
    }
}
