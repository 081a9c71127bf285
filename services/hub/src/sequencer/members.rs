//! The bounded cache of packed members, and which of them the projection does not have yet.
//!
//! A member in here is authoritative; one that is not is in the store. Only clean members are evicted. A *sweep*
//! writes all members that were dirty when it began, in key order, a chunk at a time between commits: sorted
//! chunks touch each page of the projection once a sweep however random the traffic is. When a sweep is done,
//! everything before its first entry is covered.
//!
//! Costs: about 80 bytes a member beside its packed bytes.

use hansa_settlement::PackedMember;
use hashbrown::HashMap;

/// State of a member against the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// The projection has it.
    Clean,
    /// Changed since; stands in the list of the next sweep.
    Dirty,
    /// Being written as it is.
    Writing,
    /// Being written, and changed again since; stands in the list of the next sweep.
    WritingStale,
}

#[derive(Debug)]
struct Slot {
    member: u64,
    applied_seq: u64,
    next_due: i64,
    data: PackedMember,
    sync: Sync,
    used: bool,
}

/// A packed member as the projection takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Member number.
    pub member: u64,
    /// Last entry whose effects are in `data`.
    pub applied_seq: u64,
    /// First instant at which something of it falls due, micros; `None`: never.
    pub next_due: Option<i64>,
    /// Packed state.
    pub data: PackedMember,
}

impl Packed {
    /// Somebody of whom nothing is known yet.
    pub fn unknown(member: u64) -> Self {
        Self {
            member,
            applied_seq: 0,
            next_due: None,
            data: PackedMember::default(),
        }
    }
}

/// The cache.
#[derive(Debug)]
pub struct Members {
    slots: Vec<Slot>,
    index: HashMap<u64, u32>,
    capacity: usize,
    hand: usize,
    /// Dirty members for the next sweep, unsorted.
    next: Vec<u64>,
    /// Members of the running sweep that are not written yet, descending, so that the next chunk is at the end.
    running: Vec<u64>,
    /// First entry that the running sweep does not cover.
    running_from: Option<u64>,
    covered: u64,
}

impl Members {
    /// An empty cache for at most `capacity` members (more only while more are dirty).
    pub fn new(capacity: usize) -> Self {
        Self {
            slots: Vec::new(),
            index: HashMap::new(),
            capacity: capacity.max(64),
            hand: 0,
            next: Vec::new(),
            running: Vec::new(),
            running_from: None,
            covered: 0,
        }
    }

    /// Number of members in memory.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is in memory.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Number of members that the projection does not have as they are.
    pub fn dirty(&self) -> usize {
        self.next.len() + self.running.len()
    }

    /// Room for members, see [`Members::new`].
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether the member is in memory.
    pub fn contains(&self, member: u64) -> bool {
        self.index.contains_key(&member)
    }

    /// Packed state and its last applied entry.
    pub fn get(&mut self, member: u64) -> Option<(&PackedMember, u64)> {
        let slot = &mut self.slots[*self.index.get(&member)? as usize];
        slot.used = true;
        Some((&slot.data, slot.applied_seq))
    }

    /// Touches what changing these members will touch. Changing one waits for memory several times, one behind the other; a loop
    /// that does nothing else waits for many members at once, and finds them near by afterwards.
    pub fn touch(&self, members: impl Iterator<Item = u64>) {
        let last_bytes = members.filter_map(|member| {
            let slot = self.slots.get(*self.index.get(&member)? as usize)?;
            slot.data.as_bytes().last()
        });
        // What is read goes nowhere; the reading must not be left out for that.
        std::hint::black_box(last_bytes.fold(0_u8, |all, byte| all ^ byte));
    }

    /// Takes a clean member in, as the store has it. One that is here already stays as it is.
    pub fn admit(&mut self, packed: Packed) {
        if self.index.contains_key(&packed.member) {
            return;
        }
        self.insert(packed);
    }

    /// Changes a member at entry `seq`; `change` also tells when something of it is next due. `None`: it is not in memory. What an
    /// error leaves is not to be used any more.
    pub fn change<T, E>(
        &mut self,
        member: u64,
        seq: u64,
        change: impl FnOnce(&mut PackedMember) -> Result<(T, Option<i64>), E>,
    ) -> Option<Result<T, E>> {
        let at = *self.index.get(&member)?;
        let slot = &mut self.slots[at as usize];
        let (made, next_due) = match change(&mut slot.data) {
            Ok(made) => made,
            Err(error) => return Some(Err(error)),
        };
        slot.applied_seq = seq;
        slot.next_due = next_due.unwrap_or(i64::MAX);
        slot.used = true;
        match slot.sync {
            Sync::Clean => {
                slot.sync = Sync::Dirty;
                self.next.push(member);
            }
            Sync::Writing => {
                slot.sync = Sync::WritingStale;
                self.next.push(member);
            }
            Sync::Dirty | Sync::WritingStale => {}
        }
        Some(Ok(made))
    }

    fn insert(&mut self, packed: Packed) {
        let slot = Slot {
            member: packed.member,
            applied_seq: packed.applied_seq,
            next_due: packed.next_due.unwrap_or(i64::MAX),
            data: packed.data,
            sync: Sync::Clean,
            used: true,
        };
        let at = self.slots.len();
        self.index
            .insert(slot.member, u32::try_from(at).unwrap_or(u32::MAX));
        self.slots.push(slot);
    }

    /// Evicts clean members, least recently used first, until the cache is within its capacity or all that is
    /// left is dirty. Call it only where no read of the store is under way.
    pub fn evict(&mut self) {
        let mut spared = 0;
        while self.slots.len() > self.capacity && spared <= 2 * self.slots.len() {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let slot = &mut self.slots[self.hand];
            if slot.sync != Sync::Clean || slot.used {
                slot.used = false;
                self.hand += 1;
                spared += 1;
                continue;
            }
            self.index.remove(&slot.member);
            self.slots.swap_remove(self.hand);
            if let Some(moved) = self.slots.get(self.hand) {
                self.index
                    .insert(moved.member, u32::try_from(self.hand).unwrap_or(u32::MAX));
            }
        }
    }

    /// Whether a sweep is under way.
    pub fn sweeping(&self) -> bool {
        self.running_from.is_some()
    }

    /// Whether all of the running sweep was handed out.
    pub fn sweep_is_drained(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins a sweep over all that is dirty now. `next_seq` is the first entry that is not decided yet.
    pub fn begin_sweep(&mut self, next_seq: u64) {
        debug_assert!(self.running_from.is_none(), "one sweep at a time");
        self.running = std::mem::take(&mut self.next);
        self.running.sort_unstable_by(|a, b| b.cmp(a));
        self.running_from = Some(next_seq);
    }

    /// The next chunk of the sweep, ascending; its members count as being written until [`Members::written`].
    pub fn next_chunk(&mut self, size: usize) -> Vec<Packed> {
        let keep = self.running.len().saturating_sub(size);
        let mut chunk = Vec::with_capacity(self.running.len() - keep);
        for member in self.running.drain(keep..).rev() {
            let Some(&at) = self.index.get(&member) else {
                continue;
            };
            let slot = &mut self.slots[at as usize];
            slot.sync = Sync::Writing;
            chunk.push(Packed {
                member,
                applied_seq: slot.applied_seq,
                next_due: (slot.next_due != i64::MAX).then_some(slot.next_due),
                data: slot.data.clone(),
            });
        }
        chunk
    }

    /// The chunk's transaction is committed.
    pub fn written(&mut self, members: impl IntoIterator<Item = u64>) {
        for member in members {
            let Some(&at) = self.index.get(&member) else {
                continue;
            };
            let slot = &mut self.slots[at as usize];
            slot.sync = match slot.sync {
                Sync::Writing | Sync::Clean => Sync::Clean,
                Sync::WritingStale | Sync::Dirty => Sync::Dirty,
            };
        }
        if self.running.is_empty()
            && let Some(from) = self.running_from.take()
        {
            self.covered = self.covered.max(from);
        }
    }

    /// Number of leading entries whose effects on members are all in the projection, given that the next
    /// entry to be decided is `next_seq`.
    pub fn covered(&self, next_seq: u64) -> u64 {
        if self.dirty() == 0 && self.running_from.is_none() {
            next_seq
        } else {
            self.covered
        }
    }

    /// After a restart: what the store says is covered.
    pub fn set_covered(&mut self, covered: u64) {
        self.covered = covered;
    }

    /// What would be covered once the running sweep's last chunk is in: for the row that is written with it.
    pub fn covered_after_chunk(&self) -> u64 {
        match self.running_from {
            Some(from) if self.running.is_empty() => self.covered.max(from),
            _ => self.covered,
        }
    }

    /// Members in memory with something due at or before `until`.
    pub fn due(&self, until: i64) -> impl Iterator<Item = u64> {
        self.slots
            .iter()
            .filter(move |s| s.next_due <= until)
            .map(|s| s.member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(member: u64) -> Packed {
        Packed {
            member,
            applied_seq: 0,
            next_due: None,
            data: PackedMember::new(vec![1]),
        }
    }

    /// As the sequencer does it: looked up, then changed.
    fn put(cache: &mut Members, member: u64, seq: u64, next_due: Option<i64>, data: u8) {
        cache.admit(packed(member));
        let change = |packed: &mut PackedMember| {
            *packed = PackedMember::new(vec![data]);
            Ok::<_, ()>(((), next_due))
        };
        assert_eq!(cache.change(member, seq, change), Some(Ok(())));
    }

    #[test]
    fn dirty_members_are_never_evicted() {
        let mut cache = Members::new(64);
        for member in 0..100 {
            put(&mut cache, member, 1, None, 1);
        }
        cache.evict();
        assert_eq!(cache.len(), 100);
        cache.begin_sweep(2);
        let chunk = cache.next_chunk(1_000);
        assert!(
            chunk.windows(2).all(|w| w[0].member < w[1].member),
            "a chunk is in key order"
        );
        cache.evict();
        assert_eq!(cache.len(), 100, "members that are being written stay");
        cache.written(chunk.iter().map(|p| p.member));
        assert_eq!(cache.covered(2), 2);
        cache.evict();
        assert_eq!(cache.len(), 64);
        for member in 0..100 {
            assert_eq!(cache.get(member).is_some(), cache.contains(member));
        }
    }

    #[test]
    fn a_member_changed_while_written_is_dirty_again() {
        let mut cache = Members::new(64);
        put(&mut cache, 7, 1, None, 1);
        cache.begin_sweep(2);
        let chunk = cache.next_chunk(10);
        put(&mut cache, 7, 2, None, 2);
        cache.written([7]);
        assert_eq!(chunk[0].data.as_bytes(), &[1]);
        assert_eq!(cache.covered(3), 2, "entry 2 is not in the projection");
        assert_eq!(cache.dirty(), 1);
        cache.begin_sweep(3);
        assert_eq!(cache.next_chunk(10)[0].data.as_bytes(), &[2]);
        cache.written([7]);
        assert_eq!(cache.covered(3), 3);
    }

    #[test]
    fn a_member_that_is_not_in_memory_is_not_changed() {
        let mut cache = Members::new(64);
        assert_eq!(cache.change(7, 1, |_| Ok::<_, ()>(((), None))), None);
        assert_eq!((cache.len(), cache.dirty()), (0, 0));
    }

    #[test]
    fn what_the_store_has_never_replaces_what_is_here() {
        let mut cache = Members::new(64);
        put(&mut cache, 7, 5, Some(9), 5);
        cache.admit(packed(7));
        assert_eq!(cache.get(7), Some((&PackedMember::new(vec![5]), 5)));
        assert_eq!(cache.due(9).collect::<Vec<_>>(), vec![7]);
        assert_eq!(cache.due(8).count(), 0);
    }
}
