//! A memory of bounded size: what was not asked for lately makes room.

use std::{borrow::Borrow, collections::HashMap, hash::Hash};

/// Keeps at least the last `half` values that were put in or asked for, and at most twice as many: when the young ones are
/// `half`, they become the old ones, and the old ones that nobody asked for are dropped. A look-up costs two hashes at most;
/// keys may be anybody's (the hash is keyed).
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Clone, V: Clone> Bounded<K, V> {
    pub(super) fn new(half: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half,
        }
    }

    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value.clone());
        Some(value)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_makes_room() {
        let mut memory = Bounded::new(100);
        memory.put(0, "kept");
        for key in 1..10_000 {
            memory.put(key, "flood");
            assert!(memory.len() <= 200);
            if key % 90 == 0 {
                assert_eq!(memory.get(&0), Some("kept"), "{key}");
            }
        }
        assert_eq!(memory.get(&1), None);
        assert_eq!(memory.get(&9_999), Some("flood"));
        memory.remove(&9_999);
        assert_eq!(memory.get(&9_999), None);
    }
}
