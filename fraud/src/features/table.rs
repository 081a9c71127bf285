//! Profiles by key, never more than a bound. When it is full, a new key takes the place of the least active of eight, spread over
//! the table from a hand that moves on: a flood of ids that come once pushes out its own kind, and what is active stays.

use serde::{Deserialize, Serialize};

use super::{
    index::{Index, Tag},
    profile::Profile,
};

/// Profiles are allocated by so many.
const CHUNK: usize = 1_024;
/// So many are looked at for one to give up.
const SAMPLE: usize = 8;

/// A bounded table of profiles.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    capacity: usize,
    hand: usize,
    evicted: u64,
    chunks: Vec<Vec<Profile>>,
    #[serde(skip)]
    index: Index,
}

impl Table {
    /// A table of at most so many profiles, at least eight.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.clamp(SAMPLE, u32::MAX as usize - 1),
            hand: 0,
            evicted: 0,
            chunks: Vec::new(),
            index: Index::default(),
        }
    }

    /// Profiles held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks
            .split_last()
            .map_or(0, |(last, full)| full.len() * CHUNK + last.len())
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Profiles given up so far.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes that the profiles and their index take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Profile>() + self.index.bytes()
    }

    /// All profiles, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.chunks.iter().flatten()
    }

    fn at(&self, place: u32) -> &Profile {
        &self.chunks[place as usize / CHUNK][place as usize % CHUNK]
    }

    /// The profile of a key.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&Profile> {
        self.find(key).map(|place| self.at(place))
    }

    #[inline]
    fn find(&self, key: u64) -> Option<u32> {
        self.index
            .find(Tag::of(key), |place| self.at(place).key == key)
    }

    /// Reads where the place of a key with this tag would be.
    #[inline]
    pub(super) fn look(&self, tag: Tag) -> u64 {
        self.index.look(tag)
    }

    /// The profile that a key with this tag very likely has, without reading any.
    #[inline]
    pub(super) fn guess(&self, tag: Tag) -> Option<&Profile> {
        self.index.find(tag, |_| true).map(|place| self.at(place))
    }

    /// The profile of a key, made when it is new.
    #[inline]
    pub(super) fn entry(&mut self, key: u64, at_ms: i64) -> &mut Profile {
        let place = match self.find(key) {
            Some(place) => place,
            None => self.insert(key, at_ms),
        } as usize;
        &mut self.chunks[place / CHUNK][place % CHUNK]
    }

    #[cold]
    fn insert(&mut self, key: u64, at_ms: i64) -> u32 {
        let len = self.len();
        let place = if len < self.capacity {
            if len.is_multiple_of(CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            if let Some(last) = self.chunks.last_mut() {
                last.push(Profile::new(key, at_ms));
            }
            len as u32
        } else {
            self.replace(key, at_ms)
        };
        self.index.insert(Tag::of(key), place);
        place
    }

    /// Gives up the least active profile of a sample and puts a new one in its place.
    fn replace(&mut self, key: u64, at_ms: i64) -> u32 {
        let mut victim = (self.hand as u32, f32::INFINITY);
        let stride = self.capacity / SAMPLE;
        for step in 0..SAMPLE {
            let place = ((self.hand + step * stride) % self.capacity) as u32;
            let activity = self.at(place).rate(2, at_ms);
            if activity < victim.1 {
                victim = (place, activity);
            }
        }
        self.hand = (self.hand + 1) % self.capacity;
        self.evicted += 1;
        let place = victim.0;
        let old = Tag::of(self.at(place).key);
        self.index.remove(old, place);
        self.chunks[place as usize / CHUNK][place as usize % CHUNK] = Profile::new(key, at_ms);
        place
    }

    /// Makes the index anew, behind reading a saved table. False when the saved bytes are not a table's.
    pub(super) fn reindex(&mut self) -> bool {
        let len = self.len();
        let whole = self.chunks.split_last().is_none_or(|(last, full)| {
            full.iter().all(|chunk| chunk.len() == CHUNK) && (1..=CHUNK).contains(&last.len())
        });
        if !whole || len > self.capacity || self.hand >= self.capacity {
            return false;
        }
        if let Some(last) = self.chunks.last_mut() {
            last.reserve_exact(CHUNK - last.len());
        }
        self.index = Index::default();
        for place in 0..len as u32 {
            let key = self.at(place).key;
            if self.find(key).is_some() {
                return false;
            }
            self.index.insert(Tag::of(key), place);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_new_keys_is_bounded_and_leaves_what_is_active() {
        let mut table = Table::new(1_000);
        let touch = |table: &mut Table, key: u64, at_ms: i64| {
            let profile = table.entry(key, at_ms);
            let mut touch = crate::features::tests::click(at_ms, 1, 1);
            touch.device = None;
            profile.touch(&touch, Default::default(), 1);
        };
        for round in 0..20 {
            for key in 0..100 {
                touch(&mut table, key, round * 60_000);
            }
        }
        for key in 1_000..101_000 {
            touch(&mut table, key, 20 * 60_000);
        }
        assert_eq!(table.len(), 1_000);
        assert_eq!(table.evicted(), 100_100 - 1_000);
        let kept = (0..100).filter(|key| table.get(*key).is_some()).count();
        assert_eq!(kept, 100);
        assert!(table.bytes() < 450 * 1_024 + 16 * 2_048);
    }
}
