//! Putting and withdrawing offers: both hold the feed, read what stands, and write what differs.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::{FEED, OfferFeed};
use crate::error::{StoreError, signed, signed32, unsigned};
use crate::sqlite::{Durability, Shapes};
use crate::store::{Backend, Store};

/// An offer that is to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffer {
    /// The merchant's own id of it.
    pub offer: String,
    /// The caller's number for what it is.
    pub kind: u8,
    /// Its category.
    pub category: String,
    /// All of it, as the caller writes it: the same bytes are the same offer.
    pub content: Bytes,
}

/// What became of offers that were put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffersPut {
    /// Were not there, or had been withdrawn.
    pub created: u64,
    /// Had stood with another content.
    pub replaced: u64,
    /// Stood as they are already: no change.
    pub unchanged: u64,
}

/// What became of offers that were to be withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OffersWithdrawn {
    /// So many had stood; the others had been withdrawn before.
    Withdrawn(u64),
    /// There never was one of this id; nothing was changed.
    Unknown(String),
}

const HEAD: &str = "INSERT INTO offer \
     (merchant, offer, change, changed_at, withdrawn, kind, category, content)";

macro_rules! on_conflict {
    () => {
        "ON CONFLICT (merchant, offer) DO UPDATE SET change = excluded.change, changed_at = excluded.changed_at, \
         withdrawn = excluded.withdrawn, kind = excluded.kind, category = excluded.category, content = excluded.content"
    };
}

static UPSERT: LazyLock<Shapes> = LazyLock::new(|| Shapes::insert(HEAD, 8, on_conflict!()));
const UPSERT_POSTGRES: &str = concat!(
    "INSERT INTO offer (merchant, offer, change, changed_at, withdrawn, kind, category, content) \
     SELECT $1, t.offer, t.change, $2, t.withdrawn, t.kind, t.category, t.content \
     FROM unnest($3::text[], $4::bigint[], $5::smallint[], $6::smallint[], $7::text[], $8::bytea[]) \
     AS t (offer, change, withdrawn, kind, category, content) ",
    on_conflict!()
);

static STANDING: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!(
            "SELECT offer, withdrawn, content FROM offer WHERE merchant = ? AND offer IN ({places})"
        )
    })
});
const STANDING_POSTGRES: &str =
    "SELECT offer, withdrawn, content FROM offer WHERE merchant = $1 AND offer = ANY($2::text[])";

/// Whoever has it is the only one that writes offers, until its commit.
const FEED_HELD: &str = "SELECT id, last_change FROM offer_feed FOR UPDATE";
const ADVANCE: &str = "UPDATE offer_feed SET last_change = $1";

/// What stands under an id now: its content, or that it was withdrawn.
type Standing = HashMap<String, Option<Vec<u8>>>;

macro_rules! standing_of {
    ($row:expr, $standing:expr) => {{
        let row = $row;
        let content = match row.try_get::<i16, _>(1)? {
            0 => Some(row.try_get(2)?),
            _ => None,
        };
        $standing.insert(row.try_get(0)?, content);
    }};
}

/// A row that is to be written.
#[derive(Clone, Copy)]
struct Write<'a> {
    offer: &'a str,
    withdrawn: bool,
    kind: u8,
    category: &'a str,
    content: &'a [u8],
}

/// Whose rows are written, from which number on, and when.
#[derive(Clone, Copy)]
struct Stamp {
    merchant: i32,
    /// Number of the first row.
    first: u64,
    at: i64,
}

/// Holds the feed, reads what stands under `$ids`, has `$decide` tell what is to be written, and writes it.
macro_rules! change {
    ($self:expr, $merchant:expr, $at:expr, $ids:expr, $decide:expr) => {{
        let merchant = signed32($merchant)?;
        macro_rules! run {
            ($write:expr, $feed:expr, $standing:ident, $upsert:ident) => {{
                let row = sqlx::query($feed).fetch_one($write.connection()).await?;
                let feed = feed_of!(row);
                let standing = $standing($write.connection(), merchant, $ids).await?;
                let (answer, rows) = $decide(&standing);
                if !rows.is_empty() {
                    let stamp = Stamp {
                        merchant,
                        first: feed.last_change + 1,
                        at: $at,
                    };
                    $upsert($write.connection(), stamp, &rows).await?;
                    let last = signed(feed.last_change + rows.len() as u64)?;
                    let query = sqlx::query(ADVANCE).bind(last);
                    query.execute($write.connection()).await?;
                }
                $write.commit().await?;
                Ok(answer)
            }};
        }
        match $self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                run!(write, FEED, standing_sqlite, upsert_sqlite)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_feed().await?;
                run!(write, FEED_HELD, standing_postgres, upsert_postgres)
            }
        }
    }};
}

impl Store {
    /// Has offers of a merchant stand from now on, all of them or none, each under its id; one that stands with the same
    /// content already makes no change. `at` in microseconds since 1970 UTC. On disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] where an id is there twice; [`StoreError::Unavailable`] where another process has been writing
    /// for longer than 5 seconds; those of the database.
    pub async fn put_offers(
        &self,
        merchant: u32,
        offers: &[NewOffer],
        at: i64,
    ) -> Result<OffersPut, StoreError> {
        let mut ids: Vec<&str> = offers.iter().map(|offer| offer.offer.as_str()).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(StoreError::Invalid(format!("{:?} is there twice", pair[0])));
        }
        let decide = |standing: &Standing| {
            let mut put = OffersPut::default();
            let mut rows = Vec::new();
            for offer in offers {
                match standing.get(&offer.offer) {
                    Some(Some(content)) if *content == offer.content => {
                        put.unchanged += 1;
                        continue;
                    }
                    Some(Some(_)) => put.replaced += 1,
                    Some(None) | None => put.created += 1,
                }
                rows.push(Write {
                    offer: &offer.offer,
                    withdrawn: false,
                    kind: offer.kind,
                    category: &offer.category,
                    content: &offer.content,
                });
            }
            (put, rows)
        };
        change!(self, merchant, at, &ids, decide)
    }

    /// Withdraws offers of a merchant, all of them or none; one that was withdrawn before makes no change. `at` in microseconds
    /// since 1970 UTC. On disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where another process has been writing for longer than 5 seconds; those of the database.
    pub async fn withdraw_offers(
        &self,
        merchant: u32,
        offers: &[String],
        at: i64,
    ) -> Result<OffersWithdrawn, StoreError> {
        let mut ids: Vec<&str> = offers.iter().map(String::as_str).collect();
        ids.sort_unstable();
        ids.dedup();
        let decide = |standing: &Standing| {
            if let Some(unknown) = ids.iter().find(|id| !standing.contains_key(**id)) {
                return (OffersWithdrawn::Unknown((*unknown).to_owned()), Vec::new());
            }
            let stood = |id: &&&str| matches!(standing.get(**id), Some(Some(_)));
            let rows: Vec<Write<'_>> = ids
                .iter()
                .filter(stood)
                .map(|id| Write {
                    offer: id,
                    withdrawn: true,
                    kind: 0,
                    category: "",
                    content: &[],
                })
                .collect();
            (OffersWithdrawn::Withdrawn(rows.len() as u64), rows)
        };
        change!(self, merchant, at, &ids, decide)
    }
}

async fn standing_sqlite(
    connection: &mut SqliteConnection,
    merchant: i32,
    ids: &[&str],
) -> Result<Standing, StoreError> {
    let mut standing = Standing::with_capacity(ids.len());
    for (text, chunk, places) in STANDING.split_padded(ids) {
        let mut query = sqlx::query(text).bind(merchant);
        for id in chunk.iter().cycle().take(places) {
            query = query.bind(*id);
        }
        for row in query.fetch_all(&mut *connection).await? {
            standing_of!(row, standing);
        }
    }
    Ok(standing)
}

async fn standing_postgres(
    connection: &mut PgConnection,
    merchant: i32,
    ids: &[&str],
) -> Result<Standing, StoreError> {
    let mut standing = Standing::with_capacity(ids.len());
    let query = sqlx::query(STANDING_POSTGRES).bind(merchant).bind(ids);
    for row in query.fetch_all(&mut *connection).await? {
        standing_of!(row, standing);
    }
    Ok(standing)
}

async fn upsert_sqlite(
    connection: &mut SqliteConnection,
    stamp: Stamp,
    rows: &[Write<'_>],
) -> Result<(), StoreError> {
    let mut change = stamp.first;
    for (text, chunk) in UPSERT.split(rows) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(stamp.merchant)
                .bind(row.offer)
                .bind(signed(change)?)
                .bind(stamp.at)
                .bind(i16::from(row.withdrawn))
                .bind(i16::from(row.kind))
                .bind(row.category)
                .bind(row.content);
            change += 1;
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn upsert_postgres(
    connection: &mut PgConnection,
    stamp: Stamp,
    rows: &[Write<'_>],
) -> Result<(), StoreError> {
    /// A column of all rows.
    fn column<'a, T>(rows: &'a [Write<'a>], field: impl Fn(&'a Write<'a>) -> T) -> Vec<T> {
        rows.iter().map(field).collect()
    }
    let changes = (stamp.first..).take(rows.len()).map(signed);
    sqlx::query(UPSERT_POSTGRES)
        .bind(stamp.merchant)
        .bind(stamp.at)
        .bind(column(rows, |row| row.offer))
        .bind(changes.collect::<Result<Vec<i64>, _>>()?)
        .bind(column(rows, |row| i16::from(row.withdrawn)))
        .bind(column(rows, |row| i16::from(row.kind)))
        .bind(column(rows, |row| row.category))
        .bind(column(rows, |row| row.content))
        .execute(&mut *connection)
        .await?;
    Ok(())
}
