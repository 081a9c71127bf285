//! SQLite: one writing connection, a few reading ones, the lock file, and the write-ahead log's upkeep.
//!
//! All writes share **one** connection: SQLite drops a connection's page cache as soon as another connection has
//! committed, so two writers that take turns would both start every transaction cold. The connection is taken out of its
//! slot for a transaction and put back only after the commit; one that saw an error or was abandoned is closed, which
//! rolls back.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::error::StoreError;
use crate::options::StoreOptions;

/// Before each page in the write-ahead log, see "WAL-mode File Format" in SQLite's documentation.
const FRAME_HEADER_BYTES: u64 = 24;

/// Where a frame's header has its salts.
const FRAME_SALTS_AT: u64 = 8;

/// Bytes before the first frame.
const WAL_HEADER_BYTES: u64 = 32;

/// Where the header of the write-ahead log has its salts.
const WAL_SALTS_AT: u64 = 16;

/// How often the write-ahead log is gone through beside the writers before they wait for the rest.
const PASSES: u32 = 4;

pub(crate) struct Sqlite {
    pub(crate) readers: SqlitePool,
    writer: Mutex<Writer>,
    /// How many durable writers wait for their turn; the projection lets them pass.
    durable_waiting: watch::Sender<usize>,
    connect: SqliteConnectOptions,
    wal: PathBuf,
    wal_bytes: u64,
    /// Of a page in the write-ahead log.
    frame_bytes: u64,
    read_only: bool,
}

#[derive(Default)]
struct Writer {
    connection: Option<SqliteConnection>,
    /// What `PRAGMA synchronous` the connection has.
    durability: Option<Durability>,
    /// Held from opening to closing. Without it nothing is written.
    lock: Option<File>,
}

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The disk: `synchronous=FULL`.
    Disk,
    /// Nothing: the log restores what a power cut loses. `synchronous=NORMAL`.
    Recoverable,
}

/// A write transaction. Dropped without [`commit`](Self::commit) it closes its connection, which rolls back.
pub(crate) struct SqliteWrite<'a> {
    slot: MutexGuard<'a, Writer>,
    connection: SqliteConnection,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, options: &StoreOptions) -> Result<Self, StoreError> {
        let mut writer = Writer::default();
        if !options.read_only {
            writer.lock = Some(lock(path)?);
        }
        let base = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(!options.read_only)
            .page_size(options.sqlite_page_bytes)
            .busy_timeout(Duration::from_secs(30))
            .pragma("temp_store", "MEMORY")
            .pragma("mmap_size", options.sqlite_mmap_bytes.to_string())
            .row_buffer_size(1024)
            .disable_statement_logging();
        let connect = base
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", kibibytes(options.sqlite_cache_bytes))
            // A backstop: the checkpoints that matter run between groups.
            .pragma("wal_autocheckpoint", "1000000");
        if !options.read_only {
            writer.connection = Some(connect.connect().await?);
            writer.durability = Some(Durability::Disk);
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(
                base.pragma("query_only", "ON")
                    .pragma("cache_size", kibibytes(options.sqlite_reader_cache_bytes)),
            )
            .await?;
        Ok(Self {
            readers,
            writer: Mutex::new(writer),
            durable_waiting: watch::Sender::new(0),
            connect,
            wal: beside(path, "-wal"),
            wal_bytes: options.sqlite_wal_bytes,
            frame_bytes: u64::from(options.sqlite_page_bytes) + FRAME_HEADER_BYTES,
            read_only: options.read_only,
        })
    }

    /// Opens a write transaction; durable ones go first.
    pub(crate) async fn begin(
        &self,
        durability: Durability,
    ) -> Result<SqliteWrite<'_>, StoreError> {
        let mut slot = self.turn(durability).await;
        if slot.lock.is_none() {
            return Err(StoreError::Invalid(
                "the store is closed or was opened read-only".into(),
            ));
        }
        let mut connection = match slot.connection.take() {
            Some(connection) => connection,
            None => {
                slot.durability = Some(Durability::Disk);
                self.connect.connect().await?
            }
        };
        if slot.durability != Some(durability) {
            slot.durability = None;
            let pragma = match durability {
                Durability::Disk => "PRAGMA synchronous = FULL",
                Durability::Recoverable => "PRAGMA synchronous = NORMAL",
            };
            sqlx::query(pragma).execute(&mut connection).await?;
            slot.durability = Some(durability);
        }
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut connection)
            .await?;
        Ok(SqliteWrite { slot, connection })
    }

    async fn turn(&self, durability: Durability) -> MutexGuard<'_, Writer> {
        match durability {
            Durability::Disk => {
                let _waiting = Waiting::new(&self.durable_waiting);
                self.writer.lock().await
            }
            Durability::Recoverable => loop {
                let mut waiting = self.durable_waiting.subscribe();
                // The sender lives in self: this cannot fail.
                let _ = waiting.wait_for(|&n| n == 0).await;
                let slot = self.writer.lock().await;
                if *self.durable_waiting.borrow() == 0 {
                    return slot;
                }
            },
        }
    }

    /// Frames in the write-ahead log that count: they bear the salts of its header, those left from before it began anew do not
    /// (see "WAL-mode File Format"). Its index would say so at once, but the operating system's locks on it would end with
    /// whoever opens and closes it.
    fn wal_frames(&self) -> u64 {
        let Ok(wal) = File::open(&self.wal) else {
            return 0;
        };
        let bytes = wal.metadata().map_or(0, |file| file.len());
        let in_file = bytes.saturating_sub(WAL_HEADER_BYTES) / self.frame_bytes;
        if in_file * self.frame_bytes <= self.wal_bytes {
            return in_file;
        }
        let salts = |at| {
            let (mut wal, mut salts) = (&wal, [0; 8]);
            wal.seek(SeekFrom::Start(at)).ok()?;
            wal.read_exact(&mut salts).ok().map(|()| salts)
        };
        let current = salts(WAL_SALTS_AT);
        let counts = |frame: u64| {
            salts(WAL_HEADER_BYTES + frame * self.frame_bytes + FRAME_SALTS_AT) == current
        };
        // All before it count, none from it on.
        let (mut low, mut high) = (0, in_file);
        while low < high {
            let middle = low.midpoint(high);
            if counts(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Whether the write-ahead log has outgrown its bound.
    pub(crate) fn needs_tidying(&self) -> bool {
        !self.read_only && self.wal_frames() * self.frame_bytes > self.wal_bytes
    }

    /// Copies the write-ahead log into the database when it has outgrown the bound, and begins it anew.
    pub(crate) async fn tidy(&self) -> Result<bool, StoreError> {
        if !self.needs_tidying() {
            return Ok(false);
        }
        self.checkpoint().await?;
        Ok(true)
    }

    /// Nearly all is copied beside the writers by a connection of its own, what they write meanwhile in further passes, each
    /// shorter than the one before; only the rest holds them up. The file is written over from its beginning and not cut short: cutting 64 MB
    /// holds them up for 40 ms, and growing again costs every commit an allocation on disk.
    async fn checkpoint(&self) -> Result<(), StoreError> {
        let mut beside = self.connect.connect().await?;
        for _ in 0..PASSES {
            let row = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
                .fetch_one(&mut beside)
                .await?;
            let copied = u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0);
            let left = self.wal_frames().saturating_sub(copied);
            if left * self.frame_bytes <= self.wal_bytes / 16 {
                break;
            }
        }
        beside.close().await?;
        let mut slot = self.turn(Durability::Recoverable).await;
        let Some(mut connection) = slot.connection.take() else {
            return Ok(());
        };
        let row = sqlx::query("PRAGMA wal_checkpoint(RESTART)")
            .fetch_one(&mut connection)
            .await?;
        if row.try_get::<i64, _>(0)? != 0 {
            tracing::warn!("a reader kept the write-ahead log from beginning anew");
        }
        slot.connection = Some(connection);
        Ok(())
    }

    /// Closes all connections; the last one empties the write-ahead log.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        let mut slot = self.writer.lock().await;
        if let Some(connection) = slot.connection.take() {
            connection.close().await?;
        }
        slot.lock = None;
        Ok(())
    }
}

impl SqliteWrite<'_> {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.slot.connection = Some(self.connection);
        Ok(())
    }
}

/// Counts a durable writer as waiting until it has its turn or gives up.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

fn kibibytes(bytes: u64) -> String {
    format!("-{}", bytes / 1024)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the operating system's lock, which ends with the process however it ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock = beside(path, ".lock");
    let refused = |source| StoreError::File {
        path: lock.clone(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { lock }),
        Err(TryLockError::Error(source)) => Err(refused(source)),
    }
}

/// The texts of a statement for fixed numbers of rows, so that each is prepared once.
pub(crate) struct Shapes {
    texts: [(usize, Arc<str>); 4],
}

/// Rows per statement: one hand-over to sqlx's worker costs as much as some twenty rows.
const ROWS: [usize; 4] = [500, 100, 10, 1];

impl Shapes {
    pub(crate) fn new(text: impl Fn(usize) -> String) -> Self {
        Self {
            texts: ROWS.map(|rows| (rows, Arc::from(text(rows)))),
        }
    }

    /// `INSERT INTO table (columns) VALUES (?,..),.. tail`.
    pub(crate) fn insert(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(","));
        Self::new(|rows| {
            format!(
                "{head} VALUES {} {tail}",
                vec![row.as_str(); rows].join(",")
            )
        })
    }

    /// Splits rows into chunks that have a statement each.
    pub(crate) fn split<'a, T>(
        &'a self,
        mut rows: &'a [T],
    ) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, &'a [T])> {
        std::iter::from_fn(move || {
            let (size, text) = self.texts.iter().find(|(size, _)| *size <= rows.len())?;
            let (chunk, rest) = rows.split_at(*size);
            rows = rest;
            Some((AssertSqlSafe(Arc::clone(text)), chunk))
        })
    }

    /// Splits keys into chunks. One may have fewer keys than its statement has places: the caller then binds a key again for
    /// each place that stays free; the third part is the number of places.
    pub(crate) fn split_padded<'a, T>(
        &'a self,
        mut keys: &'a [T],
    ) -> impl Iterator<Item = (AssertSqlSafe<Arc<str>>, &'a [T], usize)> {
        std::iter::from_fn(move || {
            if keys.is_empty() {
                return None;
            }
            // The smallest that holds them all, unless it is a large one of which more than half would stay free.
            let holds = |(size, _): &&(usize, Arc<str>)| *size >= keys.len();
            let fits = |(size, _): &&(usize, Arc<str>)| *size <= keys.len();
            let (size, text) = self
                .texts
                .iter()
                .rev()
                .find(holds)
                .filter(|(size, _)| *size <= 10 || keys.len() > size / 2)
                .or_else(|| self.texts.iter().find(fits))?;
            let (chunk, rest) = keys.split_at(keys.len().min(*size));
            keys = rest;
            Some((AssertSqlSafe(Arc::clone(text)), chunk, *size))
        })
    }
}

/// The numbers of a result that SQLite concatenated into one text: fields part at spaces, rows at commas; an empty field is
/// NULL. sqlx hands every row over to another thread, which costs as much as finding it; a chunk in one row costs once.
pub(crate) fn number_rows<const FIELDS: usize>(
    text: Option<&str>,
) -> impl Iterator<Item = Result<[Option<i64>; FIELDS], StoreError>> {
    text.into_iter()
        .flat_map(|text| text.split(','))
        .map(|row| {
            let mut fields = row.split(' ');
            let mut numbers = [None; FIELDS];
            for number in &mut numbers {
                *number = match fields.next() {
                    Some("") => None,
                    Some(field) => Some(field.parse().map_err(|_| not_numbers(row))?),
                    None => return Err(not_numbers(row)),
                };
            }
            Ok(numbers)
        })
}

fn not_numbers(row: &str) -> StoreError {
    StoreError::Corrupt(format!("{row:?} where a row of numbers was expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_split_without_many_free_places() {
        let shapes = Shapes::new(|rows| rows.to_string());
        let split = |keys: usize| {
            let keys: Vec<usize> = (0..keys).collect();
            let chunks = shapes.split_padded(&keys);
            let chunks: Vec<_> = chunks.map(|(_, c, places)| (c.to_vec(), places)).collect();
            let together: Vec<usize> = chunks.iter().flat_map(|(c, _)| c.clone()).collect();
            assert_eq!(together, keys, "each key once, in order");
            chunks
                .iter()
                .map(|(c, places)| (c.len(), *places))
                .collect::<Vec<_>>()
        };
        assert_eq!(split(0), []);
        assert_eq!(split(1), [(1, 1)]);
        assert_eq!(split(3), [(3, 10)]);
        assert_eq!(split(30), [(10, 10); 3]);
        assert_eq!(split(200), [(100, 100), (100, 100)]);
        assert_eq!(split(260), [(260, 500)]);
        assert_eq!(split(1_060), [(500, 500), (500, 500), (60, 100)]);
    }
}
