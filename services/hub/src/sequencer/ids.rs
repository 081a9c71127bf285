//! Which message ids a merchant has used: a bounded set of each merchant's highest ids.
//!
//! It may answer *seen* for any id that it holds, and *new* only for an id above the smallest from which it is
//! complete. All others are looked up in the store before the decision. Ids that are time-ordered, as recommended,
//! therefore cost no look-up. Click ids and order references are kept with them; those are always looked up, which is one more query
//! for a group that has conversions.

use std::collections::{BTreeMap, btree_map::Entry};

use hansa_settlement::Pos;
use hashbrown::HashMap;

/// A message id.
pub type Id = [u8; 16];

/// Under which number the click ids that a merchant's conversions used are kept: they are ids of a namespace of their own, so that
/// one use of each is as certain as one outcome of a message id.
pub const fn clicks_of(merchant: u32) -> u32 {
    1 << 30 | merchant
}

/// The same for the ids of a merchant's accepted conversions: what is returned, approved or recurs is one of them, and no other message.
pub const fn conversions_of(merchant: u32) -> u32 {
    1 << 28 | merchant
}

/// The same for a merchant's order references, as [`crate::intake::name_hash`] makes ids of them.
pub const fn orders_of(merchant: u32) -> u32 {
    1 << 29 | merchant
}

/// What is known of an id without asking the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Used at this position.
    Seen(u64),
    /// Never used.
    New,
    /// Only the store can tell.
    AskStore,
}

#[derive(Debug, Default)]
struct Window {
    ids: BTreeMap<Id, u64>,
    /// Every used id at or above this one is in `ids`.
    complete_from: Id,
}

/// The windows of all merchants.
#[derive(Debug)]
pub struct Ids {
    windows: HashMap<u32, Window>,
    per_merchant: usize,
}

impl Ids {
    /// Keeps at least `per_merchant` ids of each merchant, at most twice as many.
    pub fn new(per_merchant: usize) -> Self {
        Self {
            windows: HashMap::new(),
            per_merchant: per_merchant.max(16),
        }
    }

    /// Whether the merchant's highest ids were loaded.
    pub fn is_loaded(&self, merchant: u32) -> bool {
        self.windows.contains_key(&merchant)
    }

    /// How many of a merchant's highest ids to load.
    pub fn load_limit(&self) -> u32 {
        u32::try_from(self.per_merchant).unwrap_or(u32::MAX)
    }

    /// Takes a merchant's highest ids from the store; fewer than [`Ids::load_limit`] are all that it has.
    pub fn load(&mut self, merchant: u32, highest: Vec<(Id, u64)>) {
        let all = highest.len() < self.per_merchant;
        let window = self.windows.entry(merchant).or_default();
        window.ids.extend(highest);
        window.complete_from = match window.ids.first_key_value() {
            Some((smallest, _)) if !all => *smallest,
            _ => [0; 16],
        };
    }

    /// What is known of an id.
    pub fn look_up(&self, merchant: u32, id: &Id) -> Known {
        let Some(window) = self.windows.get(&merchant) else {
            return Known::AskStore;
        };
        match window.ids.get(id) {
            Some(pos) => Known::Seen(*pos),
            None if *id >= window.complete_from => Known::New,
            None => Known::AskStore,
        }
    }

    /// Uses an id up at `pos`, unless it is used already: then answers where. `in_store` is asked what memory cannot tell.
    pub fn claim(
        &mut self,
        merchant: u32,
        id: Id,
        pos: u64,
        in_store: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        let window = self.windows.entry(merchant).or_insert_with(|| Window {
            ids: BTreeMap::new(),
            complete_from: [u8::MAX; 16],
        });
        match window.ids.entry(id) {
            Entry::Occupied(used) => Some(*used.get()),
            Entry::Vacant(free) => {
                let first = if id < window.complete_from {
                    in_store()
                } else {
                    None
                };
                if first.is_none() {
                    free.insert(pos);
                }
                first
            }
        }
    }

    /// Forgets the smallest ids of merchants that have too many, but none of entry `first_uncommitted` or behind it: such
    /// an id would be in neither place. Call it before the next group is looked at, see `Wanted::of`.
    pub fn trim(&mut self, first_uncommitted: u64) {
        for window in self.windows.values_mut() {
            if window.ids.len() <= 2 * self.per_merchant {
                continue;
            }
            let excess = window.ids.len() - self.per_merchant;
            if let Some(first_kept) = window.ids.keys().nth(excess).copied() {
                let kept = window.ids.split_off(&first_kept);
                let mut forgotten = std::mem::replace(&mut window.ids, kept);
                forgotten.retain(|_, pos| Pos(*pos).seq() >= first_uncommitted);
                window.ids.append(&mut forgotten);
                window.complete_from = first_kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        let mut id = [0; 16];
        id[15] = n;
        id
    }

    #[test]
    fn answers_new_only_where_it_is_complete() {
        let mut ids = Ids::new(16);
        assert_eq!(
            ids.look_up(1, &id(1)),
            Known::AskStore,
            "nothing was loaded"
        );
        ids.load(1, Vec::new());
        assert_eq!(
            ids.look_up(1, &id(1)),
            Known::New,
            "the store has none at all"
        );
        for n in 100..133 {
            assert_eq!(ids.claim(1, id(n), u64::from(n), || None), None);
        }
        assert_eq!(ids.claim(1, id(110), 999, || None), Some(110), "used");
        // Of the entry that is being committed while the next group looks its ids up.
        let uncommitted = Pos::new(7, 3).0;
        assert_eq!(ids.claim(1, id(99), uncommitted, || None), None);
        ids.trim(7);
        assert_eq!(ids.look_up(1, &id(132)), Known::Seen(132));
        assert_eq!(ids.look_up(1, &id(99)), Known::Seen(uncommitted));
        assert_eq!(ids.look_up(1, &id(200)), Known::New);
        assert_eq!(ids.look_up(1, &id(100)), Known::AskStore, "forgotten");
        assert_eq!(ids.claim(1, id(100), 999, || Some(100)), Some(100));
        assert_eq!(ids.look_up(1, &id(100)), Known::AskStore, "still");
        assert_eq!(
            ids.look_up(1, &id(1)),
            Known::AskStore,
            "below what it is complete from"
        );
    }

    #[test]
    fn a_merchant_whose_highest_ids_are_unknown_has_only_those_that_were_claimed() {
        let mut ids = Ids::new(16);
        assert_eq!(ids.claim(1, id(7), 70, || None), None);
        assert_eq!(ids.look_up(1, &id(7)), Known::Seen(70));
        assert_eq!(ids.look_up(1, &id(200)), Known::AskStore);
        assert_eq!(ids.claim(1, id(200), 71, || Some(3)), Some(3));
    }

    #[test]
    fn a_full_page_from_the_store_is_complete_only_from_its_smallest() {
        let mut ids = Ids::new(16);
        ids.load(1, (10..26).map(|n| (id(n), 0)).collect());
        assert_eq!(ids.look_up(1, &id(9)), Known::AskStore);
        assert_eq!(ids.look_up(1, &id(27)), Known::New);
        ids.load(2, (10..12).map(|n| (id(n), 0)).collect());
        assert_eq!(ids.look_up(2, &id(9)), Known::New);
    }
}
