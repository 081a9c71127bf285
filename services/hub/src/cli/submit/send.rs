//! Sends messages through the durable outbox over one stream, and hands every answer to its row.
//!
//! What an earlier run left in the outbox goes first, byte for byte. Rows that it covers are not sent again; all others
//! are: a message's bytes are its identity, so the hub answers what it took before with the first outcome.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hansa_client::{
    batch::{BatchBuilder, BatchError, SignedBatch},
    hub::{Answer, BatchSender, CallError, Hub},
    keys::SigningKey,
    message::MessageId,
    outbox::{Outbox, Ticket},
};
use hansa_proto::v1;
use indicatif::ProgressBar;
use prost::Message as _;
use tokio::sync::mpsc;

use crate::cli::{exit, proofs::ReceiptFolder, render};

/// Batches on their way at once. Also how many go to disk with one sync.
const WINDOW: usize = 8;

/// A message to send.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// Its id.
    pub id: MessageId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What came of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    /// Result code, or why the hub refused the whole batch.
    pub code: String,
    /// Unit: whole points.
    pub points: i64,
    /// Entry of the log that recorded the first outcome.
    pub leaf_index: Option<u64>,
    /// The hub had it before.
    pub replayed: bool,
}

impl Answered {
    /// The message took effect, now or before.
    pub(super) fn accepted(&self) -> bool {
        self.code == "ACCEPTED"
    }
}

/// What came of all.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// For each message, in order; `None`: not answered.
    pub answers: Vec<Option<Answered>>,
    /// Messages of an earlier run that waited in the outbox and are not among these.
    pub others: usize,
    /// Why the stream ended, if it ended before its time.
    pub failure: Option<CallError>,
}

/// A batch that was handed to the stream. `None` for a message that is not one of ours.
struct InFlight {
    ticket: Ticket,
    rows: Vec<Option<usize>>,
}

/// The outbox, between the task that puts and the one that acknowledges.
type Shared = Arc<Mutex<Outbox>>;

fn lock(outbox: &Shared) -> MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where messages go, and how.
pub(super) struct Way<'a> {
    /// The hub.
    pub hub: &'a Hub,
    /// Messages in a batch.
    pub batch_size: usize,
    /// Where receipts are kept, if they are.
    pub receipts: Option<ReceiptFolder>,
}

/// Sends all. Must run on a runtime of several threads: the outbox blocks.
pub(super) async fn send(
    way: &Way<'_>,
    key: Arc<SigningKey>,
    outbox: Outbox,
    messages: Arc<Vec<Outgoing>>,
    bar: &ProgressBar,
) -> anyhow::Result<Report> {
    let mut report = Report {
        answers: vec![None; messages.len()],
        ..Report::default()
    };
    let outbox = Arc::new(Mutex::new(outbox));
    let waiting = waiting(&outbox, &key, &messages)?;
    let mut covered = vec![false; messages.len()];
    for (batch, in_flight) in &waiting {
        for row in &in_flight.rows {
            match row {
                Some(row) => covered[*row] = true,
                None => report.others += 1,
            }
        }
        tracing::debug!(messages = batch.messages().len(), "waited in the outbox");
    }
    let (sender, mut answers) = way.hub.stream(WINDOW);
    let (sent, mut in_flights) = mpsc::unbounded_channel();
    let feeder = Feeder {
        sender,
        sent,
        outbox: Arc::clone(&outbox),
        key,
        messages,
        batch_size: way.batch_size,
    };
    let feeding = tokio::spawn(feeder.run(waiting, covered));
    while let Some(item) = answers.next().await {
        // Announced before it was sent, so it is there.
        let Some(in_flight) = in_flights.recv().await else {
            break;
        };
        let answered = match item.result {
            Ok(answer) => {
                // Before the batch leaves the outbox: an interrupted run sends it again, and asks for its receipt.
                if let Some(receipts) = &way.receipts {
                    receipts.keep(way.hub, &item.batch, &answer).await?;
                }
                Some(outcomes(&answer))
            }
            Err(error) => {
                let refused =
                    (!error.is_transient()).then(|| refusal(&error, in_flight.rows.len()));
                report.failure = Some(error);
                refused
            }
        };
        let Some(answered) = answered else {
            // It stays in the outbox.
            continue;
        };
        for (row, answered) in in_flight.rows.iter().zip(answered) {
            if let Some(row) = row {
                report.answers[*row] = Some(answered);
            }
        }
        bar.inc(in_flight.rows.len() as u64);
        tokio::task::block_in_place(|| lock(&outbox).acknowledge(in_flight.ticket))?;
    }
    feeding.await??;
    if report.answers.iter().all(Option::is_some)
        && report.failure.as_ref().is_some_and(CallError::is_transient)
    {
        report.failure = None;
    }
    Ok(report)
}

/// What an earlier run left, and whose rows it holds.
fn waiting(
    outbox: &Shared,
    key: &SigningKey,
    messages: &[Outgoing],
) -> anyhow::Result<Vec<(SignedBatch, InFlight)>> {
    let mut outbox = lock(outbox);
    let tickets: Vec<Ticket> = outbox.waiting().collect();
    if tickets.is_empty() {
        return Ok(Vec::new());
    }
    let rows: HashMap<MessageId, usize> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| (message.id, index))
        .collect();
    let row_of = |bytes: &[u8]| {
        let id: MessageId = v1::Message::decode(bytes)
            .ok()?
            .message_id
            .try_into()
            .ok()?;
        let row = *rows.get(&id)?;
        (messages[row].bytes == bytes).then_some(row)
    };
    let mut left = Vec::with_capacity(tickets.len());
    for ticket in tickets {
        let batch = SignedBatch::from_envelope(outbox.read(ticket)?)?;
        let rows: Vec<Option<usize>> = batch.messages().iter().map(|bytes| row_of(bytes)).collect();
        let signatures = &batch.envelope().signatures;
        if signatures
            .iter()
            .all(|signature| signature.keyid == key.key_id())
        {
            left.push((batch, InFlight { ticket, rows }));
        } else if rows.iter().all(Option::is_some) {
            // Signed with a key that may be gone: its rows are sent again, signed anew.
            outbox.acknowledge(ticket)?;
        } else {
            let foreign = rows.iter().filter(|row| row.is_none()).count();
            let message = format!(
                "the outbox holds {} messages that are not in this file, signed with another key; finish them with \
                 their own file and key, or name another --outbox",
                render::number(foreign as u64)
            );
            return Err(exit::coded(exit::FAILED, message));
        }
    }
    Ok(left)
}

/// Puts batches into the outbox, then on the stream.
struct Feeder {
    sender: BatchSender,
    sent: mpsc::UnboundedSender<InFlight>,
    outbox: Shared,
    key: Arc<SigningKey>,
    messages: Arc<Vec<Outgoing>>,
    batch_size: usize,
}

impl Feeder {
    async fn run(
        self,
        waiting: Vec<(SignedBatch, InFlight)>,
        covered: Vec<bool>,
    ) -> anyhow::Result<()> {
        for (batch, in_flight) in waiting {
            if !self.hand_over(batch, in_flight).await {
                return Ok(());
            }
        }
        let mut todo = (0..self.messages.len())
            .filter(|row| !covered[*row])
            .peekable();
        while todo.peek().is_some() {
            let mut batches = Vec::with_capacity(WINDOW);
            while batches.len() < WINDOW && todo.peek().is_some() {
                batches.push(self.batch(&mut todo)?);
            }
            let envelopes: Vec<v1::Envelope> = batches
                .iter()
                .map(|(batch, _)| batch.envelope().clone())
                .collect();
            let tickets = tokio::task::block_in_place(|| lock(&self.outbox).put_all(&envelopes))?;
            for ((batch, rows), ticket) in batches.into_iter().zip(tickets) {
                if !self.hand_over(batch, InFlight { ticket, rows }).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Fills and signs the next batch.
    fn batch(
        &self,
        todo: &mut std::iter::Peekable<impl Iterator<Item = usize>>,
    ) -> Result<(SignedBatch, Vec<Option<usize>>), BatchError> {
        let mut builder = BatchBuilder::new();
        let mut rows = Vec::with_capacity(self.batch_size);
        while let Some(row) = todo.peek().copied() {
            if rows.len() == self.batch_size {
                break;
            }
            match builder.push_encoded(&self.messages[row].bytes) {
                Ok(()) => rows.push(Some(row)),
                Err(BatchError::Full) => break,
                Err(error) => return Err(error),
            }
            todo.next();
        }
        Ok((builder.sign(&self.key)?, rows))
    }

    /// False where the stream has ended.
    async fn hand_over(&self, batch: SignedBatch, in_flight: InFlight) -> bool {
        self.sent.send(in_flight).is_ok() && self.sender.send(batch).await.is_ok()
    }
}

fn outcomes(answer: &Answer) -> Vec<Answered> {
    let own = answer.receipt.as_ref().map(|receipt| receipt.leaf_index);
    answer
        .outcomes
        .iter()
        .map(|outcome| Answered {
            code: render::name(outcome.code().as_str_name(), "RESULT_CODE_").to_owned(),
            points: outcome.points,
            leaf_index: outcome.leaf_index.or(own),
            replayed: outcome.replayed,
        })
        .collect()
}

/// The hub refused a whole batch: each of its rows.
fn refusal(error: &CallError, rows: usize) -> Vec<Answered> {
    let code = error
        .reason
        .clone()
        .unwrap_or_else(|| format!("{:?}", error.code));
    let refused = Answered {
        code,
        points: 0,
        leaf_index: None,
        replayed: false,
    };
    vec![refused; rows]
}
