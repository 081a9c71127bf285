//! Where the log is read: the store itself, or a hub's `LogService` as an operator.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use hansa_client::{hub::Hub, keys::hex, note::LogVerifier, proof};
use hansa_proto::v1;
use hansa_store::{CheckpointRow, EntryRow, Store};
use prost::Message as _;
use ring::digest::{SHA256, digest};

use super::report::{Failure, Mismatch};
use crate::{
    convert::micros,
    intake,
    sequencer::state::FirstEntry,
    tlog::{self, Hash},
};

/// Entries of a page at most.
const PAGE_ROWS: u32 = 1_000;

/// Bytes of a page of the store.
const PAGE_BYTES: usize = 16 << 20;

/// Checkpoints of a page.
const PAGE_CHECKPOINTS: u32 = 1_000;

/// One entry as it was read.
#[derive(Debug)]
pub(super) struct Item {
    /// Its place.
    pub(super) seq: u64,
    /// Microseconds since 1970.
    pub(super) decided_at: i64,
    /// What was signed; `None`: the stored bytes are not those of an envelope.
    pub(super) envelope: Option<v1::Envelope>,
    /// Serialized outcomes, verbatim.
    pub(super) outcomes: Bytes,
    /// The 72 bytes that its leaf covers.
    pub(super) leaf_data: Vec<u8>,
    /// What only the store has.
    pub(super) stored: Option<Stored>,
}

/// What the store has beyond what it publishes.
#[derive(Debug)]
pub(super) struct Stored {
    /// The sender's index.
    pub(super) merchant: Option<u32>,
    /// See [`crate::sequencer::group::kind`].
    pub(super) kind: u8,
    /// Number of messages.
    pub(super) messages: u32,
    /// Hashes of the tree's nodes that the leaf completed.
    pub(super) tree_hashes: Bytes,
    /// Recorded effects.
    pub(super) effects: Bytes,
}

impl From<EntryRow> for Item {
    fn from(row: EntryRow) -> Self {
        // Bytes behind the envelope's fields would be covered by nothing.
        let envelope = v1::Envelope::decode(row.envelope.clone()).ok();
        let envelope = envelope.filter(|e| e.encode_to_vec() == row.envelope);
        Self {
            seq: row.seq,
            decided_at: row.decided_at,
            envelope,
            outcomes: row.outcomes,
            leaf_data: row.leaf_data.to_vec(),
            stored: Some(Stored {
                merchant: row.merchant,
                kind: row.kind,
                messages: row.messages,
                tree_hashes: row.tree_hashes,
                effects: row.effects,
            }),
        }
    }
}

/// Where the log is read. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Source {
    /// A store, opened read-only beside its hub or without one.
    Store(Store),
    /// A hub, with an operator's token. Has no effects and no projection.
    Hub(Hub),
}

impl Source {
    /// The number of entries to verify: all that the newest checkpoint covers.
    pub(super) async fn size(&self) -> Result<u64, Failure> {
        match self {
            Self::Store(store) => store_size(store).await,
            Self::Hub(hub) => {
                let newest = hub.checkpoint().await?;
                // Only for the size: the note is verified with the key of the log's first entry later.
                let verifier: LogVerifier = newest
                    .verifier_key
                    .parse()
                    .map_err(|e| anyhow!("the hub's verifier key does not parse: {e}"))?;
                let checkpoint = verifier.open(&newest.checkpoint).map_err(|error| {
                    Mismatch::new("the newest checkpoint", error, "a signed checkpoint")
                })?;
                Ok(checkpoint.size)
            }
        }
    }

    /// The entries from `from` on, some of them.
    pub(super) async fn page(&self, from: u64) -> Result<Vec<Item>, Failure> {
        match self {
            Self::Store(store) => {
                let rows = store.entries(from, PAGE_ROWS, PAGE_BYTES).await?;
                Ok(rows.into_iter().map(Item::from).collect())
            }
            Self::Hub(hub) => {
                let request = v1::ListEntriesRequest {
                    from_leaf_index: from,
                    page_size: i32::try_from(PAGE_ROWS).unwrap_or(i32::MAX),
                    page_token: String::new(),
                };
                let list = async |hub: Hub, request| hub.log().list_entries(request).await;
                let page = hub.call(request, list).await?;
                page.entries.into_iter().map(published).collect()
            }
        }
    }

    /// An entry that was read before.
    pub(super) async fn entry(&self, seq: u64) -> Result<Item, Failure> {
        let page = match self {
            Self::Store(store) => store.entry(seq).await?.map(Item::from),
            Self::Hub(_) => self.page(seq).await?.into_iter().next(),
        };
        let item = page.filter(|item| item.seq == seq);
        Ok(item.with_context(|| format!("entry {seq} is gone"))?)
    }

    /// The entry that first decided a message which was sent again.
    pub(super) async fn first_entry(&self, seq: u64) -> Result<FirstEntry, Failure> {
        let item = self.entry(seq).await?;
        let envelope = item
            .envelope
            .with_context(|| format!("the envelope of entry {seq} does not decode any more"))?;
        let outcomes = v1::Outcomes::decode(item.outcomes).context("outcomes")?;
        Ok(FirstEntry {
            elements: intake::elements(&envelope.payload).context("elements of a batch")?,
            outcomes: outcomes.outcomes,
        })
    }

    /// An attachment is what the log names; a hub gives them only to those whom its dispute concerns.
    pub(super) async fn check_attachment(
        &self,
        named: &v1::Evidence,
        seq: u64,
    ) -> Result<(), Failure> {
        let Self::Store(store) = self else {
            return Ok(());
        };
        let broken = |recorded: &str, recomputed: String| {
            let what = format!("the attachment \"{}\"", named.file_name);
            Failure::from(Mismatch::new(what, recorded, recomputed).at(seq))
        };
        let expected = format!("SHA-256 {}", hex(&named.sha256));
        let Ok(sha256) = <[u8; 32]>::try_from(named.sha256.as_slice()) else {
            return Err(broken(&expected, "32 bytes".to_owned()));
        };
        let Some(content) = store.evidence(&sha256).await? else {
            return Err(broken(&expected, "it is not in the store".to_owned()));
        };
        let found = digest(&SHA256, &content);
        if found.as_ref() == sha256 && content.len() as u64 == named.size {
            return Ok(());
        }
        let found = format!("{} bytes of SHA-256 {}", content.len(), hex(found.as_ref()));
        Err(broken(&expected, found))
    }

    /// The signed checkpoint of a tree of exactly so many leaves.
    pub(super) async fn checkpoint(&self, size: u64) -> Result<String, Failure> {
        let note = match self {
            Self::Store(store) => store.checkpoint(size).await?.map(|row| row.note),
            Self::Hub(hub) => {
                let request = v1::GetCheckpointRequest { tree_size: size };
                let get = async |hub: Hub, request| hub.log().get_checkpoint(request).await;
                Some(hub.call(request, get).await?.checkpoint)
            }
        };
        let what = format!("the checkpoint of {size} leaves");
        Ok(note.ok_or_else(|| Mismatch::new(what, "not there", "a signed checkpoint"))?)
    }

    /// Hashes that prove that a tree extends another; the reader verifies them.
    pub(super) async fn extension(&self, from: u64, to: u64) -> Result<Vec<Hash>, Failure> {
        let hashes: Vec<Vec<u8>> = match self {
            Self::Store(store) => {
                let plan = tlog::consistency_plan(from, to).context("a proof's plan")?;
                let rows = store.tree_hashes(&tlog::seqs(plan.needed())).await?;
                let row_of = |seq: u64| {
                    let at = rows.binary_search_by_key(&seq, |(s, _)| *s).ok()?;
                    Some(rows[at].1.as_ref())
                };
                let found = tlog::pick(plan.needed(), row_of).context("hashes of the tree")?;
                return Ok(plan.assemble(&found).context("a proof")?);
            }
            Self::Hub(hub) => hub.consistency_proof(from, to).await?,
        };
        Ok(proof::hashes(&hashes).context("hashes of a proof")?)
    }

    /// The checkpoints of at least `from` leaves, some of them, smallest first; a hub gives only its newest.
    pub(super) async fn checkpoints(
        &self,
        from: u64,
        size: u64,
    ) -> Result<Vec<CheckpointRow>, Failure> {
        match self {
            Self::Store(store) => Ok(store.checkpoints(from, PAGE_CHECKPOINTS).await?),
            Self::Hub(_) if from > size => Ok(Vec::new()),
            Self::Hub(hub) => {
                let request = v1::GetCheckpointRequest { tree_size: size };
                let get = async |hub: Hub, request| hub.log().get_checkpoint(request).await;
                let note = hub.call(request, get).await?.checkpoint;
                Ok(vec![CheckpointRow {
                    tree_size: size,
                    note,
                }])
            }
        }
    }
}

fn published(entry: v1::Entry) -> Result<Item, Failure> {
    let seq = entry.leaf_index;
    if entry.envelope.is_none() {
        let text = "the hub shows only the digest of an entry; verifying takes an operator's key";
        return Err(Failure::Other(anyhow!("{text} (entry {seq})")));
    }
    Ok(Item {
        seq,
        decided_at: entry.decided_at.as_ref().map_or(i64::MIN, micros),
        envelope: entry.envelope,
        outcomes: entry.outcomes.into(),
        leaf_data: entry.leaf_data,
        stored: None,
    })
}

/// Entries and their checkpoint are committed together, so that each must cover the other whatever is read first.
async fn store_size(store: &Store) -> Result<u64, Failure> {
    let entries = async || -> Result<u64, Failure> {
        Ok(store.last_entry().await?.map_or(0, |head| head.seq + 1))
    };
    let before = entries().await?;
    let newest = store.newest_checkpoint().await?;
    let covered = newest.map_or(0, |checkpoint| checkpoint.tree_size);
    if covered < before {
        return Err(Mismatch::new(
            "the newest checkpoint",
            format_args!("covers {covered} entries"),
            format_args!("{before} entries, each covered by a checkpoint"),
        )
        .at(covered)
        .into());
    }
    let after = entries().await?;
    if after < covered {
        return Err(missing(after, covered, "the newest checkpoint"));
    }
    Ok(covered)
}

/// Entries were signed that are not there.
pub(super) fn missing(found: u64, signed: u64, by: &str) -> Failure {
    Mismatch::new(
        format!("the number of entries against {by}"),
        format_args!("{found} entries are there"),
        format_args!(
            "{signed} were signed: entries {found} to {} are lost",
            signed.saturating_sub(1)
        ),
    )
    .at(found)
    .into()
}
