//! Whose conversions they are: which participants each one concerns, the merchant that sent it and the affiliates that it was ever attributed
//! to. An index of the log, written with the entries that it points to.

use std::sync::LazyLock;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, signed, signed32, unsigned};
use crate::sqlite::Shapes;
use crate::store::{Backend, Store};

/// A conversion of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartyRow {
    /// The participant's index, at most 2^31 - 1.
    pub participant: u32,
    /// The conversion's position: its entry and its index in it.
    pub pos: u64,
}

static INSERT: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::insert(
        "INSERT INTO conversion_party (participant, pos)",
        2,
        " ON CONFLICT DO NOTHING",
    )
});
const UNNEST: &str = "INSERT INTO conversion_party (participant, pos) \
     SELECT * FROM unnest($1::integer[], $2::bigint[]) ON CONFLICT DO NOTHING";
const NEWEST: &str = "SELECT pos FROM conversion_party WHERE participant = $1 AND pos < $2 \
     ORDER BY pos DESC LIMIT $3";

impl Store {
    /// The positions of a participant's conversions below `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn conversions_of(
        &self,
        participant: u32,
        before: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let participant = signed32(participant)?;
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        macro_rules! positions {
            ($readers:expr) => {{
                let query = sqlx::query(NEWEST).bind(participant).bind(before);
                let rows = query.bind(i64::from(limit)).fetch_all($readers).await?;
                let positions = rows.into_iter().map(|row| unsigned(row.try_get(0)?));
                positions.collect::<Result<_, StoreError>>()?
            }};
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => positions!(&db.readers),
            Backend::Postgres(db) => positions!(&db.readers),
        })
    }
}

/// In key order, each once.
fn sorted(parties: &[PartyRow]) -> Vec<PartyRow> {
    let mut parties = parties.to_vec();
    parties.sort_unstable();
    parties.dedup();
    parties
}

pub(crate) async fn insert_sqlite(
    connection: &mut SqliteConnection,
    parties: &[PartyRow],
) -> Result<(), StoreError> {
    for (text, chunk) in INSERT.split(&sorted(parties)) {
        let mut query = sqlx::query(text);
        for row in chunk {
            query = query
                .bind(signed32(row.participant)?)
                .bind(signed(row.pos)?);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn insert_postgres(
    connection: &mut PgConnection,
    parties: &[PartyRow],
) -> Result<(), StoreError> {
    if parties.is_empty() {
        return Ok(());
    }
    let parties = sorted(parties);
    let participants: Vec<i32> = parties
        .iter()
        .map(|row| signed32(row.participant))
        .collect::<Result<_, _>>()?;
    let positions: Vec<i64> = parties
        .iter()
        .map(|row| signed(row.pos))
        .collect::<Result<_, _>>()?;
    sqlx::query(UNNEST)
        .bind(participants)
        .bind(positions)
        .execute(connection)
        .await?;
    Ok(())
}
