//! Which member a merchant's reference means: a bounded cache over the store.
//!
//! References never change their member, so an entry can be dropped at any time.

use hashbrown::HashMap;

/// A merchant's reference of a member.
pub type Reference = [u8; 16];

/// The cache: two generations. The older one is dropped when the younger is full, but only where the caller says so:
/// what a group was gathered with must be there when it is decided.
#[derive(Debug)]
pub struct References {
    young: HashMap<(u32, Reference), u64>,
    old: HashMap<(u32, Reference), u64>,
    generation: usize,
}

impl References {
    /// Keeps between `generation` and twice as many references, and what one group brings beyond.
    pub fn new(generation: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation: generation.max(64),
        }
    }

    /// The member, when it is known here.
    pub fn get(&self, merchant: u32, reference: &Reference) -> Option<u64> {
        let key = (merchant, *reference);
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    /// Keeps a reference.
    pub fn insert(&mut self, merchant: u32, reference: Reference, member: u64) {
        self.young.insert((merchant, reference), member);
    }

    /// Drops the older generation when the younger is full. Call it only where no group is gathered that is not decided.
    pub fn rotate(&mut self) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_at_least_one_generation() {
        let mut cache = References::new(64);
        for n in 0..100u8 {
            cache.insert(1, [n; 16], u64::from(n));
        }
        assert_eq!(cache.get(1, &[0; 16]), Some(0), "inserting drops nothing");
        cache.rotate();
        cache.insert(1, [200; 16], 200);
        cache.rotate();
        assert_eq!(cache.get(1, &[99; 16]), Some(99));
        assert_eq!(
            cache.get(1, &[40; 16]),
            Some(40),
            "the older generation still answers"
        );
        for n in 100..180u8 {
            cache.insert(1, [n; 16], u64::from(n));
        }
        cache.rotate();
        assert_eq!(cache.get(1, &[40; 16]), None, "two generations ago");
        assert_eq!(cache.get(1, &[170; 16]), Some(170));
        assert_eq!(
            cache.get(2, &[99; 16]),
            None,
            "another merchant's reference is unknown"
        );
    }
}
