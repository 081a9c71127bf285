//! Message ids: unique per merchant for ever, and where each message stands.

use std::sync::LazyLock;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, fixed, signed, signed32, unsigned};
use crate::lookup::{find_keyed, keyed};
use crate::postgres::{CopyRows, Postgres};
use crate::sqlite::Shapes;
use crate::store::{Backend, Store};

/// A message id that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRow {
    /// The merchant's index, at most 2^31 - 1.
    pub merchant: u32,
    /// The id.
    pub id: [u8; 16],
    /// The message's position: its entry and its index in it.
    pub pos: u64,
}

static INSERT: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::insert("INSERT INTO message_id (merchant, message_id, pos)", 3, ""));
const COPY: &str = "COPY message_id (merchant, message_id, pos) FROM STDIN (FORMAT BINARY)";
const UNNEST: &str = "INSERT INTO message_id (merchant, message_id, pos) \
     SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[])";

static FIND: LazyLock<Shapes> = LazyLock::new(|| keyed("message_id", "message_id", "pos"));
const FIND_POSTGRES: &str = "SELECT w.place - 1, m.pos \
     FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS w (merchant, message_id, place) \
     JOIN message_id m ON m.merchant = w.merchant AND m.message_id = w.message_id";
const HIGHEST: &str = "SELECT message_id, pos FROM message_id WHERE merchant = $1 \
     ORDER BY message_id DESC LIMIT $2";

impl Store {
    /// The position of each of these ids, in their order; none where an id is not used yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_ids(&self, ids: &[(u32, [u8; 16])]) -> Result<Vec<Option<u64>>, StoreError> {
        find_keyed(self, &FIND, FIND_POSTGRES, ids).await
    }

    /// The `limit` highest ids of a merchant with their positions, highest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn highest_ids(
        &self,
        merchant: u32,
        limit: u32,
    ) -> Result<Vec<([u8; 16], u64)>, StoreError> {
        let merchant = signed32(merchant)?;
        macro_rules! highest {
            ($readers:expr) => {{
                let query = sqlx::query(HIGHEST).bind(merchant).bind(i64::from(limit));
                let mut ids = Vec::new();
                for row in query.fetch_all($readers).await? {
                    ids.push((fixed(row.try_get(0)?)?, unsigned(row.try_get(1)?)?));
                }
                ids
            }};
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => highest!(&db.readers),
            Backend::Postgres(db) => highest!(&db.readers),
        })
    }
}

/// In key order: neighbours share a page.
pub(crate) fn sorted(ids: &[IdRow]) -> Vec<IdRow> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    ids: &[IdRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(&sorted(ids)) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(signed32(row.merchant)?)
                .bind(&row.id[..])
                .bind(signed(row.pos)?);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    db: &Postgres,
    connection: &mut PgConnection,
    ids: &[IdRow],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = sorted(ids);
    if db.copies {
        let mut rows = CopyRows::with_capacity(ids.len() * 42);
        for row in &ids {
            rows.row(3)
                .int4(signed32(row.merchant)?)
                .bytes16(&row.id)
                .int8(signed(row.pos)?);
        }
        rows.send(connection, COPY).await?;
        return Ok(());
    }
    let merchants = ids
        .iter()
        .map(|row| signed32(row.merchant))
        .collect::<Result<Vec<_>, _>>()?;
    let positions = ids
        .iter()
        .map(|row| signed(row.pos))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(UNNEST)
        .bind(merchants)
        .bind(ids.iter().map(|row| &row.id[..]).collect::<Vec<_>>())
        .bind(positions)
        .execute(connection)
        .await?;
    Ok(())
}
