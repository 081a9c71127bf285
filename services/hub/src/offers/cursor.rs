//! What a reader of changes knows: the place in the feed, and of which merchants it has the offers. All of it is in the cursor,
//! so a hub keeps nothing for its readers.
//!
//! A merchant that ends its programme makes no change in the feed, and neither do new terms or another tier of the affiliate.
//! The cursor has for each merchant the version of the terms by which its offers were told; where that is not the one in force
//! any more, they are told anew, and where a merchant runs no programme any more, the reader is told to drop its offers.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hansa_store::OfferFeed;
use serde::{Deserialize, Serialize};

use super::sight::{Running, Scope, Sight};
use crate::error::HubError;

/// No version of terms.
const NONE: u32 = u32::MAX;

/// A merchant whose offers are being told anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Whose.
    pub merchant: u32,
    /// By which terms.
    pub version: u32,
    /// Up to which change, of those up to the cursor's own place.
    pub after: u64,
}

/// What a reader knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which feed it reads.
    feed: i64,
    /// The last change that it was told of.
    pub after: u64,
    /// The feed's last change when it began: what had been withdrawn by then it never had.
    pub began: u64,
    /// The affiliate's tier by which earnings were told.
    tier: String,
    /// The merchants whose offers up to `after` it has, each with the version of the terms.
    known: BTreeMap<u32, u32>,
    /// Where it is with a merchant that it does not know.
    replay: Option<Replay>,
}

/// What a cursor is bound to besides the feed.
fn bound_to(sight: &Sight) -> String {
    format!("offer changes of {}", sight.name)
}

fn unknown() -> HubError {
    let text = "not a cursor for this caller, merchant_id and database; drop all offers and begin again with an empty one";
    HubError::field("cursor", "UNKNOWN", text)
}

impl Cursor {
    /// Reads a cursor; an empty text begins from nothing.
    ///
    /// # Errors
    /// It is none, or is another caller's, or leads through another feed, or farther than this one goes.
    pub fn read(text: &str, sight: &Sight, feed: OfferFeed) -> Result<Self, HubError> {
        if text.is_empty() {
            return Ok(Self::new(sight, feed));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown())?;
        let cursor = bytes
            .strip_prefix(bound_to(sight).as_bytes())
            .and_then(|rest| rest.strip_prefix(&[0]))
            .and_then(|rest| postcard::from_bytes::<Self>(rest).ok())
            .ok_or_else(unknown)?;
        let replayed = cursor.replay.map_or(0, |replay| replay.after);
        let farthest = cursor.after.max(cursor.began).max(replayed);
        let is_here = cursor.feed == feed.id && farthest <= feed.last_change;
        is_here.then_some(cursor).ok_or_else(unknown)
    }

    /// Of a reader that has nothing yet: so it is not behind with any merchant.
    fn new(sight: &Sight, feed: OfferFeed) -> Self {
        let (known, tier) = match &sight.scope {
            Scope::All | Scope::Merchant(_) => (Running::new(), String::new()),
            Scope::Affiliate { merchants, tier } => (merchants.clone(), tier.clone()),
        };
        Self {
            feed: feed.id,
            after: 0,
            began: feed.last_change,
            tier,
            known,
            replay: None,
        }
    }

    /// As it is handed out.
    ///
    /// # Errors
    /// Never: it is made of numbers and a text.
    pub fn write(&self, sight: &Sight) -> Result<String, HubError> {
        let bytes = postcard::to_allocvec(self).map_err(HubError::internal)?;
        let bound = bound_to(sight);
        Ok(URL_SAFE_NO_PAD.encode([bound.as_bytes(), &[0], &bytes].concat()))
    }

    /// Forgets the merchants that are not seen any more, and answers of which of them the reader has offers. Of another tier, it
    /// knows no merchant by the right terms.
    pub fn leave(&mut self, sight: &Sight) -> BTreeSet<u32> {
        let Scope::Affiliate { merchants, tier } = &sight.scope else {
            return BTreeSet::new();
        };
        if self.tier != *tier {
            self.tier.clone_from(tier);
            self.known.values_mut().for_each(|version| *version = NONE);
            self.end_replay();
        }
        let mut gone: BTreeSet<u32> = self.known.keys().copied().collect();
        gone.extend(self.replay.map(|replay| replay.merchant));
        gone.retain(|merchant| !merchants.contains_key(merchant));
        self.known
            .retain(|merchant, _| merchants.contains_key(merchant));
        if self
            .replay
            .is_some_and(|replay| gone.contains(&replay.merchant))
        {
            self.replay = None;
        }
        gone
    }

    /// The next merchant whose offers are to be told anew, and from where on.
    #[must_use]
    pub fn next_replay(&self, sight: &Sight) -> Option<Replay> {
        let Scope::Affiliate { merchants, .. } = &sight.scope else {
            return None;
        };
        let unknown =
            |(merchant, version): &(&u32, &u32)| self.known.get(merchant) != Some(*version);
        let (merchant, version) = merchants.iter().find(unknown)?;
        let same = |replay: &Replay| (replay.merchant, replay.version) == (*merchant, *version);
        Some(self.replay.filter(same).unwrap_or(Replay {
            merchant: *merchant,
            version: *version,
            after: 0,
        }))
    }

    /// Goes on with a merchant from here; what was being told of another one is begun again in its turn.
    pub fn go_on(&mut self, replay: Replay) {
        if self
            .replay
            .is_some_and(|known| known.merchant != replay.merchant)
        {
            self.end_replay();
        }
        self.replay = Some(replay);
    }

    /// All offers of a merchant were told.
    pub fn learn(&mut self, replay: Replay) {
        self.go_on(replay);
        self.replay = None;
        self.known.insert(replay.merchant, replay.version);
    }

    /// The reader has some offers of the merchant that it was being told of: it must not forget that.
    fn end_replay(&mut self) {
        if let Some(replay) = self.replay.take() {
            self.known.insert(replay.merchant, NONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use hansa_settlement::Currency;

    use super::*;

    const FEED: OfferFeed = OfferFeed {
        id: -7,
        last_change: 100,
    };

    fn sight(merchants: &[(u32, u32)], tier: &str) -> Sight {
        let merchants: Running = merchants.iter().copied().collect();
        Sight {
            running: merchants.clone(),
            scope: Scope::Affiliate {
                merchants,
                tier: tier.into(),
            },
            currency: Currency::new("EUR").unwrap(),
            now: 0,
            name: " for blog".into(),
        }
    }

    /// Takes in what is to be told anew; answers of whom.
    fn catch_up(cursor: &mut Cursor, sight: &Sight) -> Vec<u32> {
        let mut told = Vec::new();
        while let Some(replay) = cursor.next_replay(sight) {
            told.push(replay.merchant);
            cursor.learn(replay);
        }
        told
    }

    #[test]
    fn cursors_are_for_their_reader_and_their_feed_alone() {
        let seen = sight(&[(1, 5)], "gold");
        let mut cursor = Cursor::read("", &seen, FEED).unwrap();
        cursor.after = 100;
        let text = cursor.write(&seen).unwrap();
        assert_eq!(Cursor::read(&text, &seen, FEED).unwrap(), cursor);
        let other = Sight {
            name: " for vlog".into(),
            ..seen.clone()
        };
        assert!(Cursor::read(&text, &other, FEED).is_err());
        for feed in [
            OfferFeed { id: 8, ..FEED },
            // A database that was restored from before.
            OfferFeed {
                last_change: 99,
                ..FEED
            },
        ] {
            assert!(Cursor::read(&text, &seen, feed).is_err());
        }
        for bad in ["%", "AA", &text[..text.len() - 8], "\u{e4}"] {
            assert!(Cursor::read(bad, &seen, FEED).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_ends_its_programme_is_left_and_who_comes_is_told_from_the_beginning() {
        let mut cursor = Cursor::new(&sight(&[(1, 5), (2, 6)], ""), FEED);
        let both = sight(&[(1, 5), (2, 6)], "");
        assert!(cursor.leave(&both).is_empty());
        assert_eq!(catch_up(&mut cursor, &both), [0; 0]);
        let one = sight(&[(2, 6)], "");
        assert_eq!(cursor.leave(&one), BTreeSet::from([1]));
        assert!(cursor.leave(&one).is_empty());
        assert_eq!(catch_up(&mut cursor, &one), [0; 0]);
        let back = sight(&[(1, 5), (2, 6), (3, 7)], "");
        assert!(cursor.leave(&back).is_empty());
        assert_eq!(catch_up(&mut cursor, &back), [1, 3]);
    }

    #[test]
    fn other_terms_or_another_tier_are_told_anew() {
        let mut cursor = Cursor::new(&sight(&[(1, 5), (2, 6)], ""), FEED);
        let terms = sight(&[(1, 8), (2, 6)], "");
        assert!(cursor.leave(&terms).is_empty());
        assert_eq!(catch_up(&mut cursor, &terms), [1]);
        let tier = sight(&[(1, 8), (2, 6)], "gold");
        assert!(cursor.leave(&tier).is_empty());
        assert_eq!(catch_up(&mut cursor, &tier), [1, 2]);
    }

    #[test]
    fn a_merchant_that_was_told_of_in_part_is_left_too() {
        let first = sight(&[(1, 5)], "");
        let mut cursor = Cursor::new(&first, FEED);
        let more = sight(&[(1, 5), (2, 6)], "");
        let replay = Replay {
            after: 40,
            ..cursor.next_replay(&more).unwrap()
        };
        cursor.go_on(replay);
        assert_eq!(cursor.next_replay(&more), Some(replay));
        // New terms of another one that is told of first: the begun one is begun again.
        let changed = sight(&[(1, 9), (2, 6)], "");
        let mut other = cursor.clone();
        assert_eq!(catch_up(&mut other, &changed), [1, 2]);
        let mut interrupted = cursor.clone();
        let begun = interrupted.next_replay(&changed).unwrap();
        assert_eq!((begun.merchant, begun.after), (1, 0));
        interrupted.go_on(begun);
        assert_eq!(interrupted.leave(&sight(&[], "")), BTreeSet::from([1, 2]));
        // With the tier changed meanwhile, too.
        assert!(cursor.leave(&sight(&[(1, 5), (2, 6)], "gold")).is_empty());
        assert_eq!(cursor.leave(&first), BTreeSet::from([2]));
    }
}
