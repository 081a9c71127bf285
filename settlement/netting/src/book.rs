//! The obligations of a run in canonical form: members ascending, one amount per ordered pair of members, pairs ascending,
//! and below each pair its obligations, oldest first. Everything that a method computes, it computes from this; so the order
//! of the input cannot show in a result, save as age within a pair.
//!
//! Costs two counting sorts: O(obligations + members).

use crate::{
    obligation::{NettingError, Obligation},
    quantity::Quantity,
};

/// Most obligations of a run: what is numbered per obligation keeps inside 30 bits.
pub(crate) const MAX_OBLIGATIONS: usize = 1 << 29;

/// What a first look at the obligations says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Survey {
    /// Sum of all amounts.
    pub(crate) gross: i128,
    /// The largest member id that is used, 0 without obligations.
    pub(crate) largest_id: u32,
}

impl Survey {
    /// Checks every amount and adds them up.
    pub(crate) fn of(obligations: &[Obligation]) -> Result<Self, NettingError> {
        if obligations.len() > MAX_OBLIGATIONS {
            return Err(NettingError::TooMany {
                count: obligations.len(),
                max: MAX_OBLIGATIONS,
            });
        }
        // Sign and largest id by OR and max over blocks, so that the loop stays free of branches; the high and low halves of
        // the sum are kept apart, so that it needs no i128 per obligation.
        let (mut low, mut high, mut sign, mut largest_id) = (0_u64, 0_u64, 0_i64, 0_u32);
        for obligation in obligations {
            let amount = obligation.amount;
            sign |= amount;
            low += amount as u64 & 0xFFFF_FFFF;
            high += amount as u64 >> 32;
            largest_id = largest_id.max(obligation.debtor).max(obligation.creditor);
        }
        if sign < 0 {
            for (index, obligation) in obligations.iter().enumerate() {
                if obligation.amount < 0 {
                    return Err(NettingError::NegativeAmount {
                        index,
                        amount: obligation.amount,
                    });
                }
            }
        }
        Ok(Self {
            gross: (i128::from(high) << 32) + i128::from(low),
            largest_id,
        })
    }

    /// Whether every sum of these obligations fits into an `i64`.
    pub(crate) fn is_narrow(&self) -> bool {
        self.gross <= i128::from(i64::MAX)
    }
}

/// Whether a table by id is small beside the obligations.
pub(crate) fn is_dense(largest_id: u32, obligations: usize) -> bool {
    largest_id as usize <= obligations.saturating_mul(4) + 65_536
}

/// Members by id, and the way from an id to its index.
#[derive(Debug)]
pub(crate) struct Members {
    /// Ids, ascending.
    pub(crate) ids: Vec<u32>,
    /// Index by id where ids are dense, else empty.
    table: Vec<u32>,
}

impl Members {
    /// The members of these obligations. Zero amounts make nobody a member.
    pub(crate) fn of(obligations: &[Obligation], largest_id: u32) -> Self {
        let owed = obligations.iter().filter(|o| o.amount > 0);
        if !is_dense(largest_id, obligations.len()) {
            let mut ids: Vec<u32> = owed.flat_map(|o| [o.debtor, o.creditor]).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.shrink_to_fit();
            return Self { ids, table: vec![] };
        }
        let mut table = vec![0_u32; largest_id as usize + 1];
        for o in owed {
            table[o.debtor as usize] = 1;
            table[o.creditor as usize] = 1;
        }
        let mut ids = Vec::with_capacity(table.iter().filter(|used| **used == 1).count());
        for (id, index) in (0..).zip(&mut table) {
            let used = *index == 1;
            *index = ids.len() as u32;
            if used {
                ids.push(id);
            }
        }
        Self { ids, table }
    }

    /// Index of a member of the obligations that this was made of.
    pub(crate) fn index(&self, id: u32) -> u32 {
        match self.table.get(id as usize) {
            Some(index) => *index,
            None => self.ids.partition_point(|other| *other < id) as u32,
        }
    }
}

/// Obligations in canonical form.
#[derive(Debug)]
pub(crate) struct Book<T> {
    /// Member ids, ascending. Everything below speaks of members by their index here.
    pub(crate) members: Vec<u32>,
    /// Pairs of debtor `i`: `pairs_from[i]..pairs_from[i + 1]`.
    pub(crate) pairs_from: Vec<u32>,
    /// Creditor of each pair; ascending for a debtor.
    pub(crate) creditor: Vec<u32>,
    /// What the pair's obligations sum up to; more than 0.
    pub(crate) amount: Vec<T>,
    /// Obligations of pair `k`, oldest first: `order[order_from[k]..order_from[k + 1]]`.
    order: Vec<u32>,
    order_from: Vec<u32>,
}

/// An obligation on its way through the sorts.
#[derive(Clone, Copy, Default)]
struct Row {
    debtor: u32,
    creditor: u32,
    obligation: u32,
}

/// Rows by ascending key, equal keys in the order they came in.
fn counting_sort(rows: &[Row], keys: usize, key: impl Fn(&Row) -> u32) -> Vec<Row> {
    let mut next = vec![0_u32; keys + 1];
    for row in rows {
        next[key(row) as usize + 1] += 1;
    }
    accumulate(&mut next);
    let mut sorted = vec![Row::default(); rows.len()];
    for row in rows {
        let at = &mut next[key(row) as usize];
        sorted[*at as usize] = *row;
        *at += 1;
    }
    sorted
}

/// Turns counts, shifted by one, into starts.
pub(crate) fn accumulate(counts: &mut [u32]) {
    let mut sum = 0;
    for count in counts {
        sum += *count;
        *count = sum;
    }
}

impl<T: Quantity> Book<T> {
    /// Sorts and merges. `T` must hold the gross sum of the obligations.
    pub(crate) fn of(obligations: &[Obligation], survey: &Survey) -> Self {
        let members = Members::of(obligations, survey.largest_id);
        let n = members.ids.len();
        let rows: Vec<Row> = (0..)
            .zip(obligations)
            .filter(|(_, o)| o.amount > 0)
            .map(|(obligation, o)| Row {
                debtor: members.index(o.debtor),
                creditor: members.index(o.creditor),
                obligation,
            })
            .collect();
        let rows = counting_sort(&rows, n, |row| row.creditor);
        let rows = counting_sort(&rows, n, |row| row.debtor);
        let same = |a: &Row, b: &Row| (a.debtor, a.creditor) == (b.debtor, b.creditor);
        let pairs = rows.chunk_by(same).count();

        let mut book = Self {
            members: members.ids,
            pairs_from: vec![0; n + 1],
            creditor: Vec::with_capacity(pairs),
            amount: Vec::with_capacity(pairs),
            order: rows.iter().map(|row| row.obligation).collect(),
            order_from: Vec::with_capacity(pairs + 1),
        };
        let mut from = 0;
        for pair in rows.chunk_by(same) {
            book.pairs_from[pair[0].debtor as usize + 1] += 1;
            book.creditor.push(pair[0].creditor);
            let amounts = pair
                .iter()
                .map(|row| obligations[row.obligation as usize].amount);
            book.amount.push(amounts.map(T::from).sum());
            book.order_from.push(from);
            from += pair.len() as u32;
        }
        book.order_from.push(from);
        accumulate(&mut book.pairs_from);
        book
    }

    /// The pairs of a debtor.
    pub(crate) fn pairs_of(&self, debtor: u32) -> std::ops::Range<usize> {
        self.pairs_from[debtor as usize] as usize..self.pairs_from[debtor as usize + 1] as usize
    }

    /// Debtor, creditor and number of every pair, in canonical order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u32, u32, usize)> {
        (0..self.members.len() as u32).flat_map(move |debtor| {
            self.pairs_of(debtor)
                .map(move |pair| (debtor, self.creditor[pair], pair))
        })
    }

    /// The pair of these two, if there is one.
    pub(crate) fn pair(&self, debtor: u32, creditor: u32) -> Option<usize> {
        let pairs = self.pairs_of(debtor);
        let found = self.creditor[pairs.clone()].binary_search(&creditor).ok()?;
        Some(pairs.start + found)
    }

    /// What each member is owed less what it owes.
    pub(crate) fn positions(&self) -> Vec<T> {
        let mut net = vec![T::ZERO; self.members.len()];
        for (debtor, creditor, pair) in self.pairs() {
            net[debtor as usize] -= self.amount[pair];
            net[creditor as usize] += self.amount[pair];
        }
        net
    }

    /// Splits what is cleared of each pair over its obligations, oldest first.
    pub(crate) fn split(&self, cleared: &[T], obligations: &[Obligation]) -> Vec<i64> {
        let mut parts = vec![0; obligations.len()];
        for (pair, cleared) in cleared.iter().enumerate() {
            let mut left: T = *cleared;
            for index in
                &self.order[self.order_from[pair] as usize..self.order_from[pair + 1] as usize]
            {
                if left == T::ZERO {
                    break;
                }
                let amount = obligations[*index as usize].amount;
                let (part, rest) = if left < T::from(amount) {
                    (left.into() as i64, T::ZERO)
                } else {
                    (amount, left - T::from(amount))
                };
                parts[*index as usize] = part;
                left = rest;
            }
        }
        parts
    }
}
