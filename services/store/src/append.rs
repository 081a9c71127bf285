//! The commit: one transaction that appends a group to the log.

use crate::alias::{self, AliasRow};
use crate::checkpoint::{self, CheckpointRow};
use crate::entry::{self, EntryRow};
use crate::error::StoreError;
use crate::evidence::{self, EvidenceRow};
use crate::gate;
use crate::id::{self, IdRow};
use crate::party::{self, PartyRow};
use crate::reference::{self, ReferenceRow};
use crate::sqlite::Durability;
use crate::store::{Backend, Store};

/// What one commit appends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// The entries, by `seq` without gaps, behind the last one of the log.
    pub entries: Vec<EntryRow>,
    /// The ids that their messages use up, in any order.
    pub ids: Vec<IdRow>,
    /// The references that they enrol, in any order.
    pub references: Vec<ReferenceRow>,
    /// The aliases that they enrol, in any order.
    pub aliases: Vec<AliasRow>,
    /// The evidence that they name, in any order; what is there already stays.
    pub evidence: Vec<EvidenceRow>,
    /// The participants that their conversions concern, in any order; what is there already stays.
    pub parties: Vec<PartyRow>,
    /// The signed checkpoint over them.
    pub checkpoint: Option<CheckpointRow>,
}

impl Store {
    /// Appends a group, all of it or nothing, and returns when it is durable. The transaction ends with the gate.
    ///
    /// Costs one wait for the disk; on PostgreSQL also a round trip per kind of row that the group has.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when `epoch` no longer holds the gate, [`StoreError::DuplicateKey`] when a key exists,
    /// [`StoreError::Invalid`] when the entries do not follow the log's last one: nothing was kept. [`StoreError::Unavailable`]: the outcome is unknown. After any of them the caller restarts.
    pub async fn append(&self, epoch: u64, group: &Group) -> Result<(), StoreError> {
        if group
            .entries
            .windows(2)
            .any(|pair| pair[0].seq + 1 != pair[1].seq)
        {
            return Err(StoreError::Invalid("a group's entries have gaps".into()));
        }
        let behind = group
            .entries
            .first()
            .and_then(|entry| entry.seq.checked_sub(1));
        match self.backend() {
            Backend::Sqlite(db) => {
                let mut write = db.begin(Durability::Disk).await?;
                let connection = write.connection();
                entry::insert_sqlite(connection, &group.entries).await?;
                id::insert_sqlite(connection, &group.ids).await?;
                reference::insert_sqlite(connection, &group.references).await?;
                alias::insert_sqlite(connection, &group.aliases).await?;
                evidence::insert_sqlite(connection, &group.evidence).await?;
                party::insert_sqlite(connection, &group.parties).await?;
                if let Some(checkpoint) = &group.checkpoint {
                    checkpoint::insert_sqlite(connection, checkpoint).await?;
                }
                gate::check_sqlite(connection, epoch, behind).await?;
                write.commit().await
            }
            Backend::Postgres(db) => {
                let mut write = db.begin_durable().await?;
                let connection = write.connection();
                entry::insert_postgres(connection, &group.entries).await?;
                id::insert_postgres(db, connection, &group.ids).await?;
                reference::insert_postgres(connection, &group.references).await?;
                alias::insert_postgres(connection, &group.aliases).await?;
                evidence::insert_postgres(connection, &group.evidence).await?;
                party::insert_postgres(connection, &group.parties).await?;
                if let Some(checkpoint) = &group.checkpoint {
                    checkpoint::insert_postgres(connection, checkpoint).await?;
                }
                gate::check_postgres(connection, epoch, behind).await?;
                write.commit().await
            }
        }
    }
}
