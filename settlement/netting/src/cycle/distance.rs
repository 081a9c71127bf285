//! How far every node is from a deficit, over all arcs: for networks whose surplus lies many levels from where it is needed,
//! such as one long ring, which would otherwise rise one level at a time.

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

/// Raises every node's potential to the cost of the cheapest way to a deficit: Dijkstra's algorithm with a bucket per
/// distance, on the costs that the present potentials leave. O(arcs + largest distance).
pub(super) fn raise_to_distance<T: Quantity>(
    arcs: &Arcs<T>,
    incoming: &Incoming,
    excess: &[T],
    potential: &mut [u32],
) {
    let mut distance = vec![FAR; arcs.nodes()];
    let mut buckets: Vec<Vec<u32>> = vec![vec![]];
    for (v, excess) in excess.iter().enumerate() {
        if *excess < T::ZERO {
            distance[v] = 0;
            buckets[0].push(v as u32);
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
                let far = at + cost as usize;
                if far < distance[u] as usize {
                    distance[u] = far as u32;
                    if buckets.len() <= far {
                        buckets.resize(far + 1, vec![]);
                    }
                    buckets[far].push(u as u32);
                }
            };
            // More can be kept of what u owes v, for 1 ...
            for (u, arc) in &incoming.arcs[incoming.from[v] as usize..incoming.from[v + 1] as usize]
            {
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
    // What reaches no deficit has no surplus; it rises with the farthest, and no arc's cost falls below 0.
    let farthest = buckets.len() as u32 - 1;
    for (potential, distance) in potential.iter_mut().zip(distance) {
        *potential += distance.min(farthest);
    }
}
