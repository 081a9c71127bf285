//! Offers of merchants, and the feed that tells of their changes. Beside the log: they move no money.
//!
//! A row per offer, with the number of its last change; one that was withdrawn leaves a row without content, so that a reader
//! learns of it. Numbers grow by one along the commits: whoever writes holds the one row of `offer_feed` from before its first
//! read until its commit, in whatever process, so no number becomes visible behind a later one, and a reader that asks for
//! what lies behind the last number it saw misses nothing.
//!
//! A write is one transaction and one wait for the disk for any number of offers; a page is one statement.

use bytes::Bytes;
use sqlx::Row;

use crate::error::{StoreError, signed, signed32, unsigned};
use crate::store::{Backend, Store};

const FEED: &str = "SELECT id, last_change FROM offer_feed";

macro_rules! feed_of {
    ($row:expr) => {{
        let row = $row;
        OfferFeed {
            id: row.try_get(0)?,
            last_change: unsigned(row.try_get(1)?)?,
        }
    }};
}

mod write;

pub use write::{NewOffer, OffersPut, OffersWithdrawn};

/// An offer as it stands, or stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRow {
    /// Whose it is.
    pub merchant: u32,
    /// The merchant's own id of it.
    pub offer: String,
    /// Number of its last change.
    pub change: u64,
    /// When that was, in microseconds since 1970 UTC.
    pub changed_at: i64,
    /// All of it, as the caller wrote it. `None`: it was withdrawn.
    pub content: Option<Bytes>,
}

/// The feed of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferFeed {
    /// Tells it from the feed of another database.
    pub id: i64,
    /// Number of the last change; 0: there was none.
    pub last_change: u64,
}

/// Which of the offers that stand. Only one of the two is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferFilter<'a> {
    /// All.
    All,
    /// Those of a category.
    Category(&'a str),
    /// Those of a kind, by the caller's number.
    Kind(u8),
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT merchant, offer, change, changed_at, withdrawn, content FROM offer WHERE ",
            $rest
        )
    };
}

const ALL: &str =
    select!("withdrawn = 0 AND (merchant, offer) > ($1, $2) ORDER BY merchant, offer LIMIT $3");
const OF: &str =
    select!("withdrawn = 0 AND merchant = $1 AND offer > $2 ORDER BY merchant, offer LIMIT $3");
const BY_CATEGORY: &str = select!(
    "withdrawn = 0 AND category = $4 AND (merchant, offer) > ($1, $2) ORDER BY merchant, offer LIMIT $3"
);
const BY_CATEGORY_OF: &str = select!(
    "withdrawn = 0 AND category = $4 AND merchant = $1 AND offer > $2 ORDER BY merchant, offer LIMIT $3"
);
const BY_KIND: &str = select!(
    "withdrawn = 0 AND kind = $4 AND (merchant, offer) > ($1, $2) ORDER BY merchant, offer LIMIT $3"
);
const BY_KIND_OF: &str = select!(
    "withdrawn = 0 AND kind = $4 AND merchant = $1 AND offer > $2 ORDER BY merchant, offer LIMIT $3"
);
// PostgreSQL guesses how much lies behind a key from its first column alone, takes it for next to nothing, and goes through all
// offers of a merchant for a few. With the filter in the key no other index is as good as that of the filter. SQLite uses the
// shorter form.
const BY_CATEGORY_POSTGRES: &str = select!(
    "withdrawn = 0 AND category = $4 AND (category, merchant, offer) > ($4, $1, $2) \
     ORDER BY category, merchant, offer LIMIT $3"
);
const BY_KIND_POSTGRES: &str = select!(
    "withdrawn = 0 AND kind = $4 AND (kind, merchant, offer) > ($4, $1, $2) ORDER BY kind, merchant, offer LIMIT $3"
);
const CHANGES: &str = select!("change > $1 AND change <= $2 ORDER BY change LIMIT $3");
const CHANGES_OF: &str =
    select!("merchant = $4 AND change > $1 AND change <= $2 ORDER BY change LIMIT $3");

macro_rules! offer_of {
    ($row:expr) => {{
        let row = $row;
        let withdrawn = row.try_get::<i16, _>(4)? != 0;
        OfferRow {
            merchant: unsigned(row.try_get::<i32, _>(0)?.into())?,
            offer: row.try_get(1)?,
            change: unsigned(row.try_get(2)?)?,
            changed_at: row.try_get(3)?,
            content: match withdrawn {
                true => None,
                false => Some(row.try_get::<Vec<u8>, _>(5)?.into()),
            },
        }
    }};
}

impl Store {
    /// The feed as it stands.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offer_feed(&self) -> Result<OfferFeed, StoreError> {
        Ok(match self.backend() {
            Backend::Sqlite(db) => feed_of!(sqlx::query(FEED).fetch_one(&db.readers).await?),
            Backend::Postgres(db) => feed_of!(sqlx::query(FEED).fetch_one(&db.readers).await?),
        })
    }

    /// Offers that stand, by merchant and id, behind `after`, at most `limit`; with `only_of_it`, those of that merchant alone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offers(
        &self,
        filter: OfferFilter<'_>,
        after: (u32, &str),
        only_of_it: bool,
        limit: u32,
    ) -> Result<Vec<OfferRow>, StoreError> {
        let text = |by_category, by_kind| match (filter, only_of_it) {
            (OfferFilter::All, false) => ALL,
            (OfferFilter::All, true) => OF,
            (OfferFilter::Category(_), false) => by_category,
            (OfferFilter::Category(_), true) => BY_CATEGORY_OF,
            (OfferFilter::Kind(_), false) => by_kind,
            (OfferFilter::Kind(_), true) => BY_KIND_OF,
        };
        let merchant = signed32(after.0)?;
        let mut offers = Vec::new();
        macro_rules! page {
            ($readers:expr, $text:expr) => {{
                let query = sqlx::query($text)
                    .bind(merchant)
                    .bind(after.1)
                    .bind(i64::from(limit));
                let query = match filter {
                    OfferFilter::All => query,
                    OfferFilter::Category(category) => query.bind(category),
                    OfferFilter::Kind(kind) => query.bind(i16::from(kind)),
                };
                for row in query.fetch_all($readers).await? {
                    offers.push(offer_of!(row));
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => page!(&db.readers, text(BY_CATEGORY, BY_KIND)),
            Backend::Postgres(db) => {
                page!(&db.readers, text(BY_CATEGORY_POSTGRES, BY_KIND_POSTGRES));
            }
        }
        Ok(offers)
    }

    /// Offers whose last change lies behind the number `after` and not behind `through`, in the order of these changes, of
    /// one merchant or of all, at most `limit`. What was withdrawn is among them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offer_changes(
        &self,
        merchant: Option<u32>,
        after: u64,
        through: u64,
        limit: u32,
    ) -> Result<Vec<OfferRow>, StoreError> {
        let merchant = merchant.map(signed32).transpose()?;
        let (after, through) = (signed(after)?, signed(through)?);
        let mut offers = Vec::new();
        macro_rules! page {
            ($readers:expr) => {{
                let text = if merchant.is_some() {
                    CHANGES_OF
                } else {
                    CHANGES
                };
                let mut query = sqlx::query(text)
                    .bind(after)
                    .bind(through)
                    .bind(i64::from(limit));
                if let Some(merchant) = merchant {
                    query = query.bind(merchant);
                }
                for row in query.fetch_all($readers).await? {
                    offers.push(offer_of!(row));
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => page!(&db.readers),
            Backend::Postgres(db) => page!(&db.readers),
        }
        Ok(offers)
    }
}
