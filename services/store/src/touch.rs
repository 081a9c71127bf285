//! Touches: clicks, views and codes of affiliates, beside the log. Only ever appended to.
//!
//! Ids are time-ordered (UUIDv7), so rows go to the end of the table, and a page by id is a page by time. Whoever the visitor
//! is does not stand here: addresses, devices and user agents are keyed hashes, which the caller makes. What is invalid later
//! gets a row of its own beside the touch, which stays as it was.
//!
//! [`Store::add_touches`] is one transaction and one wait for the disk for any number of touches: callers gather.

use std::sync::LazyLock;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, fixed, signed, signed32, unsigned};
use crate::sqlite::{Durability, Shapes};
use crate::store::{Backend, Store};

/// A touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TouchRow {
    /// Its id, which begins with the time.
    pub id: [u8; 16],
    /// The caller's number for what it was: click, view, code.
    pub kind: u8,
    /// When it was, in milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// When it was taken, in milliseconds since 1970 UTC.
    pub recorded_ms: u64,
    /// The merchant that it led to.
    pub merchant: u32,
    /// Whose touch it was.
    pub affiliate: u32,
    /// On which of the affiliate's sites; 0: none was named.
    pub site: u32,
    /// By which link; empty: by none of the hub's.
    pub link: String,
    /// The code that was used; empty: none.
    pub code: String,
    /// The affiliate's own mark.
    pub sub_id: String,
    /// What is known of it, as its click id says.
    pub flags: u16,
    /// What is known of it, as detectors of fraud take it.
    pub marks: u16,
    /// The caller's number for why it does not count; 0: it counts.
    pub refused: u8,
    /// Keyed hash of the user agent; 0: unknown, as for the others.
    pub agent: u64,
    /// Keyed hash of the address.
    pub address: u64,
    /// Keyed hash of the address's network.
    pub network: u64,
    /// Keyed hash of what marks the device.
    pub device: u64,
    /// Host of the page before; empty: unknown.
    pub referrer_host: String,
}

/// Why a touch is invalid, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidationRow {
    /// The touch.
    pub id: [u8; 16],
    /// When it was found invalid, in milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Why, in words.
    pub reason: String,
    /// Who says so.
    pub actor: String,
}

/// A touch as it stands today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTouch {
    /// As it was taken.
    pub row: TouchRow,
    /// Why it is invalid.
    pub invalid: Option<InvalidationRow>,
}

/// Whose touches are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TouchesOf {
    /// Everybody's.
    All,
    /// Those of an affiliate.
    Affiliate(u32),
    /// Those that lead to a merchant.
    Merchant(u32),
}

/// How many touches of one kind there were on one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TouchCount {
    /// Whose.
    pub affiliate: u32,
    /// To which merchant.
    pub merchant: u32,
    /// Days since 1970, UTC.
    pub day: u32,
    /// What they were.
    pub kind: u8,
    /// Why they do not count; 0: they do.
    pub refused: u8,
    /// How many.
    pub touches: u64,
}

const INSERT_HEAD: &str = "INSERT INTO touch (id, kind, at_ms, recorded_ms, merchant, affiliate, site, link, code, sub_id, \
     flags, marks, refused, agent, address, network, device, referrer_host)";

static INSERT: LazyLock<Shapes> = LazyLock::new(|| Shapes::insert(INSERT_HEAD, 18, ""));
const INSERT_POSTGRES: &str = "INSERT INTO touch (id, kind, at_ms, recorded_ms, merchant, affiliate, site, link, code, sub_id, \
     flags, marks, refused, agent, address, network, device, referrer_host) \
     SELECT * FROM unnest($1::bytea[], $2::smallint[], $3::bigint[], $4::bigint[], $5::integer[], $6::integer[], \
     $7::integer[], $8::text[], $9::text[], $10::text[], $11::integer[], $12::integer[], $13::smallint[], $14::bigint[], \
     $15::bigint[], $16::bigint[], $17::bigint[], $18::text[])";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, t.kind, t.at_ms, t.recorded_ms, t.merchant, t.affiliate, t.site, t.link, t.code, t.sub_id, \
             t.flags, t.marks, t.refused, t.agent, t.address, t.network, t.device, t.referrer_host, \
             i.at_ms, i.reason, i.actor \
             FROM touch t LEFT JOIN touch_invalidation i ON i.id = t.id ",
            $rest
        )
    };
}

const PAGE: &str = select!("WHERE t.id > $1 AND t.id < $2 ORDER BY t.id LIMIT $3");
const PAGE_OF_AFFILIATE: &str =
    select!("WHERE t.affiliate = $4 AND t.id > $1 AND t.id < $2 ORDER BY t.id LIMIT $3");
const PAGE_OF_MERCHANT: &str =
    select!("WHERE t.merchant = $4 AND t.id > $1 AND t.id < $2 ORDER BY t.id LIMIT $3");

static BY_ID: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!("{} ({places}) ORDER BY t.id", select!("WHERE t.id IN"))
    })
});
const BY_ID_POSTGRES: &str = select!("WHERE t.id = ANY($1::bytea[]) ORDER BY t.id");

macro_rules! count {
    ($of:literal) => {
        concat!(
            "SELECT affiliate, merchant, at_ms / 86400000, kind, refused, count(*) FROM touch \
             WHERE id >= $1 AND id < $2",
            $of,
            " GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
        )
    };
}
const COUNT: &str = count!("");
const COUNT_OF_AFFILIATE: &str = count!(" AND affiliate = $3");
const COUNT_OF_MERCHANT: &str = count!(" AND merchant = $3");

const INVALIDATE: &str = "INSERT INTO touch_invalidation (id, at_ms, reason, actor) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (id) DO NOTHING RETURNING id";

/// A column of 32 bits that holds at most 16.
fn small<T: TryFrom<i64>>(value: i32) -> Result<T, StoreError> {
    unsigned(value.into())
}

macro_rules! touch_of {
    ($row:expr) => {{
        let row = $row;
        let id = fixed(row.try_get(0)?)?;
        StoredTouch {
            row: TouchRow {
                id,
                kind: unsigned(row.try_get::<i16, _>(1)?.into())?,
                at_ms: unsigned(row.try_get(2)?)?,
                recorded_ms: unsigned(row.try_get(3)?)?,
                merchant: small(row.try_get(4)?)?,
                affiliate: small(row.try_get(5)?)?,
                site: small(row.try_get(6)?)?,
                link: row.try_get(7)?,
                code: row.try_get(8)?,
                sub_id: row.try_get(9)?,
                flags: small(row.try_get(10)?)?,
                marks: small(row.try_get(11)?)?,
                refused: unsigned(row.try_get::<i16, _>(12)?.into())?,
                agent: row.try_get::<i64, _>(13)?.cast_unsigned(),
                address: row.try_get::<i64, _>(14)?.cast_unsigned(),
                network: row.try_get::<i64, _>(15)?.cast_unsigned(),
                device: row.try_get::<i64, _>(16)?.cast_unsigned(),
                referrer_host: row.try_get(17)?,
            },
            invalid: match row.try_get::<Option<i64>, _>(18)? {
                Some(at_ms) => Some(InvalidationRow {
                    id,
                    at_ms: unsigned(at_ms)?,
                    reason: row.try_get(19)?,
                    actor: row.try_get(20)?,
                }),
                None => None,
            },
        }
    }};
}

/// The first id of an instant, in milliseconds since 1970 UTC: those of the instant and later ones are not below it.
#[must_use]
pub fn first_touch_id(at_ms: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..6].copy_from_slice(&at_ms.min((1 << 48) - 1).to_be_bytes()[2..]);
    id
}

impl Store {
    /// Keeps touches, all of them or none. On disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::DuplicateKey`] where an id exists; those of the database.
    pub async fn add_touches(&self, rows: &[TouchRow]) -> Result<(), StoreError> {
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                insert_sqlite(write.connection(), rows).await?;
                write.commit().await
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                insert_postgres(write.connection(), rows).await?;
                write.commit().await
            }
        }
    }

    /// The touches of these ids, in the order of the ids; unknown ones are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn touches_by_id(&self, ids: &[[u8; 16]]) -> Result<Vec<StoredTouch>, StoreError> {
        let mut wanted = ids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut touches = Vec::with_capacity(wanted.len());
        match self.backend() {
            Backend::Sqlite(db) => {
                for (text, chunk, places) in BY_ID.split_padded(&wanted) {
                    let mut query = sqlx::query(text);
                    for id in chunk.iter().cycle().take(places) {
                        query = query.bind(&id[..]);
                    }
                    for row in query.fetch_all(&db.readers).await? {
                        touches.push(touch_of!(row));
                    }
                }
            }
            Backend::Postgres(db) => {
                let keys: Vec<&[u8]> = wanted.iter().map(|id| &id[..]).collect();
                let query = sqlx::query(BY_ID_POSTGRES).bind(keys);
                for row in query.fetch_all(&db.readers).await? {
                    touches.push(touch_of!(row));
                }
            }
        }
        Ok(touches)
    }

    /// Touches in the order of their time, behind `after` and before `until`, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn touches(
        &self,
        of: TouchesOf,
        after: [u8; 16],
        until: [u8; 16],
        limit: u32,
    ) -> Result<Vec<StoredTouch>, StoreError> {
        let (text, party) = match of {
            TouchesOf::All => (PAGE, None),
            TouchesOf::Affiliate(party) => (PAGE_OF_AFFILIATE, Some(signed32(party)?)),
            TouchesOf::Merchant(party) => (PAGE_OF_MERCHANT, Some(signed32(party)?)),
        };
        let mut touches = Vec::new();
        macro_rules! page {
            ($readers:expr) => {{
                let mut query = sqlx::query(text)
                    .bind(&after[..])
                    .bind(&until[..])
                    .bind(i64::from(limit));
                if let Some(party) = party {
                    query = query.bind(party);
                }
                for row in query.fetch_all($readers).await? {
                    touches.push(touch_of!(row));
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => page!(&db.readers),
            Backend::Postgres(db) => page!(&db.readers),
        }
        Ok(touches)
    }

    /// How many touches there were from an instant until another, in milliseconds since 1970 UTC, by affiliate, merchant,
    /// day, kind and why they do not count. Costs a pass over all that is counted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn touch_counts(
        &self,
        of: TouchesOf,
        from_ms: u64,
        until_ms: u64,
    ) -> Result<Vec<TouchCount>, StoreError> {
        let (text, party) = match of {
            TouchesOf::All => (COUNT, None),
            TouchesOf::Affiliate(party) => (COUNT_OF_AFFILIATE, Some(signed32(party)?)),
            TouchesOf::Merchant(party) => (COUNT_OF_MERCHANT, Some(signed32(party)?)),
        };
        let (from, until) = (first_touch_id(from_ms), first_touch_id(until_ms));
        let mut counts = Vec::new();
        macro_rules! counts {
            ($readers:expr) => {{
                let mut query = sqlx::query(text).bind(&from[..]).bind(&until[..]);
                if let Some(party) = party {
                    query = query.bind(party);
                }
                for row in query.fetch_all($readers).await? {
                    counts.push(TouchCount {
                        affiliate: small(row.try_get(0)?)?,
                        merchant: small(row.try_get(1)?)?,
                        day: unsigned(row.try_get(2)?)?,
                        kind: unsigned(row.try_get::<i16, _>(3)?.into())?,
                        refused: unsigned(row.try_get::<i16, _>(4)?.into())?,
                        touches: unsigned(row.try_get(5)?)?,
                    });
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => counts!(&db.readers),
            Backend::Postgres(db) => counts!(&db.readers),
        }
        Ok(counts)
    }

    /// Notes that touches are invalid; the first word on each stays. Answers how many were not invalid before. On disk when
    /// it returns.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invalidate_touches(&self, rows: &[InvalidationRow]) -> Result<u64, StoreError> {
        let mut added = 0;
        macro_rules! invalidate {
            ($write:expr) => {{
                for row in rows {
                    let query = sqlx::query(INVALIDATE)
                        .bind(&row.id[..])
                        .bind(signed(row.at_ms)?)
                        .bind(&row.reason)
                        .bind(&row.actor);
                    let new = query.fetch_optional($write.connection()).await?;
                    added += u64::from(new.is_some());
                }
                $write.commit().await?;
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                invalidate!(write);
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                invalidate!(write);
            }
        }
        Ok(added)
    }
}

async fn insert_sqlite(
    connection: &mut SqliteConnection,
    rows: &[TouchRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(rows) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(&row.id[..])
                .bind(i16::from(row.kind))
                .bind(signed(row.at_ms)?)
                .bind(signed(row.recorded_ms)?)
                .bind(signed32(row.merchant)?)
                .bind(signed32(row.affiliate)?)
                .bind(signed32(row.site)?)
                .bind(&row.link)
                .bind(&row.code)
                .bind(&row.sub_id)
                .bind(i32::from(row.flags))
                .bind(i32::from(row.marks))
                .bind(i16::from(row.refused))
                .bind(row.agent.cast_signed())
                .bind(row.address.cast_signed())
                .bind(row.network.cast_signed())
                .bind(row.device.cast_signed())
                .bind(&row.referrer_host);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn insert_postgres(
    connection: &mut PgConnection,
    rows: &[TouchRow],
) -> Result<(), StoreError> {
    /// A column of all rows.
    fn column<'a, T>(rows: &'a [TouchRow], field: impl Fn(&'a TouchRow) -> T) -> Vec<T> {
        rows.iter().map(field).collect()
    }
    /// A column whose values may not fit.
    fn checked<T>(
        rows: &[TouchRow],
        field: impl Fn(&TouchRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        rows.iter().map(field).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT_POSTGRES)
        .bind(column(rows, |row| &row.id[..]))
        .bind(column(rows, |row| i16::from(row.kind)))
        .bind(checked(rows, |row| signed(row.at_ms))?)
        .bind(checked(rows, |row| signed(row.recorded_ms))?)
        .bind(checked(rows, |row| signed32(row.merchant))?)
        .bind(checked(rows, |row| signed32(row.affiliate))?)
        .bind(checked(rows, |row| signed32(row.site))?)
        .bind(column(rows, |row| row.link.as_str()))
        .bind(column(rows, |row| row.code.as_str()))
        .bind(column(rows, |row| row.sub_id.as_str()))
        .bind(column(rows, |row| i32::from(row.flags)))
        .bind(column(rows, |row| i32::from(row.marks)))
        .bind(column(rows, |row| i16::from(row.refused)))
        .bind(column(rows, |row| row.agent.cast_signed()))
        .bind(column(rows, |row| row.address.cast_signed()))
        .bind(column(rows, |row| row.network.cast_signed()))
        .bind(column(rows, |row| row.device.cast_signed()))
        .bind(column(rows, |row| row.referrer_host.as_str()))
        .execute(&mut *connection)
        .await?;
    Ok(())
}
