//! Aliases: keyed hashes of personal identifiers. The identifiers themselves never get here.

use std::sync::LazyLock;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::bucket::bucket_of;
use crate::error::{StoreError, signed};
use crate::lookup::{put_chunk, put_row};
use crate::sqlite::Shapes;
use crate::store::{Backend, Store};

/// An alias of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AliasRow {
    /// The identifier's hash under the hub's key.
    pub hash: [u8; 16],
    /// The member.
    pub member: u64,
}

static INSERT: LazyLock<Shapes> =
    LazyLock::new(|| Shapes::insert("INSERT INTO member_alias (hash, member, bucket)", 3, ""));
const UNNEST: &str = "INSERT INTO member_alias (hash, member, bucket) \
     SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::smallint[])";

static RESOLVE: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = (0..keys)
            .map(|i| format!("({i},?)"))
            .collect::<Vec<_>>()
            .join(",");
        format!(
            "WITH wanted (place, hash) AS (VALUES {places}) \
             SELECT group_concat(w.place || ' ' || a.member) FROM wanted w CROSS JOIN member_alias a WHERE a.hash = w.hash"
        )
    })
});
const RESOLVE_POSTGRES: &str = "SELECT w.place - 1, a.member \
     FROM unnest($1::bytea[]) WITH ORDINALITY AS w (hash, place) JOIN member_alias a ON a.hash = w.hash";

impl Store {
    /// The member behind each of these hashes, in their order; none where a hash is not enrolled.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resolve_aliases(
        &self,
        hashes: &[[u8; 16]],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let mut found = vec![None; hashes.len()];
        if hashes.is_empty() {
            return Ok(found);
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut reader = db.readers.acquire().await?;
                let mut start = 0;
                for (text, chunk, places) in RESOLVE.split_padded(hashes) {
                    let mut query = sqlx::query(text);
                    for place in 0..places {
                        query = query.bind(&chunk[place.min(chunk.len() - 1)][..]);
                    }
                    let row = query.fetch_one(&mut *reader).await?;
                    put_chunk(&mut found[start..start + chunk.len()], &row)?;
                    start += chunk.len();
                }
            }
            Backend::Postgres(db) => {
                let keys: Vec<&[u8]> = hashes.iter().map(|hash| &hash[..]).collect();
                for row in sqlx::query(RESOLVE_POSTGRES)
                    .bind(keys)
                    .fetch_all(&db.readers)
                    .await?
                {
                    put_row(&mut found, &row)?;
                }
            }
        }
        Ok(found)
    }
}

fn sorted(aliases: &[AliasRow]) -> Vec<AliasRow> {
    let mut aliases = aliases.to_vec();
    aliases.sort_unstable();
    aliases
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    aliases: &[AliasRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(&sorted(aliases)) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(&row.hash[..])
                .bind(signed(row.member)?)
                .bind(bucket_of(row.member).cast_signed());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    aliases: &[AliasRow],
) -> Result<(), StoreError> {
    if aliases.is_empty() {
        return Ok(());
    }
    let rows = sorted(aliases);
    let members = rows
        .iter()
        .map(|row| signed(row.member))
        .collect::<Result<Vec<_>, _>>()?;
    let buckets: Vec<_> = rows
        .iter()
        .map(|row| bucket_of(row.member).cast_signed())
        .collect();
    sqlx::query(UNNEST)
        .bind(rows.iter().map(|row| &row.hash[..]).collect::<Vec<_>>())
        .bind(members)
        .bind(buckets)
        .execute(connection)
        .await?;
    Ok(())
}
