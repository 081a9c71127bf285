//! Steps 1 to 4: what is found by an id. An item that names an instruction belongs to it or to nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Difference, Direction, Expected, Field, MatchedBy, Matcher, Open};
use crate::{BankItem, amount::decimal};

/// Expectations by end-to-end id and by instruction id.
struct Index<'a> {
    by_end_to_end: BTreeMap<&'a str, Vec<usize>>,
    by_instruction: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(expected: &[&'a Expected], which: impl IntoIterator<Item = usize>) -> Self {
        let mut by_end_to_end = BTreeMap::<_, Vec<_>>::new();
        let mut by_instruction = BTreeMap::<_, Vec<_>>::new();
        for at in which {
            let ids = (
                expected[at].end_to_end_id.as_str(),
                expected[at].instruction_id.as_str(),
            );
            by_end_to_end.entry(ids.0).or_default().push(at);
            by_instruction.entry(ids.1).or_default().push(at);
        }
        Self {
            by_end_to_end,
            by_instruction,
        }
    }

    fn find(&self, item: &BankItem) -> &[usize] {
        let look = |map: &'_ BTreeMap<&str, Vec<usize>>, id: &Option<String>| {
            id.as_deref().is_some_and(|id| map.contains_key(id))
        };
        let (map, id) = if look(&self.by_end_to_end, &item.end_to_end_id) {
            (&self.by_end_to_end, &item.end_to_end_id)
        } else {
            (&self.by_instruction, &item.instruction_id)
        };
        let found = id.as_deref().and_then(|id| map.get(id));
        found.map_or(&[], Vec::as_slice)
    }

    /// What a text mentions as a word of its own.
    fn mentioned(&self, item: &BankItem) -> BTreeSet<usize> {
        let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|');
        let words = item
            .remittance
            .iter()
            .flat_map(|text| text.split(is_separator));
        let words = words.chain(item.creditor_references.iter().map(String::as_str));
        let mut found = BTreeSet::new();
        for word in words {
            for word in [
                word,
                word.trim_matches(['.', ':', '(', ')', '\'', '"', '#']),
            ] {
                for map in [&self.by_end_to_end, &self.by_instruction] {
                    found.extend(map.get(word).into_iter().flatten());
                }
            }
        }
        found
    }
}

impl Matcher<'_> {
    /// Money that comes back, with the instruction that it gives back. The instruction's own booking may be in the same report.
    pub(super) fn returns(&mut self) {
        let index = Index::new(self.expected, 0..self.expected.len());
        let mut of_instruction = BTreeMap::<usize, Vec<usize>>::new();
        let mut nameless = Vec::new();
        for item in self.open_items(true) {
            match index.find(&self.items[item]) {
                [one] => of_instruction.entry(*one).or_default().push(item),
                [] if self.items[item].end_to_end_id.is_none() => nameless.push(item),
                [] => {}
                several => self.hold_items(Open::Ambiguous, several, &[item]),
            }
        }
        let mut given_back = BTreeSet::new();
        for (at, items) in of_instruction {
            given_back.insert(at);
            match items.as_slice() {
                [item] if self.fits(at, *item) => self.accept(MatchedBy::Id, &[at], &items),
                [_] => self.hold_items(Open::Differs, &[at], &items),
                _ => self.hold_items(Open::Ambiguous, &[at], &items),
            }
        }
        let others = (0..self.expected.len()).filter(|at| !given_back.contains(at));
        for (expected, items) in self.groups(others, nameless, true) {
            match (expected.as_slice(), items.as_slice()) {
                ([one], [item]) if self.fits(*one, *item) => {
                    self.accept(MatchedBy::AccountAndAmount, &expected, &items);
                }
                ([_], [_]) => {}
                _ => self.hold_items(Open::Ambiguous, &expected, &items),
            }
        }
    }

    /// Items that name an instruction.
    pub(super) fn ids(&mut self) {
        let index = Index::new(self.expected, 0..self.expected.len());
        let mut of_instruction = BTreeMap::<usize, Vec<usize>>::new();
        for item in self.open_items(false) {
            match index.find(&self.items[item]) {
                [] => {}
                [one] => of_instruction.entry(*one).or_default().push(item),
                several => self.hold(Open::Ambiguous, several, &[item]),
            }
        }
        for (at, items) in of_instruction {
            match items.as_slice() {
                _ if !self.expected[at].settled => self.one_to_some(MatchedBy::Id, at, &items),
                [item] if self.fits(at, *item) => {
                    self.hold_items(Open::SettledBefore, &[at], &items);
                }
                [_] => self.hold_items(Open::Differs, &[at], &items),
                _ => self.hold_items(Open::Ambiguous, &[at], &items),
            }
        }
    }

    /// Batches whose payments the bank does not list.
    pub(super) fn batches(&mut self) {
        let mut of_message = BTreeMap::<String, Vec<usize>>::new();
        for item in self.open_items(false) {
            let Some(batch) = &self.items[item].batch else {
                continue;
            };
            let id = batch.message_id.as_ref();
            if let Some(id) = id.or(batch.payment_information_id.as_ref()) {
                of_message.entry(id.clone()).or_default().push(item);
            }
        }
        for (id, items) in of_message {
            let of_id = |at: &usize| self.expected[*at].message_id.as_ref() == Some(&id);
            let all: Vec<_> = (0..self.expected.len()).filter(of_id).collect();
            let open: Vec<_> = self.open_expected().into_iter().filter(of_id).collect();
            match items.as_slice() {
                _ if all.is_empty() => {}
                _ if open.is_empty() => self.hold_items(Open::SettledBefore, &all, &items),
                [item] => self.some_to_one(MatchedBy::Batch, &open, *item),
                _ => self.hold(Open::Ambiguous, &open, &items),
            }
        }
    }

    /// Money that somebody sends us with an id of ours in the text.
    pub(super) fn texts(&mut self) {
        let open = self.open_expected().into_iter();
        let owed: Vec<_> = open
            .filter(|at| self.expected[*at].direction == Direction::In)
            .collect();
        let index = Index::new(self.expected, owed);
        let mut mentions = BTreeMap::<usize, BTreeSet<usize>>::new();
        let mut mentioned_by = BTreeMap::<usize, Vec<usize>>::new();
        for item in self.open_items(false) {
            if self.items[item].amount_minor < 0 {
                continue;
            }
            let found = index.mentioned(&self.items[item]);
            for at in &found {
                mentioned_by.entry(*at).or_default().push(item);
            }
            if !found.is_empty() {
                mentions.insert(item, found);
            }
        }
        for (item, found) in &mentions {
            if self.item_matched[*item] || self.item_held[*item].is_some() {
                continue;
            }
            let found: Vec<_> = found.iter().copied().collect();
            let only_here = |at: &usize| mentioned_by.get(at).is_some_and(|items| items.len() == 1);
            match found.as_slice() {
                [one] => {
                    let items = mentioned_by.get(one).cloned().unwrap_or_default();
                    let alone = |at: &usize| mentions.get(at).is_some_and(|m| m.len() == 1);
                    if items.iter().all(alone) {
                        self.one_to_some(MatchedBy::Text, *one, &items);
                    } else {
                        self.hold(Open::Ambiguous, &[*one], &items);
                    }
                }
                several if several.iter().all(only_here) => {
                    self.some_to_one(MatchedBy::Text, several, *item);
                }
                several => self.hold(Open::Ambiguous, several, &[*item]),
            }
        }
    }

    /// Nothing that matters for the money differs.
    pub(super) fn fits(&self, at: usize, item: usize) -> bool {
        let differences = super::compare::compare(self.expected[at], &self.items[item]);
        !differences.iter().any(|d| d.field.matters())
    }

    /// As [`fits`](Self::fits), for one of several that make the amount together.
    pub(super) fn fits_but_for_amount(&self, at: usize, item: usize) -> bool {
        let differences = super::compare::compare(self.expected[at], &self.items[item]);
        !differences
            .iter()
            .any(|d| d.field.matters() && d.field != Field::Amount)
    }

    /// One instruction that one or several items name.
    fn one_to_some(&mut self, by: MatchedBy, at: usize, items: &[usize]) {
        let sum: i128 = items
            .iter()
            .map(|i| i128::from(self.items[*i].amount_minor).abs())
            .sum();
        let wanted = i128::from(self.expected[at].amount_minor);
        // An item with our instruction id and a foreign end-to-end id contradicts itself.
        let named_right = |item: &usize| {
            let id = self.items[*item].end_to_end_id.as_ref();
            by != MatchedBy::Id || id.is_none_or(|id| *id == self.expected[at].end_to_end_id)
        };
        let others_fit = items
            .iter()
            .all(|item| self.fits_but_for_amount(at, *item) && named_right(item));
        if others_fit && sum == wanted {
            self.accept(by, &[at], items);
        } else if others_fit && items.len() > 1 && items.iter().any(|item| self.fits(at, *item)) {
            // Booked twice? Which one is it?
            self.hold(Open::Ambiguous, &[at], items);
        } else {
            self.hold(Open::Differs, &[at], items);
        }
    }

    /// Several instructions that one item names.
    fn some_to_one(&mut self, by: MatchedBy, expected: &[usize], item: usize) {
        let sum: i128 = expected
            .iter()
            .map(|at| i128::from(self.expected[*at].amount_minor))
            .sum();
        let found = i128::from(self.items[item].amount_minor).abs();
        let batch = self.items[item].batch.as_ref();
        let count = batch.and_then(|batch| batch.count);
        let count_fits = count.is_none_or(|count| usize::try_from(count) == Ok(expected.len()));
        let others_fit = expected
            .iter()
            .all(|at| self.fits_but_for_amount(*at, item));
        if others_fit && count_fits && sum == found {
            return self.accept(by, expected, &[item]);
        }
        let mut differences = Vec::new();
        let names = self.names(expected).join(", ");
        let mut differs = |field, wanted: String, found: String| {
            differences.push(Difference {
                instruction_id: names.clone(),
                field,
                expected: wanted,
                found,
            });
        };
        let currency = self.items[item].currency;
        if sum != found {
            differs(
                Field::Amount,
                decimal(sum, currency),
                decimal(found, currency),
            );
        }
        if let Some(count) = count.filter(|_| !count_fits) {
            differs(Field::Count, expected.len().to_string(), count.to_string());
        }
        for at in expected {
            let found = super::compare::compare(self.expected[*at], &self.items[item]);
            differences.extend(found.into_iter().filter(|d| d.field != Field::Amount));
        }
        self.hold_with(Open::Differs, expected, item, differences);
        self.hold_expected(Open::Differs, expected);
    }
}
