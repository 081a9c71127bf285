//! Members as the projection holds them: one packed row each.

use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::bucket::bucket_of;
use crate::error::{StoreError, signed, unsigned};
use crate::sqlite::{Shapes, number_rows};
use crate::store::{Backend, Store};

/// A member's packed state, and up to where in the log it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// The member.
    pub member: u64,
    /// The last entry whose effects on this member the row contains.
    pub applied_seq: u64,
    /// The earliest instant at which something of this member is due, other than the end of a hold, in microseconds since
    /// 1970 UTC.
    pub next_due: Option<i64>,
    /// The earliest instant at which one of its holds ends, in microseconds since 1970 UTC.
    pub next_hold: Option<i64>,
    /// The packed state.
    pub data: Bytes,
}

const ON_CONFLICT: &str = "ON CONFLICT (member) DO UPDATE SET applied_seq = excluded.applied_seq, \
     next_due = excluded.next_due, next_hold = excluded.next_hold, data = excluded.data";

static UPSERT: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO member (member, bucket, applied_seq, next_due, next_hold, data)";
    Shapes::insert(head, 6, ON_CONFLICT)
});
const UPSERT_POSTGRES: &str = "INSERT INTO member (member, bucket, applied_seq, next_due, next_hold, data) \
     SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) \
     ON CONFLICT (member) DO UPDATE SET applied_seq = excluded.applied_seq, \
     next_due = excluded.next_due, next_hold = excluded.next_hold, data = excluded.data";

/// One row per chunk, see [`number_rows`]: SQLite joins blobs byte by byte in a UTF-8 database, and the lengths part them.
static LOAD: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!(
            "SELECT CAST(group_concat(data, '') AS BLOB), group_concat(member || ' ' || applied_seq || ' ' \
             || ifnull(next_due, '') || ' ' || ifnull(next_hold, '') || ' ' || length(data)) \
             FROM member WHERE member IN ({places})"
        )
    })
});
const LOAD_POSTGRES: &str = "SELECT member, applied_seq, next_due, next_hold, data FROM member \
     WHERE member = ANY($1::bigint[]) ORDER BY member";

const SCAN: &str = "SELECT member, applied_seq, next_due, next_hold, data FROM member \
     WHERE member > $1 ORDER BY member LIMIT $2";
const DUE: &str = "SELECT member FROM member WHERE member > $1 AND member <= $2 \
     AND (next_due <= $3 OR next_hold <= $3) ORDER BY member LIMIT $4";
/// The last member of the next so many.
const NTH: &str = "SELECT member FROM member WHERE member > $1 ORDER BY member LIMIT 1 OFFSET $2";
const COUNT: &str = "SELECT count(*) FROM member";
const MAX: &str = "SELECT max(member) FROM member";

/// Members per statement of a scan: far below a second.
const SCAN_CHUNK: i64 = 50_000;

macro_rules! push_members {
    ($members:expr, $rows:expr) => {
        for row in $rows {
            $members.push(MemberRow {
                member: unsigned(row.try_get(0)?)?,
                applied_seq: unsigned(row.try_get(1)?)?,
                next_due: row.try_get(2)?,
                next_hold: row.try_get(3)?,
                data: row.try_get::<Vec<u8>, _>(4)?.into(),
            });
        }
    };
}

impl Store {
    /// The rows of these members, in the order of members; unknown ones are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn load_members(&self, members: &[u64]) -> Result<Vec<MemberRow>, StoreError> {
        let mut keys = members
            .iter()
            .map(|&m| signed(m))
            .collect::<Result<Vec<_>, _>>()?;
        keys.sort_unstable();
        keys.dedup();
        let mut found = Vec::with_capacity(keys.len());
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut reader = db.readers.acquire().await?;
                for (text, chunk, places) in LOAD.split_padded(&keys) {
                    let mut query = sqlx::query(text);
                    for place in 0..places {
                        query = query.bind(chunk[place.min(chunk.len() - 1)]);
                    }
                    let row = query.fetch_one(&mut *reader).await?;
                    unpack(row.try_get(0)?, row.try_get(1)?, &mut found)?;
                }
                // SQLite finds the keys of a list in their order, but does not promise to.
                found.sort_by_key(|row| row.member);
            }
            Backend::Postgres(db) => {
                let query = sqlx::query(LOAD_POSTGRES).bind(keys);
                push_members!(found, query.fetch_all(&db.readers).await?);
            }
        }
        Ok(found)
    }

    /// The rows of the next `limit` members after `after_member`, in their order: a scan by pages.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn scan_members(
        &self,
        after_member: u64,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let after = signed(after_member)?;
        let mut found = Vec::new();
        match self.backend() {
            Backend::Sqlite(db) => {
                let query = sqlx::query(SCAN).bind(after).bind(i64::from(limit));
                push_members!(found, query.fetch_all(&db.readers).await?);
            }
            Backend::Postgres(db) => {
                let query = sqlx::query(SCAN).bind(after).bind(i64::from(limit));
                push_members!(found, query.fetch_all(&db.readers).await?);
            }
        }
        Ok(found)
    }

    /// The next `limit` members after `after_member` of whom something is due, or a hold ends, at or before `until`
    /// (microseconds since 1970 UTC), in their order. Fewer than `limit`: there are no more.
    ///
    /// A scan in key order, in statements of 50,000 members: no index on the instants, which change with every message. Numbers may
    /// lie far apart, so each statement's end is looked up first, which walks the key once more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members_due(
        &self,
        until: i64,
        after_member: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let mut after = signed(after_member)?;
        let mut due = Vec::new();
        while due.len() < limit {
            // None: fewer than that are left.
            let to = self.nth_member(after, SCAN_CHUNK - 1).await?;
            let end = to.unwrap_or(i64::MAX);
            let room = signed((limit - due.len()) as u64)?;
            macro_rules! push {
                ($readers:expr) => {
                    let query = sqlx::query(DUE)
                        .bind(after)
                        .bind(end)
                        .bind(until)
                        .bind(room);
                    for row in query.fetch_all($readers).await? {
                        due.push(unsigned(row.try_get(0)?)?);
                    }
                };
            }
            match self.backend() {
                Backend::Sqlite(db) => {
                    push!(&db.readers);
                }
                Backend::Postgres(db) => {
                    push!(&db.readers);
                }
            }
            match to {
                Some(to) => after = to,
                None => break,
            }
        }
        Ok(due)
    }

    /// The member that lies `offset` behind the first one after `after`.
    async fn nth_member(&self, after: i64, offset: i64) -> Result<Option<i64>, StoreError> {
        macro_rules! nth {
            ($readers:expr) => {
                match sqlx::query(NTH)
                    .bind(after)
                    .bind(offset)
                    .fetch_optional($readers)
                    .await?
                {
                    Some(row) => Some(row.try_get(0)?),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => nth!(&db.readers),
            Backend::Postgres(db) => nth!(&db.readers),
        })
    }

    /// How many members the projection holds. Reads them all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn member_count(&self) -> Result<u64, StoreError> {
        let count: i64 = match self.backend() {
            Backend::Sqlite(db) => sqlx::query(COUNT)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
            Backend::Postgres(db) => sqlx::query(COUNT)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
        };
        unsigned(count)
    }

    /// The highest member of the projection, 0 when it is empty.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn max_member(&self) -> Result<u64, StoreError> {
        let max: Option<i64> = match self.backend() {
            Backend::Sqlite(db) => sqlx::query(MAX).fetch_one(&db.readers).await?.try_get(0)?,
            Backend::Postgres(db) => sqlx::query(MAX).fetch_one(&db.readers).await?.try_get(0)?,
        };
        unsigned(max.unwrap_or(0))
    }
}

/// Parts the rows of a chunk.
fn unpack(
    data: Option<&[u8]>,
    numbers: Option<&str>,
    found: &mut Vec<MemberRow>,
) -> Result<(), StoreError> {
    let mut data = data.unwrap_or_default();
    for row in number_rows(numbers) {
        let [
            Some(member),
            Some(applied_seq),
            next_due,
            next_hold,
            Some(length),
        ] = row?
        else {
            return Err(StoreError::Corrupt("NULL in a member's row".into()));
        };
        let (own, rest) = data
            .split_at_checked(unsigned(length)?)
            .ok_or_else(|| StoreError::Corrupt("a member's data is short".into()))?;
        data = rest;
        found.push(MemberRow {
            member: unsigned(member)?,
            applied_seq: unsigned(applied_seq)?,
            next_due,
            next_hold,
            data: Bytes::copy_from_slice(own),
        });
    }
    if data.is_empty() {
        Ok(())
    } else {
        Err(StoreError::Corrupt("a member's data is long".into()))
    }
}

/// In key order: neighbours share a page, and two writers would lock in the same order.
fn sorted(members: &[MemberRow]) -> Vec<&MemberRow> {
    let mut members: Vec<&MemberRow> = members.iter().collect();
    members.sort_by_key(|row| row.member);
    members
}

pub(crate) async fn upsert_sqlite(
    connection: &mut SqliteConnection,
    members: &[MemberRow],
) -> Result<(), StoreError> {
    for (text, chunk) in UPSERT.split(&sorted(members)) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(signed(row.member)?)
                .bind(bucket_of(row.member).cast_signed())
                .bind(signed(row.applied_seq)?)
                .bind(row.next_due)
                .bind(row.next_hold)
                .bind(&row.data[..]);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn upsert_postgres(
    connection: &mut PgConnection,
    members: &[MemberRow],
) -> Result<(), StoreError> {
    if members.is_empty() {
        return Ok(());
    }
    let rows = sorted(members);
    let keys = rows
        .iter()
        .map(|row| signed(row.member))
        .collect::<Result<Vec<_>, _>>()?;
    let applied = rows
        .iter()
        .map(|row| signed(row.applied_seq))
        .collect::<Result<Vec<_>, _>>()?;
    let buckets: Vec<_> = rows
        .iter()
        .map(|row| bucket_of(row.member).cast_signed())
        .collect();
    sqlx::query(UPSERT_POSTGRES)
        .bind(keys)
        .bind(buckets)
        .bind(applied)
        .bind(rows.iter().map(|row| row.next_due).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.next_hold).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| &row.data[..]).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
