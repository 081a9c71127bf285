//! Where the profile of a key is: places beside a part of the key's hash, one look at one line of memory.
//!
//! Open addressing with linear probing, at most three quarters full. Reads no profile: neither to find a place (the caller makes
//! sure of the key), nor to grow, nor to give one up. That is what hashbrown's tables cannot do: they look into two arrays, one
//! after the other, and do not let the first look of many keys be taken at once.

use super::mix;

/// The part of a key's hash that the index keeps; also where it looks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(u32);

impl Tag {
    #[inline]
    pub(super) const fn of(key: u64) -> Self {
        Self(mix(key) as u32)
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    tag: Tag,
    place: u32,
}

/// No place.
const FREE: Slot = Slot {
    tag: Tag(0),
    place: u32::MAX,
};

/// Places by tag; `u32::MAX` is no place.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// None, or a power of two.
    slots: Vec<Slot>,
    used: usize,
}

impl Index {
    #[inline]
    fn home(&self, tag: Tag) -> usize {
        tag.0 as usize & self.slots.len().wrapping_sub(1)
    }

    /// Bytes that it takes.
    pub(super) const fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }

    /// Reads where a tag would be, so that it is near when it is looked for.
    #[inline]
    pub(super) fn look(&self, tag: Tag) -> u64 {
        self.slots
            .get(self.home(tag))
            .map_or(0, |slot| u64::from(slot.place))
    }

    /// The first place with this tag that the caller takes.
    #[inline]
    pub(super) fn find(&self, tag: Tag, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = self.home(tag);
        loop {
            let slot = self.slots.get(at)?;
            if slot.place == FREE.place {
                return None;
            }
            if slot.tag == tag && is_it(slot.place) {
                return Some(slot.place);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Puts a place in that is not in it.
    pub(super) fn insert(&mut self, tag: Tag, place: u32) {
        if self.used * 4 >= self.slots.len() * 3 {
            let larger = vec![FREE; (self.slots.len() * 2).max(16)];
            for slot in std::mem::replace(&mut self.slots, larger) {
                if slot.place != FREE.place {
                    self.put(slot);
                }
            }
        }
        self.put(Slot { tag, place });
        self.used += 1;
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.tag);
        while self.slots[at].place != FREE.place {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = slot;
    }

    /// Takes a place out, and moves what was put behind it for want of room.
    pub(super) fn remove(&mut self, tag: Tag, place: u32) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut hole = self.home(tag);
        loop {
            match self.slots.get(hole) {
                None
                | Some(&Slot {
                    place: u32::MAX, ..
                }) => return,
                Some(slot) if slot.place == place => break,
                Some(_) => hole = (hole + 1) & mask,
            }
        }
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.place == FREE.place {
                break;
            }
            // It may lie in the hole unless its home is behind the hole.
            let from_home = at.wrapping_sub(self.home(slot.tag)) & mask;
            if from_home >= (at.wrapping_sub(hole) & mask) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = FREE;
        self.used -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn finds_what_a_map_finds_however_often_it_changes() {
        let mut index = Index::default();
        assert_eq!(index.find(Tag::of(1), |_| true), None);
        index.remove(Tag::of(1), 0);
        let mut map: BTreeMap<u32, u32> = BTreeMap::new();
        let mut seed = 1;
        // Few tags, neighbours too: long rows that wrap around the end.
        let tag = |key: u32| {
            Tag(if key.is_multiple_of(3) {
                u32::MAX - key
            } else {
                key / 2
            })
        };
        for turn in 0..200_000_u32 {
            seed = mix(seed);
            let key = seed as u32 % 3_000;
            if seed >> 40 & 1 == 0 {
                if let Some(place) = map.remove(&key) {
                    index.remove(tag(key), place);
                }
            } else if let std::collections::btree_map::Entry::Vacant(vacant) = map.entry(key) {
                index.insert(tag(key), *vacant.insert(turn));
            }
            let other = (seed >> 20) as u32 % 3_000;
            let wanted = map.get(&other).copied();
            let found = index.find(tag(other), |place| Some(place) == wanted);
            assert_eq!(found, wanted, "turn {turn}");
        }
        assert!(map.len() > 1_000 && index.used == map.len());
        assert!(index.bytes() <= 4_096 * size_of::<Slot>());
        for (key, place) in map {
            index.remove(tag(key), place);
        }
        assert!(index.used == 0 && index.slots.iter().all(|slot| slot.place == FREE.place));
    }
}
