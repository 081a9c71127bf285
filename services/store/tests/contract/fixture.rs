//! Databases to test against, and rows to put into them.

use bytes::Bytes;
use hansa_store::testing::shared_postgres;
use hansa_store::{CheckpointRow, EntryRow, Group, IdRow, MemberRow, Store, StoreOptions};

/// An empty database that lives as long as this.
pub(crate) struct Database {
    pub(crate) url: String,
    _directory: Option<tempfile::TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite:{}", directory.path().join("hansa.db").display()),
            _directory: Some(directory),
        }
    }

    /// None: this machine has no PostgreSQL, and says so.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = tokio::task::spawn_blocking(shared_postgres)
            .await
            .unwrap()?;
        let name = server.create_database().await.unwrap();
        Some(Self {
            url: server.database_url(&name),
            _directory: None,
        })
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_as("hansa-test").await
    }

    pub(crate) async fn open_as(&self, application_name: &str) -> Store {
        let options = StoreOptions {
            application_name: application_name.into(),
            ..StoreOptions::default()
        };
        Store::open(&self.url, &options).await.unwrap()
    }
}

/// Runs each behaviour against both databases.
macro_rules! both {
    ($($(#[$meta:meta])* $name:ident)*) => {
        mod on_sqlite {
            $(
                $(#[$meta])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::fixture::Database::sqlite()).await;
                }
            )*
        }
        mod on_postgres {
            $(
                $(#[$meta])*
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(database) = crate::fixture::Database::postgres().await {
                        super::$name(database).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use both;

/// An entry whose every column tells its place.
pub(crate) fn entry(seq: u64) -> EntryRow {
    let mark = seq.to_le_bytes()[0];
    EntryRow {
        seq,
        decided_at: 1_790_000_000_000_000 + i64::try_from(seq).unwrap(),
        merchant: (!seq.is_multiple_of(3)).then_some(7),
        kind: mark,
        messages: 1000,
        leaf_data: [mark; 72],
        tree_hashes: vec![mark; 32 * (1 + seq.trailing_ones() as usize)].into(),
        outcomes: vec![mark; 300].into(),
        effects: Bytes::new(),
        envelope: vec![mark; 2000].into(),
    }
}

pub(crate) fn id(number: u128) -> [u8; 16] {
    number.to_be_bytes()
}

/// A group of one entry with `ids` ids that no other entry has, in falling order, and a checkpoint.
pub(crate) fn group(seq: u64, ids: u64) -> Group {
    Group {
        entries: vec![entry(seq)],
        ids: (0..ids)
            .rev()
            .map(|index| IdRow {
                merchant: 7,
                id: id(u128::from(seq << 12 | index)),
                pos: seq << 12 | index,
            })
            .collect(),
        checkpoint: Some(CheckpointRow {
            tree_size: seq + 1,
            note: format!("hansa\n{}\n", seq + 1),
        }),
        ..Group::default()
    }
}

pub(crate) fn member(member: u64, applied_seq: u64, data: &'static [u8]) -> MemberRow {
    MemberRow {
        member,
        applied_seq,
        next_due: None,
        next_hold: None,
        data: Bytes::from_static(data),
    }
}
