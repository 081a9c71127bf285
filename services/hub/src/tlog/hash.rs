//! The hashes of RFC 6962 section 2.1, which the merchant's side computes too.

pub use hansa_client::leaf::{Hash, leaf_hash};
pub use hansa_client::proof::{empty_root, node_hash};

/// Root of the subtree whose parts are complete subtrees of falling size, from left to right. None for no part.
pub(super) fn fold_peaks(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(
        rest.iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}
