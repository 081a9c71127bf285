//! Bounded memory: members, references and the ids that were decided lately.
//!
//! What is dirty stays until it is saved, what an entry needs until it has passed; what is clean is dropped in the order of its
//! last use, roughly: half of the memory at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::{
    member::{Member, MessageKey},
    source::{MerchantNo, ReferenceKey},
    terms::Terms,
};

/// Clean values of which the ones not used for long are dropped.
#[derive(Debug)]
struct Halves<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    bound: usize,
}

impl<K: Eq + Hash + Copy, V> Halves<K, V> {
    fn new(bound: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            bound: bound.max(2),
        }
    }

    fn contains(&self, key: &K) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    fn take(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    fn put(&mut self, key: K, value: V) {
        self.young.insert(key, value);
        if self.young.len() > self.bound / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// Members by number, packed.
type PackedMembers = Vec<(u64, Vec<u8>)>;

/// What an entry needs, held until it has passed: what is read for one message must not push out what another one needs.
#[derive(Debug, Default)]
struct Held {
    members: HashMap<u64, Member>,
    references: HashMap<ReferenceKey, u64>,
}

/// Members and references.
#[derive(Debug)]
pub(crate) struct Memory {
    held: Held,
    clean: Halves<u64, Member>,
    dirty: HashMap<u64, Member>,
    references: Halves<ReferenceKey, u64>,
    /// Enrolled and not saved.
    new_references: HashMap<ReferenceKey, u64>,
    seen: Halves<MessageKey, ()>,
}

impl Memory {
    pub(crate) fn new(members: usize, ids: usize) -> Self {
        Self {
            held: Held::default(),
            clean: Halves::new(members),
            dirty: HashMap::new(),
            references: Halves::new(members.saturating_mul(2)),
            new_references: HashMap::new(),
            seen: Halves::new(ids),
        }
    }

    /// Holds the members that an entry needs; answers those that must be read, each once.
    pub(crate) fn hold(&mut self, numbers: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut missing = Vec::new();
        for number in numbers {
            if self.dirty.contains_key(&number) || self.held.members.contains_key(&number) {
                continue;
            }
            // One that is not saved is new, and has nothing yet.
            let known = self.clean.take(&number);
            if known.is_none() {
                missing.push(number);
            }
            self.held.members.insert(number, known.unwrap_or_default());
        }
        missing
    }

    /// Holds a member that was read.
    pub(crate) fn admit(&mut self, number: u64, member: Member) {
        self.held.members.insert(number, member);
    }

    /// Holds the references that an entry needs; answers those that must be read, each once.
    pub(crate) fn hold_references(
        &mut self,
        keys: impl Iterator<Item = ReferenceKey>,
    ) -> Vec<ReferenceKey> {
        let mut missing = HashSet::new();
        for key in keys {
            if self.new_references.contains_key(&key) || self.held.references.contains_key(&key) {
                continue;
            }
            match self.references.take(&key) {
                Some(number) => drop(self.held.references.insert(key, number)),
                None => drop(missing.insert(key)),
            }
        }
        missing.into_iter().collect()
    }

    /// Holds a reference that was read.
    pub(crate) fn admit_reference(&mut self, key: ReferenceKey, number: u64) {
        self.held.references.insert(key, number);
    }

    /// The entry has passed: what it needed may be dropped.
    pub(crate) fn release(&mut self) {
        for (number, member) in self.held.members.drain() {
            self.clean.put(number, member);
        }
        for (key, number) in self.held.references.drain() {
            self.references.put(key, number);
        }
    }

    /// Takes a held member out to change it, its points in the mode that they have now; [`Self::put`] brings it back.
    pub(crate) fn take(&mut self, number: u64, prefunded: &BTreeSet<MerchantNo>) -> Member {
        let dirty = self.dirty.remove(&number);
        let mut member = dirty
            .or_else(|| self.held.members.remove(&number))
            .unwrap_or_default();
        if !prefunded.is_empty() {
            member.prefund(prefunded);
        }
        member
    }

    pub(crate) fn put(&mut self, number: u64, member: Member) {
        self.dirty.insert(number, member);
    }

    pub(crate) fn dirty(&self) -> usize {
        self.dirty.len() + self.new_references.len()
    }

    /// The member of a held reference.
    pub(crate) fn reference(&self, key: &ReferenceKey) -> Option<u64> {
        let new = self.new_references.get(key);
        new.or_else(|| self.held.references.get(key)).copied()
    }

    /// A held reference that the log enrols; false when it is taken.
    pub(crate) fn enrol(&mut self, key: ReferenceKey, number: u64) -> bool {
        let free = self.reference(&key).is_none();
        if free {
            self.new_references.insert(key, number);
        }
        free
    }

    /// Notes an id that was decided; false when it is remembered already.
    pub(crate) fn note(&mut self, key: MessageKey) -> bool {
        if self.seen.contains(&key) {
            return false;
        }
        self.seen.put(key, ());
        true
    }

    /// Packs what is dirty, in order; from now on it is clean.
    pub(crate) fn drain(
        &mut self,
        terms: &Terms,
        now: i64,
    ) -> (PackedMembers, Vec<(ReferenceKey, u64)>) {
        let mut members = Vec::with_capacity(self.dirty.len());
        for (number, mut member) in std::mem::take(&mut self.dirty) {
            members.push((number, member.pack(terms, now)));
            self.clean.put(number, member);
        }
        members.sort_unstable_by_key(|(number, _)| *number);
        let mut references: Vec<_> = self.new_references.drain().collect();
        references.sort_unstable();
        for (key, number) in &references {
            self.references.put(*key, *number);
        }
        (members, references)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_members_are_bounded_and_dirty_ones_stay() {
        let mut memory = Memory::new(4, 4);
        memory.put(1, Member::default());
        for number in 2..100 {
            assert_eq!(memory.hold([number, number].into_iter()), [number]);
            memory.release();
        }
        assert!(memory.hold([1].into_iter()).is_empty(), "dirty");
        assert!(memory.hold([99].into_iter()).is_empty(), "just read");
        assert_eq!(memory.hold([2].into_iter()), [2], "not used for long");
        assert!(memory.clean.young.len() + memory.clean.old.len() <= 6);
        let (members, _) = memory.drain(&Terms::default(), 0);
        assert_eq!(members.len(), 1);
        assert_eq!(memory.dirty(), 0);
    }

    #[test]
    fn what_an_entry_needs_is_held_however_small_the_memory_is() {
        let mut memory = Memory::new(2, 2);
        let known = Member {
            last_lot: 7,
            ..Member::default()
        };
        assert_eq!(memory.hold([1].into_iter()), [1]);
        memory.admit(1, known.clone());
        memory.release();
        // Many more than there is room for, read for the same entry.
        let many = memory.hold(1..50);
        assert_eq!(many.len(), 48);
        for number in many {
            memory.admit(number, known.clone());
        }
        for number in 1..50 {
            assert_eq!(memory.take(number, &BTreeSet::new()), known, "{number}");
        }
        let keys = || (0..50_u8).map(|mark| (0, [mark; 16]));
        for key in memory.hold_references(keys()) {
            memory.admit_reference(key, 9);
        }
        assert!(keys().all(|key| memory.reference(&key) == Some(9)));
    }

    #[test]
    fn a_reference_is_enrolled_once_and_an_id_noted_once() {
        let mut memory = Memory::new(10, 10);
        assert!(memory.enrol((0, [1; 16]), 1));
        assert!(!memory.enrol((0, [1; 16]), 2));
        assert_eq!(memory.reference(&(0, [1; 16])), Some(1));
        assert_eq!(memory.reference(&(1, [1; 16])), None);
        memory.admit_reference((2, [1; 16]), 3);
        assert!(!memory.enrol((2, [1; 16]), 4), "saved before");
        assert!(memory.note((0, [2; 16])));
        assert!(!memory.note((0, [2; 16])));
    }
}
