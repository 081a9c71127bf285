//! Commits a group, and answers behind it: never before, reads included.

use std::sync::atomic::Ordering;

use hansa_proto::v1;
use hansa_store::StoreError;

use super::{Driver, Gathered, Stop};
use crate::{
    convert::timestamp,
    error::HubError,
    sequencer::{
        BatchReply, Jobs,
        group::{Answer, Decided},
        prefetch::{self, Wanted},
        state::State,
    },
};

impl Driver<'_> {
    /// Commits a group and answers it; meanwhile gathers what queues up.
    pub(super) async fn commit_and_gather(
        &self,
        state: &mut State,
        decided: Decided,
        jobs: &mut Jobs,
        may_gather: bool,
    ) -> Result<Option<Gathered>, Stop> {
        let mut ahead = Gathered::default();
        if may_gather && let Some(first) = jobs.try_recv() {
            ahead.take(first, jobs);
        }
        let epoch = state.epoch;
        let append = async {
            if decided.group.entries.is_empty() {
                Ok(())
            } else {
                self.store.append(epoch, &decided.group).await
            }
        };
        // Look-ups for the next group run beside the commit; decisions do not.
        let wanted = Wanted::of(&mut ahead.jobs, state);
        let (committed, fetched) = tokio::join!(append, prefetch::fetch(self.store, state, wanted));
        self.note_failure(&committed);
        committed?;
        let (new_members, new_references) = decided.enrolled.clone();
        self.answer(state, decided).await?;
        if ahead.jobs.is_empty() && ahead.control.is_none() {
            return Ok(None);
        }
        ahead.fetched = fetched?;
        // The store was asked before these were in it.
        ahead.fetched.aliases.extend(new_members);
        ahead.fetched.enrolled.extend(new_references);
        Ok(Some(ahead))
    }

    pub(super) async fn commit(&self, state: &mut State, decided: Decided) -> Result<(), Stop> {
        if !decided.group.entries.is_empty() {
            let committed = self.store.append(state.epoch, &decided.group).await;
            self.note_failure(&committed);
            committed?;
        }
        self.answer(state, decided).await
    }

    fn note_failure(&self, committed: &Result<(), StoreError>) {
        if let Err(StoreError::DuplicateKey(_)) = committed {
            self.metrics
                .duplicate_key_restarts
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The group is durable: tell everyone.
    async fn answer(&self, state: &mut State, decided: Decided) -> Result<(), Stop> {
        if state.registry_changed {
            self.registry.set(state.registry.clone());
            state.registry_changed = false;
        }
        let duplicates = self.metrics.duplicate_key_restarts.load(Ordering::Relaxed);
        for answer in decided.answers {
            match answer {
                Answer::Batch {
                    reply,
                    outcomes,
                    leaf,
                } => {
                    let receipt = match leaf {
                        None => None,
                        Some((leaf_index, leaf_data)) => Some(v1::Receipt {
                            leaf_index,
                            decided_at: Some(timestamp(decided.decided_at)),
                            leaf_data: leaf_data.to_vec(),
                            inclusion_proof: decided
                                .extension
                                .inclusion(leaf_index)
                                .map_err(HubError::internal)?
                                .iter()
                                .map(|hash| hash.to_vec())
                                .collect(),
                            checkpoint: decided.checkpoint.clone(),
                        }),
                    };
                    let _ = reply.send(Ok(BatchReply { outcomes, receipt }));
                }
                Answer::Later(answer) => answer(),
                Answer::Facts(reply, leaf) => drop(reply.send(Ok(leaf))),
                Answer::Enrol(reply, references) => drop(reply.send(Ok(references))),
                Answer::Read(read) => read(&state.view(self.clock, duplicates)),
                Answer::Member(reply, view) => drop(reply.send(Ok(*view))),
                Answer::Conversions(reply, view) => drop(reply.send(Ok(view))),
            }
        }
        state.frontier = decided.extension.into_frontier();
        self.anchoring
            .note(state.frontier.size(), decided.checkpoint);
        Ok(())
    }
}
