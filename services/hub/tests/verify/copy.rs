//! Copies of a log that is in order, to be tampered with.

use std::path::PathBuf;

use hansa_client::{
    dsse,
    keys::SigningKey,
    leaf::{leaf_data, leaf_hash},
};
use hansa_hub::{registry::hub_key_id, signer::Signer, tlog::Frontier};
use hansa_proto::{FACTS_PAYLOAD_TYPE, v1};
use prost::Message as _;
use serde_json::Value;
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{
    hub::{TestHub, verify_folder},
    story::{self, Story},
};

/// A log that nobody touched, to be copied.
pub(crate) struct Original<T = Story> {
    folder: tempfile::TempDir,
    copies: u32,
    pub(crate) story: T,
}

/// A copy, open for tampering.
pub(crate) struct Copy {
    pub(crate) folder: PathBuf,
    pub(crate) db: SqliteConnection,
}

/// An entry's columns that tests change.
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) decided_at: i64,
    pub(crate) outcomes: Vec<u8>,
    pub(crate) effects: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
}

impl Original {
    pub(crate) async fn new() -> Self {
        Self::of(story::live).await
    }
}

impl<T> Original<T> {
    /// Of another history.
    pub(crate) async fn of(live: impl AsyncFnOnce(&TestHub) -> T) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hub = TestHub::start(folder.path());
        let story = live(&hub).await;
        hub.stop();
        let original = Self {
            folder,
            copies: 0,
            story,
        };
        assert_eq!(verify_folder(original.folder.path()).0, 0);
        original
    }

    /// The hub's own key.
    pub(crate) fn hub_key(&self) -> SigningKey {
        SigningKey::load(self.folder.path().join("hub.key.pem")).unwrap()
    }

    pub(crate) async fn copy(&mut self) -> Copy {
        self.copies += 1;
        let folder = self.folder.path().join(format!("copy-{}", self.copies));
        std::fs::create_dir(&folder).unwrap();
        for file in ["hansa.db", "hansa.db-wal", "checkpoint.note"] {
            let from = self.folder.path().join(file);
            if from.exists() {
                std::fs::copy(from, folder.join(file)).unwrap();
            }
        }
        let url = format!("sqlite:{}", folder.join("hansa.db").display());
        let db = SqliteConnection::connect(&url).await.unwrap();
        Copy { folder, db }
    }
}

impl Copy {
    /// Entries that are batches, in order.
    pub(crate) async fn batches(&mut self) -> Vec<Entry> {
        self.entries(0).await
    }

    async fn entries(&mut self, kind: u8) -> Vec<Entry> {
        let rows = sqlx::query(
            "SELECT seq, decided_at, outcomes, effects, envelope FROM entry WHERE kind = $1 ORDER BY seq",
        )
        .bind(kind)
        .fetch_all(&mut self.db)
        .await
        .unwrap();
        let entry = |row: sqlx::sqlite::SqliteRow| Entry {
            seq: row.get(0),
            decided_at: row.get(1),
            outcomes: row.get(2),
            effects: row.get(3),
            envelope: row.get(4),
        };
        rows.into_iter().map(entry).collect()
    }

    pub(crate) async fn run(&mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.db).await.unwrap();
    }

    pub(crate) async fn set(&mut self, sql: &'static str, value: &[u8], seq: i64) {
        let query = sqlx::query(sql).bind(value).bind(seq);
        let changed = query.execute(&mut self.db).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{sql}");
    }

    /// Makes leaves and tree fit what the entries now say, as a careful forger would.
    pub(crate) async fn grow_again(&mut self) {
        let rows =
            sqlx::query("SELECT seq, decided_at, outcomes, envelope FROM entry ORDER BY seq");
        let rows = rows.fetch_all(&mut self.db).await.unwrap();
        let mut frontier = Frontier::new();
        for row in rows {
            let envelope = v1::Envelope::decode(row.get::<&[u8], _>(3)).unwrap();
            let leaf = leaf_data(&envelope, row.get(1), row.get(2));
            let hashes = frontier.append(leaf_hash(&leaf));
            sqlx::query("UPDATE entry SET leaf_data = $1, tree_hashes = $2 WHERE seq = $3")
                .bind(&leaf[..])
                .bind(hashes)
                .bind(row.get::<i64, _>(0))
                .execute(&mut self.db)
                .await
                .unwrap();
        }
    }

    /// Facts of the hub, each alone in its entry, in order.
    pub(crate) async fn facts(&mut self) -> Vec<(Entry, v1::Facts)> {
        let entries = self.entries(1).await.into_iter().map(|entry| {
            let envelope = v1::Envelope::decode(entry.envelope.as_slice()).unwrap();
            (entry, v1::Facts::decode(envelope.payload).unwrap())
        });
        entries.collect()
    }

    /// Puts other facts into an entry, signed by the hub itself; leaves and tree fit.
    pub(crate) async fn rewrite(&mut self, hub: SigningKey, seq: i64, facts: &v1::Facts) {
        let id = hub_key_id(hub.verifying_key().as_bytes());
        let hub = hub.with_key_id(id).unwrap();
        let envelope = dsse::sign(FACTS_PAYLOAD_TYPE, facts.encode_to_vec().into(), &hub);
        self.set(ENVELOPE, &envelope.encode_to_vec(), seq).await;
        self.grow_again().await;
    }

    /// Signs every checkpoint again over the tree as it is now, and forgets all that would contradict it.
    pub(crate) async fn sign_again(&mut self, hub: SigningKey) {
        let signer = Signer::new(hub, "test.example/log").unwrap();
        let leaves = sqlx::query("SELECT leaf_data FROM entry ORDER BY seq");
        let leaves = leaves.fetch_all(&mut self.db).await.unwrap();
        let mut frontier = Frontier::new();
        for row in leaves {
            frontier.append(leaf_hash(row.get(0)));
            sqlx::query("UPDATE checkpoint SET note = $1 WHERE tree_size = $2")
                .bind(signer.checkpoint(&frontier))
                .bind(i64::try_from(frontier.size()).unwrap())
                .execute(&mut self.db)
                .await
                .unwrap();
        }
        self.run("DELETE FROM member").await;
        self.run("DELETE FROM global_state").await;
        self.run("DELETE FROM projection").await;
        std::fs::remove_file(self.folder.join("checkpoint.note")).unwrap();
    }

    /// The mismatch that is found.
    pub(crate) async fn found(self) -> Value {
        self.db.close().await.unwrap();
        let (code, document) = verify_folder(&self.folder);
        assert_eq!(code, 6, "{document:#}");
        assert_eq!(document["ok"], false);
        document["mismatch"].clone()
    }
}

pub(crate) fn expect(found: &Value, entry: Option<i64>, message: Option<u32>, what: &str) {
    assert_eq!(found["what"], what, "{found:#}");
    assert_eq!(found["entry"].as_i64(), entry, "{found:#}");
    let index = found["message"].as_u64();
    assert_eq!(index, message.map(u64::from), "{found:#}");
}

pub(crate) const OUTCOMES: &str = "UPDATE entry SET outcomes = $1 WHERE seq = $2";
pub(crate) const EFFECTS: &str = "UPDATE entry SET effects = $1 WHERE seq = $2";
pub(crate) const ENVELOPE: &str = "UPDATE entry SET envelope = $1 WHERE seq = $2";
