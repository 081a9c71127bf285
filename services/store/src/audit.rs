//! What the auditor keeps: members and references as it derived them, its small state, certified cuts, and a finding.
//!
//! The auditor follows the log behind the traffic and is nobody's projection: its tables hold its own state, in this database
//! (PostgreSQL) or in a file of its own (SQLite). One save is one transaction, which moves on from the position that the auditor
//! began at; two auditors at once cannot mix theirs.

use std::sync::LazyLock;

use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use crate::bucket::bucket_of;
use crate::error::{StoreError, fixed, signed, signed32, unsigned};
use crate::lookup::{bytes_by_number, find_keyed, keyed};
use crate::reference::ReferenceRow;
use crate::sqlite::{Durability, Shapes};
use crate::store::{Backend, Store};

/// What the auditor saves at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSave {
    /// Entries that the saved state had before; 0: nothing was saved yet.
    pub from_size: u64,
    /// Entries that it has now; more than before.
    pub size: u64,
    /// Everything but members and references.
    pub state: Bytes,
    /// Members that changed, packed, each at most once, in any order.
    pub members: Vec<(u64, Bytes)>,
    /// References that were enrolled, in any order.
    pub references: Vec<ReferenceRow>,
    /// Cycles that were certified.
    pub cuts: Vec<AuditCutRow>,
}

/// A closed cycle as the auditor derived it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCutRow {
    /// The cycle's number, from 1.
    pub cycle: u32,
    /// The entry that cut it.
    pub cut_seq: u64,
    /// The entry that closed it.
    pub closed_seq: u64,
    /// Root of the tree up to and with the entry that closed it.
    pub root: [u8; 32],
    /// The auditor's totals, packed.
    pub totals: Bytes,
}

const STATE: &str = "SELECT size, data FROM audit_state WHERE only_row = 1";
const BEGIN_STATE: &str = "INSERT INTO audit_state (only_row, size, data) VALUES (1, $1, $2) \
     ON CONFLICT (only_row) DO NOTHING RETURNING size";
const MOVE_STATE: &str = "UPDATE audit_state SET size = $1, data = $2 \
     WHERE only_row = 1 AND size = $3 RETURNING size";

static UPSERT: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO audit_member (member, bucket, data)";
    Shapes::insert(
        head,
        3,
        "ON CONFLICT (member) DO UPDATE SET data = excluded.data",
    )
});
const UPSERT_POSTGRES: &str = "INSERT INTO audit_member (member, bucket, data) \
     SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bytea[]) \
     ON CONFLICT (member) DO UPDATE SET data = excluded.data";
static LOAD: LazyLock<Shapes> = LazyLock::new(|| {
    Shapes::new(|keys| {
        let places = vec!["?"; keys].join(",");
        format!("SELECT member, data FROM audit_member WHERE member IN ({places}) ORDER BY member")
    })
});
const LOAD_POSTGRES: &str =
    "SELECT member, data FROM audit_member WHERE member = ANY($1::bigint[]) ORDER BY member";

static ENROL: LazyLock<Shapes> = LazyLock::new(|| {
    let head = "INSERT INTO audit_reference (merchant, reference, member, bucket)";
    Shapes::insert(head, 4, "")
});
const ENROL_POSTGRES: &str = "INSERT INTO audit_reference (merchant, reference, member, bucket) \
     SELECT * FROM unnest($1::integer[], $2::bytea[], $3::bigint[], $4::smallint[])";
static RESOLVE: LazyLock<Shapes> =
    LazyLock::new(|| keyed("audit_reference", "reference", "member"));
const RESOLVE_POSTGRES: &str = "SELECT w.place - 1, r.member \
     FROM unnest($1::integer[], $2::bytea[]) WITH ORDINALITY AS w (merchant, reference, place) \
     JOIN audit_reference r ON r.merchant = w.merchant AND r.reference = w.reference";

const ADD_CUT: &str = "INSERT INTO audit_cut (cycle, cut_seq, closed_seq, root, totals) \
     VALUES ($1, $2, $3, $4, $5)";
const CUT: &str = "SELECT cut_seq, closed_seq, root, totals FROM audit_cut WHERE cycle = $1";
const LAST_CUT: &str = "SELECT max(cycle) FROM audit_cut";

const FINDINGS: &str = "SELECT data FROM audit_finding ORDER BY seq LIMIT $1";
const ADD_FINDING: &str = "INSERT INTO audit_finding (seq, data) VALUES ($1, $2) \
     ON CONFLICT (seq) DO UPDATE SET data = excluded.data";
/// An entry that passed now has nothing to be found, whatever was found at it before.
const PASS: &str = "DELETE FROM audit_finding WHERE seq >= $1 AND seq < $2";
const RESET: [&str; 5] = [
    "DELETE FROM audit_finding",
    "DELETE FROM audit_cut",
    "DELETE FROM audit_reference",
    "DELETE FROM audit_member",
    "DELETE FROM audit_state",
];

/// In key order: neighbours share a page.
fn sorted<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

impl Store {
    /// The auditor's small state, and the number of entries that are in it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_state(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        macro_rules! state {
            ($readers:expr) => {
                match sqlx::query(STATE).fetch_optional($readers).await? {
                    Some(row) => Some((
                        unsigned(row.try_get(0)?)?,
                        row.try_get::<Vec<u8>, _>(1)?.into(),
                    )),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => state!(&db.readers),
            Backend::Postgres(db) => state!(&db.readers),
        })
    }

    /// The auditor's members, packed, in their order; unknown ones are left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_members(&self, members: &[u64]) -> Result<Vec<(u64, Bytes)>, StoreError> {
        bytes_by_number(self, &LOAD, LOAD_POSTGRES, members).await
    }

    /// The member behind each of these references as the auditor saw them enrolled, in their order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_references(
        &self,
        references: &[(u32, [u8; 16])],
    ) -> Result<Vec<Option<u64>>, StoreError> {
        find_keyed(self, &RESOLVE, RESOLVE_POSTGRES, references).await
    }

    /// Saves, all of it or nothing. Does not wait for the disk: what a crash of the machine loses is audited again.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the saved state is not the one at `from_size`: somebody else audits, nothing was kept.
    pub async fn audit_save(&self, save: &AuditSave) -> Result<(), StoreError> {
        let (from, size) = (signed(save.from_size)?, signed(save.size)?);
        // The same statements on either database; only the connection's type differs.
        macro_rules! position {
            ($connection:expr) => {{
                let query = if from == 0 {
                    sqlx::query(BEGIN_STATE).bind(size).bind(&save.state[..])
                } else {
                    let query = sqlx::query(MOVE_STATE).bind(size).bind(&save.state[..]);
                    query.bind(from)
                };
                if query.fetch_optional(&mut *$connection).await?.is_none() {
                    return Err(StoreError::Invalid(format!(
                        "the audit's saved state is not at entry {from} any more: is another auditor at work?"
                    )));
                }
                sqlx::query(PASS)
                    .bind(from)
                    .bind(size)
                    .execute(&mut *$connection)
                    .await?;
                for cut in &save.cuts {
                    sqlx::query(ADD_CUT)
                        .bind(signed32(cut.cycle)?)
                        .bind(signed(cut.cut_seq)?)
                        .bind(signed(cut.closed_seq)?)
                        .bind(&cut.root[..])
                        .bind(&cut.totals[..])
                        .execute(&mut *$connection)
                        .await?;
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Recoverable).await?;
                let connection = write.connection();
                position!(connection);
                write_sqlite(connection, save).await?;
                write.commit().await
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_recoverable().await?;
                let connection = write.connection();
                position!(connection);
                write_postgres(connection, save).await?;
                write.commit().await
            }
        }
    }

    /// A certified cycle.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_cut(&self, cycle: u32) -> Result<Option<AuditCutRow>, StoreError> {
        let key = signed32(cycle)?;
        macro_rules! cut {
            ($readers:expr) => {
                match sqlx::query(CUT).bind(key).fetch_optional($readers).await? {
                    Some(row) => Some(AuditCutRow {
                        cycle,
                        cut_seq: unsigned(row.try_get(0)?)?,
                        closed_seq: unsigned(row.try_get(1)?)?,
                        root: fixed(row.try_get(2)?)?,
                        totals: row.try_get::<Vec<u8>, _>(3)?.into(),
                    }),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => cut!(&db.readers),
            Backend::Postgres(db) => cut!(&db.readers),
        })
    }

    /// The last certified cycle's number; 0: none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last_audit_cut(&self) -> Result<u32, StoreError> {
        let last: Option<i32> = match self.backend() {
            Backend::Sqlite(db) => sqlx::query(LAST_CUT)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
            Backend::Postgres(db) => sqlx::query(LAST_CUT)
                .fetch_one(&db.readers)
                .await?
                .try_get(0)?,
        };
        unsigned(last.unwrap_or(0).into())
    }

    /// What the auditor found, packed, in log order, at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit_findings(&self, limit: u32) -> Result<Vec<Bytes>, StoreError> {
        let mut findings = Vec::new();
        macro_rules! findings {
            ($readers:expr) => {
                let query = sqlx::query(FINDINGS).bind(i64::from(limit));
                for row in query.fetch_all($readers).await? {
                    findings.push(row.try_get::<Vec<u8>, _>(0)?.into());
                }
            };
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                findings!(&db.readers);
            }
            Backend::Postgres(db) => {
                findings!(&db.readers);
            }
        }
        Ok(findings)
    }

    /// Writes down what the auditor found at an entry, in place of what was found there before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_audit_finding(&self, seq: u64, finding: &[u8]) -> Result<(), StoreError> {
        let seq = signed(seq)?;
        macro_rules! note {
            ($write:expr) => {{
                let query = sqlx::query(ADD_FINDING).bind(seq).bind(finding);
                query.execute($write.connection()).await?;
                $write.commit().await
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                note!(write)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                note!(write)
            }
        }
    }

    /// Forgets everything that the auditor kept: it begins again from the first entry.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reset_audit(&self) -> Result<(), StoreError> {
        macro_rules! reset {
            ($write:expr) => {{
                for statement in RESET {
                    sqlx::query(statement).execute($write.connection()).await?;
                }
                $write.commit().await
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Recoverable).await?;
                reset!(write)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_recoverable().await?;
                reset!(write)
            }
        }
    }
}

fn bucket(member: u64) -> i16 {
    bucket_of(member).cast_signed()
}

async fn write_sqlite(
    connection: &mut SqliteConnection,
    save: &AuditSave,
) -> Result<(), StoreError> {
    for (text, chunk) in UPSERT.split(&sorted(&save.members, |row| row.0)) {
        let mut query = sqlx::query(text);
        for (member, data) in chunk.iter().copied() {
            query = query
                .bind(signed(*member)?)
                .bind(bucket(*member))
                .bind(&data[..]);
        }
        query.execute(&mut *connection).await?;
    }
    for (text, chunk) in ENROL.split(&sorted(&save.references, |row| *row)) {
        let mut query = sqlx::query(text);
        for row in chunk.iter().copied() {
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

async fn write_postgres(connection: &mut PgConnection, save: &AuditSave) -> Result<(), StoreError> {
    if !save.members.is_empty() {
        let rows = sorted(&save.members, |row| row.0);
        let keys = rows
            .iter()
            .map(|row| signed(row.0))
            .collect::<Result<Vec<_>, _>>()?;
        sqlx::query(UPSERT_POSTGRES)
            .bind(keys)
            .bind(rows.iter().map(|row| bucket(row.0)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| &row.1[..]).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    if !save.references.is_empty() {
        let rows = sorted(&save.references, |row| *row);
        let merchants = rows
            .iter()
            .map(|row| signed32(row.merchant))
            .collect::<Result<Vec<_>, _>>()?;
        let members = rows
            .iter()
            .map(|row| signed(row.member))
            .collect::<Result<Vec<_>, _>>()?;
        sqlx::query(ENROL_POSTGRES)
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
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
