//! CYCLE_CLEARING: the maximum circulation.
//!
//! Of every pair's amount `c` a part `f` is cleared, 0 <= f <= c, such that each member is relieved of as much owing as owed;
//! the sum of `f` is to be the largest. The complement `g = c - f`, which is kept, is a flow that ships what each net debtor
//! owes to net creditors along original pairs, and its sum is to be the smallest: minimum cost with every cost 1.
//!
//! Primal-dual: potentials start at 0 and rise level by level; at each level as much as possible is shipped along the arcs
//! that the potentials make free of cost ([`tight`]). What then still has surplus reaches no deficit at this level, and all
//! nodes that reach none rise by 1. The levels are as many as the longest way is long, 13 for a million obligations of the
//! scale-free family; where surplus lies far off, [`distance`] skips levels.
//!
//! Canonical tie-break: the largest sum is unique, the circulation is not. The one that is given is that of this algorithm on
//! the canonical form of the obligations: integers only, one thread, every order that it depends on is that of members and
//! pairs. It is part of what this crate promises, and tests hold its bytes.
//!
//! The potentials that end it prove that no circulation clears more; `certificate` checks them by other means.

mod arcs;
mod distance;
mod tight;

use crate::{
    book::{Book, accumulate},
    components::{Components, components},
    quantity::Quantity,
};
use arcs::Arcs;
use distance::{Incoming, raise_to_distance};
use tight::Tight;

/// An amount of each pair of a book.
type Amounts<'a, T> = &'a [T];

/// What the solver found.
#[derive(Debug)]
pub(crate) struct Circulation<T> {
    /// What is cleared of each pair.
    pub(crate) cleared: Vec<T>,
    /// A potential of each member of the book.
    pub(crate) potential: Vec<i64>,
}

/// Levels between two measurements of all distances, at the most.
const LEVELS_AT_A_TIME: u32 = 32;

/// Finds the maximum circulation of the pairs of a book with these amounts, each between 0 and the pair's.
pub(crate) fn circulation<T: Quantity>(book: &Book<T>, amounts: Amounts<'_, T>) -> Circulation<T> {
    let components = components(&book.pairs_from, &book.creditor, |pair| {
        amounts[pair] > T::ZERO
    });
    let mut arcs = Arcs::of(book, amounts, &components);
    let levels = ship(&mut arcs);

    let mut cleared = vec![T::ZERO; amounts.len()];
    for (arc, pair) in arcs.pair.iter().enumerate() {
        cleared[*pair as usize] = arcs.owed[arc] - arcs.kept[arc];
    }
    let mut potential = vec![0_i64; book.members.len()];
    for (member, level) in arcs.member.iter().zip(levels) {
        potential[*member as usize] = i64::from(level);
    }
    drop(arcs);
    for member in 0..book.members.len() as u32 {
        // A debt to oneself is a cycle.
        if let Some(pair) = book.pair(member, member) {
            cleared[pair] = amounts[pair];
        }
    }
    stack(book, amounts, &components, &mut potential);
    Circulation { cleared, potential }
}

/// Ships every surplus at the least cost; gives the potential of each node.
fn ship<T: Quantity>(arcs: &mut Arcs<T>) -> Vec<u32> {
    let mut excess = arcs.imbalance();
    let mut potential: Vec<u32> = excess
        .iter()
        .map(|excess| u32::from(*excess >= T::ZERO))
        .collect();
    let mut tight = Tight::new(arcs.nodes());
    let mut incoming = None;
    let mut since_measured = 0;
    while excess.iter().any(|excess| *excess > T::ZERO) {
        tight.load(arcs, &potential);
        // Less measures too often, more climbs on in regions that are cut off.
        let budget = tight.slots() / 4;
        let mut shipped = false;
        while tight.measure(&excess) {
            tight.push(&mut excess, budget);
            shipped = true;
        }
        tight.store(arcs);
        since_measured += 1;
        if shipped && since_measured < LEVELS_AT_A_TIME {
            for (v, potential) in potential.iter_mut().enumerate() {
                *potential += u32::from(!tight.reaches(v));
            }
        } else {
            let incoming = incoming.get_or_insert_with(|| Incoming::of(arcs));
            raise_to_distance(arcs, incoming, &excess, &mut potential);
            since_measured = 0;
        }
    }
    potential
}

/// Lifts whole components, so that every pair between two of them, of which all is kept, falls by at least 1.
fn stack<T: Quantity>(
    book: &Book<T>,
    amounts: Amounts<'_, T>,
    components: &Components,
    potential: &mut [i64],
) {
    let mut from = vec![0_u32; components.count as usize + 1];
    for component in &components.of {
        from[*component as usize + 1] += 1;
    }
    accumulate(&mut from);
    let mut members = vec![0_u32; components.of.len()];
    let mut next = from.clone();
    for (member, component) in (0..).zip(&components.of) {
        let at = &mut next[*component as usize];
        members[*at as usize] = member;
        *at += 1;
    }
    // Pairs lead to components of lower numbers, which are in place already.
    for component in from.windows(2) {
        let members = &members[component[0] as usize..component[1] as usize];
        let mut lift = 0;
        for member in members {
            for pair in book.pairs_of(*member) {
                let creditor = book.creditor[pair];
                let leaves = components.of[creditor as usize] != components.of[*member as usize];
                if leaves && amounts[pair] > T::ZERO {
                    let least = potential[creditor as usize] + 1;
                    lift = lift.max(least - potential[*member as usize]);
                }
            }
        }
        for member in members {
            potential[*member as usize] += lift;
        }
    }
}
