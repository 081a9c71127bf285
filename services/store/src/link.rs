//! Tracking links: what an affiliate's link leads to. Beside the log: they move no money.
//!
//! A link is made once and ended once; nothing else of it ever changes, so a reader may remember it and look for its end alone.

use sqlx::Row;

use crate::error::{StoreError, signed32, unsigned};
use crate::sqlite::Durability;
use crate::store::{Backend, Store};

/// A link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// What stands in its URL.
    pub link: String,
    /// Whose link it is.
    pub affiliate: u32,
    /// On which of the affiliate's sites it stands; 0: none was named.
    pub site: u32,
    /// The merchant that it leads to.
    pub merchant: u32,
    /// The URL that it leads to.
    pub destination: String,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: i64,
    /// When it was ended, in microseconds since 1970 UTC.
    pub ended_at: Option<i64>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT link, affiliate, site, merchant, destination, created_at, ended_at FROM tracking_link ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO tracking_link \
     (link, affiliate, site, merchant, destination, created_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ONE: &str = select!("WHERE link = $1");
const ALL: &str = select!("WHERE (created_at, link) > ($1, $2) ORDER BY created_at, link LIMIT $3");
const OF_AFFILIATE: &str = select!(
    "WHERE affiliate = $4 AND (created_at, link) > ($1, $2) ORDER BY created_at, link LIMIT $3"
);
const END: &str =
    "UPDATE tracking_link SET ended_at = $1 WHERE link = $2 AND ended_at IS NULL RETURNING link";

macro_rules! link_of {
    ($row:expr) => {{
        let row = $row;
        LinkRow {
            link: row.try_get(0)?,
            affiliate: unsigned(row.try_get::<i32, _>(1)?.into())?,
            site: unsigned(row.try_get::<i32, _>(2)?.into())?,
            merchant: unsigned(row.try_get::<i32, _>(3)?.into())?,
            destination: row.try_get(4)?,
            created_at: row.try_get(5)?,
            ended_at: row.try_get(6)?,
        }
    }};
}

impl Store {
    /// Keeps a link. On disk when it returns.
    ///
    /// # Errors
    /// [`StoreError::DuplicateKey`] where the link exists; those of the database.
    pub async fn add_link(&self, row: &LinkRow) -> Result<(), StoreError> {
        macro_rules! add {
            ($write:expr) => {{
                sqlx::query(INSERT)
                    .bind(&row.link)
                    .bind(signed32(row.affiliate)?)
                    .bind(signed32(row.site)?)
                    .bind(signed32(row.merchant)?)
                    .bind(&row.destination)
                    .bind(row.created_at)
                    .bind(row.ended_at)
                    .execute($write.connection())
                    .await?;
                $write.commit().await
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                add!(write)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                add!(write)
            }
        }
    }

    /// A link.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn link(&self, link: &str) -> Result<Option<LinkRow>, StoreError> {
        macro_rules! one {
            ($readers:expr) => {
                match sqlx::query(ONE).bind(link).fetch_optional($readers).await? {
                    Some(row) => Some(link_of!(row)),
                    None => None,
                }
            };
        }
        Ok(match self.backend() {
            Backend::Sqlite(db) => one!(&db.readers),
            Backend::Postgres(db) => one!(&db.readers),
        })
    }

    /// Links in the order in which they were made, of one affiliate or of all, behind `after` (when it was made, and the
    /// link), at most `limit`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn links(
        &self,
        affiliate: Option<u32>,
        after: Option<(i64, &str)>,
        limit: u32,
    ) -> Result<Vec<LinkRow>, StoreError> {
        let (created_at, link) = after.unwrap_or((i64::MIN, ""));
        let affiliate = affiliate.map(signed32).transpose()?;
        let mut links = Vec::new();
        macro_rules! links {
            ($readers:expr) => {{
                let text = if affiliate.is_some() {
                    OF_AFFILIATE
                } else {
                    ALL
                };
                let mut query = sqlx::query(text)
                    .bind(created_at)
                    .bind(link)
                    .bind(i64::from(limit));
                if let Some(affiliate) = affiliate {
                    query = query.bind(affiliate);
                }
                for row in query.fetch_all($readers).await? {
                    links.push(link_of!(row));
                }
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => links!(&db.readers),
            Backend::Postgres(db) => links!(&db.readers),
        }
        Ok(links)
    }

    /// Ends a link at an instant, in microseconds since 1970 UTC. False where it had ended before, or there is none. On disk
    /// when it returns.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_link(&self, link: &str, at: i64) -> Result<bool, StoreError> {
        macro_rules! end {
            ($write:expr) => {{
                let query = sqlx::query(END).bind(at).bind(link);
                let ended = query.fetch_optional($write.connection()).await?.is_some();
                $write.commit().await?;
                Ok(ended)
            }};
        }
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                end!(write)
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                end!(write)
            }
        }
    }
}
