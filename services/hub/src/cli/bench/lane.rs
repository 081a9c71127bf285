//! One stream: a merchant's batches out, their answers in, and what the client knows of its members since.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, bail};
use hansa_client::{hub::Hub, ids::MessageId};
use hansa_proto::v1;
use hdrhistogram::Histogram;
use prost::Message as _;
use tokio::sync::{Barrier, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    rng::SplitMix64,
    traffic::{Mix, Sent, Traffic},
    wire,
};

/// Batches of a lane whose probe is kept.
const PROBES: usize = 128;

/// How much is sent, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Messages.
    pub(super) messages: u64,
    /// Messages in a batch.
    pub(super) batch: usize,
    /// Batches on their way at once.
    pub(super) window: usize,
    /// Kinds of messages.
    pub(super) mix: Mix,
}

/// What came of an order.
#[derive(Debug)]
pub(super) struct Tally {
    /// From sending a batch to its answer, in microseconds.
    pub(super) latencies: Histogram<u64>,
    /// Outcomes by code.
    pub(super) codes: BTreeMap<i32, u64>,
    /// When each batch was sent, and when it was answered; empty for callers of single messages.
    pub(super) flights: Vec<(Instant, Instant)>,
}

/// A message whose outcome was kept.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// Its id.
    pub(super) id: MessageId,
    /// What was answered, with its place in the log.
    pub(super) outcome: v1::Outcome,
}

/// A merchant's stream and its memory.
#[derive(Debug)]
pub(super) struct Lane {
    /// Makes its batches.
    pub(super) traffic: Traffic,
    /// Points that each member can spend, as its last outcome said; none where nothing was sent.
    pub(super) available: Vec<Option<i64>>,
    /// A sample of outcomes.
    pub(super) probes: Vec<Probe>,
    probes_seen: u64,
    rng: SplitMix64,
}

struct InFlight {
    at: Instant,
    members: Vec<u32>,
    probe: (usize, MessageId),
}

impl Lane {
    pub(super) fn new(traffic: Traffic, rng: SplitMix64) -> Self {
        let members = traffic.merchant().references.len();
        Self {
            traffic,
            available: vec![None; members],
            probes: Vec::new(),
            probes_seen: 0,
            rng,
        }
    }

    /// Sends an order on one stream of its own and takes all answers. Begins when all lanes stand at `start`.
    pub(super) async fn run(
        &mut self,
        hub: &Hub,
        order: Order,
        start: Arc<Barrier>,
        progress: impl Fn(u64),
    ) -> anyhow::Result<Tally> {
        let mut tally = Tally::new()?;
        let (requests, body) = mpsc::channel(order.window);
        let mut exchange = hub.exchange();
        let opened = exchange.stream_batches(ReceiverStream::new(body)).await;
        // All lanes come here, whatever became of their stream, or the others would wait for ever.
        start.wait().await;
        let mut answers = opened?.into_inner();
        let mut left = order.messages;
        let mut in_flight: VecDeque<InFlight> = VecDeque::new();
        loop {
            while left > 0 && in_flight.len() < order.window {
                let size = order.batch.min(usize::try_from(left).unwrap_or(usize::MAX));
                left -= size as u64;
                let Sent {
                    envelope,
                    members,
                    probe,
                } = self.traffic.batch(size, order.mix);
                let request = v1::StreamBatchesRequest {
                    envelope: Some(envelope),
                };
                let at = Instant::now();
                requests
                    .send(request)
                    .await
                    .ok()
                    .context("the hub ended the stream")?;
                in_flight.push_back(InFlight { at, members, probe });
            }
            let Some(batch) = in_flight.pop_front() else {
                return Ok(tally);
            };
            let answer = answers
                .message()
                .await?
                .context("the hub ended the stream")?;
            let now = Instant::now();
            tally.latencies.record(micros_between(batch.at, now))?;
            tally.flights.push((batch.at, now));
            progress(batch.members.len() as u64);
            self.take(&batch, answer, &mut tally)?;
        }
    }

    fn take(
        &mut self,
        batch: &InFlight,
        answer: v1::StreamBatchesResponse,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        let Some(response) = answer.batch else {
            let status = tonic_types::Status::decode(answer.refusal_status.as_slice())?;
            bail!("the hub refused a batch: {}", status.message);
        };
        let receipt = response.receipt.context("a batch without a receipt")?;
        let mut count = 0;
        // Runs of one code are the rule: the map is asked once for each run.
        let (mut run_code, mut run) = (0, 0);
        for (index, (seen, member)) in wire::outcomes(&response.outcomes)
            .zip(&batch.members)
            .enumerate()
        {
            count += 1;
            if seen.code != run_code {
                *tally.codes.entry(run_code).or_default() += run;
                (run_code, run) = (seen.code, 0);
            }
            run += 1;
            if seen.is_accepted() {
                self.available[*member as usize] = Some(seen.available);
            }
            if index == batch.probe.0 {
                let mut outcome = v1::Outcome::decode(seen.bytes)?;
                outcome.leaf_index = Some(receipt.leaf_index);
                outcome.entry_position = u32::try_from(index)?;
                self.keep(Probe {
                    id: batch.probe.1,
                    outcome,
                });
            }
        }
        *tally.codes.entry(run_code).or_default() += run;
        tally.codes.retain(|_, count| *count > 0);
        anyhow::ensure!(
            count == batch.members.len(),
            "{count} outcomes for {} messages",
            batch.members.len()
        );
        Ok(())
    }

    fn keep(&mut self, probe: Probe) {
        self.probes_seen += 1;
        if self.probes.len() < PROBES {
            self.probes.push(probe);
            return;
        }
        let at = self.rng.below(self.probes_seen);
        if let Some(place) = usize::try_from(at)
            .ok()
            .and_then(|at| self.probes.get_mut(at))
        {
            *place = probe;
        }
    }
}

/// Time from one instant to a later one. Unit: microseconds.
pub(super) fn micros_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

impl Tally {
    /// An empty one.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            latencies: Histogram::new(3)?,
            codes: BTreeMap::new(),
            flights: Vec::new(),
        })
    }

    /// Takes another one in.
    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latencies.add(&other.latencies)?;
        self.flights.extend_from_slice(&other.flights);
        for (code, count) in &other.codes {
            *self.codes.entry(*code).or_default() += count;
        }
        Ok(())
    }
}
