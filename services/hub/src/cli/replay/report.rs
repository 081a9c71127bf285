//! What a replay prints: the document, read from the hub's own services.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use hansa_client::hub::{CallError, Hub};
use hansa_proto::v1;
use serde::Serialize;

use crate::convert::micros;

/// Running counts since the log began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Accruals of 0 points included.
    pub accruals: u64,
    /// Redemptions captured.
    pub redemptions: u64,
    /// Redemptions refused.
    pub redemptions_refused: u64,
    /// Unit: whole points.
    pub issued_points: i64,
    /// Unit: whole points.
    pub redeemed_points: i64,
    /// Unit: whole points.
    pub expired_points: i64,
    /// Unit: whole points.
    pub outstanding_points: i64,
}

/// The hub's side, in the sign of the nets' sum. Unit: micro-units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HubMicros {
    /// Change of account 2100.
    pub reserve: i64,
    /// Account 4100.
    pub service_fee: i64,
    /// Account 4200.
    pub redemption_fee: i64,
    /// Account 4300.
    pub breakage: i64,
}

/// A closed cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cycle {
    /// Closing instant, RFC 3339.
    pub closes_at: String,
    /// Net by merchant, + = it owes; zeros left out. Unit: micro-units.
    pub net_micros: BTreeMap<String, i64>,
    /// The hub's side.
    pub hub_micros: HubMicros,
    /// Points by "funder>merchant"; zeros left out. Unit: whole points.
    pub pair_points: BTreeMap<String, i64>,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Running counts.
    pub counts: Counts,
    /// Closed cycles, oldest first.
    pub cycles: Vec<Cycle>,
}

/// RFC 3339, whole seconds.
pub fn rfc3339(at: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(at)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads the document; `hub` speaks as an operator.
pub async fn read(hub: &Hub) -> Result<Document, CallError> {
    let liability = liability(hub).await?;
    let counts = liability.counts.unwrap_or_default();
    let mut cycles = Vec::new();
    for cycle in hub.cycles().await? {
        if cycle.closed_leaf_index.is_some() {
            cycles.push(document(hub.cycle(cycle.cycle_number).await?));
        }
    }
    Ok(Document {
        counts: Counts {
            accruals: counts.accruals,
            redemptions: counts.captures,
            redemptions_refused: counts.authorisations_refused,
            issued_points: counts.issued_points,
            redeemed_points: counts.redeemed_points,
            expired_points: counts.expired_points,
            outstanding_points: counts.outstanding_points,
        },
        cycles,
    })
}

/// Open points by funder.
pub async fn liability(hub: &Hub) -> Result<v1::GetLiabilityResponse, CallError> {
    hub.call(v1::GetLiabilityRequest {}, async |hub: Hub, request| {
        hub.statements().get_liability(request).await
    })
    .await
}

fn document(details: v1::GetCycleResponse) -> Cycle {
    let cycle = details.cycle.unwrap_or_default();
    let hub = details.hub.unwrap_or_default();
    let nets = details
        .net_positions
        .into_iter()
        .filter(|p| p.net_micros != 0);
    let pairs = details.pair_positions.into_iter().filter(|p| p.points != 0);
    Cycle {
        closes_at: cycle
            .closes_at
            .as_ref()
            .map(|at| rfc3339(micros(at)))
            .unwrap_or_default(),
        net_micros: nets.map(|p| (p.merchant_id, p.net_micros)).collect(),
        hub_micros: HubMicros {
            reserve: hub.reserve_micros,
            service_fee: hub.service_fee_micros,
            redemption_fee: hub.redemption_fee_micros,
            breakage: hub.breakage_micros,
        },
        pair_points: pairs
            .map(|p| {
                (
                    format!("{}>{}", p.funder_merchant_id, p.redeeming_merchant_id),
                    p.points,
                )
            })
            .collect(),
    }
}
