//! All streams at once, and the clock over them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hansa_client::hub::Hub;
use hansa_proto::v1;
use tokio::{sync::Barrier, task::JoinSet};

use super::{
    hub::HubProcess,
    lane::{Lane, Order, Tally},
    machine::{CpuTimes, cpu_times},
};

/// What a load measured.
#[derive(Debug)]
pub(super) struct Measured {
    /// Outcomes and latencies.
    pub(super) tally: Tally,
    /// From the first send to the last answer.
    pub(super) answered: Duration,
    /// From the first send until the projection had everything.
    pub(super) covered: Duration,
    /// Processor time used until then.
    pub(super) cpu: CpuTimes,
    /// The hub's word at the end.
    pub(super) status: v1::GetStatusResponse,
}

/// Sends `order`, spread over the lanes, and waits until the hub has projected it.
pub(super) async fn run(
    hub: &HubProcess,
    lanes: &mut Vec<Lane>,
    order: Order,
    progress: impl Fn(u64) + Clone + Send + 'static,
) -> anyhow::Result<Measured> {
    let count = lanes.len();
    let mut connections: Vec<Hub> = Vec::with_capacity(count);
    for lane in lanes.iter() {
        let merchant = lane.traffic.merchant();
        connections.push(
            hub.connect(Arc::clone(&merchant.key), &merchant.slug)
                .await?,
        );
    }
    let start = Arc::new(Barrier::new(count + 1));
    let mut tasks = JoinSet::new();
    for (index, (mut lane, connection)) in lanes.drain(..).zip(connections).enumerate() {
        let order = Order {
            messages: share(order.messages, count, index),
            ..order
        };
        let (start, progress) = (Arc::clone(&start), progress.clone());
        tasks.spawn(async move {
            let tally = lane.run(&connection, order, start, progress).await;
            (index, lane, tally)
        });
    }
    start.wait().await;
    let (begun, cpu) = (Instant::now(), cpu_times(hub.pid()));
    let mut done = tasks.join_all().await;
    let answered = begun.elapsed();
    let status = hub.covered().await?;
    let covered = begun.elapsed();
    let cpu = cpu_times(hub.pid()).since(&cpu);
    done.sort_by_key(|(index, ..)| *index);
    let mut tally = Tally::new()?;
    for (_, lane, own) in done {
        lanes.push(lane);
        tally.add(&own?)?;
    }
    Ok(Measured {
        tally,
        answered,
        covered,
        cpu,
        status,
    })
}

/// Lane `index`'s part of `messages`.
fn share(messages: u64, lanes: usize, index: usize) -> u64 {
    let (lanes, index) = (lanes as u64, index as u64);
    messages / lanes + u64::from(index < messages % lanes)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_add_up() {
        for (messages, lanes) in [(10, 3), (1, 8), (0, 2), (1_000_000, 8)] {
            let sum: u64 = (0..lanes).map(|i| share(messages, lanes, i)).sum();
            assert_eq!(sum, messages);
        }
    }
}
