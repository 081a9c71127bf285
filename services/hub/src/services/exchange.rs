//! `ExchangeService`: batches in, outcomes and receipts out.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hansa_proto::v1::{self, exchange_service_server::ExchangeService};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Status, Streaming};

use super::{Answer, Api, ok};
use crate::{
    auth::Caller,
    error::HubError,
    intake::{self, PreparedBatch},
    sequencer::{BatchReply, ids::Id},
};

/// Batches of one stream that wait for their answer at most.
const PIPELINE: usize = 16;

impl Api {
    fn prepare(
        &self,
        envelope: Option<v1::Envelope>,
        caller: &Caller,
    ) -> Result<PreparedBatch, HubError> {
        let (slug, _) = caller.merchant()?;
        let Some(envelope) = envelope else {
            return Err(HubError::field(
                "envelope",
                "REQUIRED",
                "send the signed batch",
            ));
        };
        let permit = self.0.limits.admit(slug)?;
        let registry = self.0.registry.get();
        let mut batch = intake::prepare(envelope, caller, &registry, self.0.clock.now_micros())?;
        // It goes with the batch: a caller that hangs up frees its place only when the batch is decided.
        batch.permit = Some(permit);
        Ok(batch)
    }
}

impl Api {
    /// Spends the merchant's rate on a batch that is to be decided.
    fn spend(&self, caller: &Caller, batch: PreparedBatch) -> Result<PreparedBatch, HubError> {
        let (slug, _) = caller.merchant()?;
        self.0.limits.spend(slug, batch.messages.len())?;
        Ok(batch)
    }
}

fn response(reply: BatchReply) -> v1::SubmitBatchResponse {
    v1::SubmitBatchResponse {
        outcomes: reply.outcomes,
        receipt: reply.receipt,
    }
}

fn refusal(error: HubError) -> v1::StreamBatchesResponse {
    let status = Status::from(error);
    let refusal_status = if status.details().is_empty() {
        tonic_types::Status {
            code: status.code().into(),
            message: status.message().into(),
            details: Vec::new(),
        }
        .encode_to_vec()
    } else {
        status.details().to_vec()
    };
    v1::StreamBatchesResponse {
        batch: None,
        refusal_status,
    }
}

enum Pending {
    Refused(HubError),
    Queued(oneshot::Receiver<Result<BatchReply, HubError>>),
}

impl Pending {
    /// The answer; notes in `broken` when the batch must be sent again.
    async fn wait(self, broken: &AtomicBool) -> v1::StreamBatchesResponse {
        let error = match self {
            Self::Refused(error) => error,
            Self::Queued(answer) => match answer.await {
                Ok(Ok(reply)) => {
                    return v1::StreamBatchesResponse {
                        batch: Some(response(reply)),
                        refusal_status: Vec::new(),
                    };
                }
                Ok(Err(error)) => error,
                Err(_) => HubError::not_owner(),
            },
        };
        if error.reason.is_transient() {
            broken.store(true, Ordering::Release);
        }
        refusal(error)
    }
}

#[tonic::async_trait]
impl ExchangeService for Api {
    async fn submit_batch(
        &self,
        request: Request<v1::SubmitBatchRequest>,
    ) -> Answer<v1::SubmitBatchResponse> {
        let caller = self.caller(&request)?;
        let request = request.into_inner();
        let batch = self.prepare(request.envelope, &caller)?;
        if request.validate_only {
            return ok(v1::SubmitBatchResponse::default());
        }
        let batch = self.spend(&caller, batch)?;
        ok(response(self.0.sequencer.batch(batch).await?))
    }

    type StreamBatchesStream =
        Pin<Box<dyn Stream<Item = Result<v1::StreamBatchesResponse, Status>> + Send>>;

    async fn stream_batches(
        &self,
        request: Request<Streaming<v1::StreamBatchesRequest>>,
    ) -> Answer<Self::StreamBatchesStream> {
        let caller = self.caller(&request)?;
        caller.merchant()?;
        let mut inbound = request.into_inner();
        let (pending, answers) = mpsc::channel(PIPELINE);
        let broken = Arc::new(AtomicBool::new(false));
        let broken_here = Arc::clone(&broken);
        let api = self.clone();
        // All of the stream goes to one run of the sequencer, so that nothing overtakes what a restart drops.
        let run = api.0.sequencer.run();
        tokio::spawn(async move {
            loop {
                let message = tokio::select! {
                    biased;
                    // A stream could otherwise keep the sequencer busy for ever. What was taken is answered.
                    () = api.0.shutdown.cancelled() => break,
                    message = inbound.message() => message,
                };
                let request = match message {
                    Ok(Some(request)) => request,
                    // Too long to be decoded: this batch is to blame, and nothing behind it can be read.
                    Err(status) if status.code() == Code::OutOfRange => {
                        let _ = pending.send(Pending::Refused(intake::too_large())).await;
                        break;
                    }
                    Ok(None) | Err(_) => break,
                };
                if broken_here.load(Ordering::Acquire) {
                    break;
                }
                let queued = match api
                    .0
                    .ownership
                    .check()
                    .and_then(|()| api.prepare(request.envelope, &caller))
                    .and_then(|batch| api.spend(&caller, batch))
                {
                    Ok(batch) => match api.0.sequencer.queue_batch(batch, run).await {
                        Ok(answer) => Pending::Queued(answer),
                        Err(error) => Pending::Refused(error),
                    },
                    Err(error) => Pending::Refused(error),
                };
                // What stands behind a batch that is to be sent again must not overtake it: the stream ends here.
                let ends =
                    matches!(&queued, Pending::Refused(error) if error.reason.is_transient());
                if pending.send(queued).await.is_err() || ends {
                    break;
                }
            }
        });
        ok(Box::pin(ReceiverStream::new(answers).then(
            move |pending| {
                let broken = Arc::clone(&broken);
                async move { Ok(pending.wait(&broken).await) }
            },
        )))
    }

    async fn get_outcomes(
        &self,
        request: Request<v1::GetOutcomesRequest>,
    ) -> Answer<v1::GetOutcomesResponse> {
        let caller = self.caller(&request)?;
        let (_, merchant) = caller.merchant()?;
        let wanted = request.into_inner().message_ids;
        if wanted.len() > 1_000 {
            return Err(
                HubError::field("message_ids", "TOO_MANY", "at most 1 000 in a call").into(),
            );
        }
        let mut keys = Vec::with_capacity(wanted.len());
        for (index, id) in wanted.iter().enumerate() {
            let id = Id::try_from(id.as_slice()).map_err(|_| {
                HubError::field(
                    &format!("message_ids[{index}]"),
                    "LENGTH",
                    "a message id has 16 bytes",
                )
            })?;
            keys.push((merchant, id));
        }
        let found = self.0.store.find_ids(&keys).await.map_err(HubError::from)?;
        let mut items = Vec::new();
        let mut entry: Option<(u64, v1::Outcomes)> = None;
        for ((_, id), pos) in keys.iter().zip(found) {
            let Some(pos) = pos.map(hansa_settlement::Pos) else {
                continue;
            };
            if entry.as_ref().is_none_or(|(seq, _)| *seq != pos.seq()) {
                let row = self
                    .0
                    .store
                    .entry(pos.seq())
                    .await
                    .map_err(HubError::from)?;
                let bytes = row.map(|row| row.outcomes).unwrap_or_default();
                entry = Some((
                    pos.seq(),
                    v1::Outcomes::decode(bytes).map_err(HubError::internal)?,
                ));
            }
            let outcome = entry
                .as_ref()
                .and_then(|(_, o)| o.outcomes.get(pos.index() as usize))
                .cloned();
            let Some(mut outcome) = outcome else { continue };
            outcome.leaf_index = Some(pos.seq());
            outcome.entry_position = pos.index();
            items.push(v1::get_outcomes_response::Item {
                message_id: id.to_vec(),
                outcome: Some(outcome),
            });
        }
        ok(v1::GetOutcomesResponse { items })
    }
}
