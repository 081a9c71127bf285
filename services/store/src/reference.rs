//! A merchant's own references to members: 16 random bytes each.

use std::sync::LazyLock;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::bucket::bucket_of;
use crate::error::{StoreError, fixed, signed, signed32, unsigned};
use crate::lookup::{find_keyed, keyed};
use crate::sqlite::Shapes;
use crate::store::{Backend, Store};

/// A merchant's name for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferenceRow {
    /// The merchant's index, at most 2^31 - 1.
    pub merchant: u32,
    /// The reference.
    pub reference: [u8; 16],
    /// The member.
    pub member: u64,
}

static INSERT: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO member_reference (merchant, reference, member, bucket)";
    Shapes::insert(head, 4, "")
});
const UNNEST: &str = "INSERT INTO member_reference (merchant, reference, member, bucket) \
     SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::smallint[])";

static RESOLVE: LazyLock<Shapes> =
    LazyLock::new(|| keyed("member_reference", "reference", "member"));
const RESOLVE_POSTGRES: &str = "SELECT w.place - 1, r.member \
     FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS w (merchant, reference, place) \
     JOIN member_reference r ON r.merchant = w.merchant AND r.reference = w.reference";

static OF_MEMBERS: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!(
            "SELECT member, reference FROM member_reference \
             WHERE merchant = ? AND member IN ({places}) ORDER BY member, reference"
        )
    })
});
const OF_MEMBERS_POSTGRES: &str = "SELECT member, reference FROM member_reference \
     WHERE merchant = $1 AND member = ANY($2::bigint[]) ORDER BY member, reference";

impl Store {
    /// The member behind each of these references, in their order; none where a merchant has no such reference.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resolve_references(
        &self,
        references: &[(u32, [u8; 16])],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        find_keyed(self, &RESOLVE, RESOLVE_POSTGRES, references).await
    }

    /// A merchant's references to these members, as (member, reference) in that order; a member may have none or several.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn references_of_members(
        &self,
        merchant: u32,
        members: &[u64],
    ) -> Result<Vec<(u64, [u8; 16])>, StoreError> {
        let merchant = signed32(merchant)?;
        let mut members = members
            .iter()
            .map(|&m| signed(m))
            .collect::<Result<Vec<_>, _>>()?;
        members.sort_unstable();
        members.dedup();
        let mut found = Vec::with_capacity(members.len());
        macro_rules! push {
            ($rows:expr) => {
                for row in $rows {
                    found.push((unsigned(row.try_get(0)?)?, fixed(row.try_get(1)?)?));
                }
            };
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut reader = db.readers.acquire().await?;
                for (text, chunk, places) in OF_MEMBERS.split_padded(&members) {
                    let mut query = sqlx::query(text).bind(merchant);
                    for place in 0..places {
                        query = query.bind(chunk[place.min(chunk.len() - 1)]);
                    }
                    push!(query.fetch_all(&mut *reader).await?);
                }
            }
            Backend::Postgres(db) => {
                let query = sqlx::query(OF_MEMBERS_POSTGRES)
                    .bind(merchant)
                    .bind(members);
                push!(query.fetch_all(&db.readers).await?);
            }
        }
        Ok(found)
    }
}

fn sorted(references: &[ReferenceRow]) -> Vec<ReferenceRow> {
    let mut references = references.to_vec();
    references.sort_unstable();
    references
}

fn bucket(member: u64) -> i16 {
    bucket_of(member).cast_signed()
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    references: &[ReferenceRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(&sorted(references)) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(signed32(row.merchant)?)
                .bind(&row.reference[..])
                .bind(signed(row.member)?)
                .bind(bucket(row.member));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    references: &[ReferenceRow],
) -> Result<(), StoreError> {
    if references.is_empty() {
        return Ok(());
    }
    let rows = sorted(references);
    let merchants = rows
        .iter()
        .map(|row| signed32(row.merchant))
        .collect::<Result<Vec<_>, _>>()?;
    let members = rows
        .iter()
        .map(|row| signed(row.member))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query(UNNEST)
        .bind(merchants)
        .bind(
            rows.iter()
                .map(|row| &row.reference[..])
                .collect::<Vec<_>>(),
        )
        .bind(members)
        .bind(
            rows.iter()
                .map(|row| bucket(row.member))
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(())
}
