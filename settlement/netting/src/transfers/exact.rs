//! The most groups that sum to 0, exactly: dynamic programming over subsets, O(2^k k) time and 2^k sums.

use super::Balance;
use crate::quantity::Quantity;

/// The largest number of members that is solved exactly: 20 million steps.
pub(super) const MOST_MEMBERS: usize = 20;

/// Hands out a partition into as many groups as there can be. All nets sum to 0.
pub(super) fn groups<T: Quantity>(balances: &[Balance<T>], settle: &mut impl FnMut(&[Balance<T>])) {
    let all = (1_usize << balances.len()) - 1;
    let mut sum = vec![T::ZERO; all + 1];
    // Of a subset, in how many prefixes it passes a sum of 0 when its members are put in the best order. Between two such
    // prefixes lies a group.
    let mut zeros = vec![0_u8; all + 1];
    for subset in 1..=all {
        let lowest = subset.trailing_zeros() as usize;
        sum[subset] = sum[subset & (subset - 1)] + balances[lowest].net;
        let best = members(subset).map(|i| zeros[subset & !(1 << i)]).max();
        zeros[subset] = best.unwrap_or(0) + u8::from(sum[subset] == T::ZERO);
    }
    let mut subset = all;
    let mut group = vec![];
    while subset != 0 {
        let before = zeros[subset] - u8::from(sum[subset] == T::ZERO);
        let last = members(subset).find(|i| zeros[subset & !(1 << i)] == before);
        // The maximum was that of a member.
        let last = last.unwrap_or(subset.trailing_zeros() as usize);
        group.push(balances[last]);
        subset &= !(1 << last);
        if sum[subset] == T::ZERO {
            group.sort_unstable();
            settle(&group);
            group.clear();
        }
    }
}

/// The members of a subset.
fn members(subset: usize) -> impl Iterator<Item = usize> {
    let mut left = subset;
    std::iter::from_fn(move || {
        let lowest = left.trailing_zeros() as usize;
        let more = left != 0;
        left &= left.wrapping_sub(1);
        more.then_some(lowest)
    })
}
