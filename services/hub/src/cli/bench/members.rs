//! Setting up: a merchant for each stream, its key, its members.

use std::sync::Arc;

use anyhow::Context as _;
use hansa_client::{hub::Hub, keys::SigningKey, time::system_now_micros};
use hansa_proto::v1;
use tokio::task::JoinSet;

use super::{hub::HubProcess, traffic::Merchant};
use crate::convert::timestamp;

/// Enrolments in a call.
const CALL: u64 = 4_000;

/// Onboards merchants and enrols members: member `i` is merchant `i % merchants`'s. `progress` hears of each call.
pub(super) async fn set_up(
    hub: &HubProcess,
    merchants: usize,
    members: u64,
    progress: impl Fn(u64) + Clone + Send + 'static,
) -> anyhow::Result<Vec<Arc<Merchant>>> {
    let slugs: Vec<String> = (0..merchants).map(|n| format!("bench-{n}")).collect();
    let desired = v1::Alliance {
        programme: Some(programme()),
        merchants: slugs.iter().map(|slug| merchant(slug)).collect(),
        promotions: Vec::new(),
    };
    let request = v1::ApplyAllianceRequest {
        desired: Some(desired),
        validate_only: false,
    };
    hub.operator()
        .call(request, async |hub: Hub, request| {
            hub.alliance().apply_alliance(request).await
        })
        .await?;
    let mut tasks = JoinSet::new();
    for (index, slug) in slugs.into_iter().enumerate() {
        let key = Arc::new(SigningKey::generate()?);
        register(hub.operator(), &key, &slug).await?;
        let connection = hub.connect(Arc::clone(&key), &slug).await?;
        let progress = progress.clone();
        tasks.spawn(async move {
            let own = (index as u64..members).step_by(merchants).collect();
            let references = enrol(&connection, own, progress).await?;
            let merchant = Merchant {
                slug,
                key,
                references,
            };
            anyhow::Ok((index, Arc::new(merchant)))
        });
    }
    let mut ready = tasks
        .join_all()
        .await
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?;
    ready.sort_by_key(|(index, _)| *index);
    Ok(ready.into_iter().map(|(_, merchant)| merchant).collect())
}

async fn enrol(
    hub: &Hub,
    members: Vec<u64>,
    progress: impl Fn(u64),
) -> anyhow::Result<Vec<[u8; 16]>> {
    let mut references = Vec::with_capacity(members.len());
    for chunk in members.chunks(CALL as usize) {
        let keys: Vec<Vec<u8>> = chunk
            .iter()
            .map(|n| format!("bench member {n:012}").into_bytes())
            .collect();
        references.extend(hub.enrol(&keys).await.context("cannot enrol members")?);
        progress(chunk.len() as u64);
    }
    Ok(references)
}

pub(super) async fn register(operator: &Hub, key: &SigningKey, slug: &str) -> anyhow::Result<()> {
    let key = v1::Key {
        key_id: key.key_id().to_owned(),
        public_key: key.verifying_key().as_bytes().to_vec(),
        merchant_id: slug.to_owned(),
        valid_from: Some(timestamp(system_now_micros() - 3_600_000_000)),
        ..v1::Key::default()
    };
    let request = v1::RegisterKeyRequest {
        key: Some(key),
        validate_only: false,
    };
    operator
        .call(request, async |hub: Hub, request| {
            hub.alliance().register_key(request).await
        })
        .await?;
    Ok(())
}

pub(super) fn programme() -> v1::Programme {
    v1::Programme {
        name: "Bench".into(),
        currency_code: super::wire::CURRENCY.into(),
        time_zone: "UTC".into(),
        reserve_per_point: "0.008".into(),
        expiry_rule: v1::ExpiryRule::RollingMonths.into(),
        expiry_months: 24,
        negative_balance: v1::NegativeBalancePolicy::Debt.into(),
        cycle_schedule: v1::CycleSchedule::Monthly.into(),
        ..v1::Programme::default()
    }
}

pub(super) fn merchant(slug: &str) -> v1::Merchant {
    v1::Merchant {
        merchant_id: slug.to_owned(),
        display_name: slug.to_owned(),
        state: v1::MerchantState::Active.into(),
        roles: vec![v1::MerchantRole::Earn.into(), v1::MerchantRole::Burn.into()],
        contract: Some(v1::Contract {
            funding_mode: v1::FundingMode::Issue.into(),
            earn_rate: "1".into(),
            service_fee_per_point: "0.0015".into(),
            redemption_fee_bps: 200,
            breakage_share_bps: 3_333,
            // Longer than any run: what the client expects does not change by time alone.
            authorisation_ttl_seconds: 7 * 86_400,
            ..v1::Contract::default()
        }),
        ..v1::Merchant::default()
    }
}
