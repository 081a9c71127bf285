//! Bounded memory: members, conversions, references and the ids that were decided lately.
//!
//! What is dirty stays until it is saved, what an entry needs until it has passed; what is clean is dropped in the order of its
//! last use, roughly: half of the memory at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::{
    conversion::{self, Conversion},
    member::{Member, MessageKey},
    source::{MerchantNo, ReferenceKey},
    state,
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

/// Members and conversions by number, packed.
type PackedAccounts = Vec<(u64, Vec<u8>)>;

/// Accounts of one kind by number. What an entry needs is held until it has passed: what is read for one message must not push out
/// what another one needs.
#[derive(Debug)]
struct Accounts<V> {
    held: HashMap<u64, V>,
    clean: Halves<u64, V>,
    dirty: HashMap<u64, V>,
}

impl<V: Default> Accounts<V> {
    fn new(bound: usize) -> Self {
        Self {
            held: HashMap::new(),
            clean: Halves::new(bound),
            dirty: HashMap::new(),
        }
    }

    /// Holds one; answers whether it must be read.
    fn hold(&mut self, number: u64) -> bool {
        if self.dirty.contains_key(&number) || self.held.contains_key(&number) {
            return false;
        }
        // One that is not saved is new, and has nothing yet.
        let known = self.clean.take(&number);
        let missing = known.is_none();
        self.held.insert(number, known.unwrap_or_default());
        missing
    }

    fn release(&mut self) {
        for (number, account) in self.held.drain() {
            self.clean.put(number, account);
        }
    }

    fn take(&mut self, number: u64) -> V {
        let dirty = self.dirty.remove(&number);
        dirty
            .or_else(|| self.held.remove(&number))
            .unwrap_or_default()
    }

    fn look(&self, number: u64) -> Option<&V> {
        let dirty = self.dirty.get(&number);
        dirty.or_else(|| self.held.get(&number))
    }

    /// Packs what is dirty; from now on it is clean.
    fn drain(&mut self, packed: &mut PackedAccounts, pack: impl Fn(&mut V) -> Vec<u8>) {
        for (number, mut account) in std::mem::take(&mut self.dirty) {
            packed.push((number, pack(&mut account)));
            self.clean.put(number, account);
        }
    }
}

/// Members, conversions and references.
#[derive(Debug)]
pub(crate) struct Memory {
    members: Accounts<Member>,
    /// None: nothing was accepted under this number.
    conversions: Accounts<Option<Box<Conversion>>>,
    /// Held until the entry has passed.
    held_references: HashMap<ReferenceKey, u64>,
    references: Halves<ReferenceKey, u64>,
    /// Enrolled or used up, and not saved.
    new_references: HashMap<ReferenceKey, u64>,
    seen: Halves<MessageKey, ()>,
}

impl Memory {
    pub(crate) fn new(members: usize, ids: usize) -> Self {
        Self {
            members: Accounts::new(members),
            conversions: Accounts::new(members),
            held_references: HashMap::new(),
            references: Halves::new(members.saturating_mul(2)),
            new_references: HashMap::new(),
            seen: Halves::new(ids),
        }
    }

    /// Holds the members and conversions that an entry needs; answers those that must be read, each once.
    pub(crate) fn hold(&mut self, numbers: impl Iterator<Item = u64>) -> Vec<u64> {
        let missing = numbers.filter(|number| {
            if conversion::is_number(*number) {
                self.conversions.hold(*number)
            } else {
                self.members.hold(*number)
            }
        });
        missing.collect()
    }

    /// Holds a member that was read.
    pub(crate) fn admit(&mut self, number: u64, member: Member) {
        self.members.held.insert(number, member);
    }

    /// Holds a conversion that was read.
    pub(crate) fn admit_conversion(&mut self, number: u64, conversion: Conversion) {
        let conversion = Some(Box::new(conversion));
        self.conversions.held.insert(number, conversion);
    }

    /// Holds the references that an entry needs; answers those that must be read, each once.
    pub(crate) fn hold_references(
        &mut self,
        keys: impl Iterator<Item = ReferenceKey>,
    ) -> Vec<ReferenceKey> {
        let mut missing = HashSet::new();
        for key in keys {
            if self.new_references.contains_key(&key) || self.held_references.contains_key(&key) {
                continue;
            }
            match self.references.take(&key) {
                Some(number) => drop(self.held_references.insert(key, number)),
                None => drop(missing.insert(key)),
            }
        }
        missing.into_iter().collect()
    }

    /// Holds a reference that was read.
    pub(crate) fn admit_reference(&mut self, key: ReferenceKey, number: u64) {
        self.held_references.insert(key, number);
    }

    /// The entry has passed: what it needed may be dropped.
    pub(crate) fn release(&mut self) {
        self.members.release();
        self.conversions.release();
        for (key, number) in self.held_references.drain() {
            self.references.put(key, number);
        }
    }

    /// Takes a held member out to change it, its points in the mode that they have now; [`Self::put`] brings it back.
    pub(crate) fn take(&mut self, number: u64, prefunded: &BTreeSet<MerchantNo>) -> Member {
        let mut member = self.members.take(number);
        if !prefunded.is_empty() {
            member.prefund(prefunded);
        }
        member
    }

    pub(crate) fn put(&mut self, number: u64, member: Member) {
        self.members.dirty.insert(number, member);
    }

    /// Takes a held conversion out to change it, if there is one; [`Self::put_conversion`] brings it back.
    pub(crate) fn take_conversion(&mut self, number: u64) -> Option<Box<Conversion>> {
        self.conversions.take(number)
    }

    /// A held conversion, to look at.
    pub(crate) fn conversion(&self, number: u64) -> Option<&Conversion> {
        self.conversions.look(number)?.as_deref()
    }

    pub(crate) fn put_conversion(&mut self, number: u64, conversion: Box<Conversion>) {
        self.conversions.dirty.insert(number, Some(conversion));
    }

    pub(crate) fn dirty(&self) -> usize {
        self.members.dirty.len() + self.conversions.dirty.len() + self.new_references.len()
    }

    /// What a held reference stands for: a member, or a conversion.
    pub(crate) fn reference(&self, key: &ReferenceKey) -> Option<u64> {
        let new = self.new_references.get(key);
        new.or_else(|| self.held_references.get(key)).copied()
    }

    /// A held reference that the log enrols or uses up; false when it is taken.
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
    ) -> (PackedAccounts, Vec<(ReferenceKey, u64)>) {
        let mut members = Vec::with_capacity(self.dirty());
        self.members
            .drain(&mut members, |member| member.pack(terms, now));
        self.conversions.drain(&mut members, |conversion| {
            conversion.as_deref().map_or_else(Vec::new, state::pack)
        });
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
        assert!(memory.members.clean.young.len() + memory.members.clean.old.len() <= 6);
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
