//! PostgreSQL: one connection per kind of write, a pool of reading ones, and the encoding of `COPY .. BINARY`.
//!
//! A writing connection is taken out of its slot for a transaction and put back only after the commit; one that saw an
//! error or was abandoned is closed, which rolls back.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::StoreError;
use crate::options::StoreOptions;

pub(crate) struct Postgres {
    pub(crate) readers: PgPool,
    durable: Mutex<Option<PgConnection>>,
    recoverable: Mutex<Option<PgConnection>>,
    feed: Mutex<Option<PgConnection>>,
    connect: PgConnectOptions,
    /// Whether bulk rows may go by COPY: only where the driver does not stall on it.
    pub(crate) copies: bool,
    read_only: bool,
    /// When the first backend of this handle started, in microseconds since 1970 by the server's clock.
    pub(crate) opened_at: i64,
    pub(crate) application_name: String,
}

/// A write transaction. Dropped without [`commit`](Self::commit) it closes its connection, which rolls back.
pub(crate) struct PgWrite<'a> {
    slot: MutexGuard<'a, Option<PgConnection>>,
    connection: PgConnection,
}

/// A commit waits for the disk, and for a synchronous standby, where one is set.
const SYNCHRONOUS: (&str, &str) = ("synchronous_commit", "on");

/// PostgreSQL cuts longer names off.
const APPLICATION_NAME_BYTES: usize = 63;

impl Postgres {
    pub(crate) async fn open(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        if options.application_name.len() > APPLICATION_NAME_BYTES {
            return Err(StoreError::Invalid(format!(
                "application name {:?} is longer than {APPLICATION_NAME_BYTES} bytes",
                options.application_name
            )));
        }
        let connect = url
            .parse::<PgConnectOptions>()?
            .application_name(&options.application_name)
            .disable_statement_logging();
        // sqlx 0.9.0 does not set TCP_NODELAY (transact-rs/sqlx#4335): a COPY over TCP stalls for 40 ms.
        let copies = connect.get_socket().is_some();
        let readers = PgPoolOptions::new()
            .max_connections(options.readers.max(1))
            .acquire_timeout(Duration::from_secs(10))
            // The only thing that readers write is the heartbeat, which need not outlive the server.
            .connect_with(connect.clone().options([("synchronous_commit", "off")]))
            .await?;
        let opened_at = sqlx::query(
            "SELECT (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity \
             WHERE pid = pg_backend_pid()",
        )
        .fetch_one(&readers)
        .await?
        .try_get(0)?;
        Ok(Self {
            readers,
            durable: Mutex::new(None),
            recoverable: Mutex::new(None),
            feed: Mutex::new(None),
            connect,
            copies,
            read_only: options.read_only,
            opened_at,
            application_name: options.application_name.clone(),
        })
    }

    /// Opens a write transaction whose commit waits for the disk (and for a synchronous standby, where one is set).
    pub(crate) async fn begin_durable(&self) -> Result<PgWrite<'_>, StoreError> {
        self.begin(&self.durable, &[SYNCHRONOUS]).await
    }

    /// Opens a write transaction whose commit waits for nothing: the log restores what a crash of the server loses.
    pub(crate) async fn begin_recoverable(&self) -> Result<PgWrite<'_>, StoreError> {
        self.begin(&self.recoverable, &[("synchronous_commit", "off")])
            .await
    }

    /// Opens a write transaction that waits for those of other processes, and whose commit waits for the disk. On a
    /// connection of its own: no other write waits with it. A process that stands still in one lets go after a while.
    pub(crate) async fn begin_feed(&self) -> Result<PgWrite<'_>, StoreError> {
        let settings = [
            SYNCHRONOUS,
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ];
        self.begin(&self.feed, &settings).await
    }

    async fn begin<'a>(
        &self,
        slot: &'a Mutex<Option<PgConnection>>,
        settings: &[(&str, &str)],
    ) -> Result<PgWrite<'a>, StoreError> {
        if self.read_only {
            return Err(StoreError::Invalid("the store was opened read-only".into()));
        }
        let mut slot = slot.lock().await;
        // A connection that waited here may have been ended meanwhile, e.g. by a successor that this process succeeds
        // again. Nothing has begun on it, so a new one takes its place unnoticed.
        if let Some(mut connection) = slot.take()
            && sqlx::raw_sql("BEGIN")
                .execute(&mut connection)
                .await
                .is_ok()
        {
            return Ok(PgWrite { slot, connection });
        }
        // Said always: what is durable is not for the server's or the role's defaults to decide.
        let connect = self.connect.clone();
        let connect = connect.options(settings.iter().copied());
        let mut connection = connect.connect().await?;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        Ok(PgWrite { slot, connection })
    }

    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        for slot in [&self.durable, &self.recoverable, &self.feed] {
            if let Some(connection) = slot.lock().await.take() {
                sqlx::Connection::close(connection).await?;
            }
        }
        Ok(())
    }
}

impl PgWrite<'_> {
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.connection)
            .await?;
        *self.slot = Some(self.connection);
        Ok(())
    }
}

/// Rows in the format of `COPY .. FROM STDIN (FORMAT BINARY)`.
pub(crate) struct CopyRows {
    bytes: Vec<u8>,
}

impl CopyRows {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut rows = Self {
            bytes: Vec::with_capacity(bytes + 32),
        };
        rows.bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        // No flags, no header extension.
        rows.bytes.extend_from_slice(&[0; 8]);
        rows
    }

    /// Starts a row of this many fields.
    pub(crate) fn row(&mut self, fields: u16) -> &mut Self {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub(crate) fn int4(&mut self, value: i32) -> &mut Self {
        self.bytes.extend_from_slice(&4u32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn int8(&mut self, value: i64) -> &mut Self {
        self.bytes.extend_from_slice(&8u32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A value of 16 bytes.
    pub(crate) fn bytes16(&mut self, value: &[u8; 16]) -> &mut Self {
        self.bytes.extend_from_slice(&16u32.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// Sends the rows in one message.
    pub(crate) async fn send(
        mut self,
        connection: &mut PgConnection,
        statement: &str,
    ) -> Result<u64, StoreError> {
        self.bytes.extend_from_slice(&(-1i16).to_be_bytes());
        let mut copy = connection.copy_in_raw(statement).await?;
        copy.send(self.bytes).await?;
        Ok(copy.finish().await?)
    }
}
