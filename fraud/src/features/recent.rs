//! What was seen a moment ago, in fixed memory: clicks of the last minute, means of payment, how common a user agent is. When
//! they are too small for the traffic they forget the oldest, so they miss; they never invent.

use serde::{Deserialize, Serialize};

use super::mix;

/// Clicks within this time of the last like it are duplicates, in milliseconds.
pub const DUPLICATE_MS: i64 = 60_000;

const WAYS: usize = 4;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    key: u64,
    value: i64,
}

/// A line of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[repr(align(64))]
struct Set([Seen; WAYS]);

/// The last value of a key, for the newest keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent {
    sets: Vec<Set>,
}

impl Recent {
    /// For about so many keys, at least four.
    pub(super) fn new(keys: usize) -> Self {
        let sets = (keys / WAYS).max(1).next_power_of_two();
        Self {
            sets: vec![Set::default(); sets],
        }
    }

    #[inline]
    fn place(&self, key: u64) -> usize {
        (key >> 20) as usize & (self.sets.len() - 1)
    }

    /// Reads a little, so that it is near when this key comes.
    #[inline]
    pub(super) fn look(&self, key: u64) -> u64 {
        self.sets[self.place(mix(key).max(1))].0[0].key
    }

    /// Puts a value in and gives the one before it, if it is still known.
    #[inline]
    pub(super) fn replace(&mut self, key: u64, value: i64) -> Option<i64> {
        let key = mix(key).max(1);
        let place = self.place(key);
        let set = &mut self.sets[place].0;
        if let Some(seen) = set.iter_mut().find(|seen| seen.key == key) {
            return Some(std::mem::replace(&mut seen.value, value));
        }
        set.rotate_right(1);
        set[0] = Seen { key, value };
        None
    }

    /// The how manieth of a row this is, each within [`DUPLICATE_MS`] of the one before; counts to 15.
    #[inline]
    pub(super) fn row(&mut self, key: u64, at_ms: i64) -> i64 {
        let key = mix(key).max(1);
        let place = self.place(key);
        let set = &mut self.sets[place].0;
        if let Some(seen) = set.iter_mut().find(|seen| seen.key == key) {
            let (last_ms, row) = (seen.value >> 4, seen.value & 15);
            let row = if at_ms - last_ms < DUPLICATE_MS {
                (row + 1).min(15)
            } else {
                1
            };
            seen.value = at_ms << 4 | row;
            return row;
        }
        set.rotate_right(1);
        set[0] = Seen {
            key,
            value: at_ms << 4 | 1,
        };
        1
    }

    /// Whether there is a set to put something in: not so after reading bytes that are no saved state.
    pub(super) fn is_sound(&self) -> bool {
        self.sets.len().is_power_of_two()
    }
}

/// How common each user agent is: a count-min sketch of two rows. Cormode and Muthukrishnan, 2005.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agents {
    rows: [Vec<u32>; 2],
    total: u32,
}

impl Agents {
    const WIDTH: usize = 1 << 15;
    /// An agent with less than one in so many clicks is rare.
    const RARE: u32 = 4_096;
    /// Nothing is called rare before so many clicks.
    const WARM: u32 = 20_000;

    pub(super) fn new() -> Self {
        Self {
            rows: [vec![0; Self::WIDTH], vec![0; Self::WIDTH]],
            total: 0,
        }
    }

    /// Counts an agent; whether it is rare.
    #[inline]
    pub(super) fn count(&mut self, agent: u64) -> bool {
        if self.total >= u32::MAX / 2 {
            self.total /= 2;
            for cell in self.rows.iter_mut().flatten() {
                *cell /= 2;
            }
        }
        let hash = mix(agent);
        let mut least = u32::MAX;
        for (row, shift) in self.rows.iter_mut().zip([0, 32]) {
            let cell = &mut row[(hash >> shift) as usize & (Self::WIDTH - 1)];
            *cell += 1;
            least = least.min(*cell);
        }
        self.total += 1;
        self.total > Self::WARM && least < self.total / Self::RARE
    }

    pub(super) fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.len() == Self::WIDTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_known_and_old_ones_are_forgotten() {
        let mut recent = Recent::new(64);
        assert_eq!(recent.replace(7, 1), None);
        assert_eq!(recent.replace(7, 2), Some(1));
        for key in 100..1_100 {
            recent.replace(key, 0);
        }
        assert_eq!(recent.replace(7, 3), None);
    }

    #[test]
    fn a_row_ends_after_a_minute() {
        let mut recent = Recent::new(64);
        let rows: Vec<i64> = [0, 59_999, 100_000, 160_000]
            .map(|at_ms| recent.row(7, at_ms))
            .to_vec();
        assert_eq!(rows, [1, 2, 3, 1]);
    }

    #[test]
    fn an_agent_that_hardly_anybody_has_is_rare() {
        let mut agents = Agents::new();
        for turn in 0..120_000_u64 {
            agents.count(turn % 20);
        }
        assert!(agents.count(1_000));
        assert!(!agents.count(3));
    }
}
