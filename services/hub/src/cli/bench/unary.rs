//! One message at a time: a call, a signature and a commit for each.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hansa_proto::v1;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{
    hub::HubProcess,
    lane::Tally,
    report::{per_second, quantile_ms},
    rng::SplitMix64,
    traffic::{Merchant, Mix, Traffic},
    wire,
};

/// What callers of single messages saw.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Unary {
    /// Messages, answered one by one, in a second.
    pub(super) per_second: f64,
    /// Median time of a call.
    pub(super) p50_ms: f64,
    /// 99 of 100 calls took at most this long.
    pub(super) p99_ms: f64,
    /// Messages.
    pub(super) messages: u64,
}

/// Has `callers` send single messages for about `time`, each over its own connection.
pub(super) async fn run(
    hub: &HubProcess,
    merchants: &[Arc<Merchant>],
    callers: usize,
    time: Duration,
    seed: u64,
) -> anyhow::Result<Unary> {
    let mut tasks = JoinSet::new();
    let mut connections = Vec::new();
    for merchant in merchants.iter().cycle().take(callers) {
        let connection = hub
            .connect(Arc::clone(&merchant.key), &merchant.slug)
            .await?;
        connections.push((Arc::clone(merchant), connection));
    }
    let begun = Instant::now();
    for (index, (merchant, connection)) in connections.into_iter().enumerate() {
        let rng = SplitMix64::new(seed ^ 0x00c0_ffee, (callers * 1_000 + index) as u64);
        let mut traffic = Traffic::new(merchant, rng);
        tasks.spawn(async move {
            let mut exchange = connection.exchange();
            let mut tally = Tally::new()?;
            while begun.elapsed() < time {
                let request = v1::SubmitBatchRequest {
                    envelope: Some(traffic.batch(1, Mix::Shop).envelope),
                    validate_only: false,
                };
                let at = Instant::now();
                let answer = exchange.submit_batch(request).await?.into_inner();
                tally
                    .latencies
                    .record(u64::try_from(at.elapsed().as_micros())?)?;
                let outcome = wire::outcomes(&answer.outcomes).next();
                let code = outcome.context("an answer without an outcome")?.code;
                *tally.codes.entry(code).or_default() += 1;
            }
            anyhow::Ok(tally)
        });
    }
    let mut all = Tally::new()?;
    for tally in tasks.join_all().await {
        all.add(&tally?)?;
    }
    let messages = all.latencies.len();
    Ok(Unary {
        per_second: per_second(messages, begun.elapsed()),
        p50_ms: quantile_ms(&all.latencies, 50),
        p99_ms: quantile_ms(&all.latencies, 99),
        messages,
    })
}

impl Unary {
    /// For people.
    pub(super) fn line(&self) -> String {
        let Self {
            per_second,
            p50_ms,
            p99_ms,
            ..
        } = self;
        format!("{per_second:.0} messages/s, p50 {p50_ms:.2} ms, p99 {p99_ms:.2} ms")
    }
}
