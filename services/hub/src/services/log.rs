//! `LogService`: the log in public. Reads the store; what a merchant may see whole is its own.

use hansa_proto::v1::{self, log_service_server::LogService};
use hansa_store::EntryRow;
use prost::Message as _;
use tonic::Request;

use super::{Answer, Api, ok, page};
use crate::{
    auth::Caller,
    convert::timestamp,
    error::{HubError, Reason},
    memory,
    sequencer::state::unassigned,
    tlog::{self, Location, ProofPlan, RangeError, TilePlan},
};

/// Bytes of a page of entries.
const PAGE_BYTES: usize = 4 << 20;

fn out_of_range(error: RangeError) -> HubError {
    HubError::new(Reason::NotFound, error.to_string())
}

impl Api {
    async fn tree_size(&self) -> Result<u64, HubError> {
        Ok(self
            .0
            .store
            .last_entry()
            .await?
            .map_or(0, |head| head.seq + 1))
    }

    async fn hashes(&self, locations: &[Location]) -> Result<Vec<tlog::Hash>, HubError> {
        let rows = self.0.store.tree_hashes(&tlog::seqs(locations)).await?;
        let row_of = |seq: u64| {
            let at = rows.binary_search_by_key(&seq, |(s, _)| *s).ok()?;
            Some(rows[at].1.as_ref())
        };
        tlog::pick(locations, row_of).map_err(HubError::internal)
    }

    /// Hashes of a proof.
    pub(super) async fn prove(&self, plan: &ProofPlan) -> Result<Vec<Vec<u8>>, HubError> {
        let hashes = self.hashes(plan.needed()).await?;
        let proof = plan.assemble(&hashes).map_err(HubError::internal)?;
        Ok(proof.iter().map(|hash| hash.to_vec()).collect())
    }

    /// An entry that the caller may see whole.
    async fn own_entry(&self, caller: &Caller, leaf_index: u64) -> Result<EntryRow, HubError> {
        let missing = || HubError::not_found(format!("entry {leaf_index}"));
        let row = self.0.store.entry(leaf_index).await?.ok_or_else(missing)?;
        if may_see(caller, &row) {
            Ok(row)
        } else {
            Err(missing())
        }
    }

    async fn receipt(&self, row: &EntryRow) -> Result<v1::Receipt, HubError> {
        let checkpoint = self.0.store.checkpoint_covering(row.seq + 1).await?;
        let checkpoint = checkpoint
            .ok_or_else(|| HubError::internal(format!("entry {} has no checkpoint", row.seq)))?;
        let plan =
            tlog::inclusion_plan(row.seq, checkpoint.tree_size).map_err(HubError::internal)?;
        Ok(v1::Receipt {
            leaf_index: row.seq,
            decided_at: Some(timestamp(row.decided_at)),
            leaf_data: row.leaf_data.to_vec(),
            inclusion_proof: self.prove(&plan).await?,
            checkpoint: checkpoint.note,
        })
    }
}

fn may_see(caller: &Caller, row: &EntryRow) -> bool {
    match caller {
        Caller::Operator { .. } => true,
        Caller::Merchant { index, .. } => row.merchant == Some(*index),
    }
}

#[tonic::async_trait]
impl LogService for Api {
    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Answer<v1::GetCheckpointResponse> {
        self.caller(&request)?;
        let size = request.into_inner().tree_size;
        let store = &self.0.store;
        let row = if size == 0 {
            store.newest_checkpoint().await
        } else {
            store.checkpoint(size).await
        };
        let row = row.map_err(HubError::from)?;
        let row =
            row.ok_or_else(|| HubError::not_found(format!("a checkpoint of {size} leaves")))?;
        ok(v1::GetCheckpointResponse {
            checkpoint: row.note,
            verifier_key: self.0.signer.verifier().to_string(),
        })
    }

    async fn get_tile(&self, request: Request<v1::GetTileRequest>) -> Answer<v1::GetTileResponse> {
        self.caller(&request)?;
        let request = request.into_inner();
        let size = self.tree_size().await?;
        let plan = tlog::tile_plan(request.level, request.index, request.width, size)
            .map_err(out_of_range)?;
        let data = match plan {
            TilePlan::Hashes(locations) => tlog::assemble_tile(&self.hashes(&locations).await?),
            TilePlan::Entries(range) => {
                let count = u32::try_from(range.end - range.start).unwrap_or(0);
                let rows = self
                    .0
                    .store
                    .leaves(range.start, count)
                    .await
                    .map_err(HubError::from)?;
                tlog::assemble_bundle(&range, rows.iter().map(|row| &row.leaf_data))
                    .map_err(HubError::internal)?
            }
        };
        ok(v1::GetTileResponse { data })
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Answer<v1::GetInclusionProofResponse> {
        self.caller(&request)?;
        let request = request.into_inner();
        let size = self.tree_size().await?;
        let tree_size = if request.tree_size == 0 {
            size
        } else {
            request.tree_size
        };
        if tree_size > size {
            return Err(HubError::not_found(format!("a tree of {tree_size} leaves")).into());
        }
        let plan = tlog::inclusion_plan(request.leaf_index, tree_size).map_err(out_of_range)?;
        let leaf = tlog::locate(0, request.leaf_index).map_err(out_of_range)?;
        let leaf_hash = self.hashes(&[leaf]).await?.concat();
        ok(v1::GetInclusionProofResponse {
            hashes: self.prove(&plan).await?,
            leaf_hash,
            tree_size,
        })
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Answer<v1::GetConsistencyProofResponse> {
        self.caller(&request)?;
        let request = request.into_inner();
        let size = self.tree_size().await?;
        let to = if request.to_tree_size == 0 {
            size
        } else {
            request.to_tree_size
        };
        if to > size {
            return Err(HubError::not_found(format!("a tree of {to} leaves")).into());
        }
        let plan = tlog::consistency_plan(request.from_tree_size, to).map_err(out_of_range)?;
        ok(v1::GetConsistencyProofResponse {
            hashes: self.prove(&plan).await?,
            to_tree_size: to,
        })
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Answer<v1::GetReceiptResponse> {
        let caller = self.caller(&request)?;
        let row = self
            .own_entry(&caller, request.into_inner().leaf_index)
            .await?;
        let receipt = self.receipt(&row).await?;
        ok(v1::GetReceiptResponse {
            receipt: Some(receipt),
            outcomes: row.outcomes.to_vec(),
        })
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Answer<v1::ListEntriesResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let size = page::size(request.page_size, 100)?;
        let start = if request.page_token.is_empty() {
            request.from_leaf_index
        } else {
            page::start(&request.page_token, "entries")?
        };
        let rows = self
            .0
            .store
            .entries(start, u32::try_from(size).unwrap_or(100), PAGE_BYTES)
            .await;
        let rows = rows.map_err(HubError::from)?;
        let end = rows.last().map_or(start, |row| row.seq + 1);
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let whole = may_see(&caller, &row);
            let envelope = match whole {
                true => Some(v1::Envelope::decode(row.envelope).map_err(HubError::internal)?),
                false => None,
            };
            entries.push(v1::Entry {
                leaf_index: row.seq,
                decided_at: Some(timestamp(row.decided_at)),
                envelope,
                outcomes: if whole {
                    row.outcomes.to_vec()
                } else {
                    Vec::new()
                },
                leaf_data: row.leaf_data.to_vec(),
            });
        }
        let more = end < self.tree_size().await?;
        let next_page_token = if more {
            page::token("entries", end)
        } else {
            String::new()
        };
        ok(v1::ListEntriesResponse {
            entries,
            next_page_token,
        })
    }

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Answer<v1::GetStatusResponse> {
        self.caller(&request)?;
        let origin = self.0.signer.origin().to_owned();
        let mut status = self
            .read(move |view| {
                Ok(v1::GetStatusResponse {
                    origin,
                    tree_size: view.size,
                    covered_size: view.covered,
                    now: Some(timestamp(view.now)),
                    epoch: view.epoch,
                    messages: view.messages,
                    unassigned_messages: unassigned(view.global, view.decided),
                    version: concat!("hansa ", env!("CARGO_PKG_VERSION")).to_owned(),
                    duplicate_key_restarts: view.duplicate_key_restarts,
                    ..v1::GetStatusResponse::default()
                })
            })
            .await?;
        self.0.ownership.check()?;
        (status.resident_bytes, status.peak_resident_bytes) = memory::resident();
        let audit = self.0.audit.status().await?;
        status.audited_size = audit.size;
        status.audit_finding = audit
            .finding
            .map_or_else(String::new, |found| found.to_string());
        ok(status)
    }
}
