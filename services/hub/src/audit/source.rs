//! Where the auditor reads: the log, read-only, and what it saved itself, in a store of its own.

use hansa_auditor::{Entry, Finding, ReferenceKey, Source, SourceError, What};
use hansa_proto::v1;
use hansa_store::{EntryRow, Store};
use prost::Message as _;
use tokio::runtime::Runtime;

/// An entry as the auditor takes it; `None`: the stored bytes are not those of an envelope.
pub(super) fn entry(row: &EntryRow) -> Option<Entry> {
    let envelope = v1::Envelope::decode(row.envelope.clone()).ok()?;
    // Bytes behind the envelope's fields would be covered by nothing.
    (envelope.encode_to_vec() == row.envelope).then(|| Entry {
        leaf: row.seq,
        decided_at: row.decided_at,
        envelope,
        outcomes: row.outcomes.clone(),
        leaf_data: row.leaf_data.to_vec(),
    })
}

/// What is found at an entry whose stored bytes are not those of an envelope.
pub(super) fn broken(leaf: u64) -> Finding {
    Finding {
        leaf,
        position: None,
        merchant: None,
        message_id: None,
        what: What::Envelope,
        expected: "an envelope, and nothing behind it".into(),
        found: "other bytes".into(),
    }
}

/// The log, and what the auditor saved.
pub(super) struct Stores<'a> {
    /// Runs the reads; this is called from a thread that may wait.
    pub(super) runtime: &'a Runtime,
    /// The log.
    pub(super) log: &'a Store,
    /// The auditor's own.
    pub(super) own: &'a Store,
}

impl Source for Stores<'_> {
    fn members(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Vec<u8>)>, SourceError> {
        let rows = self.runtime.block_on(self.own.audit_members(numbers))?;
        let rows = rows
            .into_iter()
            .map(|(number, data)| (number, data.to_vec()));
        Ok(rows.collect())
    }

    fn references(
        &mut self,
        keys: &[ReferenceKey],
    ) -> Result<Vec<(ReferenceKey, u64)>, SourceError> {
        let found = self.runtime.block_on(self.own.audit_references(keys))?;
        let known = keys.iter().zip(found);
        Ok(known
            .filter_map(|(key, number)| Some((*key, number?)))
            .collect())
    }

    fn entry(&mut self, leaf: u64) -> Result<Option<Entry>, SourceError> {
        let row = self.runtime.block_on(self.log.entry(leaf))?;
        Ok(row.as_ref().and_then(entry))
    }
}
