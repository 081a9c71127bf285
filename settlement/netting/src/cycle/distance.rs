//! Cheapest ways over all arcs. Two uses: to skip levels in networks whose surplus lies many of them from where it is needed,
//! such as one long ring; and to find those of all possible potentials that do not depend on how the solver came to its own.

use super::arcs::Arcs;
use crate::{book::accumulate, quantity::Quantity};

const FAR: u32 = u32::MAX;

/// Arcs by the node that they lead to.
#[derive(Debug)]
pub(super) struct Incoming {
    from: Vec<u32>,
    /// Tail and arc.
    arcs: Vec<(u32, u32)>,
}

impl Incoming {
    /// Sorts the arcs by their heads.
    pub(super) fn of<T: Quantity>(arcs: &Arcs<T>) -> Self {
        let mut from = vec![0_u32; arcs.nodes() + 1];
        for head in &arcs.head {
            from[*head as usize + 1] += 1;
        }
        accumulate(&mut from);
        let mut next = from.clone();
        let mut sorted = vec![(0, 0); arcs.head.len()];
        for v in 0..arcs.nodes() {
            for arc in arcs.of_node(v) {
                let at = &mut next[arcs.head[arc] as usize];
                sorted[*at as usize] = (v as u32, arc as u32);
                *at += 1;
            }
        }
        Self { from, arcs: sorted }
    }
}

/// The cheapest way from each node to where another may start: Dijkstra's algorithm with a bucket per distance, backwards, on
/// the costs that the present potentials leave. A node may start at `start`, or nowhere at [`FAR`]. O(arcs + distance).
fn distances<T: Quantity>(
    arcs: &Arcs<T>,
    incoming: &Incoming,
    potential: &[u32],
    start: Vec<u32>,
) -> Vec<u32> {
    let mut distance = start;
    let mut buckets: Vec<Vec<u32>> = vec![];
    let enter = |buckets: &mut Vec<Vec<u32>>, v: u32, far: u32| {
        if buckets.len() <= far as usize {
            buckets.resize(far as usize + 1, vec![]);
        }
        buckets[far as usize].push(v);
    };
    for (v, far) in (0..).zip(&distance) {
        if *far != FAR {
            enter(&mut buckets, v, *far);
        }
    }
    let mut at = 0;
    while at < buckets.len() {
        while let Some(v) = buckets[at].pop() {
            let v = v as usize;
            if distance[v] as usize != at {
                continue;
            }
            let mut reach = |u: usize, cost: u32| {
                let far = at as u32 + cost;
                if far < distance[u] {
                    distance[u] = far;
                    enter(&mut buckets, u as u32, far);
                }
            };
            // More can be kept of what u owes v, for 1 ...
            let into = incoming.from[v] as usize..incoming.from[v + 1] as usize;
            for (u, arc) in &incoming.arcs[into] {
                let (u, arc) = (*u as usize, *arc as usize);
                if arcs.kept[arc] < arcs.owed[arc] {
                    reach(u, 1 + potential[v] - potential[u]);
                }
            }
            // ... or less of what v owes w, which gives 1 back.
            for arc in arcs.of_node(v) {
                let w = arcs.head[arc] as usize;
                if arcs.kept[arc] > T::ZERO {
                    reach(w, potential[v] - potential[w] - 1);
                }
            }
        }
        at += 1;
    }
    distance
}

/// Raises every node's potential to the cost of the cheapest way to a deficit.
pub(super) fn raise_to_deficits<T: Quantity>(
    arcs: &Arcs<T>,
    incoming: &Incoming,
    excess: &[T],
    potential: &mut [u32],
) {
    let start = excess
        .iter()
        .map(|excess| if *excess < T::ZERO { 0 } else { FAR });
    let distance = distances(arcs, incoming, potential, start.collect());
    // What reaches no deficit has no surplus; it rises with the farthest, and no arc's cost falls below 0.
    let reached = distance.iter().filter(|distance| **distance != FAR);
    let farthest = reached.copied().max().unwrap_or(0);
    for (potential, distance) in potential.iter_mut().zip(distance) {
        *potential += distance.min(farthest);
    }
}

/// Raises every node's potential as far as it goes with the highest of them fixed, when nothing is left to be shipped.
///
/// Which potentials fit the cheapest flow does not depend on which of the cheapest flows is at hand; and of those that are
/// nowhere above a bound, one is the largest everywhere. So the result does not depend on how it was come to.
pub(super) fn raise_to_highest<T: Quantity>(
    arcs: &Arcs<T>,
    incoming: &Incoming,
    potential: &mut [u32],
) {
    let highest = potential.iter().copied().max().unwrap_or(0);
    let below = potential.iter().map(|potential| highest - potential);
    let distance = distances(arcs, incoming, potential, below.collect());
    for (potential, distance) in potential.iter_mut().zip(distance) {
        *potential += distance;
    }
    let lowest = potential.iter().copied().min().unwrap_or(0);
    for potential in potential {
        *potential -= lowest;
    }
}
