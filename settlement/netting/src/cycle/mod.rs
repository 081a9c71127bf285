//! CYCLE_CLEARING: the maximum circulation.
//!
//! Of every pair's amount `c` a part `f` is cleared, 0 <= f <= c, such that each member is relieved of as much owing as owed;
//! the sum of `f` is to be the largest. The complement `g = c - f`, which is kept, is a flow that ships what each net debtor
//! owes to net creditors along original pairs, and its sum is to be the smallest: minimum cost with every cost 1.
//!
//! Primal-dual: potentials start at 0 and rise level by level; at each level as much as possible is shipped along the arcs
//! that the potentials make free of cost ([`tight`]). What then still has surplus reaches no deficit at this level, and all
//! nodes that reach none rise by 1. The levels are as many as the longest way is long, 13 for a million obligations of the
//! scale-free family; where surplus lies far off, levels are skipped.
//!
//! Canonical tie-break: the largest sum is unique, the circulation is not. The one that is given depends neither on the order
//! of the input nor on the way that the solver took. Of all potentials that prove the optimum, the highest are unique
//! ([`distance`]). They say of every pair outside their free arcs whether all of it is cleared or nothing. On the free arcs
//! the flow is built anew, from nothing, by one fixed procedure ([`canonical`]), all of whose orders are those of members and
//! pairs. So the search may become faster without a result changing; the procedure, and [`BUDGET`] as a part of it, may not
//! change, and tests hold its bytes.
//!
//! The potentials also prove that no circulation clears more; `certificate` checks them by other means.

mod arcs;
mod distance;
mod tight;

use crate::{
    book::{Book, accumulate},
    components::{Components, components},
    quantity::Quantity,
};
use arcs::Arcs;
use distance::{Incoming, raise_to_deficits, raise_to_highest};
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

/// How the search is paced. It decides how long it takes, and nothing about the result.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Part of a measurement's cost that raising stuck nodes may take until the next one: less measures too often, more climbs
    /// on in regions that are cut off.
    budget: usize,
    /// Levels between two measurements of all distances, at the most.
    levels: u32,
}

const PACE: Pace = Pace {
    budget: 6,
    levels: 32,
};

/// As [`Pace::budget`], of the canonical flow.
const BUDGET: usize = 6;

/// Finds the canonical maximum circulation of the pairs of a book with these amounts, each between 0 and the pair's.
pub(crate) fn circulation<T: Quantity>(book: &Book<T>, amounts: Amounts<'_, T>) -> Circulation<T> {
    circulation_at(PACE, book, amounts)
}

fn circulation_at<T: Quantity>(
    pace: Pace,
    book: &Book<T>,
    amounts: Amounts<'_, T>,
) -> Circulation<T> {
    let components = components(&book.pairs_from, &book.creditor, |pair| {
        amounts[pair] > T::ZERO
    });
    let mut arcs = Arcs::of(book, amounts, &components);
    let levels = solve(pace, &mut arcs);

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

/// Finds the flow and the potential of each node.
fn solve<T: Quantity>(pace: Pace, arcs: &mut Arcs<T>) -> Vec<u32> {
    let mut tight = Tight::new(arcs.nodes());
    let mut incoming = None;
    let mut potential = ship(pace, arcs, &mut tight, &mut incoming);
    let incoming = incoming.unwrap_or_else(|| Incoming::of(arcs));
    raise_to_highest(arcs, &incoming, &mut potential);
    drop(incoming);
    canonical(arcs, &potential, &mut tight);
    potential
}

/// Ships every surplus at the least cost; gives potentials that prove it.
fn ship<T: Quantity>(
    pace: Pace,
    arcs: &mut Arcs<T>,
    tight: &mut Tight<T>,
    incoming: &mut Option<Incoming>,
) -> Vec<u32> {
    let mut excess = arcs.imbalance();
    let level = |excess: &T| u32::from(*excess >= T::ZERO);
    let mut potential: Vec<u32> = excess.iter().map(level).collect();
    let mut since_measured = 0;
    while excess.iter().any(|excess| *excess > T::ZERO) {
        tight.load(arcs, &potential);
        let shipped = tight.ship(&mut excess, tight.slots() / pace.budget);
        tight.store(arcs);
        since_measured += 1;
        if shipped && since_measured < pace.levels {
            for (v, potential) in potential.iter_mut().enumerate() {
                *potential += u32::from(!tight.reaches(v));
            }
        } else {
            let incoming = incoming.get_or_insert_with(|| Incoming::of(arcs));
            raise_to_deficits(arcs, incoming, &excess, &mut potential);
            since_measured = 0;
        }
    }
    potential
}

/// Gives each arc the flow that the potentials leave no choice about, and builds the flow on all others anew: of a pair that
/// is worth more than nothing nothing is kept, of one that is worth less all; along the rest, surplus is shipped from nothing.
fn canonical<T: Quantity>(arcs: &mut Arcs<T>, potential: &[u32], tight: &mut Tight<T>) {
    for v in 0..arcs.nodes() {
        for arc in arcs.of_node(v) {
            let forced = potential[v] > potential[arcs.head[arc] as usize] + 1;
            arcs.kept[arc] = if forced { arcs.owed[arc] } else { T::ZERO };
        }
    }
    let mut excess = arcs.imbalance();
    tight.load(arcs, potential);
    tight.ship(&mut excess, tight.slots() / BUDGET);
    tight.store(arcs);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        book::Survey,
        oblgen::{Family, Oblgen},
    };

    #[test]
    fn the_way_to_the_optimum_does_not_show() {
        for (family, nodes) in [
            (Family::Sf, 1_000),
            (Family::Tier, 2_000),
            (Family::Sf, 5_000),
        ] {
            let oblgen = Oblgen {
                family,
                nodes,
                obligations: 10_000,
                seed: 5,
            };
            let obligations: Vec<_> = oblgen.generate().collect();
            let survey = Survey::of(&obligations).unwrap();
            let book = Book::<i64>::of(&obligations, &survey);
            let one = circulation(&book, &book.amount);
            for (budget, levels) in [(1, 1), (100, 2), (usize::MAX, 1_000)] {
                let other = circulation_at(Pace { budget, levels }, &book, &book.amount);
                assert_eq!(one.cleared, other.cleared, "{family} {nodes} {budget}");
                assert_eq!(one.potential, other.potential);
            }
        }
    }

    #[test]
    fn wide_integers_give_what_narrow_ones_give() {
        let oblgen = Oblgen {
            family: Family::Tier,
            nodes: 1_000,
            obligations: 10_000,
            seed: 6,
        };
        let obligations: Vec<_> = oblgen.generate().collect();
        let survey = Survey::of(&obligations).unwrap();
        let narrow = Book::<i64>::of(&obligations, &survey);
        let wide = Book::<i128>::of(&obligations, &survey);
        let (narrow, wide) = (
            circulation(&narrow, &narrow.amount),
            circulation(&wide, &wide.amount),
        );
        let widened: Vec<i128> = narrow.cleared.iter().map(|c| i128::from(*c)).collect();
        assert_eq!(widened, wide.cleared);
        assert_eq!(narrow.potential, wide.potential);
    }
}
