//! After a kill: is what was answered still so?

use std::{collections::HashMap, sync::Arc};

use hansa_client::ids::MessageId;
use serde::Serialize;
use tokio::task::JoinSet;

use super::{hub::HubProcess, lane::Lane, rng::SplitMix64};

/// Members whose balance is looked at, in all.
const MEMBERS: usize = 1_000;
/// How often a member without a message may be drawn in a row.
const DRAWS: usize = 1_000;

/// What was found.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Checked {
    /// Balances and outcomes that were looked at.
    pub(super) sample_checked: u64,
    /// Of them, those that are not what was answered before the kill.
    pub(super) sample_wrong: u64,
}

/// Compares a sample of balances and outcomes with what the lanes were answered.
pub(super) async fn check(
    hub: &HubProcess,
    lanes: &[Lane],
    rng: &mut SplitMix64,
) -> anyhow::Result<Checked> {
    let mut tasks = JoinSet::new();
    for lane in lanes {
        let merchant = Arc::clone(lane.traffic.merchant());
        let connection = hub
            .connect(Arc::clone(&merchant.key), &merchant.slug)
            .await?;
        let balances = sample(lane, MEMBERS.div_ceil(lanes.len()), rng);
        let probes = lane.probes.clone();
        tasks.spawn(async move {
            let mut checked = Checked::default();
            for (member, expected) in balances {
                let found = connection.balance(&merchant.references[member]).await?;
                checked.count(found.available_points == expected, || {
                    format!(
                        "member {member} of {}: {} points, answered were {expected}",
                        merchant.slug, found.available_points
                    )
                });
            }
            let ids: Vec<MessageId> = probes.iter().map(|probe| probe.id).collect();
            let found: HashMap<Vec<u8>, _> = connection
                .outcomes(&ids)
                .await?
                .into_iter()
                .map(|item| (item.message_id, item.outcome))
                .collect();
            for probe in probes {
                let found = found.get(probe.id.as_slice()).and_then(Option::as_ref);
                checked.count(found == Some(&probe.outcome), || {
                    format!("outcome {found:?}, answered was {:?}", probe.outcome)
                });
            }
            anyhow::Ok(checked)
        });
    }
    let mut all = Checked::default();
    for checked in tasks.join_all().await {
        let checked = checked?;
        all.sample_checked += checked.sample_checked;
        all.sample_wrong += checked.sample_wrong;
    }
    Ok(all)
}

/// Members that had a message, with the points that they should have.
fn sample(lane: &Lane, count: usize, rng: &mut SplitMix64) -> Vec<(usize, i64)> {
    std::iter::from_fn(|| {
        (0..DRAWS).find_map(|_| {
            let member = rng.index(lane.available.len());
            Some((member, (*lane.available.get(member)?)?))
        })
    })
    .take(count)
    .collect()
}

impl Checked {
    /// Counts a comparison and tells of the first few that fail.
    fn count(&mut self, right: bool, what: impl FnOnce() -> String) {
        self.sample_checked += 1;
        if !right {
            self.sample_wrong += 1;
            if self.sample_wrong <= 5 {
                eprintln!("wrong after the restart: {}", what());
            }
        }
    }
}
