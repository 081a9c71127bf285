//! Groups of four that sum to 0, two of each side: among few members these are far more than groups of three, as every two
//! members of one side may meet every two of the other. Sums of two are listed for both sides, sorted and merged.

use super::Balance;
use crate::quantity::Quantity;

/// Sums that are listed for each side. Of more members, those next to each other are summed.
const MOST_SUMS: usize = 1 << 18;
/// How often the rest is gone through again, with members farther apart as they become fewer.
const ROUNDS: usize = 8;

/// Hands out groups; gives the others. The balances are in ascending order and sum to 0, as do those that come back.
pub(super) fn groups<T: Quantity>(
    mut balances: Vec<Balance<T>>,
    settle: &mut impl FnMut(&[Balance<T>]),
) -> Vec<Balance<T>> {
    for _ in 0..ROUNDS {
        let before = balances.len();
        balances = one_round(&balances, settle);
        if balances.len() == before {
            break;
        }
    }
    balances
}

/// Two members by their places, and the size of both.
type Two<T> = (T, u32, u32);

fn one_round<T: Quantity>(
    balances: &[Balance<T>],
    settle: &mut impl FnMut(&[Balance<T>]),
) -> Vec<Balance<T>> {
    let owing = balances.partition_point(|b| b.net < T::ZERO);
    let debtors = sums(0..owing, |place| -balances[place].net);
    let creditors = sums(owing..balances.len(), |place| balances[place].net);
    let mut free = vec![true; balances.len()];
    let both_free = |free: &[bool], two: &Two<T>| free[two.1 as usize] && free[two.2 as usize];
    let mut at = 0;
    for two in &debtors {
        while at < creditors.len() && (creditors[at].0 < two.0 || !both_free(&free, &creditors[at]))
        {
            at += 1;
        }
        let Some(others) = creditors.get(at) else {
            break;
        };
        if others.0 == two.0 && both_free(&free, two) {
            let group = [two.1, two.2, others.1, others.2];
            group.iter().for_each(|place| free[*place as usize] = false);
            let mut group = group.map(|place| balances[place as usize]);
            group.sort_unstable();
            settle(&group);
        }
    }
    let rest = balances.iter().zip(free).filter(|(_, free)| *free);
    rest.map(|(balance, _)| *balance).collect()
}

/// Sums of two of these places, in ascending order.
fn sums<T: Quantity>(places: std::ops::Range<usize>, size: impl Fn(usize) -> T) -> Vec<Two<T>> {
    let count = places.len() * places.len().saturating_sub(1) / 2;
    let mut sums = Vec::with_capacity(count.min(MOST_SUMS));
    'listed: for apart in 1..places.len() {
        for first in places.start..places.end - apart {
            if sums.len() == MOST_SUMS {
                break 'listed;
            }
            let second = first + apart;
            sums.push((size(first) + size(second), first as u32, second as u32));
        }
    }
    sums.sort_unstable();
    sums
}
