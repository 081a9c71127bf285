//! Steps 5 and 6: what is found by account and amount, and by the sum of one account.

use std::collections::{BTreeMap, BTreeSet};

use hansa_money::Currency;

use super::{Direction, MatchedBy, Matcher, Open};
use crate::Account;

/// Among how many candidates a sum is searched.
pub const MAX_SUMMANDS: usize = 16;

/// Expectations, items, and whether each is the other's only candidate.
type Pair = (Vec<usize>, Vec<usize>, bool);

/// A combination that makes a sum: expectations and items.
type Combination = (BTreeSet<usize>, BTreeSet<usize>);

/// What can be compared without looking at each pair: direction, currency, amount.
type Key = (Direction, Currency, u64);

impl Matcher<'_> {
    /// Each with the only one of the same account, amount, currency and direction.
    pub(super) fn accounts(&mut self) {
        let items = self.nameable_items();
        let expected = self.open_expected();
        for (expected, items, unique) in self.by_account_and_amount(expected, items) {
            if unique {
                self.accept(MatchedBy::AccountAndAmount, &expected, &items);
            } else {
                self.hold(Open::Ambiguous, &expected, &items);
            }
        }
    }

    /// Open items that may be found by their account. Money out carries our end-to-end id; one that is not known is of another
    /// payment.
    fn nameable_items(&self) -> Vec<usize> {
        let mut items = self.open_items(false);
        items.retain(|at| {
            let item = &self.items[*at];
            item.amount_minor > 0 || item.end_to_end_id.is_none()
        });
        items
    }

    /// Pairs of one account and amount, and groups of those that fit more than one way.
    pub(super) fn by_account_and_amount(
        &self,
        expected: impl IntoIterator<Item = usize>,
        items: Vec<usize>,
    ) -> Vec<Pair> {
        let mut by_key = BTreeMap::<Key, Vec<usize>>::new();
        for at in expected {
            let wanted = self.expected[at];
            let amount = wanted.amount_minor.unsigned_abs();
            let key = (wanted.direction, wanted.currency, amount);
            by_key.entry(key).or_default().push(at);
        }
        let mut candidates = Vec::new();
        let mut uses = BTreeMap::<usize, usize>::new();
        for item in items {
            let key = (
                self.direction(item),
                self.items[item].currency,
                self.items[item].amount_minor.unsigned_abs(),
            );
            let same_key = by_key.get(&key).into_iter().flatten().copied();
            let found: Vec<_> = same_key
                .filter(|at| self.is_same_account(*at, item))
                .collect();
            for at in &found {
                *uses.entry(*at).or_default() += 1;
            }
            if !found.is_empty() {
                candidates.push((item, found));
            }
        }
        candidates
            .into_iter()
            .map(|(item, found)| {
                let unique = found.len() == 1 && found.iter().all(|at| uses.get(at) == Some(&1));
                (found, vec![item], unique)
            })
            .collect()
    }

    /// The direction of the instruction that an item would belong to.
    fn direction(&self, item: usize) -> Direction {
        let item = &self.items[item];
        if (item.amount_minor < 0) == item.returned.is_some() {
            Direction::In
        } else {
            Direction::Out
        }
    }

    fn account(&self, item: usize) -> Option<&Account> {
        self.items[item].counterparty.account.as_ref()
    }

    fn is_same_account(&self, at: usize, item: usize) -> bool {
        let wanted = self.expected[at].counterparty_account.as_ref();
        wanted
            .zip(self.account(item))
            .is_some_and(|(a, b)| a.is_same(b))
    }

    /// Combinations of one account that make a sum.
    pub(super) fn sums(&mut self) {
        let items = self.nameable_items();
        let expected = self.open_expected();
        let same = |at: usize, item: usize| {
            self.expected[at].currency == self.items[item].currency
                && self.expected[at].direction == self.direction(item)
                && self.is_same_account(at, item)
        };
        let amount_of_item = |at: &usize| self.items[*at].amount_minor.unsigned_abs();
        let amount_expected = |at: &usize| self.expected[*at].amount_minor.unsigned_abs();
        let mut found: Vec<Combination> = Vec::new();
        let mut open: Vec<(Open, Vec<usize>, Vec<usize>)> = Vec::new();
        for item in &items {
            let parts: Vec<_> = expected
                .iter()
                .copied()
                .filter(|at| same(*at, *item))
                .collect();
            match search(&parts, amount_expected, amount_of_item(item)) {
                Search::None => {}
                Search::One(parts) => found.push((parts, BTreeSet::from([*item]))),
                Search::Several => open.push((Open::Ambiguous, parts, vec![*item])),
                Search::TooMany => open.push((Open::TooMany, Vec::new(), vec![*item])),
            }
        }
        for at in &expected {
            let parts: Vec<_> = items
                .iter()
                .copied()
                .filter(|item| same(*at, *item))
                .collect();
            match search(&parts, amount_of_item, amount_expected(at)) {
                Search::None => {}
                Search::One(parts) => found.push((BTreeSet::from([*at]), parts)),
                Search::Several => open.push((Open::Ambiguous, vec![*at], parts)),
                Search::TooMany => open.push((Open::TooMany, vec![*at], Vec::new())),
            }
        }
        let touch =
            |a: &Combination, b: &Combination| !a.0.is_disjoint(&b.0) || !a.1.is_disjoint(&b.1);
        let others: Vec<Combination> = open
            .iter()
            .filter(|(reason, ..)| *reason == Open::Ambiguous)
            .map(|(_, expected, items)| {
                (
                    expected.iter().copied().collect(),
                    items.iter().copied().collect(),
                )
            })
            .collect();
        let clear = |at: usize| {
            let mut rivals = found.iter().enumerate().filter(|(other, _)| *other != at);
            !rivals.any(|(_, other)| touch(&found[at], other))
                && !others.iter().any(|other| touch(&found[at], other))
        };
        let clear: Vec<bool> = (0..found.len()).map(clear).collect();
        for ((expected, items), clear) in found.into_iter().zip(clear) {
            let (expected, items): (Vec<_>, Vec<_>) =
                (expected.into_iter().collect(), items.into_iter().collect());
            if clear {
                self.accept(MatchedBy::Sum, &expected, &items);
            } else {
                open.push((Open::Ambiguous, expected, items));
            }
        }
        for (reason, expected, items) in open {
            self.hold(reason, &expected, &items);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    None,
    One(BTreeSet<usize>),
    Several,
    TooMany,
}

/// Looks for the combinations of at least two that make exactly a sum; two of them are enough to know.
fn search(parts: &[usize], amount: impl Fn(&usize) -> u64, wanted: u64) -> Search {
    let mut parts: Vec<(u64, usize)> = parts.iter().map(|at| (amount(at), *at)).collect();
    parts.retain(|(amount, _)| *amount <= wanted);
    let total: u128 = parts.iter().map(|(amount, _)| u128::from(*amount)).sum();
    if parts.len() < 2 || total < u128::from(wanted) {
        return Search::None;
    }
    if parts.len() > MAX_SUMMANDS {
        return Search::TooMany;
    }
    // Large ones first: what is left is soon too small.
    parts.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    extend(&parts, wanted, &mut Vec::new(), &mut found);
    match found.len() {
        0 => Search::None,
        1 => Search::One(found.remove(0).into_iter().collect()),
        _ => Search::Several,
    }
}

fn extend(parts: &[(u64, usize)], left: u64, taken: &mut Vec<usize>, found: &mut Vec<Vec<usize>>) {
    if left == 0 {
        if taken.len() >= 2 {
            found.push(taken.clone());
        }
        return;
    }
    for (place, (amount, at)) in parts.iter().enumerate() {
        if found.len() >= 2 {
            return;
        }
        if let Some(rest) = left.checked_sub(*amount) {
            taken.push(*at);
            extend(&parts[place + 1..], rest, taken, found);
            taken.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(amounts: &[u64], wanted: u64) -> Search {
        let all: Vec<_> = (0..amounts.len()).collect();
        search(&all, |at| amounts[*at], wanted)
    }

    #[test]
    fn a_sum_is_found_only_where_one_combination_makes_it() {
        assert_eq!(
            found(&[344, 162, 500], 506),
            Search::One(BTreeSet::from([0, 1]))
        );
        assert_eq!(found(&[100, 100, 50], 150), Search::Several);
        assert_eq!(found(&[344, 162], 507), Search::None);
        // One alone is no sum.
        assert_eq!(found(&[506, 1], 506), Search::None);
        assert_eq!(found(&[1; MAX_SUMMANDS + 1], 5), Search::TooMany);
        assert_eq!(found(&[u64::MAX, u64::MAX], u64::MAX), Search::None);
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_trying_all_combinations(
            amounts in prop::collection::vec(1_u64..40, 0..10),
            wanted in 1_u64..120,
        ) {
            let all = 0..1_usize << amounts.len();
            let sets: Vec<BTreeSet<usize>> = all
                .map(|bits| (0..amounts.len()).filter(|at| bits >> at & 1 == 1).collect::<BTreeSet<_>>())
                .filter(|set| set.len() >= 2 && set.iter().map(|at| amounts[*at]).sum::<u64>() == wanted)
                .collect();
            let expected = match sets.as_slice() {
                [] => Search::None,
                [one] => Search::One(one.clone()),
                _ => Search::Several,
            };
            prop_assert_eq!(found(&amounts, wanted), expected);
        }
    }
}
