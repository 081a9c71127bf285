//! Changes behind a cursor, in the order of commits.
//!
//! First what the feed itself does not tell: merchants whose offers are seen no more, and offers of those that came back or have
//! other terms, up to the cursor's place. Then the feed from there on. An offer that changes meanwhile is told again behind it,
//! so what a reader has in the end is what stands.

use std::collections::BTreeSet;

use hansa_store::{OfferRow, Store};

use super::{
    Budget, Standing,
    cursor::{Cursor, Replay},
    limit,
    sight::Sight,
};
use crate::error::HubError;

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The offer stands so.
    Put(Box<Standing>),
    /// It stands no more.
    Withdrawn {
        /// Whose it was.
        merchant: u32,
        /// The merchant's id of it.
        offer: String,
        /// When, microseconds since 1970.
        at: i64,
    },
}

/// What is behind a cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Merchants whose offers are all gone.
    pub gone: BTreeSet<u32>,
    /// Changes.
    pub changes: Vec<Change>,
    /// The place behind them.
    pub cursor: Cursor,
    /// Others follow.
    pub more: bool,
}

/// Reads what is behind a cursor, at most `size` changes. Costs at most some tens of statements of some hundred rows.
///
/// # Errors
/// The cursor is none for this caller; those of the store.
pub async fn changes(
    store: &Store,
    sight: &Sight,
    cursor: &str,
    size: usize,
) -> Result<Changes, HubError> {
    let feed = store.offer_feed().await?;
    let mut cursor = Cursor::read(cursor, sight, feed)?;
    let mut told = Changes {
        gone: cursor.leave(sight),
        changes: Vec::new(),
        cursor: cursor.clone(),
        more: false,
    };
    let mut budget = Budget::new(size);
    while let Some(replay) = cursor.next_replay(sight) {
        if budget.is_spent() {
            told.more = true;
            break;
        }
        let rows = budget.statement();
        let (from, through) = (replay.after, cursor.after);
        let page = store.offer_changes(Some(replay.merchant), from, through, limit(rows));
        let page = page.await?;
        let at = Replay {
            after: page.last().map_or(replay.after, |last| last.change),
            ..replay
        };
        if page.len() < rows {
            cursor.learn(at);
        } else {
            cursor.go_on(at);
        }
        // What is withdrawn the reader does not have, or was told to drop.
        let standing = page.into_iter().filter(|row| row.content.is_some());
        told.take(standing, &mut budget)?;
    }
    if !told.more && sight.sees_nothing() {
        // Whoever is seen later is told of from the beginning.
        cursor.after = feed.last_change;
    }
    while !told.more && cursor.after < feed.last_change {
        if budget.is_spent() {
            told.more = true;
            break;
        }
        let rows = budget.statement();
        // No farther than the feed went at the beginning: all of that is there to be seen.
        let through = feed.last_change;
        let page = store.offer_changes(sight.only(), cursor.after, through, limit(rows));
        let page = page.await?;
        cursor.after = match page.last() {
            Some(last) if page.len() == rows => last.change,
            Some(_) | None => through,
        };
        let began = cursor.began;
        let is_news = |row: &OfferRow| row.content.is_some() || row.change > began;
        let seen = page.into_iter().filter(|row| sight.sees(row.merchant));
        told.take(seen.filter(is_news), &mut budget)?;
    }
    told.cursor = cursor;
    Ok(told)
}

impl Changes {
    fn take(
        &mut self,
        rows: impl Iterator<Item = OfferRow>,
        budget: &mut Budget,
    ) -> Result<(), HubError> {
        for mut row in rows {
            budget.told(row.content.as_ref().map_or(0, bytes::Bytes::len));
            self.changes.push(match row.content.take() {
                Some(content) => Change::Put(Box::new(Standing::read(&row, content)?)),
                None => Change::Withdrawn {
                    merchant: row.merchant,
                    offer: row.offer,
                    at: row.changed_at,
                },
            });
        }
        Ok(())
    }
}
