//! Look-ups by key, many keys at once: each key is one search in a table's own order.

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::error::{StoreError, signed, signed32, unsigned};
use crate::sqlite::{Shapes, number_rows};
use crate::store::{Backend, Store};

/// SQLite's statements for [`find_keyed`]: `value` of the rows of `table` with the wanted (merchant, `key`).
///
/// CROSS JOIN fixes the order: for each key that is wanted, one search in the table.
pub(crate) fn keyed(table: &'static str, key: &'static str, value: &'static str) -> Shapes {
    Shapes::new(move |keys| {
        let places = (0..keys)
            .map(|i| format!("({i},?,?)"))
            .collect::<Vec<_>>()
            .join(",");
        format!(
            "WITH wanted (place, merchant, {key}) AS (VALUES {places}) \
             SELECT group_concat(w.place || ' ' || t.{value}) FROM wanted w CROSS JOIN {table} t \
             WHERE t.merchant = w.merchant AND t.{key} = w.{key}"
        )
    })
}

/// Puts the values that SQLite found for a chunk of keys at their places: `row` holds (place, value) pairs. Places behind the
/// chunk's end only fill the statement.
pub(crate) fn put_chunk(found: &mut [Option<u64>], row: &SqliteRow) -> Result<(), StoreError> {
    for pair in number_rows(row.try_get(0)?) {
        let [Some(place), Some(value)] = pair? else {
            return Err(StoreError::Corrupt("NULL in a key's row".into()));
        };
        put(found, place, value)?;
    }
    Ok(())
}

/// Puts a value that PostgreSQL found at its place.
pub(crate) fn put_row(found: &mut [Option<u64>], row: &PgRow) -> Result<(), StoreError> {
    put(found, row.try_get(0)?, row.try_get(1)?)
}

fn put(found: &mut [Option<u64>], place: i64, value: i64) -> Result<(), StoreError> {
    let place: usize = unsigned(place)?;
    if let Some(found) = found.get_mut(place) {
        *found = Some(unsigned(value)?);
    }
    Ok(())
}

/// Looks (merchant, 16 bytes) keys up, each by one search in a table's key.
pub(crate) async fn find_keyed(
    store: &Store,
    sqlite: &Shapes,
    postgres: &'static str,
    keys: &[(u32, [u8; 16])],
) -> Result<Vec<Option<u64>>, StoreError> {
    let mut found = vec![None; keys.len()];
    if keys.is_empty() {
        return Ok(found);
    }
    match store.backend() {
        Backend::Sqlite(db) => {
            let mut reader = db.readers.acquire().await?;
            let mut start = 0;
            for (text, chunk, places) in sqlite.split_padded(keys) {
                let mut query = sqlx::query(text);
                for place in 0..places {
                    let (merchant, key) = &chunk[place.min(chunk.len() - 1)];
                    query = query.bind(signed32(*merchant)?).bind(&key[..]);
                }
                let row = query.fetch_one(&mut *reader).await?;
                put_chunk(&mut found[start..start + chunk.len()], &row)?;
                start += chunk.len();
            }
        }
        Backend::Postgres(db) => {
            let merchants = keys
                .iter()
                .map(|(m, _)| signed32(*m))
                .collect::<Result<Vec<_>, _>>()?;
            let ids: Vec<&[u8]> = keys.iter().map(|(_, key)| &key[..]).collect();
            let query = sqlx::query(postgres).bind(merchants).bind(ids);
            for row in query.fetch_all(&db.readers).await? {
                put_row(&mut found, &row)?;
            }
        }
    }
    Ok(found)
}

/// The bytes at these whole-number keys, in the order of the keys; unknown ones are left out. The statements give (key, bytes) in
/// that order.
pub(crate) async fn bytes_by_number(
    store: &Store,
    sqlite: &Shapes,
    postgres: &'static str,
    keys: &[u64],
) -> Result<Vec<(u64, Bytes)>, StoreError> {
    let mut keys = keys
        .iter()
        .map(|&key| signed(key))
        .collect::<Result<Vec<_>, _>>()?;
    keys.sort_unstable();
    keys.dedup();
    let mut found = Vec::with_capacity(keys.len());
    macro_rules! push {
        ($rows:expr) => {
            for row in $rows {
                found.push((
                    unsigned(row.try_get(0)?)?,
                    row.try_get::<Vec<u8>, _>(1)?.into(),
                ));
            }
        };
    }
    match store.backend() {
        Backend::Sqlite(db) => {
            let mut reader = db.readers.acquire().await?;
            for (text, chunk, places) in sqlite.split_padded(&keys) {
                let mut query = sqlx::query(text);
                for place in 0..places {
                    query = query.bind(chunk[place.min(chunk.len() - 1)]);
                }
                push!(query.fetch_all(&mut *reader).await?);
            }
        }
        Backend::Postgres(db) => {
            push!(
                sqlx::query(postgres)
                    .bind(keys)
                    .fetch_all(&db.readers)
                    .await?
            );
        }
    }
    Ok(found)
}
