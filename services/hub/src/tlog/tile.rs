//! C2SP tlog-tiles: tiles of height 8 and entry bundles.

use std::ops::Range;

use hansa_client::leaf::LEAF_DATA_LEN;

use super::coordinate::{Location, RangeError, RowError, check_size, locate};
use super::hash::Hash;

/// Hashes in a full tile; leaves in a full entry bundle.
pub const TILE_WIDTH: u64 = 256;

/// Tree levels that a tile spans.
const TILE_HEIGHT: u8 = 8;

/// The highest tile level in which a tree of at most 2^52 leaves has a hash.
const MAX_TILE_LEVEL: i32 = 6;

/// What to fetch for a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TilePlan {
    /// A tile: the hashes at these locations, for [`assemble_tile`].
    Hashes(Vec<Location>),
    /// An entry bundle: the leaf data of these entries, for [`assemble_bundle`].
    Entries(Range<u64>),
}

/// Plans tile `index` of `level` (-1 = the entry bundle) at a tree of `size` leaves. `width` is 1 to 255 for a partial
/// tile, 0 for a full one. A partial tile that has since grown is still served: its hashes never change.
pub fn tile_plan(level: i32, index: u64, width: u32, size: u64) -> Result<TilePlan, RangeError> {
    check_size(size)?;
    if !(-1..=MAX_TILE_LEVEL).contains(&level) {
        return Err(RangeError::Level(i64::from(level)));
    }
    let wanted = match width {
        0 => TILE_WIDTH,
        1..=255 => u64::from(width),
        _ => return Err(RangeError::Width(width)),
    };
    // An entry bundle has the numbers of the level-0 tile over it.
    let tree_level = TILE_HEIGHT * level.max(0) as u8;
    let start = index.saturating_mul(TILE_WIDTH);
    let available = (size >> tree_level).saturating_sub(start).min(TILE_WIDTH);
    if wanted > available {
        return Err(RangeError::TileOutside {
            level,
            index,
            available,
            wanted,
        });
    }
    let range = start..start + wanted;
    if level < 0 {
        return Ok(TilePlan::Entries(range));
    }
    let locations: Result<_, _> = range.map(|number| locate(tree_level, number)).collect();
    locations.map(TilePlan::Hashes)
}

/// A tile's bytes: its hashes one behind the other.
pub fn assemble_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// An entry bundle's bytes: each leaf's data behind its length in 2 bytes, big-endian. `entries` are the range of the
/// plan, in order.
pub fn assemble_bundle<'a>(
    entries: &Range<u64>,
    leaf_data: impl IntoIterator<Item = &'a [u8; LEAF_DATA_LEN]>,
) -> Result<Vec<u8>, RowError> {
    let expected = (entries.end - entries.start) as usize;
    let mut bundle = Vec::with_capacity(expected * (2 + LEAF_DATA_LEN));
    let mut found = 0;
    for data in leaf_data {
        bundle.extend_from_slice(&(LEAF_DATA_LEN as u16).to_be_bytes());
        bundle.extend_from_slice(data);
        found += 1;
    }
    if found != expected {
        return Err(RowError::Count { found, expected });
    }
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(
        level: i32,
        index: u64,
        available: u64,
        wanted: u64,
    ) -> Result<TilePlan, RangeError> {
        Err(RangeError::TileOutside {
            level,
            index,
            available,
            wanted,
        })
    }

    #[test]
    fn only_what_the_tree_fills_is_a_tile() {
        // 70,000 leaves: 273 full level-0 tiles and 112 hashes, one full level-1 tile and 17, one hash in level 2.
        let size = 70_000;
        assert!(tile_plan(0, 272, 0, size).is_ok());
        assert_eq!(tile_plan(0, 273, 0, size), outside(0, 273, 112, 256));
        assert!(tile_plan(0, 273, 112, size).is_ok());
        assert_eq!(tile_plan(0, 273, 113, size), outside(0, 273, 112, 113));
        assert_eq!(tile_plan(0, 274, 1, size), outside(0, 274, 0, 1));
        assert!(tile_plan(1, 0, 0, size).is_ok());
        assert!(tile_plan(1, 1, 17, size).is_ok());
        assert_eq!(tile_plan(1, 1, 18, size), outside(1, 1, 17, 18));
        assert!(tile_plan(2, 0, 1, size).is_ok());
        assert_eq!(tile_plan(2, 0, 2, size), outside(2, 0, 1, 2));
        assert_eq!(tile_plan(6, 0, 1, size), outside(6, 0, 0, 1));
        assert_eq!(tile_plan(0, u64::MAX, 1, size), outside(0, u64::MAX, 0, 1));
        assert_eq!(
            tile_plan(-1, 273, 112, size),
            Ok(TilePlan::Entries(69_888..70_000))
        );
        assert_eq!(tile_plan(-1, 273, 113, size), outside(-1, 273, 112, 113));
    }

    #[test]
    fn levels_and_widths_outside_the_format_are_refused() {
        assert_eq!(tile_plan(-2, 0, 0, 1_000), Err(RangeError::Level(-2)));
        assert_eq!(tile_plan(7, 0, 1, 1_000), Err(RangeError::Level(7)));
        assert_eq!(tile_plan(0, 0, 256, 1_000), Err(RangeError::Width(256)));
        assert_eq!(
            tile_plan(0, 0, 1, u64::MAX),
            Err(RangeError::TooLarge(u64::MAX))
        );
    }

    #[test]
    fn a_bundle_prefixes_each_leaf_with_its_length() {
        let bundle = assemble_bundle(&(0..2), [&[1; 72], &[2; 72]]).unwrap();
        assert_eq!(bundle.len(), 148);
        assert_eq!(bundle[..3], [0, 72, 1]);
        assert_eq!(bundle[74..77], [0, 72, 2]);
        assert_eq!(
            assemble_bundle(&(0..2), [&[1; 72]]),
            Err(RowError::Count {
                found: 1,
                expected: 2
            })
        );
    }
}
