//! The pairs that can lie on a cycle, as a graph for the solver.

use super::Amounts;
use crate::{
    book::{Book, accumulate},
    components::Components,
    quantity::Quantity,
};

/// Pairs inside strongly connected components: a circulation is 0 on every other one. Nodes are numbered by falling degree,
/// equal degrees by member, so that what is looked at most often lies together.
#[derive(Debug)]
pub(super) struct Arcs<T> {
    /// Member index of each node.
    pub(super) member: Vec<u32>,
    /// Arcs of node `v`: `from[v]..from[v + 1]`.
    pub(super) from: Vec<u32>,
    /// Creditor of each arc; ascending for a debtor.
    pub(super) head: Vec<u32>,
    /// What is owed.
    pub(super) owed: Vec<T>,
    /// How much of it is not cleared: the flow of the complement.
    pub(super) kept: Vec<T>,
    /// The pair in the book.
    pub(super) pair: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl<T: Quantity> Arcs<T> {
    /// Takes the pairs inside of components.
    pub(super) fn of(book: &Book<T>, amounts: Amounts<'_, T>, components: &Components) -> Self {
        let inside: Vec<(u32, u32, u32)> = book
            .pairs()
            .filter(|(debtor, creditor, pair)| {
                debtor != creditor
                    && components.of[*debtor as usize] == components.of[*creditor as usize]
                    && amounts[*pair] > T::ZERO
            })
            .map(|(debtor, creditor, pair)| (debtor, creditor, pair as u32))
            .collect();
        let mut owing = vec![0_u32; book.members.len()];
        let mut owed = vec![0_u32; book.members.len()];
        for (debtor, creditor, _) in &inside {
            owing[*debtor as usize] += 1;
            owed[*creditor as usize] += 1;
        }
        let degree = |i: &u32| owing[*i as usize] + owed[*i as usize];
        let mut member: Vec<u32> = (0..book.members.len() as u32)
            .filter(|i| degree(i) > 0)
            .collect();
        member.sort_by_key(|i| std::cmp::Reverse(degree(i)));
        let mut node = vec![NOWHERE; book.members.len()];
        for (v, i) in (0..).zip(&member) {
            node[*i as usize] = v;
        }

        // By creditor first, then by debtor, so that the arcs of a node are in the order of their heads.
        let starts = |count: &[u32]| {
            let mut starts = vec![0; member.len() + 1];
            for (start, i) in starts[1..].iter_mut().zip(&member) {
                *start = count[*i as usize];
            }
            accumulate(&mut starts);
            starts
        };
        let mut into = starts(&owed);
        let from = starts(&owing);
        let count = inside.len();
        let mut by_creditor = vec![(0_u32, 0_u32, 0_u32); count];
        for (debtor, creditor, pair) in inside {
            let (tail, head) = (node[debtor as usize], node[creditor as usize]);
            let at = &mut into[head as usize];
            by_creditor[*at as usize] = (tail, head, pair);
            *at += 1;
        }
        let mut arcs = Self {
            member,
            head: vec![0; count],
            owed: vec![T::ZERO; count],
            kept: vec![T::ZERO; count],
            pair: vec![0; count],
            from,
        };
        let mut next = arcs.from.clone();
        for (tail, head, pair) in by_creditor {
            let at = next[tail as usize] as usize;
            next[tail as usize] += 1;
            arcs.head[at] = head;
            arcs.owed[at] = amounts[pair as usize];
            arcs.pair[at] = pair;
        }
        arcs
    }

    /// How many nodes there are.
    pub(super) fn nodes(&self) -> usize {
        self.member.len()
    }

    /// The arcs of a node.
    pub(super) fn of_node(&self, v: usize) -> std::ops::Range<usize> {
        self.from[v] as usize..self.from[v + 1] as usize
    }

    /// What each node still has to ship: what it owes and does not keep, less what it is owed and is not kept. Above 0 it is
    /// to be shipped away, below 0 to be brought.
    pub(super) fn imbalance(&self) -> Vec<T> {
        let mut excess = vec![T::ZERO; self.nodes()];
        for v in 0..self.nodes() {
            for arc in self.of_node(v) {
                let left = self.owed[arc] - self.kept[arc];
                excess[v] += left;
                excess[self.head[arc] as usize] -= left;
            }
        }
        excess
    }
}
