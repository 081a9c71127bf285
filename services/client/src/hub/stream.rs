//! A stream of batches that outlives its connections.
//!
//! One task holds what was sent and not answered, at most the window. When a connection is lost it opens a new one
//! and sends those batches again, the same bytes in the same order; the hub answers what it took before with the
//! first outcomes. So every batch has exactly one answer, in order.

use std::collections::VecDeque;
use std::time::Duration;

use hansa_proto::v1::{StreamBatchesRequest, StreamBatchesResponse};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::error::CallError;
use super::retry::Attempts;
use super::{Answer, Hub};
use crate::batch::SignedBatch;

/// A batch with what came of it.
#[derive(Clone, Debug)]
pub struct StreamItem {
    /// As sent.
    pub batch: SignedBatch,
    /// Its outcomes, or why the hub refused all of it, or why the stream ended before its answer: then the error is
    /// transient, and the batch is to be sent again later.
    pub result: Result<Answer, CallError>,
}

/// Where batches go in. Drop it when there are no more.
#[derive(Clone, Debug)]
pub struct BatchSender(mpsc::Sender<SignedBatch>);

impl BatchSender {
    /// Sends a batch; waits while the window is full.
    ///
    /// # Errors
    /// The batch, where the stream has ended: see the last answers for the reason.
    pub async fn send(&self, batch: SignedBatch) -> Result<(), SignedBatch> {
        self.0.send(batch).await.map_err(|error| error.0)
    }
}

/// Where answers come out, in the order of the batches.
#[derive(Debug)]
pub struct BatchAnswers(mpsc::Receiver<StreamItem>);

impl BatchAnswers {
    /// The next answer; `None` when every batch was answered and the sender is gone, or the stream has ended.
    pub async fn next(&mut self) -> Option<StreamItem> {
        self.0.recv().await
    }
}

pub(super) fn start(hub: Hub, window: usize) -> (BatchSender, BatchAnswers) {
    let (sender, input) = mpsc::channel(1);
    let (output, answers) = mpsc::channel(window);
    let driver = Driver {
        hub,
        window,
        input,
        output,
        unanswered: VecDeque::new(),
        no_more: false,
        progressed: false,
    };
    tokio::spawn(driver.run());
    (BatchSender(sender), BatchAnswers(answers))
}

struct Driver {
    hub: Hub,
    window: usize,
    input: mpsc::Receiver<SignedBatch>,
    output: mpsc::Sender<StreamItem>,
    unanswered: VecDeque<SignedBatch>,
    /// The sender is gone.
    no_more: bool,
    /// A batch was answered since the flag was cleared.
    progressed: bool,
}

/// How a connection ended.
enum End {
    /// Every batch is answered and no more will come, or nobody listens to the answers.
    Done,
    /// It is to be opened again.
    Lost(CallError),
}

impl Driver {
    async fn run(mut self) {
        let mut attempts: Option<Attempts> = None;
        loop {
            // No connection is held open, or opened again, for nothing.
            if self.unanswered.is_empty() {
                match self.input.recv().await {
                    Some(batch) => self.unanswered.push_back(batch),
                    None => return,
                }
            }
            self.progressed = false;
            let error = match self.one_connection().await {
                End::Done => return,
                End::Lost(error) => error,
            };
            if self.progressed {
                attempts = None;
            }
            let attempts = attempts.get_or_insert_with(|| self.hub.retry.attempts());
            let tokens = self.hub.tokens.clone();
            if let Err(error) = attempts.wait_after(error, tokens.as_deref()).await {
                self.give_up(&error).await;
                return;
            }
        }
    }

    async fn one_connection(&mut self) -> End {
        // Room for every unanswered batch, so that handing one over never waits.
        let (requests, body) = mpsc::channel(self.window);
        for batch in &self.unanswered {
            hand_over(&requests, batch);
        }
        let limit = self.hub.retry.attempt_timeout;
        let mut exchange = self.hub.exchange();
        let opened = timeout(limit, exchange.stream_batches(ReceiverStream::new(body))).await;
        let mut answers = match opened {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return End::Lost(status.into()),
            Err(_) => return End::Lost(CallError::timed_out()),
        };
        loop {
            if self.no_more && self.unanswered.is_empty() {
                return End::Done;
            }
            let room = !self.no_more && self.unanswered.len() < self.window;
            tokio::select! {
                batch = self.input.recv(), if room => match batch {
                    Some(batch) => {
                        hand_over(&requests, &batch);
                        self.unanswered.push_back(batch);
                    }
                    None => self.no_more = true,
                },
                answer = next(&mut answers, limit), if !self.unanswered.is_empty() => {
                    let outcome = match answer {
                        Ok(answer) => self.take(answer).await,
                        Err(error) => Some(End::Lost(error)),
                    };
                    if let Some(end) = outcome {
                        return end;
                    }
                }
            }
        }
    }

    /// Passes an answer on to the first batch that has none.
    async fn take(&mut self, answer: StreamBatchesResponse) -> Option<End> {
        let messages = self.unanswered.front()?.messages().len();
        let result = if !answer.refusal_status.is_empty() {
            let error = CallError::from_status_bytes(&answer.refusal_status);
            if error.is_transient() {
                // What follows on this stream would overtake this batch.
                return Some(End::Lost(error));
            }
            Err(error)
        } else {
            match answer.batch {
                Some(response) => Answer::new(response, messages),
                None => Err(CallError::protocol("an answer without outcomes")),
            }
        };
        self.progressed = true;
        let batch = self.unanswered.pop_front()?;
        let heard = self.output.send(StreamItem { batch, result }).await;
        heard.is_err().then_some(End::Done)
    }

    async fn give_up(&mut self, error: &CallError) {
        // What waits in the channel was sent, too, as far as the caller knows.
        self.input.close();
        while let Some(batch) = self.input.recv().await {
            self.unanswered.push_back(batch);
        }
        for batch in self.unanswered.drain(..) {
            let result = Err(error.clone());
            if self
                .output
                .send(StreamItem { batch, result })
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// A closed channel means a lost connection, which shows where answers are read.
fn hand_over(requests: &mpsc::Sender<StreamBatchesRequest>, batch: &SignedBatch) {
    let request = StreamBatchesRequest {
        envelope: Some(batch.envelope().clone()),
    };
    if requests.try_send(request).is_err() {
        tracing::debug!("the stream's connection is lost");
    }
}

async fn next(
    answers: &mut Streaming<StreamBatchesResponse>,
    limit: Duration,
) -> Result<StreamBatchesResponse, CallError> {
    match timeout(limit, answers.message()).await {
        Ok(Ok(Some(answer))) => Ok(answer),
        Ok(Ok(None)) => Err(CallError::stream_ended()),
        Ok(Err(status)) => Err(status.into()),
        Err(_) => Err(CallError::timed_out()),
    }
}
