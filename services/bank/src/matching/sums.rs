//! Steps 5 and 6: what is found by account and amount, and by the sum of one account.

use std::collections::BTreeMap;

use hansa_money::Currency;

use super::{Direction, MatchedBy, Matcher, Open};
use crate::BankItem;

/// Among how many candidates a sum is searched.
pub const MAX_SUMMANDS: usize = 16;

/// Expectations and items of one account, or of one account and amount.
type Group = (Vec<usize>, Vec<usize>);

/// A combination that makes a sum: expectations and items.
type Combination = (Vec<usize>, Vec<usize>);

/// What must be the same: direction, currency, account, and the amount where it is not a sum.
type Key<'m> = (Direction, Currency, &'m str, u64);

impl Matcher<'_> {
    /// Each with the only one of the same account, amount, currency and direction.
    pub(super) fn accounts(&mut self) {
        let groups = self.groups(self.open_expected(), self.nameable_items(), true);
        for (expected, items) in groups {
            match (expected.as_slice(), items.as_slice()) {
                ([one], [item]) if self.fits(*one, *item) => {
                    self.accept(MatchedBy::AccountAndAmount, &expected, &items);
                }
                // One national number of two countries.
                ([_], [_]) => {}
                _ => self.hold(Open::Ambiguous, &expected, &items),
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

    /// Groups that have expectations and items.
    pub(super) fn groups(
        &self,
        expected: impl IntoIterator<Item = usize>,
        items: impl IntoIterator<Item = usize>,
        of_one_amount: bool,
    ) -> Vec<Group> {
        let amount = |minor: i64| {
            if of_one_amount {
                minor.unsigned_abs()
            } else {
                0
            }
        };
        let mut groups = BTreeMap::<Key<'_>, Group>::new();
        for at in expected {
            let wanted = self.expected[at];
            if let Some(account) = &self.expected_accounts[at] {
                let key = (
                    wanted.direction,
                    wanted.currency,
                    account.as_str(),
                    amount(wanted.amount_minor),
                );
                groups.entry(key).or_default().0.push(at);
            }
        }
        for at in items {
            let item = &self.items[at];
            if let Some(account) = &self.item_accounts[at] {
                let key = (
                    direction(item),
                    item.currency,
                    account.as_str(),
                    amount(item.amount_minor),
                );
                groups.entry(key).or_default().1.push(at);
            }
        }
        let all = groups.into_values();
        all.filter(|(expected, items)| !expected.is_empty() && !items.is_empty())
            .collect()
    }

    /// Combinations of one account that make a sum.
    pub(super) fn sums(&mut self) {
        for (expected, items) in self.groups(self.open_expected(), self.nameable_items(), false) {
            self.sums_of(&expected, &items);
        }
    }

    fn sums_of(&mut self, expected: &[usize], items: &[usize]) {
        let of_item = |at: &usize| self.items[*at].amount_minor.unsigned_abs();
        let of_expected = |at: &usize| self.expected[*at].amount_minor.unsigned_abs();
        let mut found: Vec<Combination> = Vec::new();
        let mut open: Vec<(Open, Combination)> = Vec::new();
        let parts = Summands::new(expected, of_expected);
        for item in items {
            match parts.search(of_item(item)) {
                Search::None => {}
                Search::One(parts) => found.push((parts, vec![*item])),
                Search::Several(parts) => open.push((Open::Ambiguous, (parts, vec![*item]))),
                Search::TooMany => open.push((Open::TooMany, (Vec::new(), vec![*item]))),
            }
        }
        let parts = Summands::new(items, of_item);
        for at in expected {
            match parts.search(of_expected(at)) {
                Search::None => {}
                Search::One(parts) => found.push((vec![*at], parts)),
                Search::Several(parts) => open.push((Open::Ambiguous, (vec![*at], parts))),
                Search::TooMany => open.push((Open::TooMany, (vec![*at], Vec::new()))),
            }
        }
        // How many combinations want each of them.
        let mut wanted = (
            BTreeMap::<usize, usize>::new(),
            BTreeMap::<usize, usize>::new(),
        );
        for (expected, items) in found
            .iter()
            .chain(open.iter().map(|(_, combination)| combination))
        {
            for at in expected {
                *wanted.0.entry(*at).or_default() += 1;
            }
            for at in items {
                *wanted.1.entry(*at).or_default() += 1;
            }
        }
        let once = |wanted: &BTreeMap<usize, usize>, all: &[usize]| {
            all.iter().all(|at| wanted.get(at) == Some(&1))
        };
        for (expected, items) in found {
            let pairs = expected
                .iter()
                .flat_map(|at| items.iter().map(move |item| (*at, *item)));
            let is_clear = once(&wanted.0, &expected)
                && once(&wanted.1, &items)
                && pairs
                    .into_iter()
                    .all(|(at, item)| self.fits_but_for_amount(at, item));
            if is_clear {
                self.accept(MatchedBy::Sum, &expected, &items);
            } else {
                open.push((Open::Ambiguous, (expected, items)));
            }
        }
        for (reason, (expected, items)) in open {
            self.hold(reason, &expected, &items);
        }
    }
}

/// The direction of the instruction that an item would belong to.
fn direction(item: &BankItem) -> Direction {
    if (item.amount_minor < 0) == item.returned.is_some() {
        Direction::In
    } else {
        Direction::Out
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Search {
    None,
    One(Vec<usize>),
    /// Among these.
    Several(Vec<usize>),
    TooMany,
}

/// What may be summed up, by amount.
struct Summands {
    parts: Vec<(u64, usize)>,
    /// Sum of the first n.
    sums: Vec<u128>,
}

impl Summands {
    fn new(places: &[usize], amount: impl Fn(&usize) -> u64) -> Self {
        let mut parts: Vec<_> = places.iter().map(|at| (amount(at), *at)).collect();
        parts.sort_unstable();
        let mut total = 0;
        let sums = parts.iter().map(|(amount, _)| {
            total += u128::from(*amount);
            total
        });
        Self {
            sums: std::iter::once(0).chain(sums).collect(),
            parts,
        }
    }

    /// Looks for the combinations of at least two that make exactly a sum; two of them are enough to know.
    fn search(&self, wanted: u64) -> Search {
        let fitting = self.parts.partition_point(|(amount, _)| *amount <= wanted);
        let total = self.sums.get(fitting).copied().unwrap_or_default();
        if fitting < 2 || total < u128::from(wanted) {
            return Search::None;
        }
        if fitting > MAX_SUMMANDS {
            return Search::TooMany;
        }
        // Large ones first: what is left is soon too small.
        let parts: Vec<_> = self.parts[..fitting].iter().rev().copied().collect();
        let mut found = Vec::new();
        extend(&parts, wanted, &mut Vec::new(), &mut found);
        match found.len() {
            0 => Search::None,
            1 => {
                let mut parts = found.remove(0);
                parts.sort_unstable();
                Search::One(parts)
            }
            _ => {
                let mut parts: Vec<_> = parts.into_iter().map(|(_, at)| at).collect();
                parts.sort_unstable();
                Search::Several(parts)
            }
        }
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
        Summands::new(&all, |at| amounts[*at]).search(wanted)
    }

    #[test]
    fn a_sum_is_found_only_where_one_combination_makes_it() {
        assert_eq!(found(&[344, 162, 500], 506), Search::One(vec![0, 1]));
        assert_eq!(
            found(&[100, 100, 50, 200], 150),
            Search::Several(vec![0, 1, 2])
        );
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
            let sets: Vec<Vec<usize>> = all
                .map(|bits| (0..amounts.len()).filter(|at| bits >> at & 1 == 1).collect::<Vec<_>>())
                .filter(|set| set.len() >= 2 && set.iter().map(|at| amounts[*at]).sum::<u64>() == wanted)
                .collect();
            let expected = match sets.as_slice() {
                [] => Search::None,
                [one] => Search::One(one.clone()),
                _ => Search::Several((0..amounts.len()).filter(|at| amounts[*at] <= wanted).collect()),
            };
            prop_assert_eq!(found(&amounts, wanted), expected);
        }
    }
}
