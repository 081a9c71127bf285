//! Bounded memory: members, references and the ids that were decided lately.
//!
//! What is dirty stays until it is saved; what is clean is dropped in the order of its last use, roughly: half of the memory at a
//! time.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::{
    member::{Member, MessageKey},
    source::ReferenceKey,
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

/// Members and references.
#[derive(Debug)]
pub(crate) struct Memory {
    clean: Halves<u64, Member>,
    dirty: HashMap<u64, Member>,
    references: Halves<ReferenceKey, u64>,
    /// Enrolled and not saved, in log order.
    new_references: HashMap<ReferenceKey, u64>,
    seen: Halves<MessageKey, ()>,
}

impl Memory {
    pub(crate) fn new(members: usize, ids: usize) -> Self {
        Self {
            clean: Halves::new(members),
            dirty: HashMap::new(),
            references: Halves::new(members.saturating_mul(2)),
            new_references: HashMap::new(),
            seen: Halves::new(ids),
        }
    }

    /// Whether a member must be asked for. A new one has nothing yet.
    pub(crate) fn lacks(&self, number: u64) -> bool {
        !self.dirty.contains_key(&number) && !self.clean.contains(&number)
    }

    /// A member that was read, or is new.
    pub(crate) fn admit(&mut self, number: u64, member: Member) {
        self.clean.put(number, member);
    }

    /// Takes a member out to change it; [`Self::put`] brings it back.
    pub(crate) fn take(&mut self, number: u64) -> Member {
        let dirty = self.dirty.remove(&number);
        dirty
            .or_else(|| self.clean.take(&number))
            .unwrap_or_default()
    }

    pub(crate) fn put(&mut self, number: u64, member: Member) {
        self.dirty.insert(number, member);
    }

    pub(crate) fn dirty(&self) -> usize {
        self.dirty.len() + self.new_references.len()
    }

    pub(crate) fn lacks_reference(&self, key: &ReferenceKey) -> bool {
        !self.new_references.contains_key(key) && !self.references.contains(key)
    }

    pub(crate) fn admit_reference(&mut self, key: ReferenceKey, number: u64) {
        self.references.put(key, number);
    }

    pub(crate) fn reference(&mut self, key: &ReferenceKey) -> Option<u64> {
        if let Some(number) = self.new_references.get(key) {
            return Some(*number);
        }
        let number = self.references.take(key)?;
        self.references.put(*key, number);
        Some(number)
    }

    /// A reference that the log enrols; false when it is taken.
    pub(crate) fn enrol(&mut self, key: ReferenceKey, number: u64) -> bool {
        !self.references.contains(&key) && self.new_references.insert(key, number).is_none()
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
    ) -> (Vec<(u64, Vec<u8>)>, Vec<(ReferenceKey, u64)>) {
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

    /// Numbers that occur, each once.
    pub(crate) fn missing<T: Eq + Hash + Copy>(
        wanted: impl Iterator<Item = T>,
        lacks: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        let mut once = HashSet::new();
        wanted
            .filter(|key| lacks(key) && once.insert(*key))
            .collect()
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
            memory.admit(number, Member::default());
        }
        assert!(!memory.lacks(1), "dirty");
        assert!(!memory.lacks(99), "just read");
        assert!(memory.lacks(2), "not used for long");
        assert!(memory.clean.young.len() + memory.clean.old.len() <= 6);
        let (members, _) = memory.drain(&Terms::default(), 0);
        assert_eq!(members.len(), 1);
        assert_eq!(memory.dirty(), 0);
    }

    #[test]
    fn a_reference_is_enrolled_once_and_an_id_noted_once() {
        let mut memory = Memory::new(10, 10);
        assert!(memory.enrol((0, [1; 16]), 1));
        assert!(!memory.enrol((0, [1; 16]), 2));
        assert_eq!(memory.reference(&(0, [1; 16])), Some(1));
        assert_eq!(memory.reference(&(1, [1; 16])), None);
        assert!(memory.note((0, [2; 16])));
        assert!(!memory.note((0, [2; 16])));
    }
}
