//! Entries: the log itself.

use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, fixed, signed, signed32, unsigned};
use crate::lookup::bytes_by_number;
use crate::sqlite::Shapes;
use crate::store::{Backend, Store};

/// One entry of the log: one leaf of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its place in the log and its leaf's index, from 0, without gaps.
    pub seq: u64,
    /// When it was decided, in microseconds since 1970 UTC.
    pub decided_at: i64,
    /// The merchant that sent it, or none for the hub's own facts.
    pub merchant: Option<u32>,
    /// The caller's number for what the entry is.
    pub kind: u8,
    /// How many messages it holds.
    pub messages: u32,
    /// The data of its leaf.
    pub leaf_data: [u8; 72],
    /// The hashes of the tree's nodes that this leaf completed, 32 bytes each.
    pub tree_hashes: Bytes,
    /// What was decided, per message.
    pub outcomes: Bytes,
    /// What it changed.
    pub effects: Bytes,
    /// The received bytes.
    pub envelope: Bytes,
}

/// The last entry, without its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Its place in the log.
    pub seq: u64,
    /// When it was decided, in microseconds since 1970 UTC.
    pub decided_at: i64,
}

/// An entry's part in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRow {
    /// The leaf's index.
    pub seq: u64,
    /// Its data.
    pub leaf_data: [u8; 72],
    /// The hashes of the nodes that it completed, 32 bytes each.
    pub tree_hashes: Bytes,
}

impl EntryRow {
    /// The bytes of its big columns.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.outcomes.len() + self.effects.len() + self.envelope.len()
    }
}

const COLUMNS: &str = "seq, decided_at, merchant, kind, messages, leaf_data, tree_hashes, outcomes, effects, envelope";

static INSERT: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::insert(&format!("INSERT INTO entry ({COLUMNS})"), 10, ""));

const INSERT_POSTGRES: &str = "INSERT INTO entry \
     (seq, decided_at, merchant, kind, messages, leaf_data, tree_hashes, outcomes, effects, envelope) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::smallint[], $5::integer[], \
     $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[], $10::bytea[])";

const LAST: &str = "SELECT seq, decided_at FROM entry ORDER BY seq DESC LIMIT 1";
const ONE: &str = "SELECT seq, decided_at, merchant, kind, messages, leaf_data, tree_hashes, outcomes, effects, envelope \
     FROM entry WHERE seq = $1";
const RANGE: &str = "SELECT seq, decided_at, merchant, kind, messages, leaf_data, tree_hashes, outcomes, effects, envelope \
     FROM entry WHERE seq >= $1 AND seq < $2 ORDER BY seq";
/// Lengths are known without reading the columns.
const SIZES: &str = "SELECT length(outcomes) + length(effects) + length(envelope) \
     FROM entry WHERE seq >= $1 AND seq < $2 ORDER BY seq";
const LEAVES: &str =
    "SELECT seq, leaf_data, tree_hashes FROM entry WHERE seq >= $1 AND seq < $2 ORDER BY seq";

static HASHES: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!("SELECT seq, tree_hashes FROM entry WHERE seq IN ({places}) ORDER BY seq")
    })
});
const HASHES_POSTGRES: &str =
    "SELECT seq, tree_hashes FROM entry WHERE seq = ANY($1::bigint[]) ORDER BY seq";

macro_rules! entry_of {
    ($row:expr) => {{
        let row = $row;
        EntryRow {
            seq: unsigned(row.try_get(0)?)?,
            decided_at: row.try_get(1)?,
            merchant: row
                .try_get::<Option<i32>, _>(2)?
                .map(|m| unsigned(m.into()))
                .transpose()?,
            kind: unsigned(row.try_get::<i16, _>(3)?.into())?,
            messages: unsigned(row.try_get::<i32, _>(4)?.into())?,
            leaf_data: fixed(row.try_get(5)?)?,
            tree_hashes: row.try_get::<Vec<u8>, _>(6)?.into(),
            outcomes: row.try_get::<Vec<u8>, _>(7)?.into(),
            effects: row.try_get::<Vec<u8>, _>(8)?.into(),
            envelope: row.try_get::<Vec<u8>, _>(9)?.into(),
        }
    }};
}

impl Store {
    /// The last entry of the log, or none of an empty one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_entry(&self) -> Result<Option<EntryHead>, StoreError> {
        macro_rules! head {
            ($readers:expr) => {
                match sqlx::query(LAST).fetch_optional($readers).await? {
                    Some(row) => Some(EntryHead {
                        seq: unsigned(row.try_get(0)?)?,
                        decided_at: row.try_get(1)?,
                    }),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => head!(&db.readers),
            Backend::Postgres(db) => head!(&db.readers),
        })
    }

    /// One entry.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn entry(&self, seq: u64) -> Result<Option<EntryRow>, StoreError> {
        let seq = signed(seq)?;
        macro_rules! one {
            ($readers:expr) => {
                match sqlx::query(ONE).bind(seq).fetch_optional($readers).await? {
                    Some(row) => Some(entry_of!(&row)),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => one!(&db.readers),
            Backend::Postgres(db) => one!(&db.readers),
        })
    }

    /// The entries from `from_seq` on, at most `max_rows`, and at most `max_bytes` of big columns unless the first alone
    /// has more. Empty: the log ends before `from_seq`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn entries(
        &self,
        from_seq: u64,
        max_rows: u32,
        max_bytes: usize,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let from = signed(from_seq)?;
        let to = signed(from_seq.saturating_add(max_rows.into()))?;
        macro_rules! range {
            ($readers:expr) => {{
                let mut rows = 0i64;
                let mut bytes = 0usize;
                for row in sqlx::query(SIZES)
                    .bind(from)
                    .bind(to)
                    .fetch_all($readers)
                    .await?
                {
                    bytes = bytes.saturating_add(unsigned(row.try_get::<i32, _>(0)?.into())?);
                    if rows > 0 && bytes > max_bytes {
                        break;
                    }
                    rows += 1;
                }
                let mut entries = Vec::new();
                if rows > 0 {
                    let range = sqlx::query(RANGE).bind(from).bind(from + rows);
                    for row in range.fetch_all($readers).await? {
                        entries.push(entry_of!(&row));
                    }
                }
                entries
            }};
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => range!(&db.readers),
            Backend::Postgres(db) => range!(&db.readers),
        })
    }

    /// The leaves from `from_seq` on, at most `max_rows`; reads no big columns.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn leaves(&self, from_seq: u64, max_rows: u32) -> Result<Vec<LeafRow>, StoreError> {
        let from = signed(from_seq)?;
        let to = signed(from_seq.saturating_add(max_rows.into()))?;
        macro_rules! leaves {
            ($readers:expr) => {{
                let mut leaves = Vec::new();
                for row in sqlx::query(LEAVES)
                    .bind(from)
                    .bind(to)
                    .fetch_all($readers)
                    .await?
                {
                    leaves.push(LeafRow {
                        seq: unsigned(row.try_get(0)?)?,
                        leaf_data: fixed(row.try_get(1)?)?,
                        tree_hashes: row.try_get::<Vec<u8>, _>(2)?.into(),
                    });
                }
                leaves
            }};
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => leaves!(&db.readers),
            Backend::Postgres(db) => leaves!(&db.readers),
        })
    }

    /// The node hashes that these leaves completed, in the order of the leaves; unknown ones are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tree_hashes(&self, seqs: &[u64]) -> Result<Vec<(u64, Bytes)>, StoreError> {
        bytes_by_number(self, &HASHES, HASHES_POSTGRES, seqs).await
    }
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    entries: &[EntryRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(entries) {
        let mut query = sqlx::query(text);
        for entry in chunk {
            query = query
                .bind(signed(entry.seq)?)
                .bind(entry.decided_at)
                .bind(entry.merchant.map(signed32).transpose()?)
                .bind(i16::from(entry.kind))
                .bind(signed32(entry.messages)?)
                .bind(&entry.leaf_data[..])
                .bind(&entry.tree_hashes[..])
                .bind(&entry.outcomes[..])
                .bind(&entry.effects[..])
                .bind(&entry.envelope[..]);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    entries: &[EntryRow],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let all = |column: fn(&EntryRow) -> &[u8]| entries.iter().map(column).collect::<Vec<_>>();
    let seqs = entries
        .iter()
        .map(|e| signed(e.seq))
        .collect::<Result<Vec<_>, _>>()?;
    let merchants = entries
        .iter()
        .map(|e| e.merchant.map(signed32).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let messages = entries
        .iter()
        .map(|e| signed32(e.messages))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(INSERT_POSTGRES)
        .bind(seqs)
        .bind(entries.iter().map(|e| e.decided_at).collect::<Vec<_>>())
        .bind(merchants)
        .bind(
            entries
                .iter()
                .map(|e| i16::from(e.kind))
                .collect::<Vec<_>>(),
        )
        .bind(messages)
        .bind(all(|e| &e.leaf_data))
        .bind(all(|e| &e.tree_hashes))
        .bind(all(|e| &e.outcomes))
        .bind(all(|e| &e.effects))
        .bind(all(|e| &e.envelope))
        .execute(connection)
        .await?;
    Ok(())
}
