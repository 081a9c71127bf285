//! The arcs on which flow costs nothing under the present potentials, and shipping along them.
//!
//! These are a third of all arcs and fewer as the potentials rise. So they are copied into a compact graph that has both
//! directions of an arc next to their nodes, all work of a level is done there, and the flow is written back.
//!
//! Shipping is push-relabel: [`Tight::measure`] finds every node's exact number of hops to a deficit, [`Tight::push`] moves
//! surplus to nodes that are one hop nearer, from the farthest inwards, and raises a node's number only where surplus is
//! stuck; when that has cost a share of a measurement, everything is measured again.

use super::arcs::Arcs;
use crate::{book::accumulate, quantity::Quantity};

/// On a slot's head: nothing more can flow to there.
const FULL: u32 = 1 << 31;
/// On a slot's head: nothing more can flow from there.
const FULL_BACK: u32 = 1 << 30;
/// The part of a slot's head that is the node.
const NODE: u32 = FULL_BACK - 1;
/// The hops of a node that reaches no deficit.
const CUT_OFF: u32 = u32::MAX;
/// The end of a list of nodes.
const END: u32 = u32::MAX;

/// One direction of an arc, at the node where it begins.
#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    /// How much more can flow.
    room: T,
    /// The slot of the other direction.
    mate: u32,
    /// The arc; [`END`] at the direction against it.
    arc: u32,
}

/// The tight arcs, and the state of shipping along them.
#[derive(Debug)]
pub(super) struct Tight<T> {
    /// Slots of node `v`: `from[v]..from[v + 1]`.
    from: Vec<u32>,
    /// Where each slot leads to, with [`FULL`] and [`FULL_BACK`]; apart from the rest, as measuring reads nothing else.
    head: Vec<u32>,
    slot: Vec<Slot<T>>,
    /// Hops to the nearest deficit; never more than there are.
    hops: Vec<u32>,
    /// Where a node's search for room goes on.
    current: Vec<u32>,
    /// Nodes in the order in which they were measured.
    queue: Vec<u32>,
    /// A bit per node: it reaches a deficit.
    reaches: Vec<u64>,
    /// A bit per node: it has surplus. Of use while measuring only.
    surplus: Vec<u64>,
    /// Nodes with surplus by their hops: the first of each list, and each node's next.
    first: Vec<u32>,
    next: Vec<u32>,
    /// The largest number of hops with a list that is not empty.
    top: usize,
}

impl<T: Quantity> Tight<T> {
    /// An empty graph of so many nodes.
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            from: vec![0; nodes + 1],
            head: vec![],
            slot: vec![],
            hops: vec![CUT_OFF; nodes],
            current: vec![0; nodes],
            queue: vec![0; nodes + 1],
            reaches: vec![0; nodes / 64 + 1],
            surplus: vec![0; nodes / 64 + 1],
            first: vec![],
            next: vec![END; nodes],
            top: 0,
        }
    }

    /// Copies the arcs that are tight.
    pub(super) fn load(&mut self, arcs: &Arcs<T>, potential: &[u32]) {
        let nodes = arcs.nodes();
        self.from.fill(0);
        for v in 0..nodes {
            let mut out = 0;
            for head in &arcs.head[arcs.of_node(v)] {
                let w = *head as usize;
                if potential[w] + 1 == potential[v] {
                    out += 1;
                    self.from[w + 1] += 1;
                }
            }
            self.from[v + 1] += out;
        }
        accumulate(&mut self.from);
        let slots = self.from[nodes] as usize;
        let blank = Slot {
            room: T::ZERO,
            mate: 0,
            arc: END,
        };
        self.head.clear();
        self.head.resize(slots, 0);
        self.slot.clear();
        self.slot.resize(slots, blank);
        self.current.copy_from_slice(&self.from[..nodes]);
        for v in 0..nodes {
            for arc in arcs.of_node(v) {
                let w = arcs.head[arc] as usize;
                if potential[w] + 1 != potential[v] {
                    continue;
                }
                let there = self.current[v] as usize;
                self.current[v] += 1;
                let back = self.current[w] as usize;
                self.current[w] += 1;
                let room = arcs.owed[arc] - arcs.kept[arc];
                let full = if room == T::ZERO {
                    (FULL, FULL_BACK)
                } else {
                    (0, 0)
                };
                let empty = if arcs.kept[arc] == T::ZERO {
                    (FULL_BACK, FULL)
                } else {
                    (0, 0)
                };
                self.head[there] = w as u32 | full.0 | empty.0;
                self.head[back] = v as u32 | full.1 | empty.1;
                self.slot[there] = Slot {
                    room,
                    mate: back as u32,
                    arc: arc as u32,
                };
                self.slot[back] = Slot {
                    room: arcs.kept[arc],
                    mate: there as u32,
                    arc: END,
                };
            }
        }
    }

    /// Writes the flow back.
    pub(super) fn store(&self, arcs: &mut Arcs<T>) {
        for slot in self.slot.iter().filter(|slot| slot.arc != END) {
            let arc = slot.arc as usize;
            arcs.kept[arc] = arcs.owed[arc] - slot.room;
        }
    }

    /// How many slots there are: what a measurement costs.
    pub(super) fn slots(&self) -> usize {
        self.head.len()
    }

    /// Whether the node reached a deficit when it was last measured.
    pub(super) fn reaches(&self, v: usize) -> bool {
        self.reaches[v >> 6] >> (v & 63) & 1 == 1
    }

    /// Ships as much surplus as can reach a deficit; says whether any could. Raising stuck nodes may look at `budget` slots
    /// between two measurements. What has surplus afterwards is not among what [`Tight::reaches`].
    pub(super) fn ship(&mut self, excess: &mut [T], budget: usize) -> bool {
        let mut shipped = false;
        while self.measure(excess) {
            self.push(excess, budget);
            shipped = true;
        }
        shipped
    }

    /// Counts every node's hops to the nearest deficit, breadth first from the deficits; says whether surplus is among what
    /// reaches one.
    fn measure(&mut self, excess: &[T]) -> bool {
        self.reaches.fill(0);
        self.surplus.fill(0);
        self.hops.fill(CUT_OFF);
        self.first.clear();
        self.top = 0;
        // Slices, so that the inner loop does not read where they are again after each write.
        let (queue, reaches) = (&mut self.queue[..], &mut self.reaches[..]);
        let (from, heads) = (&self.from[..], &self.head[..]);
        let mut len = 0;
        for (v, excess) in excess.iter().enumerate() {
            let deficit = u64::from(*excess < T::ZERO);
            queue[len] = v as u32;
            len += deficit as usize;
            reaches[v >> 6] |= deficit << (v & 63);
            self.surplus[v >> 6] |= u64::from(*excess > T::ZERO) << (v & 63);
        }
        let (mut at, mut hops, mut found) = (0, 0, false);
        while at < len {
            self.first.push(END);
            let end = len;
            while at < end {
                let v = queue[at] as usize;
                at += 1;
                self.hops[v] = hops;
                if self.surplus[v >> 6] >> (v & 63) & 1 == 1 {
                    found = true;
                    self.top = hops as usize;
                    self.next[v] = self.first[hops as usize];
                    self.first[hops as usize] = v as u32;
                }
                // No branch depends on what is read here: half of the slots are full, and which ones cannot be predicted.
                for head in &heads[from[v] as usize..from[v + 1] as usize] {
                    let w = head & NODE;
                    let word = &mut reaches[w as usize >> 6];
                    let take = u64::from(!head >> 30) & !(*word >> (w & 63)) & 1;
                    queue[len] = w;
                    len += take as usize;
                    *word |= take << (w & 63);
                }
            }
            hops += 1;
        }
        let nodes = excess.len();
        self.current.copy_from_slice(&self.from[..nodes]);
        found
    }

    /// Ships surplus as far as it goes, or until raising stuck nodes has looked at `budget` slots.
    fn push(&mut self, excess: &mut [T], budget: usize) {
        let mut work = 0;
        while work <= budget {
            let sweep = self.top;
            self.top = 0;
            work += sweep / 4;
            for hops in (0..=sweep).rev() {
                let mut v = std::mem::replace(&mut self.first[hops], END);
                while v != END {
                    let following = self.next[v as usize];
                    self.discharge(v as usize, hops, excess);
                    if excess[v as usize] > T::ZERO {
                        work += self.raise(v as usize);
                    }
                    v = following;
                }
            }
            if self.top == 0 {
                break;
            }
        }
    }

    /// Moves a node's surplus to neighbours one hop nearer.
    fn discharge(&mut self, v: usize, hops: usize, excess: &mut [T]) {
        if hops == 0 {
            return;
        }
        let nearer = hops as u32 - 1;
        let mut surplus = excess[v];
        let mut at = self.current[v] as usize;
        let end = self.from[v + 1] as usize;
        while at < end {
            let head = self.head[at];
            let w = (head & NODE) as usize;
            if head & FULL == 0 && self.hops[w] == nearer {
                let room = self.slot[at].room;
                let amount = surplus.min(room);
                self.shift(at, amount);
                let before = excess[w];
                excess[w] = before + amount;
                if before <= T::ZERO && excess[w] > T::ZERO {
                    self.next[w] = self.first[nearer as usize];
                    self.first[nearer as usize] = w as u32;
                }
                surplus -= amount;
                if surplus == T::ZERO {
                    break;
                }
            }
            at += 1;
        }
        self.current[v] = at as u32;
        excess[v] = surplus;
    }

    /// Lets an amount flow along a slot.
    fn shift(&mut self, at: usize, amount: T) {
        let there = &mut self.slot[at];
        there.room -= amount;
        let (mate, full) = (there.mate as usize, there.room == T::ZERO);
        let back = &mut self.slot[mate];
        if back.room == T::ZERO {
            self.head[mate] &= !FULL;
            self.head[at] &= !FULL_BACK;
        }
        back.room += amount;
        if full {
            self.head[at] |= FULL;
            self.head[mate] |= FULL_BACK;
        }
    }

    /// Raises a node, none of whose neighbours with room is nearer, to one hop more than the nearest of them. Gives the number
    /// of slots that were looked at.
    fn raise(&mut self, v: usize) -> usize {
        let (begin, end) = (self.from[v] as usize, self.from[v + 1] as usize);
        let (mut nearest, mut place) = (CUT_OFF, end);
        let all_hops = &self.hops[..];
        for (at, head) in (begin..).zip(&self.head[begin..end]) {
            if head & FULL == 0 {
                let hops = all_hops[(head & NODE) as usize];
                if hops < nearest {
                    (nearest, place) = (hops, at);
                }
            }
        }
        if nearest == CUT_OFF {
            self.hops[v] = CUT_OFF;
        } else {
            let hops = nearest as usize + 1;
            self.hops[v] = hops as u32;
            self.current[v] = place as u32;
            if self.first.len() <= hops {
                self.first.resize(hops + 1, END);
            }
            self.next[v] = self.first[hops];
            self.first[hops] = v as u32;
            self.top = self.top.max(hops);
        }
        end - begin
    }
}
