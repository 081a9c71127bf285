//! States by key, never more than a bound: sets of eight, in which a new key takes the place of the one that was quiet longest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::features::mix;

/// States of one set.
const WAYS: usize = 8;

/// Something that is remembered of a key.
pub(super) trait State {
    /// Nothing seen yet.
    fn new(key: u64) -> Self;
    /// Whose it is.
    fn key(&self) -> u64;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Slot<T> {
    last_ms: i64,
    state: T,
}

/// A bounded memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bounded<T> {
    sets: u32,
    slots: BTreeMap<u32, Vec<Slot<T>>>,
}

impl<T: State> Bounded<T> {
    /// For at most so many keys, rounded up to whole sets.
    pub(super) fn new(keys: u32) -> Self {
        Self {
            sets: keys.div_ceil(WAYS as u32).max(1),
            slots: BTreeMap::new(),
        }
    }

    /// Keys that it knows.
    pub(super) fn len(&self) -> usize {
        self.slots.values().map(Vec::len).sum()
    }

    /// The state of a key, made when it is new.
    pub(super) fn entry(&mut self, key: u64, at_ms: i64) -> &mut T {
        let set = (mix(key) % u64::from(self.sets.max(1))) as u32;
        let slots = self.slots.entry(set).or_default();
        let place = match slots.iter().position(|slot| slot.state.key() == key) {
            Some(place) => place,
            None => {
                let slot = Slot {
                    last_ms: at_ms,
                    state: T::new(key),
                };
                let quietest = (0..slots.len()).min_by_key(|at| slots[*at].last_ms);
                match quietest {
                    Some(place) if slots.len() >= WAYS => {
                        slots[place] = slot;
                        place
                    }
                    Some(_) | None => {
                        slots.push(slot);
                        slots.len() - 1
                    }
                }
            }
        };
        let slot = &mut slots[place];
        slot.last_ms = slot.last_ms.max(at_ms);
        &mut slot.state
    }
}
